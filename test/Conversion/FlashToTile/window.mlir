// RUN: flash-opt %s --flash-expand-modifiers --flash-to-tile | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
#strided = strided<[?, ?, ?, ?], offset: ?>
!t = memref<?x?x?x64xbf16, #strided>

// Both sides bounded: the loop neither starts at the last tile of the keys nor
// ends at the first one, and tiles keep their order (no side grows).

// CHECK-LABEL: gpu.func @window
// CHECK:         %[[X:.*]] = gpu.block_id x
// CHECK:         %[[Q0:.*]] = arith.muli %[[X]], %c64
// CHECK:         scf.for
// CHECK:           %[[FULL:.*]] = flash_tile.in_range
// CHECK:           scf.if %[[FULL]]
// CHECK:           } else {
// CHECK:             %[[LEFT:.*]] = arith.cmpi sge, %[[J:.*]], %{{.*}} : tensor<64x32xi32>
// CHECK:             %[[RIGHT:.*]] = arith.cmpi sle, %[[J]], %{{.*}} : tensor<64x32xi32>
// CHECK:             %[[BOTH:.*]] = arith.andi %[[LEFT]], %[[RIGHT]]
// CHECK:             arith.select
func.func @window(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, group = 1 : i64, window = array<i64: 100, 20>}
  return
}
