//===- FlashTileAttrs.cpp - Layouts and swizzles
//----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash_tile;

#define GET_ATTRDEF_CLASSES
#include "flash/Dialect/FlashTile/IR/FlashTileAttrs.cpp.inc"

void FlashTileDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "flash/Dialect/FlashTile/IR/FlashTileAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// LayoutAttr
//===----------------------------------------------------------------------===//

/// Parses `[[a, b], [c, d]]` into one flat list; every row must have `width`
/// numbers, which the first row decides while it is 0.
static ParseResult parseRows(AsmParser &parser, StringRef key, int64_t &width,
                             SmallVector<int64_t> &flat) {
  return parser.parseCommaSeparatedList(
      AsmParser::Delimiter::Square, [&]() -> ParseResult {
        SMLoc loc = parser.getCurrentLocation();
        SmallVector<int64_t> row;
        if (parser.parseCommaSeparatedList(
                AsmParser::Delimiter::Square, [&]() -> ParseResult {
                  return parser.parseInteger(row.emplace_back());
                }))
          return failure();
        const int64_t got = row.size();
        if (width == 0)
          width = got;
        if (got == 0 || got != width)
          return parser.emitError(loc)
                 << "layout " << key << " vector: expected "
                 << (width == 0 ? 1 : width) << " numbers, got " << got;
        llvm::append_range(flat, row);
        return success();
      });
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> registers, lanes, warps, repeats, warpRepeats;
  llvm::StringSet<> seen;
  // Basis vectors and repeat entries have different widths; which of them
  // comes first is the writer's choice, so they are reconciled at the end.
  int64_t basisWidth = 0, repeatWidth = 0;
  auto parseField = [&]() -> ParseResult {
    StringRef key;
    SMLoc keyLoc = parser.getCurrentLocation();
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return failure();
    if (!seen.insert(key).second)
      return parser.emitError(keyLoc)
             << "layout field: expected each once, got '" << key << "' twice";
    if (key == "register")
      return parseRows(parser, key, basisWidth, registers);
    if (key == "lane")
      return parseRows(parser, key, basisWidth, lanes);
    if (key == "warp")
      return parseRows(parser, key, basisWidth, warps);
    if (key == "repeat")
      return parseRows(parser, key, repeatWidth, repeats);
    if (key == "warp_repeat")
      return parseRows(parser, key, repeatWidth, warpRepeats);
    return parser.emitError(keyLoc)
           << "layout field: expected register, lane, warp, repeat or "
              "warp_repeat, got '"
           << key << "'";
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseField))
    return {};
  if (repeatWidth != 0 && basisWidth != 0 && repeatWidth != basisWidth + 1) {
    parser.emitError(loc) << "layout repeat: expected a count and "
                          << basisWidth << " strides, got " << repeatWidth
                          << " numbers";
    return {};
  }
  return parser.getChecked<LayoutAttr>(loc, parser.getContext(), basisWidth,
                                       registers, lanes, warps, repeats,
                                       warpRepeats);
}

static void printRows(AsmPrinter &printer, StringRef key, int64_t width,
                      ArrayRef<int64_t> flat, bool &first) {
  if (flat.empty())
    return;
  printer << (first ? "" : ", ") << key << " = [";
  first = false;
  for (size_t i = 0; i < flat.size(); i += width) {
    printer << (i ? ", [" : "[");
    llvm::interleaveComma(flat.slice(i, width), printer);
    printer << "]";
  }
  printer << "]";
}

void LayoutAttr::print(AsmPrinter &printer) const {
  bool first = true;
  printer << "<";
  printRows(printer, "register", getRank(), getRegisterBases(), first);
  printRows(printer, "lane", getRank(), getLaneBases(), first);
  printRows(printer, "warp", getRank(), getWarpBases(), first);
  printRows(printer, "repeat", getRank() + 1, getRepeats(), first);
  printRows(printer, "warp_repeat", getRank() + 1, getWarpRepeats(), first);
  printer << ">";
}

/// No tile is wider, no thread holds more, no CTA has more warps.
static constexpr int64_t coordinateLimit = int64_t{1} << 20;
static constexpr int64_t registerLimit = 4096;
static constexpr int64_t warpLimit = 32;

LogicalResult LayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t rank, ArrayRef<int64_t> registerBases,
                                 ArrayRef<int64_t> laneBases,
                                 ArrayRef<int64_t> warpBases,
                                 ArrayRef<int64_t> repeats,
                                 ArrayRef<int64_t> warpRepeats) {
  const int64_t got = rank <= 0 ? 0 : laneBases.size() / rank;
  if (got != 5)
    return emitError() << "layout lane vectors: expected 5 (32 lanes), got "
                       << got;
  for (ArrayRef<int64_t> bases : {registerBases, laneBases, warpBases}) {
    if (bases.size() % rank != 0)
      return emitError() << "layout vectors: expected " << rank
                         << " numbers each, got " << bases.size()
                         << " in total";
    for (int64_t x : bases)
      if (x < 0 || x > coordinateLimit)
        return emitError() << "layout vector: expected numbers from 0 to "
                           << coordinateLimit << ", got " << x;
  }
  for (ArrayRef<int64_t> entries : {repeats, warpRepeats}) {
    if (entries.size() % (rank + 1) != 0)
      return emitError() << "layout repeat: expected a count and " << rank
                         << " strides each, got " << entries.size()
                         << " numbers in total";
    for (auto [i, x] : llvm::enumerate(entries)) {
      const bool isCount = i % (rank + 1) == 0;
      if (x < (isCount ? 1 : 0) || x > coordinateLimit)
        return emitError() << "layout repeat " << (isCount ? "count" : "stride")
                           << ": expected " << (isCount ? 1 : 0) << " to "
                           << coordinateLimit << ", got " << x;
    }
  }
  // The product of the counts and 2^vectors, kept from overflowing.
  auto count = [&](ArrayRef<int64_t> bases, ArrayRef<int64_t> entries,
                   int64_t limit) {
    int64_t total = 1;
    for (size_t i = 0; i < bases.size() && total <= limit; i += rank)
      total *= 2;
    for (size_t i = 0; i < entries.size() && total <= limit; i += rank + 1)
      total *= entries[i];
    return total;
  };
  if (count(registerBases, repeats, registerLimit) > registerLimit)
    return emitError() << "layout registers: expected at most " << registerLimit
                       << " elements per thread, got more";
  if (count(warpBases, warpRepeats, warpLimit) > warpLimit)
    return emitError() << "layout warps: expected at most " << warpLimit
                       << ", got more";
  return success();
}

LogicalResult
LayoutAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                           function_ref<InFlightDiagnostic()> emitError) const {
  if (static_cast<int64_t>(shape.size()) != getRank())
    return emitError() << "layout rank: expected " << shape.size()
                       << " (as the tile), got " << getRank();
  if (llvm::any_of(shape, ShapedType::isDynamic))
    return emitError() << "tile with a layout: expected static extents";
  Layout layout = Layout::fromAttr(*this);
  if (!layout.covers(shape)) {
    InFlightDiagnostic diag = emitError();
    diag << "layout: expected every element of the tile [";
    llvm::interleaveComma(shape, diag);
    diag << "] to be held by a thread, got extents [";
    llvm::interleaveComma(layout.extents(), diag);
    return diag << "]";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// SwizzleAttr
//===----------------------------------------------------------------------===//

LogicalResult SwizzleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t bits, int64_t shift, int64_t panel) {
  // Three bits permute the eight 16-byte chunks of the 128 bytes that the 32
  // banks serve at once; more would move chunks between such rows of banks.
  if (bits < 0 || bits > 3)
    return emitError() << "swizzle bits: expected 0 to 3, got " << bits;
  if (shift < 0 || shift > 3)
    return emitError() << "swizzle shift: expected 0 to 3, got " << shift;
  if (const int64_t span = int64_t{16} << bits; panel < 0 || panel % span != 0)
    return emitError() << "swizzle panel: expected a multiple of " << span
                       << " bytes (what the bits permute), got " << panel;
  return success();
}
