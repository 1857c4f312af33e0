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
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"

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
  query.contraction = {1, Layout::getInstructionDepth(
                              getElementBits(op.getType().getElementType()))};
}

/// Store, barrier, load, through a buffer of its own; `barrier` is that one.
struct Trip {
  LocalStoreOp store;
  gpu::BarrierOp barrier;
};

Trip throughShared(ConvertLayoutOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getType());
  // Predicates have no place in shared memory; bytes stand for them.
  Value source = op.getSource();
  const bool isPredicate = type.getElementType().isInteger(1);
  if (isPredicate) {
    auto asBytes = [&](RankedTensorType tile) {
      return RankedTensorType::get(tile.getShape(), b.getI8Type(),
                                   tile.getEncoding());
    };
    source = arith::ExtUIOp::create(b, loc, asBytes(tileType(source)), source);
    type = asBytes(type);
  }
  SmallVector<int64_t> shape{1};
  llvm::append_range(shape, type.getShape());
  auto func = op->getParentOfType<FunctionOpInterface>();
  OpBuilder entry = OpBuilder::atBlockBegin(&func.getFunctionBody().front());
  Value buffer = AllocOp::create(
      entry, loc,
      BufferType::get(op.getContext(), shape, type.getElementType(), {}),
      /*offset=*/IntegerAttr());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value view = StageOp::create(b, loc,
                               ViewType::get(op.getContext(), type.getShape(),
                                             type.getElementType(), {}),
                               buffer, zero);
  Trip trip;
  trip.store = LocalStoreOp::create(b, loc, source, view);
  trip.barrier = gpu::BarrierOp::create(b, loc);
  Value result = LocalLoadOp::create(b, loc, type, view);
  if (isPredicate)
    result = arith::TruncIOp::create(b, loc, op.getType(), result);
  op.replaceAllUsesWith(result);
  op.erase();
  return trip;
}

/// In a loop a fast thread may store again before a slow one has loaded. Any
/// other barrier that every iteration meets keeps them apart; where there is
/// none, one in front of the store does.
void separateIterations(Trip trip) {
  auto loop = trip.store->getParentOfType<LoopLikeOpInterface>();
  if (!loop)
    return;
  for (Block *block = trip.store->getBlock();;
       block = block->getParentOp()->getBlock()) {
    for (auto barrier : block->getOps<gpu::BarrierOp>())
      if (barrier != trip.barrier)
        return;
    if (block->getParentOp() == loop)
      break;
  }
  OpBuilder b(trip.store);
  gpu::BarrierOp::create(b, trip.store.getLoc());
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
  case ConversionWay::Exchange:
    os << "exchange within each warp, "
       << conversion.exchange->count(ExchangeStep::Kind::Shuffle)
       << " shuffles, "
       << conversion.exchange->count(ExchangeStep::Kind::Select) << " selects, "
       << conversion.exchange->count(ExchangeStep::Kind::Permute)
       << " byte permutes";
    if (conversion.exchange->packing)
      os << ", " << conversion.exchange->packing << " to pack and unpack words";
    os << llvm::format(" (%.0f cycles, %.0f through shared memory)",
                       conversion.exchangeCycles, conversion.sharedCycles);
    break;
  case ConversionWay::SharedMemory:
    os << "through shared memory"
       << llvm::format(" (%.0f cycles)", conversion.sharedCycles);
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
      op->getParentOfType<FunctionOpInterface>()
          ->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule");
  return schedule && schedule.getProbabilities() == flash::TileHome::shared &&
         tileType(op.getSource()).getRank() == 2;
}

/// What the solver is asked for; nullopt after a diagnostic.
std::optional<ConversionQuery> getQuery(ConvertLayoutOp op) {
  RankedTensorType type = op.getType();
  std::optional<Layout> from = Layout::get(tileType(op.getSource()));
  std::optional<Layout> to = Layout::get(type);
  if (!from || !to) {
    op.emitOpError("layouts: expected both tiles to have one; run "
                   "--flash-tile-assign-layouts first");
    return std::nullopt;
  }
  std::optional<ElementStorage> storage =
      getElementStorage(type.getElementType());
  if (!storage) {
    op.emitOpError("element type: expected predicates or elements of 8, 16, 32 "
                   "or 64 bits, got ")
        << type.getElementType();
    return std::nullopt;
  }
  if (from->numWarps() != to->numWarps()) {
    op.emitOpError("layouts: expected one number of warps, got ")
        << from->numWarps() << " and " << to->numWarps();
    return std::nullopt;
  }
  ConversionQuery query;
  query.from = *from;
  query.to = *to;
  query.shape = llvm::to_vector(type.getShape());
  query.storage = *storage;
  if (arith::TruncFOp narrowing = getNarrowing(op))
    query.wideBits =
        getElementBits(tileType(narrowing.getIn()).getElementType());
  findContraction(op, query);
  return query;
}

/// Takes the cheapest way; a trip through shared memory is returned.
FailureOr<std::optional<Trip>> decide(ConvertLayoutOp op) {
  std::optional<ConversionQuery> query = getQuery(op);
  if (!query)
    return failure();
  if (isAskedThroughShared(op)) {
    op.emitRemark("register permutation: through shared memory, as the "
                  "schedule asks");
    return std::optional(throughShared(op));
  }
  RankedTensorType type = op.getType();
  const LayoutConversion conversion = solveLayoutConversion(*query);
  switch (conversion.way) {
  case ConversionWay::SharedMemory:
    // The threads of the other roles do not come to a barrier of the block.
    if (op->getParentOfType<WarpGroupsOp>())
      return op.emitOpError("conversion: expected one that needs no barrier "
                            "inside a role, got ")
             << op.getSource().getType() << " to " << type;
    remark(op.getLoc(), conversion);
    return std::optional(throughShared(op));
  case ConversionWay::Exchange:
    remark(op.getLoc(), conversion);
    op.setExchange(true);
    return std::optional<Trip>();
  case ConversionWay::ContractionOrder:
    op.getResult().setType(withLayout(type, conversion.result));
    for (Operation *user : op->getUsers())
      cast<DotOp>(user).setContractionOrder(conversion.contractionOrder);
    break;
  case ConversionWay::Identity:
  case ConversionWay::Rename:
    break;
  }
  remark(op.getLoc(), conversion);
  if (conversion.beforeNarrowing)
    op = hoistAbove(getNarrowing(op), op);
  op.setPermutation(conversion.way == ConversionWay::Identity
                        ? ArrayRef<int64_t>()
                        : ArrayRef<int64_t>(conversion.permutation));
  return std::optional<Trip>();
}

struct PermuteRegistersPass
    : impl::FlashTilePermuteRegistersBase<PermuteRegistersPass> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([](FunctionOpInterface func) {
      return WalkResult(permuteRegisters(func));
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace

LogicalResult permuteRegisters(FunctionOpInterface func) {
  SmallVector<ConvertLayoutOp> ops;
  func.walk([&](ConvertLayoutOp op) {
    if (!op.getPermutation() && !op.getExchange())
      ops.push_back(op);
  });
  SmallVector<Trip> trips;
  for (ConvertLayoutOp op : ops) {
    FailureOr<std::optional<Trip>> trip = decide(op);
    if (failed(trip))
      return failure();
    if (*trip)
      trips.push_back(**trip);
  }
  for (Trip trip : trips)
    separateIterations(trip);
  return success();
}

} // namespace mlir::flash_tile
