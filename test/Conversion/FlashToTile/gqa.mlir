// RUN: flash-opt %s --flash-to-tile | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>

// CHECK-LABEL: gpu.func @gqa
// CHECK-SAME:    flash_tile.group = 6 : i64
// CHECK:         %[[H:.*]] = gpu.block_id y
// CHECK:         %[[HK:.*]] = arith.floordivsi %[[H]], %c6
// CHECK:         flash_tile.load %{{.*}}[%{{.*}}, %[[H]],
// CHECK:         flash_tile.load %{{.*}}[%{{.*}}, %[[HK]],
// CHECK:         flash_tile.load %{{.*}}[%{{.*}}, %[[HK]],
// CHECK:         flash_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %[[H]],
func.func @gqa(%q: memref<1x12x64x64xbf16>, %k: memref<1x2x64x64xbf16>, %o: memref<1x12x64x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x12x64x64xbf16>, memref<1x2x64x64xbf16>, memref<1x2x64x64xbf16>)
    outs(output = %o : memref<1x12x64x64xbf16>) {schedule = #s}
  return
}
