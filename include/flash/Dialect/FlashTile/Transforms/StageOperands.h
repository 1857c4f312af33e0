//===- StageOperands.h - Computed operands through shared memory *- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEOPERANDS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEOPERANDS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {

/// Brings the computed A operands of products on FMA units whose B lies in
/// shared memory through shared memory as well; see
/// `--flash-tile-stage-operands`.
void stageOperands(FunctionOpInterface func);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEOPERANDS_H
