// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// Eight lanes share a row. The scratch is free (a barrier), each part goes to
// its slot, and three steps of half the threads each leave the sum in the first
// one, which all read. No shuffle.

#tile = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], repeat = [[2, 0, 8]]>
#rows = #flash_tile.layout<lane = [[0], [0], [0], [1], [2]]>

// CHECK-LABEL: gpu.func @add
// CHECK-NOT: nvvm.shfl
// CHECK: arith.addf
// CHECK: gpu.barrier
// CHECK-NOT: llvm.load
// CHECK: llvm.store
// CHECK-NEXT: gpu.barrier
// CHECK: %[[FOUR:.*]] = arith.cmpi ult, %[[PART:.*]], %c4_i32
// CHECK: scf.if %[[FOUR]] -> (f32)
// CHECK: llvm.load
// CHECK: arith.addf
// CHECK: llvm.store
// CHECK: gpu.barrier
// CHECK: arith.cmpi ult, %[[PART]], %c2_i32
// CHECK: scf.if
// CHECK: gpu.barrier
// CHECK: arith.cmpi ult, %[[PART]], %c1_i32
// CHECK: scf.if
// CHECK: gpu.barrier
// CHECK-NOT: scf.if
// CHECK: llvm.load
// CHECK-NOT: gpu.barrier
gpu.module @m {
  gpu.func @add(%m: memref<4x16xf32> {flash_tile.dims = ["s", "d"]}, %o: memref<4xf32> {flash_tile.dims = ["s"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x4x8xf32>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x4x8xf32> -> !flash_tile.view<4x8xf32>
    %a = flash_tile.load %m[%c0, %c0] : memref<4x16xf32> -> tensor<4x16xf32, #tile>
    %r = flash_tile.reduce add %a axis 1 through (%v : !flash_tile.view<4x8xf32>) : tensor<4x16xf32, #tile> -> tensor<4xf32, #rows>
    flash_tile.store %r, %o[%c0] : tensor<4xf32, #rows>, memref<4xf32>
    gpu.return
  }
}

// -----

// Three warps share the rows as well: twelve parts, in steps of 6, 3, 1 and 1
// threads.

#tile = #flash_tile.layout<lane = [[0, 1], [0, 2], [1, 0], [2, 0], [4, 0]], warp_repeat = [[3, 0, 4]]>
#rows = #flash_tile.layout<lane = [[0], [0], [1], [2], [4]], warp_repeat = [[3, 0]]>

// CHECK-LABEL: gpu.func @max_of_warps
// CHECK: arith.cmpi ult, %[[PART:.*]], %c6_i32
// CHECK: arith.maxnumf
// CHECK: arith.cmpi ult, %[[PART]], %c3_i32
// CHECK: %[[ONE:.*]] = arith.cmpi ult, %[[PART]], %c1_i32
// CHECK: scf.if %[[ONE]]
// CHECK: gpu.barrier
// CHECK-NEXT: scf.if %[[ONE]]
// CHECK: gpu.barrier
// CHECK-NOT: gpu.barrier
// CHECK: llvm.store
gpu.module @m {
  gpu.func @max_of_warps(%m: memref<8x12xf32> {flash_tile.dims = ["s", "d"]}, %o: memref<8xf32> {flash_tile.dims = ["s"]})
      kernel attributes {known_block_size = array<i32: 96, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x8x12xf32>
    %v = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x8x12xf32> -> !flash_tile.view<8x12xf32>
    %a = flash_tile.load %m[%c0, %c0] : memref<8x12xf32> -> tensor<8x12xf32, #tile>
    %r = flash_tile.reduce max %a axis 1 through (%v : !flash_tile.view<8x12xf32>) : tensor<8x12xf32, #tile> -> tensor<8xf32, #rows>
    flash_tile.store %r, %o[%c0] : tensor<8xf32, #rows>, memref<8xf32>
    gpu.return
  }
}
