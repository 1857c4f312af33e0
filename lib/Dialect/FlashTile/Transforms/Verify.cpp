//===- Verify.cpp - Check whole tile programs -----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/Program.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEVERIFY
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;

namespace {
struct VerifyPass : flash_tile::impl::FlashTileVerifyBase<VerifyPass> {
  void runOnOperation() override {
    WalkResult result =
        getOperation()->walk([](FunctionOpInterface function) -> WalkResult {
          return flash_tile::verifyProgram(function);
        });
    if (result.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
