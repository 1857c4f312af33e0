//===- VerifyBarriers.cpp - Signals, waits, arrivals and phases -----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramModel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

//===----------------------------------------------------------------------===//
// P1: somebody signals, somebody waits
//===----------------------------------------------------------------------===//

static bool concernsStage(Value stage, int64_t number) {
  std::optional<int64_t> constant = getConstant(stage);
  return !constant || *constant == number;
}

static LogicalResult verifySignalled(const Barrier &barrier, int64_t stage) {
  const Signal *signal = nullptr;
  BarrierWaitOp wait;
  for (const Signal &candidate : barrier.signals)
    if (concernsStage(candidate.stage, stage) && !signal)
      signal = &candidate;
  for (BarrierWaitOp candidate : barrier.waits)
    if (concernsStage(candidate.getStage(), stage) && !wait)
      wait = candidate;
  if (wait && !signal) {
    InFlightDiagnostic diag = wait.emitOpError()
                              << "in role " << getRoleName(getRole(wait))
                              << ": expected a role that signals stage "
                              << stage << " of this barrier, got none";
    diag.attachNote(barrier.init.getLoc()) << "barrier initialised here";
    return failure();
  }
  if (signal && !wait) {
    InFlightDiagnostic diag = signal->op->emitOpError()
                              << "in role " << getRoleName(signal->role)
                              << ": expected a role that waits for stage "
                              << stage << " of this barrier, got none";
    diag.attachNote(barrier.init.getLoc()) << "barrier initialised here";
    return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// P2: arrivals of one phase
//===----------------------------------------------------------------------===//

/// Arrivals that `role` makes in one phase of `stage`. Ops of one block with
/// the same index are one phase's; other blocks and other indices belong to
/// other phases, and must arrive as often. None if there are no arrivals, or
/// their number depends on a block size that is not known.
static FailureOr<std::optional<int64_t>>
countArrivals(const Barrier &barrier, Region *role, int64_t stage) {
  SmallVector<std::pair<const Signal *, int64_t>> groups;
  for (const Signal &signal : barrier.signals) {
    if (signal.role != role || !concernsStage(signal.stage, stage))
      continue;
    if (!signal.arrivals)
      return std::optional<int64_t>();
    auto *group = llvm::find_if(groups, [&](const auto &candidate) {
      return candidate.first->op->getBlock() == signal.op->getBlock() &&
             isSameStage(candidate.first->stage, signal.stage);
    });
    if (group == groups.end())
      groups.push_back({&signal, *signal.arrivals});
    else
      group->second += *signal.arrivals;
  }
  if (groups.empty())
    return std::optional<int64_t>();
  for (const auto &[signal, arrivals] : groups)
    if (arrivals != groups.front().second)
      return signal->op->emitOpError()
             << "in role " << getRoleName(role) << ": expected "
             << groups.front().second
             << " arrivals in each phase (as elsewhere in the role), got "
             << arrivals;
  return std::optional<int64_t>(groups.front().second);
}

static LogicalResult verifyArrivals(const Barrier &barrier, int64_t stage) {
  llvm::SetVector<Region *> roles;
  for (const Signal &signal : barrier.signals) {
    if (!signal.arrivals)
      return success();
    roles.insert(signal.role);
  }
  int64_t total = 0;
  std::string parts;
  for (Region *role : roles) {
    FailureOr<std::optional<int64_t>> arrivals =
        countArrivals(barrier, role, stage);
    if (failed(arrivals))
      return failure();
    if (!*arrivals)
      continue;
    total += **arrivals;
    parts += (parts.empty() ? "" : " + ") + std::to_string(**arrivals) + " " +
             getRoleName(role);
  }
  BarrierInitOp init = barrier.init;
  const int64_t declared = static_cast<int64_t>(init.getArrivals());
  if (total != 0 && total != declared)
    return init.emitOpError()
           << "arrivals in one phase of stage " << stage << ": expected "
           << declared << " (as declared), got " << total << " (" << parts
           << ")";
  return success();
}

//===----------------------------------------------------------------------===//
// P3: bytes of one phase
//===----------------------------------------------------------------------===//

/// Bytes that one CTA receives by `copy`: what it copies itself, and as much
/// from every other CTA of the mask.
static int64_t getDeliveredBytes(CopyTmaOp copy) {
  ViewType view = copy.getDest().getType();
  int64_t bytes = view.getElementType().getIntOrFloatBitWidth() / 8;
  for (int64_t extent : view.getShape())
    bytes *= extent;
  return bytes * llvm::popcount(copy.getMulticast().value_or(1));
}

static LogicalResult verifyBytes(const Barrier &barrier) {
  // The announcement that a copy belongs to: the last one before it in its
  // block, for the same stage.
  llvm::MapVector<Operation *, int64_t> delivered;
  for (const Signal &signal : barrier.signals)
    if (isa<BarrierExpectOp>(signal.op))
      delivered[signal.op] = 0;
  for (CopyTmaOp copy : barrier.copies) {
    Operation *announcement = nullptr;
    for (auto &[op, bytes] : delivered) {
      auto expect = cast<BarrierExpectOp>(op);
      if (op->getBlock() == copy->getBlock() && op->isBeforeInBlock(copy) &&
          isSameStage(expect.getStage(), copy.getStage()) &&
          (!announcement || announcement->isBeforeInBlock(op)))
        announcement = op;
    }
    if (!announcement)
      return copy.emitOpError()
             << "in role " << getRoleName(getRole(copy))
             << ": expected a barrier.expect before it in its block for this "
                "barrier and stage, got none";
    delivered[announcement] += getDeliveredBytes(copy);
  }
  for (auto &[op, bytes] : delivered) {
    auto expect = cast<BarrierExpectOp>(op);
    if (static_cast<int64_t>(expect.getBytes()) != bytes)
      return expect.emitOpError() << "bytes: expected " << bytes
                                  << " (what the copies after it deliver), got "
                                  << static_cast<int64_t>(expect.getBytes());
  }
  return success();
}

//===----------------------------------------------------------------------===//
// P4: phases alternate
//===----------------------------------------------------------------------===//

/// Whether `value` can differ between two iterations of `loop`.
static bool variesIn(Value value, Operation *loop, DenseSet<Value> &seen) {
  if (!seen.insert(value).second)
    return false;
  if (!loop->isProperAncestor(value.getParentRegion()->getParentOp()) &&
      value.getParentRegion()->getParentOp() != loop)
    return false;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto forOp = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    // Other loops, and arguments of loops inside this one: taken to vary.
    if (!forOp || forOp.getOperation() != loop ||
        argument == forOp.getInductionVar())
      return true;
    // A carried value varies if the one that is yielded is a new one.
    Value yielded = forOp.getTiedLoopYieldedValue(argument)->get();
    return yielded != argument &&
           loop->isProperAncestor(
               isa<BlockArgument>(yielded)
                   ? cast<BlockArgument>(yielded).getOwner()->getParentOp()
                   : yielded.getDefiningOp());
  }
  Operation *op = value.getDefiningOp();
  if (op->getNumRegions() != 0 || !isMemoryEffectFree(op))
    return true;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return variesIn(operand, loop, seen);
  });
}

/// The slot that gave a phase, inverted or not.
static SlotOp findSlot(Value phase) {
  // Dominance may not have been verified yet, so an op may use itself.
  DenseSet<Value> seen;
  for (arith::XOrIOp invert; seen.insert(phase).second &&
                             (invert = phase.getDefiningOp<arith::XOrIOp>());) {
    if (matchPattern(invert.getRhs(), m_Constant()))
      phase = invert.getLhs();
    else if (matchPattern(invert.getLhs(), m_Constant()))
      phase = invert.getRhs();
    else
      return {};
  }
  return phase.getDefiningOp<SlotOp>();
}

static LogicalResult verifyPhase(const Barrier &barrier, BarrierWaitOp wait) {
  if (Operation *loop = getInnermostLoop(wait)) {
    DenseSet<Value> seen;
    if (!variesIn(wait.getPhase(), loop, seen)) {
      InFlightDiagnostic diag =
          wait.emitOpError()
          << "phase: expected one that changes with the loop, got the same in "
             "every iteration";
      diag.attachNote(loop->getLoc()) << "the loop";
      return failure();
    }
  }
  SlotOp slot = findSlot(wait.getPhase());
  if (!slot) {
    if (wait.getStage().getDefiningOp<SlotOp>())
      return wait.emitOpError() << "phase: expected that of the slot that gave "
                                   "the stage, got another value";
    return success();
  }
  // A wait for always the same stage sees every use of it: a ring of one.
  const bool isFixed = getConstant(wait.getStage()).has_value();
  const int64_t expected = isFixed ? 1 : barrier.getStages();
  if (static_cast<int64_t>(slot.getStages()) != expected)
    return wait.emitOpError()
           << "phase: expected that of a slot of " << expected
           << (isFixed ? " (always the same stage)" : " (as the barrier)")
           << ", got " << static_cast<int64_t>(slot.getStages());
  if (!isFixed && wait.getStage() != slot.getStage())
    return wait.emitOpError() << "stage: expected that of the slot that gave "
                                 "the phase, got another value";
  return success();
}

LogicalResult flash_tile::detail::verifyBarriers(const ProgramModel &model) {
  for (const Barrier &barrier : model.barriers) {
    if (failed(verifyBytes(barrier)))
      return failure();
    for (int64_t stage = 0; stage < barrier.getStages(); ++stage)
      if (failed(verifySignalled(barrier, stage)))
        return failure();
    for (int64_t stage = 0; stage < barrier.getStages(); ++stage)
      if (failed(verifyArrivals(barrier, stage)))
        return failure();
    for (BarrierWaitOp wait : barrier.waits)
      if (failed(verifyPhase(barrier, wait)))
        return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// P5: named barriers
//===----------------------------------------------------------------------===//

namespace {
/// One op on a hardware barrier.
struct NamedUse {
  Operation *op;
  int64_t threads;
  bool isSync;
};
} // namespace

LogicalResult
flash_tile::detail::verifyNamedBarriers(const ProgramModel &model) {
  llvm::MapVector<int64_t, SmallVector<NamedUse>> barriers;
  model.root->walk([&](Operation *op) {
    if (auto sync = dyn_cast<NamedBarrierSyncOp>(op))
      barriers[sync.getId()].push_back(
          {op, static_cast<int64_t>(sync.getThreads()), true});
    else if (auto arrive = dyn_cast<NamedBarrierArriveOp>(op))
      barriers[arrive.getId()].push_back(
          {op, static_cast<int64_t>(arrive.getThreads()), false});
  });
  for (auto &[id, uses] : barriers) {
    const NamedUse &first = uses.front();
    llvm::SetVector<Region *> roles;
    int64_t total = 0;
    std::string parts;
    for (const NamedUse &use : uses) {
      if (use.threads != first.threads)
        return use.op->emitOpError()
               << "threads of named barrier " << id << ": expected "
               << first.threads << " (as elsewhere), got " << use.threads;
      Region *role = getRole(use.op);
      if (!roles.insert(role))
        continue;
      std::optional<int64_t> threads = getRoleThreads(role, use.op);
      if (!threads)
        return success();
      total += *threads;
      parts += (parts.empty() ? "" : " + ") + std::to_string(*threads) + " " +
               getRoleName(role);
    }
    if (llvm::none_of(uses, [](const NamedUse &use) { return use.isSync; }))
      return first.op->emitOpError()
             << "named barrier " << id
             << ": expected a role that waits at it, got arrivals only";
    if (total != first.threads)
      return first.op->emitOpError()
             << "threads of named barrier " << id << ": expected " << total
             << " (" << parts << "), got " << first.threads;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// P6: the cluster's barrier
//===----------------------------------------------------------------------===//

LogicalResult
flash_tile::detail::verifyClusterBarriers(const ProgramModel &model) {
  WalkResult result = model.root->walk([&](Block *block) {
    Operation *open = nullptr;
    for (Operation &op : *block) {
      if (isa<ClusterArriveOp>(op)) {
        if (open) {
          op.emitOpError() << "expected a cluster_barrier.wait after the "
                              "arrival before, got another arrival";
          return WalkResult::interrupt();
        }
        open = &op;
      } else if (isa<ClusterWaitOp>(op)) {
        if (!open) {
          op.emitOpError() << "expected a cluster_barrier.arrive before it in "
                              "its block, got none";
          return WalkResult::interrupt();
        }
        open = nullptr;
      }
    }
    if (open) {
      open->emitOpError() << "expected a cluster_barrier.wait after it in its "
                             "block, got none";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}
