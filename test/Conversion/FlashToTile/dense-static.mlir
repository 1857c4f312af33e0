// RUN: flash-opt %s --flash-to-tile | FileCheck %s

// No mask, and tiles that divide the sizes: no mask code, no guard, all bounds
// are constants.

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>

// CHECK-LABEL: gpu.func @dense(
// CHECK-SAME:    flash_tile.dims = ["b", "hq", "sq", "d"], flash_tile.role = "q"
// CHECK-SAME:    flash_tile.dims = ["b", "hkv", "sk", "d"], flash_tile.role = "k"
// CHECK-SAME:    flash_tile.dims = ["b", "hkv", "sk", "dv"], flash_tile.role = "v"
// CHECK-SAME:    flash_tile.dims = ["b", "hq", "sq", "dv"], flash_tile.role = "o"
// CHECK-SAME:    %[[SCALE:.*]]: f32 {flash_tile.role = "scale"}) kernel attributes
// CHECK-SAME:    flash_tile.grid = ["ceildiv(sq, 64)", "hq", "b"]
// CHECK-SAME:    flash_tile.group = 1 : i64
// CHECK-SAME:    flash_tile.scale = 1.250000e-01 : f32
// CHECK-SAME:    flash_tile.sizes = ["b", "hq", "hkv", "sq", "sk"]
// CHECK-SAME:    known_block_size = array<i32: 128, 1, 1>
// CHECK-DAG:     %[[LAST:.*]] = arith.constant 7 : index
// CHECK-DAG:     %[[TILES:.*]] = arith.constant 8 : index
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[TK:.*]] = arith.constant 32 : index
// CHECK-DAG:     %[[TQ:.*]] = arith.constant 64 : index
// CHECK-DAG:     %[[X:.*]] = gpu.block_id x
// CHECK-DAG:     %[[H:.*]] = gpu.block_id y
// CHECK-DAG:     %[[B:.*]] = gpu.block_id z
// CHECK:         %[[Q0:.*]] = arith.muli %[[X]], %[[TQ]]
// CHECK:         %[[C:.*]] = arith.mulf %[[SCALE]], %{{.*}} : f32
// CHECK:         %[[CT:.*]] = flash_tile.splat %[[C]] : f32 -> tensor<64x32xf32>
// CHECK:         %[[CR:.*]] = flash_tile.splat %[[C]] : f32 -> tensor<64xf32>
// CHECK:         %[[CNEG:.*]] = arith.negf %[[C]] : f32
// CHECK:         %[[CNR:.*]] = flash_tile.splat %[[CNEG]] : f32 -> tensor<64xf32>
// CHECK:         %[[Q:.*]] = flash_tile.load %{{.*}}[%[[B]], %[[H]], %[[Q0]], %[[ZERO]]]
// CHECK:         scf.for %[[I:.*]] = %[[ZERO]] to %[[TILES]] step
// CHECK-SAME:      iter_args(%[[ACC:.*]] = %{{.*}}, %[[M:.*]] = %{{.*}}, %[[L:.*]] = %{{.*}})
// CHECK:           %[[J:.*]] = arith.subi %[[LAST]], %[[I]]
// CHECK:           %[[K0:.*]] = arith.muli %[[J]], %[[TK]]
// CHECK:           %[[K:.*]] = flash_tile.load %{{.*}}[%[[B]], %[[H]], %[[K0]], %[[ZERO]]]
// CHECK:           %[[S:.*]] = flash_tile.dot %[[Q]], %[[K]], %{{.*}} {transpose_b}
// CHECK-NOT:       scf.if
// CHECK-NOT:       arith.select
// CHECK:           %[[MT:.*]] = flash_tile.reduce max %[[S]] axis 1
// CHECK:           %[[MN:.*]] = arith.maxnumf %[[M]], %[[MT]]
// CHECK:           %[[NEG:.*]] = arith.mulf %[[MN]], %[[CNR]]
// CHECK:           %[[NEGT:.*]] = flash_tile.expand %[[NEG]] axis 1
// CHECK:           %[[E:.*]] = math.fma %[[S]], %[[CT]], %[[NEGT]]
// CHECK:           %[[A:.*]] = math.fma %[[M]], %[[CR]], %{{.*}}
// CHECK:           %[[P:.*]] = math.exp2 %[[E]]
// CHECK:           %[[ALPHA:.*]] = math.exp2 %[[A]]
// CHECK:           %[[LT:.*]] = flash_tile.reduce add %[[P]] axis 1
// CHECK:           %[[LN:.*]] = math.fma %[[L]], %[[ALPHA]], %[[LT]]
// CHECK:           %[[P16:.*]] = arith.truncf %[[P]] : {{.*}} to tensor<64x32xf16>
// CHECK:           %[[AT:.*]] = flash_tile.expand %[[ALPHA]] axis 1 : tensor<64xf32> -> tensor<64x72xf32>
// CHECK:           %[[ACC1:.*]] = arith.mulf %[[ACC]], %[[AT]]
// CHECK:           %[[V:.*]] = flash_tile.load %{{.*}}[%[[B]], %[[H]], %[[K0]], %[[ZERO]]]
// CHECK:           %[[ACC2:.*]] = flash_tile.dot %[[P16]], %[[V]], %[[ACC1]] :
// CHECK:           scf.yield %[[ACC2]], %[[MN]], %[[LN]]
// CHECK:         } {flash_tile.never_ragged, flash_tile.pipeline}
// CHECK-NOT:     arith.select
// CHECK:         flash_tile.store
// CHECK:         gpu.return
func.func @dense(%q: memref<2x4x256x64xf16>, %k: memref<2x4x256x64xf16>, %v: memref<2x4x256x72xf16>, %o: memref<2x4x256x72xf16>) {
  flash.attention ins(query = %q, key = %k, value = %v : memref<2x4x256x64xf16>, memref<2x4x256x64xf16>, memref<2x4x256x72xf16>)
    outs(output = %o : memref<2x4x256x72xf16>) {schedule = #s}
  return
}
