//===- SharedMemoryPatterns.cpp - Buffers and register <-> shared ---------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "flash/Dialect/FlashTile/Transforms/PlanShared.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::flash_tile {
namespace {

template <typename Op>
struct KernelPattern : OpConversionPattern<Op> {
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

/// Registers that one access of at most 16 bytes moves: an aligned group of
/// neighbours along the last axis inside one 16-byte chunk.
struct Access {
  unsigned elements; // per access
  unsigned bytes;
};

Access accessFor(const Distribution &distribution, Type elementType) {
  unsigned elementBytes = elementType.getIntOrFloatBitWidth() / 8;
  unsigned elements = std::min(distribution.contiguity(), 16 / elementBytes);
  return {elements, elements * elementBytes};
}

/// The values of a tile that an access of at least 4 bytes moves, each `word`.
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
    if (share == 1 && type.getElementTypeBitWidth() != 32)
      return failure();
    Type word = share == 1 ? element : Type(rewriter.getI32Type());
    Location loc = op.getLoc();
    Distribution distribution(layout);
    const ThreadIds &ids = kernels.threadIds(op);
    ViewType view = op.getSource().getType();
    // A vector is a row.
    unsigned columns = distribution.rank() - 1;
    Value row = columns ? distribution.threadOffset(rewriter, loc, ids, 0)
                        : Value();
    Value col = distribution.threadOffset(rewriter, loc, ids, columns);
    Access access = accessFor(distribution, type.getElementType());
    bool surplus = distribution.maxCoordinate(0) >= type.getDimSize(0);
    if (!columns && surplus)
      return failure();
    SmallVector<Value> results, parts;
    for (unsigned r = 0; r < distribution.numRegisters();
         r += access.elements) {
      int64_t atRow = columns ? distribution.offset(r)[0] : 0;
      int64_t atCol = distribution.offset(r)[columns];
      // Rows below the tile are nobody's: any row will do for them.
      Value offset;
      if (surplus) {
        Value inside = arith::MinUIOp::create(
            rewriter, loc, addI32(rewriter, loc, row, atRow),
            i32Constant(rewriter, loc, type.getDimSize(0) - 1));
        offset = sharedByteOffset(rewriter, loc, view, inside, 0, col, atCol);
      } else {
        offset = sharedByteOffset(rewriter, loc, view, row, atRow, col, atCol);
      }
      Value pointer = advance(rewriter, loc, adaptor.getSource().front(),
                              rewriter.getI8Type(), offset);
      if (access.bytes < 4) {
        // Parts of a value, put together when all are there.
        parts.push_back(LLVM::LoadOp::create(
            rewriter, loc, rewriter.getIntegerType(8 * access.bytes), pointer,
            access.bytes));
        if (parts.size() * access.elements == share) {
          results.push_back(packIntegers(rewriter, loc, parts));
          parts.clear();
        }
        continue;
      }
      Value loaded = LLVM::LoadOp::create(
          rewriter, loc, accessType(word, access.bytes), pointer, access.bytes);
      if (loaded.getType() == word) {
        results.push_back(loaded);
        continue;
      }
      for (unsigned i = 0; i < access.bytes / 4; ++i)
        results.push_back(LLVM::ExtractElementOp::create(
            rewriter, loc, loaded, i32Constant(rewriter, loc, i)));
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

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
        layout.getRegisterBases() != ArrayRef(operandA))
      return failure();
    Location loc = op.getLoc();
    const ThreadIds &ids = kernels.threadIds(op);
    ViewType view = op.getSource().getType();
    // Lane i addresses row i mod 16 of the 16 x 16 block, chunk i / 16.
    Value row =
        arith::AndIOp::create(rewriter, loc, ids.lane,
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
      Value loaded = NVVM::LdMatrixOp::create(
          rewriter, loc, parts, pointer, 4, NVVM::MMALayout::row, shape,
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
    if (perValue == 1 && type.getElementTypeBitWidth() != 32)
      return failure();
    Location loc = op.getLoc();
    Distribution distribution(layout);
    const ThreadIds &ids = kernels.threadIds(op);
    ViewType view = op.getDest().getType();
    // A vector is a row.
    unsigned columns = distribution.rank() - 1;
    Value row = columns ? distribution.threadOffset(rewriter, loc, ids, 0)
                        : Value();
    Value col = distribution.threadOffset(rewriter, loc, ids, columns);
    Access access = accessFor(distribution, type.getElementType());
    ValueRange values = adaptor.getValue();
    bool surplus = distribution.maxCoordinate(0) >= type.getDimSize(0);
    if (!columns && surplus)
      return failure();
    for (unsigned r = 0; r < distribution.numRegisters();
         r += access.elements) {
      OpBuilder::InsertionGuard keep(rewriter);
      int64_t atRow = columns ? distribution.offset(r)[0] : 0;
      int64_t atCol = distribution.offset(r)[columns];
      if (surplus) { // rows below the tile are not stored
        Value inside = arith::CmpIOp::create(
            rewriter, loc, arith::CmpIPredicate::ult,
            addI32(rewriter, loc, row, atRow),
            i32Constant(rewriter, loc, type.getDimSize(0)));
        auto guard =
            scf::IfOp::create(rewriter, loc, inside, /*withElse=*/false);
        rewriter.setInsertionPointToStart(guard.thenBlock());
      }
      Value pointer = advance(
          rewriter, loc, adaptor.getDest().front(), rewriter.getI8Type(),
          sharedByteOffset(rewriter, loc, view, row, atRow, col, atCol));
      Value stored = values[r / perValue];
      if (access.bytes < 4) {
        unsigned bits = type.getElementTypeBitWidth();
        stored = unpackInteger(rewriter, loc, stored, r % perValue * bits,
                               8 * access.bytes);
      } else if (unsigned words = access.bytes / 4; words > 1) {
        stored = LLVM::PoisonOp::create(
            rewriter, loc,
            VectorType::get(words, stored.getType()));
        for (unsigned i = 0; i < words; ++i)
          stored = LLVM::InsertElementOp::create(
              rewriter, loc, stored, values[r / perValue + i],
              i32Constant(rewriter, loc, i));
      }
      LLVM::StoreOp::create(rewriter, loc, stored, pointer, access.bytes);
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
