//===- ExpandMath.h - Scalar math to NVPTX instructions ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_CONVERSION_EXPANDMATH_H
#define FLASH_CONVERSION_EXPANDMATH_H

#include "flash/Conversion/Passes.h"

#include <string>

namespace mlir::flash_tile {

/// Why there is no expansion of `op`, an op of math or one of arith that would
/// call libdevice: the end of a sentence that begins with the op's name. Empty
/// where there is one, and for ops that need none.
std::string getMissingExpansion(Operation *op);

/// Replaces every math op and every float division below `root` by NVPTX's
/// approximate instructions and f32 arithmetic. An op without an expansion is
/// an error that names it. See --flash-expand-math for the table and errors.
LogicalResult expandMath(Operation *root);

} // namespace mlir::flash_tile

#endif // FLASH_CONVERSION_EXPANDMATH_H
