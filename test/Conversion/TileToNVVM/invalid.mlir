// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm

// What has no lowering is refused where it stands.

gpu.module @m {
  gpu.func @no_layout(%x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    // expected-error@below {{failed to legalize operation 'flash_tile.splat'}}
    %t = flash_tile.splat %x : f32 -> tensor<16x8xf32>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @packed_arithmetic(%x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %w = flash_tile.splat %x : f32 -> tensor<16x8xf32, #acc>
    %h = arith.truncf %w : tensor<16x8xf32, #acc> to tensor<16x8xf16, #acc>
    // expected-error@below {{failed to legalize operation 'arith.addf'}}
    %t = arith.addf %h, %h : tensor<16x8xf16, #acc>
    gpu.return
  }
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @constant_of_many() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    // expected-error@below {{failed to legalize operation 'arith.constant'}}
    %t = arith.constant dense_resource<values> : tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// An expand whose source is not the slice of its result is refused by the op's
// verifier, one in 16 bits has no lowering.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

gpu.module @m {
  gpu.func @packed_expand(%x: f32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %w = flash_tile.splat %x : f32 -> tensor<16xf32, #row>
    %h = arith.truncf %w : tensor<16xf32, #row> to tensor<16xf16, #row>
    // expected-error@below {{failed to legalize operation 'flash_tile.expand'}}
    %t = flash_tile.expand %h axis 1 : tensor<16xf16, #row> -> tensor<16x8xf16, #acc>
    gpu.return
  }
}

// -----

// Elements that share a register come in whole registers.

#pairs = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @half_a_register(%x: memref<8x8xf8E4M3FN> {flash_tile.dims = ["r", "c"]}) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    // expected-error@below {{tile layout: expected a multiple of 4 elements per thread (4 of 'f8E4M3FN' share a register), got 2 in}}
    %p = flash_tile.load %x[%c0, %c0] : memref<8x8xf8E4M3FN> -> tensor<8x8xf8E4M3FN, #pairs>
    gpu.return
  }
}

// -----

#single = #flash_tile.layout<lane = [[0, 1], [0, 2], [1, 0], [2, 0], [4, 0]]>

gpu.module @m {
  gpu.func @one_half(%x: memref<8x4xf16> {flash_tile.dims = ["r", "c"]}) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    // expected-error@below {{tile layout: expected a multiple of 2 elements per thread (2 of 'f16' share a register), got 1 in}}
    %p = flash_tile.load %x[%c0, %c0] : memref<8x4xf16> -> tensor<8x4xf16, #single>
    gpu.return
  }
}

// -----

#quads = #flash_tile.layout<register = [[4, 0], [8, 0], [16, 0]], lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>

gpu.module @m {
  gpu.func @four_bits(%x: memref<32x8xf4E2M1FN> {flash_tile.dims = ["r", "c"]}) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    // expected-error@below {{tile element type: expected i1, index, or integers or floats of 8, 16, 32 or 64 bits, got 'f4E2M1FN'}}
    %p = flash_tile.load %x[%c0, %c0] : memref<32x8xf4E2M1FN> -> tensor<32x8xf4E2M1FN, #quads>
    gpu.return
  }
}

// -----

// Vectors that share bits are XORed by what reads and writes elements; sums of
// them count on addition.

#shared = #flash_tile.layout<register = [[0, 1]], lane = [[0, 3], [0, 4], [1, 0], [2, 0], [4, 0]]>
#rows = #flash_tile.layout<lane = [[0], [0], [1], [2], [4]]>

gpu.module @m {
  gpu.func @shared_bits(%t: memref<8x8xf32> {flash_tile.dims = ["r", "c"]}) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %t[%c0, %c0] : memref<8x8xf32> -> tensor<8x8xf32, #shared>
    // expected-error@below {{failed to legalize operation}}
    // expected-error@below {{layout: expected register vectors that share no bits with lane or warp vectors (only load, store and index XOR them), got bits 1 of axis 1 shared in #flash_tile.layout<register = }}
    %m = flash_tile.reduce add %p axis 1 : tensor<8x8xf32, #shared> -> tensor<8xf32, #rows>
    gpu.return
  }
}

// -----

// Of an element that is held twice a sum would count both.

#twice = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [0, 6], [1, 0], [2, 0]]>
#rows = #flash_tile.layout<lane = [[0], [0], [0], [1], [2]]>

gpu.module @m {
  gpu.func @held_twice(%t: memref<4x8xf32> {flash_tile.dims = ["r", "c"]}) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %p = flash_tile.load %t[%c0, %c0] : memref<4x8xf32> -> tensor<4x8xf32, #twice>
    // expected-error@below {{failed to legalize operation}}
    // expected-error@below {{layout: expected threads to hold each element once, and lanes and warps to move along one axis each, got #flash_tile.layout<register = }}
    %m = flash_tile.reduce add %p axis 1 : tensor<4x8xf32, #twice> -> tensor<4xf32, #rows>
    gpu.return
  }
}
