//===- BufferizeBoundary.cpp - Tensor functions to memref functions -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/Flash/Transforms/Transforms.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHBUFFERIZEBOUNDARY
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;

static bool isTensor(Type type) { return isa<RankedTensorType>(type); }

/// The memref that can hold a tensor stored in any order, at any padding.
static MemRefType getStridedType(RankedTensorType type) {
  SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
  return MemRefType::get(
      type.getShape(), type.getElementType(),
      StridedLayoutAttr::get(type.getContext(), ShapedType::kDynamic, strides));
}

/// The entry block argument that `value` is computed into, through any number
/// of destination-style ops and loops; null if there is none.
static BlockArgument findDestination(Value value, Block &entry) {
  while (true) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return argument.getOwner() == &entry ? argument : BlockArgument();
    auto result = cast<OpResult>(value);
    if (auto op = dyn_cast<DestinationStyleOpInterface>(result.getOwner()))
      value = op.getTiedOpOperand(result)->get();
    else if (auto loop = dyn_cast<LoopLikeOpInterface>(result.getOwner());
             loop && loop.getTiedLoopInit(result))
      value = loop.getTiedLoopInit(result)->get();
    else
      return {};
  }
}

LogicalResult mlir::flash::bufferizeBoundary(func::FuncOp function) {
  FunctionType type = function.getFunctionType();
  if (llvm::none_of(type.getInputs(), isTensor) &&
      llvm::none_of(type.getResults(), isTensor))
    return success();
  if (!function.getBody().hasOneBlock())
    return function.emitOpError() << "body: expected one block, got "
                                  << std::distance(function.getBody().begin(),
                                                   function.getBody().end());

  Block &entry = function.getBody().front();
  auto returnOp = cast<func::ReturnOp>(entry.getTerminator());
  SmallVector<unsigned> destinations;
  for (auto [index, value] : llvm::enumerate(returnOp.getOperands())) {
    BlockArgument destination;
    if (isTensor(value.getType()))
      destination = findDestination(value, entry);
    if (!destination)
      return returnOp.emitOpError()
             << "result " << index
             << ": expected a tensor computed into an argument of the "
                "function, got "
             << (isTensor(value.getType()) ? "one that is not" : "no tensor");
    if (llvm::is_contained(destinations, destination.getArgNumber()))
      return returnOp.emitOpError()
             << "result " << index
             << ": expected an argument of its own as destination, got "
                "argument "
             << destination.getArgNumber() << " again";
    destinations.push_back(destination.getArgNumber());
  }

  OpBuilder builder(function.getContext());
  builder.setInsertionPointToStart(&entry);
  for (BlockArgument argument : entry.getArguments()) {
    auto tensorType = dyn_cast<RankedTensorType>(argument.getType());
    if (!tensorType)
      continue;
    bool isWritten = llvm::is_contained(destinations, argument.getArgNumber());
    argument.setType(getStridedType(tensorType));
    // Different arguments are different arrays: that is what the kernel's
    // callers promise, and what `restrict` says.
    auto tensor = bufferization::ToTensorOp::create(
        builder, argument.getLoc(), tensorType, argument, /*restrict=*/true,
        /*writable=*/isWritten);
    argument.replaceAllUsesExcept(tensor, tensor);
  }

  builder.setInsertionPoint(returnOp);
  for (auto [destination, value] :
       llvm::zip(destinations, returnOp.getOperands())) {
    auto store = bufferization::MaterializeInDestinationOp::create(
        builder, returnOp.getLoc(), value, entry.getArgument(destination));
    store.setWritable(true);
  }
  returnOp->setOperands({});
  function.setType(
      FunctionType::get(function.getContext(), entry.getArgumentTypes(), {}));
  function.removeResAttrsAttr();
  return success();
}

namespace {
struct BufferizeBoundaryPass
    : flash::impl::FlashBufferizeBoundaryBase<BufferizeBoundaryPass> {
  void runOnOperation() override {
    auto walk = [&](func::FuncOp function) -> WalkResult {
      if (function.isDeclaration())
        return WalkResult::advance();
      FunctionType before = function.getFunctionType();
      if (failed(bufferizeBoundary(function)))
        return WalkResult::interrupt();
      if (function.getFunctionType() == before)
        return WalkResult::advance();
      std::optional<SymbolTable::UseRange> uses =
          SymbolTable::getSymbolUses(function, getOperation());
      if (uses && uses->empty())
        return WalkResult::advance();
      return function.emitOpError()
             << "uses: expected none of a function on tensors, got some";
    };
    if (getOperation()->walk(walk).wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
