//===- Float.h - Narrow floating-point formats ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions between double and the narrow formats of PTX, in integer
// arithmetic, so that they are exact on any host. Widening is always exact;
// narrowing rounds once, in the direction asked.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_FLOAT_H
#define FLASH_LIB_EMULATOR_FLOAT_H

#include <bit>
#include <cmath>
#include <cstdint>

namespace flash::emu {

enum class Round : uint8_t {
  NearestEven, ///< .rn
  Zero,        ///< .rz
  Down,        ///< .rm
  Up,          ///< .rp
  NearestAway  ///< .rna
};

/// Shape of a binary format. `hasInfinity` is false for e4m3, whose largest
/// exponent holds numbers and whose only NaN is all ones. The formats of 4 and
/// 6 bits hold numbers alone: `hasNaN` is false too.
struct FloatFormat {
  int exponentBits, mantissaBits;
  bool hasInfinity;
  bool hasNaN = true;
  int bias() const { return (1 << (exponentBits - 1)) - 1; }
};

inline constexpr FloatFormat kF16{5, 10, true}, kBF16{8, 7, true},
    kTF32{8, 10, true}, kF32{8, 23, true}, kE4M3{4, 3, false},
    kE5M2{5, 2, true}, kE2M3{2, 3, false, false}, kE3M2{3, 2, false, false},
    kE2M1{2, 1, false, false};

/// The value of a bit pattern of format `f`.
inline double decodeFloat(FloatFormat f, uint32_t bits) {
  uint32_t mantissa = bits & ((1u << f.mantissaBits) - 1);
  int exponent = (bits >> f.mantissaBits) & ((1 << f.exponentBits) - 1);
  bool negative = bits >> (f.mantissaBits + f.exponentBits) & 1;
  int top = (1 << f.exponentBits) - 1;
  double value;
  if (exponent == top && f.hasInfinity)
    value = mantissa ? NAN : INFINITY;
  else if (f.hasNaN && exponent == top &&
           mantissa == (1u << f.mantissaBits) - 1)
    value = NAN;
  else if (exponent == 0)
    value = std::ldexp(double(mantissa), 1 - f.bias() - f.mantissaBits);
  else
    value = std::ldexp(double(mantissa | 1u << f.mantissaBits),
                       exponent - f.bias() - f.mantissaBits);
  return negative ? -value : value;
}

/// Rounds the magnitude `fixed * 2^-drop` to an integer. `sticky` says that
/// the true magnitude is a little above.
inline uint64_t roundShift(uint64_t fixed, int drop, Round mode, bool negative,
                           bool sticky = false) {
  if (drop <= 0)
    return fixed << -drop;
  if (drop > 63) {
    sticky |= fixed != 0;
    fixed = 0;
    drop = 1;
  }
  uint64_t kept = fixed >> drop;
  uint64_t rest = fixed & ((uint64_t(1) << drop) - 1);
  uint64_t half = uint64_t(1) << (drop - 1);
  bool inexact = rest || sticky;
  bool up = false;
  switch (mode) {
  case Round::NearestEven:
    up = rest > half || (rest == half && (sticky || (kept & 1)));
    break;
  case Round::NearestAway:
    up = rest >= half;
    break;
  case Round::Zero:
    break;
  case Round::Down:
    up = negative && inexact;
    break;
  case Round::Up:
    up = !negative && inexact;
    break;
  }
  return kept + up;
}

/// Rounds `value` to format `f`. NaN gives the canonical NaN of PTX for that
/// format. Overflow gives infinity (the largest number when rounding away from
/// it, always so with `saturate`, or where there is no infinity: then NaN
/// without `saturate`).
inline uint32_t encodeFloat(FloatFormat f, double value, Round mode,
                            bool saturate = false) {
  uint64_t bits = std::bit_cast<uint64_t>(value);
  bool negative = bits >> 63;
  uint32_t sign = uint32_t(negative) << (f.exponentBits + f.mantissaBits);
  uint32_t top = ((1u << f.exponentBits) - 1) << f.mantissaBits;
  uint32_t ones = (1u << f.mantissaBits) - 1;
  uint32_t largest = f.hasInfinity ? top - 1
                     : f.hasNaN    ? (top | ones) - 1
                                   : top | ones;
  // Without a NaN, one becomes the largest number.
  uint32_t nan = top | ones;
  if (value != value)
    return nan;
  uint32_t infinity = f.hasInfinity ? top : nan;
  if (std::isinf(value))
    return sign | (saturate ? largest : infinity);
  int exponent = int(bits >> 52 & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t(1) << 52) - 1);
  if (exponent == 0 && mantissa == 0)
    return sign;
  if (exponent == 0)
    exponent = 1;
  else
    mantissa |= uint64_t(1) << 52;
  // value = mantissa * 2^(exponent - 1075).
  int target = exponent - 1023 + f.bias(); // Biased exponent in `f`.
  int drop = 52 - f.mantissaBits;
  if (target < 1) {
    drop += 1 - target;
    target = 1;
  }
  uint64_t kept = roundShift(mantissa, drop, mode, negative);
  // Carries walk from mantissa into exponent by themselves.
  uint64_t result = (uint64_t(target - 1) << f.mantissaBits) + kept;
  if (result > largest) {
    bool away = mode == Round::NearestEven || mode == Round::NearestAway ||
                (mode == Round::Up && !negative) ||
                (mode == Round::Down && negative);
    return sign | (saturate || !away ? largest : infinity);
  }
  return sign | uint32_t(result);
}

//===----------------------------------------------------------------------===//
// The two 16-bit formats, fast
//===----------------------------------------------------------------------===//

inline float bf16ToFloat(uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}

/// Round to nearest even; NaN becomes 0x7fff as PTX has it.
inline uint32_t floatToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : rounded;
}

inline float f16ToFloat(uint32_t bits) {
  // Exponent and mantissa shifted into place and rescaled: exact, also for
  // subnormals, because the multiplication normalises them.
  uint32_t magnitude = (bits & 0x7fff) << 13;
  float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  uint32_t result = std::bit_cast<uint32_t>(scaled);
  result = magnitude >= (0x7c00u << 13) ? (magnitude | 0x7f800000u) : result;
  return std::bit_cast<float>(result | (bits & 0x8000) << 16);
}

/// Round to nearest even; NaN becomes 0x7fff as PTX has it.
inline uint32_t floatToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  // Normal results: rebias and round on the 13 bits dropped.
  uint32_t normal =
      (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Subnormal results: adding 0.5 leaves the rounded integer in the mantissa.
  uint32_t small =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
      0x3f000000;
  uint32_t result = magnitude < 0x38800000 ? small : normal;
  result = magnitude >= 0x47800000 ? 0x7c00 : result;
  result = result > 0x7c00 ? 0x7c00 : result;
  return magnitude > 0x7f800000 ? 0x7fff : sign | result;
}

/// a + b, the lowest bit set where the sum is inexact ("round to odd"), so
/// that rounding the result again to a narrower format rounds only once.
inline double addToOdd(double a, double b) {
  double sum = a + b;
  double bPart = sum - a;
  double error = (a - (sum - bPart)) + (b - bPart);
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  if (error != 0 && !(bits & 1) && std::isfinite(sum))
    bits += ((error > 0) == (sum > 0)) ? 1 : -1;
  return std::bit_cast<double>(bits);
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_FLOAT_H
