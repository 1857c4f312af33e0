// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// A buffer is an offset into the CTA's dynamic shared memory, a stage the
// buffer plus its number of stages' bytes.

// CHECK-LABEL: gpu.module @m
// CHECK: llvm.mlir.global external @flash_shared() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
// CHECK-LABEL: gpu.func @stages
// CHECK-SAME: %[[I64:[^:]*]]: i64)
// CHECK: %[[I:.*]] = arith.index_cast %[[I64]] : i64 to index
// CHECK: %[[BUFFER:.*]] = llvm.getelementptr %{{.*}}[256] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
// CHECK: %[[NUMBER:.*]] = arith.index_cast %[[I]] : index to i32
// CHECK: %[[BYTES:.*]] = arith.muli %[[NUMBER]], %c512_i32 : i32
// CHECK: llvm.getelementptr %[[BUFFER]][%[[BYTES]]] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
#row = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [1, 0], [2, 0], [4, 0], [8, 0]]>
gpu.module @m {
  gpu.func @stages(%m: memref<16x16xf16> {flash_tile.dims = ["s", "d"]}, %i: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 256 : i64} : !flash_tile.buffer<2x16x16xf16>
    %v = flash_tile.stage %b[%i] : !flash_tile.buffer<2x16x16xf16> -> !flash_tile.view<16x16xf16>
    %t = flash_tile.local_load %v : !flash_tile.view<16x16xf16> -> tensor<16x16xf16, #row>
    flash_tile.store %t, %m[%c0, %c0] : tensor<16x16xf16, #row>, memref<16x16xf16>
    gpu.return
  }
}

// -----

// The fragment of the A operand: one ldmatrix.x4 for each 16 x 16 block. Lane i
// addresses row i mod 16, chunk i / 16.

#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[2, 0, 16]]>

// CHECK-LABEL: gpu.func @load_operand
// CHECK: %[[LANE:.*]] = arith.andi %{{.*}}, %c31
// CHECK: %[[ROW:.*]] = arith.andi %[[LANE]], %c15_i32
// CHECK: %[[CHUNK:.*]] = arith.shrui %[[LANE]], %c4_i32
// CHECK: %[[L:.*]] = nvvm.ldmatrix {{.*}}layout = #nvvm.mma_layout<row>, num = 4
// CHECK: %[[R0:.*]] = llvm.extractvalue %[[L]][0]
// CHECK: %[[R3:.*]] = llvm.extractvalue %[[L]][3]
// CHECK: nvvm.ldmatrix
// CHECK-NOT: nvvm.ldmatrix
// CHECK: llvm.store %[[R0]]
gpu.module @m {
  gpu.func @load_operand(%m: memref<16x32xf16> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x16x32xf16>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x16x32xf16> -> !flash_tile.view<16x32xf16>
    %t = flash_tile.local_load %v : !flash_tile.view<16x32xf16> -> tensor<16x32xf16, #operand>
    flash_tile.store %t, %m[%c0, %c0] : tensor<16x32xf16, #operand>, memref<16x32xf16>
    gpu.return
  }
}

// -----

// Eight neighbouring elements are one 16-byte load: four registers.

#row = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [1, 0], [2, 0], [4, 0], [8, 0]]>

// CHECK-LABEL: gpu.func @load_chunks
// CHECK: %[[V:.*]] = llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK-COUNT-4: llvm.extractelement %[[V]]
// CHECK-NOT: llvm.load
gpu.module @m {
  gpu.func @load_chunks(%m: memref<16x16xf16> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x16x16xf16>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x16x16xf16> -> !flash_tile.view<16x16xf16>
    %t = flash_tile.local_load %v : !flash_tile.view<16x16xf16> -> tensor<16x16xf16, #row>
    flash_tile.store %t, %m[%c0, %c0] : tensor<16x16xf16, #row>, memref<16x16xf16>
    gpu.return
  }
}

// -----

// An accumulator's pairs are four bytes each, at the swizzled place: the byte
// in the row XOR 16 times the row's number modulo 2.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[2, 0, 8]]>
#swizzle = #flash_tile.swizzle<bits = 1, shift = 0>

// CHECK-LABEL: gpu.func @store_pairs
// CHECK: %[[P:.*]] = llvm.bitcast %{{.*}} : vector<2xf16> to i32
// CHECK: %[[ROW:.*]] = arith.shrui %{{.*}}, %c2_i32 : i32
// CHECK: %[[QUAD:.*]] = arith.andi %{{.*}}, %c3_i32 : i32
// CHECK: %[[COL:.*]] = arith.shli %[[QUAD]], %c1_i32 : i32
// CHECK: %[[START:.*]] = arith.muli %[[ROW]], %c32_i32 : i32
// CHECK: %[[BYTE:.*]] = arith.muli %[[COL]], %c2_i32 : i32
// CHECK: %[[PARITY:.*]] = arith.andi %[[ROW]], %c1_i32 : i32
// CHECK: %[[FLIP:.*]] = arith.shli %[[PARITY]], %c4_i32 : i32
// CHECK: %[[SWIZZLED:.*]] = arith.xori %[[BYTE]], %[[FLIP]] : i32
// CHECK: %[[OFFSET:.*]] = arith.addi %[[START]], %[[SWIZZLED]] : i32
// CHECK: %[[AT:.*]] = llvm.getelementptr %{{.*}}[%[[OFFSET]]] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
// CHECK: llvm.store %[[P]], %[[AT]] {alignment = 4 : i64} : i32, !llvm.ptr<3>
// CHECK-COUNT-3: llvm.store %{{.*}}, %{{.*}} {alignment = 4 : i64} : i32, !llvm.ptr<3>
// CHECK-NOT: llvm.store
!b = !flash_tile.buffer<1x16x16xf16, #swizzle>
!v = !flash_tile.view<16x16xf16, #swizzle>
gpu.module @m {
  gpu.func @store_pairs(%x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %w = flash_tile.splat %x : f32 -> tensor<16x16xf32, #acc>
    %t = arith.truncf %w : tensor<16x16xf32, #acc> to tensor<16x16xf16, #acc>
    flash_tile.local_store %t, %v : tensor<16x16xf16, #acc>, !v
    gpu.return
  }
}

// -----

// Rows that the layout reaches below a short tile are not stored.

#row = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [1, 0], [2, 0], [4, 0], [8, 0]]>

// CHECK-LABEL: gpu.func @store_short
// CHECK: %[[ROW:.*]] = arith.shrui %{{.*}}, %c1_i32 : i32
// CHECK: %[[IN:.*]] = arith.cmpi ult, %[[ROW]], %c4_i32 : i32
// CHECK: scf.if %[[IN]] {
// CHECK:   llvm.store %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
// CHECK: }
// CHECK-NOT: llvm.store
!b = !flash_tile.buffer<1x4x16xf16>
!v = !flash_tile.view<4x16xf16>
gpu.module @m {
  gpu.func @store_short() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %t = arith.constant dense<1.0> : tensor<4x16xf16, #row>
    flash_tile.local_store %t, %v : tensor<4x16xf16, #row>, !v
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @no_offset() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    // expected-error@below {{offset: expected --flash-tile-plan-shared to have set it, got none}}
    // expected-error@below {{failed to legalize operation 'flash_tile.alloc'}}
    %b = flash_tile.alloc : !flash_tile.buffer<1x16x16xf16>
    gpu.return
  }
}
