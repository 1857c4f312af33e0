// RUN: flash-opt %s --verify-roundtrip | FileCheck %s

// CHECK: gpu.func @attention
// CHECK: flash_tile.in_range
// CHECK: gpu.func @dense
// CHECK-NOT: flash_tile.in_range

// The first form of two forward kernels, as --flash-to-tile leaves them: bf16,
// d = dv = 128, 128 x 64 tiles, 8 warps.
//
// 1. Causal, everything dynamic, with log-sum-exp. Tiles of keys are visited
//    from the last live one to the first; the band [%i_full_lo, %i_full_hi) of
//    iterations needs no mask.

#dyn4 = strided<[?, ?, ?, ?], offset: ?>
#dyn3 = strided<[?, ?, ?], offset: ?>

gpu.module @attention_kernels {
  gpu.func @attention(
      %Q: memref<?x?x?x128xbf16, #dyn4> {flash_tile.role = "q", flash_tile.dims = ["b", "hq", "sq", "d"]},
      %K: memref<?x?x?x128xbf16, #dyn4> {flash_tile.role = "k", flash_tile.dims = ["b", "hkv", "sk", "d"]},
      %V: memref<?x?x?x128xbf16, #dyn4> {flash_tile.role = "v", flash_tile.dims = ["b", "hkv", "sk", "dv"]},
      %O: memref<?x?x?x128xbf16, #dyn4> {flash_tile.role = "o", flash_tile.dims = ["b", "hq", "sq", "dv"]},
      %L: memref<?x?x?xf32, #dyn3> {flash_tile.role = "lse", flash_tile.dims = ["b", "hq", "sq"]},
      %scale: f32 {flash_tile.role = "scale"})
      kernel attributes {known_block_size = array<i32: 256, 1, 1>,
                         flash_tile.sizes = ["b", "hq", "hkv", "sq", "sk"],
                         flash_tile.grid = ["ceildiv(sq, 128)", "hq", "b"],
                         flash_tile.scale = 0.0883883461 : f32,
                         flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c4 = arith.constant 4 : index
    %c63 = arith.constant 63 : index
    %c64 = arith.constant 64 : index
    %c127 = arith.constant 127 : index
    %c128 = arith.constant 128 : index
    %minf = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %log2e = arith.constant 1.44269502 : f32
    %ln2 = arith.constant 0.693147182 : f32
    %tile_zero = arith.constant dense<0.0> : tensor<128x64xf32>
    %tile_minf = arith.constant dense<0xFF800000> : tensor<128x64xf32>
    %row_zero = arith.constant dense<0.0> : tensor<128xf32>
    %row_one = arith.constant dense<1.0> : tensor<128xf32>
    %row_minf = arith.constant dense<0xFF800000> : tensor<128xf32>
    %acc_zero = arith.constant dense<0.0> : tensor<128x128xf32>
    %clamp_lo = arith.constant -1073741824 : index
    %clamp_hi = arith.constant 1073741823 : index

    %bx = gpu.block_id x
    %h = gpu.block_id y
    %b = gpu.block_id z
    %sq = memref.dim %Q, %c2 : memref<?x?x?x128xbf16, #dyn4>
    %sk = memref.dim %K, %c2 : memref<?x?x?x128xbf16, #dyn4>
    // Longest first: the last rows see the most keys.
    %nq = arith.ceildivsi %sq, %c128 : index
    %nq1 = arith.subi %nq, %c1 : index
    %qt = arith.subi %nq1, %bx : index
    %q0 = arith.muli %qt, %c128 : index
    %hk = arith.floordivsi %h, %c4 : index
    %align = arith.subi %sk, %sq : index

    // Live tiles [0, hi): hi = min(ceildiv(sk, 64), floordiv(min(q0+127, sq-1) + align, 64) + 1), not below 0.
    %ntiles = arith.ceildivsi %sk, %c64 : index
    %qlast0 = arith.addi %q0, %c127 : index
    %sq1 = arith.subi %sq, %c1 : index
    %qlast = arith.minsi %qlast0, %sq1 : index
    %klast = arith.addi %qlast, %align : index
    %klast64 = arith.addi %klast, %c64 : index
    %hi0 = arith.floordivsi %klast64, %c64 : index
    %hi1 = arith.minsi %hi0, %ntiles : index
    %hi = arith.maxsi %hi1, %c0 : index
    // Full tiles [0, full_hi): the last key of the tile is visible to row q0.
    %kfirst = arith.addi %q0, %align : index
    %kfirst1 = arith.addi %kfirst, %c1 : index
    %fh0 = arith.minsi %kfirst1, %sk : index
    %fh1 = arith.floordivsi %fh0, %c64 : index
    %fh2 = arith.maxsi %fh1, %c0 : index
    %full_hi = arith.minsi %fh2, %hi : index
    // In iterations i = hi - 1 - tile.
    %i_full_lo = arith.subi %hi, %full_hi : index
    %i_full_hi = arith.subi %hi, %c0 : index

    %scale_log2 = arith.mulf %scale, %log2e : f32
    %scale_tile = flash_tile.splat %scale_log2 : f32 -> tensor<128x64xf32>
    %scale_row = flash_tile.splat %scale_log2 : f32 -> tensor<128xf32>
    %q = flash_tile.load %Q[%b, %h, %q0, %c0] : memref<?x?x?x128xbf16, #dyn4> -> tensor<128x128xbf16>

    %r:3 = scf.for %i = %c0 to %hi step %c1
        iter_args(%acc = %acc_zero, %m = %row_minf, %l = %row_zero)
        -> (tensor<128x128xf32>, tensor<128xf32>, tensor<128xf32>) {
      %hi_1 = arith.subi %hi, %c1 : index
      %j = arith.subi %hi_1, %i : index
      %k0 = arith.muli %j, %c64 : index
      %k = flash_tile.load %K[%b, %hk, %k0, %c0] : memref<?x?x?x128xbf16, #dyn4> -> tensor<64x128xbf16>
      %s = flash_tile.dot %q, %k, %tile_zero {transpose_b} : tensor<128x128xbf16>, tensor<64x128xbf16>, tensor<128x64xf32>
      %full = flash_tile.in_range %i from %i_full_lo to %i_full_hi
      %sm = scf.if %full -> (tensor<128x64xf32>) {
        scf.yield %s : tensor<128x64xf32>
      } else {
        %kk = flash_tile.index axis 1 : tensor<128x64xi32>
        %qq = flash_tile.index axis 0 : tensor<128x64xi32>
        // k <= q + align, tile-relative: kk <= qq + (q0 + align - k0).
        %d0 = arith.addi %q0, %align : index
        %d1 = arith.subi %d0, %k0 : index
        %d2 = arith.maxsi %d1, %clamp_lo : index
        %d3 = arith.minsi %d2, %clamp_hi : index
        %d4 = arith.index_cast %d3 : index to i32
        %base = flash_tile.splat %d4 : i32 -> tensor<128x64xi32>
        %rhs = arith.addi %qq, %base : tensor<128x64xi32>
        %causal = arith.cmpi sle, %kk, %rhs : tensor<128x64xi32>
        // k < sk: kk < sk - k0.
        %e0 = arith.subi %sk, %k0 : index
        %e1 = arith.maxsi %e0, %clamp_lo : index
        %e2 = arith.minsi %e1, %clamp_hi : index
        %e3 = arith.index_cast %e2 : index to i32
        %end = flash_tile.splat %e3 : i32 -> tensor<128x64xi32>
        %inside = arith.cmpi slt, %kk, %end : tensor<128x64xi32>
        %keep = arith.andi %causal, %inside : tensor<128x64xi1>
        %masked = arith.select %keep, %s, %tile_minf : tensor<128x64xi1>, tensor<128x64xf32>
        scf.yield %masked : tensor<128x64xf32>
      }
      %mt = flash_tile.reduce max %sm axis 1 : tensor<128x64xf32> -> tensor<128xf32>
      %mn = arith.maxnumf %m, %mt : tensor<128xf32>
      // A row that has seen no key yet has maximum -inf: take 0 instead.
      %mref = scf.if %full -> (tensor<128xf32>) {
        scf.yield %mn : tensor<128xf32>
      } else {
        %dead = arith.cmpf oeq, %mn, %row_minf : tensor<128xf32>
        %guarded = arith.select %dead, %row_zero, %mn : tensor<128xi1>, tensor<128xf32>
        scf.yield %guarded : tensor<128xf32>
      }
      %mc = arith.mulf %mref, %scale_row : tensor<128xf32>
      %neg = arith.negf %mc : tensor<128xf32>
      %negt = flash_tile.expand %neg axis 1 : tensor<128xf32> -> tensor<128x64xf32>
      %e = math.fma %sm, %scale_tile, %negt : tensor<128x64xf32>
      %p = math.exp2 %e : tensor<128x64xf32>
      %ae = math.fma %m, %scale_row, %neg : tensor<128xf32>
      %alpha = math.exp2 %ae : tensor<128xf32>
      %lt = flash_tile.reduce add %p axis 1 : tensor<128x64xf32> -> tensor<128xf32>
      %ln = math.fma %l, %alpha, %lt : tensor<128xf32>
      %p16 = arith.truncf %p : tensor<128x64xf32> to tensor<128x64xbf16>
      %at = flash_tile.expand %alpha axis 1 : tensor<128xf32> -> tensor<128x128xf32>
      %acc1 = arith.mulf %acc, %at : tensor<128x128xf32>
      %v = flash_tile.load %V[%b, %hk, %k0, %c0] : memref<?x?x?x128xbf16, #dyn4> -> tensor<64x128xbf16>
      %acc2 = flash_tile.dot %p16, %v, %acc1 : tensor<128x64xbf16>, tensor<64x128xbf16>, tensor<128x128xf32>
      scf.yield %acc2, %mn, %ln : tensor<128x128xf32>, tensor<128xf32>, tensor<128xf32>
    } {flash_tile.pipeline, flash_tile.first_ragged}

    %none = arith.cmpf oeq, %r#2, %row_zero : tensor<128xf32>
    %inv0 = arith.divf %row_one, %r#2 : tensor<128xf32>
    %inv = arith.select %none, %row_zero, %inv0 : tensor<128xi1>, tensor<128xf32>
    %invt = flash_tile.expand %inv axis 1 : tensor<128xf32> -> tensor<128x128xf32>
    %of = arith.mulf %r#0, %invt : tensor<128x128xf32>
    %o = arith.truncf %of : tensor<128x128xf32> to tensor<128x128xbf16>
    flash_tile.store %o, %O[%b, %h, %q0, %c0] : tensor<128x128xbf16>, memref<?x?x?x128xbf16, #dyn4>
    %lg = math.log2 %r#2 : tensor<128xf32>
    %lse2 = math.fma %r#1, %scale_row, %lg : tensor<128xf32>
    %ln2t = flash_tile.splat %ln2 : f32 -> tensor<128xf32>
    %lse1 = arith.mulf %lse2, %ln2t : tensor<128xf32>
    %lse = arith.select %none, %row_minf, %lse1 : tensor<128xi1>, tensor<128xf32>
    flash_tile.store %lse, %L[%b, %h, %q0] : tensor<128xf32>, memref<?x?x?xf32, #dyn3>
    gpu.return
  }

  // 2. No mask, static sizes that the tiles divide: one loop without mask code.
  gpu.func @dense(
      %Q: memref<1x32x4096x128xbf16> {flash_tile.role = "q", flash_tile.dims = ["b", "hq", "sq", "d"]},
      %K: memref<1x8x4096x128xbf16> {flash_tile.role = "k", flash_tile.dims = ["b", "hkv", "sk", "d"]},
      %V: memref<1x8x4096x128xbf16> {flash_tile.role = "v", flash_tile.dims = ["b", "hkv", "sk", "dv"]},
      %O: memref<1x32x4096x128xbf16> {flash_tile.role = "o", flash_tile.dims = ["b", "hq", "sq", "dv"]},
      %scale: f32 {flash_tile.role = "scale"})
      kernel attributes {known_block_size = array<i32: 256, 1, 1>,
                         flash_tile.sizes = ["b", "hq", "hkv", "sq", "sk"],
                         flash_tile.grid = ["ceildiv(sq, 128)", "hq", "b"],
                         flash_tile.scale = 0.0883883461 : f32,
                         flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c63 = arith.constant 63 : index
    %c64 = arith.constant 64 : index
    %c128 = arith.constant 128 : index
    %log2e = arith.constant 1.44269502 : f32
    %tile_zero = arith.constant dense<0.0> : tensor<128x64xf32>
    %row_zero = arith.constant dense<0.0> : tensor<128xf32>
    %row_one = arith.constant dense<1.0> : tensor<128xf32>
    %row_minf = arith.constant dense<0xFF800000> : tensor<128xf32>
    %acc_zero = arith.constant dense<0.0> : tensor<128x128xf32>
    %bx = gpu.block_id x
    %h = gpu.block_id y
    %b = gpu.block_id z
    %q0 = arith.muli %bx, %c128 : index
    %hk = arith.floordivsi %h, %c4 : index
    %scale_log2 = arith.mulf %scale, %log2e : f32
    %scale_tile = flash_tile.splat %scale_log2 : f32 -> tensor<128x64xf32>
    %scale_row = flash_tile.splat %scale_log2 : f32 -> tensor<128xf32>
    %q = flash_tile.load %Q[%b, %h, %q0, %c0] : memref<1x32x4096x128xbf16> -> tensor<128x128xbf16>
    %r:3 = scf.for %i = %c0 to %c64 step %c1
        iter_args(%acc = %acc_zero, %m = %row_minf, %l = %row_zero)
        -> (tensor<128x128xf32>, tensor<128xf32>, tensor<128xf32>) {
      %j = arith.subi %c63, %i : index
      %k0 = arith.muli %j, %c64 : index
      %k = flash_tile.load %K[%b, %hk, %k0, %c0] : memref<1x8x4096x128xbf16> -> tensor<64x128xbf16>
      %s = flash_tile.dot %q, %k, %tile_zero {transpose_b} : tensor<128x128xbf16>, tensor<64x128xbf16>, tensor<128x64xf32>
      %mt = flash_tile.reduce max %s axis 1 : tensor<128x64xf32> -> tensor<128xf32>
      %mn = arith.maxnumf %m, %mt : tensor<128xf32>
      %mc = arith.mulf %mn, %scale_row : tensor<128xf32>
      %neg = arith.negf %mc : tensor<128xf32>
      %negt = flash_tile.expand %neg axis 1 : tensor<128xf32> -> tensor<128x64xf32>
      %e = math.fma %s, %scale_tile, %negt : tensor<128x64xf32>
      %p = math.exp2 %e : tensor<128x64xf32>
      %ae = math.fma %m, %scale_row, %neg : tensor<128xf32>
      %alpha = math.exp2 %ae : tensor<128xf32>
      %lt = flash_tile.reduce add %p axis 1 : tensor<128x64xf32> -> tensor<128xf32>
      %ln = math.fma %l, %alpha, %lt : tensor<128xf32>
      %p16 = arith.truncf %p : tensor<128x64xf32> to tensor<128x64xbf16>
      %at = flash_tile.expand %alpha axis 1 : tensor<128xf32> -> tensor<128x128xf32>
      %acc1 = arith.mulf %acc, %at : tensor<128x128xf32>
      %v = flash_tile.load %V[%b, %hk, %k0, %c0] : memref<1x8x4096x128xbf16> -> tensor<64x128xbf16>
      %acc2 = flash_tile.dot %p16, %v, %acc1 : tensor<128x64xbf16>, tensor<64x128xbf16>, tensor<128x128xf32>
      scf.yield %acc2, %mn, %ln : tensor<128x128xf32>, tensor<128xf32>, tensor<128xf32>
    } {flash_tile.pipeline}
    %inv = arith.divf %row_one, %r#2 : tensor<128xf32>
    %invt = flash_tile.expand %inv axis 1 : tensor<128xf32> -> tensor<128x128xf32>
    %of = arith.mulf %r#0, %invt : tensor<128x128xf32>
    %o = arith.truncf %of : tensor<128x128xf32> to tensor<128x128xbf16>
    flash_tile.store %o, %O[%b, %h, %q0, %c0] : tensor<128x128xbf16>, memref<1x32x4096x128xbf16>
    gpu.return
  }
}
