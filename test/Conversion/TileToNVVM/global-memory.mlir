// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm --canonicalize --cse | FileCheck %s

// A tile that lies inside the memref for certain: plain loads, one per
// register, two halves to a packed register.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @load
// CHECK-NOT: scf.if
// CHECK: %[[P:.*]] = llvm.getelementptr %{{.*}}[%{{.*}}] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, f16
// CHECK: %[[LOW:.*]] = llvm.load %[[P]] {alignment = 2 : i64} : !llvm.ptr<1> -> i16
// CHECK: %[[P1:.*]] = llvm.getelementptr %[[P]][2] : (!llvm.ptr<1>) -> !llvm.ptr<1>, i8
// CHECK: %[[HIGH:.*]] = llvm.load %[[P1]] {alignment = 2 : i64} : !llvm.ptr<1> -> i16
// CHECK-COUNT-2: llvm.load {{.*}} -> i16
// CHECK-DAG: %[[HIGH32:.*]] = arith.extui %[[HIGH]] : i16 to i32
// CHECK-DAG: %[[UP:.*]] = arith.shli %[[HIGH32]], %c16_i32 : i32
// CHECK-DAG: %[[LOW32:.*]] = arith.extui %[[LOW]] : i16 to i32
// CHECK: arith.ori %[[LOW32]], %[[UP]] : i32
gpu.module @m {
  gpu.func @load(%m: memref<16x8xf16> {flash_tile.dims = ["s", "d"]}, %o: memref<16x8xf16> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%c0, %c0] : memref<16x8xf16> -> tensor<16x8xf16, #acc>
    flash_tile.store %t, %o[%c0, %c0] : tensor<16x8xf16, #acc>, memref<16x8xf16>
    gpu.return
  }
}

// -----

// Rows past a dynamic extent are zero, and not touched.

#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @load_tail
// CHECK-SAME: %{{.*}}: !llvm.ptr<1>, %[[N32:[^:]*]]: i32, %{{[^:]*}}: i64, %[[I64:[^:]*]]: i64)
// CHECK-DAG: %[[N:.*]] = arith.index_cast %[[N32]] : i32 to index
// CHECK-DAG: %[[I:.*]] = arith.index_cast %[[I64]] : i64 to index
// CHECK: %[[LEFT:.*]] = arith.subi %[[N]], %[[I]] : index
// CHECK: %[[MOST:.*]] = arith.minsi %[[LEFT]], %c16 : index
// CHECK: %[[REST:.*]] = arith.maxsi %[[MOST]], %c0 : index
// CHECK: %[[VALID:.*]] = arith.index_cast %[[REST]] : index to i32
// CHECK: %[[IN:.*]] = arith.cmpi slt, %[[ROW:.*]], %[[VALID]] : i32
// CHECK: scf.if %[[IN]] -> (f32) {
// CHECK:   llvm.load
// CHECK: } else {
// CHECK:   scf.yield %cst : f32
// CHECK: %[[ROW8:.*]] = arith.addi %[[ROW]], %c8_i32 : i32
// CHECK: %[[IN8:.*]] = arith.cmpi slt, %[[ROW8]], %[[VALID]] : i32
// CHECK: scf.if %[[IN8]] -> (f32) {
gpu.module @m {
  gpu.func @load_tail(%m: memref<?xf32, strided<[?], offset: ?>> {flash_tile.dims = ["sq"]}, %i: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq"]} {
    %t = flash_tile.load %m[%i] : memref<?xf32, strided<[?], offset: ?>> -> tensor<16xf32, #row>
    %e = math.exp2 %t : tensor<16xf32, #row>
    flash_tile.store %e, %m[%i] : tensor<16xf32, #row>, memref<?xf32, strided<[?], offset: ?>>
    gpu.return
  }
}

// -----

// Four lanes hold copies of a row statistic: the first of them stores it, where
// the row exists.

#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @store_replicated
// CHECK: %[[TID:.*]] = nvvm.read.ptx.sreg.tid.x
// CHECK: %[[COPY:.*]] = arith.andi %[[TID]], %c3_i32 : i32
// CHECK: %[[FIRST:.*]] = arith.cmpi eq, %[[COPY]], %c0_i32 : i32
// CHECK: scf.if %[[FIRST]] {
// CHECK:   %[[IN:.*]] = arith.cmpi slt, %[[ROW:.*]], %[[VALID:.*]] : i32
// CHECK:   scf.if %[[IN]] {
// CHECK:     llvm.store %{{.*}}, %{{.*}} {alignment = 4 : i64} : f32, !llvm.ptr<1>
// CHECK:   }
// CHECK:   %[[ROW8:.*]] = arith.addi %[[ROW]], %c8_i32
// CHECK:   %[[IN8:.*]] = arith.cmpi slt, %[[ROW8]], %[[VALID]] : i32
// CHECK:   scf.if %[[IN8]] {
// CHECK:     llvm.store
// CHECK-NOT: llvm.store
gpu.module @m {
  gpu.func @store_replicated(%m: memref<?xf32, strided<[?], offset: ?>> {flash_tile.dims = ["sq"]}, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq"]} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.splat %x : f32 -> tensor<16xf32, #row>
    flash_tile.store %t, %m[%c0] : tensor<16xf32, #row>, memref<?xf32, strided<[?], offset: ?>>
    gpu.return
  }
}

// -----

// Eight 16-bit neighbours are one 16-byte store where base, rows and the
// innermost stride turn out to allow it; single elements otherwise.

#wide = #flash_tile.layout<register = [[0, 1], [0, 2], [0, 4]], lane = [[0, 8], [1, 0], [2, 0], [4, 0], [8, 0]]>

// CHECK-LABEL: gpu.func @store_wide
// CHECK: %[[ADDRESS:.*]] = llvm.ptrtoint
// CHECK: arith.andi %{{.*}}, %c15_i64 : i64
// CHECK: %[[UNIT:.*]] = arith.cmpi eq, %{{.*}}, %c1 : index
// CHECK: %[[ALIGNED:.*]] = arith.andi %{{.*}}, %[[UNIT]] : i1
// CHECK: scf.if %[[ALIGNED]] {
// CHECK:   %[[IN:.*]] = arith.cmpi slt, %{{.*}}, %[[VALID:.*]] : i32
// CHECK:   scf.if %[[IN]] {
// CHECK:     llvm.store %{{.*}}, %{{.*}} {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<1>
// CHECK-NOT: llvm.store
// CHECK: } else {
// CHECK-COUNT-8: llvm.store %{{.*}}, %{{.*}} {alignment = 2 : i64} : i16, !llvm.ptr<1>
// CHECK-NOT: llvm.store
gpu.module @m {
  gpu.func @store_wide(%m: memref<?x16xf16, strided<[?, ?], offset: ?>> {flash_tile.dims = ["sq", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sq"]} {
    %c0 = arith.constant 0 : index
    %t = arith.constant dense<1.0> : tensor<16x16xf16, #wide>
    flash_tile.store %t, %m[%c0, %c0] : tensor<16x16xf16, #wide>, memref<?x16xf16, strided<[?, ?], offset: ?>>
    gpu.return
  }
}

// -----

// A run of registers that begins inside the memref may end outside: wide stores
// are taken only where columns end with a run.

#wide = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @store_odd_columns
// CHECK-NOT: vector<4xf32>
// CHECK-COUNT-4: llvm.store %{{.*}}, %{{.*}} {alignment = 4 : i64} : f32, !llvm.ptr<1>
// CHECK-NOT: llvm.store
gpu.module @m {
  gpu.func @store_odd_columns(%m: memref<8x14xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %t = arith.constant dense<1.0> : tensor<8x16xf32, #wide>
    flash_tile.store %t, %m[%c0, %c0] : tensor<8x16xf32, #wide>, memref<8x14xf32>
    gpu.return
  }
}

// -----

// CHECK-LABEL: gpu.func @store_dynamic_columns
// CHECK: %[[OVER:.*]] = arith.remui %{{.*}}, %c4_i32 : i32
// CHECK: arith.cmpi eq, %[[OVER]], %c0_i32 : i32
#wide = #flash_tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [1, 0], [2, 0], [4, 0]]>
gpu.module @m {
  gpu.func @store_dynamic_columns(%m: memref<8x?xf32> {flash_tile.dims = ["s", "sk"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["sk"]} {
    %c0 = arith.constant 0 : index
    %t = arith.constant dense<1.0> : tensor<8x16xf32, #wide>
    flash_tile.store %t, %m[%c0, %c0] : tensor<8x16xf32, #wide>, memref<8x?xf32>
    gpu.return
  }
}

// -----

// Offsets of whole tensors are 64-bit, products of index.

#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @origin
// CHECK-SAME: %[[P:[^:]*]]: !llvm.ptr<1>, %{{[^:]*}}: i32, %[[S0:[^:]*]]: i64, %{{[^:]*}}: i64, %[[B64:[^:]*]]: i64)
// CHECK-DAG: %[[B:.*]] = arith.index_cast %[[B64]] : i64 to index
// CHECK-DAG: %[[STRIDE:.*]] = arith.index_cast %[[S0]] : i64 to index
// CHECK: %[[OFFSET:.*]] = arith.muli %[[B]], %[[STRIDE]] : index
// CHECK: %[[OFFSET64:.*]] = arith.index_cast %[[OFFSET]] : index to i64
// CHECK: llvm.getelementptr %[[P]][%[[OFFSET64]]] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, f32
gpu.module @m {
  gpu.func @origin(%m: memref<?x16xf32, strided<[?, 1], offset: ?>> {flash_tile.dims = ["b", "s"]}, %b: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = ["b"]} {
    %c0 = arith.constant 0 : index
    %t = flash_tile.load %m[%b, %c0] : memref<?x16xf32, strided<[?, 1], offset: ?>> -> tensor<16xf32, #row>
    flash_tile.store %t, %m[%b, %c0] : tensor<16xf32, #row>, memref<?x16xf32, strided<[?, 1], offset: ?>>
    gpu.return
  }
}
