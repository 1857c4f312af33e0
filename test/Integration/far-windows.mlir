// The largest and the smallest integer as a number known at run time: they hide
// nothing, or everything, and the bounds of the tiles do not overflow.

// RUN: %python %S/Inputs/make_number.py %t.most.npy 9223372036854775807
// RUN: %python %S/Inputs/make_number.py %t.least.npy -- -9223372036854775808
// RUN: flash-run %s --sizes=sq=200,sk=300 --check --input=reach=%t.most.npy
// RUN: flash-run %s --sizes=sq=200,sk=300 --check --input=reach=%t.least.npy
// RUN: flash-run %s --sizes=sq=200,sk=300 --check --input=reach=%t.most.npy \
// RUN:   --against=b=1,hq=2,hkv=1,sq=200,sk=300,d=32,dtype=f16

!q = tensor<1x2x?x32xf16>
!k = tensor<1x1x?x32xf16>
func.func @f(%q: !q, %k: !k, %v: !k, %reach: tensor<1xi64>, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : !q, !k, !k)
    captures(%reach : tensor<1xi64>)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %numbers: tensor<1xi64>):
      %distance = arith.subi %i, %j : index
      %wide = tensor.extract %numbers[%b] : tensor<1xi64>
      %most = arith.index_cast %wide : i64 to index
      %r = arith.cmpi sle, %distance, %most : index
      flash.yield %r : i1
    }
    -> !q
  return %0 : !q
}
