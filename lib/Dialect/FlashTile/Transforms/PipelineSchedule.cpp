//===- PipelineSchedule.cpp - Stage and order of a loop's ops ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The body becomes a sequence of phases: wait for some copies, a barrier, then
// the ops that read them. A copy for iteration n + distance is issued behind
// one of the barriers of iteration n:
//
// - S >= 2 stages: behind the first barrier, distance S - 1, all such buffers
//   waited for in the first phase. The copy overwrites the stage that iteration
//   n - 1 read, and every thread was done with that before this barrier.
// - S = 1: behind the first barrier that follows the buffer's last read, going
//   round the loop. If that barrier is in the same iteration, the copy is for
//   the next one (distance 1); if it is in the next iteration, the copy is for
//   that very iteration (distance 0) and its wait comes in a later phase. If it
//   is the barrier of the buffer's own phase (the copy would follow its own
//   wait), one more barrier is put behind the last read.
//
// With K and V of one stage each this is FlashAttention-2's alternation:
//   wait K(n); barrier; copy V(n); S = Q K(n); mask;
//   wait V(n); barrier; copy K(n + 1); softmax; O += P V(n)
// and with two stages each: wait; barrier; copy K, V(n + 1); everything else.
//
// Read after write holds by construction: a phase's readers follow its barrier,
// which follows every thread's wait for its own part of the copies.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/Transforms/Pipeline.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

/// One buffer filled and read by the loop.
struct Copy {
  CopyAsyncOp op;
  Value buffer;
  int64_t stages = 1;
  /// Uses of the view that the wait yields, and the ops of the loop's own block
  /// that are or contain the first and the last of them.
  SmallVector<OpOperand *> uses;
  Operation *firstReader = nullptr;
  Operation *lastReader = nullptr;
  unsigned phase = 0;
  /// How many iterations before its own the copy is issued.
  unsigned distance = 0;
};

/// A barrier of the scheduled body with the wait in front of it, if any, and
/// the copies issued behind it.
struct Phase {
  SmallVector<Copy *> waits;
  /// The phase starts in front of this op; null: at the top of the body, or
  /// behind `after`.
  Operation *anchor = nullptr;
  Operation *after = nullptr;
  WaitOp wait;
  gpu::BarrierOp barrier;
  SmallVector<Copy *> issues;
};

class PipelineScheduler {
public:
  explicit PipelineScheduler(scf::ForOp loop)
      : loop(loop), body(loop.getBody()), rewriter(loop.getContext()) {}

  LogicalResult run();

private:
  LogicalResult collect();
  LogicalResult verifyEffects();
  void formPhases();
  Operation *findAnchor(Operation *after, Operation *before);
  void placeCopies();
  unsigned getInFlight(unsigned phase);
  LogicalResult rewriteWaits();
  LogicalResult liftCopies();
  LogicalResult collectSlice(Value value, Operation *user,
                             SetVector<Operation *> &slice,
                             SetVector<BlockArgument> &args);
  LogicalResult liftCarried(unsigned stage, SetVector<BlockArgument> &args);
  void annotate();

  unsigned getStage(const Copy &copy) const {
    return maxDistance - copy.distance;
  }

  scf::ForOp loop;
  Block *body;
  IRRewriter rewriter;
  std::vector<Copy> copies;
  std::vector<Phase> phases;
  unsigned maxDistance = 0;
  /// Stages of the ops that do not run in the last one.
  DenseMap<Operation *, unsigned> earlyStage;
  /// Per stage, clones of the scalar ops that the copies of the stage need.
  DenseMap<unsigned, IRMapping> clones;
};

} // namespace

//===----------------------------------------------------------------------===//
// What the loop does
//===----------------------------------------------------------------------===//

/// The loop touches memory in known ways only, so that replacing its barriers
/// by those of the schedule is safe.
LogicalResult PipelineScheduler::verifyEffects() {
  WalkResult result = body->walk([&](Operation *op) -> WalkResult {
    const bool nested = op->getBlock() != body;
    if (isa<CopyAsyncOp, WaitOp, gpu::BarrierOp>(op)) {
      if (!nested)
        return WalkResult::advance();
      return op->emitOpError("cannot be pipelined: expected at the top level "
                             "of the loop's body");
    }
    if (isa<DotOp, LocalLoadOp>(op) || op->hasTrait<OpTrait::IsTerminator>())
      return WalkResult::advance();
    if (op->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
        isMemoryEffectFree(op))
      return WalkResult::advance();
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    if (effects && effects.onlyHasEffect<MemoryEffects::Read>())
      return WalkResult::advance();
    return op->emitOpError("cannot be pipelined: expected only copies, waits, "
                           "barriers and reads in the loop");
  });
  return failure(result.wasInterrupted());
}

/// Finds the copies with their buffers and readers.
LogicalResult PipelineScheduler::collect() {
  for (auto op : body->getOps<CopyAsyncOp>()) {
    Copy copy;
    copy.op = op;
    auto stage = op.getDest().getDefiningOp<StageOp>();
    if (!stage || !loop.isDefinedOutsideOfLoop(stage.getBuffer()))
      return op.emitOpError("cannot be pipelined: expected a stage of a buffer "
                            "allocated outside the loop as destination");
    copy.buffer = stage.getBuffer();
    copy.stages = stage.getBuffer().getType().getStages();
    for (const Copy &other : copies)
      if (other.buffer == copy.buffer)
        return op.emitOpError("cannot be pipelined: expected one copy per "
                              "buffer, got a second one");
    for (Operation *user : copy.buffer.getUsers()) {
      if (!loop->isAncestor(user))
        continue;
      for (Operation *viewUser : user->getUsers())
        if (viewUser != op)
          return viewUser->emitOpError("cannot be pipelined: expected to read "
                                       "the buffer through the wait only");
    }
    for (Operation *user : op.getFuture().getUsers())
      if (!isa<WaitOp>(user))
        return user->emitOpError("cannot be pipelined: expected only waits to "
                                 "use the copy's future");
    for (OpOperand &future : op.getFuture().getUses()) {
      auto wait = cast<WaitOp>(future.getOwner());
      Value view = wait.getResult(future.getOperandNumber());
      for (OpOperand &use : view.getUses()) {
        copy.uses.push_back(&use);
        Operation *reader = body->findAncestorOpInBlock(*use.getOwner());
        if (!reader || isa<scf::YieldOp>(reader))
          return use.getOwner()->emitOpError(
              "cannot be pipelined: expected to read the copy in the same "
              "iteration");
        if (!copy.firstReader || reader->isBeforeInBlock(copy.firstReader))
          copy.firstReader = reader;
        if (!copy.lastReader || copy.lastReader->isBeforeInBlock(reader))
          copy.lastReader = reader;
      }
    }
    if (!copy.firstReader)
      return op.emitOpError("cannot be pipelined: expected a read of the copy");
    copies.push_back(copy);
  }
  if (copies.empty())
    return loop.emitOpError("cannot be pipelined: expected at least one "
                            "flash_tile.copy_async in the loop");
  for (Value yielded : loop.getYieldedValues())
    if (loop.isDefinedOutsideOfLoop(yielded) || isa<BlockArgument>(yielded))
      return loop.emitOpError("cannot be pipelined: expected every carried "
                              "value to be computed in the body");
  return success();
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Where a phase between its predecessor's last reader and its own first one
/// starts. The earlier, the sooner the next copies start; the later, the more
/// time its own have had. FlashAttention-2 takes the point between the scores
/// with their mask and the softmax, which the first reduction marks.
Operation *PipelineScheduler::findAnchor(Operation *after, Operation *before) {
  for (Operation *op = after->getNextNode(); op != before;
       op = op->getNextNode())
    if (isa<ReduceOp>(op))
      return op;
  return before;
}

void PipelineScheduler::formPhases() {
  SmallVector<Copy *> byReader;
  for (Copy &copy : copies)
    byReader.push_back(&copy);
  // The copies are in the order of the body: their addresses break ties.
  llvm::sort(byReader, [](Copy *a, Copy *b) {
    return a->firstReader == b->firstReader
               ? a < b
               : a->firstReader->isBeforeInBlock(b->firstReader);
  });

  // Copies into buffers of several stages are an iteration old or more: waiting
  // for all of them at once costs nothing and saves barriers.
  Phase first;
  SmallVector<Copy *> later;
  for (Copy *copy : byReader) {
    if (copy->stages > 1 || copy->firstReader == byReader[0]->firstReader)
      first.waits.push_back(copy);
    else
      later.push_back(copy);
  }
  phases.push_back(first);
  for (Copy *copy : later) {
    if (phases.size() > 1 &&
        phases.back().waits[0]->firstReader == copy->firstReader) {
      phases.back().waits.push_back(copy);
      continue;
    }
    Operation *after = nullptr;
    for (const Phase &phase : phases)
      for (Copy *other : phase.waits)
        if (other->lastReader->isBeforeInBlock(copy->firstReader) &&
            (!after || after->isBeforeInBlock(other->lastReader)))
          after = other->lastReader;
    // A phase never starts before the one in front of it.
    if (Operation *anchor = phases.back().anchor)
      if (!after || after->isBeforeInBlock(anchor))
        after = anchor;
    Phase phase;
    phase.waits.push_back(copy);
    phase.anchor =
        after ? findAnchor(after, copy->firstReader) : copy->firstReader;
    phases.push_back(phase);
  }
  for (auto [i, phase] : llvm::enumerate(phases))
    for (Copy *copy : phase.waits)
      copy->phase = i;
}

/// Chooses the barrier behind which each copy is issued.
void PipelineScheduler::placeCopies() {
  Phase tail;
  for (Copy &copy : copies) {
    if (copy.stages > 1) {
      copy.distance = copy.stages - 1;
      phases.front().issues.push_back(&copy);
      continue;
    }
    // The first phase that starts behind the last read. Its anchor is no reader
    // of this copy, so "at the anchor" is behind it too.
    auto next = llvm::find_if(phases, [&](const Phase &phase) {
      return phase.anchor && copy.lastReader->isBeforeInBlock(phase.anchor);
    });
    if (next != phases.end()) {
      copy.distance = 1;
      next->issues.push_back(&copy);
    } else if (copy.phase != 0) {
      copy.distance = 0;
      phases.front().issues.push_back(&copy);
    } else {
      copy.distance = 1;
      tail.issues.push_back(&copy);
      if (!tail.after || tail.after->isBeforeInBlock(copy.lastReader))
        tail.after = copy.lastReader;
    }
  }
  if (tail.after)
    phases.push_back(tail);
  for (Phase &phase : phases)
    // What is needed first is asked for first.
    llvm::sort(phase.issues, [](Copy *a, Copy *b) {
      return std::pair(a->distance, a) < std::pair(b->distance, b);
    });
  for (const Copy &copy : copies)
    maxDistance = std::max(maxDistance, copy.distance);
}

/// How many copy groups younger than those that `phase` waits for may be in
/// flight there: the smallest number over all iterations, found by playing
/// prologue and loop. Predicated-off copies commit an (empty) group like
/// others, so that the last iterations count as the ones before; the first ones
/// may count less, because the prologue issues less than whole iterations.
unsigned PipelineScheduler::getInFlight(unsigned phase) {
  unsigned smallest = std::numeric_limits<unsigned>::max();
  SmallVector<std::pair<const Copy *, int64_t>> groups;
  const int64_t prologue = maxDistance;
  for (int64_t iteration = -prologue; iteration <= prologue + 1; ++iteration)
    for (auto [i, current] : llvm::enumerate(phases)) {
      if (i == phase && iteration >= 0)
        for (const Copy *copy : current.waits) {
          auto *own = llvm::find(groups, std::pair(copy, iteration));
          smallest = std::min<unsigned>(smallest, groups.end() - own - 1);
        }
      for (const Copy *copy : current.issues)
        if (iteration + copy->distance >= 0)
          groups.push_back({copy, iteration + copy->distance});
    }
  return smallest;
}

/// One wait and one barrier per phase instead of those that were there.
LogicalResult PipelineScheduler::rewriteWaits() {
  llvm::SmallSetVector<WaitOp, 4> oldWaits;
  for (auto wait : body->getOps<WaitOp>())
    oldWaits.insert(wait);
  for (WaitOp wait : oldWaits)
    for (Value future : wait.getFutures()) {
      auto copy = future.getDefiningOp<CopyAsyncOp>();
      if (!copy || copy->getBlock() != body)
        return wait.emitOpError("cannot be pipelined: expected futures of "
                                "copies of the same iteration");
    }
  for (auto barrier :
       llvm::make_early_inc_range(body->getOps<gpu::BarrierOp>()))
    rewriter.eraseOp(barrier);

  for (auto [i, phase] : llvm::enumerate(phases)) {
    Location loc = loop.getLoc();
    if (phase.anchor)
      rewriter.setInsertionPoint(phase.anchor);
    else if (phase.after)
      rewriter.setInsertionPointAfter(phase.after);
    else
      rewriter.setInsertionPointAfter(copies.back().op);
    if (!phase.waits.empty()) {
      SmallVector<Value> futures;
      SmallVector<Type> types;
      for (Copy *copy : phase.waits) {
        futures.push_back(copy->op.getFuture());
        types.push_back(copy->op.getDest().getType());
      }
      loc = phase.waits.front()->op.getLoc();
      phase.wait = WaitOp::create(rewriter, loc, types, futures,
                                  rewriter.getI64IntegerAttr(getInFlight(i)));
      for (auto [copy, view] : llvm::zip(phase.waits, phase.wait.getValues()))
        for (OpOperand *use : copy->uses)
          use->set(view);
    }
    phase.barrier = gpu::BarrierOp::create(rewriter, loc);
  }
  for (WaitOp wait : oldWaits)
    rewriter.eraseOp(wait);
  return success();
}

//===----------------------------------------------------------------------===//
// What the copies need
//===----------------------------------------------------------------------===//

/// Adds to `slice` the scalar ops of the body that `value` is computed by,
/// operands first, and to `args` the carried values among their operands.
LogicalResult PipelineScheduler::collectSlice(Value value, Operation *user,
                                              SetVector<Operation *> &slice,
                                              SetVector<BlockArgument> &args) {
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    if (arg.getOwner() == body && arg != loop.getInductionVar())
      args.insert(arg);
    return success();
  }
  Operation *def = value.getDefiningOp();
  if (def->getBlock() != body || slice.contains(def))
    return success();
  // It runs for iterations that may not exist: nothing may go wrong with it.
  if (!isPure(def) || def->getNumRegions() != 0 ||
      llvm::any_of(def->getResultTypes(), llvm::IsaPred<RankedTensorType>)) {
    InFlightDiagnostic diag =
        user->emitOpError("cannot be pipelined: expected pure scalar ops to "
                          "compute its operands, got ")
        << def->getName();
    diag.attachNote(def->getLoc()) << "computed here";
    return failure();
  }
  for (Value operand : def->getOperands())
    if (failed(collectSlice(operand, user, slice, args)))
      return failure();
  slice.insert(def);
  return success();
}

/// The carried values that copies of `stage` use have to be advanced in that
/// stage as well.
LogicalResult PipelineScheduler::liftCarried(unsigned stage,
                                             SetVector<BlockArgument> &args) {
  auto yield = cast<scf::YieldOp>(body->getTerminator());
  IRMapping &mapping = clones[stage];
  for (size_t i = 0; i < args.size(); ++i) {
    OpOperand &yielded = yield->getOpOperand(args[i].getArgNumber() - 1);
    Operation *def = yielded.get().getDefiningOp();
    if (auto it = earlyStage.find(def); it != earlyStage.end()) {
      if (it->second == stage)
        continue;
      return loop.emitOpError("cannot be pipelined: expected a carried value "
                              "to serve copies of one distance only");
    }
    SetVector<Operation *> slice;
    if (failed(collectSlice(yielded.get(), yield, slice, args)))
      return failure();
    for (Operation *op : slice) {
      if (mapping.contains(op))
        continue;
      Operation *clone = rewriter.clone(*op, mapping);
      mapping.map(op, clone);
      earlyStage[clone] = stage;
    }
    yielded.set(mapping.lookup(yielded.get()));
  }
  return success();
}

/// Moves the copies to the top of the body, so that their waits may be
/// anywhere, with what computes their operands. Of ops that other stages need
/// too a copy in an earlier stage gets a clone of its own: an addition or two
/// are cheaper than registers carried round the loop.
LogicalResult PipelineScheduler::liftCopies() {
  rewriter.setInsertionPointToStart(body);
  // Keeps the insertion point behind `op`, also where it stood in front of it.
  auto moveToTop = [&](Operation *op) {
    if (rewriter.getInsertionPoint() != op->getIterator())
      rewriter.moveOpBefore(op, body, rewriter.getInsertionPoint());
    rewriter.setInsertionPointAfter(op);
  };
  SetVector<Operation *> cloned;
  for (Copy &copy : copies) {
    SetVector<Operation *> slice;
    SetVector<BlockArgument> args;
    for (Value operand : copy.op->getOperands())
      if (failed(collectSlice(operand, copy.op, slice, args)))
        return failure();
    const unsigned stage = getStage(copy);
    if (stage == maxDistance) {
      for (Operation *op : slice) {
        // Already at the top for another copy: leave it in front of that one.
        if (clones[stage].contains(op))
          continue;
        clones[stage].map(op, op);
        moveToTop(op);
      }
    } else {
      IRMapping &mapping = clones[stage];
      for (Operation *op : slice) {
        if (mapping.contains(op))
          continue;
        Operation *clone = rewriter.clone(*op, mapping);
        mapping.map(op, clone);
        earlyStage[clone] = stage;
        cloned.insert(op);
      }
      for (OpOperand &operand : copy.op->getOpOperands())
        operand.set(mapping.lookupOrDefault(operand.get()));
      earlyStage[copy.op] = stage;
    }
    moveToTop(copy.op);
    if (stage != maxDistance && failed(liftCarried(stage, args)))
      return failure();
  }
  // Originals of which only the clones are used.
  for (Operation *op : llvm::reverse(cloned.getArrayRef()))
    if (op->use_empty())
      rewriter.eraseOp(op);
  return success();
}

//===----------------------------------------------------------------------===//
// Stage and order
//===----------------------------------------------------------------------===//

void PipelineScheduler::annotate() {
  auto getStageOf = [&](Operation *op) {
    auto it = earlyStage.find(op);
    return it == earlyStage.end() ? maxDistance : it->second;
  };
  llvm::SetVector<Operation *> order;
  // Ops of one stage are ordered by their uses; values of an earlier stage come
  // from an earlier iteration.
  auto emit = [&](auto &&self, Operation *op) -> void {
    if (order.contains(op))
      return;
    for (Value operand : op->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (def && def->getBlock() == body && getStageOf(def) == getStageOf(op))
        self(self, def);
    }
    order.insert(op);
  };
  auto emitPhase = [&](Phase &phase) {
    if (phase.wait)
      order.insert(phase.wait);
    order.insert(phase.barrier);
    for (Copy *copy : phase.issues)
      emit(emit, copy->op);
  };
  emitPhase(phases.front());
  for (Operation &op : body->without_terminator()) {
    auto barrier = dyn_cast<gpu::BarrierOp>(op);
    auto wait = dyn_cast<WaitOp>(op);
    auto phase = llvm::find_if(phases, [&](const Phase &phase) {
      return (barrier && phase.barrier == barrier) ||
             (wait && phase.wait == wait);
    });
    if (phase != phases.end())
      emitPhase(*phase);
    else if (!isa<CopyAsyncOp>(op) && !earlyStage.contains(&op))
      emit(emit, &op);
  }
  // What advances carried values.
  for (Operation &op : body->without_terminator())
    emit(emit, &op);
  for (auto [i, op] : llvm::enumerate(order)) {
    op->setAttr(kStageAttrName, rewriter.getI64IntegerAttr(getStageOf(op)));
    op->setAttr(kOrderAttrName, rewriter.getI64IntegerAttr(i));
  }
}

LogicalResult PipelineScheduler::run() {
  if (failed(verifyEffects()) || failed(collect()))
    return failure();
  formPhases();
  placeCopies();
  if (failed(liftCopies()) || failed(rewriteWaits()))
    return failure();
  annotate();
  return success();
}

LogicalResult mlir::flash_tile::schedulePipeline(scf::ForOp loop) {
  return PipelineScheduler(loop).run();
}
