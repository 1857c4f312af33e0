//===- StageReductions.cpp - Lanes combined in shared memory --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/StageReductions.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILESTAGEREDUCTIONS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

void mlir::flash_tile::stageReductions(FunctionOpInterface func) {
  auto schedule =
      func->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule");
  if (func.isExternal() || !schedule ||
      schedule.getReduce() != flash::LaneReduction::tree)
    return;
  MLIRContext *context = func->getContext();
  DenseMap<Type, Value> buffers;
  func->walk([&](ReduceOp reduce) {
    RankedTensorType source = reduce.getSource().getType();
    std::optional<Layout> layout = Layout::get(source);
    if (!layout || source.getRank() != 2 || reduce.getAxis() != 1 ||
        reduce.getScratch())
      return;
    const int64_t parts = layout->countParts(/*axis=*/1);
    if (parts == 1)
      return;
    const int64_t rows = source.getDimSize(0);
    Type element = source.getElementType();
    auto type =
        BufferType::get(context, {1, rows, parts}, element, SwizzleAttr());
    Value &buffer = buffers[type];
    Location loc = reduce.getLoc();
    if (!buffer) {
      // Allocations live as long as the kernel: all of them open it.
      Block &entry = func.getFunctionBody().front();
      Block::iterator point = entry.begin();
      while (isa<AllocOp>(*point))
        ++point;
      OpBuilder builder(&entry, point);
      buffer = AllocOp::create(builder, loc, type, IntegerAttr());
    }
    OpBuilder builder(reduce);
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    auto view = ViewType::get(context, {rows, parts}, element, SwizzleAttr());
    reduce.getScratchMutable().assign(
        StageOp::create(builder, loc, view, buffer, zero));
  });
}

namespace {
struct StageReductionsPass
    : flash_tile::impl::FlashTileStageReductionsBase<StageReductionsPass> {
  void runOnOperation() override {
    getOperation()->walk(
        [](FunctionOpInterface func) { stageReductions(func); });
  }
};
} // namespace
