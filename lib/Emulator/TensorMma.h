//===- TensorMma.h - The product of tcgen05.mma -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Numerics, as those of Hopper's wgmma for 16-bit operands (TensorCore.h): one
// step adds the products of a whole k (16 of f16 and bf16, 8 of tf32, 32 of
// the 8-, 6- and 4-bit types) to D, with 25 fraction bits below the largest
// exponent and truncation to f32; an f16 D rounds to nearest even. That the
// 32 products of the narrow types go in one step is an assumption. Integers
// are exact, and wrap or saturate at 32 bits. An f16 D takes the low half of
// its cells; their high half is written as zero.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORMMA_H
#define FLASH_LIB_EMULATOR_TENSORMMA_H

#include "TensorDescriptor.h"

#include <span>

namespace flash::emu {

/// How one CTA's part of D comes about.
struct TensorProduct {
  TensorShape shape;
  unsigned group = 1;
  uint32_t address = 0;    ///< Of D in tensor memory.
  bool accumulate = false; ///< enable-input-d
  unsigned scale = 0;      ///< D counts 2^-scale times.
  /// Lanes of tensor memory that keep what they hold, 32 per word.
  std::array<uint32_t, 4> disabled = {};
};

/// D = A B (+ D) for the rows of one CTA. `a` holds the bit patterns of its
/// rows by k, `b` those of n by k, both with k innermost.
void multiply(const TensorProduct &product, std::span<const uint32_t> a,
              std::span<const uint32_t> b, TensorMemory &memory);

/// Bit patterns of 16 bytes of an operand: elements of `type`, low ones first.
/// Elements of 6 and 4 bits lie in the first 12 and 8 bytes.
unsigned unpackUnit(TensorType type, const std::byte *bytes, uint32_t *out);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORMMA_H
