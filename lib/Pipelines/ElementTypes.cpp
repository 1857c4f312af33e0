//===- ElementTypes.cpp - Types of MLIR and of the runtime ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/ElementTypes.h"

using namespace mlir;
using ::flash::runtime::DType;

Type mlir::flash::getElementType(MLIRContext *context, DType dtype) {
  switch (dtype) {
  case DType::F16:
    return Float16Type::get(context);
  case DType::BF16:
    return BFloat16Type::get(context);
  case DType::F32:
    return Float32Type::get(context);
  case DType::TF32:
    return FloatTF32Type::get(context);
  case DType::E4M3:
    return Float8E4M3FNType::get(context);
  case DType::E5M2:
    return Float8E5M2Type::get(context);
  case DType::F64:
    return Float64Type::get(context);
  case DType::Bool:
    return IntegerType::get(context, 1);
  case DType::I8:
  case DType::U8:
    return IntegerType::get(context, 8);
  case DType::I16:
  case DType::U16:
    return IntegerType::get(context, 16);
  case DType::I32:
  case DType::U32:
    return IntegerType::get(context, 32);
  case DType::I64:
  case DType::U64:
    return IntegerType::get(context, 64);
  }
  llvm_unreachable("every element type is listed");
}

std::optional<DType> mlir::flash::getDType(Type type) {
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  if (type.isF32())
    return DType::F32;
  if (type.isF64())
    return DType::F64;
  if (type.isTF32())
    return DType::TF32;
  if (isa<Float8E4M3FNType>(type))
    return DType::E4M3;
  if (isa<Float8E5M2Type>(type))
    return DType::E5M2;
  if (type.isIndex())
    return DType::I64;
  if (!type.isSignlessInteger())
    return std::nullopt;
  switch (type.getIntOrFloatBitWidth()) {
  case 1:
    return DType::Bool;
  case 8:
    return DType::I8;
  case 16:
    return DType::I16;
  case 32:
    return DType::I32;
  case 64:
    return DType::I64;
  default:
    return std::nullopt;
  }
}
