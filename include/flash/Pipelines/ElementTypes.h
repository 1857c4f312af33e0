//===- ElementTypes.h - Types of MLIR and of the runtime --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_PIPELINES_ELEMENTTYPES_H
#define FLASH_PIPELINES_ELEMENTTYPES_H

#include "flash/Runtime/DType.h"
#include "mlir/IR/BuiltinTypes.h"
#include <optional>

namespace mlir::flash {

/// The MLIR type of an element; integers are signless.
Type getElementType(MLIRContext *context, ::flash::runtime::DType dtype);

/// How the runtime stores elements of `type`: floats, signless integers of 1
/// (a byte each), 8, 16, 32 and 64 bits, and `index` as 64 bits. Nothing for
/// what no array of the runtime holds.
std::optional<::flash::runtime::DType> getDType(Type type);

} // namespace mlir::flash

#endif // FLASH_PIPELINES_ELEMENTTYPES_H
