// Captured tensors and scalars: a relative bias, documents, a constant. They
// are named as in the file, take --input files, and are dumped.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_documents.py %t/documents.npy
// RUN: flash-run %s --device=cpu --check --input=documents=%t/documents.npy \
// RUN:   --dump=%t/dump
// RUN: flash-run %s --check --input=documents=%t/documents.npy
// RUN: flash-run %s --check --input=documents=%t/documents.npy --async=lazy \
// RUN:   --strides=padded
// RUN: ls %t/dump | FileCheck %s --check-prefix=DUMP
// DUMP: bias.npy
// DUMP-NEXT: capture2.npy
// DUMP-NEXT: documents.npy
// DUMP-NEXT: k.npy
// DUMP-NEXT: lse.npy
// DUMP-NEXT: o.npy
// DUMP-NEXT: q.npy
// DUMP-NEXT: v.npy

// RUN: not flash-run %s --device=cpu 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: capture 'documents': expected --input=documents=FILE.npy

func.func @documents(
    %q: memref<1x2x48x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %k: memref<1x1x80x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %v: memref<1x1x80x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
    %bias: memref<128xf32, strided<[?], offset: ?>>,
    %documents: memref<80xi32, strided<[?], offset: ?>>,
    %o: memref<1x2x48x64xf16, strided<[?, ?, ?, ?], offset: ?>>) {
  %factor = arith.constant 0.5 : f32
  flash.attention ins(query = %q, key = %k, value = %v
      : memref<1x2x48x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        memref<1x1x80x64xf16, strided<[?, ?, ?, ?], offset: ?>>,
        memref<1x1x80x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
    captures(%bias, %documents, %factor
      : memref<128xf32, strided<[?], offset: ?>>, memref<80xi32, strided<[?], offset: ?>>, f32)
    outs(output = %o : memref<1x2x48x64xf16, strided<[?, ?, ?, ?], offset: ?>>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index,
         %table: memref<128xf32, strided<[?], offset: ?>>, %docs: memref<80xi32, strided<[?], offset: ?>>, %f: f32):
      // bias[q - k + 79] is in bounds for every q < 48, k < 80.
      %c79 = arith.constant 79 : index
      %x = arith.subi %i, %j : index
      %y = arith.addi %x, %c79 : index
      %entry = memref.load %table[%y] : memref<128xf32, strided<[?], offset: ?>>
      %scaled = arith.mulf %entry, %f : f32
      %r = arith.addf %s, %scaled : f32
      flash.yield %r : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index,
         %table: memref<128xf32, strided<[?], offset: ?>>, %docs: memref<80xi32, strided<[?], offset: ?>>, %f: f32):
      %dq = memref.load %docs[%i] : memref<80xi32, strided<[?], offset: ?>>
      %dk = memref.load %docs[%j] : memref<80xi32, strided<[?], offset: ?>>
      %same = arith.cmpi eq, %dq, %dk : i32
      flash.yield %same : i1
    }
  return
}
