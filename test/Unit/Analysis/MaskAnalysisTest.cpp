//===- MaskAnalysisTest.cpp - Ranges against enumeration ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Every range that the analysis builds is evaluated (with constant symbols the
// arith folders reduce it to constants) and compared with what an enumeration
// of all elements says.
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/MaskAnalysis.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <functional>
#include <random>

using namespace mlir;
using namespace mlir::flash;

namespace {

/// The mask as a function of (q, k, alignment, capture).
using Predicate = std::function<bool(int64_t, int64_t, int64_t, int64_t)>;

struct Problem {
  int64_t sq, sk, tileQ, tileK;
};

struct Ranges {
  int64_t lo, hi, fullLo, fullHi;
};

class MaskAnalysisTest : public ::testing::Test {
protected:
  MaskAnalysisTest() {
    context.loadDialect<FlashDialect, arith::ArithDialect, func::FuncDialect>();
  }

  /// The mask region with the text `body`, which ends in a value %r; %c is a
  /// captured index.
  Region &parse(StringRef body) {
    std::string text = R"(
      func.func @f(%Q: memref<?x?x?x64xbf16>, %K: memref<?x?x?x64xbf16>,
                   %O: memref<?x?x?x64xbf16>, %cap: index) {
        flash.attention
          ins(query = %Q, key = %K, value = %K : memref<?x?x?x64xbf16>,
              memref<?x?x?x64xbf16>, memref<?x?x?x64xbf16>)
          captures(%cap : index)
          outs(output = %O : memref<?x?x?x64xbf16>) {group = 1 : i64}
          mask {
          ^bb0(%b: index, %h: index, %q: index, %k: index, %c: index):
    )" + body.str() + R"(
            flash.yield %r : i1
          }
        return
      })";
    module = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    Region *mask = nullptr;
    module->walk([&](AttentionOp op) { mask = &op.getMask(); });
    return *mask;
  }

  /// The bounds' values for one query tile.
  Ranges evaluate(const MaskRanges &ranges, const Problem &problem, int64_t q0,
                  int64_t alignment, int64_t capture) {
    OpBuilder builder(&context);
    OwningOpRef<ModuleOp> scratch = ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(scratch->getBody());
    Location loc = builder.getUnknownLoc();
    auto symbol = [&](const MaskSymbol &symbol) -> Value {
      using Kind = MaskSymbol::Kind;
      int64_t value = symbol.kind == Kind::FirstQuery  ? q0
                      : symbol.kind == Kind::Queries   ? problem.sq
                      : symbol.kind == Kind::Keys      ? problem.sk
                      : symbol.kind == Kind::Alignment ? alignment
                                                       : capture;
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    TileRangeValues values = materializeRanges(builder, loc, ranges, symbol);
    auto number = [](Value value) {
      std::optional<int64_t> constant = getConstantIntValue(value);
      EXPECT_TRUE(constant.has_value());
      return constant.value_or(-1);
    };
    return {number(values.lo), number(values.hi), number(values.fullLo),
            number(values.fullHi)};
  }

  /// Compares every query tile of `problem` with enumeration. `tight`: the live
  /// and full ranges hold no tile too many, or too few.
  void check(Region &mask, const Problem &problem, const Predicate &allowed,
             bool tight, bool isStatic = false,
             std::optional<int64_t> ownAlignment = std::nullopt,
             int64_t capture = 0) {
    MaskTiling tiling;
    tiling.tileQ = problem.tileQ;
    tiling.tileK = problem.tileK;
    if (isStatic) {
      tiling.queries = problem.sq;
      tiling.keys = problem.sk;
    }
    tiling.ownAlignment = ownAlignment.has_value();
    int64_t alignment = ownAlignment.value_or(problem.sk - problem.sq);
    MaskRanges ranges = analyzeMask(mask, tiling);
    int64_t tiles = (problem.sk + problem.tileK - 1) / problem.tileK;
    for (int64_t q0 = 0; q0 < problem.sq; q0 += problem.tileQ) {
      Ranges got = evaluate(ranges, problem, q0, alignment, capture);
      std::string where =
          ranges.str() + " sq=" + std::to_string(problem.sq) +
          " sk=" + std::to_string(problem.sk) + " tiles " +
          std::to_string(problem.tileQ) + "x" + std::to_string(problem.tileK) +
          " q0=" + std::to_string(q0) + " got " + std::to_string(got.lo) + " " +
          std::to_string(got.fullLo) + " " + std::to_string(got.fullHi) + " " +
          std::to_string(got.hi);
      ASSERT_TRUE(0 <= got.lo && got.lo <= got.fullLo &&
                  got.fullLo <= got.fullHi && got.fullHi <= got.hi &&
                  got.hi <= tiles)
          << where;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        bool any = false, all = true;
        for (int64_t q = q0; q < std::min(q0 + problem.tileQ, problem.sq); ++q)
          for (int64_t k = tile * problem.tileK; k < (tile + 1) * problem.tileK;
               ++k) {
            bool in = k < problem.sk && allowed(q, k, alignment, capture);
            any |= in;
            all &= in;
          }
        bool live = tile >= got.lo && tile < got.hi;
        bool full = tile >= got.fullLo && tile < got.fullHi;
        ASSERT_TRUE(live || !any) << "live tile " << tile << " lost: " << where;
        ASSERT_TRUE(all || !full) << "tile " << tile << " not full: " << where;
        if (tight) {
          ASSERT_TRUE(!live || any) << "dead tile " << tile << ": " << where;
          ASSERT_TRUE(full || !all)
              << "full tile " << tile << " masked: " << where;
        }
      }
    }
  }

  /// Many sizes and tiles, sizes known at run time and at compile time.
  void checkAll(StringRef body, const Predicate &allowed, bool tight = true) {
    Region &mask = parse(body);
    for (auto [tileQ, tileK] : {std::pair(8, 4), {4, 8}, {16, 16}, {8, 3}})
      for (int64_t sq : {1, 2, 5, 7, 8, 16, 23, 33})
        for (int64_t sk : {1, 2, 3, 5, 8, 16, 31, 48})
          for (bool isStatic : {false, true}) {
            check(mask, {sq, sk, tileQ, tileK}, allowed, tight, isStatic);
            if (HasFatalFailure())
              return;
          }
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

constexpr const char *kCausal = R"(
  %a = flash.alignment : index
  %last = arith.addi %q, %a : index
  %r = arith.cmpi sle, %k, %last : index
)";

} // namespace

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
      %two = arith.constant 2 : index
      %zero = arith.constant 0 : index
      %rest = arith.remsi %k, %two : index
      %even = arith.cmpi eq, %rest, %zero : index
      %past = arith.cmpi sle, %k, %q : index
      %r = arith.andi %even, %past : i1
  )";
  checkAll(
      body,
      [](int64_t q, int64_t k, int64_t, int64_t) {
        return k % 2 == 0 && k <= q;
      },
      /*tight=*/false);
  MaskTiling tiling;
  tiling.tileQ = tiling.tileK = 16;
  MaskRanges ranges = analyzeMask(parse(body), tiling);
  EXPECT_FALSE(ranges.exact);
  ASSERT_EQ(ranges.remarks.size(), 1u);
  EXPECT_NE(ranges.remarks[0].second.find("'arith.remsi' is not affine"),
            std::string::npos)
      << ranges.remarks[0].second;
}

TEST_F(MaskAnalysisTest, DisjunctionIsLeftOut) {
  StringRef body = R"(
      %four = arith.constant 4 : index
      %x = arith.cmpi slt, %k, %four : index
      %y = arith.cmpi sle, %k, %q : index
      %r = arith.ori %x, %y : i1
  )";
  checkAll(
      body,
      [](int64_t q, int64_t k, int64_t, int64_t) { return k < 4 || k <= q; },
      /*tight=*/false);
}

TEST_F(MaskAnalysisTest, RandomConjunctions) {
  std::mt19937 random(7);
  auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 60; ++round) {
    std::string body = "%t0 = arith.constant true\n"
                       "%zero = arith.constant 0 : index\n";
    std::vector<std::array<int, 3>> rows;
    int count = draw(1, 3);
    for (int i = 0; i < count; ++i) {
      std::array<int, 3> row{draw(-3, 3), draw(-3, 3), draw(-20, 30)};
      rows.push_back(row);
      std::string n = std::to_string(i);
      body += "%cq" + n + " = arith.constant " + std::to_string(row[0]) +
              " : index\n%ck" + n + " = arith.constant " +
              std::to_string(row[1]) + " : index\n%cc" + n +
              " = arith.constant " + std::to_string(row[2]) + " : index\n%q" +
              n + " = arith.muli %q, %cq" + n + " : index\n%k" + n +
              " = arith.muli %ck" + n + ", %k : index\n%s" + n +
              " = arith.addi %q" + n + ", %k" + n + " : index\n%u" + n +
              " = arith.addi %s" + n + ", %cc" + n + " : index\n%x" + n +
              " = arith.cmpi sge, %u" + n + ", %zero : index\n%t" +
              std::to_string(i + 1) + " = arith.andi %t" + n + ", %x" + n +
              " : i1\n";
    }
    body += "%tt = arith.constant true\n%r = arith.andi %t" +
            std::to_string(count) + ", %tt : i1\n";
    Region &mask = parse(body);
    for (int64_t sq : {1, 11, 24})
      for (int64_t sk : {2, 16, 29})
        for (bool isStatic : {false, true})
          check(
              mask, {sq, sk, 8, 4},
              [&](int64_t q, int64_t k, int64_t, int64_t) {
                return llvm::all_of(rows, [&](const std::array<int, 3> &row) {
                  return row[0] * q + row[1] * k + row[2] >= 0;
                });
              },
              /*tight=*/false, isStatic);
    if (HasFatalFailure())
      return;
  }
}
