//===- VerifyAccesses.cpp - Tiles are read when there, overwritten when read
//---===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramModel.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

//===----------------------------------------------------------------------===//
// P7: a stage is not released while an asynchronous product reads it
//===----------------------------------------------------------------------===//

/// A role other than the arriving one fills `root` and waits on `barrier`
/// before: arriving there gives the stage away.
static bool isReleaseOf(const ProgramModel &model, const Barrier &barrier,
                        Region *role, Value root) {
  return llvm::any_of(model.accesses, [&](const Access &access) {
    return access.isWrite && access.role != role && access.place.root == root &&
           llvm::any_of(barrier.waits, [&](BarrierWaitOp wait) {
             return getRole(wait) == access.role;
           });
  });
}

static LogicalResult verifyReleases(const ProgramModel &model) {
  for (const Barrier &barrier : model.barriers)
    for (const Signal &signal : barrier.signals)
      for (const Access &access : model.accesses) {
        auto dot = dyn_cast<DotAsyncOp>(access.op);
        if (!dot || !isa<BarrierArriveOp>(signal.op) ||
            dot->getBlock() != signal.op->getBlock() ||
            !dot->isBeforeInBlock(signal.op) ||
            !isSameStage(access.place.stage, signal.stage) ||
            !isReleaseOf(model, barrier, signal.role, access.place.root))
          continue;
        if (llvm::any_of(dot.getFuture().getUsers(), [&](Operation *user) {
              return isa<WaitOp>(user) && user->getBlock() == dot->getBlock() &&
                     user->isBeforeInBlock(signal.op);
            }))
          continue;
        InFlightDiagnostic diag =
            signal.op->emitOpError()
            << "in role " << getRoleName(signal.role)
            << ": expected the asynchronous product that reads the released "
               "stage to be waited for before, got it still running";
        diag.attachNote(dot.getLoc()) << "the product";
        return failure();
      }
  return success();
}

//===----------------------------------------------------------------------===//
// P8: between roles, barriers order accesses to one tile
//===----------------------------------------------------------------------===//

/// The barrier and the buffer are rings of the same length, stage for stage.
static bool isRingOf(const Barrier &barrier, Value root) {
  auto buffer = dyn_cast<BufferType>(root.getType());
  return buffer && barrier.getStages() > 1 &&
         barrier.getStages() == buffer.getStages();
}

/// How many loops with barriers in them are around `op` in its role.
static unsigned getDepth(Operation *op) {
  unsigned depth = 0;
  for (Operation *loop = getPhaseLoop(op); loop; loop = getPhaseLoop(loop))
    ++depth;
  return depth;
}

/// How deep in loops the waits and signals between two accesses have to be: a
/// tile that is written once for a whole loop of reads is waited for and given
/// back outside it, one that both sides touch in each iteration inside.
static unsigned getDepth(const Access &a, const Access &b) {
  return std::min(getDepth(a.op), getDepth(b.op));
}

/// `signal` says that `access`, of the same role, is over. The tensor core
/// signals for itself, by a commit.
static bool signalsEndOf(const Signal &signal, const Access &access,
                         unsigned depth) {
  return signal.role == access.role && comesAfter(signal.op, access.op) &&
         (!isa<TmemDotOp>(access.op) || isa<CommitOp>(signal.op)) &&
         getDepth(signal.op) >= depth;
}

/// Whether completing `wait` says that `earlier`, done by its role, is over.
/// TMA signals for itself, the barrier that the copy names.
static bool isSignalledAfter(const Barrier &barrier, BarrierWaitOp wait,
                             const Access &earlier, unsigned depth) {
  if (auto copy = dyn_cast<CopyTmaOp>(earlier.op))
    return copy.getBarrier() == Value(barrier.init.getBarrier()) &&
           !isOtherStage(copy.getStage(), wait.getStage());
  return llvm::any_of(barrier.signals, [&](const Signal &signal) {
    return signalsEndOf(signal, earlier, depth) &&
           !isOtherStage(signal.stage, wait.getStage());
  });
}

/// `wait` keeps `later` back, in its role.
static bool protects(const ProgramModel &model, const Barrier &barrier,
                     BarrierWaitOp wait, const Access &later, unsigned depth) {
  return getRole(wait) == later.role &&
         (!isRingOf(barrier, later.place.root) || !later.place.stage ||
          isSameStage(wait.getStage(), later.place.stage)) &&
         model.dominance.properlyDominates(wait.getOperation(), later.op) &&
         getDepth(wait) >= depth;
}

/// The role comes back to the tile in a loop after `access`: what it gives away
/// here it wants again. The last read of a program need not be announced.
static bool isRevisited(const ProgramModel &model, const Access &access) {
  return getPhaseLoop(access.op) ||
         llvm::any_of(model.accesses, [&](const Access &other) {
           Operation *loop = getPhaseLoop(other.op);
           return other.role == access.role && loop &&
                  other.place.root == access.place.root &&
                  comesAfter(loop, access.op);
         });
}

/// The role was at the tile in a loop before `access`, or `access` is in one:
/// others may be using what it wrote. The first write of a program is free.
static bool isRepeated(const ProgramModel &model, const Access &access) {
  return getPhaseLoop(access.op) ||
         llvm::any_of(model.accesses, [&](const Access &other) {
           Operation *loop = getPhaseLoop(other.op);
           return other.role == access.role && loop &&
                  mayOverlap(other.place, access.place) &&
                  comesAfter(access.op, other.op);
         });
}

/// `later` needs a wait if another role made `earlier`.
static bool isConflict(const ProgramModel &model, const Access &later,
                       const Access &earlier) {
  // Ops outside the roles come before or after all of them.
  return earlier.role && later.role && earlier.role != later.role &&
         mayOverlap(earlier.place, later.place) &&
         (later.isWrite
              ? isRepeated(model, later) && isRevisited(model, earlier)
              : earlier.isWrite);
}

/// A wait in `later`'s role keeps it back until `earlier` is over.
static bool isOrderedAfter(const ProgramModel &model, const Access &later,
                           const Access &earlier) {
  const unsigned depth = getDepth(later, earlier);
  for (const Barrier &barrier : model.barriers)
    for (BarrierWaitOp wait : barrier.waits)
      if (protects(model, barrier, wait, later, depth) &&
          isSignalledAfter(barrier, wait, earlier, depth))
        return true;
  return false;
}

/// A signal after `earlier`, for its stage, that a wait before `later` is for.
static bool isAnnounced(const ProgramModel &model, const Access &later,
                        const Access &earlier) {
  if (isa<CopyTmaOp>(earlier.op))
    return true;
  const unsigned depth = getDepth(later, earlier);
  for (const Barrier &barrier : model.barriers)
    for (const Signal &signal : barrier.signals) {
      if (!signalsEndOf(signal, earlier, depth) ||
          (isRingOf(barrier, earlier.place.root) && earlier.place.stage &&
           !isSameStage(signal.stage, earlier.place.stage)))
        continue;
      for (BarrierWaitOp wait : barrier.waits)
        if (!isOtherStage(wait.getStage(), signal.stage) &&
            protects(model, barrier, wait, later, depth))
          return true;
    }
  return false;
}

static StringRef verb(const Access &access) {
  return access.isWrite ? "writes" : "reads";
}

static LogicalResult verifyOrder(const ProgramModel &model, const Access &later,
                                 const Access &earlier) {
  if (!isConflict(model, later, earlier))
    return success();
  if (!isOrderedAfter(model, later, earlier)) {
    InFlightDiagnostic diag = later.op->emitOpError();
    diag << "in role " << getRoleName(later.role) << ": " << verb(later)
         << " a tile that role " << getRoleName(earlier.role) << " "
         << verb(earlier) << ": expected a barrier.wait before it"
         << (getDepth(later, earlier) > 0 ? " in the loop" : "")
         << " for this stage of a barrier that role "
         << getRoleName(earlier.role) << " signals after, got none";
    diag.attachNote(earlier.op->getLoc()) << verb(earlier) << " it here";
    return failure();
  }
  if ((earlier.isWrite || isRevisited(model, earlier)) &&
      !isAnnounced(model, later, earlier)) {
    InFlightDiagnostic diag = earlier.op->emitOpError();
    diag << "in role " << getRoleName(earlier.role) << ": " << verb(earlier)
         << " a tile that role " << getRoleName(later.role) << " "
         << verb(later) << " next: expected "
         << (isa<TmemDotOp>(earlier.op) ? "a commit" : "an arrival")
         << " after it for this stage of a barrier that role "
         << getRoleName(later.role) << " waits for, got none";
    diag.attachNote(later.op->getLoc()) << verb(later) << " it here";
    return failure();
  }
  return success();
}

LogicalResult flash_tile::detail::verifyAccesses(const ProgramModel &model) {
  for (const Access &later : model.accesses)
    for (const Access &earlier : model.accesses)
      if (failed(verifyOrder(model, later, earlier)))
        return failure();
  return verifyReleases(model);
}

//===----------------------------------------------------------------------===//
// P12 to P14: copies by cp.async within one instruction stream
//===----------------------------------------------------------------------===//

/// Whether a wait is reached from `future`, through what loops and branches
/// carry.
static bool isWaitedFor(Value future) {
  llvm::SetVector<Value> values;
  values.insert(future);
  for (unsigned i = 0; i < values.size(); ++i)
    for (OpOperand &use : values[i].getUses()) {
      Operation *user = use.getOwner();
      if (isa<WaitOp>(user))
        return true;
      if (auto loop = dyn_cast<scf::ForOp>(user)) {
        values.insert(loop.getTiedLoopRegionIterArg(&use));
        values.insert(loop.getTiedLoopResult(&use));
      } else if (isa<scf::YieldOp>(user)) {
        Operation *parent = user->getParentOp();
        if (use.getOperandNumber() < parent->getNumResults())
          values.insert(parent->getResult(use.getOperandNumber()));
        if (auto loop = dyn_cast<scf::ForOp>(parent))
          values.insert(loop.getRegionIterArg(use.getOperandNumber()));
      }
    }
  return false;
}

static bool isCtaBarrier(Operation *op) {
  return isa<gpu::BarrierOp, NamedBarrierSyncOp>(op);
}

namespace {
/// Positions in program order of what orders copies, by role.
struct CopyOrder {
  SmallVector<Operation *> barriers;
  /// Each wait, and the buffers whose copies it waits for.
  SmallVector<std::pair<WaitOp, Value>> waits;
};
} // namespace

static CopyOrder collectCopyOrder(const ProgramModel &model) {
  CopyOrder order;
  model.root->walk([&](Operation *op) {
    if (isCtaBarrier(op))
      order.barriers.push_back(op);
    if (auto wait = dyn_cast<WaitOp>(op))
      for (Value future : wait.getFutures())
        for (const Place &place : resolve(future))
          order.waits.push_back({wait, place.root});
  });
  return order;
}

/// P13: a wait for copies into the tile, then a barrier, then the read.
static LogicalResult verifyCopyRead(const ProgramModel &model,
                                    const CopyOrder &order,
                                    const Access &read) {
  auto dominates = [&](Operation *a, Operation *b) {
    return model.dominance.properlyDominates(a, b);
  };
  bool isAwaited = false;
  for (auto [wait, root] : order.waits) {
    if (root != read.place.root || !dominates(wait, read.op))
      continue;
    isAwaited = true;
    for (Operation *barrier : order.barriers)
      if (dominates(wait, barrier) && dominates(barrier, read.op))
        return success();
  }
  return read.op->emitOpError()
         << "reads a buffer that copy_async fills: expected a "
         << (isAwaited ? "gpu.barrier between the wait for the copy and the "
                         "read"
                       : "flash_tile.wait for the copy before it")
         << ", got none";
}

/// P14: in a loop, between a read of a stage and the copy that overwrites it,
/// in this iteration or from the one before, all threads meet at a barrier.
static LogicalResult verifyCopyOverwrite(const CopyOrder &order,
                                         const Access &copy,
                                         const Access &read) {
  Operation *loop = getInnermostLoop(copy.op);
  if (!loop || !loop->isProperAncestor(read.op))
    return success();
  Region &body = loop->getRegion(0);
  Operation *copyAt = body.findAncestorOpInRegion(*copy.op);
  Operation *readAt = body.findAncestorOpInRegion(*read.op);
  if (!copyAt || !readAt || copyAt->getBlock() != readAt->getBlock() ||
      copyAt == readAt)
    return success();
  auto buffer = cast<BufferType>(copy.place.root.getType());
  // With one stage the copy overwrites what this iteration reads; with more,
  // what an earlier iteration did.
  const bool isSameStageAsRead =
      buffer.getStages() == 1 ||
      (copy.place.stage && isSameStage(copy.place.stage, read.place.stage));
  const bool isSameIteration =
      isSameStageAsRead && readAt->isBeforeInBlock(copyAt);
  // A read after such a copy can only mean what this copy brings.
  Value future = cast<CopyAsyncOp>(copy.op).getFuture();
  if (isSameStageAsRead && !isSameIteration &&
      llvm::none_of(future.getUsers(), [&](Operation *user) {
        return isa<WaitOp>(user) && comesAfter(read.op, user);
      })) {
    InFlightDiagnostic diag =
        copy.op->emitOpError()
        << "overwrites a stage that is read after it: expected the read "
           "before the copy, or a wait for the copy between them";
    diag.attachNote(read.op->getLoc()) << "read here";
    return failure();
  }
  for (Operation *barrier : order.barriers) {
    if (barrier->getBlock() != copyAt->getBlock())
      continue;
    const bool isAfterRead = readAt->isBeforeInBlock(barrier);
    const bool isBeforeCopy = barrier->isBeforeInBlock(copyAt);
    if (isSameIteration ? isAfterRead && isBeforeCopy
                        : isAfterRead || isBeforeCopy)
      return success();
  }
  InFlightDiagnostic diag =
      copy.op->emitOpError()
      << "overwrites a stage that other threads may still read: expected a "
         "gpu.barrier between the read and the copy, got none";
  diag.attachNote(read.op->getLoc()) << "read here";
  return failure();
}

LogicalResult flash_tile::detail::verifyCopies(const ProgramModel &model) {
  const CopyOrder order = collectCopyOrder(model);
  for (const Access &copy : model.accesses) {
    auto op = dyn_cast<CopyAsyncOp>(copy.op);
    if (!op)
      continue;
    // P12.
    if (!isWaitedFor(op.getFuture()))
      return op.emitOpError()
             << "future: expected a flash_tile.wait for it, got none";
    for (const Access &read : model.accesses) {
      if (read.isWrite || read.role != copy.role ||
          read.place.root != copy.place.root)
        continue;
      if (failed(verifyCopyRead(model, order, read)) ||
          failed(verifyCopyOverwrite(order, copy, read)))
        return failure();
    }
  }
  return success();
}
