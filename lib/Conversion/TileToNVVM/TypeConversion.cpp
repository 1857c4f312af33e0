//===- TypeConversion.cpp - Tile types to the registers of one thread -----===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

namespace mlir::flash_tile {

unsigned elementsPerValue(Type elementType) {
  unsigned bits = elementType.getIntOrFloatBitWidth();
  bool packs = isa<FloatType>(elementType) && (bits == 8 || bits == 16);
  return packs ? 32 / bits : 1;
}

Value packIntegers(OpBuilder &b, Location loc, ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts.front();
  Value packed;
  unsigned bits = parts.front().getType().getIntOrFloatBitWidth();
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value wide = arith::ExtUIOp::create(b, loc, b.getI32Type(), part);
    if (i)
      wide = arith::ShLIOp::create(b, loc, wide,
                                   i32Constant(b, loc, int64_t(i * bits)));
    packed =
        packed ? arith::OrIOp::create(b, loc, packed, wide).getResult() : wide;
  }
  return packed;
}

Value unpackInteger(OpBuilder &b, Location loc, Value packed, unsigned first,
                    unsigned bits) {
  if (first)
    packed = arith::ShRUIOp::create(b, loc, packed, i32Constant(b, loc, first));
  if (bits == 32)
    return packed;
  return arith::TruncIOp::create(b, loc, b.getIntegerType(bits), packed);
}

TileTypeConverter::TileTypeConverter() {
  addConversion([](Type type) { return type; });
  addConversion([](RankedTensorType type, SmallVectorImpl<Type> &result)
                    -> std::optional<LogicalResult> {
    LayoutAttr layout = getLayout(type);
    if (!layout)
      return failure();
    unsigned registers = Distribution(layout).numRegisters();
    if (unsigned share = elementsPerValue(type.getElementType()); share > 1) {
      if (registers % share)
        return failure();
      result.append(registers / share, IntegerType::get(type.getContext(), 32));
    } else {
      result.append(registers, type.getElementType());
    }
    return success();
  });
  addConversion(
      [](MemRefType type,
         SmallVectorImpl<Type> &result) -> std::optional<LogicalResult> {
        MLIRContext *context = type.getContext();
        result.push_back(LLVM::LLVMPointerType::get(context, kGlobalSpace));
        result.append(2 * type.getRank(), IndexType::get(context));
        return success();
      });
  // First element, strides in elements, and how many rows and columns exist.
  addConversion([](GlobalTileType type, SmallVectorImpl<Type> &result)
                    -> std::optional<LogicalResult> {
    MLIRContext *context = type.getContext();
    result.push_back(LLVM::LLVMPointerType::get(context, kGlobalSpace));
    result.append(2, IndexType::get(context));
    result.append(2, IntegerType::get(context, 32));
    return success();
  });
  auto shared = [](MLIRContext *context) -> Type {
    return LLVM::LLVMPointerType::get(context, kSharedSpace);
  };
  addConversion([=](BufferType type) { return shared(type.getContext()); });
  addConversion([=](ViewType type) { return shared(type.getContext()); });
  // An asynchronous copy keeps no value in flight but where it will land.
  addConversion([=](FutureType type) -> std::optional<Type> {
    if (!isa<ViewType>(type.getValueType()))
      return Type();
    return shared(type.getContext());
  });
  auto cast = [](OpBuilder &b, Type type, ValueRange inputs,
                 Location loc) -> Value {
    return UnrealizedConversionCastOp::create(b, loc, type, inputs)
        .getResult(0);
  };
  addSourceMaterialization(cast);
  addTargetMaterialization([](OpBuilder &b, TypeRange types, ValueRange inputs,
                              Location loc, Type) -> SmallVector<Value> {
    auto op = UnrealizedConversionCastOp::create(b, loc, types, inputs);
    return llvm::to_vector_of<Value>(op.getResults());
  });
}

} // namespace mlir::flash_tile
