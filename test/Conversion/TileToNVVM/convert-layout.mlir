// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm | FileCheck %s

// The identity moves nothing; a permutation renames. Register r of the result
// is register permutation[r] of the source.

#rows_first = #flash_tile.layout<register = [[8, 0], [0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#columns_first = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @registers
// CHECK: %[[A0:.*]] = llvm.load
// CHECK: %[[A1:.*]] = llvm.load
// CHECK: %[[A2:.*]] = llvm.load
// CHECK: %[[A3:.*]] = llvm.load
// CHECK: math.exp2 %[[A0]]
// CHECK: math.exp2 %[[A1]]
// CHECK: math.exp2 %[[A2]]
// CHECK: math.exp2 %[[A3]]
// CHECK: math.log2 %[[A0]]
// CHECK: math.log2 %[[A2]]
// CHECK: math.log2 %[[A1]]
// CHECK: math.log2 %[[A3]]
gpu.module @m {
  gpu.func @registers(%m: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #rows_first>
    %i = flash_tile.convert_layout %t {permutation = array<i64>} : tensor<16x8xf32, #rows_first> -> tensor<16x8xf32, #rows_first>
    %e = math.exp2 %i : tensor<16x8xf32, #rows_first>
    %p = flash_tile.convert_layout %t {permutation = array<i64: 0, 2, 1, 3>} : tensor<16x8xf32, #rows_first> -> tensor<16x8xf32, #columns_first>
    %l = math.log2 %p : tensor<16x8xf32, #columns_first>
    gpu.return
  }
}

// -----

// 16-bit registers are moved two at a time.

#rows_first = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#columns_first = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @pairs
// CHECK: %[[A0:.*]] = arith.ori
// CHECK: %[[A1:.*]] = arith.ori
// CHECK: %[[A2:.*]] = arith.ori
// CHECK: %[[A3:.*]] = arith.ori
// CHECK: llvm.bitcast %[[A0]]
// CHECK: llvm.bitcast %[[A2]]
// CHECK: llvm.bitcast %[[A1]]
// CHECK: llvm.bitcast %[[A3]]
gpu.module @m {
  gpu.func @pairs(%m: memref<16x16xf16> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%c0, %c0] : memref<16x16xf16> -> tensor<16x16xf16, #rows_first>
    %p = flash_tile.convert_layout %t {permutation = array<i64: 0, 1, 4, 5, 2, 3, 6, 7>} : tensor<16x16xf16, #rows_first> -> tensor<16x16xf16, #columns_first>
    %e = arith.extf %p : tensor<16x16xf16, #columns_first> to tensor<16x16xf32, #columns_first>
    gpu.return
  }
}

// -----

// An exchange: lanes 0 and 1 of each pair swap one of their registers.

#from = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#to = #flash_tile.layout<register = [[0, 2]], lane = [[0, 1], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @exchange
// CHECK-COUNT-2: arith.select
// CHECK-COUNT-1: nvvm.shfl.sync idx
// CHECK-COUNT-2: arith.select
gpu.module @m {
  gpu.func @exchange(%m: memref<8x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%c0, %c0] : memref<8x8xf32> -> tensor<8x8xf32, #from>
    %r = flash_tile.convert_layout %t {exchange} : tensor<8x8xf32, #from> -> tensor<8x8xf32, #to>
    flash_tile.store %r, %m[%c0, %c0] : tensor<8x8xf32, #to>, memref<8x8xf32>
    gpu.return
  }
}

// -----

// What crosses warps is no exchange.

#from = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], warp = [[4, 0]]>
#to = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [4, 0]], warp = [[2, 0]]>

gpu.module @m {
  gpu.func @crosses(%x: f32) kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %t = flash_tile.splat %x : f32 -> tensor<8x8xf32, #from>
    // expected-error@below {{exchange: expected layouts that every warp can convert by itself, got one where what lane 16 adds is held by another warp or by nobody}}
    // expected-error@below {{failed to legalize operation 'flash_tile.convert_layout'}}
    %i = flash_tile.convert_layout %t {exchange} : tensor<8x8xf32, #from> -> tensor<8x8xf32, #to>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @undecided(%x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %t = flash_tile.splat %x : f32 -> tensor<16x8xf32, #acc>
    // expected-error@below {{no register permutation: expected --flash-tile-permute-registers to have run}}
    // expected-error@below {{failed to legalize operation 'flash_tile.convert_layout'}}
    %i = flash_tile.convert_layout %t : tensor<16x8xf32, #acc> -> tensor<16x8xf32, #acc>
    gpu.return
  }
}
