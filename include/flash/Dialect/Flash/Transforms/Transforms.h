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
namespace func {
class FuncOp;
} // namespace func
} // namespace mlir

namespace mlir::flash {

/// Rewrites `causal`, `window`, `prefix`, `chunk` and `sink_tokens` into the
/// mask region of `op` and `alibi` and `softcap` into its score region, in
/// place. Does nothing to an op without such attributes.
void expandModifiers(RewriterBase &rewriter, AttentionOp op);

/// Brings the regions of `op` to what every way of lowering them treats alike,
/// in place. See --flash-normalize-regions.
void normalizeRegions(RewriterBase &rewriter, AttentionOp op);

/// Replaces `op` by linalg ops on tensors that compute it, expanding its
/// modifiers first. Fails with a diagnostic on operands that are not yet
/// lowered: cumulative lengths, a block table, sinks.
LogicalResult decomposeAttention(RewriterBase &rewriter, AttentionOp op);

/// Rewrites a function on tensors to take memrefs of unknown strides and to
/// write each result into the argument that is its destination. Does nothing
/// to a function without tensors in its signature. Precondition: the function
/// has a body and no caller. Fails with a diagnostic on a result that has no
/// destination among the arguments.
LogicalResult bufferizeBoundary(func::FuncOp function);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_TRANSFORMS_H
