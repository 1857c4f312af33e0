//===- SharedMemoryPatterns.cpp - Buffers and register <-> shared ---------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "flash/Dialect/FlashTile/Transforms/PlanShared.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::flash_tile {
namespace {

template <typename Op> struct KernelPattern : OpConversionPattern<Op> {
  KernelPattern(const TypeConverter &converter, MLIRContext *context,
                const KernelContext &kernels)
      : OpConversionPattern<Op>(converter, context), kernels(kernels) {}
  const KernelContext &kernels;
};

struct AllocPattern : KernelPattern<AllocOp> {
  using KernelPattern::KernelPattern;
  LogicalResult
  matchAndRewrite(AllocOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    std::optional<uint64_t> offset = op.getOffset();
    if (!offset)
      return op.emitOpError("offset: expected --flash-tile-plan-shared to have "
                            "set it, got none");
    rewriter.replaceOp(op, advanceBytes(rewriter, op.getLoc(),
                                        kernels.sharedBase(op), *offset));
    return success();
  }
};

struct StagePattern : OpConversionPattern<StageOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(StageOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value base = adaptor.getBuffer().front();
    BufferType type = op.getBuffer().getType();
    if (type.getStages() == 1) {
      rewriter.replaceOp(op, base);
      return success();
    }
    Location loc = op.getLoc();
    Value index = arith::IndexCastOp::create(
        rewriter, loc, rewriter.getI32Type(), adaptor.getIndex().front());
    Value offset = arith::MulIOp::create(
        rewriter, loc, index, i32Constant(rewriter, loc, type.getStageBytes()));
    rewriter.replaceOp(
        op, advance(rewriter, loc, base, rewriter.getI8Type(), offset));
    return success();
  }
};

/// A thread's registers in a view of rank 1 or 2, as accesses of at most 16
/// bytes: an aligned group of neighbours along the last axis each.
class SharedTile {
public:
  SharedTile(OpBuilder &b, Location loc, RankedTensorType type, ViewType view,
             Value base, const ThreadIds &ids)
      : loc(loc), type(type), view(view), base(base),
        distribution(getLayout(type)) {
    for (unsigned d = 0; d < distribution.rank(); ++d)
      coordinates.emplace_back(b, loc, distribution, ids, d);
    const unsigned elementBytes = type.getElementTypeBitWidth() / 8;
    elements = std::min(distribution.contiguity(), 16 / elementBytes);
    // The tile must end where a group does.
    while (type.getShape().back() % elements)
      elements /= 2;
  }

  const Distribution &getDistribution() const { return distribution; }
  /// Registers, and bytes, of an access.
  unsigned numElements() const { return elements; }
  unsigned numBytes() const {
    return elements * type.getElementTypeBitWidth() / 8;
  }
  /// i1, whether register `r` lies in the tile; null where all do. What does
  /// not is held by nobody.
  Value isInside(OpBuilder &b, unsigned r) const {
    Value inside;
    for (unsigned d = 0; d < distribution.rank(); ++d) {
      if (!reachesOut(d))
        continue;
      Value here = arith::CmpIOp::create(
          b, loc, arith::CmpIPredicate::ult, coordinates[d].at(b, r),
          i32Constant(b, loc, type.getDimSize(d)));
      inside = inside ? arith::AndIOp::create(b, loc, inside, here).getResult()
                      : here;
    }
    return inside;
  }
  /// The address of register `r`; with `clamped` that of an element of the tile
  /// where it lies outside.
  Value pointer(OpBuilder &b, unsigned r, bool clamped) const {
    SmallVector<Value, 2> thread;
    SmallVector<int64_t, 2> at(distribution.offset(r));
    for (unsigned d = 0; d < distribution.rank(); ++d) {
      const bool isClamped = clamped && reachesOut(d);
      if (std::optional<Value> common = coordinates[d].summand();
          common && !isClamped) {
        thread.push_back(*common);
        continue;
      }
      Value coordinate = coordinates[d].at(b, r);
      if (isClamped) {
        const int64_t group = d + 1 == distribution.rank() ? elements : 1;
        coordinate = arith::MinUIOp::create(
            b, loc, coordinate,
            i32Constant(b, loc, type.getDimSize(d) - group));
      }
      thread.push_back(coordinate);
      at[d] = 0;
    }
    const bool isVector = distribution.rank() == 1;
    return advance(
        b, loc, base, b.getI8Type(),
        sharedByteOffset(b, loc, view, isVector ? Value() : thread[0],
                         isVector ? 0 : at[0], thread.back(), at.back()));
  }

private:
  bool reachesOut(unsigned d) const {
    return distribution.maxCoordinate(d) >= type.getDimSize(d);
  }

  Location loc;
  RankedTensorType type;
  ViewType view;
  Value base;
  Distribution distribution;
  SmallVector<ThreadCoordinate, 2> coordinates;
  unsigned elements;
};

/// Whether tiles of this type pass through shared memory: what is packed, or
/// whole bytes.
bool isShareable(Type element) {
  return isPacked(element) ||
         llvm::is_contained({8, 16, 32, 64}, element.getIntOrFloatBitWidth());
}

/// The values of a tile that an access moves, each `word`.
Type accessType(Type word, unsigned bytes) {
  unsigned words = bytes * 8 / word.getIntOrFloatBitWidth();
  return words == 1 ? word : VectorType::get(words, word);
}

struct LocalLoadPattern : KernelPattern<LocalLoadOp> {
  using KernelPattern::KernelPattern;
  LogicalResult
  matchAndRewrite(LocalLoadOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    LayoutAttr layout = getLayout(type);
    if (!layout)
      return failure();
    Type element = type.getElementType();
    unsigned share = elementsPerValue(element);
    if (!isShareable(element))
      return failure();
    Type word = share == 1 ? element : Type(rewriter.getI32Type());
    Location loc = op.getLoc();
    SharedTile tile(rewriter, loc, type, op.getSource().getType(),
                    adaptor.getSource().front(), kernels.threadIds(op));
    const unsigned bytes = tile.numBytes();
    SmallVector<Value> results, parts;
    for (unsigned r = 0; r < tile.getDistribution().numRegisters();
         r += tile.numElements()) {
      Value pointer = tile.pointer(rewriter, r, /*clamped=*/true);
      if (bytes < 4 && share > 1) {
        // Parts of a value, put together when all are there.
        parts.push_back(LLVM::LoadOp::create(
            rewriter, loc, rewriter.getIntegerType(8 * bytes), pointer, bytes));
        if (parts.size() * tile.numElements() == share) {
          results.push_back(packIntegers(rewriter, loc, parts));
          parts.clear();
        }
        continue;
      }
      Value loaded = LLVM::LoadOp::create(
          rewriter, loc, accessType(word, bytes), pointer, bytes);
      if (loaded.getType() == word) {
        results.push_back(loaded);
        continue;
      }
      for (unsigned i = 0; i < tile.numElements() / share; ++i)
        results.push_back(LLVM::ExtractElementOp::create(
            rewriter, loc, loaded, i32Constant(rewriter, loc, i)));
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

/// Whether all that moves a warp's fragments along the columns moves them by
/// whole chunks of 16 bytes, which is how ldmatrix is told where they are.
bool repeatsByChunks(LayoutAttr layout) {
  for (ArrayRef<int64_t> entries :
       {layout.getRepeats(), layout.getWarpRepeats()})
    for (unsigned i = 0; i < entries.size(); i += 3)
      if (entries[i] > 1 && entries[i + 2] % 8 != 0)
        return false;
  return true;
}

/// mma operand A fragments by ldmatrix.x4: four times fewer instructions than
/// the plain loads above, so it is tried first.
struct LocalLoadMatrixPattern : OpConversionPattern<LocalLoadOp> {
  LocalLoadMatrixPattern(const TypeConverter &converter, MLIRContext *context,
                         const KernelContext &kernels, PatternBenefit benefit)
      : OpConversionPattern(converter, context, benefit), kernels(kernels) {}
  const KernelContext &kernels;
  LogicalResult
  matchAndRewrite(LocalLoadOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    LayoutAttr layout = getLayout(type);
    if (!layout || op->hasAttr(kPlainLoadsAttrName) ||
        elementsPerValue(type.getElementType()) != 2)
      return failure();
    Distribution distribution(layout);
    static constexpr int64_t operandA[] = {0, 1, 8, 0, 0, 8};
    if (!distribution.hasMmaLanes() ||
        layout.getRegisterBases() != ArrayRef(operandA) ||
        !distribution.hasOwnBits() || distribution.warpsSplit(1) ||
        !repeatsByChunks(layout))
      return failure();
    Location loc = op.getLoc();
    const ThreadIds &ids = kernels.threadIds(op);
    ViewType view = op.getSource().getType();
    // Lane i addresses row i mod 16 of the 16 x 16 block, chunk i / 16.
    Value row = arith::AndIOp::create(rewriter, loc, ids.lane,
                                      i32Constant(rewriter, loc, 15));
    row = addI32(rewriter, loc, row,
                 distribution.warpOffset(rewriter, loc, ids, 0));
    Value col = arith::ShRUIOp::create(rewriter, loc, ids.lane,
                                       i32Constant(rewriter, loc, 4));
    col = arith::ShLIOp::create(rewriter, loc, col,
                                i32Constant(rewriter, loc, 3));
    Type parts = LLVM::LLVMStructType::getLiteral(
        rewriter.getContext(), SmallVector<Type>(4, rewriter.getI32Type()));
    auto shape = NVVM::LdStMatrixShapeAttr::get(rewriter.getContext(), 8, 8);
    SmallVector<Value> results;
    for (unsigned r = 0; r < distribution.numRegisters(); r += 8) {
      ArrayRef<int64_t> at = distribution.offset(r);
      Value pointer = advance(
          rewriter, loc, adaptor.getSource().front(), rewriter.getI8Type(),
          sharedByteOffset(rewriter, loc, view, row, at[0], col, at[1]));
      Value loaded = NVVM::LdMatrixOp::create(rewriter, loc, parts, pointer, 4,
                                              NVVM::MMALayout::row, shape,
                                              NVVM::LdStMatrixEltType::B16);
      for (unsigned i = 0; i < 4; ++i)
        results.push_back(
            LLVM::ExtractValueOp::create(rewriter, loc, loaded, i));
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

struct LocalStorePattern : KernelPattern<LocalStoreOp> {
  using KernelPattern::KernelPattern;
  LogicalResult
  matchAndRewrite(LocalStoreOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getValue().getType());
    LayoutAttr layout = getLayout(type);
    if (!layout)
      return failure();
    unsigned perValue = elementsPerValue(type.getElementType());
    if (!isShareable(type.getElementType()))
      return failure();
    Location loc = op.getLoc();
    const ThreadIds &ids = kernels.threadIds(op);
    SharedTile tile(rewriter, loc, type, op.getDest().getType(),
                    adaptor.getDest().front(), ids);
    const unsigned bytes = tile.numBytes();
    ValueRange values = adaptor.getValue();
    // Of replicated elements one thread writes its copy.
    OpBuilder::InsertionGuard keepOuter(rewriter);
    auto onlyIf = [&](Value condition) {
      if (!condition)
        return;
      auto guard =
          scf::IfOp::create(rewriter, loc, condition, /*withElse=*/false);
      rewriter.setInsertionPointToStart(guard.thenBlock());
    };
    onlyIf(tile.getDistribution().isPrimaryReplica(rewriter, loc, ids));
    for (unsigned r = 0; r < tile.getDistribution().numRegisters();
         r += tile.numElements()) {
      OpBuilder::InsertionGuard keep(rewriter);
      onlyIf(tile.isInside(rewriter, r));
      Value pointer = tile.pointer(rewriter, r, /*clamped=*/false);
      Value stored = values[r / perValue];
      if (bytes < 4 && perValue > 1) {
        unsigned bits = type.getElementTypeBitWidth();
        stored = unpackInteger(rewriter, loc, stored, r % perValue * bits,
                               8 * bytes);
      } else if (unsigned words = tile.numElements() / perValue; words > 1) {
        stored = LLVM::PoisonOp::create(
            rewriter, loc, VectorType::get(words, stored.getType()));
        for (unsigned i = 0; i < words; ++i)
          stored = LLVM::InsertElementOp::create(rewriter, loc, stored,
                                                 values[r / perValue + i],
                                                 i32Constant(rewriter, loc, i));
      }
      LLVM::StoreOp::create(rewriter, loc, stored, pointer, bytes);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void populateSharedMemoryPatterns(const TileTypeConverter &converter,
                                  const KernelContext &kernels,
                                  RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<StagePattern>(converter, context);
  patterns.add<AllocPattern, LocalLoadPattern, LocalStorePattern>(
      converter, context, kernels);
  patterns.add<LocalLoadMatrixPattern>(converter, context, kernels,
                                       PatternBenefit(2));
}

} // namespace mlir::flash_tile
