//===- ValueBoundsOpInterfaceImpl.cpp - Value bounds of attention ---------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/ValueBoundsOpInterfaceImpl.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using mlir::flash::AttentionOp;

namespace {
struct AttentionValueBounds
    : ValueBoundsOpInterface::ExternalModel<AttentionValueBounds, AttentionOp> {
  void populateBoundsForShapedValueDim(Operation *op, Value value, int64_t dim,
                                       ValueBoundsConstraintSet &cstr) const {
    auto attention = cast<AttentionOp>(op);
    // Both results begin with B, Hq, Sq; only O has a fourth dimension, Dv.
    Value like = dim == 3 ? attention.getValue() : attention.getQuery();
    cstr.bound(value)[dim] == cstr.getExpr(like, dim);
  }
};
} // namespace

void mlir::flash::registerValueBoundsOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, FlashDialect *) {
    AttentionOp::attachInterface<AttentionValueBounds>(*context);
  });
}
