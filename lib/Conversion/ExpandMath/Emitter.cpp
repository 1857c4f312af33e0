//===- Emitter.cpp - f32 expressions of NVPTX instructions ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/IR/Matchers.h"
#include <cmath>
#include <numbers>

using namespace mlir;
using namespace mlir::flash_tile;
using arith::CmpFPredicate;

/// exp(x) = 2^(x log2 e). The rounding of the product costs |x| 2^-24
/// relative; e is at most 2^127, so that is below 2^-17 where it matters.
Value Emitter::exp(Value x) {
  return ex2(mul(x, constant(std::numbers::log2e)));
}

/// Near zero by its series, else exp(x) - 1.
Value Emitter::expm1(Value x) {
  Value series = fma(x, constant(1.0 / 24), constant(1.0 / 6));
  series = fma(x, series, constant(0.5));
  series = fma(mul(x, x), series, x);
  return select(less(abs(x), 1.0 / 32), series, sub(exp(x), constant(1)));
}

Value Emitter::log1p(Value x) {
  Value series = fma(x, constant(-0.25), constant(1.0 / 3));
  series = fma(x, series, constant(-0.5));
  series = fma(mul(x, x), series, x);
  Value far = mul(lg2(add(x, constant(1))), constant(std::numbers::ln2));
  return select(less(abs(x), 1.0 / 64), series, far);
}

/// tanh(x) = sign(x) (1 - e) / (1 + e), e = 2^(-2 |x| log2 e). Never
/// overflows; absolute error about 2^-22. Near zero the quotient would lose
/// relative accuracy, so |x| < 1/8 takes the odd polynomial instead.
Value Emitter::tanh(Value x) {
  Value magnitude = abs(x);
  Value e = ex2(mul(magnitude, constant(-2 * std::numbers::log2e)));
  Value one = constant(1);
  Value far = mul(sub(one, e), rcp(add(one, e)));
  Value square = mul(x, x);
  // x - x^3/3 + 2x^5/15 - 17x^7/315: error below 2^-27 relative on |x| < 1/8.
  Value series = fma(square, constant(-17.0 / 315), constant(2.0 / 15));
  series = fma(square, series, constant(-1.0 / 3));
  series = fma(mul(square, x), series, x);
  return select(less(magnitude, 0.125), series, copysign(far, x));
}

/// x / y. A constant divisor becomes a factor where that is exact enough for
/// f32 (one rounding more).
Value Emitter::divide(Value x, Value y) {
  FloatAttr divisor;
  if (matchPattern(y, m_Constant(&divisor))) {
    double value = divisor.getValueAsDouble();
    double inverse = 1.0 / value;
    if (std::isfinite(inverse) && std::fabs(inverse) > 0x1p-126 && value != 0)
      return mul(x, constant(inverse));
  }
  return quotient(x, y);
}

//===----------------------------------------------------------------------===//
// Trigonometry
//===----------------------------------------------------------------------===//

/// A float is m 2^e with a mantissa m of 24 bits, and of m (2^e / 2 pi) only
/// the fraction counts: 64 bits of 1 / 2 pi, from where they weigh more than a
/// turn, times m modulo 2^64, are the fraction to 2^-40 of a turn, whatever the
/// exponent (after Payne and Hanek, "Radian reduction for trigonometric
/// functions", 1983). Its upper half, rounded to a float, is x within 2^-22.
Value Emitter::reduceTurns(Value x) {
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  // 1 / 2 pi behind 22 zeros: a float of exponent 128, from 2 on, begins with
  // the first bit.
  Value words[] = {integer(i64, 0x000000a2f9836e4e),
                   integer(i64, 0x441529fc2757d1f5),
                   integer(i64, 0x34ddc0db6295993c)};
  Value bits = arith::BitcastOp::create(b, i32, x);
  Value exponent = arith::ShRUIOp::create(b, bits, integer(i32, 23));
  exponent = arith::AndIOp::create(b, exponent, integer(i32, 0xff));
  Value mantissa = arith::AndIOp::create(b, bits, integer(i32, 0x7fffff));
  mantissa = arith::OrIOp::create(b, mantissa, integer(i32, 0x800000));
  Value first = arith::SubIOp::create(b, exponent, integer(i32, 128));
  Value isLate = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, first,
                                       integer(i32, 64));
  Value window =
      intrinsic("llvm.fshl.i64", {select(isLate, words[1], words[0]),
                                  select(isLate, words[2], words[1]),
                                  arith::ExtUIOp::create(b, i64, first)});
  Value turn = arith::MulIOp::create(b, window,
                                     arith::ExtUIOp::create(b, i64, mantissa));
  turn = arith::ShRUIOp::create(b, turn, integer(i64, 32));
  // As a signed integer, from -1/2 to 1/2.
  turn = arith::TruncIOp::create(b, i32, turn);
  Value angle = arith::SIToFPOp::create(b, b.getF32Type(), turn);
  angle = mul(angle, constant(std::numbers::pi * 0x1p-31));
  angle = select(less(x, 0), arith::NegFOp::create(b, angle), angle);
  // NaN of an infinity and of NaN.
  angle = fma(x, constant(0), angle);
  Value isNear =
      compare(CmpFPredicate::OLE, abs(x), constant(std::numbers::pi));
  return select(isNear, x, angle);
}

Value Emitter::sin(Value x) {
  return intrinsic("llvm.nvvm.sin.approx.ftz.f", reduceTurns(x));
}

Value Emitter::cos(Value x) {
  return intrinsic("llvm.nvvm.cos.approx.ftz.f", reduceTurns(x));
}

//===----------------------------------------------------------------------===//
// Powers
//===----------------------------------------------------------------------===//

Value Emitter::power(Value x, uint64_t n) {
  Value result;
  for (; n != 0; n >>= 1) {
    if (n & 1)
      result = result ? mul(result, x) : x;
    if (n > 1)
      x = mul(x, x);
  }
  return result;
}

/// 2^(y log2 |x|), without flushing subnormals: neither does C. The logarithm
/// of one is zero, times an infinite exponent NaN, where the power is one.
Value Emitter::powMagnitude(Value x, Value y) {
  Value magnitude = abs(x);
  Value log = intrinsic("llvm.nvvm.lg2.approx.f", magnitude);
  Value result = intrinsic("llvm.nvvm.ex2.approx.f32", mul(y, log));
  APFloat exponent(0.0f);
  if (matchPattern(y, m_ConstantFloat(&exponent)) && exponent.isFinite())
    return result;
  Value one = constant(1);
  return select(equal(magnitude, one), one, result);
}

/// The cases are those of C23, F.10.4.4.
Value Emitter::pow(Value x, Value y) {
  // Products of at most this many factors are as exact as the logarithm.
  constexpr double kFactors = 16;
  Value nan = constant(std::nan(""));
  Value one = constant(1);
  // The result of a finite negative base where the exponent is no integer.
  auto isInvalid = [&] {
    Value isNegative = less(x, 0);
    Value isFinite = compare(CmpFPredicate::ONE, x, constant(-INFINITY));
    return both(isNegative, isFinite);
  };
  APFloat attribute(0.0f);
  if (matchPattern(y, m_ConstantFloat(&attribute)) && !attribute.isNaN() &&
      !attribute.isInfinity()) {
    double exponent = attribute.convertToDouble();
    bool isInteger = std::trunc(exponent) == exponent;
    if (exponent == 0)
      return one;
    if (isInteger && std::fabs(exponent) <= kFactors) {
      Value product = power(x, uint64_t(std::fabs(exponent)));
      return exponent > 0 ? product : quotient(one, product);
    }
    Value magnitude = powMagnitude(x, y);
    if (!isInteger)
      return select(isInvalid(), nan, magnitude);
    bool isOdd = std::fmod(exponent, 2) != 0;
    return isOdd ? copysign(magnitude, x) : magnitude;
  }
  Value magnitude = powMagnitude(x, y);
  // NaN is no integer, and an infinity is an even one.
  Value isInteger = equal(trunc(y), y);
  Value half = mul(y, constant(0.5));
  Value isEven = equal(trunc(half), half);
  Value ofInteger = select(isEven, magnitude, copysign(magnitude, x));
  Value ofOther = select(isInvalid(), nan, magnitude);
  // One to the power of NaN is one, and NaN to the power of zero.
  Value isOne = equal(x, one);
  Value result = select(isInteger, ofInteger, select(isOne, one, ofOther));
  return select(equal(y, constant(0)), one, result);
}
