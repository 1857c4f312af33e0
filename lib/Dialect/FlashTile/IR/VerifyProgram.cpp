//===- VerifyProgram.cpp - Verification of whole tile programs ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramModel.h"
#include "flash/Dialect/FlashTile/IR/Program.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

//===----------------------------------------------------------------------===//
// Tensor memory
//===----------------------------------------------------------------------===//

LogicalResult
flash_tile::detail::verifyTensorMemory(const ProgramModel &model) {
  SmallVector<TmemAllocOp> allocs;
  WalkResult result = model.root->walk([&](Operation *op) {
    // P9. What shares columns is a view, so that accesses can be compared.
    if (auto alloc = dyn_cast<TmemAllocOp>(op)) {
      const int64_t first = alloc.getColumn();
      const int64_t end = first + alloc.getTile().getType().getColumns();
      for (TmemAllocOp other : allocs) {
        const int64_t otherFirst = other.getColumn();
        const int64_t otherEnd =
            otherFirst + other.getTile().getType().getColumns();
        if (first >= otherEnd || otherFirst >= end)
          continue;
        InFlightDiagnostic diag =
            alloc.emitOpError()
            << "columns " << first << " to " << end
            << ": expected to be disjoint from other allocs, got overlap with "
            << otherFirst << " to " << otherEnd;
        diag.attachNote(other.getLoc()) << "allocated here";
        return WalkResult::interrupt();
      }
      allocs.push_back(alloc);
    }
    // P10. A warp reaches the quarter of the lanes that its number in the warp
    // group selects; 128 rows take all four.
    if (isa<TmemLoadOp, TmemStoreOp>(op)) {
      Region *role = getRole(op);
      std::optional<int64_t> threads;
      if (role)
        threads = getRoleThreads(role, op);
      if (threads && *threads != 128) {
        op->emitOpError() << "warps of role " << getRoleName(role)
                          << ": expected 4 (128 lanes of tensor memory), got "
                          << *threads / 32;
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

LogicalResult flash_tile::detail::verifyTileLayouts(const ProgramModel &model) {
  // P11. Not every elementwise op compares the encodings of operands whose
  // element types differ (math.fpowi), so registers could be paired wrongly.
  WalkResult result = model.root->walk([&](Operation *op) {
    if (!op->hasTrait<OpTrait::Elementwise>())
      return WalkResult::advance();
    RankedTensorType first;
    auto check = [&](Value value) {
      auto tile = dyn_cast<RankedTensorType>(value.getType());
      if (!tile)
        return true;
      if (!first)
        first = tile;
      return first.getEncoding() == tile.getEncoding();
    };
    if (llvm::all_of(op->getOperands(), check) &&
        llvm::all_of(op->getResults(), check))
      return WalkResult::advance();
    op->emitOpError() << "tile layouts: expected the same for all operands and "
                         "results";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Entry
//===----------------------------------------------------------------------===//

LogicalResult flash_tile::verifyProgram(Operation *root) {
  ProgramModel model(root);
  for (auto check : {verifyTileLayouts, verifyBarriers, verifyNamedBarriers,
                     verifyClusterBarriers, verifyTensorMemory, verifyAccesses,
                     verifyCopies})
    if (failed(check(model)))
      return failure();
  return success();
}
