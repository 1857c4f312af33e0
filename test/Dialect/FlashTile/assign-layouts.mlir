// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-assign-layouts | FileCheck %s

// The accumulator of a dot: the m16n8 atom, repeated along the columns and then
// down the rows of a warp; two warps share the 64 rows. Operands in shared
// memory have no layout.

// CHECK-LABEL: gpu.func @accumulator
// CHECK: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<64x32xf32, [[ACC:#flash_tile.layout<register = \[\[0, 1\], \[8, 0\]\], lane = \[\[0, 2\], \[0, 4\], \[1, 0\], \[2, 0\], \[4, 0\]\], warp = \[\[32, 0\]\], repeat = \[\[4, 0, 8\], \[2, 16, 0\]\]>]]>
// CHECK: flash_tile.dot %{{.*}}, %{{.*}}, %[[ZERO]] {transpose_b} : !flash_tile.view<64x16xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x32xf32, [[ACC]]>
gpu.module @m {
  gpu.func @accumulator(%qb: !flash_tile.buffer<1x64x16xbf16>, %kb: !flash_tile.buffer<1x32x16xbf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<64x32xf32>
    %q = flash_tile.stage %qb[%c0] : !flash_tile.buffer<1x64x16xbf16> -> !flash_tile.view<64x16xbf16>
    %k = flash_tile.stage %kb[%c0] : !flash_tile.buffer<1x32x16xbf16> -> !flash_tile.view<32x16xbf16>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<64x16xbf16>, !flash_tile.view<32x16xbf16>, tensor<64x32xf32>
    gpu.return
  }
}

// -----

// Bytes of B, K x N, come from ldmatrix in pairs of columns: each product takes
// every other one, of sixteen.

// CHECK-LABEL: gpu.func @bytes
// CHECK: flash_tile.dot {{.*}}, tensor<32x48xf32, #flash_tile.layout<register = {{\[\[}}0, 1], [0, 2], [8, 0]], lane = {{\[\[}}0, 4], [0, 8], [1, 0], [2, 0], [4, 0]], warp = {{\[\[}}16, 0]], repeat = {{\[\[}}3, 0, 16]]>>
// Not so where it may not be ldmatrix, where columns are too few, or where B is
// N x K.
// CHECK: flash_tile.dot {{.*}} {plain_loads} : {{.*}}, tensor<32x48xf32, #flash_tile.layout<register = {{\[\[}}0, 1], [8, 0]],
// CHECK: flash_tile.dot {{.*}}, tensor<32x40xf32, #flash_tile.layout<register = {{\[\[}}0, 1], [8, 0]],
// CHECK: flash_tile.dot {{.*}} {transpose_b} : {{.*}}, tensor<32x48xi32, #flash_tile.layout<register = {{\[\[}}0, 1], [8, 0]],
gpu.module @m {
  gpu.func @bytes(%p: !flash_tile.view<32x64xf8E5M2>, %v: !flash_tile.view<64x48xf8E5M2>, %q: !flash_tile.view<32x64xi8>, %k: !flash_tile.view<48x64xi8>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x48xf32>
    %narrow = arith.constant dense<0.0> : tensor<32x40xf32>
    %none = arith.constant dense<0> : tensor<32x48xi32>
    %o = flash_tile.dot %p, %v, %zero
      : !flash_tile.view<32x64xf8E5M2>, !flash_tile.view<64x48xf8E5M2>, tensor<32x48xf32>
    %plain = flash_tile.dot %p, %v, %zero {plain_loads}
      : !flash_tile.view<32x64xf8E5M2>, !flash_tile.view<64x48xf8E5M2>, tensor<32x48xf32>
    %few = flash_tile.dot %p, %v, %narrow
      : !flash_tile.view<32x64xf8E5M2>, !flash_tile.view<64x48xf8E5M2>, tensor<32x40xf32>
    %s = flash_tile.dot %q, %k, %none {transpose_b}
      : !flash_tile.view<32x64xi8>, !flash_tile.view<48x64xi8>, tensor<32x48xi32>
    gpu.return
  }
}

// -----

// Three warps are no power of two: a repeat of warps instead of vectors.

// CHECK-LABEL: gpu.func @three_warps
// CHECK: flash_tile.dot {{.*}}, tensor<48x8xf32, #flash_tile.layout<register = {{.*}}, lane = {{.*}}, warp_repeat = {{\[\[3, 16, 0\]\]}}>>
gpu.module @m {
  gpu.func @three_warps(%q: !flash_tile.view<48x16xf16>, %k: !flash_tile.view<8x16xf16>)
      kernel attributes {known_block_size = array<i32: 96, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<48x8xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<48x16xf16>, !flash_tile.view<8x16xf16>, tensor<48x8xf32>
    gpu.return
  }
}

// -----

// A row statistic holds the slice of its tile: the column vectors are gone, the
// lanes of a quad hold copies. Broadcasting leads back.

// CHECK-LABEL: gpu.func @slices
// CHECK: %[[S:.*]] = flash_tile.dot {{.*}}, tensor<32x16xf32, [[ACC:#flash_tile.layout<.*>]]>{{$}}
// CHECK: %[[M:.*]] = flash_tile.reduce max %[[S]] axis 1 : {{.*}} -> tensor<32xf32, [[ROW:#flash_tile.layout<register = \[\[8\]\], lane = \[\[0\], \[0\], \[1\], \[2\], \[4\]\], warp = \[\[16\]\]>]]>
// CHECK: %[[E:.*]] = math.exp2 %[[M]] : tensor<32xf32, [[ROW]]>
// CHECK: %[[X:.*]] = flash_tile.expand %[[E]] axis 1 : tensor<32xf32, [[ROW]]> -> tensor<32x16xf32, [[ACC]]>
// CHECK: arith.mulf %[[S]], %[[X]] : tensor<32x16xf32, [[ACC]]>
gpu.module @m {
  gpu.func @slices(%q: !flash_tile.view<32x16xf16>, %k: !flash_tile.view<16x16xf16>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<32x16xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<32x16xf16>, !flash_tile.view<16x16xf16>, tensor<32x16xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    %e = math.exp2 %m : tensor<32xf32>
    %x = flash_tile.expand %e axis 1 : tensor<32xf32> -> tensor<32x16xf32>
    %r = arith.mulf %s, %x : tensor<32x16xf32>
    gpu.return
  }
}

// -----

// A column statistic keeps the column vectors, and all rows' lanes hold copies.

// CHECK-LABEL: gpu.func @column_slice
// CHECK: flash_tile.reduce add {{.*}} axis 0 : {{.*}} -> tensor<16xf32, #flash_tile.layout<register = {{\[\[1\]\]}}, lane = {{\[\[2\], \[4\], \[0\], \[0\], \[0\]\]}}, repeat = {{\[\[2, 8\]\]}}>>
gpu.module @m {
  gpu.func @column_slice(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<16x16xf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<16x16xf16>, !flash_tile.view<16x16xf16>, tensor<16x16xf32>
    %m = flash_tile.reduce add %s axis 0 : tensor<16x16xf32> -> tensor<16xf32>
    gpu.return
  }
}

// -----

// One class round a loop: initial value, argument, yielded value and result.

// CHECK-LABEL: gpu.func @loop
// CHECK: %[[ZERO:.*]] = arith.constant {{.*}} : tensor<16x8xf32, [[ACC:#flash_tile.layout<.*>]]>{{$}}
// CHECK: %[[R:.*]] = scf.for {{.*}} iter_args(%[[A:.*]] = %[[ZERO]]) -> (tensor<16x8xf32, [[ACC]]>)
// CHECK:   %[[S:.*]] = flash_tile.dot {{.*}}, %[[A]] {{.*}} tensor<16x8xf32, [[ACC]]>
// CHECK:   scf.yield %[[S]] : tensor<16x8xf32, [[ACC]]>
// CHECK: flash_tile.store %[[R]], {{.*}} : tensor<16x8xf32, [[ACC]]>
gpu.module @m {
  gpu.func @loop(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<8x16xf16>, %o: memref<16x8xf32>, %n: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero) -> tensor<16x8xf32> {
      %s = flash_tile.dot %q, %k, %a {transpose_b}
        : !flash_tile.view<16x16xf16>, !flash_tile.view<8x16xf16>, tensor<16x8xf32>
      scf.yield %s : tensor<16x8xf32>
    }
    flash_tile.store %r, %o[%c0, %c0] : tensor<16x8xf32>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// Both branches and the result; the coordinates and the splat inside too.

// CHECK-LABEL: gpu.func @branch
// CHECK: %[[S:.*]] = flash_tile.dot {{.*}}, tensor<16x8xf32, #flash_tile.layout<[[ACC:.*]]>>{{$}}
// CHECK: scf.if %{{.*}} -> (tensor<16x8xf32, #flash_tile.layout<[[ACC]]>>)
// CHECK:   scf.yield %[[S]] : tensor<16x8xf32, #flash_tile.layout<[[ACC]]>>
// CHECK:   %[[K:.*]] = flash_tile.index axis 1 : tensor<16x8xi32, #flash_tile.layout<[[ACC]]>>
// CHECK:   %[[N:.*]] = flash_tile.splat %{{.*}} : i32 -> tensor<16x8xi32, #flash_tile.layout<[[ACC]]>>
// CHECK:   %[[C:.*]] = arith.cmpi slt, %[[K]], %[[N]] : tensor<16x8xi32, #flash_tile.layout<[[ACC]]>>
// CHECK:   %[[X:.*]] = arith.select %[[C]], %[[S]], %{{.*}} : tensor<16x8xi1, #flash_tile.layout<[[ACC]]>>, tensor<16x8xf32, #flash_tile.layout<[[ACC]]>>
// CHECK:   scf.yield %[[X]]
gpu.module @m {
  gpu.func @branch(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<8x16xf16>, %full: i1, %sk: i32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %minf = arith.constant dense<0xFF800000> : tensor<16x8xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<16x16xf16>, !flash_tile.view<8x16xf16>, tensor<16x8xf32>
    %m = scf.if %full -> tensor<16x8xf32> {
      scf.yield %s : tensor<16x8xf32>
    } else {
      %i = flash_tile.index axis 1 : tensor<16x8xi32>
      %n = flash_tile.splat %sk : i32 -> tensor<16x8xi32>
      %c = arith.cmpi slt, %i, %n : tensor<16x8xi32>
      %x = arith.select %c, %s, %minf : tensor<16x8xi1>, tensor<16x8xf32>
      scf.yield %x : tensor<16x8xf32>
    }
    gpu.return
  }
}

// -----

// A constant used by tiles of different layouts is cloned for each.

// CHECK-LABEL: gpu.func @shared_constant
// CHECK-DAG: %[[WIDE:.*]] = arith.constant dense<1.000000e+00> : tensor<16x16xf32, #flash_tile.layout<register = {{\[\[0, 1\], \[0, 2\]\]}}
// CHECK-DAG: %[[ACC:.*]] = arith.constant dense<1.000000e+00> : tensor<16x16xf32, #flash_tile.layout<register = {{\[\[0, 1\], \[8, 0\]\]}}
// CHECK: flash_tile.dot %{{.*}}, %{{.*}}, %[[ACC]]
// CHECK: arith.addf %{{.*}}, %[[WIDE]]
gpu.module @m {
  gpu.func @shared_constant(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<16x16xf16>, %x: memref<16x16xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %one = arith.constant dense<1.0> : tensor<16x16xf32>
    %s = flash_tile.dot %q, %k, %one {transpose_b}
      : !flash_tile.view<16x16xf16>, !flash_tile.view<16x16xf16>, tensor<16x16xf32>
    %t = flash_tile.load %x[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32>
    %r = arith.addf %t, %one : tensor<16x16xf32>
    gpu.return
  }
}

// -----

// An A operand that was computed is converted: rounded scores have the layout
// of the accumulator, the dot wants a fragment of 16 columns.

// CHECK-LABEL: gpu.func @convert_operand
// CHECK: %[[S:.*]] = flash_tile.dot {{.*}}, tensor<16x16xf32, [[ACC:#flash_tile.layout<.*>]]>{{$}}
// CHECK: %[[P:.*]] = arith.truncf %[[S]] : {{.*}} to tensor<16x16xf16, [[ACC]]>
// CHECK: %[[A:.*]] = flash_tile.convert_layout %[[P]] : {{.*}} -> tensor<16x16xf16, [[OPERAND:#flash_tile.layout<register = \[\[0, 1\], \[8, 0\], \[0, 8\]\].*>]]>
// CHECK: flash_tile.dot %[[A]], {{.*}} : tensor<16x16xf16, [[OPERAND]]>, !flash_tile.view<16x8xf16>
gpu.module @m {
  gpu.func @convert_operand(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<16x16xf16>, %v: !flash_tile.view<16x8xf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %acc = arith.constant dense<0.0> : tensor<16x8xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<16x16xf16>, !flash_tile.view<16x16xf16>, tensor<16x16xf32>
    %p = arith.truncf %s : tensor<16x16xf32> to tensor<16x16xf16>
    %o = flash_tile.dot %p, %v, %acc : tensor<16x16xf16>, !flash_tile.view<16x8xf16>, tensor<16x8xf32>
    gpu.return
  }
}

// -----

// One that comes from memory is read as a fragment at once.

// CHECK-LABEL: gpu.func @load_operand
// CHECK-NOT: flash_tile.convert_layout
// CHECK: %[[A:.*]] = flash_tile.local_load %{{.*}} -> tensor<16x16xf16, [[OPERAND:#flash_tile.layout<register = \[\[0, 1\], \[8, 0\], \[0, 8\]\].*>]]>
// CHECK: %[[B:.*]] = flash_tile.load {{.*}} -> tensor<16x16xf16, [[OPERAND]]>
// CHECK: flash_tile.dot %[[A]], {{.*}} : tensor<16x16xf16, [[OPERAND]]>
// CHECK: flash_tile.dot %[[B]], {{.*}} : tensor<16x16xf16, [[OPERAND]]>
gpu.module @m {
  gpu.func @load_operand(%qs: !flash_tile.view<16x16xf16>, %qg: memref<16x16xf16>, %k: !flash_tile.view<8x16xf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %a = flash_tile.local_load %qs : !flash_tile.view<16x16xf16> -> tensor<16x16xf16>
    %b = flash_tile.load %qg[%c0, %c0] : memref<16x16xf16> -> tensor<16x16xf16>
    %s = flash_tile.dot %a, %k, %zero {transpose_b}
      : tensor<16x16xf16>, !flash_tile.view<8x16xf16>, tensor<16x8xf32>
    %t = flash_tile.dot %b, %k, %zero {transpose_b}
      : tensor<16x16xf16>, !flash_tile.view<8x16xf16>, tensor<16x8xf32>
    gpu.return
  }
}

// -----

// Nothing constrains these: 16 bytes per thread, eight lanes along a row of 128
// bytes, then down the rows, then the warps. A vector goes along its lanes.

// CHECK-LABEL: gpu.func @unconstrained
// CHECK: flash_tile.load {{.*}} -> tensor<64x64xf16, #flash_tile.layout<register = {{\[\[0, 1\], \[0, 2\], \[0, 4\]\]}}, lane = {{\[\[0, 8\], \[0, 16\], \[0, 32\], \[1, 0\], \[2, 0\]\]}}, warp = {{\[\[4, 0\]\]}}, repeat = {{\[\[8, 8, 0\]\]}}>>
// CHECK: flash_tile.load {{.*}} -> tensor<64xf32, #flash_tile.layout<register = {{\[\[1\], \[2\]\]}}, lane = {{\[\[4\], \[8\], \[16\], \[32\], \[64\]\]}}, warp = {{\[\[128\]\]}}>>
gpu.module @m {
  gpu.func @unconstrained(%x: memref<64x64xf16>, %y: memref<64xf32>)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %x[%c0, %c0] : memref<64x64xf16> -> tensor<64x64xf16>
    %b = flash_tile.load %y[%c0] : memref<64xf32> -> tensor<64xf32>
    gpu.return
  }
}

// -----

// A layout that is there already stays and spreads to what must share it.

// CHECK-LABEL: gpu.func @given
// CHECK: %[[X:.*]] = flash_tile.load {{.*}} -> tensor<32x4xf32, [[GIVEN:#flash_tile.layout<register = \[\[0, 1\], \[0, 2\]\], lane = \[\[1, 0\], \[2, 0\], \[4, 0\], \[8, 0\], \[16, 0\]\]>]]>
// CHECK: flash_tile.reduce add %[[X]] axis 1 : tensor<32x4xf32, [[GIVEN]]> -> tensor<32xf32, #flash_tile.layout<lane = {{\[\[1\], \[2\], \[4\], \[8\], \[16\]\]}}>>
#given = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>
#row = #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>
gpu.module @m {
  gpu.func @given(%x: memref<32x4xf32>) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %x[%c0, %c0] : memref<32x4xf32> -> tensor<32x4xf32, #given>
    %r = flash_tile.reduce add %t axis 1 : tensor<32x4xf32, #given> -> tensor<32xf32, #row>
    gpu.return
  }
}

// -----

gpu.module @m {
  // expected-error@below {{block size: expected known_block_size, got none}}
  gpu.func @no_block_size() kernel {
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @rows(%q: !flash_tile.view<64x16xf16>, %k: !flash_tile.view<8x16xf16>)
      kernel attributes {known_block_size = array<i32: 96, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<64x8xf32>
    // expected-error@below {{accumulator: expected 48 x 8 or multiples for 3 warps, got 64 x 8}}
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<64x16xf16>, !flash_tile.view<8x16xf16>, tensor<64x8xf32>
    gpu.return
  }
}

// -----

gpu.module @m {
  gpu.func @depth(%q: !flash_tile.view<16x8xf16>, %k: !flash_tile.view<8x8xf16>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %zero = arith.constant dense<0.0> : tensor<16x8xf32>
    %a = flash_tile.local_load %q : !flash_tile.view<16x8xf16> -> tensor<16x8xf16>
    // expected-error@below {{operand a: expected 16 x 16 or multiples for 1 warps, got 16 x 8}}
    %s = flash_tile.dot %a, %k, %zero {transpose_b}
      : tensor<16x8xf16>, !flash_tile.view<8x8xf16>, tensor<16x8xf32>
    gpu.return
  }
}

// -----

// Statistics of an accumulator and of a loaded tile in one sum: the tile follows
// the accumulator's rows.

// CHECK-LABEL: gpu.func @by_rows
// CHECK: flash_tile.load %{{.*}} -> tensor<32x64xf32, #flash_tile.layout<register = {{\[\[}}0, 1], [8, 0]], lane = {{\[\[}}0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], repeat = {{\[\[}}8, 0, 8], [2, 16, 0]]>>
gpu.module @m {
  gpu.func @by_rows(%q: !flash_tile.view<32x16xf16>, %k: !flash_tile.view<16x16xf16>, %x: memref<32x64xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<32x16xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<32x16xf16>, !flash_tile.view<16x16xf16>, tensor<32x16xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    %t = flash_tile.load %x[%c0, %c0] : memref<32x64xf32> -> tensor<32x64xf32>
    %n = flash_tile.reduce max %t axis 1 : tensor<32x64xf32> -> tensor<32xf32>
    %r = arith.maxnumf %m, %n : tensor<32xf32>
    gpu.return
  }
}

// -----

// Twelve columns are no accumulator's: the tile's rows are shared otherwise.

gpu.module @m {
  gpu.func @conflict(%q: !flash_tile.view<32x16xf16>, %k: !flash_tile.view<16x16xf16>, %x: memref<32x12xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<32x16xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<32x16xf16>, !flash_tile.view<16x16xf16>, tensor<32x16xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<32x16xf32> -> tensor<32xf32>
    %t = flash_tile.load %x[%c0, %c0] : memref<32x12xf32> -> tensor<32x12xf32>
    // expected-error@below {{layout: expected #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]], repeat = [[2, 16]]> (as assigned to the values it is combined with), got #flash_tile.layout<}}
    %n = flash_tile.reduce max %t axis 1 : tensor<32x12xf32> -> tensor<32xf32>
    %r = arith.maxnumf %m, %n : tensor<32xf32>
    gpu.return
  }
}

// -----

// With 16 rows the two statistics are one function in two spellings.

// CHECK-LABEL: gpu.func @same_function
// CHECK: flash_tile.reduce max
// CHECK: flash_tile.reduce max
gpu.module @m {
  gpu.func @same_function(%q: !flash_tile.view<16x16xf16>, %k: !flash_tile.view<16x16xf16>, %x: memref<16x16xf32>)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<16x16xf32>
    %s = flash_tile.dot %q, %k, %zero {transpose_b}
      : !flash_tile.view<16x16xf16>, !flash_tile.view<16x16xf16>, tensor<16x16xf32>
    %m = flash_tile.reduce max %s axis 1 : tensor<16x16xf32> -> tensor<16xf32>
    %t = flash_tile.load %x[%c0, %c0] : memref<16x16xf32> -> tensor<16x16xf32>
    %n = flash_tile.reduce max %t axis 1 : tensor<16x16xf32> -> tensor<16xf32>
    %r = arith.maxnumf %m, %n : tensor<16xf32>
    gpu.return
  }
}
