// RUN: flash-opt %s --flash-expand-modifiers --flash-to-tile | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xbf16>
!l = memref<1x8x64xf32>

// A score region takes scores in natural units: the scale is applied first, the
// maximum is taken off before log2(e) goes in.

// CHECK-LABEL: gpu.func @softcap
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32 {flash_tile.role = "scale"}
// CHECK:         %[[T:.*]] = flash_tile.splat %[[SCALE]] : f32 -> tensor<64x32xf32>
// CHECK:         scf.for %{{.*}} iter_args(%{{.*}}, %[[M:.*]] = %{{.*}}, %[[L:.*]] = %{{.*}})
// CHECK:           %[[QK:.*]] = flash_tile.dot
// CHECK:           %[[S:.*]] = arith.mulf %[[QK]], %[[T]]
// CHECK:           %[[IN:.*]] = arith.mulf %[[S]], %{{.*}}
// CHECK:           %[[TANH:.*]] = math.tanh %[[IN]]
// CHECK:           %[[OUT:.*]] = arith.mulf %[[TANH]], %{{.*}}
// CHECK:           flash_tile.reduce max %[[OUT]]
// CHECK:           %[[REF:.*]] = arith.select
// CHECK:           %[[REFT:.*]] = flash_tile.expand %[[REF]] axis 1
// CHECK:           %[[D:.*]] = arith.subf %[[OUT]], %[[REFT]]
// CHECK:           %[[E:.*]] = arith.mulf %[[D]], %{{.*}}
// CHECK:           math.exp2 %[[E]]
// CHECK:         %[[LOG:.*]] = math.log2
// CHECK:         %[[LSE:.*]] = math.fma %[[LOG]], %{{.*}}, %{{.*}}#1
// A score region may yield -inf for all keys of a row.
// CHECK:         %[[ALIVE:.*]] = arith.select %{{.*}}, %{{.*}}, %[[LSE]]
// CHECK:         flash_tile.store %[[ALIVE]]
func.func @softcap(%q: !t, %k: !t, %v: !t, %o: !t, %l: !l) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o, lse = %l : !t, !l) {schedule = #s, softcap = 15.0 : f32}
  return
}

// The slope is a scalar in front of the loop; the distance is 32-bit, relative
// to the tile.

// CHECK-LABEL: gpu.func @alibi
// CHECK:         %[[SLOPE:.*]] = math.exp2 %{{.*}} : f32
// CHECK:         scf.for
// CHECK:           %[[K0:.*]] = arith.muli
// CHECK:           %[[BASE:.*]] = arith.subi %[[K0]], %{{.*}} : index
// CHECK:           %[[BASE32:.*]] = arith.index_cast %[[BASE]] : index to i32
// CHECK:           %[[T:.*]] = flash_tile.splat %[[BASE32]]
// CHECK:           %[[R:.*]] = flash_tile.index axis 0 : tensor<64x32xi32>
// CHECK:           %[[J:.*]] = flash_tile.index axis 1 : tensor<64x32xi32>
// CHECK:           %[[F:.*]] = arith.sitofp %{{.*}} : tensor<64x32xi32> to tensor<64x32xf32>
// CHECK:           %[[SLOPET:.*]] = flash_tile.splat %[[SLOPE]] : f32 -> tensor<64x32xf32>
// CHECK:           arith.mulf %[[SLOPET]], %[[F]]
func.func @alibi(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, alibi}
  return
}

// With an unknown number of heads the slope is computed from it, still once.

// CHECK-LABEL: gpu.func @alibi_any_heads
// CHECK:         %[[HEADS:.*]] = memref.dim %{{.*}}, %c1
// CHECK:         arith.index_cast %[[HEADS]] : index to i32
// CHECK:         math.exp2 %{{.*}} : f32
// CHECK:         scf.for
func.func @alibi_any_heads(%q: memref<1x?x64x64xbf16>, %k: memref<1x?x64x64xbf16>, %o: memref<1x?x64x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x?x64x64xbf16>, memref<1x?x64x64xbf16>, memref<1x?x64x64xbf16>)
    outs(output = %o : memref<1x?x64x64xbf16>) {schedule = #s, group = 2 : i64, alibi}
  return
}

// A scale that is not positive would turn the maximum into a minimum if it were
// folded into the exponent.

// CHECK-LABEL: gpu.func @negative_scale
// CHECK:         scf.for
// CHECK:           %[[QK:.*]] = flash_tile.dot
// CHECK:           %[[S:.*]] = arith.mulf %[[QK]], %{{.*}}
// CHECK:           flash_tile.reduce max %[[S]]
// CHECK:           arith.subf %[[S]], %{{.*}}
func.func @negative_scale(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, scale = -0.5 : f32}
  return
}
