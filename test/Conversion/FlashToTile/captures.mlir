// RUN: flash-opt %s --flash-to-tile 2>/dev/null | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<2x8x?x64xbf16>

// A bias by position: factors of row and column, the CTA's first row and the
// tile's first key as bases. Only queries and keys that exist are read for.

// CHECK-LABEL: gpu.func @bias(
// CHECK-SAME:    %[[BIAS:[^:]*]]: memref<1x8x?x?xf32> {flash_tile.name = "table", flash_tile.role = "capture"}
// CHECK:         %[[HEAD:.*]] = gpu.block_id y
// CHECK:         %[[QUERIES:.*]] = memref.dim %arg0
// CHECK:         %[[KEYS:.*]] = memref.dim %arg1
// CHECK:         %[[FIRST:.*]] = arith.muli %{{.*}}, %c64
// CHECK:         scf.for
// CHECK:           %[[KEY:.*]] = arith.muli %{{.*}}, %c32
// CHECK:           %[[S:.*]] = arith.mulf %{{.*}}, %{{.*}} : tensor<64x32xf32>
// CHECK:           %[[ROWS:.*]] = arith.subi %[[QUERIES]], %[[FIRST]] : index
// CHECK:           %[[COLUMNS:.*]] = arith.subi %[[KEYS]], %[[KEY]] : index
// CHECK:           %[[B:.*]] = flash_tile.gather_elements %[[BIAS]][%c0, %[[HEAD]], %[[FIRST]], %[[KEY]]] rows [0, 0, 1, 0] columns [0, 0, 0, 1] rows_below %[[ROWS]] columns_below %[[COLUMNS]] : memref<1x8x?x?xf32> -> tensor<64x32xf32>
// CHECK:           arith.addf %[[S]], %[[B]] : tensor<64x32xf32>
func.func @bias(%q: !t, %k: !t, %v: !t, %o: !t, %bias: memref<1x8x?x?xf32> {flash.name = "table"}) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%bias : memref<1x8x?x?xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<1x8x?x?xf32>):
      %c0 = arith.constant 0 : index
      %x = memref.load %c[%c0, %h, %i, %j] : memref<1x8x?x?xf32>
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32
    }
  return
}

// What is the same for the whole CTA, and what depends on the row alone, is read
// in front of the loop.

// CHECK-LABEL: gpu.func @in_front(
// CHECK-SAME:    %[[SLOPES:[^:]*]]: memref<8xf32> {{.*}}, %[[ROWS:[^:]*]]: memref<?xf16>
// CHECK-DAG:     %[[HEAD:.*]] = gpu.block_id y
// CHECK-DAG:     flash_tile.lookup %[[SLOPES]][%[[HEAD]]] : memref<8xf32>
// CHECK-DAG:     flash_tile.gather_elements %[[ROWS]][%{{.*}}] rows [1] columns [0] rows_below %{{.*}} : memref<?xf16> -> tensor<64x32xf16>
// CHECK:         scf.for
// CHECK-NOT:       flash_tile.lookup
// CHECK-NOT:       flash_tile.gather_elements
func.func @in_front(%q: !t, %k: !t, %v: !t, %o: !t, %slopes: memref<8xf32>, %rows: memref<?xf16>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%slopes, %rows : memref<8xf32>, memref<?xf16>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<8xf32>, %d: memref<?xf16>):
      %x = memref.load %c[%h] : memref<8xf32>
      %y = memref.load %d[%i] : memref<?xf16>
      %z = arith.extf %y : f16 to f32
      %u = arith.mulf %x, %z : f32
      %r = arith.addf %s, %u : f32
      flash.yield %r : f32
    }
  return
}

// A relative table, read where it has an entry: the branch becomes a select, and
// its condition that of the read.

// CHECK-LABEL: gpu.func @guarded(
// CHECK-SAME:    %[[TABLE:[^:]*]]: memref<81xf32>
// CHECK:         scf.for
// CHECK:           %[[INSIDE:.*]] = arith.cmpi ult, %{{.*}} : tensor<64x32xi64>
// CHECK:           %[[X:.*]] = flash_tile.gather_elements %[[TABLE]][%{{.*}}] rows [-1] columns [1] rows_below %{{.*}} columns_below %{{.*}} if %[[INSIDE]] : tensor<64x32xi1> : memref<81xf32> -> tensor<64x32xf32>
// CHECK:           %[[SUM:.*]] = arith.addf %[[S:.*]], %[[X]]
// CHECK-NOT:       scf.if
// CHECK:           arith.select %[[INSIDE]], %[[SUM]], %[[S]] : tensor<64x32xi1>, tensor<64x32xf32>
func.func @guarded(%q: !t, %k: !t, %v: !t, %o: !t, %table: memref<81xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%table : memref<81xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<81xf32>):
      %c40 = arith.constant 40 : index
      %c81 = arith.constant 81 : index
      %x = arith.subi %j, %i : index
      %y = arith.addi %x, %c40 : index
      %inside = arith.cmpi ult, %y, %c81 : index
      %r = scf.if %inside -> f32 {
        %bias = memref.load %c[%y] : memref<81xf32>
        %sum = arith.addf %s, %bias : f32
        scf.yield %sum : f32
      } else {
        scf.yield %s : f32
      }
      flash.yield %r : f32
    }
  return
}

// An index that was read itself is a tile of offsets; a divisor that may be zero
// is none where it is.

// CHECK-LABEL: gpu.func @indirect(
// CHECK-SAME:    %[[WHICH:[^:]*]]: memref<?xi32> {{.*}}, %[[TABLE:[^:]*]]: memref<16xf32>
// CHECK:         scf.for
// CHECK:           %[[W:.*]] = flash_tile.gather_elements %[[WHICH]][%{{.*}}] rows [0] columns [1] columns_below %{{.*}} : memref<?xi32> -> tensor<64x32xi32>
// CHECK:           %[[ZERO:.*]] = arith.cmpi eq, %[[W]], %{{.*}} : tensor<64x32xi32>
// CHECK:           %[[BY:.*]] = arith.select %[[ZERO]], %{{.*}}, %[[W]]
// CHECK:           %[[Q:.*]] = arith.divsi %{{.*}}, %[[BY]] : tensor<64x32xi32>
// CHECK:           %[[AT:.*]] = arith.extsi %[[Q]] : tensor<64x32xi32> to tensor<64x32xi64>
// CHECK:           flash_tile.gather_elements %[[TABLE]][%{{.*}}] rows [0] columns [0] offsets(%[[AT]] at [0] : tensor<64x32xi64>) columns_below %{{.*}} : memref<16xf32> -> tensor<64x32xf32>
func.func @indirect(%q: !t, %k: !t, %v: !t, %o: !t, %which: memref<?xi32>, %table: memref<16xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%which, %table : memref<?xi32>, memref<16xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<?xi32>, %d: memref<16xf32>):
      %c60 = arith.constant 60 : i32
      %x = memref.load %c[%j] : memref<?xi32>
      %y = arith.divsi %c60, %x : i32
      %z = arith.index_cast %y : i32 to index
      %u = memref.load %d[%z] : memref<16xf32>
      %r = arith.addf %s, %u : f32
      flash.yield %r : f32
    }
  return
}

// A length that is read is a symbol of the analysis: no map, no dead tile.

// CHECK-LABEL: gpu.func @lengths(
// CHECK-SAME:    %[[LENGTHS:[^:]*]]: memref<2xi32>
// CHECK-NOT:     flash_tile.workspace_bytes
// CHECK:         %[[LENGTH:.*]] = flash_tile.lookup %[[LENGTHS]][%{{.*}}] : memref<2xi32>
// CHECK:         arith.index_cast %[[LENGTH]] : i32 to index
// CHECK:         scf.for
func.func @lengths(%q: !t, %k: !t, %v: !t, %o: !t, %lengths: memref<2xi32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%lengths : memref<2xi32>) outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %c: memref<2xi32>):
      %x = memref.load %c[%b] : memref<2xi32>
      %y = arith.index_cast %x : i32 to index
      %r = arith.cmpi slt, %j, %y : index
      flash.yield %r : i1
    }
  return
}
