// RUN: flash-opt %s --flash-bufferize-boundary --one-shot-bufferize --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

!q = tensor<1x2x?x64xf16>
!l = tensor<1x2x?xf32>

// CHECK-LABEL: func @destinations
// CHECK-SAME: (%[[Q:[^:]*]]: memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>, %[[O:[^:]*]]: memref<1x2x?x64xf16, {{.*}}>, %[[L:[^:]*]]: memref<1x2x?xf32, strided<[?, ?, ?], offset: ?>>) {
// CHECK-NEXT: flash.attention ins(query = %[[Q]], {{.*}} outs(output = %[[O]], lse = %[[L]]
// CHECK-NEXT: return
func.func @destinations(%q: !q, %o: !q, %l: !l) -> (!q, !l) {
  %0:2 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    outs(output = %o, lse = %l : !q, !l) -> !q, !l
  return %0#0, %0#1 : !q, !l
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @destination
// CHECK-SAME: (%[[Q:[^:]*]]: memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>, %[[O:[^:]*]]: memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>) {
// CHECK-NEXT: flash.attention ins(query = %[[Q]], {{.*}} outs(output = %[[O]]
// CHECK-NEXT: return
func.func @destination(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q) -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// A tiled computation still ends in its destination.
// CHECK-LABEL: func @through_a_loop
// CHECK-SAME: (%{{.*}}: memref<1x2x?x64xf16, {{.*}}>, %[[O:[^:]*]]: memref<1x2x?x64xf16, {{.*}}>) {
// CHECK: scf.for
// CHECK: flash.attention {{.*}} outs(output = %[[O]]
// CHECK-NOT: memref.copy
// CHECK: return
func.func @through_a_loop(%q: !q, %o: !q) -> !q {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %0 = scf.for %i = %c0 to %c2 step %c1 iter_args(%x = %o) -> !q {
    %1 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) offset_b(%i) outs(output = %x : !q) {alibi} -> !q
    scf.yield %1 : !q
  }
  return %0 : !q
}

// -----

// CHECK-LABEL: func @no_tensors
// CHECK-SAME: (%{{.*}}: memref<4xf32>, %{{.*}}: index) -> index
func.func @no_tensors(%m: memref<4xf32>, %i: index) -> index {
  return %i : index
}

// -----

func.func @fresh_result(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant dense<1.0> : tensor<4xf32>
  // expected-error @+1 {{result 0: expected a tensor computed into an argument of the function, got one that is not}}
  return %c : tensor<4xf32>
}

// -----

func.func @scalar_result(%x: tensor<4xf32>, %i: index) -> index {
  // expected-error @+1 {{result 0: expected a tensor computed into an argument of the function, got no tensor}}
  return %i : index
}

// -----

func.func @one_destination_twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // expected-error @+1 {{result 1: expected an argument of its own as destination, got argument 0 again}}
  return %x, %x : tensor<4xf32>, tensor<4xf32>
}

// -----

// expected-error @+1 {{uses: expected none of a function on tensors, got some}}
func.func @callee(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
func.func @caller(%m: memref<4xf32>, %i: index) -> index {
  %t = bufferization.to_tensor %m restrict : memref<4xf32> to tensor<4xf32>
  %0 = func.call @callee(%t) : (tensor<4xf32>) -> tensor<4xf32>
  return %i : index
}
