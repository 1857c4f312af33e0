//===- DTypeTest.cpp ------------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/DType.h"
#include "flash/Runtime/Float16.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

using namespace flash::runtime;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// Nearest of all finite values of a format, ties to the even code, found by
/// looking at every one of them.
template <typename Decode>
uint32_t nearestByTable(double magnitude, uint32_t firstNonFinite,
                        double overflowValue, Decode decode) {
  uint32_t best = 0;
  for (uint32_t code = 0; code <= firstNonFinite; ++code) {
    double value = code == firstNonFinite ? overflowValue : decode(code);
    double bestValue = best == firstNonFinite ? overflowValue : decode(best);
    double distance = std::fabs(value - magnitude);
    double bestDistance = std::fabs(bestValue - magnitude);
    if (distance < bestDistance || (distance == bestDistance && code % 2 == 0))
      best = code;
  }
  return best;
}

TEST(Float16, F16DecodesEveryCode) {
  for (uint32_t code = 0; code < 0x8000; ++code) {
    uint32_t exponent = code >> 10, mantissa = code & 0x3ff;
    double expected = exponent == 0
                          ? std::ldexp(mantissa, -24)
                          : std::ldexp(1024 + mantissa, int(exponent) - 25);
    float got = f16ToF32(uint16_t(code));
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(got), mantissa != 0) << code;
      EXPECT_EQ(std::isinf(got), mantissa == 0) << code;
      continue;
    }
    EXPECT_EQ(double(got), expected) << code;
    EXPECT_EQ(double(f16ToF32(uint16_t(code | 0x8000))), -expected) << code;
  }
}

TEST(Float16, EveryCodeSurvivesARoundTrip) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    float f16 = f16ToF32(uint16_t(code)), bf16 = bf16ToF32(uint16_t(code));
    if (!std::isnan(f16)) {
      EXPECT_EQ(f32ToF16(f16), code);
    } else {
      EXPECT_TRUE(std::isnan(f16ToF32(f32ToF16(f16)))) << code;
    }
    if (!std::isnan(bf16)) {
      EXPECT_EQ(f32ToBf16(bf16), code);
    } else {
      EXPECT_TRUE(std::isnan(bf16ToF32(f32ToBf16(bf16)))) << code;
    }
  }
}

/// At, just below and just above the middle of every two neighbours.
TEST(Float16, TiesGoToEven) {
  for (uint32_t code = 0; code < 0x7c00; ++code) {
    double low = f16ToF32(uint16_t(code));
    double high = code == 0x7bff ? 65536.0 : f16ToF32(uint16_t(code + 1));
    float middle = float((low + high) / 2);
    uint32_t even = code % 2 == 0 ? code : code + 1;
    EXPECT_EQ(f32ToF16(middle), even) << code;
    EXPECT_EQ(f32ToF16(-middle), even | 0x8000) << code;
    EXPECT_EQ(f32ToF16(std::nextafterf(middle, 0)), code) << code;
    EXPECT_EQ(f32ToF16(std::nextafterf(middle, 1e9f)), code + 1) << code;
  }
  for (uint32_t code = 0; code < 0x7f80; ++code) {
    float middle = std::bit_cast<float>((code << 16) | 0x8000u);
    EXPECT_EQ(f32ToBf16(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(f32ToBf16(std::nextafterf(middle, 0)), code);
    EXPECT_EQ(f32ToBf16(std::bit_cast<float>((code << 16) | 0x8001u)),
              code + 1);
  }
}

/// storeElement rounds once, from f64; f32ToF16 of an f32 must agree with it.
TEST(DType, StoreAgreesWithFastConversions) {
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 65537 * 3) {
    float value = std::bit_cast<float>(uint32_t(bits));
    uint16_t f16, bf16;
    storeElement(DType::F16, &f16, value);
    storeElement(DType::BF16, &bf16, value);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16ToF32(f16)) && std::isnan(bf16ToF32(bf16)));
      continue;
    }
    EXPECT_EQ(f16, f32ToF16(value)) << value;
    EXPECT_EQ(bf16, f32ToBf16(value)) << value;
  }
}

TEST(DType, RoundsOnceFromF64) {
  // Just above the middle of 1 and its f16 successor, by less than f32 sees:
  // through f32 this would be a tie and go down.
  double above = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(roundTo(DType::F16, above), 1 + 0x1p-10);
  EXPECT_EQ(roundTo(DType::F16, 1 + 0x1p-11), 1);
  EXPECT_EQ(roundTo(DType::BF16, 1 + 0x1p-8 + 0x1p-50), 1 + 0x1p-7);
  EXPECT_EQ(roundTo(DType::TF32, 1 + 0x1p-11), 1);
  EXPECT_EQ(roundTo(DType::TF32, 1 + 3 * 0x1p-11), 1 + 0x1p-9);
}

TEST(DType, EightBitFormats) {
  auto e4m3 = [](uint32_t code) {
    uint32_t exponent = code >> 3, mantissa = code & 7;
    return exponent == 0 ? std::ldexp(mantissa, -9)
                         : std::ldexp(8 + mantissa, int(exponent) - 10);
  };
  auto e5m2 = [](uint32_t code) {
    uint32_t exponent = code >> 2, mantissa = code & 3;
    return exponent == 0 ? std::ldexp(mantissa, -16)
                         : std::ldexp(4 + mantissa, int(exponent) - 17);
  };
  for (uint32_t code = 0; code < 0x7f; ++code) {
    uint8_t byte = uint8_t(code);
    EXPECT_EQ(loadElement(DType::E4M3, &byte), e4m3(code));
  }
  for (uint32_t code = 0; code < 0x7c; ++code) {
    uint8_t byte = uint8_t(code);
    EXPECT_EQ(loadElement(DType::E5M2, &byte), e5m2(code));
  }
  for (int i = 0; i < 40000; ++i) {
    double value = std::ldexp(1 + i % 977 / 977.0, i / 1000 - 24);
    uint8_t byte;
    storeElement(DType::E4M3, &byte, value);
    EXPECT_EQ(byte, nearestByTable(value, 0x7f, 480, e4m3)) << value;
    storeElement(DType::E5M2, &byte, -value);
    EXPECT_EQ(byte, 0x80 | nearestByTable(value, 0x7c, 65536, e5m2)) << value;
  }
  EXPECT_TRUE(std::isnan(roundTo(DType::E4M3, kInf)));
  EXPECT_EQ(roundTo(DType::E5M2, -kInf), -kInf);
  EXPECT_EQ(roundTo(DType::E4M3, 464), 448) << "a tie goes to the even 448";
  EXPECT_TRUE(std::isnan(roundTo(DType::E4M3, 465)));
}

TEST(DType, Integers) {
  EXPECT_EQ(roundTo(DType::I8, 300), 127);
  EXPECT_EQ(roundTo(DType::I8, -300), -128);
  EXPECT_EQ(roundTo(DType::U16, -3), 0);
  EXPECT_EQ(roundTo(DType::I32, -2.9), -2);
  EXPECT_EQ(roundTo(DType::I64, 1e30), 0x1p63);
  EXPECT_EQ(roundTo(DType::U8, std::nan("")), 0);
  EXPECT_EQ(roundTo(DType::Bool, 0.5), 1);
}

TEST(DType, IntegersBeyondDoubles) {
  constexpr int64_t kValue = (int64_t(1) << 60) + 1;
  int64_t stored = 0;
  storeInteger(DType::I64, &stored, kValue);
  EXPECT_EQ(stored, kValue);
  EXPECT_EQ(loadInteger(DType::I64, &stored), kValue);
  uint64_t largest = UINT64_MAX;
  EXPECT_EQ(loadInteger(DType::U64, &largest), -1);
  int8_t narrow = 0;
  storeInteger(DType::I8, &narrow, kValue);
  EXPECT_EQ(loadInteger(DType::I8, &narrow), 127);
}

TEST(DType, NamesAndNaNs) {
  for (int i = 0; i <= int(DType::Bool); ++i) {
    DType type = DType(i);
    EXPECT_EQ(parseDType(name(type)), type);
    alignas(8) unsigned char bytes[8];
    storeNaN(type, bytes);
    if (isFloat(type)) {
      EXPECT_TRUE(std::isnan(loadElement(type, bytes))) << name(type);
    }
    storeElement(type, bytes, 1);
    EXPECT_EQ(loadElement(type, bytes), 1) << name(type);
  }
  EXPECT_FALSE(parseDType("f8").has_value());
}

} // namespace
