//===- SplitKeys.cpp - Merging attention over parts of the keys -----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/SplitKeys.h"

#include "LinalgBuilder.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

namespace {
class Merger : LinalgBuilder {
public:
  Merger(OpBuilder &builder, AttentionOp op)
      : LinalgBuilder(builder, op.getLoc()), op(op) {}

  MergeResult run(Value outputs, Value lses);

private:
  Value isEqual(OpBuilder &at, Value value, float number) {
    return arith::CmpFOp::create(at, loc, arith::CmpFPredicate::OEQ, value,
                                 real(at, number));
  }

  AttentionOp op;
};
} // namespace

MergeResult Merger::run(Value outputs, Value lses) {
  const float infinity = std::numeric_limits<float>::infinity();
  AffineExpr b, h, q, v, n;
  bindDims(builder.getContext(), b, h, q, v, n);
  // Without columns the parts are the fourth loop.
  AffineExpr part = v;
  SmallVector<OpFoldResult> rows;
  for (int64_t dim = 1; dim < 4; ++dim)
    rows.push_back(tensor::getMixedSize(builder, loc, lses, dim));
  SmallVector<OpFoldResult> rowsAndColumns = rows;
  rowsAndColumns.push_back(tensor::getMixedSize(builder, loc, outputs, 4));

  Value maxima = generic(
      4, lses, fill(rows, -infinity), {{part, b, h, q}, {b, h, q}}, {3},
      [&](OpBuilder &at, ValueRange elements) -> Value {
        return arith::MaximumFOp::create(at, loc, elements[0], elements[1]);
      });
  // exp(LSE of the part - maximum); 0 for a part without a live key, also
  // where no part has one and the difference would be NaN.
  auto weight = [&](OpBuilder &at, Value lse, Value maximum) -> Value {
    Value shifted = arith::SubFOp::create(at, loc, lse, maximum);
    Value exponential = math::ExpOp::create(at, loc, shifted);
    return arith::SelectOp::create(at, loc, isEqual(at, lse, -infinity),
                                   real(at, 0.0f), exponential);
  };
  Value sums =
      generic(4, {lses, maxima}, fill(rows, 0.0f),
              {{part, b, h, q}, {b, h, q}, {b, h, q}}, {3},
              [&](OpBuilder &at, ValueRange elements) -> Value {
                return arith::AddFOp::create(
                    at, loc, elements[2], weight(at, elements[0], elements[1]));
              });
  Value weighted =
      generic(5, {outputs, lses, maxima}, fill(rowsAndColumns, 0.0f),
              {{n, b, h, q, v}, {n, b, h, q}, {b, h, q}, {b, h, q, v}}, {4},
              [&](OpBuilder &at, ValueRange elements) -> Value {
                Value term = arith::MulFOp::create(
                    at, loc, weight(at, elements[1], elements[2]), elements[0]);
                return arith::AddFOp::create(at, loc, elements[3], term);
              });

  Type stored = op.getOutputType().getElementType();
  Value output = generic(
      4, {weighted, sums}, op.getOutput(),
      {{b, h, q, v}, {b, h, q}, {b, h, q, v}}, {},
      [&](OpBuilder &at, ValueRange elements) -> Value {
        Value quotient =
            arith::DivFOp::create(at, loc, elements[0], elements[1]);
        Value alive = arith::SelectOp::create(
            at, loc, isEqual(at, elements[1], 0.0f), real(at, 0.0f), quotient);
        return fromF32(at, alive, stored);
      });
  Value lse = generic(
      3, {maxima, sums}, op.getLse(), {{b, h, q}, {b, h, q}, {b, h, q}}, {},
      [&](OpBuilder &at, ValueRange elements) -> Value {
        Value log = math::LogOp::create(at, loc, elements[1]);
        Value sum = arith::AddFOp::create(at, loc, elements[0], log);
        return arith::SelectOp::create(at, loc, isEqual(at, elements[1], 0.0f),
                                       real(at, -infinity), sum);
      });
  // One merge op: transform.structured.tile_reduction_using_forall has one
  // handle for it.
  return {{output.getDefiningOp()}, {output, lse}};
}

MergeResult mlir::flash::mergeSplits(OpBuilder &builder, AttentionOp op,
                                     Value outputs, Value lses) {
  return Merger(builder, op).run(outputs, lses);
}
