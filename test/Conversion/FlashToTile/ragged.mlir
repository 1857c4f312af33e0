// RUN: flash-opt %s --flash-to-tile | FileCheck %s

// Without a mask, only the keys past the end have to be hidden: in the first
// iteration, which has the last tile.

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>

// CHECK-LABEL: gpu.func @known
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[ONE:.*]] = arith.constant 1 : index
// CHECK-DAG:     %[[TILES:.*]] = arith.constant 4 : index
// CHECK-DAG:     %[[END:.*]] = arith.constant 100 : index
// CHECK:         scf.for %[[I:.*]] = %[[ZERO]] to %[[TILES]] step
// CHECK:           %[[K0:.*]] = arith.muli
// CHECK:           %[[S:.*]] = flash_tile.dot
// CHECK:           %[[FULL:.*]] = flash_tile.in_range %[[I]] from %[[ONE]] to %[[TILES]]
// CHECK:           scf.if %[[FULL]]
// CHECK-NEXT:        scf.yield %[[S]]
// CHECK-NEXT:      } else {
// CHECK:             %[[LEFT:.*]] = arith.subi %[[END]], %[[K0]]
// CHECK:             arith.maxsi %[[LEFT]]
// CHECK:             %[[LEFT32:.*]] = arith.index_cast %{{.*}} : index to i32
// CHECK-DAG:         %[[J:.*]] = flash_tile.index axis 1 : tensor<64x32xi32>
// CHECK-DAG:         %[[BOUND:.*]] = flash_tile.splat %[[LEFT32]] : i32 -> tensor<64x32xi32>
// CHECK:             %[[IN:.*]] = arith.cmpi slt, %[[J]], %[[BOUND]]
// CHECK:             arith.select %[[IN]], %[[S]], %{{.*}} : tensor<64x32xi1>, tensor<64x32xf32>
// CHECK:           scf.if %[[FULL]]
func.func @known(%q: memref<1x1x50x64xbf16>, %k: memref<1x1x100x64xbf16>, %o: memref<1x1x50x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x1x50x64xbf16>, memref<1x1x100x64xbf16>, memref<1x1x100x64xbf16>)
    outs(output = %o : memref<1x1x50x64xbf16>) {schedule = #s}
  return
}

// CHECK-LABEL: gpu.func @unknown
// CHECK:         %[[SK:.*]] = memref.dim %{{.*}}, %{{.*}} : memref<1x1x?x64xbf16>
// CHECK:         %[[LAST:.*]] = arith.addi %[[SK]], %c-1
// CHECK:         %[[LASTT:.*]] = arith.floordivsi %[[LAST]], %c32
// CHECK:         %[[TILES:.*]] = arith.addi %[[LASTT]], %c1
// CHECK:         %[[HI:.*]] = arith.maxsi %[[TILES]], %c0
// CHECK:         %[[WHOLE:.*]] = arith.floordivsi %[[SK]], %c32
// CHECK:         %[[MIN:.*]] = arith.minsi %[[WHOLE]], %[[HI]]
// CHECK:         %[[FULLHI:.*]] = arith.maxsi %[[MIN]], %c0
// CHECK:         %[[FIRST:.*]] = arith.subi %[[HI]], %[[FULLHI]]
// CHECK:         scf.for %[[I:.*]] = %c0 to %[[HI]] step
// CHECK:           flash_tile.in_range %[[I]] from %[[FIRST]] to %[[HI]]
func.func @unknown(%q: memref<1x1x50x64xbf16>, %k: memref<1x1x?x64xbf16>, %o: memref<1x1x50x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x1x50x64xbf16>, memref<1x1x?x64xbf16>, memref<1x1x?x64xbf16>)
    outs(output = %o : memref<1x1x50x64xbf16>) {schedule = #s}
  return
}
