//===- Passes.h - Passes on the flash_tile dialect --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"

namespace mlir::flash_tile {

#define GEN_PASS_DECL
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_H
