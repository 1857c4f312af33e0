//===- ReducePatterns.cpp - Reductions and broadcasts along an axis -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

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

/// Registers first, then a butterfly over the lanes that share the row.
struct ReducePattern : OpConversionPattern<ReduceOp> {
  using OpConversionPattern::OpConversionPattern;
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
    if (source.warpsSplit(axis))
      return op.emitOpError("layout: expected one warp to own whole lines of "
                            "axis ")
             << axis << ", got warps along it";
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
                            const KernelContext &,
                            RewritePatternSet &patterns) {
  patterns.add<ReducePattern, ExpandPattern>(converter, patterns.getContext());
}

} // namespace mlir::flash_tile
