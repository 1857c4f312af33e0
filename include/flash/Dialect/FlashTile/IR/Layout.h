//===- Layout.h - Which thread and register holds which element -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_LAYOUT_H
#define FLASH_DIALECT_FLASHTILE_IR_LAYOUT_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "llvm/ADT/SmallVector.h"

namespace mlir::flash_tile {

/// Bits that an element occupies in registers and memory: its width, and 32 for
/// tf32, whose width is 19.
int64_t getElementBits(Type elementType);

/// A layout: the function (register, lane, warp) -> coordinates of an element.
///
/// Why a class and not a handful of cases. A tensor-core instruction fixes
/// which lane holds which element of each operand, and attention feeds the
/// result of one instruction (S = Q K^T) to another one (P V). Whether that
/// costs nothing, a renaming of registers, a few shuffles or a trip through
/// shared memory is a question about two such functions, so they must be
/// values that can be compared and evaluated.
///
/// The accumulator of `mma.sync m16n8` (PTX ISA, "Matrix fragments for
/// mma.m16n8k16"). Each cell shows lane:register; with g = lane / 4 and
/// t = lane % 4, register v sits in row g + 8 (v >> 1), column 2 t + (v & 1):
///
///             col 0   1     2    3     4    5     6    7
///     row 0 | 0:0  0:1 |  1:0  1:1 | 2:0  2:1 | 3:0  3:1
///     row 1 | 4:0  4:1 |  5:0  5:1 | 6:0  6:1 | 7:0  7:1
///       ...
///     row 7 |28:0 28:1 | 29:0 29:1 |30:0 30:1 |31:0 31:1
///     row 8 | 0:2  0:3 |  1:2  1:3 | 2:2  2:3 | 3:2  3:3
///       ...
///
/// Every bit of the register and of the lane number moves the element by a
/// power of two, independently of the others, so the map is linear over GF(2)
/// and five lane vectors and two register vectors say all of it:
///
///     register bit  vector (row, col)        lane bit  vector (row, col)
///          0            (0, 1)                   0         (0, 2)
///          1            (8, 0)                   1         (0, 4)
///                                                2         (1, 0)
///                                                3         (2, 0)
///                                                4         (4, 0)
///
/// The coordinate is the XOR of the vectors of the set bits: lane 13 = 0b01101
/// holds in register 2 the element (0,2)^(1,0)^(2,0)^(8,0) = row 11, column 2.
///
/// Linear maps cover powers of two only, while 80 columns, 96-wide heads or
/// three warps are ordinary. So the linear map is an *atom* and `repeats` lay
/// copies of it side by side, any number of them; each copy adds registers, the
/// first repeat fastest. 16 x 80 of S is the atom above with `[10, 0, 8]`:
///
///     register   0..3            4..7             ...   36..39
///     columns    0..7            8..15                  72..79
///
/// The A operand of m16n8k16 (16-bit) has a third register vector, (0, 8), and
/// its atom is 16 wide. Register 4j + v of the accumulator and register
/// 8 (j / 2) + 4 (j % 2) + v of the operand are the same number and hold the
/// same element, for every lane: the two layouts are one function, written
/// twice. That is why P feeds the second product with no exchange of data.
///
/// Warps work as lanes do: `warpBases` for each bit of the warp number, and
/// `warpRepeats` when their number is no power of two. The zero vector means
/// replication: the bit does not move the element, so several threads hold it
/// (the B operand is shared by all warps; a row statistic by a quad of lanes).
///
/// A layout has no extents of its own. A tile may be smaller than what the
/// layout reaches: elements outside the tile's extents are held by nobody, and
/// every op skips them. It must never be larger: see covers().
class Layout {
public:
  using Vector = SmallVector<int64_t, 2>;
  /// `count` copies, each `stride` further than the one before.
  struct Repeat {
    int64_t count;
    Vector stride;
    bool operator==(const Repeat &other) const = default;
  };

  Layout() = default;
  explicit Layout(int64_t rank);

  /// The value of an attribute, and back. The round trip is exact.
  static Layout fromAttr(LayoutAttr attr);
  LayoutAttr toAttr(MLIRContext *context) const;
  /// The layout of a tile; none if the type carries none.
  static std::optional<Layout> get(RankedTensorType type);

  int64_t getRank() const { return rank; }
  ArrayRef<Vector> getRegisterBases() const { return registerBases; }
  ArrayRef<Vector> getLaneBases() const { return laneBases; }
  ArrayRef<Vector> getWarpBases() const { return warpBases; }
  ArrayRef<Repeat> getRepeats() const { return repeats; }
  ArrayRef<Repeat> getWarpRepeats() const { return warpRepeats; }

  /// Elements that each thread holds, replicated ones and ones outside the
  /// tile's extents included.
  int64_t numRegisters() const;
  static constexpr int64_t numLanes() { return 32; }
  int64_t numWarps() const;

  /// Coordinates of the element in register `reg` of lane `lane` of warp
  /// `warp`; `rank` numbers. Each argument must be in its range.
  SmallVector<int64_t> coordinates(int64_t reg, int64_t lane,
                                   int64_t warp) const;

  /// Extents that contain every coordinate.
  SmallVector<int64_t> extents() const;
  /// Every element of a tile of `shape` is held by some thread.
  bool covers(ArrayRef<int64_t> shape) const;
  /// No thread holds anything outside a tile of `shape`.
  bool isWithin(ArrayRef<int64_t> shape) const;

  /// Layout of what remains of the tile when `axis` is reduced: the coordinate
  /// is dropped, and with it the register vectors and repeats that moved along
  /// `axis` alone. Lane and warp vectors that become zero stay: those threads
  /// hold copies of the result.
  Layout slice(int64_t axis) const;

  /// Threads that hold different elements of one line along `axis`: lanes and
  /// warps that move along it.
  int64_t countParts(int64_t axis) const;

  /// The same function with every repeat that is a power of two, and that no
  /// carry can reach, spelled as vectors, and adjacent repeats joined. Equal
  /// canonical forms are equal functions; see isSameFunction() for the
  /// converse.
  Layout canonical() const;

  /// The same function: equal counts of registers and warps and the same
  /// coordinates for every (register, lane, warp). `==` compares the spelling.
  /// Decides by canonical form where that settles it, else by evaluation.
  bool isSameFunction(const Layout &other) const;
  bool operator==(const Layout &other) const = default;

  /// Whether `order` is a permutation of 0 .. size - 1 that is linear over
  /// GF(2): the size is a power of two and order[i ^ j] = order[i] ^ order[j].
  static bool isContractionOrder(ArrayRef<int64_t> order);

  /// The layout that holds element order[s] of every aligned group of
  /// order.size() elements along `axis` where this one holds element s. For an
  /// instruction's A operand, `order` being the logical index that each slot of
  /// its depth stands for, these are the logical coordinates of the registers.
  /// `order` must be a contraction order. Fails where a repeat moves inside a
  /// group.
  FailureOr<Layout> permuted(int64_t axis, ArrayRef<int64_t> order) const;

  //===--------------------------------------------------------------------===//
  // Layouts of instructions, in InstructionLayouts.cpp. Each returns failure
  // when the extents do not divide as stated. Operands have elements of 8, 16
  // or 32 bits (tf32).
  //===--------------------------------------------------------------------===//

  /// Depth of one mma.sync m16n8 or wgmma: 32 bytes of elements.
  static int64_t getInstructionDepth(int64_t elementBits);

  /// Accumulator (C and D of every m16n8 mma) of a rows x cols tile. The warps
  /// form a grid of (warps / warpCols) x warpCols, the row of the grid varying
  /// fastest; each owns consecutive rows and columns. Needs rows a multiple of
  /// 16 per warp row and cols a multiple of 8 per warp column.
  ///
  /// With a `columnStep` of 2, 4, ... the eight columns of an instruction are
  /// that far apart, and as many instructions as it says fill the gaps: a
  /// thread holds runs of 2 * columnStep columns. Then cols must be a multiple
  /// of 8 * columnStep per warp column.
  static FailureOr<Layout> mmaAccumulator(int64_t rows, int64_t cols,
                                          int64_t warps, int64_t warpCols = 1,
                                          int64_t columnStep = 1);
  /// A operand of m16n8k8, k16 or k32, rows x depth, depth a multiple of the
  /// instruction's; all columns of the warp grid hold the same.
  static FailureOr<Layout> mmaOperandA(int64_t rows, int64_t depth,
                                       int64_t warps, int64_t warpCols = 1,
                                       int64_t elementBits = 16);
  /// B operand of m16n8k8, k16 or k32, depth x cols, or cols x depth if
  /// `transposed`; all rows of the warp grid hold the same.
  static FailureOr<Layout> mmaOperandB(int64_t depth, int64_t cols,
                                       int64_t warps, int64_t warpCols = 1,
                                       bool transposed = false,
                                       int64_t elementBits = 16);
  /// Accumulator of wgmma, 64 rows per warp group of 4 warps; each group owns
  /// consecutive rows. Needs rows a multiple of 64 per group, cols of 8.
  static FailureOr<Layout> wgmmaAccumulator(int64_t rows, int64_t cols,
                                            int64_t warps);
  /// A operand of wgmma from registers.
  static FailureOr<Layout> wgmmaOperandA(int64_t rows, int64_t depth,
                                         int64_t warps,
                                         int64_t elementBits = 16);
  /// What tcgen05.ld.32x32b leaves: a row per thread, 32 rows per warp.
  /// Needs rows a multiple of 32 * warps.
  static FailureOr<Layout> tcgen05Accumulator(int64_t rows, int64_t cols,
                                              int64_t warps);

  /// Accumulator of a product on FMA units. A warp owns whole rows; its lanes
  /// are 4 rows by 8 columns, lane bits 0-2 along the columns in runs of a
  /// vector, and registers hold the rest: the vectors of a row, then further
  /// rows. The vector is the largest power of two up to `vector` that divides
  /// the columns of a lane. With vectors of one the lanes of a row hold
  /// neighbouring columns. The slice along the columns does not depend on them,
  /// so one row statistic fits tiles of any width. Needs rows a multiple of 4
  /// per warp and cols of 8.
  static FailureOr<Layout> fmaAccumulator(int64_t rows, int64_t cols,
                                          int64_t warps, int64_t vector);
  /// A thread per row: 32 rows per warp, as many warps down the rows as share
  /// them evenly. Warps left over hold the same rows: copies of them or, with
  /// `split`, a slice of the columns each. The threads may reach below the last
  /// row of a tile that is no multiple of 32. With `split`, needs cols a
  /// multiple of the slices.
  static FailureOr<Layout> threadRows(int64_t rows, int64_t cols,
                                      int64_t warps, bool split);

  /// Whether threads hold elements as an m16n8 or wgmma accumulator does,
  /// whatever the warps and repeats are. The instruction's columns may be every
  /// second, fourth, ... one of a tile.
  bool isMmaAccumulator() const;
  /// The A operand (rows x depth) and B operand (depth x cols, or cols x depth
  /// if `transposed`) of the product that accumulates into `*this`: an
  /// accumulator of mma or wgmma with `cols` columns.
  Layout getOperandA(int64_t depth, int64_t elementBits = 16) const;
  Layout getOperandB(int64_t depth, bool transposed,
                     int64_t elementBits = 16) const;

  /// Row-major tile of rank 1 or 2 for wide global or shared accesses: each
  /// thread holds runs of `vectorBytes` consecutive bytes; lanes go along the
  /// row first (at most 8 of them, 128 bytes at 16 bytes each: one whole memory
  /// transaction), then down the rows, then warps down the rows, then
  /// registers. Shrinks the vector to the largest power of two that divides the
  /// row. The threads may reach below the last row of a short tile; those
  /// elements are outside the extents and held by nobody.
  static FailureOr<Layout> blocked(ArrayRef<int64_t> shape,
                                   int64_t elementBytes, int64_t vectorBytes,
                                   int64_t warps);

private:
  static Vector scaled(ArrayRef<int64_t> vector, int64_t factor);
  void addRegister(ArrayRef<int64_t> vector);
  void addLane(ArrayRef<int64_t> vector);
  /// `count` warps along `stride`: bases for the power of two in `count`, a
  /// repeat for the odd rest.
  void addWarps(int64_t count, ArrayRef<int64_t> stride);
  void addRepeat(int64_t count, ArrayRef<int64_t> stride);
  /// Register and lane vectors of an accumulator's atom, 16 rows by 8 columns
  /// that are `columnStep` apart.
  void addAccumulatorAtom(int64_t columnStep = 1);
  /// Those of one instruction's A or B operand; `k` and `other` are the unit
  /// vectors along its depth and across.
  void addOperandAtom(int64_t elementBits, const Vector &k,
                      const Vector &other, bool isA);

  int64_t rank = 0;
  SmallVector<Vector> registerBases, laneBases, warpBases;
  SmallVector<Repeat> repeats, warpRepeats;
};

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_IR_LAYOUT_H
