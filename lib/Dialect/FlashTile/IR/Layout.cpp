//===- Layout.cpp - Which thread and register holds which element ---------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash_tile;

//===----------------------------------------------------------------------===//
// Attribute <-> value
//===----------------------------------------------------------------------===//

Layout::Layout(int64_t rank) : rank(rank) {}

Layout Layout::fromAttr(LayoutAttr attr) {
  Layout layout(attr.getRank());
  const int64_t rank = attr.getRank();
  auto bases = [&](ArrayRef<int64_t> flat, SmallVector<Vector> &out) {
    for (; !flat.empty(); flat = flat.drop_front(rank))
      out.emplace_back(flat.take_front(rank));
  };
  auto repeats = [&](ArrayRef<int64_t> flat, SmallVector<Repeat> &out) {
    for (; !flat.empty(); flat = flat.drop_front(rank + 1))
      out.push_back({flat.front(), Vector(flat.slice(1, rank))});
  };
  bases(attr.getRegisterBases(), layout.registerBases);
  bases(attr.getLaneBases(), layout.laneBases);
  bases(attr.getWarpBases(), layout.warpBases);
  repeats(attr.getRepeats(), layout.repeats);
  repeats(attr.getWarpRepeats(), layout.warpRepeats);
  return layout;
}

LayoutAttr Layout::toAttr(MLIRContext *context) const {
  auto bases = [](ArrayRef<Vector> vectors) {
    SmallVector<int64_t> flat;
    for (const Vector &vector : vectors)
      llvm::append_range(flat, vector);
    return flat;
  };
  auto counts = [](ArrayRef<Repeat> entries) {
    SmallVector<int64_t> flat;
    for (const Repeat &entry : entries) {
      flat.push_back(entry.count);
      llvm::append_range(flat, entry.stride);
    }
    return flat;
  };
  return LayoutAttr::get(context, rank, bases(registerBases), bases(laneBases),
                         bases(warpBases), counts(repeats),
                         counts(warpRepeats));
}

std::optional<Layout> Layout::get(RankedTensorType type) {
  if (auto attr = dyn_cast_or_null<LayoutAttr>(type.getEncoding()))
    return fromAttr(attr);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

static int64_t countOf(ArrayRef<Layout::Repeat> repeats) {
  int64_t count = 1;
  for (const Layout::Repeat &repeat : repeats)
    count *= repeat.count;
  return count;
}

int64_t Layout::numRegisters() const {
  return countOf(repeats) << registerBases.size();
}

int64_t Layout::numWarps() const {
  return countOf(warpRepeats) << warpBases.size();
}

SmallVector<int64_t> Layout::coordinates(int64_t reg, int64_t lane,
                                         int64_t warp) const {
  // The linear part of all three numbers first, then the repetitions of what
  // is left of register and warp above their linear bits.
  SmallVector<int64_t> coords(rank, 0);
  auto linear = [&](ArrayRef<Vector> bases, int64_t &number) {
    for (const Vector &basis : bases) {
      if (number & 1)
        for (int64_t i = 0; i < rank; ++i)
          coords[i] ^= basis[i];
      number >>= 1;
    }
  };
  auto repeated = [&](ArrayRef<Repeat> entries, int64_t number) {
    for (const Repeat &entry : entries) {
      for (int64_t i = 0; i < rank; ++i)
        coords[i] += (number % entry.count) * entry.stride[i];
      number /= entry.count;
    }
  };
  linear(registerBases, reg);
  linear(laneBases, lane);
  linear(warpBases, warp);
  repeated(repeats, reg);
  repeated(warpRepeats, warp);
  return coords;
}

SmallVector<int64_t> Layout::extents() const {
  // Bits are independent, so the largest XOR along an axis is the OR of the
  // bases, and repetitions add to it.
  SmallVector<int64_t> extents(rank, 0);
  for (ArrayRef<Vector> bases :
       {getRegisterBases(), getLaneBases(), getWarpBases()})
    for (const Vector &basis : bases)
      for (int64_t i = 0; i < rank; ++i)
        extents[i] |= basis[i];
  for (ArrayRef<Repeat> entries : {getRepeats(), getWarpRepeats()})
    for (const Repeat &entry : entries)
      for (int64_t i = 0; i < rank; ++i)
        extents[i] += (entry.count - 1) * entry.stride[i];
  for (int64_t &extent : extents)
    ++extent;
  return extents;
}

bool Layout::covers(ArrayRef<int64_t> shape) const {
  if (static_cast<int64_t>(shape.size()) != rank)
    return false;
  // More elements than threads have registers need no looking at.
  const int64_t held = numRegisters() * numLanes() * numWarps();
  int64_t elements = 1;
  for (int64_t extent : shape) {
    if (extent > held)
      return false;
    elements *= extent;
    if (elements > held)
      return false;
  }
  llvm::BitVector isHeld(elements);
  for (int64_t warp = 0, nw = numWarps(); warp < nw; ++warp)
    for (int64_t lane = 0; lane < numLanes(); ++lane)
      for (int64_t reg = 0, nr = numRegisters(); reg < nr; ++reg) {
        SmallVector<int64_t> coords = coordinates(reg, lane, warp);
        int64_t linear = 0;
        bool inside = true;
        for (auto [coord, extent] : llvm::zip_equal(coords, shape)) {
          inside &= coord < extent;
          linear = linear * extent + coord;
        }
        if (inside)
          isHeld.set(linear);
      }
  return isHeld.all();
}

bool Layout::isWithin(ArrayRef<int64_t> shape) const {
  return static_cast<int64_t>(shape.size()) == rank &&
         llvm::all_of(llvm::zip_equal(extents(), shape), [](auto pair) {
           return std::get<0>(pair) <= std::get<1>(pair);
         });
}

Layout::Vector Layout::scaled(ArrayRef<int64_t> vector, int64_t factor) {
  Vector result(vector);
  for (int64_t &x : result)
    x *= factor;
  return result;
}

Layout Layout::canonical() const {
  Layout result(*this);
  result.repeats.clear();
  result.warpRepeats.clear();
  Vector used(rank, 0);
  for (ArrayRef<Vector> bases :
       {getRegisterBases(), getLaneBases(), getWarpBases()})
    for (const Vector &basis : bases)
      for (int64_t i = 0; i < rank; ++i)
        used[i] |= basis[i];
  auto fold = [&](ArrayRef<Repeat> entries, SmallVector<Vector> &bases,
                  SmallVector<Repeat> &rest) {
    for (Repeat entry : entries) {
      // Adding a bit that nothing else sets is XORing it. The bits of a number
      // are counted from the bases up, so nothing folds behind a repeat.
      auto folds = [&] {
        return rest.empty() && entry.count % 2 == 0 &&
               llvm::all_of(llvm::zip_equal(entry.stride, used), [](auto p) {
                 auto [x, mask] = p;
                 return x == 0 || (llvm::isPowerOf2_64(x) && !(x & mask));
               });
      };
      for (; folds(); entry.count /= 2) {
        bases.push_back(entry.stride);
        for (int64_t i = 0; i < rank; ++i) {
          used[i] |= entry.stride[i];
          entry.stride[i] *= 2;
        }
      }
      if (entry.count == 1)
        continue;
      if (!rest.empty() &&
          scaled(rest.back().stride, rest.back().count) == entry.stride)
        rest.back().count *= entry.count;
      else
        rest.push_back(entry);
    }
  };
  fold(repeats, result.registerBases, result.repeats);
  fold(warpRepeats, result.warpBases, result.warpRepeats);
  return result;
}

bool Layout::isSameFunction(const Layout &other) const {
  if (rank != other.rank || numRegisters() != other.numRegisters() ||
      numWarps() != other.numWarps())
    return false;
  if (canonical() == other.canonical())
    return true;
  for (int64_t warp = 0, nw = numWarps(); warp < nw; ++warp)
    for (int64_t lane = 0; lane < numLanes(); ++lane)
      for (int64_t reg = 0, nr = numRegisters(); reg < nr; ++reg)
        if (coordinates(reg, lane, warp) != other.coordinates(reg, lane, warp))
          return false;
  return true;
}

Layout Layout::slice(int64_t axis) const {
  Layout result(rank - 1);
  auto drop = [&](ArrayRef<int64_t> vector) {
    Vector rest(vector);
    rest.erase(rest.begin() + axis);
    return rest;
  };
  auto isZero = [](ArrayRef<int64_t> vector) {
    return llvm::all_of(vector, [](int64_t x) { return x == 0; });
  };
  // A register vector that was zero already is a copy that the thread keeps;
  // only what moved along the reduced axis alone disappears.
  for (const Vector &basis : registerBases)
    if (Vector rest = drop(basis); !isZero(rest) || isZero(basis))
      result.registerBases.push_back(rest);
  for (const Vector &basis : laneBases)
    result.laneBases.push_back(drop(basis));
  for (const Vector &basis : warpBases)
    result.warpBases.push_back(drop(basis));
  for (const Repeat &entry : repeats)
    if (Vector rest = drop(entry.stride); !isZero(rest) || isZero(entry.stride))
      result.repeats.push_back({entry.count, rest});
  for (const Repeat &entry : warpRepeats)
    result.warpRepeats.push_back({entry.count, drop(entry.stride)});
  return result;
}

bool Layout::isContractionOrder(ArrayRef<int64_t> order) {
  const int64_t slots = order.size();
  if (slots == 0 || !llvm::isPowerOf2_64(slots))
    return false;
  llvm::BitVector seen(slots);
  for (int64_t slot = 0; slot < slots; ++slot) {
    // The image of a slot is that of its lowest bit XOR that of the rest.
    const int64_t rest = slot & (slot - 1);
    if (order[slot] < 0 || order[slot] >= slots ||
        order[slot] != (rest ? order[slot ^ rest] ^ order[rest] : order[slot]))
      return false;
    seen.set(order[slot]);
  }
  return seen.all();
}

FailureOr<Layout> Layout::permuted(int64_t axis,
                                   ArrayRef<int64_t> order) const {
  assert(isContractionOrder(order) && "a linear permutation");
  const int64_t slots = order.size();
  // A sum carries where an XOR does not, so repeats may only move what the
  // order leaves alone; what can be spelled as vectors is, first.
  Layout result = canonical();
  for (ArrayRef<Repeat> entries : {result.getRepeats(), result.getWarpRepeats()})
    for (const Repeat &entry : entries)
      if (entry.stride[axis] % slots != 0)
        return failure();
  for (SmallVector<Vector> *bases :
       {&result.registerBases, &result.laneBases, &result.warpBases})
    for (Vector &basis : *bases) {
      const int64_t slot = basis[axis] % slots;
      basis[axis] = basis[axis] - slot + order[slot];
    }
  return result;
}

//===----------------------------------------------------------------------===//
// Construction
//===----------------------------------------------------------------------===//

void Layout::addRegister(ArrayRef<int64_t> vector) {
  registerBases.emplace_back(vector);
}

void Layout::addLane(ArrayRef<int64_t> vector) {
  laneBases.emplace_back(vector);
}

void Layout::addRepeat(int64_t count, ArrayRef<int64_t> stride) {
  if (count > 1)
    repeats.push_back({count, Vector(stride)});
}

/// True for a vector whose entries are zero or powers of two. XOR of its
/// power-of-two multiples is then the same as their sum.
static bool isPowerOfTwoVector(ArrayRef<int64_t> vector) {
  return llvm::all_of(
      vector, [](int64_t x) { return x == 0 || llvm::isPowerOf2_64(x); });
}

void Layout::addWarps(int64_t count, ArrayRef<int64_t> stride) {
  // With 96 rows on two warps of 48 the stride is no power of two: adding 48
  // is not XORing 48 into rows 0..47, so those warps are a repeat too. Bases
  // bind to the low bits of the warp number, so they cannot follow a repeat.
  int64_t linear = 1;
  if (isPowerOfTwoVector(stride) && warpRepeats.empty())
    for (; count % 2 == 0; count /= 2, linear *= 2)
      warpBases.push_back(scaled(stride, linear));
  if (count > 1)
    warpRepeats.push_back({count, scaled(stride, linear)});
}

FailureOr<Layout> Layout::blocked(ArrayRef<int64_t> shape, int64_t elementBytes,
                                  int64_t vectorBytes, int64_t warps) {
  if (shape.empty() || shape.size() > 2 || warps <= 0 || elementBytes <= 0 ||
      vectorBytes < elementBytes ||
      llvm::any_of(shape, [](int64_t extent) { return extent <= 0; }))
    return failure();
  const int64_t rank = shape.size();
  const int64_t cols = shape.back();
  const int64_t rows = rank == 2 ? shape.front() : 1;
  auto at = [&](int64_t row, int64_t col) {
    return rank == 2 ? Vector{row, col} : Vector{col};
  };
  // The largest power of two that divides `number`, at most `limit`.
  auto powerOfTwoIn = [](int64_t number, int64_t limit) {
    int64_t power = 1;
    while (power * 2 <= limit && number % (power * 2) == 0)
      power *= 2;
    return power;
  };

  Layout layout(rank);
  const int64_t vector = powerOfTwoIn(cols, vectorBytes / elementBytes);
  for (int64_t col = 1; col < vector; col *= 2)
    layout.addRegister(at(0, col));

  // A vector has no rows to go down: all lanes go along it, beyond its end if
  // need be, then the warps do.
  if (rank == 1) {
    for (int64_t lane = 1; lane < numLanes(); lane *= 2)
      layout.addLane(at(0, lane * vector));
    layout.addWarps(warps, at(0, numLanes() * vector));
    layout.addRepeat(llvm::divideCeil(cols, numLanes() * vector * warps),
                     at(0, numLanes() * vector * warps));
    return layout;
  }

  const int64_t chunks = cols / vector;
  const int64_t lanesAlongRow = powerOfTwoIn(chunks, 8);
  const int64_t lanesDownRows = numLanes() / lanesAlongRow;
  for (int64_t lane = 1; lane < lanesAlongRow; lane *= 2)
    layout.addLane(at(0, lane * vector));
  for (int64_t lane = 1; lane < lanesDownRows; lane *= 2)
    layout.addLane(at(lane, 0));
  layout.addWarps(warps, at(lanesDownRows, 0));
  layout.addRepeat(chunks / lanesAlongRow, at(0, lanesAlongRow * vector));
  layout.addRepeat(llvm::divideCeil(rows, lanesDownRows * warps),
                   at(lanesDownRows * warps, 0));
  return layout;
}
