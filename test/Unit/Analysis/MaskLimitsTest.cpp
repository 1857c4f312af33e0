//===- MaskLimitsTest.cpp - What is no fixed number of ranges ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysisFixture.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;
using namespace mlir::flash::test;

// Numbers that hide nothing, or everything, without an overflow of the bounds.
TEST_F(MaskAnalysisTest, CapturesOfAnySize) {
  constexpr int64_t most = std::numeric_limits<int64_t>::max(),
                    least = std::numeric_limits<int64_t>::min();
  using Wide = __int128;
  struct Mask {
    const char *body;
    std::function<bool(Wide, Wide, Wide)> allowed;
  };
  for (const Mask &mask : {
           Mask{"%d = arith.subi %q, %k : index\n"
                "%r = arith.cmpi sle, %d, %c : index\n",
                [](Wide q, Wide k, Wide c) { return q - k <= c; }},
           Mask{"%d = arith.subi %q, %k : index\n"
                "%r = arith.cmpi sge, %d, %c : index\n",
                [](Wide q, Wide k, Wide c) { return q - k >= c; }},
           Mask{"%a = flash.alignment : index\n"
                "%p = arith.addi %q, %a : index\n"
                "%d = arith.subi %k, %p : index\n"
                "%r = arith.cmpi sge, %d, %c : index\n",
                [](Wide q, Wide k, Wide c) { return k - q - 8 >= c; }},
           Mask{"%two = arith.constant 2 : index\n"
                "%k2 = arith.muli %k, %two : index\n"
                "%x = arith.cmpi slt, %k2, %c : index\n"
                "%y = arith.cmpi sge, %q, %c : index\n"
                "%r = arith.ori %x, %y : i1\n",
                [](Wide q, Wide k, Wide c) { return 2 * k < c || q >= c; }},
       }) {
    Region &region = parse(mask.body);
    for (int64_t number :
         {least, least + 1, -(most / 2), -(int64_t(1) << 46), int64_t(-3),
          int64_t(0), int64_t(20), int64_t(1) << 45, int64_t(1) << 47, most / 2,
          most - 1, most}) {
      check(
          region, {23, 31, 8, 4},
          [&](int64_t q, int64_t k, int64_t, int64_t c) {
            return mask.allowed(q, k, c);
          },
          /*tight=*/true, /*isStatic=*/false, std::nullopt, number);
      ASSERT_FALSE(HasFatalFailure()) << mask.body << number;
    }
  }
}

// A sum or a difference of two numbers of any size cannot be cut off.
TEST_F(MaskAnalysisTest, RestsOfNumbersOfAnySize) {
  expectLeftOut(R"(
      %four = arith.constant 4 : index
      %d = arith.addi %k, %c : index
      %n = arith.remsi %d, %four : index
      %r = arith.cmpi eq, %n, %four : index
  )",
                "numbers known at run time only");
}

// Sizes at which a tile may lie between two periods.
TEST_F(MaskAnalysisTest, PeriodsLongerThanTiles) {
  for (int64_t period : {5, 12, 40}) {
    std::string body = R"(
      %n = arith.constant )" +
                       std::to_string(period) + R"( : index
      %two = arith.constant 2 : index
      %x = arith.remui %k, %n : index
      %r = arith.cmpi slt, %x, %two : index
    )";
    checkAll(
        body,
        [=](int64_t, int64_t k, int64_t, int64_t) { return k % period < 2; },
        /*tight=*/false);
    ASSERT_FALSE(HasFatalFailure()) << period;
    MaskTiling tiling;
    tiling.tileQ = tiling.tileK = 16;
    MaskRanges ranges = analyzeMask(parse(body), tiling);
    EXPECT_EQ(ranges.exact, period < 16) << ranges.str();
    EXPECT_EQ(ranges.remarks.size(), period < 16 ? 0u : 1u);
    if (period > 16) {
      EXPECT_NE(ranges.remarks[0].second.find("no fixed number of ranges"),
                std::string::npos)
          << ranges.remarks[0].second;
    }
  }
}

TEST_F(MaskAnalysisTest, ManyRangesAreInexact) {
  // Five tiles of sixteen keys, one left out between each two.
  std::string body = "%r0 = arith.constant false\n";
  for (int64_t i = 0; i < 5; ++i) {
    std::string n = std::to_string(i), next = std::to_string(i + 1);
    body += "%l" + n + " = arith.constant " + std::to_string(32 * i) +
            " : index\n%h" + n + " = arith.constant " +
            std::to_string(32 * i + 16) + " : index\n%x" + n +
            " = arith.cmpi sge, %k, %l" + n + " : index\n%y" + n +
            " = arith.cmpi slt, %k, %h" + n + " : index\n%z" + n +
            " = arith.andi %x" + n + ", %y" + n + " : i1\n" +
            (i == 4 ? "%r" : "%r" + next) + " = arith.ori %r" + n + ", %z" + n +
            " : i1\n";
  }
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 16;
  MaskRanges ranges = analyzeMask(parse(body), tiling);
  EXPECT_FALSE(ranges.exact);
  EXPECT_TRUE(llvm::any_of(ranges.remarks, [](auto &remark) {
    return StringRef(remark.second).contains("ranges, more than 4");
  }));
}

// Reading recurses along the operands: a limit, and no overflow of the stack.
TEST_F(MaskAnalysisTest, LongChains) {
  for (auto [length, isDeep] : {std::pair(100, false), {20000, true}}) {
    std::string sum = "%s0 = arith.addi %k, %q : index\n", choice = sum,
                either = "%s0 = arith.cmpi sle, %k, %q : index\n";
    for (int64_t i = 1; i <= length; ++i) {
      std::string last = std::to_string(i - 1), n = std::to_string(i);
      sum += "%s" + n + " = arith.subi %s" + last + ", %q : index\n";
      choice += "%t" + n + " = arith.cmpi sle, %s" + last + ", %k : index\n%s" +
                n + " = arith.select %t" + n + ", %s" + last + ", %k : index\n";
      either += "%s" + n + " = arith.ori %s" + last + ", %s0 : i1\n";
    }
    std::string end =
        "%r = arith.cmpi sle, %s" + std::to_string(length) + ", %q : index\n";
    MaskTiling tiling;
    tiling.tileQ = tiling.tileK = 16;
    for (const std::string &body :
         {sum + end, choice + end,
          either + "%r = arith.andi %s" + std::to_string(length) +
              ", %s0 : i1\n"}) {
      MaskRanges ranges = analyzeMask(parse(body), tiling);
      bool isSaid = llvm::any_of(ranges.remarks, [](auto &remark) {
        return StringRef(remark.second)
            .contains("is nested more than 256 ops deep");
      });
      EXPECT_EQ(isSaid, isDeep) << body.substr(0, 200);
      EXPECT_LE(ranges.remarks.size(), 2u);
    }
  }
}
