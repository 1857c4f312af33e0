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

// V through a descriptor has its keys in order, and P is exchanged: for two
// registers two selects, two shuffles and two byte permutes.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0], [32, 0]], repeat = [[8, 0, 8]]>
#operand = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]], warp = [[16, 0], [32, 0]], repeat = [[2, 0, 32]]>
#o = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0], [32, 0]], repeat = [[8, 0, 8]]>

// CHECK-LABEL: gpu.func @exchange
// CHECK: %[[P:.*]] = arith.truncf
// CHECK: %[[A:.*]] = flash_tile.convert_layout %[[P]] {exchange}
// CHECK: flash_tile.dot_async %[[A]]
// CHECK-NOT: flash_tile.alloc
gpu.module @m {
  gpu.func @exchange(%s: tensor<64x64xf32, #acc>, %v: !flash_tile.view<64x64xf8E4M3FN>, %z: tensor<64x64xf32, #o>)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    %p = arith.truncf %s : tensor<64x64xf32, #acc> to tensor<64x64xf8E4M3FN, #acc>
    // expected-remark@below {{exchange within each warp, 8 shuffles, 8 selects, 8 byte permutes (16 cycles, 34 through shared memory); no identity: register 2 of lane 0 holds (8, 0), needed (0, 2); no rename: lane 0 needs (0, 2) and holds it in no register; no contraction order: operand b of flash_tile.dot_async comes through a descriptor, in its natural order}}
    %a = flash_tile.convert_layout %p : tensor<64x64xf8E4M3FN, #acc> -> tensor<64x64xf8E4M3FN, #operand>
    %f = flash_tile.dot_async %a, %v, %z : tensor<64x64xf8E4M3FN, #operand>, !flash_tile.view<64x64xf8E4M3FN>, tensor<64x64xf32, #o>
    %r = flash_tile.wait %f : !flash_tile.future<tensor<64x64xf32, #o>>
    gpu.return
  }
}

// -----

// Warps need each other's registers: the tile goes through a buffer of its own.
// Nothing is read from it before, so one barrier does.

#rows = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[8, 0]]>
#swapped = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [8, 0]], warp = [[4, 0]]>

// CHECK-LABEL: gpu.func @through_shared
// CHECK: %[[BUFFER:.*]] = flash_tile.alloc : !flash_tile.buffer<1x16x8xf16>
// CHECK: %[[P:.*]] = flash_tile.load
// CHECK: %[[VIEW:.*]] = flash_tile.stage %[[BUFFER]]
// CHECK-NOT: gpu.barrier
// CHECK: flash_tile.local_store %[[P]], %[[VIEW]]
// CHECK: gpu.barrier
// CHECK: %[[A:.*]] = flash_tile.local_load %[[VIEW]] : {{.*}} -> tensor<16x8xf16, #flash_tile.layout<{{.*}}warp = {{\[\[4, 0\]\]}}
// CHECK: flash_tile.store %[[A]]
// CHECK-NOT: flash_tile.convert_layout
gpu.module @m {
  gpu.func @through_shared(%x: memref<16x8xf16>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %x[%c0, %c0] : memref<16x8xf16> -> tensor<16x8xf16, #rows>
    // expected-remark@below {{register permutation: through shared memory (22 cycles); no identity: register 0 of lane 16 holds (4, 0), needed (8, 0); no rename: lane 16 needs (8, 0) and holds it in no register; no contraction order: the result is used by flash_tile.store; no exchange: what lane 16 adds is held by another warp or by nobody}}
    %a = flash_tile.convert_layout %p : tensor<16x8xf16, #rows> -> tensor<16x8xf16, #swapped>
    flash_tile.store %a, %x[%c0, %c0] : tensor<16x8xf16, #swapped>, memref<16x8xf16>
    gpu.return
  }
}

// -----

// In a loop without another barrier a second one keeps the iterations apart; a
// loop that has one needs no more. Row statistics travel likewise.

#rows = #flash_tile.layout<lane = [[0], [0], [1], [2], [4]], warp = [[8]]>
#swapped = #flash_tile.layout<lane = [[0], [0], [1], [2], [8]], warp = [[4]]>

// CHECK-LABEL: gpu.func @loops
// CHECK: scf.for
// CHECK-NEXT: arith.constant
// CHECK-NEXT: %[[FIRST:.*]] = flash_tile.stage
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.local_store %{{.*}}, %[[FIRST]] : tensor<16xf32
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.local_load %[[FIRST]]
// CHECK: scf.for
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: arith.constant
// CHECK-NEXT: %[[SECOND:.*]] = flash_tile.stage
// CHECK-NEXT: flash_tile.local_store %{{.*}}, %[[SECOND]]
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: flash_tile.local_load %[[SECOND]]
gpu.module @m {
  gpu.func @loops(%t: tensor<16xf32, #rows>, %u: tensor<16xf32, #swapped>, %n: index)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %0 = scf.for %i = %c0 to %n step %c1 iter_args(%x = %u) -> tensor<16xf32, #swapped> {
      // expected-remark@below {{register permutation: through shared memory}}
      %a = flash_tile.convert_layout %t : tensor<16xf32, #rows> -> tensor<16xf32, #swapped>
      %b = arith.addf %a, %x : tensor<16xf32, #swapped>
      scf.yield %b : tensor<16xf32, #swapped>
    }
    %1 = scf.for %i = %c0 to %n step %c1 iter_args(%x = %0) -> tensor<16xf32, #swapped> {
      gpu.barrier
      // expected-remark@below {{register permutation: through shared memory}}
      %a = flash_tile.convert_layout %t : tensor<16xf32, #rows> -> tensor<16xf32, #swapped>
      %b = arith.addf %a, %x : tensor<16xf32, #swapped>
      scf.yield %b : tensor<16xf32, #swapped>
    }
    gpu.return
  }
}

// -----

// An exchange may cost more than the trip, if many warps share the barriers.

#acc = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]], warp = [[32, 0], [64, 0], [128, 0]], repeat = [[8, 4, 0]]>
#turned = #flash_tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], warp = [[32, 0], [64, 0], [128, 0]], repeat = [[8, 0, 1]]>

// CHECK-LABEL: gpu.func @dear_exchange
// CHECK: flash_tile.local_store
gpu.module @m {
  gpu.func @dear_exchange(%t: tensor<256x8xf32, #acc>) kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
    // expected-remark@below {{no exchange: 8 shuffles, 48 selects and 0 byte permutes are dearer (32 cycles against 21)}}
    %a = flash_tile.convert_layout %t : tensor<256x8xf32, #acc> -> tensor<256x8xf32, #turned>
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

// Predicates have no place in shared memory: bytes stand for them.

#rows = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[8, 0]]>
#swapped = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [8, 0]], warp = [[4, 0]]>

// CHECK-LABEL: gpu.func @predicates
// CHECK: %[[BYTES:.*]] = arith.extui %{{.*}} : tensor<16x8xi1, #{{.*}}> to tensor<16x8xi8, #{{.*}}>
// CHECK: flash_tile.local_store %[[BYTES]]
// CHECK: %[[LOADED:.*]] = flash_tile.local_load
// CHECK: arith.trunci %[[LOADED]] : tensor<16x8xi8, #{{.*}}> to tensor<16x8xi1, #{{.*}}>
gpu.module @m {
  gpu.func @predicates(%t: tensor<16x8xi1, #rows>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    // expected-remark@below {{register permutation: through shared memory}}
    %a = flash_tile.convert_layout %t : tensor<16x8xi1, #rows> -> tensor<16x8xi1, #swapped>
    gpu.return
  }
}

// -----

// Narrow integers have a register each; exchanging them takes packing.

#accumulator = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8], [0, 16]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#operand = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @bytes(%t: tensor<16x32xi8, #accumulator>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    // expected-remark@below {{register permutation: exchange within each warp, 4 shuffles, 4 selects, 4 byte permutes, 24 to pack and unpack words}}
    %a = flash_tile.convert_layout %t : tensor<16x32xi8, #accumulator> -> tensor<16x32xi8, #operand>
    gpu.return
  }
}

// -----

#quads = #flash_tile.layout<register = [[4, 0], [8, 0], [16, 0]], lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
#swapped = #flash_tile.layout<register = [[4, 0], [8, 0], [16, 0]], lane = [[0, 1], [0, 2], [0, 4], [2, 0], [1, 0]]>

gpu.module @m {
  gpu.func @four_bits(%t: tensor<32x8xf4E2M1FN, #quads>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    // expected-error@below {{element type: expected predicates or elements of 8, 16, 32 or 64 bits, got 'f4E2M1FN'}}
    %a = flash_tile.convert_layout %t : tensor<32x8xf4E2M1FN, #quads> -> tensor<32x8xf4E2M1FN, #swapped>
    gpu.return
  }
}

// -----

// A tile that ends inside its last atom: what nobody needs follows the element
// that it shares a register with.

#from = #flash_tile.layout<register = [[32, 0], [256, 0], [2, 0]], lane = [[64, 0], [1, 0], [16, 0], [0, 1], [4, 0]], warp = [[8, 0], [128, 0]]>
#to = #flash_tile.layout<register = [[32, 0], [2, 0], [256, 0]], lane = [[64, 0], [1, 0], [16, 0], [0, 1], [4, 0]], warp = [[8, 0], [128, 0]]>

gpu.module @m {
  gpu.func @ragged(%t: tensor<259x2xbf16, #from>) kernel attributes {known_block_size = array<i32: 128, 1, 1>} {
    // expected-remark@below {{register permutation: registers renamed (0, 1, 4, 5, }}
    %a = flash_tile.convert_layout %t : tensor<259x2xbf16, #from> -> tensor<259x2xbf16, #to>
    gpu.return
  }
}

// -----

// A tile of 80 keys as an operand that is read 32 at a time.

#accumulator = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = [[10, 0, 8]]>
#operand = #flash_tile.layout<register = [[0, 1], [0, 2], [8, 0], [0, 16]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]], repeat = [[3, 0, 32]]>

gpu.module @m {
  gpu.func @tail(%t: tensor<16x80xf8E4M3FN, #accumulator>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    // expected-remark@below {{register permutation: exchange within each warp}}
    %a = flash_tile.convert_layout %t : tensor<16x80xf8E4M3FN, #accumulator> -> tensor<16x80xf8E4M3FN, #operand>
    gpu.return
  }
}

// -----

// Any function will do.

#a = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
#b = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [2, 0], [1, 0]]>

// CHECK-LABEL: func.func @no_kernel
// CHECK: flash_tile.convert_layout {{.*}} {exchange}
func.func @no_kernel(%t: tensor<4x8xf32, #a>) -> tensor<4x8xf32, #b> {
  // expected-remark@below {{register permutation: exchange within each warp, 1 shuffles}}
  %q = flash_tile.convert_layout %t : tensor<4x8xf32, #a> -> tensor<4x8xf32, #b>
  return %q : tensor<4x8xf32, #b>
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
