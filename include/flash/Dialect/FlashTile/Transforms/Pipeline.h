//===- Pipeline.h - Software pipelining of tile loops -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PIPELINE_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PIPELINE_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::flash_tile {

/// Attributes of a scheduled loop's ops, i64: how many iterations before the
/// last stage an op runs (counted from stage 0), and its place in the body.
constexpr llvm::StringLiteral kStageAttrName = "flash_tile.stage";
constexpr llvm::StringLiteral kOrderAttrName = "flash_tile.order";
/// On a loop: to be pipelined.
constexpr llvm::StringLiteral kPipelineAttrName = "flash_tile.pipeline";
/// On a loop: only its first iteration can touch rows outside the memrefs, and
/// no `in_range` of the loop holds for an iteration that does.
constexpr llvm::StringLiteral kFirstRaggedAttrName = "flash_tile.first_ragged";
/// On a loop: no iteration touches rows outside the memrefs.
constexpr llvm::StringLiteral kNeverRaggedAttrName = "flash_tile.never_ragged";
/// On a loop: where it compares its induction variable, or a constant number of
/// iterations behind it, with a value from outside (`iv + c >= start`), what it
/// visits jumps. No `in_range` of the loop holds on both sides of `start`
/// unless the result is the same either way.
constexpr llvm::StringLiteral kJumpsAttrName = "flash_tile.jumps";

/// Decides when each op of `loop` runs: puts waits and barriers where the
/// pipelined loop needs them, sets `in_flight` and annotates every op with its
/// stage and order. The annotated loop is to be given to `applyPipeline`: run
/// as it stands it may overwrite what is still read. Fails with a located error
/// on side effects that it cannot order.
LogicalResult schedulePipeline(scf::ForOp loop);

/// Rewrites an annotated `loop` into prologue and steady loop and returns the
/// loop; the annotations are gone. Trip counts may be anything, zero included.
FailureOr<scf::ForOp> applyPipeline(scf::ForOp loop);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PIPELINE_H
