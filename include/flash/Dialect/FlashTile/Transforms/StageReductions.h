//===- StageReductions.h - Lanes combined in shared memory ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEREDUCTIONS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEREDUCTIONS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {

/// Gives every reduction whose rows lie in several threads a scratch view, if
/// the function's schedule asks for trees; see `--flash-tile-stage-reductions`.
void stageReductions(FunctionOpInterface func);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEREDUCTIONS_H
