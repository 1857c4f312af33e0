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

/// The tiling of `op` under its schedule or, without one, the tiles given.
static MaskTiling getTiling(AttentionOp op, int64_t tileQ, int64_t tileK) {
  MaskTiling tiling;
  ScheduleAttr schedule = op.getScheduleAttr();
  tiling.tileQ = schedule ? schedule.getTileQ() : tileQ;
  tiling.tileK = schedule ? schedule.getTileK() : tileK;
  if (!op.getQueryType().isDynamicDim(2))
    tiling.queries = op.getQueryType().getDimSize(2);
  if (!op.getKeyType().isDynamicDim(2))
    tiling.keys = op.getKeyType().getDimSize(2);
  tiling.alignment = op.getStaticAlignment();
  tiling.ownAlignment = static_cast<bool>(op.getAlignment());
  tiling.offsetQ = static_cast<bool>(op.getOffsetQ());
  tiling.offsetK = static_cast<bool>(op.getOffsetK());
  return tiling;
}

namespace {
struct AnalyzeMaskPass : flash::impl::FlashAnalyzeMaskBase<AnalyzeMaskPass> {
  using FlashAnalyzeMaskBase::FlashAnalyzeMaskBase;

  void runOnOperation() override {
    getOperation()->walk([&](AttentionOp op) {
      if (op.isVarlen() || op.isPaged()) {
        emitRemark(op.getLoc())
            << "mask: every sequence has its own sizes; not analysed";
        return;
      }
      MaskRanges ranges =
          analyzeMask(op.getMask(), getTiling(op, tileQ, tileK));
      for (const auto &[loc, text] : ranges.remarks)
        emitRemark(loc) << text;
      emitRemark(op.getLoc()) << "tiles of " << ranges.tiling.tileQ << " x "
                              << ranges.tiling.tileK << ": " << ranges.str();
    });
    markAllAnalysesPreserved();
  }
};
} // namespace
