func.func @everything(%q: tensor<1x8x?x64xf16>, %k: tensor<1x2x?x64xf16>, %v: tensor<1x2x?x128xf16>, %bias: tensor<?x?xf32>, %sinks: tensor<8xf32>, %i: index, %o: tensor<1x8x?x128xf16>, %l: tensor<1x8x?xf32>) -> (tensor<1x8x?x128xf16>, tensor<1x8x?xf32>) {
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x?x64xf16>, tensor<1x2x?x64xf16>, tensor<1x2x?x128xf16>)
    captures(%bias : tensor<?x?xf32>)
    offset_b(%i) offset_h(%i) offset_q(%i) offset_k(%i) alignment(%i) heads(%i)
    sinks(%sinks : tensor<8xf32>)
    outs(output = %o, lse = %l : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>)
    {scale = 0.5 : f32, group = 4, causal = #flash.causal<top_left>, window = array<i64: 128, -1>, prefix = 3, chunk = 64, sink_tokens = 2, softcap = 15.0 : f32, alibi,
     schedule = #flash.schedule<chip = "sm_90a", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 2, query_in_registers = true>}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %x: index, %y: index, %t: tensor<?x?xf32>):
      %e = tensor.extract %t[%x, %y] : tensor<?x?xf32>
      %r = arith.addf %s, %e : f32
      flash.yield %r : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %x: index, %y: index, %t: tensor<?x?xf32>):
      %a = flash.alignment : index
      %n = flash.heads : index
      %p = arith.addi %x, %a : index
      %c = arith.cmpi sle, %y, %p : index
      %d = arith.cmpi slt, %h, %n : index
      %m = arith.andi %c, %d : i1
      flash.yield %m : i1
    }
    -> tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
  return %0#0, %0#1 : tensor<1x8x?x128xf16>, tensor<1x8x?xf32>
}

func.func @varlen_paged(%q: memref<1x8x?x64xbf16>, %k: memref<?x2x16x64xbf16>, %cu: memref<?xi32>, %table: memref<?x?xi32>, %o: memref<1x8x?x64xbf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x8x?x64xbf16>, memref<?x2x16x64xbf16>, memref<?x2x16x64xbf16>)
    cu_seqlens_q(%cu : memref<?xi32>) cu_seqlens_k(%cu : memref<?xi32>) block_table(%table : memref<?x?xi32>)
    outs(output = %o : memref<1x8x?x64xbf16>) {causal = #flash.causal<bottom_right>, group = 4}
  return
}
