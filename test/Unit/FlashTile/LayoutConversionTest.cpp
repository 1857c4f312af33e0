//===- LayoutConversionTest.cpp - Ways between layouts, by brute force ----===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random pairs of layouts. Every chosen conversion is carried out on data and
// compared with what the result's layout asks for, thread by thread; and that
// there is no cheaper way is found out by trying them all. Nothing here uses
// the algebra of the solver: layouts are evaluated, and that is all.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"
#include "RandomLayoutFixture.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <random>
#include <set>

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::test;

namespace {

using Coords = SmallVector<int64_t>;

/// A layout written out: what register `reg` of thread `lane + 32 * warp`
/// holds.
struct Table {
  int64_t registers, threads;
  std::vector<std::pair<int64_t, int64_t>> at;

  explicit Table(const Layout &layout)
      : registers(layout.numRegisters()), threads(layout.numWarps() * 32) {
    for (int64_t thread = 0; thread < threads; ++thread)
      for (int64_t reg = 0; reg < registers; ++reg) {
        Coords c = layout.coordinates(reg, thread % 32, thread / 32);
        at.push_back({c[0], c[1]});
      }
  }
  std::pair<int64_t, int64_t> operator()(int64_t reg, int64_t thread) const {
    return at[thread * registers + reg];
  }
};

/// Word `w` of `to` is word `v` of `from`, element by element, everywhere.
bool isSameWord(const Table &from, int64_t v, const Table &to, int64_t w,
                int64_t inWord) {
  for (int64_t thread = 0; thread < to.threads; ++thread)
    for (int64_t e = 0; e < inWord; ++e)
      if (from(v * inWord + e, thread) != to(w * inWord + e, thread))
        return false;
  return true;
}

bool isRename(const Table &from, const Table &to, int64_t inWord) {
  for (int64_t w = 0; w < to.registers / inWord; ++w) {
    bool found = false;
    for (int64_t v = 0; !found && v < from.registers / inWord; ++v)
      found = isSameWord(from, v, to, w, inWord);
    if (!found)
      return false;
  }
  return true;
}

bool isIdentity(const Table &from, const Table &to) {
  return from.registers == to.registers && from.at == to.at;
}

/// `to` where slot s of every group of axis 1 stands for order[s].
Table reordered(Table to, ArrayRef<int64_t> order) {
  const int64_t slots = order.size();
  for (auto &[row, k] : to.at)
    k = k / slots * slots + order[k % slots];
  return to;
}

/// Tries all orders that XOR with their bits' images, bit by bit, leaving one
/// as soon as a thread would lack an element.
bool existsOrder(const Table &from, const Table &to, int64_t slots,
                 int64_t inWord) {
  std::vector<std::set<std::pair<int64_t, int64_t>>> held(from.threads);
  for (int64_t thread = 0; thread < from.threads; ++thread)
    for (int64_t reg = 0; reg < from.registers; ++reg)
      held[thread].insert(from(reg, thread));
  std::vector<std::vector<int>> fits(slots, std::vector<int>(slots, -1));
  auto mayStandFor = [&](int64_t slot, int64_t key) {
    int &answer = fits[slot][key];
    if (answer >= 0)
      return answer == 1;
    answer = 1;
    for (int64_t thread = 0; thread < to.threads; ++thread)
      for (int64_t reg = 0; reg < to.registers; ++reg) {
        auto [row, k] = to(reg, thread);
        if (k % slots == slot && !held[thread].count({row, k - slot + key}))
          answer = 0;
      }
    return answer == 1;
  };
  SmallVector<int64_t> order{0};
  auto extend = [&](auto &self) -> bool {
    const int64_t done = order.size();
    if (done == slots)
      return isRename(from, reordered(to, order), inWord);
    for (int64_t image = 1; image < slots; ++image) {
      if (llvm::is_contained(order, image))
        continue;
      bool fit = true;
      for (int64_t i = 0; fit && i < done; ++i)
        fit = mayStandFor(done + i, order[i] ^ image);
      if (!fit)
        continue;
      for (int64_t i = 0; i < done; ++i)
        order.push_back(order[i] ^ image);
      if (self(self))
        return true;
      order.resize(done);
    }
    return false;
  };
  return mayStandFor(0, 0) && extend(extend);
}

/// Every element that a warp needs is held by a lane of it.
bool staysInWarp(const Table &from, const Table &to) {
  for (int64_t warp = 0; warp < to.threads / 32; ++warp) {
    std::set<std::pair<int64_t, int64_t>> held;
    for (int64_t thread = warp * 32; thread < warp * 32 + 32; ++thread)
      for (int64_t reg = 0; reg < from.registers; ++reg)
        held.insert(from(reg, thread));
    for (int64_t thread = warp * 32; thread < warp * 32 + 32; ++thread)
      for (int64_t reg = 0; reg < to.registers; ++reg)
        if (!held.count(to(reg, thread)))
          return false;
  }
  return true;
}

/// Runs an exchange on 32-bit registers that hold `data` of each element.
std::vector<std::vector<uint32_t>>
execute(const RegisterExchange &plan, int64_t threads,
        std::vector<std::vector<uint32_t>> values) {
  for (const ExchangeStep &step : plan.steps) {
    std::vector<uint32_t> result(threads);
    for (int64_t thread = 0; thread < threads; ++thread) {
      const uint64_t argument = step.argument.at(thread);
      const uint32_t lhs = values[step.lhs][thread];
      const uint32_t rhs = values[step.rhs][thread];
      switch (step.kind) {
      case ExchangeStep::Kind::Select:
        EXPECT_LE(argument, 1u);
        result[thread] = argument ? rhs : lhs;
        break;
      case ExchangeStep::Kind::Permute:
        for (int b = 0; b < 4; ++b) {
          const uint64_t eight = uint64_t(rhs) << 32 | lhs;
          EXPECT_LT(argument >> 4 * b & 15, 8u);
          result[thread] |= uint32_t(eight >> (argument >> 4 * b & 7) * 8 & 255)
                            << 8 * b;
        }
        break;
      case ExchangeStep::Kind::Shuffle:
        EXPECT_LT(argument, 32u);
        result[thread] = values[step.lhs][thread / 32 * 32 + argument];
        break;
      }
    }
    values.push_back(std::move(result));
  }
  std::vector<std::vector<uint32_t>> results;
  for (unsigned result : plan.results)
    results.push_back(values[result]);
  return results;
}

class LayoutConversionTest : public RandomLayoutTest {
protected:
  LayoutConversionTest() : RandomLayoutTest(20260729) {}

  /// An atom of 8 to 32 columns, its vectors on registers, lanes and warps at
  /// random, some threads holding copies, repeated along columns and rows any
  /// number of times; 1 to 4 warps or groups of them.
  Parts randomParts(int64_t elementBits) {
    const int64_t inWord = 32 / elementBits;
    Parts parts;
    SmallVector<SmallVector<int64_t, 2>> vectors;
    const int64_t colBits = parts.colBits = 3 + below(3);
    for (int64_t bit = 0; bit < colBits; ++bit)
      vectors.push_back({0, int64_t(1) << bit});
    const int64_t registerBits = llvm::Log2_64(inWord) + 1 + below(2);
    const int64_t warpBits = below(3), copies = below(4) ? 0 : 1 + below(2);
    int64_t rowBits = registerBits + 5 + warpBits - copies - colBits;
    for (int64_t bit = 0; bit < rowBits; ++bit)
      vectors.push_back({int64_t(1) << bit, 0});
    std::shuffle(vectors.begin(), vectors.end(), random);
    while (int64_t(parts.registers.size()) < registerBits)
      parts.registers.push_back(vectors.pop_back_val());
    for (int64_t i = 0; i < copies; ++i)
      vectors.push_back({0, 0});
    std::shuffle(vectors.begin(), vectors.end(), random);
    for (auto &vector : vectors)
      (parts.lanes.size() < 5 ? parts.lanes : parts.warps).push_back(vector);
    if (below(2))
      parts.repeats.push_back({2 + below(5), 0, int64_t(1) << colBits});
    int64_t rows = int64_t(1) << std::max<int64_t>(rowBits, 0);
    if (below(2)) {
      const int64_t count = 2 + below(2);
      parts.repeats.push_back({count, rows, 0});
      rows *= count;
    }
    if (warpBits == 0 && below(2))
      parts.warpRepeats.push_back({3, rows, 0});
    return parts;
  }

  /// Another layout of the same tile: its vectors moved about a little or a
  /// lot.
  Parts randomlyChanged(Parts parts, int64_t elementBits) {
    const int64_t slots = 256 / elementBits;
    auto reorder = [&](auto mix) {
      for (auto *group : {&parts.registers, &parts.lanes, &parts.warps})
        for (auto &vector : *group)
          vector[1] = mix(vector[1]);
    };
    auto swapSome = [&](SmallVector<SmallVector<int64_t, 2>> &a,
                        SmallVector<SmallVector<int64_t, 2>> &b) {
      if (!a.empty() && !b.empty())
        std::swap(a[below(a.size())], b[below(b.size())]);
    };
    switch (below(8)) {
    case 0:
      break;
    case 1:
      std::shuffle(parts.registers.begin(), parts.registers.end(), random);
      break;
    case 2:
    case 3: {
      // Bits of the contraction index change places within a group.
      SmallVector<int64_t> places(
          std::min<int64_t>(llvm::Log2_64(slots), parts.colBits));
      std::iota(places.begin(), places.end(), 0);
      std::shuffle(places.begin(), places.end(), random);
      reorder([&](int64_t k) {
        int64_t result = k >> places.size() << places.size();
        for (auto [bit, place] : llvm::enumerate(places))
          result |= (k >> bit & 1) << place;
        return result;
      });
      if (below(2))
        std::shuffle(parts.registers.begin(), parts.registers.end(), random);
      break;
    }
    case 4:
      swapSome(parts.registers, parts.lanes);
      break;
    case 5:
      swapSome(parts.registers, parts.lanes);
      swapSome(parts.registers, parts.lanes);
      swapSome(parts.lanes, parts.lanes);
      break;
    case 6:
      swapSome(below(2) ? parts.registers : parts.lanes, parts.warps);
      break;
    default:
      // A lane that held something else holds copies, or the other way round.
      if (auto *zero = llvm::find(parts.lanes, SmallVector<int64_t, 2>{0, 0});
          zero != parts.lanes.end())
        std::swap(*zero, parts.lanes[below(5)]);
      else
        std::shuffle(parts.lanes.begin(), parts.lanes.end(), random);
      break;
    }
    return parts;
  }

  void check(const ConversionQuery &query);

  std::map<ConversionWay, unsigned> taken;
  unsigned dearer = 0;
};

void LayoutConversionTest::check(const ConversionQuery &query) {
  const Table from(query.from), to(query.to);
  const int64_t inWord = 32 / query.storage.bits;
  const LayoutConversion conversion = solveLayoutConversion(query);
  ++taken[conversion.way];
  const Table result(conversion.result);
  if (conversion.way == ConversionWay::ContractionOrder) {
    SmallVector<int64_t> sorted = conversion.contractionOrder;
    EXPECT_EQ(int64_t(sorted.size()), query.contraction->slots);
    EXPECT_TRUE(isIdentity(result, reordered(to, conversion.contractionOrder)));
    llvm::sort(sorted);
    for (auto [i, index] : llvm::enumerate(sorted))
      EXPECT_EQ(index, int64_t(i));
  } else {
    EXPECT_TRUE(isIdentity(result, to));
  }

  // What was chosen does what it says.
  switch (conversion.way) {
  case ConversionWay::Identity:
    EXPECT_TRUE(isIdentity(from, to));
    break;
  case ConversionWay::Rename:
  case ConversionWay::ContractionOrder: {
    ASSERT_EQ(int64_t(conversion.permutation.size()), result.registers);
    const int64_t free =
        conversion.beforeNarrowing ? 32 / query.wideBits : inWord;
    for (int64_t reg = 0; reg < result.registers; ++reg) {
      const int64_t source = conversion.permutation[reg];
      EXPECT_EQ(source % free, reg % free);
      EXPECT_EQ(source / free,
                conversion.permutation[reg / free * free] / free);
      for (int64_t thread = 0; thread < result.threads; ++thread)
        ASSERT_EQ(from(source, thread), result(reg, thread));
    }
    break;
  }
  case ConversionWay::Exchange: {
    // Random contents, several times: an element is its bits, wherever it goes.
    for (unsigned trial = 0; trial < 4; ++trial) {
      std::map<std::pair<int64_t, int64_t>, uint32_t> data;
      const uint64_t mask = (uint64_t(1) << query.storage.bits) - 1;
      auto bitsOf = [&](std::pair<int64_t, int64_t> element) {
        auto [it, inserted] = data.try_emplace(element, 0);
        if (inserted)
          it->second = random() & mask;
        return it->second;
      };
      auto words = [&](const Table &table) {
        std::vector<std::vector<uint32_t>> words(
            table.registers / inWord, std::vector<uint32_t>(table.threads));
        for (int64_t thread = 0; thread < table.threads; ++thread)
          for (int64_t reg = 0; reg < table.registers; ++reg)
            words[reg / inWord][thread] |= bitsOf(table(reg, thread))
                                           << reg % inWord * query.storage.bits;
        return words;
      };
      ASSERT_EQ(execute(*conversion.exchange, to.threads, words(from)),
                words(to));
    }
    break;
  }
  case ConversionWay::SharedMemory: {
    std::set<std::pair<int64_t, int64_t>> stored(from.at.begin(),
                                                 from.at.end());
    for (const auto &element : to.at)
      EXPECT_TRUE(stored.count(element));
    break;
  }
  }

  // And there is nothing cheaper.
  auto isDearerThan = [&](ConversionWay way) { return conversion.way > way; };
  const bool renames =
      isRename(from, to, inWord) ||
      (query.wideBits && isRename(from, to, 32 / query.wideBits));
  if (isDearerThan(ConversionWay::Identity))
    EXPECT_FALSE(isIdentity(from, to));
  if (isDearerThan(ConversionWay::Rename))
    EXPECT_FALSE(renames);
  if (isDearerThan(ConversionWay::ContractionOrder) && query.contraction)
    EXPECT_FALSE(existsOrder(from, to, query.contraction->slots,
                             query.wideBits ? 32 / query.wideBits : inWord));
  if (isDearerThan(ConversionWay::Exchange) && staysInWarp(from, to)) {
    // Shuffles would do; they must be the dearer ones.
    EXPECT_GT(conversion.exchangeCycles, conversion.sharedCycles)
        << conversion.rejected.back().reason;
    ++dearer;
  }
  ASSERT_EQ(conversion.rejected.size(), size_t(conversion.way));
  for (auto [i, rejection] : llvm::enumerate(conversion.rejected)) {
    EXPECT_EQ(rejection.way, ConversionWay(i));
    EXPECT_FALSE(rejection.reason.empty());
  }
}

TEST_F(LayoutConversionTest, RandomPairs) {
  for (unsigned i = 0; i < 900; ++i) {
    ConversionQuery query;
    query.storage.bits = 8 << below(3);
    const Parts parts = randomParts(query.storage.bits);
    query.from = build(parts);
    query.to = build(randomlyChanged(parts, query.storage.bits));
    query.shape = query.from.extents();
    ASSERT_EQ(query.to.extents(), query.from.extents());
    if (query.storage.bits < 32 && below(2))
      query.wideBits = 32;
    const int64_t slots = 256 / query.storage.bits;
    if (below(2) && query.shape[1] % slots == 0)
      query.contraction = {1, slots};
    SCOPED_TRACE(i);
    check(query);
    if (HasFatalFailure())
      return;
  }
  for (ConversionWay way :
       {ConversionWay::Identity, ConversionWay::Rename,
        ConversionWay::ContractionOrder, ConversionWay::Exchange,
        ConversionWay::SharedMemory}) {
    EXPECT_GE(taken[way], 20u) << stringify(way).str();
    RecordProperty(stringify(way).str(), taken[way]);
  }
}

//===----------------------------------------------------------------------===//
// What is known about tensor cores
//===----------------------------------------------------------------------===//

/// An accumulator as operand A of the next product, on mma.sync or wgmma.
ConversionQuery operandQuery(bool wgmma, int64_t warps, int64_t cols,
                             int64_t bits, int64_t atoms) {
  ConversionQuery query;
  const int64_t rows = (wgmma ? 16 : 16 * atoms) * warps;
  query.from = wgmma ? *Layout::wgmmaAccumulator(rows, cols, warps)
                     : *Layout::mmaAccumulator(rows, cols, warps);
  query.to = wgmma ? *Layout::wgmmaOperandA(rows, cols, warps, bits)
                   : *Layout::mmaOperandA(rows, cols, warps, 1, bits);
  query.shape = {rows, cols};
  query.storage.bits = bits;
  query.wideBits = bits < 32 ? 32 : 0;
  return query;
}

/// All shapes that attention uses.
void forAllShapes(int64_t bits,
                  function_ref<void(bool, int64_t, int64_t, int64_t)> visit) {
  const int64_t step = Layout::getInstructionDepth(bits);
  for (int64_t cols : {40, 48, 64, 80, 96, 112, 128, 160, 176, 192, 224, 256}) {
    if (cols % step)
      continue;
    for (int64_t warps : {1, 2, 3, 4})
      for (int64_t atoms : {1, 2, 3})
        visit(false, warps, cols, atoms);
    for (int64_t groups : {1, 2, 3, 4})
      visit(true, 4 * groups, cols, 1);
  }
}

TEST_F(LayoutConversionTest, SixteenBitsAreTheIdentity) {
  forAllShapes(16, [&](bool wgmma, int64_t warps, int64_t cols, int64_t atoms) {
    ConversionQuery query = operandQuery(wgmma, warps, cols, 16, atoms);
    query.contraction = {1, 16};
    EXPECT_EQ(solveLayoutConversion(query).way, ConversionWay::Identity);
  });
}

TEST_F(LayoutConversionTest, Tf32TakesEvenKeysFirst) {
  forAllShapes(32, [&](bool wgmma, int64_t warps, int64_t cols, int64_t atoms) {
    ConversionQuery query = operandQuery(wgmma, warps, cols, 32, atoms);
    query.contraction = {1, 8};
    LayoutConversion conversion = solveLayoutConversion(query);
    ASSERT_EQ(conversion.way, ConversionWay::ContractionOrder);
    EXPECT_EQ(conversion.contractionOrder,
              (SmallVector<int64_t>{0, 2, 4, 6, 1, 3, 5, 7}));
    for (auto [reg, source] : llvm::enumerate(conversion.permutation))
      EXPECT_EQ(source, int64_t(reg / 4 * 4 + std::array{0, 2, 1, 3}[reg % 4]));
  });
}

TEST_F(LayoutConversionTest, EightBitsInterleaveTwoAccumulators) {
  SmallVector<int64_t> order{0, 1, 8,  9,  2, 3, 10, 11,
                             4, 5, 12, 13, 6, 7, 14, 15};
  for (int64_t i = 0; i < 16; ++i)
    order.push_back(16 + order[i]);
  forAllShapes(8, [&](bool wgmma, int64_t warps, int64_t cols, int64_t atoms) {
    ConversionQuery query = operandQuery(wgmma, warps, cols, 8, atoms);
    query.contraction = {1, 32};
    LayoutConversion conversion = solveLayoutConversion(query);
    ASSERT_EQ(conversion.way, ConversionWay::ContractionOrder);
    EXPECT_EQ(conversion.contractionOrder, order);
    EXPECT_TRUE(conversion.beforeNarrowing);
    for (auto [reg, source] : llvm::enumerate(conversion.permutation))
      EXPECT_EQ(source, int64_t(reg / 8 * 8 +
                                std::array{0, 1, 4, 5, 2, 3, 6, 7}[reg % 8]));
  });
}

// V through a descriptor has its keys in order: two selects, two shuffles and
// two byte permutes for every two registers.
TEST_F(LayoutConversionTest, EightBitsInOrderNeedShuffles) {
  forAllShapes(8, [&](bool wgmma, int64_t warps, int64_t cols, int64_t atoms) {
    ConversionQuery query = operandQuery(wgmma, warps, cols, 8, atoms);
    LayoutConversion conversion = solveLayoutConversion(query);
    ASSERT_EQ(conversion.way, ConversionWay::Exchange);
    const unsigned words = query.to.numRegisters() / 4;
    for (auto kind : {ExchangeStep::Kind::Select, ExchangeStep::Kind::Shuffle,
                      ExchangeStep::Kind::Permute})
      EXPECT_EQ(conversion.exchange->count(kind), words);
    if (cols <= 96 && atoms == 1)
      check(query);
  });
}

TEST_F(LayoutConversionTest, Tf32InOrderNeedsShuffles) {
  ConversionQuery query = operandQuery(false, 4, 64, 32, 1);
  LayoutConversion conversion = solveLayoutConversion(query);
  ASSERT_EQ(conversion.way, ConversionWay::Exchange);
  EXPECT_EQ(conversion.exchange->count(ExchangeStep::Kind::Shuffle), 32u);
  EXPECT_EQ(conversion.exchange->count(ExchangeStep::Kind::Permute), 0u);
  check(query);
}

//===----------------------------------------------------------------------===//
// The table for people
//===----------------------------------------------------------------------===//

/// A line of the table: 16 rows of 64 keys per warp, as markdown.
std::string tableLine(bool wgmma, int64_t bits, bool anyOrder) {
  ConversionQuery query = operandQuery(wgmma, 4, 64, bits, 1);
  if (anyOrder)
    query.contraction = {1, Layout::getInstructionDepth(bits)};
  const LayoutConversion conversion = solveLayoutConversion(query);
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "| " << (wgmma ? "wgmma" : "mma.sync") << " | " << bits << " | "
     << (anyOrder ? "any" : "natural") << " | " << stringify(conversion.way)
     << " | ";
  if (conversion.way == ConversionWay::ContractionOrder) {
    llvm::interleave(
        ArrayRef(conversion.contractionOrder).take_front(16), os,
        [&](int64_t index) { os << index; }, " ");
    os << (conversion.contractionOrder.size() > 16 ? " and so on" : "");
  }
  os << " | ";
  if (conversion.exchange)
    os << conversion.exchange->count(ExchangeStep::Kind::Shuffle) << " / "
       << conversion.exchange->count(ExchangeStep::Kind::Select) << " / "
       << conversion.exchange->count(ExchangeStep::Kind::Permute) << ", "
       << llvm::format("%.0f against %.0f cycles", conversion.exchangeCycles,
                       conversion.sharedCycles);
  else
    os << "nothing";
  os << " |";
  return text;
}

TEST_F(LayoutConversionTest, TableOfPricesIsTheOneInTheDocumentation) {
  auto file = llvm::MemoryBuffer::getFile(FLASH_LOWERING_RATIONALE);
  ASSERT_TRUE(bool(file));
  for (bool wgmma : {false, true})
    for (int64_t bits : {16, 32, 8})
      for (bool anyOrder : {true, false}) {
        const std::string line = tableLine(wgmma, bits, anyOrder);
        EXPECT_TRUE((*file)->getBuffer().contains(line)) << line;
      }
}

} // namespace
