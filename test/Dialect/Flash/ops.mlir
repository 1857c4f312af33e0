// RUN: flash-opt %s --verify-roundtrip | FileCheck %s
// RUN: flash-opt %s --mlir-print-op-generic | flash-opt | FileCheck %s

// CHECK-LABEL: func @plain
// CHECK: flash.attention ins(query = %{{.*}}, key = %{{.*}}, value = %{{.*}} : tensor<2x8x64x64xf16>, tensor<2x8x96x64xf16>, tensor<2x8x96x128xf16>) outs(output = %{{.*}} : tensor<2x8x64x128xf16>) -> tensor<2x8x64x128xf16>
func.func @plain(%q: tensor<2x8x64x64xf16>, %k: tensor<2x8x96x64xf16>, %v: tensor<2x8x96x128xf16>, %o: tensor<2x8x64x128xf16>) -> tensor<2x8x64x128xf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x64x64xf16>, tensor<2x8x96x64xf16>, tensor<2x8x96x128xf16>)
    outs(output = %o : tensor<2x8x64x128xf16>) -> tensor<2x8x64x128xf16>
  return %0 : tensor<2x8x64x128xf16>
}

// CHECK-LABEL: func @lse_grouped
// CHECK: %{{.*}}:2 = flash.attention
// CHECK-SAME: outs(output = %{{.*}}, lse = %{{.*}} : tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>)
// CHECK-SAME: -> tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
func.func @lse_grouped(%q: tensor<?x8x?x64xbf16>, %k: tensor<?x2x?x64xbf16>, %v: tensor<?x2x?x128xbf16>, %o: tensor<?x8x?x128xbf16>, %l: tensor<?x8x?xf32>) -> (tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>) {
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<?x8x?x64xbf16>, tensor<?x2x?x64xbf16>, tensor<?x2x?x128xbf16>)
    outs(output = %o, lse = %l : tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>) -> tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
  return %0#0, %0#1 : tensor<?x8x?x128xbf16>, tensor<?x8x?xf32>
}

// CHECK-LABEL: func @buffers
// CHECK: flash.attention
// CHECK-SAME: {alibi, causal = #flash.causal<top_left>, chunk = 64 : i64, group = 6 : i64, prefix = 4 : i64, scale = 5.000000e-01 : f32
// CHECK-SAME: schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 2, query_in_registers = true>
// CHECK-SAME: sink_tokens = 2 : i64, softcap = 1.500000e+01 : f32, window = array<i64: 128, -1>}
func.func @buffers(%q: memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>, %k: memref<?x?x?x64xf16>, %o: memref<?x?x?x64xf32, strided<[?, 64, ?, 1]>>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<?x?x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>, memref<?x?x?x64xf16>, memref<?x?x?x64xf16>)
    outs(output = %o : memref<?x?x?x64xf32, strided<[?, 64, ?, 1]>>)
    {group = 6, scale = 0.5 : f32, causal = #flash.causal<top_left>, window = array<i64: 128, -1>, prefix = 4, chunk = 64, sink_tokens = 2, softcap = 15.0 : f32, alibi,
     schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 2, query_in_registers = true>}
  return
}

// CHECK-LABEL: func @regions
// CHECK: flash.attention
// CHECK-SAME: captures(%{{.*}}, %{{.*}} : tensor<?x?xf32>, i32)
// CHECK-SAME: score {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index, %[[T:.*]]: tensor<?x?xf32>, %{{.*}}: i32):
// CHECK-NEXT: %[[B:.*]] = tensor.extract %[[T]][%[[Q]], %[[K]]]
// CHECK-NEXT: %[[R:.*]] = arith.addf %[[S]], %[[B]]
// CHECK-NEXT: flash.yield %[[R]] : f32
// CHECK: mask {
// CHECK-NEXT: ^bb0(%{{.*}}: index, %{{.*}}: index, %[[Q:.*]]: index, %[[K:.*]]: index, %{{.*}}: tensor<?x?xf32>, %{{.*}}: i32):
// CHECK: %[[A:.*]] = flash.alignment : index
// CHECK: flash.heads : index
// CHECK: flash.yield %{{.*}} : i1
func.func @regions(%q: tensor<1x?x?x64xf16>, %k: tensor<1x?x?x64xf16>, %bias: tensor<?x?xf32>, %c: i32, %o: tensor<1x?x?x64xf16>) -> tensor<1x?x?x64xf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : tensor<1x?x?x64xf16>, tensor<1x?x?x64xf16>, tensor<1x?x?x64xf16>)
    captures(%bias, %c : tensor<?x?xf32>, i32)
    outs(output = %o : tensor<1x?x?x64xf16>) {group = 1}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: tensor<?x?xf32>, %n: i32):
      %x = tensor.extract %t[%i, %j] : tensor<?x?xf32>
      %y = arith.addf %s, %x : f32
      flash.yield %y : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %t: tensor<?x?xf32>, %n: i32):
      %a = flash.alignment : index
      %heads = flash.heads : index
      %x = arith.addi %i, %a : index
      %y = arith.cmpi sle, %j, %x : index
      %z = arith.cmpi slt, %h, %heads : index
      %w = arith.andi %y, %z : i1
      flash.yield %w : i1
    }
    -> tensor<1x?x?x64xf16>
  return %0 : tensor<1x?x?x64xf16>
}

// A region's tensor argument may know less, or more, than its capture.
// CHECK-LABEL: func @capture_type_less_static
// CHECK: captures(%{{.*}} : tensor<64xf32>)
// CHECK: ^bb0({{.*}} tensor<?xf32>):
func.func @capture_type_less_static(%q: tensor<1x1x64x64xf16>, %bias: tensor<64xf32>, %o: tensor<1x1x64x64xf16>) -> tensor<1x1x64x64xf16> {
  %0 = flash.attention ins(query = %q, key = %q, value = %q : tensor<1x1x64x64xf16>, tensor<1x1x64x64xf16>, tensor<1x1x64x64xf16>)
    captures(%bias : tensor<64xf32>)
    outs(output = %o : tensor<1x1x64x64xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: tensor<?xf32>):
      %x = tensor.extract %t[%j] : tensor<?xf32>
      %y = arith.addf %s, %x : f32
      flash.yield %y : f32
    }
    -> tensor<1x1x64x64xf16>
  return %0 : tensor<1x1x64x64xf16>
}

// CHECK-LABEL: func @tile
// CHECK-SAME: %[[B:[^:]*]]: index, %[[H:[^:]*]]: index, %[[Q:[^:]*]]: index, %[[K:[^:]*]]: index, %[[A:[^:]*]]: index, %[[N:[^:]*]]: index
// CHECK: flash.attention
// CHECK-SAME: offset_b(%[[B]]) offset_h(%[[H]]) offset_q(%[[Q]]) offset_k(%[[K]]) alignment(%[[A]]) heads(%[[N]]) outs
func.func @tile(%b: index, %h: index, %i: index, %j: index, %a: index, %n: index, %q: tensor<1x2x16x64xf16>, %k: tensor<1x1x?x64xf16>, %o: tensor<1x2x16x64xf16>) -> tensor<1x2x16x64xf16> {
  // The clauses come in any order.
  %0 = flash.attention ins(query = %q, key = %k, value = %k : tensor<1x2x16x64xf16>, tensor<1x1x?x64xf16>, tensor<1x1x?x64xf16>)
    heads(%n) alignment(%a) offset_k(%j) offset_q(%i) offset_h(%h) offset_b(%b)
    outs(output = %o : tensor<1x2x16x64xf16>) {causal = #flash.causal<bottom_right>} -> tensor<1x2x16x64xf16>
  return %0 : tensor<1x2x16x64xf16>
}

// CHECK-LABEL: func @varlen
// CHECK: cu_seqlens_q(%{{.*}} : tensor<?xi32>) cu_seqlens_k(%{{.*}} : tensor<?xi32>)
func.func @varlen(%q: tensor<1x8x?x64xf16>, %k: tensor<1x2x?x64xf16>, %cq: tensor<?xi32>, %ck: tensor<?xi32>, %o: tensor<1x8x?x64xf16>) -> tensor<1x8x?x64xf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : tensor<1x8x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x64xf16>)
    cu_seqlens_q(%cq : tensor<?xi32>) cu_seqlens_k(%ck : tensor<?xi32>)
    outs(output = %o : tensor<1x8x?x64xf16>) {causal = #flash.causal<bottom_right>} -> tensor<1x8x?x64xf16>
  return %0 : tensor<1x8x?x64xf16>
}

// CHECK-LABEL: func @paged_with_sinks
// CHECK: cu_seqlens_k(%{{.*}} : memref<5xi32>) block_table(%{{.*}} : memref<4x?xi32>) sinks(%{{.*}} : memref<8xf32>)
func.func @paged_with_sinks(%q: memref<4x8x1x64xf16>, %k: memref<?x2x16x64xf16>, %ck: memref<5xi32>, %table: memref<4x?xi32>, %sinks: memref<8xf32>, %o: memref<4x8x1x64xf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<4x8x1x64xf16>, memref<?x2x16x64xf16>, memref<?x2x16x64xf16>)
    cu_seqlens_k(%ck : memref<5xi32>) block_table(%table : memref<4x?xi32>) sinks(%sinks : memref<8xf32>)
    outs(output = %o : memref<4x8x1x64xf16>)
  return
}

// CHECK-LABEL: func @float8
// CHECK: tensor<1x1x64x64xf8E4M3FN>
// CHECK-SAME: tensor<1x1x64x64xf8E5M2>
func.func @float8(%q: tensor<1x1x64x64xf8E4M3FN>, %v: tensor<1x1x64x64xf8E5M2>, %o: tensor<1x1x64x64xbf16>) -> tensor<1x1x64x64xbf16> {
  %0 = flash.attention ins(query = %q, key = %q, value = %v : tensor<1x1x64x64xf8E4M3FN>, tensor<1x1x64x64xf8E4M3FN>, tensor<1x1x64x64xf8E5M2>)
    outs(output = %o : tensor<1x1x64x64xbf16>) -> tensor<1x1x64x64xbf16>
  return %0 : tensor<1x1x64x64xbf16>
}

// CHECK-LABEL: func @scales_of_heads
// CHECK: q_descale(%{{.*}} : memref<2x8xf32>) k_descale(%{{.*}} : memref<2x2xf32>) v_descale(%{{.*}} : memref<2x2xf32>) outs(
func.func @scales_of_heads(%q: memref<2x8x4x64xf8E4M3FN>, %k: memref<2x2x4x64xf8E4M3FN>, %qs: memref<2x8xf32>, %ks: memref<2x2xf32>, %vs: memref<2x2xf32>, %o: memref<2x8x4x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<2x8x4x64xf8E4M3FN>, memref<2x2x4x64xf8E4M3FN>, memref<2x2x4x64xf8E4M3FN>)
    v_descale(%vs : memref<2x2xf32>) k_descale(%ks : memref<2x2xf32>) q_descale(%qs : memref<2x8xf32>)
    outs(output = %o : memref<2x8x4x64xbf16>)
  return
}
