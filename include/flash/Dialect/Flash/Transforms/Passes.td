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

    Before, from `test/Dialect/Flash/expand-modifiers.mlir`:

    ```mlir
    !q = tensor<1x2x?x64xf16>
    func.func @causal(%q: !q, %k: !q, %o: !q) -> !q {
      %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
        outs(output = %o : !q) {causal = #flash.causal<bottom_right>} -> !q
      return %0 : !q
    }
    ```

    After:

    ```mlir
    !q = tensor<1x2x?x64xf16>
    func.func @causal(%q: !q, %k: !q, %o: !q) -> !q {
      %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
        outs(output = %o : !q)
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index):
          %align = flash.alignment : index
          %position = arith.addi %i, %align : index
          %live = arith.cmpi sle, %j, %position : index
          flash.yield %live : i1
        } -> !q
      return %0 : !q
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def FlashNormalizeRegions : Pass<"flash-normalize-regions"> {
  let summary = "Spell what the lowerings of regions treat differently";
  let description = [{
    Rewrites, in the score and mask regions of every `flash.attention`,

    - `arith.index_cast` and `arith.index_castui` of an `index` to an integer of
      less than 64 bits, in a region that also casts from that type to `index`,
      into a truncation of `i64`. The canonicaliser takes casts to `i8` and back
      for nothing at all, and with them goes the truncation;
    - `math.absi` into the maximum of x and 0 - x;
    - `math.isnan`, `isinf`, `isfinite` and `isnormal` into comparisons, of |x|
      but for the first;
    - `math.clampf` into `arith.minnumf` of the upper bound and
      `arith.maxnumf` of x and the lower one.

    Needs: nothing; runs in front of any canonicalisation. Leaves: the same ops
    otherwise. Refuses: nothing.

    Before, from `test/Dialect/Flash/normalize-regions.mlir`:

    ```mlir
    !q = tensor<1x1x?x64xf16>
    func.func @bytes(%q: !q, %k: !q, %o: !q) -> !q {
      %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
        outs(output = %o : !q)
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index):
          %narrow = arith.index_cast %j : index to i8
          %back = arith.index_cast %narrow : i8 to index
          %live = arith.cmpi slt, %back, %i : index
          flash.yield %live : i1
        } -> !q
      return %0 : !q
    }
    ```

    After:

    ```mlir
    !q = tensor<1x1x?x64xf16>
    func.func @bytes(%q: !q, %k: !q, %o: !q) -> !q {
      %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
        outs(output = %o : !q)
        mask {
        ^bb0(%b: index, %h: index, %i: index, %j: index):
          %wide = arith.index_cast %j : index to i64
          %narrow = arith.trunci %wide : i64 to i8
          %back = arith.index_cast %narrow : i8 to index
          %live = arith.cmpi slt, %back, %i : index
          flash.yield %live : i1
        } -> !q
      return %0 : !q
    }
    ```
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

    Before, from `test/Dialect/Flash/bufferize-boundary.mlir`:

    ```mlir
    !q = tensor<1x2x?x64xf16>
    func.func @destination(%q: !q, %o: !q) -> !q {
      %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
        outs(output = %o : !q) -> !q
      return %0 : !q
    }
    ```

    After, and after `--one-shot-bufferize --canonicalize`:

    ```mlir
    !q = memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>
    func.func @destination(%q: !q, %o: !q) {
      flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
        outs(output = %o : !q)
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect"];
}

def FlashSelectSchedule : Pass<"flash-select-schedule"> {
  let summary = "Choose tiles, warps and stages for a chip";
  let description = [{
    Sets the attribute `schedule` of every `flash.attention` from the chip and
    the head dims. A schedule that the op has already is kept; each option
    replaces one field of whichever it is; a level replaces all steps of the
    ladder at once. The result is checked for steps that do not go together, and
    against the chip: shared memory of the CTA's buffers, and the registers that
    the fragments need at least.

    Needs: nothing. Leaves: a schedule on every op. Refuses, with an error:
    unknown chips, and known ones without a lowering, by name; head dims above
    256; levels above 9 and steps without a lowering, by name; steps that do not
    go together (see `checkSteps`); a `tile_q` that does not give every warp a
    multiple of 16 rows; a `tile_v` that does not divide dv; tiles that do not
    fit. Stages that nobody asked for are two where the level has two and they
    fit, else two of K alone, else one.
  }];
  let options = [
    Option<"chip", "chip", "std::string", "\"sm_80\"", "Target chip">,
    Option<"level", "level", "int64_t", "-1",
           "Step of the optimisation ladder (-1: not decided here)">,
    Option<"tileQ", "tile-q", "int64_t", "0",
           "Queries per CTA (0: not decided here)">,
    Option<"tileK", "tile-k", "int64_t", "0",
           "Keys per iteration (0: not decided here)">,
    Option<"warps", "warps", "int64_t", "0",
           "Warps per CTA (0: not decided here)">,
    Option<"stagesK", "stages-k", "int64_t", "0",
           "Buffered tiles of K (0: not decided here)">,
    Option<"stagesV", "stages-v", "int64_t", "0",
           "Buffered tiles of V (0: not decided here)">,
    Option<"queryInRegisters", "query-in-registers", "int64_t", "-1",
           "Keep the fragments of Q in registers, 1 or 0 (-1: not decided "
           "here)">,
    Option<"fields", "fields", "std::string", "\"\"",
           "Any fields of #flash.schedule, such as "
           "fields=copies=vector,reduce=tree">
  ];
}

def FlashAnalyzeMask : Pass<"flash-analyze-mask"> {
  let summary = "Report the live and the full tiles of every mask";
  let description = [{
    Emits one remark per `flash.attention`: the half-open ranges of key tiles
    that a tile of queries starting at row `q0` has to visit (live), and the
    range that needs no mask (full) without its holes, as minima and maxima of
    affine expressions and floor divisions in `q0`, `sq`, `sk`, the alignment,
    offsets, b, h and captures. A prefix of 200 keys, at 128 x 64:

        live [0, min((sk - 1) floordiv 64 + 1,
                     max(4, (q0 - sq + sk + 127) floordiv 64 + 1))),
        full [live, min(max((q0 - sq + sk + 1) floordiv 64, 3),
                        sk floordiv 64))

    Read are comparisons of index arithmetic with floor divisions and remainders
    by constants, extrema and selects, and and, or, xor, not and select of
    conditions. Without a further remark, the tiles are the exact ones, at every
    size. One more remark for each op of the mask that had to be left out, where
    the tiles would be more than four live ranges, or more than four full ones,
    and where they are no fixed number of ranges (of masks with a period that no
    tile spans). What is left out counts as true for live tiles and as false for
    full ones.

    Needs: modifiers expanded into the mask region. Leaves the IR as it is.
    Refuses a tile of less than one query or key; says that varlen and paged ops
    are not analysed.
  }];
  let options = [
    Option<"tileQ", "tile-q", "int64_t", "128",
           "Queries per tile, where the op has no schedule">,
    Option<"tileK", "tile-k", "int64_t", "64",
           "Keys per tile, where the op has no schedule">
  ];
}

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_PASSES_TD
