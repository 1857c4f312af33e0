// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-expand-math | FileCheck %s

// CHECK-LABEL: func.func @exponentials
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"(%[[X]]) : (f32) -> f32
// CHECK: %[[LOG2E:.*]] = arith.constant 1.44269502 : f32
// CHECK: %[[SCALED:.*]] = arith.mulf %[[X]], %[[LOG2E]] : f32
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"(%[[SCALED]])
// CHECK-NOT: math.
func.func @exponentials(%x: f32) -> (f32, f32) {
  %a = math.exp2 %x : f32
  %b = math.exp %x : f32
  return %a, %b : f32, f32
}

// -----

// CHECK-LABEL: func.func @logarithms
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"(%[[X]])
// CHECK: %[[L:.*]] = llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"(%[[X]])
// CHECK: %[[LN2:.*]] = arith.constant 0.693147182 : f32
// CHECK: arith.mulf %[[L]], %[[LN2]]
// CHECK: %[[M:.*]] = llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"(%[[X]])
// CHECK: %[[LOG2:.*]] = arith.constant 3.010300e-01 : f32
// CHECK: arith.mulf %[[M]], %[[LOG2]]
// CHECK-NOT: math.
func.func @logarithms(%x: f32) -> (f32, f32, f32) {
  %a = math.log2 %x : f32
  %b = math.log %x : f32
  %c = math.log10 %x : f32
  return %a, %b, %c : f32, f32, f32
}

// -----

// Near zero a series, elsewhere the difference of an exponential and one.

// CHECK-LABEL: func.func @expm1
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: %[[SERIES:.*]] = llvm.call_intrinsic "llvm.fma.f32"(%{{.*}}, %{{.*}}, %[[X]])
// CHECK: %[[ABS:.*]] = llvm.call_intrinsic "llvm.fabs.f32"(%[[X]])
// CHECK: %[[NEAR:.*]] = arith.cmpf olt, %[[ABS]], %{{.*}}
// CHECK: %[[E:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"
// CHECK: %[[FAR:.*]] = arith.subf %[[E]], %{{.*}}
// CHECK: arith.select %[[NEAR]], %[[SERIES]], %[[FAR]]
func.func @expm1(%x: f32) -> f32 {
  %a = math.expm1 %x : f32
  return %a : f32
}

// -----

// CHECK-LABEL: func.func @log1p
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: %[[SERIES:.*]] = llvm.call_intrinsic "llvm.fma.f32"(%{{.*}}, %{{.*}}, %[[X]])
// CHECK: %[[SUM:.*]] = arith.addf %[[X]], %{{.*}}
// CHECK: %[[L:.*]] = llvm.call_intrinsic "llvm.nvvm.lg2.approx.ftz.f"(%[[SUM]])
// CHECK: %[[FAR:.*]] = arith.mulf %[[L]], %{{.*}}
// CHECK: %[[NEAR:.*]] = arith.cmpf olt
// CHECK: arith.select %[[NEAR]], %[[SERIES]], %[[FAR]]
func.func @log1p(%x: f32) -> f32 {
  %a = math.log1p %x : f32
  return %a : f32
}

// -----

// By ex2 and rcp, never tanh.approx, whose error of 2^-11 a softcap of 15 would
// make 7e-3 of a score. The exponent is never positive: no overflow.

// CHECK-LABEL: func.func @tanh
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: %[[ABS:.*]] = llvm.call_intrinsic "llvm.fabs.f32"(%[[X]])
// CHECK: %[[C:.*]] = arith.constant -2.885390e+00 : f32
// CHECK: %[[P:.*]] = arith.mulf %[[ABS]], %[[C]]
// CHECK: %[[E:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f"(%[[P]])
// CHECK: %[[ONE:.*]] = arith.constant 1.0{{.*}} : f32
// CHECK-DAG: %[[D:.*]] = arith.subf %[[ONE]], %[[E]]
// CHECK-DAG: %[[S:.*]] = arith.addf %[[ONE]], %[[E]]
// CHECK-DAG: %[[R:.*]] = llvm.call_intrinsic "llvm.nvvm.rcp.approx.ftz.f"(%[[S]])
// CHECK: %[[FAR:.*]] = arith.mulf %[[D]], %[[R]]
// CHECK: %[[SERIES:.*]] = llvm.call_intrinsic "llvm.fma.f32"(%{{.*}}, %{{.*}}, %[[X]])
// CHECK-DAG: %[[NEAR:.*]] = arith.cmpf olt, %[[ABS]], %{{.*}}
// CHECK-DAG: %[[SIGNED:.*]] = llvm.call_intrinsic "llvm.copysign.f32"(%[[FAR]], %[[X]])
// CHECK: arith.select %[[NEAR]], %[[SERIES]], %[[SIGNED]]
func.func @tanh(%x: f32) -> f32 {
  %a = math.tanh %x : f32
  return %a : f32
}

// -----

// CHECK-LABEL: func.func @one_instruction
// CHECK: "llvm.nvvm.sqrt.approx.ftz.f"
// CHECK: "llvm.nvvm.rsqrt.approx.ftz.f"
// CHECK: "llvm.fabs.f32"
// CHECK: "llvm.floor.f32"
// CHECK: "llvm.ceil.f32"
// CHECK: "llvm.trunc.f32"
// CHECK: "llvm.roundeven.f32"
// CHECK: "llvm.copysign.f32"
// CHECK: "llvm.fma.f32"
// CHECK-NOT: math.
func.func @one_instruction(%x: f32, %y: f32) {
  %c = math.sqrt %x : f32
  %d = math.rsqrt %x : f32
  %e = math.absf %x : f32
  %f = math.floor %x : f32
  %g = math.ceil %x : f32
  %h = math.trunc %x : f32
  %i = math.roundeven %x : f32
  %j = math.copysign %x, %y : f32
  %k = math.fma %x, %y, %x : f32
  return
}

// -----

// The instructions know sines near a turn only: what is farther than half of
// one away is first brought there, by 64 bits of 1 / 2 pi and the mantissa.

// CHECK-LABEL: func.func @turns
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: %[[BITS:.*]] = arith.bitcast %[[X]] : f32 to i32
// CHECK: %[[WINDOW:.*]] = llvm.call_intrinsic "llvm.fshl.i64"
// CHECK: %[[TURNS:.*]] = arith.muli %[[WINDOW]], %{{.*}} : i64
// CHECK: %[[FAR:.*]] = llvm.call_intrinsic "llvm.fma.f32"(%[[X]], %{{.*}}, %{{.*}})
// CHECK: %[[NEAR:.*]] = arith.cmpf ole, %{{.*}}, %{{.*}} : f32
// CHECK: %[[ANGLE:.*]] = arith.select %[[NEAR]], %[[X]], %[[FAR]] : f32
// CHECK: "llvm.nvvm.sin.approx.ftz.f"(%[[ANGLE]])
// CHECK: "llvm.fshl.i64"
// CHECK: "llvm.nvvm.cos.approx.ftz.f"
// CHECK-NOT: math.
func.func @turns(%x: f32) -> (f32, f32) {
  %a = math.sin %x : f32
  %b = math.cos %x : f32
  return %a, %b : f32, f32
}

// -----

// A power by the logarithm of the magnitude. The sign is the base's where the
// exponent is odd; there is no power of a negative base where it is no integer.

// CHECK-LABEL: func.func @power
// CHECK-SAME: %[[X:.*]]: f32, %[[Y:.*]]: f32)
// CHECK: %[[ABS:.*]] = llvm.call_intrinsic "llvm.fabs.f32"(%[[X]])
// CHECK: %[[L:.*]] = llvm.call_intrinsic "llvm.nvvm.lg2.approx.f"(%[[ABS]])
// CHECK: %[[P:.*]] = arith.mulf %[[Y]], %[[L]]
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"(%[[P]])
// CHECK: llvm.call_intrinsic "llvm.trunc.f32"(%[[Y]])
// CHECK: llvm.call_intrinsic "llvm.copysign.f32"(%{{.*}}, %[[X]])
// CHECK-NOT: math.
func.func @power(%x: f32, %y: f32) -> f32 {
  %a = math.powf %x, %y : f32
  return %a : f32
}

// -----

// Small constant integers are products, and other constants need no test.

// CHECK-LABEL: func.func @constant_power
// CHECK-SAME: %[[X:.*]]: f32)
// CHECK: %[[X2:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK: %[[X3:.*]] = arith.mulf %[[X]], %[[X2]]
// CHECK: %[[X4:.*]] = arith.mulf %{{.*}}, %{{.*}}
// CHECK: %[[INVERSE:.*]] = llvm.call_intrinsic "llvm.nvvm.div.full"(%{{.*}}, %{{.*}})
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"
// CHECK-NOT: trunc
// CHECK: %[[ODD:.*]] = llvm.call_intrinsic "llvm.copysign.f32"
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"
// CHECK-NOT: trunc
// CHECK: %[[ROOT:.*]] = arith.select
// CHECK: return %{{.*}}, %[[X]], %[[X3]], %[[INVERSE]], %[[ODD]], %[[ROOT]]
func.func @constant_power(%x: f32) -> (f32, f32, f32, f32, f32, f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %three = arith.constant 3.0 : f32
  %minus_four = arith.constant -4.0 : f32
  %large = arith.constant 17.0 : f32
  %third = arith.constant 0.333 : f32
  %a = math.powf %x, %zero : f32
  %b = math.powf %x, %one : f32
  %c = math.powf %x, %three : f32
  %d = math.powf %x, %minus_four : f32
  %e = math.powf %x, %large : f32
  %f = math.powf %x, %third : f32
  return %a, %b, %c, %d, %e, %f : f32, f32, f32, f32, f32, f32
}

// -----

// CHECK-LABEL: func.func @clamp
// CHECK-SAME: %[[X:.*]]: f32, %[[LOW:.*]]: f32, %[[HIGH:.*]]: f32)
// CHECK: %[[ABOVE:.*]] = llvm.call_intrinsic "llvm.maxnum.f32"(%[[X]], %[[LOW]])
// CHECK: llvm.call_intrinsic "llvm.minnum.f32"(%[[ABOVE]], %[[HIGH]])
func.func @clamp(%x: f32, %low: f32, %high: f32) -> f32 {
  %a = math.clampf %x to [%low, %high] : f32
  return %a : f32
}

// -----

// CHECK-LABEL: func.func @extrema
// CHECK: "llvm.maxnum.f32"
// CHECK: "llvm.minnum.f32"
// CHECK: "llvm.maximum.f32"
// CHECK: "llvm.minimum.f32"
// CHECK-NOT: arith.max
func.func @extrema(%x: f32, %y: f32) {
  %a = arith.maxnumf %x, %y : f32
  %b = arith.minnumf %x, %y : f32
  %c = arith.maximumf %x, %y : f32
  %d = arith.minimumf %x, %y : f32
  return
}

// -----

// A constant divisor becomes a factor, unless its inverse is no normal number.

// CHECK-LABEL: func.func @divide
// CHECK-SAME: %[[X:.*]]: f32, %[[Y:.*]]: f32)
// CHECK: llvm.call_intrinsic "llvm.nvvm.div.full"(%[[X]], %[[Y]])
// CHECK: %[[EIGHTH:.*]] = arith.constant 1.250000e-01 : f32
// CHECK: arith.mulf %[[X]], %[[EIGHTH]]
// CHECK: llvm.call_intrinsic "llvm.nvvm.div.full"(%[[X]], %{{.*}})
// CHECK: llvm.call_intrinsic "llvm.nvvm.div.full"(%[[X]], %{{.*}})
func.func @divide(%x: f32, %y: f32) -> (f32, f32, f32, f32) {
  %eight = arith.constant 8.0 : f32
  %zero = arith.constant 0.0 : f32
  %huge = arith.constant 3.0e+38 : f32
  %a = arith.divf %x, %y : f32
  %b = arith.divf %x, %eight : f32
  %c = arith.divf %x, %zero : f32
  %d = arith.divf %x, %huge : f32
  return %a, %b, %c, %d : f32, f32, f32, f32
}

// -----

// Integer magnitudes: upstream would call libdevice.

// CHECK-LABEL: func.func @integers
// CHECK-SAME: %[[X:.*]]: i32)
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i32
// CHECK: %[[MINUS:.*]] = arith.subi %[[ZERO]], %[[X]] : i32
// CHECK: %[[A:.*]] = arith.maxsi %[[X]], %[[MINUS]] : i32
// CHECK: return %[[A]]
func.func @integers(%x: i32) -> i32 {
  %a = math.absi %x : i32
  return %a : i32
}

// -----

func.func @remainder(%x: f32, %y: f32) -> f32 {
  // expected-error@below {{'arith.remf' op has no expansion for this target: expected one of exp,}}
  %a = arith.remf %x, %y : f32
  return %a : f32
}

// -----

func.func @bits(%x: i32) -> i32 {
  // expected-error@below {{'math.ctpop' op has no expansion for this target: expected one of exp,}}
  %a = math.ctpop %x : i32
  return %a : i32
}

// -----

func.func @erf(%x: f32) -> f32 {
  // expected-error@below {{'math.erf' op has no expansion for this target: expected one of exp, exp2, expm1, log, log2, log10, log1p, tanh, sin, cos, sqrt, rsqrt, powf, fma, absf, copysign, floor, ceil, trunc, roundeven, clampf, absi}}
  %a = math.erf %x : f32
  return %a : f32
}

// -----

func.func @f64(%x: f64) -> f64 {
  // expected-error@below {{'math.exp' op has no expansion: expected f32, got 'f64'}}
  %a = math.exp %x : f64
  return %a : f64
}

// -----

func.func @vectors(%x: vector<4xf32>) -> vector<4xf32> {
  // expected-error@below {{'math.exp2' op has no expansion: expected f32, got 'vector<4xf32>'}}
  %a = math.exp2 %x : vector<4xf32>
  return %a : vector<4xf32>
}
