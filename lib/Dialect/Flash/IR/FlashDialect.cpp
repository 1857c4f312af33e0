//===- FlashDialect.cpp - The flash dialect and its attributes ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/Flash/IR/FlashBytecode.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash;

#include "flash/Dialect/Flash/IR/FlashDialect.cpp.inc"
#include "flash/Dialect/Flash/IR/FlashEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "flash/Dialect/Flash/IR/FlashAttributes.cpp.inc"

namespace {
/// A function that holds attention may be inlined anywhere: the op is isolated
/// from above and names no symbol.
struct FlashInlinerInterface : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void FlashDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "flash/Dialect/Flash/IR/FlashAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "flash/Dialect/Flash/IR/FlashOps.cpp.inc"
      >();
  registerInterfaces();
}

void FlashDialect::registerInterfaces() {
  addInterfaces<FlashInlinerInterface>();
  addBytecodeInterface(this);
}

Operation *FlashDialect::materializeConstant(OpBuilder &builder,
                                             Attribute value, Type type,
                                             Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

/// Checks S1 to S7 of `#flash.schedule`. Which steps go together depends on the
/// op and the chip: see selectSchedule().
LogicalResult ScheduleAttr::verify(
    function_ref<InFlightDiagnostic()> emitError, StringRef chip, int64_t level,
    int64_t tileQ, int64_t tileK, int64_t warps, int64_t stagesK,
    int64_t stagesV, bool /*queryInRegisters*/, int64_t tileV, SoftmaxKind,
    CopyKind, LaneReduction, MathUnit /*qk*/, MathUnit /*pv*/, TileHome,
    bool /*ldmatrix*/, bool /*swizzle*/, bool /*foldScale*/,
    bool /*deferNormalisation*/, bool /*splitBands*/) {
  // S1
  if (chip.empty())
    return emitError() << "schedule chip: expected a name, got an empty string";

  auto checkRange = [&](StringRef role, int64_t got, int64_t low,
                        int64_t high) -> LogicalResult {
    if (got >= low && got <= high)
      return success();
    return emitError() << "schedule " << role << ": expected between " << low
                       << " and " << high << ", got " << got;
  };
  auto checkTile = [&](StringRef role, int64_t got) -> LogicalResult {
    if (got % 16 == 0 && got >= 16 && got <= 512)
      return success();
    return emitError() << "schedule " << role
                       << ": expected a multiple of 16 between 16 and 512, got "
                       << got;
  };
  if (failed(checkRange("level", level, 0, 12)) || // S2
      failed(checkTile("tile_q", tileQ)) ||        // S3
      failed(checkTile("tile_k", tileK)) ||        // S4
      failed(checkRange("warps", warps, 1, 16)) || // S5
      failed(checkRange("stages_k", stagesK, 1, 8)) ||
      failed(checkRange("stages_v", stagesV, 1, 8))) // S6
    return failure();
  if (tileV < 0 || tileV % 16) // S7
    return emitError() << "schedule tile_v: expected 0 or a positive multiple "
                          "of 16, got "
                       << tileV;
  return success();
}
