//===- Addressing.cpp - Addresses of tile elements ------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/IR/BuiltinTypes.h"

namespace mlir::flash_tile {

Value i32Constant(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 32);
}

Value indexConstant(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value addI32(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (!lhs || !rhs)
    return lhs ? lhs : rhs;
  return arith::AddIOp::create(b, loc, lhs, rhs);
}

Value addI32(OpBuilder &b, Location loc, Value lhs, int64_t rhs) {
  if (lhs && rhs == 0)
    return lhs;
  return addI32(b, loc, lhs, i32Constant(b, loc, rhs));
}

Value toIndex(OpBuilder &b, Location loc, Value value) {
  return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), value);
}

Value advance(OpBuilder &b, Location loc, Value pointer, Type elementType,
              Value offset) {
  if (offset.getType().isIndex())
    offset = arith::IndexCastOp::create(b, loc, b.getI64Type(), offset);
  // LLVM knows no 8-bit floats.
  if (isa<FloatType>(elementType) && elementType.getIntOrFloatBitWidth() == 8)
    elementType = b.getI8Type();
  return LLVM::GEPOp::create(b, loc, pointer.getType(), elementType, pointer,
                             ArrayRef<LLVM::GEPArg>{offset});
}

Value advanceBytes(OpBuilder &b, Location loc, Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return LLVM::GEPOp::create(b, loc, pointer.getType(), b.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
}

//===----------------------------------------------------------------------===//
// StridedMemory
//===----------------------------------------------------------------------===//

StridedMemory::StridedMemory(MemRefType type, ValueRange converted)
    : type(type), pointer(converted.front()),
      extents(converted.slice(1, type.getRank())),
      strides(converted.slice(1 + type.getRank(), type.getRank())) {}

int64_t StridedMemory::elementBytes() const {
  // An i1 is stored as a byte.
  return llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

std::optional<int64_t> StridedMemory::staticExtent(int64_t dim) const {
  if (type.isDynamicDim(dim))
    return std::nullopt;
  return type.getDimSize(dim);
}

std::optional<int64_t> StridedMemory::staticStride(int64_t dim) const {
  auto [staticStrides, offset] = type.getStridesAndOffset();
  if (ShapedType::isDynamic(staticStrides[dim]))
    return std::nullopt;
  return staticStrides[dim];
}

Value StridedMemory::elementPointer(OpBuilder &b, Location loc,
                                    ValueRange indices) const {
  Value offset;
  for (auto [i, index] : llvm::enumerate(indices)) {
    if (isConstantIntValue(index, 0))
      continue;
    Value term = staticStride(i) == 1
                     ? index
                     : arith::MulIOp::create(b, loc, index, strides[i]);
    offset = offset ? arith::AddIOp::create(b, loc, offset, term) : term;
  }
  if (!offset)
    return pointer;
  return advance(b, loc, pointer, type.getElementType(), offset);
}

Value StridedMemory::rowsAligned(OpBuilder &b, Location loc, ValueRange indices,
                                 int64_t tileRank, int64_t bytes) const {
  int64_t rank = type.getRank();
  Type i64 = b.getI64Type();
  Value base = elementPointer(b, loc, indices.drop_back(tileRank));
  Value bits = LLVM::PtrToIntOp::create(b, loc, i64, base);
  auto orBytes = [&](Value elements) {
    Value wide = arith::IndexCastOp::create(b, loc, i64, elements);
    Value scaled = arith::MulIOp::create(
        b, loc, wide, arith::ConstantIntOp::create(b, loc, elementBytes(), 64));
    bits = arith::OrIOp::create(b, loc, bits, scaled);
  };
  for (int64_t d = rank - tileRank; d < rank - 1; ++d)
    orBytes(strides[d]);
  // A column offset that is a multiple of the width keeps the alignment.
  if (!isConstantIntValue(indices.back(), 0))
    orBytes(indices.back());
  Value low = arith::AndIOp::create(
      b, loc, bits, arith::ConstantIntOp::create(b, loc, bytes - 1, 64));
  Value aligned =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, low,
                            arith::ConstantIntOp::create(b, loc, 0, 64));
  if (staticStride(rank - 1) == 1)
    return aligned;
  Value unit =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, strides[rank - 1],
                            indexConstant(b, loc, 1));
  return arith::AndIOp::create(b, loc, aligned, unit);
}

Value StridedMemory::validExtent(OpBuilder &b, Location loc, int64_t dim,
                                 Value index, int64_t tileExtent) const {
  Value left = arith::SubIOp::create(b, loc, extents[dim], index);
  left =
      arith::MinSIOp::create(b, loc, left, indexConstant(b, loc, tileExtent));
  left = arith::MaxSIOp::create(b, loc, left, indexConstant(b, loc, 0));
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), left);
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

int64_t rowBytes(ViewType view) {
  return view.getShape().back() *
         llvm::divideCeil(view.getElementType().getIntOrFloatBitWidth(), 8);
}

Value sharedByteOffset(OpBuilder &b, Location loc, ViewType view,
                       Value threadRow, int64_t row, Value threadCol,
                       int64_t col) {
  int64_t elementBytes = view.getElementType().getIntOrFloatBitWidth() / 8;
  auto constant = [&](int64_t value) { return i32Constant(b, loc, value); };
  Value fullRow = addI32(b, loc, threadRow, row);
  Value rowStart =
      arith::MulIOp::create(b, loc, fullRow, constant(rowBytes(view)));
  Value column = arith::MulIOp::create(b, loc, addI32(b, loc, threadCol, col),
                                       constant(elementBytes));
  if (SwizzleAttr swizzle = view.getSwizzle(); swizzle && swizzle.getBits()) {
    // The chunk number is bits 4 and up of the byte offset inside the row.
    Value flip = arith::AndIOp::create(
        b, loc,
        arith::ShRUIOp::create(b, loc, fullRow, constant(swizzle.getShift())),
        constant((int64_t(1) << swizzle.getBits()) - 1));
    column = arith::XOrIOp::create(
        b, loc, column, arith::ShLIOp::create(b, loc, flip, constant(4)));
  }
  return arith::AddIOp::create(b, loc, rowStart, column);
}

} // namespace mlir::flash_tile
