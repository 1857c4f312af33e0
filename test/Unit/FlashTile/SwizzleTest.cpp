//===- SwizzleTest.cpp - No bank conflicts, by enumeration ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared memory serves 128 bytes at once, 4 from each of 32 banks. ldmatrix
// reads an 8 x 8 matrix of 16-bit elements as eight rows of 16 bytes each: no
// conflict means that the eight rows together cover all banks.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/PlanShared.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir::flash_tile;

namespace {

/// Byte address of a 16-byte chunk within a buffer.
int64_t address(int64_t row, int64_t chunk, int64_t rowBytes) {
  const SwizzleParams swizzle = getConflictFreeSwizzle(rowBytes);
  const int64_t mask = (int64_t{1} << swizzle.bits) - 1;
  return row * rowBytes + (chunk ^ ((row >> swizzle.shift) & mask)) * 16;
}

class Swizzle : public testing::TestWithParam<int64_t> {};

TEST_P(Swizzle, EightRowsCoverAllBanks) {
  const int64_t rowBytes = GetParam();
  for (int64_t row = 0; row < 64; row += 8)
    for (int64_t chunk = 0; chunk < rowBytes / 16; ++chunk) {
      std::set<int64_t> groups;
      for (int64_t i = 0; i < 8; ++i)
        groups.insert(address(row + i, chunk, rowBytes) / 16 % 8);
      EXPECT_EQ(groups.size(), 8u) << "row " << row << ", chunk " << chunk;
    }
}

TEST_P(Swizzle, PermutesTheChunksOfARow) {
  const int64_t rowBytes = GetParam();
  for (int64_t row = 0; row < 16; ++row) {
    std::set<int64_t> addresses;
    for (int64_t chunk = 0; chunk < rowBytes / 16; ++chunk) {
      const int64_t at = address(row, chunk, rowBytes);
      EXPECT_GE(at, row * rowBytes);
      EXPECT_LT(at, (row + 1) * rowBytes);
      addresses.insert(at);
    }
    EXPECT_EQ(addresses.size(), static_cast<size_t>(rowBytes / 16));
  }
}

// Head dims 16 to 256 in steps of 8 (padded ones in steps of 16), 16-bit.
INSTANTIATE_TEST_SUITE_P(HeadDims, Swizzle,
                         testing::Range<int64_t>(32, 513, 16));

// A warp that writes or reads whole rows, 16 bytes per thread, eight threads at
// a time: consecutive chunks of a row.
TEST(SwizzleRows, EightChunksOfARowCoverAllBanks) {
  for (int64_t rowBytes : {128, 256, 384, 512})
    for (int64_t row = 0; row < 16; ++row)
      for (int64_t chunk = 0; chunk < rowBytes / 16; chunk += 8) {
        std::set<int64_t> groups;
        for (int64_t i = 0; i < 8; ++i)
          groups.insert(address(row, chunk + i, rowBytes) / 16 % 8);
        EXPECT_EQ(groups.size(), 8u) << "row " << row << ", chunk " << chunk;
      }
}

// TMA's 128-, 64- and 32-byte modes: address bits [4, 4 + bits) XOR the bits
// from 7 upwards (PTX ISA, "Shared memory swizzling modes").
TEST(SwizzleModes, EqualsTmaOnPowersOfTwo) {
  for (int64_t rowBytes : {32, 64, 128}) {
    const int64_t mask = rowBytes / 16 - 1;
    for (int64_t row = 0; row < 64; ++row)
      for (int64_t chunk = 0; chunk < rowBytes / 16; ++chunk) {
        const int64_t linear = row * rowBytes + chunk * 16;
        const int64_t expected = linear ^ (((linear >> 7) & mask) << 4);
        EXPECT_EQ(address(row, chunk, rowBytes), expected);
      }
  }
}

} // namespace
