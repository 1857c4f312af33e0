// RUN: flash-opt %s --flash-tile-stage-operands | FileCheck %s

// P of a product on FMA units: stored right behind its rounding, one barrier in
// front of the product. The loop's own barrier keeps the store from the reads
// of the iteration before.

// CHECK-LABEL: func.func @loop
// CHECK: %[[BUFFER:.*]] = flash_tile.alloc : !flash_tile.buffer<1x64x32xbf16>
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: %[[P:.*]] = arith.truncf
// CHECK: %[[VIEW:.*]] = flash_tile.stage %[[BUFFER]]
// CHECK-NEXT: flash_tile.local_store %[[P]], %[[VIEW]]
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot %[[VIEW]], %{{.*}}, %{{.*}} on fma
// CHECK-NOT: gpu.barrier
func.func @loop(%x: tensor<64x32xf32>, %v: !flash_tile.view<32x64xbf16>, %o: tensor<64x64xf32>, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %o) -> tensor<64x64xf32> {
    gpu.barrier
    %p = arith.truncf %x : tensor<64x32xf32> to tensor<64x32xbf16>
    %scaled = arith.mulf %acc, %o : tensor<64x64xf32>
    %next = flash_tile.dot %p, %v, %scaled on fma : tensor<64x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<64x64xf32>
    scf.yield %next : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// A barrier that lies between store and product serves; without one in the loop
// apart from that, the store needs its own.

// CHECK-LABEL: func.func @barrier_between
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK-NEXT: flash_tile.local_store
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot
func.func @barrier_between(%x: tensor<64x32xf32>, %v: !flash_tile.view<32x64xbf16>, %o: tensor<64x64xf32>, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %o) -> tensor<64x64xf32> {
    %p = arith.truncf %x : tensor<64x32xf32> to tensor<64x32xbf16>
    gpu.barrier
    %next = flash_tile.dot %p, %v, %acc on fma : tensor<64x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<64x64xf32>
    scf.yield %next : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// Two products in turn use one buffer.

// CHECK-LABEL: func.func @two
// CHECK-COUNT-1: flash_tile.alloc
// CHECK-NOT: flash_tile.alloc
// CHECK: gpu.barrier
// CHECK-NEXT: flash_tile.local_store %arg0
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot
// CHECK: gpu.barrier
// CHECK-NEXT: flash_tile.local_store %arg1
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot
func.func @two(%p: tensor<64x32xf32>, %q: tensor<64x32xf32>, %v: !flash_tile.view<32x64xf32>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %a = flash_tile.dot %p, %v, %o on fma : tensor<64x32xf32>, !flash_tile.view<32x64xf32>, tensor<64x64xf32>
  %b = flash_tile.dot %q, %v, %a on fma : tensor<64x32xf32>, !flash_tile.view<32x64xf32>, tensor<64x64xf32>
  return %b : tensor<64x64xf32>
}

// In one iteration of a loop as well: its barrier lies in front of the first
// product only, so the second store gets its own.

// CHECK-LABEL: func.func @two_in_loop
// CHECK: scf.for
// CHECK-NEXT: gpu.barrier
// CHECK: flash_tile.local_store %arg0
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot
// CHECK: gpu.barrier
// CHECK-NEXT: flash_tile.local_store %arg1
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.dot
func.func @two_in_loop(%p: tensor<64x32xf32>, %q: tensor<64x32xf32>, %v: !flash_tile.view<32x64xf32>, %o: tensor<64x64xf32>, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %o) -> tensor<64x64xf32> {
    gpu.barrier
    %a = flash_tile.dot %p, %v, %acc on fma : tensor<64x32xf32>, !flash_tile.view<32x64xf32>, tensor<64x64xf32>
    %b = flash_tile.dot %q, %v, %a on fma : tensor<64x32xf32>, !flash_tile.view<32x64xf32>, tensor<64x64xf32>
    scf.yield %b : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// Tensor cores take registers; so do threads that own their rows, which B in
// global memory means.

// CHECK-LABEL: func.func @others
// CHECK-NOT: flash_tile.alloc
func.func @others(%p: tensor<64x32xbf16>, %v: !flash_tile.view<32x64xbf16>, %g: !flash_tile.global_tile<32x64xbf16>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %a = flash_tile.dot %p, %v, %o : tensor<64x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<64x64xf32>
  %b = flash_tile.dot %p, %g, %a on fma : tensor<64x32xbf16>, !flash_tile.global_tile<32x64xbf16>, tensor<64x64xf32>
  return %b : tensor<64x64xf32>
}
