//===- MmaOperands.h - Fragments of the operands of a dot -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the fragments of mma.sync come from: registers, ldmatrix, or plain
// loads from shared memory. One dot takes one reader per operand; which one
// depends on how the operand is stored, on its element type and on what the dot
// asks.
//
// Every reader addresses shared memory as the lane's own first byte plus a
// constant: see SharedPointers.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_TILETONVVM_MMAOPERANDS_H
#define FLASH_LIB_CONVERSION_TILETONVVM_MMAOPERANDS_H

#include "MmaInstruction.h"
#include "TileLowering.h"

#include <map>
#include <memory>

namespace mlir::flash_tile {

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

/// Whether the swizzle of a view depends on a row's number modulo 8 only, which
/// all readers rely on.
bool repeatsPerMatrix(ViewType view);

/// Pointers into a swizzled view. A lane starts at (row, byte) of its own; the
/// swizzle flips bits of the number of a 16-byte chunk by bits of the row's
/// number below 8. So a step by rows and chunks is an immediate offset or one
/// of at most eight XOR patterns, whose addresses are computed once.
class SharedPointers {
public:
  /// `lowRow` is the lane's row in 0..7 or null for 0; `row` its whole row,
  /// which differs from `lowRow` by a multiple of 8. `chunk` (null: 0) and
  /// `byte` (null: 0, below 16) place the lane inside its row. The chunks of
  /// all lanes and those that are asked for later have no bit in common, unless
  /// an offset `farChunk` of the whole warp is given.
  SharedPointers(OpBuilder &b, Location loc, ViewType view, Value base,
                 Value lowRow, Value rowStart, Value chunk, Value byte,
                 Value farChunk = {});

  /// The lane's address `rows` further down and `bytes` further along, both
  /// non-negative constants. `rows` modulo 8 has no bit in common with the
  /// lanes' rows.
  Value at(OpBuilder &b, int64_t rows, int64_t bytes);

private:
  int64_t nearMask() const { return (int64_t(1) << bits) - 1; }
  Value pointerFor(OpBuilder &b, int64_t nearChunk, int64_t flip);

  Location loc;
  Value base, rowStart, chunk, laneFlip, farChunk, byte;
  int64_t bytesPerRow, baseBytes = 0, bits = 0, shift = 0;
  std::map<std::pair<int64_t, int64_t>, Value> pointers;
};

//===----------------------------------------------------------------------===//
// Orders
//===----------------------------------------------------------------------===//

/// Which element of the contraction sits in each slot of an instruction.
class ContractionOrder {
public:
  /// `order` maps slots to elements; empty is the identity.
  ContractionOrder(const MmaInstruction &mma, ArrayRef<int64_t> order);

  /// Lane t holds element `laneBits(t) ^ element(half, e)`: t's two bits move
  /// the element by two vectors, wherever in the fragment it is. False for an
  /// order that no such vectors describe.
  bool isLinear() const { return linear; }
  ArrayRef<int64_t> laneVectors() const { return lanes; }
  /// The element of lane t = 0 in element `e` of half `half` of the depth.
  int64_t element(int64_t half, int64_t e) const {
    return order[mma.slot(half, e)];
  }
  /// The element in a slot of the whole depth.
  int64_t operator[](int64_t slot) const { return order[slot]; }
  bool isIdentity() const;

private:
  MmaInstruction mma;
  SmallVector<int64_t> order;
  SmallVector<int64_t, 2> lanes;
  bool linear = true;
};

/// Where the eight columns of an instruction lie in the accumulator's tile: a
/// vector for each bit of the column's number. {1, 2, 4} is in order; {2, 4, 8}
/// takes every other column of sixteen.
struct ColumnOrder {
  SmallVector<int64_t, 3> vectors;
  bool isInOrder() const { return vectors == SmallVector<int64_t, 3>{1, 2, 4}; }
  bool isEveryOther() const {
    return vectors == SmallVector<int64_t, 3>{2, 4, 8};
  }
  /// That of a layout whose lanes are those of an accumulator; nullopt for
  /// another one.
  static std::optional<ColumnOrder> get(const Distribution &accumulator);
};

//===----------------------------------------------------------------------===//
// Readers
//===----------------------------------------------------------------------===//

/// Fragments of A: 16 rows and one step of depth at (row, k).
class AFragments {
public:
  virtual ~AFragments() = default;
  virtual SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t k) = 0;
};

/// Fragments of B for one or two column atoms at a time.
class BFragments {
public:
  virtual ~BFragments() = default;
  /// How many consecutive atoms one read serves best: 1 or 2.
  virtual unsigned atomsPerRead() const = 0;
  /// Two registers for each of the atoms whose first columns are `columns`
  /// (one, or two neighbours), at depth `k`.
  virtual SmallVector<Value> read(OpBuilder &b, int64_t k,
                                  ArrayRef<int64_t> columns) = 0;
};

/// Everything a reader of a view needs to know.
struct ViewOperand {
  ViewType type;
  Value base;
  MmaInstruction mma;
  const ThreadIds &ids;
  /// The warp's first row (A) or column (B) of the accumulator; null for 0.
  Value warpOffset;
};

/// Registers of an A operand; null if the tile's layout is not that of the
/// instruction's A under `order`. Integers have a register each and are packed
/// as they are read.
std::unique_ptr<AFragments> registersOfA(Location loc, LayoutAttr layout,
                                         ValueRange registers,
                                         const MmaInstruction &mma,
                                         const ContractionOrder &order);

/// A view M x K, by ldmatrix or by plain loads.
std::unique_ptr<AFragments> matricesOfA(OpBuilder &b, Location loc,
                                        const ViewOperand &operand);
std::unique_ptr<AFragments> plainA(OpBuilder &b, Location loc,
                                   const ViewOperand &operand);

/// A view N x K. `oddAtoms`: the last atom has no neighbour.
std::unique_ptr<BFragments> matricesOfTransposedB(OpBuilder &b, Location loc,
                                                  const ViewOperand &operand,
                                                  bool oddAtoms);
std::unique_ptr<BFragments> plainTransposedB(OpBuilder &b, Location loc,
                                             const ViewOperand &operand);

/// A view K x N. Matrices: 16-bit elements, everything in order; or 8-bit
/// elements, every other column and any linear order. Plain loads take any type
/// and linear order.
std::unique_ptr<BFragments> matricesOfB(OpBuilder &b, Location loc,
                                        const ViewOperand &operand,
                                        const ContractionOrder &order);
std::unique_ptr<BFragments> plainB(OpBuilder &b, Location loc,
                                   const ViewOperand &operand,
                                   const ContractionOrder &order,
                                   const ColumnOrder &columns);

} // namespace mlir::flash_tile

#endif // FLASH_LIB_CONVERSION_TILETONVVM_MMAOPERANDS_H
