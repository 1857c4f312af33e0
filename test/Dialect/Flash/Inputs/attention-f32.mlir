!a = memref<1x8x?x64xf32>

func.func @attention(%q: !a, %k: !a, %o: !a) {
  flash.attention ins(query = %q, key = %k, value = %k : !a, !a, !a) outs(output = %o : !a)
  return
}
