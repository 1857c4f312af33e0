//===- ExchangePlanner.cpp - Rounds of shuffles from two layouts ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both layouts are linear on an atom, and repeats lay atoms side by side. For
// one atom, solving
//
//     from(r, l) = to(q, d)        q, r: register bits    d, l: lane bits
//
// for every bit of q and d gives linear maps r = Rq q + Rd d, l = Lq q + Ld d:
// where each thread finds what it needs. The image of Lq, with basis B, is how
// far a thread has to look; there are as many rounds i of shuffles as it has
// elements. In round i thread d reads lane S d + B i, where S = Ld + B K is
// invertible for some K, so that every lane is read by one thread and can have
// ready what that thread wants:
//
//     before    lane s selects the register that reader S^-1 (s + B i) needs,
//     shuffle   thread d reads lane S d + B i,
//     after     thread d takes element q = n + L i', with Lq n = 0, from round
//               i = i' + K d.
//
// Everything in it that depends on the thread is linear, so a select's
// condition is one bit and a byte permute's selector an XOR of constants. For
// an e4m3 wgmma fed by its accumulator that makes, for every two registers, two
// selects, two shuffles and two byte permutes.
//
// Where no S is invertible (several threads need the same lane, which happens
// with replicated results) every register that a thread may need is shuffled,
// and selected afterwards.
//
//===----------------------------------------------------------------------===//

#include "ExchangePlanner.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include <map>

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

using Kind = ExchangeStep::Kind;

namespace {

class Planner {
public:
  Planner(const Atom &from, const Atom &to, int64_t elementBits)
      : from(from), to(to), bytes(elementBits / 8),
        wordBits(llvm::Log2_64(32 / elementBits)) {
    plan.elementBits = elementBits;
    plan.numSourceWords = from.numRegisters() >> wordBits;
    plan.results.resize(to.numRegisters() >> wordBits);
  }

  std::optional<RegisterExchange> run(std::string &reason);

private:
  /// An element of some array of values, for every thread: the value's index
  /// above `wordBits`, the element's place in it below.
  using Element = std::optional<ThreadFunction>;
  using Lookup = function_ref<unsigned(uint64_t)>;

  bool solve(std::string &reason);
  void chooseReaders();
  void emitCopy(int64_t source, int64_t result);
  void emitRounds(int64_t source, int64_t result);
  void emitGather(int64_t source, int64_t result);

  unsigned add(ExchangeStep step);
  unsigned selectAmong(const ThreadFunction &index, Lookup valueOf);
  unsigned assemble(ArrayRef<Element> elements, Lookup valueOf);
  unsigned permute(unsigned lhs, unsigned rhs, ArrayRef<Element> elements,
                   ArrayRef<std::optional<ThreadFunction>> window);

  /// A function of the thread from its values at each lane bit and warp bit.
  ThreadFunction function(uint64_t base, function_ref<uint64_t(unsigned)> lane,
                          function_ref<uint64_t(unsigned)> warp) const {
    ThreadFunction result;
    result.base = base;
    for (unsigned i = 0; i < 5; ++i)
      result.bits.push_back(lane(i));
    for (unsigned i = 0; i < warpPlaces.size(); ++i)
      result.bits.push_back(warp(i));
    return result;
  }
  /// Where thread d finds element `q`: register and lane.
  ThreadFunction registerFor(uint64_t q) const {
    return function(
        apply(registersOfQ, q), [&](unsigned i) { return lanePlaces[i].reg; },
        [&](unsigned i) { return warpPlaces[i].reg; });
  }
  ThreadFunction laneFor(uint64_t q) const {
    return function(
        apply(lanesOfQ, q), [&](unsigned i) { return lanePlaces[i].lane; },
        [&](unsigned i) { return warpPlaces[i].lane; });
  }
  static ThreadFunction shifted(const ThreadFunction &f, unsigned by) {
    ThreadFunction result;
    result.base = f.base >> by;
    for (uint64_t bit : f.bits)
      result.bits.push_back(bit >> by);
    return result;
  }
  static ThreadFunction masked(const ThreadFunction &f, uint64_t mask) {
    ThreadFunction result;
    result.base = f.base & mask;
    for (uint64_t bit : f.bits)
      result.bits.push_back(bit & mask);
    return result;
  }
  bool isOwnLane(const ThreadFunction &lane) const {
    if (lane.base)
      return false;
    for (auto [i, bit] : llvm::enumerate(lane.bits))
      if (bit != (i < 5 ? uint64_t(1) << i : 0))
        return false;
    return true;
  }
  unsigned shuffle(unsigned value, const ThreadFunction &lane) {
    return isOwnLane(lane) ? value : add({Kind::Shuffle, value, 0, lane});
  }
  unsigned sourceWord(int64_t source, uint64_t word) const {
    return (source + from.registerOf(word << wordBits)) >> wordBits;
  }

  Atom from, to;
  int64_t bytes;
  unsigned wordBits;
  RegisterExchange plan;
  std::map<
      std::tuple<Kind, unsigned, unsigned, uint64_t, std::vector<uint64_t>>,
      unsigned>
      known;

  // The maps Rq, Lq by columns, Rd with Ld, and the same for warp bits.
  SmallVector<uint64_t> registersOfQ, lanesOfQ;
  SmallVector<Place> lanePlaces, warpPlaces, replicas;

  // Rounds: the columns of B, the register bit of `to` behind each, K, S and
  // its inverse; none if no S is invertible.
  SmallVector<uint64_t> reach, reachGenerators;
  SmallVector<uint64_t> roundOfLane;
  SmallVector<uint64_t> reader;
  std::optional<SmallVector<uint64_t>> readerInverse;
};

unsigned Planner::add(ExchangeStep step) {
  auto key = std::make_tuple(step.kind, step.lhs, step.rhs, step.argument.base,
                             std::vector<uint64_t>(step.argument.bits.begin(),
                                                   step.argument.bits.end()));
  auto [it, inserted] =
      known.try_emplace(key, plan.numSourceWords + unsigned(plan.steps.size()));
  if (inserted)
    plan.steps.push_back(std::move(step));
  return it->second;
}

/// The value whose index is `index` of the thread: a tree of selects over the
/// dimensions in which the index varies.
unsigned Planner::selectAmong(const ThreadFunction &index, Lookup valueOf) {
  // A basis in which each vector has a bit that no other one has.
  SmallVector<uint64_t> basis;
  for (uint64_t vector : index.bits) {
    for (uint64_t element : basis)
      if (vector & llvm::bit_floor(element))
        vector ^= element;
    if (!vector)
      continue;
    for (uint64_t &element : basis)
      if (element & llvm::bit_floor(vector))
        element ^= vector;
    basis.push_back(vector);
  }
  auto build = [&](auto &self, size_t depth, uint64_t at) -> unsigned {
    if (depth == basis.size())
      return valueOf(at);
    ThreadFunction condition =
        masked(shifted(index, llvm::Log2_64(basis[depth])), 1);
    condition.base = 0;
    const unsigned lhs = self(self, depth + 1, at);
    const unsigned rhs = self(self, depth + 1, at ^ basis[depth]);
    return add({Kind::Select, lhs, rhs, condition});
  };
  return build(build, 0, index.base);
}

/// prmt of (lhs, rhs): element j comes from place elements[j] of the word that
/// window[j] says (0 lhs, 1 rhs); others are left to chance.
unsigned Planner::permute(unsigned lhs, unsigned rhs,
                          ArrayRef<Element> elements,
                          ArrayRef<std::optional<ThreadFunction>> window) {
  ThreadFunction selector =
      function(0, [](unsigned) { return 0; }, [](unsigned) { return 0; });
  auto addField = [&](unsigned at, const ThreadFunction &value,
                      uint64_t scale) {
    selector.base ^= (value.base * scale) << at;
    for (auto [bit, x] : llvm::zip_equal(selector.bits, value.bits))
      bit ^= (x * scale) << at;
  };
  for (size_t j = 0; j < elements.size(); ++j)
    for (int64_t b = 0; b < bytes; ++b) {
      const unsigned at = 4 * (j * bytes + b);
      selector.base ^= uint64_t(b) << at;
      if (!elements[j] || !window[j])
        continue;
      addField(at, *elements[j], bytes);
      addField(at, *window[j], 4);
    }
  return add({Kind::Permute, lhs, rhs, selector});
}

/// A word out of elements of other words.
unsigned Planner::assemble(ArrayRef<Element> elements, Lookup valueOf) {
  const uint64_t placeMask = (uint64_t(1) << wordBits) - 1;
  const ThreadFunction zero =
      function(0, [](unsigned) { return 0; }, [](unsigned) { return 0; });
  ThreadFunction one = zero;
  one.base = 1;

  SmallVector<ThreadFunction> groups;
  SmallVector<Element> places;
  SmallVector<size_t> groupOf;
  bool inPlace = true;
  for (auto [j, element] : llvm::enumerate(elements)) {
    if (!element) {
      places.push_back(std::nullopt);
      groupOf.push_back(~size_t(0));
      continue;
    }
    const ThreadFunction word = shifted(*element, wordBits);
    places.push_back(masked(*element, placeMask));
    inPlace &= places.back()->isConstant() && places.back()->base == j;
    auto *group = llvm::find(groups, word);
    groupOf.push_back(group - groups.begin());
    if (group == groups.end())
      groups.push_back(word);
  }
  if (groups.size() == 1 && inPlace)
    return selectAmong(groups.front(), valueOf);

  // Two words, whichever of them it is in a thread: one permute.
  SmallVector<uint64_t> words;
  for (const ThreadFunction &group : groups) {
    auto note = [&](uint64_t word) {
      if (!llvm::is_contained(words, word))
        words.push_back(word);
    };
    note(group.base);
    for (uint64_t bit : group.bits)
      note(group.base ^ bit);
  }
  if (words.size() <= 2) {
    SmallVector<std::optional<ThreadFunction>> window(elements.size());
    for (size_t j = 0; j < elements.size(); ++j)
      if (elements[j]) {
        const ThreadFunction &word = groups[groupOf[j]];
        window[j] = zero;
        window[j]->base = word.base != words.front();
        for (auto [bit, x] : llvm::zip_equal(window[j]->bits, word.bits))
          bit = x != 0;
      }
    const unsigned lhs = valueOf(words.front());
    return permute(lhs, words.size() == 2 ? valueOf(words.back()) : lhs, places,
                   window);
  }

  // The word of each group first, then one after the other into the result.
  SmallVector<unsigned> values;
  for (const ThreadFunction &group : groups)
    values.push_back(selectAmong(group, valueOf));
  unsigned result = values.front();
  for (size_t g = 1; g < std::max<size_t>(groups.size(), 2); ++g) {
    SmallVector<std::optional<ThreadFunction>> window(elements.size());
    SmallVector<Element> from = places;
    for (size_t j = 0; j < elements.size(); ++j) {
      if (!elements[j] || groupOf[j] > g)
        continue;
      window[j] = groupOf[j] == g ? one : zero;
      if (g > 1 && groupOf[j] < g) {
        from[j] = zero; // is where it belongs already
        from[j]->base = j;
      }
    }
    result =
        permute(result, g < values.size() ? values[g] : result, from, window);
  }
  return result;
}

/// Finds the maps; false, with the reason, if an element is held by no thread
/// of the warp.
bool Planner::solve(std::string &reason) {
  if (!from.hasWords(wordBits) || !to.hasWords(wordBits)) {
    reason = "the elements that share a register do not move linearly";
    return false;
  }
  Echelon<Place> held;
  for (auto [i, generator] : llvm::enumerate(from.generators)) {
    Place origin{uint64_t(1) << i, 0};
    if (!held.insert(generator.vector, origin))
      replicas.push_back(origin);
  }
  for (auto [i, vector] : llvm::enumerate(from.lanes)) {
    Place origin{0, uint64_t(1) << i};
    if (!held.insert(vector, origin))
      replicas.push_back(origin);
  }
  auto find = [&](uint64_t vector, const Twine &what, Place &place) -> bool {
    held.reduce(vector, place);
    if (vector)
      reason =
          ("what " + what + " adds is held by another warp or by nobody").str();
    return vector == 0;
  };
  for (auto [i, generator] : llvm::enumerate(to.generators)) {
    Place place;
    if (!find(generator.vector, "register " + Twine(generator.registers),
              place))
      return false;
    registersOfQ.push_back(place.reg);
    lanesOfQ.push_back(place.lane);
  }
  for (auto [i, vector] : llvm::enumerate(to.lanes)) {
    Place place;
    if (!find(vector, "lane " + Twine(1 << i), place))
      return false;
    lanePlaces.push_back(place);
  }
  for (auto [i, pair] :
       llvm::enumerate(llvm::zip_equal(to.warps, from.warps))) {
    auto [needed, own] = pair;
    Place place;
    if (!find(needed ^ own, "warp " + Twine(1 << i), place))
      return false;
    warpPlaces.push_back(place);
  }
  return true;
}

/// B, K and S. Among copies of an element a thread takes its own.
void Planner::chooseReaders() {
  Echelon<uint64_t> image;
  for (auto [g, lane] : llvm::enumerate(lanesOfQ)) {
    uint64_t origin = uint64_t(1) << reach.size();
    if (lane && image.insert(lane, origin)) {
      reach.push_back(lane);
      reachGenerators.push_back(g);
    }
  }
  Echelon<Place> copies;
  SmallVector<Place> adjustments;
  for (const Place &replica : replicas)
    if (replica.lane) {
      Place origin = replica;
      if (copies.insert(replica.lane, origin))
        adjustments.push_back(replica);
    }
  for (unsigned i = 0; i < 5; ++i) {
    uint64_t away = lanePlaces[i].lane ^ uint64_t(1) << i;
    Place change;
    copies.reduce(away, change);
    if (away == 0)
      lanePlaces[i] = lanePlaces[i] ^ change;
  }
  Echelon<uint64_t> taken;
  roundOfLane.assign(5, 0);
  for (unsigned i = 0; i < 5; ++i) {
    if (taken.contains(lanePlaces[i].lane)) {
      bool adjusted = false;
      for (const Place &copy : adjustments)
        if (!adjusted && !taken.contains(lanePlaces[i].lane ^ copy.lane)) {
          lanePlaces[i] = lanePlaces[i] ^ copy;
          adjusted = true;
        }
      for (size_t j = 0; j < reach.size() && !adjusted; ++j)
        if (!taken.contains(lanePlaces[i].lane ^ reach[j])) {
          roundOfLane[i] = uint64_t(1) << j;
          adjusted = true;
        }
    }
    reader.push_back(lanePlaces[i].lane ^ apply(reach, roundOfLane[i]));
    uint64_t origin = 0;
    taken.insert(reader.back(), origin);
  }
  readerInverse = invert(reader);
}

/// Every register that a thread may need, from every lane it may be in.
void Planner::emitGather(int64_t source, int64_t result) {
  SmallVector<ThreadFunction> lanes;
  std::map<uint64_t, unsigned> received;
  for (uint64_t word = 0;
       word < uint64_t(1) << (to.generators.size() - wordBits); ++word) {
    SmallVector<Element> elements;
    for (uint64_t place = 0; place < uint64_t(1) << wordBits; ++place) {
      const uint64_t q = word << wordBits | place;
      const ThreadFunction lane = laneFor(q);
      auto *known = llvm::find(lanes, lane);
      const uint64_t number = known - lanes.begin();
      if (known == lanes.end())
        lanes.push_back(lane);
      ThreadFunction element = registerFor(q);
      element.base ^= number << 32;
      elements.push_back(element);
    }
    plan.results[(result + to.registerOf(word << wordBits)) >> wordBits] =
        assemble(elements, [&](uint64_t index) {
          const uint64_t lane = index >> (32 - wordBits);
          const uint64_t from = index & ((uint64_t(1) << (32 - wordBits)) - 1);
          return shuffle(sourceWord(source, from), lanes[lane]);
        });
  }
}

/// Rounds of shuffles, each lane with one reader.
void Planner::emitRounds(int64_t source, int64_t result) {
  // n: a basis of the elements that come from the same lane, and for any
  // element its round i' and its n, by the bits that are in no basis of B.
  SmallVector<uint64_t> same;
  SmallVector<uint64_t> roundOf(to.generators.size(), 0),
      sameOf(to.generators.size(), 0);
  Echelon<uint64_t> image;
  for (auto [j, lane] : llvm::enumerate(reach)) {
    uint64_t origin = uint64_t(1) << j;
    image.insert(lane, origin);
    roundOf[reachGenerators[j]] = origin;
  }
  auto expand = [&](uint64_t round) { // L
    uint64_t q = 0;
    for (size_t j = 0; j < reach.size(); ++j)
      if (round >> j & 1)
        q ^= uint64_t(1) << reachGenerators[j];
    return q;
  };
  SmallVector<std::pair<uint64_t, uint64_t>> candidates; // n, its bit of q
  for (uint64_t g = 0; g < to.generators.size(); ++g) {
    if (llvm::is_contained(reachGenerators, g))
      continue;
    uint64_t lane = lanesOfQ[g], round = 0;
    image.reduce(lane, round);
    roundOf[g] = round;
    candidates.push_back({uint64_t(1) << g ^ expand(round), g});
  }
  // Elements that share a register of the source travel in it; otherwise words
  // are filled with what goes the same way.
  const uint64_t placeMask = (uint64_t(1) << wordBits) - 1;
  auto sharesWord = [&](const std::pair<uint64_t, uint64_t> &candidate) {
    return (apply(registersOfQ, candidate.first) & ~placeMask) == 0;
  };
  for (bool sharing : {true, false})
    for (const auto &candidate : candidates)
      if (sharesWord(candidate) == sharing) {
        sameOf[candidate.second] = uint64_t(1) << same.size();
        same.push_back(candidate.first);
      }
  const unsigned sharing = llvm::count_if(candidates, sharesWord);
  const bool wholeWords = sharing >= wordBits || sharing == candidates.size();
  const unsigned inWord = wholeWords
                              ? std::min<unsigned>(sharing, wordBits)
                              : std::min<unsigned>(candidates.size(), wordBits);
  const uint64_t words = uint64_t(1) << (same.size() - inWord);

  // The register that lane s has to have ready in round `round` for n.
  auto ready = [&](uint64_t n, uint64_t round) {
    auto forReader = [&](uint64_t reader, uint64_t extra) {
      return apply(registersOfQ, expand(apply(roundOfLane, reader) ^ extra)) ^
             [&] {
               uint64_t reg = 0;
               for (unsigned i = 0; i < 5; ++i)
                 if (reader >> i & 1)
                   reg ^= lanePlaces[i].reg;
               return reg;
             }();
    };
    return function(
        apply(registersOfQ, n) ^
            forReader(apply(*readerInverse, apply(reach, round)), round),
        [&](unsigned i) { return forReader((*readerInverse)[i], 0); },
        [&](unsigned i) {
          return forReader(apply(*readerInverse, warpPlaces[i].lane), 0) ^
                 warpPlaces[i].reg;
        });
  };
  SmallVector<unsigned> received;
  for (uint64_t round = 0; round < uint64_t(1) << reach.size(); ++round) {
    const ThreadFunction lane = function(
        apply(reach, round), [&](unsigned i) { return reader[i]; },
        [&](unsigned i) { return warpPlaces[i].lane; });
    for (uint64_t word = 0; word < words; ++word) {
      auto valueOf = [&](uint64_t index) { return sourceWord(source, index); };
      const uint64_t n = apply(same, word << inWord);
      unsigned published;
      if (wholeWords) {
        published = selectAmong(shifted(ready(n, round), wordBits), valueOf);
      } else {
        SmallVector<Element> elements(uint64_t(1) << wordBits);
        for (uint64_t place = 0; place < uint64_t(1) << inWord; ++place)
          elements[place] = ready(n ^ apply(same, place), round);
        published = assemble(elements, valueOf);
      }
      received.push_back(shuffle(published, lane));
    }
  }
  for (uint64_t word = 0;
       word < uint64_t(1) << (to.generators.size() - wordBits); ++word) {
    SmallVector<Element> elements;
    for (uint64_t place = 0; place < uint64_t(1) << wordBits; ++place) {
      const uint64_t q = word << wordBits | place;
      const uint64_t round = apply(roundOf, q), n = apply(sameOf, q);
      ThreadFunction element = function(
          (round * words + (n >> inWord)) << wordBits,
          [&](unsigned i) { return roundOfLane[i] * words << wordBits; },
          [](unsigned) { return 0; });
      if (wholeWords) {
        ThreadFunction inRegister = masked(registerFor(q), placeMask);
        element.base ^= inRegister.base;
        for (auto [bit, x] : llvm::zip_equal(element.bits, inRegister.bits))
          bit ^= x;
      } else {
        element.base ^= n & ((uint64_t(1) << inWord) - 1);
      }
      elements.push_back(element);
    }
    plan.results[(result + to.registerOf(word << wordBits)) >> wordBits] =
        assemble(elements, [&](uint64_t index) { return received[index]; });
  }
}

/// One copy of the atom.
void Planner::emitCopy(int64_t source, int64_t result) {
  const bool moves = !reach.empty() || !isOwnLane(laneFor(0));
  if (moves && readerInverse)
    emitRounds(source, result);
  else
    emitGather(source, result);
}

std::optional<RegisterExchange> Planner::run(std::string &reason) {
  if (!solve(reason))
    return std::nullopt;
  chooseReaders();
  for (const Atom::Copy &copy : to.copies) {
    const auto *source = llvm::find_if(from.copies, [&](const Atom::Copy &c) {
      return c.offset == copy.offset;
    });
    if (source == from.copies.end()) {
      reason = "the layouts repeat in different steps";
      return std::nullopt;
    }
    emitCopy(source->registers, copy.registers);
  }
  return std::move(plan);
}

} // namespace

std::optional<RegisterExchange>
flash_tile::detail::planExchange(const Atom &from, const Atom &to,
                                 int64_t elementBits, std::string &reason) {
  return Planner(from, to, elementBits).run(reason);
}
