//===- ScalarTests.cpp - Scalar operations, bit for bit ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of scalar.cu against host arithmetic, over patterns that include
// zeros, subnormals, infinities, NaNs and ties.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <bit>
#include <cfenv>
#include <cmath>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr unsigned kCount = 4096;

float f(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t u(float value) {
  return value != value ? 0x7fffffff : std::bit_cast<uint32_t>(value);
}

std::vector<uint32_t> patterns(unsigned seed) {
  static constexpr uint32_t special[] = {
      0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
      0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
      0x7fc00000, 0x7f800001, 0xffffffff, 0x7fffffff, 0x4b000001, 0x3effffff,
      0x3f000000, 0xcf000000, 0x4f000000, 0x387fc000, 0x387fe000, 0x33000000,
      0x33000001, 0x477fefff, 0x477ff000, 0x3f808000, 0x3f818000, 0x43800000};
  std::mt19937 random(seed);
  std::vector<uint32_t> values(kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    unsigned choice = random() % 4;
    if (choice == 0)
      values[i] = special[random() % std::size(special)];
    else if (choice == 1) // Numbers near one: sums cancel, products round.
      values[i] = 0x3f000000 + random() % 0x1800000 + (random() << 31);
    else
      values[i] = random();
  }
  return values;
}

class Scalar : public ::testing::Test {
protected:
  Scalar() : x(patterns(1)), y(patterns(2)), z(patterns(3)) {}

  /// Runs `kernel` and compares each result row with `expected(row, i)`.
  template <typename F>
  void check(const char *kernel, unsigned rows, F expected) {
    auto module = parse(readInput("scalar.ptx"));
    ASSERT_TRUE(module);
    KernelRun run(*module, kernel);
    run.in(x).in(y).in(z).out<uint32_t>(rows * kCount).value(int(kCount));
    Report report = run.go(kCount / 128, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<uint32_t> got = run.result<uint32_t>();
    for (unsigned row = 0; row < rows; ++row)
      for (unsigned i = 0; i < kCount; ++i)
        ASSERT_EQ(got[row * kCount + i], expected(row, i))
            << kernel << " row " << row << " of " << std::hex << x[i] << " "
            << y[i] << " " << z[i];
  }

  std::vector<uint32_t> x, y, z;
};

/// Runs `f` in a host rounding mode; volatile keeps the arithmetic inside.
template <typename F> float rounded(int mode, F f) {
  std::fesetround(mode);
  volatile float result = f();
  std::fesetround(FE_TONEAREST);
  return result;
}

/// min and max of PTX: a NaN loses, -0 is less than +0.
float extremum(float a, float b, bool isMax) {
  if (a != a)
    return b;
  if (b != b)
    return a;
  if (a == b)
    return std::signbit(a) == isMax ? b : a;
  return (a > b) == isMax ? a : b;
}

TEST_F(Scalar, Float) {
  check("float_ops", 12, [&](unsigned row, unsigned i) -> uint32_t {
    float a = f(x[i]), b = f(y[i]), c = f(z[i]);
    volatile float va = a, vb = b, vc = c;
    switch (row) {
    case 0:
      return u(a + b);
    case 1:
      return u(a - b);
    case 2:
      return u(a * b);
    case 3:
      return u(std::fma(a, b, c));
    case 4:
      return u(a / b);
    case 5:
      return u(std::sqrt(a));
    case 6:
      return u(extremum(a, b, false));
    case 7:
      return u(extremum(a, b, true));
    case 8:
      return u(rounded(FE_TOWARDZERO, [&] { return va + vb; }));
    case 9:
      return u(rounded(FE_UPWARD, [&] { return va * vb; }));
    case 10:
      return u(rounded(FE_DOWNWARD, [&] { return std::fma(va, vb, vc); }));
    default:
      return (a < b) | (a <= b) << 1 | (a == b) << 2 | (a != b) << 3 |
             (!(a < b)) << 4 | (!(a >= b)) << 5;
    }
  });
}

TEST_F(Scalar, Integer) {
  check("int_ops", 24, [&](unsigned row, unsigned i) -> uint32_t {
    uint32_t a = x[i], b = y[i], c = z[i];
    int32_t s = int32_t(a), t = int32_t(b);
    auto byte = [](uint32_t w, int k) { return int8_t(w >> (8 * k)); };
    switch (row) {
    case 0:
      return a + b;
    case 1:
      return a * b + c;
    case 2:
      return uint32_t(uint64_t(a) * b >> 32);
    case 3:
      return uint32_t(int64_t(s) * t >> 32);
    case 4:
      return b ? a / b : 0;
    case 5:
      return t == 0 ? 0 : t == -1 ? 0 : uint32_t(s % t);
    case 6:
      return uint32_t(uint64_t(a) * b >> 13);
    case 7:
      return a << (b & 31);
    case 8:
      return uint32_t(s >> (b & 31));
    case 9:
      return uint32_t(__builtin_popcount(a));
    case 10:
      return a ? uint32_t(__builtin_clz(a)) : 32;
    case 11:
      return __builtin_bitreverse32(a);
    case 12: {
      uint32_t result = 0;
      for (int k = 0; k < 4; ++k) {
        uint32_t sel = c >> (4 * k) & 15;
        uint32_t value = (sel & 4 ? b : a) >> (8 * (sel & 3)) & 0xff;
        // The intrinsic uses three bits of each selector.
        result |= value << (8 * k);
      }
      return result;
    }
    case 13:
      return uint32_t((uint64_t(b) << 32 | a) << (c & 31) >> 32);
    case 14:
      return uint32_t((uint64_t(b) << 32 | a) >> std::min(c, 32u));
    case 15:
      return (a & b) ^ (~a & c);
    case 16:
      return uint32_t(std::min(s, t));
    case 17:
      return std::max(a, b);
    case 18: {
      int32_t sum = 0;
      for (int k = 0; k < 4; ++k)
        sum += byte(a, k) * byte(b, k);
      return c + uint32_t(sum);
    }
    case 19:
      return c + (s > t ? a - b : b - a);
    case 20:
      return ((a >> 16) + (b >> 16)) << 16 | ((a + b) & 0xffff);
    case 21: {
      uint64_t wide = (uint64_t(a) << 32 | b) + (uint64_t(b) << 32 | c);
      return uint32_t(wide >> 32);
    }
    case 22: {
      uint64_t wide = (uint64_t(a) << 32 | b) + (uint64_t(b) << 32 | c);
      return uint32_t(((unsigned __int128)wide * wide + a) >> 96);
    }
    default:
      return uint32_t(int32_t(int8_t(a))) + uint16_t(b);
    }
  });
}

/// Clamping conversion of an already integral value; NaN is 0.
template <typename T> T clampTo(double value) {
  if (value != value)
    return 0;
  double low = double(std::numeric_limits<T>::min());
  double high = double(std::numeric_limits<T>::max());
  return value <= low    ? std::numeric_limits<T>::min()
         : value >= high ? std::numeric_limits<T>::max()
                         : T(value);
}

uint32_t half(float value) {
  return value != value ? 0x7fff : std::bit_cast<uint16_t>(_Float16(value));
}

/// bf16 by rounding candidates: the nearest of the two neighbours.
uint32_t bhalf(float value) {
  if (value != value)
    return 0x7fff;
  uint32_t bits = std::bit_cast<uint32_t>(value), low = bits & 0xffff0000;
  uint32_t rest = bits & 0xffff;
  bool up = rest > 0x8000 || (rest == 0x8000 && (low & 0x10000));
  return (low + (up ? 0x10000 : 0)) >> 16;
}

TEST_F(Scalar, Convert) {
  check("convert_ops", 16, [&](unsigned row, unsigned i) -> uint32_t {
    float a = f(x[i]), b = f(y[i]);
    switch (row) {
    case 0:
      return uint32_t(clampTo<int32_t>(std::trunc(a)));
    case 1:
      return clampTo<uint32_t>(std::nearbyint(a));
    case 2:
      return uint32_t(clampTo<int32_t>(std::ceil(a)));
    case 3:
      return u(float(int32_t(x[i])));
    case 4: {
      float near = float(x[i]);
      return u(double(near) > double(x[i]) ? std::nextafter(near, 0.0f) : near);
    }
    case 5:
      return half(a);
    case 6: {
      if (a != a)
        return 0x7fff;
      _Float16 near = _Float16(a);
      uint16_t bits = std::bit_cast<uint16_t>(near);
      // Nearest may have gone past the value, then its neighbour is meant.
      if (std::fabs(float(near)) > std::fabs(a))
        --bits;
      return bits;
    }
    case 7:
      return u(float(std::bit_cast<_Float16>(uint16_t(x[i]))));
    case 8:
      return bhalf(a);
    case 9:
      return bhalf(a) << 16 | bhalf(b);
    case 10:
      return half(a) << 16 | half(b);
    case 11: {
      if (a != a)
        return 0x7fffffff;
      if (std::isinf(a))
        return u(a);
      return (x[i] + 0x1000) & 0xffffe000;
    }
    case 12:
      return u(std::nearbyint(a));
    case 13:
      return u(std::floor(a));
    case 14:
      return u(float(double(a)) * 0.5f);
    default:
      // NaN gives the top bit of the 64-bit result alone.
      return a != a ? 0 : uint32_t(clampTo<int64_t>(std::trunc(a)));
    }
  });
}

TEST_F(Scalar, Half) {
  auto load = [](uint32_t w, bool high) {
    return double(std::bit_cast<_Float16>(uint16_t(w >> (high ? 16 : 0))));
  };
  auto loadB = [](uint32_t w, bool high) {
    return double(f(high ? w & 0xffff0000 : w << 16));
  };
  // long double holds every sum of a 16-bit product and addend exactly enough
  // to round once: 64 bits cover the span of f16, and for bf16 inputs the
  // sticky part is taken from the error of the sum.
  auto halfOf = [](long double value) -> uint32_t {
    return value != value ? 0x7fff : std::bit_cast<uint16_t>(_Float16(value));
  };
  check("half_ops", 6, [&](unsigned row, unsigned i) -> uint32_t {
    uint32_t result = 0;
    for (bool high : {false, true}) {
      double a = load(x[i], high), b = load(y[i], high), c = load(z[i], high);
      double p = loadB(x[i], high), q = loadB(y[i], high),
             r = loadB(z[i], high);
      uint32_t value = 0;
      switch (row) {
      case 0:
        value = halfOf(a + b);
        break;
      case 1:
        value = halfOf(a * b);
        break;
      case 2:
        value = halfOf((long double)a * b + c);
        break;
      case 3: {
        long double product = (long double)p * q, sum = product + r;
        long double error = r - (sum - product);
        double near = double(sum);
        // Direction of what double dropped, as a sticky nudge.
        long double rest = (sum - near) + error;
        if (rest != 0 && std::isfinite(near) &&
            !(std::bit_cast<uint64_t>(near) & 1))
          near = std::nextafter(near, rest > 0 ? INFINITY : -INFINITY);
        if (near != near) {
          value = 0x7fff;
          break;
        }
        float narrow = float(near);
        // Keep the sticky bit through f32 as well.
        if (double(narrow) != near && std::isfinite(narrow) &&
            !(std::bit_cast<uint32_t>(narrow) & 1))
          narrow = std::nextafter(narrow, near > narrow ? INFINITY : -INFINITY);
        value = bhalf(narrow);
        break;
      }
      case 4: {
        float best = extremum(float(a), float(b), true);
        value = half(best);
        break;
      }
      case 5: {
        bool nan = p != p || q != q;
        value = nan ? 0x7fff : bhalf(extremum(float(p), float(q), false));
        break;
      }
      }
      result |= value << (high ? 16 : 0);
    }
    return result;
  });
}

float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value)
                                                : value;
}

TEST_F(Scalar, Math) {
  check("math_ops", 6, [&](unsigned row, unsigned i) -> uint32_t {
    float a = f(x[i]);
    switch (row) {
    case 0:
      return u(flushed(float(std::exp2((long double)flushed(a)))));
    case 1:
      return u(float(std::log2((long double)a)));
    case 2:
      return u(flushed(1.0f / flushed(a)));
    case 3:
      return u(float(1.0L / std::sqrt((long double)a)));
    case 4:
      return u(float(std::tanh((long double)a)));
    default:
      return u(float(std::sin(double(a))));
    }
  });
}

} // namespace
