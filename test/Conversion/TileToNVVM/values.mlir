// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm | FileCheck %s

// A constant is one scalar for all registers; of 16-bit elements one pair.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @constants
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// 0x3F80 in either half.
// CHECK: %[[PAIR:.*]] = arith.constant 1065369472 : i32
// CHECK: llvm.bitcast %[[PAIR]] : i32 to vector<2xbf16>
// CHECK: llvm.bitcast %[[PAIR]] : i32 to vector<2xbf16>
// CHECK: math.exp2 %[[ONE]] : f32
// CHECK-NOT: math.exp2
gpu.module @m {
  gpu.func @constants() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %one = arith.constant dense<1.0> : tensor<16x8xf32, #acc>
    %half = arith.constant dense<1.0> : tensor<16x8xbf16, #acc>
    %wide = arith.extf %half : tensor<16x8xbf16, #acc> to tensor<16x8xf32, #acc>
    %e = math.exp2 %one : tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// A coordinate is the thread's part plus a constant of the register. Along the
// columns: 2 * (lane mod 4), plus one for odd registers.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0]]>

// CHECK-LABEL: gpu.func @column_index
// CHECK: %[[TID:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK: %[[LANE:.*]] = arith.andi %[[TID]], %c31
// CHECK: %[[QUAD:.*]] = arith.andi %[[LANE]], %c3_i32
// CHECK: %[[COL:.*]] = arith.shli %[[QUAD]], %c1_i32
// CHECK: %[[ODD:.*]] = arith.addi %[[COL]], %c1_i32
// CHECK: arith.sitofp %[[COL]] : i32 to f32
// CHECK: arith.sitofp %[[ODD]] : i32 to f32
// CHECK-NOT: arith.sitofp
gpu.module @m {
  gpu.func @column_index() kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %k = flash_tile.index axis 1 : tensor<32x8xi32, #acc>
    %f = arith.sitofp %k : tensor<32x8xi32, #acc> to tensor<32x8xf32, #acc>
    gpu.return
  }
}

// -----

// Along the rows: lane / 4 plus 16 for each warp, plus 8 in the upper half.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0]]>

// CHECK-LABEL: gpu.func @row_index
// CHECK: %[[TID:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK: %[[LANE:.*]] = arith.andi %[[TID]], %c31
// CHECK: %[[WARP:.*]] = arith.shrui %[[TID]], %c5
// CHECK: %[[L:.*]] = arith.andi %[[LANE]], %c28_i32
// CHECK: %[[L4:.*]] = arith.shrui %[[L]], %c2_i32
// CHECK: %[[W:.*]] = arith.andi %[[WARP]], %c1_i32
// CHECK: %[[W16:.*]] = arith.shli %[[W]], %c4_i32
// CHECK: %[[ROW:.*]] = arith.addi %[[L4]], %[[W16]]
// CHECK: %[[LOWER:.*]] = arith.addi %[[ROW]], %c8_i32
// CHECK: arith.sitofp %[[ROW]]
// CHECK: arith.sitofp %[[LOWER]]
gpu.module @m {
  gpu.func @row_index() kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %k = flash_tile.index axis 0 : tensor<32x8xi32, #acc>
    %f = arith.sitofp %k : tensor<32x8xi32, #acc> to tensor<32x8xf32, #acc>
    gpu.return
  }
}

// -----

// Warps that are no power of two: the warp number times its stride.

#three = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp_repeat = [[3, 16, 0]]>

// CHECK-LABEL: gpu.func @three_warps
// CHECK: %[[WARP:.*]] = arith.shrui %{{.*}}, %c5
// CHECK: %[[DIGIT:.*]] = arith.shrui %[[WARP]], %c0_i32
// CHECK: arith.muli %[[DIGIT]], %c16_i32
gpu.module @m {
  gpu.func @three_warps() kernel attributes {known_block_size = array<i32: 96, 1, 1>, flash_tile.sizes = []} {
    %k = flash_tile.index axis 0 : tensor<48x8xi32, #three>
    gpu.return
  }
}
