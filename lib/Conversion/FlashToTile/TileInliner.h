//===- TileInliner.h - Scalar regions on tiles ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Inlines a score or mask region, which speaks of one element (q, k), on a
// whole tile of scores. A value of the region becomes one of
//
//   Uniform  one scalar for the whole tile: anything that depends on neither q
//            nor k, computed once in front of the loop;
//   Affine   base + rows * i + columns * j for the element (i, j) of the tile,
//            an index kept apart until something needs it: the base is one
//            64-bit scalar, the coordinates are 32-bit tiles;
//   Tile     a tensor with one element per element of the tile; indices and
//            other 64-bit integers are i64 there, f16 and bf16 are f32.
//
// A read of a capture becomes flash_tile.lookup where its indices are uniform,
// else flash_tile.gather_elements, which touches elements of the tile that
// exist only. scf.if becomes a select: both branches are computed, but what
// they read is read where the branch is taken.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_FLASHTOTILE_TILEINLINER_H
#define FLASH_LIB_CONVERSION_FLASHTOTILE_TILEINLINER_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::flash {

/// Computes in front of the loop what a region derives from b, h, captures and
/// constants alone. Values are built once.
class UniformValues {
public:
  /// `builder` appends to the block that gets the loop. `alignment` and `heads`
  /// are the values of flash.alignment and flash.heads, below 2^sizeBits in
  /// magnitude.
  UniformValues(OpBuilder builder, Value alignment, Value heads,
                unsigned sizeBits)
      : builder(builder), alignment(alignment), heads(heads),
        sizeBits(sizeBits) {}

  unsigned getSizeBits() const { return sizeBits; }
  /// Values are from now on built in front of `loop`.
  void stayAbove(Operation *loop) { builder.setInsertionPoint(loop); }
  /// Gives a region argument a value: a scalar of a magnitude below 2^bits, or
  /// the memref that it reads.
  void map(Value regionArgument, Value value, unsigned bits = 64) {
    mapping.map(regionArgument, value);
    argumentBits[regionArgument] = bits;
  }
  unsigned getBits(Value regionArgument) const {
    auto found = argumentBits.find(regionArgument);
    return found == argumentBits.end() ? 64 : found->second;
  }
  /// The value of an argument or op result; null for arguments that were not
  /// mapped (s, q and k). Precondition: an op's operands have values, and it is
  /// pure or a memref.load.
  Value get(Value value);
  bool isKnown(Value value) const { return mapping.contains(value); }

private:
  OpBuilder builder;
  Value alignment, heads;
  unsigned sizeBits;
  IRMapping mapping;
  llvm::DenseMap<Value, unsigned> argumentBits;
};

/// A value of the region on the tile.
struct TileValue {
  enum class Kind { Uniform, Affine, Tile } kind = Kind::Tile;
  /// Uniform: the scalar. Affine: the base, an index. Tile: the tensor.
  Value value;
  /// Affine: coefficients of the row and of the column in the tile.
  int64_t rows = 0, columns = 0;
  /// Uniform and Affine: the scalar's magnitude is below 2^bits.
  unsigned bits = 64;
  /// Affine, and Uniform: the value is rows * q + columns * k + alignments *
  /// alignment + a number of a magnitude up to `constant`, with the absolute
  /// indices q and k, where that is known.
  bool isPosition = false;
  int64_t alignments = 0, constant = 0;
  /// Positions are far from where sums of them overflow.
  static constexpr int64_t kPositionLimit = int64_t(1) << 40;

  /// Makes this the position of `lhs` + sign * `rhs`, if both have one; the
  /// coefficients are set by then.
  void setPosition(const TileValue &lhs, const TileValue &rhs, int64_t sign);
  /// True where a position fits 32 bits for all sizes, which have 31.
  bool fitsSizes() const;

  /// Tile: the value may differ between rows, between columns.
  bool onRows = false, onColumns = false;
};

class TileInliner {
public:
  /// The tile has `tileQ` rows from `firstQuery` on and `tileK` columns from
  /// `firstKey` on: absolute indices, uniform, as index. `builder` stands where
  /// the tile's ops go. `role` names the region in diagnostics.
  TileInliner(OpBuilder &builder, UniformValues &uniforms, StringRef role,
              int64_t tileQ, int64_t tileK, TileValue firstQuery,
              TileValue firstKey)
      : builder(builder), uniforms(uniforms), role(role), tileQ(tileQ),
        tileK(tileK), firstQuery(firstQuery), firstKey(firstKey) {}

  /// Of the tile, `rows` rows and `columns` columns exist: indices, which may
  /// be larger than the tile. What is read for others is not touched.
  void setLimits(Value rows, Value columns) {
    rowLimit = rows;
    columnLimit = columns;
  }

  /// Inlines the only block of `region`, whose arguments number `queryArgument`
  /// and behind it are q and k; `score` replaces an argument in front of all
  /// others, where given. Returns the tile of the yielded value. Fails with a
  /// diagnostic on ops that have no form on tiles.
  FailureOr<Value> inlineRegion(Region &region, unsigned queryArgument,
                                Value score);

  /// The i1 tile of `firstKey + j < bound`, for an index `bound` below 2^31.
  Value keysBelow(Location loc, Value bound);
  /// The i1 tile of `firstQuery + i < bound`, likewise.
  Value rowsBelow(Location loc, Value bound);

private:
  Value below(Location loc, Value first, int64_t axis, Value bound);
  RankedTensorType tileType(Type element) const;
  Value materialize(Location loc, const TileValue &value);
  /// rows * i + columns * j as an i32 tile, or as i64 where that is too narrow.
  Value relative(Location loc, int64_t rows, int64_t columns);
  Value splat(Location loc, Value scalar);
  /// An affine value as a tile of i32, modulo 2^32.
  Value truncate(Location loc, const TileValue &value);
  /// An index or i64 that is not a tile, as Affine.
  std::optional<TileValue> asAffine(Value value);
  /// `scalar` kept within [low, high].
  Value clamp(Location loc, Value scalar, int64_t low, int64_t high);

  /// Refuses types and math that the target has not.
  LogicalResult verifyOp(Operation &op);
  LogicalResult inlineOp(Operation &op);
  bool inlineUniform(Operation &op);
  std::optional<TileValue> inlineAffine(Operation &op);
  std::optional<TileValue> inlineCompare(Operation &op);
  std::optional<TileValue> inlineCast(Operation &op);
  LogicalResult inlineElementwise(Operation &op);
  // TileInlinerReads.cpp
  LogicalResult inlineLoad(memref::LoadOp load);
  LogicalResult inlineIf(scf::IfOp branch);
  LogicalResult inlineBranch(Block &block, TileValue condition, bool isThen,
                             SmallVectorImpl<TileValue> &yielded);
  Value buildLookup(memref::LoadOp load);
  Value buildGather(memref::LoadOp load, bool onRows, bool onColumns);
  TileValue buildSelect(Location loc, const TileValue &condition,
                        const TileValue &ifTrue, const TileValue &ifFalse);
  /// As a tile; f16 and bf16 as f32.
  Value materializeWide(Location loc, TileValue value);
  /// A divisor without zeros, in whose place no result is defined: LLVM would
  /// conclude that they do not occur, where a guard says that they do.
  Value avoidZero(Location loc, Value divisor);

  OpBuilder &builder;
  UniformValues &uniforms;
  StringRef role;
  int64_t tileQ, tileK;
  TileValue firstQuery, firstKey;
  Value rowLimit, columnLimit;
  /// The conditions of the branches around what is inlined: an i1 and an i1
  /// tile, null for none.
  Value uniformGuard, tileGuard;
  bool guardOnRows = false, guardOnColumns = false;
  llvm::DenseMap<Value, TileValue> values;
};

} // namespace mlir::flash

#endif // FLASH_LIB_CONVERSION_FLASHTOTILE_TILEINLINER_H
