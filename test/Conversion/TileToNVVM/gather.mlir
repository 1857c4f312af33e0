// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// One predicated load behind a move of zero: memory is not touched where the
// index is out of bounds.

// CHECK-LABEL: gpu.func @lookup
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %{{.*}}, %{{.*}} : index
// CHECK: %[[EXISTS:.*]] = arith.andi %{{.*}}, %[[INSIDE]] : i1
// CHECK: llvm.inline_asm "mov.b32 $0, 0; @$2 ld.global.nc.b32 $0, [$1];", "=&r,l,b" %{{.*}}, %[[EXISTS]] : (i64, i1) -> i32
// CHECK: llvm.inline_asm "mov.b16 $0, 0; @$2 ld.global.nc.u8 $0, [$1];", "=&h,l,b"
// CHECK: arith.cmpi ne, %{{.*}}, %c0_i16 : i16
// CHECK: %[[FIRST:.*]] = arith.cmpi eq, %{{.*}}, %c0_i32 : i32
// CHECK: scf.if %[[FIRST]] {
// CHECK:   llvm.store %{{.*}} : i32, !llvm.ptr<1>
gpu.module @m {
  gpu.func @lookup(%m: memref<?xi32> {flash_tile.role = "capture"}, %f: memref<?xi1> {flash_tile.role = "capture"},
                   %o: memref<4xi32> {flash_tile.dims = ["four"]}, %i: index, %c: i32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %c0_i32 = arith.constant 0 : i32
    %if = arith.cmpi eq, %c, %c0_i32 : i32
    %x = flash_tile.lookup %m[%i] if %if : memref<?xi32>
    %y = flash_tile.lookup %f[%i] : memref<?xi1>
    %z = arith.select %y, %x, %c : i32
    flash_tile.put %z, %o[%c0] : memref<4xi32>
    gpu.return
  }
}

// -----

// Neighbours in a row come as pairs where memory lies so, else one by one; a row
// costs one comparison, a column another.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @bias
// CHECK:         %[[PAIRS:.*]]:4 = scf.if %{{.*}} -> (f32, f32, f32, f32) {
// CHECK-COUNT-2:   llvm.inline_asm "mov.f32 $0, 0f00000000; mov.f32 $1, 0f00000000; @$3 ld.global.nc.v2.f32 {$0, $1}, [$2];", "=&f,=&f,l,b"
// CHECK:         } else {
// CHECK-COUNT-4:   llvm.inline_asm "mov.f32 $0, 0f00000000; @$2 ld.global.nc.f32 $0, [$1];", "=&f,l,b"
// CHECK:         }
gpu.module @m {
  gpu.func @bias(%m: memref<?x?xf32, strided<[?, ?], offset: ?>> {flash_tile.role = "capture"},
                 %o: memref<16x8xf32> {flash_tile.dims = ["s", "d"]}, %i: index, %j: index, %rows: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.gather_elements %m[%i, %j] rows [1, 0] columns [0, 1] rows_below %rows : memref<?x?xf32, strided<[?, ?], offset: ?>> -> tensor<16x8xf32, #acc>
    flash_tile.store %t, %o[%c0, %c0] : tensor<16x8xf32, #acc>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// What depends on the row alone is read once per row: two rows, four registers.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @rows
// CHECK-COUNT-2: llvm.inline_asm "mov.b32 $0, 0; @$2 ld.global.nc.b32 $0, [$1];"
// CHECK-NOT:     llvm.inline_asm
gpu.module @m {
  gpu.func @rows(%m: memref<?xi32> {flash_tile.role = "capture"},
                 %o: memref<16x8xi32> {flash_tile.dims = ["s", "d"]}, %i: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.gather_elements %m[%i] rows [1] columns [0] : memref<?xi32> -> tensor<16x8xi32, #acc>
    flash_tile.store %t, %o[%c0, %c0] : tensor<16x8xi32, #acc>, memref<16x8xi32>
    gpu.return
  }
}

// -----

// A relative table: row and column together make the index. An offset per
// element: here there are two columns, and two offsets.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @relative
// CHECK-COUNT-4: llvm.inline_asm "mov.b16 $0, 0; @$2 ld.global.nc.b16 $0, [$1];", "=&h,l,b"
// CHECK:         arith.shli
// CHECK-COUNT-2: llvm.inline_asm "mov.f32
// CHECK-NOT:     llvm.inline_asm
gpu.module @m {
  gpu.func @relative(%m: memref<64xbf16> {flash_tile.role = "capture"}, %n: memref<64xf32> {flash_tile.role = "capture"},
                     %o: memref<16x8xbf16> {flash_tile.dims = ["s", "d"]}, %p: memref<16x8xf32> {flash_tile.dims = ["s", "d"]}, %i: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.gather_elements %m[%i] rows [-1] columns [1] : memref<64xbf16> -> tensor<16x8xbf16, #acc>
    flash_tile.store %t, %o[%c0, %c0] : tensor<16x8xbf16, #acc>, memref<16x8xbf16>
    %j = flash_tile.index axis 1 : tensor<16x8xi32, #acc>
    %k = arith.muli %j, %j : tensor<16x8xi32, #acc>
    %u = flash_tile.gather_elements %n[%i] rows [0] columns [0] offsets(%k at [0] : tensor<16x8xi32, #acc>) : memref<64xf32> -> tensor<16x8xf32, #acc>
    flash_tile.store %u, %p[%c0, %c0] : tensor<16x8xf32, #acc>, memref<16x8xf32>
    gpu.return
  }
}

// -----

// A vote is a barrier of the CTA.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0]]>

// CHECK-LABEL: gpu.func @vote
// CHECK: arith.ori
// CHECK: %[[ANY:.*]] = nvvm.barrier #nvvm.reduction<or> %{{.*}} -> i32
// CHECK: arith.cmpi ne, %[[ANY]], %c0_i32 : i32
gpu.module @m {
  gpu.func @vote(%o: memref<4xi1> {flash_tile.dims = ["four"]}, %bound: i32)
      kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %j = flash_tile.index axis 0 : tensor<32x8xi32, #acc>
    %b = flash_tile.splat %bound : i32 -> tensor<32x8xi32, #acc>
    %c = arith.cmpi slt, %j, %b : tensor<32x8xi32, #acc>
    %any = flash_tile.vote %c : tensor<32x8xi1, #acc>
    flash_tile.put %any, %o[%c0] : memref<4xi1>
    gpu.return
  }
}
