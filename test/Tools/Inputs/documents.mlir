func.func @documents(
    %q: memref<1x2x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %k: memref<1x1x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %v: memref<1x1x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %documents: memref<300xi32, strided<[?], offset: ?>>,
    %o: memref<1x2x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>) {
  flash.attention ins(query = %q, key = %k, value = %v
      : memref<1x2x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        memref<1x1x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        memref<1x1x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
    captures(%documents : memref<300xi32, strided<[?], offset: ?>>)
    outs(output = %o : memref<1x2x300x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index,
         %docs: memref<300xi32, strided<[?], offset: ?>>):
      %dq = memref.load %docs[%i] : memref<300xi32, strided<[?], offset: ?>>
      %dk = memref.load %docs[%j] : memref<300xi32, strided<[?], offset: ?>>
      %same = arith.cmpi eq, %dq, %dk : i32
      flash.yield %same : i1
    }
  return
}
