// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// S = Q K^T on FMA units: a loop over the depth, eight elements of f16 at a
// time. A thread has one row and two columns: one 16-byte read of Q and two of
// K, sixteen multiplications. Nothing but the depth is added to addresses.

#acc = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], repeat = [[2, 0, 8]]>

// CHECK-LABEL: gpu.func @transposed
// CHECK: %[[S:.*]]:2 = scf.for %[[K:.*]] = %c0_i32 to %c32_i32 step %c8_i32 iter_args(%{{.*}} = %[[Z:.*]], %{{.*}} = %[[Z]]) -> (f32, f32)
// CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK-COUNT-8: math.fma
// CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xi32>
// CHECK-COUNT-8: math.fma
// CHECK-NOT: llvm.load
// CHECK-NOT: math.fma
// CHECK: } {llvm.loop_annotation
gpu.module @m {
  gpu.func @transposed(%o: memref<4x16xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x4x32xf16>
    %kb = flash_tile.alloc {offset = 512 : i64} : !flash_tile.buffer<1x16x32xf16>
    %q = flash_tile.stage %qb[%c0] : !flash_tile.buffer<1x4x32xf16> -> !flash_tile.view<4x32xf16>
    %k = flash_tile.stage %kb[%c0] : !flash_tile.buffer<1x16x32xf16> -> !flash_tile.view<16x32xf16>
    %zero = arith.constant dense<0.0> : tensor<4x16xf32, #acc>
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.view<4x32xf16>, !flash_tile.view<16x32xf16>, tensor<4x16xf32, #acc>
    flash_tile.store %s, %o[%c0, %c0] : tensor<4x16xf32, #acc>, memref<4x16xf32>
    gpu.return
  }
}

// -----

// O += P V with a row per thread: P in registers, V in global memory. No loop; a
// row of V that does not exist adds nothing, and the columns of V all exist.

#p = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], repeat = [[2, 0, 1]]>

// CHECK-LABEL: gpu.func @registers
// CHECK-NOT: scf.for
// CHECK: %[[FIRST:.*]] = arith.cmpi sgt, %[[ROWS:.*]], %c0_i32 : i32
// CHECK: %{{.*}}:2 = scf.if %[[FIRST]] -> (f32, f32)
// CHECK-COUNT-2: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> f32
// CHECK: %[[SECOND:.*]] = arith.cmpi sgt, %[[ROWS]], %c1_i32 : i32
// CHECK: %{{.*}}:2 = scf.if %[[SECOND]] -> (f32, f32)
// CHECK-COUNT-2: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> f32
// CHECK-NOT: llvm.load
// CHECK-NOT: scf.for
gpu.module @m {
  gpu.func @registers(%v: memref<?x2xf32> {flash_tile.dims = ["k", "d"]}, %o: memref<32x2xf32> {flash_tile.dims = ["s", "d"]}, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["k"]} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.splat %x : f32 -> tensor<32x2xf32, #p>
    %zero = arith.constant dense<0.0> : tensor<32x2xf32, #p>
    %t = flash_tile.global_tile %v[%c0, %c0] : memref<?x2xf32> -> !flash_tile.global_tile<2x2xf32>
    %s = flash_tile.dot %p, %t, %zero on fma : tensor<32x2xf32, #p>, !flash_tile.global_tile<2x2xf32>, tensor<32x2xf32, #p>
    flash_tile.store %s, %o[%c0, %c0] : tensor<32x2xf32, #p>, memref<32x2xf32>
    gpu.return
  }
}

// -----

// A thread that has part of a row cannot multiply it from registers.

#acc = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
gpu.module @m {
  gpu.func @part_of_a_row(%x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x8x8xf32>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x8x8xf32> -> !flash_tile.view<8x8xf32>
    %p = flash_tile.splat %x : f32 -> tensor<4x8xf32, #acc>
    %zero = arith.constant dense<0.0> : tensor<4x8xf32, #acc>
    // expected-error @below {{operand a: expected a shared-memory view, a tile in global memory or a register tile of which each thread holds its whole rows, got}}
    // expected-error @below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %p, %v, %zero on fma : tensor<4x8xf32, #acc>, !flash_tile.view<8x8xf32>, tensor<4x8xf32, #acc>
    gpu.return
  }
}
