//===- AssignLayouts.h - Give every register tile a layout ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_ASSIGNLAYOUTS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_ASSIGNLAYOUTS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::flash_tile {

/// Gives every register tile of a kernel a layout for mma.sync m16n8k16 with
/// all warps along the rows, inserting `convert_layout` where a dot wants its A
/// operand in another layout than the tile's class has. See
/// --flash-tile-assign-layouts.
LogicalResult assignLayouts(gpu::GPUFuncOp func);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_ASSIGNLAYOUTS_H
