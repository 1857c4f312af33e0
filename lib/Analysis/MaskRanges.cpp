//===- MaskRanges.cpp - Ranges of key tiles as values ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileIntervals.h"

#include "flash/Analysis/MaskAnalysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

namespace {

/// Builds expressions of symbols, each symbol's value once.
class Materializer {
public:
  Materializer(OpBuilder &builder, Location loc, const MaskRanges &ranges,
               llvm::function_ref<Value(const MaskSymbol &)> symbol)
      : builder(builder), loc(loc), ranges(ranges), symbol(symbol),
        symbolValues(ranges.symbols.size()) {}

  TileRangeValues build();

private:
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  template <typename OpTy> Value fold(Value lhs, Value rhs) {
    return builder.createOrFold<OpTy>(loc, lhs, rhs);
  }
  /// minsi or maxsi of two values, folded where they are equal or constant.
  Value extremum(Value lhs, Value rhs, bool isMax) {
    if (!lhs)
      return rhs;
    return isMax ? fold<arith::MaxSIOp>(lhs, rhs)
                 : fold<arith::MinSIOp>(lhs, rhs);
  }
  Value expression(AffineExpr expr);
  /// The symbol, cut off at its limit.
  Value limited(const MaskSymbol &name);
  /// The bound, or a null value where there is none.
  Value bound(const TileBound &bound, bool isLower);
  /// An i1, or null where always true.
  Value condition(const TileCondition &condition);

  using Range = TileRangeValues::Range;
  /// The range with a lower bound of 0 at least and, where it has no upper one,
  /// with `end`. Where it crosses or its condition is false it is empty, at its
  /// lower bound: that does not disturb the ranges behind it.
  Range range(const TileRange &range, Value end);
  /// The one range from the first tile of all of them to the last one.
  Range hull(ArrayRef<Range> ranges);
  /// Sorts by the lower bound.
  void sort(SmallVectorImpl<Range> &ranges);
  void buildSingleLive();
  void buildLive();
  void buildFull();

  OpBuilder &builder;
  Location loc;
  const MaskRanges &ranges;
  llvm::function_ref<Value(const MaskSymbol &)> symbol;
  SmallVector<Value> symbolValues;
  TileRangeValues values;
};

} // namespace

Value Materializer::limited(const MaskSymbol &name) {
  Value value = symbol(name);
  if (name.limit <= MaskSymbol::kSizeLimit)
    return value;
  value = fold<arith::MaxSIOp>(value, constant(-name.limit));
  return fold<arith::MinSIOp>(value, constant(name.limit));
}

Value Materializer::expression(AffineExpr expr) {
  if (auto literal = dyn_cast<AffineConstantExpr>(expr))
    return constant(literal.getValue());
  if (auto name = dyn_cast<AffineSymbolExpr>(expr)) {
    Value &value = symbolValues[name.getPosition()];
    if (!value)
      value = limited(ranges.symbols[name.getPosition()]);
    return value;
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  // x + y * -1 as a subtraction.
  if (binary.getKind() == AffineExprKind::Add) {
    if (auto product = dyn_cast<AffineBinaryOpExpr>(binary.getRHS());
        product && product.getKind() == AffineExprKind::Mul &&
        product.getRHS() == getAffineConstantExpr(-1, expr.getContext()))
      return fold<arith::SubIOp>(expression(binary.getLHS()),
                                 expression(product.getLHS()));
  }
  Value lhs = expression(binary.getLHS());
  Value rhs = expression(binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return fold<arith::AddIOp>(lhs, rhs);
  case AffineExprKind::Mul:
    return fold<arith::MulIOp>(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return fold<arith::FloorDivSIOp>(lhs, rhs);
  case AffineExprKind::Mod:
    // Of a negative number, too, the rest is not negative.
    return fold<arith::SubIOp>(
        lhs, fold<arith::MulIOp>(fold<arith::FloorDivSIOp>(lhs, rhs), rhs));
  default:
    llvm_unreachable("bounds are sums, multiples and divisions rounded down");
  }
}

Value Materializer::bound(const TileBound &bound, bool isLower) {
  Value result;
  for (ArrayRef<AffineExpr> group : bound.groups) {
    Value inner;
    for (AffineExpr expr : group)
      inner = extremum(inner, expression(expr), /*isMax=*/!isLower);
    result = extremum(result, inner, /*isMax=*/isLower);
  }
  return result;
}

Value Materializer::condition(const TileCondition &condition) {
  Value result;
  for (ArrayRef<AffineExpr> group : condition.groups) {
    Value inner;
    for (AffineExpr expr : group) {
      Value holds = builder.createOrFold<arith::CmpIOp>(
          loc, arith::CmpIPredicate::sge, expression(expr), constant(0));
      inner = inner ? fold<arith::OrIOp>(inner, holds) : holds;
    }
    result = result ? fold<arith::AndIOp>(result, inner) : inner;
  }
  return result;
}

Materializer::Range Materializer::range(const TileRange &range, Value end) {
  Value lo = bound(range.lo, /*isLower=*/true);
  Value hi = bound(range.hi, /*isLower=*/false);
  if (!hi)
    hi = end;
  lo = lo ? fold<arith::MaxSIOp>(lo, constant(0)) : constant(0);
  if (Value holds = condition(range.condition))
    hi = builder.createOrFold<arith::SelectOp>(loc, holds, hi, lo);
  return {lo, fold<arith::MaxSIOp>(hi, lo)};
}

Materializer::Range Materializer::hull(ArrayRef<Range> ranges) {
  Value lo, hi = constant(0);
  Value above = constant(std::numeric_limits<int32_t>::max());
  for (const Range &range : ranges) {
    Value isEmpty = builder.createOrFold<arith::CmpIOp>(
        loc, arith::CmpIPredicate::sge, range.lo, range.hi);
    auto unlessEmpty = [&](Value otherwise, Value bound) {
      return builder.createOrFold<arith::SelectOp>(loc, isEmpty, otherwise,
                                                   bound);
    };
    lo = extremum(lo, unlessEmpty(above, range.lo), /*isMax=*/false);
    hi = fold<arith::MaxSIOp>(hi, unlessEmpty(constant(0), range.hi));
  }
  return {fold<arith::MinSIOp>(lo, hi), hi};
}

void Materializer::sort(SmallVectorImpl<Range> &ranges) {
  // A network of as many comparisons as pairs; there are four at most.
  for (size_t end = ranges.size(); end-- > 1;)
    for (size_t i = 0; i < end; ++i) {
      Range &first = ranges[i], &second = ranges[i + 1];
      Value swap = builder.createOrFold<arith::CmpIOp>(
          loc, arith::CmpIPredicate::sgt, first.lo, second.lo);
      auto choose = [&](Value ifSwapped, Value otherwise) {
        return builder.createOrFold<arith::SelectOp>(loc, swap, ifSwapped,
                                                     otherwise);
      };
      Range low{choose(second.lo, first.lo), choose(second.hi, first.hi)};
      Range high{choose(first.lo, second.lo), choose(first.hi, second.hi)};
      first = low;
      second = high;
    }
}

/// One live range: only crossing bounds have to be put in order. Lower bounds
/// are not above ceildiv(sk, tileK) then, because the analysed box holds
/// 0 <= k < sk.
void Materializer::buildSingleLive() {
  const TileRange &live = ranges.live.front();
  Value zero = constant(0);
  Value hi = bound(live.hi, /*isLower=*/false);
  Value lo = bound(live.lo, /*isLower=*/true);
  if (Value holds = condition(live.condition))
    hi = builder.createOrFold<arith::SelectOp>(loc, holds, hi, zero);
  hi = fold<arith::MaxSIOp>(hi, zero);
  lo = lo ? fold<arith::MinSIOp>(fold<arith::MaxSIOp>(lo, zero), hi) : zero;
  values.live.push_back({lo, hi});
}

/// Each range begins where those before it end, at the earliest. All of them
/// have upper bounds: the analysed box holds k < sk.
void Materializer::buildLive() {
  for (const TileRange &live : ranges.live)
    values.live.push_back(range(live, /*end=*/Value()));
  if (values.live.size() > kMaxTileRanges)
    values.live = {hull(values.live)};
  else if (!ranges.liveSorted)
    sort(values.live);
  Value end;
  for (Range &item : values.live) {
    if (end) {
      item.lo = fold<arith::MaxSIOp>(item.lo, end);
      item.hi = fold<arith::MaxSIOp>(item.hi, item.lo);
    }
    end = item.hi;
  }
}

void Materializer::buildFull() {
  Value lo = values.live.front().lo, hi = values.live.back().hi;
  Value fullHi = bound(ranges.fullHi, /*isLower=*/false);
  Value fullLo = bound(ranges.fullLo, /*isLower=*/true);
  if (Value full = condition(ranges.full))
    fullHi = builder.createOrFold<arith::SelectOp>(
        loc, full, fullHi ? fullHi : hi, constant(0));
  fullLo =
      fullLo ? fold<arith::MinSIOp>(fold<arith::MaxSIOp>(fullLo, lo), hi) : lo;
  fullHi = fullHi
               ? fold<arith::MaxSIOp>(fold<arith::MinSIOp>(fullHi, hi), fullLo)
               : hi;
  auto add = [&](Value from, Value to) {
    std::optional<int64_t> first = getConstantIntValue(from);
    std::optional<int64_t> last = getConstantIntValue(to);
    if (from != to && !(first && last && *first >= *last))
      values.full.push_back({from, to});
  };
  SmallVector<Range> holes;
  for (const TileRange &hole : ranges.holes)
    holes.push_back(range(hole, /*end=*/fullHi));
  if (holes.size() >= kMaxTileRanges)
    holes = {hull(holes)};
  else if (!ranges.holesSorted)
    sort(holes);
  // From behind each hole to the next one, within [fullLo, fullHi).
  for (const Range &hole : holes) {
    Value begin =
        fold<arith::MaxSIOp>(fold<arith::MinSIOp>(hole.lo, fullHi), fullLo);
    add(fullLo, begin);
    fullLo = fold<arith::MaxSIOp>(fold<arith::MinSIOp>(hole.hi, fullHi), begin);
  }
  add(fullLo, fullHi);
}

TileRangeValues Materializer::build() {
  if (ranges.live.size() == 1)
    buildSingleLive();
  else
    buildLive();
  if (!ranges.neverFull)
    buildFull();
  return std::move(values);
}

TileRangeValues mlir::flash::materializeRanges(
    OpBuilder &builder, Location loc, const MaskRanges &ranges,
    llvm::function_ref<Value(const MaskSymbol &)> symbol) {
  return Materializer(builder, loc, ranges, symbol).build();
}
