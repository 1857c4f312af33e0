//===- KeyTiles.h - Key tiles as iterations of a loop -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The loop of a kernel counts the tiles that a mask leaves, whatever says which
// they are. What that is, a source of key tiles, answers three questions: how
// many there are, which one an iteration visits, and which iterations visit
// tiles that need no mask (the bands, half-open ranges of iterations).
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_FLASHTOTILE_KEYTILES_H
#define FLASH_LIB_CONVERSION_FLASHTOTILE_KEYTILES_H

#include "flash/Analysis/MaskAnalysis.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::flash {

/// The key tiles that one CTA visits. Only the first iteration may visit a tile
/// that reaches past the last key, and only outside of the bands.
class KeyTiles {
public:
  virtual ~KeyTiles() = default;

  /// Number of iterations, an index.
  Value getIterations() const { return iterations; }
  /// Every tile is full, whatever the sizes are.
  bool isAllFull() const { return allFull; }
  /// No tile is known to be full.
  bool isNeverFull() const { return bandStarts.empty(); }

  /// Two tiles that are visited one after the other need not be neighbours: the
  /// tile number compares the iteration (see `flash_tile.jumps`). A band lies
  /// on one side of each such comparison, unless both sides are neighbours.
  virtual bool hasJumps() const { return false; }

  /// The number of the tile that `iteration` visits, an index. `b` stands in
  /// the loop, directly. For iterations past the last one it may be any number,
  /// but it can be computed.
  virtual Value buildTileNumber(ImplicitLocOpBuilder &b, Value iteration) = 0;
  /// i1: `iteration` is in a band; null where isAllFull() or isNeverFull().
  Value buildIsFull(ImplicitLocOpBuilder &b, Value iteration) const;

protected:
  Value iterations;
  /// In ascending order, disjoint.
  SmallVector<Value> bandStarts, bandEnds;
  bool allFull = false;
};

/// The ranges of the mask analysis, from the last live tile to the first.
class AnalyzedKeyTiles : public KeyTiles {
public:
  /// Builds the bounds where `b` stands, in front of the loop.
  AnalyzedKeyTiles(ImplicitLocOpBuilder &b, const MaskRanges &ranges,
                   llvm::function_ref<Value(const MaskSymbol &)> symbol);

  bool hasJumps() const override { return !starts.empty(); }
  Value buildTileNumber(ImplicitLocOpBuilder &b, Value iteration) override;

private:
  Value countFrom(ImplicitLocOpBuilder &b, Value tile);

  TileRangeValues bounds;
  /// The iterations at which the second live range from above starts, the
  /// third, and so on.
  SmallVector<Value> starts;
};

} // namespace mlir::flash

#endif // FLASH_LIB_CONVERSION_FLASHTOTILE_KEYTILES_H
