//===- PermuteRegisters.cpp - Layout conversions in registers -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/PermuteRegisters.h"

#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEPERMUTEREGISTERS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"

std::optional<SmallVector<int64_t>> findRegisterPermutation(const Layout &from,
                                                            const Layout &to) {
  if (from.numRegisters() != to.numRegisters() ||
      from.numWarps() != to.numWarps())
    return std::nullopt;
  // Lane 0 of warp 0 names the only candidate for each register ...
  std::map<SmallVector<int64_t>, int64_t> sources;
  for (int64_t r = 0; r < from.numRegisters(); ++r)
    sources.try_emplace(from.coordinates(r, 0, 0), r);
  SmallVector<int64_t> permutation;
  for (int64_t r = 0; r < to.numRegisters(); ++r) {
    auto source = sources.find(to.coordinates(r, 0, 0));
    if (source == sources.end())
      return std::nullopt;
    permutation.push_back(source->second);
  }
  // ... and every other thread must agree.
  for (int64_t warp = 0; warp < to.numWarps(); ++warp)
    for (int64_t lane = 0; lane < Layout::numLanes(); ++lane)
      for (auto [r, source] : llvm::enumerate(permutation))
        if (to.coordinates(r, lane, warp) !=
            from.coordinates(source, lane, warp))
          return std::nullopt;
  return permutation;
}

namespace {

bool isIdentity(ArrayRef<int64_t> permutation) {
  for (auto [r, source] : llvm::enumerate(permutation))
    if (int64_t(r) != source)
      return false;
  return true;
}

/// 16-bit elements are kept two to a register: a renaming must move pairs.
bool keepsPairs(ArrayRef<int64_t> permutation) {
  for (size_t r = 0; r + 1 < permutation.size(); r += 2)
    if (permutation[r] % 2 || permutation[r + 1] != permutation[r] + 1)
      return false;
  return true;
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

LogicalResult decide(ConvertLayoutOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  std::optional<Layout> from =
      Layout::get(cast<RankedTensorType>(op.getSource().getType()));
  std::optional<Layout> to = Layout::get(type);
  if (!from || !to)
    return op.emitOpError("layouts: expected both tiles to have one; run "
                          "--flash-tile-assign-layouts first");
  bool pairs = type.getElementTypeBitWidth() == 16;
  if (std::optional<SmallVector<int64_t>> permutation =
          findRegisterPermutation(*from, *to)) {
    if (isIdentity(*permutation)) {
      op.setPermutation(ArrayRef<int64_t>{});
      op.emitRemark("register permutation: identity, no data moves");
      return success();
    }
    if (!pairs || keepsPairs(*permutation)) {
      op.setPermutation(*permutation);
      op.emitRemark("register permutation: registers renamed within each "
                    "thread");
      return success();
    }
  }
  if (!pairs)
    return op.emitOpError("conversion: expected a permutation of each "
                          "thread's registers or 16-bit elements, got ")
           << op.getSource().getType() << " to " << type;
  op.emitRemark("register permutation: through shared memory, because threads "
                "need each other's registers");
  throughShared(op);
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
