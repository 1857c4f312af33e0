//===- StageOperands.cpp - Computed operands through shared memory --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A thread of a product on FMA units reads whole rows of A, of which its warp
// has computed the elements in many lanes. So A is stored, the CTA meets at a
// barrier, and the product reads a view. A barrier must also lie between the
// reads of one iteration and the store of the next; those of the copies usually
// do.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/StageOperands.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILESTAGEOPERANDS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

class OperandStager {
public:
  explicit OperandStager(FunctionOpInterface func)
      : func(func), rewriter(func->getContext()) {}

  void run() {
    SmallVector<DotOp> dots;
    func->walk([&](DotOp dot) {
      if (dot.getUnit() == DotUnit::fma &&
          isa<RankedTensorType>(dot.getA().getType()) &&
          isa<ViewType>(dot.getB().getType()))
        dots.push_back(dot);
    });
    for (DotOp dot : dots)
      stage(dot);
  }

private:
  void stage(DotOp dot);
  Value getBuffer(Location loc, BufferType type);

  FunctionOpInterface func;
  IRRewriter rewriter;
  /// One buffer per type: operands of one product after another use it in turn.
  DenseMap<Type, Value> buffers;
  /// The product that read each of them last, in the order of the walk.
  DenseMap<Value, Operation *> readers;
};

} // namespace

/// The buffer of that type, allocated behind the function's others.
Value OperandStager::getBuffer(Location loc, BufferType type) {
  Value &buffer = buffers[type];
  if (buffer)
    return buffer;
  OpBuilder::InsertionGuard guard(rewriter);
  Block &entry = func.getFunctionBody().front();
  Block::iterator point = entry.begin();
  while (isa<AllocOp>(*point))
    ++point;
  rewriter.setInsertionPoint(&entry, point);
  return buffer = AllocOp::create(rewriter, loc, type, IntegerAttr());
}

static bool hasBarrierBetween(Operation *from, Operation *to) {
  for (Operation *op = from; op != to; op = op->getNextNode())
    if (isa<gpu::BarrierOp>(op))
      return true;
  return false;
}

void OperandStager::stage(DotOp dot) {
  Location loc = dot.getLoc();
  auto tile = cast<RankedTensorType>(dot.getA().getType());
  SmallVector<int64_t> shape{1};
  llvm::append_range(shape, tile.getShape());
  MLIRContext *context = rewriter.getContext();
  auto viewType = ViewType::get(context, tile.getShape(), tile.getElementType(),
                                SwizzleAttr());
  Value buffer =
      getBuffer(loc, BufferType::get(context, shape, tile.getElementType(),
                                     SwizzleAttr()));

  // Right behind the value, so that barriers between it and the dot serve.
  Operation *producer = dot.getA().getDefiningOp();
  const bool isNear = producer && producer->getBlock() == dot->getBlock();
  if (isNear)
    rewriter.setInsertionPointAfter(producer);
  else
    rewriter.setInsertionPoint(dot);
  Value zero = arith::ConstantIndexOp::create(rewriter, loc, 0);
  Value view = StageOp::create(rewriter, loc, viewType, buffer, zero);
  auto store = LocalStoreOp::create(rewriter, loc, dot.getA(), view);
  dot.getAMutable().assign(view);
  if (!hasBarrierBetween(store, dot)) {
    rewriter.setInsertionPoint(dot);
    gpu::BarrierOp::create(rewriter, loc);
  }
  // The reads of the iteration before, and of another product in front.
  Block *block = dot->getBlock();
  Operation *&reader = readers[buffer];
  const bool follows = reader && reader->getBlock() == block;
  const bool isOrdered =
      isa<LoopLikeOpInterface>(block->getParentOp()) &&
      (hasBarrierBetween(&block->front(), store) ||
       hasBarrierBetween(dot, block->getTerminator())) &&
      (!follows || hasBarrierBetween(reader, store));
  reader = dot;
  if (isOrdered)
    return;
  rewriter.setInsertionPoint(store);
  gpu::BarrierOp::create(rewriter, loc);
}

void mlir::flash_tile::stageOperands(FunctionOpInterface func) {
  if (!func.isExternal())
    OperandStager(func).run();
}

namespace {
struct StageOperandsPass
    : flash_tile::impl::FlashTileStageOperandsBase<StageOperandsPass> {
  void runOnOperation() override {
    getOperation()->walk([](FunctionOpInterface func) { stageOperands(func); });
  }
};
} // namespace
