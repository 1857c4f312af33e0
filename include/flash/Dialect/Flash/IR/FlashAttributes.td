//===- FlashAttributes.td - Flash dialect attributes -------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_IR_FLASHATTRIBUTES_TD
#define FLASH_DIALECT_FLASH_IR_FLASHATTRIBUTES_TD

include "flash/Dialect/Flash/IR/FlashDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Flash_CausalKind : I32EnumAttr<"CausalKind",
    "corner of the score matrix that the causal diagonal runs through", [
      I32EnumAttrCase<"bottom_right", 0>,
      I32EnumAttrCase<"top_left", 1>
    ]> {
  let cppNamespace = "::mlir::flash";
  let genSpecializedAttr = 0;
}

def Flash_CausalAttr : EnumAttr<Flash_Dialect, Flash_CausalKind, "causal"> {
  let summary = "alignment of the causal diagonal (since 1.0)";
  let description = [{
    `bottom_right` lets query `q` see the keys `k <= q + alignment`, where
    `alignment` is Sk - Sq of the whole problem: the last query sees every key.
    `top_left` lets it see `k <= q`: the first query sees one key.

    ```mlir
    func.func private @corners() attributes {
      flash.a = #flash.causal<bottom_right>, flash.b = #flash.causal<top_left>
    }
    ```
  }];
  let assemblyFormat = "`<` $value `>`";
}

/// The choices that the steps of the optimisation ladder are made of.
class Flash_StepEnum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::flash";
  let genSpecializedAttr = 0;
}

def Flash_SoftmaxKind : Flash_StepEnum<"SoftmaxKind",
    "how often the keys are visited", [
      I32EnumAttrCase<"two_pass", 0>,
      I32EnumAttrCase<"online", 1>
    ]>;
def Flash_CopyKind : Flash_StepEnum<"CopyKind",
    "how Q, K and V come to shared memory", [
      I32EnumAttrCase<"none", 0>,
      I32EnumAttrCase<"scalar", 1>,
      I32EnumAttrCase<"vector", 2>,
      I32EnumAttrCase<"async", 3>
    ]>;
def Flash_LaneReduction : Flash_StepEnum<"LaneReduction",
    "how the lanes that share a row combine their parts", [
      I32EnumAttrCase<"tree", 0>,
      I32EnumAttrCase<"shuffle", 1>
    ]>;
def Flash_MathUnit : Flash_StepEnum<"MathUnit",
    "which units of the SM multiply", [
      I32EnumAttrCase<"fma", 0>,
      I32EnumAttrCase<"mma", 1>
    ]>;
def Flash_TileHome : Flash_StepEnum<"TileHome",
    "where scores and probabilities live between the products", [
      I32EnumAttrCase<"shared", 0>,
      I32EnumAttrCase<"registers", 1>
    ]>;

def Flash_ScheduleAttr : AttrDef<Flash_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "how one kernel for one chip computes the op (since 1.0)";
  let description = [{
    Chosen by `--flash-select-schedule`, or by hand, and read by the lowering
    to tiles. It never changes what is computed beyond rounding.

    Constraints:
    - S1: `chip` is not empty.
    - S2: `level`, the step of the optimisation ladder, is in [0, 12].
    - S3: `tile_q`, queries per CTA, is a positive multiple of 16, at most 512.
    - S4: `tile_k`, keys per iteration, is a positive multiple of 16, at most
      512.
    - S5: `warps` per CTA is in [1, 16].
    - S6: `stages_k` and `stages_v`, tiles of K and V in flight or in use, are
      in [1, 8].

    - S7: `tile_v`, columns of V and O per CTA, is 0 (all of them) or a positive
      multiple of 16.

    `query_in_registers` keeps the fragments of Q in registers for the whole
    loop instead of reading them from shared memory in each iteration.

    The remaining fields are the steps of the optimisation ladder. A level is a
    bundle of them, and each can be changed alone. What is not written has its
    value at level 9 (tuned):

    - `softmax`: `online`, one loop over the keys, or `two_pass`, a loop for the
      row maximum and one for sum and output, with the scores computed twice.
    - `copies`: Q, K and V reach shared memory by cp.async (`async`), through
      registers in 16-byte pieces (`vector`) or element by element, a row per
      lane (`scalar`), or stay in global memory (`none`).
    - `reduce`: lanes that share a row combine by warp shuffles (`shuffle`) or
      by a tree through shared memory (`tree`).
    - `qk`, `pv`: the two products run on tensor cores (`mma`) or on the FP32
      units (`fma`).
    - `probabilities`: scores and probabilities stay in `registers` or pass
      through `shared` memory on their way to the softmax and to the second
      product.
    - `ldmatrix`: fragments are read by ldmatrix instead of plain loads.
    - `swizzle`: rows in shared memory are swizzled.
    - `fold_scale`: scale and log2(e) are one factor of the exponent, where no
      score region forbids it.
    - `defer_normalisation`: the output is divided by the row sum once, behind
      the loop, instead of in each iteration.
    - `split_bands`: key tiles that need no mask are visited by loops without
      mask code.

    ```mlir
    func.func private @chosen() attributes {
      flash.s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128,
        tile_k = 64, warps = 8, stages_k = 1, stages_v = 1,
        query_in_registers = false>,
      flash.in_register = #flash.schedule<chip = "sm_80", level = 7,
        tile_q = 64, tile_k = 64, warps = 4, stages_k = 2, stages_v = 2,
        query_in_registers = false, ldmatrix = false, swizzle = false,
        fold_scale = false, defer_normalisation = false, split_bands = false>
    }
    ```
  }];
  let parameters = (ins
    StringRefParameter<"chip the schedule was chosen for">:$chip,
    "int64_t":$level,
    "int64_t":$tile_q,
    "int64_t":$tile_k,
    "int64_t":$warps,
    "int64_t":$stages_k,
    "int64_t":$stages_v,
    "bool":$query_in_registers,
    DefaultValuedParameter<"int64_t", "0">:$tile_v,
    DefaultValuedParameter<"SoftmaxKind", "SoftmaxKind::online">:$softmax,
    DefaultValuedParameter<"CopyKind", "CopyKind::async">:$copies,
    DefaultValuedParameter<"LaneReduction", "LaneReduction::shuffle">:$reduce,
    DefaultValuedParameter<"MathUnit", "MathUnit::mma">:$qk,
    DefaultValuedParameter<"MathUnit", "MathUnit::mma">:$pv,
    DefaultValuedParameter<"TileHome", "TileHome::registers">:$probabilities,
    DefaultValuedParameter<"bool", "true">:$ldmatrix,
    DefaultValuedParameter<"bool", "true">:$swizzle,
    DefaultValuedParameter<"bool", "true">:$fold_scale,
    DefaultValuedParameter<"bool", "true">:$defer_normalisation,
    DefaultValuedParameter<"bool", "true">:$split_bands
  );
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // FLASH_DIALECT_FLASH_IR_FLASHATTRIBUTES_TD
