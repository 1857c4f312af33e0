// Hand-written score and mask regions run as a SPEC does, and mean what the
// attributes that they spell out mean: --against compares with those.

// RUN: split-file %s %t
// RUN: flash-run %t/alibi.mlir --device=cpu --check \
// RUN:   --sizes=sq=37,sk=53 \
// RUN:   --against=b=2,hq=4,hkv=2,sq=37,sk=53,d=64,dtype=bf16,mask=causal,alibi
// RUN: flash-run %t/alibi.mlir --device=cpu --check --sizes=sq=37,sk=53 \
// RUN:   | FileCheck %s --check-prefix=OWN
// RUN: flash-run %t/alibi.mlir --device=emulator --check --sizes=sq=37,sk=53 \
// RUN:   --against=b=2,hq=4,hkv=2,sq=37,sk=53,d=64,dtype=bf16,mask=causal,alibi \
// RUN:   --async=lazy --strides=padded --poison=nan
// OWN: attention b=2,hq=4,hkv=2,sq=37,sk=53,d=64,dtype=bf16,lse
// OWN: check pass

//--- alibi.mlir
// ALiBi and a causal mask by hand, on tensors, without lse.
func.func @alibi(%q: tensor<2x4x?x64xbf16>, %k: tensor<2x2x?x64xbf16>,
                 %v: tensor<2x2x?x64xbf16>, %o: tensor<2x4x?x64xbf16>)
    -> tensor<2x4x?x64xbf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %v
      : tensor<2x4x?x64xbf16>, tensor<2x2x?x64xbf16>, tensor<2x2x?x64xbf16>)
    outs(output = %o : tensor<2x4x?x64xbf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // Slopes for 4 heads: 2^(-2 (h + 1)).
      %two = arith.constant -2 : i32
      %one = arith.constant 1 : i32
      %h32 = arith.index_cast %h : index to i32
      %n = arith.addi %h32, %one : i32
      %e = arith.muli %n, %two : i32
      %ef = arith.sitofp %e : i32 to f32
      %slope = math.exp2 %ef : f32
      %a = flash.alignment : index
      %p = arith.addi %i, %a : index
      %distance = arith.subi %j, %p : index
      %d32 = arith.index_cast %distance : index to i32
      %df = arith.sitofp %d32 : i32 to f32
      %bias = arith.mulf %slope, %df : f32
      %r = arith.addf %s, %bias : f32
      flash.yield %r : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %a = flash.alignment : index
      %p = arith.addi %i, %a : index
      %live = arith.cmpi sle, %j, %p : index
      flash.yield %live : i1
    }
    -> tensor<2x4x?x64xbf16>
  return %0 : tensor<2x4x?x64xbf16>
}
