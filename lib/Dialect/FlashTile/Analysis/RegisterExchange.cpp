//===- RegisterExchange.cpp - Layouts exchanged within a warp -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/RegisterExchange.h"

#include "ExchangePlanner.h"
#include "llvm/ADT/STLExtras.h"
#include <array>

using namespace mlir;
using namespace mlir::flash_tile;

using Kind = ExchangeStep::Kind;

unsigned RegisterExchange::count(Kind kind) const {
  return llvm::count_if(
      steps, [&](const ExchangeStep &step) { return step.kind == kind; });
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

std::optional<RegisterExchange>
flash_tile::planRegisterExchange(const Layout &from, const Layout &to,
                                 ArrayRef<int64_t> shape, int64_t elementBits,
                                 std::string &reason) {
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
  std::optional<RegisterExchange> plan =
      detail::planExchange(source, result, elementBits, reason);
  if (!plan)
    return std::nullopt;

  // The proof.
  auto label = [](ArrayRef<int64_t> coords) {
    int64_t number = 0;
    for (int64_t coordinate : coords)
      number = number << 24 | coordinate;
    return number;
  };
  std::vector<int64_t> got = plan->simulate(
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
        if (inside && *next != label(coords)) {
          reason = "repeats reach into each other";
          return std::nullopt;
        }
      }
  return plan;
}
