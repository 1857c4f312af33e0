//===- Float16.h - 16-bit floating point on the host ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bit-exact conversions between f32 and IEEE binary16 (f16) and bfloat16
// (bf16), rounding to nearest even, with no help from the host's hardware: the
// same bits on every platform. NaNs stay NaNs, are made quiet and keep the top
// of their payload.
//
//   f16   1 sign, 5 exponent (bias 15), 10 mantissa; smallest subnormal 2^-24
//   bf16  1 sign, 8 exponent (bias 127), 7 mantissa: the top half of an f32
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_FLOAT16_H
#define FLASH_RUNTIME_FLOAT16_H

#include <bit>
#include <cstdint>

namespace flash::runtime {

inline float bf16ToF32(uint16_t bits) {
  return std::bit_cast<float>(uint32_t(bits) << 16);
}

inline uint16_t f32ToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return uint16_t(bits >> 16) | 0x0040;
  // Adding half of the dropped part, less one when the kept part is even,
  // carries exactly when nearest-even rounds up; overflow carries into Inf.
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float f16ToF32(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1fu;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) {
    uint32_t quiet = mantissa ? 0x00400000u : 0u;
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13) | quiet);
  }
  if (exponent == 0) {
    // A subnormal is mantissa * 2^-24, which f32 holds as a normal number.
    float magnitude = float(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) |
                              (mantissa << 13));
}

inline uint16_t f32ToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return sign | 0x7e00u | uint16_t((magnitude >> 13) & 0x3ffu);
  // 65520 is halfway between the largest f16, 65504, and 2^16; ties to even
  // makes it an infinity.
  if (magnitude >= 0x477ff000u)
    return sign | 0x7c00u;
  if (magnitude < 0x38800000u) { // below 2^-14: a subnormal or zero
    // Adding 0.5 puts the value's 2^-24 place in the last mantissa bit, so the
    // f32 addition does the rounding (0.5 has its last bit at 2^-24).
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | uint16_t(std::bit_cast<uint32_t>(shifted) - 0x3f000000u);
  }
  magnitude += 0xfffu + ((magnitude >> 13) & 1u);
  return sign | uint16_t((magnitude - 0x38000000u) >> 13);
}

} // namespace flash::runtime

#endif // FLASH_RUNTIME_FLOAT16_H
