// RUN: flash-opt %s --flash-to-tile --verify-diagnostics | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xbf16>

// What depends on b, h and constants only is computed once, as scalars. Integer
// arithmetic that is not affine falls back to 64-bit tiles, and the mask is then
// applied to every tile.

// CHECK-LABEL: gpu.func @fallback(
// CHECK:         %[[H:.*]] = gpu.block_id y
// CHECK:         %[[STEP:.*]] = arith.addi %[[H]], %{{.*}} : index
// CHECK:         scf.for
// CHECK:           %[[S:.*]] = flash_tile.dot
// CHECK:           flash_tile.in_range
// CHECK:           %[[J:.*]] = flash_tile.index axis 1 : tensor<64x32xi32>
// CHECK:           %[[WIDE:.*]] = arith.extsi %[[J]] : tensor<64x32xi32> to tensor<64x32xi64>
// CHECK:           %[[REM:.*]] = arith.remsi %{{.*}}, %{{.*}} : tensor<64x32xi64>
// CHECK:           %[[KEEP:.*]] = arith.cmpi ne, %[[REM]], %{{.*}} : tensor<64x32xi64>
// CHECK:           arith.select %[[KEEP]], %[[S]]
func.func @fallback(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c0 = arith.constant 0 : index
      %c2 = arith.constant 2 : index
      %step = arith.addi %h, %c2 : index
      // expected-remark @below {{mask: 'arith.remsi' is not affine in q and k; left out of the ranges of tiles}}
      %rest = arith.remsi %j, %step : index
      %r = arith.cmpi ne, %rest, %c0 : index
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'fallback_block_map' in front of 'fallback'}}
      flash.yield %r : i1
    }
  return
}

// 2 * (k - q) <= 5 with 32-bit coordinates and one scalar base.

// CHECK-LABEL: gpu.func @sloped
// CHECK:           } else {
// CHECK:             %[[BASE:.*]] = arith.index_cast %{{.*}} : index to i32
// CHECK-DAG:         %[[BASET:.*]] = flash_tile.splat %[[BASE]]
// CHECK-DAG:         %[[J:.*]] = flash_tile.index axis 1
// CHECK-DAG:         %[[J2:.*]] = arith.muli %[[J]], %{{.*}} : tensor<64x32xi32>
// CHECK-DAG:         %[[R:.*]] = flash_tile.index axis 0
// CHECK-DAG:         %[[R2:.*]] = arith.muli %[[R]], %{{.*}} : tensor<64x32xi32>
// CHECK:             %[[BOUND:.*]] = arith.addi %[[R2]], %[[BASET]]
// CHECK:             arith.cmpi sle, %[[J2]], %[[BOUND]] : tensor<64x32xi32>
func.func @sloped(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c2 = arith.constant 2 : index
      %c5 = arith.constant 5 : index
      %d = arith.subi %j, %i : index
      %d2 = arith.muli %d, %c2 : index
      %r = arith.cmpi sle, %d2, %c5 : index
      flash.yield %r : i1
    }
  return
}

// A condition on b and h alone is one scalar, spread over the tile.

// CHECK-LABEL: gpu.func @uniform
// CHECK:         %[[H:.*]] = gpu.block_id y
// CHECK:         arith.cmpi sge
// CHECK:         scf.for
func.func @uniform(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c4 = arith.constant 4 : index
      %r = arith.cmpi slt, %h, %c4 : index
      flash.yield %r : i1
    }
  return
}

// A distance in f32: converted from 32 bits.

// CHECK-LABEL: gpu.func @distance
// CHECK:         scf.for
// CHECK:           arith.sitofp %{{.*}} : tensor<64x32xi32> to tensor<64x32xf32>
// CHECK:           math.absf %{{.*}} : tensor<64x32xf32>
func.func @distance(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %d = arith.subi %j, %i : index
      %d64 = arith.index_cast %d : index to i64
      %f = arith.sitofp %d64 : i64 to f32
      %a = math.absf %f : f32
      %r = arith.subf %s, %a : f32
      flash.yield %r : f32
    }
  return
}

// A division that may trap is not moved in front of the loop, nor is what uses
// it; what comes before it is. There, it is given a divisor that is not zero.

// CHECK-LABEL: gpu.func @trapping(
// CHECK:         %[[H:.*]] = gpu.block_id y
// CHECK:         %[[PLUS:.*]] = arith.addi %[[H]], %c7 : index
// CHECK-NOT:     arith.divsi
// CHECK:         scf.for
// CHECK:           %[[ZERO:.*]] = arith.cmpi eq, %[[H]], %c0 : index
// CHECK:           %[[BY:.*]] = arith.select %[[ZERO]], %c1, %[[H]] : index
// CHECK:           %[[DIV:.*]] = arith.divsi %[[PLUS]], %[[BY]] : index
// CHECK:           arith.addi %[[DIV]], %{{.*}} : index
func.func @trapping(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c7 = arith.constant 7 : index
      %plus = arith.addi %h, %c7 : index
      // expected-remark @below {{mask: 'arith.divsi' is not affine in q and k}}
      %last = arith.divsi %plus, %h : index
      %more = arith.addi %last, %c7 : index
      %r = arith.cmpi sle, %j, %more : index
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'trapping_block_map' in front of 'trapping'}}
      flash.yield %r : i1
    }
  return
}
