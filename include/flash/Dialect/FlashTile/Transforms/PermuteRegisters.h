//===- PermuteRegisters.h - Layout conversions in registers -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {

/// Decides every `convert_layout` of a function that is not decided yet: the
/// cheapest way of solveLayoutConversion(), written into the program. Says
/// which, and why no cheaper one, in a remark.
LogicalResult permuteRegisters(FunctionOpInterface func);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H
