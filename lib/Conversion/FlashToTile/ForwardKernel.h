//===- ForwardKernel.h - Body of the forward kernel -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_FLASHTOTILE_FORWARDKERNEL_H
#define FLASH_LIB_CONVERSION_FLASHTOTILE_FORWARDKERNEL_H

#include "flash/Analysis/MaskAnalysis.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"

namespace mlir::flash {

/// Values of the kernel that stand for operands of the op. Absent operands are
/// null.
struct ForwardOperands {
  Value query, key, value, output, lse;
  Value scale;
  /// [B, Hq] and [B, Hkv]; null for 1.
  Value queryScale, keyScale, valueScale;
  Value offsetB, offsetH, offsetQ, offsetK;
  Value alignment, heads;
  /// The block map, a memref<?xi32>; null where the mask needs none.
  Value workspace;
  /// One per capture of the op.
  SmallVector<Value> captures;
};

/// CTAs that share the columns of V and O: dv / tile_v of the schedule.
int64_t getNumValueSlices(AttentionOp op);

/// Writes the body of `kernel`'s entry block, up to and with gpu.return, for
/// `op`, whose modifiers are expanded and whose schedule is set. Visits the key
/// tiles of `ranges` or, with a workspace, those of the block map in it. Fails
/// with a diagnostic where a region has no form on tiles.
LogicalResult buildForwardKernel(OpBuilder &builder, AttentionOp op,
                                 const MaskRanges &ranges,
                                 const ForwardOperands &operands);

} // namespace mlir::flash

#endif // FLASH_LIB_CONVERSION_FLASHTOTILE_FORWARDKERNEL_H
