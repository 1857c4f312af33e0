//===- Passes.td - Passes on the flash dialect -------------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_PASSES_TD
#define FLASH_DIALECT_FLASH_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlashExpandModifiers : Pass<"flash-expand-modifiers"> {
  let summary = "Expand causal, window, ALiBi, softcap, ... into the regions";
  let description = [{
    Rewrites the attributes `causal`, `window`, `prefix`, `chunk` and
    `sink_tokens` into the mask region and `alibi` and `softcap` into the score
    region of every `flash.attention`, behind what the regions already compute:
    the score region, then ALiBi, then softcap; masks are and-ed.

    Needs: nothing. Leaves: ops with regions only, in which every mask is a
    conjunction of comparisons of `index` values, affine wherever the attribute
    is. Refuses: nothing.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def FlashDecompose : Pass<"flash-decompose"> {
  let summary = "Decompose attention to linalg on tensors: the reference";
  let description = [{
    Rewrites every `flash.attention` into `linalg.generic` ops on tensors. What
    they compute is what the op means: scores, softmax and sums in f32, P
    rounded to the type of V before the second product, a row that sees no key
    gives O = 0 and LSE = -inf. Attributes are expanded first, as by
    `--flash-expand-modifiers`. The whole score matrix is held in memory.

    Needs: nothing; the memref form is read through `bufferization.to_tensor`
    and written by `bufferization.materialize_in_destination`. Leaves: no
    `flash` op. Refuses, with an error: cumulative lengths, block tables and
    sinks ("not yet lowered").
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect",
    "::mlir::arith::ArithDialect",
    "::mlir::bufferization::BufferizationDialect",
    "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

def FlashBufferizeBoundary
    : Pass<"flash-bufferize-boundary", "::mlir::ModuleOp"> {
  let summary = "Turn tensor functions into functions on memrefs";
  let description = [{
    Gives every function with a body that takes or returns tensors the form a
    kernel is launched in: tensor arguments become memrefs whose strides and
    offset are known at run time only, and a result, which must be computed
    into one of the arguments (destination style), is written there instead of
    returned. The body still computes on tensors, through
    `bufferization.to_tensor`; `--one-shot-bufferize` does the rest, in place.

    Needs: functions that are not called in the module. Leaves: no tensor in a
    signature. Refuses, with an error: a tensor result that does not come from
    a destination argument, results other than tensors beside them, calls of
    such a function.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect"];
}

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_PASSES_TD
