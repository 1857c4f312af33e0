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

/// `<2x64x128xbf16, #flash_tile.swizzle<...>>`, the swizzle optional.
template <typename T> static Type parseSharedType(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type elementType;
  SwizzleAttr swizzle;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(swizzle))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<T>(loc, parser.getContext(), shape, elementType,
                              swizzle);
}

template <typename T> static void printSharedType(AsmPrinter &printer, T type) {
  printer << "<";
  printer.printDimensionList(type.getShape());
  printer << "x" << type.getElementType();
  if (type.getSwizzle())
    printer << ", " << type.getSwizzle();
  printer << ">";
}

/// What a buffer and a view have in common, `tile` being one stage.
static LogicalResult
verifySharedTile(function_ref<InFlightDiagnostic()> emitError, StringRef what,
                 ArrayRef<int64_t> tile, Type elementType,
                 SwizzleAttr swizzle) {
  if (tile.empty() || tile.size() > 2)
    return emitError() << what << " tile: expected rank 1 or 2, got "
                       << tile.size();
  for (int64_t extent : tile)
    if (extent <= 0)
      return emitError() << what << " extent: expected >= 1, got " << extent;
  if (!elementType.isIntOrFloat() ||
      elementType.getIntOrFloatBitWidth() % 8 != 0)
    return emitError() << what
                       << " element type: expected an integer or float of "
                          "whole bytes, got "
                       << elementType;
  // The XOR permutes 16-byte chunks within a row, in groups of 2^bits.
  const int64_t rowBytes =
      tile.back() * elementType.getIntOrFloatBitWidth() / 8;
  const int64_t granule = swizzle ? int64_t{16} << swizzle.getBits() : 1;
  if (rowBytes % granule != 0)
    return emitError() << what << " row bytes: expected a multiple of "
                       << granule << " (by the swizzle), got " << rowBytes;
  return success();
}

//===----------------------------------------------------------------------===//
// BufferType
//===----------------------------------------------------------------------===//

Type BufferType::parse(AsmParser &parser) {
  return parseSharedType<BufferType>(parser);
}

void BufferType::print(AsmPrinter &printer) const {
  printSharedType(printer, *this);
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType,
                                 SwizzleAttr swizzle) {
  if (shape.size() < 2)
    return emitError() << "buffer: expected stages and at least one extent, "
                          "got rank "
                       << shape.size();
  if (shape.front() < 1)
    return emitError() << "buffer stages: expected >= 1, got " << shape.front();
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
  return parseSharedType<ViewType>(parser);
}

void ViewType::print(AsmPrinter &printer) const {
  printSharedType(printer, *this);
}

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType,
                               SwizzleAttr swizzle) {
  return verifySharedTile(emitError, "view", shape, elementType, swizzle);
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
