// RUN: flash-opt %s --canonicalize --split-input-file | FileCheck %s

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @identity_score
// CHECK-NOT: score {
// CHECK: return
func.func @identity_score(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      flash.yield %s : f32
    } -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @other_score_stays
// CHECK: score {
func.func @other_score_stays(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %x = arith.negf %s : f32
      flash.yield %x : f32
    } -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @constant_true_mask
// CHECK-NOT: mask {
// CHECK: return
func.func @constant_true_mask(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %true = arith.constant true
      flash.yield %true : i1
    } -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @constant_false_mask_stays
// CHECK: mask {
func.func @constant_false_mask_stays(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %false = arith.constant false
      flash.yield %false : i1
    } -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @open_window
// CHECK-NOT: window
// CHECK-NOT: sink_tokens
// CHECK: return
func.func @open_window(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    {window = array<i64: -1, -1>, sink_tokens = 4} -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @window_without_left_edge
// CHECK-NOT: sink_tokens
// CHECK: {window = array<i64: -1, 3>}
func.func @window_without_left_edge(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    {window = array<i64: -1, 3>, sink_tokens = 4} -> !qk
  return %0 : !qk
}

// -----

!qk = tensor<1x2x64x64xf16>

// CHECK-LABEL: func @modifiers_stay
// CHECK: {alibi, sink_tokens = 4 : i64, softcap = 1.000000e+00 : f32, window = array<i64: 3, -1>}
func.func @modifiers_stay(%q: !qk, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk) outs(output = %o : !qk)
    {window = array<i64: 3, -1>, sink_tokens = 4, softcap = 1.0 : f32, alibi} -> !qk
  return %0 : !qk
}

// -----

!q = tensor<1x2x64x64xf16>
!k = tensor<1x1x96x64xf16>

// CHECK-LABEL: func @default_indices
// CHECK: tensor<1x1x96x64xf16>) outs(
func.func @default_indices(%q: !q, %k: !k, %o: !q) -> !q {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c32 = arith.constant 32 : index
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k)
    offset_b(%c0) offset_h(%c0) offset_q(%c0) offset_k(%c0) alignment(%c32) heads(%c2)
    outs(output = %o : !q) -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>
!k = tensor<1x1x96x64xf16>

// CHECK-LABEL: func @other_indices_stay
// CHECK-DAG: %[[C8:.*]] = arith.constant 8 : index
// CHECK-DAG: %[[C32:.*]] = arith.constant 32 : index
// CHECK: offset_q(%[[C32]]) alignment(%[[C32]]) heads(%[[C8]]) outs(
func.func @other_indices_stay(%q: !q, %k: !k, %o: !q) -> !q {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k)
    offset_b(%c0) offset_q(%c32) alignment(%c32) heads(%c8)
    outs(output = %o : !q) -> !q
  return %0 : !q
}

// -----

!qk = tensor<1x2x64x64xf16>

// Captures 0 and 2 go, with their arguments in both regions.
// CHECK-LABEL: func @unused_captures
// CHECK-SAME: %{{.*}}: f32, %[[USED:[^:]*]]: f32, %{{.*}}: i32
// CHECK: captures(%[[USED]] : f32)
// CHECK: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %[[C:.*]]: f32):
// CHECK-NEXT: arith.addf %[[S]], %[[C]]
// CHECK: mask {
// CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %{{.*}}: f32):
func.func @unused_captures(%q: !qk, %c0: f32, %c1: f32, %c2: i32, %o: !qk) -> !qk {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !qk, !qk, !qk)
    captures(%c0, %c1, %c2 : f32, f32, i32)
    outs(output = %o : !qk)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %x: f32, %y: f32, %z: i32):
      %r = arith.addf %s, %y : f32
      flash.yield %r : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %x: f32, %y: f32, %z: i32):
      %r = arith.cmpi sle, %j, %i : index
      flash.yield %r : i1
    } -> !qk
  return %0 : !qk
}

// -----

!q = tensor<1x2x64x64xf16>
!k = tensor<1x1x96x64xf16>

// CHECK-LABEL: func @known_problem_size
// CHECK: mask {
// CHECK-DAG: arith.constant 32 : index
// CHECK-DAG: arith.constant 2 : index
// CHECK-NOT: flash.alignment
// CHECK-NOT: flash.heads
// CHECK: return
func.func @known_problem_size(%q: !q, %k: !k, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %a = flash.alignment : index
      %n = flash.heads : index
      %x = arith.addi %i, %a : index
      %y = arith.muli %x, %n : index
      %m = arith.cmpi sle, %j, %y : index
      flash.yield %m : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>
!k = tensor<1x1x96x64xf16>

// CHECK-LABEL: func @unknown_alignment_stays
// CHECK: flash.alignment
func.func @unknown_alignment_stays(%q: !q, %k: !k, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %a = flash.alignment : index
      %x = arith.addi %i, %a : index
      %m = arith.cmpi sle, %j, %x : index
      flash.yield %m : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// Casts of operands fold away; the regions stay valid.
// CHECK-LABEL: func @casts
// CHECK: flash.attention ins({{.*}} : tensor<1x2x64x64xf16>, tensor<1x2x64x64xf16>, tensor<1x2x64x64xf16>) captures(%{{.*}} : tensor<64xf32>)
func.func @casts(%q0: tensor<1x2x64x64xf16>, %t0: tensor<64xf32>, %o0: tensor<1x2x64x64xf16>) -> tensor<1x2x64x64xf16> {
  %q = tensor.cast %q0 : tensor<1x2x64x64xf16> to !q
  %t = tensor.cast %t0 : tensor<64xf32> to tensor<?xf32>
  %o = tensor.cast %o0 : tensor<1x2x64x64xf16> to !q
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    captures(%t : tensor<?xf32>) outs(output = %o : !q)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %x: tensor<?xf32>):
      %y = tensor.extract %x[%j] : tensor<?xf32>
      %r = arith.addf %s, %y : f32
      flash.yield %r : f32
    } -> !q
  %1 = tensor.cast %0 : !q to tensor<1x2x64x64xf16>
  return %1 : tensor<1x2x64x64xf16>
}
