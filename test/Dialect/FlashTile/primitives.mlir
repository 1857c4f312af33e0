// RUN: flash-opt %s --flash-tile-verify --verify-roundtrip | FileCheck %s

// Kernels other than attention, said with the same ops.

!a_ring = !flash_tile.buffer<2x128x64xf16>
!a_view = !flash_tile.view<128x64xf16>
!b_ring = !flash_tile.buffer<2x64x128xf16>
!b_view = !flash_tile.view<64x128xf16>

// C = gelu(A B + bias): a product with an epilogue, two stages of cp.async. The
// epilogue is plain arith and math on the accumulator.
// CHECK-LABEL: gpu.func @gemm_bias_gelu
gpu.module @gemm {
  gpu.func @gemm_bias_gelu(%A: memref<?x?xf16>, %B: memref<?x?xf16>,
                           %bias: memref<?xf32>, %C: memref<?x?xf16>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c64 = arith.constant 64 : index
    %c128 = arith.constant 128 : index
    %zero = arith.constant dense<0.0> : tensor<128x128xf32>
    %bx = gpu.block_id x
    %by = gpu.block_id y
    %row = arith.muli %by, %c128 : index
    %col = arith.muli %bx, %c128 : index
    %depth = memref.dim %A, %c1 : memref<?x?xf16>
    %n = arith.ceildivui %depth, %c64 : index
    %as = flash_tile.alloc : !a_ring
    %bs = flash_tile.alloc : !b_ring
    %a_view0 = flash_tile.stage %as[%c0] : !a_ring -> !a_view
    %b_view0 = flash_tile.stage %bs[%c0] : !b_ring -> !b_view
    %a_future0 = flash_tile.copy_async %A[%row, %c0] to %a_view0
      : memref<?x?xf16> to !a_view -> !flash_tile.future<!a_view>
    %b_future0 = flash_tile.copy_async %B[%c0, %col] to %b_view0
      : memref<?x?xf16> to !b_view -> !flash_tile.future<!b_view>
    %r:3 = scf.for %i = %c0 to %n step %c1
        iter_args(%acc = %zero, %af = %a_future0, %bf = %b_future0)
        -> (tensor<128x128xf32>, !flash_tile.future<!a_view>, !flash_tile.future<!b_view>) {
      %a, %b = flash_tile.wait %af, %bf
        : !flash_tile.future<!a_view>, !flash_tile.future<!b_view>
      gpu.barrier
      %next = arith.addi %i, %c1 : index
      %more = arith.cmpi slt, %next, %n : index
      %k = arith.muli %next, %c64 : index
      %stage = arith.remui %next, %c2 : index
      %a_view = flash_tile.stage %as[%stage] : !a_ring -> !a_view
      %b_view = flash_tile.stage %bs[%stage] : !b_ring -> !b_view
      %a_future = flash_tile.copy_async %A[%row, %k] to %a_view if %more
        : memref<?x?xf16> to !a_view -> !flash_tile.future<!a_view>
      %b_future = flash_tile.copy_async %B[%k, %col] to %b_view if %more
        : memref<?x?xf16> to !b_view -> !flash_tile.future<!b_view>
      // CHECK: flash_tile.dot
      %sum = flash_tile.dot %a, %b, %acc : !a_view, !b_view, tensor<128x128xf32>
      scf.yield %sum, %a_future, %b_future
        : tensor<128x128xf32>, !flash_tile.future<!a_view>, !flash_tile.future<!b_view>
    }
    %bias_row = flash_tile.load %bias[%col] : memref<?xf32> -> tensor<128xf32>
    %bias_tile = flash_tile.expand %bias_row axis 0 : tensor<128xf32> -> tensor<128x128xf32>
    %x = arith.addf %r#0, %bias_tile : tensor<128x128xf32>
    // gelu(x) = x * sigmoid(1.702 x), by exp2.
    %slope = arith.constant dense<-2.45546> : tensor<128x128xf32>
    %one = arith.constant dense<1.0> : tensor<128x128xf32>
    %t = arith.mulf %x, %slope : tensor<128x128xf32>
    %e = math.exp2 %t : tensor<128x128xf32>
    %d = arith.addf %e, %one : tensor<128x128xf32>
    %y = arith.divf %x, %d : tensor<128x128xf32>
    %y16 = arith.truncf %y : tensor<128x128xf32> to tensor<128x128xf16>
    flash_tile.store %y16, %C[%row, %col] : tensor<128x128xf16>, memref<?x?xf16>
    gpu.return
  }
}

// Softmax of rows of any length in two sweeps, four rows per block.
// CHECK-LABEL: func.func @row_softmax
func.func @row_softmax(%X: memref<?x?xf32>, %Y: memref<?x?xf32>, %row: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c512 = arith.constant 512 : index
  %minf = arith.constant dense<0xFF800000> : tensor<4xf32>
  %minf_tile = arith.constant dense<0xFF800000> : tensor<4x512xf32>
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %log2e = arith.constant dense<1.44269502> : tensor<4xf32>
  %log2e_tile = arith.constant dense<1.44269502> : tensor<4x512xf32>
  %cols = memref.dim %X, %c1 : memref<?x?xf32>
  %r:2 = scf.for %c = %c0 to %cols step %c512 iter_args(%m = %minf, %l = %zero)
      -> (tensor<4xf32>, tensor<4xf32>) {
    %x = flash_tile.load %X[%row, %c] : memref<?x?xf32> -> tensor<4x512xf32>
    // Columns past the end read as zeros; they must not count.
    %left = arith.subi %cols, %c : index
    %left_i32 = arith.index_cast %left : index to i32
    %limit = flash_tile.splat %left_i32 : i32 -> tensor<4x512xi32>
    %col = flash_tile.index axis 1 : tensor<4x512xi32>
    %inside = arith.cmpi slt, %col, %limit : tensor<4x512xi32>
    %xm = arith.select %inside, %x, %minf_tile : tensor<4x512xi1>, tensor<4x512xf32>
    // CHECK: flash_tile.reduce max
    %mt = flash_tile.reduce max %xm axis 1 : tensor<4x512xf32> -> tensor<4xf32>
    %mn = arith.maxnumf %m, %mt : tensor<4xf32>
    %mn_tile = flash_tile.expand %mn axis 1 : tensor<4xf32> -> tensor<4x512xf32>
    %d = arith.subf %xm, %mn_tile : tensor<4x512xf32>
    %d2 = arith.mulf %d, %log2e_tile : tensor<4x512xf32>
    %p = math.exp2 %d2 : tensor<4x512xf32>
    // CHECK: flash_tile.reduce add
    %s = flash_tile.reduce add %p axis 1 : tensor<4x512xf32> -> tensor<4xf32>
    %a = arith.subf %m, %mn : tensor<4xf32>
    %a2 = arith.mulf %a, %log2e : tensor<4xf32>
    %alpha = math.exp2 %a2 : tensor<4xf32>
    %ln = math.fma %l, %alpha, %s : tensor<4xf32>
    scf.yield %mn, %ln : tensor<4xf32>, tensor<4xf32>
  }
  scf.for %c = %c0 to %cols step %c512 {
    %x = flash_tile.load %X[%row, %c] : memref<?x?xf32> -> tensor<4x512xf32>
    %m_tile = flash_tile.expand %r#0 axis 1 : tensor<4xf32> -> tensor<4x512xf32>
    %l_tile = flash_tile.expand %r#1 axis 1 : tensor<4xf32> -> tensor<4x512xf32>
    %d = arith.subf %x, %m_tile : tensor<4x512xf32>
    %d2 = arith.mulf %d, %log2e_tile : tensor<4x512xf32>
    %p = math.exp2 %d2 : tensor<4x512xf32>
    %y = arith.divf %p, %l_tile : tensor<4x512xf32>
    flash_tile.store %y, %Y[%row, %c] : tensor<4x512xf32>, memref<?x?xf32>
  }
  return
}

// y = x * rsqrt(mean(x^2) + eps) * w, rows of 4096 held in registers.
// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%X: memref<?x4096xbf16>, %W: memref<4096xf32>,
                    %Y: memref<?x4096xbf16>, %row: index) {
  %c0 = arith.constant 0 : index
  %eps = arith.constant dense<1.0e-6> : tensor<4xf32>
  %scale = arith.constant dense<2.44140625e-4> : tensor<4xf32>
  %x16 = flash_tile.load %X[%row, %c0] : memref<?x4096xbf16> -> tensor<4x4096xbf16>
  %x = arith.extf %x16 : tensor<4x4096xbf16> to tensor<4x4096xf32>
  %square = arith.mulf %x, %x : tensor<4x4096xf32>
  // CHECK: flash_tile.reduce add
  %sum = flash_tile.reduce add %square axis 1 : tensor<4x4096xf32> -> tensor<4xf32>
  %mean = math.fma %sum, %scale, %eps : tensor<4xf32>
  %r = math.rsqrt %mean : tensor<4xf32>
  %r_tile = flash_tile.expand %r axis 1 : tensor<4xf32> -> tensor<4x4096xf32>
  %w = flash_tile.load %W[%c0] : memref<4096xf32> -> tensor<4096xf32>
  %w_tile = flash_tile.expand %w axis 0 : tensor<4096xf32> -> tensor<4x4096xf32>
  %xr = arith.mulf %x, %r_tile : tensor<4x4096xf32>
  %y = arith.mulf %xr, %w_tile : tensor<4x4096xf32>
  %y16 = arith.truncf %y : tensor<4x4096xf32> to tensor<4x4096xbf16>
  flash_tile.store %y16, %Y[%row, %c0] : tensor<4x4096xbf16>, memref<?x4096xbf16>
  return
}

// One chunk of causal linear attention with state H (d x dv):
//   O = mask(Q K^T) V + Q H,   H <- H + K^T V.
// CHECK-LABEL: func.func @linear_attention_chunk
func.func @linear_attention_chunk(
    %q: !flash_tile.view<64x64xbf16>, %k: !flash_tile.view<64x64xbf16>,
    %v: !flash_tile.view<64x64xbf16>, %h_view: !flash_tile.view<64x64xbf16>,
    %state: tensor<64x64xf32>) -> (tensor<64x64xf32>, tensor<64x64xf32>) {
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %s = flash_tile.dot %q, %k, %zero {transpose_b}
    : !flash_tile.view<64x64xbf16>, !flash_tile.view<64x64xbf16>, tensor<64x64xf32>
  %row = flash_tile.index axis 0 : tensor<64x64xi32>
  %col = flash_tile.index axis 1 : tensor<64x64xi32>
  %past = arith.cmpi sle, %col, %row : tensor<64x64xi32>
  %masked = arith.select %past, %s, %zero : tensor<64x64xi1>, tensor<64x64xf32>
  %p = arith.truncf %masked : tensor<64x64xf32> to tensor<64x64xbf16>
  %o_past = flash_tile.dot %q, %h_view, %zero
    : !flash_tile.view<64x64xbf16>, !flash_tile.view<64x64xbf16>, tensor<64x64xf32>
  %o = flash_tile.dot %p, %v, %o_past
    : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>, tensor<64x64xf32>
  // CHECK: flash_tile.dot {{.*}} {transpose_a}
  %next = flash_tile.dot %k, %v, %state {transpose_a}
    : !flash_tile.view<64x64xbf16>, !flash_tile.view<64x64xbf16>, tensor<64x64xf32>
  %h16 = arith.truncf %next : tensor<64x64xf32> to tensor<64x64xbf16>
  gpu.barrier
  flash_tile.local_store %h16, %h_view : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>
  return %o, %next : tensor<64x64xf32>, tensor<64x64xf32>
}
