//===- FlashTileTypes.cpp - Buffers, views and futures
//----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash_tile;

#define GET_TYPEDEF_CLASSES
#include "flash/Dialect/FlashTile/IR/FlashTileTypes.cpp.inc"

void FlashTileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "flash/Dialect/FlashTile/IR/FlashTileTypes.cpp.inc"
      >();
}

/// The extents and element type of a tile, `2x64x128xbf16`.
static ParseResult parseTile(AsmParser &parser, SmallVector<int64_t> &shape,
                             Type &elementType) {
  return failure(parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
                 parser.parseType(elementType));
}

static void printTile(AsmPrinter &printer, ArrayRef<int64_t> shape,
                      Type elementType) {
  printer.printDimensionList(shape);
  printer << "x" << elementType;
}

/// `<64x128xbf16>`.
template <typename T> static Type parseTileType(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  if (parser.parseLess() || parseTile(parser, shape, elementType) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<T>(loc, parser.getContext(), shape, elementType);
}

/// `<2x64x128xbf16, #flash_tile.swizzle<...>>`, the swizzle optional.
template <typename T> static Type parseSwizzledType(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  SwizzleAttr swizzle;
  if (parser.parseLess() || parseTile(parser, shape, elementType) ||
      (succeeded(parser.parseOptionalComma()) &&
       parser.parseAttribute(swizzle)) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<T>(loc, parser.getContext(), shape, elementType,
                              swizzle);
}

static void printSwizzled(AsmPrinter &printer, ArrayRef<int64_t> shape,
                          Type elementType, SwizzleAttr swizzle) {
  printTile(printer, shape, elementType);
  if (swizzle)
    printer << ", " << swizzle;
}

/// More than the shared memory of any chip holds in one direction; keeps sizes
/// in bytes from overflowing.
static constexpr int64_t extentLimit = 65536;

/// What a buffer and a view have in common, `tile` being one stage.
static LogicalResult
verifySharedTile(function_ref<InFlightDiagnostic()> emitError, StringRef what,
                 ArrayRef<int64_t> tile, Type elementType,
                 SwizzleAttr swizzle) {
  if (tile.empty() || tile.size() > 2)
    return emitError() << what << " tile: expected rank 1 or 2, got "
                       << tile.size();
  for (int64_t extent : tile)
    if (extent < 1 || extent > extentLimit)
      return emitError() << what << " extent: expected 1 to " << extentLimit
                         << ", got " << extent;
  if (!elementType.isIntOrFloat() ||
      elementType.getIntOrFloatBitWidth() % 8 != 0)
    return emitError() << what
                       << " element type: expected an integer or float of "
                          "whole bytes, got "
                       << elementType;
  // The XOR permutes 16-byte chunks within a row, in groups of 2^bits.
  const int64_t rowBytes =
      tile.back() * elementType.getIntOrFloatBitWidth() / 8;
  const int64_t granule = !swizzle ? 1
                          : swizzle.getPanel()
                              ? swizzle.getPanel()
                              : int64_t{16} << swizzle.getBits();
  if (rowBytes % granule != 0)
    return emitError() << what << " row bytes: expected a multiple of "
                       << granule << " (by the swizzle), got " << rowBytes;
  return success();
}

//===----------------------------------------------------------------------===//
// BufferType
//===----------------------------------------------------------------------===//

Type BufferType::parse(AsmParser &parser) {
  return parseSwizzledType<BufferType>(parser);
}

void BufferType::print(AsmPrinter &printer) const {
  printer << "<";
  printSwizzled(printer, getShape(), getElementType(), getSwizzle());
  printer << ">";
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType,
                                 SwizzleAttr swizzle) {
  if (shape.size() < 2)
    return emitError() << "buffer: expected stages and at least one extent, "
                          "got rank "
                       << shape.size();
  if (shape.front() < 1 || shape.front() > 64)
    return emitError() << "buffer stages: expected 1 to 64, got "
                       << shape.front();
  return verifySharedTile(emitError, "buffer", shape.drop_front(), elementType,
                          swizzle);
}

int64_t BufferType::getStageBytes() const {
  int64_t bytes = getElementType().getIntOrFloatBitWidth() / 8;
  for (int64_t extent : getTileShape())
    bytes *= extent;
  return bytes;
}

//===----------------------------------------------------------------------===//
// ViewType
//===----------------------------------------------------------------------===//

Type ViewType::parse(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  SwizzleAttr swizzle;
  bool transposed = false;
  if (parser.parseLess() || parseTile(parser, shape, elementType))
    return {};
  while (!transposed && succeeded(parser.parseOptionalComma())) {
    transposed = succeeded(parser.parseOptionalKeyword("transposed"));
    if (!transposed && (swizzle || parser.parseAttribute(swizzle)))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ViewType>(loc, parser.getContext(), shape,
                                     elementType, swizzle, transposed);
}

void ViewType::print(AsmPrinter &printer) const {
  printer << "<";
  printSwizzled(printer, getShape(), getElementType(), getSwizzle());
  if (getTransposed())
    printer << ", transposed";
  printer << ">";
}

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType,
                               SwizzleAttr swizzle, bool transposed) {
  if (!transposed)
    return verifySharedTile(emitError, "view", shape, elementType, swizzle);
  if (shape.size() != 2)
    return emitError() << "transposed view rank: expected 2, got "
                       << shape.size();
  return verifySharedTile(emitError, "view", {shape[1], shape[0]}, elementType,
                          swizzle);
}

//===----------------------------------------------------------------------===//
// GlobalTileType
//===----------------------------------------------------------------------===//

Type GlobalTileType::parse(AsmParser &parser) {
  return parseTileType<GlobalTileType>(parser);
}

void GlobalTileType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, getShape(), getElementType());
  printer << ">";
}

LogicalResult
GlobalTileType::verify(function_ref<InFlightDiagnostic()> emitError,
                       ArrayRef<int64_t> shape, Type elementType) {
  if (shape.size() != 2)
    return emitError() << "global tile rank: expected 2, got " << shape.size();
  return verifySharedTile(emitError, "global", shape, elementType,
                          SwizzleAttr());
}

//===----------------------------------------------------------------------===//
// FutureType
//===----------------------------------------------------------------------===//

LogicalResult FutureType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 Type valueType) {
  if (!isa<RankedTensorType, ViewType>(valueType))
    return emitError() << "future value: expected a register tile or a view, "
                          "got "
                       << valueType;
  return success();
}

//===----------------------------------------------------------------------===//
// BarrierType
//===----------------------------------------------------------------------===//

LogicalResult BarrierType::verify(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t stages) {
  if (stages < 1 || stages > 64)
    return emitError() << "barrier stages: expected 1 to 64, got " << stages;
  return success();
}

//===----------------------------------------------------------------------===//
// TensorMapType
//===----------------------------------------------------------------------===//

Type TensorMapType::parse(AsmParser &parser) {
  return parseSwizzledType<TensorMapType>(parser);
}

void TensorMapType::print(AsmPrinter &printer) const {
  printer << "<";
  printSwizzled(printer, getBox(), getElementType(), getSwizzle());
  printer << ">";
}

LogicalResult
TensorMapType::verify(function_ref<InFlightDiagnostic()> emitError,
                      ArrayRef<int64_t> box, Type elementType,
                      SwizzleAttr swizzle) {
  if (box.empty() || box.size() > 5)
    return emitError() << "box rank: expected 1 to 5, got " << box.size();
  for (int64_t extent : box)
    if (extent < 1 || extent > 256)
      return emitError() << "box extent: expected 1 to 256, got " << extent;
  if (!elementType.isIntOrFloat() ||
      elementType.getIntOrFloatBitWidth() % 8 != 0)
    return emitError() << "box element type: expected an integer or float of "
                          "whole bytes, got "
                       << elementType;
  const int64_t rowBytes = box.back() * elementType.getIntOrFloatBitWidth() / 8;
  if (rowBytes % 16 != 0)
    return emitError() << "box row bytes: expected a multiple of 16, got "
                       << rowBytes;
  if (!swizzle)
    return success();
  // The three modes, each with a span as wide as what its bits permute.
  const int64_t bits = swizzle.getBits(), span = int64_t{16} << bits;
  if (bits == 0 || swizzle.getShift() != 3 - bits || swizzle.getPanel() != span)
    return emitError() << "box swizzle: expected bits 1 to 3, shift 3 - bits "
                          "and panel 16 * 2^bits, got "
                       << swizzle;
  if (rowBytes > span)
    return emitError() << "box row bytes: expected at most " << span
                       << " (the swizzle's span), got " << rowBytes;
  return success();
}

//===----------------------------------------------------------------------===//
// TmemType
//===----------------------------------------------------------------------===//

Type TmemType::parse(AsmParser &parser) {
  return parseTileType<TmemType>(parser);
}

void TmemType::print(AsmPrinter &printer) const {
  printer << "<";
  printTile(printer, getShape(), getElementType());
  printer << ">";
}

LogicalResult TmemType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType) {
  if (shape.size() != 2)
    return emitError() << "tensor memory rank: expected 2, got "
                       << shape.size();
  if (shape[0] != 128)
    return emitError() << "tensor memory lanes: expected 128, got " << shape[0];
  if (!elementType.isIntOrFloat() ||
      !llvm::is_contained({8u, 16u, 32u}, elementType.getIntOrFloatBitWidth()))
    return emitError()
           << "tensor memory element type: expected 8, 16 or 32 bits, got "
           << elementType;
  // At most 2048 elements of 8 bits: what is wider is refused before its bits
  // are counted.
  if (shape[1] > 2048)
    return emitError() << "tensor memory extent: expected at most 2048, got "
                       << shape[1];
  const int64_t bits = shape[1] * elementType.getIntOrFloatBitWidth();
  if (bits == 0 || bits % 32 != 0 || bits / 32 > 512)
    return emitError() << "tensor memory columns: expected whole ones of 32 "
                          "bits, 1 to 512, got "
                       << bits << " bits";
  return success();
}

int64_t TmemType::getColumns() const {
  return getShape()[1] * getElementType().getIntOrFloatBitWidth() / 32;
}
