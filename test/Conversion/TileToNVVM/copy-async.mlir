// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// Rows known to be aligned: 16-byte copies only. A row of 64 elements is eight
// chunks, taken by eight neighbouring lanes; 64 threads fill eight rows at a
// time, so a tile of 16 rows takes two. All rows exist: no count of bytes.

// CHECK-LABEL: gpu.func @aligned
// CHECK-NOT: scf.if
// CHECK: nvvm.cp.async.shared.global %[[D:.*]], %[[S:.*]], 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>{{$}}
// CHECK: %[[S1:.*]] = llvm.getelementptr %[[S]][%{{.*}}] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, bf16
// CHECK: %[[D1:.*]] = llvm.getelementptr %[[D]][1024] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
// CHECK: nvvm.cp.async.shared.global %[[D1]], %[[S1]], 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>{{$}}
// CHECK-NOT: nvvm.cp.async.shared.global
// CHECK: nvvm.cp.async.commit.group
// CHECK: nvvm.cp.async.wait.group 1
#swizzle = #flash_tile.swizzle<bits = 3, shift = 0>
!b = !flash_tile.buffer<1x16x64xbf16, #swizzle>
!v = !flash_tile.view<16x64xbf16, #swizzle>
gpu.module @m {
  gpu.func @aligned(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v {alignment = 16 : i64, in_bounds}
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    %w = flash_tile.wait %f {in_flight = 1 : i64} : !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// Rows past the end of the memref are zeros: no byte is read where a row does
// not exist.

// CHECK-LABEL: gpu.func @ragged
// CHECK-SAME: %{{.*}}: !llvm.ptr<1>, %[[SK32:[^:]*]]: i32
// CHECK: %[[SK:.*]] = arith.index_cast %[[SK32]] : i32 to index
// CHECK: %[[LEFT:.*]] = arith.minsi %[[SK]], %c16 : index
// CHECK: %[[EXIST:.*]] = arith.maxsi %[[LEFT]], %c0 : index
// CHECK: %[[VALID:.*]] = arith.index_cast %[[EXIST]] : index to i32
// CHECK: %[[IN0:.*]] = arith.cmpi slt, %[[ROW:.*]], %[[VALID]] : i32
// CHECK: %[[BYTES0:.*]] = arith.select %[[IN0]], %c16_i32, %c0_i32 : i32
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg, %[[BYTES0]]
// CHECK: %[[ROW1:.*]] = arith.addi %[[ROW]], %c8_i32 : i32
// CHECK: %[[IN1:.*]] = arith.cmpi slt, %[[ROW1]], %[[VALID]] : i32
// CHECK: %[[BYTES1:.*]] = arith.select %[[IN1]], %c16_i32, %c0_i32 : i32
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg, %[[BYTES1]]
!b = !flash_tile.buffer<1x16x64xbf16>
!v = !flash_tile.view<16x64xbf16>
gpu.module @m {
  gpu.func @ragged(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 64, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v {alignment = 16 : i64}
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// A row of 40 elements in a row of 48: the sixth chunk is zeros whatever the
// row. Two lanes share a row, so each takes chunks l, l + 2 and l + 4.

// CHECK-LABEL: gpu.func @padded
// CHECK: %[[CHUNK:.*]] = arith.andi %{{.*}}, %c1_i32 : i32
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>{{$}}
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>{{$}}
// CHECK: %[[REAL:.*]] = arith.cmpi ult, %[[CHUNK]], %c1_i32 : i32
// CHECK: %[[BYTES:.*]] = arith.select %[[REAL]], %c16_i32, %c0_i32 : i32
// CHECK: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg, %[[BYTES]]
// CHECK-NOT: nvvm.cp.async.shared.global
!b = !flash_tile.buffer<1x16x48xbf16>
!v = !flash_tile.view<16x48xbf16>
gpu.module @m {
  gpu.func @padded(%m: memref<?x40xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v {alignment = 16 : i64, in_bounds}
      : memref<?x40xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// More threads than the tile has chunks: the others copy nothing.

// CHECK-LABEL: gpu.func @short
// CHECK: %[[ROW:.*]] = arith.shrui %{{.*}}, %c3_i32 : i32
// CHECK: %[[IN:.*]] = arith.cmpi ult, %[[ROW]], %c8_i32 : i32
// CHECK: scf.if %[[IN]] {
// CHECK:   nvvm.cp.async.shared.global
// CHECK: }
// CHECK-NOT: nvvm.cp.async.shared.global
!b = !flash_tile.buffer<1x8x64xbf16>
!v = !flash_tile.view<8x64xbf16>
gpu.module @m {
  gpu.func @short(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v {alignment = 16 : i64, in_bounds}
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// Nothing is known of the alignment: base address and row stride decide at run
// time, and a dynamic innermost stride must be 1. Otherwise a loop over chunks
// copies 8 bytes at a time, or 4, or goes through registers.

// CHECK-LABEL: gpu.func @unaligned
// CHECK-SAME: %[[BASE:[^:]*]]: !llvm.ptr<1>, %{{[^:]*}}: i32, %[[ROWSTRIDE:[^:]*]]: i64, %[[STRIDE64:[^:]*]]: i64)
// CHECK: %[[STRIDE:.*]] = arith.index_cast %[[STRIDE64]] : i64 to index
// CHECK: %[[ADDRESS:.*]] = llvm.ptrtoint %[[BASE]]
// CHECK: %[[ROWBYTES:.*]] = arith.muli %{{.*}}, %c2_i64 : i64
// CHECK: %[[BITS:.*]] = arith.ori %[[ADDRESS]], %[[ROWBYTES]] : i64
// CHECK: %[[LOW:.*]] = arith.andi %[[BITS]], %c15_i64 : i64
// CHECK: %[[ALIGNED:.*]] = arith.cmpi eq, %[[LOW]], %c0_i64 : i64
// CHECK: %[[UNIT:.*]] = arith.cmpi eq, %[[STRIDE]], %c1 : index
// CHECK: %[[FAST:.*]] = arith.andi %[[ALIGNED]], %[[UNIT]] : i1
// CHECK: scf.if %[[FAST]] {
// CHECK:   nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 16, cache = cg
// CHECK-NOT: scf.for
// CHECK: } else {
// CHECK:   %[[LOW8:.*]] = arith.andi %[[BITS]], %c7_i64
// CHECK:   %[[LOW4:.*]] = arith.andi %[[BITS]], %c3_i64
// CHECK:   scf.for %[[N:.*]] = %{{.*}} to %c128_i32 step %c32_i32 : i32 {
// CHECK:     arith.divui %[[N]], %c8_i32 : i32
// CHECK:     arith.remui %[[N]], %c8_i32 : i32
// CHECK:     %[[SIZE8:.*]] = arith.select %[[EXISTS:.*]], %c8_i32, %c0_i32 : i32
// CHECK-COUNT-2: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 8, cache = ca, %[[SIZE8]]
// CHECK:     %[[SIZE4:.*]] = arith.select %[[EXISTS]], %c4_i32, %c0_i32 : i32
// CHECK-COUNT-4: nvvm.cp.async.shared.global %{{.*}}, %{{.*}}, 4, cache = ca, %[[SIZE4]]
// CHECK:     scf.for %[[E:.*]] = %c0 to %c8 step %c1 {
// CHECK:       scf.if %[[EXISTS]] -> (i16) {
// CHECK:         arith.muli %[[E]], %[[STRIDE]] : index
// CHECK:         llvm.load {{.*}} -> i16
// CHECK:       } else {
// CHECK:         scf.yield %c0_i16 : i16
// CHECK:       llvm.store {{.*}} : i16, !llvm.ptr<3>
// CHECK: nvvm.cp.async.commit.group
!b = !flash_tile.buffer<1x16x64xbf16>
!v = !flash_tile.view<16x64xbf16>
gpu.module @m {
  gpu.func @unaligned(%m: memref<?x64xbf16, strided<[?, ?], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v
      : memref<?x64xbf16, strided<[?, ?], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// A copy under a predicate still commits a group: waits count groups.

// CHECK-LABEL: gpu.func @predicate
// CHECK-SAME: %[[MORE:[^:]*]]: i1)
// CHECK: scf.if %[[MORE]] {
// CHECK:   nvvm.cp.async.shared.global
// CHECK: }
// CHECK-NEXT: nvvm.cp.async.commit.group
!b = !flash_tile.buffer<1x4x64xbf16>
!v = !flash_tile.view<4x64xbf16>
gpu.module @m {
  gpu.func @predicate(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]}, %more: i1)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v if %more {alignment = 16 : i64, in_bounds}
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

// One warp fills four rows at a time, the swizzle repeats every eight: each
// further pass has an address of its own. Rows r and r + 4 differ in bit 2 of
// the chunk number.

// CHECK-LABEL: gpu.func @half_period
// CHECK: %[[ROW:.*]] = arith.shrui %{{.*}}, %c3_i32 : i32
// CHECK: %[[FLIP:.*]] = arith.andi %[[ROW]], %c7_i32
// CHECK: nvvm.cp.async.shared.global
// CHECK: %[[ROW4:.*]] = arith.addi %[[ROW]], %c4_i32 : i32
// CHECK: %[[FLIP4:.*]] = arith.andi %[[ROW4]], %c7_i32
// CHECK: %[[BYTES4:.*]] = arith.shli %[[FLIP4]], %c4_i32
// CHECK: arith.xori %{{.*}}, %[[BYTES4]]
// CHECK: nvvm.cp.async.shared.global
#swizzle = #flash_tile.swizzle<bits = 3, shift = 0>
!b = !flash_tile.buffer<1x8x64xbf16, #swizzle>
!v = !flash_tile.view<8x64xbf16, #swizzle>
gpu.module @m {
  gpu.func @half_period(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    %f = flash_tile.copy_async %m[%c0, %c0] to %v {alignment = 16 : i64, in_bounds}
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

!b = !flash_tile.buffer<1x16x16xbf16>
!v = !flash_tile.view<16x16xbf16>
gpu.module @m {
  gpu.func @row(%m: memref<?x12xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    // expected-error@below {{row: expected a static extent of whole 16-byte chunks, got 'memref<?x12xbf16, strided<[?, 1], offset: ?>>'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.copy_async'}}
    %f = flash_tile.copy_async %m[%c0, %c0] to %v
      : memref<?x12xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}

// -----

!b = !flash_tile.buffer<1x64xbf16>
!v = !flash_tile.view<64xbf16>
gpu.module @m {
  gpu.func @rank(%m: memref<?x64xbf16, strided<[?, 1], offset: ?>> {flash_tile.dims = ["sk", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %b = flash_tile.alloc {offset = 0 : i64} : !b
    %v = flash_tile.stage %b[%c0] : !b -> !v
    // expected-error@below {{tile: expected rank 2, got '!flash_tile.view<64xbf16>'}}
    // expected-error@below {{failed to legalize operation 'flash_tile.copy_async'}}
    %f = flash_tile.copy_async %m[%c0, %c0] to %v
      : memref<?x64xbf16, strided<[?, 1], offset: ?>> to !v -> !flash_tile.future<!v>
    gpu.return
  }
}
