// RUN: flash-opt %s --verify-roundtrip | FileCheck %s
// RUN: flash-opt %s --flash-tile-verify --verify-roundtrip -o /dev/null
// RUN: %python %S/Inputs/mutants.py flash-opt 1 %s delete-arrive delete-wait \
// RUN:   delete-expect more-arrivals fewer-arrivals no-arrivals \
// RUN:   arrive-per-warp half-the-bytes barrier-stage-out-of-range \
// RUN:   other-stage constant-phase phase-of-no-slot slot-of-other-ring \
// RUN:   stage-of-other-slot named-threads named-id delete-named-sync \
// RUN:   register-step register-total role-name no-warps tensor-crosses \
// RUN:   thread-number-crosses release-too-early read-before-wait \
// RUN:   overwrite-before-wait layout-too-small layout-lanes row-layout \
// RUN:   dot-type wgmma-rows reduce-axis map-swizzle map-box

// The forward kernel of FlashAttention-3 (d = 128, bf16) written by hand: one
// producer group that only issues TMA, two consumer groups of 64 rows each.
// K and V are rings of two stages. The consumers take turns in issuing their
// products (ping-pong): named barrier 1 is consumer0's turn, 2 consumer1's. Each
// issues the next Q K^T before this P V is waited for, so that the tensor cores
// have work while the softmax runs.

// CHECK: flash_tile.warp_groups
// CHECK: role "producer" warps 4 registers 24
// CHECK: role "consumer0" warps 4 registers 240
// CHECK: role "consumer1" warps 4 registers 240

// The 128-byte swizzle of TMA and wgmma: panels of 64 bf16 columns.
#sw = #flash_tile.swizzle<bits = 3, shift = 0, panel = 128>
// The wgmma accumulator of 64 x 128. S and O have the same shape; P, as the A
// operand of the second product, is the same function of (register, lane, warp).
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                          warp = [[16, 0], [32, 0]],
                          repeat = [[16, 0, 8]]>
#row = #flash_tile.layout<register = [[8]],
                          lane = [[0], [0], [1], [2], [4]],
                          warp = [[16], [32]]>

!q_map = !flash_tile.tensor_map<1x1x64x64xbf16, #sw>
!kv_map = !flash_tile.tensor_map<1x1x128x64xbf16, #sw>
!q_tiles = !flash_tile.buffer<2x64x128xbf16, #sw>
!q_tile = !flash_tile.view<64x128xbf16, #sw>
!kv_ring = !flash_tile.buffer<2x128x128xbf16, #sw>
!kv_tile = !flash_tile.view<128x128xbf16, #sw>
!ring = !flash_tile.barrier<2>
!tile = tensor<64x128xf32, #acc>
!p_tile = tensor<64x128xbf16, #acc>
!rows = tensor<64xf32, #row>

gpu.module @attention_kernels {
  gpu.func @attention(%Q: memref<?x?x?x128xbf16>, %K: memref<?x?x?x128xbf16>,
                      %V: memref<?x?x?x128xbf16>, %O: memref<?x?x?x128xbf16>,
                      %L: memref<?x?x?xf32>, %scale: f32)
      kernel attributes {known_block_size = array<i32: 384, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c64 = arith.constant 64 : index
    %c128 = arith.constant 128 : index
    %false = arith.constant false
    %true = arith.constant true
    %bx = gpu.block_id x
    %h = gpu.block_id y
    %b = gpu.block_id z
    %sk = memref.dim %K, %c2 : memref<?x?x?x128xbf16>
    %n = arith.ceildivui %sk, %c128 : index
    %last = arith.subi %n, %c1 : index
    %q0 = arith.muli %bx, %c128 : index
    %log2e = arith.constant 1.44269502 : f32
    %c = arith.mulf %scale, %log2e : f32

    %q_map = flash_tile.tensor_map %Q : memref<?x?x?x128xbf16> -> !q_map
    %k_map = flash_tile.tensor_map %K : memref<?x?x?x128xbf16> -> !kv_map
    %v_map = flash_tile.tensor_map %V : memref<?x?x?x128xbf16> -> !kv_map
    %o_map = flash_tile.tensor_map %O : memref<?x?x?x128xbf16> -> !q_map

    // Stage i of %qs is consumer i's half of the query tile; later its O.
    %qs = flash_tile.alloc : !q_tiles
    %ks = flash_tile.alloc : !kv_ring
    %vs = flash_tile.alloc : !kv_ring
    %q_full = flash_tile.barrier.init arrivals 1 : !ring
    %k_full = flash_tile.barrier.init arrivals 1 : !ring
    %k_empty = flash_tile.barrier.init arrivals 2 : !ring
    %v_full = flash_tile.barrier.init arrivals 1 : !ring
    %v_empty = flash_tile.barrier.init arrivals 2 : !ring

    flash_tile.warp_groups
    role "producer" warps 4 registers 24 {
      // Tiles go from the last to the first; V trails K by one.
      %k0 = arith.muli %last, %c128 : index
      %k_view0 = flash_tile.stage %ks[%c0] : !kv_ring -> !kv_tile
      flash_tile.barrier.expect %k_full[%c0] bytes 32768 : !ring
      flash_tile.copy_tma %k_map[%b, %h, %k0, %c0] to %k_view0 signal %k_full[%c0]
        : !kv_map to !kv_tile, !ring
      %q_view0 = flash_tile.stage %qs[%c0] : !q_tiles -> !q_tile
      flash_tile.barrier.expect %q_full[%c0] bytes 16384 : !ring
      flash_tile.copy_tma %q_map[%b, %h, %q0, %c0] to %q_view0 signal %q_full[%c0]
        : !q_map to !q_tile, !ring
      %q1 = arith.addi %q0, %c64 : index
      %q_view1 = flash_tile.stage %qs[%c1] : !q_tiles -> !q_tile
      flash_tile.barrier.expect %q_full[%c1] bytes 16384 : !ring
      flash_tile.copy_tma %q_map[%b, %h, %q1, %c0] to %q_view1 signal %q_full[%c1]
        : !q_map to !q_tile, !ring
      scf.for %i = %c1 to %n step %c1 {
        %j = arith.subi %last, %i : index
        %kr = arith.muli %j, %c128 : index
        %k_stage, %k_phase = flash_tile.slot %i of 2
        %k_free = arith.xori %k_phase, %true : i1
        %k_view = flash_tile.stage %ks[%k_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %k_empty[%k_stage] phase %k_free : !ring
        flash_tile.barrier.expect %k_full[%k_stage] bytes 32768 : !ring
        flash_tile.copy_tma %k_map[%b, %h, %kr, %c0] to %k_view signal %k_full[%k_stage]
          : !kv_map to !kv_tile, !ring
        %iv = arith.subi %i, %c1 : index
        %vr = arith.addi %kr, %c128 : index
        %v_stage, %v_phase = flash_tile.slot %iv of 2
        %v_free = arith.xori %v_phase, %true : i1
        %v_view = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %v_empty[%v_stage] phase %v_free : !ring
        flash_tile.barrier.expect %v_full[%v_stage] bytes 32768 : !ring
        flash_tile.copy_tma %v_map[%b, %h, %vr, %c0] to %v_view signal %v_full[%v_stage]
          : !kv_map to !kv_tile, !ring
      }
      %v_stage, %v_phase = flash_tile.slot %last of 2
      %v_free = arith.xori %v_phase, %true : i1
      %v_view = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
      flash_tile.barrier.wait %v_empty[%v_stage] phase %v_free : !ring
      flash_tile.barrier.expect %v_full[%v_stage] bytes 32768 : !ring
      flash_tile.copy_tma %v_map[%b, %h, %c0, %c0] to %v_view signal %v_full[%v_stage]
        : !kv_map to !kv_tile, !ring
    }
    role "consumer0" warps 4 registers 240 {
      %zero = arith.constant dense<0.0> : !tile
      %minf = arith.constant dense<0xFF800000> : !tile
      %one_rows = arith.constant dense<1.0> : !rows
      %minf_rows = arith.constant dense<0xFF800000> : !rows
      %ln2 = arith.constant dense<0.693147182> : !rows
      %c_rows = flash_tile.splat %c : f32 -> !rows
      %c_tile = flash_tile.splat %c : f32 -> !tile
      // consumer0 has the first turn.

      %q = flash_tile.stage %qs[%c0] : !q_tiles -> !q_tile
      flash_tile.barrier.wait %q_full[%c0] phase %false : !ring
      %k_view0 = flash_tile.stage %ks[%c0] : !kv_ring -> !kv_tile
      flash_tile.barrier.wait %k_full[%c0] phase %false : !ring
      %s_future0 = flash_tile.dot_async %q, %k_view0, %zero {transpose_b}
        : !q_tile, !kv_tile, !tile
      %s0 = flash_tile.wait %s_future0 : !flash_tile.future<!tile>
      flash_tile.barrier.arrive per role %k_empty[%c0] : !ring

      // Only this tile can reach past the last key: TMA gave zeros there, which
      // are not scores.
      %k0 = arith.muli %last, %c128 : index
      %left = arith.subi %sk, %k0 : index
      %left_i32 = arith.index_cast %left : index to i32
      %limit = flash_tile.splat %left_i32 : i32 -> tensor<64x128xi32, #acc>
      %key = flash_tile.index axis 1 : tensor<64x128xi32, #acc>
      %inside = arith.cmpi slt, %key, %limit : tensor<64x128xi32, #acc>
      %masked = arith.select %inside, %s0, %minf : tensor<64x128xi1, #acc>, !tile
      %m0 = flash_tile.reduce max %masked axis 1 : !tile -> !rows
      %mc0 = arith.mulf %m0, %c_rows : !rows
      %mc0_tile = flash_tile.expand %mc0 axis 1 : !rows -> !tile
      %neg0 = arith.negf %mc0_tile : !tile
      %x0 = math.fma %masked, %c_tile, %neg0 : !tile
      %e0 = math.exp2 %x0 : !tile
      %l0 = flash_tile.reduce add %e0 axis 1 : !tile -> !rows
      %p0 = arith.truncf %e0 : !tile to !p_tile

      %r:4 = scf.for %i = %c1 to %n step %c1
          iter_args(%acc = %zero, %m = %m0, %l = %l0, %p = %p0)
          -> (!tile, !rows, !rows, !p_tile) {
        %k_stage, %k_phase = flash_tile.slot %i of 2
        %k = flash_tile.stage %ks[%k_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %k_full[%k_stage] phase %k_phase : !ring
        flash_tile.named_barrier.sync 1 threads 256
        %s_future = flash_tile.dot_async %q, %k, %zero {transpose_b}
          : !q_tile, !kv_tile, !tile
        %iv = arith.subi %i, %c1 : index
        %v_stage, %v_phase = flash_tile.slot %iv of 2
        %v = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %v_full[%v_stage] phase %v_phase : !ring
        %o_future = flash_tile.dot_async %p, %v, %acc
          : !p_tile, !kv_tile, !tile
        flash_tile.named_barrier.arrive 2 threads 256

        %s = flash_tile.wait %s_future {in_flight = 1 : i64} : !flash_tile.future<!tile>
        flash_tile.barrier.arrive per role %k_empty[%k_stage] : !ring
        %mt = flash_tile.reduce max %s axis 1 : !tile -> !rows
        %mn = arith.maxnumf %m, %mt : !rows
        %mc = arith.mulf %mn, %c_rows : !rows
        %mc_tile = flash_tile.expand %mc axis 1 : !rows -> !tile
        %neg = arith.negf %mc_tile : !tile
        %x = math.fma %s, %c_tile, %neg : !tile
        %e = math.exp2 %x : !tile
        %neg_rows = arith.negf %mc : !rows
        %d = math.fma %m, %c_rows, %neg_rows : !rows
        %alpha = math.exp2 %d : !rows
        %lt = flash_tile.reduce add %e axis 1 : !tile -> !rows
        %ln = math.fma %l, %alpha, %lt : !rows

        %o = flash_tile.wait %o_future : !flash_tile.future<!tile>
        flash_tile.barrier.arrive per role %v_empty[%v_stage] : !ring
        %pn = arith.truncf %e : !tile to !p_tile
        %alpha_tile = flash_tile.expand %alpha axis 1 : !rows -> !tile
        %on = arith.mulf %o, %alpha_tile : !tile
        scf.yield %on, %mn, %ln, %pn : !tile, !rows, !rows, !p_tile
      }
      // Takes the turn that consumer1 gave last, so that arrivals and waits on
      // barrier 1 are as many.
      flash_tile.named_barrier.sync 1 threads 256
      %v_stage, %v_phase = flash_tile.slot %last of 2
      %v = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
      flash_tile.barrier.wait %v_full[%v_stage] phase %v_phase : !ring
      %o_future = flash_tile.dot_async %r#3, %v, %r#0 : !p_tile, !kv_tile, !tile
      %o = flash_tile.wait %o_future : !flash_tile.future<!tile>
      flash_tile.barrier.arrive per role %v_empty[%v_stage] : !ring

      %inv = arith.divf %one_rows, %r#2 : !rows
      %inv_tile = flash_tile.expand %inv axis 1 : !rows -> !tile
      %out = arith.mulf %o, %inv_tile : !tile
      %out16 = arith.truncf %out : !tile to !p_tile
      // O takes the place of this consumer's Q, which nobody reads any more.
      flash_tile.local_store %out16, %q : !p_tile, !q_tile
      flash_tile.proxy_fence
      flash_tile.named_barrier.sync 3 threads 128
      %stored = flash_tile.store_tma %q to %o_map[%b, %h, %q0, %c0]
        : !q_tile to !q_map -> !flash_tile.future<!q_tile>
      %log = math.log2 %r#2 : !rows
      %lse2 = math.fma %r#1, %c_rows, %log : !rows
      %lse = arith.mulf %lse2, %ln2 : !rows
      flash_tile.store %lse, %L[%b, %h, %q0] : !rows, memref<?x?x?xf32>
      %done = flash_tile.wait %stored : !flash_tile.future<!q_tile>
    }
    role "consumer1" warps 4 registers 240 {
      %zero = arith.constant dense<0.0> : !tile
      %minf = arith.constant dense<0xFF800000> : !tile
      %one_rows = arith.constant dense<1.0> : !rows
      %minf_rows = arith.constant dense<0xFF800000> : !rows
      %ln2 = arith.constant dense<0.693147182> : !rows
      %c_rows = flash_tile.splat %c : f32 -> !rows
      %c_tile = flash_tile.splat %c : f32 -> !tile
      // Gives consumer0 its first turn.
      flash_tile.named_barrier.arrive 1 threads 256

      %q = flash_tile.stage %qs[%c1] : !q_tiles -> !q_tile
      flash_tile.barrier.wait %q_full[%c1] phase %false : !ring
      %k_view0 = flash_tile.stage %ks[%c0] : !kv_ring -> !kv_tile
      flash_tile.barrier.wait %k_full[%c0] phase %false : !ring
      %s_future0 = flash_tile.dot_async %q, %k_view0, %zero {transpose_b}
        : !q_tile, !kv_tile, !tile
      %s0 = flash_tile.wait %s_future0 : !flash_tile.future<!tile>
      flash_tile.barrier.arrive per role %k_empty[%c0] : !ring

      // Only this tile can reach past the last key: TMA gave zeros there, which
      // are not scores.
      %k0 = arith.muli %last, %c128 : index
      %left = arith.subi %sk, %k0 : index
      %left_i32 = arith.index_cast %left : index to i32
      %limit = flash_tile.splat %left_i32 : i32 -> tensor<64x128xi32, #acc>
      %key = flash_tile.index axis 1 : tensor<64x128xi32, #acc>
      %inside = arith.cmpi slt, %key, %limit : tensor<64x128xi32, #acc>
      %masked = arith.select %inside, %s0, %minf : tensor<64x128xi1, #acc>, !tile
      %m0 = flash_tile.reduce max %masked axis 1 : !tile -> !rows
      %mc0 = arith.mulf %m0, %c_rows : !rows
      %mc0_tile = flash_tile.expand %mc0 axis 1 : !rows -> !tile
      %neg0 = arith.negf %mc0_tile : !tile
      %x0 = math.fma %masked, %c_tile, %neg0 : !tile
      %e0 = math.exp2 %x0 : !tile
      %l0 = flash_tile.reduce add %e0 axis 1 : !tile -> !rows
      %p0 = arith.truncf %e0 : !tile to !p_tile

      %r:4 = scf.for %i = %c1 to %n step %c1
          iter_args(%acc = %zero, %m = %m0, %l = %l0, %p = %p0)
          -> (!tile, !rows, !rows, !p_tile) {
        %k_stage, %k_phase = flash_tile.slot %i of 2
        %k = flash_tile.stage %ks[%k_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %k_full[%k_stage] phase %k_phase : !ring
        flash_tile.named_barrier.sync 2 threads 256
        %s_future = flash_tile.dot_async %q, %k, %zero {transpose_b}
          : !q_tile, !kv_tile, !tile
        %iv = arith.subi %i, %c1 : index
        %v_stage, %v_phase = flash_tile.slot %iv of 2
        %v = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
        flash_tile.barrier.wait %v_full[%v_stage] phase %v_phase : !ring
        %o_future = flash_tile.dot_async %p, %v, %acc
          : !p_tile, !kv_tile, !tile
        flash_tile.named_barrier.arrive 1 threads 256

        %s = flash_tile.wait %s_future {in_flight = 1 : i64} : !flash_tile.future<!tile>
        flash_tile.barrier.arrive per role %k_empty[%k_stage] : !ring
        %mt = flash_tile.reduce max %s axis 1 : !tile -> !rows
        %mn = arith.maxnumf %m, %mt : !rows
        %mc = arith.mulf %mn, %c_rows : !rows
        %mc_tile = flash_tile.expand %mc axis 1 : !rows -> !tile
        %neg = arith.negf %mc_tile : !tile
        %x = math.fma %s, %c_tile, %neg : !tile
        %e = math.exp2 %x : !tile
        %neg_rows = arith.negf %mc : !rows
        %d = math.fma %m, %c_rows, %neg_rows : !rows
        %alpha = math.exp2 %d : !rows
        %lt = flash_tile.reduce add %e axis 1 : !tile -> !rows
        %ln = math.fma %l, %alpha, %lt : !rows

        %o = flash_tile.wait %o_future : !flash_tile.future<!tile>
        flash_tile.barrier.arrive per role %v_empty[%v_stage] : !ring
        %pn = arith.truncf %e : !tile to !p_tile
        %alpha_tile = flash_tile.expand %alpha axis 1 : !rows -> !tile
        %on = arith.mulf %o, %alpha_tile : !tile
        scf.yield %on, %mn, %ln, %pn : !tile, !rows, !rows, !p_tile
      }
      %v_stage, %v_phase = flash_tile.slot %last of 2
      %v = flash_tile.stage %vs[%v_stage] : !kv_ring -> !kv_tile
      flash_tile.barrier.wait %v_full[%v_stage] phase %v_phase : !ring
      %o_future = flash_tile.dot_async %r#3, %v, %r#0 : !p_tile, !kv_tile, !tile
      %o = flash_tile.wait %o_future : !flash_tile.future<!tile>
      flash_tile.barrier.arrive per role %v_empty[%v_stage] : !ring

      %inv = arith.divf %one_rows, %r#2 : !rows
      %inv_tile = flash_tile.expand %inv axis 1 : !rows -> !tile
      %out = arith.mulf %o, %inv_tile : !tile
      %out16 = arith.truncf %out : !tile to !p_tile
      // O takes the place of this consumer's Q, which nobody reads any more.
      flash_tile.local_store %out16, %q : !p_tile, !q_tile
      flash_tile.proxy_fence
      flash_tile.named_barrier.sync 4 threads 128
      %q_row = arith.addi %q0, %c64 : index
      %stored = flash_tile.store_tma %q to %o_map[%b, %h, %q_row, %c0]
        : !q_tile to !q_map -> !flash_tile.future<!q_tile>
      %log = math.log2 %r#2 : !rows
      %lse2 = math.fma %r#1, %c_rows, %log : !rows
      %lse = arith.mulf %lse2, %ln2 : !rows
      flash_tile.store %lse, %L[%b, %h, %q_row] : !rows, memref<?x?x?xf32>
      %done = flash_tile.wait %stored : !flash_tile.future<!q_tile>
    }
    gpu.return
  }
}
