// A score region with a slope that is known only at run time.
func.func @slope(%q: memref<2x2x48x64xf16>, %k: memref<2x1x80x64xf16>,
                 %v: memref<2x1x80x64xf16>, %o: memref<2x2x48x64xf16>,
                 %slope: f32) {
  flash.attention ins(query = %q, key = %k, value = %v
      : memref<2x2x48x64xf16>, memref<2x1x80x64xf16>, memref<2x1x80x64xf16>)
    captures(%slope : f32)
    outs(output = %o : memref<2x2x48x64xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %m: f32):
      %distance = arith.subi %j, %i : index
      %integer = arith.index_cast %distance : index to i32
      %float = arith.sitofp %integer : i32 to f32
      %bias = arith.mulf %float, %m : f32
      %r = arith.addf %s, %bias : f32
      flash.yield %r : f32
    }
  return
}
