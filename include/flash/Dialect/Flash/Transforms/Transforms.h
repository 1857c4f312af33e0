//===- Transforms.h - Rewrites of flash.attention as functions --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What the passes in Passes.td do, one op at a time, for transform ops and for
// compilers that embed Flash.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_TRANSFORMS_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_TRANSFORMS_H

#include "flash/Dialect/Flash/IR/Flash.h"

namespace mlir {
class RewriterBase;
} // namespace mlir

namespace mlir::flash {

/// Rewrites `causal`, `window`, `prefix`, `chunk` and `sink_tokens` into the
/// mask region of `op` and `alibi` and `softcap` into its score region, in
/// place. Does nothing to an op without such attributes.
void expandModifiers(RewriterBase &rewriter, AttentionOp op);

/// Replaces `op` by linalg ops on tensors that compute it, expanding its
/// modifiers first. Fails with a diagnostic on operands that are not yet
/// lowered: cumulative lengths, a block table, sinks.
LogicalResult decomposeAttention(RewriterBase &rewriter, AttentionOp op);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_TRANSFORMS_H
