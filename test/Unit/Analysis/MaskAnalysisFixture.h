//===- MaskAnalysisFixture.h - Ranges against enumeration -------*- C++ -*-===//
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

#ifndef FLASH_TEST_UNIT_ANALYSIS_MASKANALYSISFIXTURE_H
#define FLASH_TEST_UNIT_ANALYSIS_MASKANALYSISFIXTURE_H

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

namespace mlir::flash::test {

/// The mask as a function of (q, k, alignment, capture).
using Predicate = std::function<bool(int64_t, int64_t, int64_t, int64_t)>;

struct Problem {
  int64_t sq, sk, tileQ, tileK;
};

using Intervals = std::vector<std::pair<int64_t, int64_t>>;

struct Ranges {
  Intervals live, full;
};

inline bool contains(const Intervals &intervals, int64_t tile) {
  return llvm::any_of(intervals, [&](auto &interval) {
    return interval.first <= tile && tile < interval.second;
  });
}

/// In order, disjoint, and no tile outside of [0, tiles).
inline bool isOrdered(const Intervals &intervals, int64_t tiles) {
  int64_t end = 0;
  for (auto [lo, hi] : intervals) {
    if (lo < end || hi < lo || (lo < hi && hi > tiles))
      return false;
    end = hi;
  }
  return true;
}

inline std::string text(const Intervals &intervals) {
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

  /// Compares every query tile of `problem` with enumeration. Where no remark
  /// says otherwise, the live and full ranges hold no tile too many, or too
  /// few; with `tight`, none may.
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
    ASSERT_TRUE(ranges.exact || !ranges.remarks.empty()) << ranges.str();
    ASSERT_TRUE(!tight || ranges.remarks.empty())
        << ranges.str() << ": " << ranges.remarks.front().second;
    ++analyses;
    inexact += !ranges.exact;
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
        ++examined;
        deadVisited += live && !any;
        fullMasked += all && !full;
        if (ranges.exact) {
          bool mayBeDead = !ranges.remarks.empty() &&
                           (tile + 1) * problem.tileK > problem.sk;
          ASSERT_TRUE(!live || any || mayBeDead)
              << "dead tile " << tile << ": " << where;
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

  /// Expects that part of the mask is left out of the ranges of tiles, and the
  /// one remark to say `why`.
  void expectLeftOut(StringRef body, StringRef why) {
    MaskTiling tiling;
    tiling.tileQ = tiling.tileK = 16;
    MaskRanges ranges = analyzeMask(parse(body), tiling);
    EXPECT_FALSE(ranges.exact);
    ASSERT_EQ(ranges.remarks.size(), 1u);
    EXPECT_TRUE(StringRef(ranges.remarks[0].second).contains(why))
        << ranges.remarks[0].second;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  /// Tiles that check() has looked at, those of them that are visited although
  /// no element is seen, and those masked although all are.
  int64_t examined = 0, deadVisited = 0, fullMasked = 0;
  /// Masks that were analysed, and those of which some tile was left out.
  int64_t analyses = 0, inexact = 0;
};

constexpr const char *kCausal = R"(
  %a = flash.alignment : index
  %last = arith.addi %q, %a : index
  %r = arith.cmpi sle, %k, %last : index
)";

/// %x and %y: the left and the right edge of a window, -1 being none.
inline std::string windowText(int64_t left, int64_t right) {
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

} // namespace mlir::flash::test

#endif // FLASH_TEST_UNIT_ANALYSIS_MASKANALYSISFIXTURE_H
