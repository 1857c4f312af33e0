//===- CopyAsyncPatterns.cpp - Global to shared by cp.async ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile is copied in 16-byte chunks. P neighbouring lanes take neighbouring
// chunks of one row, P the largest power of two up to 8 that divides a row's
// chunks, so that eight lanes fill a 128-byte line and the swizzle, which flips
// chunk bits below P only, moves chunks within that group: every further column
// or row step of a thread is an immediate offset in shared memory.
//
// Where rows turn out at run time not to be contiguous and 16-byte aligned, a
// compact loop copies the tile in 8-, 4- or 2-byte pieces instead (cp.async
// knows 4, 8 and 16 bytes; PTX ISA, "cp.async"). The test is uniform over the
// CTA and invariant in the KV loop.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::flash_tile {
namespace {

constexpr int64_t kChunkBytes = 16;

/// One copy being lowered.
class TileCopy {
public:
  TileCopy(OpBuilder &b, CopyAsyncOp op, const StridedMemory &memory,
           Value shared, ValueRange indices, const ThreadIds &ids)
      : b(b), loc(op.getLoc()), op(op), memory(memory), shared(shared),
        indices(indices), ids(ids), view(op.getDest().getType()) {
    rows = view.getShape()[0];
    rowDim = memory.type.getRank() - 2;
    elements = kChunkBytes / memory.elementBytes();
    chunks = llvm::divideCeil(view.getShape()[1], elements);
    realChunks = llvm::divideCeil(*memory.staticExtent(rowDim + 1), elements);
  }

  /// Emits the copy (without its commit).
  void emit() {
    std::optional<uint64_t> known = op.getAlignment();
    if (known && *known >= uint64_t(kChunkBytes))
      return emitFast(b);
    Value aligned =
        memory.rowsAligned(b, loc, indices, /*tileRank=*/2, kChunkBytes);
    auto branch = scf::IfOp::create(b, loc, aligned, /*withElse=*/true);
    OpBuilder inner = branch.getThenBodyBuilder(b.getListener());
    emitFast(inner);
    inner = branch.getElseBodyBuilder(b.getListener());
    emitNarrow(inner);
  }

private:
  /// Rows of the tile that exist, i32; null when all are known to.
  Value validRows(OpBuilder &b) {
    if (op.getInBounds())
      return {};
    return memory.validExtent(b, loc, rowDim, indices[rowDim], rows);
  }

  void emitFast(OpBuilder &b) {
    int64_t lanesPerRow =
        std::min<int64_t>(8, chunks & -chunks);
    int64_t rowsPerPass = ids.threads / lanesPerRow;
    auto c = [&](int64_t v) { return i32Constant(b, loc, v); };
    Value chunk =
        arith::AndIOp::create(b, loc, ids.thread, c(lanesPerRow - 1));
    Value row = arith::ShRUIOp::create(b, loc, ids.thread,
                                       c(llvm::Log2_64(lanesPerRow)));
    Value valid = validRows(b);

    Value source = memory.elementPointer(b, loc, indices);
    Value threadStep = arith::MulIOp::create(b, loc, toIndex(b, loc, row),
                                             memory.strides[rowDim]);
    Value column =
        arith::MulIOp::create(b, loc, chunk, c(elements));
    threadStep =
        arith::AddIOp::create(b, loc, threadStep, toIndex(b, loc, column));
    source = advance(b, loc, source, memory.type.getElementType(), threadStep);
    Value passStep = arith::MulIOp::create(
        b, loc, memory.strides[rowDim], indexConstant(b, loc, rowsPerPass));

    auto destAt = [&](OpBuilder &b, int64_t first) {
      return advance(b, loc, shared, b.getI8Type(),
                     sharedByteOffset(b, loc, view, row, first, column, 0));
    };
    // Where a pass covers whole periods of the swizzle (an even number of warps
    // always does), all passes share one address.
    SwizzleAttr swizzle = view.getSwizzle();
    int64_t period =
        swizzle && swizzle.getBits()
            ? int64_t(1) << (swizzle.getBits() + swizzle.getShift())
            : 1;
    bool periodic = rowsPerPass % period == 0;
    Value dest = destAt(b, 0);
    for (int64_t first = 0; first < rows; first += rowsPerPass) {
      // The last pass may cover rows that the tile does not have.
      scf::IfOp guard;
      OpBuilder inner = b;
      if (first + rowsPerPass > rows) {
        Value inside = arith::CmpIOp::create(
            b, loc, arith::CmpIPredicate::ult, row, c(rows - first));
        guard = scf::IfOp::create(b, loc, inside, /*withElse=*/false);
        inner = guard.getThenBodyBuilder(b.getListener());
      }
      Value passDest = dest;
      if (periodic)
        passDest = advanceBytes(inner, loc, dest, first * rowBytes(view));
      else if (first)
        passDest = destAt(inner, first);
      Value exists;
      if (valid)
        exists = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::slt,
                                       addI32(inner, loc, row, first), valid);
      for (int64_t col = 0; col < chunks; col += lanesPerRow) {
        Value inside = exists;
        if (col + lanesPerRow > realChunks) {
          Value real = arith::CmpIOp::create(
              inner, loc, arith::CmpIPredicate::ult, chunk,
              i32Constant(inner, loc, std::max<int64_t>(0, realChunks - col)));
          inside = inside ? arith::AndIOp::create(inner, loc, inside, real)
                          : real;
        }
        // Fewer source bytes than 16: the rest is filled with zeros.
        Value bytes;
        if (inside)
          bytes = arith::SelectOp::create(
              inner, loc, inside, i32Constant(inner, loc, kChunkBytes),
              i32Constant(inner, loc, 0));
        NVVM::CpAsyncOp::create(
            inner, loc, advanceBytes(inner, loc, passDest, col * kChunkBytes),
            advanceBytes(inner, loc, source, col * kChunkBytes), kChunkBytes,
            NVVM::LoadCacheModifierKind::CG, bytes);
      }
      if (first + rowsPerPass < rows)
        source = advance(b, loc, source, memory.type.getElementType(),
                         passStep);
    }
  }

  /// Chunk by chunk in a loop, each in pieces as wide as the rows allow.
  void emitNarrow(OpBuilder &b) {
    auto c = [&](int64_t v) { return i32Constant(b, loc, v); };
    Value valid = validRows(b);
    if (!valid)
      valid = c(rows);
    Value base = memory.elementPointer(b, loc, indices);
    Value aligned8 = memory.rowsAligned(b, loc, indices, 2, 8);
    Value aligned4 = memory.rowsAligned(b, loc, indices, 2, 4);
    Value perRow = c(chunks), perChunk = c(elements), real = c(realChunks);
    auto loop = scf::ForOp::create(b, loc, ids.thread, c(rows * chunks),
                                   c(ids.threads));
    OpBuilder inner = OpBuilder::atBlockTerminator(loop.getBody(), b.getListener());
    Value number = loop.getInductionVar();
    Value row = arith::DivUIOp::create(inner, loc, number, perRow);
    Value chunk = arith::RemUIOp::create(inner, loc, number, perRow);
    Value column = arith::MulIOp::create(inner, loc, chunk, perChunk);
    Value offset = arith::MulIOp::create(inner, loc, toIndex(inner, loc, row),
                                         memory.strides[rowDim]);
    Value along =
        arith::MulIOp::create(inner, loc, toIndex(inner, loc, column),
                              memory.strides[rowDim + 1]);
    Value source =
        advance(inner, loc, base, memory.type.getElementType(),
                arith::AddIOp::create(inner, loc, offset, along));
    Value dest =
        advance(inner, loc, shared, inner.getI8Type(),
                sharedByteOffset(inner, loc, view, row, 0, column, 0));
    Value exists = arith::CmpIOp::create(
        inner, loc, arith::CmpIPredicate::slt, row, valid);
    if (realChunks < chunks)
      exists = arith::AndIOp::create(
          inner, loc, exists,
          arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::ult, chunk,
                                real));
    auto pieces = [&](OpBuilder &at, int64_t bytes) {
      Value size = arith::SelectOp::create(
          at, loc, exists, i32Constant(at, loc, bytes), i32Constant(at, loc, 0));
      for (int64_t done = 0; done < kChunkBytes; done += bytes)
        NVVM::CpAsyncOp::create(at, loc, advanceBytes(at, loc, dest, done),
                                advanceBytes(at, loc, source, done), bytes,
                                NVVM::LoadCacheModifierKind::CA, size);
    };
    auto by8 = scf::IfOp::create(inner, loc, aligned8, /*withElse=*/true);
    OpBuilder at = by8.getThenBodyBuilder(b.getListener());
    pieces(at, 8);
    at = by8.getElseBodyBuilder(b.getListener());
    auto by4 = scf::IfOp::create(at, loc, aligned4, /*withElse=*/true);
    at = by4.getThenBodyBuilder(b.getListener());
    pieces(at, 4);
    at = by4.getElseBodyBuilder(b.getListener());
    copyElements(at, source, dest, exists);
  }

  /// Element by element through registers: any stride, any alignment.
  void copyElements(OpBuilder &at, Value source, Value dest, Value exists) {
    Type raw = at.getIntegerType(8 * memory.elementBytes());
    auto loop = scf::ForOp::create(at, loc, indexConstant(at, loc, 0),
                                   indexConstant(at, loc, elements),
                                   indexConstant(at, loc, 1));
    OpBuilder in = OpBuilder::atBlockTerminator(loop.getBody(), b.getListener());
    Value e = loop.getInductionVar();
    auto guarded = scf::IfOp::create(in, loc, TypeRange{raw}, exists,
                                     /*withElse=*/true);
    OpBuilder then = guarded.getThenBodyBuilder(b.getListener());
    Value step = arith::MulIOp::create(then, loc, e,
                                       memory.strides[rowDim + 1]);
    Value value = LLVM::LoadOp::create(
        then, loc, raw, advance(then, loc, source, raw, step),
        memory.elementBytes());
    scf::YieldOp::create(then, loc, value);
    OpBuilder other = guarded.getElseBodyBuilder(b.getListener());
    scf::YieldOp::create(
        other, loc,
        arith::ConstantOp::create(other, loc, other.getIntegerAttr(raw, 0))
            .getResult());
    LLVM::StoreOp::create(in, loc, guarded.getResult(0),
                          advance(in, loc, dest, raw, e),
                          memory.elementBytes());
  }

  OpBuilder &b;
  Location loc;
  CopyAsyncOp op;
  const StridedMemory &memory;
  Value shared;
  ValueRange indices;
  const ThreadIds &ids;
  ViewType view;
  int64_t rows, rowDim, elements, chunks, realChunks;
};

struct CopyAsyncPattern : OpConversionPattern<CopyAsyncOp> {
  CopyAsyncPattern(const TypeConverter &converter, MLIRContext *context,
                   const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(CopyAsyncOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getSource().getType());
    StridedMemory memory(type, adaptor.getSource());
    if (op.getDest().getType().getShape().size() != 2)
      return op.emitOpError("tile: expected rank 2, got ")
             << op.getDest().getType();
    if (!memory.staticExtent(type.getRank() - 1) ||
        type.getShape().back() * memory.elementBytes() % kChunkBytes)
      return op.emitOpError("row: expected a static extent of whole 16-byte "
                            "chunks, got ")
             << type;
    SmallVector<Value> indices;
    for (ValueRange index : adaptor.getIndices())
      indices.push_back(index.front());
    Value shared = adaptor.getDest().front();
    const ThreadIds &ids = kernels.threadIds(op);
    if (!op.getPredicate()) {
      TileCopy(rewriter, op, memory, shared, indices, ids).emit();
    } else {
      auto guard = scf::IfOp::create(
          rewriter, loc, adaptor.getPredicate().front(), /*withElse=*/false);
      OpBuilder::InsertionGuard keep(rewriter);
      rewriter.setInsertionPointToStart(guard.thenBlock());
      TileCopy(rewriter, op, memory, shared, indices, ids).emit();
    }
    // Outside the guard: groups are counted, and an empty one is complete.
    NVVM::CpAsyncCommitGroupOp::create(rewriter, loc);
    rewriter.replaceOp(op, shared);
    return success();
  }
  const KernelContext &kernels;
};

struct WaitPattern : OpConversionPattern<WaitOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(WaitOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    NVVM::CpAsyncWaitGroupOp::create(rewriter, op.getLoc(), op.getInFlight());
    SmallVector<Value> values;
    for (ValueRange future : adaptor.getFutures())
      values.push_back(future.front());
    rewriter.replaceOp(op, values);
    return success();
  }
};

} // namespace

void populateCopyAsyncPatterns(const TileTypeConverter &converter,
                               const KernelContext &kernels,
                               RewritePatternSet &patterns) {
  patterns.add<CopyAsyncPattern>(converter, patterns.getContext(), kernels);
  patterns.add<WaitPattern>(converter, patterns.getContext());
}

} // namespace mlir::flash_tile
