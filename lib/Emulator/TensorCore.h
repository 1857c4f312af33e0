//===- TensorCore.h - Bit-accurate matrix multiply --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tensor core adds a *group* of products and the accumulator in one step:
// products are exact; all terms are aligned to the largest exponent, where a
// product's is the sum of its factors' (its mantissa, in [0, 4), is not
// normalised first); each is truncated to `fraction` bits below that exponent,
// all are added exactly, and the sum is rounded toward zero to f32. Longer
// contractions are chains of such steps.
//
//   chip              16-bit k   tf32 k   8-bit k   fraction
//   sm_80, 86, 89        8          4        -         24
//   sm_89, fp8           -          -       16         13 (and a 13-bit result)
//   sm_90 and later     16          8       16         25
//   sm_90, wgmma        16          8        -         25
//   sm_90, wgmma, fp8    -          -       32         13 (and a 13-bit result)
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORCORE_H
#define FLASH_LIB_EMULATOR_TENSORCORE_H

#include "Float.h"
#include "flash/Emulator/Emulator.h"

#include <optional>

namespace flash::emu {

struct DotSpec {
  unsigned group = 8;      ///< Products per step.
  int fraction = 24;       ///< Bits kept below the largest exponent.
  int resultBits = 23;     ///< Mantissa bits of the result.
  bool halfResult = false; ///< Each step rounds to f16 (nearest even).
};

enum class Type : uint8_t;
enum class MmaInput : uint8_t { F16, BF16, TF32, E4M3, E5M2 };
/// The floating-point input of that PTX type, if it is one.
std::optional<MmaInput> mmaInputOf(Type type);

/// How `chip` contracts `input` in an mma.sync.
DotSpec dotSpec(Chip chip, MmaInput input, bool halfAccumulator);
/// How Hopper contracts `input` in a wgmma: its 32 bytes of k in one step.
DotSpec wgmmaSpec(MmaInput input, bool halfAccumulator);

/// Exponents of zero and of infinities and NaNs: below and above all others,
/// and the sum of both still above.
constexpr int kZeroExponent = -10000;
constexpr int kSpecialExponent = 30000;

/// A matrix operand: values, and the exponents by which products align.
/// Subnormals keep their format's smallest exponent.
struct MmaOperand {
  alignas(32) float value[32 * 16];
  alignas(32) int32_t exponent[32 * 16];

  /// Decodes `count` elements from their bit patterns, in place order.
  void set(MmaInput input, const uint32_t *bits, unsigned count);
};

/// c[16][8] += a[16][k] * b[k][8], row major; k is a multiple of the group or
/// one short group.
void multiplyTile(const DotSpec &spec, unsigned k, const MmaOperand &a,
                  const MmaOperand &b, float *c);

/// One step for one element, in plain integer arithmetic, any input: what
/// multiplyTile falls back to, and what the tests compare it with.
float dotStep(const DotSpec &spec, unsigned count, const float *a,
              const int32_t *aExponent, unsigned aStride, const float *b,
              const int32_t *bExponent, unsigned bStride, float c);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORCORE_H
