// RUN: flash-opt %s --flash-tile-assign-layouts | FileCheck %s

// Probabilities through shared memory: the softmax has a layout of its own, in
// which a warp owns whole rows, four by eight lanes. The product's accumulator
// is converted to it, P to the operand of the next product, both through shared
// memory; a row statistic that is broadcast to the output is converted in
// whatever way is cheapest.


#schedule = #flash.schedule<chip = "sm_80", level = 6, tile_q = 64, tile_k = 32,
  warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false,
  probabilities = shared>

// CHECK-LABEL: gpu.func @shared
// CHECK: %[[S:.*]] = flash_tile.dot %{{.*}}, tensor<64x32xf32, #flash_tile.layout<{{.*}}lane = {{\[\[0, 2\], \[0, 4\], \[1, 0\], \[2, 0\], \[4, 0\]\]}}
// CHECK: %[[X:.*]] = flash_tile.convert_layout %[[S]] : {{.*}} -> tensor<64x32xf32, [[SOFTMAX:#flash_tile.layout<register = .*, lane = \[\[0, 4\], \[0, 8\], \[0, 16\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\], \[32, 0\]\].*>]]>
// CHECK: %[[M:.*]] = flash_tile.reduce max %[[X]] axis 1 : {{.*}} -> tensor<64xf32, [[ROW:#flash_tile.layout<.*>]]>
// CHECK: %[[E:.*]] = math.exp2 %[[X]] : tensor<64x32xf32, [[SOFTMAX]]>
// CHECK: %[[P:.*]] = arith.truncf %[[E]]
// CHECK: %[[OM:.*]] = flash_tile.convert_layout %[[M]] : tensor<64xf32, [[ROW]]> -> tensor<64xf32, [[OUT:#flash_tile.layout<.*>]]>
// CHECK: %[[OX:.*]] = flash_tile.expand %[[OM]] axis 1 : tensor<64xf32, [[OUT]]>
// CHECK: %[[A:.*]] = flash_tile.convert_layout %[[P]] : tensor<64x32xbf16, [[SOFTMAX]]> -> tensor<64x32xbf16
// CHECK: flash_tile.dot %[[A]], %{{.*}}, %[[OX]]
gpu.module @m {
  gpu.func @shared(%q: !flash_tile.view<64x16xbf16>, %k: !flash_tile.view<32x16xbf16>,
                   %v: !flash_tile.view<32x16xbf16>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>,
                         flash_tile.schedule = #schedule} {
    %zero = arith.constant dense<0.0> : tensor<64x32xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<64x16xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x32xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<64x32xf32> -> tensor<64xf32>
    %e = math.exp2 %s : tensor<64x32xf32>
    %p = arith.truncf %e : tensor<64x32xf32> to tensor<64x32xbf16>
    %x = flash_tile.expand %m axis 1 : tensor<64xf32> -> tensor<64x16xf32>
    %o = flash_tile.dot %p, %v, %x
      : tensor<64x32xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x16xf32>
    gpu.return
  }
}

// Without the schedule all of it shares the accumulator's layout.

// CHECK-LABEL: gpu.func @registers
// CHECK: %[[S:.*]] = flash_tile.dot
// CHECK-NOT: flash_tile.convert_layout
// CHECK: flash_tile.reduce max %[[S]]
// CHECK: %[[P:.*]] = arith.truncf
// CHECK: flash_tile.expand
// CHECK: flash_tile.convert_layout %[[P]] : tensor<64x32xbf16
// CHECK: flash_tile.dot
gpu.module @n {
  gpu.func @registers(%q: !flash_tile.view<64x16xbf16>, %k: !flash_tile.view<32x16xbf16>,
                      %v: !flash_tile.view<32x16xbf16>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<64x32xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<64x16xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x32xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<64x32xf32> -> tensor<64xf32>
    %e = math.exp2 %s : tensor<64x32xf32>
    %p = arith.truncf %e : tensor<64x32xf32> to tensor<64x32xbf16>
    %x = flash_tile.expand %m axis 1 : tensor<64xf32> -> tensor<64x16xf32>
    %o = flash_tile.dot %p, %v, %x
      : tensor<64x32xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x16xf32>
    gpu.return
  }
}
