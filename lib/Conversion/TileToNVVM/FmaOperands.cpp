//===- FmaOperands.cpp - Operands of products on FMA units ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FmaOperands.h"

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::flash_tile {

/// The f32 of one 16-bit element that stands in the low or high half of an i32.
/// bf16 is the upper half of an f32: a shift or a mask.
static Value extendHalf(OpBuilder &b, Location loc, Value word, Type type,
                        bool high) {
  Type f32 = b.getF32Type();
  if (type.isBF16()) {
    Value bits =
        high ? arith::AndIOp::create(b, loc, word,
                                     i32Constant(b, loc, int32_t(0xffff0000)))
                   .getResult()
             : arith::ShLIOp::create(b, loc, word, i32Constant(b, loc, 16));
    return LLVM::BitcastOp::create(b, loc, f32, bits);
  }
  Value pair = LLVM::BitcastOp::create(b, loc, VectorType::get(2, type), word);
  Value element =
      LLVM::ExtractElementOp::create(b, loc, pair, i32Constant(b, loc, high));
  return arith::ExtFOp::create(b, loc, f32, element);
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

SharedFmaOperand::SharedFmaOperand(OpBuilder &b, Location loc, ViewType view,
                                   Value base, Value row, Value col)
    : loc(loc), view(view), base(base), threadRow(row), threadCol(col),
      isSwizzled(view.getSwizzle() && view.getSwizzle().getBits()),
      elementBytes(view.getElementType().getIntOrFloatBitWidth() / 8) {
  if (isSwizzled)
    return;
  threadPointer = base;
  if (row || col)
    threadPointer = advance(b, loc, base, b.getI8Type(),
                            sharedByteOffset(b, loc, view, row, 0, col, 0));
}

void SharedFmaOperand::moveTo(OpBuilder &b, Value row, Value col) {
  loopRow = row;
  loopCol = col;
  if (isSwizzled)
    return;
  loopPointer = threadPointer;
  if (row || col)
    loopPointer = advance(b, loc, threadPointer, b.getI8Type(),
                          sharedByteOffset(b, loc, view, row, 0, col, 0));
}

SmallVector<Value> SharedFmaOperand::read(OpBuilder &b, int64_t row,
                                          int64_t col, unsigned count) {
  Value pointer;
  if (isSwizzled)
    pointer = advance(
        b, loc, base, b.getI8Type(),
        sharedByteOffset(b, loc, view, addI32(b, loc, threadRow, loopRow), row,
                         addI32(b, loc, threadCol, loopCol), col));
  else
    pointer = advanceBytes(b, loc, loopPointer,
                           row * rowBytes(view) + col * elementBytes);
  const unsigned bytes = count * elementBytes;
  Type element = view.getElementType();
  SmallVector<Value> values;
  if (bytes < 4) {
    Value raw = LLVM::LoadOp::create(b, loc, b.getI16Type(), pointer, bytes);
    Value word = arith::ExtUIOp::create(b, loc, b.getI32Type(), raw);
    return {extendHalf(b, loc, word, element, /*high=*/false)};
  }
  Type part = element.isF32() ? element : b.getI32Type();
  const unsigned words = bytes / 4;
  Value loaded = LLVM::LoadOp::create(
      b, loc, words == 1 ? part : VectorType::get(words, part), pointer, bytes);
  for (unsigned i = 0; i < words; ++i) {
    Value word = words == 1 ? loaded
                            : LLVM::ExtractElementOp::create(
                                  b, loc, loaded, i32Constant(b, loc, i))
                                  .getResult();
    if (element.isF32()) {
      values.push_back(word);
      continue;
    }
    for (bool high : {false, true})
      values.push_back(extendHalf(b, loc, word, element, high));
  }
  return values;
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

GlobalFmaOperand::GlobalFmaOperand(OpBuilder &b, Location loc,
                                   GlobalTileType type, ValueRange converted,
                                   Value row, Value col)
    : loc(loc), type(type), pointer(converted[0]), rowStride(converted[1]),
      colStride(converted[2]), validRows(converted[3]), validCols(converted[4]),
      threadRow(row), threadCol(col) {
  auto move = [&](Value by, Value stride) {
    if (by)
      pointer =
          advance(b, loc, pointer, type.getElementType(),
                  arith::MulIOp::create(b, loc, toIndex(b, loc, by), stride));
  };
  move(row, rowStride);
  move(col, colStride);
}

void GlobalFmaOperand::moveTo(OpBuilder &, Value row, Value col) {
  loopRow = row;
  loopCol = col;
}

Value GlobalFmaOperand::exists(OpBuilder &b, Value thread, Value loop,
                               int64_t at, Value valid, int64_t extent) {
  if (isConstantIntValue(valid, extent))
    return {};
  Value position = addI32(b, loc, addI32(b, loc, thread, loop), at);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                               position ? position : i32Constant(b, loc, at),
                               valid);
}

Value GlobalFmaOperand::rowExists(OpBuilder &b, int64_t row) {
  return exists(b, threadRow, loopRow, row, validRows, type.getShape()[0]);
}

Value GlobalFmaOperand::allExist(OpBuilder &b) {
  Value all;
  for (auto [valid, extent] : {std::pair(validRows, type.getShape()[0]),
                               std::pair(validCols, type.getShape()[1])}) {
    if (isConstantIntValue(valid, extent))
      continue;
    Value one = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, valid,
                                      i32Constant(b, loc, extent));
    all = all ? arith::AndIOp::create(b, loc, all, one) : one;
  }
  return all;
}

/// Where the thread's part of row `row` begins, the loop's part left out.
Value GlobalFmaOperand::rowPointer(OpBuilder &b, int64_t row) {
  if (row == 0)
    return pointer;
  return advance(
      b, loc, pointer, type.getElementType(),
      arith::MulIOp::create(b, loc, rowStride, indexConstant(b, loc, row)));
}

void GlobalFmaOperand::prepare(OpBuilder &b, ArrayRef<int64_t> rows) {
  for (int64_t row : rows)
    prepared[row] = rowPointer(b, row);
}

SmallVector<Value> GlobalFmaOperand::read(OpBuilder &b, int64_t row,
                                          int64_t col, unsigned count) {
  Type element = type.getElementType();
  const unsigned bytes = element.getIntOrFloatBitWidth() / 8;
  Type raw = element.isF32() ? element : b.getI16Type();
  auto load = [&](OpBuilder &in, int64_t at) -> Value {
    Value from = prepared.lookup(row);
    if (!from)
      from = rowPointer(in, row);
    auto move = [&](Value by, Value stride) {
      if (!isConstantIntValue(stride, 1))
        by = arith::MulIOp::create(in, loc, by, stride);
      from = advance(in, loc, from, element, by);
    };
    if (loopRow)
      move(toIndex(in, loc, loopRow), rowStride);
    if (loopCol)
      move(toIndex(in, loc, loopCol), colStride);
    if (at && isConstantIntValue(colStride, 1))
      from = advanceBytes(in, loc, from, at * bytes);
    else if (at)
      move(indexConstant(in, loc, at), colStride);
    return LLVM::LoadOp::create(in, loc, raw, from, bytes);
  };
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; ++i) {
    Value inRow = checksRows ? rowExists(b, row) : Value();
    Value inCol = checksCols ? exists(b, threadCol, loopCol, col + i, validCols,
                                      type.getShape()[1])
                             : Value();
    Value inside = inRow ? inRow : inCol;
    if (inRow && inCol)
      inside = arith::AndIOp::create(b, loc, inRow, inCol);
    Value value;
    if (inside) {
      auto branch = scf::IfOp::create(b, loc, TypeRange{raw}, inside,
                                      /*withElse=*/true);
      OpBuilder then = branch.getThenBodyBuilder(b.getListener());
      scf::YieldOp::create(then, loc, load(then, col + i));
      OpBuilder other = branch.getElseBodyBuilder(b.getListener());
      scf::YieldOp::create(
          other, loc,
          arith::ConstantOp::create(other, loc, other.getZeroAttr(raw))
              .getResult());
      value = branch.getResult(0);
    } else {
      value = load(b, col + i);
    }
    if (!element.isF32())
      value = extendHalf(b, loc,
                         arith::ExtUIOp::create(b, loc, b.getI32Type(), value),
                         element, /*high=*/false);
    values.push_back(value);
  }
  return values;
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

RegisterFmaOperand::RegisterFmaOperand(Location loc, RankedTensorType type,
                                       ValueRange registers)
    : loc(loc), elementType(type.getElementType()),
      distribution(getLayout(type)), registers(registers) {}

SmallVector<Value> RegisterFmaOperand::read(OpBuilder &b, int64_t row,
                                            int64_t col, unsigned count) {
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; ++i) {
    unsigned r = *distribution.registerAt({row, col + i});
    values.push_back(elementType.isF32()
                         ? registers[r]
                         : extendHalf(b, loc, registers[r / 2], elementType,
                                      /*high=*/r % 2));
  }
  return values;
}

bool RegisterFmaOperand::fits(RankedTensorType type, LayoutAttr acc) {
  LayoutAttr layout = getLayout(type);
  if (!layout || layout.getRank() != 2)
    return false;
  // Rows move with lanes and warps alike; columns with neither.
  const Layout tile = Layout::fromAttr(layout), rows = Layout::fromAttr(acc);
  if (tile.numWarps() != rows.numWarps())
    return false;
  for (int64_t warp = 0; warp < tile.numWarps(); ++warp)
    for (int64_t lane = 0; lane < Layout::numLanes(); ++lane) {
      SmallVector<int64_t> at = tile.coordinates(0, lane, warp);
      if (at[0] != rows.coordinates(0, lane, warp)[0] || at[1] != 0)
        return false;
    }
  Distribution own(layout), accumulator(acc);
  for (unsigned r = 0; r < accumulator.numRegisters(); ++r)
    for (int64_t k = 0; k < type.getDimSize(1); ++k)
      if (!own.registerAt({accumulator.offset(r)[0], k}))
        return false;
  return true;
}

} // namespace mlir::flash_tile
