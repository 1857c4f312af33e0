// RUN: flash-opt %s --flash-expand-modifiers --canonicalize --cse --split-input-file | FileCheck %s

!q = tensor<1x2x?x64xf16>
!k = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @causal
// CHECK-NOT: #flash.causal
// CHECK: mask {
// CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-NEXT: %[[A:.*]] = flash.alignment : index
// CHECK-NEXT: %[[P:.*]] = arith.addi %[[Q]], %[[A]] : index
// CHECK-NEXT: %[[M:.*]] = arith.cmpi sle, %[[K]], %[[P]] : index
// CHECK-NEXT: flash.yield %[[M]] : i1
func.func @causal(%q: !q, %k: !k, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o : !q)
    {causal = #flash.causal<bottom_right>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @causal_top_left
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-NEXT: %[[M:.*]] = arith.cmpi sle, %[[K]], %[[Q]] : index
// CHECK-NEXT: flash.yield %[[M]] : i1
func.func @causal_top_left(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {causal = #flash.causal<top_left>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x64x64xf16>
!k = tensor<1x2x96x64xf16>

// The alignment, 32, is known: one addition.
// CHECK-LABEL: func @known_alignment
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK: %[[C32:.*]] = arith.constant 32 : index
// CHECK: %[[P:.*]] = arith.addi %[[Q]], %[[C32]] : index
// CHECK: arith.cmpi sle, %[[K]], %[[P]] : index
func.func @known_alignment(%q: !q, %k: !k, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !k, !k) outs(output = %o : !q)
    {causal = #flash.causal<bottom_right>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @window
// CHECK-NOT: window =
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-DAG: %[[L:.*]] = arith.constant -128 : index
// CHECK-DAG: %[[R:.*]] = arith.constant 16 : index
// CHECK: %[[A:.*]] = flash.alignment : index
// CHECK: %[[P:.*]] = arith.addi %[[Q]], %[[A]] : index
// CHECK: %[[LO:.*]] = arith.addi %[[P]], %[[L]] : index
// CHECK: %[[IN:.*]] = arith.cmpi sge, %[[K]], %[[LO]] : index
// CHECK: %[[HI:.*]] = arith.addi %[[P]], %[[R]] : index
// CHECK: %[[BELOW:.*]] = arith.cmpi sle, %[[K]], %[[HI]] : index
// CHECK: %[[M:.*]] = arith.andi %[[IN]], %[[BELOW]] : i1
// CHECK: flash.yield %[[M]] : i1
func.func @window(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {window = array<i64: 128, 16>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @window_left_only_with_sinks
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-DAG: %[[N:.*]] = arith.constant 4 : index
// CHECK: %[[IN:.*]] = arith.cmpi sge, %[[K]], %{{.*}} : index
// CHECK: %[[SINK:.*]] = arith.cmpi slt, %[[K]], %[[N]] : index
// CHECK: %[[M:.*]] = arith.ori %[[SINK]], %[[IN]] : i1
// CHECK: flash.yield %[[M]] : i1
func.func @window_left_only_with_sinks(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {window = array<i64: 128, -1>, sink_tokens = 4} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @prefix
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-DAG: %[[N:.*]] = arith.constant 7 : index
// CHECK-DAG: %[[PRE:.*]] = arith.cmpi slt, %[[K]], %[[N]] : index
// CHECK-DAG: %[[CAUSAL:.*]] = arith.cmpi sle, %[[K]], %{{.*}} : index
// CHECK: %[[M:.*]] = arith.ori %[[PRE]], %[[CAUSAL]] : i1
// CHECK: flash.yield %[[M]] : i1
func.func @prefix(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {prefix = 7} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @chunk
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK: %[[N:.*]] = arith.constant 64 : index
// CHECK: %[[P:.*]] = arith.addi %[[Q]], %{{.*}} : index
// CHECK: %[[CQ:.*]] = arith.floordivsi %[[P]], %[[N]] : index
// CHECK: %[[CK:.*]] = arith.floordivsi %[[K]], %[[N]] : index
// CHECK: %[[M:.*]] = arith.cmpi eq, %[[CQ]], %[[CK]] : index
// CHECK: flash.yield %[[M]] : i1
func.func @chunk(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {chunk = 64} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// The hand-written mask first, then what the attribute says.
// CHECK-LABEL: func @composed_mask
// CHECK: ^bb0(%[[B:.*]]: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK: %[[OWN:.*]] = arith.cmpi ne, %[[K]], %[[B]] : index
// CHECK: %[[CAUSAL:.*]] = arith.cmpi sle, %[[K]], %[[Q]] : index
// CHECK: %[[M:.*]] = arith.andi %[[OWN]], %[[CAUSAL]] : i1
// CHECK: flash.yield %[[M]] : i1
func.func @composed_mask(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {causal = #flash.causal<top_left>}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %m = arith.cmpi ne, %j, %b : index
      flash.yield %m : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @open_window
// CHECK-NOT: mask {
// CHECK: return
func.func @open_window(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {window = array<i64: -1, -1>} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// CHECK-LABEL: func @softcap
// CHECK-NOT: softcap =
// CHECK: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32,
// CHECK-DAG: %[[CAP:.*]] = arith.constant 1.500000e+01 : f32
// CHECK-DAG: %[[INV:.*]] = arith.constant 0.0666666701 : f32
// CHECK: %[[IN:.*]] = arith.mulf %[[S]], %[[INV]] : f32
// CHECK: %[[T:.*]] = math.tanh %[[IN]] : f32
// CHECK: %[[R:.*]] = arith.mulf %[[T]], %[[CAP]] : f32
// CHECK: flash.yield %[[R]] : f32
func.func @softcap(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {softcap = 15.0 : f32} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x8x?x64xf16>

// Eight heads: slopes 2^-1 ... 2^-8, without a selection.
// CHECK-LABEL: func @alibi_power_of_two
// CHECK: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %[[H:.*]]: index, %[[Q:.*]]: index, %[[K:.*]]: index):
// CHECK-DAG: %[[STEP:.*]] = arith.constant -5.000000e-01 : f32
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : i32
// CHECK-NOT: arith.select
// CHECK: %[[A:.*]] = flash.alignment : index
// CHECK: %[[P:.*]] = arith.addi %[[Q]], %[[A]] : index
// CHECK: %[[D:.*]] = arith.subi %[[K]], %[[P]] : index
// CHECK: %[[DI:.*]] = arith.index_cast %[[D]] : index to i32
// CHECK: %[[DF:.*]] = arith.sitofp %[[DI]] : i32 to f32
// CHECK: %[[HI:.*]] = arith.index_cast %[[H]] : index to i32
// CHECK: %[[H1:.*]] = arith.addi %[[HI]], %[[C1]] : i32
// CHECK: %[[N:.*]] = arith.shli %[[H1]], %[[C1]] : i32
// CHECK: %[[NF:.*]] = arith.sitofp %[[N]] : i32 to f32
// CHECK: %[[E:.*]] = arith.mulf %[[NF]], %[[STEP]] : f32
// CHECK: %[[SLOPE:.*]] = math.exp2 %[[E]] : f32
// CHECK: %[[BIAS:.*]] = arith.mulf %[[SLOPE]], %[[DF]] : f32
// CHECK: %[[R:.*]] = arith.addf %[[S]], %[[BIAS]] : f32
// CHECK: flash.yield %[[R]] : f32
func.func @alibi_power_of_two(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {alibi} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x12x?x64xf16>

// Twelve heads: eight slopes for 8, then every other one for 16.
// CHECK-LABEL: func @alibi_other
// CHECK-DAG: %[[C8:.*]] = arith.constant 8 : i32
// CHECK-DAG: %[[STEP:.*]] = arith.constant -5.000000e-01 : f32
// CHECK-NOT: flash.heads
// CHECK: %[[FIRST:.*]] = arith.cmpi slt, %[[H:.*]], %[[C8]] : i32
// CHECK: arith.select %[[FIRST]]
func.func @alibi_other(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {alibi} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x?x?x64xf16>

// CHECK-LABEL: func @alibi_dynamic_heads
// CHECK: flash.heads : index
// CHECK: math.exp2
func.func @alibi_dynamic_heads(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {alibi, group = 1} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x?x64xf16>

// Of a tile, the slopes are those of the whole problem, 16 heads.
// CHECK-LABEL: func @alibi_of_tile
// CHECK: arith.constant -2.500000e-01 : f32
func.func @alibi_of_tile(%q: !q, %o: !q, %h: index) -> !q {
  %c16 = arith.constant 16 : index
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    offset_h(%h) heads(%c16) outs(output = %o : !q) {alibi} -> !q
  return %0 : !q
}

// -----

!q = tensor<1x8x?x64xf16>

// Score region, ALiBi, softcap, in this order.
// CHECK-LABEL: func @composed_score
// CHECK: ^bb0(%[[S:.*]]: f32,
// CHECK: %[[OWN:.*]] = arith.negf %[[S]] : f32
// CHECK: %[[BIASED:.*]] = arith.addf %[[OWN]], %{{.*}} : f32
// CHECK: %[[IN:.*]] = arith.mulf %[[BIASED]], %{{.*}} : f32
// CHECK: math.tanh %[[IN]] : f32
func.func @composed_score(%q: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q)
    {softcap = 15.0 : f32, alibi}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %x = arith.negf %s : f32
      flash.yield %x : f32
    } -> !q
  return %0 : !q
}
