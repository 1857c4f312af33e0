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
// Several bands, or jumps of what the loop visits, are two loops and not one
// for each stretch: one with the range false, one with it true, inside of a
// loop over the bands. Where a stretch begins is computed by that one, and
// jumps are known to have been taken or not for all of a stretch without mask.
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

/// A copy of `loop` over [lower, upper) in which `inside` takes the place of
/// the range that `like` tests.
static scf::ForOp cloneBand(IRRewriter &rewriter, scf::ForOp loop,
                            InRangeOp like, Value lower, Value upper,
                            ValueRange carried, bool inside) {
  auto copy = cast<scf::ForOp>(rewriter.clone(*loop));
  copy.setLowerBound(lower);
  copy.setUpperBound(upper);
  copy.getInitArgsMutable().assign(carried);
  SmallVector<InRangeOp> same;
  copy.getBody()->walk([&](InRangeOp op) {
    if (op.getValue() == copy.getInductionVar() &&
        llvm::equal(op.getLower(), like.getLower()) &&
        llvm::equal(op.getUpper(), like.getUpper()))
      same.push_back(op);
  });
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(copy.getBody());
  Value known =
      arith::ConstantIntOp::create(rewriter, loop.getLoc(), inside, 1);
  for (InRangeOp op : same)
    rewriter.replaceOp(op, known);
  // The one ragged iteration is never inside, and comes first.
  if (inside && loop->hasAttr(kFirstRaggedAttrName))
    copy.getBody()->walk([](CopyAsyncOp op) { op.setInBounds(true); });
  return copy;
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
  for (const Band &band : bands) {
    scf::ForOp copy = cloneBand(rewriter, loop, range, band.lower, band.upper,
                                carried, band.inside);
    carried.assign(copy.result_begin(), copy.result_end());
    loops.push_back(copy);
    foldConditions(copy);
  }
  rewriter.replaceOp(loop, carried);
  return loops;
}

//===----------------------------------------------------------------------===//
// A loop over bands
//===----------------------------------------------------------------------===//

namespace {
/// `offset` iterations ahead, what the loop visits jumps at `start`.
struct Jump {
  arith::CmpIOp comparison;
  Value start;
  int64_t offset;
};
} // namespace

/// The comparisons `iv + offset >= start` of a loop that is said to have jumps.
static SmallVector<Jump> findJumps(scf::ForOp loop) {
  SmallVector<Jump> jumps;
  if (!loop->hasAttr(kJumpsAttrName))
    return jumps;
  loop.getBody()->walk([&](arith::CmpIOp op) {
    if (op.getPredicate() != arith::CmpIPredicate::sge ||
        !loop.isDefinedOutsideOfLoop(op.getRhs()))
      return;
    IntegerAttr offset;
    if (op.getLhs() == loop.getInductionVar())
      jumps.push_back({op, op.getRhs(), 0});
    else if (auto add = op.getLhs().getDefiningOp<arith::AddIOp>();
             add && add.getLhs() == loop.getInductionVar() &&
             matchPattern(add.getRhs(), m_Constant(&offset)) &&
             offset.getInt() >= 0)
      jumps.push_back({op, op.getRhs(), offset.getInt()});
  });
  return jumps;
}

/// Moves what `value` has made independent of `loop` in front of it.
static void hoistUsers(scf::ForOp loop, Value value) {
  for (Operation *user : llvm::make_early_inc_range(value.getUsers())) {
    if (user->getBlock() != loop.getBody() || !isPure(user) ||
        user->getNumRegions() != 0)
      continue;
    // Constants among its operands may stand in the loop.
    SmallVector<Operation *> constants;
    bool isInvariant = llvm::all_of(user->getOperands(), [&](Value operand) {
      if (loop.isDefinedOutsideOfLoop(operand))
        return true;
      Operation *def = operand.getDefiningOp();
      if (!def || !def->hasTrait<OpTrait::ConstantLike>())
        return false;
      constants.push_back(def);
      return true;
    });
    if (!isInvariant)
      continue;
    for (Operation *constant : constants)
      constant->moveBefore(loop);
    user->moveBefore(loop);
    for (Value result : user->getResults())
      hoistUsers(loop, result);
  }
}

/// Replaces `loop`, of step 1, by two of them inside of a loop that goes from
/// one stretch of iterations in `range` to the next: up to where it begins, and
/// through it. A stretch ends at a jump, too.
static SmallVector<scf::ForOp> repeatBands(scf::ForOp loop, InRangeOp range,
                                           ArrayRef<Jump> jumps) {
  IRRewriter rewriter(loop.getContext());
  rewriter.setInsertionPoint(loop);
  Location loc = loop.getLoc();
  Value end = loop.getUpperBound();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  };
  auto less = [&](Value lhs, Value rhs) -> Value {
    return rewriter.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt,
                                                lhs, rhs);
  };
  auto select = [&](Value condition, Value ifTrue, Value otherwise) -> Value {
    return rewriter.createOrFold<arith::SelectOp>(loc, condition, ifTrue,
                                                  otherwise);
  };

  // Where a jump is for the iteration itself, bands end anyway.
  llvm::MapVector<std::pair<Value, int64_t>, Value> cuts;
  for (const Jump &jump : jumps) {
    Value &cut = cuts[{jump.start, jump.offset}];
    if (!cut && jump.offset != 0)
      cut = rewriter.createOrFold<arith::SubIOp>(loc, jump.start,
                                                 constant(jump.offset));
  }
  const int64_t numCuts = llvm::count_if(
      cuts, [](auto &cut) { return static_cast<bool>(cut.second); });
  // Each trip ends with a band, at a cut, or with the loop.
  const int64_t trips = range.getLower().size() + numCuts +
                        (range.getUpper().back() == end ? 0 : 1);
  SmallVector<Value> initial{loop.getLowerBound()};
  llvm::append_range(initial, loop.getInitArgs());
  auto outer = scf::ForOp::create(rewriter, loc, constant(0), constant(trips),
                                  constant(1), initial);
  rewriter.setInsertionPointToStart(outer.getBody());
  Value next = outer.getRegionIterArg(0);
  Value first = end, last = end;
  for (auto [lower, upper] :
       llvm::reverse(llvm::zip_equal(range.getLower(), range.getUpper()))) {
    Value begin = rewriter.createOrFold<arith::MaxSIOp>(loc, lower, next);
    Value isAhead = less(begin, upper);
    first = select(isAhead, begin, first);
    last = select(isAhead, upper, last);
  }
  first = rewriter.createOrFold<arith::MinSIOp>(loc, first, end);
  last = rewriter.createOrFold<arith::MinSIOp>(loc, last, end);
  for (auto &[key, cut] : cuts) {
    if (!cut)
      continue;
    Value nearer = rewriter.createOrFold<arith::MinSIOp>(loc, last, cut);
    last = select(less(first, cut), nearer, last);
  }

  scf::ForOp masked =
      cloneBand(rewriter, loop, range, next, first,
                outer.getRegionIterArgs().drop_front(), /*inside=*/false);
  foldConditions(masked);
  scf::ForOp full = cloneBand(rewriter, loop, range, first, last,
                              masked.getResults(), /*inside=*/true);
  for (const Jump &jump : findJumps(full)) {
    rewriter.setInsertionPoint(full);
    Value ahead =
        rewriter.createOrFold<arith::AddIOp>(loc, first, constant(jump.offset));
    Value isBehind = arith::CmpIOp::create(
        rewriter, loc, arith::CmpIPredicate::sge, ahead, jump.start);
    rewriter.replaceOp(jump.comparison, isBehind);
    hoistUsers(full, isBehind);
  }
  foldConditions(full);
  rewriter.setInsertionPointToEnd(outer.getBody());
  SmallVector<Value> yielded{last};
  llvm::append_range(yielded, full.getResults());
  scf::YieldOp::create(rewriter, loc, yielded);
  rewriter.replaceOp(loop, outer.getResults().drop_front());
  return {masked, full};
}

SmallVector<scf::ForOp> mlir::flash_tile::splitBands(scf::ForOp loop) {
  InRangeOp range = findRange(loop);
  if (!range)
    return {loop};
  SmallVector<Jump> jumps = findJumps(loop);
  const bool repeats = (!jumps.empty() || range.getLower().size() > 1) &&
                       matchPattern(loop.getStep(), m_One());
  SmallVector<scf::ForOp> result;
  // Each part may still hold ranges with other bounds.
  for (scf::ForOp part :
       repeats ? repeatBands(loop, range, jumps) : splitAt(loop, range))
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
