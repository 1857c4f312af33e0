//===- SplitBands.cpp - One loop per mask band ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bands are loops over the same induction variable, one after the other,
// the carried values of one being the initial values of the next. A pipelined
// loop carries its copies in flight like any other value and predicates the
// next ones by its own upper bound, which stays the one of the whole loop: the
// prefetch does not drain between bands.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/SplitBands.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "flash/Dialect/FlashTile/Transforms/Pipeline.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILESPLITBANDS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

/// An `in_range` that can split `loop`, anywhere in its body.
static InRangeOp findRange(scf::ForOp loop) {
  InRangeOp found;
  loop.getBody()->walk([&](InRangeOp range) {
    auto isOutside = [&](Value bound) {
      return loop.isDefinedOutsideOfLoop(bound);
    };
    if (range.getValue() != loop.getInductionVar() ||
        !llvm::all_of(range.getLower(), isOutside) ||
        !llvm::all_of(range.getUpper(), isOutside))
      return WalkResult::advance();
    found = range;
    return WalkResult::interrupt();
  });
  return found;
}

/// The first value that the induction variable of `loop` takes at or behind
/// `point`, at most the loop's upper bound: where a band begins. `point` is not
/// below the loop's lower bound.
static Value alignToStep(OpBuilder &builder, scf::ForOp loop, Value point) {
  Location loc = loop.getLoc();
  if (matchPattern(loop.getStep(), m_One()))
    return point;
  Value lower = loop.getLowerBound(), step = loop.getStep();
  Value distance = builder.createOrFold<arith::SubIOp>(loc, point, lower);
  Value steps = builder.createOrFold<arith::CeilDivSIOp>(loc, distance, step);
  Value offset = builder.createOrFold<arith::MulIOp>(loc, steps, step);
  return builder.createOrFold<arith::AddIOp>(loc, lower, offset);
}

/// Folds constant conditions away in `loop`, and what they select between.
static void foldConditions(scf::ForOp loop) {
  RewritePatternSet patterns(loop.getContext());
  scf::IfOp::getCanonicalizationPatterns(patterns, loop.getContext());
  arith::SelectOp::getCanonicalizationPatterns(patterns, loop.getContext());
  SmallVector<Operation *> ops;
  loop.getBody()->walk([&](Operation *op) {
    if (isa<scf::IfOp, arith::SelectOp, arith::AndIOp, arith::OrIOp,
            arith::XOrIOp>(op))
      ops.push_back(op);
  });
  GreedyRewriteConfig config;
  config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
  // Not reaching a fixpoint leaves correct code.
  (void)applyOpPatternsGreedily(ops, std::move(patterns), config);
}

/// Splits `loop` at the bounds of `range`: one loop for each range, and one for
/// what lies before, between and behind them.
static SmallVector<scf::ForOp> splitAt(scf::ForOp loop, InRangeOp range) {
  IRRewriter rewriter(loop.getContext());
  rewriter.setInsertionPoint(loop);
  Location loc = loop.getLoc();
  Value lower = loop.getLowerBound(), upper = loop.getUpperBound();
  SmallVector<Value> from(range.getLower()), to(range.getUpper());

  struct Band {
    Value lower, upper;
    bool inside;
  };
  SmallVector<Band> bands;
  // Clamped so that lower <= begin and begin <= end; only then are all loops
  // empty or in their place. Bounds that coincide need no clamping, which saves
  // the loop that they make empty.
  Value reached = lower;
  auto advanceTo = [&](Value point, bool inside) {
    // First not below `lower`: rounding to the step starts from there.
    Value next = rewriter.createOrFold<arith::MaxSIOp>(loc, point, lower);
    next = alignToStep(rewriter, loop, next);
    next = rewriter.createOrFold<arith::MinSIOp>(loc, next, upper);
    if (reached != lower)
      next = rewriter.createOrFold<arith::MaxSIOp>(loc, next, reached);
    bands.push_back({reached, next, inside});
    reached = next;
  };
  Value previous = lower;
  for (auto [first, last] : llvm::zip(from, to)) {
    if (first != previous)
      advanceTo(first, /*inside=*/false);
    if (last == upper)
      bands.push_back({reached, upper, /*inside=*/true});
    else
      advanceTo(last, /*inside=*/true);
    previous = last;
  }
  if (previous != upper)
    bands.push_back({reached, upper, /*inside=*/false});

  SmallVector<scf::ForOp> loops;
  SmallVector<Value> carried(loop.getInitArgs());
  const bool ragged = loop->hasAttr(kFirstRaggedAttrName);
  for (const Band &band : bands) {
    auto copy = cast<scf::ForOp>(rewriter.clone(*loop));
    copy.setLowerBound(band.lower);
    copy.setUpperBound(band.upper);
    copy.getInitArgsMutable().assign(carried);
    carried.assign(copy.result_begin(), copy.result_end());
    loops.push_back(copy);

    SmallVector<InRangeOp> same;
    copy.getBody()->walk([&](InRangeOp op) {
      if (op.getValue() == copy.getInductionVar() &&
          llvm::equal(op.getLower(), from) && llvm::equal(op.getUpper(), to))
        same.push_back(op);
    });
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(copy.getBody());
    Value inside = arith::ConstantIntOp::create(rewriter, loc, band.inside, 1);
    for (InRangeOp op : same)
      rewriter.replaceOp(op, inside);
    // The one ragged iteration is never inside, and comes first.
    if (ragged && band.inside)
      copy.getBody()->walk([](CopyAsyncOp op) { op.setInBounds(true); });
    foldConditions(copy);
  }
  rewriter.replaceOp(loop, carried);
  return loops;
}

SmallVector<scf::ForOp> mlir::flash_tile::splitBands(scf::ForOp loop) {
  InRangeOp range = findRange(loop);
  if (!range)
    return {loop};
  SmallVector<scf::ForOp> result;
  // Each part may still hold ranges with other bounds.
  for (scf::ForOp part : splitAt(loop, range))
    llvm::append_range(result, splitBands(part));
  return result;
}

namespace {
struct SplitBandsPass
    : flash_tile::impl::FlashTileSplitBandsBase<SplitBandsPass> {
  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    // Inner loops first: the outer ones are then copied with their bands.
    getOperation()->walk([&](scf::ForOp loop) { loops.push_back(loop); });
    for (scf::ForOp loop : loops)
      splitBands(loop);
  }
};
} // namespace
