//===- MaskAnalysisTest.cpp - Masks by name -------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskAnalysisFixture.h"

using namespace mlir;
using namespace mlir::flash;
using namespace mlir::flash::test;

TEST_F(MaskAnalysisTest, None) {
  checkAll("%r = arith.constant true",
           [](int64_t, int64_t, int64_t, int64_t) { return true; });
}

TEST_F(MaskAnalysisTest, Nothing) {
  checkAll("%r = arith.constant false",
           [](int64_t, int64_t, int64_t, int64_t) { return false; });
}

TEST_F(MaskAnalysisTest, Causal) {
  checkAll(kCausal,
           [](int64_t q, int64_t k, int64_t a, int64_t) { return k <= q + a; });
}

TEST_F(MaskAnalysisTest, CausalBoundIsOneMinOfFloorDivisions) {
  MaskTiling tiling;
  tiling.tileQ = 128;
  tiling.tileK = 64;
  EXPECT_EQ(analyzeMask(parse(kCausal), tiling).str(),
            "live [0, min((q0 - sq + sk + 127) floordiv 64 + 1, "
            "(sk - 1) floordiv 64 + 1)), full [live, (q0 - sq + sk + 1) "
            "floordiv 64)");
  EXPECT_TRUE(analyzeMask(parse(kCausal), tiling).growsWithQuery());
}

TEST_F(MaskAnalysisTest, CausalTopLeft) {
  checkAll("%r = arith.cmpi sge, %q, %k : index",
           [](int64_t q, int64_t k, int64_t, int64_t) { return k <= q; });
}

TEST_F(MaskAnalysisTest, CausalOwnAlignment) {
  Region &mask = parse(kCausal);
  for (int64_t alignment : {-20, -3, 0, 1, 9, 40})
    for (int64_t sq : {1, 7, 23})
      for (int64_t sk : {1, 8, 31})
        for (bool isStatic : {false, true})
          check(
              mask, {sq, sk, 8, 4},
              [](int64_t q, int64_t k, int64_t a, int64_t) {
                return k <= q + a;
              },
              /*tight=*/true, isStatic, alignment);
}

TEST_F(MaskAnalysisTest, Window) {
  for (auto [left, right] :
       {std::pair(0, 0), {5, 0}, {0, 6}, {3, 2}, {13, 11}, {2, -1}}) {
    std::string body = R"(
      %a = flash.alignment : index
      %d = arith.addi %q, %a : index
      %left = arith.constant )" +
                       std::to_string(left) + R"( : index
      %right = arith.constant )" +
                       std::to_string(right) + R"( : index
      %first = arith.subi %d, %left : index
      %last = arith.addi %d, %right : index
      %x = arith.cmpi sge, %k, %first : index
      %y = arith.cmpi sle, %k, %last : index
      %r = arith.andi %x, %y : i1
    )";
    int64_t l = left, r = right;
    checkAll(body, [=](int64_t q, int64_t k, int64_t a, int64_t) {
      return k >= q + a - l && k <= q + a + r;
    });
  }
}

TEST_F(MaskAnalysisTest, WindowOfCapturedSize) {
  Region &mask = parse(R"(
      %first = arith.subi %q, %c : index
      %x = arith.cmpi sge, %k, %first : index
      %y = arith.cmpi sle, %k, %q : index
      %r = arith.andi %x, %y : i1
  )");
  for (int64_t window : {-2, 0, 1, 6, 50})
    for (int64_t sk : {1, 8, 31})
      check(
          mask, {23, sk, 8, 4},
          [](int64_t q, int64_t k, int64_t, int64_t c) {
            return k >= q - c && k <= q;
          },
          /*tight=*/true, /*isStatic=*/false, std::nullopt, window);
}

TEST_F(MaskAnalysisTest, RowsAndKeysAlone) {
  checkAll(
      R"(
      %five = arith.constant 5 : index
      %nine = arith.constant 9 : index
      %x = arith.cmpi sgt, %q, %five : index
      %y = arith.cmpi slt, %k, %nine : index
      %r = arith.andi %x, %y : i1
  )",
      [](int64_t q, int64_t k, int64_t, int64_t) { return q > 5 && k < 9; });
}

TEST_F(MaskAnalysisTest, UpperRowsAlone) {
  checkAll(R"(
      %five = arith.constant 5 : index
      %r = arith.cmpi sle, %q, %five : index
  )",
           [](int64_t q, int64_t, int64_t, int64_t) { return q <= 5; });
}

TEST_F(MaskAnalysisTest, Diagonal) {
  checkAll("%r = arith.cmpi eq, %q, %k : index",
           [](int64_t q, int64_t k, int64_t, int64_t) { return q == k; });
}

TEST_F(MaskAnalysisTest, NegatedComparison) {
  checkAll(R"(
      %true = arith.constant true
      %x = arith.cmpi slt, %q, %k : index
      %r = arith.xori %x, %true : i1
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) { return k <= q; });
}

TEST_F(MaskAnalysisTest, SlopedByTwo) {
  checkAll(R"(
      %two = arith.constant 2 : index
      %k2 = arith.muli %k, %two : index
      %r = arith.cmpi sle, %k2, %q : index
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) { return 2 * k <= q; });
}

TEST_F(MaskAnalysisTest, PartlyAffine) {
  // The conjunct that is not affine is left out: dead tiles stay dead.
  StringRef body = R"(
      %zero = arith.constant 0 : index
      %product = arith.muli %q, %k : index
      %odd = arith.cmpi ne, %product, %zero : index
      %past = arith.cmpi sle, %k, %q : index
      %r = arith.andi %odd, %past : i1
  )";
  checkAll(
      body,
      [](int64_t q, int64_t k, int64_t, int64_t) {
        return q * k != 0 && k <= q;
      },
      /*tight=*/false);
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 16;
  MaskRanges ranges = analyzeMask(parse(body), tiling);
  EXPECT_FALSE(ranges.exact);
  EXPECT_TRUE(ranges.neverFull);
  ASSERT_EQ(ranges.remarks.size(), 1u);
  EXPECT_NE(ranges.remarks[0].second.find("'arith.muli' is not affine"),
            std::string::npos)
      << ranges.remarks[0].second;
}

TEST_F(MaskAnalysisTest, FullWhereOneSideOfADisjunctionHolds) {
  // Or-ed with what is not affine: full tiles stay full.
  StringRef body = R"(
      %zero = arith.constant 0 : index
      %product = arith.muli %q, %k : index
      %odd = arith.cmpi eq, %product, %zero : index
      %past = arith.cmpi sle, %k, %q : index
      %r = arith.ori %odd, %past : i1
  )";
  checkAll(
      body,
      [](int64_t q, int64_t k, int64_t, int64_t) {
        return q * k == 0 || k <= q;
      },
      /*tight=*/false);
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 16;
  MaskRanges ranges = analyzeMask(parse(body), tiling);
  EXPECT_FALSE(ranges.neverFull);
  EXPECT_EQ(ranges.live.size(), 1u);
}

TEST_F(MaskAnalysisTest, Prefix) {
  for (int64_t prefix : {0, 1, 4, 9, 40}) {
    std::string body = windowText(-1, 0) + R"(
      %n = arith.constant )" +
                       std::to_string(prefix) + R"( : index
      %z = arith.cmpi slt, %k, %n : index
      %r = arith.ori %z, %y : i1
    )";
    checkAll(body, [=](int64_t q, int64_t k, int64_t a, int64_t) {
      return k < prefix || k <= q + a;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST_F(MaskAnalysisTest, PrefixOfCapturedSize) {
  Region &mask = parse(R"(
      %x = arith.cmpi slt, %k, %c : index
      %y = arith.cmpi sle, %k, %q : index
      %r = arith.ori %x, %y : i1
  )");
  for (int64_t prefix : {-3, 0, 1, 8, 13, 99})
    for (int64_t sk : {1, 8, 31})
      check(
          mask, {23, sk, 8, 4},
          [](int64_t q, int64_t k, int64_t, int64_t c) {
            return k < c || k <= q;
          },
          /*tight=*/true, /*isStatic=*/false, std::nullopt, prefix);
}

TEST_F(MaskAnalysisTest, WindowWithSinks) {
  for (auto [left, right, sinks] :
       {std::tuple(0, 0, 1), {5, 0, 4}, {13, 2, 9}, {3, 40, 8}, {4, 0, 30}}) {
    std::string body = windowText(left, right) + R"(
      %n = arith.constant )" +
                       std::to_string(sinks) + R"( : index
      %sink = arith.cmpi slt, %k, %n : index
      %xx = arith.ori %sink, %x : i1
      %r = arith.andi %xx, %y : i1
    )";
    int64_t l = left, r = right, s = sinks;
    checkAll(body, [=](int64_t q, int64_t k, int64_t a, int64_t) {
      return (k < s || k >= q + a - l) && k <= q + a + r;
    });
    if (HasFatalFailure())
      return;
  }
}

TEST_F(MaskAnalysisTest, WindowWithSinksIsTwoRangesInOrder) {
  MaskTiling tiling;
  tiling.tileQ = 128;
  tiling.tileK = 64;
  MaskRanges ranges = analyzeMask(parse(windowText(256, 0) + R"(
      %n = arith.constant 128 : index
      %sink = arith.cmpi slt, %k, %n : index
      %xx = arith.ori %sink, %x : i1
      %r = arith.andi %xx, %y : i1
  )"),
                                  tiling);
  EXPECT_EQ(ranges.live.size(), 2u) << ranges.str();
  EXPECT_EQ(ranges.holes.size(), 1u) << ranges.str();
  EXPECT_TRUE(ranges.liveSorted && ranges.holesSorted) << ranges.str();
  EXPECT_TRUE(ranges.exact && ranges.boundsKeys) << ranges.str();
}

TEST_F(MaskAnalysisTest, BlockDiagonal) {
  for (int64_t chunk : {1, 3, 4, 8, 10, 16, 100}) {
    std::string body = R"(
      %a = flash.alignment : index
      %d = arith.addi %q, %a : index
      %n = arith.constant )" +
                       std::to_string(chunk) + R"( : index
      %x = arith.floordivsi %d, %n : index
      %y = arith.floordivsi %k, %n : index
      %r = arith.cmpi eq, %x, %y : index
    )";
    auto floorDiv = [](int64_t a, int64_t b) {
      return a / b - (a % b < 0 ? 1 : 0);
    };
    checkAll(body, [=](int64_t q, int64_t k, int64_t a, int64_t) {
      return floorDiv(q + a, chunk) == floorDiv(k, chunk);
    });
    if (HasFatalFailure())
      return;
  }
}

TEST_F(MaskAnalysisTest, DilatedWindow) {
  // Never full where the dilation is above 1, and one range: no tile is as
  // narrow as the dilation.
  for (int64_t dilation : {1, 2, 3}) {
    std::string body = R"(
      %zero = arith.constant 0 : index
      %nine = arith.constant 9 : index
      %n = arith.constant )" +
                       std::to_string(dilation) + R"( : index
      %d = arith.subi %q, %k : index
      %rest = arith.remsi %d, %n : index
      %x = arith.cmpi eq, %rest, %zero : index
      %y = arith.cmpi ule, %d, %nine : index
      %r = arith.andi %x, %y : i1
    )";
    checkAll(
        body,
        [=](int64_t q, int64_t k, int64_t, int64_t) {
          return (q - k) % dilation == 0 && q >= k && q - k <= 9;
        },
        /*tight=*/dilation == 1);
    MaskTiling tiling;
    tiling.tileQ = tiling.tileK = 16;
    EXPECT_EQ(analyzeMask(parse(body), tiling).live.size(), 1u)
        << analyzeMask(parse(body), tiling).str();
    if (HasFatalFailure())
      return;
  }
}

TEST_F(MaskAnalysisTest, SelectAndExtrema) {
  checkAll(R"(
      %five = arith.constant 5 : index
      %nine = arith.constant 9 : index
      %early = arith.cmpi slt, %q, %nine : index
      %bound = arith.select %early, %five, %q : index
      %most = arith.maxsi %bound, %nine : index
      %r = arith.cmpi sle, %k, %most : index
  )",
           [](int64_t q, int64_t k, int64_t, int64_t) {
             return k <= std::max<int64_t>(q < 9 ? 5 : q, 9);
           });
}

TEST_F(MaskAnalysisTest, ConditionOfTheHead) {
  // One head in front of %c sees all, the others what is causal.
  StringRef body = R"(
      %few = arith.constant 4 : index
      %wide = arith.cmpi slt, %c, %few : index
      %past = arith.cmpi sle, %k, %q : index
      %true = arith.constant true
      %r = arith.select %wide, %true, %past : i1
  )";
  Region &mask = parse(body);
  for (int64_t head : {0, 3, 4, 9})
    for (int64_t sk : {1, 8, 31})
      check(
          mask, {23, sk, 8, 4},
          [](int64_t q, int64_t k, int64_t, int64_t c) {
            return c < 4 || k <= q;
          },
          /*tight=*/true, /*isStatic=*/false, std::nullopt, head);
}

// That a set is empty, or a bound redundant, may follow over the integers only:
// what a rational projection leaves of it has to have its bounds all the same.
TEST_F(MaskAnalysisTest, EmptyOverTheIntegers) {
  Region &head = parse(R"(
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %seven = arith.constant 7 : index
      %seventy = arith.constant 70 : index
      %many = arith.constant 146 : index
      %a = flash.alignment : index
      %p = arith.addi %q, %a : index
      %d = arith.subi %p, %k : index
      %rest = arith.remsi %d, %seventy : index
      %dilated = arith.cmpi eq, %rest, %zero : index
      %late = arith.cmpi sge, %q, %many : index
      %first = arith.cmpi slt, %c, %one : index
      %x = arith.select %dilated, %late, %first : i1
      %chunkQ = arith.floordivsi %p, %seven : index
      %chunkK = arith.floordivsi %k, %seven : index
      %same = arith.cmpi eq, %chunkQ, %chunkK : index
      %r = arith.andi %x, %same : i1
  )");
  for (int64_t length : {1, 9, 150})
    check(
        head, {length, length, 128, 64},
        [](int64_t q, int64_t k, int64_t a, int64_t c) {
          return ((q + a - k) % 70 == 0 ? q >= 146 : c < 1) &&
                 (q + a) / 7 == k / 7;
        },
        /*tight=*/false, /*isStatic=*/true);

  Region &dilated = parse(R"(
      %zero = arith.constant 0 : index
      %three = arith.constant 3 : index
      %seven = arith.constant 7 : index
      %seventy = arith.constant 70 : index
      %many = arith.constant 196 : index
      %a = flash.alignment : index
      %p = arith.addi %q, %a : index
      %d = arith.subi %p, %k : index
      %restOfThree = arith.remsi %d, %three : index
      %third = arith.cmpi eq, %restOfThree, %zero : index
      %chunkQ = arith.floordivsi %p, %seven : index
      %chunkK = arith.floordivsi %k, %seven : index
      %notLater = arith.cmpi sge, %chunkQ, %chunkK : index
      %above = arith.cmpi slt, %q, %d : index
      %x = arith.select %third, %notLater, %above : i1
      %early = arith.cmpi slt, %q, %many : index
      %rest = arith.remsi %d, %seventy : index
      %seventieth = arith.cmpi eq, %rest, %zero : index
      %y = arith.andi %early, %seventieth : i1
      %r = arith.andi %x, %y : i1
  )");
  for (int64_t sq : {1, 62, 200})
    for (int64_t sk : {60, 62, 64, 200})
      check(
          dilated, {sq, sk, 128, 64},
          [](int64_t q, int64_t k, int64_t a, int64_t) {
            int64_t p = q + a, d = p - k;
            auto chunk = [](int64_t n) { return (n - (n < 0 ? 6 : 0)) / 7; };
            return (d % 3 == 0 ? chunk(p) >= chunk(k) : q < d) && q < 196 &&
                   d % 70 == 0;
          },
          /*tight=*/false);
}
