// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm | FileCheck %s

// A row's registers first, as a tree, then a butterfly over the four lanes that
// share the row. Both rows of a thread go through each step together.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[2, 0, 8]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @add
// CHECK-COUNT-8: llvm.load
// CHECK: %[[A:.*]] = arith.addf
// CHECK: %[[B:.*]] = arith.addf
// CHECK: %[[R0:.*]] = arith.addf %[[A]], %[[B]] : f32
// CHECK: %[[C:.*]] = arith.addf
// CHECK: %[[D:.*]] = arith.addf
// CHECK: %[[R8:.*]] = arith.addf %[[C]], %[[D]] : f32
// CHECK: %[[ALL:.*]] = arith.constant -1 : i32
// CHECK: %[[CLAMP:.*]] = arith.constant 31 : i32
// CHECK: %[[ONE:.*]] = arith.constant 1 : i32
// CHECK: %[[S0:.*]] = nvvm.shfl.sync bfly %[[ALL]], %[[R0]], %[[ONE]], %[[CLAMP]] : f32
// CHECK: %[[T0:.*]] = arith.addf %[[R0]], %[[S0]]
// CHECK: %[[S8:.*]] = nvvm.shfl.sync bfly %[[ALL]], %[[R8]]
// CHECK: %[[T8:.*]] = arith.addf %[[R8]], %[[S8]]
// CHECK: %[[TWO:.*]] = arith.constant 2 : i32
// CHECK: nvvm.shfl.sync bfly %[[ALL]], %[[T0]], %[[TWO]]
// CHECK: nvvm.shfl.sync bfly %[[ALL]], %[[T8]]
// CHECK-NOT: nvvm.shfl
gpu.module @m {
  gpu.func @add(%m: memref<16x16xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32, #acc>
    %r = flash_tile.reduce add %a axis 1 : tensor<16x16xf32, #acc> -> tensor<16xf32, #row>
    gpu.return
  }
}

// -----

// NaN is no score: the maximum of numbers.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @max
// CHECK-COUNT-2: arith.maxnumf
// CHECK-COUNT-4: nvvm.shfl.sync bfly
// CHECK: arith.maxnumf
gpu.module @m {
  gpu.func @max(%m: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #acc>
    %r = flash_tile.reduce max %a axis 1 : tensor<16x8xf32, #acc> -> tensor<16xf32, #row>
    gpu.return
  }
}

// -----

// Down the columns: the eight lanes of a column.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#column = #flash_tile.layout<register = [[1]], lane = [[2], [4], [0], [0], [0]]>

// CHECK-LABEL: gpu.func @columns
// CHECK: %[[FOUR:.*]] = arith.constant 4 : i32
// CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %[[FOUR]]
// CHECK: %[[EIGHT:.*]] = arith.constant 8 : i32
// CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %[[EIGHT]]
// CHECK: %[[SIXTEEN:.*]] = arith.constant 16 : i32
// CHECK: nvvm.shfl.sync bfly %{{.*}}, %{{.*}}, %[[SIXTEEN]]
gpu.module @m {
  gpu.func @columns(%m: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #acc>
    %r = flash_tile.reduce add %a axis 0 : tensor<16x8xf32, #acc> -> tensor<8xf32, #column>
    gpu.return
  }
}

// -----

// A broadcast costs nothing: every register of a row is the row's.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @expand
// CHECK: %[[R0:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[R8:.*]] = llvm.load {{.*}} -> f32
// CHECK: llvm.call_intrinsic "llvm.nvvm.ff2f16x2.rn"(%[[R0]], %[[R0]])
// CHECK: llvm.call_intrinsic "llvm.nvvm.ff2f16x2.rn"(%[[R8]], %[[R8]])
gpu.module @m {
  gpu.func @expand(%m: memref<16xf32> {flash_tile.dims = ["s"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %l = flash_tile.load %m[%c0] : memref<16xf32> -> tensor<16xf32, #row>
    %e = flash_tile.expand %l axis 1 : tensor<16xf32, #row> -> tensor<16x8xf32, #acc>
    %h = arith.truncf %e : tensor<16x8xf32, #acc> to tensor<16x8xf16, #acc>
    gpu.return
  }
}

// -----

// Two warps hold two halves of each row.

#split = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[0, 8]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]], warp = [[0]]>

gpu.module @m {
  gpu.func @across_warps(%m: memref<16x16xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32, #split>
    // expected-error@below {{layout: expected one warp to own whole lines of axis 1, got warps along it}}
    // expected-error@below {{failed to legalize operation 'flash_tile.reduce'}}
    %r = flash_tile.reduce add %a axis 1 : tensor<16x16xf32, #split> -> tensor<16xf32, #row>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

gpu.module @m {
  gpu.func @integers(%n: i32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %a = flash_tile.splat %n : i32 -> tensor<16x8xi32, #acc>
    // expected-error@below {{element type: expected f32, got 'i32'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.reduce'}}
    %r = flash_tile.reduce add %a axis 1 : tensor<16x8xi32, #acc> -> tensor<16xi32, #row>
    gpu.return
  }
}
