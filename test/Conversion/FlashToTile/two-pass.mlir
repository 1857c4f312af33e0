// RUN: flash-opt %s --flash-to-tile | FileCheck %s

// softmax = two_pass: the row maximum in one loop over the keys; then the scores
// again, their sum and the output in another, in which nothing is rescaled. The
// output is divided by the sum once.

#s = #flash.schedule<chip = "sm_80", level = 0, tile_q = 32, tile_k = 16, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, softmax = two_pass, copies = none, qk = fma, pv = fma, ldmatrix = false, swizzle = false, fold_scale = false, defer_normalisation = false, split_bands = false>

// CHECK-LABEL: gpu.func @dense
// CHECK: %[[MAX:.*]] = scf.for {{.*}} iter_args(%[[SOFAR:.*]] = %{{.*}}) -> (tensor<32xf32>)
// CHECK: %[[S:.*]] = flash_tile.dot {{.*}} on fma {transpose_b}
// CHECK: flash_tile.reduce max
// CHECK: arith.maxnumf %[[SOFAR]]
// CHECK-NOT: flash_tile.dot
// CHECK: scf.yield
// CHECK: %[[RESULT:.*]]:2 = scf.for {{.*}} -> (tensor<32x64xf32>, tensor<32xf32>)
// CHECK: flash_tile.dot {{.*}} on fma {transpose_b}
// CHECK-NOT: flash_tile.reduce max
// CHECK: flash_tile.expand %[[MAX]] axis 1
// CHECK: math.exp2
// CHECK-NOT: math.exp2
// CHECK: flash_tile.reduce add
// CHECK: flash_tile.dot {{.*}} on fma :
// CHECK: scf.yield
// CHECK: arith.divf %{{.*}}, %[[RESULT]]#1
// CHECK: arith.mulf %[[RESULT]]#0
// CHECK: flash_tile.store
func.func @dense(%q: memref<1x2x64x64xbf16>, %k: memref<1x2x64x64xbf16>, %o: memref<1x2x64x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x2x64x64xbf16>, memref<1x2x64x64xbf16>, memref<1x2x64x64xbf16>)
    outs(output = %o : memref<1x2x64x64xbf16>) {schedule = #s}
  return
}
