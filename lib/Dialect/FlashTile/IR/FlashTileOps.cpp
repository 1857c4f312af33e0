//===- FlashTileOps.cpp - Verifiers of the core ops
//-------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::flash_tile;

#define GET_OP_CLASSES
#include "flash/Dialect/FlashTile/IR/FlashTileOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Shared checks
//===----------------------------------------------------------------------===//

namespace {
/// Shape and element type of a tile in registers or in shared memory.
struct TileShape {
  ArrayRef<int64_t> shape;
  Type elementType;
};
} // namespace

static TileShape getTileShape(Type type) {
  if (auto view = dyn_cast<ViewType>(type))
    return {view.getShape(), view.getElementType()};
  auto tile = cast<RankedTensorType>(type);
  return {tile.getShape(), tile.getElementType()};
}

/// `[128, 64]`.
static std::string toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  llvm::interleaveComma(shape, os);
  os << "]";
  return text;
}

/// `got` has the shape and element type of `expected`.
static LogicalResult verifySameTile(Operation *op, StringRef role,
                                    StringRef like, Type expected, Type got) {
  TileShape want = getTileShape(expected), have = getTileShape(got);
  if (want.shape != have.shape)
    return op->emitOpError()
           << role << " shape: expected " << toString(want.shape) << " (as "
           << like << "), got " << toString(have.shape);
  if (want.elementType != have.elementType)
    return op->emitOpError()
           << role << " element type: expected " << want.elementType << " (as "
           << like << "), got " << have.elementType;
  return success();
}

/// A tile of at most as many axes as the memref, of the memref's element type,
/// addressed by one index per memref axis.
static LogicalResult verifyGlobalAccess(Operation *op, StringRef role,
                                        Type tile, MemRefType memref,
                                        size_t numIndices) {
  TileShape shape = getTileShape(tile);
  if (static_cast<int64_t>(shape.shape.size()) > memref.getRank())
    return op->emitOpError()
           << role << " rank: expected at most " << memref.getRank()
           << " (as the memref), got " << shape.shape.size();
  if (shape.elementType != memref.getElementType())
    return op->emitOpError()
           << role << " element type: expected " << memref.getElementType()
           << " (as the memref), got " << shape.elementType;
  if (static_cast<int64_t>(numIndices) != memref.getRank())
    return op->emitOpError() << "indices: expected " << memref.getRank()
                             << " (as the memref's rank), got " << numIndices;
  return success();
}

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
  IntegerAttr index;
  if (matchPattern(getIndex(), m_Constant(&index)) &&
      (index.getInt() < 0 || index.getInt() >= buffer.getStages()))
    return emitOpError() << "stage index: expected 0 to "
                         << buffer.getStages() - 1 << ", got "
                         << index.getInt();
  return success();
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
  return verifyGlobalAccess(*this, "tile", getResult().getType(),
                            cast<MemRefType>(getSource().getType()),
                            getIndices().size());
}

LogicalResult StoreOp::verify() {
  return verifyGlobalAccess(*this, "tile", getValue().getType(),
                            cast<MemRefType>(getDest().getType()),
                            getIndices().size());
}

LogicalResult CopyAsyncOp::verify() {
  if (failed(verifyGlobalAccess(*this, "view", getDest().getType(),
                                cast<MemRefType>(getSource().getType()),
                                getIndices().size())))
    return failure();
  if (getFuture().getType().getValueType() != getDest().getType())
    return emitOpError() << "future: expected one of " << getDest().getType()
                         << " (the destination), got "
                         << getFuture().getType().getValueType();
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
  TileShape a = getTileShape(getA().getType());
  TileShape b = getTileShape(getB().getType());
  TileShape acc = getTileShape(getAccumulator().getType());
  for (auto [role, tile] : {std::pair<StringRef, TileShape &>{"a", a},
                            {"b", b},
                            {"accumulator", acc}})
    if (tile.shape.size() != 2)
      return emitOpError() << role << " rank: expected 2, got "
                           << tile.shape.size();
  if (a.elementType != b.elementType)
    return emitOpError() << "b element type: expected " << a.elementType
                         << " (as a), got " << b.elementType;
  const int64_t m = a.shape[getTransposeA() ? 1 : 0];
  const int64_t k = a.shape[getTransposeA() ? 0 : 1];
  const int64_t bk = b.shape[getTransposeB() ? 1 : 0];
  const int64_t n = b.shape[getTransposeB() ? 0 : 1];
  if (k != bk)
    return emitOpError() << "b depth: expected " << k << " (as a), got " << bk;
  // The rows of a view are padded to whole granules; the accumulator is not.
  const bool padded = isa<ViewType>(getB().getType()) && !getTransposeB();
  if (acc.shape[0] != m || (padded ? acc.shape[1] > n : acc.shape[1] != n))
    return emitOpError() << "accumulator shape: expected " << toString({m, n})
                         << " (rows of a, columns of b), "
                         << "got " << toString(acc.shape);
  return success();
}

LogicalResult ReduceOp::verify() {
  return verifySlice(*this, getSource().getType(), getResult().getType(),
                     getAxis());
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
  return success();
}
