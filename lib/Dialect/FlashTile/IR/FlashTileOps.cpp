//===- FlashTileOps.cpp - Verifiers of the core ops
//-------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpVerifiers.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

#define GET_OP_CLASSES
#include "flash/Dialect/FlashTile/IR/FlashTileOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

static LogicalResult verifyAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank)
    return op->emitOpError()
           << "axis: expected 0 to " << rank - 1 << ", got " << axis;
  return success();
}

/// `vector` is `tile` without `axis`, in shape, element type and layout.
static LogicalResult verifySlice(Operation *op, RankedTensorType tile,
                                 RankedTensorType vector, int64_t axis) {
  if (failed(verifyAxis(op, axis, tile.getRank())))
    return failure();
  if (tile.getRank() < 2)
    return op->emitOpError()
           << "tile rank: expected at least 2, got " << tile.getRank();
  SmallVector<int64_t> shape(tile.getShape());
  shape.erase(shape.begin() + axis);
  if (ArrayRef<int64_t>(shape) != vector.getShape())
    return op->emitOpError() << "vector shape: expected " << toString(shape)
                             << " (the tile's without axis " << axis
                             << "), got " << toString(vector.getShape());
  if (tile.getElementType() != vector.getElementType())
    return op->emitOpError()
           << "vector element type: expected " << tile.getElementType()
           << " (as the tile), got " << vector.getElementType();
  std::optional<Layout> full = Layout::get(tile), slice = Layout::get(vector);
  if (full.has_value() != slice.has_value())
    return op->emitOpError()
           << "vector layout: expected "
           << (full ? "one, as the tile has" : "none, as the tile has none")
           << ", got " << (slice ? "one" : "none");
  // The same function may be spelled in more than one way.
  if (full && !full->slice(axis).isSameFunction(*slice))
    return op->emitOpError() << "vector layout: expected "
                             << full->slice(axis).toAttr(op->getContext())
                             << ", got " << vector.getEncoding();
  return success();
}

//===----------------------------------------------------------------------===//
// Bands
//===----------------------------------------------------------------------===//

LogicalResult InRangeOp::verify() {
  if (getLower().empty())
    return emitOpError("ranges: expected 1 at least, got none");
  return success();
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

LogicalResult AllocOp::verify() {
  std::optional<uint64_t> offset = getOffset();
  if (offset && (static_cast<int64_t>(*offset) < 0 || *offset % 128 != 0))
    return emitOpError() << "offset: expected a multiple of 128, got "
                         << static_cast<int64_t>(*offset);
  return success();
}

LogicalResult StageOp::verify() {
  BufferType buffer = getBuffer().getType();
  ViewType expected =
      ViewType::get(getContext(), buffer.getTileShape(),
                    buffer.getElementType(), buffer.getSwizzle());
  if (getView().getType() != expected)
    return emitOpError() << "view: expected " << expected
                         << " (one stage of the buffer), got "
                         << getView().getType();
  return verifyStage(*this, getIndex(), buffer.getStages());
}

LogicalResult LocalLoadOp::verify() {
  return verifySameTile(*this, "result", "the view", getSource().getType(),
                        getResult().getType());
}

LogicalResult LocalStoreOp::verify() {
  return verifySameTile(*this, "value", "the view", getDest().getType(),
                        getValue().getType());
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

LogicalResult LoadOp::verify() {
  return verifyGlobalAccess(*this, "tile", getResult().getType(), getSource(),
                            getIndices().size());
}

LogicalResult GlobalTileOp::verify() {
  return verifyGlobalAccess(*this, "tile", getResult().getType(), getSource(),
                            getIndices().size());
}

LogicalResult StoreOp::verify() {
  return verifyGlobalAccess(*this, "tile", getValue().getType(), getDest(),
                            getIndices().size());
}

LogicalResult CopyAsyncOp::verify() {
  if (failed(verifyGlobalAccess(*this, "view", getDest().getType(), getSource(),
                                getIndices().size())))
    return failure();
  if (failed(
          verifyViewFuture(*this, getFuture().getType(), getDest().getType())))
    return failure();
  if (std::optional<uint64_t> alignment = getAlignment())
    if (*alignment != 16 && *alignment != 8 && *alignment != 4 &&
        *alignment != 2)
      return emitOpError() << "alignment: expected 16, 8, 4 or 2 bytes, got "
                           << static_cast<int64_t>(*alignment);
  return success();
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

LogicalResult WaitOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                       ValueRange operands, DictionaryAttr,
                                       OpaqueProperties, RegionRange,
                                       SmallVectorImpl<Type> &inferred) {
  for (Value future : operands) {
    auto type = dyn_cast<FutureType>(future.getType());
    if (!type)
      return failure();
    inferred.push_back(type.getValueType());
  }
  return success();
}

LogicalResult WaitOp::verify() {
  if (getFutures().empty())
    return emitOpError() << "futures: expected at least one, got none";
  if (static_cast<int64_t>(getInFlight()) < 0)
    return emitOpError() << "in_flight: expected >= 0, got "
                         << static_cast<int64_t>(getInFlight());
  return success();
}

//===----------------------------------------------------------------------===//
// Compute
//===----------------------------------------------------------------------===//

LogicalResult DotOp::verify() {
  Type a = getA().getType(), b = getB().getType();
  RankedTensorType accumulator = getAccumulator().getType();
  FailureOr<DotShape> shape = verifyDotShape(*this, a, b, accumulator,
                                             getTransposeA(), getTransposeB());
  if (failed(shape))
    return failure();
  if (getUnit() != DotUnit::fma &&
      (isa<GlobalTileType>(a) || isa<GlobalTileType>(b)))
    return emitOpError() << "operands: expected register tiles or shared-memory "
                            "views (only products on fma read global memory)";
  ArrayRef<int64_t> order =
      getContractionOrder().value_or(ArrayRef<int64_t>());
  if (getContractionOrder() &&
      failed(verifyContractionOrder(*this, *shape, a, accumulator,
                                    getTransposeA(), order)))
    return failure();
  // Before layouts are assigned, and for products by FMA, any extents do.
  std::optional<Layout> layout = Layout::get(accumulator);
  if (!layout || !layout->isMmaAccumulator())
    return success();
  if (failed(verifyDotDepth(*this, *shape, accumulator)))
    return failure();
  return verifyDotLayouts(*this, *shape, a, b, accumulator, getTransposeA(),
                          getTransposeB(), order);
}

Speculation::Speculatability ReduceOp::getSpeculatability() {
  return getScratch() ? Speculation::NotSpeculatable
                      : Speculation::Speculatable;
}

void ReduceOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  if (getScratchMutable().empty())
    return;
  OpOperand *scratch = &*getScratchMutable().begin();
  effects.emplace_back(MemoryEffects::Write::get(), scratch);
  effects.emplace_back(MemoryEffects::Read::get(), scratch);
}

LogicalResult ReduceOp::verify() {
  RankedTensorType source = getSource().getType();
  RankedTensorType result = getResult().getType();
  if (failed(verifySlice(*this, source, result, getAxis())))
    return failure();
  if (!getScratch())
    return success();
  ViewType scratch = getScratch().getType();
  if (source.getRank() != 2 || getAxis() != 1)
    return emitOpError() << "scratch: expected a reduction over axis 1 of a "
                            "tile of rank 2, got axis "
                         << getAxis() << " of rank " << source.getRank();
  if (scratch.getElementType() != source.getElementType())
    return emitOpError() << "scratch element type: expected "
                         << source.getElementType() << " (as the source), got "
                         << scratch.getElementType();
  // Without a layout nobody holds a part yet.
  std::optional<Layout> layout = Layout::get(source);
  const int64_t parts = layout ? layout->countParts(/*axis=*/1) : 1;
  ArrayRef<int64_t> shape = scratch.getShape();
  if (shape.size() != 2 || shape[0] != result.getDimSize(0) ||
      shape[1] < parts || scratch.getTransposed())
    return emitOpError() << "scratch: expected " << result.getDimSize(0)
                         << " rows of at least " << parts << ", got "
                         << scratch;
  return success();
}

LogicalResult ExpandOp::verify() {
  return verifySlice(*this, getResult().getType(), getSource().getType(),
                     getAxis());
}

LogicalResult IndexOp::verify() {
  if (!getResult().getType().getElementType().isInteger(32))
    return emitOpError() << "result element type: expected i32, got "
                         << getResult().getType().getElementType();
  return verifyAxis(*this, getAxis(), getResult().getType().getRank());
}

LogicalResult SplatOp::verify() {
  if (getValue().getType() != getResult().getType().getElementType())
    return emitOpError() << "result element type: expected "
                         << getValue().getType() << " (as the scalar), got "
                         << getResult().getType().getElementType();
  return success();
}

LogicalResult ConvertLayoutOp::verify() {
  if (failed(verifySameTile(*this, "result", "the source",
                            getSource().getType(), getResult().getType())))
    return failure();
  RankedTensorType source = getSource().getType();
  RankedTensorType result = getResult().getType();
  if (!source.getEncoding() || !result.getEncoding())
    return emitOpError() << (source.getEncoding() ? "result" : "source")
                         << " layout: expected one, got none";
  std::optional<ArrayRef<int64_t>> permutation = getPermutation();
  if (!permutation)
    return success();
  if (getExchange())
    return emitOpError() << "exchange: expected no permutation beside it";
  const int64_t needed = Layout::get(result)->numRegisters();
  const int64_t held = Layout::get(source)->numRegisters();
  if (permutation->empty() ? needed != held
                           : needed != int64_t(permutation->size()))
    return emitOpError() << "permutation: expected " << needed
                         << " registers (of the result), got "
                         << (permutation->empty() ? held : permutation->size());
  for (int64_t reg : *permutation)
    if (reg < 0 || reg >= held)
      return emitOpError() << "permutation: expected registers 0 to "
                           << held - 1 << " (of the source), got " << reg;
  return success();
}
