//===- OpsMath.cpp - Approximate functions ----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ex2, lg2, rsqrt, sin, cos, tanh .approx. The hardware's results are within
// some ulp of the true ones and differ between chips; here they are correctly
// rounded (computed in double and rounded once), or off by a seeded error of
// at most 2 ulp in the adversarial mode, so that a kernel which depends on
// more accuracy than PTX promises shows it. (tanh.approx promises a relative
// error of 2^-11 only and is off by up to that.)
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <cmath>

using namespace flash::emu;

namespace {

/// 2^x in double for a float x: 2^f by its Taylor series, |f| <= 1/2, relative
/// error about 2e-16. Straight-line code, so that it vectorises.
inline double exp2OfFloat(float value) {
  double x = value;
  x = x < -1000.0 ? -1000.0 : x;
  x = x > 1000.0 ? 1000.0 : x;
  // Adding 1.5 * 2^52 rounds to an integer in the low mantissa bits.
  double shifted = x + 0x1.8p52;
  double whole = shifted - 0x1.8p52;
  double f = (x - whole) * 0.69314718055994530942;
  double p = 2.08767569878681e-09; // 1/12!
  p = p * f + 2.505210838544172e-08;
  p = p * f + 2.755731922398589e-07;
  p = p * f + 2.755731922398589e-06;
  p = p * f + 2.48015873015873e-05;
  p = p * f + 0.0001984126984126984;
  p = p * f + 0.001388888888888889;
  p = p * f + 0.008333333333333333;
  p = p * f + 0.041666666666666664;
  p = p * f + 0.16666666666666666;
  p = p * f + 0.5;
  p = p * f + 1.0;
  p = p * f + 1.0;
  uint64_t exponent = std::bit_cast<uint64_t>(shifted) << 52;
  double scaled = std::bit_cast<double>(std::bit_cast<uint64_t>(p) + exponent);
  return value != value ? NAN : scaled;
}

/// A seeded error of -2 .. 2 ulp on a finite normal number.
float disturb(float value, uint64_t seed, float argument) {
  if (!std::isnormal(value))
    return value;
  Random random{seed ^ uint64_t(std::bit_cast<uint32_t>(argument)) << 20};
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t moved = bits + random.below(5) - 2;
  float result = std::bit_cast<float>(moved);
  return std::isnormal(result) && std::signbit(result) == std::signbit(value)
             ? result
             : value;
}

enum MathOp : uint8_t { Ex2, Lg2, Rsqrt, Sin, Cos, Tanh };

template <MathOp Op> float evaluate(float x) {
  switch (Op) {
  case Ex2:
    return float(exp2OfFloat(x));
  case Lg2:
    return float(std::log2(double(x)));
  case Rsqrt:
    return float(1.0 / std::sqrt(double(x)));
  case Sin:
    return float(std::sin(double(x)));
  case Cos:
    return float(std::cos(double(x)));
  case Tanh:
    return float(std::tanh(double(x)));
  }
}

template <MathOp Op, bool Ftz>
void runMath(Warp &warp, const Inst &inst, uint32_t mask) {
  const float *a = sourceRow<float>(warp, inst.ops[1]);
  float *out = targetRow<float>(warp, inst.ops[0]);
  float results[32];
  if constexpr (Op == Ex2) {
    FLASH_LANE_LOOP
    for (unsigned i = 0; i < 32; ++i)
      results[i] = evaluate<Op>(Ftz ? flush(a[i]) : a[i]);
  } else {
    forLanes(mask, [&](unsigned i) {
      results[i] = evaluate<Op>(Ftz ? flush(a[i]) : a[i]);
    });
  }
  const LaunchConfig &config = *warp.cta->launch.config;
  if (config.adversarialApprox)
    forLanes(mask, [&](unsigned i) {
      if (Op == Tanh)
        results[i] = float(
            double(results[i]) *
            (1 + std::ldexp(double(int(Random{config.seed ^
                                              std::bit_cast<uint32_t>(a[i])}
                                           .below(2001)) -
                                   1000) /
                                1000,
                            -11)));
      else
        results[i] = disturb(results[i], config.seed, a[i]);
    });
  forLanes(mask, [&](unsigned i) {
    float value = canonical(results[i]);
    out[i] = Ftz ? flush(value) : value;
  });
}

/// rsqrt.approx.f64 yields the upper half of the result only.
void runRsqrt64(Warp &warp, const Inst &inst, uint32_t mask) {
  const double *a = sourceRow<double>(warp, inst.ops[1]);
  double *out = targetRow<double>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    double value = canonical(1.0 / std::sqrt(a[i]));
    out[i] = std::bit_cast<double>(std::bit_cast<uint64_t>(value) &
                                   0xffffffff00000000);
  });
}

template <MathOp Op> bool decodeMath(Decoder &d) {
  if (!d.take("approx"))
    return d.unsupported("expected .approx");
  bool ftz = d.take("ftz");
  std::string_view name = d.root();
  Type type = d.takeType();
  d.meta.pipe = Pipe::MUFU;
  if (type != Type::F32) {
    if (Op == Rsqrt && type == Type::F64) {
      d.setHandler(runRsqrt64);
    } else if (Op == Ex2 || Op == Tanh) {
      return decodeHalfUnary(d, type, name);
    } else {
      return false;
    }
  } else {
    d.setHandler(ftz ? runMath<Op, true> : runMath<Op, false>);
  }
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  return d.expectOperands(2, 2);
}

constexpr OpRow kOps[] = {
    {"ex2", decodeMath<Ex2>},     {"lg2", decodeMath<Lg2>},
    {"rsqrt", decodeMath<Rsqrt>}, {"sin", decodeMath<Sin>},
    {"cos", decodeMath<Cos>},     {"tanh", decodeMath<Tanh>},
};

} // namespace

std::span<const OpRow> flash::emu::mathOps() { return kOps; }
