//===- SplitBands.h - One loop per mask band --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_SPLITBANDS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_SPLITBANDS_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::flash_tile {

/// Splits `loop` at the bounds of the `in_range` ops on its induction variable
/// into loops in which they are constants, and folds what depends on them.
/// Returns the loops in the order in which they run; the loop itself if there
/// is nothing to split. Empty bands are loops that run zero times.
SmallVector<scf::ForOp> splitBands(scf::ForOp loop);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_SPLITBANDS_H
