//===- FloatOps.h - Floating-point decode functions -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Floating-point forms of opcodes whose root also has integer forms. The
// 16-bit ones are in OpsHalf.cpp, f32 and f64 in OpsFloat.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_FLOATOPS_H
#define FLASH_LIB_EMULATOR_FLOATOPS_H

#include "Decoder.h"
#include "Float.h"

#include <bit>
#include <limits>

namespace flash::emu {

enum class FloatOp : uint8_t { Add, Sub, Mul };
enum class SignOp : uint8_t { Abs, Neg };

bool decodeFloatBinary(Decoder &d, Type type, FloatOp op);
bool decodeFloatTernary(Decoder &d, Type type);
bool decodeFloatDivide(Decoder &d, Type type);
bool decodeFloatMinMax(Decoder &d, Type type, bool isMax);
bool decodeFloatSign(Decoder &d, Type type, SignOp op, bool ftz);

bool decodeHalfBinary(Decoder &d, Type type, FloatOp op);
bool decodeHalfTernary(Decoder &d, Type type);
bool decodeHalfMinMax(Decoder &d, Type type, bool isMax);
bool decodeHalfSign(Decoder &d, Type type, SignOp op, bool ftz);
/// ex2 and tanh .approx of the 16-bit types.
bool decodeHalfUnary(Decoder &d, Type type, std::string_view name);

/// cvt between f32 or 16-bit floats and the packed formats of 4, 6 and 8 bits
/// that sm_100 adds, and cvt.rs. `handled` is false, and nothing is consumed,
/// where the conversion is another one.
bool decodeNarrowConvert(Decoder &d, bool &handled);

/// Two f32 in one 64-bit register (sm_100).
bool decodePackedBinary(Decoder &d, FloatOp op);
bool decodePackedFma(Decoder &d);
/// f32 results of `narrow` (f16 or bf16) factors or first addends (sm_100).
bool decodeMixedBinary(Decoder &d, Type narrow, FloatOp op);
bool decodeMixedFma(Decoder &d, Type narrow);

/// Consumes a rounding mode, `otherwise` if there is none.
inline Round takeRound(Decoder &d, Round otherwise = Round::NearestEven) {
  if (d.take("rn"))
    return Round::NearestEven;
  if (d.take("rz"))
    return Round::Zero;
  if (d.take("rm"))
    return Round::Down;
  if (d.take("rp"))
    return Round::Up;
  return otherwise;
}

/// Subnormals become zero of their sign.
inline float flush(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7f800000) ? bits : bits & 0x80000000);
}
/// Every NaN becomes the one that PTX produces.
inline float canonical(float value) {
  return value != value ? std::bit_cast<float>(0x7fffffffu) : value;
}
inline double canonical(double value) {
  return value != value ? std::bit_cast<double>(0x7fffffffffffffffull) : value;
}
/// .sat: [0, 1], NaN becomes +0.
inline float saturate(float value) {
  float low = value > 0.0f ? value : 0.0f;
  return low < 1.0f ? low : 1.0f;
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_FLOATOPS_H
