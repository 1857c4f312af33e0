//===- MaskTiling.cpp - Problem and tiles of an attention ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/MaskAnalysis.h"
#include "flash/Dialect/Flash/IR/Flash.h"

using namespace mlir;
using namespace mlir::flash;

MaskTiling mlir::flash::getMaskTiling(AttentionOp op, int64_t tileQ,
                                      int64_t tileK) {
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
