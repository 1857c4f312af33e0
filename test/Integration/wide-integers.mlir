// Captured 64-bit integers beyond what a double holds: identifiers that differ
// in their last bits only are different, in an array, as an argument and as a
// constant of the module. Each key is seen by the queries of its identifier.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_wide_integers.py %t/ids.npy %t/own.npy
// RUN: flash-run %s --device=cpu --check --input=ids=%t/ids.npy \
// RUN:   --input=own=%t/own.npy
// RUN: flash-run %s --check --input=ids=%t/ids.npy --input=own=%t/own.npy

func.func @identifiers(
    %q: tensor<1x2x48x64xf16>, %k: tensor<1x1x80x64xf16>,
    %v: tensor<1x1x80x64xf16>, %ids: tensor<80xi64>, %own: i64,
    %o: tensor<1x2x48x64xf16>) -> tensor<1x2x48x64xf16> {
  %first = arith.constant 1152921504606846977 : i64
  %0 = flash.attention
      ins(query = %q, key = %k, value = %v : tensor<1x2x48x64xf16>,
          tensor<1x1x80x64xf16>, tensor<1x1x80x64xf16>)
      captures(%ids, %own, %first : tensor<80xi64>, i64, i64)
      outs(output = %o : tensor<1x2x48x64xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index,
         %table: tensor<80xi64>, %mine: i64, %constant: i64):
      %id = tensor.extract %table[%j] : tensor<80xi64>
      %even = arith.constant 2 : index
      %zero = arith.constant 0 : index
      %rem = arith.remui %i, %even : index
      %isEven = arith.cmpi eq, %rem, %zero : index
      %wanted = arith.select %isEven, %mine, %constant : i64
      %same = arith.cmpi eq, %id, %wanted : i64
      flash.yield %same : i1
    } -> tensor<1x2x48x64xf16>
  return %0 : tensor<1x2x48x64xf16>
}
