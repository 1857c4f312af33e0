//===- FmaOperands.h - Operands of products on FMA units --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How one thread gets at the elements of a dot's operand that it multiplies: in
// shared memory, in global memory, or in its own registers; always as f32.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_TILETONVVM_FMAOPERANDS_H
#define FLASH_LIB_CONVERSION_TILETONVVM_FMAOPERANDS_H

#include "TileLowering.h"

namespace mlir::flash_tile {

/// One operand, seen from one thread. A coordinate is the sum of the thread's
/// own part, what a loop around the reads adds, and a constant.
class FmaOperand {
public:
  virtual ~FmaOperand() = default;
  /// Sets what the loop adds to row and column, i32; null stands for zero.
  virtual void moveTo(OpBuilder &b, Value row, Value col) = 0;
  /// `count` neighbours along the columns, from (row, col) on.
  virtual SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t col,
                                  unsigned count) = 0;
  /// i1: (row, ...) lies inside what exists; null if it does for certain.
  virtual Value rowExists(OpBuilder &b, int64_t row) { return {}; }
  /// Computes in front of a loop what reads of `rows` in it have in common.
  virtual void prepare(OpBuilder &b, ArrayRef<int64_t> rows) {}
  /// i1: every element of the tile exists; null if they do for certain.
  virtual Value allExist(OpBuilder &b) { return {}; }
  /// Whether reads check that their row and their column exist.
  virtual void setChecks(bool rows, bool cols) {}
  /// Most neighbours that one read should ask for.
  virtual unsigned maxRun() const = 0;
};

/// A shared-memory view, in reads of up to 16 bytes.
class SharedFmaOperand : public FmaOperand {
public:
  /// `row` and `col` are the thread's part; null stands for zero.
  SharedFmaOperand(OpBuilder &b, Location loc, ViewType view, Value base,
                   Value row, Value col);
  void moveTo(OpBuilder &b, Value row, Value col) override;
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t col,
                          unsigned count) override;
  unsigned maxRun() const override { return 16 / elementBytes; }

private:
  Location loc;
  ViewType view;
  Value base, threadRow, threadCol;
  /// Without a swizzle: the address of the thread's part, and that with the
  /// loop's; every read is then an immediate offset.
  Value threadPointer, loopPointer;
  Value loopRow, loopCol;
  bool isSwizzled;
  unsigned elementBytes;
};

/// A tile left in global memory, element by element: any stride, any alignment.
class GlobalFmaOperand : public FmaOperand {
public:
  /// `converted` is what the type conversion makes of a global tile.
  GlobalFmaOperand(OpBuilder &b, Location loc, GlobalTileType type,
                   ValueRange converted, Value row, Value col);
  void moveTo(OpBuilder &b, Value row, Value col) override;
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t col,
                          unsigned count) override;
  Value rowExists(OpBuilder &b, int64_t row) override;
  void prepare(OpBuilder &b, ArrayRef<int64_t> rows) override;
  Value allExist(OpBuilder &b) override;
  void setChecks(bool rows, bool cols) override {
    checksRows = rows;
    checksCols = cols;
  }
  unsigned maxRun() const override { return 1; }

private:
  Value exists(OpBuilder &b, Value thread, Value loop, int64_t at, Value valid,
               int64_t extent);
  Value rowPointer(OpBuilder &b, int64_t row);

  Location loc;
  GlobalTileType type;
  Value pointer, rowStride, colStride, validRows, validCols;
  Value threadRow, threadCol, loopRow, loopCol;
  DenseMap<int64_t, Value> prepared;
  bool checksRows = true, checksCols = true;
};

/// A register tile of which every thread holds whole rows; no loop.
class RegisterFmaOperand : public FmaOperand {
public:
  RegisterFmaOperand(Location loc, RankedTensorType type, ValueRange registers);
  void moveTo(OpBuilder &, Value, Value) override {}
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t col,
                          unsigned count) override;
  unsigned maxRun() const override { return 1; }
  /// Whether each thread holds, for its rows of an accumulator in `acc`, all
  /// columns of the tile.
  static bool fits(RankedTensorType type, LayoutAttr acc);

private:
  Location loc;
  Type elementType;
  Distribution distribution;
  ValueRange registers;
};

} // namespace mlir::flash_tile

#endif // FLASH_LIB_CONVERSION_TILETONVVM_FMAOPERANDS_H
