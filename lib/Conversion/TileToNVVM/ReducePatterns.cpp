//===- ReducePatterns.cpp - Reductions and broadcasts along an axis -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::flash_tile {
namespace {

Value combine(OpBuilder &b, Location loc, ReduceKind kind, Value lhs,
              Value rhs) {
  if (kind == ReduceKind::max)
    return arith::MaxNumFOp::create(b, loc, lhs, rhs);
  return arith::AddFOp::create(b, loc, lhs, rhs);
}

/// Combines values pairwise, a tree rather than a chain, so that the adds of
/// one row do not wait for each other.
Value combineAll(OpBuilder &b, Location loc, ReduceKind kind,
                 SmallVector<Value> values) {
  while (values.size() > 1) {
    SmallVector<Value> next;
    for (unsigned i = 0; i + 1 < values.size(); i += 2)
      next.push_back(combine(b, loc, kind, values[i], values[i + 1]));
    if (values.size() % 2)
      next.push_back(values.back());
    values = std::move(next);
  }
  return values.front();
}

/// Combines the threads that hold parts of a row in shared memory: each part in
/// the row's slot for its thread, then half of the threads add those of the
/// other half, until one is left, which all of them read. Neighbouring threads
/// use neighbouring words, so no step has bank conflicts.
class SharedTree {
public:
  SharedTree(OpBuilder &b, ReduceOp op, const Distribution &source,
             const Distribution &result, Value base, const ThreadIds &ids)
      : b(b), loc(op.getLoc()), op(op), result(result), base(base),
        view(op.getScratch().getType()) {
    row = result.threadOffset(b, loc, ids, 0);
    part = source.partOf(b, loc, ids, op.getAxis(), parts);
    // Of threads that hold the same, one stores.
    primary = source.isPrimaryReplica(b, loc, ids);
  }

  void combineAll(SmallVector<Value> &values) {
    // Whoever used the scratch before has read its result.
    gpu::BarrierOp::create(b, loc);
    store(values, primary);
    gpu::BarrierOp::create(b, loc);
    for (int64_t left = parts; left > 1;) {
      const int64_t half = left - left / 2;
      Value takes = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                          part, i32Constant(b, loc, left / 2));
      auto branch = scf::IfOp::create(b, loc, TypeRange(ValueRange(values)),
                                      takes, /*withElse=*/true);
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(&branch.getElseRegion().front());
        scf::YieldOp::create(b, loc, values);
        b.setInsertionPointToStart(&branch.getThenRegion().front());
        SmallVector<Value> sums;
        for (auto [r, value] : llvm::enumerate(values)) {
          Value other = LLVM::LoadOp::create(b, loc, value.getType(),
                                             pointer(r, half), 4);
          sums.push_back(combine(b, loc, op.getKind(), value, other));
        }
        store(sums, primary);
        scf::YieldOp::create(b, loc, sums);
      }
      values.assign(branch.result_begin(), branch.result_end());
      gpu::BarrierOp::create(b, loc);
      left = half;
    }
    for (auto [r, value] : llvm::enumerate(values))
      value = LLVM::LoadOp::create(b, loc, value.getType(),
                                   pointer(r, 0, /*own=*/false), 4);
  }

private:
  /// The slot of part `first`, plus the thread's own part.
  Value pointer(unsigned r, int64_t first, bool own = true) {
    Value offset = sharedByteOffset(b, loc, view, row, result.offset(r)[0],
                                    own ? part : Value(), first);
    return advance(b, loc, base, b.getI8Type(), offset);
  }
  void store(ArrayRef<Value> values, Value condition) {
    OpBuilder::InsertionGuard guard(b);
    if (condition) {
      auto branch = scf::IfOp::create(b, loc, condition, /*withElse=*/false);
      b.setInsertionPointToStart(branch.thenBlock());
    }
    for (auto [r, value] : llvm::enumerate(values))
      LLVM::StoreOp::create(b, loc, value, pointer(r, 0), 4);
  }

  OpBuilder &b;
  Location loc;
  ReduceOp op;
  const Distribution &result;
  Value base, row, part, primary;
  ViewType view;
  int64_t parts = 1;
};

/// Registers first, then the lanes that share the row: by a butterfly of
/// shuffles, or by a tree in shared memory.
struct ReducePattern : OpConversionPattern<ReduceOp> {
  ReducePattern(const TypeConverter &converter, MLIRContext *context,
                const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}
  const KernelContext &kernels;
  LogicalResult
  matchAndRewrite(ReduceOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    LayoutAttr sourceLayout = getLayout(op.getSource().getType());
    LayoutAttr resultLayout = getLayout(op.getType());
    if (!sourceLayout || !resultLayout)
      return failure();
    auto resultType = cast<RankedTensorType>(op.getType());
    if (!resultType.getElementType().isF32())
      return op.emitOpError("element type: expected f32, got ")
             << resultType.getElementType();
    Distribution source(sourceLayout), result(resultLayout);
    unsigned axis = op.getAxis();
    Value scratch = op.getScratch() ? adaptor.getScratch().front() : Value();
    if (source.warpsSplit(axis) && !scratch)
      return op.emitOpError("layout: expected one warp to own whole lines of "
                            "axis ")
             << axis << ", got warps along it";
    if (failed(source.verifyAddsOffsets(op)))
      return failure();
    if (!source.holdsOnce() || !source.movesOneAxisEach())
      return op.emitOpError("layout: expected threads to hold each element "
                            "once, and lanes and warps to move along one axis "
                            "each, got ")
             << sourceLayout;
    Location loc = op.getLoc();
    SmallVector<SmallVector<Value>> groups(result.numRegisters());
    for (unsigned r = 0; r < source.numRegisters(); ++r) {
      SmallVector<int64_t, 2> kept(source.offset(r));
      kept.erase(kept.begin() + axis);
      std::optional<unsigned> target = result.registerAt(kept);
      if (!target)
        return op.emitOpError("layouts: expected the result's to be the "
                              "source's slice");
      groups[*target].push_back(adaptor.getSource()[r]);
    }
    SmallVector<Value> results;
    for (SmallVector<Value> &group : groups)
      results.push_back(combineAll(rewriter, loc, op.getKind(), group));
    if (scratch) {
      if (source.maxCoordinate(0) >= op.getSource().getType().getDimSize(0) ||
          source.maxCoordinate(1) >= op.getSource().getType().getDimSize(1))
        return op.emitOpError("layout: expected every thread to hold elements "
                              "of the tile only (for a tree), got ")
               << sourceLayout;
      SharedTree(rewriter, op, source, result, scratch, kernels.threadIds(op))
          .combineAll(results);
      rewriter.replaceOpWithMultiple(op, {results});
      return success();
    }
    Value all = i32Constant(rewriter, loc, -1);
    Value clamp = i32Constant(rewriter, loc, kWarpSize - 1);
    for (unsigned bit : source.laneBitsAlong(axis))
      for (Value &value : results) {
        Value other = NVVM::ShflOp::create(
            rewriter, loc, value.getType(), all, value,
            i32Constant(rewriter, loc, int64_t(1) << bit), clamp,
            NVVM::ShflKind::bfly, /*return_value_and_is_valid=*/UnitAttr());
        value = combine(rewriter, loc, op.getKind(), value, other);
      }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

struct ExpandPattern : OpConversionPattern<ExpandOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ExpandOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    LayoutAttr sourceLayout = getLayout(op.getSource().getType());
    LayoutAttr resultLayout = getLayout(op.getType());
    if (!sourceLayout || !resultLayout ||
        isPacked(cast<RankedTensorType>(op.getType()).getElementType()))
      return failure();
    Distribution source(sourceLayout), result(resultLayout);
    if (failed(result.verifyAddsOffsets(op)))
      return failure();
    SmallVector<Value> results;
    for (unsigned r = 0; r < result.numRegisters(); ++r) {
      SmallVector<int64_t, 2> kept(result.offset(r));
      kept.erase(kept.begin() + op.getAxis());
      std::optional<unsigned> from = source.registerAt(kept);
      if (!from)
        return op.emitOpError("layouts: expected the source's to be the "
                              "result's slice");
      results.push_back(adaptor.getSource()[*from]);
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

} // namespace

void populateReducePatterns(const TileTypeConverter &converter,
                            const KernelContext &kernels,
                            RewritePatternSet &patterns) {
  patterns.add<ReducePattern>(converter, patterns.getContext(), kernels);
  patterns.add<ExpandPattern>(converter, patterns.getContext());
}

} // namespace mlir::flash_tile
