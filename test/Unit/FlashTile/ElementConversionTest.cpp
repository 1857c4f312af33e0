//===- ElementConversionTest.cpp - Conversions of any element -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random pairs of layouts whose vectors share bits, of tiles that end anywhere
// in their last atom, with elements of every width that share registers or have
// one each. What the solver chose is carried out on data; elements outside the
// tile are garbage that differs from register to register.
//
//===----------------------------------------------------------------------===//

#include "RandomLayoutFixture.h"
#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <map>
#include <random>

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::test;

namespace {

using Element = std::pair<int64_t, int64_t>;
/// values[reg][thread]
using Registers = std::vector<std::vector<uint64_t>>;

class ElementConversionTest : public RandomLayoutTest {
protected:
  ElementConversionTest() : RandomLayoutTest(4242) {}

  Parts randomParts(ElementStorage storage) {
    Parts parts;
    SmallVector<SmallVector<int64_t, 2>> vectors;
    parts.colBits = 2 + below(3);
    const int64_t shared = llvm::Log2_64(storage.inRegister());
    const int64_t registerBits = shared + below(4 - shared / 2);
    const int64_t warpBits = below(3);
    const int64_t bits = registerBits + 5 + warpBits;
    for (int64_t bit = 0; bit < bits; ++bit)
      vectors.push_back(bit < parts.colBits
                            ? SmallVector<int64_t, 2>{0, int64_t(1) << bit}
                            : SmallVector<int64_t, 2>{
                                  int64_t(1) << (bit - parts.colBits), 0});
    std::shuffle(vectors.begin(), vectors.end(), random);
    for (auto &vector : vectors)
      (int64_t(parts.registers.size()) < registerBits ? parts.registers
       : parts.lanes.size() < 5                       ? parts.lanes
                                                      : parts.warps)
          .push_back(vector);
    parts.repeats.push_back({1 + below(5), 0, int64_t(1) << parts.colBits});
    if (below(3) == 0)
      parts.repeats.push_back(
          {2 + below(2), int64_t(1) << (bits - parts.colBits), 0});
    return parts;
  }

  /// Adds vectors to others: the same elements, in vectors that share bits. The
  /// elements of a warp stay its own.
  void mix(Parts &parts, int64_t times) {
    for (int64_t i = 0; i < times; ++i) {
      auto &sources =
          parts.registers.empty() || below(2) ? parts.lanes : parts.registers;
      const auto source = sources[below(sources.size())];
      auto *group = below(3) == 0   ? &parts.warps
                    : below(2) == 0 ? &parts.lanes
                                    : &parts.registers;
      if (group->empty())
        continue;
      auto &target = (*group)[below(group->size())];
      if (target == source)
        continue;
      for (int64_t d = 0; d < 2; ++d)
        target[d] ^= source[d];
    }
  }

  /// Another layout of the same atom, maybe repeated in other steps.
  Parts randomlyChanged(Parts parts) {
    switch (below(6)) {
    case 0:
      break;
    case 1:
      std::shuffle(parts.registers.begin(), parts.registers.end(), random);
      break;
    case 2:
      swapSome(parts.registers, parts.lanes);
      break;
    case 3:
      swapSome(parts.lanes, parts.lanes);
      break;
    case 4:
      swapSome(parts.registers, parts.lanes);
      swapSome(parts.registers, parts.lanes);
      break;
    default:
      swapSome(below(2) ? parts.registers : parts.lanes, parts.warps);
      break;
    }
    if (below(2)) {
      // Two repeats along the columns become one of two atoms.
      auto &columns = parts.repeats.front();
      parts.registers.insert(parts.registers.begin() +
                                 below(parts.registers.size() + 1),
                             {0, columns[2]});
      columns[0] = (columns[0] + 1) / 2;
      columns[2] *= 2;
    }
    return parts;
  }

  bool isInside(const Element &element, const ConversionQuery &query) {
    return element.first < query.shape[0] && element.second < query.shape[1];
  }
  static Element at(const Layout &layout, int64_t reg, int64_t thread) {
    SmallVector<int64_t> c = layout.coordinates(reg, thread % 32, thread / 32);
    return {c[0], c[1]};
  }

  bool renames(const ConversionQuery &query, int64_t inWord);
  void check(const ConversionQuery &query);
  Registers exchanged(const RegisterExchange &plan, ElementStorage storage,
                      const Registers &source);

  std::map<ConversionWay, unsigned> taken;
  unsigned padded = 0;
};

/// Words of `inWord` registers, each from one word, by trying all.
bool ElementConversionTest::renames(const ConversionQuery &query,
                                    int64_t inWord) {
  const int64_t threads = 32 * query.from.numWarps();
  if (query.from.numRegisters() % inWord || query.to.numRegisters() % inWord)
    return false;
  auto isSame = [&](int64_t from, int64_t to) {
    for (int64_t thread = 0; thread < threads; ++thread)
      for (int64_t e = 0; e < inWord; ++e) {
        const Element needed = at(query.to, to + e, thread);
        if (isInside(needed, query) &&
            needed != at(query.from, from + e, thread))
          return false;
      }
    return true;
  };
  for (int64_t to = 0; to < query.to.numRegisters(); to += inWord) {
    bool found = false;
    for (int64_t from = 0; !found && from < query.from.numRegisters();
         from += inWord)
      found = isSame(from, to);
    if (!found)
      return false;
  }
  return true;
}

/// Runs an exchange on elements, packed as it asks.
Registers ElementConversionTest::exchanged(const RegisterExchange &plan,
                                           ElementStorage storage,
                                           const Registers &source) {
  const int64_t inWord = 32 / plan.elementBits;
  const size_t threads = source.front().size();
  Registers result(plan.results.size() * inWord,
                   std::vector<uint64_t>(threads));
  EXPECT_EQ(plan.numSourceWords * inWord, int64_t(source.size()));
  EXPECT_EQ(plan.runs, storage.bits == 64 ? 2u : 1u);
  const uint64_t mask = (uint64_t(1) << plan.elementBits) - 1;
  for (unsigned run = 0; run < plan.runs; ++run) {
    Registers words(plan.numSourceWords, std::vector<uint64_t>(threads));
    for (size_t reg = 0; reg < source.size(); ++reg)
      for (size_t thread = 0; thread < threads; ++thread)
        words[reg / inWord][thread] |= (source[reg][thread] >> 32 * run & mask)
                                       << reg % inWord * plan.elementBits;
    for (const ExchangeStep &step : plan.steps) {
      std::vector<uint64_t> value(threads);
      for (size_t thread = 0; thread < threads; ++thread) {
        const uint64_t argument = step.argument.at(thread);
        const uint64_t lhs = words[step.lhs][thread];
        const uint64_t rhs = words[step.rhs][thread];
        if (step.kind == ExchangeStep::Kind::Shuffle)
          value[thread] = words[step.lhs][thread / 32 * 32 + argument];
        else if (step.kind == ExchangeStep::Kind::Select)
          value[thread] = argument ? rhs : lhs;
        else
          for (int b = 0; b < 4; ++b)
            value[thread] |=
                ((rhs << 32 | lhs) >> (argument >> 4 * b & 7) * 8 & 255)
                << 8 * b;
      }
      words.push_back(std::move(value));
    }
    for (size_t reg = 0; reg < result.size(); ++reg)
      for (size_t thread = 0; thread < threads; ++thread)
        result[reg][thread] |= (words[plan.results[reg / inWord]][thread] >>
                                    reg % inWord * plan.elementBits &
                                mask)
                               << 32 * run;
  }
  return result;
}

void ElementConversionTest::check(const ConversionQuery &query) {
  const LayoutConversion conversion = solveLayoutConversion(query);
  ++taken[conversion.way];
  const int64_t threads = 32 * query.from.numWarps();
  const int64_t inWord = query.storage.inRegister();
  const uint64_t mask = ~uint64_t(0) >> (64 - query.storage.bits);
  std::map<Element, uint64_t> data;
  auto contentOf = [&](const Element &element) {
    if (!isInside(element, query))
      return uint64_t(random()) & mask;
    auto [it, inserted] = data.try_emplace(element, 0);
    if (inserted)
      it->second = (uint64_t(random()) << 32 | random()) & mask;
    return it->second;
  };
  Registers source(query.from.numRegisters(), std::vector<uint64_t>(threads));
  for (size_t reg = 0; reg < source.size(); ++reg)
    for (int64_t thread = 0; thread < threads; ++thread)
      source[reg][thread] = contentOf(at(query.from, reg, thread));

  Registers result;
  switch (conversion.way) {
  case ConversionWay::Identity:
  case ConversionWay::Rename:
    for (auto [reg, from] : llvm::enumerate(conversion.permutation)) {
      EXPECT_EQ(from - int64_t(reg) % inWord,
                conversion.permutation[reg / inWord * inWord]);
      EXPECT_EQ(from % inWord, int64_t(reg) % inWord);
      result.push_back(source[from]);
    }
    break;
  case ConversionWay::Exchange:
    result = exchanged(*conversion.exchange, query.storage, source);
    break;
  case ConversionWay::ContractionOrder:
    FAIL() << "nobody sums";
  case ConversionWay::SharedMemory:
    break;
  }
  if (conversion.way != ConversionWay::SharedMemory) {
    ASSERT_EQ(int64_t(result.size()), query.to.numRegisters());
    for (size_t reg = 0; reg < result.size(); ++reg)
      for (int64_t thread = 0; thread < threads; ++thread) {
        const Element needed = at(query.to, reg, thread);
        if (isInside(needed, query))
          ASSERT_EQ(result[reg][thread], contentOf(needed))
              << reg << " of " << thread;
      }
  }
  if (conversion.way > ConversionWay::Rename)
    EXPECT_FALSE(renames(query, inWord));
  if (conversion.way > ConversionWay::Exchange && conversion.exchangeCycles)
    EXPECT_GT(conversion.exchangeCycles, conversion.sharedCycles);
  if (conversion.way == ConversionWay::Exchange &&
      query.from.extents() != query.to.extents())
    ++padded;
}

TEST_F(ElementConversionTest, RandomPairs) {
  const ElementStorage storages[] = {{8, true},   {16, true}, {32, true},
                                     {64, true},  {8, false}, {16, false},
                                     {32, false}, {64, false}};
  for (unsigned i = 0; i < 1600; ++i) {
    ConversionQuery query;
    query.storage = storages[i % std::size(storages)];
    Parts parts = randomParts(query.storage);
    Parts changed = randomlyChanged(parts);
    mix(parts, below(5));
    mix(changed, below(5));
    query.from = build(parts);
    query.to = build(changed);
    for (auto [from, to] :
         llvm::zip_equal(query.from.extents(), query.to.extents())) {
      const int64_t extent = std::min(from, to);
      query.shape.push_back(extent - below(std::min<int64_t>(extent, 4)));
    }
    SCOPED_TRACE(i);
    check(query);
    if (HasFatalFailure() || HasNonfatalFailure())
      return;
  }
  for (ConversionWay way :
       {ConversionWay::Identity, ConversionWay::Rename, ConversionWay::Exchange,
        ConversionWay::SharedMemory}) {
    EXPECT_GE(taken[way], 30u) << stringify(way).str();
    RecordProperty(stringify(way).str(), taken[way]);
  }
  EXPECT_GE(padded, 30u);
  RecordProperty("padded", padded);
}

/// A wgmma accumulator of `cols` columns as the A operand of as many keys,
/// rounded up to whole instructions.
ConversionQuery operandQuery(int64_t groups, int64_t cols,
                             ElementStorage storage) {
  ConversionQuery query;
  const int64_t warps = 4 * groups, rows = 16 * warps;
  const int64_t step = Layout::getInstructionDepth(storage.bits);
  query.from = *Layout::wgmmaAccumulator(rows, cols, warps);
  query.to = *Layout::wgmmaOperandA(rows, (cols + step - 1) / step * step,
                                    warps, storage.bits);
  query.shape = {rows, cols};
  query.storage = storage;
  return query;
}

// The accumulator ends in the middle of the operand's last instruction, or not:
// the same two selects, two shuffles and two byte permutes for two registers.
TEST_F(ElementConversionTest, BytesOfAnyNumberOfKeysAreExchanged) {
  for (int64_t groups : {1, 3})
    for (int64_t cols = 80; cols <= 224; cols += 16)
      for (bool shares : {true, false}) {
        SCOPED_TRACE(cols);
        ConversionQuery query = operandQuery(groups, cols, {8, shares});
        check(query);
        LayoutConversion conversion = solveLayoutConversion(query);
        ASSERT_EQ(conversion.way, ConversionWay::Exchange);
        const unsigned words = query.to.numRegisters() / 4;
        EXPECT_LE(conversion.exchange->count(ExchangeStep::Kind::Shuffle),
                  words);
        EXPECT_LE(conversion.exchange->count(ExchangeStep::Kind::Select),
                  words);
        EXPECT_LE(conversion.exchange->count(ExchangeStep::Kind::Permute),
                  words);
        EXPECT_EQ(conversion.exchange->packing == 0, shares);
      }
}

TEST_F(ElementConversionTest, WideElementsCostTwice) {
  ConversionQuery query = operandQuery(1, 64, {32, true});
  const LayoutConversion once = solveLayoutConversion(query);
  query.storage = {64, true};
  const LayoutConversion twice = solveLayoutConversion(query);
  ASSERT_EQ(once.way, ConversionWay::Exchange);
  EXPECT_EQ(twice.exchangeCycles, 2 * once.exchangeCycles);
  EXPECT_GT(twice.sharedCycles, 1.5 * once.sharedCycles);
}

// What nobody needs goes along with the rest of its word; of two registers that
// hold the same, the one in the right word is taken.
TEST_F(ElementConversionTest, WordsThatMoveWholeAreRenamed) {
  ConversionQuery query;
  query.storage = {16, true};
  const SmallVector<SmallVector<int64_t, 2>> lanes = {
      {64, 0}, {1, 0}, {16, 0}, {0, 1}, {4, 0}};
  const SmallVector<SmallVector<int64_t, 2>> warps = {{8, 0}, {128, 0}};
  query.from = build({{{32, 0}, {256, 0}, {2, 0}}, lanes, warps, {}, 0});
  query.to = build({{{32, 0}, {2, 0}, {256, 0}}, lanes, warps, {}, 0});
  query.shape = {259, 2};
  EXPECT_EQ(solveLayoutConversion(query).way, ConversionWay::Rename);
  check(query);

  const SmallVector<SmallVector<int64_t, 2>> rows = {
      {0, 4}, {0, 8}, {1, 0}, {2, 0}, {4, 0}};
  query.from = build({{{0, 1}, {0, 3}, {0, 2}}, rows, {}, {}, 0});
  query.to = build({{{0, 1}, {0, 2}}, rows, {}, {}, 0});
  query.shape = {8, 16};
  EXPECT_EQ(solveLayoutConversion(query).way, ConversionWay::Rename);
  check(query);
}

} // namespace
