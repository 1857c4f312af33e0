//===- SharedMatrixTests.cpp - Matrix descriptors and their layouts -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The map is compared with the canonical layouts of the PTX ISA, written down
// here as it prints them: a shape of nested extents with a stride for each, and
// a swizzle of bits, both evaluated mechanically over every element.
//
//===----------------------------------------------------------------------===//

#include "SharedMatrix.h"

#include "gtest/gtest.h"

#include <array>
#include <set>
#include <vector>

using namespace flash::emu;

namespace {

/// One mode of a layout: extents and strides, fastest first; the last extent
/// takes what is left.
struct Mode {
  std::vector<uint32_t> extents;
  std::vector<uint32_t> strides;

  uint32_t at(uint32_t index) const {
    uint32_t sum = 0;
    for (size_t i = 0; i < extents.size(); ++i) {
      bool last = i + 1 == extents.size();
      sum += (last ? index : index % extents[i]) * strides[i];
      index /= extents[i];
    }
    return sum;
  }
};

/// Swizzle<B, M, S> on a byte address, bit by bit.
uint32_t swizzleBits(uint32_t address, unsigned b, unsigned m, unsigned s) {
  for (unsigned i = 0; i < b; ++i)
    if (address >> (m + s + i) & 1)
      address ^= 1u << (m + i);
  return address;
}

struct Canonical {
  Mode row, k; ///< In elements.
  unsigned b, m, s;
};

/// The table of the PTX ISA; LBO and SBO in elements.
Canonical canonical(MatrixSwizzle swizzle, bool mnMajor, uint32_t t,
                    uint32_t lbo, uint32_t sbo) {
  constexpr uint32_t rest = 1u << 20;
  unsigned b = unsigned(swizzle);
  uint32_t w = 1u << b;
  if (swizzle == MatrixSwizzle::B128Atom32)
    return {{{t, 8, rest}, {1, t, lbo}}, {{4, rest}, {8 * t, sbo}}, 2, 5, 2};
  if (!mnMajor) {
    if (swizzle == MatrixSwizzle::None)
      return {{{8, rest}, {t, sbo}}, {{t, rest}, {1, lbo}}, 0, 4, 3};
    return {{{8, rest}, {w * t, sbo}}, {{t, rest}, {1, t}}, b, 4, 3};
  }
  if (swizzle == MatrixSwizzle::None)
    return {{{t, 1, rest}, {1, t, sbo}}, {{8, rest}, {t, lbo}}, 0, 4, 3};
  return {{{t, w, rest}, {1, t, lbo}}, {{8, rest}, {w * t, sbo}}, b, 4, 3};
}

uint64_t encode(const MatrixDescriptor &d) {
  static constexpr uint64_t modes[] = {0, 3, 2, 1};
  return (d.start >> 4) | uint64_t(d.leading >> 4) << 16 |
         uint64_t(d.stride >> 4) << 32 | uint64_t(d.baseOffset) << 49 |
         modes[unsigned(d.swizzle)] << 62;
}

constexpr MatrixSwizzle kModes[] = {MatrixSwizzle::None, MatrixSwizzle::B32,
                                    MatrixSwizzle::B64, MatrixSwizzle::B128};

TEST(SharedMatrix, EveryElementOfEveryCanonicalLayout) {
  for (MatrixSwizzle swizzle : kModes)
    for (bool mnMajor : {false, true})
      for (uint32_t bits : {8u, 16u, 32u})
        for (uint32_t start : {0u, 1024u, 0x4020u, 0x1c60u}) {
          SharedMatrix matrix;
          matrix.mnMajor = mnMajor;
          matrix.bits = bits;
          matrix.rows = 256;
          matrix.k = 256 / bits;
          MatrixDescriptor field{start, 4096, 2048, 0, swizzle, false};
          ASSERT_EQ(readWgmmaDescriptor(encode(field), matrix.descriptor), "");
          uint32_t t = 128 / bits;
          Canonical expected =
              canonical(swizzle, mnMajor, t, 4096 * 8 / bits, 2048 * 8 / bits);
          for (uint32_t row = 0; row < matrix.rows; ++row)
            for (uint32_t k = 0; k < matrix.k; ++k)
              ASSERT_EQ(matrix.address(row, k),
                        swizzleBits(
                            start + (expected.row.at(row) + expected.k.at(k)) *
                                        bits / 8,
                            expected.b, expected.m, expected.s))
                  << unsigned(swizzle) << mnMajor << bits << " at " << row
                  << "," << k;
        }
}

TEST(SharedMatrix, Atoms32) {
  SharedMatrix matrix{
      {0, 8192, 512, 0, MatrixSwizzle::B128Atom32, false}, true, 32, 128, 8};
  Canonical expected = canonical(MatrixSwizzle::B128Atom32, true, 4, 2048, 128);
  for (uint32_t row = 0; row < 128; ++row)
    for (uint32_t k = 0; k < 8; ++k)
      ASSERT_EQ(matrix.address(row, k),
                swizzleBits((expected.row.at(row) + expected.k.at(k)) * 4,
                            expected.b, expected.m, expected.s));
}

/// A tile of 64 x 64 bf16 as a tensor copy leaves it: line by line, 16-byte
/// columns XORed with the line number. K slices are read at +32 bytes.
TEST(SharedMatrix, KSlicesInsideAnAtom) {
  constexpr uint32_t tile = 3 * 1024;
  for (uint32_t slice = 0; slice < 4; ++slice) {
    SharedMatrix matrix{
        {tile + slice * 32, 16, 1024, 0, MatrixSwizzle::B128, false},
        false,
        16,
        64,
        16};
    for (uint32_t row = 0; row < 64; ++row)
      for (uint32_t k = 0; k < 16; ++k) {
        uint32_t column = slice * 16 + k;
        EXPECT_EQ(matrix.address(row, k), tile + row * 128 +
                                              ((column / 8) ^ (row % 8)) * 16 +
                                              column % 8 * 2);
      }
  }
}

/// A pattern that starts in line `first` of eight: with the base offset that
/// the ISA prescribes, its own lines count from zero.
TEST(SharedMatrix, BaseOffset) {
  for (MatrixSwizzle swizzle :
       {MatrixSwizzle::B32, MatrixSwizzle::B64, MatrixSwizzle::B128}) {
    uint32_t width = 16u << unsigned(swizzle);
    for (uint32_t first = 0; first < 8; ++first) {
      uint32_t start = 2048 + first * 128;
      SharedMatrix matrix{
          {start, 16, 8 * width, uint8_t(start >> 7 & 7), swizzle, false},
          false,
          16,
          8,
          16};
      SharedMatrix aligned = matrix;
      aligned.descriptor.start = 2048;
      aligned.descriptor.baseOffset = 0;
      for (uint32_t row = 0; row < 8; ++row)
        for (uint32_t k = 0; k < 16; ++k)
          EXPECT_EQ(matrix.address(row, k) - start,
                    aligned.address(row, k) - 2048);
    }
  }
}

TEST(SharedMatrix, UnitsCoverTheElements) {
  for (MatrixSwizzle swizzle : kModes)
    for (bool mnMajor : {false, true}) {
      SharedMatrix matrix{
          {512, 8192, 1024, 0, swizzle, false}, mnMajor, 16, 64, 16};
      std::set<uint32_t> units, elements;
      matrix.forUnits([&](uint32_t, uint32_t, uint32_t address) {
        EXPECT_EQ(address % 16, 0u);
        EXPECT_TRUE(units.insert(address).second);
      });
      for (uint32_t row = 0; row < 64; ++row)
        for (uint32_t k = 0; k < 16; ++k)
          elements.insert(matrix.address(row, k) / 16 * 16);
      EXPECT_EQ(units, elements);
      EXPECT_EQ(units.size(), 128u);
    }
}

TEST(SharedMatrix, Tcgen05Fields) {
  MatrixDescriptor d;
  uint64_t bits = 0x123 | uint64_t(0x40) << 16 | uint64_t(0x80) << 32 |
                  uint64_t(1) << 46 | uint64_t(5) << 49;
  static constexpr std::array<std::pair<uint64_t, MatrixSwizzle>, 5> modes = {
      {{0, MatrixSwizzle::None},
       {1, MatrixSwizzle::B128Atom32},
       {2, MatrixSwizzle::B128},
       {4, MatrixSwizzle::B64},
       {6, MatrixSwizzle::B32}}};
  for (auto [mode, swizzle] : modes) {
    EXPECT_EQ(readTcgen05Descriptor(bits | mode << 61, d), "");
    EXPECT_EQ(d.start, 0x1230u);
    EXPECT_EQ(d.leading, 0x400u);
    EXPECT_EQ(d.stride, 0x800u);
    EXPECT_EQ(d.baseOffset, 5);
    EXPECT_EQ(d.swizzle, swizzle);
    EXPECT_FALSE(d.absoluteLeading);
  }
  EXPECT_NE(readTcgen05Descriptor(bits | uint64_t(3) << 61, d), "");
  EXPECT_NE(readTcgen05Descriptor(bits & ~(uint64_t(1) << 46), d), "");
  EXPECT_EQ(readTcgen05Descriptor(bits | uint64_t(1) << 52, d), "");
  EXPECT_TRUE(d.absoluteLeading);
}

TEST(SharedMatrix, WhatIsWrong) {
  MatrixDescriptor d;
  for (unsigned bit : {14, 15, 30, 31, 46, 48, 52, 61})
    EXPECT_NE(readWgmmaDescriptor(uint64_t(1) << bit, d), "") << bit;
  SharedMatrix matrix{
      {1024, 16, 1024, 0, MatrixSwizzle::B128, false}, false, 16, 64, 16};
  EXPECT_EQ(matrix.problem(1024 + 8192), "");
  EXPECT_EQ(matrix.problem(1024 + 8191),
            "matrix operand (start 0x400, leading 16, stride 1024 bytes, base "
            "offset 0, 128-byte swizzle) reaches byte 9215 of 9215 bytes of "
            "shared memory");
  matrix.descriptor.swizzle = MatrixSwizzle::None;
  matrix.descriptor.baseOffset = 1;
  EXPECT_NE(matrix.problem(1 << 18), "");
  matrix.descriptor.baseOffset = 0;
  matrix.descriptor.absoluteLeading = true;
  EXPECT_NE(matrix.problem(1 << 18), "");
}

} // namespace
