//===- TileIntervals.h - Unions of intervals of key tiles -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Intervals of key tiles with symbolic bounds, and unions of them made short:
// what one interval contains is dropped, two that always meet become one.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_TILEINTERVALS_H
#define FLASH_LIB_ANALYSIS_TILEINTERVALS_H

#include "MaskProjection.h"

namespace mlir::flash {

/// Most live ranges, and most full ones, that a loop goes through one by one.
/// More of them are taken as one, from the first tile to the last.
inline constexpr size_t kMaxTileRanges = 4;

/// The tiles that satisfy, in each group of `lower` and of `upper`, one row at
/// least; none where a condition does not hold. No group: unbounded.
struct TileInterval {
  using Groups = SmallVector<SmallVector<TileRow, 1>, 0>;
  Groups lower, upper;
  SmallVector<TileRow, 0> conditions;
  /// Of the sets that it was made of, the least exact.
  Exactness exactness;

  explicit TileInterval(const TileSet &set);
};

/// Of rows that bound the tile on one side, drops those that another one
/// implies. Of two comparable ones that which binds most survives or, with
/// `keepWeakest`, that which binds least.
void dropDominated(const MaskProjection &space, SmallVector<TileRow> &rows,
                   bool keepWeakest);

/// Drops the conditions that hold always, or wherever the bounds leave any
/// tile.
void dropImpliedConditions(const MaskProjection &space, TileSet &set);

/// Makes the union of `intervals` one of fewer and longer ones.
void simplifyUnion(const MaskProjection &space,
                   SmallVectorImpl<TileInterval> &intervals);

/// Sorts by the lower bound, which counts as 0 where absent; false where no
/// order holds for all symbols.
bool sortIntervals(const MaskProjection &space,
                   SmallVectorImpl<TileInterval> &intervals);

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_TILEINTERVALS_H
