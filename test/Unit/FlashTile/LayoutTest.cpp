//===- LayoutTest.cpp - Layouts evaluated register by register ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The instruction layouts are checked against the formulas of the PTX ISA,
// written out here with g = lane >> 2 and t = lane & 3.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"
#include <map>
#include <set>

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

using Coords = SmallVector<int64_t>;

/// Calls `visit(reg, lane, warp, coordinates)` for everything in `layout`.
template <typename Visitor> void forAll(const Layout &layout, Visitor visit) {
  for (int64_t warp = 0; warp < layout.numWarps(); ++warp)
    for (int64_t lane = 0; lane < layout.numLanes(); ++lane)
      for (int64_t reg = 0; reg < layout.numRegisters(); ++reg)
        visit(reg, lane, warp, layout.coordinates(reg, lane, warp));
}

/// How often each element of the layout is held.
std::map<Coords, int64_t> holders(const Layout &layout) {
  std::map<Coords, int64_t> count;
  forAll(layout, [&](int64_t, int64_t, int64_t, const Coords &coords) {
    ++count[coords];
  });
  return count;
}

void expectHeldTimes(const Layout &layout, int64_t elements, int64_t times) {
  std::map<Coords, int64_t> count = holders(layout);
  EXPECT_EQ(static_cast<int64_t>(count.size()), elements);
  for (auto &[coords, n] : count)
    EXPECT_EQ(n, times) << "at " << coords[0] << ", " << coords.back();
}

TEST(Layout, AccumulatorFollowsPtx) {
  Layout layout = *Layout::mmaAccumulator(/*rows=*/64, /*cols=*/80,
                                          /*warps=*/2);
  ASSERT_EQ(layout.numRegisters(), 80);
  ASSERT_EQ(layout.numWarps(), 2);
  forAll(layout,
         [](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
           const int64_t g = lane >> 2, t = lane & 3, v = reg & 3;
           const int64_t n = (reg >> 2) % 10, m = (reg >> 2) / 10;
           EXPECT_EQ(coords[0], 32 * warp + 16 * m + g + 8 * (v >> 1));
           EXPECT_EQ(coords[1], 8 * n + 2 * t + (v & 1));
         });
  expectHeldTimes(layout, 64 * 80, 1);
}

TEST(Layout, SpreadAccumulatorFillsItsGaps) {
  // Registers of one instruction are 0, 2 and 4, 6 of each atom, those of the
  // next one 1, 3 and 5, 7: a thread has four columns in a row.
  Layout layout = *Layout::mmaAccumulator(/*rows=*/64, /*cols=*/80,
                                          /*warps=*/2, /*warpCols=*/1,
                                          /*columnStep=*/2);
  ASSERT_EQ(layout.numRegisters(), 80);
  forAll(layout,
         [](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
           const int64_t g = lane >> 2, t = lane & 3, v = reg & 7;
           const int64_t n = (reg >> 3) % 5, m = (reg >> 3) / 5;
           EXPECT_EQ(coords[0], 32 * warp + 16 * m + g + 8 * (v >> 2));
           EXPECT_EQ(coords[1], 16 * n + 4 * t + (v & 3));
         });
  expectHeldTimes(layout, 64 * 80, 1);
}

TEST(Layout, OperandAFollowsPtx) {
  Layout layout = *Layout::mmaOperandA(/*rows=*/96, /*depth=*/80, /*warps=*/3);
  ASSERT_EQ(layout.numWarps(), 3);
  forAll(layout,
         [](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
           const int64_t g = lane >> 2, t = lane & 3, v = reg & 7;
           const int64_t k = (reg >> 3) % 5, m = (reg >> 3) / 5;
           EXPECT_EQ(coords[0], 32 * warp + 16 * m + g + 8 * ((v >> 1) & 1));
           EXPECT_EQ(coords[1], 16 * k + 2 * t + (v & 1) + 8 * (v >> 2));
         });
  expectHeldTimes(layout, 96 * 80, 1);
}

TEST(Layout, OperandBFollowsPtxAndIsSharedByWarps) {
  for (bool transposed : {false, true}) {
    Layout layout = *Layout::mmaOperandB(/*depth=*/32, /*cols=*/24, /*warps=*/4,
                                         /*warpCols=*/1, transposed);
    forAll(layout,
           [&](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
             const int64_t g = lane >> 2, t = lane & 3, v = reg & 3;
             const int64_t k = (reg >> 2) % 2, n = (reg >> 2) / 2;
             EXPECT_EQ(coords[transposed ? 1 : 0],
                       16 * k + 2 * t + (v & 1) + 8 * (v >> 1));
             EXPECT_EQ(coords[transposed ? 0 : 1], 8 * n + g);
           });
    expectHeldTimes(layout, 32 * 24, /*times=*/4);
  }
}

TEST(Layout, WgmmaFollowsPtx) {
  Layout layout = *Layout::wgmmaAccumulator(/*rows=*/128, /*cols=*/176,
                                            /*warps=*/8);
  ASSERT_EQ(layout.numRegisters(), 88);
  forAll(layout,
         [](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
           const int64_t g = lane >> 2, t = lane & 3;
           EXPECT_EQ(coords[0], 64 * (warp / 4) + 16 * (warp % 4) + g +
                                    8 * ((reg >> 1) & 1));
           EXPECT_EQ(coords[1], 2 * t + (reg & 1) + 8 * (reg >> 2));
         });
  // Three groups are no power of two.
  expectHeldTimes(*Layout::wgmmaAccumulator(192, 64, 12), 192 * 64, 1);
}

TEST(Layout, Tcgen05HoldsOneRowPerThread) {
  Layout layout = *Layout::tcgen05Accumulator(/*rows=*/128, /*cols=*/96,
                                              /*warps=*/4);
  forAll(layout,
         [](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
           EXPECT_EQ(coords[0], 32 * warp + lane);
           EXPECT_EQ(coords[1], reg);
         });
}

TEST(Layout, AccumulatorIsOperandA) {
  // S as the accumulator of Q K^T is P as the A operand of P V, whatever the
  // number of columns, of warps and of 16-row atoms that a warp owns.
  for (int64_t warps : {1, 3, 4, 8})
    for (int64_t atoms : {1, 2, 3})
      for (int64_t cols : {16, 48, 64, 80, 128}) {
        const int64_t rows = 16 * atoms * warps;
        Layout acc = *Layout::mmaAccumulator(rows, cols, warps);
        EXPECT_TRUE(acc.isSameFunction(*Layout::mmaOperandA(rows, cols, warps)))
            << rows << " x " << cols << " on " << warps << " warps";
      }
  Layout acc = *Layout::wgmmaAccumulator(128, 176, 8);
  EXPECT_TRUE(acc.isSameFunction(*Layout::wgmmaOperandA(128, 176, 8)));
  // Four warps own 32 rows each with mma, twice 16 rows 64 apart with wgmma.
  EXPECT_FALSE(Layout::wgmmaAccumulator(128, 64, 4)
                   ->isSameFunction(*Layout::mmaAccumulator(128, 64, 4)));
}

TEST(Layout, WarpGridOwnsColumns) {
  Layout layout = *Layout::mmaAccumulator(/*rows=*/32, /*cols=*/64, /*warps=*/4,
                                          /*warpCols=*/2);
  // Warp 1 is the second row of the grid, warp 2 the second column.
  EXPECT_EQ(layout.coordinates(0, 0, 1), (Coords{16, 0}));
  EXPECT_EQ(layout.coordinates(0, 0, 2), (Coords{0, 32}));
  expectHeldTimes(layout, 32 * 64, 1);
  expectHeldTimes(*Layout::mmaOperandA(32, 64, 4, 2), 32 * 64, 2);
  expectHeldTimes(*Layout::mmaOperandB(64, 32, 4, 2), 64 * 32, 2);
}

TEST(Layout, OddWarpStridesAreRepeats) {
  // 48 rows per warp: adding 48 is not XORing 48 into rows 32..47.
  Layout layout =
      *Layout::mmaAccumulator(/*rows=*/96, /*cols=*/16, /*warps=*/2);
  EXPECT_TRUE(layout.getWarpBases().empty());
  ASSERT_EQ(layout.getWarpRepeats().size(), 1u);
  expectHeldTimes(layout, 96 * 16, 1);
}

TEST(Layout, SliceIsTheRowOfTheAccumulator) {
  Layout acc = *Layout::mmaAccumulator(/*rows=*/128, /*cols=*/64, /*warps=*/4);
  Layout row = acc.slice(1);
  EXPECT_EQ(row.getRank(), 1);
  EXPECT_EQ(row.numRegisters(), 4); // g and g + 8, of two 16-row atoms
  EXPECT_EQ(row.numWarps(), 4);
  EXPECT_TRUE(row.covers({128}));
  // Each row is held by the quad of lanes that shares it, and by nobody else.
  expectHeldTimes(row, 128, 4);
  // Every row that a thread holds in the accumulator it holds in the slice.
  for (int64_t lane = 0; lane < 32; ++lane) {
    SmallVector<int64_t> full, slice;
    for (int64_t reg = 0; reg < acc.numRegisters(); ++reg)
      full.push_back(acc.coordinates(reg, lane, 2)[0]);
    for (int64_t reg = 0; reg < row.numRegisters(); ++reg)
      slice.push_back(row.coordinates(reg, lane, 2)[0]);
    EXPECT_EQ(std::set<int64_t>(full.begin(), full.end()),
              std::set<int64_t>(slice.begin(), slice.end()));
  }
  // The other axis: a column statistic, shared by the eight lanes of a column
  // and by all warps.
  expectHeldTimes(acc.slice(0), 64, 8 * 4);
}

TEST(Layout, CoversAndIsWithin) {
  Layout acc = *Layout::mmaAccumulator(/*rows=*/32, /*cols=*/48, /*warps=*/2);
  EXPECT_TRUE(acc.covers({32, 48}));
  EXPECT_TRUE(acc.isWithin({32, 48}));
  EXPECT_TRUE(acc.covers({20, 40})); // elements outside are held by nobody
  EXPECT_FALSE(acc.isWithin({20, 40}));
  EXPECT_FALSE(acc.covers({32, 49}));
  EXPECT_FALSE(acc.covers({33, 48}));
  EXPECT_FALSE(acc.covers({32}));
  EXPECT_EQ(acc.extents(), (Coords{32, 48}));
}

TEST(Layout, BlockedIsCoalesced) {
  // 64 x 128 bf16, 16 bytes per thread: 8 lanes fill 128 bytes of a row.
  Layout layout = *Layout::blocked({64, 128}, 2, 16, /*warps=*/4);
  EXPECT_TRUE(layout.covers({64, 128}));
  expectHeldTimes(layout, 64 * 128, 1);
  for (int64_t reg = 0; reg < 8; ++reg)
    EXPECT_EQ(layout.coordinates(reg, 0, 0), (Coords{0, reg}));
  for (int64_t lane = 0; lane < 32; ++lane)
    EXPECT_EQ(layout.coordinates(0, lane, 0),
              (Coords{lane / 8, 8 * (lane % 8)}));
  EXPECT_EQ(layout.coordinates(0, 0, 1), (Coords{4, 0}));
}

TEST(Layout, BlockedTakesAnyShape) {
  for (int64_t warps : {1, 3, 4, 8})
    for (int64_t rows : {1, 5, 16, 64, 80})
      for (int64_t cols : {8, 40, 72, 80, 96, 128, 192, 256}) {
        Layout layout = *Layout::blocked({rows, cols}, 2, 16, warps);
        EXPECT_TRUE(layout.covers({rows, cols}))
            << rows << " x " << cols << " on " << warps;
        for (auto &[coords, n] : holders(layout))
          EXPECT_EQ(n, 1);
      }
  Layout vector = *Layout::blocked({100}, 4, 16, 2);
  EXPECT_TRUE(vector.covers({100}));
  // 4 bytes of f32 rows that only 2 columns divide.
  Layout narrow = *Layout::blocked({16, 6}, 4, 16, 1);
  EXPECT_EQ(narrow.getRegisterBases().size(), 1u);
  EXPECT_TRUE(narrow.covers({16, 6}));
}

TEST(Layout, CanonicalIsTheSameFunction) {
  for (const Layout &layout :
       {*Layout::mmaAccumulator(96, 80, 3), *Layout::mmaAccumulator(96, 80, 2),
        *Layout::mmaOperandA(64, 96, 4), *Layout::mmaOperandB(64, 48, 4, 2),
        *Layout::wgmmaAccumulator(192, 176, 12),
        *Layout::blocked({80, 96}, 2, 16, 3),
        Layout::mmaAccumulator(128, 64, 4)->slice(1)}) {
    Layout canonical = layout.canonical();
    EXPECT_EQ(canonical.canonical(), canonical);
    ASSERT_EQ(canonical.numRegisters(), layout.numRegisters());
    ASSERT_EQ(canonical.numWarps(), layout.numWarps());
    forAll(layout,
           [&](int64_t reg, int64_t lane, int64_t warp, const Coords &coords) {
             EXPECT_EQ(canonical.coordinates(reg, lane, warp), coords);
           });
  }
}

TEST(Layout, CanonicalSettlesTheIdentityCase) {
  for (int64_t cols : {16, 48, 64, 80, 128, 176})
    EXPECT_EQ(Layout::mmaAccumulator(128, cols, 4)->canonical(),
              Layout::mmaOperandA(128, cols, 4)->canonical())
        << cols;
}

TEST(Layout, OperandsOfAnAccumulator) {
  Layout acc = *Layout::mmaAccumulator(/*rows=*/128, /*cols=*/96, /*warps=*/8,
                                       /*warpCols=*/2);
  EXPECT_TRUE(acc.isMmaAccumulator());
  EXPECT_TRUE(
      acc.getOperandA(80).isSameFunction(*Layout::mmaOperandA(128, 80, 8, 2)));
  for (bool transposed : {false, true})
    EXPECT_TRUE(
        acc.getOperandB(80, transposed)
            .isSameFunction(*Layout::mmaOperandB(80, 96, 8, 2, transposed)));
  // Bytes of B stored K x N: each product takes every other column.
  Layout spread =
      *Layout::mmaAccumulator(/*rows=*/128, /*cols=*/96, /*warps=*/8,
                              /*warpCols=*/2, /*columnStep=*/2);
  EXPECT_TRUE(spread.isMmaAccumulator());
  EXPECT_TRUE(spread.canonical().isMmaAccumulator());
  EXPECT_TRUE(spread.getOperandA(96, 8).isSameFunction(
      *Layout::mmaOperandA(128, 96, 8, 2, 8)));
  EXPECT_TRUE(spread.slice(1).isSameFunction(acc.slice(1)));
  // B, depth 32: what lane 4g + t multiplies is column 2g, then column 2g + 1.
  Layout columns = spread.getOperandB(32, /*transposed=*/false, 8);
  ASSERT_EQ(columns.numRegisters(), 8 * 48 / 8);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t reg = 0; reg < columns.numRegisters(); ++reg)
      EXPECT_EQ(columns.coordinates(reg, lane, /*warp=*/4)[1],
                48 + 2 * (lane / 4) + reg / 8 % 2 + 16 * (reg / 16));
  Layout wgmma = *Layout::wgmmaAccumulator(128, 176, 8);
  EXPECT_TRUE(wgmma.isMmaAccumulator());
  EXPECT_TRUE(wgmma.getOperandA(176).isSameFunction(
      *Layout::wgmmaOperandA(128, 176, 8)));
  EXPECT_FALSE(Layout::tcgen05Accumulator(128, 64, 4)->isMmaAccumulator());
  EXPECT_FALSE(Layout::blocked({64, 64}, 2, 16, 4)->isMmaAccumulator());
}

TEST(Layout, RefusesExtentsThatDoNotDivide) {
  EXPECT_TRUE(failed(Layout::mmaAccumulator(24, 64, 1)));
  EXPECT_TRUE(failed(Layout::mmaAccumulator(64, 60, 1)));
  EXPECT_TRUE(failed(Layout::mmaAccumulator(64, 64, 3)));
  EXPECT_TRUE(failed(Layout::mmaOperandA(64, 24, 4)));
  EXPECT_TRUE(failed(Layout::mmaOperandB(24, 64, 4)));
  EXPECT_TRUE(failed(Layout::mmaAccumulator(64, 64, 4, 3)));
  EXPECT_TRUE(failed(Layout::mmaAccumulator(64, 72, 4, 1, /*columnStep=*/2)));
  EXPECT_TRUE(failed(Layout::wgmmaAccumulator(64, 64, 2)));
  EXPECT_TRUE(failed(Layout::wgmmaAccumulator(64, 64, 8)));
  EXPECT_TRUE(failed(Layout::tcgen05Accumulator(64, 64, 4)));
  EXPECT_TRUE(failed(Layout::blocked({64, 64}, 2, 16, 0)));
  EXPECT_TRUE(failed(Layout::blocked({2, 64, 64}, 2, 16, 4)));
}

TEST(Layout, FmaAccumulatorOwnsRows) {
  // Scores: columns side by side; output: runs of 16 bytes of 16-bit elements.
  struct Case {
    int64_t rows, cols, warps, vector, expectedVector;
  };
  for (auto [rows, cols, warps, vector, v] :
       {Case{64, 32, 4, 1, 1}, {64, 128, 4, 8, 8}, {48, 96, 4, 8, 4},
        {8, 40, 1, 8, 1}, {36, 80, 3, 8, 2}, {32, 64, 2, 4, 4}}) {
    FailureOr<Layout> layout =
        Layout::fmaAccumulator(rows, cols, warps, vector);
    ASSERT_TRUE(succeeded(layout));
    EXPECT_EQ(layout->numRegisters(), rows * cols / (32 * warps));
    expectHeldTimes(*layout, rows * cols, 1);
    forAll(*layout, [&](int64_t reg, int64_t lane, int64_t warp,
                        const Coords &coords) {
      const int64_t perRow = cols / 8, n = reg % perRow;
      EXPECT_EQ(coords[0], rows / warps * warp + 4 * (reg / perRow) + lane / 8);
      EXPECT_EQ(coords[1], 8 * v * (n / v) + v * (lane % 8) + n % v);
    });
    // One row statistic for all widths.
    EXPECT_TRUE(layout->slice(1).isSameFunction(
        Layout::fmaAccumulator(rows, 16, warps, 1)->slice(1)));
    EXPECT_EQ(layout->countParts(1), 8);
    EXPECT_EQ(layout->countParts(0), 4 * warps);
  }
  EXPECT_TRUE(failed(Layout::fmaAccumulator(30, 32, 4, 1)));
  EXPECT_TRUE(failed(Layout::fmaAccumulator(32, 20, 4, 1)));
  EXPECT_TRUE(failed(Layout::fmaAccumulator(32, 32, 0, 1)));
}

TEST(Layout, ThreadRows) {
  // 32 rows, four warps: copies of the scores, slices of the output.
  Layout scores = *Layout::threadRows(32, 16, 4, /*split=*/false);
  Layout output = *Layout::threadRows(32, 40, 4, /*split=*/true);
  expectHeldTimes(scores, 32 * 16, 4);
  expectHeldTimes(output, 32 * 40, 1);
  EXPECT_EQ(scores.countParts(1), 1);
  EXPECT_TRUE(scores.slice(1).isSameFunction(output.slice(1)));
  forAll(output, [](int64_t reg, int64_t lane, int64_t warp,
                    const Coords &coords) {
    EXPECT_EQ(coords[0], lane);
    EXPECT_EQ(coords[1], 10 * warp + reg);
  });
  // Warps down the rows first, then rows of the same warp; what lies below the
  // last row is outside the tile.
  expectHeldTimes(*Layout::threadRows(64, 16, 4, true), 64 * 16, 1);
  expectHeldTimes(*Layout::threadRows(192, 16, 2, true), 192 * 16, 1);
  expectHeldTimes(*Layout::threadRows(96, 48, 4, true), 96 * 48, 1);
  EXPECT_TRUE(Layout::threadRows(16, 16, 2, true)->covers({16, 16}));
  EXPECT_TRUE(failed(Layout::threadRows(32, 18, 4, true)));
}

TEST(Layout, PartsOfWarps) {
  // Two warps share the columns of an accumulator; its quads do, too.
  EXPECT_EQ(Layout::mmaAccumulator(32, 32, 4, 2)->countParts(1), 8);
  EXPECT_EQ(Layout::mmaAccumulator(16, 48, 3, 3)->countParts(1), 12);
}

TEST(Layout, AttributeRoundTrip) {
  MLIRContext context;
  context.loadDialect<FlashTileDialect>();
  for (const Layout &layout :
       {*Layout::mmaAccumulator(96, 80, 3), *Layout::mmaOperandB(32, 24, 4),
        Layout::mmaAccumulator(128, 64, 4)->slice(1),
        *Layout::blocked({5, 40}, 2, 16, 3)}) {
    LayoutAttr attr = layout.toAttr(&context);
    EXPECT_EQ(Layout::fromAttr(attr), layout);
    EXPECT_EQ(Layout::fromAttr(attr).toAttr(&context), attr);
    RankedTensorType type = RankedTensorType::get(
        layout.extents(), Float32Type::get(&context), attr);
    EXPECT_EQ(Layout::get(type), layout);
  }
  EXPECT_EQ(Layout::get(RankedTensorType::get({4}, Float32Type::get(&context))),
            std::nullopt);
}

} // namespace
