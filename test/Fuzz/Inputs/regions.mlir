// Hand-written score and mask regions, the former with captured operands.
func.func @regions(%q: tensor<1x8x256x128xf16>, %k: tensor<1x8x256x128xf16>,
                   %v: tensor<1x8x256x128xf16>, %o: tensor<1x8x256x128xf16>,
                   %bias: tensor<256xf32>, %weight: f32)
    -> tensor<1x8x256x128xf16> {
  %r = flash.attention
    ins(query = %q, key = %k, value = %v
        : tensor<1x8x256x128xf16>, tensor<1x8x256x128xf16>,
          tensor<1x8x256x128xf16>)
    captures(%bias, %weight : tensor<256xf32>, f32)
    outs(output = %o : tensor<1x8x256x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index,
         %bias_in: tensor<256xf32>, %weight_in: f32):
      %far = arith.subi %i, %j : index
      %far_i = arith.index_cast %far : index to i32
      %far_f = arith.sitofp %far_i : i32 to f32
      %scaled = arith.mulf %far_f, %weight_in : f32
      %loaded = tensor.extract %bias_in[%j] : tensor<256xf32>
      %t = math.tanh %loaded : f32
      %x = arith.addf %s, %scaled : f32
      %y = arith.addf %x, %t : f32
      flash.yield %y : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index,
         %bias_in: tensor<256xf32>, %weight_in: f32):
      %a = flash.alignment : index
      %c64 = arith.constant 64 : index
      %p = arith.addi %i, %a : index
      %low = arith.subi %p, %c64 : index
      %ge = arith.cmpi sge, %j, %low : index
      %le = arith.cmpi sle, %j, %p : index
      %in = arith.andi %ge, %le : i1
      flash.yield %in : i1
    }
    -> tensor<1x8x256x128xf16>
  return %r : tensor<1x8x256x128xf16>
}
