// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// S = Q K^T for one warp, 16 x 16 x 16: one ldmatrix.x4 of Q, one of K that
// serves two column atoms, two products. K is stored N x K, so its matrices are
// read as they are: the middle two change places.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[2, 0, 8]]>

// CHECK-LABEL: gpu.func @transposed
// CHECK: %[[Q:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// CHECK: %[[A0:.*]] = llvm.extractvalue %[[Q]][0]
// CHECK: %[[A1:.*]] = llvm.extractvalue %[[Q]][1]
// CHECK: %[[A2:.*]] = llvm.extractvalue %[[Q]][2]
// CHECK: %[[A3:.*]] = llvm.extractvalue %[[Q]][3]
// CHECK: %[[K:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// CHECK: %[[B0:.*]] = llvm.extractvalue %[[K]][0]
// CHECK: %[[B1:.*]] = llvm.extractvalue %[[K]][1]
// CHECK: %[[B2:.*]] = llvm.extractvalue %[[K]][2]
// CHECK: %[[B3:.*]] = llvm.extractvalue %[[K]][3]
// CHECK: %[[D0:.*]] = nvvm.mma.sync A[%[[A0]], %[[A1]], %[[A2]], %[[A3]]] B[%[[B0]], %[[B2]]] C[%[[Z:.*]], %[[Z]], %[[Z]], %[[Z]]]
// CHECK-SAME: layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>
// CHECK-SAME: multiplicandAPtxType = #nvvm.mma_type<bf16>
// CHECK-SAME: shape = #nvvm.shape<m = 16, n = 8, k = 16>
// CHECK: %[[C0:.*]] = llvm.extractvalue %[[D0]][0]
// CHECK: %[[D1:.*]] = nvvm.mma.sync A[%[[A0]], %[[A1]], %[[A2]], %[[A3]]] B[%[[B1]], %[[B3]]]
// CHECK: %[[C4:.*]] = llvm.extractvalue %[[D1]][0]
// CHECK-NOT: nvvm.mma.sync
// CHECK: math.exp2 %[[C0]]
// CHECK: math.exp2 %[[C4]]
!kb = !flash_tile.buffer<1x16x16xbf16>
!kv = !flash_tile.view<16x16xbf16>
gpu.module @m {
  gpu.func @transposed(%o: memref<16x16xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !kb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !kb -> !kv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x16xf32, #acc>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !kv, !kv, tensor<16x16xf32, #acc>
    %e = math.exp2 %s : tensor<16x16xf32, #acc>
    flash_tile.store %e, %o[%c0, %c0] : tensor<16x16xf32, #acc>, memref<16x16xf32>
    gpu.return
  }
}

// -----

// O += P V: P is in registers already, the four registers of its fragment in
// order; V is stored K x N and read with .trans, two matrices per atom. The
// accumulator goes in and comes out.

#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[2, 0, 8]]>

// CHECK-LABEL: gpu.func @registers
// CHECK-SAME: %[[X:[^:]*]]: f32)
// CHECK: %[[A0:.*]] = llvm.bitcast %{{.*}} : vector<2xbf16> to i32
// CHECK: %[[A1:.*]] = llvm.bitcast %{{.*}} : vector<2xbf16> to i32
// CHECK: %[[A2:.*]] = llvm.bitcast %{{.*}} : vector<2xbf16> to i32
// CHECK: %[[A3:.*]] = llvm.bitcast %{{.*}} : vector<2xbf16> to i32
// CHECK: %[[V:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 4
// CHECK: %[[B0:.*]] = llvm.extractvalue %[[V]][0]
// CHECK: %[[B1:.*]] = llvm.extractvalue %[[V]][1]
// CHECK: %[[B2:.*]] = llvm.extractvalue %[[V]][2]
// CHECK: %[[B3:.*]] = llvm.extractvalue %[[V]][3]
// CHECK: nvvm.mma.sync A[%[[A0]], %[[A1]], %[[A2]], %[[A3]]] B[%[[B0]], %[[B1]]] C[%[[X]], %[[X]], %[[X]], %[[X]]]
// CHECK: nvvm.mma.sync A[%[[A0]], %[[A1]], %[[A2]], %[[A3]]] B[%[[B2]], %[[B3]]]
// CHECK-NOT: nvvm.ldmatrix
!vb = !flash_tile.buffer<1x16x16xbf16>
!vv = !flash_tile.view<16x16xbf16>
gpu.module @m {
  gpu.func @registers(%o: memref<16x16xf32> {flash_tile.dims = ["s", "d"]}, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %wide = flash_tile.splat %x : f32 -> tensor<16x16xf32, #operand>
    %p = arith.truncf %wide : tensor<16x16xf32, #operand> to tensor<16x16xbf16, #operand>
    %old = flash_tile.splat %x : f32 -> tensor<16x16xf32, #acc>
    %r = flash_tile.dot %p, %v, %old : tensor<16x16xbf16, #operand>, !vv, tensor<16x16xf32, #acc>
    flash_tile.store %r, %o[%c0, %c0] : tensor<16x16xf32, #acc>, memref<16x16xf32>
    gpu.return
  }
}

// -----

// f16 operands are pairs of halves.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @f16
// CHECK: %[[A:.*]] = llvm.bitcast %{{.*}} : i32 to vector<2xf16>
// CHECK: nvvm.mma.sync A[%[[A]], {{.*}} : (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
!qb = !flash_tile.buffer<1x16x16xf16>
!qv = !flash_tile.view<16x16xf16>
!kb = !flash_tile.buffer<1x8x16xf16>
!kv = !flash_tile.view<8x16xf16>
gpu.module @m {
  gpu.func @f16(%o: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
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

// Three column atoms stored N x K: the last is read by ldmatrix.x2, which takes
// its two addresses from lanes 0 to 15. For that the lanes of the x4 in front
// supply the chunks first, and no matrices change places.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[3, 0, 8]]>

// CHECK-LABEL: gpu.func @odd_columns
// CHECK: nvvm.ldmatrix {{.*}}num = 4
// CHECK: %[[K:.*]] = nvvm.ldmatrix {{.*}}num = 4
// CHECK: %[[K0:.*]] = llvm.extractvalue %[[K]][0]
// CHECK: %[[K1:.*]] = llvm.extractvalue %[[K]][1]
// CHECK: %[[B0:.*]] = llvm.bitcast %[[K0]]
// CHECK: %[[B1:.*]] = llvm.bitcast %[[K1]]
// CHECK: nvvm.mma.sync A[{{.*}}] B[%[[B0]], %[[B1]]]
// CHECK: nvvm.mma.sync
// CHECK: %[[L:.*]] = nvvm.ldmatrix {{.*}}num = 2
// CHECK: %[[L0:.*]] = llvm.extractvalue %[[L]][0]
// CHECK: %[[L1:.*]] = llvm.extractvalue %[[L]][1]
// CHECK: %[[C0:.*]] = llvm.bitcast %[[L0]]
// CHECK: %[[C1:.*]] = llvm.bitcast %[[L1]]
// CHECK: nvvm.mma.sync A[{{.*}}] B[%[[C0]], %[[C1]]]
// CHECK-NOT: nvvm.mma.sync
!qb = !flash_tile.buffer<1x16x16xf16>
!qv = !flash_tile.view<16x16xf16>
!kb = !flash_tile.buffer<1x24x16xf16>
!kv = !flash_tile.view<24x16xf16>
gpu.module @m {
  gpu.func @odd_columns(%o: memref<16x24xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x24xf32, #acc>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x24xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x24xf32, #acc>, memref<16x24xf32>
    gpu.return
  }
}

// -----

// Three column atoms stored K x N: the last half of a padded row is not read.

#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[3, 0, 8]]>

// CHECK-LABEL: gpu.func @padded_columns
// CHECK: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 4
// CHECK-COUNT-2: nvvm.mma.sync
// CHECK: nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<col>, num = 2
// CHECK: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
!vb = !flash_tile.buffer<1x16x32xf16>
!vv = !flash_tile.view<16x32xf16>
gpu.module @m {
  gpu.func @padded_columns(%o: memref<16x24xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %p = arith.constant dense<1.0> : tensor<16x16xf16, #operand>
    %zero = arith.constant dense<0.0> : tensor<16x24xf32, #acc>
    %s = flash_tile.dot %p, %v, %zero : tensor<16x16xf16, #operand>, !vv, tensor<16x24xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x24xf32, #acc>, memref<16x24xf32>
    gpu.return
  }
}

// -----

// Addresses under the 128-byte swizzle: row lane mod 16, chunk lane / 16 XOR
// row mod 8. A further 16 columns flip bit 1 of the chunk number; a further 16
// rows and the buffer's offset are added to the address, so Q and K share it.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[4, 0, 8]]>
#swizzle = #flash_tile.swizzle<bits = 3, shift = 0>

// CHECK-LABEL: gpu.func @swizzled
// CHECK: %[[SHARED:.*]] = llvm.mlir.addressof @flash_shared
// CHECK: %[[LANE:.*]] = arith.andi %{{.*}}, %c31
// CHECK: %[[LOW:.*]] = arith.andi %[[LANE]], %c7
// CHECK: %[[HIGH:.*]] = arith.muli %{{.*}}, %c8
// CHECK: %[[ROW:.*]] = arith.addi %[[LOW]], %[[HIGH]]
// CHECK: %[[START:.*]] = arith.muli %[[ROW]], %c128
// CHECK: %[[BIT4:.*]] = arith.shrui %[[LANE]], %c4
// CHECK: %[[CHUNK:.*]] = arith.andi %[[BIT4]], %c1
// CHECK: %[[FLIPPED:.*]] = arith.xori %[[CHUNK]], %[[LOW]]
// CHECK: %[[BYTE:.*]] = arith.shli %[[FLIPPED]], %c4
// CHECK: %[[OFFSET:.*]] = arith.addi %[[START]], %[[BYTE]]
// CHECK: %[[P:.*]] = llvm.getelementptr %[[SHARED]][%[[OFFSET]]]
// CHECK: nvvm.ldmatrix %[[P]]
// CHECK: %[[P1:.*]] = llvm.getelementptr %[[P]][2048]
// CHECK: nvvm.ldmatrix %[[P1]]
// CHECK: %[[P2:.*]] = llvm.getelementptr %[[P]][4096]
// CHECK: nvvm.ldmatrix %[[P2]]
// CHECK: %[[NEXT:.*]] = arith.xori %[[FLIPPED]], %c2
// CHECK: %[[BYTE2:.*]] = arith.shli %[[NEXT]], %c4
// CHECK: %[[OFFSET2:.*]] = arith.addi %[[START]], %[[BYTE2]]
// CHECK: %[[P3:.*]] = llvm.getelementptr %[[SHARED]][%[[OFFSET2]]]
// CHECK: nvvm.ldmatrix %[[P3]]
// CHECK: %[[P4:.*]] = llvm.getelementptr %[[P3]][2048]
// CHECK: nvvm.ldmatrix %[[P4]]
!qb = !flash_tile.buffer<1x16x64xf16, #swizzle>
!qv = !flash_tile.view<16x64xf16, #swizzle>
!kb = !flash_tile.buffer<1x32x64xf16, #swizzle>
!kv = !flash_tile.view<32x64xf16, #swizzle>
gpu.module @m {
  gpu.func @swizzled(%o: memref<16x32xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 2048 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x32xf32, #acc>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x32xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<16x32xf32, #acc>, memref<16x32xf32>
    gpu.return
  }
}
