//===- RegisterExchange.cpp - Layouts exchanged within a warp -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/RegisterExchange.h"

#include "ExchangePlanner.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <array>

using namespace mlir;
using namespace mlir::flash_tile;

using Kind = ExchangeStep::Kind;

unsigned RegisterExchange::count(Kind kind) const {
  return runs * llvm::count_if(steps, [&](const ExchangeStep &step) {
           return step.kind == kind;
         });
}

double flash_tile::getExchangeCycles(const RegisterExchange &exchange) {
  return exchange.count(Kind::Shuffle) +
         0.5 * (exchange.count(Kind::Select) + exchange.count(Kind::Permute) +
                exchange.packing);
}

std::vector<int64_t> RegisterExchange::simulate(
    int64_t warps,
    function_ref<int64_t(int64_t, int64_t, int64_t)> source) const {
  // A word is four bytes, each labelled with its element and its place in it.
  using Word = std::array<int64_t, 4>;
  const int64_t bytes = elementBits / 8, inWord = 4 / bytes;
  std::vector<int64_t> labels;
  for (int64_t warp = 0; warp < warps; ++warp) {
    std::vector<std::array<Word, 32>> values(numSourceWords + steps.size());
    for (unsigned w = 0; w < numSourceWords; ++w)
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t b = 0; b < 4; ++b)
          values[w][lane][b] =
              source(w * inWord + b / bytes, lane, warp) * 4 + b % bytes;
    for (auto [i, step] : llvm::enumerate(steps))
      for (int64_t lane = 0; lane < 32; ++lane) {
        const uint64_t argument = step.argument.at(warp * 32 + lane);
        Word &word = values[numSourceWords + i][lane];
        switch (step.kind) {
        case Kind::Select:
          word = values[argument ? step.rhs : step.lhs][lane];
          break;
        case Kind::Permute:
          for (int64_t b = 0; b < 4; ++b) {
            const uint64_t from = argument >> 4 * b & 7;
            word[b] = values[from < 4 ? step.lhs : step.rhs][lane][from % 4];
          }
          break;
        case Kind::Shuffle:
          word = values[step.lhs][argument];
          break;
        }
      }
    for (int64_t lane = 0; lane < 32; ++lane)
      for (unsigned result : results)
        for (int64_t e = 0; e < inWord; ++e) {
          const Word &word = values[result][lane];
          bool whole = word[e * bytes] % 4 == 0;
          for (int64_t b = 1; b < bytes; ++b)
            whole &= word[e * bytes + b] == word[e * bytes] + b;
          labels.push_back(whole ? word[e * bytes] / 4 : -1);
        }
  }
  return labels;
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

namespace {

using Repeats = SmallVector<Layout::Repeat>;

/// Registers of a layout whose repeats were made longer: the number without
/// what was added, nullopt for what was.
class PaddedRegisters {
public:
  PaddedRegisters(const Layout &layout, ArrayRef<Layout::Repeat> padded)
      : atom(int64_t(1) << layout.getRegisterBases().size()) {
    for (auto [i, entry] : llvm::enumerate(padded))
      counts.push_back({entry.count, i < layout.getRepeats().size()
                                         ? layout.getRepeats()[i].count
                                         : 1});
  }
  int64_t size() const {
    int64_t size = atom;
    for (auto [padded, own] : counts)
      size *= padded;
    return size;
  }
  std::optional<int64_t> operator[](int64_t reg) const {
    int64_t number = reg % atom, weight = atom;
    reg /= atom;
    for (auto [padded, own] : counts) {
      if (reg % padded >= own)
        return std::nullopt;
      number += reg % padded * weight;
      weight *= own;
      reg /= padded;
    }
    return number;
  }

private:
  int64_t atom;
  SmallVector<std::pair<int64_t, int64_t>> counts;
};

/// Extents of a layout with other repeats.
Layout::Vector getExtents(const Layout &layout, const Repeats &repeats) {
  Layout::Vector extents(layout.extents());
  auto add = [&](ArrayRef<Layout::Repeat> entries, int64_t sign) {
    for (const Layout::Repeat &entry : entries)
      for (auto [extent, stride] : llvm::zip_equal(extents, entry.stride))
        extent += sign * (entry.count - 1) * stride;
  };
  add(layout.getRepeats(), -1);
  add(repeats, 1);
  return extents;
}

/// Lengthens `repeats` until they reach `extents`: the last one along an axis,
/// or a new one where there is none.
void reach(const Layout &layout, ArrayRef<int64_t> extents, Repeats &repeats) {
  for (int64_t axis = 0; axis < layout.getRank(); ++axis) {
    const int64_t own = getExtents(layout, repeats)[axis];
    if (own >= extents[axis])
      continue;
    auto movesAlong = [&](const Layout::Repeat &entry) {
      for (auto [d, step] : llvm::enumerate(entry.stride))
        if ((step != 0) != (int64_t(d) == axis))
          return false;
      return true;
    };
    auto last = llvm::find_if(llvm::reverse(repeats), movesAlong);
    if (last != repeats.rend()) {
      last->count += llvm::divideCeil(extents[axis] - own, last->stride[axis]);
      continue;
    }
    Layout::Repeat entry{int64_t(llvm::divideCeil(extents[axis], own)),
                         Layout::Vector(layout.getRank(), 0)};
    entry.stride[axis] = own;
    repeats.push_back(entry);
  }
}

/// The program over padded words as one over the words there are: what would
/// only be computed from others, or for others, is not.
void removePadding(RegisterExchange &plan, const PaddedRegisters &from,
                   const PaddedRegisters &to) {
  const int64_t inWord = 32 / plan.elementBits;
  // Every value's name now; what comes from nowhere has none.
  std::vector<std::optional<unsigned>> names;
  RegisterExchange result = plan;
  result.steps.clear();
  result.results.clear();
  result.numSourceWords = 0;
  for (unsigned w = 0; w < plan.numSourceWords; ++w) {
    std::optional<int64_t> reg = from[w * inWord];
    names.push_back(reg ? std::optional<unsigned>(*reg / inWord)
                        : std::nullopt);
    result.numSourceWords += reg.has_value();
  }
  for (ExchangeStep step : plan.steps) {
    std::optional<unsigned> lhs = names[step.lhs], rhs = names[step.rhs];
    const bool isShuffle = step.kind == Kind::Shuffle;
    if (!lhs && (isShuffle || !rhs)) {
      names.push_back(std::nullopt);
      continue;
    }
    if (step.kind == Kind::Select && (!lhs || !rhs)) {
      names.push_back(lhs ? lhs : rhs);
      continue;
    }
    step.lhs = lhs ? *lhs : *rhs;
    step.rhs = isShuffle ? 0 : rhs ? *rhs : *lhs;
    names.push_back(result.numSourceWords + unsigned(result.steps.size()));
    result.steps.push_back(step);
  }
  for (int64_t w = 0; w < int64_t(plan.results.size()); ++w)
    if (to[w * inWord])
      result.results.push_back(names[plan.results[w]].value_or(0));

  // Steps that no result needs.
  std::vector<bool> isLive(result.numSourceWords + result.steps.size());
  for (unsigned value : result.results)
    isLive[value] = true;
  for (size_t i = result.steps.size(); i-- > 0;)
    if (isLive[result.numSourceWords + i]) {
      isLive[result.steps[i].lhs] = true;
      if (result.steps[i].kind != Kind::Shuffle)
        isLive[result.steps[i].rhs] = true;
    }
  std::vector<unsigned> numbers(isLive.size());
  std::vector<ExchangeStep> steps;
  for (unsigned i = 0; i < isLive.size(); ++i) {
    numbers[i] = i;
    if (i < result.numSourceWords || !isLive[i])
      continue;
    ExchangeStep step = result.steps[i - result.numSourceWords];
    step.lhs = numbers[step.lhs];
    step.rhs = step.kind == Kind::Shuffle ? 0 : numbers[step.rhs];
    numbers[i] = result.numSourceWords + unsigned(steps.size());
    steps.push_back(step);
  }
  result.steps = std::move(steps);
  for (unsigned &value : result.results)
    value = numbers[value];
  plan = std::move(result);
}

/// The program between canonical layouts, as `fromRepeats` and `toRepeats`
/// lengthen them.
std::optional<RegisterExchange>
planPadded(const Layout &from, const Repeats &fromRepeats, const Layout &to,
           const Repeats &toRepeats, int64_t elementBits, std::string &reason) {
  std::optional<RegisterExchange> plan = flash_tile::detail::planExchange(
      flash_tile::detail::Atom(from, fromRepeats),
      flash_tile::detail::Atom(to, toRepeats), elementBits, reason);
  if (plan)
    removePadding(*plan, PaddedRegisters(from, fromRepeats),
                  PaddedRegisters(to, toRepeats));
  return plan;
}

} // namespace

std::optional<RegisterExchange>
flash_tile::planRegisterExchange(const Layout &from, const Layout &to,
                                 ArrayRef<int64_t> shape, int64_t elementBits,
                                 std::string &reason) {
  assert((elementBits == 8 || elementBits == 16 || elementBits == 32) &&
         "what words are made of");
  assert(from.getRank() == to.getRank() && from.getRank() <= 2 &&
         from.numWarps() == to.numWarps() && "tiles of one kernel");
  const Layout source = from.canonical(), result = to.canonical();
  if (source.getWarpBases().size() != result.getWarpBases().size() ||
      source.getWarpRepeats() != result.getWarpRepeats()) {
    reason = "warps hold different parts of the tile";
    return std::nullopt;
  }
  const int64_t inWord = 32 / elementBits;
  if (from.numRegisters() % inWord || to.numRegisters() % inWord) {
    reason = "registers are shared by elements of which some are missing";
    return std::nullopt;
  }
  auto label = [](ArrayRef<int64_t> coords) {
    int64_t number = 0;
    for (int64_t coordinate : coords)
      number = number << 24 | coordinate;
    return number;
  };
  auto isProved = [&](const RegisterExchange &plan) {
    std::vector<int64_t> got = plan.simulate(
        from.numWarps(), [&](int64_t reg, int64_t lane, int64_t warp) {
          return label(from.coordinates(reg, lane, warp));
        });
    auto next = got.begin();
    for (int64_t warp = 0; warp < to.numWarps(); ++warp)
      for (int64_t lane = 0; lane < Layout::numLanes(); ++lane)
        for (int64_t reg = 0; reg < to.numRegisters(); ++reg, ++next) {
          SmallVector<int64_t> coords = to.coordinates(reg, lane, warp);
          const bool inside =
              shape.empty() ||
              llvm::all_of(llvm::zip_equal(coords, shape), [](auto p) {
                return std::get<0>(p) < std::get<1>(p);
              });
          if (inside && *next != label(coords))
            return false;
        }
    return true;
  };

  // As they are; then, where one layout ends inside the other's last atom, both
  // padded to the end of that.
  Repeats fromRepeats(source.getRepeats()), toRepeats(result.getRepeats());
  auto plan =
      planPadded(source, fromRepeats, result, toRepeats, elementBits, reason);
  if (plan && isProved(*plan))
    return plan;
  if (plan)
    reason = "repeats reach into each other";
  for (int round = 0; round < 2; ++round) {
    reach(source, getExtents(result, toRepeats), fromRepeats);
    reach(result, getExtents(source, fromRepeats), toRepeats);
  }
  auto isTooLong = [&](const Layout &layout, const Repeats &repeats) {
    return PaddedRegisters(layout, repeats).size() >
           2 * (source.numRegisters() + result.numRegisters());
  };
  if ((fromRepeats == Repeats(source.getRepeats()) &&
       toRepeats == Repeats(result.getRepeats())) ||
      isTooLong(source, fromRepeats) || isTooLong(result, toRepeats))
    return std::nullopt;
  std::string ignored;
  plan =
      planPadded(source, fromRepeats, result, toRepeats, elementBits, ignored);
  return plan && isProved(*plan) ? plan : std::nullopt;
}

std::optional<ElementStorage> flash_tile::getElementStorage(Type elementType) {
  const bool isFloat = isa<FloatType>(elementType);
  if (!isFloat && !elementType.isSignlessInteger())
    return std::nullopt;
  const int64_t bits =
      elementType.isInteger(1) ? 8 : getElementBits(elementType);
  if (!llvm::is_contained({8, 16, 32, 64}, bits))
    return std::nullopt;
  // Narrow integers are computed with one by one.
  return ElementStorage{bits, /*sharesRegisters=*/isFloat};
}

std::optional<RegisterExchange>
flash_tile::planRegisterExchange(const Layout &from, const Layout &to,
                                 ArrayRef<int64_t> shape,
                                 ElementStorage storage, std::string &reason) {
  const int64_t bits = storage.bits;
  std::optional<RegisterExchange> alone;
  if (bits >= 32 || !storage.sharesRegisters) {
    alone = planRegisterExchange(from, to, shape, /*elementBits=*/32, reason);
    if (!alone)
      return std::nullopt;
    alone->runs = bits == 64 ? 2 : 1;
    if (bits >= 32)
      return alone;
  }
  std::optional<RegisterExchange> words =
      planRegisterExchange(from, to, shape, bits, reason);
  if (storage.sharesRegisters)
    return words;
  if (words) {
    // One instruction for each element of a word but one.
    const unsigned perWord = 32 / bits - 1;
    words->packing =
        perWord * (words->numSourceWords + unsigned(words->results.size()));
    if (getExchangeCycles(*words) <= getExchangeCycles(*alone))
      return words;
  }
  return alone;
}
