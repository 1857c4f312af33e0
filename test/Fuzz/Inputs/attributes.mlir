// Everything that attributes can say, on strided memrefs with offsets.
func.func @modifiers(
    %q: memref<2x16x100x64xf16, strided<[?, ?, ?, 1], offset: ?>>,
    %k: memref<2x4x300x64xf16, strided<[?, ?, ?, 1], offset: ?>>,
    %v: memref<2x4x300x40xf16, strided<[?, ?, ?, 1], offset: ?>>,
    %o: memref<2x16x100x40xf16, strided<[?, ?, ?, 1], offset: ?>>,
    %i: index) {
  flash.attention
    ins(query = %q, key = %k, value = %v
        : memref<2x16x100x64xf16, strided<[?, ?, ?, 1], offset: ?>>,
          memref<2x4x300x64xf16, strided<[?, ?, ?, 1], offset: ?>>,
          memref<2x4x300x40xf16, strided<[?, ?, ?, 1], offset: ?>>)
    offset_q(%i) offset_k(%i) alignment(%i)
    outs(output = %o
         : memref<2x16x100x40xf16, strided<[?, ?, ?, 1], offset: ?>>)
    {window = array<i64: 64, 0>, softcap = 50.0 : f32, alibi}
  return
}
