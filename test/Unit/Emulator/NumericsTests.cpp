//===- NumericsTests.cpp - Narrow formats and tensor-core steps -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorCore.h"

#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace flash::emu;

namespace {

TEST(Formats, F16AgreesWithTheHost) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float host = float(std::bit_cast<_Float16>(uint16_t(bits)));
    float ours = f16ToFloat(bits);
    if (host != host) {
      EXPECT_NE(ours, ours);
      EXPECT_EQ(floatToF16(ours), 0x7fffu);
      continue;
    }
    ASSERT_EQ(std::bit_cast<uint32_t>(ours), std::bit_cast<uint32_t>(host));
    ASSERT_EQ(decodeFloat(kF16, bits), double(host));
    ASSERT_EQ(floatToF16(ours), bits);
    ASSERT_EQ(encodeFloat(kF16, ours, Round::NearestEven), bits);
  }
}

TEST(Formats, NarrowingRoundsAsTheHost) {
  std::mt19937 random(7);
  for (unsigned i = 0; i < 1'000'000; ++i) {
    float value = std::bit_cast<float>(uint32_t(random()));
    if (value != value)
      continue;
    uint32_t expected = std::bit_cast<uint16_t>(_Float16(value));
    ASSERT_EQ(floatToF16(value), expected) << value;
    ASSERT_EQ(encodeFloat(kF16, value, Round::NearestEven), expected);
    ASSERT_EQ(floatToBf16(value),
              encodeFloat(kBF16, value, Round::NearestEven));
    double wide = std::bit_cast<double>(uint64_t(random()) << 32 | random());
    if (wide == wide)
      ASSERT_EQ(encodeFloat(kF32, wide, Round::NearestEven),
                std::bit_cast<uint32_t>(float(wide)))
          << wide;
  }
}

TEST(Formats, EightBit) {
  // Largest numbers, smallest subnormals, and the single NaN of e4m3.
  EXPECT_EQ(decodeFloat(kE4M3, 0x7e), 448.0);
  EXPECT_NE(decodeFloat(kE4M3, 0x7f), decodeFloat(kE4M3, 0x7f));
  EXPECT_EQ(decodeFloat(kE4M3, 1), 0x1p-9);
  EXPECT_EQ(decodeFloat(kE5M2, 0x7b), 57344.0);
  EXPECT_EQ(decodeFloat(kE5M2, 0x7c), INFINITY);
  EXPECT_EQ(decodeFloat(kE5M2, 1), 0x1p-16);
  // Saturation, ties to even.
  EXPECT_EQ(encodeFloat(kE4M3, 1e9, Round::NearestEven, true), 0x7eu);
  EXPECT_EQ(encodeFloat(kE4M3, -1e9, Round::NearestEven, true), 0xfeu);
  EXPECT_EQ(encodeFloat(kE5M2, 1e9, Round::NearestEven, true), 0x7bu);
  EXPECT_EQ(encodeFloat(kE4M3, 17.0, Round::NearestEven), 0x58u); // 16
  EXPECT_EQ(encodeFloat(kE4M3, 19.0, Round::NearestEven), 0x5au); // 20
  for (uint32_t bits = 0; bits < 256; ++bits) {
    double value = decodeFloat(kE4M3, bits);
    if (value == value)
      EXPECT_EQ(encodeFloat(kE4M3, value, Round::NearestEven), bits);
    double wide = decodeFloat(kE5M2, bits);
    if (wide == wide)
      EXPECT_EQ(encodeFloat(kE5M2, wide, Round::NearestEven), bits);
  }
}

/// One step written down from its definition, in 128-bit fixed point: valid
/// while all exponents are within +-40.
float stepByDefinition(int fraction, const std::vector<float> &a,
                       const std::vector<float> &b, float c) {
  auto exponent = [](float x) { return x == 0 ? -1000 : std::ilogb(x); };
  int most = exponent(c);
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != 0 && b[i] != 0)
      most = std::max(most, exponent(a[i]) + exponent(b[i]));
  if (most == -1000)
    return 0;
  // Units of 2^-100; every factor has at most 24 bits.
  auto fixed = [](long double x) { return __int128(std::ldexp(x, 60)) << 40; };
  __int128 unit = __int128(1) << (100 + most - fraction);
  auto truncate = [&](__int128 x) { return x / unit * unit; };
  __int128 sum = truncate(fixed(c));
  for (size_t i = 0; i < a.size(); ++i)
    sum += truncate(fixed((long double)a[i] * b[i]));
  // Toward zero to 24 bits.
  bool negative = sum < 0;
  unsigned __int128 magnitude = negative ? -sum : sum;
  int drop = 0;
  while (magnitude >> 24) {
    magnitude >>= 1;
    ++drop;
  }
  float value = std::ldexp(float(uint32_t(magnitude)), drop - 100);
  return negative ? -value : value;
}

/// multiplyTile against the definition, element by element.
void compareTile(Chip chip, MmaInput input, unsigned k) {
  std::mt19937 random(unsigned(chip) * 8 + unsigned(input));
  DotSpec spec = dotSpec(chip, input, false);
  unsigned differsFromFma = 0, total = 0;
  for (unsigned round = 0; round < 200; ++round) {
    alignas(32) uint32_t aBits[16 * 32], bBits[32 * 8];
    auto pick = [&]() -> uint32_t {
      float value = float(int(random() % 4001) - 2000) / 1000.0f;
      value = std::ldexp(value, int(random() % 9) - 4);
      if (random() % 16 == 0)
        value = 0;
      switch (input) {
      case MmaInput::F16:
        return floatToF16(value);
      case MmaInput::BF16:
        return floatToBf16(value);
      case MmaInput::TF32:
        return std::bit_cast<uint32_t>(value);
      case MmaInput::E4M3:
        return encodeFloat(kE4M3, value, Round::NearestEven, true);
      default:
        return encodeFloat(kE5M2, value, Round::NearestEven, true);
      }
    };
    for (unsigned i = 0; i < 16 * k; ++i)
      aBits[i] = pick();
    for (unsigned i = 0; i < 8 * k; ++i)
      bBits[i] = pick();
    MmaOperand a, b;
    a.set(input, aBits, 16 * k);
    b.set(input, bBits, 8 * k);
    alignas(32) float c[128], start[128];
    for (float &value : start)
      value = std::ldexp(float(random()) / 4e9f, int(random() % 12) - 6);
    std::copy(start, start + 128, c);
    multiplyTile(spec, k, a, b, c);
    for (unsigned row = 0; row < 16; ++row)
      for (unsigned n = 0; n < 8; ++n) {
        float expected = start[row * 8 + n], chain = expected;
        for (unsigned first = 0; first < k; first += spec.group) {
          std::vector<float> as, bs;
          for (unsigned i = first; i < std::min(k, first + spec.group); ++i) {
            as.push_back(a.value[row * k + i]);
            bs.push_back(b.value[i * 8 + n]);
            chain = std::fma(as.back(), bs.back(), chain);
          }
          expected = stepByDefinition(spec.fraction, as, bs, expected);
        }
        ASSERT_EQ(c[row * 8 + n], expected)
            << "row " << row << " column " << n << " round " << round;
        ++total;
        differsFromFma += chain != expected;
      }
  }
  // The steps are no FMA chain: a test against one would be wrong.
  EXPECT_GT(differsFromFma, total / 10);
}

TEST(TensorCore, AmpereF16) { compareTile(Chip::SM80, MmaInput::F16, 16); }
TEST(TensorCore, AmpereF16K8) { compareTile(Chip::SM86, MmaInput::F16, 8); }
TEST(TensorCore, AmpereBF16) { compareTile(Chip::SM80, MmaInput::BF16, 16); }
TEST(TensorCore, AmpereTF32) { compareTile(Chip::SM80, MmaInput::TF32, 8); }
TEST(TensorCore, HopperF16) { compareTile(Chip::SM90, MmaInput::F16, 16); }
TEST(TensorCore, HopperBF16) { compareTile(Chip::SM90, MmaInput::BF16, 16); }
TEST(TensorCore, HopperE4M3) { compareTile(Chip::SM90, MmaInput::E4M3, 32); }
TEST(TensorCore, HopperE5M2) { compareTile(Chip::SM90, MmaInput::E5M2, 32); }

TEST(TensorCore, ChipsRoundDifferently) {
  // Four products of 2^-26 beside 0.5: Ampere keeps 24 bits below 2^-1 and
  // loses each of them, Hopper keeps 25 and they add up to one unit.
  float a[4] = {1, 1, 1, 1}, b[4] = {0x1p-26f, 0x1p-26f, 0x1p-26f, 0x1p-26f};
  int32_t ea[4] = {}, eb[4] = {-26, -26, -26, -26};
  auto step = [&](Chip chip, float c) {
    return dotStep(dotSpec(chip, MmaInput::BF16, false), 4, a, ea, 1, b, eb, 1,
                   c);
  };
  EXPECT_EQ(step(Chip::SM80, 0.5f), 0.5f);
  EXPECT_EQ(step(Chip::SM90, 0.5f), 0.5f + 0x1p-24f);
  // Without the accumulator they are exact on both.
  EXPECT_EQ(step(Chip::SM80, 0.0f), 0x1p-24f);
  EXPECT_EQ(step(Chip::SM90, 0.0f), 0x1p-24f);
}

TEST(TensorCore, AdaFp8KeepsThirteenBits) {
  DotSpec spec = dotSpec(Chip::SM89, MmaInput::E4M3, false);
  EXPECT_EQ(spec.fraction, 13);
  float a[1] = {1}, b[1] = {0x1p-6f};
  int32_t ea[1] = {0}, eb[1] = {-6};
  // 2^9 + 2^-6 needs 15 bits below the leading one.
  EXPECT_EQ(dotStep(spec, 1, a, ea, 1, b, eb, 1, 512.0f), 512.0f);
  EXPECT_EQ(dotStep(dotSpec(Chip::SM90, MmaInput::E4M3, false), 1, a, ea, 1, b,
                    eb, 1, 512.0f),
            512.0f + 0x1p-6f);
}

TEST(TensorCore, SpecialValues) {
  DotSpec spec = dotSpec(Chip::SM80, MmaInput::F16, false);
  auto one = [&](float a, float b, float c) {
    alignas(32) uint32_t bits[16 * 8] = {};
    bits[0] = floatToF16(a);
    MmaOperand left, right;
    left.set(MmaInput::F16, bits, 128);
    bits[0] = floatToF16(b);
    right.set(MmaInput::F16, bits, 64);
    alignas(32) float out[128] = {};
    out[0] = c;
    multiplyTile(spec, 8, left, right, out);
    for (unsigned i = 8; i < 128; ++i)
      EXPECT_EQ(out[i], 0.0f);
    return out[0];
  };
  EXPECT_EQ(one(INFINITY, 1, 0), INFINITY);
  EXPECT_EQ(one(INFINITY, -2, 3), -INFINITY);
  EXPECT_TRUE(std::isnan(one(INFINITY, 0, 0)));
  EXPECT_TRUE(std::isnan(one(INFINITY, 1, -INFINITY)));
  EXPECT_TRUE(std::isnan(one(NAN, 1, 1)));
  EXPECT_EQ(one(0, 1, 0x1.8p-140f), 0x1.8p-140f);
  EXPECT_EQ(one(1, 1, 0x1.fffffep127f), 0x1.fffffep127f);
  EXPECT_EQ(one(0, 5, 7), 7.0f);
}

} // namespace
