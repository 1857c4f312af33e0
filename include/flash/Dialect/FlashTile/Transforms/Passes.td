//===- Passes.td - Passes on the flash_tile dialect --------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_TD
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlashTileStageBuffers : Pass<"flash-tile-stage-buffers"> {
  let summary = "Bring the operands of dots through shared memory";
  let description = [{
    Every `flash_tile.load` that only dots use becomes a buffer, an asynchronous
    copy into one of its stages, a wait and a barrier; the dots read the view.

    ```mlir
    func.func @before(%q: tensor<128x64xf16>, %K: memref<64x64xf16>, %s: tensor<128x64xf32>) -> tensor<128x64xf32> {
      %c0 = arith.constant 0 : index
      %k = flash_tile.load %K[%c0, %c0] : memref<64x64xf16> -> tensor<64x64xf16>
      %r = flash_tile.dot %q, %k, %s {transpose_b} : tensor<128x64xf16>, tensor<64x64xf16>, tensor<128x64xf32>
      return %r : tensor<128x64xf32>
    }
    func.func @after(%q: tensor<128x64xf16>, %K: memref<64x64xf16>, %s: tensor<128x64xf32>) -> tensor<128x64xf32> {
      %buffer = flash_tile.alloc : !flash_tile.buffer<1x64x64xf16>
      %c0 = arith.constant 0 : index
      %stage = flash_tile.stage %buffer[%c0] : !flash_tile.buffer<1x64x64xf16> -> !flash_tile.view<64x64xf16>
      %future = flash_tile.copy_async %K[%c0, %c0] to %stage
        : memref<64x64xf16> to !flash_tile.view<64x64xf16> -> !flash_tile.future<!flash_tile.view<64x64xf16>>
      %k = flash_tile.wait %future : !flash_tile.future<!flash_tile.view<64x64xf16>>
      gpu.barrier
      %r = flash_tile.dot %q, %k, %s {transpose_b} : tensor<128x64xf16>, !flash_tile.view<64x64xf16>, tensor<128x64xf32>
      return %r : tensor<128x64xf32>
    }
    ```

    - Loads in a loop cycle through the buffer's stages by a counter carried by
      the loop (an XOR for two stages, a compare and a select for more). How
      many stages: the option, else `#flash.schedule` on the function for the
      memrefs whose `flash_tile.role` is "k" or "v", else `stages`, else one.
    - Loads outside loops get one stage. With `query_in_registers` (option or
      schedule) the A operands among them are read into a register tile once.
    - A row is padded to a multiple of 16 elements, which the copy zero-fills:
      m16n8k16 consumes the depth 16 elements at a time (d = 40 is staged as 48
      for Q and K alike). A dot never reads the padding columns of V.
    - A rank-2 `flash_tile.store` outside loops of a value that comes from a dot
      goes through a buffer of its own, so that the global stores are whole
      16-byte chunks of rows. The barrier in front of it allows
      `--flash-tile-plan-shared` to put that buffer over dead ones.

    The schedule's `copies` says how a tile gets there. `async`, the default, is
    the above. With `vector` and `scalar` it is loaded to registers, stored to a
    buffer of one stage and read behind a barrier, and the loop is not to be
    pipelined any more: `vector` leaves the layout of the load to
    `--flash-tile-assign-layouts` (16 bytes per lane, along the rows), `scalar`
    gives it a row per lane, one element at a time. With `none` the dot gets a
    `flash_tile.global_tile` and nothing is staged.

    The result is correct without any further pass: where one stage is used, a
    barrier separates the last read from the next copy.

    Needs: loops and loads in a function. Leaves: no load whose users are dots
    only. Refuses, with an error: a row that is neither a multiple of 16 elements
    nor the memref's whole last extent, operands of one dot whose depths differ
    once padded. Says in a remark which loads feeding a dot it left alone.
  }];
  let options = [
    Option<"stages", "stages", "int64_t", "0",
           "Stages of every buffer filled in a loop (0: by the schedule)">,
    Option<"stagesK", "stages-k", "int64_t", "0",
           "Stages of buffers filled from the memref of role k">,
    Option<"stagesV", "stages-v", "int64_t", "0",
           "Stages of buffers filled from the memref of role v">,
    Option<"queryInRegisters", "query-in-registers", "bool", "false",
           "Read A operands loaded outside the loop into registers once">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::scf::SCFDialect", "::mlir::flash_tile::FlashTileDialect"
  ];
}

def FlashTilePipeline : Pass<"flash-tile-pipeline"> {
  let summary = "Issue the copies of a loop ahead of the iterations they serve";
  let description = [{
    For every `scf.for` with the attribute `flash_tile.pipeline`, in two steps:

    1. A schedule: each op of the body gets `flash_tile.stage` and
       `flash_tile.order`, the copies move to the top of the body, and waits
       (with `in_flight`) and barriers are placed anew, as few as the buffers'
       stages allow. With `annotate-only` this is the result, to be looked at or
       edited; a loop that carries such attributes keeps them in a later run.
       With one stage for K and V: wait K(n), barrier, copy V(n), S = Q K,
       mask, wait V(n), barrier, copy K(n + 1), softmax, P V (the alternation
       of FlashAttention-2). With S >= 2 stages: one wait and one barrier per
       iteration, then the copies for iteration n + S - 1, then everything else.
    2. Its application by `scf::pipelineForLoop`: a prologue with the first
       copies and the steady loop, whose copies are predicated off for iterations
       that do not exist. Any trip count is allowed, zero included. Waits of
       copies issued before the loop move behind the prologue.

    Copies get `in_bounds` where the loop's attributes allow:
    `flash_tile.first_ragged` (only the first iteration can touch rows outside
    the memrefs, and no `flash_tile.in_range` of the loop holds for it if it
    does) or `flash_tile.never_ragged`.

    Needs: the form that `--flash-tile-stage-buffers` leaves: copies, waits and
    the ops that use them at the top level of the loop, one copy per buffer, the
    copies' indices computed by pure scalar ops. Leaves: no attribute of its own.
    Refuses, with an error: other side effects in the loop, carried values that
    the body does not compute.
  }];
  let options = [
    Option<"annotateOnly", "annotate-only", "bool", "false",
           "Stop after the schedule">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::scf::SCFDialect", "::mlir::flash_tile::FlashTileDialect"
  ];
}

def FlashTileSplitBands : Pass<"flash-tile-split-bands"> {
  let summary = "One loop for each band of a mask";
  let description = [{
    A loop with `flash_tile.in_range %iv from %lower to %upper` becomes up to
    three, over [lb, lower), [lower, upper) and [upper, ub), chained through the
    carried values, in each of which the range is a constant; `scf.if` and
    `arith.select` on it are folded, so that the band inside holds no mask code.
    A range that begins or ends with the loop gives two loops or one. Bands may be
    empty, ranges lie partly outside the loop, and several `in_range` with the
    same bounds are one split; others split again.

    With several ranges in one op, or with `flash_tile.jumps`, and a step of one,
    there are two loops in a third one: it turns once per range, and once more for
    what follows the last one, and runs the first up to where the next range
    begins, the second through it. With `flash_tile.jumps` the loop compares its
    induction variable with values from outside, `iv + c >= start`, c a constant.
    In the second loop these are constants, computed in front of it: it ends at
    `start - c`, too, which costs one more turn per start and c > 0. No range may
    hold both `start - 1` and `start`, unless the comparison of `iv` itself does
    not matter there.

    In a loop with `flash_tile.first_ragged` the copies of the band inside get
    `in_bounds`.

    ```mlir
    func.func @before(%n: index, %lower: index, %x: tensor<16x16xf32>) -> tensor<16x16xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf32> {
        %full = flash_tile.in_range %i from %lower to %n
        %b = scf.if %full -> tensor<16x16xf32> {
          scf.yield %a : tensor<16x16xf32>
        } else {
          %masked = arith.negf %a : tensor<16x16xf32>
          scf.yield %masked : tensor<16x16xf32>
        }
        %e = math.exp2 %b : tensor<16x16xf32>
        scf.yield %e : tensor<16x16xf32>
      }
      return %r : tensor<16x16xf32>
    }
    func.func @after(%n: index, %lower: index, %x: tensor<16x16xf32>) -> tensor<16x16xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %max = arith.maxsi %lower, %c0 : index
      %begin = arith.minsi %max, %n : index
      %m = scf.for %i = %c0 to %begin step %c1 iter_args(%a = %x) -> tensor<16x16xf32> {
        %masked = arith.negf %a : tensor<16x16xf32>
        %e = math.exp2 %masked : tensor<16x16xf32>
        scf.yield %e : tensor<16x16xf32>
      }
      %r = scf.for %i = %begin to %n step %c1 iter_args(%a = %m) -> tensor<16x16xf32> {
        %e = math.exp2 %a : tensor<16x16xf32>
        scf.yield %e : tensor<16x16xf32>
      }
      return %r : tensor<16x16xf32>
    }
    ```

    Needs: bounds of the ranges that are defined outside the loop; comes after
    `--flash-tile-pipeline`, or every band would fill and drain its own pipeline.
    Leaves: no `in_range` on a loop's induction variable whose bounds are known
    outside the loop. Refuses: nothing.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
}

def FlashTileStageOperands : Pass<"flash-tile-stage-operands"> {
  let summary = "Computed operands of products on FMA units through shared memory";
  let description = [{
    A thread of a `flash_tile.dot` with `unit = fma` reads whole rows of A, which
    other lanes of its warp have computed. So an A operand that is a register
    tile is stored to a buffer, in its own element type, and the dot reads the
    view behind a `gpu.barrier`. Another one separates the reads from the store
    of the next iteration unless the loop has one there already. Operands of one
    type share a buffer.

    ```mlir
    func.func @before(%p: tensor<64x32xbf16>, %v: !flash_tile.view<32x64xbf16>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
      %r = flash_tile.dot %p, %v, %o on fma : tensor<64x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<64x64xf32>
      return %r : tensor<64x64xf32>
    }
    func.func @after(%p: tensor<64x32xbf16>, %v: !flash_tile.view<32x64xbf16>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
      %buffer = flash_tile.alloc : !flash_tile.buffer<1x64x32xbf16>
      %c0 = arith.constant 0 : index
      %view = flash_tile.stage %buffer[%c0] : !flash_tile.buffer<1x64x32xbf16> -> !flash_tile.view<64x32xbf16>
      gpu.barrier
      flash_tile.local_store %p, %view : tensor<64x32xbf16>, !flash_tile.view<64x32xbf16>
      gpu.barrier
      %r = flash_tile.dot %view, %v, %o on fma : !flash_tile.view<64x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<64x64xf32>
      return %r : tensor<64x64xf32>
    }
    ```

    Needs: B operands in shared memory; comes after `--flash-tile-pipeline`,
    which refuses other writes in the loop. Leaves: no register tile as A of such
    a dot. Refuses: nothing; dots on tensor cores, and those whose B lies
    elsewhere, stay.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::flash_tile::FlashTileDialect",
    "::mlir::gpu::GPUDialect"
  ];
}

def FlashTileStageReductions : Pass<"flash-tile-stage-reductions"> {
  let summary = "Reductions between lanes through shared memory";
  let description = [{
    Where the function's `flash_tile.schedule` says `reduce = tree`, every
    `flash_tile.reduce` over the columns of a row that several threads hold
    parts of gets a scratch view: a buffer of a row per row and a column per
    part. Reductions of one shape share a buffer, as each of them begins with a
    barrier.

    ```mlir
    #tile = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
    #rows = #flash_tile.layout<lane = [[0], [0], [0], [1], [2]]>
    func.func @before(%x: tensor<4x8xf32, #tile>) -> tensor<4xf32, #rows> attributes {
        flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 1, tile_q = 16, tile_k = 16, warps = 1, stages_k = 1, stages_v = 1, query_in_registers = false, reduce = tree>} {
      %m = flash_tile.reduce max %x axis 1 : tensor<4x8xf32, #tile> -> tensor<4xf32, #rows>
      return %m : tensor<4xf32, #rows>
    }
    func.func @after(%x: tensor<4x8xf32, #tile>) -> tensor<4xf32, #rows> attributes {
        flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 1, tile_q = 16, tile_k = 16, warps = 1, stages_k = 1, stages_v = 1, query_in_registers = false, reduce = tree>} {
      %buffer = flash_tile.alloc : !flash_tile.buffer<1x4x8xf32>
      %c0 = arith.constant 0 : index
      %view = flash_tile.stage %buffer[%c0] : !flash_tile.buffer<1x4x8xf32> -> !flash_tile.view<4x8xf32>
      %m = flash_tile.reduce max %x axis 1 through (%view : !flash_tile.view<4x8xf32>) : tensor<4x8xf32, #tile> -> tensor<4xf32, #rows>
      return %m : tensor<4xf32, #rows>
    }
    ```

    Needs: layouts. Leaves: no shuffle among those reductions. Refuses: nothing;
    other schedules are left as they are.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::flash_tile::FlashTileDialect"
  ];
}

def FlashTilePlanShared : Pass<"flash-tile-plan-shared"> {
  let summary = "Lay out shared memory: swizzles, offsets, total";
  let description = [{
    - Every buffer with two-dimensional stages, its views and futures get the
      swizzle with which the rows that one `ldmatrix` reads lie in different
      banks: for rows of 2^k * odd 16-byte chunks, bits = min(k, 3) and
      shift = 3 - bits. Swizzles that are there already stay. Not so where the
      function's `flash_tile.schedule` has `swizzle = false`; where it has
      `ldmatrix = false`, every `local_load` gets `flash_tile.plain_loads`.
    - Every `flash_tile.alloc` gets an `offset`, the largest first, at the lowest
      place that is free: 128-byte aligned, or aligned to eight rows where the
      swizzle is one of TMA's. Two buffers share memory if one is dead before
      the other is first touched and a `gpu.barrier` stands between; so the
      output of attention lies over Q, K and V. Offsets that are there already
      stay.
    - The function gets the total in bytes as `flash_tile.shared_bytes`.

    ```mlir
    func.func @before() {
      %k = flash_tile.alloc : !flash_tile.buffer<2x64x64xbf16>
      return
    }
    func.func @after() attributes {flash_tile.shared_bytes = 16384 : i64} {
      %k = flash_tile.alloc {offset = 0 : i64}
        : !flash_tile.buffer<2x64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
      return
    }
    ```

    Needs: nothing; every pass that adds buffers comes before. Refuses, with an
    error: more than `limit` bytes or, without that option, more than one CTA
    may have on the chip of the function's `flash_tile.schedule`.
  }];
  let options = [
    Option<"limit", "limit", "int64_t", "-1",
           "Most bytes that a function may use (-1: by the schedule's chip)">
  ];
  let dependentDialects = ["::mlir::flash_tile::FlashTileDialect"];
}

def FlashTileAssignLayouts : Pass<"flash-tile-assign-layouts"> {
  let summary = "Give every register tile a layout";
  let description = [{
    Needs: a kernel with `known_block_size`, its B operands staged in shared
    memory. Tiles that carry a layout already keep it.

    Leaves: a layout on every tile. Accumulators of dots get the fragment layout
    of m16n8 products with all warps along the rows, so that one warp owns whole
    rows, and where `b` has 8 bits, is not transposed and may be read by
    `ldmatrix`, each product every other column of sixteen (bytes are transposed
    in pairs), if the columns are a multiple of that; row statistics its slices;
    A operands in registers the A fragment, behind a `convert_layout` where they
    were computed; tiles that no instruction constrains 16 bytes per thread,
    coalesced. A row statistic that is broadcast to a tile of another layout is
    converted.

    Where the function's `flash_tile.schedule` has `probabilities = shared`, what
    is computed from a product on tensor cores that starts from a constant has a
    layout of its own, behind a `convert_layout`: that of products on FMA units.

    Refuses: accumulators whose rows the warps cannot share in steps of 16, and
    values that two instructions want in different layouts.
  }];
  let dependentDialects = ["::mlir::flash_tile::FlashTileDialect"];
}

def FlashTilePermuteRegisters : Pass<"flash-tile-permute-registers"> {
  let summary = "Decide how each layout conversion moves data";
  let description = [{
    Needs: layouts. For every `flash_tile.convert_layout` that is not decided
    yet it takes the cheapest of these, and says in a remark which, and why each
    cheaper one is none:

    1. identity: the layouts are one function; nothing moves;
    2. rename: a thread needs only its own registers, in another order. Elements
       that share a register must stay together, unless the tile was narrowed
       (`arith.truncf`) just before: then the conversion moves in front of that;
    3. contraction order: the tile is operand `a` of products whose `b` is read
       from shared memory row by row, in any order. If a permutation of the
       contraction index makes the conversion a renaming, the products record it
       (`contraction_order`) and the result keeps its logical coordinates, in a
       layout permuted likewise;
    4. exchange: lanes of a warp exchange registers (selects, `shfl.sync`,
       `prmt`), where the modelled cycles are no more than those of
    5. shared memory: store, barrier, load. In a loop that has no other barrier
       a second one keeps the iterations apart.

    Where the kernel's `flash_tile.schedule` has `probabilities = shared`, tiles
    of rank 2 go through shared memory, whatever cheaper way there is.

    The first three and the last are proved by evaluating both layouts at every
    register, lane and warp; an exchange by executing it on labelled data.
    Leaves: `permutation` or `exchange` on the conversions of kinds 1 to 4, none
    of kind 5. Elements have 8, 16, 32 or 64 bits, or are predicates, which move
    as bytes. Narrow integers, which have a register each, are packed into words
    to be exchanged where that is cheaper; those of 64 bits move in halves.
    Functions of every kind are looked at, not kernels only. Refuses: elements of
    other widths, and barriers inside a role.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::flash_tile::FlashTileDialect",
    "::mlir::gpu::GPUDialect"
  ];
}

def FlashTileVerify : Pass<"flash-tile-verify"> {
  let summary = "Check a whole tile program for what no single op can see";
  let description = [{
    Checks each kernel (function) for the constraints P1 to P14 of
    the dialect's description: layouts of elementwise ops agree; barriers have
    signallers, waiters and as many arrivals and bytes as declared; phases
    alternate; a tile is read after a wait, and overwritten after its readers.
    Programs with `flash_tile.warp_groups` are checked by that op's verifier
    already; this is for a single instruction stream with cp.async.

    ```mlir
    func.func @wait_barrier_read(%q: tensor<64x64xf16>, %K: memref<64x64xf16>, %s: tensor<64x64xf32>) -> tensor<64x64xf32> {
      %c0 = arith.constant 0 : index
      %buffer = flash_tile.alloc : !flash_tile.buffer<1x64x64xf16>
      %stage = flash_tile.stage %buffer[%c0] : !flash_tile.buffer<1x64x64xf16> -> !flash_tile.view<64x64xf16>
      %future = flash_tile.copy_async %K[%c0, %c0] to %stage
        : memref<64x64xf16> to !flash_tile.view<64x64xf16> -> !flash_tile.future<!flash_tile.view<64x64xf16>>
      %k = flash_tile.wait %future : !flash_tile.future<!flash_tile.view<64x64xf16>>
      gpu.barrier
      %r = flash_tile.dot %q, %k, %s {transpose_b} : tensor<64x64xf16>, !flash_tile.view<64x64xf16>, tensor<64x64xf32>
      return %r : tensor<64x64xf32>
    }
    ```

    Needs nothing. Leaves the program as it is. Refuses, with an error at the op
    and a note at its counterpart: every violation. It is conservative: a wait
    must dominate what it protects.
  }];
}

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PASSES_TD
