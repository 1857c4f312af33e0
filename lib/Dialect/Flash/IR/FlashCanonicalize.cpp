//===- FlashCanonicalize.cpp - Canonical form of flash.attention ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
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

    bool changed = false;
    // The range is asked for anew each time: it remembers the sizes of all
    // operand groups, which the one before has changed.
    auto dropIf = [&](Value value, std::optional<int64_t> defaultValue,
                      MutableOperandRange (AttentionOp::*getRange)()) {
      if (!value || !defaultValue || getConstantIntValue(value) != defaultValue)
        return;
      rewriter.modifyOpInPlace(op, [&] { (op.*getRange)().clear(); });
      changed = true;
    };
    dropIf(op.getOffsetB(), 0, &AttentionOp::getOffsetBMutable);
    dropIf(op.getOffsetH(), 0, &AttentionOp::getOffsetHMutable);
    dropIf(op.getOffsetQ(), 0, &AttentionOp::getOffsetQMutable);
    dropIf(op.getOffsetK(), 0, &AttentionOp::getOffsetKMutable);
    dropIf(op.getAlignment(), alignment, &AttentionOp::getAlignmentMutable);
    dropIf(op.getHeads(), sizeOf(op.getQueryType(), 1),
           &AttentionOp::getHeadsMutable);
    return success(changed);
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
/// Takes operands from in front of a tensor.cast that forgets static sizes. A
/// destination gives its result the same type, cast back behind the op.
///
/// The tensor dialect has this rewrite for every destination-style op, but it
/// clones the op, and cloning an empty region through a rewriter reads past
/// its end. The benefit below puts this one in front.
struct FoldCasts : OpRewritePattern<AttentionOp> {
  explicit FoldCasts(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/10) {}

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<std::pair<OpOperand *, tensor::CastOp>> folds;
    for (OpOperand &operand : op->getOpOperands())
      if (auto cast = operand.get().getDefiningOp<tensor::CastOp>();
          cast && tensor::canFoldIntoConsumerOp(cast))
        folds.emplace_back(&operand, cast);
    if (folds.empty())
      return failure();

    rewriter.setInsertionPointAfter(op);
    for (auto [operand, cast] : folds) {
      Value source = cast.getSource();
      rewriter.modifyOpInPlace(op, [&] { operand->set(source); });
      if (!op.isDpsInit(operand))
        continue;
      OpResult result = op.getTiedOpResult(operand);
      Type before = result.getType();
      rewriter.modifyOpInPlace(op, [&] { result.setType(source.getType()); });
      auto back = tensor::CastOp::create(rewriter, op.getLoc(), before, result);
      rewriter.replaceAllUsesExcept(result, back, back);
    }
    return success();
  }
};
} // namespace

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &results,
                                              MLIRContext *context) {
  results.add<DropTrivialRegions, DropOpenWindow, DropDefaultIndices,
              DropUnusedCaptures, FoldCasts>(context);
}
