//===- ScoreAnalysis.cpp - What a score region does to a score ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/ScoreAnalysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;
using namespace mlir::flash;

/// The number that `value` is, in the region or as a captured constant.
static std::optional<double> getConstant(AttentionOp op, Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    // Captures come behind s, b, h, q and k.
    constexpr unsigned firstCapture = 5;
    if (argument.getArgNumber() < firstCapture)
      return std::nullopt;
    value = op.getCaptures()[argument.getArgNumber() - firstCapture];
  }
  FloatAttr constant;
  if (!matchPattern(value, m_Constant(&constant)))
    return std::nullopt;
  return constant.getValueAsDouble();
}

static std::optional<double> getFactor(AttentionOp op, Value value) {
  if (value == op.getScore().getArgument(0))
    return 1.0;
  Operation *producer = value.getDefiningOp();
  std::optional<double> factor, by;
  if (isa_and_nonnull<arith::MulFOp>(producer)) {
    Value lhs = producer->getOperand(0), rhs = producer->getOperand(1);
    by = getConstant(op, rhs);
    if (!by) {
      std::swap(lhs, rhs);
      by = getConstant(op, rhs);
    }
    if (by)
      factor = getFactor(op, lhs);
  } else if (isa_and_nonnull<arith::DivFOp>(producer)) {
    if ((by = getConstant(op, producer->getOperand(1))))
      factor = getFactor(op, producer->getOperand(0));
    // 0 becomes infinite, which is refused below.
    if (by)
      by = 1.0 / *by;
  } else if (isa_and_nonnull<arith::NegFOp>(producer)) {
    by = -1.0;
    factor = getFactor(op, producer->getOperand(0));
  }
  if (!factor || !by)
    return std::nullopt;
  double product = *factor * *by;
  double magnitude = std::fabs(product);
  // False for NaN, too.
  if (!(magnitude >= 0x1p-64 && magnitude <= 0x1p64))
    return std::nullopt;
  return product;
}

std::optional<double> mlir::flash::getScoreFactor(AttentionOp op) {
  if (!op.hasScoreRegion())
    return 1.0;
  return getFactor(op, op.getScore().front().getTerminator()->getOperand(0));
}
