// RUN: flash-opt %s --flash-decompose --split-input-file | FileCheck %s

!q = tensor<1x8x64x32xf16>
!k = tensor<1x2x96x32xf16>
!v = tensor<1x2x96x16xf16>
!o = tensor<1x8x64x16xf16>
!l = tensor<1x8x64xf32>

// CHECK-DAG: #[[QMAP:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
// CHECK-DAG: #[[KMAP:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1 floordiv 4, d3, d4)>
// CHECK-DAG: #[[VMAP:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1 floordiv 4, d4, d3)>
// CHECK-DAG: #[[SMAP:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func @static
// CHECK-SAME: %[[Q:[^:]*]]: tensor<1x8x64x32xf16>, %[[K:[^:]*]]: tensor<1x2x96x32xf16>, %[[V:[^:]*]]: tensor<1x2x96x16xf16>, %[[O:[^:]*]]: tensor<1x8x64x16xf16>, %[[L:[^:]*]]: tensor<1x8x64xf32>
// Scores, in f32.
// CHECK: linalg.generic {indexing_maps = [#[[QMAP]], #[[KMAP]], #[[SMAP]]], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%[[Q]], %[[K]] :
// CHECK-SAME: outs(%{{.*}} : tensor<1x8x64x96xf32>)
// CHECK: arith.extf
// CHECK: arith.mulf
// CHECK: arith.addf
// Scale: 1 / sqrt(32).
// CHECK: linalg.generic
// CHECK: arith.constant 0.176776692 : f32
// Maximum, exponential, sum.
// CHECK: %[[MAX:.*]] = linalg.generic
// CHECK: arith.maximumf
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK: arith.addf
// P is rounded to the type of V.
// CHECK: %[[PV:.*]] = linalg.generic {indexing_maps = [#[[QMAP]], #[[VMAP]], #[[SMAP]]]
// CHECK-SAME: outs(%{{.*}} : tensor<1x8x64x16xf32>)
// CHECK: %[[P:.*]] = arith.truncf %{{.*}} : f32 to f16
// CHECK: arith.extf %[[P]] : f16 to f32
// CHECK: %[[RO:.*]] = linalg.generic {{.*}} ins(%[[PV]], %[[SUM]] : {{.*}}) outs(%[[O]] :
// CHECK: arith.divf
// CHECK: arith.select
// CHECK: arith.truncf
// CHECK: %[[RL:.*]] = linalg.generic {{.*}} ins(%[[MAX]], %[[SUM]] : {{.*}}) outs(%[[L]] :
// CHECK: math.log
// CHECK: return %[[RO]], %[[RL]]
func.func @static(%q: !q, %k: !k, %v: !v, %o: !o, %l: !l) -> (!o, !l) {
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : !q, !k, !v) outs(output = %o, lse = %l : !o, !l) -> !o, !l
  return %0#0, %0#1 : !o, !l
}

// -----

!q = tensor<?x?x?x64xbf16>

// CHECK: affine_map<(d0, d1, d2, d3, d4) -> (d0, d1 floordiv 3, d3, d4)>
// CHECK-LABEL: func @dynamic
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x?x64xbf16>, %[[K:[^:]*]]: tensor<?x?x?x64xbf16>
// CHECK-DAG: %[[SK:.*]] = tensor.dim %[[K]], %c2{{.*}} :
// CHECK-DAG: %[[SQ:.*]] = tensor.dim %[[Q]], %c2{{.*}} :
// CHECK: %[[ALIGN:.*]] = arith.subi %[[SK]], %[[SQ]] : index
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: %[[I:.*]] = linalg.index 2 : index
// CHECK: %[[J:.*]] = linalg.index 3 : index
// CHECK: %[[P:.*]] = arith.addi %[[I]], %[[ALIGN]] : index
// CHECK: %[[M:.*]] = arith.cmpi sle, %[[J]], %[[P]] : index
// CHECK: arith.select %[[M]], %{{.*}}, %{{.*}} : f32
func.func @dynamic(%q: !q, %k: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q) outs(output = %o : !q)
    {group = 3, causal = #flash.causal<bottom_right>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x16x64xf32>

// Offsets shift the indices that the regions see; alignment and heads are
// those given.
// CHECK-LABEL: func @tile
// CHECK-SAME: %[[B:[^:]*]]: index, %[[H:[^:]*]]: index, %[[I:[^:]*]]: index, %[[J:[^:]*]]: index, %[[A:[^:]*]]: index, %[[N:[^:]*]]: index, %[[T:[^:]*]]: tensor<?x?x?x?xf32>
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: %[[B0:.*]] = linalg.index 0 : index
// CHECK: %[[B1:.*]] = arith.addi %[[B0]], %[[B]] : index
// CHECK: %[[H0:.*]] = linalg.index 1 : index
// CHECK: %[[H1:.*]] = arith.addi %[[H0]], %[[H]] : index
// CHECK: %[[I0:.*]] = linalg.index 2 : index
// CHECK: %[[I1:.*]] = arith.addi %[[I0]], %[[I]] : index
// CHECK: %[[J0:.*]] = linalg.index 3 : index
// CHECK: %[[J1:.*]] = arith.addi %[[J0]], %[[J]] : index
// CHECK: tensor.extract %[[T]][%[[B1]], %[[H1]], %[[I1]], %[[J1]]]
// CHECK: arith.addi %[[I1]], %[[A]] : index
// CHECK: arith.cmpi slt, %[[H1]], %[[N]] : index
func.func @tile(%b: index, %h: index, %i: index, %j: index, %a: index, %n: index, %table: tensor<?x?x?x?xf32>, %q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    captures(%table : tensor<?x?x?x?xf32>)
    offset_b(%b) offset_h(%h) offset_q(%i) offset_k(%j) alignment(%a) heads(%n)
    outs(output = %o : !q)
    score {
    ^bb0(%s: f32, %b0: index, %h0: index, %i0: index, %j0: index, %t: tensor<?x?x?x?xf32>):
      %x = tensor.extract %t[%b0, %h0, %i0, %j0] : tensor<?x?x?x?xf32>
      %y = arith.addf %s, %x : f32
      flash.yield %y : f32
    }
    mask {
    ^bb0(%b0: index, %h0: index, %i0: index, %j0: index, %t: tensor<?x?x?x?xf32>):
      %align = flash.alignment : index
      %x = arith.addi %i0, %align : index
      %y = arith.cmpi sle, %j0, %x : index
      %heads = flash.heads : index
      %z = arith.cmpi slt, %h0, %heads : index
      %w = arith.andi %y, %z : i1
      flash.yield %w : i1
    } -> !q
  return %0 : !q
}

// -----

!q = memref<1x2x16x64xf32, strided<[?, ?, ?, 1]>>

// The memref form is read and written through tensors.
// CHECK-LABEL: func @buffers
// CHECK-SAME: %[[Q:[^:]*]]: memref<{{.*}}>, %[[O:[^:]*]]: memref<
// CHECK: bufferization.to_tensor %[[Q]] restrict :
// CHECK: %[[INIT:.*]] = bufferization.to_tensor %[[O]] restrict writable :
// CHECK: %[[R:.*]] = linalg.generic {{.*}} outs(%[[INIT]] :
// CHECK: bufferization.materialize_in_destination %[[R]] in writable %[[O]]
func.func @buffers(%q: !q, %o: !q) {
  flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
  return
}

// -----

!q = tensor<1x4x8x16xf8E4M3FN>
!k = tensor<1x2x8x16xf8E4M3FN>
!o = tensor<1x4x8x16xbf16>

// Scales of heads multiply whole scores and whole outputs; 8-bit P is rounded
// 256 times as large.
// CHECK-DAG: #[[S:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[QHEAD:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK-DAG: #[[KHEAD:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1 floordiv 2)>
// CHECK-LABEL: func @scales_of_heads
// CHECK-SAME: %[[QS:[^:]*]]: tensor<1x4xf32>, %[[KS:[^:]*]]: tensor<1x2xf32>, %[[VS:[^:]*]]: tensor<1x2xf32>
// CHECK: %[[RAW:.*]] = linalg.generic {{.*}}"reduction"
// CHECK: arith.extf %{{.*}} : f8E4M3FN to f32
// CHECK: %[[TIMESQ:.*]] = linalg.generic {indexing_maps = [#[[S]], #[[QHEAD]], #[[S]]], {{.*}}} ins(%[[RAW]], %[[QS]] :
// CHECK: linalg.generic {indexing_maps = [#[[S]], #[[KHEAD]], #[[S]]], {{.*}}} ins(%[[TIMESQ]], %[[KS]] :
// CHECK: math.exp
// CHECK: %[[PV:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<1x4x8x8xf32>, tensor<1x2x8x16xf8E4M3FN>)
// CHECK: %[[UP:.*]] = arith.constant 2.560000e+02 : f32
// CHECK: %[[P:.*]] = arith.mulf %{{.*}}, %[[UP]]
// CHECK: arith.truncf %[[P]] : f32 to f8E4M3FN
// CHECK: arith.extf
// CHECK: arith.constant 3.906250e-03 : f32
// CHECK: linalg.generic {indexing_maps = [#[[S]], #[[KHEAD]], #[[S]]], {{.*}}} ins(%[[PV]], %[[VS]] :
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func @scales_of_heads(%q: !q, %k: !k, %qs: tensor<1x4xf32>, %ks: tensor<1x2xf32>, %vs: tensor<1x2xf32>, %o: !o) -> !o {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k)
    q_descale(%qs : tensor<1x4xf32>) k_descale(%ks : tensor<1x2xf32>) v_descale(%vs : tensor<1x2xf32>)
    outs(output = %o : !o) -> !o
  return %0 : !o
}
