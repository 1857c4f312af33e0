// RUN: flash-opt %s --resolve-shaped-type-result-dims --canonicalize --cse | FileCheck %s

!q = tensor<?x8x?x64xf16>
!k = tensor<?x2x?x64xf16>
!l = tensor<?x8x?xf32>

// The sizes of the results are those of the query, wherever the destinations
// come from.
// CHECK-LABEL: func @sizes
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x8x?x64xf16>
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C2:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[B:.*]] = tensor.dim %[[Q]], %[[C0]]
// CHECK-DAG: %[[S:.*]] = tensor.dim %[[Q]], %[[C2]]
// CHECK: return %[[B]], %[[S]], %[[S]]
func.func @sizes(%q: !q, %k: !k, %o: !q, %l: !l) -> (index, index, index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %0:2 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o, lse = %l : !q, !l) -> !q, !l
  %b = tensor.dim %0#0, %c0 : !q
  %s = tensor.dim %0#0, %c2 : !q
  %ls = tensor.dim %0#1, %c2 : !l
  return %b, %s, %ls : index, index, index
}
