// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// Runs of eight bf16 in a thread: one 16-byte load for each where the rows turn
// out to be aligned, under one check for all of a row; single elements else.

#tile = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [1, 0], [2, 0], [4, 0], [8, 0]], repeat = [[2, 0, 16]]>

// CHECK-LABEL: gpu.func @wide
// CHECK: %[[ALIGNED:.*]] = arith.cmpi eq, %{{.*}}, %c0_i64
// CHECK: scf.if %[[ALIGNED]] -> (i32, i32, i32, i32, i32, i32, i32, i32)
// CHECK: scf.if %{{.*}} -> (vector<4xi32>, vector<4xi32>)
// CHECK-COUNT-2: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: vector<4xi32>)
// CHECK: } else {
// CHECK: scf.if
// CHECK-COUNT-16: llvm.load %{{.*}} {alignment = 2 : i64} : !llvm.ptr<1> -> i16
// CHECK-NOT: llvm.load
gpu.module @m {
  gpu.func @wide(%m: memref<?x32xbf16, strided<[?, 1]>> {flash_tile.dims = ["s", "d"]}, %o: memref<16x32xbf16> {flash_tile.dims = ["x", "y"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["s"]} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<?x32xbf16, strided<[?, 1]>> -> tensor<16x32xbf16, #tile>
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x16x32xbf16>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x16x32xbf16> -> !flash_tile.view<16x32xbf16>
    flash_tile.local_store %a, %v : tensor<16x32xbf16, #tile>, !flash_tile.view<16x32xbf16>
    gpu.return
  }
}
