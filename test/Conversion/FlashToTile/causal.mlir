// RUN: flash-opt %s --flash-expand-modifiers --flash-to-tile | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
#strided = strided<[?, ?, ?, ?], offset: ?>
!t = memref<?x?x?x64xbf16, #strided>

// One min of floor divisions bounds the loop, the last rows come first, and the
// diagonal alone hides the keys past the end.

// CHECK-LABEL: gpu.func @causal
// CHECK:         %[[X:.*]] = gpu.block_id x
// CHECK:         %[[SQ:.*]] = memref.dim
// CHECK:         %[[SK:.*]] = memref.dim
// CHECK:         %[[NQ:.*]] = arith.ceildivsi %[[SQ]], %c64
// CHECK:         %[[LASTQ:.*]] = arith.subi %[[NQ]], %c1
// CHECK:         %[[QT:.*]] = arith.subi %[[LASTQ]], %[[X]]
// CHECK:         %[[Q0:.*]] = arith.muli %[[QT]], %c64
// CHECK:         %[[ALIGN:.*]] = arith.subi %[[SK]], %[[SQ]]
// CHECK:         %[[PART:.*]] = arith.subi %[[Q0]], %[[SQ]]
// CHECK:         %[[KQ0:.*]] = arith.addi %[[PART]], %[[SK]]
// CHECK:         %[[KLAST:.*]] = arith.addi %[[KQ0]], %c63
// CHECK:         %[[DIAG:.*]] = arith.floordivsi %[[KLAST]], %c32
// CHECK:         %[[DIAG1:.*]] = arith.addi %[[DIAG]], %c1
// CHECK:         %[[END:.*]] = arith.floordivsi
// CHECK:         %[[END1:.*]] = arith.addi %[[END]], %c1
// CHECK:         %[[MIN:.*]] = arith.minsi %[[DIAG1]], %[[END1]]
// CHECK:         %[[HI:.*]] = arith.maxsi %[[MIN]], %c0
// CHECK:         %[[KNEXT:.*]] = arith.addi %[[KQ0]], %c1
// CHECK:         %[[FULL0:.*]] = arith.floordivsi %[[KNEXT]], %c32
// CHECK:         %[[FULL1:.*]] = arith.minsi %[[FULL0]], %[[HI]]
// CHECK:         %[[FULLHI:.*]] = arith.maxsi %[[FULL1]], %c0
// CHECK:         %[[FIRST:.*]] = arith.subi %[[HI]], %[[FULLHI]]
// CHECK:         scf.for %[[I:.*]] = %c0 to %[[HI]] step
// CHECK:           %[[K0:.*]] = arith.muli
// CHECK:           %[[S:.*]] = flash_tile.dot
// CHECK:           %[[FULL:.*]] = flash_tile.in_range %[[I]] from %[[FIRST]] to %[[HI]]
// CHECK:           %[[SM:.*]] = scf.if %[[FULL]]
// CHECK-NEXT:        scf.yield %[[S]]
// CHECK-NEXT:      } else {
// CHECK-NEXT:        %[[QA:.*]] = arith.addi %[[Q0]], %[[ALIGN]] : index
// CHECK-NEXT:        %[[BASE:.*]] = arith.subi %[[QA]], %[[K0]] : index
// CHECK-NEXT:        %[[LOW:.*]] = arith.maxsi %[[BASE]], %c-1073741824
// CHECK-NEXT:        %[[IN:.*]] = arith.minsi %[[LOW]], %c1073741823
// CHECK-NEXT:        %[[BASE32:.*]] = arith.index_cast %[[IN]] : index to i32
// CHECK-DAG:         %[[T:.*]] = flash_tile.splat %[[BASE32]]
// CHECK-DAG:         %[[J:.*]] = flash_tile.index axis 1 : tensor<64x32xi32>
// CHECK-DAG:         %[[R:.*]] = flash_tile.index axis 0 : tensor<64x32xi32>
// CHECK:             %[[BOUND:.*]] = arith.addi %[[R]], %[[T]]
// CHECK:             %[[KEEP:.*]] = arith.cmpi sle, %[[J]], %[[BOUND]]
// CHECK-NEXT:        %[[MASKED:.*]] = arith.select %[[KEEP]], %[[S]], %{{.*}}
// CHECK-NEXT:        scf.yield %[[MASKED]]
// CHECK:           %[[MT:.*]] = flash_tile.reduce max %[[SM]] axis 1
// CHECK:           %[[MN:.*]] = arith.maxnumf %{{.*}}, %[[MT]]
// CHECK:           scf.if %[[FULL]]
// CHECK-NEXT:        scf.yield %[[MN]]
// CHECK-NEXT:      } else {
// CHECK-NEXT:        %[[DEAD:.*]] = arith.cmpf oeq, %[[MN]], %{{.*}}
// CHECK-NEXT:        arith.select %[[DEAD]], %{{.*}}, %[[MN]]
// CHECK:         arith.cmpf oeq
// CHECK:         arith.divf
// CHECK:         arith.select
func.func @causal(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, group = 1 : i64, causal = #flash.causal<bottom_right>}
  return
}

// The diagonal runs through the first key: keys past the end remain to be
// hidden where sq > sk.

// CHECK-LABEL: gpu.func @top_left
// CHECK:         scf.if
// CHECK:         } else {
// CHECK:           %[[DIAG:.*]] = arith.cmpi sle
// CHECK:           %[[END:.*]] = arith.cmpi slt
// CHECK:           arith.andi %[[DIAG]], %[[END]] : tensor<64x32xi1>
func.func @top_left(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, group = 1 : i64, causal = #flash.causal<top_left>}
  return
}

// Known sizes that the tiles divide: the bounds need no clamping to the end.

// CHECK-LABEL: gpu.func @known
// CHECK:         %[[Q0:.*]] = arith.muli
// CHECK:         %[[LAST:.*]] = arith.addi %[[Q0]], %c63
// CHECK:         %[[DIAG:.*]] = arith.floordivsi %[[LAST]], %c32
// CHECK:         %[[HI0:.*]] = arith.addi %[[DIAG]], %c1
// CHECK-NEXT:    %[[HI:.*]] = arith.maxsi %[[HI0]], %c0
// CHECK:         scf.for %{{.*}} = %c0 to %[[HI]]
func.func @known(%q: memref<1x1x256x64xbf16>, %k: memref<1x1x256x64xbf16>, %o: memref<1x1x256x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x1x256x64xbf16>, memref<1x1x256x64xbf16>, memref<1x1x256x64xbf16>)
    outs(output = %o : memref<1x1x256x64xbf16>) {schedule = #s, causal = #flash.causal<bottom_right>}
  return
}
