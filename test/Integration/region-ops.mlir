// The float64 interpreter of regions against LLVM for the host and against the
// lowering to tiles: all compute what a region means, and every op below moves
// the result by more than the tolerance. Integers that wrap, negative operands
// of divisions, every rounding.

// RUN: flash-run %s --device=cpu --check
// RUN: flash-run %s --device=emulator --check

func.func @ops(%q: tensor<1x2x24x64xf16>, %k: tensor<1x2x40x64xf16>,
               %v: tensor<1x2x40x64xf16>, %o: tensor<1x2x24x64xf16>)
    -> tensor<1x2x24x64xf16> {
  %0 = flash.attention ins(query = %q, key = %k, value = %v
      : tensor<1x2x24x64xf16>, tensor<1x2x40x64xf16>, tensor<1x2x40x64xf16>)
    outs(output = %o : tensor<1x2x24x64xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c3 = arith.constant 3 : i32
      %cm5 = arith.constant -5 : i32
      %big = arith.constant 123456789 : i32
      %i32 = arith.index_cast %i : index to i32
      %j32 = arith.index_cast %j : index to i32
      // In [-20, 20), so that signs matter.
      %c20 = arith.constant 20 : i32
      %n = arith.subi %j32, %c20 : i32
      %i0 = arith.divsi %n, %c3 : i32
      %i1 = arith.remsi %n, %c3 : i32
      %i2 = arith.floordivsi %n, %c3 : i32
      %i3 = arith.ceildivsi %n, %cm5 : i32
      %i4 = arith.remui %n, %c3 : i32
      %wide = arith.muli %n, %big : i32
      %wrapped = arith.muli %wide, %n : i32
      %c28 = arith.constant 28 : i32
      %i5 = arith.shrsi %wrapped, %c28 : i32
      %i6 = arith.shrui %wrapped, %c28 : i32
      %i7 = arith.minsi %n, %i32 : i32
      %cap = arith.constant 7 : i32
      %m8 = arith.maxui %n, %cap : i32
      %i8 = arith.andi %m8, %cap : i32
      %small = arith.trunci %wrapped : i32 to i8
      %i9 = arith.extsi %small : i8 to i32
      %i10 = arith.extui %small : i8 to i32
      %bit = arith.cmpi ult, %n, %cap : i32
      %i11 = arith.extsi %bit : i1 to i32
      %less = arith.cmpi slt, %n, %i1 : i32
      %i12 = arith.select %less, %c3, %cm5 : i1, i32
      %i13 = arith.xori %n, %cap : i32
      %s0 = arith.addi %i0, %i1 : i32
      %s1 = arith.addi %s0, %i2 : i32
      %s2 = arith.addi %s1, %i3 : i32
      %s3 = arith.addi %s2, %i4 : i32
      %s4 = arith.addi %s3, %i5 : i32
      %s5 = arith.addi %s4, %i6 : i32
      %s6 = arith.addi %s5, %i7 : i32
      %s7 = arith.addi %s6, %i8 : i32
      %s8 = arith.addi %s7, %i9 : i32
      %s9 = arith.subi %s8, %i10 : i32
      %s10 = arith.addi %s9, %i11 : i32
      %s11 = arith.addi %s10, %i12 : i32
      %s12 = arith.addi %s11, %i13 : i32
      %sum = arith.sitofp %s12 : i32 to f32
      %weight = arith.constant 0.05 : f32
      %x = arith.mulf %sum, %weight : f32

      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %a0 = math.tanh %s : f32
      %a1 = math.absf %s : f32
      %a2 = arith.addf %a1, %one : f32
      %a3 = math.log %a2 : f32
      %a4 = math.sqrt %a2 : f32
      %a5 = math.rsqrt %a2 : f32
      %a6 = math.exp %a0 : f32
      %a7 = math.floor %s : f32
      %a8 = math.ceil %x : f32
      %a9 = arith.maximumf %s, %x : f32
      %a10 = arith.minnumf %s, %half : f32
      %a11 = math.fma %a0, %half, %a3 : f32
      %a12 = arith.divf %a4, %a2 : f32
      %a13 = arith.negf %a6 : f32
      %f0 = arith.fptosi %x : f32 to i32
      %a14 = arith.sitofp %f0 : i32 to f32
      %isLess = arith.cmpf ult, %a7, %half : f32
      %a15 = arith.select %isLess, %a5, %a8 : f32
      %r0 = arith.addf %a9, %a10 : f32
      %r1 = arith.addf %r0, %a11 : f32
      %r2 = arith.addf %r1, %a12 : f32
      %r3 = arith.addf %r2, %a13 : f32
      %r4 = arith.addf %r3, %a14 : f32
      %r5 = arith.addf %r4, %a15 : f32
      %i14 = math.absi %n : i32
      %a16 = arith.sitofp %i14 : i32 to f32
      %eighth = arith.constant 0.125 : f32
      %a17 = arith.mulf %a16, %eighth : f32
      %r6 = arith.addf %r5, %a17 : f32
      flash.yield %r6 : f32
    }
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      // A checkerboard that differs by head, and some rows without a key.
      %c2 = arith.constant 2 : index
      %c5 = arith.constant 5 : index
      %c0 = arith.constant 0 : index
      %t0 = arith.addi %i, %j : index
      %t1 = arith.addi %t0, %h : index
      %t2 = arith.remui %t1, %c2 : index
      %t3 = arith.cmpi eq, %t2, %c0 : index
      %t4 = arith.cmpi ne, %i, %c5 : index
      %live = arith.andi %t3, %t4 : i1
      flash.yield %live : i1
    }
    -> tensor<1x2x24x64xf16>
  return %0 : tensor<1x2x24x64xf16>
}
