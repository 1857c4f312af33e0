//===- FlashCanonicalize.cpp - Canonical form of flash.attention ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::flash;

namespace {
/// Drops a score region that yields the score it is given, and a mask region
/// that yields true: an absent region means just that.
struct DropTrivialRegions : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto yielded = [](Region &region) {
      return cast<YieldOp>(region.front().getTerminator()).getValue();
    };
    auto clear = [&](Region &region) {
      rewriter.modifyOpInPlace(op, [&] {
        Block *block = &region.front();
        while (!block->empty())
          rewriter.eraseOp(&block->back());
        rewriter.eraseBlock(block);
      });
    };
    if (op.hasScoreRegion() &&
        yielded(op.getScore()) == op.getScore().getArgument(0)) {
      clear(op.getScore());
      return success();
    }
    if (op.hasMaskRegion() && matchPattern(yielded(op.getMask()), m_One())) {
      clear(op.getMask());
      return success();
    }
    return failure();
  }
};

/// Drops a window that is open on both sides, and sink tokens where there is no
/// left edge for them to be exempt from.
struct DropOpenWindow : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<ArrayRef<int64_t>> window = op.getWindow();
    bool hasLeftEdge = window && (*window)[0] != -1;
    bool dropWindow = window && !hasLeftEdge && (*window)[1] == -1;
    bool dropSinks = op.getSinkTokens() && !hasLeftEdge;
    if (!dropWindow && !dropSinks)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      if (dropSinks)
        op.removeSinkTokensAttr();
      if (dropWindow)
        op.removeWindowAttr();
    });
    return success();
  }
};

/// Drops offsets of zero and an alignment or a head count that is what the
/// shapes say anyway.
struct DropDefaultIndices : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<MutableOperandRange> dropped;
    auto dropIf = [&](MutableOperandRange range, Value value,
                      std::optional<int64_t> defaultValue) {
      if (value && defaultValue && getConstantIntValue(value) == defaultValue)
        dropped.push_back(range);
    };
    auto sizeOf = [](ShapedType type, int64_t dim) -> std::optional<int64_t> {
      if (type.isDynamicDim(dim))
        return std::nullopt;
      return type.getDimSize(dim);
    };
    std::optional<int64_t> keys = sizeOf(op.getKeyType(), 2);
    std::optional<int64_t> queries = sizeOf(op.getQueryType(), 2);
    std::optional<int64_t> alignment;
    if (keys && queries)
      alignment = *keys - *queries;
    dropIf(op.getOffsetBMutable(), op.getOffsetB(), 0);
    dropIf(op.getOffsetHMutable(), op.getOffsetH(), 0);
    dropIf(op.getOffsetQMutable(), op.getOffsetQ(), 0);
    dropIf(op.getOffsetKMutable(), op.getOffsetK(), 0);
    dropIf(op.getAlignmentMutable(), op.getAlignment(), alignment);
    dropIf(op.getHeadsMutable(), op.getHeads(), sizeOf(op.getQueryType(), 1));
    if (dropped.empty())
      return failure();
    // From the last to the first: erasing operands shifts those behind.
    rewriter.modifyOpInPlace(op, [&] {
      for (MutableOperandRange &range : llvm::reverse(dropped))
        range.clear();
    });
    return success();
  }
};

/// Drops captures that no region reads.
struct DropUnusedCaptures : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto isRead = [](Region &region, unsigned argument) {
      return !region.empty() && !region.getArgument(argument).use_empty();
    };
    SmallVector<unsigned> unused;
    for (unsigned i = 0, e = op.getCaptures().size(); i < e; ++i)
      if (!isRead(op.getScore(), AttentionOp::kNumScoreArgs + i) &&
          !isRead(op.getMask(), AttentionOp::kNumMaskArgs + i))
        unused.push_back(i);
    if (unused.empty())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      for (unsigned i : llvm::reverse(unused)) {
        op.getCapturesMutable().erase(i);
        if (op.hasScoreRegion())
          op.getScore().eraseArgument(AttentionOp::kNumScoreArgs + i);
        if (op.hasMaskRegion())
          op.getMask().eraseArgument(AttentionOp::kNumMaskArgs + i);
      }
    });
    return success();
  }
};
} // namespace

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                              MLIRContext *context) {
  results.add<DropTrivialRegions, DropOpenWindow, DropDefaultIndices,
              DropUnusedCaptures>(context);
}
