// 8-bit operands without scales of their heads: what is drawn is rounded to the
// type as it is.

// RUN: flash-run %s --sizes=sq=70,sk=100 --chip=sm_89 --check

func.func @plain(%q: tensor<1x1x?x64xf8E4M3FN>, %k: tensor<1x1x?x64xf8E4M3FN>,
                 %v: tensor<1x1x?x64xf8E4M3FN>, %o: tensor<1x1x?x64xbf16>)
    -> tensor<1x1x?x64xbf16> {
  %0 = flash.attention
      ins(query = %q, key = %k, value = %v : tensor<1x1x?x64xf8E4M3FN>,
          tensor<1x1x?x64xf8E4M3FN>, tensor<1x1x?x64xf8E4M3FN>)
      outs(output = %o : tensor<1x1x?x64xbf16>) -> tensor<1x1x?x64xbf16>
  return %0 : tensor<1x1x?x64xbf16>
}
