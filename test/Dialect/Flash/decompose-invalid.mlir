// RUN: flash-opt %s --flash-decompose --split-input-file --verify-diagnostics

!q = tensor<1x2x16x64xf32>

func.func @varlen(%q: !q, %cu: tensor<5xi32>, %o: !q) -> !q {
  // expected-error @+1 {{'flash.attention' op cu_seqlens_q: not yet lowered}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    cu_seqlens_q(%cu : tensor<5xi32>) cu_seqlens_k(%cu : tensor<5xi32>)
    outs(output = %o : !q) -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x16x64xf32>

func.func @paged(%q: !q, %cu: tensor<2xi32>, %table: tensor<1x?xi32>, %o: !q) -> !q {
  // expected-error @+1 {{'flash.attention' op cu_seqlens_k: not yet lowered}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    cu_seqlens_k(%cu : tensor<2xi32>) block_table(%table : tensor<1x?xi32>)
    outs(output = %o : !q) -> !q
  return %0 : !q
}

// -----

!q = tensor<1x2x16x64xf32>

func.func @sinks(%q: !q, %sinks: tensor<2xf32>, %o: !q) -> !q {
  // expected-error @+1 {{'flash.attention' op sinks: not yet lowered}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    sinks(%sinks : tensor<2xf32>)
    outs(output = %o : !q) -> !q
  return %0 : !q
}
