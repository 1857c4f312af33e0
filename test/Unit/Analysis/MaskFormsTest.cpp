//===- MaskFormsTest.cpp - Integers and conditions of masks --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysisFixture.h"

using namespace mlir;
using namespace mlir::flash;
using namespace mlir::flash::test;

TEST_F(MaskAnalysisTest, NarrowIntegers) {
  // Differences of rows fit 32 bits; so do sums that are shifted down again.
  checkAll(R"(
      %a = flash.alignment : index
      %p = arith.addi %q, %a : index
      %q32 = arith.index_cast %p : index to i32
      %k32 = arith.index_castui %k : index to i32
      %d = arith.subi %q32, %k32 : i32
      %five = arith.constant 5 : i32
      %zero = arith.constant 0 : i32
      %x = arith.cmpi sge, %d, %zero : i32
      %y = arith.cmpi sle, %d, %five : i32
      %r = arith.andi %x, %y : i1
  )",
           [](int64_t q, int64_t k, int64_t a, int64_t) {
             return q + a - k >= 0 && q + a - k <= 5;
           });
  expectLeftOut(R"(
      %q32 = arith.index_cast %q : index to i32
      %k32 = arith.index_cast %k : index to i32
      %s = arith.addi %q32, %k32 : i32
      %n = arith.constant 5 : i32
      %r = arith.cmpi sle, %s, %n : i32
  )",
                "'arith.addi' may exceed its 32 bits");
}

// Two numbers known at run time in one bound: exact where neither can be larger
// than 32 bits, and left out where one can.
TEST_F(MaskAnalysisTest, TwoNumbersInOneBound) {
  Region &narrow = parse(R"(
      %start32 = arith.index_cast %c : index to i32
      %length32 = arith.muli %start32, %start32 : i32
      %start = arith.index_cast %start32 : i32 to index
      %length = arith.index_cast %length32 : i32 to index
      %d = arith.subi %k, %start : index
      %r = arith.cmpi slt, %d, %length : index
  )");
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 16;
  MaskRanges known = analyzeMask(narrow, tiling);
  EXPECT_TRUE(known.exact && known.remarks.empty()) << known.str();
  Region &wide = parse(R"(
      %length = arith.muli %c, %c : index
      %d = arith.subi %k, %c : index
      %r = arith.cmpi slt, %d, %length : index
  )");
  MaskRanges ranges = analyzeMask(wide, tiling);
  EXPECT_FALSE(ranges.exact);
  EXPECT_EQ(ranges.remarks.size(), 1u);
}

TEST_F(MaskAnalysisTest, ShiftsAndBits) {
  checkAll(R"(
      %two = arith.constant 2 : index
      %three = arith.constant 3 : index
      %d = arith.subi %q, %k : index
      %x = arith.shrsi %q, %two : index
      %y = arith.shrui %k, %two : index
      %eq = arith.cmpi eq, %x, %y : index
      %k2 = arith.shli %k, %two : index
      %low = arith.cmpi sle, %k2, %q : index
      %r = arith.ori %eq, %low : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             return q >> 2 == k >> 2 || 4 * k <= q;
           });
  checkAll(
      R"(
      %three = arith.constant 3 : index
      %d = arith.subi %q, %k : index
      %x = arith.andi %d, %three : index
      %r = arith.cmpi eq, %x, %three : index
  )",
      [](int64_t q, int64_t k, int64_t, int64_t) { return ((q - k) & 3) == 3; },
      /*tight=*/false);
}

TEST_F(MaskAnalysisTest, UnsignedExtrema) {
  checkAll(R"(
      %nine = arith.constant 9 : index
      %most = arith.maxui %q, %nine : index
      %x = arith.cmpi sle, %k, %most : index
      %least = arith.minui %k, %nine : index
      %y = arith.cmpi sle, %least, %q : index
      %r = arith.andi %x, %y : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             return k <= std::max<int64_t>(q, 9) &&
                    std::min<int64_t>(k, 9) <= q;
           });
}

TEST_F(MaskAnalysisTest, OrdersOfConditions) {
  const std::pair<const char *, std::function<bool(bool, bool)>> orders[] = {
      {"ult", [](bool x, bool y) { return !x && y; }},
      {"ule", [](bool x, bool y) { return !x || y; }},
      {"ugt", [](bool x, bool y) { return x && !y; }},
      {"uge", [](bool x, bool y) { return x || !y; }},
      {"slt", [](bool x, bool y) { return x && !y; }},
      {"sle", [](bool x, bool y) { return x || !y; }},
      {"sgt", [](bool x, bool y) { return !x && y; }},
      {"sge", [](bool x, bool y) { return !x || y; }}};
  for (auto &[name, allowed] : orders) {
    std::string body = R"(
      %nine = arith.constant 9 : index
      %x = arith.cmpi sle, %k, %q : index
      %y = arith.cmpi slt, %k, %nine : index
      %r = arith.cmpi )" +
                       std::string(name) + ", %x, %y : i1\n";
    checkAll(body, [&](int64_t q, int64_t k, int64_t, int64_t) {
      return allowed(k <= q, k < 9);
    });
    ASSERT_FALSE(HasFatalFailure()) << name;
  }
}

TEST_F(MaskAnalysisTest, ConditionsAsText) {
  // (a or b) and (c or d), with its parentheses.
  MaskTiling tiling;
  tiling.tileQ = 128;
  tiling.tileK = 64;
  std::string text = analyzeMask(parse(R"(
      %four = arith.constant 4 : index
      %nine = arith.constant 9 : index
      %x = arith.cmpi slt, %b, %four : index
      %y = arith.cmpi slt, %h, %four : index
      %z = arith.cmpi sgt, %b, %nine : index
      %w = arith.cmpi sgt, %h, %nine : index
      %xy = arith.andi %x, %y : i1
      %zw = arith.andi %z, %w : i1
      %r = arith.ori %xy, %zw : i1
  )"),
                                 tiling)
                         .str();
  EXPECT_NE(text.find(" if (-b + 3 >= 0 or b - 10 >= 0) and (-b + 3 >= 0 or "
                      "h - 10 >= 0) and ("),
            std::string::npos)
      << text;
}
