//===- Pipeline.cpp - Software pipelining of tile loops ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Applies the schedule of PipelineSchedule.cpp with scf::pipelineForLoop: the
// copies of the first iterations go in front of the loop, and in the loop those
// of iterations that do not exist are predicated off. Nothing is left to drain:
// every copy that is not predicated off is for an iteration that runs, and that
// iteration waits for it.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/Pipeline.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/FoldUtils.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEPIPELINE
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

using Part = scf::PipeliningOption::PipelinerPart;

/// The ops of `loop` with their stages, in order; fails if one has none.
static LogicalResult
readSchedule(scf::ForOp loop,
             std::vector<std::pair<Operation *, unsigned>> &schedule) {
  SmallVector<std::pair<int64_t, Operation *>> byOrder;
  for (Operation &op : loop.getBody()->without_terminator()) {
    auto order = op.getAttrOfType<IntegerAttr>(kOrderAttrName);
    auto stage = op.getAttrOfType<IntegerAttr>(kStageAttrName);
    if (!order || !stage || stage.getInt() < 0)
      return op.emitOpError("schedule: expected attributes ")
             << kStageAttrName << " and " << kOrderAttrName;
    byOrder.push_back({order.getInt(), &op});
  }
  llvm::sort(byOrder, llvm::less_first());
  for (auto [order, op] : byOrder)
    schedule.push_back(
        {op, op->getAttrOfType<IntegerAttr>(kStageAttrName).getInt()});
  return success();
}

/// A copy is predicated; what computes its operands may run in vain.
static Operation *predicate(RewriterBase &rewriter, Operation *op, Value pred) {
  auto copy = dyn_cast<CopyAsyncOp>(op);
  if (!copy)
    return isPure(op) ? op : nullptr;
  rewriter.setInsertionPoint(op);
  if (Value old = copy.getPredicate())
    pred = arith::AndIOp::create(rewriter, op->getLoc(), old, pred);
  copy.getPredicateMutable().assign(pred);
  return op;
}

/// Moves the waits in front of the prologue [first, loop), and what depends on
/// them, behind it: Q and the first keys then arrive together. The prologue's
/// copies are younger, so as many groups more may stay in flight.
static void sinkWaitsBelowPrologue(Operation *first, scf::ForOp loop) {
  Block *block = loop->getBlock();
  int64_t prologueCopies = 0;
  for (Operation *op = first; op != loop; op = op->getNextNode()) {
    auto copy = dyn_cast<CopyAsyncOp>(op);
    if (!copy)
      continue;
    ++prologueCopies;
    // A barrier that is moved must not be one that keeps the copies from
    // earlier reads of their buffer.
    auto stage = copy.getDest().getDefiningOp<StageOp>();
    for (Operation *user : stage.getBuffer().getUsers()) {
      Operation *inBlock = block->findAncestorOpInBlock(*user);
      if (inBlock && inBlock->isBeforeInBlock(first))
        return;
    }
  }

  SetVector<Operation *> moved;
  for (Operation *op = &block->front(); op != first; op = op->getNextNode()) {
    if (isa<WaitOp>(op)) {
      moved.insert(op);
      continue;
    }
    const bool follows = isa<gpu::BarrierOp>(op) && op->getPrevNode() &&
                         isa<WaitOp>(op->getPrevNode()) &&
                         moved.contains(op->getPrevNode());
    const bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      return moved.contains(operand.getDefiningOp());
    });
    if (follows) {
      moved.insert(op);
    } else if (depends) {
      // A barrier that stays could be the one that a later reader relies on.
      if (!isa<LocalLoadOp>(op) && !isPure(op))
        return;
      moved.insert(op);
    } else if (!moved.empty() && op->getNumRegions() != 0) {
      // Such as a loop that reads what was waited for.
      return;
    }
  }
  for (Operation *op : moved) {
    if (auto wait = dyn_cast<WaitOp>(op))
      wait.setInFlight(wait.getInFlight() + prologueCopies);
    op->moveBefore(loop);
  }
}

FailureOr<scf::ForOp> mlir::flash_tile::applyPipeline(scf::ForOp loop) {
  std::vector<std::pair<Operation *, unsigned>> schedule;
  if (failed(readSchedule(loop, schedule)))
    return failure();
  unsigned maxStage = 0;
  for (auto &[op, stage] : schedule)
    maxStage = std::max(maxStage, stage);
  for (auto &[op, stage] : schedule)
    if (stage < maxStage && !isa<CopyAsyncOp>(op) && !isPure(op))
      return op->emitOpError("schedule: expected stage ")
             << maxStage << " (only copies and pure ops run ahead), got "
             << stage;

  const bool firstRagged = loop->hasAttr(kFirstRaggedAttrName);
  const bool neverRagged = loop->hasAttr(kNeverRaggedAttrName);
  NamedAttrList attrs(loop->getDiscardableAttrDictionary());
  attrs.erase(kPipelineAttrName);

  IRRewriter rewriter(loop.getContext());
  rewriter.setInsertionPoint(loop);
  scf::PipeliningOption options;
  // An epilogue would repeat the body once per stage.
  options.peelEpilogue = false;
  options.supportDynamicLoops = true;
  options.getScheduleFn = [&](scf::ForOp, auto &result) { result = schedule; };
  options.predicateFn = predicate;
  options.annotateFn = [&](Operation *op, Part part, unsigned) {
    auto stageAttr = op->getAttrOfType<IntegerAttr>(kStageAttrName);
    if (!stageAttr)
      return;
    const int64_t stage = stageAttr.getInt();
    op->removeAttr(kStageAttrName);
    op->removeAttr(kOrderAttrName);
    auto copy = dyn_cast<CopyAsyncOp>(op);
    if (!copy)
      return;
    // What the loop copies ahead is never for its first iteration.
    const bool ahead = part == Part::Kernel && stage < maxStage;
    if (neverRagged || (firstRagged && ahead))
      copy.setInBounds(true);
  };
  Operation *previous = loop->getPrevNode();
  Block *block = loop->getBlock();
  Location loc = loop.getLoc();
  FailureOr<scf::ForOp> pipelined =
      scf::pipelineForLoop(rewriter, loop, options);
  if (failed(pipelined))
    return emitError(loc, "cannot be pipelined: the schedule does not fit");
  (*pipelined)->setDiscardableAttrs(attrs.getDictionary(rewriter.getContext()));

  // The pipeliner computes lb + step * i at every use of the induction
  // variable; folded, an in_range on it is one on the induction variable
  // itself.
  auto getFirst = [&] {
    return previous ? previous->getNextNode() : &block->front();
  };
  SmallVector<Operation *> scalars;
  for (Operation *op = getFirst(); op != *pipelined; op = op->getNextNode())
    scalars.push_back(op);
  (*pipelined)->walk([&](Operation *op) { scalars.push_back(op); });
  OperationFolder folder(rewriter.getContext());
  for (Operation *op : scalars)
    if (isa<arith::AddIOp, arith::MulIOp, arith::SubIOp, arith::CmpIOp>(op) &&
        op->getResult(0).getType().isIntOrIndex())
      (void)folder.tryToFold(op);
  Operation *first = getFirst();
  for (Operation *op = first; op != *pipelined; op = op->getNextNode())
    if (auto copy = dyn_cast<CopyAsyncOp>(op))
      if (copy.getPredicate() && matchPattern(copy.getPredicate(), m_One()))
        copy.getPredicateMutable().clear();

  sinkWaitsBelowPrologue(first, *pipelined);
  return pipelined;
}

namespace {
struct PipelinePass : flash_tile::impl::FlashTilePipelineBase<PipelinePass> {
  using FlashTilePipelineBase::FlashTilePipelineBase;

  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation()->walk([&](scf::ForOp loop) {
      if (loop->hasAttr(kPipelineAttrName))
        loops.push_back(loop);
    });
    for (scf::ForOp loop : loops) {
      // A schedule that is there already, by hand or from an earlier run, is
      // taken as it is.
      const bool scheduled = llvm::any_of(*loop.getBody(), [](Operation &op) {
        return op.hasAttr(kStageAttrName);
      });
      if ((!scheduled && failed(schedulePipeline(loop))) ||
          (!annotateOnly && failed(applyPipeline(loop))))
        return signalPassFailure();
    }
  }
};
} // namespace
