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

/// Bytes of k of one operand row: k times the bits of an element.
constexpr unsigned kLineBytes = 32;

/// D = A B (+ D) for the rows of one CTA. `a` holds its rows of 32 bytes, `b`
/// those of all n columns; elements of 6 and 4 bits lie packed in the first 12
/// and 8 of every 16 bytes.
void multiply(const TensorProduct &product, std::span<const uint8_t> a,
              std::span<const uint8_t> b, TensorMemory &memory);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORMMA_H
