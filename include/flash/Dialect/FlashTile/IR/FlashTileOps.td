//===- FlashTileOps.td - Ops of the flash_tile dialect -----*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The core every target shares: moving tiles, waiting, computing. The rest is
// in FlashTileBarrierOps.td (barriers, roles), FlashTileAsyncOps.td (TMA,
// asynchronous products, gather, atomics) and FlashTileTmemOps.td.
//
// Constraints are numbered T1, T2, ...; docs/Dialects/FlashTile.md lists them.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD

include "flash/Dialect/FlashTile/IR/FlashTileAsyncOps.td"
include "flash/Dialect/FlashTile/IR/FlashTileBarrierOps.td"
include "flash/Dialect/FlashTile/IR/FlashTileTmemOps.td"
include "flash/Dialect/FlashTile/IR/FlashTileTypes.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

def FlashTile_AllocOp : FlashTile_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "a shared-memory buffer";
  let description = [{
    Allocates a buffer that lives for the whole kernel. `offset` (bytes from the
    start of the CTA's dynamic shared memory, a multiple of 128) is set by
    `--flash-tile-plan-shared`; buffers with disjoint live ranges may overlap.

    ```mlir
    %k = flash_tile.alloc : !flash_tile.buffer<2x64x128xbf16>
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs FlashTile_BufferType:$buffer);
  let assemblyFormat = "attr-dict `:` qualified(type($buffer))";
  let hasVerifier = 1;
}

def FlashTile_StageOp : FlashTile_Op<"stage", [Pure]> {
  let summary = "view of one stage of a buffer";
  let description = [{
    `index` must lie in [0, stages).

    ```mlir
    %v = flash_tile.stage %k[%i]
      : !flash_tile.buffer<2x64x128xbf16> -> !flash_tile.view<64x128xbf16>
    ```
  }];
  let arguments = (ins FlashTile_BufferType:$buffer, Index:$index);
  let results = (outs FlashTile_ViewType:$view);
  let assemblyFormat =
      "$buffer `[` $index `]` attr-dict `:` qualified(type($buffer)) `->` qualified(type($view))";
  let hasVerifier = 1;
}

def FlashTile_LocalLoadOp
    : FlashTile_Op<"local_load", [MemoryEffects<[MemRead]>]> {
  let summary = "shared memory to registers";
  let arguments = (ins FlashTile_ViewType:$source);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_LocalStoreOp
    : FlashTile_Op<"local_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "registers to shared memory";
  let arguments = (ins FlashTile_Tile:$value, FlashTile_ViewType:$dest);
  let assemblyFormat = "$value `,` $dest attr-dict `:` type($value) `,` qualified(type($dest))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

def FlashTile_LoadOp : FlashTile_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "global memory to registers, zero outside the memref";
  let description = [{
    Reads the tile whose first element is `source[indices]`; the tile's axes
    are the memref's last ones. Elements outside the memref's extents are zero
    and are never touched in memory.

    ```mlir
    %t = flash_tile.load %K[%b, %h, %j, %c0]
      : memref<?x?x?x128xbf16> -> tensor<64x128xbf16>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat =
      "$source `[` $indices `]` attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_StoreOp : FlashTile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "registers to global memory, dropped outside the memref";
  let arguments = (ins FlashTile_Tile:$value, AnyMemRef:$dest,
                       Variadic<Index>:$indices);
  let assemblyFormat =
      "$value `,` $dest `[` $indices `]` attr-dict `:` type($value) `,` qualified(type($dest))";
  let hasVerifier = 1;
}

def FlashTile_CopyAsyncOp
    : FlashTile_Op<"copy_async", [AttrSizedOperandSegments,
                                  MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "asynchronous copy of a tile, global to shared (cp.async)";
  let description = [{
    As `load`, but into a shared-memory view, complete only after the wait on
    the future. A view wider than the memref's last extent is zero-filled. When
    `predicate` is given and false nothing is copied (the view's content is
    then undefined). `in_bounds` promises that no row lies outside the memref.
    `alignment` (bytes, 16, 8, 4 or 2) is what base and rows are known to be
    aligned to; where it is less than 16 the lowering takes the widest copy that
    the strides allow at run time. Every copy is one commit group.

    ```mlir
    %f = flash_tile.copy_async %K[%b, %h, %j, %c0] to %view if %more
      : memref<?x?x?x128xbf16> to !flash_tile.view<64x128xbf16>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       FlashTile_ViewType:$dest, Optional<I1>:$predicate,
                       UnitAttr:$in_bounds, OptionalAttr<I64Attr>:$alignment);
  let results = (outs FlashTile_FutureType:$future);
  let assemblyFormat = [{
    $source `[` $indices `]` `to` $dest (`if` $predicate^)? attr-dict
    `:` qualified(type($source)) `to` qualified(type($dest)) `->` qualified(type($future))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

def FlashTile_WaitOp
    : FlashTile_Op<"wait", [DeclareOpInterfaceMethods<InferTypeOpInterface>,
                            MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "the values of futures, once complete";
  let description = [{
    Blocks the calling thread until the futures are complete; at most
    `in_flight` younger operations of the same kind may still be running.
    Copies are complete for the calling thread only: what other threads copied
    is visible after a `gpu.barrier` that follows. A store by TMA is complete
    when its source may be overwritten; with `visible`, when other CTAs see it.

    ```mlir
    %kv = flash_tile.wait %f {in_flight = 1 : i64}
      : !flash_tile.future<!flash_tile.view<64x128xbf16>>
    ```
  }];
  let arguments = (ins Variadic<FlashTile_FutureType>:$futures,
                       DefaultValuedAttr<I64Attr, "0">:$in_flight,
                       UnitAttr:$visible);
  let results = (outs Variadic<AnyType>:$values);
  let assemblyFormat = "$futures attr-dict `:` type($futures)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Compute
//===----------------------------------------------------------------------===//

def FlashTile_DotOp : FlashTile_Op<"dot", [
    MemoryEffects<[MemRead]>, AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "accumulator + a * b";
  let description = [{
    `a` is M x K (K x M with `transpose_a`), `b` is K x N (N x K with
    `transpose_b`), the accumulator M x N. Either operand may be a register tile
    or a shared-memory view; reading a view is part of the dot. A view `b` that
    is not transposed may have more columns than the accumulator (its rows are
    padded to 16-byte chunks): the further ones are not read.

    ```mlir
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : tensor<128x128xbf16>, !flash_tile.view<64x128xbf16>, tensor<128x64xf32>
    ```
  }];
  let arguments = (ins FlashTile_DotOperand:$a, FlashTile_DotOperand:$b,
                       FlashTile_Tile:$accumulator,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = [{
    $a `,` $b `,` $accumulator attr-dict
    `:` qualified(type($a)) `,` qualified(type($b)) `,` qualified(type($accumulator))
  }];
  let hasVerifier = 1;
}

def FlashTile_ReduceOp : FlashTile_Op<"reduce", [Pure]> {
  let summary = "reduction of a tile over one axis";
  let description = [{
    ```mlir
    %m = flash_tile.reduce max %s axis 1 : tensor<128x64xf32> -> tensor<128xf32>
    ```
  }];
  let arguments = (ins FlashTile_ReduceKind:$kind, FlashTile_Tile:$source,
                       I64Attr:$axis);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = [{
    $kind $source `axis` $axis attr-dict `:` qualified(type($source)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def FlashTile_ExpandOp : FlashTile_Op<"expand", [Pure]> {
  let summary = "broadcast of a vector along a new axis";
  let description = [{
    ```mlir
    %t = flash_tile.expand %m axis 1 : tensor<128xf32> -> tensor<128x64xf32>
    ```
  }];
  let arguments = (ins FlashTile_Tile:$source, I64Attr:$axis);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat =
      "$source `axis` $axis attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_IndexOp : FlashTile_Op<"index", [Pure]> {
  let summary = "each element's own coordinate along one axis";
  let description = [{
    Tile-relative and logical: the same under every layout and permutation.

    ```mlir
    %k = flash_tile.index axis 1 : tensor<128x64xi32>
    ```
  }];
  let arguments = (ins I64Attr:$axis);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "`axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def FlashTile_SplatOp : FlashTile_Op<"splat", [Pure]> {
  let summary = "a tile whose elements all equal one scalar";
  let arguments = (ins AnyTypeOf<[AnyFloat, AnySignlessInteger]>:$value);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_ConvertLayoutOp : FlashTile_Op<"convert_layout", [Pure]> {
  let summary = "the same tile under another layout";
  let description = [{
    The one op whose lowering moves data between threads and registers.
    `--flash-tile-permute-registers` decides how and records it: register `r` of
    the result is register `permutation[r]` of the source in the same thread; an
    empty permutation is the identity.
  }];
  let arguments = (ins FlashTile_Tile:$source,
                       OptionalAttr<DenseI64ArrayAttr>:$permutation);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Bands
//===----------------------------------------------------------------------===//

def FlashTile_InRangeOp : FlashTile_Op<"in_range", [Pure]> {
  let summary = "whether a loop's induction variable lies in [lower, upper)";
  let description = [{
    The same as two comparisons and an `andi`, but recognisable: the loop over
    `value` can be split at `lower` and `upper` so that this becomes a constant
    in each part (`--flash-tile-split-bands`). The operands must be defined
    outside the loop.

    ```mlir
    %full = flash_tile.in_range %j from %lo to %hi
    ```
  }];
  let arguments = (ins Index:$value, Index:$lower, Index:$upper);
  let results = (outs I1:$result);
  let assemblyFormat = "$value `from` $lower `to` $upper attr-dict";
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD
