// RUN: flash-opt %s --verify-roundtrip | FileCheck %s
// RUN: flash-opt %s --flash-tile-verify --verify-roundtrip -o /dev/null
// RUN: %python %S/Inputs/mutants.py flash-opt 1 %s delete-arrive delete-commit \
// RUN:   delete-wait delete-expect more-arrivals fewer-arrivals \
// RUN:   arrive-per-warp half-the-bytes barrier-stage-out-of-range \
// RUN:   other-stage constant-phase slot-of-other-ring register-step \
// RUN:   register-total register-group role-name tensor-crosses \
// RUN:   read-before-wait overwrite-before-wait layout-too-small dot-type \
// RUN:   tmem-overlap tmem-limit tmem-view tmem-lanes tmem-warps \
// RUN:   tmem-columns

// The forward kernel of FlashAttention-4 (sm_100a, d = 128, bf16) written by
// hand: two query tiles of 128 rows per CTA, each with a softmax group that
// reads its scores one row per thread; one warp issues all products; the
// correction group rescales O in tensor memory, off everybody's way, and only
// when a row's maximum has grown by more than a factor of 2^8.
//
// Tensor memory, 512 columns: S0 0, S1 128, O0 256, O1 384; P over the upper
// half of its S. The product P V takes the first three quarters of the keys as
// soon as they are there, the last quarter behind a second barrier.

// CHECK: flash_tile.warp_groups
// CHECK: role "softmax0" warps 4 registers 192
// CHECK: role "softmax1" warps 4 registers 192
// CHECK: role "correction" warps 4 registers 80
// CHECK: role "mma" warps 1 registers 48
// CHECK: role "load" warps 1 registers 48
// CHECK: role "epilogue" warps 1 registers 48
// CHECK: role "idle" warps 1 registers 48

#sw = #flash_tile.swizzle<bits = 3, shift = 0, panel = 128>
// tcgen05.ld of 128 x 96, x 32 and x 16: a row per thread.
#s96 = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]],
                          warp = [[32, 0], [64, 0]], repeat = [[96, 0, 1]]>
#s32 = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]],
                          warp = [[32, 0], [64, 0]], repeat = [[32, 0, 1]]>
#s16 = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]],
                          warp = [[32, 0], [64, 0]], repeat = [[16, 0, 1]]>
#s128 = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]],
                           warp = [[32, 0], [64, 0]], repeat = [[128, 0, 1]]>
#row = #flash_tile.layout<lane = [[1], [2], [4], [8], [16]], warp = [[32], [64]]>

!map = !flash_tile.tensor_map<1x1x128x64xbf16, #sw>
!tiles = !flash_tile.buffer<2x128x128xbf16, #sw>
!kv_ring = !flash_tile.buffer<3x128x128xbf16, #sw>
!tile = !flash_tile.view<128x128xbf16, #sw>
!v_head = !flash_tile.view<96x128xbf16, #sw>
!v_tail = !flash_tile.view<32x128xbf16, #sw>
!stats = !flash_tile.buffer<2x128xf32>
!stat = !flash_tile.view<128xf32>
!ring3 = !flash_tile.barrier<3>
// One barrier for each of the two query tiles.
!pair = !flash_tile.barrier<2>
!tmem = !flash_tile.tmem<128x128xf32>
!tmem96 = !flash_tile.tmem<128x96xf32>
!tmem32 = !flash_tile.tmem<128x32xf32>
!tmem16 = !flash_tile.tmem<128x16xf32>
!p_head = !flash_tile.tmem<128x96xbf16>
!p_tail = !flash_tile.tmem<128x32xbf16>
!f96 = tensor<128x96xf32, #s96>
!f32 = tensor<128x32xf32, #s32>
!f16 = tensor<128x16xf32, #s16>
!f128 = tensor<128x128xf32, #s128>
!rows = tensor<128xf32, #row>

gpu.module @attention_kernels {
  gpu.func @attention(%Q: memref<?x?x?x128xbf16>, %K: memref<?x?x?x128xbf16>,
                      %V: memref<?x?x?x128xbf16>, %O: memref<?x?x?x128xbf16>,
                      %L: memref<?x?x?xf32>, %scale: f32)
      kernel attributes {known_block_size = array<i32: 512, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c16 = arith.constant 16 : index
    %c64 = arith.constant 64 : index
    %c96 = arith.constant 96 : index
    %c112 = arith.constant 112 : index
    %c128 = arith.constant 128 : index
    %c256 = arith.constant 256 : index
    %false = arith.constant false
    %true = arith.constant true
    %bx = gpu.block_id x
    %h = gpu.block_id y
    %b = gpu.block_id z
    %sk = memref.dim %K, %c2 : memref<?x?x?x128xbf16>
    %n = arith.ceildivui %sk, %c128 : index
    %last = arith.subi %n, %c1 : index
    %q0 = arith.muli %bx, %c256 : index
    %q1 = arith.addi %q0, %c128 : index
    %log2e = arith.constant 1.44269502 : f32
    %c = arith.mulf %scale, %log2e : f32

    %q_map = flash_tile.tensor_map %Q : memref<?x?x?x128xbf16> -> !map
    %k_map = flash_tile.tensor_map %K : memref<?x?x?x128xbf16> -> !map
    %v_map = flash_tile.tensor_map %V : memref<?x?x?x128xbf16> -> !map
    %o_map = flash_tile.tensor_map %O : memref<?x?x?x128xbf16> -> !map

    %qs = flash_tile.alloc : !tiles
    %kvs = flash_tile.alloc : !kv_ring
    %outs = flash_tile.alloc : !tiles
    // Per row, what O is to be multiplied by; at the end the row sum.
    %stats = flash_tile.alloc : !stats
    %s0 = flash_tile.tmem.alloc column 0 : !tmem
    %s1 = flash_tile.tmem.alloc column 128 : !tmem
    %o0 = flash_tile.tmem.alloc column 256 : !tmem
    %o1 = flash_tile.tmem.alloc column 384 : !tmem

    %q_full = flash_tile.barrier.init arrivals 1 : !pair
    // Uses 2 i and 2 i + 1 of the ring are K and V of the i-th tile.
    %kv_full = flash_tile.barrier.init arrivals 1 : !ring3
    %kv_empty = flash_tile.barrier.init arrivals 1 : !ring3
    %s_full = flash_tile.barrier.init arrivals 1 : !pair
    %p_head_full = flash_tile.barrier.init arrivals 128 : !pair
    %p_tail_full = flash_tile.barrier.init arrivals 128 : !pair
    %o_full = flash_tile.barrier.init arrivals 1 : !pair
    %o_ready = flash_tile.barrier.init arrivals 128 : !pair
    %stat_full = flash_tile.barrier.init arrivals 128 : !pair
    %stat_empty = flash_tile.barrier.init arrivals 128 : !pair
    %out_full = flash_tile.barrier.init arrivals 128 : !pair

    flash_tile.warp_groups
    role "softmax0" warps 4 registers 192 {
      %zero_rows = arith.constant dense<0.0> : !rows
      %minf_rows = arith.constant dense<0xFF800000> : !rows
      %eight = arith.constant dense<8.0> : !rows
      %ln2 = arith.constant dense<0.693147182> : !rows
      %minf96 = arith.constant dense<0xFF800000> : !f96
      %minf32 = arith.constant dense<0xFF800000> : !f32
      %c_rows = flash_tile.splat %c : f32 -> !rows
      %c_head = flash_tile.splat %c : f32 -> !f96
      %c_tail = flash_tile.splat %c : f32 -> !f32
      // exp2 on [0, 1): a polynomial of degree 3, exact at 0.
      %a1 = arith.constant dense<0.695146143> : !f32
      %a2 = arith.constant dense<0.227564827> : !f32
      %a3 = arith.constant dense<0.0771190897> : !f32
      %one = arith.constant dense<1.0> : !f32
      %floor_min = arith.constant dense<-127.0> : !f32
      %mantissa = arith.constant dense<23> : tensor<128x32xi32, #s32>
      %stat = flash_tile.stage %stats[%c0] : !stats -> !stat
      %s_head = flash_tile.tmem.view %s0[%c0] : !tmem -> !tmem96
      %s_tail = flash_tile.tmem.view %s0[%c96] : !tmem -> !tmem32
      %p_head = flash_tile.tmem.view %s0[%c64] : !tmem -> !p_head
      %p_tail = flash_tile.tmem.view %s0[%c112] : !tmem -> !p_tail
      %r:2 = scf.for %i = %c0 to %n step %c1
          iter_args(%m = %minf_rows, %l = %zero_rows) -> (!rows, !rows) {
        %use, %phase = flash_tile.slot %i of 1
        %free = arith.xori %phase, %true : i1
        flash_tile.barrier.wait %s_full[%c0] phase %phase : !pair
        %head_future = flash_tile.tmem.load %s_head : !tmem96 -> !flash_tile.future<!f96>
        %tail_future = flash_tile.tmem.load %s_tail : !tmem32 -> !flash_tile.future<!f32>
        %head_raw, %tail_raw = flash_tile.wait %head_future, %tail_future
          : !flash_tile.future<!f96>, !flash_tile.future<!f32>

        // Only the first tile, the last of the keys, can reach past them.
        %first = arith.cmpi eq, %i, %c0 : index
        %head, %tail = scf.if %first -> (!f96, !f32) {
          %k0 = arith.muli %last, %c128 : index
          %left = arith.subi %sk, %k0 : index
          %left_i32 = arith.index_cast %left : index to i32
          %c96_i32 = arith.constant 96 : i32
          %left_tail = arith.subi %left_i32, %c96_i32 : i32
          %limit = flash_tile.splat %left_i32 : i32 -> tensor<128x96xi32, #s96>
          %limit_tail = flash_tile.splat %left_tail : i32 -> tensor<128x32xi32, #s32>
          %key = flash_tile.index axis 1 : tensor<128x96xi32, #s96>
          %key_tail = flash_tile.index axis 1 : tensor<128x32xi32, #s32>
          %in = arith.cmpi slt, %key, %limit : tensor<128x96xi32, #s96>
          %in_tail = arith.cmpi slt, %key_tail, %limit_tail : tensor<128x32xi32, #s32>
          %mh = arith.select %in, %head_raw, %minf96 : tensor<128x96xi1, #s96>, !f96
          %mt = arith.select %in_tail, %tail_raw, %minf32 : tensor<128x32xi1, #s32>, !f32
          scf.yield %mh, %mt : !f96, !f32
        } else {
          scf.yield %head_raw, %tail_raw : !f96, !f32
        }

        %max_head = flash_tile.reduce max %head axis 1 : !f96 -> !rows
        %max_tail = flash_tile.reduce max %tail axis 1 : !f32 -> !rows
        %max_tile = arith.maxnumf %max_head, %max_tail : !rows
        %max_new = arith.maxnumf %m, %max_tile : !rows
        // The old maximum stays while the new one is within 2^8 of it.
        %grown = arith.subf %max_new, %m : !rows
        %growth = arith.mulf %grown, %c_rows : !rows
        %keeps = arith.cmpf ole, %growth, %eight : !rows
        %mn = arith.select %keeps, %m, %max_new : tensor<128xi1, #row>, !rows
        %mc = arith.mulf %mn, %c_rows : !rows
        %neg = arith.negf %mc : !rows
        %d = math.fma %m, %c_rows, %neg : !rows
        %alpha = math.exp2 %d : !rows
        flash_tile.barrier.wait %stat_empty[%c0] phase %free : !pair
        flash_tile.local_store %alpha, %stat : !rows, !stat
        flash_tile.barrier.arrive per thread %stat_full[%c0] : !pair

        // Three quarters of the exponentials by the special function unit ...
        %neg_head = flash_tile.expand %neg axis 1 : !rows -> !f96
        %x_head = math.fma %head, %c_head, %neg_head : !f96
        %e_head = math.exp2 %x_head : !f96
        %p_head16 = arith.truncf %e_head : !f96 to tensor<128x96xbf16, #s96>
        flash_tile.tmem.store %p_head16, %p_head : tensor<128x96xbf16, #s96>, !p_head
        flash_tile.barrier.arrive per thread %p_head_full[%c0] : !pair
        // ... and one by the FMA pipe: 2^x = 2^floor(x) * p(x - floor(x)).
        %neg_tail = flash_tile.expand %neg axis 1 : !rows -> !f32
        %x_tail = math.fma %tail, %c_tail, %neg_tail : !f32
        %x_low = arith.maxnumf %x_tail, %floor_min : !f32
        %whole = math.floor %x_low : !f32
        %part = arith.subf %x_low, %whole : !f32
        %y3 = math.fma %part, %a3, %a2 : !f32
        %y2 = math.fma %part, %y3, %a1 : !f32
        %y = math.fma %part, %y2, %one : !f32
        %exponent = arith.fptosi %whole : !f32 to tensor<128x32xi32, #s32>
        %shifted = arith.shli %exponent, %mantissa : tensor<128x32xi32, #s32>
        %bits = arith.bitcast %y : !f32 to tensor<128x32xi32, #s32>
        %scaled = arith.addi %bits, %shifted : tensor<128x32xi32, #s32>
        %e_tail = arith.bitcast %scaled : tensor<128x32xi32, #s32> to !f32
        %p_tail16 = arith.truncf %e_tail : !f32 to tensor<128x32xbf16, #s32>
        flash_tile.tmem.store %p_tail16, %p_tail : tensor<128x32xbf16, #s32>, !p_tail
        flash_tile.barrier.arrive per thread %p_tail_full[%c0] : !pair

        %sum_head = flash_tile.reduce add %e_head axis 1 : !f96 -> !rows
        %sum_tail = flash_tile.reduce add %e_tail axis 1 : !f32 -> !rows
        %sum = arith.addf %sum_head, %sum_tail : !rows
        %ln = math.fma %l, %alpha, %sum : !rows
        scf.yield %mn, %ln : !rows, !rows
      }
      // The row sums go the way of the factors.
      %use, %phase = flash_tile.slot %n of 1
      %free = arith.xori %phase, %true : i1
      flash_tile.barrier.wait %stat_empty[%c0] phase %free : !pair
      flash_tile.local_store %r#1, %stat : !rows, !stat
      flash_tile.barrier.arrive per thread %stat_full[%c0] : !pair
      %log = math.log2 %r#1 : !rows
      %lse2 = math.fma %r#0, %c_rows, %log : !rows
      %lse = arith.mulf %lse2, %ln2 : !rows
      flash_tile.store %lse, %L[%b, %h, %q0] : !rows, memref<?x?x?xf32>
    }
    role "softmax1" warps 4 registers 192 {
      %zero_rows = arith.constant dense<0.0> : !rows
      %minf_rows = arith.constant dense<0xFF800000> : !rows
      %eight = arith.constant dense<8.0> : !rows
      %ln2 = arith.constant dense<0.693147182> : !rows
      %minf96 = arith.constant dense<0xFF800000> : !f96
      %minf32 = arith.constant dense<0xFF800000> : !f32
      %c_rows = flash_tile.splat %c : f32 -> !rows
      %c_head = flash_tile.splat %c : f32 -> !f96
      %c_tail = flash_tile.splat %c : f32 -> !f32
      // exp2 on [0, 1): a polynomial of degree 3, exact at 0.
      %a1 = arith.constant dense<0.695146143> : !f32
      %a2 = arith.constant dense<0.227564827> : !f32
      %a3 = arith.constant dense<0.0771190897> : !f32
      %one = arith.constant dense<1.0> : !f32
      %floor_min = arith.constant dense<-127.0> : !f32
      %mantissa = arith.constant dense<23> : tensor<128x32xi32, #s32>
      %stat = flash_tile.stage %stats[%c1] : !stats -> !stat
      %s_head = flash_tile.tmem.view %s1[%c0] : !tmem -> !tmem96
      %s_tail = flash_tile.tmem.view %s1[%c96] : !tmem -> !tmem32
      %p_head = flash_tile.tmem.view %s1[%c64] : !tmem -> !p_head
      %p_tail = flash_tile.tmem.view %s1[%c112] : !tmem -> !p_tail
      %r:2 = scf.for %i = %c0 to %n step %c1
          iter_args(%m = %minf_rows, %l = %zero_rows) -> (!rows, !rows) {
        %use, %phase = flash_tile.slot %i of 1
        %free = arith.xori %phase, %true : i1
        flash_tile.barrier.wait %s_full[%c1] phase %phase : !pair
        %head_future = flash_tile.tmem.load %s_head : !tmem96 -> !flash_tile.future<!f96>
        %tail_future = flash_tile.tmem.load %s_tail : !tmem32 -> !flash_tile.future<!f32>
        %head_raw, %tail_raw = flash_tile.wait %head_future, %tail_future
          : !flash_tile.future<!f96>, !flash_tile.future<!f32>

        // Only the first tile, the last of the keys, can reach past them.
        %first = arith.cmpi eq, %i, %c0 : index
        %head, %tail = scf.if %first -> (!f96, !f32) {
          %k0 = arith.muli %last, %c128 : index
          %left = arith.subi %sk, %k0 : index
          %left_i32 = arith.index_cast %left : index to i32
          %c96_i32 = arith.constant 96 : i32
          %left_tail = arith.subi %left_i32, %c96_i32 : i32
          %limit = flash_tile.splat %left_i32 : i32 -> tensor<128x96xi32, #s96>
          %limit_tail = flash_tile.splat %left_tail : i32 -> tensor<128x32xi32, #s32>
          %key = flash_tile.index axis 1 : tensor<128x96xi32, #s96>
          %key_tail = flash_tile.index axis 1 : tensor<128x32xi32, #s32>
          %in = arith.cmpi slt, %key, %limit : tensor<128x96xi32, #s96>
          %in_tail = arith.cmpi slt, %key_tail, %limit_tail : tensor<128x32xi32, #s32>
          %mh = arith.select %in, %head_raw, %minf96 : tensor<128x96xi1, #s96>, !f96
          %mt = arith.select %in_tail, %tail_raw, %minf32 : tensor<128x32xi1, #s32>, !f32
          scf.yield %mh, %mt : !f96, !f32
        } else {
          scf.yield %head_raw, %tail_raw : !f96, !f32
        }

        %max_head = flash_tile.reduce max %head axis 1 : !f96 -> !rows
        %max_tail = flash_tile.reduce max %tail axis 1 : !f32 -> !rows
        %max_tile = arith.maxnumf %max_head, %max_tail : !rows
        %max_new = arith.maxnumf %m, %max_tile : !rows
        // The old maximum stays while the new one is within 2^8 of it.
        %grown = arith.subf %max_new, %m : !rows
        %growth = arith.mulf %grown, %c_rows : !rows
        %keeps = arith.cmpf ole, %growth, %eight : !rows
        %mn = arith.select %keeps, %m, %max_new : tensor<128xi1, #row>, !rows
        %mc = arith.mulf %mn, %c_rows : !rows
        %neg = arith.negf %mc : !rows
        %d = math.fma %m, %c_rows, %neg : !rows
        %alpha = math.exp2 %d : !rows
        flash_tile.barrier.wait %stat_empty[%c1] phase %free : !pair
        flash_tile.local_store %alpha, %stat : !rows, !stat
        flash_tile.barrier.arrive per thread %stat_full[%c1] : !pair

        // Three quarters of the exponentials by the special function unit ...
        %neg_head = flash_tile.expand %neg axis 1 : !rows -> !f96
        %x_head = math.fma %head, %c_head, %neg_head : !f96
        %e_head = math.exp2 %x_head : !f96
        %p_head16 = arith.truncf %e_head : !f96 to tensor<128x96xbf16, #s96>
        flash_tile.tmem.store %p_head16, %p_head : tensor<128x96xbf16, #s96>, !p_head
        flash_tile.barrier.arrive per thread %p_head_full[%c1] : !pair
        // ... and one by the FMA pipe: 2^x = 2^floor(x) * p(x - floor(x)).
        %neg_tail = flash_tile.expand %neg axis 1 : !rows -> !f32
        %x_tail = math.fma %tail, %c_tail, %neg_tail : !f32
        %x_low = arith.maxnumf %x_tail, %floor_min : !f32
        %whole = math.floor %x_low : !f32
        %part = arith.subf %x_low, %whole : !f32
        %y3 = math.fma %part, %a3, %a2 : !f32
        %y2 = math.fma %part, %y3, %a1 : !f32
        %y = math.fma %part, %y2, %one : !f32
        %exponent = arith.fptosi %whole : !f32 to tensor<128x32xi32, #s32>
        %shifted = arith.shli %exponent, %mantissa : tensor<128x32xi32, #s32>
        %bits = arith.bitcast %y : !f32 to tensor<128x32xi32, #s32>
        %scaled = arith.addi %bits, %shifted : tensor<128x32xi32, #s32>
        %e_tail = arith.bitcast %scaled : tensor<128x32xi32, #s32> to !f32
        %p_tail16 = arith.truncf %e_tail : !f32 to tensor<128x32xbf16, #s32>
        flash_tile.tmem.store %p_tail16, %p_tail : tensor<128x32xbf16, #s32>, !p_tail
        flash_tile.barrier.arrive per thread %p_tail_full[%c1] : !pair

        %sum_head = flash_tile.reduce add %e_head axis 1 : !f96 -> !rows
        %sum_tail = flash_tile.reduce add %e_tail axis 1 : !f32 -> !rows
        %sum = arith.addf %sum_head, %sum_tail : !rows
        %ln = math.fma %l, %alpha, %sum : !rows
        scf.yield %mn, %ln : !rows, !rows
      }
      // The row sums go the way of the factors.
      %use, %phase = flash_tile.slot %n of 1
      %free = arith.xori %phase, %true : i1
      flash_tile.barrier.wait %stat_empty[%c1] phase %free : !pair
      flash_tile.local_store %r#1, %stat : !rows, !stat
      flash_tile.barrier.arrive per thread %stat_full[%c1] : !pair
      %log = math.log2 %r#1 : !rows
      %lse2 = math.fma %r#0, %c_rows, %log : !rows
      %lse = arith.mulf %lse2, %ln2 : !rows
      flash_tile.store %lse, %L[%b, %h, %q1] : !rows, memref<?x?x?xf32>
    }
    role "correction" warps 4 registers 80 {
      %one_rows = arith.constant dense<1.0> : !rows
      scf.for %i = %c0 to %n step %c1 {
        %use, %phase = flash_tile.slot %i of 1
        // What O is rescaled for is the product of the tile before.
        %before = arith.subi %i, %c1 : index
        %o_use, %o_phase = flash_tile.slot %before of 1
        %not_first = arith.cmpi ne, %i, %c0 : index
        %stat0 = flash_tile.stage %stats[%c0] : !stats -> !stat
        flash_tile.barrier.wait %stat_full[%c0] phase %phase : !pair
        %alpha0 = flash_tile.local_load %stat0 : !stat -> !rows
        flash_tile.barrier.arrive per thread %stat_empty[%c0] : !pair
        scf.if %not_first {
          flash_tile.barrier.wait %o_full[%c0] phase %o_phase : !pair
          %grown = arith.cmpf olt, %alpha0, %one_rows : !rows
          %needed = flash_tile.any %grown : tensor<128xi1, #row>
          scf.if %needed {
            %factor = flash_tile.expand %alpha0 axis 1 : !rows -> !f16
            scf.for %column = %c0 to %c128 step %c16 {
              %part = flash_tile.tmem.view %o0[%column] : !tmem -> !tmem16
              %future = flash_tile.tmem.load %part : !tmem16 -> !flash_tile.future<!f16>
              %old = flash_tile.wait %future : !flash_tile.future<!f16>
              %new = arith.mulf %old, %factor : !f16
              flash_tile.tmem.store %new, %part : !f16, !tmem16
            }
          }
        }
        flash_tile.barrier.arrive per thread %o_ready[%c0] : !pair
        %stat1 = flash_tile.stage %stats[%c1] : !stats -> !stat
        flash_tile.barrier.wait %stat_full[%c1] phase %phase : !pair
        %alpha1 = flash_tile.local_load %stat1 : !stat -> !rows
        flash_tile.barrier.arrive per thread %stat_empty[%c1] : !pair
        scf.if %not_first {
          flash_tile.barrier.wait %o_full[%c1] phase %o_phase : !pair
          %grown = arith.cmpf olt, %alpha1, %one_rows : !rows
          %needed = flash_tile.any %grown : tensor<128xi1, #row>
          scf.if %needed {
            %factor = flash_tile.expand %alpha1 axis 1 : !rows -> !f16
            scf.for %column = %c0 to %c128 step %c16 {
              %part = flash_tile.tmem.view %o1[%column] : !tmem -> !tmem16
              %future = flash_tile.tmem.load %part : !tmem16 -> !flash_tile.future<!f16>
              %old = flash_tile.wait %future : !flash_tile.future<!f16>
              %new = arith.mulf %old, %factor : !f16
              flash_tile.tmem.store %new, %part : !f16, !tmem16
            }
          }
        }
        flash_tile.barrier.arrive per thread %o_ready[%c1] : !pair
      }
      %end_use, %end_phase = flash_tile.slot %n of 1
      %last_use, %last_phase = flash_tile.slot %last of 1
      flash_tile.barrier.wait %stat_full[%c0] phase %end_phase : !pair
      %end_stat0 = flash_tile.stage %stats[%c0] : !stats -> !stat
      %sum0 = flash_tile.local_load %end_stat0 : !stat -> !rows
      flash_tile.barrier.arrive per thread %stat_empty[%c0] : !pair
      flash_tile.barrier.wait %o_full[%c0] phase %last_phase : !pair
      %o_future0 = flash_tile.tmem.load %o0 : !tmem -> !flash_tile.future<!f128>
      %o_raw0 = flash_tile.wait %o_future0 : !flash_tile.future<!f128>
      %inv0 = arith.divf %one_rows, %sum0 : !rows
      %inv_tile0 = flash_tile.expand %inv0 axis 1 : !rows -> !f128
      %o_f320 = arith.mulf %o_raw0, %inv_tile0 : !f128
      %o_bf160 = arith.truncf %o_f320 : !f128 to tensor<128x128xbf16, #s128>
      %out0 = flash_tile.stage %outs[%c0] : !tiles -> !tile
      flash_tile.local_store %o_bf160, %out0 : tensor<128x128xbf16, #s128>, !tile
      flash_tile.proxy_fence
      flash_tile.barrier.arrive per thread %out_full[%c0] : !pair
      flash_tile.barrier.wait %stat_full[%c1] phase %end_phase : !pair
      %end_stat1 = flash_tile.stage %stats[%c1] : !stats -> !stat
      %sum1 = flash_tile.local_load %end_stat1 : !stat -> !rows
      flash_tile.barrier.arrive per thread %stat_empty[%c1] : !pair
      flash_tile.barrier.wait %o_full[%c1] phase %last_phase : !pair
      %o_future1 = flash_tile.tmem.load %o1 : !tmem -> !flash_tile.future<!f128>
      %o_raw1 = flash_tile.wait %o_future1 : !flash_tile.future<!f128>
      %inv1 = arith.divf %one_rows, %sum1 : !rows
      %inv_tile1 = flash_tile.expand %inv1 axis 1 : !rows -> !f128
      %o_f321 = arith.mulf %o_raw1, %inv_tile1 : !f128
      %o_bf161 = arith.truncf %o_f321 : !f128 to tensor<128x128xbf16, #s128>
      %out1 = flash_tile.stage %outs[%c1] : !tiles -> !tile
      flash_tile.local_store %o_bf161, %out1 : tensor<128x128xbf16, #s128>, !tile
      flash_tile.proxy_fence
      flash_tile.barrier.arrive per thread %out_full[%c1] : !pair
    }
    role "mma" warps 1 registers 48 {
      %p_head0 = flash_tile.tmem.view %s0[%c64] : !tmem -> !p_head
      %p_tail0 = flash_tile.tmem.view %s0[%c112] : !tmem -> !p_tail
      %p_head1 = flash_tile.tmem.view %s1[%c64] : !tmem -> !p_head
      %p_tail1 = flash_tile.tmem.view %s1[%c112] : !tmem -> !p_tail
      %k0 = flash_tile.stage %kvs[%c0] : !kv_ring -> !tile
      flash_tile.barrier.wait %kv_full[%c0] phase %false : !ring3
      %q_view0 = flash_tile.stage %qs[%c0] : !tiles -> !tile
      flash_tile.barrier.wait %q_full[%c0] phase %false : !pair
      flash_tile.tmem.dot %q_view0, %k0, %s0 accumulate %false {transpose_b}
        : !tile, !tile, !tmem
      flash_tile.commit %s_full[%c0] : !pair
      %q_view1 = flash_tile.stage %qs[%c1] : !tiles -> !tile
      flash_tile.barrier.wait %q_full[%c1] phase %false : !pair
      flash_tile.tmem.dot %q_view1, %k0, %s1 accumulate %false {transpose_b}
        : !tile, !tile, !tmem
      flash_tile.commit %s_full[%c1] : !pair
      flash_tile.commit %kv_empty[%c0] : !ring3
      scf.for %i = %c0 to %last step %c1 {
        %use, %phase = flash_tile.slot %i of 1
        %twice = arith.muli %i, %c2 : index
        %v_use = arith.addi %twice, %c1 : index
        %k_use = arith.addi %twice, %c2 : index
        %accumulate = arith.cmpi ne, %i, %c0 : index
        %v_stage, %v_phase = flash_tile.slot %v_use of 3
        %v = flash_tile.stage %kvs[%v_stage] : !kv_ring -> !tile
        %v_head = flash_tile.view_slice %v[%c0] : !tile -> !v_head
        %v_tail = flash_tile.view_slice %v[%c96] : !tile -> !v_tail
        flash_tile.barrier.wait %kv_full[%v_stage] phase %v_phase : !ring3
        %k_stage, %k_phase = flash_tile.slot %k_use of 3
        %k = flash_tile.stage %kvs[%k_stage] : !kv_ring -> !tile
        flash_tile.barrier.wait %kv_full[%k_stage] phase %k_phase : !ring3
        flash_tile.barrier.wait %o_ready[%c0] phase %phase : !pair
        flash_tile.barrier.wait %p_head_full[%c0] phase %phase : !pair
        flash_tile.tmem.dot %p_head0, %v_head, %o0 accumulate %accumulate
          : !p_head, !v_head, !tmem
        flash_tile.barrier.wait %p_tail_full[%c0] phase %phase : !pair
        flash_tile.tmem.dot %p_tail0, %v_tail, %o0 accumulate %true
          : !p_tail, !v_tail, !tmem
        flash_tile.commit %o_full[%c0] : !pair
        flash_tile.tmem.dot %q_view0, %k, %s0 accumulate %false {transpose_b}
          : !tile, !tile, !tmem
        flash_tile.commit %s_full[%c0] : !pair
        flash_tile.barrier.wait %o_ready[%c1] phase %phase : !pair
        flash_tile.barrier.wait %p_head_full[%c1] phase %phase : !pair
        flash_tile.tmem.dot %p_head1, %v_head, %o1 accumulate %accumulate
          : !p_head, !v_head, !tmem
        flash_tile.barrier.wait %p_tail_full[%c1] phase %phase : !pair
        flash_tile.tmem.dot %p_tail1, %v_tail, %o1 accumulate %true
          : !p_tail, !v_tail, !tmem
        flash_tile.commit %o_full[%c1] : !pair
        flash_tile.tmem.dot %q_view1, %k, %s1 accumulate %false {transpose_b}
          : !tile, !tile, !tmem
        flash_tile.commit %s_full[%c1] : !pair
        flash_tile.commit %kv_empty[%v_stage] : !ring3
        flash_tile.commit %kv_empty[%k_stage] : !ring3
      }
      %use, %phase = flash_tile.slot %last of 1
      %twice = arith.muli %last, %c2 : index
      %v_use = arith.addi %twice, %c1 : index
      %several = arith.cmpi ne, %last, %c0 : index
      %v_stage, %v_phase = flash_tile.slot %v_use of 3
      %v = flash_tile.stage %kvs[%v_stage] : !kv_ring -> !tile
      %v_head = flash_tile.view_slice %v[%c0] : !tile -> !v_head
      %v_tail = flash_tile.view_slice %v[%c96] : !tile -> !v_tail
      flash_tile.barrier.wait %kv_full[%v_stage] phase %v_phase : !ring3
      flash_tile.barrier.wait %o_ready[%c0] phase %phase : !pair
      flash_tile.barrier.wait %p_head_full[%c0] phase %phase : !pair
      flash_tile.tmem.dot %p_head0, %v_head, %o0 accumulate %several
        : !p_head, !v_head, !tmem
      flash_tile.barrier.wait %p_tail_full[%c0] phase %phase : !pair
      flash_tile.tmem.dot %p_tail0, %v_tail, %o0 accumulate %true
        : !p_tail, !v_tail, !tmem
      flash_tile.commit %o_full[%c0] : !pair
      flash_tile.barrier.wait %o_ready[%c1] phase %phase : !pair
      flash_tile.barrier.wait %p_head_full[%c1] phase %phase : !pair
      flash_tile.tmem.dot %p_head1, %v_head, %o1 accumulate %several
        : !p_head, !v_head, !tmem
      flash_tile.barrier.wait %p_tail_full[%c1] phase %phase : !pair
      flash_tile.tmem.dot %p_tail1, %v_tail, %o1 accumulate %true
        : !p_tail, !v_tail, !tmem
      flash_tile.commit %o_full[%c1] : !pair
      flash_tile.commit %kv_empty[%v_stage] : !ring3
    }
    role "load" warps 1 registers 48 {
      %q_view0 = flash_tile.stage %qs[%c0] : !tiles -> !tile
      flash_tile.barrier.expect %q_full[%c0] bytes 32768 : !pair
      flash_tile.copy_tma %q_map[%b, %h, %q0, %c0] to %q_view0 signal %q_full[%c0]
        : !map to !tile, !pair
      %q_view1 = flash_tile.stage %qs[%c1] : !tiles -> !tile
      flash_tile.barrier.expect %q_full[%c1] bytes 32768 : !pair
      flash_tile.copy_tma %q_map[%b, %h, %q1, %c0] to %q_view1 signal %q_full[%c1]
        : !map to !tile, !pair
      scf.for %i = %c0 to %n step %c1 {
        %j = arith.subi %last, %i : index
        %row = arith.muli %j, %c128 : index
        %k_use = arith.muli %i, %c2 : index
        %v_use = arith.addi %k_use, %c1 : index
        %k_stage, %k_phase = flash_tile.slot %k_use of 3
        %k_free = arith.xori %k_phase, %true : i1
        %k = flash_tile.stage %kvs[%k_stage] : !kv_ring -> !tile
        flash_tile.barrier.wait %kv_empty[%k_stage] phase %k_free : !ring3
        flash_tile.barrier.expect %kv_full[%k_stage] bytes 32768 : !ring3
        flash_tile.copy_tma %k_map[%b, %h, %row, %c0] to %k signal %kv_full[%k_stage]
          : !map to !tile, !ring3
        %v_stage, %v_phase = flash_tile.slot %v_use of 3
        %v_free = arith.xori %v_phase, %true : i1
        %v = flash_tile.stage %kvs[%v_stage] : !kv_ring -> !tile
        flash_tile.barrier.wait %kv_empty[%v_stage] phase %v_free : !ring3
        flash_tile.barrier.expect %kv_full[%v_stage] bytes 32768 : !ring3
        flash_tile.copy_tma %v_map[%b, %h, %row, %c0] to %v signal %kv_full[%v_stage]
          : !map to !tile, !ring3
      }
    }
    role "epilogue" warps 1 registers 48 {
      %out0 = flash_tile.stage %outs[%c0] : !tiles -> !tile
      flash_tile.barrier.wait %out_full[%c0] phase %false : !pair
      %stored0 = flash_tile.store_tma %out0 to %o_map[%b, %h, %q0, %c0]
        : !tile to !map -> !flash_tile.future<!tile>
      %out1 = flash_tile.stage %outs[%c1] : !tiles -> !tile
      flash_tile.barrier.wait %out_full[%c1] phase %false : !pair
      %stored1 = flash_tile.store_tma %out1 to %o_map[%b, %h, %q1, %c0]
        : !tile to !map -> !flash_tile.future<!tile>
      %done:2 = flash_tile.wait %stored0, %stored1
        : !flash_tile.future<!tile>, !flash_tile.future<!tile>
    }
    // The fourth warp of that group: a persistent kernel's scheduler.
    role "idle" warps 1 registers 48 {
    }
    gpu.return
  }
}
