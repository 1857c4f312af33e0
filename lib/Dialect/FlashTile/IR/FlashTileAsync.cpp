//===- FlashTileAsync.cpp - TMA, asynchronous products -----------------===//
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

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

LogicalResult ViewSliceOp::verify() {
  ViewType source = getSource().getType(), result = getResult().getType();
  if (source.getShape().size() != 2 || result.getShape().size() != 2)
    return emitOpError() << "view rank: expected 2, got "
                         << (source.getShape().size() != 2
                                 ? source.getShape().size()
                                 : result.getShape().size());
  const int64_t rows = result.getShape()[0];
  ViewType expected = ViewType::get(
      getContext(), {rows, source.getShape()[1]}, source.getElementType(),
      source.getSwizzle(), source.getTransposed());
  if (result != expected)
    return emitOpError() << "result: expected " << expected
                         << " (rows of the source), got " << result;
  if (rows % 8 != 0)
    return emitOpError() << "rows: expected a multiple of 8, got " << rows;
  IntegerAttr row;
  if (matchPattern(getRow(), m_Constant(&row)) &&
      (row.getInt() < 0 || row.getInt() % 8 != 0 ||
       row.getInt() > source.getShape()[0] - rows))
    return emitOpError() << "first row: expected a multiple of 8 from 0 to "
                         << source.getShape()[0] - rows << ", got "
                         << row.getInt();
  return success();
}

LogicalResult TransposeOp::verify() {
  ViewType source = getSource().getType();
  if (source.getShape().size() != 2)
    return emitOpError() << "view rank: expected 2, got "
                         << source.getShape().size();
  ViewType expected = ViewType::get(
      getContext(), {source.getShape()[1], source.getShape()[0]},
      source.getElementType(), source.getSwizzle(), !source.getTransposed());
  if (getResult().getType() != expected)
    return emitOpError() << "result: expected " << expected
                         << " (the source's axes exchanged), got "
                         << getResult().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// TMA
//===----------------------------------------------------------------------===//

LogicalResult TensorMapOp::verify() {
  auto memref = dyn_cast<MemRefType>(getSource().getType());
  if (!memref)
    return emitOpError() << "memref: expected a ranked one, got "
                         << getSource().getType();
  TensorMapType map = getMap().getType();
  if (static_cast<int64_t>(map.getBox().size()) != memref.getRank())
    return emitOpError() << "box rank: expected " << memref.getRank()
                         << " (as the memref), got " << map.getBox().size();
  if (map.getElementType() != memref.getElementType())
    return emitOpError() << "box element type: expected "
                         << memref.getElementType() << " (as the memref), got "
                         << map.getElementType();
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memref.getStridesAndOffset(strides, offset)))
    return emitOpError() << "memref: expected strides, got " << memref;
  if (strides.back() != 1)
    return emitOpError() << "memref's last stride: expected 1, got "
                         << (ShapedType::isDynamic(strides.back())
                                 ? std::string("a dynamic one")
                                 : std::to_string(strides.back()));
  return success();
}

/// T28: the view is whole boxes of the map, side by side along the last axis.
static LogicalResult verifyBoxes(Operation *op, TensorMapType map,
                                 ViewType view, size_t numIndices) {
  if (numIndices != map.getBox().size())
    return op->emitOpError() << "indices: expected " << map.getBox().size()
                             << " (as the map's axes), got " << numIndices;
  if (view.getElementType() != map.getElementType())
    return op->emitOpError()
           << "view element type: expected " << map.getElementType()
           << " (as the map), got " << view.getElementType();
  if (view.getTransposed())
    return op->emitOpError() << "view: expected one that is not transposed";
  if (view.getSwizzle() != map.getSwizzle())
    return op->emitOpError()
           << "view swizzle: expected "
           << (map.getSwizzle() ? Attribute(map.getSwizzle())
                                : StringAttr::get(op->getContext(), "none"))
           << " (as the map), got "
           << (view.getSwizzle() ? Attribute(view.getSwizzle())
                                 : StringAttr::get(op->getContext(), "none"));
  // Axes in front of the view's are indexed, not copied: extent 1.
  ArrayRef<int64_t> box = map.getBox(), shape = view.getShape();
  const size_t outer = box.size() - std::min(box.size(), shape.size());
  bool fits = shape.size() <= box.size() &&
              llvm::all_of(box.take_front(outer),
                           [](int64_t extent) { return extent == 1; }) &&
              shape.back() % box.back() == 0;
  if (fits && shape.size() == 2)
    fits = shape.front() == box[outer];
  if (!fits)
    return op->emitOpError() << "view shape: expected whole boxes of "
                             << toString(box) << ", got " << toString(shape);
  return success();
}

LogicalResult CopyTmaOp::verify() {
  if (failed(verifyBoxes(*this, getMap().getType(), getDest().getType(),
                         getIndices().size())) ||
      failed(
          verifyStage(*this, getStage(), getBarrier().getType().getStages())))
    return failure();
  if (std::optional<uint64_t> mask = getMulticast())
    if (*mask == 0 || *mask > 0xffff)
      return emitOpError() << "multicast mask: expected 1 to 65535, got "
                           << static_cast<int64_t>(*mask);
  return success();
}

template <typename Op> static LogicalResult verifyBulkStore(Op op) {
  if (failed(verifyBoxes(op, op.getMap().getType(), op.getSource().getType(),
                         op.getIndices().size())))
    return failure();
  return verifyViewFuture(op, op.getFuture().getType(),
                          op.getSource().getType());
}

LogicalResult StoreTmaOp::verify() { return verifyBulkStore(*this); }

LogicalResult ReduceAddTmaOp::verify() { return verifyBulkStore(*this); }

//===----------------------------------------------------------------------===//
// Registers and global memory
//===----------------------------------------------------------------------===//

LogicalResult AtomicAddOp::verify() {
  Type elementType = getValue().getType().getElementType();
  if (!elementType.isF32() && !elementType.isF16() && !elementType.isBF16())
    return emitOpError() << "tile element type: expected f32, f16 or bf16, got "
                         << elementType;
  return verifyGlobalAccess(*this, "tile", getValue().getType(), getDest(),
                            getIndices().size());
}

LogicalResult GatherOp::verify() {
  if (failed(verifyGlobalAccess(*this, "tile", getResult().getType(),
                                getSource(), getIndices().size())))
    return failure();
  RankedTensorType result = getResult().getType();
  if (result.getRank() != 2)
    return emitOpError() << "result rank: expected 2, got " << result.getRank();
  auto check = [&](StringRef role, RankedTensorType type,
                   unsigned width) -> LogicalResult {
    if (type.getShape() != result.getShape().take_front())
      return emitOpError() << role << " shape: expected "
                           << toString(result.getShape().take_front())
                           << " (the result's rows), got "
                           << toString(type.getShape());
    if (!type.getElementType().isInteger(width))
      return emitOpError() << role << " element type: expected i" << width
                           << ", got " << type.getElementType();
    return success();
  };
  if (failed(check("rows", getRows().getType(), 32)))
    return failure();
  return check("validity", getValid().getType(), 1);
}

/// T49: elements by index.
static LogicalResult verifyIndexed(Operation *op, Value source,
                                   size_t numIndices) {
  auto type = cast<MemRefType>(source.getType());
  if (size_t(type.getRank()) != numIndices)
    return op->emitOpError()
           << "indices: expected " << type.getRank()
           << " (one per axis of the memref), got " << numIndices;
  Type element = type.getElementType();
  bool isInteger =
      llvm::any_of(ArrayRef<unsigned>{1, 8, 16, 32, 64}, [&](unsigned width) {
        return element.isSignlessInteger(width);
      });
  if (!isInteger && !element.isF32() && !element.isF16() && !element.isBF16())
    return op->emitOpError() << "element type: expected f32, f16, bf16, i1, "
                                "i8, i16, i32 or i64, got "
                             << element;
  return success();
}

LogicalResult LookupOp::verify() {
  return verifyIndexed(*this, getSource(), getIndices().size());
}

LogicalResult PutOp::verify() {
  return verifyIndexed(*this, getDest(), getIndices().size());
}

LogicalResult GatherElementsOp::verify() {
  if (failed(verifyIndexed(*this, getSource(), getIndices().size())))
    return failure();
  RankedTensorType result = getResult().getType();
  if (result.getRank() != 2)
    return emitOpError() << "result rank: expected 2, got " << result.getRank();
  Type element = cast<MemRefType>(getSource().getType()).getElementType();
  if (result.getElementType() != element)
    return emitOpError() << "result element type: expected " << element
                         << " (as the memref), got " << result.getElementType();
  constexpr int64_t kLimit = 1 << 20;
  for (auto [role, factors] :
       {std::pair<StringRef, ArrayRef<int64_t>>{"rows", getRows()},
        {"columns", getColumns()}}) {
    if (factors.size() != getIndices().size())
      return emitOpError() << role << ": expected " << getIndices().size()
                           << " factors (one per index), got "
                           << factors.size();
    for (int64_t factor : factors)
      if (factor <= -kLimit || factor >= kLimit)
        return emitOpError() << role
                             << ": expected factors of magnitude below 2^20, "
                                "got "
                             << factor;
  }
  ArrayRef<int64_t> dims = getOffsetDims();
  if (dims.size() != getOffsets().size())
    return emitOpError() << "offset dimensions: expected "
                         << getOffsets().size() << " (one per offset), got "
                         << dims.size();
  int64_t previous = -1;
  for (int64_t dim : dims) {
    if (dim <= previous || dim >= int64_t(getIndices().size()))
      return emitOpError() << "offset dimensions: expected ascending ones "
                              "below "
                           << getIndices().size() << ", got " << dim;
    previous = dim;
  }
  auto check = [&](StringRef role, Value tile,
                   ArrayRef<unsigned> widths) -> LogicalResult {
    auto type = cast<RankedTensorType>(tile.getType());
    if (type.getShape() != result.getShape())
      return emitOpError() << role << " shape: expected "
                           << toString(result.getShape())
                           << " (as the result), got "
                           << toString(type.getShape());
    if (llvm::none_of(widths, [&](unsigned width) {
          return type.getElementType().isSignlessInteger(width);
        }))
      return emitOpError() << role << " element type: expected "
                           << (widths.size() == 1 ? "i1" : "i32 or i64")
                           << ", got " << type.getElementType();
    return success();
  };
  for (Value offset : getOffsets())
    if (failed(check("offset", offset, {32, 64})))
      return failure();
  if (getValid())
    return check("validity", getValid(), {1});
  return success();
}

//===----------------------------------------------------------------------===//
// Asynchronous products
//===----------------------------------------------------------------------===//

LogicalResult DotAsyncOp::verify() {
  Type a = getA().getType();
  RankedTensorType accumulator = getAccumulator().getType();
  FailureOr<DotShape> shape =
      verifyDotShape(*this, a, getB().getType(), accumulator, getTransposeA(),
                     getTransposeB());
  if (failed(shape) || failed(verifyDotDepth(*this, *shape, accumulator)))
    return failure();
  if (shape->n % 8 != 0)
    return emitOpError() << "columns: expected a multiple of 8, got "
                         << shape->n;
  // wgmma is issued by whole warp groups, 64 rows each.
  const int64_t warps = getRoleWarps(*this).value_or(4);
  if (warps % 4 != 0)
    return emitOpError() << "warps of the role: expected a multiple of 4 (a "
                            "warp group), got "
                         << warps;
  if (shape->m % (16 * warps) != 0)
    return emitOpError() << "rows: expected a multiple of " << 16 * warps
                         << " (64 per warp group), got " << shape->m;
  std::optional<Layout> layout = Layout::get(accumulator);
  if (!layout)
    return success();
  Layout expected = *Layout::wgmmaAccumulator(shape->m, shape->n, warps);
  if (layout->canonical() != expected.canonical())
    return emitOpError() << "accumulator layout: expected "
                         << expected.toAttr(getContext()) << " (of wgmma), got "
                         << accumulator.getEncoding();
  return verifyDotLayouts(*this, *shape, a, getB().getType(), accumulator,
                          getTransposeA(), getTransposeB());
}
