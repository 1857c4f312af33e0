//===- MaskAnalysis.h - Live and full key tiles of a mask -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Which tiles of keys a tile of queries has to visit, and which of them need no
// per-element mask, derived from the mask region of flash.attention.
//
// The region is read as a union of conjunctions of affine inequalities over the
// query index q, the key index k, floor divisions of them by constants, and
// symbols that are uniform over the kernel; its negation is read in the same
// way. With T the number of a key tile (keys [T * tileK, T * tileK + tileK))
// and the query tile [q0, q0 + tileQ), two sets follow:
//
//   live  = { T : exists q, k inside, q < sq, k < sk, the mask holds }
//         = union, over the conjunctions of the mask, of
//           { T : exists q, k inside, q < sq, k < sk, the conjunction holds }
//   full  = { T : for all q < sq, k inside, k < sk and the mask holds }
//         = complement of the union, over the conjunctions of the negation
//           and k >= sk, of
//           { T : exists q, k inside, q < sq, the conjunction holds }
//
// Both need one operation only, the projection of a polyhedron onto T, which
// MLIR's Presburger library does: one interval of tiles for every conjunction.
// The live tiles are the union of intervals; the full ones are what half lines
// leave, less the intervals that are bounded on both sides (holes). A window
// with sink tokens has two live ranges, and one hole between the full tiles of
// the sinks and those of the window.
//
// Rational projection may make a projected set larger, never smaller, and what
// the region says but is not affine counts as true and as false: live ranges
// then hold a dead tile, full ranges miss one, and the result stays correct.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_ANALYSIS_MASKANALYSIS_H
#define FLASH_ANALYSIS_MASKANALYSIS_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Region.h"

#include <optional>
#include <string>

namespace mlir::flash {

class AttentionOp;

/// The problem and the tiles that a mask is analysed for. Sizes are in rows of
/// Q and of K; an absent one is known at run time only.
struct MaskTiling {
  /// Queries per tile and keys per tile; both positive.
  int64_t tileQ = 0;
  int64_t tileK = 0;
  std::optional<int64_t> queries = std::nullopt;
  std::optional<int64_t> keys = std::nullopt;
  /// Value of flash.alignment where it is a constant.
  std::optional<int64_t> alignment = std::nullopt;
  /// flash.alignment is a value of its own, not keys - queries.
  bool ownAlignment = false;
  /// The region's q (k) is the row of Q (K) plus an offset.
  bool offsetQ = false;
  bool offsetK = false;
};

/// The problem of `op`, with the tiles of its schedule or, without one, those
/// given.
MaskTiling getMaskTiling(AttentionOp op, int64_t tileQ = 0, int64_t tileK = 0);

/// What a symbol of the resulting expressions stands for.
struct MaskSymbol {
  enum class Kind {
    FirstQuery, ///< q0, first row of the query tile; 0 <= q0 < sq
    Queries,    ///< sq
    Keys,       ///< sk
    Alignment,  ///< flash.alignment, where it is a value of its own
    OffsetQ,
    OffsetK,
    Region ///< `value`, defined in the region and uniform over q and k
  };
  /// Limits: sizes of a problem and 32-bit integers; the alignment and the
  /// offsets, where they are operands; any other number.
  static constexpr int64_t kSizeLimit = int64_t(1) << 31;
  static constexpr int64_t kOffsetLimit = int64_t(1) << 40;
  static constexpr int64_t kNumberLimit = int64_t(1) << 46;

  Kind kind;
  Value value;
  /// Above kSizeLimit: where the magnitude is larger, the bounds are computed
  /// with the limit in its place. The largest integer, say, as a window that
  /// hides nothing would overflow in them.
  int64_t limit = kSizeLimit;
};

/// A bound of a range of tiles, over the symbols of MaskRanges. Lower bounds
/// are the maximum over the groups of the minimum within a group, upper bounds
/// (exclusive) the minimum over the groups of the maximum within a group.
/// No group: unbounded.
struct TileBound {
  SmallVector<SmallVector<AffineExpr, 1>> groups;
};

/// A condition: in each group at least one expression is >= 0.
struct TileCondition {
  SmallVector<SmallVector<AffineExpr, 1>> groups;
};

/// A half-open range of key tiles; empty where the condition is false.
struct TileRange {
  TileBound lo, hi;
  TileCondition condition;
};

/// Live and full key tiles of the query tile at q0. The bounds are to be
/// clamped to [0, ceildiv(sk, tileK)], and to be put in order where they cross.
struct MaskRanges {
  MaskTiling tiling;
  SmallVector<MaskSymbol> symbols;
  /// The live tiles are the union of these, one at least. They may overlap.
  SmallVector<TileRange, 1> live;
  /// The full tiles are those of [fullLo, fullHi) that are live and in no hole.
  TileBound fullLo, fullHi;
  TileCondition full;
  SmallVector<TileRange, 0> holes;
  /// The lower bounds of `live` (`holes`) ascend for all values of the symbols.
  bool liveSorted = true, holesSorted = true;
  /// The live tiles are those that hold an element which the mask keeps, and
  /// the full ones those that it keeps all of. Else there may be more of the
  /// one and fewer of the other, for a reason that `remarks` names.
  bool exact = true;
  /// No query tile has a full tile, whatever the sizes are (windows narrower
  /// than a tile, a conjunct that is not affine).
  bool neverFull = false;
  /// The mask alone hides every key past sk from the rows below sq, so that no
  /// comparison with sk is needed (causal with alignment sk - sq).
  bool boundsKeys = false;
  /// What was left out, and why. There may be one although `exact`: of masks
  /// with a period, the tile that sk cuts may be dead and yet live here.
  SmallVector<std::pair<Location, std::string>> remarks;

  /// True where later query tiles see more key tiles (plain causal), so that
  /// they should be started first.
  bool growsWithQuery() const;
  /// The bounds as text, in the words of tile.md: `live [0, min(...))`.
  std::string str() const;
};

/// Analyses `mask`, a region with the arguments (b, h, q, k, captures...) that
/// ends in a terminator with one i1 operand; an empty region masks nothing.
///
/// Affine are, on integers of up to 64 bits: arith.addi, subi, muli and shli by
/// a constant, floordivsi, ceildivsi, divsi, remsi and shrsi by a positive
/// constant (divui, ceildivui, remui and shrui of what is never negative), andi
/// with 2^n - 1, minsi, maxsi, minui and maxui, select, constants and casts;
/// every comparison of these; and on i1 andi, ori, xori, select and cmpi.
/// Symbols are all integers that depend on neither q nor k. Index arithmetic is
/// taken not to wrap; that of narrower integers is affine where the sizes,
/// which are below 2^31, prove it. What is not affine may be true or false; a
/// remark names the op.
MaskRanges analyzeMask(Region &mask, const MaskTiling &tiling);

/// Ranges of tiles as values of type index, half open. All live ranges ascend
/// and are disjoint, as are the full ones; any may be empty. Every full tile is
/// live.
struct TileRangeValues {
  struct Range {
    Value lo, hi;
  };
  /// One at least.
  SmallVector<Range, 1> live;
  /// Those that are known to be empty are left out.
  SmallVector<Range, 1> full;
};

/// Builds the bounds where `builder` stands, with arith ops on index (floor
/// divisions by constants only). `symbol` gives the value of a symbol.
TileRangeValues
materializeRanges(OpBuilder &builder, Location loc, const MaskRanges &ranges,
                  llvm::function_ref<Value(const MaskSymbol &)> symbol);

} // namespace mlir::flash

#endif // FLASH_ANALYSIS_MASKANALYSIS_H
