//===- LinalgBuilder.h - Short forms for linalg on f32 tensors --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_DIALECT_FLASH_TRANSFORMS_LINALGBUILDER_H
#define FLASH_LIB_DIALECT_FLASH_TRANSFORMS_LINALGBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace mlir::flash {

/// Builds the linalg ops that attention decomposes to, all at one location.
class LinalgBuilder {
public:
  /// Computes one element from those of the inputs and, last, of the init.
  using Body = function_ref<Value(OpBuilder &, ValueRange)>;

  LinalgBuilder(OpBuilder &builder, Location loc)
      : builder(builder), loc(loc), f32(builder.getF32Type()) {}

protected:
  OpBuilder &builder;
  Location loc;
  Type f32;

  Value real(OpBuilder &at, float value) {
    return arith::ConstantOp::create(at, loc, at.getF32FloatAttr(value));
  }
  Value toF32(OpBuilder &at, Value value) {
    return value.getType() == f32
               ? value
               : arith::ExtFOp::create(at, loc, f32, value).getResult();
  }
  Value fromF32(OpBuilder &at, Value value, Type type) {
    return type == f32 ? value : arith::TruncFOp::create(at, loc, type, value);
  }
  /// A tensor of f32 without defined contents, and one filled with `value`.
  Value empty(ArrayRef<OpFoldResult> sizes) {
    return tensor::EmptyOp::create(builder, loc, sizes, f32);
  }
  Value fill(ArrayRef<OpFoldResult> sizes, float value) {
    return linalg::FillOp::create(builder, loc, real(builder, value),
                                  empty(sizes))
        .getResult(0);
  }

  /// A linalg.generic over `numLoops` loops, parallel but for `reductions`,
  /// with one map per input and one for the init, which is also the result's.
  Value generic(unsigned numLoops, ValueRange inputs, Value init,
                ArrayRef<SmallVector<AffineExpr>> maps,
                ArrayRef<unsigned> reductions, Body body) {
    SmallVector<AffineMap> indexingMaps;
    for (ArrayRef<AffineExpr> results : maps)
      indexingMaps.push_back(
          AffineMap::get(numLoops, 0, results, builder.getContext()));
    SmallVector<utils::IteratorType> iterators(numLoops,
                                               utils::IteratorType::parallel);
    for (unsigned reduction : reductions)
      iterators[reduction] = utils::IteratorType::reduction;
    auto result = linalg::GenericOp::create(
        builder, loc, init.getType(), inputs, init, indexingMaps, iterators,
        [&](OpBuilder &at, Location, ValueRange elements) {
          linalg::YieldOp::create(at, loc, body(at, elements));
        });
    return result.getResult(0);
  }
};

} // namespace mlir::flash

#endif // FLASH_LIB_DIALECT_FLASH_TRANSFORMS_LINALGBUILDER_H
