// RUN: flash-opt %s --flash-expand-modifiers --flash-to-tile | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x?x64xbf16>
!o = memref<1x8x?x64xf32>
!l = memref<1x8x?xf32>

// The kernel's arguments come in ABI order, whatever the function's order; what
// the op does not use is dropped. Output in f32 is not rounded.

// CHECK-LABEL: gpu.func @reordered(
// CHECK-SAME:    %[[Q:.*]]: memref<1x8x?x64xbf16> {flash_tile.dims = ["b", "hq", "sq", "d"], flash_tile.role = "q"}
// CHECK-SAME:    %[[K:.*]]: memref<1x8x?x64xbf16> {flash_tile.dims = ["b", "hkv", "sk", "d"], flash_tile.role = "k"}
// CHECK-SAME:    %[[V:.*]]: memref<1x8x?x64xbf16> {flash_tile.dims = ["b", "hkv", "sk", "dv"], flash_tile.role = "v"}
// CHECK-SAME:    %[[O:.*]]: memref<1x8x?x64xf32> {flash_tile.dims = ["b", "hq", "sq", "dv"], flash_tile.role = "o"}
// CHECK-SAME:    %[[L:.*]]: memref<1x8x?xf32> {flash_tile.dims = ["b", "hq", "sq"], flash_tile.role = "lse"}
// CHECK-SAME:    %{{.*}}: f32 {flash_tile.role = "scale"}) kernel
// CHECK:         flash_tile.load %[[Q]]
// CHECK:         flash_tile.load %[[K]]
// CHECK:         flash_tile.load %[[V]]
// CHECK:         flash_tile.store %{{.*}}, %[[O]][{{.*}}] : tensor<64x64xf32>
// CHECK:         flash_tile.store %{{.*}}, %[[L]][{{.*}}] : tensor<64xf32>
// CHECK-NOT:   func.func
func.func @reordered(%unused: index, %l: !l, %v: !t, %o: !o, %k: !t, %q: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o, lse = %l : !o, !l) {schedule = #s}
  return
}

// Scalars that the regions capture, and offsets, follow the scale. An index is
// passed as i64; what is computed from arguments is computed in the kernel. They
// are named after the function's arguments.

// CHECK-LABEL: gpu.func @captures(
// CHECK-SAME:    f32 {flash_tile.role = "scale"}
// CHECK-SAME:    %[[BIAS:[^:]*]]: f32 {flash_tile.name = "argument4", flash_tile.role = "capture"}
// CHECK-SAME:    %[[REACH:[^:]*]]: i64 {flash_tile.name = "argument5", flash_tile.role = "capture"}
// CHECK-SAME:    %[[START:[^:]*]]: i64 {flash_tile.name = "argument6", flash_tile.role = "capture"}) kernel
// CHECK-DAG:     %[[REACHI:.*]] = arith.index_cast %[[REACH]] : i64 to index
// CHECK-DAG:     %[[STARTI:.*]] = arith.index_cast %[[START]] : i64 to index
// CHECK-DAG:     %[[OFFSET:.*]] = arith.muli %[[STARTI]], %{{.*}} : index
// The bounds of the tiles are computed with either number cut off.
// CHECK:         arith.maxsi %[[OFFSET]], %c-1099511627776 : index
// CHECK:         arith.maxsi %[[REACHI]], %c-70368744177664 : index
// CHECK:         scf.for
// CHECK:           flash_tile.splat %[[BIAS]] : f32 -> tensor<64x32xf32>
// CHECK:           scf.if
// CHECK:           } else {
// CHECK:             %[[ABSOLUTE:.*]] = arith.addi %{{.*}}, %[[OFFSET]] : index
// CHECK:             %[[FIRST:.*]] = arith.subi %[[ABSOLUTE]], %[[REACHI]] : index
// CHECK:             arith.maxsi %[[FIRST]], %{{.*}} : index
func.func @captures(%q: !t, %k: !t, %v: !t, %o: !t, %bias: f32, %reach: index, %start: index) {
  %c16 = arith.constant 16 : index
  %offset = arith.muli %start, %c16 : index
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%bias, %reach : f32, index) offset_q(%offset)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: f32, %w: index):
      %r = arith.addf %s, %c : f32
      flash.yield %r : f32
    } mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %c: f32, %w: index):
      %first = arith.subi %i, %w : index
      %r = arith.cmpi sge, %j, %first : index
      flash.yield %r : i1
    }
  return
}
