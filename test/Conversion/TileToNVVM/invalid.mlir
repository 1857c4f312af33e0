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
