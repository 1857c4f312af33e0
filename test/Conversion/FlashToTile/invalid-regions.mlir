// RUN: flash-opt %s --flash-to-tile --split-input-file --verify-diagnostics

// Ops of regions that the target has no instructions for: the region, the op and
// what there is, at the op's place, in branches and with captures, too.

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @erf(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{score region: 'math.erf' has no expansion for this target: expected one of exp, exp2, expm1, log, log2, log10, log1p, tanh, sin, cos, sqrt, rsqrt, powf, fma, absf, copysign, floor, ceil, trunc, roundeven, clampf, absi}}
      %r = math.erf %s : f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @in_branch(%q: !t, %k: !t, %v: !t, %o: !t, %table: memref<64xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%table : memref<64xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<64xf32>):
      %near = arith.cmpi sle, %j, %i : index
      %r = scf.if %near -> f32 {
        %x = memref.load %c[%j] : memref<64xf32>
        // expected-error @below {{score region: 'math.atan2' has no expansion for this target: expected one of exp,}}
        %y = math.atan2 %s, %x : f32
        scf.yield %y : f32
      } else {
        scf.yield %s : f32
      }
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
// What depends on neither q nor k is computed once, by the same instructions.
func.func @of_uniform(%q: !t, %k: !t, %v: !t, %o: !t, %table: memref<8xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%table : memref<8xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<8xf32>):
      %x = memref.load %c[%h] : memref<8xf32>
      // expected-error @below {{score region: 'math.cbrt' has no expansion for this target: expected one of exp,}}
      %y = math.cbrt %x : f32
      %r = arith.addf %s, %y : f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
// LLVM would call libdevice, which no kernel has.
func.func @remainder(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 3.5 : f32
      // expected-error @below {{score region: 'arith.remf' has no expansion for this target: expected one of exp,}}
      %r = arith.remf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @two_results(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{score region: 'math.sincos' has no expansion for this target: expected one of exp,}}
      %r, %x = math.sincos %s : f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @double(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %x = arith.extf %s : f32 to f64
      // expected-error @below {{score region: 'math.exp' has no expansion: expected f32, got 'f64'}}
      %y = math.exp %x : f64
      %r = arith.truncf %y : f64 to f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @wide_integer(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{score region: 'arith.index_cast': expected index, integers of at most 64 bits, f16, bf16, f32 or f64, got 'i128'}}
      %x = arith.index_cast %j : index to i128
      %r = arith.sitofp %x : i128 to f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @eight_bits(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{score region: 'arith.truncf': expected index, integers of at most 64 bits, f16, bf16, f32 or f64, got 'f8E4M3FN'}}
      %x = arith.truncf %s : f32 to f8E4M3FN
      %r = arith.extf %x : f8E4M3FN to f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @mask(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{mask region: 'math.ctpop' has no expansion for this target: expected one of exp,}}
      // expected-remark @below {{mask: 'math.ctpop' is not affine in q and k; left out of the ranges of tiles}}
      %x = math.ctpop %j : index
      %r = arith.cmpi sle, %x, %i : index
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'mask_block_map' in front of 'mask'}}
      flash.yield %r : i1
    }
  return
}
