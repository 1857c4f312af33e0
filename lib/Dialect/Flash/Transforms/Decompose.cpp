//===- Decompose.cpp - Attention to linalg: the reference semantics -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/Flash/Transforms/Transforms.h"

#include "LinalgBuilder.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

#include <cmath>
#include <limits>

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHDECOMPOSE
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;

namespace {
/// Builds the decomposition of one op in front of it. Everything between the
/// inputs and the outputs is a tensor of f32.
class Decomposer : LinalgBuilder {
public:
  Decomposer(RewriterBase &rewriter, AttentionOp op)
      : LinalgBuilder(rewriter, op.getLoc()), rewriter(rewriter), op(op) {}

  void run();

private:
  /// A memref as a tensor; `isWritten` lets bufferization compute into it.
  Value asTensor(Value shaped, bool isWritten = false);
  OpFoldResult dim(Value tensor, int64_t index);
  Value computeScores();
  Value applyScales(Value products);
  Value applyRegions(Value scores);
  Value inlineRegion(OpBuilder &builder, Region &region, ValueRange arguments);
  void replace(Value output, Value lse);

  RewriterBase &rewriter;
  AttentionOp op;
  Value query, key, value;
  /// [B, Hq] and [B, Hkv], or null for 1.
  Value queryScale, keyScale, valueScale;
  Value alignment, heads;
  SmallVector<OpFoldResult> rowSizes, scoreSizes;
};
} // namespace

Value Decomposer::asTensor(Value shaped, bool isWritten) {
  auto type = dyn_cast<MemRefType>(shaped.getType());
  if (!type)
    return shaped;
  return bufferization::ToTensorOp::create(
      rewriter, loc, memref::getTensorTypeFromMemRefType(type), shaped,
      /*restrict=*/true, /*writable=*/isWritten);
}

OpFoldResult Decomposer::dim(Value tensor, int64_t index) {
  return tensor::getMixedSize(rewriter, loc, tensor, index);
}

/// scale * (q . k), over (b, h, q, k, d). The heads of K are indexed by
/// h floordiv group: grouped heads are never broadcast.
Value Decomposer::computeScores() {
  AffineExpr b, h, q, k, d;
  bindDims(rewriter.getContext(), b, h, q, k, d);
  AffineExpr keyHead = h.floorDiv(op.getGroupSize());
  Value products = generic(
      5, {query, key}, fill(scoreSizes, 0.0f),
      {{b, h, q, d}, {b, keyHead, k, d}, {b, h, q, k}}, {4},
      [&](OpBuilder &builder, ValueRange elements) -> Value {
        Value product =
            arith::MulFOp::create(builder, loc, toF32(builder, elements[0]),
                                  toF32(builder, elements[1]));
        return arith::AddFOp::create(builder, loc, elements[2], product);
      });
  return applyRegions(applyScales(products));
}

/// Multiplies by what the heads of Q and K were divided by, if anything.
Value Decomposer::applyScales(Value products) {
  AffineExpr b, h, q, k;
  bindDims(rewriter.getContext(), b, h, q, k);
  AffineExpr keyHead = h.floorDiv(op.getGroupSize());
  for (auto [scales, head] : {std::pair(queryScale, h), {keyScale, keyHead}})
    if (scales)
      products = generic(4, {products, scales}, empty(scoreSizes),
                         {{b, h, q, k}, {b, head}, {b, h, q, k}}, {},
                         [&](OpBuilder &builder, ValueRange elements) -> Value {
                           return arith::MulFOp::create(
                               builder, loc, elements[0], elements[1]);
                         });
  return products;
}

/// Copies the ops of a region; returns what it yields.
Value Decomposer::inlineRegion(OpBuilder &builder, Region &region,
                               ValueRange arguments) {
  IRMapping mapping;
  mapping.map(region.getArguments(), arguments);
  for (Operation &nested : region.front().without_terminator()) {
    if (isa<AlignmentOp>(nested))
      mapping.map(nested.getResult(0), alignment);
    else if (isa<HeadsOp>(nested))
      mapping.map(nested.getResult(0), heads);
    else
      builder.clone(nested, mapping);
  }
  return mapping.lookup(
      cast<YieldOp>(region.front().getTerminator()).getValue());
}

/// Scales, then the score region, then -inf where the mask region says false.
Value Decomposer::applyRegions(Value products) {
  auto body = [&](OpBuilder &builder, ValueRange elements) -> Value {
    Value score = arith::MulFOp::create(builder, loc, elements[0],
                                        real(builder, op.getScaleOrDefault()));
    if (!op.hasScoreRegion() && !op.hasMaskRegion())
      return score;
    // Absolute indices: those of the loops, shifted.
    SmallVector<Value> arguments;
    Value offsets[] = {op.getOffsetB(), op.getOffsetH(), op.getOffsetQ(),
                       op.getOffsetK()};
    for (auto [position, offset] : llvm::enumerate(offsets)) {
      Value index = linalg::IndexOp::create(builder, loc, position);
      if (offset)
        index = arith::AddIOp::create(builder, loc, index, offset);
      arguments.push_back(index);
    }
    llvm::append_range(arguments, op.getCaptures());
    if (op.hasMaskRegion()) {
      SmallVector<Value> scoreArguments{score};
      llvm::append_range(scoreArguments, arguments);
      if (op.hasScoreRegion())
        score = inlineRegion(builder, op.getScore(), scoreArguments);
      Value mask = inlineRegion(builder, op.getMask(), arguments);
      return arith::SelectOp::create(
          builder, loc, mask, score,
          real(builder, -std::numeric_limits<float>::infinity()));
    }
    arguments.insert(arguments.begin(), score);
    return inlineRegion(builder, op.getScore(), arguments);
  };
  SmallVector<AffineExpr> identity;
  for (unsigned i = 0; i < 4; ++i)
    identity.push_back(rewriter.getAffineDimExpr(i));
  return generic(4, products, empty(scoreSizes), {identity, identity}, {},
                 body);
}

void Decomposer::run() {
  const float infinity = std::numeric_limits<float>::infinity();
  alignment = getValueOrCreateConstantIndexOp(rewriter, loc,
                                              op.getMixedAlignment(rewriter));
  heads = getValueOrCreateConstantIndexOp(rewriter, loc,
                                          op.getMixedHeads(rewriter));
  query = asTensor(op.getQuery());
  key = asTensor(op.getKey());
  value = asTensor(op.getValue());
  for (auto [tensor, operand] : {std::pair(&queryScale, op.getQDescale()),
                                 {&keyScale, op.getKDescale()},
                                 {&valueScale, op.getVDescale()}})
    if (operand)
      *tensor = asTensor(operand);
  rowSizes = {dim(query, 0), dim(query, 1), dim(query, 2)};
  scoreSizes = llvm::to_vector(rowSizes);
  scoreSizes.push_back(dim(key, 2));

  Value scores = computeScores();

  AffineExpr b, h, q, k, v;
  bindDims(rewriter.getContext(), b, h, q, k, v);
  Value maxima =
      generic(4, scores, fill(rowSizes, -infinity), {{b, h, q, k}, {b, h, q}},
              {3}, [&](OpBuilder &builder, ValueRange elements) -> Value {
                return arith::MaximumFOp::create(builder, loc, elements[0],
                                                 elements[1]);
              });
  // A row without keys has maximum -inf, and -inf - -inf is NaN: subtract 0.
  Value exponentials =
      generic(4, {scores, maxima}, empty(scoreSizes),
              {{b, h, q, k}, {b, h, q}, {b, h, q, k}}, {},
              [&](OpBuilder &builder, ValueRange elements) -> Value {
                Value isDead = arith::CmpFOp::create(
                    builder, loc, arith::CmpFPredicate::OEQ, elements[1],
                    real(builder, -infinity));
                Value maximum = arith::SelectOp::create(
                    builder, loc, isDead, real(builder, 0.0f), elements[1]);
                Value shifted =
                    arith::SubFOp::create(builder, loc, elements[0], maximum);
                return math::ExpOp::create(builder, loc, shifted);
              });
  Value sums = generic(
      4, exponentials, fill(rowSizes, 0.0f), {{b, h, q, k}, {b, h, q}}, {3},
      [&](OpBuilder &builder, ValueRange elements) -> Value {
        return arith::AddFOp::create(builder, loc, elements[1], elements[0]);
      });

  // P is rounded to V's type, in 8 bits times a power of two; the sum above is
  // of P before it.
  const int exponent =
      AttentionOp::getProbabilityExponent(op.getValueType().getElementType());
  Type stored = op.getValueType().getElementType();
  SmallVector<OpFoldResult> outputSizes = llvm::to_vector(rowSizes);
  outputSizes.push_back(dim(value, 3));
  AffineExpr valueHead = h.floorDiv(op.getGroupSize());
  // Loops (b, h, q, v, k): `k` and `v` below are the fourth and fifth.
  Value unnormalized = generic(
      5, {exponentials, value}, fill(outputSizes, 0.0f),
      {{b, h, q, v}, {b, valueHead, v, k}, {b, h, q, k}}, {4},
      [&](OpBuilder &builder, ValueRange elements) -> Value {
        Value weight = elements[0];
        if (exponent)
          weight = arith::MulFOp::create(
              builder, loc, weight, real(builder, std::ldexp(1.0f, exponent)));
        weight = toF32(builder, fromF32(builder, weight, stored));
        if (exponent)
          weight = arith::MulFOp::create(
              builder, loc, weight, real(builder, std::ldexp(1.0f, -exponent)));
        Value product = arith::MulFOp::create(builder, loc, weight,
                                              toF32(builder, elements[1]));
        return arith::AddFOp::create(builder, loc, elements[2], product);
      });

  if (valueScale)
    unnormalized = generic(
        4, {unnormalized, valueScale}, empty(outputSizes),
        {{b, h, q, k}, {b, valueHead}, {b, h, q, k}}, {},
        [&](OpBuilder &builder, ValueRange elements) -> Value {
          return arith::MulFOp::create(builder, loc, elements[0], elements[1]);
        });

  auto isDead = [&](OpBuilder &builder, Value sum) -> Value {
    return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, sum,
                                 real(builder, 0.0f));
  };
  Type outputType = op.getOutputType().getElementType();
  Value output = generic(
      4, {unnormalized, sums}, asTensor(op.getOutput(), /*isWritten=*/true),
      {{b, h, q, k}, {b, h, q}, {b, h, q, k}}, {},
      [&](OpBuilder &builder, ValueRange elements) -> Value {
        Value quotient =
            arith::DivFOp::create(builder, loc, elements[0], elements[1]);
        Value alive =
            arith::SelectOp::create(builder, loc, isDead(builder, elements[1]),
                                    real(builder, 0.0f), quotient);
        return fromF32(builder, alive, outputType);
      });
  Value lse;
  if (op.getLse())
    lse = generic(3, {maxima, sums}, asTensor(op.getLse(), /*isWritten=*/true),
                  {{b, h, q}, {b, h, q}, {b, h, q}}, {},
                  [&](OpBuilder &builder, ValueRange elements) -> Value {
                    Value log = math::LogOp::create(builder, loc, elements[1]);
                    Value sum =
                        arith::AddFOp::create(builder, loc, elements[0], log);
                    return arith::SelectOp::create(
                        builder, loc, isDead(builder, elements[1]),
                        real(builder, -infinity), sum);
                  });
  replace(output, lse);
}

void Decomposer::replace(Value output, Value lse) {
  if (!op.isOnBuffers()) {
    SmallVector<Value> results{output};
    if (lse)
      results.push_back(lse);
    rewriter.replaceOp(op, results);
    return;
  }
  auto write = [&](Value tensor, Value buffer) {
    auto store = bufferization::MaterializeInDestinationOp::create(
        rewriter, loc, tensor, buffer);
    store.setWritable(true);
  };
  write(output, op.getOutput());
  if (lse)
    write(lse, op.getLse());
  rewriter.eraseOp(op);
}

LogicalResult mlir::flash::decomposeAttention(RewriterBase &rewriter,
                                              AttentionOp op) {
  for (auto [role, operand] :
       {std::pair<StringRef, Value>{"cu_seqlens_q", op.getCuSeqlensQ()},
        {"cu_seqlens_k", op.getCuSeqlensK()},
        {"block_table", op.getBlockTable()},
        {"sinks", op.getSinks()}})
    if (operand)
      return op.emitOpError() << role << ": not yet lowered";
  expandModifiers(rewriter, op);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  Decomposer(rewriter, op).run();
  return success();
}

namespace {
struct DecomposePass : flash::impl::FlashDecomposeBase<DecomposePass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      return failed(decomposeAttention(rewriter, op)) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
