//===- MmaInstruction.cpp - mma.sync of one element type ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MmaInstruction.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"

namespace mlir::flash_tile {

std::optional<MmaInstruction> MmaInstruction::get(Type type) {
  if (isa<Float16Type, BFloat16Type>(type))
    return MmaInstruction(type, 2);
  if (type.isF32())
    return MmaInstruction(type, 4);
  if (isa<Float8E4M3FNType, Float8E5M2Type>(type) || type.isSignlessInteger(8))
    return MmaInstruction(type, 1);
  return std::nullopt;
}

Type MmaInstruction::accumulatorType() const {
  MLIRContext *context = type.getContext();
  return type.isInteger() ? Type(IntegerType::get(context, 32))
                          : Type(Float32Type::get(context));
}

Value MmaInstruction::prepare(OpBuilder &b, Location loc,
                              Value fragment) const {
  if (!type.isF32() || !fragment.getType().isF32())
    return fragment;
  return NVVM::ConvertFloatToTF32Op::create(b, loc, b.getI32Type(), fragment,
                                            NVVM::FPRoundingMode::RNA);
}

SmallVector<Value> MmaInstruction::multiply(OpBuilder &b, Location loc,
                                            ArrayRef<Value> a,
                                            ArrayRef<Value> bRegisters,
                                            ArrayRef<Value> c) const {
  auto operands = [&](ArrayRef<Value> registers) {
    SmallVector<Value> result;
    for (Value value : registers)
      // mma takes f16 as vector<2xf16>, every other type as i32.
      result.push_back(
          type.isF16()
              ? LLVM::BitcastOp::create(b, loc, VectorType::get(2, type), value)
              : prepare(b, loc, value));
    return result;
  };
  Type resultType = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, accumulatorType()));
  SmallVector<Value> aOperands = operands(a), bOperands = operands(bRegisters);
  Value product;
  if (bytes == 1 && !type.isInteger()) {
    // nvvm.mma.sync does not know the 8-bit floating-point types.
    StringRef name = isa<Float8E4M3FNType>(type)
                         ? "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"
                         : "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32";
    SmallVector<Value> arguments = aOperands;
    llvm::append_range(arguments, bOperands);
    llvm::append_range(arguments, c);
    product = LLVM::CallIntrinsicOp::create(b, loc, resultType,
                                            b.getStringAttr(name), arguments)
                  .getResult(0);
  } else {
    NVVM::MMATypes operandType = type.isF16()    ? NVVM::MMATypes::f16
                                 : type.isBF16() ? NVVM::MMATypes::bf16
                                 : type.isF32()  ? NVVM::MMATypes::tf32
                                                 : NVVM::MMATypes::s8;
    std::optional<NVVM::MMAIntOverflow> overflow;
    if (type.isInteger())
      overflow = NVVM::MMAIntOverflow::wrapped;
    product = NVVM::MmaOp::create(
        b, loc, resultType, aOperands, bOperands, c,
        ArrayRef<int64_t>{16, 8, depth()}, /*b1Op=*/std::nullopt, overflow,
        std::array{operandType, operandType},
        std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  }
  SmallVector<Value> result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, loc, product, i));
  return result;
}

} // namespace mlir::flash_tile
