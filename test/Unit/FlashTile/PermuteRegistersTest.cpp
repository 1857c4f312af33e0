//===- PermuteRegistersTest.cpp - Register permutations of layouts --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// findRegisterPermutation looks at one thread for candidates and proves them on
// all others. Here the answer comes from the definition instead: p[r] must
// hold, in every thread, the element that register r holds under the other
// layout.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <numeric>
#include <random>

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

/// All registers of `from` that hold, in every thread, what register `r` of
/// `to` holds. Empty where there is none.
SmallVector<int64_t> candidates(const Layout &from, const Layout &to,
                                int64_t r) {
  SmallVector<int64_t> result;
  for (int64_t s = 0; s < from.numRegisters(); ++s) {
    bool same = true;
    for (int64_t warp = 0; same && warp < to.numWarps(); ++warp)
      for (int64_t lane = 0; same && lane < Layout::numLanes(); ++lane)
        same = from.coordinates(s, lane, warp) == to.coordinates(r, lane, warp);
    if (same)
      result.push_back(s);
  }
  return result;
}

bool permutationExists(const Layout &from, const Layout &to) {
  if (from.numWarps() != to.numWarps())
    return false;
  for (int64_t r = 0; r < to.numRegisters(); ++r)
    if (candidates(from, to, r).empty())
      return false;
  return true;
}

/// The answer agrees with the definition; returns whether it was positive.
bool check(const Layout &from, const Layout &to) {
  std::optional<SmallVector<int64_t>> found = findRegisterPermutation(from, to);
  EXPECT_EQ(found.has_value(), permutationExists(from, to));
  if (!found)
    return false;
  EXPECT_EQ(int64_t(found->size()), to.numRegisters());
  for (auto [r, source] : llvm::enumerate(*found))
    EXPECT_TRUE(llvm::is_contained(candidates(from, to, r), source))
        << "register " << r << " from " << source;
  return true;
}

/// The vectors of a layout, as its attribute takes them.
struct Parts {
  SmallVector<SmallVector<int64_t, 2>> registers, lanes, warps;
  SmallVector<SmallVector<int64_t, 3>> repeats;

  Layout build(MLIRContext *context) const {
    auto flat = [](const auto &rows) {
      SmallVector<int64_t> numbers;
      for (const auto &row : rows)
        llvm::append_range(numbers, row);
      return numbers;
    };
    return Layout::fromAttr(LayoutAttr::get(context, /*rank=*/2,
                                            flat(registers), flat(lanes),
                                            flat(warps), flat(repeats), {}));
  }
};

class PermuteRegistersTest : public ::testing::Test {
protected:
  PermuteRegistersTest() { context.loadDialect<FlashTileDialect>(); }

  /// A random bijection of up to 16 registers, 32 lanes and up to 4 warps onto
  /// a tile whose extents are powers of two; sometimes a repeat on top.
  Parts randomParts() {
    unsigned registerBits = below(5), warpBits = below(3);
    unsigned bits = registerBits + 5 + warpBits, rowBits = below(bits + 1);
    SmallVector<SmallVector<int64_t, 2>> vectors;
    for (unsigned bit = 0; bit < rowBits; ++bit)
      vectors.push_back({int64_t(1) << bit, 0});
    for (unsigned bit = 0; bit < bits - rowBits; ++bit)
      vectors.push_back({0, int64_t(1) << bit});
    std::shuffle(vectors.begin(), vectors.end(), random);
    Parts parts;
    ArrayRef<SmallVector<int64_t, 2>> rest = vectors;
    parts.registers.assign(rest.begin(), rest.begin() + registerBits);
    rest = rest.drop_front(registerBits);
    parts.lanes.assign(rest.begin(), rest.begin() + 5);
    parts.warps.assign(rest.begin() + 5, rest.end());
    if (below(2))
      parts.repeats.push_back(
          {int64_t(2 + below(4)), int64_t(1) << rowBits, 0});
    return parts;
  }

  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random);
  }

  MLIRContext context;
  std::mt19937 random{20240229};
};

TEST_F(PermuteRegistersTest, AccumulatorFeedsOperandAUnchanged) {
  for (int64_t warps : {1, 3, 4})
    for (int64_t cols : {16, 64, 80}) {
      auto from = Layout::mmaAccumulator(32 * warps, cols, warps);
      auto to = Layout::mmaOperandA(32 * warps, cols, warps);
      ASSERT_TRUE(succeeded(from) && succeeded(to));
      EXPECT_TRUE(check(*from, *to));
      auto permutation = findRegisterPermutation(*from, *to);
      SmallVector<int64_t> identity(from->numRegisters());
      std::iota(identity.begin(), identity.end(), 0);
      EXPECT_EQ(*permutation, identity);
    }
}

TEST_F(PermuteRegistersTest, AccumulatorAndBlockedNeedAnExchange) {
  auto from = Layout::mmaAccumulator(64, 64, 4);
  auto to = Layout::blocked({64, 64}, 2, 16, 4);
  ASSERT_TRUE(succeeded(from) && succeeded(to));
  EXPECT_FALSE(check(*from, *to));
  EXPECT_FALSE(check(*to, *from));
}

TEST_F(PermuteRegistersTest, OtherNumberOfRegistersOrWarps) {
  auto small = Layout::mmaAccumulator(64, 16, 4);
  auto wide = Layout::mmaAccumulator(64, 32, 4);
  auto fewer = Layout::mmaAccumulator(32, 16, 2);
  ASSERT_TRUE(succeeded(small) && succeeded(wide) && succeeded(fewer));
  EXPECT_FALSE(check(*small, *wide));
  EXPECT_TRUE(check(*wide, *small)); // a part of the registers
  EXPECT_FALSE(check(*small, *fewer));
}

// Register vectors in another order, or sums of each other: always a renaming.
TEST_F(PermuteRegistersTest, RandomRenamings) {
  unsigned positive = 0, moved = 0;
  for (unsigned i = 0; i < 300; ++i) {
    Parts parts = randomParts();
    Layout from = parts.build(&context);
    std::shuffle(parts.registers.begin(), parts.registers.end(), random);
    if (unsigned n = parts.registers.size(); n > 1) {
      unsigned a = below(n), b = (a + 1 + below(n - 1)) % n;
      for (unsigned d = 0; d < 2; ++d)
        parts.registers[a][d] ^= parts.registers[b][d];
    }
    Layout to = parts.build(&context);
    EXPECT_TRUE(permutationExists(from, to));
    positive += check(from, to);
    moved += !from.isSameFunction(to);
  }
  EXPECT_EQ(positive, 300u);
  EXPECT_GT(moved, 100u);
}

// One vector of a register swapped with one of a lane or a warp: an exchange,
// although every thread still holds as many elements of the same tile.
TEST_F(PermuteRegistersTest, RandomExchanges) {
  unsigned negative = 0, tried = 0;
  for (unsigned i = 0; i < 300; ++i) {
    Parts parts = randomParts();
    if (parts.registers.empty())
      continue;
    Layout from = parts.build(&context);
    auto &other = parts.warps.empty() || below(2) ? parts.lanes : parts.warps;
    std::swap(parts.registers[below(parts.registers.size())],
              other[below(other.size())]);
    negative += !check(from, parts.build(&context));
    ++tried;
  }
  EXPECT_GT(tried, 200u);
  EXPECT_EQ(negative, tried);
}

// At most one pair of vectors swapped, anywhere: both answers occur.
TEST_F(PermuteRegistersTest, RandomPairs) {
  unsigned positive = 0, negative = 0;
  for (unsigned i = 0; i < 2000; ++i) {
    Parts parts = randomParts();
    Layout from = parts.build(&context);
    SmallVector<SmallVector<int64_t, 2> *> all;
    for (auto *group : {&parts.registers, &parts.lanes, &parts.warps})
      for (auto &vector : *group)
        all.push_back(&vector);
    for (unsigned n = below(2); n-- > 0;)
      std::swap(*all[below(all.size())], *all[below(all.size())]);
    bool found = check(from, parts.build(&context));
    positive += found;
    negative += !found;
  }
  EXPECT_GT(positive, 100u);
  EXPECT_GT(negative, 100u);
}

// Replicated registers: any copy may serve.
TEST_F(PermuteRegistersTest, ReplicatedRegisters) {
  Parts parts;
  parts.registers = {{0, 0}, {0, 1}};
  parts.lanes = {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {16, 0}};
  Layout from = parts.build(&context);
  std::swap(parts.registers[0], parts.registers[1]);
  EXPECT_TRUE(check(from, parts.build(&context)));
}

} // namespace
