// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-plan-shared | FileCheck %s

// The swizzle by the row's 16-byte chunks: 8 = 2^3, 16 = 2^4, 6 = 2 * 3, 5 odd.
// Buffer, views and futures agree.

// CHECK-LABEL: func.func @swizzles
// CHECK-SAME: flash_tile.shared_bytes
func.func @swizzles(%K: memref<?x64xbf16>) {
  %c0 = arith.constant 0 : index
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<2x64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<1x64x128xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<1x64x48xbf16, #flash_tile.swizzle<bits = 1, shift = 2>>
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<1x64x40xbf16, #flash_tile.swizzle<bits = 0, shift = 3>>
  %b64 = flash_tile.alloc : !flash_tile.buffer<2x64x64xbf16>
  %b128 = flash_tile.alloc : !flash_tile.buffer<1x64x128xbf16>
  %b48 = flash_tile.alloc : !flash_tile.buffer<1x64x48xbf16>
  %b40 = flash_tile.alloc : !flash_tile.buffer<1x64x40xbf16>
  // A row that is no whole number of chunks has none, nor has a vector.
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<1x64x12xbf16>
  // CHECK: flash_tile.alloc {offset = {{.*}}} : !flash_tile.buffer<1x64xbf16>
  %b12 = flash_tile.alloc : !flash_tile.buffer<1x64x12xbf16>
  %vector = flash_tile.alloc : !flash_tile.buffer<1x64xbf16>
  // CHECK: flash_tile.stage {{.*}} : !flash_tile.buffer<2x64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>> -> !flash_tile.view<64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
  // CHECK: flash_tile.wait {{.*}} : !flash_tile.future<!flash_tile.view<64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>>
  %s = flash_tile.stage %b64[%c0] : !flash_tile.buffer<2x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  %f = flash_tile.copy_async %K[%c0, %c0] to %s
    : memref<?x64xbf16> to !flash_tile.view<64x64xbf16> -> !flash_tile.future<!flash_tile.view<64x64xbf16>>
  %v = flash_tile.wait %f : !flash_tile.future<!flash_tile.view<64x64xbf16>>
  return
}

// -----

// Written after a barrier behind the last read of the first: the same memory.

// CHECK-LABEL: func.func @disjoint
// CHECK-SAME: flash_tile.shared_bytes = 8192 : i64
func.func @disjoint(%x: tensor<64x64xbf16>) -> (tensor<64x64xbf16>, tensor<32x64xbf16>) {
  %c0 = arith.constant 0 : index
  // CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x64x64xbf16
  // CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x32x64xbf16
  %a = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  flash_tile.local_store %x, %va : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>
  gpu.barrier
  %ra = flash_tile.local_load %va : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  gpu.barrier
  %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %rb = flash_tile.local_load %vb : !flash_tile.view<32x64xbf16> -> tensor<32x64xbf16>
  return %ra, %rb : tensor<64x64xbf16>, tensor<32x64xbf16>
}

// -----

// No barrier in between: a fast warp would overwrite what a slow one reads.

// CHECK-LABEL: func.func @no_barrier
// CHECK-SAME: flash_tile.shared_bytes = 12288 : i64
func.func @no_barrier(%x: tensor<64x64xbf16>) -> (tensor<64x64xbf16>, tensor<32x64xbf16>) {
  %c0 = arith.constant 0 : index
  // CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x64x64xbf16
  // CHECK: flash_tile.alloc {offset = 8192 : i64} : !flash_tile.buffer<1x32x64xbf16
  %a = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  flash_tile.local_store %x, %va : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>
  gpu.barrier
  %ra = flash_tile.local_load %va : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %rb = flash_tile.local_load %vb : !flash_tile.view<32x64xbf16> -> tensor<32x64xbf16>
  return %ra, %rb : tensor<64x64xbf16>, tensor<32x64xbf16>
}

// -----

// A copy in flight round a loop keeps its buffer alive until it is waited for,
// here behind the loop.

// CHECK-LABEL: func.func @carried_future
// CHECK-SAME: flash_tile.shared_bytes = 8192 : i64
func.func @carried_future(%K: memref<?x64xbf16>, %n: index) -> tensor<32x64xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: flash_tile.alloc {offset = 0 : i64}
  // CHECK: flash_tile.alloc {offset = 4096 : i64}
  %a = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %f = flash_tile.copy_async %K[%c0, %c0] to %va
    : memref<?x64xbf16> to !flash_tile.view<32x64xbf16> -> !flash_tile.future<!flash_tile.view<32x64xbf16>>
  %g = scf.for %i = %c0 to %n step %c1 iter_args(%h = %f) -> !flash_tile.future<!flash_tile.view<32x64xbf16>> {
    scf.yield %h : !flash_tile.future<!flash_tile.view<32x64xbf16>>
  }
  gpu.barrier
  %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %rb = flash_tile.local_load %vb : !flash_tile.view<32x64xbf16> -> tensor<32x64xbf16>
  %w = flash_tile.wait %g : !flash_tile.future<!flash_tile.view<32x64xbf16>>
  return %rb : tensor<32x64xbf16>
}

// -----

// Nobody waits for the copy: it may land at any time.

// CHECK-LABEL: func.func @never_waited
// CHECK-SAME: flash_tile.shared_bytes = 8192 : i64
func.func @never_waited(%K: memref<?x64xbf16>) -> tensor<32x64xbf16> {
  %c0 = arith.constant 0 : index
  %a = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %f = flash_tile.copy_async %K[%c0, %c0] to %va
    : memref<?x64xbf16> to !flash_tile.view<32x64xbf16> -> !flash_tile.future<!flash_tile.view<32x64xbf16>>
  gpu.barrier
  %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
  %rb = flash_tile.local_load %vb : !flash_tile.view<32x64xbf16> -> tensor<32x64xbf16>
  return %rb : tensor<32x64xbf16>
}

// -----

// In a loop what comes later also comes earlier.

// CHECK-LABEL: func.func @in_loop
// CHECK-SAME: flash_tile.shared_bytes = 8192 : i64
func.func @in_loop(%x: tensor<32x64xbf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x64xbf16>
  scf.for %i = %c0 to %n step %c1 {
    %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
    flash_tile.local_store %x, %va : tensor<32x64xbf16>, !flash_tile.view<32x64xbf16>
    gpu.barrier
    %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x64xbf16> -> !flash_tile.view<32x64xbf16>
    flash_tile.local_store %x, %vb : tensor<32x64xbf16>, !flash_tile.view<32x64xbf16>
  }
  return
}

// -----

// Offsets and swizzles that are there already stay, and others go around them.

// CHECK-LABEL: func.func @given
// CHECK-SAME: flash_tile.shared_bytes = 6144 : i64
func.func @given(%x: tensor<32x32xbf16>) {
  %c0 = arith.constant 0 : index
  // CHECK: flash_tile.alloc {offset = 2048 : i64} : !flash_tile.buffer<1x32x32xbf16, #flash_tile.swizzle<bits = 1, shift = 0>>
  // CHECK: flash_tile.alloc {offset = 0 : i64}
  // CHECK: flash_tile.alloc {offset = 4096 : i64}
  %a = flash_tile.alloc {offset = 2048 : i64} : !flash_tile.buffer<1x32x32xbf16, #flash_tile.swizzle<bits = 1, shift = 0>>
  %b = flash_tile.alloc : !flash_tile.buffer<1x32x32xbf16>
  %c = flash_tile.alloc : !flash_tile.buffer<1x32x32xbf16>
  %va = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x32x32xbf16, #flash_tile.swizzle<bits = 1, shift = 0>>
    -> !flash_tile.view<32x32xbf16, #flash_tile.swizzle<bits = 1, shift = 0>>
  %vb = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x32x32xbf16> -> !flash_tile.view<32x32xbf16>
  %vc = flash_tile.stage %c[%c0] : !flash_tile.buffer<1x32x32xbf16> -> !flash_tile.view<32x32xbf16>
  flash_tile.local_store %x, %vb : tensor<32x32xbf16>, !flash_tile.view<32x32xbf16>
  flash_tile.local_store %x, %vc : tensor<32x32xbf16>, !flash_tile.view<32x32xbf16>
  flash_tile.local_store %x, %va : tensor<32x32xbf16>, !flash_tile.view<32x32xbf16, #flash_tile.swizzle<bits = 1, shift = 0>>
  return
}

// -----

// expected-error@below {{shared memory: expected at most 101376 bytes on sm_86, got 131072}}
func.func @too_much() attributes {flash_tile.schedule = #flash.schedule<chip = "sm_86", level = 9, tile_q = 128,
    tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>} {
  %c0 = arith.constant 0 : index
  %a = flash_tile.alloc : !flash_tile.buffer<4x128x128xbf16>
  %v = flash_tile.stage %a[%c0] : !flash_tile.buffer<4x128x128xbf16> -> !flash_tile.view<128x128xbf16>
  return
}

// -----

// expected-error@below {{shared memory: expected a known chip, got sm_1}}
func.func @unknown_chip() attributes {flash_tile.schedule = #flash.schedule<chip = "sm_1", level = 9, tile_q = 128,
    tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>} {
  return
}
