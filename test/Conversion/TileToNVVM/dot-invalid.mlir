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
    // expected-error@below {{accumulator: expected 'f32' in the m16n8 fragment layout, got 'tensor<16x8xf32, #flash_tile.layout<}}
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
    // expected-error@below {{accumulator: expected 'f32' in the m16n8 fragment layout, got 'tensor<16x8xf16, #flash_tile.layout<}}
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

!qb = !flash_tile.buffer<1x16x32xf8E4M3B11FNUZ>
!qv = !flash_tile.view<16x32xf8E4M3B11FNUZ>
!kb = !flash_tile.buffer<1x8x32xf8E4M3B11FNUZ>
!kv = !flash_tile.view<8x32xf8E4M3B11FNUZ>
gpu.module @m {
  gpu.func @element_type() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %qb = flash_tile.alloc {offset = 0 : i64} : !qb
    %kb = flash_tile.alloc {offset = 1024 : i64} : !kb
    %q = flash_tile.stage %qb[%c0] : !qb -> !qv
    %k = flash_tile.stage %kb[%c0] : !kb -> !kv
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    // expected-error@below {{operand b: expected f16, bf16, f32 (as tf32), f8E4M3FN, f8E5M2 or i8, got 'f8E4M3B11FNUZ'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : !qv, !kv, tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// Columns of bytes are read from whole 16-byte chunks.

#split = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[0, 8]]>

!ab = !flash_tile.buffer<1x16x32xf8E4M3FN>
!av = !flash_tile.view<16x32xf8E4M3FN>
!vb = !flash_tile.buffer<1x32x16xf8E4M3FN>
!vv = !flash_tile.view<32x16xf8E4M3FN>
gpu.module @m {
  gpu.func @half_chunks() kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %ab = flash_tile.alloc {offset = 0 : i64} : !ab
    %vb = flash_tile.alloc {offset = 512 : i64} : !vb
    %a = flash_tile.stage %ab[%c0] : !ab -> !av
    %v = flash_tile.stage %vb[%c0] : !vb -> !vv
    %zero = arith.constant dense<0.0> : tensor<16x16xf32, #split>
    // expected-error@below {{layout: expected warps that are a multiple of 16 bytes of operand b apart, got 8 columns of 'f8E4M3FN'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.dot'}}
    %s = flash_tile.dot %a, %v, %zero : !av, !vv, tensor<16x16xf32, #split>
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
