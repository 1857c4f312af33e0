// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-assign-layouts | FileCheck %s

// Scores and output of products on FMA units: 4 rows by 8 columns of lanes, 16
// rows per warp. Scores lie side by side in the lanes, the output in runs of
// eight bf16. One layout of row statistics fits both.

// CHECK-LABEL: gpu.func @online
// CHECK: %[[S:.*]] = flash_tile.dot {{.*}} on fma {transpose_b} : {{.*}}, tensor<32x32xf32, {{#flash_tile.layout<lane = \[\[0, 1\], \[0, 2\], \[0, 4\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\]\], repeat = \[\[4, 0, 8\], \[4, 4, 0\]\]>}}>
// CHECK: %[[M:.*]] = flash_tile.reduce max %[[S]] axis 1 : {{.*}} -> tensor<32xf32, {{#flash_tile.layout<lane = \[\[0\], \[0\], \[0\], \[1\], \[2\]\], warp = \[\[16\]\], repeat = \[\[4, 4\]\]>}}>
// CHECK: flash_tile.expand %[[M]] axis 1 : tensor<32xf32, {{#flash_tile.layout<lane = \[\[0\], \[0\], \[0\], \[1\], \[2\]\], warp = \[\[16\]\], repeat = \[\[4, 4\]\]>}}> -> tensor<32x64xf32, {{#flash_tile.layout<register = \[\[0, 1\], \[0, 2\], \[0, 4\]\], lane = \[\[0, 8\], \[0, 16\], \[0, 32\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\]\], repeat = \[\[4, 4, 0\]\]>}}>
// CHECK: flash_tile.dot {{.*}} on fma : {{.*}}, tensor<32x64xf32, {{#flash_tile.layout<register = \[\[0, 1\], \[0, 2\], \[0, 4\]\], lane = \[\[0, 8\], \[0, 16\], \[0, 32\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\]\], repeat = \[\[4, 4, 0\]\]>}}>
gpu.module @m {
  gpu.func @online(%q: !flash_tile.view<32x64xbf16>, %k: !flash_tile.view<32x64xbf16>,
                   %p: !flash_tile.view<32x32xbf16>, %v: !flash_tile.view<32x64xbf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x32xf32>
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.view<32x64xbf16>, !flash_tile.view<32x64xbf16>, tensor<32x32xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x32xf32> -> tensor<32xf32>
    %e = flash_tile.expand %m axis 1 : tensor<32xf32> -> tensor<32x64xf32>
    %o = flash_tile.dot %p, %v, %e on fma : !flash_tile.view<32x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<32x64xf32>
    gpu.return
  }
}

// -----

// f32: runs of four.

// CHECK-LABEL: gpu.func @f32
// CHECK: flash_tile.dot {{.*}} on fma : {{.*}}, tensor<32x64xf32, {{#flash_tile.layout<register = \[\[0, 1\], \[0, 2\]\], lane = \[\[0, 4\], \[0, 8\], \[0, 16\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\]\], repeat = \[\[2, 0, 32\], \[4, 4, 0\]\]>}}>
gpu.module @m {
  gpu.func @f32(%p: !flash_tile.view<32x32xf32>, %v: !flash_tile.view<32x64xf32>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x64xf32>
    %o = flash_tile.dot %p, %v, %zero on fma : !flash_tile.view<32x32xf32>, !flash_tile.view<32x64xf32>, tensor<32x64xf32>
    gpu.return
  }
}

// -----

// Operands in global memory: a thread per row. Both warps have the same rows:
// copies of the scores, half of the output's columns each. P feeds the second
// product as it is.

// CHECK-LABEL: gpu.func @in_place
// CHECK: flash_tile.dot {{.*}} on fma {transpose_b} : {{.*}}, tensor<32x16xf32, {{#flash_tile.layout<lane = \[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\], warp = \[\[0, 0\]\], repeat = \[\[16, 0, 1\]\]>}}>
// CHECK: flash_tile.reduce add {{.*}} -> tensor<32xf32, {{#flash_tile.layout<lane = \[\[1\], \[2\], \[4\], \[8\], \[16\]\], warp = \[\[0\]\]>}}>
// CHECK-NOT: convert_layout
// CHECK: flash_tile.dot {{.*}} on fma : tensor<32x16xbf16, {{#flash_tile.layout<lane = \[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\], warp = \[\[0, 0\]\], repeat = \[\[16, 0, 1\]\]>}}>, !flash_tile.global_tile<16x64xbf16>, tensor<32x64xf32, {{#flash_tile.layout<lane = \[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\], warp = \[\[0, 32\]\], repeat = \[\[32, 0, 1\]\]>}}>
gpu.module @m {
  gpu.func @in_place(%q: !flash_tile.global_tile<32x64xbf16>, %k: !flash_tile.global_tile<16x64xbf16>, %v: !flash_tile.global_tile<16x64xbf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x16xf32>
    %acc = arith.constant dense<0.0> : tensor<32x64xf32>
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.global_tile<32x64xbf16>, !flash_tile.global_tile<16x64xbf16>, tensor<32x16xf32>
    %l = flash_tile.reduce add %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    %p = arith.truncf %s : tensor<32x16xf32> to tensor<32x16xbf16>
    %o = flash_tile.dot %p, %v, %acc on fma : tensor<32x16xbf16>, !flash_tile.global_tile<16x64xbf16>, tensor<32x64xf32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @rows(%q: !flash_tile.view<32x64xbf16>, %k: !flash_tile.view<32x64xbf16>)
      kernel attributes {known_block_size = array<i32: 96, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x32xf32>
    // expected-error @below {{accumulator: expected 12 x 8 or multiples for 3 warps on FMA units, got 32 x 32}}
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.view<32x64xbf16>, !flash_tile.view<32x64xbf16>, tensor<32x32xf32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @thread_rows(%q: !flash_tile.global_tile<16x64xbf16>, %k: !flash_tile.global_tile<32x64xbf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<16x32xf32>
    // expected-error @below {{accumulator: expected 32 rows or multiples, and columns that 1 warps can share, got 16 x 32}}
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.global_tile<16x64xbf16>, !flash_tile.global_tile<32x64xbf16>, tensor<16x32xf32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @registers(%q: !flash_tile.view<32x64xbf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %k = arith.constant dense<0.0> : tensor<32x64xbf16>
    %zero = arith.constant dense<0.0> : tensor<32x32xf32>
    // expected-error @below {{operand b: expected a shared-memory view (run --flash-tile-stage-buffers first), got 'tensor<32x64xbf16>'}}
    %s = flash_tile.dot %q, %k, %zero on fma {transpose_b} : !flash_tile.view<32x64xbf16>, tensor<32x64xbf16>, tensor<32x32xf32>
    gpu.return
  }
}

// -----

// Scores that no product made, such as a bias alone: they lie as those of a
// product on FMA units would, whose rows the output shares.

// CHECK-LABEL: gpu.func @by_rows
// CHECK: %[[S:.*]] = flash_tile.load {{.*}} -> tensor<32x32xf32, {{#flash_tile.layout<register = \[\[0, 1\], \[0, 2\]\], lane = \[\[0, 4\], \[0, 8\], \[0, 16\], \[1, 0\], \[2, 0\]\], warp = \[\[16, 0\]\], repeat = \[\[4, 4, 0\]\]>}}>
// CHECK: flash_tile.reduce max %[[S]]
// CHECK-NOT: convert_layout
// CHECK: flash_tile.dot {{.*}} on fma
gpu.module @m {
  gpu.func @by_rows(%bias: memref<32x32xf32>, %p: !flash_tile.view<32x32xbf16>, %v: !flash_tile.view<32x64xbf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %s = flash_tile.load %bias[%c0, %c0] : memref<32x32xf32> -> tensor<32x32xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x32xf32> -> tensor<32xf32>
    %e = flash_tile.expand %m axis 1 : tensor<32xf32> -> tensor<32x64xf32>
    %o = flash_tile.dot %p, %v, %e on fma : !flash_tile.view<32x32xbf16>, !flash_tile.view<32x64xbf16>, tensor<32x64xf32>
    gpu.return
  }
}

// -----

// Likewise where threads own rows: every warp has the scores, half of the columns
// of the output each.

// CHECK-LABEL: gpu.func @by_thread_rows
// CHECK: %[[S:.*]] = flash_tile.load {{.*}} -> tensor<32x16xf32, {{#flash_tile.layout<lane = \[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\], warp = \[\[0, 0\]\], repeat = \[\[16, 0, 1\]\]>}}>
// CHECK: flash_tile.reduce max %[[S]]
// CHECK-NOT: convert_layout
// CHECK: flash_tile.dot {{.*}} on fma
gpu.module @m {
  gpu.func @by_thread_rows(%bias: memref<32x16xf32>, %v: !flash_tile.global_tile<16x64xbf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %s = flash_tile.load %bias[%c0, %c0] : memref<32x16xf32> -> tensor<32x16xf32>
    %p = arith.truncf %s : tensor<32x16xf32> to tensor<32x16xbf16>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    %e = flash_tile.expand %m axis 1 : tensor<32xf32> -> tensor<32x64xf32>
    %o = flash_tile.dot %p, %v, %e on fma : tensor<32x16xbf16>, !flash_tile.global_tile<16x64xbf16>, tensor<32x64xf32>
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error @below {{argument 0: expected a memref, a view or a scalar (tiles live within kernels), got 'tensor<32x16xf32>'}}
  gpu.func @argument(%s: tensor<32x16xf32>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %m = flash_tile.reduce max %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    gpu.return
  }
}
