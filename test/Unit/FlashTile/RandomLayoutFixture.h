//===- RandomLayoutFixture.h - Layouts of two axes at random ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_FLASHTILE_RANDOMLAYOUTFIXTURE_H
#define FLASH_TEST_UNIT_FLASHTILE_RANDOMLAYOUTFIXTURE_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <random>

namespace mlir::flash_tile::test {

class RandomLayoutTest : public ::testing::Test {
protected:
  explicit RandomLayoutTest(unsigned seed) : random(seed) {
    context.loadDialect<FlashTileDialect>();
  }

  /// A number of [0, limit).
  int64_t below(int64_t limit) {
    return std::uniform_int_distribution<int64_t>(0, limit - 1)(random);
  }

  /// Vectors and repeats of a layout of two axes.
  struct Parts {
    SmallVector<SmallVector<int64_t, 2>> registers, lanes, warps;
    SmallVector<SmallVector<int64_t, 3>> repeats;
    int64_t colBits = 0; // of the atom
    SmallVector<SmallVector<int64_t, 3>> warpRepeats = {};
  };
  Layout build(const Parts &parts) {
    auto flat = [](const auto &rows) {
      SmallVector<int64_t> numbers;
      for (const auto &row : rows)
        llvm::append_range(numbers, row);
      return numbers;
    };
    return Layout::fromAttr(LayoutAttr::get(
        &context, 2, flat(parts.registers), flat(parts.lanes),
        flat(parts.warps), flat(parts.repeats), flat(parts.warpRepeats)));
  }

  /// Swaps one of `a` with one of `b`.
  template <typename A, typename B> void swapSome(A &a, B &b) {
    if (!a.empty() && !b.empty())
      std::swap(a[below(a.size())], b[below(b.size())]);
  }

  MLIRContext context;
  std::mt19937 random;
};

} // namespace mlir::flash_tile::test

#endif // FLASH_TEST_UNIT_FLASHTILE_RANDOMLAYOUTFIXTURE_H
