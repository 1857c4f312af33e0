//===- FlashTileOps.td - Ops of the flash_tile dialect -----*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The core every target shares: moving tiles, waiting, computing. The rest is
// in FlashTileBarriers.td (barriers, roles), FlashTileAsync.td (TMA,
// asynchronous products, gather, atomics) and FlashTileTensorMemory.td.
//
// Constraints are numbered T1, T2, ...; the dialect's description lists them.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD

include "flash/Dialect/FlashTile/IR/FlashTileAsync.td"
include "flash/Dialect/FlashTile/IR/FlashTileBarriers.td"
include "flash/Dialect/FlashTile/IR/FlashTileTensorMemory.td"
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
    start of the CTA's dynamic shared memory) is set by
    `--flash-tile-plan-shared`; buffers with disjoint live ranges may overlap.
    Constraint T6: a multiple of 128, which TMA and wgmma swizzles need.

    ```mlir
    func.func @alloc(
        ) {
      %k = flash_tile.alloc : !flash_tile.buffer<2x64x128xbf16>
      %v = flash_tile.alloc {offset = 32768 : i64}
        : !flash_tile.buffer<2x64x128xbf16>
      return
    }
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
    Constraint T7: the view is one stage of the buffer; a constant `index` lies
    in [0, stages).

    ```mlir
    func.func @stage(
        %k: !flash_tile.buffer<2x64x128xbf16>, %i: index) {
      %v = flash_tile.stage %k[%i]
        : !flash_tile.buffer<2x64x128xbf16> -> !flash_tile.view<64x128xbf16>
      return
    }
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
  let description = [{
    Each thread reads the elements that the result's layout gives it; the layout
    and the swizzle together decide between `ldmatrix` and plain loads.
    Constraint T8: the view's shape and element type.

    ```mlir
    func.func @local_load(
        %v: !flash_tile.view<64x128xbf16>) {
      %t = flash_tile.local_load %v
        : !flash_tile.view<64x128xbf16> -> tensor<64x128xbf16>
      return
    }
    ```
  }];
  let arguments = (ins FlashTile_ViewType:$source);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_LocalStoreOp
    : FlashTile_Op<"local_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "registers to shared memory";
  let description = [{
    The converse of `local_load`; other threads see it after a barrier.
    Constraint T8.

    ```mlir
    func.func @local_store(
        %t: tensor<64x128xbf16>, %v: !flash_tile.view<64x128xbf16>) {
      flash_tile.local_store %t, %v
        : tensor<64x128xbf16>, !flash_tile.view<64x128xbf16>
      return
    }
    ```
  }];
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
    and are never touched in memory. Constraint T9: the memref's element type, at
    most its rank, one index per axis of it.

    ```mlir
    func.func @load(
        %K: memref<?x?x?x128xbf16>, %b: index, %h: index, %row: index,
        %col: index) {
      %t = flash_tile.load %K[%b, %h, %row, %col]
        : memref<?x?x?x128xbf16> -> tensor<64x128xbf16>
      return
    }
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat =
      "$source `[` $indices `]` attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

def FlashTile_GlobalTileOp : FlashTile_Op<"global_tile", [Pure]> {
  let summary = "a tile left in global memory";
  let description = [{
    Moves nothing: names the tile whose first element is `source[indices]`, for
    a dot on FMA units that reads it there, element by element. Elements outside
    the memref's extents count as zero and are never touched in memory. The
    memory must not change while the tile is used. Constraint T9.

    ```mlir
    func.func @global_tile(
        %K: memref<?x?x?x128xbf16>, %b: index, %h: index, %row: index,
        %col: index) {
      %t = flash_tile.global_tile %K[%b, %h, %row, %col]
        : memref<?x?x?x128xbf16> -> !flash_tile.global_tile<16x128xbf16>
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyMemRef, "global memory; the tile's axes are its last ones">:$source,
    Arg<Variadic<Index>, "first element of the tile, one per axis">:$indices);
  let results = (outs FlashTile_GlobalTileType:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` attr-dict `:` qualified(type($source)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

def FlashTile_StoreOp : FlashTile_Op<"store", [MemoryEffects<[MemWrite]>]> {
  let summary = "registers to global memory, dropped outside the memref";
  let description = [{
    The converse of `load`: the tile's first element goes to `dest[indices]`,
    elements outside the memref's extents are dropped. Of replicated elements
    any one thread's copy is written. Constraint T9.

    ```mlir
    func.func @store(
        %t: tensor<64x128xbf16>, %O: memref<?x?x?x128xbf16>, %b: index,
        %h: index, %row: index, %col: index) {
      flash_tile.store %t, %O[%b, %h, %row, %col]
        : tensor<64x128xbf16>, memref<?x?x?x128xbf16>
      return
    }
    ```
  }];
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
    the strides allow at run time. Every copy is one commit group. Constraints:
    T9, T10 (a future of the destination; that alignment), P12 (somebody waits),
    P13 (read after wait and barrier), P14 (overwritten after the readers).

    ```mlir
    func.func @copy_async(
        %K: memref<?x?x?x128xbf16>, %b: index, %h: index, %row: index,
        %col: index, %v: !flash_tile.view<64x128xbf16>, %more: i1) {
      %f = flash_tile.copy_async %K[%b, %h, %row, %col] to %v if %more
        : memref<?x?x?x128xbf16> to !flash_tile.view<64x128xbf16>
        -> !flash_tile.future<!flash_tile.view<64x128xbf16>>
      return
    }
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
    func.func @wait(
        %f: !flash_tile.future<!flash_tile.view<64x128xbf16>>) {
      %v = flash_tile.wait %f {in_flight = 1 : i64}
        : !flash_tile.future<!flash_tile.view<64x128xbf16>>
      gpu.barrier
      return
    }
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
    `transpose_b`), the accumulator M x N. Either operand may be a register tile,
    a shared-memory view or, on FMA units, a tile left in global memory; reading
    it is part of the dot. A view `b` that
    is not transposed may have more columns than the accumulator (its rows are
    padded to 16-byte chunks): the further ones are not read.

    `unit` says where it is to be computed: on tensor cores (`mma`, also where
    nothing is said) or on the FP32 units (`fma`). It is a wish that
    `--flash-tile-assign-layouts` turns into the accumulator's layout; a dot
    with a layout is what that layout says.

    On tensor cores f16, bf16, f8E4M3FN, f8E5M2 and i8 are multiplied as they are;
    f32 elements are rounded to tf32 (to nearest, ties away from zero) as their
    fragments are read; i8 elements are signed and summed in i32, which wraps.
    Views are read by `ldmatrix` where it delivers the fragments: always for A
    and for a transposed B; of another B for 16-bit elements, and for 8-bit ones
    where the accumulator's layout gives each instruction every other column.
    `plain_loads` asks for plain loads everywhere, which read the same elements:
    32 bits at a time along the depth, element by element across it.

    Constraints: T12 (extents and element types agree; tiles in global memory
    for products on FMA units only), T13 (if the accumulator
    has an mma or wgmma layout: depth a multiple of 32 bytes, elements that
    tensor cores multiply, f32 accumulator, for f16 also f16, for i8 i32, and
    register operands as the instruction reads them), T46 (the
    contraction order).

    A sum does not care about the order of its terms. `contraction_order` says
    in which order the instruction takes them: slot `s` of every instruction's
    depth (8 slots of tf32, 16 of 16 bits, 32 of 8 bits; one after the other
    along the depth) stands for index `order[s]` of that stretch. The operands
    stay logical: register operands have the instruction's layout with its depth
    permuted so, and a view `b` is read row `order[s]` (column, with
    `transpose_b`) where the instruction wants slot `s`. Absent, it is the
    natural order. `--flash-tile-permute-registers` sets it.

    ```mlir
    func.func @dot(
        %q: tensor<128x128xbf16>, %k: !flash_tile.view<64x128xbf16>,
        %zero: tensor<128x64xf32>) {
      %s = flash_tile.dot %q, %k, %zero {transpose_b}
        : tensor<128x128xbf16>, !flash_tile.view<64x128xbf16>,
          tensor<128x64xf32>
      return
    }
    #acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
    #keys = #flash_tile.layout<register = [[8, 0], [0, 1]],
        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
    func.func @dot_contraction_order(
        %p: tensor<16x8xf32, #keys>, %v: !flash_tile.view<8x8xf32>,
        %zero: tensor<16x8xf32, #acc>) {
      %o = flash_tile.dot %p, %v, %zero
        {contraction_order = array<i64: 0, 2, 4, 6, 1, 3, 5, 7>}
        : tensor<16x8xf32, #keys>, !flash_tile.view<8x8xf32>,
          tensor<16x8xf32, #acc>
      return
    }
    ```
  }];
  let arguments = (ins FlashTile_DotOperand:$a, FlashTile_DotOperand:$b,
                       FlashTile_Tile:$accumulator,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b,
                       OptionalAttr<FlashTile_DotUnit>:$unit,
                       UnitAttr:$plain_loads,
                       OptionalAttr<DenseI64ArrayAttr>:$contraction_order);
  let results = (outs FlashTile_Tile:$result);
  let builders = [
    OpBuilder<(ins "::mlir::Value":$a, "::mlir::Value":$b,
                   "::mlir::Value":$accumulator,
                   CArg<"bool", "false">:$transposeA,
                   CArg<"bool", "false">:$transposeB,
                   CArg<"::mlir::flash_tile::DotUnitAttr", "{}">:$unit), [{
      build($_builder, $_state, accumulator.getType(), a, b, accumulator,
            transposeA, transposeB, unit, /*plain_loads=*/false,
            /*contraction_order=*/::mlir::DenseI64ArrayAttr());
    }]>
  ];
  let assemblyFormat = [{
    $a `,` $b `,` $accumulator (`on` $unit^)? attr-dict
    `:` qualified(type($a)) `,` qualified(type($b)) `,` qualified(type($accumulator))
  }];
  let hasVerifier = 1;
}

def FlashTile_ReduceOp : FlashTile_Op<"reduce", [
    DeclareOpInterfaceMethods<ConditionallySpeculatable>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "reduction of a tile over one axis";
  let description = [{
    Drops one axis of a tile of rank 2 or more. The result's layout is the slice
    of the source's (`Layout::slice`): every thread that held an element of the
    row holds the result.

    Lanes that share a row combine their parts by warp shuffles or, `through` a
    view in shared memory, by a tree: each part is stored to the row's slot for
    its thread, half of the threads add the other half's parts to theirs, and so
    on, with a `gpu.barrier` around every step. Then several warps may hold parts
    of a row, and all threads of the CTA must reach the op together. `%scratch`
    is a place to work, undefined before and after.

    Constraints: T14, T47 (the scratch has a row per row of the result, at least
    as many columns as threads hold parts of a row, and the source's element
    type; the reduced axis is the last of two).

    ```mlir
    func.func @reduce(
        %s: tensor<128x64xf32>, %scratch: !flash_tile.view<128x8xf32>) {
      %m = flash_tile.reduce max %s axis 1
        : tensor<128x64xf32> -> tensor<128xf32>
      %l = flash_tile.reduce add %s axis 1
        through (%scratch : !flash_tile.view<128x8xf32>)
        : tensor<128x64xf32> -> tensor<128xf32>
      return
    }
    ```
  }];
  let arguments = (ins
    FlashTile_ReduceKind:$kind, FlashTile_Tile:$source, I64Attr:$axis,
    Arg<Optional<FlashTile_ViewType>, "shared memory to combine lanes in">:$scratch);
  let results = (outs FlashTile_Tile:$result);
  let builders = [
    OpBuilder<(ins "::mlir::Type":$result,
                   "::mlir::flash_tile::ReduceKind":$kind,
                   "::mlir::Value":$source, "int64_t":$axis), [{
      build($_builder, $_state, result, kind, source,
            static_cast<uint64_t>(axis), ::mlir::Value());
    }]>
  ];
  let assemblyFormat = [{
    $kind $source `axis` $axis
    (`through` `(` $scratch^ `:` qualified(type($scratch)) `)`)? attr-dict
    `:` qualified(type($source)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def FlashTile_AnyOp : FlashTile_Op<"any", [Pure]> {
  let summary = "whether an element that this warp holds is true";
  let description = [{
    A vote (`vote.sync.any`): the same in all lanes of a warp, not in all warps.
    Guards work that is needed by few rows, such as the lazy rescale.

    ```mlir
    func.func @any(
        %grown: tensor<128xi1>) {
      %some = flash_tile.any %grown : tensor<128xi1>
      return
    }
    ```

    Constraint T18: a tile of i1.
  }];
  let arguments = (ins StaticShapeTensorOf<[I1]>:$source);
  let results = (outs I1:$result);
  let assemblyFormat = "$source attr-dict `:` type($source)";
}

def FlashTile_ExpandOp : FlashTile_Op<"expand", [Pure]> {
  let summary = "broadcast of a vector along a new axis";
  let description = [{
    Element (..., i, ...) of the result is that of the source without the new
    axis. The source's layout is the slice of the result's, so that nothing
    moves. Constraint T14.

    ```mlir
    func.func @expand(
        %m: tensor<128xf32>) {
      %t = flash_tile.expand %m axis 1
        : tensor<128xf32> -> tensor<128x64xf32>
      return
    }
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
    Constraint T15: i32, and an axis of the tile.

    ```mlir
    func.func @index(
        ) {
      %key = flash_tile.index axis 1 : tensor<128x64xi32>
      return
    }
    ```
  }];
  let arguments = (ins I64Attr:$axis);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "`axis` $axis attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def FlashTile_SplatOp : FlashTile_Op<"splat", [Pure]> {
  let summary = "a tile whose elements all equal one scalar";
  let description = [{
    Constraint T16: the element type is the scalar's.

    ```mlir
    func.func @splat(
        %x: f32) {
      %t = flash_tile.splat %x : f32 -> tensor<128x64xf32>
      return
    }
    ```
  }];
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
    the result is register `permutation[r]` of the source in the same thread (an
    empty permutation is the identity), or, with `exchange`, the lanes of each
    warp exchange registers by shuffles and byte permutes. Constraint T17: one
    shape and element type, a layout on both sides; a permutation names a
    register of the source for each of the result, and excludes an exchange.

    ```mlir
    #columns = #flash_tile.layout<register = [[0, 1]],
        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
    #rows = #flash_tile.layout<register = [[4, 0]],
        lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
    func.func @convert_layout(%t: tensor<8x8xf32, #columns>) {
      %r = flash_tile.convert_layout %t
        : tensor<8x8xf32, #columns> -> tensor<8x8xf32, #rows>
      return
    }
    ```
  }];
  let arguments = (ins FlashTile_Tile:$source,
                       OptionalAttr<DenseI64ArrayAttr>:$permutation,
                       UnitAttr:$exchange);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Bands
//===----------------------------------------------------------------------===//

def FlashTile_InRangeOp : FlashTile_Op<"in_range", [Pure,
    SameVariadicOperandSize]> {
  let summary = "whether a loop's induction variable lies in a range";
  let description = [{
    True where `lower[i] <= value < upper[i]` for some i. The same as
    comparisons, and-ed and or-ed, but recognisable: the loop over `value` can be
    split at `lower` and `upper` so that this becomes a constant in each part
    (`--flash-tile-split-bands`). The operands must be defined outside the loop.
    Ranges are listed in ascending order and do not overlap; each may be empty.
    Constraint T45: one range at least.

    ```mlir
    func.func @in_range(%j: index, %lo: index, %hi: index, %lo2: index,
                        %hi2: index) {
      %full = flash_tile.in_range %j from %lo to %hi
      %either = flash_tile.in_range %j from %lo, %lo2 to %hi, %hi2
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<Index, "the number that is tested">:$value,
    Arg<Variadic<Index>, "first number of each range; one range at least">:$lower,
    Arg<Variadic<Index>, "the number behind the last one of each range">:$upper);
  let results = (outs I1:$result);
  let assemblyFormat = "$value `from` $lower `to` $upper attr-dict";
  let hasVerifier = 1;
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEOPS_TD
