// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm | FileCheck %s

// Pointers in argument order, sizes as i32 in the order of flash_tile.sizes,
// every stride as i64, then scalars and captures. A captured memref is followed
// by its strides, and by its dynamic extents where no size names them; the
// workspace is a pointer alone. A size that several memrefs share is passed once;
// index travels as i64.

// CHECK-LABEL: gpu.func @order(
// CHECK-SAME:    %{{[^:]*}}: !llvm.ptr<1>, %[[O:[^:]*]]: !llvm.ptr<1>,
// CHECK-SAME:    %[[B:[^:]*]]: i32, %[[SQ:[^:]*]]: i32, %[[SK:[^:]*]]: i32,
// CHECK-SAME:    %{{[^:]*}}: i64, %{{[^:]*}}: i64, %{{[^:]*}}: i64,
// CHECK-SAME:    %{{[^:]*}}: i64, %{{[^:]*}}: i64, %{{[^:]*}}: i64,
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32,
// CHECK-SAME:    %[[BIAS:[^:]*]]: !llvm.ptr<1>, %[[BIASSTRIDE:[^:]*]]: i64,
// CHECK-SAME:    %[[FIRST:[^:]*]]: i64,
// CHECK-SAME:    %[[TABLE:[^:]*]]: !llvm.ptr<1>, %{{[^:]*}}: i64, %{{[^:]*}}: i64, %[[EXTENT:[^:]*]]: i64,
// CHECK-SAME:    %[[WORK:[^:]*]]: !llvm.ptr<1>) kernel
gpu.module @m {
  gpu.func @order(
      %k: memref<?x?x64xf16, strided<[?, ?, ?], offset: ?>> {flash_tile.role = "k", flash_tile.dims = ["b", "sk", "d"]},
      %scale: f32 {flash_tile.role = "scale"},
      %bias: memref<?xf32, strided<[?], offset: ?>> {flash_tile.role = "capture", flash_tile.dims = ["sk"]},
      %first: index {flash_tile.role = "capture"},
      %table: memref<4x?xi32> {flash_tile.role = "capture"},
      %work: memref<?xi32> {flash_tile.role = "workspace"},
      %o: memref<?x?x64xf16, strided<[?, ?, ?], offset: ?>> {flash_tile.role = "o", flash_tile.dims = ["b", "sq", "dv"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["b", "sq", "sk"]} {
    gpu.return
  }
}

// -----

// Sizes are read where the memref has them: the extent of dimension 1 of the
// second is the second size.

// CHECK-LABEL: gpu.func @sizes(
// CHECK-SAME:    %{{[^:]*}}: !llvm.ptr<1>, %{{[^:]*}}: !llvm.ptr<1>, %[[SQ32:[^:]*]]: i32, %[[SK32:[^:]*]]: i32,
// CHECK: %[[SK:.*]] = arith.index_cast %[[SK32]] : i32 to index
// CHECK: arith.addi %[[SK]], %c64{{.*}} : index
gpu.module @m {
  gpu.func @sizes(
      %q: memref<?x64xf16> {flash_tile.dims = ["sq", "d"]},
      %k: memref<64x?xf16> {flash_tile.dims = ["d", "sk"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq", "sk"]} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %sk = memref.dim %k, %c1 : memref<64x?xf16>
    %d = memref.dim %k, %c0 : memref<64x?xf16>
    %sum = arith.addi %sk, %d : index
    gpu.return
  }
}

// -----

// A static stride is a constant, although the parameter is there: the ABI does
// not depend on what is static.

#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @static_strides(
// CHECK-SAME:    %{{[^:]*}}: !llvm.ptr<1>, %[[S0:[^:]*]]: i64, %[[S1:[^:]*]]: i64, %[[I64:[^:]*]]: i64)
// CHECK: %[[I:.*]] = arith.index_cast %[[I64]] : i64 to index
// CHECK: arith.muli %[[I]], %c96 : index
// CHECK-NOT: %[[S0]]
// CHECK-NOT: %[[S1]]
gpu.module @m {
  gpu.func @static_strides(%m: memref<4x16xf32, strided<[96, 1]>> {flash_tile.dims = ["b", "sq"]}, %i: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%i, %c0] : memref<4x16xf32, strided<[96, 1]>> -> tensor<16xf32, #row>
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{flash_tile.sizes: expected an array of names, got none}}
  gpu.func @no_sizes() kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{flash_tile.sizes: expected names, got 3 : i64}}
  gpu.func @no_names() kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = [3]} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{flash_tile.dims of argument 0: expected an array of names, got none}}
  gpu.func @no_dims(%m: memref<?xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{flash_tile.dims of argument 0: expected 2 names, got 1}}
  gpu.func @too_few_dims(%m: memref<?x64xf32> {flash_tile.dims = ["sq"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq"]} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{flash_tile.dims of argument 0: expected a name in flash_tile.sizes, got 'sk'}}
  gpu.func @unknown_size(%m: memref<?xf32> {flash_tile.dims = ["sk"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq"]} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{argument 0: expected a memref or a scalar, got 'tensor<4xf32>'}}
  gpu.func @tensor_argument(%m: tensor<4xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{block size: expected known_block_size, got none}}
  gpu.func @no_block_size() kernel attributes {flash_tile.sizes = []} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{block size: expected a one-dimensional multiple of 32 threads, got 48 x 1 x 1}}
  gpu.func @block_size() kernel attributes {known_block_size = array<i32: 48, 1, 1>, flash_tile.sizes = []} {
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{block size: expected a one-dimensional multiple of 32 threads, got 32 x 2 x 1}}
  gpu.func @block_shape() kernel attributes {known_block_size = array<i32: 32, 2, 1>, flash_tile.sizes = []} {
    gpu.return
  }
}
