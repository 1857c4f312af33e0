//===- LayoutConversion.cpp - The cheapest way between layouts ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <map>

using namespace mlir;
using namespace mlir::flash_tile;

StringRef flash_tile::stringify(ConversionWay way) {
  switch (way) {
  case ConversionWay::Identity:
    return "identity";
  case ConversionWay::Rename:
    return "rename";
  case ConversionWay::ContractionOrder:
    return "contraction order";
  case ConversionWay::Exchange:
    return "exchange";
  case ConversionWay::SharedMemory:
    return "shared memory";
  }
  llvm_unreachable("unknown way");
}

//===----------------------------------------------------------------------===//
// Evaluated layouts
//===----------------------------------------------------------------------===//

namespace {

using Coords = SmallVector<int64_t>;

bool isInside(ArrayRef<int64_t> coords, ArrayRef<int64_t> shape) {
  return shape.empty() ||
         llvm::all_of(llvm::zip_equal(coords, shape),
                      [](auto p) { return std::get<0>(p) < std::get<1>(p); });
}

std::string toString(ArrayRef<int64_t> coords) {
  std::string text = "(";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(coords, os);
  return text + ")";
}

/// Register of `layout` that holds `coords` in this thread.
std::optional<int64_t> registerOf(const Layout &layout,
                                  ArrayRef<int64_t> coords, int64_t lane,
                                  int64_t warp) {
  for (int64_t r = 0, n = layout.numRegisters(); r < n; ++r)
    if (layout.coordinates(r, lane, warp) == Coords(coords))
      return r;
  return std::nullopt;
}

/// Calls `visit(reg, lane, warp, coords)` for what `layout` holds of the tile,
/// until it returns false; returns whether it never did.
bool forAllHeld(
    const Layout &layout, ArrayRef<int64_t> shape,
    function_ref<bool(int64_t, int64_t, int64_t, ArrayRef<int64_t>)> visit) {
  for (int64_t warp = 0, nw = layout.numWarps(); warp < nw; ++warp)
    for (int64_t lane = 0; lane < Layout::numLanes(); ++lane)
      for (int64_t reg = 0, nr = layout.numRegisters(); reg < nr; ++reg) {
        Coords coords = layout.coordinates(reg, lane, warp);
        if (isInside(coords, shape) && !visit(reg, lane, warp, coords))
          return false;
      }
  return true;
}

std::string place(int64_t lane, int64_t warp) {
  return "lane " + std::to_string(lane) +
         (warp ? " of warp " + std::to_string(warp) : "");
}

/// Where the layouts differ first.
std::string explainIdentity(const ConversionQuery &query) {
  std::string text;
  forAllHeld(
      query.to, query.shape,
      [&](int64_t reg, int64_t lane, int64_t warp, ArrayRef<int64_t> needed) {
        if (reg >= query.from.numRegisters()) {
          text = "register " + std::to_string(reg) + " of " +
                 place(lane, warp) + " holds nothing, needed " +
                 toString(needed);
          return false;
        }
        Coords held = query.from.coordinates(reg, lane, warp);
        if (held == Coords(needed))
          return true;
        text = "register " + std::to_string(reg) + " of " + place(lane, warp) +
               " holds " + toString(held) + ", needed " + toString(needed);
        return false;
      });
  return text;
}

/// The first thread that needs what it does not hold, or the first register
/// that would come from different ones in different threads.
std::string explainRename(const ConversionQuery &query) {
  std::string text;
  std::map<int64_t, std::pair<int64_t, std::string>> sources;
  forAllHeld(
      query.to, query.shape,
      [&](int64_t reg, int64_t lane, int64_t warp, ArrayRef<int64_t> needed) {
        std::optional<int64_t> source =
            registerOf(query.from, needed, lane, warp);
        if (!source) {
          text = place(lane, warp) + " needs " + toString(needed) +
                 " and holds it in no register";
          return false;
        }
        auto [it, inserted] =
            sources.try_emplace(reg, *source, place(lane, warp));
        if (it->second.first == *source)
          return true;
        text = "register " + std::to_string(reg) + " comes from register " +
               std::to_string(it->second.first) + " in " + it->second.second +
               ", from " + std::to_string(*source) + " in " + place(lane, warp);
        return false;
      });
  return text;
}

/// The `inWord` elements that share a register stay together and in order: only
/// then does renaming cost nothing.
bool keepsWords(ArrayRef<int64_t> permutation, int64_t inWord) {
  for (auto [r, source] : llvm::enumerate(permutation))
    if (const int64_t place = int64_t(r) % inWord;
        source - permutation[r - place] != place ||
        (place == 0 && source % inWord != 0))
      return false;
  return true;
}

bool isIdentity(ArrayRef<int64_t> permutation, const Layout &from) {
  for (auto [r, source] : llvm::enumerate(permutation))
    if (int64_t(r) != source)
      return false;
  return int64_t(permutation.size()) == from.numRegisters();
}

std::string wordsWouldSplit(int64_t elementBits) {
  return std::to_string(elementBits) +
         "-bit elements that share a register would part";
}

} // namespace

std::optional<SmallVector<int64_t>>
flash_tile::findRegisterPermutation(const Layout &from, const Layout &to,
                                    ArrayRef<int64_t> shape, int64_t inWord) {
  if (from.getRank() != to.getRank() || from.numWarps() != to.numWarps())
    return std::nullopt;
  // Registers of `from` by what they hold in one thread are the candidates for
  // what is needed there; every other thread may only strike some out.
  SmallVector<std::optional<SmallVector<int64_t>>> candidates(
      to.numRegisters());
  for (int64_t warp = 0; warp < to.numWarps(); ++warp)
    for (int64_t lane = 0; lane < Layout::numLanes(); ++lane) {
      std::optional<std::map<Coords, SmallVector<int64_t>>> held;
      for (int64_t r = 0; r < to.numRegisters(); ++r) {
        Coords needed = to.coordinates(r, lane, warp);
        if (!isInside(needed, shape))
          continue;
        auto &left = candidates[r];
        if (left) {
          llvm::erase_if(*left, [&](int64_t source) {
            return from.coordinates(source, lane, warp) != needed;
          });
        } else {
          if (!held) {
            held.emplace();
            for (int64_t s = 0; s < from.numRegisters(); ++s)
              (*held)[from.coordinates(s, lane, warp)].push_back(s);
          }
          left = (*held)[needed];
        }
        if (left->empty())
          return std::nullopt;
      }
    }
  // What nobody needs may be anything.
  auto mayBe = [&](int64_t r, int64_t source) {
    return source < from.numRegisters() &&
           (!candidates[r] || llvm::is_contained(*candidates[r], source));
  };
  // Words first; one that cannot be taken whole is put together.
  SmallVector<int64_t> permutation;
  auto take = [&](int64_t count) {
    const int64_t first = permutation.size();
    // The same place if it may be, so that the identity is found, else the next
    // one, else the first that will do.
    SmallVector<int64_t> wishes{
        first, first == 0 ? 0 : permutation.back() / count * count + count, 0};
    for (int64_t i = 0; i < count; ++i)
      if (candidates[first + i]) {
        for (int64_t source : *candidates[first + i])
          wishes.push_back(source - i);
        break;
      }
    for (int64_t wish : wishes) {
      bool fits = wish >= 0 && wish % count == 0;
      for (int64_t i = 0; fits && i < count; ++i)
        fits = mayBe(first + i, wish + i);
      if (!fits)
        continue;
      for (int64_t i = 0; i < count; ++i)
        permutation.push_back(wish + i);
      return true;
    }
    return false;
  };
  while (int64_t(permutation.size()) < to.numRegisters()) {
    const int64_t first = permutation.size();
    if (inWord > 1 && first % inWord == 0 &&
        first + inWord <= to.numRegisters() && take(inWord))
      continue;
    take(1);
  }
  return permutation;
}

//===----------------------------------------------------------------------===//
// The model of cost
//===----------------------------------------------------------------------===//

/// Cycles that storing or loading a thread's registers takes: runs of
/// neighbours of at most 16 bytes, 32 lanes at a time, packed first where
/// elements are narrow and have registers of their own.
static double getAccessCycles(const Layout &layout, ElementStorage storage) {
  const int64_t elementBits = storage.bits;
  int64_t run = 1;
  for (const Layout::Vector &basis : layout.getRegisterBases()) {
    const bool next =
        basis.back() == run && llvm::all_of(ArrayRef(basis).drop_back(),
                                            [](int64_t x) { return x == 0; });
    if (!next || 2 * run * elementBits > 128)
      break;
    run *= 2;
  }
  const double bytes = run * elementBits / 8.0;
  const int64_t packed = std::min(
      run,
      storage.sharesRegisters ? 1 : std::max<int64_t>(1, 32 / elementBits));
  return double(layout.numRegisters()) / run * std::max(1.0, bytes * 32 / 128) +
         0.5 * layout.numRegisters() * (packed - 1) / packed;
}

double flash_tile::getSharedCycles(const ConversionQuery &query) {
  constexpr double barrierCycles = 20;
  return getAccessCycles(query.from, query.storage) +
         getAccessCycles(query.to, query.storage) +
         2 * barrierCycles / query.from.numWarps();
}

//===----------------------------------------------------------------------===//
// The ladder of ways
//===----------------------------------------------------------------------===//

LayoutConversion
flash_tile::solveLayoutConversion(const ConversionQuery &query) {
  assert(query.from.getRank() == query.to.getRank() &&
         query.from.numWarps() == query.to.numWarps() && "tiles of one kernel");
  LayoutConversion result;
  result.result = query.to;
  auto reject = [&](ConversionWay way, std::string reason) {
    result.rejected.push_back({way, std::move(reason)});
  };
  // Where registers are renamed freely: in place, else in front of the
  // narrowing.
  bool wouldSplit = false;
  auto rename = [&](const Layout &to) -> std::optional<SmallVector<int64_t>> {
    wouldSplit = false;
    SmallVector<int64_t> inWords{query.storage.inRegister()};
    if (query.wideBits)
      inWords.push_back(query.wideBits < 32 ? 32 / query.wideBits : 1);
    for (auto [i, inWord] : llvm::enumerate(inWords)) {
      std::optional<SmallVector<int64_t>> permutation =
          findRegisterPermutation(query.from, to, query.shape, inWord);
      if (!permutation)
        return std::nullopt;
      result.beforeNarrowing = i > 0;
      if (keepsWords(*permutation, inWord))
        return permutation;
    }
    wouldSplit = true;
    return std::nullopt;
  };

  if (std::optional<SmallVector<int64_t>> permutation = rename(query.to)) {
    result.way = ConversionWay::Identity;
    result.permutation = *permutation;
    if (isIdentity(*permutation, query.from))
      return result;
    reject(ConversionWay::Identity, explainIdentity(query));
    result.way = ConversionWay::Rename;
    return result;
  }
  reject(ConversionWay::Identity, explainIdentity(query));
  reject(ConversionWay::Rename, wouldSplit ? wordsWouldSplit(query.storage.bits)
                                           : explainRename(query));

  std::string reason;
  if (std::optional<OrderedContraction> found =
          findContractionOrder(query, rename, reason)) {
    result.way = ConversionWay::ContractionOrder;
    result.permutation = found->permutation;
    result.contractionOrder = found->order;
    result.result = found->result;
    return result;
  }
  result.beforeNarrowing = false;
  reject(ConversionWay::ContractionOrder, reason);

  result.sharedCycles = getSharedCycles(query);
  if (std::optional<RegisterExchange> exchange = planRegisterExchange(
          query.from, query.to, query.shape, query.storage, reason)) {
    result.exchangeCycles = getExchangeCycles(*exchange);
    if (result.exchangeCycles <= result.sharedCycles) {
      result.way = ConversionWay::Exchange;
      result.exchange = std::move(exchange);
      return result;
    }
    llvm::raw_string_ostream(reason = "")
        << exchange->count(ExchangeStep::Kind::Shuffle) << " shuffles, "
        << exchange->count(ExchangeStep::Kind::Select) << " selects and "
        << exchange->count(ExchangeStep::Kind::Permute)
        << " byte permutes are dearer ("
        << llvm::format("%.0f cycles against %.0f)", result.exchangeCycles,
                        result.sharedCycles);
  }
  reject(ConversionWay::Exchange, reason);
  result.way = ConversionWay::SharedMemory;
  return result;
}
