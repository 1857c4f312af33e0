//===- FmaLayouts.cpp - Layouts of products without tensor cores ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::flash_tile;

/// The largest power of two up to `limit` that divides `number`.
static int64_t powerOfTwoIn(int64_t number, int64_t limit) {
  int64_t power = 1;
  while (power * 2 <= limit && number % (power * 2) == 0)
    power *= 2;
  return power;
}

FailureOr<Layout> Layout::fmaAccumulator(int64_t rows, int64_t cols,
                                         int64_t warps, int64_t vector) {
  constexpr int64_t laneRows = 4, laneCols = 8;
  if (warps <= 0 || vector <= 0 || rows <= 0 || cols <= 0 ||
      rows % (laneRows * warps) != 0 || cols % laneCols != 0)
    return failure();
  vector = powerOfTwoIn(cols / laneCols, vector);
  const int64_t warpRows = rows / warps;
  Layout layout(2);
  for (int64_t col = 1; col < vector; col *= 2)
    layout.addRegister({0, col});
  for (int64_t lane = 1; lane < laneCols; lane *= 2)
    layout.addLane({0, lane * vector});
  for (int64_t lane = 1; lane < laneRows; lane *= 2)
    layout.addLane({lane, 0});
  layout.addWarps(warps, {warpRows, 0});
  layout.addRepeat(cols / (laneCols * vector), {0, laneCols * vector});
  layout.addRepeat(warpRows / laneRows, {laneRows, 0});
  return layout;
}

FailureOr<Layout> Layout::threadRows(int64_t rows, int64_t cols, int64_t warps,
                                     bool split) {
  if (warps <= 0 || rows <= 0 || cols <= 0)
    return failure();
  const int64_t blocks = llvm::divideCeil(rows, numLanes());
  const int64_t rowWarps = std::gcd(blocks, warps);
  const int64_t slices = warps / rowWarps;
  const int64_t ownCols = split ? cols / slices : cols;
  if (split && cols % slices != 0)
    return failure();
  Layout layout(2);
  for (int64_t row = 1; row < numLanes(); row *= 2)
    layout.addLane({row, 0});
  layout.addWarps(rowWarps, {numLanes(), 0});
  layout.addWarps(slices, {0, split ? ownCols : 0});
  layout.addRepeat(ownCols, {0, 1});
  layout.addRepeat(blocks / rowWarps, {rowWarps * numLanes(), 0});
  return layout;
}

int64_t Layout::countParts(int64_t axis) const {
  int64_t parts = 1;
  for (ArrayRef<Vector> bases : {getLaneBases(), getWarpBases()})
    for (const Vector &basis : bases)
      if (basis[axis] != 0)
        parts *= 2;
  for (const Repeat &entry : warpRepeats)
    if (entry.stride[axis] != 0)
      parts *= entry.count;
  return parts;
}
