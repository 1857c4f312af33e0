// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// tf32: f32 in shared memory, fragments by ldmatrix (a row of a matrix is four of
// them), each rounded before it is used; a depth of eight per product.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @tf32
// CHECK: %[[Q:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// CHECK: %[[Q0:.*]] = llvm.extractvalue %[[Q]][0]
// CHECK: %[[K:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 2
// CHECK: nvvm.mma.sync A[%[[Q0]],
// CHECK-SAME: multiplicandAPtxType = #nvvm.mma_type<tf32>
// CHECK-SAME: shape = #nvvm.shape<m = 16, n = 8, k = 8>
// CHECK-NOT: nvvm.mma.sync
!qb = !flash_tile.buffer<1x16x8xf32>
!qv = !flash_tile.view<16x8xf32>
!kb = !flash_tile.buffer<1x8x8xf32>
!kv = !flash_tile.view<8x8xf32>
gpu.module @m {
  gpu.func @tf32(%o: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x8xf32, #acc>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// Plain loads of a 16-bit B stored K x N: an element's neighbour along the depth
// is a row away, so the two halves of a register are loaded one by one. Lane
// 4g + t is at row 2t, column g.

#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @plain_rows
// CHECK-NOT: ldmatrix
// CHECK: %[[E0:.*]] = llvm.load %[[P:[0-9]+]] {alignment = 2 : i64} : !llvm.ptr<3> -> i16
// CHECK: %[[V0:.*]] = llvm.insertelement %[[E0]]
// CHECK: %[[P1:.*]] = llvm.getelementptr %[[P]][16]
// CHECK: %[[E1:.*]] = llvm.load %[[P1]] {alignment = 2 : i64} : !llvm.ptr<3> -> i16
// CHECK: %[[V1:.*]] = llvm.insertelement %[[E1]], %[[V0]]
// CHECK: %[[B0:.*]] = llvm.bitcast %[[V1]] : vector<2xi16> to i32
// CHECK: llvm.getelementptr %[[P]][128]
// CHECK: llvm.getelementptr %[[P]][144]
// CHECK: nvvm.mma.sync A[{{.*}}] B[%[[B0]],
!vb = !flash_tile.buffer<1x16x8xbf16>
!vv = !flash_tile.view<16x8xbf16>
gpu.module @m {
  gpu.func @plain_rows(%o: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %p = arith.constant dense<1.0> : tensor<16x16xbf16, #operand>
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    %s = flash_tile.dot %p, %v, %zero {plain_loads} : tensor<16x16xbf16, #operand>, !vv, tensor<16x8xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x8xf32, #acc>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// e4m3: P in an accumulator's layout is operand A once the keys are summed in
// another order: slot 4t + j stands for key 2t + j mod 2 + 8 (j / 2), and so V's
// rows 0, 1, 8 and 9 go into lane 0's first register.

#keys = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0], [0, 16]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @bytes
// CHECK: llvm.call_intrinsic "llvm.nvvm.ff.to.e4m3x2.rn"
// CHECK: llvm.load %[[P:[0-9]+]] {alignment = 1 : i64} : !llvm.ptr<3> -> i8
// CHECK: llvm.getelementptr %[[P]][16]
// CHECK: llvm.getelementptr %[[P]][128]
// CHECK: llvm.getelementptr %[[P]][144]
// CHECK: llvm.bitcast %{{.*}} : vector<4xi8> to i32
// CHECK: llvm.getelementptr %[[P]][256]
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"
!vb = !flash_tile.buffer<1x32x16xf8E4M3FN>
!vv = !flash_tile.view<32x16xf8E4M3FN>
gpu.module @m {
  gpu.func @bytes(%o: memref<16x8xf32> {flash_tile.dims = ["s", "d"]}, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %wide = flash_tile.splat %x : f32 -> tensor<16x32xf32, #keys>
    %p = arith.truncf %wide : tensor<16x32xf32, #keys> to tensor<16x32xf8E4M3FN, #keys>
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    %s = flash_tile.dot %p, %v, %zero {contraction_order = array<i64: 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 16, 17, 24, 25, 18, 19, 26, 27, 20, 21, 28, 29, 22, 23, 30, 31>}
      : tensor<16x32xf8E4M3FN, #keys>, !vv, tensor<16x8xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x8xf32, #acc>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// The same by ldmatrix, where each product takes every other column of sixteen:
// pairs of bytes are transposed, row i of 32 addressed by lane i. Two byte
// permutes make the registers of the first product, of even columns, and two
// those of the second.

#keys = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0], [0, 16]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @byte_pairs
// CHECK-NOT: llvm.load
// CHECK: %[[V:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 4
// CHECK: %[[R0:.*]] = llvm.extractvalue %[[V]][0]
// CHECK: %[[R1:.*]] = llvm.extractvalue %[[V]][1]
// CHECK: %[[R2:.*]] = llvm.extractvalue %[[V]][2]
// CHECK: %[[R3:.*]] = llvm.extractvalue %[[V]][3]
// CHECK: %[[E0:.*]] = nvvm.prmt <default> %{{.*}}, %[[R0]], %[[R1]]
// CHECK: %[[E1:.*]] = nvvm.prmt <default> %{{.*}}, %[[R2]], %[[R3]]
// CHECK: %[[O0:.*]] = nvvm.prmt <default> %{{.*}}, %[[R0]], %[[R1]]
// CHECK: %[[O1:.*]] = nvvm.prmt <default> %{{.*}}, %[[R2]], %[[R3]]
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"({{.*}}, %[[E0]], %[[E1]],
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"({{.*}}, %[[O0]], %[[O1]],
// CHECK-NOT: llvm.load
!vb = !flash_tile.buffer<1x32x16xf8E4M3FN>
!vv = !flash_tile.view<32x16xf8E4M3FN>
gpu.module @m {
  gpu.func @byte_pairs(%o: memref<16x16xf32> {flash_tile.dims = ["s", "d"]}, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %wide = flash_tile.splat %x : f32 -> tensor<16x32xf32, #keys>
    %p = arith.truncf %wide : tensor<16x32xf32, #keys> to tensor<16x32xf8E4M3FN, #keys>
    %zero = arith.constant dense<0.0> : tensor<16x16xf32, #acc>
    %s = flash_tile.dot %p, %v, %zero {contraction_order = array<i64: 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 16, 17, 24, 25, 18, 19, 26, 27, 20, 21, 28, 29, 22, 23, 30, 31>}
      : tensor<16x32xf8E4M3FN, #keys>, !vv, tensor<16x16xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x16xf32, #acc>, memref<16x16xf32>
    gpu.return
  }
}

// -----

// s8: signed bytes, sums in s32 that wrap. A in registers is an integer each;
// four of them are packed as the product reads them.

#operand = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @s8
// CHECK: %[[A:.*]] = llvm.bitcast %{{.*}} : vector<4xi8> to i32
// CHECK: nvvm.mma.sync A[%[[A]],
// CHECK-SAME: intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>
// CHECK-SAME: multiplicandAPtxType = #nvvm.mma_type<s8>
// CHECK-SAME: shape = #nvvm.shape<m = 16, n = 8, k = 32>
// CHECK-SAME: -> !llvm.struct<(i32, i32, i32, i32)>
!kb = !flash_tile.buffer<1x8x32xi8>
!kv = !flash_tile.view<8x32xi8>
gpu.module @m {
  gpu.func @s8(%q: memref<16x32xi8> {flash_tile.dims = ["s", "k"]}, %o: memref<16x8xi32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %kb = flash_tile.alloc {offset = 0 : i64} : !kb
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %a = flash_tile.load %q[%c0, %c0] : memref<16x32xi8> -> tensor<16x32xi8, #operand>
    %zero = arith.constant dense<0> : tensor<16x8xi32, #acc>
    %s = flash_tile.dot %a, %k, %zero {transpose_b} : tensor<16x32xi8, #operand>, !kv, tensor<16x8xi32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x8xi32, #acc>, memref<16x8xi32>
    gpu.return
  }
}
