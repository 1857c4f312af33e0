//===- FlashTileBase.td - The flash_tile dialect -----------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD

include "mlir/IR/OpBase.td"

def FlashTile_Dialect : Dialect {
  let name = "flash_tile";
  let cppNamespace = "::mlir::flash_tile";
  let summary = "One thread block's program over tiles";
  let description = [{
    The program of one CTA, written over tiles: register tiles are ranked
    tensors (with a `#flash_tile.layout` encoding once layouts are assigned),
    shared memory is `!flash_tile.buffer`, tensor memory `!flash_tile.tmem`, and
    everything that completes later is a `!flash_tile.future`. Loops are `scf`,
    elementwise math is `arith` and `math` on the tensors themselves. One form
    carries the sm_80 loop, the Hopper kernel of a producer and consumers, and
    the Blackwell kernel of roles around tensor memory; passes rewrite it from
    the first to the others, and every decision they take is visible in it.

    It is an intermediate form without promise of stability, and not a kernel
    language for people: no sugar, no defaults chosen for the writer. See
    `docs/Rationale/FlashTile.md` for what was weighed.

    ### Constraints of ops, types and attributes

    | | |
    |---|---|
    | T1 | a layout has five lane vectors, vectors of one width, numbers from 0 to 2^20, at most 4096 elements per thread and 32 warps |
    | T2 | a tile's layout has its rank and holds every element of it |
    | T3 | swizzle bits and shift from 0 to 3, the panel a multiple of what the bits permute |
    | T4 | buffers and views: 1 to 64 stages, rank 1 or 2, extents up to 65536, elements of whole bytes, rows of whole swizzle granules |
    | T5 | a future holds a register tile or a view |
    | T6 | a buffer's offset is a multiple of 128 |
    | T7 | a stage's view has the buffer's tile; a constant index is in range |
    | T8 | what moves between registers and shared memory has one shape and element type |
    | T9 | global accesses: the memref's element type, at most its rank, an index per axis |
    | T10 | the future of a copy or store holds its view; alignment is 16, 8, 4 or 2 |
    | T11 | a wait has futures, and `in_flight` >= 0 |
    | T12 | products: rank 2, one element type, extents that agree |
    | T13 | products under an mma or wgmma accumulator: depth of whole instructions, element types it multiplies (of integers i8) and an accumulator type it has, register operands in the layout it reads |
    | T14 | reduce and expand: the vector is the tile without the axis, in shape, type and layout |
    | T15 | coordinates are i32, of an axis of the tile |
    | T16 | a splat has the scalar's type |
    | T17 | a conversion changes the layout only; its permutation names registers of the source, and excludes an exchange |
    | T18 | a vote is over i1 |
    | T20 | a barrier ring has 1 to 64 stages |
    | T21 | a slot's ring has at least one stage |
    | T22 | arrivals from 1 to 2^20 - 1 |
    | T23 | a constant stage of a barrier is in range |
    | T24 | expected bytes from 1 to 2^20 - 1 |
    | T25 | named barriers: id 1 to 15, threads a multiple of 32 up to 1024 |
    | T26 | tensor maps: 1 to 5 axes, extents 1 to 256, rows of 16-byte multiples within the span of a TMA swizzle |
    | T27 | a tensor map has its memref's rank and element type; the memref's last stride is 1 |
    | T28 | TMA moves whole boxes of the map's element type and swizzle; multicast masks from 1 to 65535 |
    | T29 | gather: i32 rows and i1 validity, one per row of a rank-2 result |
    | T30 | view_slice: rows only, in multiples of 8, inside the source |
    | T31 | transpose exchanges the extents and toggles `transposed` |
    | T32 | atomic_add on f32, f16 or bf16 |
    | T33 | roles: distinct names, at least one warp each, 32 together |
    | T34 | register budgets: multiples of 8 from 24 to 256, one value per aligned four warps, 65536 together |
    | T35 | into a role cross buffers, tensor memory, barriers, tensor maps, memrefs and scalars equal in all threads |
    | T36 | dot_async: b in shared memory, whole warp groups of 64 rows each, columns a multiple of 8, the layout of wgmma |
    | T40 | tensor memory tiles: 128 lanes, 8-, 16- or 32-bit elements, whole columns up to 512 |
    | T41 | tmem.alloc inside the 512 columns |
    | T42 | tmem.view inside its source |
    | T43 | tmem.load and tmem.store: the tile's shape and type, a row per thread |
    | T44 | tmem.dot: f32 accumulator, columns a multiple of 16 up to 256, a transposed `a` in shared memory only |
    | T45 | in_range: one range at least |
    | T46 | a contraction order: of a product with `a` in registers and an mma accumulator, a permutation of the instruction's depth (32 bytes of elements) that is linear over GF(2) |
    | T47 | the scratch of a reduction: a row for each of the result's, a column for each part, the source's element type |
    | T48 | tiles in global memory: rank 2, extents up to 65536, elements of whole bytes |
    | T49 | lookup, put and gather_elements: an index per axis, elements of type f32, f16, bf16, i1, i8, i16, i32 or i64 |
    | T50 | gather_elements: rank 2, the memref's element type; factors per index below 2^20 in magnitude; offsets i32 or i64 on ascending dimensions and validity i1, of the result's shape |

    ### Constraints of whole programs

    `flash_tile.warp_groups` verifies these, and `--flash-tile-verify`.

    | | |
    |---|---|
    | P1 | each stage of a barrier that is waited for is signalled, and the other way about |
    | P2 | in each phase as many arrivals come as the barrier declares |
    | P3 | a TMA copy is announced before it in its block, and the bytes announced are those copied |
    | P4 | the phase of a wait in a loop changes with the loop; with a slot, stage and phase are of one slot of the ring's length |
    | P5 | the roles that use a named barrier have as many threads as it declares, and one of them waits |
    | P6 | arrivals and waits of the cluster's barrier alternate |
    | P7 | no stage is released while an asynchronous product reads it |
    | P8 | between roles, an access that depends on another waits for a barrier signalled after that one, for the same stage |
    | P9 | allocs of tensor memory do not overlap |
    | P10 | tmem.load and tmem.store in a role of four warps |
    | P11 | the operands and results of elementwise ops have one layout |
    | P12 | a copy_async is waited for |
    | P13 | what copy_async fills is read after the wait and a barrier of the CTA |
    | P14 | in a loop, copy_async overwrites a stage after its readers and a barrier |
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

class FlashTile_Op<string mnemonic, list<Trait> traits = []>
    : Op<FlashTile_Dialect, mnemonic, traits>;

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD
