//===- TileLowering.h - Shared parts of the tile lowering -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the patterns of --flash-tile-to-nvvm share: how a tile type becomes the
// registers of one thread, where in the tile those registers lie, and how an
// element of a swizzled view or of a strided memref is addressed.
//
// How values are converted (always 1:N):
//   tile of f32, iN             one scalar per register
//   tile of f16, bf16           one i32 per two registers (low half first)
//   tile of f8E4M3FN, f8E5M2    one i32 per four registers (low byte first)
//   buffer, view, future<view>  !llvm.ptr<3> to its first byte
//   memref                      !llvm.ptr<1>, then extents, then strides, both
//                               `index`, strides in elements
//   global_tile                 !llvm.ptr<1> to its first element, row and
//   column
//                               stride (`index`, in elements), then how many of
//                               its rows and columns exist (i32)
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_TILETONVVM_TILELOWERING_H
#define FLASH_LIB_CONVERSION_TILETONVVM_TILELOWERING_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Transforms/DialectConversion.h"
#include <optional>

namespace mlir::flash_tile {

/// Address spaces of the NVPTX target.
inline constexpr unsigned kGlobalSpace = 1;
inline constexpr unsigned kSharedSpace = 3;

/// Lanes per warp.
inline constexpr int64_t kWarpSize = 32;

/// The i32 thread coordinates of a kernel, computed once at its entry.
struct ThreadIds {
  Value thread; // 0 .. threads - 1
  Value lane;   // thread mod 32
  Value warp;   // thread / 32
  int64_t threads = 0;
};

/// Per-kernel values that patterns look up; filled before the conversion.
class KernelContext {
public:
  /// Emits the thread coordinates at the entry of `func`, whose
  /// known_block_size gives the number of threads.
  LogicalResult addKernel(gpu::GPUFuncOp func);
  /// The coordinates of the kernel that contains `op`.
  const ThreadIds &threadIds(Operation *op) const;
  /// The start of the CTA's dynamic shared memory, !llvm.ptr<3>.
  Value sharedBase(Operation *op) const;

private:
  struct Entry {
    ThreadIds ids;
    Value shared;
  };
  llvm::DenseMap<Operation *, Entry> entries;
};

//===----------------------------------------------------------------------===//
// Arithmetic helpers
//===----------------------------------------------------------------------===//

Value i32Constant(OpBuilder &b, Location loc, int64_t value);
Value indexConstant(OpBuilder &b, Location loc, int64_t value);
/// a + b and a * b on i32; a null value stands for zero.
Value addI32(OpBuilder &b, Location loc, Value lhs, Value rhs);
Value addI32(OpBuilder &b, Location loc, Value lhs, int64_t rhs);
/// `value` to `index`, zero-extended from i32.
Value toIndex(OpBuilder &b, Location loc, Value value);
/// pointer + offset (i32 or i64) elements of `elementType`.
Value advance(OpBuilder &b, Location loc, Value pointer, Type elementType,
              Value offset);
/// pointer + constant bytes.
Value advanceBytes(OpBuilder &b, Location loc, Value pointer, int64_t bytes);

//===----------------------------------------------------------------------===//
// Distribution of a tile
//===----------------------------------------------------------------------===//

/// The tile's layout, or null.
LayoutAttr getLayout(Type type);

/// Evaluates a layout attribute. Where the registers' vectors have bits of
/// their own (addsOffsets), the coordinate of a register is a part that depends
/// on the thread (emitted as arithmetic) plus a constant; ThreadCoordinate is
/// what it is in any layout.
class Distribution {
public:
  explicit Distribution(LayoutAttr layout);

  unsigned rank() const { return layoutRank; }
  unsigned numRegisters() const { return registerOffsets.size(); }
  /// Coordinates of register `r` relative to the thread's part.
  ArrayRef<int64_t> offset(unsigned r) const { return registerOffsets[r]; }
  /// The register at that offset, if any.
  std::optional<unsigned> registerAt(ArrayRef<int64_t> coordinates) const;

  /// Whether no register vector shares a bit of coordinate `dim` with a lane or
  /// warp vector, so that XORing them is adding them.
  bool addsOffsets(unsigned dim) const;
  /// Whether that holds for all axes, and for lanes against warps too.
  bool hasOwnBits() const;
  /// One diagnostic, from `op`, unless offsets are added along all axes.
  LogicalResult verifyAddsOffsets(Operation *op) const;
  /// Whether no element is held twice but by lanes or warps whose vector is
  /// zero.
  bool holdsOnce() const;
  /// The thread's part of coordinate `dim` as i32; null when it is zero. That
  /// of register 0, if offsets are not added.
  Value threadOffset(OpBuilder &b, Location loc, const ThreadIds &ids,
                     unsigned dim) const;
  /// Only the warp's share of the thread's part.
  Value warpOffset(OpBuilder &b, Location loc, const ThreadIds &ids,
                   unsigned dim) const;
  /// i1, true for the one thread among those that hold the same elements that
  /// should store them; null when none do.
  Value isPrimaryReplica(OpBuilder &b, Location loc,
                         const ThreadIds &ids) const;

  /// Largest coordinate `dim` that a register of a thread has. Where it lies
  /// outside the tile, that element is held by nobody and must be skipped.
  int64_t maxCoordinate(unsigned dim) const;
  /// Consecutive registers that hold consecutive elements of the last axis: a
  /// power of two. Registers r, r+1, ... of an aligned group of that size are
  /// neighbours in memory, and the first one's coordinate is a multiple of it.
  unsigned contiguity() const { return contiguous; }
  /// Whether lanes are placed as the fragments of mma.sync place them: lane
  /// bits 0-1 along the columns in pairs, bits 2-4 along eight rows.
  bool hasMmaLanes() const;
  /// Lane bits that move along `dim`.
  SmallVector<unsigned> laneBitsAlong(unsigned dim) const;
  /// The number of the thread among the `parts` that hold different elements of
  /// one line along `dim`, i32; null where there is one only.
  Value partOf(OpBuilder &b, Location loc, const ThreadIds &ids, unsigned dim,
               int64_t &parts) const;
  /// No lane or warp vector moves along two axes.
  bool movesOneAxisEach() const;
  /// Whether a warp holds more than one coordinate of `dim` among its peers.
  bool warpsSplit(unsigned dim) const;

  LayoutAttr getAttr() const { return layout; }

private:
  friend class ThreadCoordinate;

  Value linearPart(OpBuilder &b, Location loc, Value bits,
                   ArrayRef<int64_t> bases, unsigned dim) const;
  /// What lane and warp vectors make of coordinate `dim`; null for zero.
  Value linearOffset(OpBuilder &b, Location loc, const ThreadIds &ids,
                     unsigned dim) const;
  /// What the repeats of warps add to it; null for zero.
  Value warpSteps(OpBuilder &b, Location loc, const ThreadIds &ids,
                  unsigned dim) const;
  /// Which vectors those before them, in `rows` and here, make up, as a mask;
  /// adds the others to `rows`.
  int64_t dependentVectors(ArrayRef<int64_t> bases,
                           SmallVector<SmallVector<int64_t, 2>> &rows) const;
  /// All bits that vectors set along `dim`.
  int64_t bitsAlong(ArrayRef<int64_t> bases, unsigned dim) const;
  void findContiguity();

  LayoutAttr layout;
  unsigned layoutRank;
  unsigned contiguous = 1;
  SmallVector<SmallVector<int64_t, 2>> registerOffsets;
};

/// One coordinate of a thread's registers: the register's vectors XORed with
/// the lane's and the warp's, then the repeats added.
class ThreadCoordinate {
public:
  /// Emits what all registers have in common; `distribution` must live on.
  ThreadCoordinate(OpBuilder &b, Location loc, const Distribution &distribution,
                   const ThreadIds &ids, unsigned dim);

  /// What offsets are added to, null for zero; nullopt if they are not.
  std::optional<Value> summand() const {
    return isSum ? std::optional(linear) : std::nullopt;
  }
  /// The coordinate of register `r`, i32.
  Value at(OpBuilder &b, unsigned r) const;

private:
  Location loc;
  const Distribution *distribution;
  unsigned dim;
  bool isSum;
  /// The part to XOR, and what comes on top; one sum if isSum.
  Value linear, steps;
};

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// A memref after conversion: pointer, extents, strides.
struct StridedMemory {
  StridedMemory(MemRefType type, ValueRange converted);

  MemRefType type;
  Value pointer;
  ValueRange extents, strides;

  int64_t elementBytes() const;
  /// Static extent or stride of `dim`, or nullopt.
  std::optional<int64_t> staticExtent(int64_t dim) const;
  std::optional<int64_t> staticStride(int64_t dim) const;
  /// Pointer to element `indices`; trailing dimensions may be left out.
  Value elementPointer(OpBuilder &b, Location loc, ValueRange indices) const;
  /// i1: every row of the last `tileRank` axes that starts at `indices` is
  /// contiguous and aligned to `bytes`. Depends on leading indices and strides
  /// only, so it is invariant in a loop over rows.
  Value rowsAligned(OpBuilder &b, Location loc, ValueRange indices,
                    int64_t tileRank, int64_t bytes) const;
  /// min(extent - index, tileExtent) clamped at 0 as i32: how many of a tile's
  /// elements along `dim` exist.
  Value validExtent(OpBuilder &b, Location loc, int64_t dim, Value index,
                    int64_t tileExtent) const;
};

/// Byte offset of element (row, col) in a view, both i32 (null = 0) plus
/// constants. Rows of at least 32 bytes are swizzled in 16-byte chunks.
Value sharedByteOffset(OpBuilder &b, Location loc, ViewType view,
                       Value threadRow, int64_t row, Value threadCol,
                       int64_t col);

/// Bytes of one row of a view.
int64_t rowBytes(ViewType view);

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

class TileTypeConverter : public TypeConverter {
public:
  TileTypeConverter();
};

/// How many of a tile's elements share one 32-bit value: 2 of 16-bit floats, 4
/// of 8-bit ones, else 1.
unsigned elementsPerValue(Type elementType);

/// Whether tiles of this element type are kept as packed pairs or quadruples.
inline bool isPacked(Type elementType) {
  return elementsPerValue(elementType) > 1;
}

/// Puts integers of one width next to each other into an i32, the first lowest.
Value packIntegers(OpBuilder &b, Location loc, ArrayRef<Value> parts);
/// The integer of `bits` bits that lies `first` bits above the lowest of an
/// i32.
Value unpackInteger(OpBuilder &b, Location loc, Value packed, unsigned first,
                    unsigned bits);

void populateElementwisePatterns(const TileTypeConverter &converter,
                                 const KernelContext &context,
                                 RewritePatternSet &patterns);
void populateConvertLayoutPatterns(const TileTypeConverter &converter,
                                   const KernelContext &context,
                                   RewritePatternSet &patterns);
void populateReducePatterns(const TileTypeConverter &converter,
                            const KernelContext &context,
                            RewritePatternSet &patterns);
void populateSharedMemoryPatterns(const TileTypeConverter &converter,
                                  const KernelContext &context,
                                  RewritePatternSet &patterns);
void populateGlobalMemoryPatterns(const TileTypeConverter &converter,
                                  const KernelContext &context,
                                  RewritePatternSet &patterns);
void populateGatherPatterns(const TileTypeConverter &converter,
                            const KernelContext &context,
                            RewritePatternSet &patterns);
void populateCopyAsyncPatterns(const TileTypeConverter &converter,
                               const KernelContext &context,
                               RewritePatternSet &patterns);
void populateDotPatterns(const TileTypeConverter &converter,
                         const KernelContext &context,
                         RewritePatternSet &patterns);
void populateFmaDotPatterns(const TileTypeConverter &converter,
                            const KernelContext &context,
                            RewritePatternSet &patterns);

/// Rewrites the signature of `func` to the kernel ABI (bare pointers, sizes
/// i32, strides i64, scalars); memref arguments become casts of their parts.
LogicalResult lowerKernelABI(gpu::GPUFuncOp func);

/// Says how many CTAs an SM holds (`nvvm.minctasm`, .minnctapersm) where shared
/// memory holds so few that each thread can have all registers. Left alone, ptxas
/// spills to make room for one CTA more (tf32, d = 192, sm_80: 36 bytes at 168
/// registers instead of 192 and none), which shared memory has no room for.
void setLaunchBounds(gpu::GPUFuncOp func);

} // namespace mlir::flash_tile

#endif // FLASH_LIB_CONVERSION_TILETONVVM_TILELOWERING_H
