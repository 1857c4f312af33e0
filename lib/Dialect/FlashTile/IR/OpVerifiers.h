//===- OpVerifiers.h - Checks that several ops share ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LIB_DIALECT_FLASHTILE_IR_OPVERIFIERS_H
#define LIB_DIALECT_FLASHTILE_IR_OPVERIFIERS_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

namespace mlir::flash_tile::detail {

/// Shape and element type of a tile in registers, shared or tensor memory.
struct TileShape {
  ArrayRef<int64_t> shape;
  Type elementType;
};
TileShape getTileShape(Type type);

/// `[128, 64]`.
std::string toString(ArrayRef<int64_t> shape);

/// `got` has the shape and element type of `expected`.
LogicalResult verifySameTile(Operation *op, StringRef role, StringRef like,
                             Type expected, Type got);

/// T9: a tile of at most as many axes as the memref, of the memref's element
/// type, addressed by one index per memref axis.
LogicalResult verifyGlobalAccess(Operation *op, StringRef role, Type tile,
                                 Value memref, size_t numIndices);

/// T23 and T7: a stage that is a constant lies in [0, stages).
LogicalResult verifyStage(Operation *op, Value stage, int64_t stages);

/// T10: a future that holds the view that the op fills or reads.
LogicalResult verifyViewFuture(Operation *op, FutureType future, ViewType view);

/// Extents of a product, m x k times k x n.
struct DotShape {
  int64_t m, n, k;
  Type elementType;
};
/// T12: ranks, element types and extents of a, b and the accumulator agree.
FailureOr<DotShape> verifyDotShape(Operation *op, Type a, Type b,
                                   Type accumulator, bool transposeA,
                                   bool transposeB);
/// T13: what every tensor-core product needs: a supported element type, a depth
/// of whole instructions and an accumulator that the instruction has.
LogicalResult verifyDotDepth(Operation *op, DotShape shape, Type accumulator);
/// T13: register operands that carry a layout hold what the instruction behind
/// the accumulator's layout reads, in the given order of the contraction index
/// (empty: the natural one).
LogicalResult verifyDotLayouts(Operation *op, DotShape shape, Type a, Type b,
                               RankedTensorType accumulator, bool transposeA,
                               bool transposeB,
                               ArrayRef<int64_t> contractionOrder = {});
/// T46: a contraction order is one of the instruction's depth, and of a product
/// that takes `a` from registers.
LogicalResult verifyContractionOrder(Operation *op, DotShape shape, Type a,
                                     RankedTensorType accumulator,
                                     bool transposeA, ArrayRef<int64_t> order);

/// Warps of the role around `op`, none outside roles.
std::optional<int64_t> getRoleWarps(Operation *op);

} // namespace mlir::flash_tile::detail

#endif // LIB_DIALECT_FLASHTILE_IR_OPVERIFIERS_H
