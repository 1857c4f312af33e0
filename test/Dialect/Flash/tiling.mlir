// RUN: flash-opt %s --transform-interpreter --canonicalize --cse --split-input-file --verify-diagnostics | FileCheck %s

!q = tensor<2x8x256x64xf16>
!k = tensor<2x2x384x64xf16>

// Query heads move by whole groups; a tile knows where it is, and the
// alignment and the heads of the whole problem.
// CHECK-DAG: #[[HEADS:.*]] = affine_map<(d0) -> (d0 * 4)>
// CHECK-LABEL: func @batch_heads_queries
// CHECK-SAME: %[[Q:[^:]*]]: tensor<2x8x256x64xf16>, %[[K:[^:]*]]: tensor<2x2x384x64xf16>, %[[O:[^:]*]]: tensor<2x8x256x64xf16>
// CHECK-DAG: %[[ALIGN:.*]] = arith.constant 128 : index
// CHECK-DAG: %[[ALL:.*]] = arith.constant 8 : index
// CHECK: scf.for %[[B:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args
// CHECK: scf.for %[[H:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[ACC:.*]] = %
// CHECK-DAG: %[[QH:.*]] = affine.apply #[[HEADS]](%[[H]])
// CHECK-DAG: %[[QT:.*]] = tensor.extract_slice %[[Q]][%[[B]], %[[QH]], %[[I]], 0] [1, 4, 64, 64]
// CHECK-DAG: %[[KT:.*]] = tensor.extract_slice %[[K]][%[[B]], %[[H]], 0, 0] [1, 1, 384, 64]
// CHECK-DAG: %[[OT:.*]] = tensor.extract_slice %[[ACC]][%[[B]], %[[QH]], %[[I]], 0] [1, 4, 64, 64]
// CHECK: %[[T:.*]] = flash.attention ins(query = %[[QT]], key = %[[KT]], value = %[[KT]] :
// CHECK-SAME: offset_b(%[[B]]) offset_h(%[[QH]]) offset_q(%[[I]]) alignment(%[[ALIGN]]) heads(%[[ALL]]) outs(output = %[[OT]] :
// CHECK-SAME: {alibi, causal = #flash.causal<bottom_right>, group = 4 : i64}
// CHECK: tensor.insert_slice %[[T]] into %[[ACC]][%[[B]], %[[QH]], %[[I]], 0] [1, 4, 64, 64]
func.func @batch_heads_queries(%q: !q, %k: !k, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o : !q)
    {causal = #flash.causal<bottom_right>, alibi} -> !q
  return %0 : !q
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loops:3 = transform.structured.tile_using_for %op tile_sizes [1, 1, 64, 0, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x?x64xf16>
!k = tensor<1x2x?x128xf16>
!l = tensor<1x2x?xf32>

// Dynamic queries, with an LSE, in parallel; regions and captures go along,
// and offsets add up.
// CHECK-LABEL: func @forall_with_lse
// CHECK-SAME: %[[TABLE:[^:]*]]: tensor<?xf32>, %[[BASE:[^:]*]]: index
// CHECK: scf.forall (%[[H:.*]], %[[I:.*]]) in
// CHECK: %[[AT:.*]] = affine.apply #{{.*}}(%[[I]])[%[[BASE]]]
// CHECK: %[[ALIGN:.*]] = arith.subi
// CHECK: flash.attention
// CHECK-SAME: captures(%[[TABLE]] : tensor<?xf32>) offset_h(%[[H]]) offset_q(%[[AT]]) alignment(%[[ALIGN]]) heads(%{{.*}}) outs(output = %{{.*}}, lse = %{{.*}} : tensor<1x1x?x128xf16>, tensor<1x1x?xf32>)
// CHECK: score {
// CHECK: tensor.extract
// CHECK: tensor.parallel_insert_slice
// CHECK: tensor.parallel_insert_slice
func.func @forall_with_lse(%table: tensor<?xf32>, %base: index, %q: !q, %k: !q, %v: !k, %o: !k, %l: !l) -> (!k, !l) {
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : !q, !q, !k)
    captures(%table : tensor<?xf32>) offset_q(%base)
    outs(output = %o, lse = %l : !k, !l)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: tensor<?xf32>):
      %x = tensor.extract %t[%i] : tensor<?xf32>
      %y = arith.addf %s, %x : f32
      flash.yield %y : f32
    } -> !k, !l
  return %0#0, %0#1 : !k, !l
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_forall %op tile_sizes [0, 1, 32, 0, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x64x64xf16>
!v = tensor<1x2x64x256xf16>

// CHECK-LABEL: func @columns
// CHECK-SAME: %[[Q:[^:]*]]: tensor<1x2x64x64xf16>, %[[V:[^:]*]]: tensor<1x2x64x256xf16>
// CHECK: scf.for %[[C:[^ ]*]] =
// CHECK: %[[VT:.*]] = tensor.extract_slice %[[V]][0, 0, 0, %[[C]]] [1, 2, 64, 128]
// CHECK: flash.attention ins(query = %[[Q]], key = %[[Q]], value = %[[VT]] : {{.*}}tensor<1x2x64x128xf16>) outs(
func.func @columns(%q: !q, %v: !v, %o: !v) -> !v {
  %0 = flash.attention ins(query = %q, key = %q, value = %v : !q, !q, !v) outs(output = %o : !v) -> !v
  return %0 : !v
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %op tile_sizes [0, 0, 0, 128, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<2x4x64x64xf16>
!l = tensor<2x4x64xf32>

// Keys in two parts: O and LSE of each in f32, then merged.
// CHECK-LABEL: func @split_keys
// CHECK-SAME: %[[Q:[^:]*]]: tensor<2x4x64x64xf16>, %[[K:[^:]*]]: tensor<2x4x64x64xf16>, %[[O:[^:]*]]: tensor<2x4x64x64xf16>, %[[L:[^:]*]]: tensor<2x4x64xf32>
// CHECK-DAG: %[[OS:.*]] = tensor.empty() : tensor<2x2x4x64x64xf32>
// CHECK-DAG: %[[LS:.*]] = tensor.empty() : tensor<2x2x4x64xf32>
// CHECK: %[[PARTS:.*]]:2 = scf.forall (%[[P:.*]]) in (2) shared_outs(%[[OA:.*]] = %[[OS]], %[[LA:.*]] = %[[LS]])
// CHECK-DAG: %[[AT:.*]] = affine.apply
// CHECK-DAG: %[[KT:.*]] = tensor.extract_slice %[[K]][0, 0, %[[AT]], 0] [2, 4, 32, 64]
// CHECK-DAG: tensor.extract_slice %[[OA]][%[[P]], 0, 0, 0, 0] [1, 2, 4, 64, 64]
// CHECK-DAG: tensor.extract_slice %[[LA]][%[[P]], 0, 0, 0] [1, 2, 4, 64]
// CHECK: flash.attention ins(query = %[[Q]], key = %[[KT]],
// CHECK-SAME: offset_k(%[[AT]])
// CHECK-SAME: outs({{.*}} : tensor<2x4x64x64xf32>, tensor<2x4x64xf32>)
// CHECK: tensor.parallel_insert_slice
// CHECK: tensor.parallel_insert_slice
// CHECK: linalg.generic
// CHECK: arith.maximumf
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK: %[[RO:.*]] = linalg.generic {{.*}} outs(%[[O]] :
// CHECK: %[[RL:.*]] = linalg.generic {{.*}} outs(%[[L]] :
// CHECK: return %[[RO]], %[[RL]]
func.func @split_keys(%q: !q, %k: !q, %o: !q, %l: !l) -> (!q, !l) {
  %0:2 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
    outs(output = %o, lse = %l : !q, !l) {causal = #flash.causal<bottom_right>} -> !q, !l
  return %0#0, %0#1 : !q, !l
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %fill:2, %split, %merge, %loop = transform.structured.tile_reduction_using_forall %op
      by num_threads = [0, 0, 0, 0, 2]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<2x8x256x64xf8E4M3FN>
!k = tensor<2x2x384x64xf8E4M3FN>
!o = tensor<2x8x256x64xbf16>

// Scales of heads are cut with their heads.
// CHECK-LABEL: func @scales_of_heads
// CHECK-SAME: %[[QS:[^:]*]]: tensor<2x8xf32>, %[[KS:[^:]*]]: tensor<2x2xf32>
// CHECK: scf.for %[[B:.*]] = %{{.*}} to
// CHECK: scf.for %[[H:.*]] = %{{.*}} to
// CHECK-DAG: %[[QH:.*]] = affine.apply #{{.*}}(%[[H]])
// CHECK-DAG: %[[QT:.*]] = tensor.extract_slice %[[QS]][%[[B]], %[[QH]]] [1, 4] [1, 1] : tensor<2x8xf32> to tensor<1x4xf32>
// CHECK-DAG: %[[KT:.*]] = tensor.extract_slice %[[KS]][%[[B]], %[[H]]] [1, 1] [1, 1] : tensor<2x2xf32> to tensor<1x1xf32>
// CHECK: flash.attention
// CHECK-SAME: q_descale(%[[QT]] : tensor<1x4xf32>) k_descale(%[[KT]] : tensor<1x1xf32>) v_descale(%[[KT]] : tensor<1x1xf32>)
func.func @scales_of_heads(%q: !q, %k: !k, %qs: tensor<2x8xf32>, %ks: tensor<2x2xf32>, %o: !o) -> !o {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k)
    q_descale(%qs : tensor<2x8xf32>) k_descale(%ks : tensor<2x2xf32>) v_descale(%ks : tensor<2x2xf32>)
    outs(output = %o : !o) -> !o
  return %0 : !o
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loops:3 = transform.structured.tile_using_for %op tile_sizes [1, 1, 64, 0, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
