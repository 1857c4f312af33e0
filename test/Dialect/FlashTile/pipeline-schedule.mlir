// RUN: flash-opt %s --flash-tile-stage-buffers="stages-k=2" --flash-tile-pipeline=annotate-only | FileCheck %s
// RUN: flash-opt %s --flash-tile-stage-buffers="stages-k=2" --flash-tile-pipeline=annotate-only \
// RUN:   | flash-opt --flash-tile-pipeline | FileCheck %s --check-prefix=APPLIED
// RUN: flash-opt %s --flash-tile-stage-buffers="stages-k=2" --flash-tile-pipeline > %t.at-once
// RUN: flash-opt %s --flash-tile-stage-buffers="stages-k=2" --flash-tile-pipeline=annotate-only \
// RUN:   | flash-opt --flash-tile-pipeline | diff - %t.at-once

// The schedule alone: K one iteration ahead (stage 0), with its address and its
// counter; everything else in stage 1. The address that the second dot's rows
// need too is computed in both stages.

// CHECK-LABEL: func.func @attention
// CHECK: scf.for %[[I:[a-z0-9]+]] = {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[S:.*]] = %{{.*}})
// CHECK: %[[R0:.*]] = arith.muli %[[I]], %{{.*}} {flash_tile.order = [[#]] : i64, flash_tile.stage = 0 : i64}
// CHECK: %[[KD:.*]] = flash_tile.stage %{{.*}}[%[[S]]] {flash_tile.order = [[#]] : i64, flash_tile.stage = 0 : i64}
// CHECK: %[[KF:.*]] = flash_tile.copy_async %arg1[%[[R0]], %{{.*}}] to %[[KD]] {flash_tile.order = 8 : i64, flash_tile.stage = 0 : i64}
// CHECK: arith.xori %[[S]], %{{.*}} {flash_tile.order = [[#]] : i64, flash_tile.stage = 0 : i64}
// CHECK: %[[R1:.*]] = arith.muli %[[I]], %{{.*}} {flash_tile.order = [[#]] : i64, flash_tile.stage = 1 : i64}
// CHECK: %[[VF:.*]] = flash_tile.copy_async %arg2[%[[R1]], %{{.*}}] to %{{.*}} {flash_tile.order = 5 : i64, flash_tile.stage = 1 : i64}
// CHECK: %[[KV:.*]] = flash_tile.wait %[[KF]] {flash_tile.order = 0 : i64, flash_tile.stage = 1 : i64}
// CHECK: gpu.barrier {flash_tile.order = 1 : i64, flash_tile.stage = 1 : i64}
// CHECK: flash_tile.dot %{{.*}}, %[[KV]], %{{.*}} {flash_tile.order = 9 : i64, flash_tile.stage = 1 : i64, transpose_b}
// CHECK: %[[VV:.*]] = flash_tile.wait %[[VF]] {flash_tile.order = 11 : i64, flash_tile.stage = 1 : i64, in_flight = 1 : i64}
// CHECK: gpu.barrier {flash_tile.order = 12 : i64, flash_tile.stage = 1 : i64}
// CHECK: flash_tile.dot %{{.*}}, %[[VV]], %{{.*}} {flash_tile.order = 13 : i64, flash_tile.stage = 1 : i64}
// CHECK: } {flash_tile.pipeline}

// APPLIED-NOT: flash_tile.order
// APPLIED-NOT: flash_tile.pipeline
func.func @attention(%Q: tensor<64x64xbf16>, %K: memref<?x64xbf16> {flash_tile.role = "k"},
                     %V: memref<?x64xbf16> {flash_tile.role = "v"}, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> tensor<64x64xf32> {
    %row = arith.muli %i, %c64 : index
    %k = flash_tile.load %K[%row, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %s = flash_tile.dot %Q, %k, %zero {transpose_b} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    %p = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
    %v = flash_tile.load %V[%row, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %o = flash_tile.dot %p, %v, %acc : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %o : tensor<64x64xf32>
  } {flash_tile.pipeline}
  return %r : tensor<64x64xf32>
}
