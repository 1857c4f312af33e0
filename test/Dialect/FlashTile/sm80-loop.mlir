// RUN: flash-opt %s --verify-roundtrip | FileCheck %s
// RUN: flash-opt %s --flash-tile-verify -o /dev/null
// RUN: %python %S/Inputs/mutants.py flash-opt 1 %s layout-too-small layout-lanes \
// RUN:   row-layout dot-shape dot-type reduce-axis swizzle-bits \
// RUN:   delete-barrier read-without-wait copy-stage-out-of-range one-stage \
// RUN:   negative-in-flight copy-alignment store-indices elementwise-layout

// The forward kernel of FlashAttention-2 for sm_80 (d = 128, bf16, causal)
// written by hand: 128 x 64 tiles on 8 warps, K and V each a ring of two stages
// filled by cp.async, tiles from the last to the first. The scores of a tile
// overlap with the copy of its V and of the next K. Layouts are assigned, the
// mask is inlined and guarded by the band that needs none.

// CHECK: scf.for
// CHECK: flash_tile.copy_async {{.*}} if
// CHECK: flash_tile.dot {{.*}} {transpose_b}
// CHECK: flash_tile.in_range
// CHECK: flash_tile.reduce max
// CHECK: flash_tile.dot

// 16-byte chunk c of row r lies at c ^ (r mod 8): ldmatrix without conflicts.
#sw = #flash_tile.swizzle<bits = 3, shift = 0>
// Accumulators of m16n8k16, 16 rows per warp. P is the A operand as it stands.
#s = #flash_tile.layout<register = [[0, 1], [8, 0]],
                        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                        warp = [[16, 0], [32, 0], [64, 0]],
                        repeat = [[8, 0, 8]]>
#o = #flash_tile.layout<register = [[0, 1], [8, 0]],
                        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                        warp = [[16, 0], [32, 0], [64, 0]],
                        repeat = [[16, 0, 8]]>
#row = #flash_tile.layout<register = [[8]],
                          lane = [[0], [0], [1], [2], [4]],
                          warp = [[16], [32], [64]]>
// 16 bytes per thread, 8 lanes along a row: whole 128-byte transactions.
#wide = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]],
                           lane = [[0, 8], [0, 16], [0, 32], [1, 0], [2, 0]],
                           warp = [[4, 0], [8, 0], [16, 0]],
                           repeat = [[2, 0, 64], [4, 32, 0]]>

!q_buffer = !flash_tile.buffer<1x128x128xbf16, #sw>
!q_view = !flash_tile.view<128x128xbf16, #sw>
!kv_ring = !flash_tile.buffer<2x64x128xbf16, #sw>
!kv_view = !flash_tile.view<64x128xbf16, #sw>
!kv_future = !flash_tile.future<!kv_view>
!scores = tensor<128x64xf32, #s>
!probabilities = tensor<128x64xbf16, #s>
!out = tensor<128x128xf32, #o>
!rows = tensor<128xf32, #row>
!global = memref<?x?x?x128xbf16, strided<[?, ?, ?, 1], offset: ?>>

gpu.module @attention_kernels {
  gpu.func @attention(%Q: !global, %K: !global, %V: !global, %O: !global,
                      %L: memref<?x?x?xf32>, %scale: f32, %group: index)
      kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c64 = arith.constant 64 : index
    %c128 = arith.constant 128 : index
    %zero_scores = arith.constant dense<0.0> : !scores
    %minf_scores = arith.constant dense<0xFF800000> : !scores
    %zero_out = arith.constant dense<0.0> : !out
    %zero_rows = arith.constant dense<0.0> : !rows
    %one_rows = arith.constant dense<1.0> : !rows
    %minf_rows = arith.constant dense<0xFF800000> : !rows
    %ln2 = arith.constant dense<0.693147182> : !rows
    %log2e = arith.constant 1.44269502 : f32
    %c = arith.mulf %scale, %log2e : f32
    %c_rows = flash_tile.splat %c : f32 -> !rows
    %c_tile = flash_tile.splat %c : f32 -> !scores

    // Longest rows first.
    %bx = gpu.block_id x
    %h = gpu.block_id y
    %b = gpu.block_id z
    %grid = gpu.grid_dim x
    %grid_last = arith.subi %grid, %c1 : index
    %qt = arith.subi %grid_last, %bx : index
    %q0 = arith.muli %qt, %c128 : index
    %hk = arith.floordivsi %h, %group : index

    // Query row r sees keys up to r + (sk - sq). Tiles [0, hi) are live, tiles
    // [0, full) need no mask.
    %sq = memref.dim %Q, %c2 : !global
    %sk = memref.dim %K, %c2 : !global
    %shift = arith.subi %sk, %sq : index
    %diagonal = arith.addi %q0, %shift : index
    %diagonal_end = arith.addi %diagonal, %c128 : index
    %end = arith.minsi %diagonal_end, %sk : index
    %live = arith.ceildivsi %end, %c64 : index
    %hi = arith.maxsi %live, %c0 : index
    %diagonal_next = arith.addi %diagonal, %c1 : index
    %full_raw = arith.floordivsi %diagonal_next, %c64 : index
    %full = arith.maxsi %full_raw, %c0 : index
    %full_from = arith.subi %hi, %full : index
    %full_lo = arith.maxsi %full_from, %c0 : index
    %last = arith.subi %hi, %c1 : index
    %last_row = arith.muli %last, %c64 : index

    %qs = flash_tile.alloc : !q_buffer
    %ks = flash_tile.alloc : !kv_ring
    %vs = flash_tile.alloc : !kv_ring
    %any = arith.cmpi sgt, %hi, %c0 : index
    %q_view = flash_tile.stage %qs[%c0] : !q_buffer -> !q_view
    %q_future = flash_tile.copy_async %Q[%b, %h, %q0, %c0] to %q_view
      : !global to !q_view -> !flash_tile.future<!q_view>
    %k_view0 = flash_tile.stage %ks[%c0] : !kv_ring -> !kv_view
    %k_future0 = flash_tile.copy_async %K[%b, %hk, %last_row, %c0] to %k_view0 if %any
      : !global to !kv_view -> !kv_future
    %v_view0 = flash_tile.stage %vs[%c0] : !kv_ring -> !kv_view
    %v_future0 = flash_tile.copy_async %V[%b, %hk, %last_row, %c0] to %v_view0 if %any
      : !global to !kv_view -> !kv_future
    %q = flash_tile.wait %q_future {in_flight = 2 : i64} : !flash_tile.future<!q_view>

    %r:5 = scf.for %i = %c0 to %hi step %c1
        iter_args(%acc = %zero_out, %m = %minf_rows, %l = %zero_rows,
                  %k_future = %k_future0, %v_future = %v_future0)
        -> (!out, !rows, !rows, !kv_future, !kv_future) {
      %j = arith.subi %last, %i : index
      %k0 = arith.muli %j, %c64 : index
      %next = arith.addi %i, %c1 : index
      %next_stage = arith.remui %next, %c2 : index
      %next_row = arith.subi %k0, %c64 : index
      %more = arith.cmpi slt, %next, %hi : index

      // This K is there; its V may still be on its way. The barrier also says
      // that all warps are done with the stages that are overwritten below.
      %k = flash_tile.wait %k_future {in_flight = 1 : i64} : !kv_future
      gpu.barrier
      %k_view = flash_tile.stage %ks[%next_stage] : !kv_ring -> !kv_view
      %k_next = flash_tile.copy_async %K[%b, %hk, %next_row, %c0] to %k_view if %more {in_bounds}
        : !global to !kv_view -> !kv_future
      %s = flash_tile.dot %q, %k, %zero_scores {transpose_b}
        : !q_view, !kv_view, !scores

      %is_full = flash_tile.in_range %i from %full_lo to %hi
      %sm = scf.if %is_full -> (!scores) {
        scf.yield %s : !scores
      } else {
        // Seen: k0 + key <= q0 + query + (sk - sq), and there is such a key.
        %offset = arith.subi %diagonal, %k0 : index
        %offset_i32 = arith.index_cast %offset : index to i32
        %left = arith.subi %sk, %k0 : index
        %left_i32 = arith.index_cast %left : index to i32
        %offset_tile = flash_tile.splat %offset_i32 : i32 -> tensor<128x64xi32, #s>
        %left_tile = flash_tile.splat %left_i32 : i32 -> tensor<128x64xi32, #s>
        %query = flash_tile.index axis 0 : tensor<128x64xi32, #s>
        %key = flash_tile.index axis 1 : tensor<128x64xi32, #s>
        %newest = arith.addi %query, %offset_tile : tensor<128x64xi32, #s>
        %past = arith.cmpi sle, %key, %newest : tensor<128x64xi32, #s>
        %inside = arith.cmpi slt, %key, %left_tile : tensor<128x64xi32, #s>
        %seen = arith.andi %past, %inside : tensor<128x64xi1, #s>
        %masked = arith.select %seen, %s, %minf_scores : tensor<128x64xi1, #s>, !scores
        scf.yield %masked : !scores
      }
      %mt = flash_tile.reduce max %sm axis 1 : !scores -> !rows
      %mn = arith.maxnumf %m, %mt : !rows
      // A row that has seen nothing yet: -inf - -inf must not become NaN.
      %dead = arith.cmpf oeq, %mn, %minf_rows : !rows
      %mref = arith.select %dead, %zero_rows, %mn : tensor<128xi1, #row>, !rows
      %mc = arith.mulf %mref, %c_rows : !rows
      %neg = arith.negf %mc : !rows
      %neg_tile = flash_tile.expand %neg axis 1 : !rows -> !scores
      %x = math.fma %sm, %c_tile, %neg_tile : !scores
      %p = math.exp2 %x : !scores
      %d = math.fma %m, %c_rows, %neg : !rows
      %alpha = math.exp2 %d : !rows
      %lt = flash_tile.reduce add %p axis 1 : !scores -> !rows
      %ln = math.fma %l, %alpha, %lt : !rows
      %p16 = arith.truncf %p : !scores to !probabilities
      %alpha_tile = flash_tile.expand %alpha axis 1 : !rows -> !out
      %acc1 = arith.mulf %acc, %alpha_tile : !out

      // Now V; the copy of the next K may still run.
      %v = flash_tile.wait %v_future {in_flight = 1 : i64} : !kv_future
      gpu.barrier
      %v_view = flash_tile.stage %vs[%next_stage] : !kv_ring -> !kv_view
      %v_next = flash_tile.copy_async %V[%b, %hk, %next_row, %c0] to %v_view if %more {in_bounds}
        : !global to !kv_view -> !kv_future
      %acc2 = flash_tile.dot %p16, %v, %acc1
        : !probabilities, !kv_view, !out
      scf.yield %acc2, %mn, %ln, %k_next, %v_next
        : !out, !rows, !rows, !kv_future, !kv_future
    } {flash_tile.pipeline, flash_tile.first_ragged}

    // A row without keys gives 0, and -inf as its LSE.
    %empty = arith.cmpf oeq, %r#2, %zero_rows : !rows
    %inverse = arith.divf %one_rows, %r#2 : !rows
    %inv = arith.select %empty, %zero_rows, %inverse : tensor<128xi1, #row>, !rows
    %inv_tile = flash_tile.expand %inv axis 1 : !rows -> !out
    %out = arith.mulf %r#0, %inv_tile : !out
    %out16 = arith.truncf %out : !out to tensor<128x128xbf16, #o>
    // Through shared memory, over Q, so that global stores are whole rows.
    gpu.barrier
    flash_tile.local_store %out16, %q_view : tensor<128x128xbf16, #o>, !q_view
    gpu.barrier
    %wide = flash_tile.local_load %q_view : !q_view -> tensor<128x128xbf16, #wide>
    flash_tile.store %wide, %O[%b, %h, %q0, %c0] : tensor<128x128xbf16, #wide>, !global

    %log = math.log2 %r#2 : !rows
    %lse2 = math.fma %r#1, %c_rows, %log : !rows
    %lse_alive = arith.mulf %lse2, %ln2 : !rows
    %lse = arith.select %empty, %minf_rows, %lse_alive : tensor<128xi1, #row>, !rows
    flash_tile.store %lse, %L[%b, %h, %q0] : !rows, memref<?x?x?xf32>
    gpu.return
  }
}
