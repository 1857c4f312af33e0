// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm

#blocked = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [1, 0], [2, 0], [4, 0], [8, 0]]>

!qb = !flash_tile.buffer<1x16x16xf16>
!qv = !flash_tile.view<16x16xf16>
!kb = !flash_tile.buffer<1x8x16xf16>
!kv = !flash_tile.view<8x16xf16>
gpu.module @m {
  gpu.func @accumulator_layout() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #blocked>
    // expected-error@below {{accumulator: expected f32 in the m16n8 fragment layout, got 'tensor<16x8xf32, #flash_tile.layout<}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf32, #blocked>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

!qb = !flash_tile.buffer<1x16x16xf16>
!qv = !flash_tile.view<16x16xf16>
!kb = !flash_tile.buffer<1x8x16xf16>
!kv = !flash_tile.view<8x16xf16>
gpu.module @m {
  gpu.func @accumulator_type() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf16, #acc>
    // expected-error@below {{accumulator: expected f32 in the m16n8 fragment layout, got 'tensor<16x8xf16, #flash_tile.layout<}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf16, #acc>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

!qb = !flash_tile.buffer<1x16x16xf16>
!qv = !flash_tile.view<16x16xf16>
!kb = !flash_tile.buffer<1x8x16xf16>
!kv = !flash_tile.view<8x16xf16>
gpu.module @m {
  gpu.func @transposed_a() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 512 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    // expected-error@below {{operand a: expected M x K, got it transposed}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_a, transpose_b} : !qv, !kv, tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

!qb = !flash_tile.buffer<1x16x16xf32>
!qv = !flash_tile.view<16x16xf32>
!kb = !flash_tile.buffer<1x8x16xf32>
!kv = !flash_tile.view<8x16xf32>
gpu.module @m {
  gpu.func @element_type() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 1024 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    // expected-error@below {{operand b: expected f16 or bf16, got 'f32'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// Warps along the columns of V's product would need their own columns of V.

#split = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[0, 8]]>
#operand = #flash_tile.layout<register = [[0, 1], [8, 0], [0, 8]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[0, 0]]>

!vb = !flash_tile.buffer<1x16x16xf16>
!vv = !flash_tile.view<16x16xf16>
gpu.module @m {
  gpu.func @warps_along_columns() kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %vb = flash_tile.alloc {offset = 0 : i64} : !vb
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %a = arith.constant dense<1.0> : tensor<16x16xf16, #operand>
    %zero = arith.constant dense<0.0> : tensor<16x16xf32, #split>
    // expected-error@below {{layout: expected warps along rows only, got warps along columns}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %a, %v, %zero : tensor<16x16xf16, #operand>, !vv, tensor<16x16xf32, #split>
    gpu.return
  }
}

// -----

// The lanes of ldmatrix know their row modulo eight only.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#swizzle = #flash_tile.swizzle<bits = 3, shift = 1>

!qb = !flash_tile.buffer<1x16x64xf16, #swizzle>
!qv = !flash_tile.view<16x64xf16, #swizzle>
!kb = !flash_tile.buffer<1x8x64xf16, #swizzle>
!kv = !flash_tile.view<8x64xf16, #swizzle>
gpu.module @m {
  gpu.func @swizzle() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 2048 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    // expected-error@below {{swizzle: expected bits + shift of at most 3 (a pattern of eight rows), got '!flash_tile.view<16x64xf16, #flash_tile.swizzle<bits = 3, shift = 1>>'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf32, #acc>
    gpu.return
  }
}
