//===- FlashTileAsync.td - TMA, asynchronous products -*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What one thread or warp group starts and something else carries out: copies
// by TMA, products by wgmma; and the accesses that are not plain tiles: gather,
// atomics, slices and transposes of shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEASYNC_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEASYNC_TD

include "flash/Dialect/FlashTile/IR/FlashTileTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

def FlashTile_ViewSliceOp : FlashTile_Op<"view_slice", [Pure]> {
  let summary = "some rows of a view";
  let description = [{
    The rows `row` to `row + r - 1` of a view of rank 2, r being the result's
    extent. `row` must be a multiple of 8, the period of the swizzles.

    ```mlir
    func.func @view_slice(
        %v: !flash_tile.view<128x64xbf16>, %row: index) {
      %half = flash_tile.view_slice %v[%row]
        : !flash_tile.view<128x64xbf16> -> !flash_tile.view<64x64xbf16>
      return
    }
    ```

    Constraint T30: same columns, element type, swizzle and order; rows a
    multiple of 8 and, if constant, inside the source.
  }];
  let arguments = (ins FlashTile_ViewType:$source, Index:$row);
  let results = (outs FlashTile_ViewType:$result);
  let assemblyFormat = [{
    $source `[` $row `]` attr-dict `:` qualified(type($source)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

def FlashTile_TransposeOp : FlashTile_Op<"transpose", [Pure]> {
  let summary = "a view read with its axes exchanged";
  let description = [{
    Moves nothing: readers go along the stored columns (`ldmatrix.trans`, the
    major-ness bits of wgmma and tcgen05 descriptors).

    ```mlir
    func.func @transpose(
        %v: !flash_tile.view<64x128xbf16>) {
      %t = flash_tile.transpose %v : !flash_tile.view<64x128xbf16>
        -> !flash_tile.view<128x64xbf16, transposed>
      return
    }
    ```

    Constraint T31: the result has the extents exchanged, and `transposed` is
    the opposite of the source's.
  }];
  let arguments = (ins FlashTile_ViewType:$source);
  let results = (outs FlashTile_ViewType:$result);
  let assemblyFormat = [{
    $source attr-dict `:` qualified(type($source)) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// TMA
//===----------------------------------------------------------------------===//

def FlashTile_TensorMapOp : FlashTile_Op<"tensor_map", [Pure]> {
  let summary = "the tensor map of a memref";
  let description = [{
    Stands for a kernel parameter that the host encodes from the memref's base,
    extents and strides. Boxes reaching outside the extents read zeros and
    write nothing there.

    ```mlir
    func.func @tensor_map(
        %K: memref<?x?x?x128xbf16>) {
      %map = flash_tile.tensor_map %K : memref<?x?x?x128xbf16>
        -> !flash_tile.tensor_map<1x1x64x128xbf16>
      return
    }
    ```

    Constraint T27: as many axes, and the element type, of the memref; its last
    axis contiguous.
  }];
  let arguments = (ins AnyMemRef:$source);
  let results = (outs FlashTile_TensorMapType:$map);
  let assemblyFormat = [{
    $source attr-dict `:` type($source) `->` qualified(type($map))
  }];
  let hasVerifier = 1;
}

def FlashTile_CopyTmaOp : FlashTile_Op<"copy_tma", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "asynchronous copy of boxes, global to shared";
  let description = [{
    Copies the tile at `indices` (one per axis of the map) into `dest`, and
    delivers its bytes to one barrier of a ring. A view of several boxes takes
    as many copies, box after box along the last axis, each a panel of the
    view. With `multicast`, a mask of CTA ranks, the tile lands at the same
    place in each of those CTAs, and each of their barriers is signalled; every
    CTA of the mask is taken to copy its own share.

    ```mlir
    func.func @copy_tma(
        %map: !flash_tile.tensor_map<1x1x64x128xbf16>, %b: index, %h: index,
        %row: index, %col: index, %v: !flash_tile.view<64x128xbf16>,
        %ring: !flash_tile.barrier<2>, %stage: index) {
      flash_tile.barrier.expect %ring[%stage] bytes 16384
        : !flash_tile.barrier<2>
      flash_tile.copy_tma %map[%b, %h, %row, %col] to %v signal %ring[%stage]
        : !flash_tile.tensor_map<1x1x64x128xbf16> to
          !flash_tile.view<64x128xbf16>, !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T23, T28 (the view is made of whole boxes, of the map's element
    type and swizzle; one index per axis; mask 1 to 65535), P3, P8 (in a loop,
    only after waiting for whoever reads the buffer).
  }];
  let arguments = (ins
    FlashTile_TensorMapType:$map, Variadic<Index>:$indices,
    FlashTile_ViewType:$dest, FlashTile_BarrierType:$barrier, Index:$stage,
    OptionalAttr<I64Attr>:$multicast);
  let assemblyFormat = [{
    $map `[` $indices `]` `to` $dest `signal` $barrier `[` $stage `]`
    (`multicast` $multicast^)? attr-dict `:` qualified(type($map)) `to`
    qualified(type($dest)) `,` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

class FlashTile_BulkStoreOp<string mnemonic>
    : FlashTile_Op<mnemonic, [MemoryEffects<[MemRead, MemWrite]>]> {
  let arguments = (ins FlashTile_ViewType:$source,
                       FlashTile_TensorMapType:$map, Variadic<Index>:$indices);
  let results = (outs FlashTile_FutureType:$future);
  let assemblyFormat = [{
    $source `to` $map `[` $indices `]` attr-dict `:` qualified(type($source))
    `to` qualified(type($map)) `->` qualified(type($future))
  }];
  let hasVerifier = 1;
}

def FlashTile_StoreTmaOp : FlashTile_BulkStoreOp<"store_tma"> {
  let summary = "asynchronous copy of boxes, shared to global";
  let description = [{
    The future holds the source view: after `wait` it may be overwritten; with
    `wait {visible}` what was stored is also visible to other CTAs. The view
    must have been written by the async proxy or a `proxy_fence` must separate.

    ```mlir
    func.func @store_tma(
        %v: !flash_tile.view<64x128xbf16>,
        %map: !flash_tile.tensor_map<1x1x64x128xbf16>, %b: index, %h: index,
        %row: index, %col: index) {
      %f = flash_tile.store_tma %v to %map[%b, %h, %row, %col]
        : !flash_tile.view<64x128xbf16> to
          !flash_tile.tensor_map<1x1x64x128xbf16>
        -> !flash_tile.future<!flash_tile.view<64x128xbf16>>
      %free = flash_tile.wait %f
        : !flash_tile.future<!flash_tile.view<64x128xbf16>>
      return
    }
    ```

    Constraints: T10 (the future's view is the source), T28.
  }];
}

def FlashTile_ReduceAddTmaOp : FlashTile_BulkStoreOp<"reduce_add_tma"> {
  let summary = "asynchronous addition of boxes into global memory";
  let description = [{
    As `store_tma`, but adds (`cp.reduce.async.bulk.tensor`). The dQ of a
    backward pass leaves this way. A deterministic order needs `wait
    {visible}` before the next writer is told.

    ```mlir
    func.func @reduce_add_tma(
        %dq: !flash_tile.view<64x64xf32>,
        %map: !flash_tile.tensor_map<1x1x64x64xf32>, %b: index, %h: index,
        %row: index, %col: index) {
      %f = flash_tile.reduce_add_tma %dq to %map[%b, %h, %row, %col]
        : !flash_tile.view<64x64xf32> to !flash_tile.tensor_map<1x1x64x64xf32>
        -> !flash_tile.future<!flash_tile.view<64x64xf32>>
      %done = flash_tile.wait %f {visible}
        : !flash_tile.future<!flash_tile.view<64x64xf32>>
      return
    }
    ```

    Constraints: T10, T28.
  }];
}

//===----------------------------------------------------------------------===//
// Registers and global memory
//===----------------------------------------------------------------------===//

def FlashTile_AtomicAddOp : FlashTile_Op<"atomic_add", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "adds a tile into global memory, element by element";
  let description = [{
    As `store`, but each element is added atomically (`red.global.add`), in no
    particular order.

    ```mlir
    func.func @atomic_add(
        %dq: tensor<64x128xf32>, %dQ: memref<?x?x?x128xf32>, %b: index,
        %h: index, %row: index, %col: index) {
      flash_tile.atomic_add %dq, %dQ[%b, %h, %row, %col]
        : tensor<64x128xf32>, memref<?x?x?x128xf32>
      return
    }
    ```

    Constraints: T9, T32 (f32, f16 or bf16).
  }];
  let arguments = (ins FlashTile_Tile:$value, AnyMemRef:$dest,
                       Variadic<Index>:$indices);
  let assemblyFormat = [{
    $value `,` $dest `[` $indices `]` attr-dict `:` type($value) `,`
    type($dest)
  }];
  let hasVerifier = 1;
}

def FlashTile_GatherOp : FlashTile_Op<"gather", [MemoryEffects<[MemRead]>]> {
  let summary = "rows of a memref chosen by a tile of indices";
  let description = [{
    Row r of the result is `source[..., indices[-2] + rows[r], indices[-1] ...]`
    where `valid[r]`, zero elsewhere, and then memory is not touched: the pages
    of a cache, or documents packed one after the other.

    ```mlir
    func.func @gather(
        %K: memref<?x?x?x128xbf16>, %b: index, %h: index, %row: index,
        %col: index, %rows: tensor<64xi32>, %valid: tensor<64xi1>) {
      %t = flash_tile.gather %K[%b, %h, %row, %col] rows %rows if %valid
        : memref<?x?x?x128xbf16>, tensor<64xi32>, tensor<64xi1>
        -> tensor<64x128xbf16>
      return
    }
    ```

    Constraints: T9, T29 (a result of rank 2; i32 rows and i1 validity, one per
    row of the result).
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       FlashTile_Tile:$rows, FlashTile_Tile:$valid);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` `rows` $rows `if` $valid attr-dict
    `:` type($source) `,` type($rows) `,` type($valid) `->` type($result)
  }];
  let hasVerifier = 1;
}

def FlashTile_LookupOp : FlashTile_Op<"lookup", [
    AttrSizedOperandSegments, Pure,
    TypesMatchWith<"the memref's element type", "source", "result",
                   "::llvm::cast<::mlir::MemRefType>($_self).getElementType()">]> {
  let summary = "one element of an array that the kernel only reads";
  let description = [{
    The scalar `source[indices]`, the same in all threads: an entry of a captured
    table, or of a list that an earlier kernel wrote. Zero where an index lies
    outside the memref's extents or `predicate` is false, and then memory is not
    touched. Nobody writes the memref while the kernel runs, so that the op may
    be moved and repeated.

    ```mlir
    func.func @lookup(
        %slopes: memref<?xf32>, %head: index, %guard: i1) {
      %slope = flash_tile.lookup %slopes[%head] if %guard : memref<?xf32>
      return
    }
    ```

    Constraint T49: an index per axis of the memref, and elements of type f32,
    f16, bf16, i1, i8, i16, i32 or i64.
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       Optional<I1>:$predicate);
  let results = (outs AnyTypeOf<[AnyFloat, AnySignlessInteger]>:$result);
  let assemblyFormat =
      "$source `[` $indices `]` (`if` $predicate^)? attr-dict `:` type($source)";
  let hasVerifier = 1;
}

def FlashTile_GatherElementsOp : FlashTile_Op<"gather_elements", [
    AttrSizedOperandSegments, Pure]> {
  let summary = "elements of an array that the kernel only reads, by index";
  let description = [{
    Element (i, j) of the result is `source[x]`, where

    ```
    x[d] = indices[d] + rows[d] * i + columns[d] * j + offsets[n](i, j)
    ```

    with the last term on the dimensions that `offset_dims` lists, in order. It
    is zero, and memory is not touched, where an index lies outside the memref's
    extents, where i or j is not below `row_limit` or `column_limit`, and where `valid` is false.
    What a score or mask region reads: a bias (rows 1 on the queries' dimension,
    columns 1 on the keys'), a relative table (rows -1 and columns 1 on the same
    one), the documents of tokens, tables of tables (offsets). As for `lookup`,
    nobody writes the memref while the kernel runs.

    ```mlir
    func.func @gather_elements(
        %bias: memref<?x?xf32>, %table: memref<64xf32>, %q: index, %k: index,
        %left: index, %which: tensor<128x64xi32>, %seen: tensor<128x64xi1>) {
      %a = flash_tile.gather_elements %bias[%q, %k] rows [1, 0] columns [0, 1]
        columns_below %left : memref<?x?xf32> -> tensor<128x64xf32>
      %c0 = arith.constant 0 : index
      %b = flash_tile.gather_elements %table[%c0] rows [0] columns [0]
        offsets(%which at [0] : tensor<128x64xi32>) if %seen : tensor<128x64xi1>
        : memref<64xf32> -> tensor<128x64xf32>
      return
    }
    ```

    Constraints: T49; T50 (a result of rank 2 with the memref's element type; a
    row and a column factor per index, of magnitude below 2^20; offsets i32 or
    i64 of the result's shape, one per dimension listed, which ascend; a validity
    of i1 of that shape).
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices,
                       DenseI64ArrayAttr:$rows, DenseI64ArrayAttr:$columns,
                       Variadic<FlashTile_Tile>:$offsets,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$offset_dims,
                       Optional<Index>:$row_limit,
                       Optional<Index>:$column_limit,
                       Optional<FlashTile_Tile>:$valid);
  let results = (outs FlashTile_Tile:$result);
  let assemblyFormat = [{
    $source `[` $indices `]` `rows` $rows `columns` $columns
    (`offsets` `(` $offsets^ `at` $offset_dims `:` type($offsets) `)`)?
    (`rows_below` $row_limit^)? (`columns_below` $column_limit^)?
    (`if` $valid^ `:` type($valid))? attr-dict
    `:` type($source) `->` type($result)
  }];
  let hasVerifier = 1;
}

def FlashTile_VoteOp
    : FlashTile_Op<"vote", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "whether an element of the CTA's tile is true";
  let description = [{
    A barrier of all threads of the CTA that also tells each of them whether any
    element of the tile is true (`barrier.cta.red.or`): the same in all threads.

    ```mlir
    func.func @vote(
        %seen: tensor<128x64xi1>) {
      %some = flash_tile.vote %seen : tensor<128x64xi1>
      return
    }
    ```

    Constraint T18: a tile of i1.
  }];
  let arguments = (ins StaticShapeTensorOf<[I1]>:$source);
  let results = (outs I1:$result);
  let assemblyFormat = "$source attr-dict `:` type($source)";
}

def FlashTile_PutOp : FlashTile_Op<"put", [
    MemoryEffects<[MemWrite]>,
    TypesMatchWith<"the memref's element type", "dest", "value",
                   "::llvm::cast<::mlir::MemRefType>($_self).getElementType()">]> {
  let summary = "one scalar to global memory, by one thread";
  let description = [{
    Writes `dest[indices]`, once for the CTA. The value is the same in all
    threads, and the indices lie within the memref. Nothing is ordered by it:
    another kernel reads what this one has written.

    ```mlir
    func.func @put(
        %tile: i32, %list: memref<?xi32>, %at: index) {
      flash_tile.put %tile, %list[%at] : memref<?xi32>
      return
    }
    ```

    Constraint T49.
  }];
  let arguments = (ins AnyTypeOf<[AnyFloat, AnySignlessInteger]>:$value,
                       AnyMemRef:$dest, Variadic<Index>:$indices);
  let assemblyFormat = "$value `,` $dest `[` $indices `]` attr-dict `:` type($dest)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Asynchronous products
//===----------------------------------------------------------------------===//

def FlashTile_DotAsyncOp : FlashTile_Op<"dot_async", [
    MemoryEffects<[MemRead]>,
    TypesMatchWith<"future of the accumulator", "accumulator", "future",
                   "::mlir::flash_tile::FutureType::get($_ctxt, $_self)">]> {
  let summary = "accumulator + a * b, in the future";
  let description = [{
    As `dot`, but the warp group only starts it (`wgmma.mma_async`). Each is one
    commit group; operands in shared memory, and the accumulator's registers,
    belong to it until `flash_tile.wait` on the future.

    ```mlir
    func.func @dot_async(
        %q: !flash_tile.view<64x128xbf16>,
        %k: !flash_tile.view<128x128xbf16>, %zero: tensor<64x128xf32>) {
      %f = flash_tile.dot_async %q, %k, %zero {transpose_b}
        : !flash_tile.view<64x128xbf16>, !flash_tile.view<128x128xbf16>,
          tensor<64x128xf32>
      %s = flash_tile.wait %f : !flash_tile.future<tensor<64x128xf32>>
      return
    }
    ```

    Constraints: T12, T13, T36 (b in shared memory; inside a role whole warp
    groups, 64 rows for each; a 16-bit depth a multiple of 16, columns of 8).
  }];
  let arguments = (ins FlashTile_DotOperand:$a, FlashTile_ViewType:$b,
                       FlashTile_Tile:$accumulator,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs FlashTile_FutureType:$future);
  let assemblyFormat = [{
    $a `,` $b `,` $accumulator attr-dict `:` qualified(type($a)) `,`
    qualified(type($b)) `,` qualified(type($accumulator))
  }];
  let hasVerifier = 1;
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEASYNC_TD
