// Grouped-query prefill, dynamic lengths, with LSE.
func.func @prefill(%q: tensor<?x32x?x128xbf16>, %k: tensor<?x8x?x128xbf16>,
                   %v: tensor<?x8x?x128xbf16>, %o: tensor<?x32x?x128xbf16>,
                   %l: tensor<?x32x?xf32>)
    -> (tensor<?x32x?x128xbf16>, tensor<?x32x?xf32>) {
  %r:2 = flash.attention
    ins(query = %q, key = %k, value = %v
        : tensor<?x32x?x128xbf16>, tensor<?x8x?x128xbf16>,
          tensor<?x8x?x128xbf16>)
    outs(output = %o, lse = %l : tensor<?x32x?x128xbf16>, tensor<?x32x?xf32>)
    {causal = #flash.causal<bottom_right>, scale = 0.088388 : f32}
    -> tensor<?x32x?x128xbf16>, tensor<?x32x?xf32>
  return %r#0, %r#1 : tensor<?x32x?x128xbf16>, tensor<?x32x?xf32>
}
