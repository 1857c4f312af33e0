// RUN: flash-opt %s --flash-expand-modifiers --flash-to-tile | FileCheck %s
// RUN: not flash-opt %S/Inputs/slices.mlir --flash-to-tile 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: tile_v: expected a divisor of the value head dim 64, got 48

// The steps of the ladder that the body of the kernel is made of, one at a time
// against level 9 (causal.mlir, dense-static.mlir, ragged.mlir).

!t = memref<1x8x256x64xbf16>
!l = memref<1x8x256xf32>

// Scores in natural units: scale first, log2(e) behind the maximum.

// CHECK-LABEL: gpu.func @fold_scale
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32 {flash_tile.role = "scale"}
// CHECK:         %[[T:.*]] = flash_tile.splat %[[SCALE]]
// CHECK:         scf.for
// CHECK:           %[[QK:.*]] = flash_tile.dot
// CHECK:           %[[S:.*]] = arith.mulf %[[QK]], %[[T]]
// CHECK:           %[[MAX:.*]] = flash_tile.reduce max %[[S]]
// CHECK:           %[[D:.*]] = arith.subf %[[S]]
// CHECK:           %[[E:.*]] = arith.mulf %[[D]]
// CHECK:           math.exp2 %[[E]]
func.func @fold_scale(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #flash.schedule<chip = "sm_80", level = 9,
      tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = false, fold_scale = false>}
  return
}

// O = (O * l_old * alpha + P V) / l_new in the loop; nothing behind it but the
// rounding. A mask may leave a row without a key: then 1 / l is 0.

// CHECK-LABEL: gpu.func @defer_normalisation
// CHECK:         %[[LOOP:.*]]:3 = scf.for {{.*}} iter_args(%[[O:.*]] = %{{.*}}, %{{.*}} = %{{.*}}, %[[L:.*]] = %{{.*}})
// CHECK:           %[[SUM:.*]] = flash_tile.reduce add
// CHECK:           %[[OLD:.*]] = arith.mulf %[[L]], %{{.*}} : tensor<64xf32>
// CHECK:           %[[NEW:.*]] = arith.addf %[[OLD]], %[[SUM]]
// CHECK:           %[[OLDT:.*]] = flash_tile.expand %[[OLD]] axis 1
// CHECK:           %[[SCALED:.*]] = arith.mulf %[[O]], %[[OLDT]]
// CHECK:           %[[PV:.*]] = flash_tile.dot %{{.*}}, %{{.*}}, %[[SCALED]]
// CHECK:           %[[DEAD:.*]] = arith.cmpf oeq, %[[NEW]]
// CHECK:           %[[INVERSE:.*]] = arith.divf %{{.*}}, %[[NEW]]
// CHECK:           %[[ALIVE:.*]] = arith.select %[[DEAD]], %{{.*}}, %[[INVERSE]]
// CHECK:           %[[ALIVET:.*]] = flash_tile.expand %[[ALIVE]] axis 1
// CHECK:           %[[NEXT:.*]] = arith.mulf %[[PV]], %[[ALIVET]]
// CHECK:           scf.yield %[[NEXT]]
// CHECK:         %[[ROUNDED:.*]] = arith.truncf %[[LOOP]]#0
// CHECK:         flash_tile.store %[[ROUNDED]]
func.func @defer_normalisation(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {causal = #flash.causal<bottom_right>,
      schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64,
      tile_k = 32, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = false, defer_normalisation = false>}
  return
}

// The mask in every live tile: no bands, but dead tiles are not visited.

// CHECK-LABEL: gpu.func @split_bands
// CHECK-NOT:     flash_tile.in_range
// CHECK:         %[[LAST:.*]] = arith.minsi
// CHECK:         scf.for
// CHECK-NOT:     scf.if
// CHECK:           flash_tile.dot
// CHECK-NOT:     scf.if
// CHECK:           arith.select
// CHECK:           flash_tile.reduce max
// CHECK:         gpu.return
func.func @split_bands(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {causal = #flash.causal<bottom_right>,
      schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64,
      tile_k = 32, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = false, split_bands = false>}
  return
}

// Four CTAs share the columns of V and O; the first says the LSE.

// CHECK-LABEL: gpu.func @tile_v
// CHECK-SAME:    flash_tile.grid = ["ceildiv(sq, 64) * 4", "hq", "b"]
// CHECK-DAG:     %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG:     %[[C16:.*]] = arith.constant 16 : index
// CHECK-DAG:     %[[C0:.*]] = arith.constant 0 : index
// CHECK:         %[[BLOCK:.*]] = gpu.block_id x
// CHECK:         %[[SLICE:.*]] = arith.remui %[[BLOCK]], %[[C4]]
// CHECK:         arith.divui %[[BLOCK]], %[[C4]]
// CHECK:         %[[COLUMN:.*]] = arith.muli %[[SLICE]], %[[C16]]
// CHECK:         scf.for
// CHECK:           flash_tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[C0]]] : {{.*}} -> tensor<32x64xbf16>
// CHECK:           flash_tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[COLUMN]]] : {{.*}} -> tensor<32x16xbf16>
// CHECK:         flash_tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %[[COLUMN]]] : tensor<64x16xbf16>
// CHECK:         %[[FIRST:.*]] = arith.cmpi eq, %[[SLICE]], %[[C0]]
// CHECK:         scf.if %[[FIRST]]
// CHECK:           flash_tile.store %{{.*}} : tensor<64xf32>
func.func @tile_v(%q: !t, %k: !t, %v: !t, %o: !t, %l: !l) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o, lse = %l : !t, !l) {schedule = #flash.schedule<
      chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4,
      stages_k = 1, stages_v = 1, query_in_registers = false, tile_v = 16>}
  return
}
