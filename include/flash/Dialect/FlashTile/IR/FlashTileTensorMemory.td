//===- FlashTileTensorMemory.td - Tensor memory -*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blackwell's tensor memory: 128 lanes by 512 columns of 32 bits per CTA, where
// the accumulators of tcgen05.mma live (PTX ISA, "Tensor Memory").
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILETENSORMEMORY_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILETENSORMEMORY_TD

include "flash/Dialect/FlashTile/IR/FlashTileTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def FlashTile_TmemAllocOp : FlashTile_Op<"tmem.alloc", [
    MemoryEffects<[MemAlloc]>]> {
  let summary = "a tile in tensor memory";
  let description = [{
    Columns `column` to `column + n - 1`, n being what the type takes. The
    kernel's allocs together are one allocation.

    ```mlir
    func.func @tmem_alloc(
        ) {
      %s0 = flash_tile.tmem.alloc column 0 : !flash_tile.tmem<128x128xf32>
      return
    }
    ```

    Constraints: T41 (inside the 512 columns), P9 (the kernel's allocs do not
    overlap: what shares columns is a `tmem.view`).
  }];
  let arguments = (ins I64Attr:$column);
  let results = (outs FlashTile_TmemType:$tile);
  let assemblyFormat = [{
    `column` $column attr-dict `:` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

def FlashTile_TmemViewOp : FlashTile_Op<"tmem.view", [Pure]> {
  let summary = "some columns of a tile, possibly as another element type";
  let description = [{
    `column` counts 32-bit columns from the tile's first. P over the upper half
    of S (`%c64` being 64):

    ```mlir
    func.func @tmem_view(
        %s0: !flash_tile.tmem<128x128xf32>) {
      %c64 = arith.constant 64 : index
      %p0 = flash_tile.tmem.view %s0[%c64]
        : !flash_tile.tmem<128x128xf32> -> !flash_tile.tmem<128x128xbf16>
      return
    }
    ```

    Constraint T42: inside the source, if the column is constant.
  }];
  let arguments = (ins FlashTile_TmemType:$source, Index:$column);
  let results = (outs FlashTile_TmemType:$result);
  let assemblyFormat = [{
    $source `[` $column `]` attr-dict `:` qualified(type($source)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

def FlashTile_TmemLoadOp : FlashTile_Op<"tmem.load", [
    MemoryEffects<[MemRead]>]> {
  let summary = "tensor memory to registers, complete after wait";
  let description = [{
    `tcgen05.ld`. Warp i of the role reads lanes 32 i to 32 i + 31, one row per
    thread, so row reductions need no shuffle.

    ```mlir
    func.func @tmem_load(
        %s0: !flash_tile.tmem<128x128xf32>) {
      %f = flash_tile.tmem.load %s0 : !flash_tile.tmem<128x128xf32>
        -> !flash_tile.future<tensor<128x128xf32>>
      %s = flash_tile.wait %f : !flash_tile.future<tensor<128x128xf32>>
      return
    }
    ```

    Constraints: T43 (the shape and element type of the tile; its layout, if
    any, a row per thread), P10 (inside roles, a role of four warps).
  }];
  let arguments = (ins FlashTile_TmemType:$source);
  let results = (outs FlashTile_FutureType:$future);
  let assemblyFormat = [{
    $source attr-dict `:` qualified(type($source)) `->`
    qualified(type($future))
  }];
  let hasVerifier = 1;
}

def FlashTile_TmemStoreOp : FlashTile_Op<"tmem.store", [
    MemoryEffects<[MemWrite]>]> {
  let summary = "registers to tensor memory";
  let description = [{
    `tcgen05.st` and its wait: complete when the op is.

    ```mlir
    func.func @tmem_store(
        %p: tensor<128x128xbf16>, %p0: !flash_tile.tmem<128x128xbf16>) {
      flash_tile.tmem.store %p, %p0
        : tensor<128x128xbf16>, !flash_tile.tmem<128x128xbf16>
      return
    }
    ```

    Constraints: T43, P10.
  }];
  let arguments = (ins FlashTile_Tile:$value, FlashTile_TmemType:$dest);
  let assemblyFormat = [{
    $value `,` $dest attr-dict `:` qualified(type($value)) `,`
    qualified(type($dest))
  }];
  let hasVerifier = 1;
}

def FlashTile_TmemDotOp : FlashTile_Op<"tmem.dot", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "product accumulated in tensor memory";
  let description = [{
    `accumulator = (accumulate ? accumulator : 0) + a * b` by `tcgen05.mma`,
    started by one thread of the role. `a` is a view or a tile of tensor memory,
    `b` a view; shapes and transposes as `dot`. Complete when a `commit` after
    it has signalled its barrier.

    ```mlir
    func.func @tmem_dot(
        %q: !flash_tile.view<128x128xbf16>,
        %k: !flash_tile.view<128x128xbf16>, %s0: !flash_tile.tmem<128x128xf32>) {
      %false = arith.constant false
      flash_tile.tmem.dot %q, %k, %s0 accumulate %false {transpose_b}
        : !flash_tile.view<128x128xbf16>, !flash_tile.view<128x128xbf16>,
          !flash_tile.tmem<128x128xf32>
      return
    }
    ```

    Constraints: T12, T44 (f32 accumulator; 16-bit depth a multiple of 16;
    columns a multiple of 16 up to 256; no transposed `a` in tensor memory), P7.
  }];
  let arguments = (ins
    AnyTypeOf<[FlashTile_ViewType, FlashTile_TmemType]>:$a,
    FlashTile_ViewType:$b, FlashTile_TmemType:$accumulator, I1:$accumulate,
    UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let assemblyFormat = [{
    $a `,` $b `,` $accumulator `accumulate` $accumulate attr-dict
    `:` qualified(type($a)) `,` qualified(type($b)) `,`
    qualified(type($accumulator))
  }];
  let hasVerifier = 1;
}

def FlashTile_CommitOp : FlashTile_Op<"commit", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one arrival once all products so far are complete";
  let description = [{
    `tcgen05.commit`: the barrier gets one arrival when every `tmem.dot` that
    this thread started before is complete: operands may be overwritten and the
    accumulators read.

    ```mlir
    func.func @commit(
        %s_full: !flash_tile.barrier<2>, %s: index) {
      flash_tile.commit %s_full[%s] : !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T23, P1, P2.
  }];
  let arguments = (ins FlashTile_BarrierType:$barrier, Index:$stage);
  let assemblyFormat = [{
    $barrier `[` $stage `]` attr-dict `:` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILETENSORMEMORY_TD
