//===- PackedTests.cpp - Packed and narrow arithmetic, bit for bit --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One instruction at a time over patterns of 64 bits, against host arithmetic.
// The expectations of the narrow formats come from tables of their values.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <bit>
#include <cfenv>
#include <cmath>
#include <functional>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr unsigned kCount = 4096;

float f(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t u(float value) {
  return value != value ? 0x7fffffff : std::bit_cast<uint32_t>(value);
}
uint32_t low(uint64_t value) { return uint32_t(value); }
uint32_t high(uint64_t value) { return uint32_t(value >> 32); }
uint64_t pair(uint32_t lowWord, uint32_t highWord) {
  return uint64_t(highWord) << 32 | lowWord;
}
float flushed(float value) {
  return std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value)
                                                : value;
}

std::vector<uint64_t> patterns(unsigned seed) {
  static constexpr uint32_t special[] = {
      0,          0x80000000, 1,          0x80000001, 0x007fffff, 0x00800000,
      0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
      0x7fc00000, 0x7f800001, 0xffffffff, 0x00400000, 0x00400001, 0x40c00000,
      0x40a00000, 0x3e800000, 0x3e000000, 0x477fe000, 0x477ff000, 0x38800000};
  std::mt19937 random(seed);
  auto word = [&]() -> uint32_t {
    switch (random() % 4) {
    case 0:
      return special[random() % std::size(special)];
    case 1: // Near one.
      return 0x3f000000 + random() % 0x1800000 + (random() << 31);
    case 2: // Within the range of the narrow formats.
      return 0x3a000000 + random() % 0x9000000 + (random() << 31);
    default:
      return random();
    }
  };
  std::vector<uint64_t> values(kCount);
  for (uint64_t &value : values)
    value = pair(word(), word());
  return values;
}

class Packed : public ::testing::Test {
protected:
  Packed() : x(patterns(11)), y(patterns(12)), z(patterns(13)) {}

  /// Runs `op`, which finds three 64-bit words in %rd10-12, their lower 32 bits
  /// in %r10-12 and the lower 16 in %h10-12, and leaves its result in
  /// `result`: one of %rd13, %r13, %h13.
  std::vector<uint64_t> run(const std::string &op, const std::string &result) {
    std::string body = R"(
mov.u32 %r1, %ctaid.x;
mov.u32 %r2, %ntid.x;
mov.u32 %r3, %tid.x;
mad.lo.u32 %r1, %r1, %r2, %r3;
mul.wide.u32 %rd1, %r1, 8;
)";
    const char *names[] = {"a", "b", "c", "out"};
    for (int i = 0; i < 4; ++i) {
      std::string p = "%rd" + std::to_string(2 + i);
      body += "ld.param.u64 " + p + ", [" + names[i] + "];\nadd.s64 " + p +
              ", " + p + ", %rd1;\n";
    }
    for (int i = 0; i < 3; ++i) {
      std::string n = std::to_string(10 + i);
      body += "ld.global.b64 %rd" + n + ", [%rd" + std::to_string(2 + i) +
              "];\ncvt.u32.u64 %r" + n + ", %rd" + n + ";\ncvt.u16.u64 %h" + n +
              ", %rd" + n + ";\n";
    }
    body += op + "\n";
    if (result == "%r13")
      body += "cvt.u64.u32 %rd13, %r13;\n";
    if (result == "%h13")
      body += "cvt.u64.u16 %rd13, %h13;\n";
    body += "st.global.b64 [%rd5], %rd13;\nret;";
    auto module = parse(kernelText(
        body, ".param .u64 a, .param .u64 b, .param .u64 c, .param .u64 out"));
    if (!module)
      return {};
    KernelRun kernel(*module, "k");
    kernel.in(x).in(y).in(z).out<uint64_t>(kCount);
    Report report = kernel.go(kCount / 128, 128);
    EXPECT_TRUE(report.ok) << op << "\n" << issues(report);
    return kernel.result<uint64_t>();
  }

  void
  check(const std::string &op, const std::string &result,
        const std::function<uint64_t(uint64_t, uint64_t, uint64_t)> &want) {
    std::vector<uint64_t> got = run(op, result);
    ASSERT_EQ(got.size(), kCount) << op;
    for (unsigned i = 0; i < kCount; ++i)
      ASSERT_EQ(got[i], want(x[i], y[i], z[i]))
          << op << std::hex << " of " << x[i] << " " << y[i] << " " << z[i];
  }

  std::vector<uint64_t> x, y, z;
};

/// Runs `g` in a host rounding mode; volatile keeps the arithmetic inside.
template <typename G> float rounded(int mode, G g) {
  std::fesetround(mode);
  volatile float result = g();
  std::fesetround(FE_TONEAREST);
  return result;
}

constexpr std::pair<const char *, int> kModes[] = {{"rn", FE_TONEAREST},
                                                   {"rz", FE_TOWARDZERO},
                                                   {"rm", FE_DOWNWARD},
                                                   {"rp", FE_UPWARD}};

float arithmetic(const std::string &name, int mode, float a, float b, float c) {
  volatile float p = a, q = b, r = c;
  return rounded(mode, [&]() -> float {
    return name == "add"   ? p + q
           : name == "sub" ? p - q
           : name == "mul" ? p * q
                           : std::fma(p, q, r);
  });
}

TEST_F(Packed, PairsOfF32) {
  for (std::string name : {"add", "sub", "mul", "fma"})
    for (auto [suffix, mode] : kModes)
      for (bool ftz : {false, true}) {
        std::string op = name + "." + suffix + (ftz ? ".ftz" : "") +
                         ".f32x2 %rd13, %rd10, %rd11" +
                         (name == "fma" ? ", %rd12;" : ";");
        auto half = [&](uint32_t a, uint32_t b, uint32_t c) {
          auto in = [&](uint32_t bits) {
            return ftz ? flushed(f(bits)) : f(bits);
          };
          float value = arithmetic(name, mode, in(a), in(b), in(c));
          return u(ftz ? flushed(value) : value);
        };
        check(op, "%rd13", [&](uint64_t a, uint64_t b, uint64_t c) {
          return pair(half(low(a), low(b), low(c)),
                      half(high(a), high(b), high(c)));
        });
      }
}

TEST_F(Packed, PairsUnderAGuard) {
  // Lanes without the guard keep both halves.
  check("setp.lt.u32 %p1, %r11, 0x60000000;\nmov.b64 %rd13, %rd12;\n"
        "@%p1 add.rn.f32x2 %rd13, %rd10, %rd11;",
        "%rd13", [](uint64_t a, uint64_t b, uint64_t c) {
          return low(b) < 0x60000000 ? pair(u(f(low(a)) + f(low(b))),
                                            u(f(high(a)) + f(high(b))))
                                     : c;
        });
}

TEST_F(Packed, MixedPrecision) {
  auto f16 = [](uint64_t bits) {
    return float(std::bit_cast<_Float16>(uint16_t(bits)));
  };
  auto bf16 = [](uint64_t bits) { return f(uint32_t(bits) << 16); };
  for (bool isBf : {false, true})
    for (auto [suffix, mode] : kModes)
      for (bool sat : {false, true}) {
        std::string tail = std::string(".") + suffix + (sat ? ".sat" : "") +
                           ".f32." + (isBf ? "bf16 " : "f16 ") + "%r13, %h10, ";
        auto wide = [&](uint64_t bits) {
          return isBf ? bf16(bits) : f16(bits);
        };
        auto end = [&](float value) {
          if (sat)
            value = value > 0 ? std::min(value, 1.0f) : 0.0f;
          return u(value);
        };
        for (std::string name : {"add", "sub"})
          check(name + tail + "%r12;", "%r13",
                [&](uint64_t a, uint64_t, uint64_t c) {
                  return end(arithmetic(name, mode, wide(a), f(low(c)), 0));
                });
        check("fma" + tail + "%h11, %r12;", "%r13",
              [&](uint64_t a, uint64_t b, uint64_t c) {
                return end(
                    arithmetic("fma", mode, wide(a), wide(b), f(low(c))));
              });
      }
}

//===----------------------------------------------------------------------===//
// Narrow formats, by tables
//===----------------------------------------------------------------------===//

/// The magnitudes of a format by pattern, from its definition.
std::vector<double> magnitudes(int exponentBits, int mantissaBits) {
  std::vector<double> values;
  int bias = exponentBits == 2 ? 1 : 3;
  for (int e = 0; e < 1 << exponentBits; ++e)
    for (int m = 0; m < 1 << mantissaBits; ++m)
      values.push_back(
          e ? std::ldexp(1 + double(m) / (1 << mantissaBits), e - bias)
            : std::ldexp(double(m), 1 - bias - mantissaBits));
  return values;
}

/// The nearest magnitude, ties to the even pattern, clamped.
uint32_t nearest(const std::vector<double> &values, float value) {
  uint32_t sign = std::signbit(value) ? uint32_t(values.size()) : 0;
  if (value != value)
    return uint32_t(values.size()) - 1;
  double magnitude = std::min(std::fabs(double(value)), values.back());
  uint32_t best = 0;
  for (uint32_t i = 1; i < values.size(); ++i) {
    double there = std::fabs(values[i] - magnitude);
    double here = std::fabs(values[best] - magnitude);
    if (there < here || (there == here && i % 2 == 0))
      best = i;
  }
  return sign | best;
}

struct Narrow {
  const char *name;
  int exponentBits, mantissaBits, stride;
};
constexpr Narrow kNarrow[] = {
    {"e2m3x2", 2, 3, 8}, {"e3m2x2", 3, 2, 8}, {"e2m1x2", 2, 1, 4}};

TEST_F(Packed, ToNarrow) {
  for (const Narrow &narrow : kNarrow)
    for (bool relu : {false, true}) {
      std::vector<double> values =
          magnitudes(narrow.exponentBits, narrow.mantissaBits);
      std::string type = narrow.name;
      std::string op = "cvt.rn.satfinite" + std::string(relu ? ".relu." : ".") +
                       type + ".f32 ";
      op = type == "e2m1x2" ? "{\n.reg .b8 t;\n" + op +
                                  "t, %r10, %r11;\nmov.b16 %h13, {t, 0};\n}"
                            : op + "%h13, %r10, %r11;";
      check(op, "%h13", [&](uint64_t a, uint64_t b, uint64_t) {
        auto one = [&](uint32_t bits) {
          float value = f(bits);
          return nearest(values, relu && value < 0 ? 0.0f : value);
        };
        return uint64_t(one(low(a)) << narrow.stride | one(low(b)));
      });
    }
}

TEST_F(Packed, FromNarrow) {
  for (const Narrow &narrow : kNarrow)
    for (bool relu : {false, true}) {
      std::vector<double> values =
          magnitudes(narrow.exponentBits, narrow.mantissaBits);
      std::string type = narrow.name;
      std::string op =
          "cvt.rn" + std::string(relu ? ".relu" : "") + ".f16x2." + type;
      op = type == "e2m1x2" ? "{\n.reg .b8 t, s;\nmov.b16 {t, s}, %h10;\n" +
                                  op + " %r13, t;\n}"
                            : op + " %r13, %h10;";
      check(op, "%r13", [&](uint64_t a, uint64_t, uint64_t) {
        auto one = [&](uint32_t bits) -> uint32_t {
          uint32_t count = uint32_t(values.size());
          double value = values[bits % count];
          if (bits / count % 2)
            value = -value;
          if (relu && value < 0)
            value = 0;
          return std::bit_cast<uint16_t>(_Float16(value));
        };
        uint32_t word = low(a);
        return uint64_t(one(word >> narrow.stride) << 16 | one(word));
      });
    }
}

TEST_F(Packed, Scales) {
  // The exponent of a power of two not above (.rz) or not below (.rp) |x|.
  auto scale = [](float value, bool up, bool finite) -> uint32_t {
    if (value != value)
      return 255;
    if (std::isinf(value))
      return finite ? 254 : 255;
    double magnitude = std::fabs(double(value));
    int code = 0;
    if (up) {
      while (code < 255 && std::ldexp(1.0, code - 127) < magnitude)
        ++code;
    } else {
      while (code < 254 && std::ldexp(1.0, code + 1 - 127) <= magnitude)
        ++code;
    }
    return finite ? std::min(code, 254) : code;
  };
  for (bool up : {false, true})
    for (bool finite : {false, true}) {
      std::string mode = std::string("cvt.") + (up ? "rp" : "rz") +
                         (finite ? ".satfinite" : "") + ".ue8m0x2.";
      check(mode + "f32 %h13, %r10, %r11;", "%h13",
            [&](uint64_t a, uint64_t b, uint64_t) {
              return uint64_t(scale(f(low(a)), up, finite) << 8 |
                              scale(f(low(b)), up, finite));
            });
      check(mode + "bf16x2 %h13, %r10;", "%h13",
            [&](uint64_t a, uint64_t, uint64_t) {
              return uint64_t(scale(f(low(a) & 0xffff0000), up, finite) << 8 |
                              scale(f(low(a) << 16), up, finite));
            });
    }
  check("cvt.rn.bf16x2.ue8m0x2 %r13, %h10;", "%r13",
        [](uint64_t a, uint64_t, uint64_t) {
          auto one = [](uint32_t code) -> uint32_t {
            if (code == 255)
              return 0x7fff;
            float value = float(std::ldexp(1.0, int(code) - 127));
            return std::bit_cast<uint32_t>(value) >> 16;
          };
          return uint64_t(one(low(a) >> 8 & 0xff) << 16 | one(low(a) & 0xff));
        });
}

TEST_F(Packed, StochasticRounding) {
  // bf16 drops 16 bits of the pattern: adding random ones carries where they
  // overflow. (Patterns of f32 are ordered as their magnitudes.)
  auto bf16 = [](uint32_t bits, uint32_t random, bool relu, bool finite) {
    float value = f(bits);
    if (value != value)
      return 0x7fffu;
    if (relu && value < 0)
      return 0u;
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t sum = std::isinf(value) ? 0x7f80u : (magnitude + random) >> 16;
    return sign | (finite ? std::min(sum, 0x7f7fu) : sum);
  };
  for (bool relu : {false, true})
    for (bool finite : {false, true})
      check(std::string("cvt.rs") + (relu ? ".relu" : "") +
                (finite ? ".satfinite" : "") +
                ".bf16x2.f32 %r13, %r10, %r11, %r12;",
            "%r13", [&](uint64_t a, uint64_t b, uint64_t c) {
              return uint64_t(bf16(low(a), low(c) >> 16, relu, finite) << 16 |
                              bf16(low(b), low(c) & 0xffff, relu, finite));
            });
  // f16, in its normal range, drops 13.
  check("and.b32 %r10, %r10, 0x83ffffff;\nadd.u32 %r10, %r10, 0x3a000000;\n"
        "cvt.rs.f16x2.f32 %r13, %r10, %r10, %r12;",
        "%r13", [](uint64_t a, uint64_t, uint64_t c) {
          uint32_t bits = (low(a) & 0x83ffffff) + 0x3a000000;
          auto one = [&](uint32_t random) -> uint32_t {
            uint32_t sum = ((bits & 0x7fffffff) + (random & 0x1fff)) >> 13;
            return (bits >> 16 & 0x8000) | (sum - (112u << 10));
          };
          return uint64_t(one(low(c) >> 16) << 16 | one(low(c)));
        });
}

//===----------------------------------------------------------------------===//
// Smaller forms
//===----------------------------------------------------------------------===//

TEST_F(Packed, Lop3WithPredicate) {
  for (bool isAnd : {false, true})
    check(std::string("setp.lt.u32 %p2, %r11, %r12;\nlop3.") +
              (isAnd ? "and" : "or") +
              ".b32 %r14|%p1, %r10, %r11, %r12, 0x80, !%p2;\n"
              "selp.b32 %r13, 1, 0, %p1;\nxor.b32 %r13, %r13, %r14;",
          "%r13", [&](uint64_t a, uint64_t b, uint64_t c) {
            uint32_t all = low(a) & low(b) & low(c);
            bool q = !(low(b) < low(c));
            bool p = isAnd ? all && q : all || q;
            return uint64_t(all ^ uint32_t(p));
          });
  check("setp.ne.u32 %p2, %r10, %r10;\n"
        "lop3.or.b32 _|%p1, %r10, %r11, %r12, 0x80, %p2;\n"
        "selp.b32 %r13, 1, 0, %p1;",
        "%r13", [](uint64_t a, uint64_t b, uint64_t c) {
          return uint64_t((low(a) & low(b) & low(c)) != 0);
        });
}

TEST_F(Packed, ClampedPairsOfS16) {
  for (bool isMax : {false, true})
    check(std::string(isMax ? "max" : "min") + ".relu.s16x2 %r13, %r10, %r11;",
          "%r13", [&](uint64_t a, uint64_t b, uint64_t) {
            auto one = [&](uint32_t p, uint32_t q) -> uint32_t {
              int x = int16_t(p), y = int16_t(q);
              return uint16_t(
                  std::max(isMax ? std::max(x, y) : std::min(x, y), 0));
            };
            return uint64_t(one(low(a) >> 16, low(b) >> 16) << 16 |
                            one(low(a), low(b)));
          });
}

TEST_F(Packed, LargestMagnitudeOfThree) {
  check("max.abs.f32 %r13, %r10, %r11, %r12;", "%r13",
        [](uint64_t a, uint64_t b, uint64_t c) {
          float values[] = {f(low(a)), f(low(b)), f(low(c))};
          float best = NAN;
          for (float value : values)
            best = std::fmax(best, std::fabs(value));
          return uint64_t(u(best));
        });
  check("min.NaN.abs.f32 %r13, %r10, %r11, %r12;", "%r13",
        [](uint64_t a, uint64_t b, uint64_t c) {
          float values[] = {f(low(a)), f(low(b)), f(low(c))};
          float best = INFINITY;
          for (float value : values)
            best = value != value || best != best
                       ? NAN
                       : std::fmin(best, std::fabs(value));
          return uint64_t(u(best));
        });
}

TEST_F(Packed, SignsOfHalvesWithFlush) {
  auto flush = [](uint32_t h) { return h & 0x7c00 ? h : h & 0x8000; };
  check("neg.ftz.f16x2 %r13, %r10;", "%r13",
        [&](uint64_t a, uint64_t, uint64_t) {
          return uint64_t((flush(low(a) >> 16) ^ 0x8000) << 16 |
                          (flush(low(a) & 0xffff) ^ 0x8000));
        });
  check("abs.ftz.f16 %h13, %h10;", "%h13", [&](uint64_t a, uint64_t, uint64_t) {
    return uint64_t(flush(low(a) & 0xffff) & 0x7fff);
  });
}

TEST_F(Packed, ReductionsOfF32) {
  for (bool isMax : {false, true})
    for (bool isAbs : {false, true})
      for (bool nan : {false, true}) {
        std::string op = std::string("redux.sync.") + (isMax ? "max" : "min") +
                         (isAbs ? ".abs" : "") + (nan ? ".NaN" : "") +
                         ".f32 %r13, %r10, -1;";
        std::vector<uint64_t> got = run(op, "%r13");
        ASSERT_EQ(got.size(), kCount);
        for (unsigned first = 0; first < kCount; first += 32) {
          bool any = false, sawNaN = false;
          float best = 0;
          for (unsigned i = first; i < first + 32; ++i) {
            float value = isAbs ? std::fabs(f(low(x[i]))) : f(low(x[i]));
            if (value != value) {
              sawNaN = true;
              continue;
            }
            bool better = value == best ? std::signbit(value) != isMax &&
                                              std::signbit(best) == isMax
                                        : (value > best) == isMax;
            if (!any || better)
              best = value;
            any = true;
          }
          uint32_t want = !any || (nan && sawNaN) ? 0x7fffffff : u(best);
          for (unsigned i = first; i < first + 32; ++i)
            ASSERT_EQ(got[i], want) << op << " lanes from " << first;
        }
      }
}

} // namespace
