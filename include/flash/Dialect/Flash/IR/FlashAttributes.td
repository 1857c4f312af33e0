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

    `query_in_registers` keeps the fragments of Q in registers for the whole
    loop instead of reading them from shared memory in each iteration.

    ```mlir
    func.func private @chosen() attributes {
      flash.s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128,
        tile_k = 64, warps = 8, stages_k = 1, stages_v = 1,
        query_in_registers = false>
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
    "bool":$query_in_registers
  );
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // FLASH_DIALECT_FLASH_IR_FLASHATTRIBUTES_TD
