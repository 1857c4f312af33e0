// RUN: not flash-opt %s --transform-interpreter --split-input-file 2>&1 | FileCheck %s

!q = tensor<1x2x64x64xf16>
!l = tensor<1x2x64xf32>

func.func @keys(%q: !q, %o: !q) {
  // CHECK: :[[@LINE+1]]:{{.*}}: error: 'flash.attention' op tiling of keys: expected all of them, got a part (a partial reduction takes parts)
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q) -> !q
  return
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %op tile_sizes [0, 0, 0, 0, 32]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x64x64xf16>
!l = tensor<1x2x64xf32>

func.func @columns_with_lse(%q: !q, %o: !q, %l: !l) {
  // CHECK: :[[@LINE+1]]:{{.*}}: error: 'flash.attention' op tiling of columns: expected all of them beside an lse, got a part
  %0:2 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o, lse = %l : !q, !l) -> !q, !l
  return
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %op tile_sizes [0, 0, 0, 32, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x64x64xf16>
!l = tensor<1x2x64xf32>

func.func @varlen(%q: !q, %o: !q, %cu: tensor<5xi32>) {
  // CHECK: :[[@LINE+1]]:{{.*}}: error: 'flash.attention' op tiling: expected dense operands, got cumulative lengths
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q)
    cu_seqlens_q(%cu : tensor<5xi32>) cu_seqlens_k(%cu : tensor<5xi32>) outs(output = %o : !q) -> !q
  return
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %tiled, %loop = transform.structured.tile_using_for %op tile_sizes [0, 1, 0, 0, 0]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x64x64xf16>
!l = tensor<1x2x64xf32>

func.func @split_without_lse(%q: !q, %o: !q) {
  // CHECK: :[[@LINE+1]]:{{.*}}: error: 'flash.attention' op split of keys: expected tensors and an lse destination (the weights of the parts)
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) outs(output = %o : !q) -> !q
  return
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["flash.attention"]} in %root : (!transform.any_op) -> !transform.any_op
    %fill, %split, %merge, %loop = transform.structured.tile_reduction_using_forall %op
      by num_threads = [0, 0, 0, 0, 2]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

!q = tensor<1x2x64x64xf16>
!l = tensor<1x2x64xf32>

func.func @split_with_sinks(%q: !q, %o: !q, %l: !l, %s: tensor<2xf32>) {
  // CHECK: :[[@LINE+1]]:{{.*}}: error: 'flash.attention' op split of keys: expected no sinks (each part would count them), got some
  %0:2 = flash.attention ins(query = %q, key = %q, value = %q : !q, !q, !q) sinks(%s : tensor<2xf32>) outs(output = %o, lse = %l : !q, !l) -> !q, !l
  return
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
