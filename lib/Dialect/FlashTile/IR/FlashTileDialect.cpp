//===- FlashTileDialect.cpp - The flash_tile dialect
//------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::flash_tile;

#include "flash/Dialect/FlashTile/IR/FlashTileDialect.cpp.inc"
#include "flash/Dialect/FlashTile/IR/FlashTileEnums.cpp.inc"

void FlashTileDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "flash/Dialect/FlashTile/IR/FlashTileOps.cpp.inc"
      >();
}
