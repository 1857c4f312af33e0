//===- FlashTileTensorMemory.cpp - Tensor memory
//-------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpVerifiers.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

/// Tensor memory of an SM: 128 lanes of 512 columns.
static constexpr int64_t tmemColumns = 512;

LogicalResult TmemAllocOp::verify() {
  const int64_t first = static_cast<int64_t>(getColumn());
  const int64_t columns = getTile().getType().getColumns();
  if (first < 0 || first > tmemColumns - columns)
    return emitOpError() << "first column: expected 0 to "
                         << tmemColumns - columns << " (for " << columns
                         << " columns), got " << first;
  return success();
}

LogicalResult TmemViewOp::verify() {
  const int64_t columns = getResult().getType().getColumns();
  const int64_t limit = getSource().getType().getColumns();
  if (columns > limit)
    return emitOpError() << "columns: expected at most " << limit
                         << " (as the source), got " << columns;
  IntegerAttr first;
  if (matchPattern(getColumn(), m_Constant(&first)) &&
      (first.getInt() < 0 || first.getInt() > limit - columns))
    return emitOpError() << "first column: expected 0 to " << limit - columns
                         << " (for " << columns << " columns), got "
                         << first.getInt();
  return success();
}

/// T43: `tile` is what threads hold of `tmem`, one row each.
static LogicalResult verifyTransfer(Operation *op, StringRef role,
                                    TmemType tmem, RankedTensorType tile) {
  if (failed(verifySameTile(op, role, "the tensor memory", tmem, tile)))
    return failure();
  std::optional<Layout> got = Layout::get(tile);
  if (!got)
    return success();
  Layout expected = *Layout::tcgen05Accumulator(
      tile.getShape()[0], tile.getShape()[1], tile.getShape()[0] / 32);
  if (got->canonical() != expected.canonical())
    return op->emitOpError()
           << role << " layout: expected " << expected.toAttr(op->getContext())
           << " (a row per thread), got " << tile.getEncoding();
  return success();
}

LogicalResult TmemLoadOp::verify() {
  auto tile = dyn_cast<RankedTensorType>(getFuture().getType().getValueType());
  if (!tile)
    return emitOpError() << "future: expected one of a register tile, got "
                         << getFuture().getType().getValueType();
  return verifyTransfer(*this, "future's tile", getSource().getType(), tile);
}

LogicalResult TmemStoreOp::verify() {
  return verifyTransfer(*this, "tile", getDest().getType(),
                        getValue().getType());
}

LogicalResult TmemDotOp::verify() {
  TmemType accumulator = getAccumulator().getType();
  FailureOr<DotShape> shape =
      verifyDotShape(*this, getA().getType(), getB().getType(), accumulator,
                     getTransposeA(), getTransposeB());
  if (failed(shape) || failed(verifyDotDepth(*this, *shape, accumulator)))
    return failure();
  if (!accumulator.getElementType().isF32())
    return emitOpError() << "accumulator element type: expected f32, got "
                         << accumulator.getElementType();
  if (shape->n % 16 != 0 || shape->n > 256)
    return emitOpError() << "columns: expected a multiple of 16 up to 256, got "
                         << shape->n;
  if (isa<TmemType>(getA().getType()) && getTransposeA())
    return emitOpError()
           << "transpose_a: expected a in shared memory, got tensor memory";
  return success();
}

LogicalResult CommitOp::verify() {
  return verifyStage(*this, getStage(), getBarrier().getType().getStages());
}
