//===- NormalizeRegions.cpp - What every backend of regions treats alike --===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/Flash/Transforms/Transforms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHNORMALIZEREGIONS
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;

static bool isIndexCast(Operation *op) {
  return isa<arith::IndexCastOp, arith::IndexCastUIOp>(op);
}

/// A cast of an index to fewer than 64 bits, as a truncation. With a cast back
/// it looks to the canonicaliser like none at all, but it drops the upper bits.
static void splitNarrowingCast(RewriterBase &rewriter, Operation *op) {
  Type narrow = op->getResult(0).getType();
  if (narrow.isIndex() || narrow.getIntOrFloatBitWidth() >= 64)
    return;
  rewriter.setInsertionPoint(op);
  Value wide = arith::IndexCastOp::create(
      rewriter, op->getLoc(), rewriter.getI64Type(), op->getOperand(0));
  rewriter.replaceOpWithNewOp<arith::TruncIOp>(op, narrow, wide);
}

/// The larger of x and -x: a form that the mask analysis knows.
static void expandMagnitude(RewriterBase &rewriter, math::AbsIOp op) {
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  Value x = op.getOperand();
  Value zero = arith::ConstantOp::create(
      rewriter, loc, rewriter.getIntegerAttr(x.getType(), 0));
  Value negative = arith::SubIOp::create(rewriter, loc, zero, x);
  rewriter.replaceOpWithNewOp<arith::MaxSIOp>(op, x, negative);
}

/// The smaller of the upper bound and the larger of x and the lower one.
/// Upstream's expansion has the two the other way round.
static void expandClamp(RewriterBase &rewriter, math::ClampFOp op) {
  rewriter.setInsertionPoint(op);
  Value raised = arith::MaxNumFOp::create(rewriter, op.getLoc(), op.getValue(),
                                          op.getMin());
  rewriter.replaceOpWithNewOp<arith::MinNumFOp>(op, raised, op.getMax());
}

/// A float's class by comparisons, which see subnormals as they are.
static void expandClass(RewriterBase &rewriter, Operation *op) {
  using arith::CmpFPredicate;
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(op->getLoc(), rewriter);
  Value x = op->getOperand(0);
  const llvm::fltSemantics &semantics =
      cast<FloatType>(x.getType()).getFloatSemantics();
  auto compare = [&](CmpFPredicate predicate, Value left, APFloat right) {
    Value bound = arith::ConstantOp::create(
        b, rewriter.getFloatAttr(left.getType(), right));
    return arith::CmpFOp::create(b, predicate, left, bound).getResult();
  };
  if (isa<math::IsNaNOp>(op)) {
    rewriter.replaceOpWithNewOp<arith::CmpFOp>(op, CmpFPredicate::UNO, x, x);
    return;
  }
  Value magnitude = math::AbsFOp::create(b, x);
  Value result =
      compare(isa<math::IsInfOp>(op) ? CmpFPredicate::OEQ : CmpFPredicate::OLT,
              magnitude, APFloat::getInf(semantics));
  if (isa<math::IsNormalOp>(op)) {
    Value isLarge = compare(CmpFPredicate::OGE, magnitude,
                            APFloat::getSmallestNormalized(semantics));
    result = arith::AndIOp::create(b, result, isLarge);
  }
  rewriter.replaceOp(op, result);
}

void mlir::flash::normalizeRegions(RewriterBase &rewriter, AttentionOp op) {
  for (Region *region : {&op.getScore(), &op.getMask()}) {
    SmallVector<Operation *> nested;
    // The types from which the region casts to index.
    llvm::SmallDenseSet<Type> castBack;
    region->walk([&](Operation *inner) {
      // What is no scalar has no form on tiles.
      auto isScalar = [](Type type) { return type.isIntOrIndexOrFloat(); };
      if (inner->getNumResults() != 1 ||
          !llvm::all_of(inner->getOperandTypes(), isScalar) ||
          !isScalar(inner->getResult(0).getType()))
        return;
      nested.push_back(inner);
      if (isIndexCast(inner) && inner->getResult(0).getType().isIndex())
        castBack.insert(inner->getOperand(0).getType());
    });
    for (Operation *inner : nested) {
      if (auto magnitude = dyn_cast<math::AbsIOp>(inner))
        expandMagnitude(rewriter, magnitude);
      else if (auto clamp = dyn_cast<math::ClampFOp>(inner))
        expandClamp(rewriter, clamp);
      else if (isIndexCast(inner) &&
               castBack.contains(inner->getResult(0).getType()))
        splitNarrowingCast(rewriter, inner);
      else if (isa<math::IsNaNOp, math::IsInfOp, math::IsFiniteOp,
                   math::IsNormalOp>(inner))
        expandClass(rewriter, inner);
    }
  }
}

namespace {
struct NormalizeRegionsPass
    : flash::impl::FlashNormalizeRegionsBase<NormalizeRegionsPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk(
        [&](AttentionOp op) { normalizeRegions(rewriter, op); });
  }
};
} // namespace
