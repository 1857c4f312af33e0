//===- InstructionLayouts.cpp - Layouts that instructions fix -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The fragments of mma.sync (PTX ISA, "Matrix Fragments for mma.m16n8k8",
// ".m16n8k16", ".m16n8k32"), of wgmma ("Register Fragments for
// wgmma.mma_async") and of tcgen05.ld. Lane = 4 g + t everywhere; a register
// word holds e = 32 / (bits of an element) neighbours along the depth, so that
// three instructions are one formula:
//
//     operand    register bits                      lane bits
//     A          k 1 .. e/2 | row 8 | k 4 e         k e, 2 e | row 1, 2, 4
//     B          k 1 .. e/2 | k 4 e                 k e, 2 e | col 1, 2, 4
//
//     e    instruction           depth 8 e
//     1    m16n8k8   tf32             8
//     2    m16n8k16  f16, bf16       16
//     4    m16n8k32  e4m3, e5m2, s8  32
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash_tile;

/// The lane vectors of every accumulator.
static constexpr int64_t accumulatorLanes[5][2] = {
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

int64_t flash_tile::getElementBits(Type elementType) {
  // tf32 has 19 bits that mean something and is kept in 32.
  return elementType.isTF32() ? 32 : elementType.getIntOrFloatBitWidth();
}

int64_t Layout::getInstructionDepth(int64_t elementBits) {
  assert((elementBits == 8 || elementBits == 16 || elementBits == 32) &&
         "elements of 8, 16 or 32 bits");
  return 256 / elementBits;
}

void Layout::addAccumulatorAtom(int64_t columnStep) {
  // Columns first, so that a thread's run of them is one of registers.
  for (int64_t step = 1; step <= columnStep; step *= 2)
    addRegister({0, step});
  addRegister({8, 0});
  for (ArrayRef<int64_t> vector : accumulatorLanes)
    addLane({vector[0], vector[1] * columnStep});
}

void Layout::addOperandAtom(int64_t elementBits, const Vector &k,
                            const Vector &other, bool isA) {
  const int64_t inWord = getInstructionDepth(elementBits) / 8;
  for (int64_t step = 1; step < inWord; step *= 2)
    addRegister(scaled(k, step));
  if (isA)
    addRegister(scaled(other, 8));
  addRegister(scaled(k, 4 * inWord));
  addLane(scaled(k, inWord));
  addLane(scaled(k, 2 * inWord));
  for (int64_t step : {1, 2, 4})
    addLane(scaled(other, step));
}

FailureOr<Layout> Layout::mmaAccumulator(int64_t rows, int64_t cols,
                                         int64_t warps, int64_t warpCols,
                                         int64_t columnStep) {
  assert(llvm::isPowerOf2_64(columnStep) &&
         "atoms that fill each other's gaps");
  const int64_t atomCols = 8 * columnStep;
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(rows, grid->rows, 16) ||
      !divides(cols, grid->cols, atomCols))
    return failure();
  const int64_t warpRowExtent = rows / grid->rows;
  const int64_t warpColExtent = cols / grid->cols;
  Layout layout(2);
  layout.addAccumulatorAtom(columnStep);
  layout.addWarps(grid->rows, {warpRowExtent, 0});
  layout.addWarps(grid->cols, {0, warpColExtent});
  layout.addRepeat(warpColExtent / atomCols, {0, atomCols});
  layout.addRepeat(warpRowExtent / 16, {16, 0});
  return layout;
}

FailureOr<Layout> Layout::mmaOperandA(int64_t rows, int64_t depth,
                                      int64_t warps, int64_t warpCols,
                                      int64_t elementBits) {
  const int64_t step = getInstructionDepth(elementBits);
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(rows, grid->rows, 16) ||
      !divides(depth, 1, step))
    return failure();
  const int64_t warpRowExtent = rows / grid->rows;
  Layout layout(2);
  layout.addOperandAtom(elementBits, {0, 1}, {1, 0}, /*isA=*/true);
  layout.addWarps(grid->rows, {warpRowExtent, 0});
  layout.addWarps(grid->cols, {0, 0});
  layout.addRepeat(depth / step, {0, step});
  layout.addRepeat(warpRowExtent / 16, {16, 0});
  return layout;
}

FailureOr<Layout> Layout::mmaOperandB(int64_t depth, int64_t cols,
                                      int64_t warps, int64_t warpCols,
                                      bool transposed, int64_t elementBits) {
  const int64_t step = getInstructionDepth(elementBits);
  FailureOr<WarpGrid> grid = getWarpGrid(warps, warpCols);
  if (failed(grid) || !divides(depth, 1, step) || !divides(cols, grid->cols, 8))
    return failure();
  const int64_t warpColExtent = cols / grid->cols;
  const Vector k = transposed ? Vector{0, 1} : Vector{1, 0};
  const Vector n = transposed ? Vector{1, 0} : Vector{0, 1};
  Layout layout(2);
  layout.addOperandAtom(elementBits, k, n, /*isA=*/false);
  layout.addWarps(grid->rows, {0, 0});
  layout.addWarps(grid->cols, scaled(n, warpColExtent));
  layout.addRepeat(depth / step, scaled(k, step));
  layout.addRepeat(warpColExtent / 8, scaled(n, 8));
  return layout;
}

/// How far apart neighbouring columns of an instruction are: 1, or more where
/// they are spread over a wider tile; 0 for what is no accumulator.
static int64_t getColumnStep(const Layout &layout) {
  if (layout.getRank() != 2)
    return 0;
  const int64_t step =
      layout.getLaneBases().front()[1] / accumulatorLanes[0][1];
  ArrayRef<Layout::Vector> registers = layout.getRegisterBases();
  if (!llvm::isPowerOf2_64(step) ||
      !llvm::is_contained(registers, Layout::Vector{0, step}) ||
      !llvm::is_contained(registers, Layout::Vector{8, 0}))
    return 0;
  for (auto [vector, expected] :
       llvm::zip_equal(layout.getLaneBases(), accumulatorLanes))
    if (vector != Layout::Vector{expected[0], expected[1] * step})
      return 0;
  return step;
}

bool Layout::isMmaAccumulator() const { return getColumnStep(*this) != 0; }

Layout Layout::getOperandA(int64_t depth, int64_t elementBits) const {
  // Rows as in the accumulator; columns become depth, which every warp has
  // whole.
  const int64_t step = getInstructionDepth(elementBits);
  Layout layout(2);
  layout.addOperandAtom(elementBits, {0, 1}, {1, 0}, /*isA=*/true);
  for (const Vector &basis : warpBases)
    layout.warpBases.push_back({basis[0], 0});
  layout.addRepeat(depth / step, {0, step});
  const Layout form = canonical();
  for (const Vector &basis : form.registerBases)
    if (basis[0] != 0 && basis != Vector{8, 0})
      layout.addRepeat(2, {basis[0], 0});
  for (const Repeat &entry : form.repeats)
    if (entry.stride[0] != 0)
      layout.addRepeat(entry.count, {entry.stride[0], 0});
  for (const Repeat &entry : warpRepeats)
    layout.warpRepeats.push_back({entry.count, {entry.stride[0], 0}});
  return layout;
}

Layout Layout::getOperandB(int64_t depth, bool transposed,
                           int64_t elementBits) const {
  const int64_t step = getInstructionDepth(elementBits);
  const int64_t columnStep = getColumnStep(*this);
  const Vector k = transposed ? Vector{0, 1} : Vector{1, 0};
  const Vector n = transposed ? Vector{1, 0} : Vector{0, 1};
  Layout layout(2);
  layout.addOperandAtom(elementBits, k, scaled(n, columnStep), /*isA=*/false);
  for (const Vector &basis : warpBases)
    layout.warpBases.push_back(scaled(n, basis[1]));
  layout.addRepeat(depth / step, scaled(k, step));
  const Layout form = canonical();
  for (const Vector &basis : form.registerBases)
    if (basis[1] != 0 && basis != Vector{0, columnStep})
      layout.addRepeat(2, scaled(n, basis[1]));
  for (const Repeat &entry : form.repeats)
    if (entry.stride[1] != 0)
      layout.addRepeat(entry.count, scaled(n, entry.stride[1]));
  for (const Repeat &entry : warpRepeats)
    layout.warpRepeats.push_back({entry.count, scaled(n, entry.stride[1])});
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
  layout.addAccumulatorAtom();
  layout.addWarps(4, {16, 0});
  layout.addWarps(groups, {rows / groups, 0});
  layout.addRepeat(cols / 8, {0, 8});
  layout.addRepeat(rows / groups / 64, {64, 0});
  return layout;
}

FailureOr<Layout> Layout::wgmmaOperandA(int64_t rows, int64_t depth,
                                        int64_t warps, int64_t elementBits) {
  const int64_t step = getInstructionDepth(elementBits);
  if (!isWgmmaShape(rows, warps) || !divides(depth, 1, step))
    return failure();
  const int64_t groups = warps / 4;
  Layout layout(2);
  layout.addOperandAtom(elementBits, {0, 1}, {1, 0}, /*isA=*/true);
  layout.addWarps(4, {16, 0});
  layout.addWarps(groups, {rows / groups, 0});
  layout.addRepeat(depth / step, {0, step});
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
