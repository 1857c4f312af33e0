//===- WarpgroupTile.h - Products of 16 rows by many columns ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The arithmetic of one warp's share of a wgmma: C[16][n] += A[16][k] B[n][k],
// with k of 32 bytes and n of up to 256. Results are those of dotStep(), bit
// for bit. Operands come as lines of 32 bytes per row (K-major); columns are
// decoded in *pairs* of tiles, 16 columns, k by k, so that one decoded B serves
// all warps that multiply by it.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_WARPGROUPTILE_H
#define FLASH_LIB_EMULATOR_WARPGROUPTILE_H

#include "TensorCore.h"

#include <vector>

namespace flash::emu {

/// How the elements of both operands read.
struct WarpgroupTypes {
  MmaInput a = MmaInput::F16, b = MmaInput::F16;
  bool integer = false, aSigned = false, bSigned = false;
  bool saturate = false;   ///< Integers: clamp instead of wrapping.
  bool halfResult = false; ///< Accumulators are f16, kept here as floats.
  uint8_t bits = 16;       ///< Of an element.

  unsigned k() const { return 256u / bits; }
};

/// Sixteen rows of A.
struct WarpgroupRows {
  MmaOperand floats;
  alignas(32) int32_t exponents[16 * 32]; ///< Twice each, as 16-bit halves.
  /// Integers: two ks each. Bits: 32 of them, eight words a row.
  alignas(32) int32_t pairs[16 * 16];

  /// `lines`: 16 rows of 32 bytes. `negate` multiplies by -1.
  void set(const WarpgroupTypes &types, bool negate, const uint8_t *lines);
};

/// n columns of B.
class WarpgroupColumns {
public:
  /// `lines`: n columns of 32 bytes.
  void set(const WarpgroupTypes &types, bool negate, const uint8_t *lines,
           unsigned n);

  std::vector<float> values;      ///< [pair][k][16]
  std::vector<int16_t> exponents; ///< The same.
  std::vector<int32_t> pairs;     ///< Integers: [tile][k / 2][8]; bits: [n][8]
};

/// Words of accumulators of `n` columns: [tile of 8][16][8], whole pairs.
constexpr unsigned accumulatorWords(unsigned n) { return (n + 15) / 16 * 256; }

/// `c`: floats, or 32-bit integers.
void multiplyRows(const DotSpec &spec, const WarpgroupTypes &types,
                  const WarpgroupRows &a, const WarpgroupColumns &b, unsigned n,
                  uint32_t *c);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_WARPGROUPTILE_H
