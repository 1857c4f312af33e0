//===- OpVerifiers.cpp - Checks that several ops share --------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OpVerifiers.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::flash_tile;

flash_tile::detail::TileShape flash_tile::detail::getTileShape(Type type) {
  if (auto view = dyn_cast<ViewType>(type))
    return {view.getShape(), view.getElementType()};
  if (auto global = dyn_cast<GlobalTileType>(type))
    return {global.getShape(), global.getElementType()};
  if (auto tmem = dyn_cast<TmemType>(type))
    return {tmem.getShape(), tmem.getElementType()};
  auto tile = cast<RankedTensorType>(type);
  return {tile.getShape(), tile.getElementType()};
}

std::string flash_tile::detail::toString(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  llvm::interleaveComma(shape, os);
  os << "]";
  return text;
}

LogicalResult flash_tile::detail::verifySameTile(Operation *op, StringRef role,
                                                 StringRef like, Type expected,
                                                 Type got) {
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

LogicalResult flash_tile::detail::verifyGlobalAccess(Operation *op,
                                                     StringRef role, Type tile,
                                                     Value memref,
                                                     size_t numIndices) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type)
    return op->emitOpError()
           << "memref: expected a ranked one, got " << memref.getType();
  TileShape shape = getTileShape(tile);
  if (static_cast<int64_t>(shape.shape.size()) > type.getRank())
    return op->emitOpError()
           << role << " rank: expected at most " << type.getRank()
           << " (as the memref), got " << shape.shape.size();
  if (shape.elementType != type.getElementType())
    return op->emitOpError()
           << role << " element type: expected " << type.getElementType()
           << " (as the memref), got " << shape.elementType;
  if (static_cast<int64_t>(numIndices) != type.getRank())
    return op->emitOpError() << "indices: expected " << type.getRank()
                             << " (as the memref's rank), got " << numIndices;
  return success();
}

LogicalResult flash_tile::detail::verifyStage(Operation *op, Value stage,
                                              int64_t stages) {
  IntegerAttr index;
  if (matchPattern(stage, m_Constant(&index)) &&
      (index.getInt() < 0 || index.getInt() >= stages))
    return op->emitOpError() << "stage index: expected 0 to " << stages - 1
                             << ", got " << index.getInt();
  return success();
}

LogicalResult flash_tile::detail::verifyViewFuture(Operation *op,
                                                   FutureType future,
                                                   ViewType view) {
  if (future.getValueType() != view)
    return op->emitOpError()
           << "future: expected one of " << view << " (the view that is copied)"
           << ", got " << future.getValueType();
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

FailureOr<flash_tile::detail::DotShape>
flash_tile::detail::verifyDotShape(Operation *op, Type aType, Type bType,
                                   Type accumulator, bool transposeA,
                                   bool transposeB) {
  TileShape a = getTileShape(aType), b = getTileShape(bType);
  TileShape acc = getTileShape(accumulator);
  for (auto [role, tile] : {std::pair<StringRef, TileShape>{"a", a},
                            {"b", b},
                            {"accumulator", acc}})
    if (tile.shape.size() != 2)
      return op->emitOpError()
             << role << " rank: expected 2, got " << tile.shape.size();
  if (a.elementType != b.elementType)
    return op->emitOpError() << "b element type: expected " << a.elementType
                             << " (as a), got " << b.elementType;
  DotShape shape{a.shape[transposeA ? 1 : 0], b.shape[transposeB ? 0 : 1],
                 a.shape[transposeA ? 0 : 1], a.elementType};
  if (int64_t depth = b.shape[transposeB ? 1 : 0]; depth != shape.k)
    return op->emitOpError()
           << "b depth: expected " << shape.k << " (as a), got " << depth;
  // The rows of a view are padded to whole chunks, the accumulator's are not.
  const int64_t columns = acc.shape[1];
  const bool isPadded = isa<ViewType>(bType) && !transposeB;
  if (acc.shape[0] != shape.m ||
      (isPadded ? columns > shape.n : columns != shape.n))
    return op->emitOpError()
           << "accumulator shape: expected " << toString({shape.m, shape.n})
           << " (rows of a, columns of b), got " << toString(acc.shape);
  shape.n = columns;
  return shape;
}

LogicalResult flash_tile::detail::verifyDotDepth(Operation *op, DotShape shape,
                                                 Type accumulator) {
  // One instruction takes 32 bytes of depth whatever the element type.
  if (!shape.elementType.isIntOrFloat() ||
      !llvm::is_contained({8, 16, 32},
                          getElementBits(shape.elementType)))
    return op->emitOpError()
           << "a element type: expected 8, 16 or 32 bits, got "
           << shape.elementType;
  const bool isInteger = isa<IntegerType>(shape.elementType);
  if (isInteger && !shape.elementType.isSignlessInteger(8))
    return op->emitOpError()
           << "a element type: expected i8 (tensor cores multiply no other "
              "integers), got "
           << shape.elementType;
  const int64_t step =
      Layout::getInstructionDepth(getElementBits(shape.elementType));
  if (shape.k % step != 0)
    return op->emitOpError()
           << "depth: expected a multiple of " << step << " (for "
           << shape.elementType << "), got " << shape.k;
  Type got = getTileShape(accumulator).elementType;
  const bool fits =
      isInteger ? got.isSignlessInteger(32)
                : got.isF32() || (got.isF16() && shape.elementType.isF16());
  if (!fits)
    return op->emitOpError()
           << "accumulator element type: expected "
           << (isInteger                   ? "i32"
               : shape.elementType.isF16() ? "f32 or f16"
                                           : "f32")
           << " (for " << shape.elementType << "), got " << got;
  return success();
}

LogicalResult
flash_tile::detail::verifyDotLayouts(Operation *op, DotShape shape, Type a,
                                     Type b, RankedTensorType accumulator,
                                     bool transposeA, bool transposeB,
                                     ArrayRef<int64_t> contractionOrder) {
  std::optional<Layout> layout = Layout::get(accumulator);
  if (!layout)
    return success();
  const int64_t bits = getElementBits(shape.elementType);
  auto check = [&](StringRef role, Type type,
                   Layout expected, int64_t depthAxis) -> LogicalResult {
    auto tile = dyn_cast<RankedTensorType>(type);
    if (!tile)
      return success();
    std::optional<Layout> got = Layout::get(tile);
    if (!got)
      return op->emitOpError() << role
                               << " layout: expected one, as the accumulator "
                                  "has, got none";
    // An operand's repeats are whole instructions: every order applies.
    if (!contractionOrder.empty())
      expected = *expected.permuted(depthAxis, contractionOrder);
    if (!got->isSameFunction(expected))
      return op->emitOpError()
             << role << " layout: expected "
             << expected.toAttr(op->getContext())
             << " (of the instruction's operand), got " << tile.getEncoding();
    return success();
  };
  // No instruction reads a transposed A from registers; the lowering exchanges.
  if (!transposeA &&
      failed(check("a", a, layout->getOperandA(shape.k, bits), 1)))
    return failure();
  return check("b", b, layout->getOperandB(shape.k, transposeB, bits),
               transposeB ? 1 : 0);
}

LogicalResult flash_tile::detail::verifyContractionOrder(
    Operation *op, DotShape shape, Type a, RankedTensorType accumulator,
    bool transposeA, ArrayRef<int64_t> order) {
  if (!isa<RankedTensorType>(a) || transposeA)
    return op->emitOpError() << "contraction order: expected a in registers, "
                                "M x K, got "
                             << (transposeA ? "it transposed" : "it in memory");
  std::optional<Layout> layout = Layout::get(accumulator);
  if (!layout || !layout->isMmaAccumulator())
    return op->emitOpError() << "contraction order: expected an accumulator in "
                                "an mma layout, got "
                             << accumulator;
  const int64_t slots =
      Layout::getInstructionDepth(getElementBits(shape.elementType));
  if (static_cast<int64_t>(order.size()) != slots ||
      !Layout::isContractionOrder(order))
    return op->emitOpError()
           << "contraction order: expected a permutation of 0 to " << slots - 1
           << " that is linear over GF(2), got " << toString(order);
  return success();
}

std::optional<int64_t> flash_tile::detail::getRoleWarps(Operation *op) {
  auto groups = op->getParentOfType<WarpGroupsOp>();
  if (!groups)
    return std::nullopt;
  std::optional<unsigned> role = groups.getRoleOf(op);
  // A malformed op is refused by its own verifier; no check rests on it here.
  if (!role || *role >= groups.getWarps().size())
    return std::nullopt;
  return groups.getWarps()[*role];
}
