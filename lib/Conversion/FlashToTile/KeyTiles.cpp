//===- KeyTiles.cpp - Key tiles as iterations of a loop -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KeyTiles.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::flash;

Value KeyTiles::buildIsFull(ImplicitLocOpBuilder &b, Value iteration) const {
  if (allFull || bandStarts.empty())
    return Value();
  return flash_tile::InRangeOp::create(b, iteration, bandStarts, bandEnds);
}

AnalyzedKeyTiles::AnalyzedKeyTiles(
    ImplicitLocOpBuilder &b, const MaskRanges &ranges,
    llvm::function_ref<Value(const MaskSymbol &)> symbol)
    : bounds(materializeRanges(b, b.getLoc(), ranges, symbol)) {
  auto same = [](Value left, Value right) {
    return isEqualConstantIntOrValue(left, right);
  };
  llvm::erase_if(bounds.full, [&](const TileRangeValues::Range &range) {
    return same(range.lo, range.hi);
  });
  allFull = bounds.full.size() == 1 && bounds.live.size() == 1 &&
            same(bounds.live.front().lo, bounds.full.front().lo) &&
            same(bounds.live.front().hi, bounds.full.front().hi);

  for (const TileRangeValues::Range &range : llvm::reverse(bounds.live)) {
    if (iterations)
      starts.push_back(iterations);
    Value length = b.createOrFold<arith::SubIOp>(range.hi, range.lo);
    iterations =
        iterations ? b.createOrFold<arith::AddIOp>(iterations, length) : length;
  }
  for (const TileRangeValues::Range &range : llvm::reverse(bounds.full)) {
    bandStarts.push_back(countFrom(b, range.hi));
    bandEnds.push_back(countFrom(b, range.lo));
  }
}

/// Live tiles from `tile`, a bound of a full range, on: the number of the
/// iteration behind it.
Value AnalyzedKeyTiles::countFrom(ImplicitLocOpBuilder &b, Value tile) {
  if (bounds.live.size() == 1)
    return b.createOrFold<arith::SubIOp>(bounds.live.front().hi, tile);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  if (tile == bounds.live.front().lo)
    return iterations;
  if (tile == bounds.live.back().hi)
    return zero;
  Value count;
  for (const TileRangeValues::Range &range : bounds.live) {
    Value from = b.createOrFold<arith::MaxSIOp>(range.lo, tile);
    Value length = b.createOrFold<arith::SubIOp>(range.hi, from);
    length = b.createOrFold<arith::MaxSIOp>(length, zero);
    count = count ? b.createOrFold<arith::AddIOp>(count, length) : length;
  }
  return count;
}

/// Down from the last live tile, and over the gap between two live ranges where
/// the second of them starts.
Value AnalyzedKeyTiles::buildTileNumber(ImplicitLocOpBuilder &b,
                                        Value iteration) {
  if (starts.empty()) {
    Value one = arith::ConstantIndexOp::create(b, 1);
    Value last = b.createOrFold<arith::SubIOp>(bounds.live.back().hi, one);
    return arith::SubIOp::create(b, last, iteration);
  }
  // From which number each range counts down.
  SmallVector<Value> bases;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(b.getInsertionBlock()->getParentOp());
    Value one = arith::ConstantIndexOp::create(b, 1);
    bases.push_back(b.createOrFold<arith::SubIOp>(bounds.live.back().hi, one));
    for (size_t i = bounds.live.size() - 1; i > 0; --i) {
      Value gap = b.createOrFold<arith::SubIOp>(bounds.live[i].lo,
                                                bounds.live[i - 1].hi);
      bases.push_back(b.createOrFold<arith::SubIOp>(bases.back(), gap));
    }
  }
  Value base = bases.front();
  for (auto [start, next] : llvm::zip(starts, ArrayRef(bases).drop_front())) {
    Value isBehind =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, iteration, start);
    base = arith::SelectOp::create(b, isBehind, next, base);
  }
  return arith::SubIOp::create(b, base, iteration);
}
