//===- PermuteRegisters.cpp - Layout conversions in registers -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/PermuteRegisters.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/Analysis/LayoutConversion.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEPERMUTEREGISTERS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"

namespace {

RankedTensorType tileType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

RankedTensorType withLayout(RankedTensorType type, const Layout &layout) {
  return RankedTensorType::get(type.getShape(), type.getElementType(),
                               layout.toAttr(type.getContext()));
}

/// The narrowing whose operand may be converted in place of its result.
arith::TruncFOp getNarrowing(ConvertLayoutOp op) {
  auto narrowing = op.getSource().getDefiningOp<arith::TruncFOp>();
  return narrowing && narrowing->hasOneUse() ? narrowing : arith::TruncFOp();
}

/// Whether all users are products that may sum in another order, all in the
/// same one.
void findContraction(ConvertLayoutOp op, ConversionQuery &query) {
  if (op->use_empty())
    return;
  for (OpOperand &use : op->getUses()) {
    if (isa<DotAsyncOp>(use.getOwner())) {
      query.contractionReason =
          "operand b of flash_tile.dot_async comes through "
          "a descriptor, in its natural order";
      return;
    }
    auto dot = dyn_cast<DotOp>(use.getOwner());
    if (!dot || use != dot.getAMutable() || dot.getTransposeA()) {
      query.contractionReason =
          dot ? "the result is not operand a of a product"
              : "the result is used by " +
                    use.getOwner()->getName().getStringRef().str();
      return;
    }
    if (!isa<ViewType>(dot.getB().getType())) {
      query.contractionReason =
          "operand b is in registers, in its natural order";
      return;
    }
    if (dot.getContractionOrder()) {
      query.contractionReason = "the product has an order already";
      return;
    }
    std::optional<Layout> accumulator = Layout::get(tileType(dot.getResult()));
    if (!accumulator || !accumulator->isMmaAccumulator()) {
      query.contractionReason = "the product has no mma accumulator";
      return;
    }
  }
  query.contraction = {1, Layout::getInstructionDepth(query.elementBits)};
}

/// Store, barrier, load. The first barrier lets every thread finish reading
/// what an earlier trip through the same buffer left there.
void throughShared(ConvertLayoutOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<int64_t> shape{1};
  llvm::append_range(shape, type.getShape());
  auto func = op->getParentOfType<gpu::GPUFuncOp>();
  OpBuilder entry = OpBuilder::atBlockBegin(&func.getBody().front());
  Value buffer = AllocOp::create(
      entry, loc,
      BufferType::get(op.getContext(), shape, type.getElementType(), {}),
      /*offset=*/IntegerAttr());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value view = StageOp::create(b, loc,
                               ViewType::get(op.getContext(), type.getShape(),
                                             type.getElementType(), {}),
                               buffer, zero);
  gpu::BarrierOp::create(b, loc);
  LocalStoreOp::create(b, loc, op.getSource(), view);
  gpu::BarrierOp::create(b, loc);
  op.replaceAllUsesWith(LocalLoadOp::create(b, loc, type, view).getResult());
  op.erase();
}

/// Numbers in parentheses, the rest beyond `limit` left out.
std::string toString(ArrayRef<int64_t> numbers, size_t limit) {
  std::string text = "(";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(numbers.take_front(limit), os);
  return text + (numbers.size() > limit ? ", ...)" : ")");
}

/// What was done, then why it was not done more cheaply.
void remark(Location loc, const LayoutConversion &conversion) {
  std::string text;
  llvm::raw_string_ostream os(text);
  const std::string renamed =
      "registers renamed " + toString(conversion.permutation, 16) +
      (conversion.beforeNarrowing ? " before the narrowing" : "");
  switch (conversion.way) {
  case ConversionWay::Identity:
    os << "identity, no data moves";
    break;
  case ConversionWay::Rename:
    os << renamed << " within each thread";
    break;
  case ConversionWay::ContractionOrder:
    os << "contraction order " << toString(conversion.contractionOrder, 32)
       << ": the product reads the rows of b so, " << renamed;
    break;
  case ConversionWay::SharedMemory:
    os << "through shared memory";
    break;
  }
  for (const LayoutConversion::Rejection &rejection : conversion.rejected)
    os << "; no " << stringify(rejection.way) << ": " << rejection.reason;
  emitRemark(loc, "register permutation: " + text);
}

/// Converts the operand of `narrowing` instead of its result.
ConvertLayoutOp hoistAbove(arith::TruncFOp narrowing, ConvertLayoutOp op) {
  OpBuilder b(narrowing);
  Layout to = *Layout::get(op.getType());
  Value wide = narrowing.getIn();
  auto hoisted = ConvertLayoutOp::create(b, op.getLoc(),
                                         withLayout(tileType(wide), to), wide,
                                         /*permutation=*/nullptr);
  narrowing.getInMutable().assign(hoisted);
  narrowing.getOut().setType(op.getType());
  op.replaceAllUsesWith(narrowing.getOut());
  op.erase();
  return hoisted;
}

/// The schedule asks for scores and probabilities to pass through shared
/// memory, though threads could exchange them: so the steps of the ladder can
/// be compared.
bool isAskedThroughShared(ConvertLayoutOp op) {
  auto schedule =
      op->getParentOfType<gpu::GPUFuncOp>()->getAttrOfType<flash::ScheduleAttr>(
          "flash_tile.schedule");
  return schedule && schedule.getProbabilities() == flash::TileHome::shared &&
         tileType(op.getSource()).getRank() == 2;
}

LogicalResult decide(ConvertLayoutOp op) {
  RankedTensorType type = op.getType();
  std::optional<Layout> from = Layout::get(tileType(op.getSource()));
  std::optional<Layout> to = Layout::get(type);
  if (!from || !to)
    return op.emitOpError("layouts: expected both tiles to have one; run "
                          "--flash-tile-assign-layouts first");
  if (from->numWarps() != to->numWarps())
    return op.emitOpError("layouts: expected one number of warps, got ")
           << from->numWarps() << " and " << to->numWarps();
  if (isAskedThroughShared(op)) {
    op.emitRemark("register permutation: through shared memory, as the "
                  "schedule asks");
    throughShared(op);
    return success();
  }
  ConversionQuery query;
  query.from = *from;
  query.to = *to;
  query.shape = llvm::to_vector(type.getShape());
  query.elementBits = getElementBits(type.getElementType());
  // Predicates have a register each.
  if (query.elementBits == 1 || query.elementBits > 32)
    query.elementBits = 32;
  arith::TruncFOp narrowing = getNarrowing(op);
  if (narrowing)
    query.wideBits =
        getElementBits(tileType(narrowing.getIn()).getElementType());
  findContraction(op, query);

  LayoutConversion conversion = solveLayoutConversion(query);
  if (conversion.way == ConversionWay::SharedMemory &&
      type.getElementTypeBitWidth() != 16 &&
      type.getElementTypeBitWidth() != 32)
    return op.emitOpError("conversion: expected a permutation of each "
                          "thread's registers or elements of 16 or 32 bits, "
                          "got ")
           << op.getSource().getType() << " to " << type;
  remark(op.getLoc(), conversion);
  if (conversion.way == ConversionWay::SharedMemory) {
    throughShared(op);
    return success();
  }
  if (conversion.way == ConversionWay::ContractionOrder) {
    op.getResult().setType(withLayout(type, conversion.result));
    for (Operation *user : op->getUsers())
      cast<DotOp>(user).setContractionOrder(conversion.contractionOrder);
  }
  if (conversion.beforeNarrowing)
    op = hoistAbove(narrowing, op);
  op.setPermutation(conversion.way == ConversionWay::Identity
                        ? ArrayRef<int64_t>()
                        : ArrayRef<int64_t>(conversion.permutation));
  return success();
}

struct PermuteRegistersPass
    : impl::FlashTilePermuteRegistersBase<PermuteRegistersPass> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk(
        [](gpu::GPUFuncOp func) { return WalkResult(permuteRegisters(func)); });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace

LogicalResult permuteRegisters(gpu::GPUFuncOp func) {
  SmallVector<ConvertLayoutOp> ops;
  func.walk([&](ConvertLayoutOp op) {
    if (!op.getPermutation())
      ops.push_back(op);
  });
  for (ConvertLayoutOp op : ops)
    if (failed(decide(op)))
      return failure();
  return success();
}

} // namespace mlir::flash_tile
