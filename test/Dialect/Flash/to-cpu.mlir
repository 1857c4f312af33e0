// RUN: flash-opt %s --flash-to-cpu | FileCheck %s

// Tensors, captures, dynamic sizes: everything ends in the llvm dialect.
// CHECK-LABEL: llvm.func @f
// CHECK-NOT: flash.
// CHECK-NOT: unrealized_conversion_cast
func.func @f(%q: tensor<1x8x?x64xbf16>, %k: tensor<1x2x?x64xbf16>, %bias: tensor<?x?xf32>, %o: tensor<1x8x?x64xbf16>) -> tensor<1x8x?x64xbf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : tensor<1x8x?x64xbf16>, tensor<1x2x?x64xbf16>, tensor<1x2x?x64xbf16>)
    captures(%bias : tensor<?x?xf32>)
    outs(output = %o : tensor<1x8x?x64xbf16>)
    {softcap = 15.0 : f32, alibi, window = array<i64: 128, -1>}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: tensor<?x?xf32>):
      %x = tensor.extract %t[%i, %j] : tensor<?x?xf32>
      %y = arith.addf %s, %x : f32
      flash.yield %y : f32
    } -> tensor<1x8x?x64xbf16>
  return %0 : tensor<1x8x?x64xbf16>
}
