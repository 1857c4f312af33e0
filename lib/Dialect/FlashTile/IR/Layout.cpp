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

static Layout::Vector scaled(ArrayRef<int64_t> vector, int64_t factor) {
  Layout::Vector result(vector);
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

/// The lane vectors of every mma accumulator and 16-bit A operand.
static constexpr int64_t mmaLanes[5][2] = {
    {0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}};

namespace {
/// How `warps` tile an extent of rows and columns.
struct WarpGrid {
  int64_t rows, cols;
};
} // namespace

static FailureOr<WarpGrid> getWarpGrid(int64_t warps, int64_t warpCols) {
  if (warps <= 0 || warpCols <= 0 || warps % warpCols != 0)
    return failure();
  return WarpGrid{warps / warpCols, warpCols};
}

/// `extent` is positive and divides into `parts` of a multiple of `atom`.
static bool divides(int64_t extent, int64_t parts, int64_t atom) {
  return extent > 0 && extent % (parts * atom) == 0;
}

FailureOr<Layout> Layout::mmaAccumulator(int64_t rows, int64_t cols,
                                         int64_t warps, int64_t warpCols) {
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(rows, grid->rows, 16) ||
      !divides(cols, grid->cols, 8))
    return failure();
  const int64_t warpRowExtent = rows / grid->rows;
  const int64_t warpColExtent = cols / grid->cols;
  Layout layout(2);
  layout.addRegister({0, 1});
  layout.addRegister({8, 0});
  for (ArrayRef<int64_t> vector : mmaLanes)
    layout.addLane(vector);
  layout.addWarps(grid->rows, {warpRowExtent, 0});
  layout.addWarps(grid->cols, {0, warpColExtent});
  layout.addRepeat(warpColExtent / 8, {0, 8});
  layout.addRepeat(warpRowExtent / 16, {16, 0});
  return layout;
}

FailureOr<Layout> Layout::mmaOperandA(int64_t rows, int64_t depth,
                                      int64_t warps, int64_t warpCols) {
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(rows, grid->rows, 16) || !divides(depth, 1, 16))
    return failure();
  const int64_t warpRowExtent = rows / grid->rows;
  Layout layout(2);
  layout.addRegister({0, 1});
  layout.addRegister({8, 0});
  layout.addRegister({0, 8});
  for (ArrayRef<int64_t> vector : mmaLanes)
    layout.addLane(vector);
  layout.addWarps(grid->rows, {warpRowExtent, 0});
  layout.addWarps(grid->cols, {0, 0});
  layout.addRepeat(depth / 16, {0, 16});
  layout.addRepeat(warpRowExtent / 16, {16, 0});
  return layout;
}

FailureOr<Layout> Layout::mmaOperandB(int64_t depth, int64_t cols,
                                      int64_t warps, int64_t warpCols,
                                      bool transposed) {
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(depth, 1, 16) || !divides(cols, grid->cols, 8))
    return failure();
  const int64_t warpColExtent = cols / grid->cols;
  auto at = [&](int64_t k, int64_t n) {
    return transposed ? Vector{n, k} : Vector{k, n};
  };
  // k = 2t + (v & 1) + 8 (v >> 1), n = g.
  Layout layout(2);
  layout.addRegister(at(1, 0));
  layout.addRegister(at(8, 0));
  for (Vector vector : {at(2, 0), at(4, 0), at(0, 1), at(0, 2), at(0, 4)})
    layout.addLane(vector);
  layout.addWarps(grid->rows, {0, 0});
  layout.addWarps(grid->cols, at(0, warpColExtent));
  layout.addRepeat(depth / 16, at(16, 0));
  layout.addRepeat(warpColExtent / 8, at(0, 8));
  return layout;
}

bool Layout::isMmaAccumulator() const {
  return rank == 2 && registerBases.size() >= 2 &&
         registerBases[0] == Vector{0, 1} && registerBases[1] == Vector{8, 0} &&
         llvm::all_of(llvm::zip_equal(laneBases, mmaLanes), [](auto p) {
           return std::get<0>(p) == ArrayRef<int64_t>(std::get<1>(p));
         });
}

Layout Layout::getOperandA(int64_t depth) const {
  // Rows as in the accumulator; columns become depth, which every warp has
  // whole.
  Layout layout(2);
  layout.registerBases = {{0, 1}, {8, 0}, {0, 8}};
  layout.laneBases = laneBases;
  for (const Vector &basis : warpBases)
    layout.warpBases.push_back({basis[0], 0});
  layout.addRepeat(depth / 16, {0, 16});
  const Layout form = canonical();
  for (const Vector &basis : ArrayRef(form.registerBases).drop_front(2))
    if (basis[0] != 0)
      layout.addRepeat(2, {basis[0], 0});
  for (const Repeat &entry : form.repeats)
    if (entry.stride[0] != 0)
      layout.addRepeat(entry.count, {entry.stride[0], 0});
  for (const Repeat &entry : warpRepeats)
    layout.warpRepeats.push_back({entry.count, {entry.stride[0], 0}});
  return layout;
}

Layout Layout::getOperandB(int64_t depth, bool transposed) const {
  auto at = [&](int64_t k, int64_t n) {
    return transposed ? Vector{n, k} : Vector{k, n};
  };
  Layout layout(2);
  layout.registerBases = {at(1, 0), at(8, 0)};
  layout.laneBases = {at(2, 0), at(4, 0), at(0, 1), at(0, 2), at(0, 4)};
  for (const Vector &basis : warpBases)
    layout.warpBases.push_back(at(0, basis[1]));
  layout.addRepeat(depth / 16, at(16, 0));
  const Layout form = canonical();
  for (const Vector &basis : ArrayRef(form.registerBases).drop_front(2))
    if (basis[1] != 0)
      layout.addRepeat(2, at(0, basis[1]));
  for (const Repeat &entry : form.repeats)
    if (entry.stride[1] != 0)
      layout.addRepeat(entry.count, at(0, entry.stride[1]));
  for (const Repeat &entry : warpRepeats)
    layout.warpRepeats.push_back({entry.count, at(0, entry.stride[1])});
  return layout;
}

/// The warps of a wgmma: 16 rows each within a group, groups down the rows.
static bool isWgmmaShape(int64_t rows, int64_t warps) {
  return warps > 0 && warps % 4 == 0 && divides(rows, warps / 4, 64);
}

FailureOr<Layout> Layout::wgmmaAccumulator(int64_t rows, int64_t cols,
                                           int64_t warps) {
  if (!isWgmmaShape(rows, warps) || !divides(cols, 1, 8))
    return failure();
  const int64_t groups = warps / 4;
  Layout layout(2);
  layout.addRegister({0, 1});
  layout.addRegister({8, 0});
  for (ArrayRef<int64_t> vector : mmaLanes)
    layout.addLane(vector);
  layout.addWarps(4, {16, 0});
  layout.addWarps(groups, {rows / groups, 0});
  layout.addRepeat(cols / 8, {0, 8});
  layout.addRepeat(rows / groups / 64, {64, 0});
  return layout;
}

FailureOr<Layout> Layout::wgmmaOperandA(int64_t rows, int64_t depth,
                                        int64_t warps) {
  if (!isWgmmaShape(rows, warps) || !divides(depth, 1, 16))
    return failure();
  const int64_t groups = warps / 4;
  Layout layout(2);
  layout.addRegister({0, 1});
  layout.addRegister({8, 0});
  layout.addRegister({0, 8});
  for (ArrayRef<int64_t> vector : mmaLanes)
    layout.addLane(vector);
  layout.addWarps(4, {16, 0});
  layout.addWarps(groups, {rows / groups, 0});
  layout.addRepeat(depth / 16, {0, 16});
  layout.addRepeat(rows / groups / 64, {64, 0});
  return layout;
}

FailureOr<Layout> Layout::tcgen05Accumulator(int64_t rows, int64_t cols,
                                             int64_t warps) {
  if (warps <= 0 || cols <= 0 || !divides(rows, warps, 32))
    return failure();
  Layout layout(2);
  for (int64_t row : {1, 2, 4, 8, 16})
    layout.addLane({row, 0});
  layout.addWarps(warps, {32, 0});
  layout.addRepeat(cols, {0, 1});
  layout.addRepeat(rows / (32 * warps), {32 * warps, 0});
  return layout;
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
