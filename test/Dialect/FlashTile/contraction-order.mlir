// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-permute-registers | FileCheck %s

// The product sums over its contraction index in the order in which the
// accumulator of the product before left it in registers: no data moves, and
// the rows of operand b are read in that order. The orders are found, not
// listed: each follows from the two layouts.

// m16n8k8 tf32 (f32 elements), ten instructions along the keys, three warps. A word is an
// element here, so the conversion stays behind the narrowing.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                          repeat = [[10, 0, 8]], warp_repeat = [[3, 16, 0]]>
#a = #flash_tile.layout<register = [[8, 0], [0, 4]],
                        lane = [[0, 1], [0, 2], [1, 0], [2, 0], [4, 0]],
                        repeat = [[10, 0, 8]], warp_repeat = [[3, 16, 0]]>
#o = #flash_tile.layout<register = [[0, 1], [8, 0]],
                        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                        warp_repeat = [[3, 16, 0]]>

// Register 4 j + v of the result is register 4 j + (0, 2, 1, 3)[v].
// CHECK-LABEL: gpu.func @tf32
// CHECK: %[[A:.*]] = flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 2, 1, 3, 4, 6, 5, 7, 8, 10,
// CHECK-SAME: -> tensor<48x80xf32, #[[KEYS:.*]]>
// CHECK: flash_tile.dot %[[A]], {{.*}} {contraction_order = array<i64: 0, 2, 4, 6, 1, 3, 5, 7>} : tensor<48x80xf32, #[[KEYS]]>
gpu.module @m {
  gpu.func @tf32(%p: tensor<48x80xf32, #acc>, %v: !flash_tile.view<80x8xf32>, %z: tensor<48x8xf32, #o>)
      kernel attributes {known_block_size = array<i32: 96, 1, 1>} {
    // expected-remark@below {{register permutation: contraction order (0, 2, 4, 6, 1, 3, 5, 7): the product reads the rows of b so, registers renamed (0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15, ...); no identity: register 1 of lane 0 holds (0, 1), needed (8, 0); no rename: lane 0 needs (0, 4) and holds it in no register}}
    %a = flash_tile.convert_layout %p : tensor<48x80xf32, #acc> -> tensor<48x80xf32, #a>
    %r = flash_tile.dot %a, %v, %z : tensor<48x80xf32, #a>, !flash_tile.view<80x8xf32>, tensor<48x8xf32, #o>
    gpu.return
  }
}

// -----

// m16n8k32: four elements share a register, from two rows of the accumulator
// if they were narrowed in its order. So the registers are renamed while they
// hold an f32 each.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                          repeat = [[12, 0, 8]]>
#a = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]],
                        lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]],
                        repeat = [[3, 0, 32]]>
#o = #flash_tile.layout<register = [[0, 1], [8, 0]],
                        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @e4m3
// CHECK: %[[A:.*]] = flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 16, 17,
// CHECK-SAME: -> tensor<16x96xf32, #[[KEYS:.*]]>
// CHECK: %[[P:.*]] = arith.truncf %[[A]] : tensor<16x96xf32, #[[KEYS]]> to tensor<16x96xf8E4M3FN, #[[KEYS]]>
// CHECK: flash_tile.dot %[[P]], {{.*}} {contraction_order = array<i64: 0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 16, 17, 24, 25, 18, 19, 26, 27, 20, 21, 28, 29, 22, 23, 30, 31>}
gpu.module @m {
  gpu.func @e4m3(%s: tensor<16x96xf32, #acc>, %v: !flash_tile.view<96x16xf8E4M3FN>, %z: tensor<16x8xf32, #o>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %p = arith.truncf %s : tensor<16x96xf32, #acc> to tensor<16x96xf8E4M3FN, #acc>
    // expected-remark@below {{contraction order (0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 16, 17, 24, 25, 18, 19, 26, 27, 20, 21, 28, 29, 22, 23, 30, 31): the product reads the rows of b so, registers renamed (0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, ...) before the narrowing}}
    %a = flash_tile.convert_layout %p : tensor<16x96xf8E4M3FN, #acc> -> tensor<16x96xf8E4M3FN, #a>
    %r = flash_tile.dot %a, %v, %z : tensor<16x96xf8E4M3FN, #a>, !flash_tile.view<96x16xf8E4M3FN>, tensor<16x8xf32, #o>
    gpu.return
  }
}

// -----

// Integers have a register each, so nothing has to stay together.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                          repeat = [[4, 0, 8]]>
#a = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]],
                        lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>
#o = #flash_tile.layout<register = [[0, 1], [8, 0]],
                        lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @s8
// CHECK: flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15>}
// CHECK: flash_tile.dot {{.*}} {contraction_order = array<i64: 0, 1, 8, 9, 2, 3, 10, 11,
gpu.module @m {
  gpu.func @s8(%p: tensor<16x32xi8, #acc>, %v: !flash_tile.view<32x16xi8>, %z: tensor<16x8xi32, #o>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    // expected-remark@below {{contraction order (0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 16}}
    %a = flash_tile.convert_layout %p : tensor<16x32xi8, #acc> -> tensor<16x32xi8, #a>
    %r = flash_tile.dot %a, %v, %z : tensor<16x32xi8, #a>, !flash_tile.view<32x16xi8>, tensor<16x8xi32, #o>
    gpu.return
  }
}

// -----

// What uses the tile besides the product wants the natural order.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#a = #flash_tile.layout<register = [[8, 0], [0, 4]],
                        lane = [[0, 1], [0, 2], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @two_users
// CHECK: flash_tile.dot
// CHECK-NOT: contraction_order
gpu.module @m {
  gpu.func @two_users(%p: tensor<16x8xf32, #acc>, %v: !flash_tile.view<8x8xf32>, %z: tensor<16x8xf32, #acc>, %m: memref<16x8xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    // expected-remark@below {{no contraction order: the result is used by flash_tile.store}}
    %a = flash_tile.convert_layout %p : tensor<16x8xf32, #acc> -> tensor<16x8xf32, #a>
    %r = flash_tile.dot %a, %v, %z : tensor<16x8xf32, #a>, !flash_tile.view<8x8xf32>, tensor<16x8xf32, #acc>
    flash_tile.store %a, %m[%c0, %c0] : tensor<16x8xf32, #a>, memref<16x8xf32>
    gpu.return
  }
}
