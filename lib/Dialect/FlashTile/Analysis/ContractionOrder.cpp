//===- ContractionOrder.cpp - In which order a product may sum ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread t holds under `from` the elements F t + span(R), where F are its
// lane and warp vectors and R its register vectors, and needs under `to` the
// elements T t + span(Q). A permutation s of the low bits of the contraction
// index, linear over GF(2), makes the conversion a renaming of registers if
//
//     s(T e) + F e  in span(R)   for every bit e of the thread number,
//     s(q)          in span(R)   for every register vector q.
//
// These are linear in the images of the index's bits. The images are chosen bit
// by bit, smallest first, and a choice is dropped as soon as one of the
// conditions over the bits chosen so far fails, so that what is found first is
// also the order that moves least. m16n8k8 tf32 fed by an accumulator:
//
//     from  lanes (0,2) (0,4) | rows    registers (0,1) (8,0) (0,8) ...
//     to    lanes (0,1) (0,2) | rows    registers (8,0) (0,4) (0,8) ...
//
// forces s(1) = 2 and s(2) = 4 up to span(R), and s(4) in span(R) independent
// of those: 1. Slot by slot that is [0, 2, 4, 6, 1, 3, 5, 7].
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

/// A vector of a layout as one number: the contraction index in the low half,
/// the other coordinate above. XOR is their sum.
using Packed = uint64_t;
constexpr unsigned otherShift = 32;

/// A subspace over GF(2), as a basis in echelon form.
class Subspace {
public:
  void insert(Packed vector) {
    if (Packed rest = reduce(vector))
      basis.push_back(rest);
  }
  bool contains(Packed vector) const { return reduce(vector) == 0; }

private:
  /// `vector` without the leading bits of the basis.
  Packed reduce(Packed vector) const {
    for (Packed element : basis)
      vector = std::min(vector, vector ^ element);
    return vector;
  }
  SmallVector<Packed> basis;
};

/// s(needed) + held must lie within what a thread's registers hold.
struct Condition {
  Packed needed, held;
  /// Which thread bit it is about, for people; empty for a register.
  std::string what;
};

class OrderSearch {
public:
  OrderSearch(const ConversionQuery &query)
      : axis(query.contraction->axis), mask(query.contraction->slots - 1),
        bits(llvm::Log2_64(query.contraction->slots)), images(bits) {
    const Layout from = query.from.canonical(), to = query.to.canonical();
    for (const Layout::Vector &vector : from.getRegisterBases())
      registers.insert(pack(vector));
    // Copies at 1, 2, 4, ... strides, where adding is XORing.
    for (const Layout::Repeat &entry : from.getRepeats())
      for (int64_t step = 1; 2 * step <= entry.count; step *= 2)
        registers.insert(pack(entry.stride) * step);

    for (const Layout::Vector &vector : to.getRegisterBases())
      conditions.push_back({pack(vector), 0, ""});
    addThreads(from.getLaneBases(), to.getLaneBases(), "lane");
    addThreads(from.getWarpBases(), to.getWarpBases(), "warp");
  }

  /// Calls `accept` with one order after the other until it agrees.
  bool run(function_ref<bool(ArrayRef<int64_t>)> accept) {
    return holds(0) && choose(0, accept);
  }

  /// The condition that failed with the most bits chosen.
  std::string explain() const {
    if (failedWith.empty())
      return "every order splits registers";
    return failedWith;
  }

private:
  Packed pack(ArrayRef<int64_t> vector) const {
    return Packed(vector[axis]) | Packed(vector[1 - axis]) << otherShift;
  }

  void addThreads(ArrayRef<Layout::Vector> from, ArrayRef<Layout::Vector> to,
                  StringRef what) {
    for (auto [i, pair] : llvm::enumerate(llvm::zip(from, to)))
      conditions.push_back({pack(std::get<1>(pair)), pack(std::get<0>(pair)),
                            (what + " " + Twine(1 << i)).str()});
  }

  Packed image(Packed vector) const {
    Packed result = vector & ~mask;
    for (unsigned bit = 0; bit < bits; ++bit)
      if (vector >> bit & 1)
        result ^= images[bit];
    return result;
  }

  /// The conditions whose last bit is number `chosen` - 1 hold (those without
  /// any bit for 0).
  bool holds(unsigned chosen) {
    for (const Condition &condition : conditions) {
      const Packed low = condition.needed & mask;
      if ((low ? llvm::Log2_64(low) + 1 : 0) != chosen)
        continue;
      if (!registers.contains(image(condition.needed) ^ condition.held)) {
        if (chosen >= failedAt)
          fail(condition, chosen);
        return false;
      }
    }
    return true;
  }

  void fail(const Condition &condition, unsigned chosen) {
    failedAt = chosen;
    auto text = [&](Packed vector) {
      int64_t coords[2];
      coords[axis] = vector & ((Packed(1) << otherShift) - 1);
      coords[1 - axis] = vector >> otherShift;
      return ("(" + Twine(coords[0]) + ", " + Twine(coords[1]) + ")").str();
    };
    failedWith = condition.what.empty()
                     ? "no order of the " + std::to_string(mask + 1) +
                           " slots leaves a thread " + text(condition.needed)
                     : condition.what + " holds " + text(condition.held) +
                           " and needs " + text(condition.needed) +
                           ", which no order of the " +
                           std::to_string(mask + 1) + " slots reconciles";
  }

  bool choose(unsigned bit, function_ref<bool(ArrayRef<int64_t>)> accept) {
    if (bit == bits) {
      SmallVector<int64_t> order;
      for (Packed slot = 0; slot <= mask; ++slot)
        order.push_back(image(slot));
      return accept(order);
    }
    Subspace taken;
    for (unsigned earlier = 0; earlier < bit; ++earlier)
      taken.insert(images[earlier]);
    for (Packed candidate = 1; candidate <= mask; ++candidate) {
      if (taken.contains(candidate))
        continue;
      images[bit] = candidate;
      if (holds(bit + 1) && choose(bit + 1, accept))
        return true;
    }
    return false;
  }

  int64_t axis;
  Packed mask;
  unsigned bits;
  /// What bit i of the contraction index becomes.
  SmallVector<Packed> images;
  Subspace registers;
  SmallVector<Condition> conditions;
  unsigned failedAt = 0;
  std::string failedWith;
};

} // namespace

std::optional<OrderedContraction> flash_tile::findContractionOrder(
    const ConversionQuery &query,
    function_ref<std::optional<SmallVector<int64_t>>(const Layout &)> rename,
    std::string &reason) {
  if (!query.contraction) {
    reason = query.contractionReason;
    return std::nullopt;
  }
  if (query.from.getRank() != 2 || query.to.getRank() != 2) {
    reason = "an operand has two axes";
    return std::nullopt;
  }
  const int64_t axis = query.contraction->axis;
  std::optional<OrderedContraction> found;
  OrderSearch search(query);
  search.run([&](ArrayRef<int64_t> order) {
    FailureOr<Layout> result = query.to.permuted(axis, order);
    if (failed(result))
      return false;
    std::optional<SmallVector<int64_t>> permutation = rename(*result);
    if (!permutation)
      return false;
    found = OrderedContraction{llvm::to_vector(order), *permutation, *result};
    return true;
  });
  if (!found)
    reason = search.explain();
  return found;
}
