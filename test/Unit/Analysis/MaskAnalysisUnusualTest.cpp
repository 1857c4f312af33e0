//===- MaskAnalysisUnusualTest.cpp - Unions, nests, contradictions --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysisFixture.h"

using namespace mlir;
using namespace mlir::flash;
using namespace mlir::flash::test;

TEST_F(MaskAnalysisTest, TwoWindows) {
  // Keys at a distance of 0 to 3, and of 9 to 12.
  checkAll(R"(
      %zero = arith.constant 0 : index
      %three = arith.constant 3 : index
      %nine = arith.constant 9 : index
      %twelve = arith.constant 12 : index
      %d = arith.subi %q, %k : index
      %a0 = arith.cmpi sge, %d, %zero : index
      %a1 = arith.cmpi sle, %d, %three : index
      %b0 = arith.cmpi sge, %d, %nine : index
      %b1 = arith.cmpi sle, %d, %twelve : index
      %a = arith.andi %a0, %a1 : i1
      %b2 = arith.andi %b0, %b1 : i1
      %r = arith.ori %a, %b2 : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             int64_t d = q - k;
             return (d >= 0 && d <= 3) || (d >= 9 && d <= 12);
           });
}

TEST_F(MaskAnalysisTest, ChunkOrPrefix) {
  checkAll(R"(
      %eight = arith.constant 8 : index
      %five = arith.constant 5 : index
      %cq = arith.floordivsi %q, %eight : index
      %ck = arith.floordivsi %k, %eight : index
      %chunk = arith.cmpi eq, %cq, %ck : index
      %prefix = arith.cmpi slt, %k, %five : index
      %r = arith.ori %chunk, %prefix : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             return q / 8 == k / 8 || k < 5;
           });
}

TEST_F(MaskAnalysisTest, ThreeQuarters) {
  checkAll(
      R"(
      %three = arith.constant 3 : index
      %four = arith.constant 4 : index
      %x = arith.muli %q, %three : index
      %bound = arith.floordivsi %x, %four : index
      %r = arith.cmpi slt, %k, %bound : index
  )",
      [](int64_t q, int64_t k, int64_t, int64_t) { return k < q * 3 / 4; });
}

TEST_F(MaskAnalysisTest, Contradiction) {
  checkAll(R"(
      %five = arith.constant 5 : index
      %d = arith.subi %q, %k : index
      %x = arith.cmpi sgt, %d, %five : index
      %y = arith.cmpi slt, %d, %five : index
      %r = arith.andi %x, %y : i1
  )",
           [](int64_t, int64_t, int64_t, int64_t) { return false; });
}

TEST_F(MaskAnalysisTest, Tautology) {
  checkAll(R"(
      %five = arith.constant 5 : index
      %d = arith.subi %q, %k : index
      %x = arith.cmpi sge, %d, %five : index
      %y = arith.cmpi sle, %d, %five : index
      %r = arith.ori %x, %y : i1
  )",
           [](int64_t, int64_t, int64_t, int64_t) { return true; });
}

TEST_F(MaskAnalysisTest, OutsideOfAWindow) {
  checkAll(R"(
      %two = arith.constant 2 : index
      %nine = arith.constant 9 : index
      %true = arith.constant true
      %d = arith.subi %q, %k : index
      %x = arith.cmpi sge, %d, %two : index
      %y = arith.cmpi sle, %d, %nine : index
      %inside = arith.andi %x, %y : i1
      %r = arith.xori %inside, %true : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             return q - k < 2 || q - k > 9;
           });
}

/// A selected lower bound and an upper one of both a minimum and a maximum:
/// eight conjunctions, whose ranges of tiles are one where they meet.
static constexpr StringRef kNest = R"(
    %zero = arith.constant 0 : index
    %five = arith.constant 5 : index
    %seven = arith.constant 7 : index
    %eleven = arith.constant 11 : index
    %a = flash.alignment : index
    %p = arith.addi %q, %a : index
    %early = arith.cmpi slt, %q, %eleven : index
    %before = arith.subi %q, %seven : index
    %low = arith.select %early, %zero, %before : index
    %most = arith.maxsi %q, %five : index
    %ahead = arith.addi %p, %five : index
    %high = arith.minsi %most, %ahead : index
    %x = arith.cmpi sge, %k, %low : index
    %y = arith.cmpi sle, %k, %high : index
    %r = arith.andi %x, %y : i1
)";

TEST_F(MaskAnalysisTest, NestOfSelectAndExtrema) {
  Predicate mask = [](int64_t q, int64_t k, int64_t a, int64_t) {
    return k >= (q < 11 ? 0 : q - 7) &&
           k <= std::min(std::max<int64_t>(q, 5), q + a + 5);
  };
  // Live tiles may be more than four ranges, of which all but the gaps are
  // visited; full ones between others are then masked.
  checkAll(kNest, mask, /*tight=*/false);
}

TEST_F(MaskAnalysisTest, ManyRangesBecomeOne) {
  // Six keys apart from each other, behind the query.
  std::string body = "%none = arith.constant false\n"
                     "%d = arith.subi %q, %k : index\n";
  std::string last = "%none";
  for (int i = 0; i < 6; ++i) {
    std::string n = std::to_string(i);
    body += "%x" + n + " = arith.constant " + std::to_string(4 * i) +
            " : index\n%e" + n + " = arith.cmpi eq, %d, %x" + n +
            " : index\n%u" + n + " = arith.ori " + last + ", %e" + n +
            " : i1\n";
    last = "%u" + n;
  }
  body += "%r = arith.ori %none, " + last + " : i1\n";
  auto mask = [](int64_t q, int64_t k, int64_t, int64_t) {
    int64_t d = q - k;
    return d >= 0 && d <= 20 && d % 4 == 0;
  };
  checkAll(body, mask, /*tight=*/false);
  // From the first of them to the last, and nothing beyond.
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 1;
  MaskRanges ranges = analyzeMask(parse(body), tiling);
  Ranges found = evaluate(ranges, {64, 64, 1, 1}, /*q0=*/30, 0, 0);
  EXPECT_EQ(text(found.live), " [10, 31)");
  std::vector<std::string> remarks;
  for (auto &[loc, remark] : ranges.remarks)
    remarks.push_back(remark);
  EXPECT_EQ(remarks, std::vector<std::string>(
                         {"mask: 'arith.ori' makes more than 16 conjunctions; "
                          "left out of the ranges of tiles",
                          "mask: its live tiles are 6 ranges, more than 4; "
                          "they are taken as one"}));
}
