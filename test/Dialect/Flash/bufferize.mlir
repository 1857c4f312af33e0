// RUN: flash-opt %s --one-shot-bufferize="bufferize-function-boundaries" --split-input-file | FileCheck %s

!q = tensor<1x2x16x64xf16>
!l = tensor<1x2x16xf32>

// The destinations are written in place.
// CHECK-LABEL: func @in_place
// CHECK-SAME: %[[Q:[^:]*]]: memref<1x2x16x64xf16, {{.*}}>, %[[O:[^:]*]]: memref<1x2x16x64xf16, {{.*}}>, %[[L:[^:]*]]: memref<1x2x16xf32, {{.*}}>
// CHECK-NOT: memref.alloc
// CHECK: flash.attention ins(query = %[[Q]], key = %[[Q]], value = %[[Q]] : {{.*}}) outs(output = %[[O]], lse = %[[L]] : {{.*}}) {alibi}
// CHECK-NEXT: return %[[O]], %[[L]]
func.func @in_place(%q: !q, %o: !q, %l: !l) -> (!q, !l) {
  %0:2 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    outs(output = %o, lse = %l : !q, !l) {alibi} -> !q, !l
  return %0#0, %0#1 : !q, !l
}

// -----

!q = tensor<1x2x16x64xf16>

// A query that is also the destination is still read: a buffer is needed.
// CHECK-LABEL: func @query_as_destination
// CHECK-SAME: %[[Q:[^:]*]]: memref
// CHECK: %[[NEW:.*]] = memref.alloc
// CHECK-NOT: memref.copy
// CHECK: flash.attention ins(query = %[[Q]], {{.*}} outs(output = %[[NEW]] :
func.func @query_as_destination(%q: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %q : !q) -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x16x64xf16>

// CHECK-LABEL: func @captures
// CHECK-SAME: %[[T:[^:]*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>, %[[D:[^:]*]]: memref<?xi32, strided<[?], offset: ?>>, %[[C:[^:]*]]: f32
// CHECK: captures(%[[T]], %[[D]], %[[C]] : memref<?x?xf32, {{.*}}>, memref<?xi32, {{.*}}>, f32)
// CHECK: score {
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: index, %{{.*}}: index, %[[I:.*]]: index, %[[J:.*]]: index, %[[ST:.*]]: memref<?x?xf32, {{.*}}>, %{{.*}}: memref<?xi32, {{.*}}>, %{{.*}}: f32):
// CHECK-NEXT: memref.load %[[ST]][%[[I]], %[[J]]]
// CHECK: mask {
// CHECK: ^bb0({{.*}} %[[MD:[^:]*]]: memref<?xi32, {{.*}}>, %{{.*}}: f32):
// CHECK-NEXT: memref.load %[[MD]]
// CHECK-NOT: bufferization
// CHECK: return
func.func @captures(%q: !q, %table: tensor<?x?xf32>, %docs: tensor<?xi32>, %c: f32, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    captures(%table, %docs, %c : tensor<?x?xf32>, tensor<?xi32>, f32)
    outs(output = %o : !q)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: tensor<?x?xf32>, %d: tensor<?xi32>, %x: f32):
      %y = tensor.extract %t[%i, %j] : tensor<?x?xf32>
      %z = arith.addf %y, %x : f32
      %w = arith.addf %s, %z : f32
      flash.yield %w : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %t: tensor<?x?xf32>, %d: tensor<?xi32>, %x: f32):
      %y = tensor.extract %d[%i] : tensor<?xi32>
      %z = tensor.extract %d[%j] : tensor<?xi32>
      %w = arith.cmpi eq, %y, %z : i32
      flash.yield %w : i1
    } -> !q
  return %0 : !q
}
