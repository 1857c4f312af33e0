//===- MaskProjection.h - Key tiles of a conjunction ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The tiles T for which a conjunction holds for some element of the query tile
// at q0 and of the key tile T: a polyhedron over q, k, T and the divisions,
// projected onto T by MLIR's Presburger library, one variable after the other.
//
// Between two steps, an inequality a * x >= f of one variable x and symbols is
// rounded to x >= ceildiv(f, a). The quotient is uniform over the CTA, so it
// becomes one more symbol of the result. With that, the steps of the usual
// masks are exact over the integers; where they are not, the set only gets
// larger.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_MASKPROJECTION_H
#define FLASH_LIB_ANALYSIS_MASKPROJECTION_H

#include "MaskConstraints.h"

#include "mlir/Analysis/Presburger/IntegerRelation.h"

#include <string>

namespace mlir::flash {

/// tile * T + symbols + constant >= 0. Absent symbols are 0.
struct TileRow {
  int64_t tile = 0;
  SmallVector<int64_t> symbols;
  int64_t constant = 0;

  bool operator==(const TileRow &other) const {
    return tile == other.tile && symbols == other.symbols &&
           constant == other.constant;
  }
};

/// What a projection onto tiles leaves of the integers.
enum class Exactness {
  /// Every tile has an element.
  Exact,
  /// Every tile but that which sk cuts.
  ButLastTile,
  /// Some tile may have none.
  Superset
};

/// A projected polyhedron, taken apart.
struct TileSet {
  bool empty = false;
  /// Why there is no set: a number that does not fit 64 bits, too many rows.
  /// Empty where there is one.
  std::string failure;
  Exactness exactness = Exactness::Exact;
  /// Rows with a positive (negative, zero) coefficient of the tile.
  SmallVector<TileRow> lower, upper, conditions;
};

class MaskProjection {
public:
  MaskProjection(const MaskTiling &tiling, ArrayRef<MaskSymbol> symbols,
                 ArrayRef<FloorDivision> divisions, MLIRContext *context)
      : tiling(tiling), symbols(symbols), numSymbols(symbols.size()),
        divisions(divisions), context(context) {}

  /// The tiles with an element that `conjunction` allows. With `inKeys`, keys
  /// outside of [0, sk) are no elements. Where no tile in [0, ceildiv(sk,
  /// tileK)) can have one (or, with `anywhere`, no tile at all), empty.
  TileSet project(const MaskConjunction &conjunction, bool inKeys,
                  bool anywhere = false);
  /// True where `conjunction` holds for no element with q < sq and k >= sk.
  bool isEmptyPastKeys(const MaskConjunction &conjunction) const;

  /// True where, for all symbols, every tile that all of `rows` allow is
  /// allowed by one of `any` at least.
  bool implies(ArrayRef<TileRow> rows, ArrayRef<TileRow> any) const;
  /// -row - 1 >= 0.
  static TileRow negated(const TileRow &row);

  /// The part of `row` without the tile, times `sign`.
  AffineExpr expression(const TileRow &row, int64_t sign) const;
  /// First tile that a lower row allows, and last tile that an upper one does.
  AffineExpr firstTile(const TileRow &row) const;
  AffineExpr lastTile(const TileRow &row) const;

private:
  using IntegerPolyhedron = presburger::IntegerPolyhedron;

  /// numerator floordiv divisor of a row without a tile.
  struct Quotient {
    TileRow numerator;
    int64_t divisor;
  };

  unsigned getNumDims() const { return kFirstDivision + divisions.size(); }
  SmallVector<int64_t> column(const AffineForm &form, int64_t tile = 0) const;
  /// The polyhedron over (q, k, tile, divisions) of one query tile's elements.
  IntegerPolyhedron box(bool inKeys) const;
  void addConstraints(IntegerPolyhedron &set,
                      const MaskConjunction &conjunction) const;
  void addKeys(IntegerPolyhedron &set) const;
  /// What holds in every kernel, behind `numDims` dimensions.
  void addContext(IntegerPolyhedron &set, unsigned numDims) const;
  bool isEmptyInContext(IntegerPolyhedron set) const;
  /// Makes `set` a set over the tile, which is its dimension `tile`, alone.
  /// `result` fails where the rows get too many, and is empty where that is
  /// seen on the way; then `set` is only begun.
  void eliminate(IntegerPolyhedron &set, unsigned tile, TileSet &result);
  /// A dimension to eliminate, and what is lost with it.
  std::pair<unsigned, Exactness> chooseDim(const IntegerPolyhedron &set,
                                           unsigned tile) const;
  Exactness getExactness(const IntegerPolyhedron &set, unsigned dim,
                         unsigned tile) const;
  bool alwaysHasInteger(const IntegerPolyhedron &set, unsigned dim) const;
  /// Bound of the magnitude of the row without the tile.
  double magnitude(const TileRow &row) const;
  void roundBounds(IntegerPolyhedron &set, unsigned tile);
  std::optional<unsigned> quotient(const TileRow &numerator, int64_t divisor);
  AffineExpr symbol(unsigned number) const;

  enum Dim : unsigned { kQ, kK, kTile, kFirstDivision };

  const MaskTiling &tiling;
  ArrayRef<MaskSymbol> symbols;
  unsigned numSymbols;
  ArrayRef<FloorDivision> divisions;
  MLIRContext *context;
  /// Symbols behind the first `numSymbols`.
  SmallVector<Quotient> quotients;
};

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_MASKPROJECTION_H
