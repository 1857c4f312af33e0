//===- AnalyzeMask.cpp - Remarks on what a mask leaves of the keys --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/MaskAnalysis.h"
#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/Flash/Transforms/Passes.h"

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHANALYZEMASK
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;

namespace {
struct AnalyzeMaskPass : flash::impl::FlashAnalyzeMaskBase<AnalyzeMaskPass> {
  using FlashAnalyzeMaskBase::FlashAnalyzeMaskBase;

  void runOnOperation() override {
    for (auto [name, tile] :
         {std::pair("tile-q", int64_t(tileQ)), {"tile-k", int64_t(tileK)}})
      if (tile <= 0) {
        getOperation()->emitError()
            << "option " << name << ": expected a positive number, got "
            << tile;
        return signalPassFailure();
      }
    getOperation()->walk([&](AttentionOp op) {
      if (op.isVarlen() || op.isPaged()) {
        emitRemark(op.getLoc())
            << "mask: every sequence has its own sizes; not analysed";
        return;
      }
      MaskRanges ranges =
          analyzeMask(op.getMask(), getMaskTiling(op, tileQ, tileK));
      for (const auto &[loc, text] : ranges.remarks)
        emitRemark(loc) << text;
      emitRemark(op.getLoc()) << "tiles of " << ranges.tiling.tileQ << " x "
                              << ranges.tiling.tileK << ": " << ranges.str();
    });
    markAllAnalysesPreserved();
  }
};
} // namespace
