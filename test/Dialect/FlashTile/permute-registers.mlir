// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-permute-registers | FileCheck %s

// The accumulator of m16n8k16 read as the A operand of the next product: two
// spellings of one function (PTX ISA, "Matrix Fragments for mma.m16n8k16").

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                          lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                          warp = [[16, 0]], repeat = [[4, 0, 8]]>
#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]],
                              lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                              warp = [[16, 0]], repeat = [[2, 0, 16]]>

// CHECK-LABEL: gpu.func @identity
// CHECK: flash_tile.convert_layout {{.*}} {permutation = array<i64>}
// CHECK-NOT: flash_tile.alloc
gpu.module @m {
  gpu.func @identity(%x: memref<32x32xbf16>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<32x32xbf16> -> tensor<32x32xbf16, #acc>
    // expected-remark@below {{register permutation: identity, no data moves}}
    %a = flash_tile.convert_layout %p : tensor<32x32xbf16, #acc> -> tensor<32x32xbf16, #operand>
    flash_tile.store %a, %x[%c0, %c0] : tensor<32x32xbf16, #operand>, memref<32x32xbf16>
    gpu.return
  }
}

// -----

// Both row halves of every column pair first, or both column pairs of a row
// half first: the same thread, other registers. f32 elements move one by one.

#rows_first = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#columns_first = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @rename
// CHECK: flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 1, 4, 5, 2, 3, 6, 7>}
gpu.module @m {
  gpu.func @rename(%x: memref<16x16xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32, #rows_first>
    // expected-remark@below {{register permutation: registers renamed (0, 1, 4, 5, 2, 3, 6, 7) within each thread; no identity: register 2 of lane 0 holds (8, 0), needed (0, 8)}}
    %a = flash_tile.convert_layout %p : tensor<16x16xf32, #rows_first> -> tensor<16x16xf32, #columns_first>
    flash_tile.store %a, %x[%c0, %c0] : tensor<16x16xf32, #columns_first>, memref<16x16xf32>
    gpu.return
  }
}

// -----

// 16-bit elements travel in pairs, and these pairs stay together.

#rows_first = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#columns_first = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @rename_pairs
// CHECK: flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 1, 4, 5, 2, 3, 6, 7>}
gpu.module @m {
  gpu.func @rename_pairs(%x: memref<16x16xf16>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x16xf16> -> tensor<16x16xf16, #rows_first>
    // expected-remark@below {{register permutation: registers renamed (0, 1, 4, 5, 2, 3, 6, 7) within each thread; no identity: register 2 of lane 0 holds (8, 0), needed (0, 8)}}
    %a = flash_tile.convert_layout %p : tensor<16x16xf16, #rows_first> -> tensor<16x16xf16, #columns_first>
    flash_tile.store %a, %x[%c0, %c0] : tensor<16x16xf16, #columns_first>, memref<16x16xf16>
    gpu.return
  }
}

// -----

// Threads need each other's registers: a 16-bit tile goes through a buffer of
// its own, between two barriers.

#quad = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [1, 0], [2, 0], [4, 0], [8, 0]]>

// CHECK-LABEL: gpu.func @through_shared
// CHECK: %[[BUFFER:.*]] = flash_tile.alloc : !flash_tile.buffer<1x16x8xf16>
// CHECK: %[[P:.*]] = flash_tile.load
// CHECK: %[[VIEW:.*]] = flash_tile.stage %[[BUFFER]]
// CHECK: gpu.barrier
// CHECK: flash_tile.local_store %[[P]], %[[VIEW]]
// CHECK: gpu.barrier
// CHECK: %[[A:.*]] = flash_tile.local_load %[[VIEW]] : {{.*}} -> tensor<16x8xf16, #flash_tile.layout<register = {{\[\[0, 1\], \[0, 2\]\]}}
// CHECK: flash_tile.store %[[A]]
// CHECK-NOT: flash_tile.convert_layout
gpu.module @m {
  gpu.func @through_shared(%x: memref<16x8xf16>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x8xf16> -> tensor<16x8xf16, #quad>
    // expected-remark@below {{register permutation: through shared memory; no identity: register 2 of lane 0 holds (8, 0), needed (0, 2); no rename: lane 0 needs (0, 2) and holds it in no register; no contraction order: the result is used by flash_tile.store}}
    %a = flash_tile.convert_layout %p : tensor<16x8xf16, #quad> -> tensor<16x8xf16, #row>
    flash_tile.store %a, %x[%c0, %c0] : tensor<16x8xf16, #row>, memref<16x8xf16>
    gpu.return
  }
}

// -----

// f32 goes the same way, and so does a row statistic.

#row_acc = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>
#row_sum = #flash_tile.layout<register = [[4], [8]], lane = [[0], [0], [0], [1], [2]]>

// CHECK-LABEL: gpu.func @statistic
// CHECK: flash_tile.local_store %{{.*}} : tensor<16xf32
// CHECK: flash_tile.local_load %{{.*}} -> tensor<16xf32
gpu.module @m {
  gpu.func @statistic(%x: memref<16xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0] : memref<16xf32> -> tensor<16xf32, #row_sum>
    // expected-remark@below {{register permutation: through shared memory; no identity: }}
    %a = flash_tile.convert_layout %p : tensor<16xf32, #row_sum> -> tensor<16xf32, #row_acc>
    flash_tile.store %a, %x[%c0] : tensor<16xf32, #row_acc>, memref<16xf32>
    gpu.return
  }
}

// -----

// Scores and probabilities pass through shared memory where the schedule asks,
// whatever is cheaper.

#rows_first = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#columns_first = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#schedule = #flash.schedule<chip = "sm_80", level = 6, tile_q = 16, tile_k = 16,
  warps = 1, stages_k = 1, stages_v = 1, query_in_registers = false,
  probabilities = shared>

// CHECK-LABEL: gpu.func @as_asked
// CHECK: flash_tile.local_store
// CHECK: flash_tile.local_load
gpu.module @m {
  gpu.func @as_asked(%x: memref<16x16xf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.schedule = #schedule} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x16xf16> -> tensor<16x16xf16, #rows_first>
    // expected-remark@below {{register permutation: through shared memory, as the schedule asks}}
    %a = flash_tile.convert_layout %p : tensor<16x16xf16, #rows_first> -> tensor<16x16xf16, #columns_first>
    flash_tile.store %a, %x[%c0, %c0] : tensor<16x16xf16, #columns_first>, memref<16x16xf16>
    gpu.return
  }
}

// -----

// Elements that have no way through shared memory.

#quad = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [1, 0], [2, 0], [4, 0], [8, 0]]>

gpu.module @m {
  gpu.func @wide_exchange(%x: memref<16x8xi64>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x8xi64> -> tensor<16x8xi64, #quad>
    // expected-error@below {{conversion: expected a permutation of each thread's registers or elements of 16 or 32 bits, got 'tensor<16x8xi64, #flash_tile.layout<}}
    %a = flash_tile.convert_layout %p : tensor<16x8xi64, #quad> -> tensor<16x8xi64, #row>
    gpu.return
  }
}

// -----

// What is decided stays.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @decided
// CHECK: flash_tile.convert_layout {{.*}} {permutation = array<i64: 0, 1, 2, 3>}
gpu.module @m {
  gpu.func @decided(%x: memref<16x8xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #acc>
    %a = flash_tile.convert_layout %p {permutation = array<i64: 0, 1, 2, 3>} : tensor<16x8xf32, #acc> -> tensor<16x8xf32, #acc>
    gpu.return
  }
}
