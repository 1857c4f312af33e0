// A mask region alone: a band whose width follows from constants.
func.func @band(%q: tensor<1x4x?x64xbf16>, %k: tensor<1x4x?x64xbf16>,
                %v: tensor<1x4x?x64xbf16>, %o: tensor<1x4x?x64xbf16>)
    -> tensor<1x4x?x64xbf16> {
  %r = flash.attention
    ins(query = %q, key = %k, value = %v
        : tensor<1x4x?x64xbf16>, tensor<1x4x?x64xbf16>, tensor<1x4x?x64xbf16>)
    outs(output = %o : tensor<1x4x?x64xbf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c100 = arith.constant 100 : index
      %c2 = arith.constant 2 : index
      %a = flash.alignment : index
      %twice = arith.muli %i, %c2 : index
      %top = arith.addi %twice, %a : index
      %bottom = arith.subi %i, %c100 : index
      %le = arith.cmpi sle, %j, %top : index
      %gt = arith.cmpi sgt, %j, %bottom : index
      %in = arith.andi %le, %gt : i1
      flash.yield %in : i1
    }
    -> tensor<1x4x?x64xbf16>
  return %r : tensor<1x4x?x64xbf16>
}
