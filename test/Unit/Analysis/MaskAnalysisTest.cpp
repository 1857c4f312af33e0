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

using Intervals = std::vector<std::pair<int64_t, int64_t>>;

struct Ranges {
  Intervals live, full;
};

bool contains(const Intervals &intervals, int64_t tile) {
  return llvm::any_of(intervals, [&](auto &interval) {
    return interval.first <= tile && tile < interval.second;
  });
}

/// In order, disjoint, and no tile outside of [0, tiles).
bool isOrdered(const Intervals &intervals, int64_t tiles) {
  int64_t end = 0;
  for (auto [lo, hi] : intervals) {
    if (lo < end || hi < lo || (lo < hi && hi > tiles))
      return false;
    end = hi;
  }
  return true;
}

std::string text(const Intervals &intervals) {
  std::string result;
  for (auto [lo, hi] : intervals)
    result += " [" + std::to_string(lo) + ", " + std::to_string(hi) + ")";
  return result;
}

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
    auto literal = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    // A value of the region that depends on neither q nor k, folded.
    std::function<Value(Value)> uniform = [&](Value value) -> Value {
      Operation *op = value.getDefiningOp();
      if (!op)
        return literal(capture);
      if (isa<AlignmentOp>(op))
        return literal(alignment);
      IRMapping mapping;
      for (Value operand : op->getOperands())
        mapping.map(operand, uniform(operand));
      Operation *clone = builder.clone(*op, mapping);
      SmallVector<Value> folded;
      if (succeeded(builder.tryFold(clone, folded)) && !folded.empty())
        return folded.front();
      return clone->getResult(0);
    };
    auto symbol = [&](const MaskSymbol &symbol) -> Value {
      using Kind = MaskSymbol::Kind;
      if (symbol.kind == Kind::Region)
        return uniform(symbol.value);
      return literal(symbol.kind == Kind::FirstQuery ? q0
                     : symbol.kind == Kind::Queries  ? problem.sq
                     : symbol.kind == Kind::Keys     ? problem.sk
                                                     : alignment);
    };
    TileRangeValues values = materializeRanges(builder, loc, ranges, symbol);
    auto number = [](Value value) {
      std::optional<int64_t> constant = getConstantIntValue(value);
      EXPECT_TRUE(constant.has_value());
      return constant.value_or(-1);
    };
    Ranges result;
    for (auto [from, to] :
         {std::pair(&values.live, &result.live), {&values.full, &result.full}})
      for (const TileRangeValues::Range &range : *from)
        to->push_back({number(range.lo), number(range.hi)});
    return result;
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
      std::string where = ranges.str() + " sq=" + std::to_string(problem.sq) +
                          " sk=" + std::to_string(problem.sk) + " tiles " +
                          std::to_string(problem.tileQ) + "x" +
                          std::to_string(problem.tileK) +
                          " q0=" + std::to_string(q0) + " live" +
                          text(got.live) + " full" + text(got.full);
      ASSERT_TRUE(isOrdered(got.live, tiles)) << where;
      ASSERT_TRUE(isOrdered(got.full, tiles)) << where;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        bool any = false, all = true;
        for (int64_t q = q0; q < std::min(q0 + problem.tileQ, problem.sq); ++q)
          for (int64_t k = tile * problem.tileK; k < (tile + 1) * problem.tileK;
               ++k) {
            bool in = k < problem.sk && allowed(q, k, alignment, capture);
            any |= in;
            all &= in;
          }
        bool live = contains(got.live, tile);
        bool full = contains(got.full, tile);
        ASSERT_TRUE(live || !full)
            << "full tile " << tile << " lost: " << where;
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

/// %x and %y: the left and the right edge of a window, -1 being none.
std::string windowText(int64_t left, int64_t right) {
  return R"(
      %a = flash.alignment : index
      %d = arith.addi %q, %a : index
      %left = arith.constant )" +
         std::to_string(left == -1 ? 1 << 20 : left) + R"( : index
      %right = arith.constant )" +
         std::to_string(right == -1 ? 1 << 20 : right) + R"( : index
      %first = arith.subi %d, %left : index
      %last = arith.addi %d, %right : index
      %x = arith.cmpi sge, %k, %first : index
      %y = arith.cmpi sle, %k, %last : index
  )";
}

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

namespace {

/// A random condition over q, k, the alignment and %c, as text and as function.
class RandomMask {
public:
  explicit RandomMask(unsigned seed) : random(seed) {}

  std::string body;
  Predicate generate() {
    auto [name, predicate] = condition(3);
    body += "%true_ = arith.constant true\n%r = arith.andi " + name +
            ", %true_ : i1\n";
    return predicate;
  }

private:
  using Number = std::function<int64_t(int64_t, int64_t, int64_t, int64_t)>;

  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  std::string op(const std::string &text) {
    std::string name = "%x" + std::to_string(++count);
    body += name + " = " + text + "\n";
    return name;
  }
  std::string literal(int64_t value) {
    return op("arith.constant " + std::to_string(value) + " : index");
  }
  static int64_t floorDiv(int64_t a, int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
  }

  std::pair<std::string, Number> number(int depth) {
    switch (draw(0, depth > 0 ? 9 : 4)) {
    case 0:
      return {"%q", [](int64_t q, auto...) { return q; }};
    case 1:
      return {"%k", [](int64_t, int64_t k, auto...) { return k; }};
    case 2: {
      std::string a = op("flash.alignment : index");
      return {op("arith.addi %q, " + a + " : index"),
              [](int64_t q, int64_t, int64_t a, int64_t) { return q + a; }};
    }
    case 3:
      return {"%c", [](int64_t, int64_t, int64_t, int64_t c) { return c; }};
    case 4: {
      int64_t value = draw(-10, 30);
      return {literal(value), [=](auto...) { return value; }};
    }
    case 5:
    case 6: {
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      int64_t factor = draw(-2, 2);
      right = op("arith.muli " + right + ", " + literal(factor) + " : index");
      return {op("arith.addi " + left + ", " + right + " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                return f(q, k, a, c) + factor * g(q, k, a, c);
              }};
    }
    case 7: {
      auto [left, f] = number(depth - 1);
      int64_t by = draw(1, 12), kind = draw(0, 2);
      static constexpr const char *names[] = {"floordivsi", "remsi", "divsi"};
      return {
          op(std::string("arith.") + names[kind] + " " + left + ", " +
             literal(by) + " : index"),
          [=](int64_t q, int64_t k, int64_t a, int64_t c) {
            int64_t n = f(q, k, a, c);
            return kind == 0 ? floorDiv(n, by) : kind == 1 ? n % by : n / by;
          }};
    }
    case 8: {
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      bool isMax = draw(0, 1);
      return {op((isMax ? "arith.maxsi " : "arith.minsi ") + left + ", " +
                 right + " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                int64_t m = f(q, k, a, c), n = g(q, k, a, c);
                return isMax ? std::max(m, n) : std::min(m, n);
              }};
    }
    default: {
      auto [choice, p] = condition(0);
      auto [left, f] = number(depth - 1);
      auto [right, g] = number(depth - 1);
      return {op("arith.select " + choice + ", " + left + ", " + right +
                 " : index"),
              [=](int64_t q, int64_t k, int64_t a, int64_t c) {
                return p(q, k, a, c) ? f(q, k, a, c) : g(q, k, a, c);
              }};
    }
    }
  }

  std::pair<std::string, Predicate> condition(int depth) {
    int64_t kind = depth > 0 ? draw(0, 6) : 0;
    if (kind <= 1) {
      static constexpr const char *names[] = {"sle", "slt", "sge", "sgt",
                                              "eq",  "ne",  "ult", "uge"};
      auto [left, f] = number(depth > 0 ? 2 : 1);
      auto [right, g] = number(1);
      int64_t predicate = draw(0, 7);
      return {
          op(std::string("arith.cmpi ") + names[predicate] + ", " + left +
             ", " + right + " : index"),
          [=](int64_t q, int64_t k, int64_t a, int64_t c) {
            int64_t m = f(q, k, a, c), n = g(q, k, a, c);
            bool results[] = {
                m <= n, m<n, m >= n, m> n,         m == n,
                m != n, uint64_t(m) < uint64_t(n), uint64_t(m) >= uint64_t(n)};
            return results[predicate];
          }};
    }
    auto [left, f] = condition(depth - 1);
    if (kind == 2) {
      std::string one = op("arith.constant true");
      return {op("arith.xori " + left + ", " + one + " : i1"),
              [=](auto... at) { return !f(at...); }};
    }
    auto [right, g] = condition(depth - 1);
    if (kind == 3) {
      auto [last, h] = condition(0);
      return {op("arith.select " + left + ", " + right + ", " + last + " : i1"),
              [=](auto... at) { return f(at...) ? g(at...) : h(at...); }};
    }
    if (kind == 4)
      return {op("arith.xori " + left + ", " + right + " : i1"),
              [=](auto... at) { return f(at...) != g(at...); }};
    bool isAnd = kind == 5;
    return {op((isAnd ? "arith.andi " : "arith.ori ") + left + ", " + right +
               " : i1"),
            [=](auto... at) {
              return isAnd ? f(at...) && g(at...) : f(at...) || g(at...);
            }};
  }

  std::mt19937 random;
  int count = 0;
};

} // namespace

TEST_F(MaskAnalysisTest, RandomConditions) {
  for (unsigned seed = 0; seed < 160; ++seed) {
    RandomMask mask(seed);
    Predicate predicate = mask.generate();
    Region &region = parse(mask.body);
    for (int64_t sq : {1, 11, 24})
      for (int64_t sk : {2, 16, 29})
        check(region, {sq, sk, 8, 4}, predicate, /*tight=*/false,
              /*isStatic=*/seed % 2 == 0, std::nullopt,
              /*capture=*/int64_t(seed % 23) - 5);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << "\n" << mask.body;
  }
}
