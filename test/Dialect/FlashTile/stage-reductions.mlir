// RUN: flash-opt %s --flash-tile-stage-reductions | FileCheck %s

// Eight lanes share a row: eight slots of a row of the scratch. The maximum and
// the sum of one shape use one buffer.

#tile = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], repeat = [[4, 0, 8]]>
#rows = #flash_tile.layout<lane = [[0], [0], [0], [1], [2]]>
#own = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], repeat = [[8, 0, 1]]>
#ownrows = #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>
#tree = #flash.schedule<chip = "sm_80", level = 1, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, reduce = tree>
#shuffle = #flash.schedule<chip = "sm_80", level = 3, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, reduce = shuffle>

// CHECK-LABEL: func.func @tree
// CHECK: %[[BUFFER:.*]] = flash_tile.alloc : !flash_tile.buffer<1x4x8xf32>
// CHECK-NOT: flash_tile.alloc
// CHECK: %[[MAX:.*]] = flash_tile.stage %[[BUFFER]]
// CHECK-NEXT: flash_tile.reduce max %{{.*}} axis 1 through(%[[MAX]] : !flash_tile.view<4x8xf32>)
// CHECK: %[[SUM:.*]] = flash_tile.stage %[[BUFFER]]
// CHECK-NEXT: flash_tile.reduce add %{{.*}} axis 1 through(%[[SUM]] : !flash_tile.view<4x8xf32>)
func.func @tree(%x: tensor<4x32xf32, #tile>) -> (tensor<4xf32, #rows>, tensor<4xf32, #rows>) attributes {flash_tile.schedule = #tree} {
  %m = flash_tile.reduce max %x axis 1 : tensor<4x32xf32, #tile> -> tensor<4xf32, #rows>
  %l = flash_tile.reduce add %x axis 1 : tensor<4x32xf32, #tile> -> tensor<4xf32, #rows>
  return %m, %l : tensor<4xf32, #rows>, tensor<4xf32, #rows>
}

// A thread that owns its row has nothing to combine.

// CHECK-LABEL: func.func @whole_rows
// CHECK-NOT: flash_tile.alloc
func.func @whole_rows(%x: tensor<32x8xf32, #own>) -> tensor<32xf32, #ownrows> attributes {flash_tile.schedule = #tree} {
  %m = flash_tile.reduce max %x axis 1 : tensor<32x8xf32, #own> -> tensor<32xf32, #ownrows>
  return %m : tensor<32xf32, #ownrows>
}

// CHECK-LABEL: func.func @shuffles
// CHECK-NOT: flash_tile.alloc
func.func @shuffles(%x: tensor<4x32xf32, #tile>) -> tensor<4xf32, #rows> attributes {flash_tile.schedule = #shuffle} {
  %m = flash_tile.reduce max %x axis 1 : tensor<4x32xf32, #tile> -> tensor<4xf32, #rows>
  return %m : tensor<4xf32, #rows>
}
