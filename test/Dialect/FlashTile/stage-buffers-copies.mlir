// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-stage-buffers | FileCheck %s

// copies = vector: through registers, in a layout that is assigned later. The
// load yields the rows' padding, d = 40 to 48, as zeros. The barrier behind K's
// store does not keep it from the reads of the iteration before: one in front
// does. The loop is not pipelined any more.

// CHECK-LABEL: gpu.func @vector
// CHECK: %[[QBUF:.*]] = flash_tile.alloc : !flash_tile.buffer<1x64x48xbf16>
// CHECK: %[[KBUF:.*]] = flash_tile.alloc : !flash_tile.buffer<1x32x48xbf16>
// CHECK: %[[QV:.*]] = flash_tile.stage %[[QBUF]]
// CHECK-NEXT: %[[Q:.*]] = flash_tile.load %{{.*}} : memref<?x40xbf16> -> tensor<64x48xbf16>
// CHECK-NEXT: flash_tile.local_store %[[Q]], %[[QV]]
// CHECK-NEXT: gpu.barrier
// CHECK: scf.for
// CHECK: %[[KV:.*]] = flash_tile.stage %[[KBUF]]
// CHECK-NEXT: %[[K:.*]] = flash_tile.load %{{.*}} : memref<?x40xbf16> -> tensor<32x48xbf16>
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.local_store %[[K]], %[[KV]]
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot %[[QV]], %[[KV]], %{{.*}} on fma {transpose_b}
// CHECK-NOT: flash_tile.pipeline
gpu.module @m {
  gpu.func @vector(%Q: memref<?x40xbf16>, %K: memref<?x40xbf16>, %zero: tensor<64x32xf32>, %n: index)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 2, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, copies = vector>} {
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %q = flash_tile.load %Q[%c0, %c0] : memref<?x40xbf16> -> tensor<64x40xbf16>
    %r = scf.for %j = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<64x32xf32> {
      %k = flash_tile.load %K[%j, %c0] : memref<?x40xbf16> -> tensor<32x40xbf16>
      %s = flash_tile.dot %q, %k, %acc on fma {transpose_b} : tensor<64x40xbf16>, tensor<32x40xbf16>, tensor<64x32xf32>
      scf.yield %s : tensor<64x32xf32>
    } {flash_tile.pipeline}
    gpu.return
  }
}

// -----

// copies = scalar: a row per lane; warps left over take columns each, as single
// elements (no register vector).

// CHECK-LABEL: gpu.func @scalar
// CHECK: flash_tile.load %{{.*}} -> tensor<64x48xbf16, #flash_tile.layout<lane = {{\[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\]}}, warp = {{\[\[32, 0\]\]}}, repeat = {{\[\[24, 0, 1\]\]}}, warp_repeat = {{\[\[2, 0, 24\]\]}}>>
// CHECK: scf.for
// CHECK: flash_tile.load %{{.*}} -> tensor<32x48xbf16, #flash_tile.layout<lane = {{\[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\]}}, repeat = {{\[\[12, 0, 1\]\]}}, warp_repeat = {{\[\[4, 0, 12\]\]}}>>
gpu.module @m {
  gpu.func @scalar(%Q: memref<?x40xbf16>, %K: memref<?x40xbf16>, %zero: tensor<64x32xf32>, %n: index)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 1, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, copies = scalar>} {
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %q = flash_tile.load %Q[%c0, %c0] : memref<?x40xbf16> -> tensor<64x40xbf16>
    %r = scf.for %j = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<64x32xf32> {
      %k = flash_tile.load %K[%j, %c0] : memref<?x40xbf16> -> tensor<32x40xbf16>
      %s = flash_tile.dot %q, %k, %acc on fma {transpose_b} : tensor<64x40xbf16>, tensor<32x40xbf16>, tensor<64x32xf32>
      scf.yield %s : tensor<64x32xf32>
    } {flash_tile.pipeline}
    gpu.return
  }
}

// -----

// copies = none: nothing is staged, nothing is padded.

// CHECK-LABEL: gpu.func @none
// CHECK-NOT: flash_tile.alloc
// CHECK: %[[Q:.*]] = flash_tile.global_tile %{{.*}} : memref<?x40xbf16> -> !flash_tile.global_tile<64x40xbf16>
// CHECK: scf.for
// CHECK: %[[K:.*]] = flash_tile.global_tile %{{.*}} : memref<?x40xbf16> -> !flash_tile.global_tile<32x40xbf16>
// CHECK-NEXT: flash_tile.dot %[[Q]], %[[K]], %{{.*}} on fma {transpose_b} : !flash_tile.global_tile<64x40xbf16>, !flash_tile.global_tile<32x40xbf16>, tensor<64x32xf32>
// CHECK-NOT: gpu.barrier
// CHECK-NOT: flash_tile.pipeline
gpu.module @m {
  gpu.func @none(%Q: memref<?x40xbf16>, %K: memref<?x40xbf16>, %zero: tensor<64x32xf32>, %n: index)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 0, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, copies = none>} {
    %c0 = arith.constant 0 : index
    %c32 = arith.constant 32 : index
    %q = flash_tile.load %Q[%c0, %c0] : memref<?x40xbf16> -> tensor<64x40xbf16>
    %r = scf.for %j = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<64x32xf32> {
      %k = flash_tile.load %K[%j, %c0] : memref<?x40xbf16> -> tensor<32x40xbf16>
      %s = flash_tile.dot %q, %k, %acc on fma {transpose_b} : tensor<64x40xbf16>, tensor<32x40xbf16>, tensor<64x32xf32>
      scf.yield %s : tensor<64x32xf32>
    } {flash_tile.pipeline}
    gpu.return
  }
}

// -----

// A loop without loads has nothing that could run ahead.

// CHECK-LABEL: gpu.func @nothing_to_copy
// CHECK: scf.for
// CHECK-NOT: flash_tile.pipeline
// CHECK: gpu.return
gpu.module @m {
  gpu.func @nothing_to_copy(%x: memref<64xf32>, %n: index)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 4, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, copies = async, qk = fma, pv = fma>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant dense<0.0> : tensor<64xf32>
    %one = arith.constant dense<1.0> : tensor<64xf32>
    %r = scf.for %j = %c0 to %n step %c1 iter_args(%sum = %zero) -> tensor<64xf32> {
      %s = arith.addf %sum, %one : tensor<64xf32>
      scf.yield %s : tensor<64xf32>
    } {flash_tile.pipeline}
    flash_tile.store %r, %x[%c0] : tensor<64xf32>, memref<64xf32>
    gpu.return
  }
}

// -----

#schedule = #flash.schedule<chip = "sm_80", level = 1, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, copies = scalar>
func.func @no_block_size(%K: memref<?x64xbf16>, %q: tensor<64x64xbf16>, %zero: tensor<64x32xf32>) -> tensor<64x32xf32> attributes {flash_tile.schedule = #schedule} {
  %c0 = arith.constant 0 : index
  // expected-error @below {{copies = scalar: expected a gpu.func with known_block_size, got none}}
  %k = flash_tile.load %K[%c0, %c0] : memref<?x64xbf16> -> tensor<32x64xbf16>
  %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : tensor<64x64xbf16>, tensor<32x64xbf16>, tensor<64x32xf32>
  return %s : tensor<64x32xf32>
}
