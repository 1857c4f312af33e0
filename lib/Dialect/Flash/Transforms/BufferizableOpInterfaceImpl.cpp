//===- BufferizableOpInterfaceImpl.cpp - Bufferization of attention -------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/BufferizableOpInterfaceImpl.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::bufferization;
using flash::AttentionOp;

namespace {
struct AttentionOpInterface
    : DstBufferizableOpInterfaceExternalModel<AttentionOpInterface,
                                              AttentionOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return !cast<AttentionOp>(op).isDpsInit(&operand);
  }

  // What a region reads is a capture, and the op itself is known to read it
  // (bufferizesToMemoryRead): that is where a conflict with a write shows, so
  // captures need no alias to the block arguments.

  FailureOr<BufferLikeType>
  getBufferType(Operation *op, Value value, const BufferizationOptions &options,
                const BufferizationState &state,
                SmallVector<Value> &invocationStack) const {
    auto attention = cast<AttentionOp>(op);
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument)
      return bufferization::getBufferType(
          attention.getDpsInits()[cast<OpResult>(value).getResultNumber()],
          options, state, invocationStack);
    return bufferization::getBufferType(getCapture(attention, argument),
                                        options, state, invocationStack);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto attention = cast<AttentionOp>(op);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        operands.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }

    auto onBuffers = AttentionOp::create(
        rewriter, op->getLoc(), TypeRange(), operands,
        attention.getProperties(), llvm::to_vector(op->getDiscardableAttrs()));
    moveRegion(rewriter, attention.getScore(), onBuffers.getScore(),
               onBuffers.getScoreArgumentTypes());
    moveRegion(rewriter, attention.getMask(), onBuffers.getMask(),
               onBuffers.getMaskArgumentTypes());
    replaceOpWithBufferizedValues(rewriter, op,
                                  llvm::to_vector(onBuffers.getDpsInits()));
    return success();
  }

private:
  /// The operand that a tensor block argument of a region stands for.
  static Value getCapture(AttentionOp op, BlockArgument argument) {
    unsigned first = argument.getOwner()->getParent() == &op.getScore()
                         ? AttentionOp::kNumScoreArgs
                         : AttentionOp::kNumMaskArgs;
    return op.getCaptures()[argument.getArgNumber() - first];
  }

  /// Moves a region into the memref form. Its tensor arguments become memrefs;
  /// what still reads the tensor sees it through a bufferization.to_tensor
  /// that the driver folds away.
  static void moveRegion(RewriterBase &rewriter, Region &from, Region &to,
                         ArrayRef<Type> argumentTypes) {
    if (from.empty())
      return;
    rewriter.inlineRegionBefore(from, to, to.end());
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(&to.front());
    for (auto [argument, type] : llvm::zip(to.getArguments(), argumentTypes)) {
      auto tensorType = dyn_cast<RankedTensorType>(argument.getType());
      if (!tensorType)
        continue;
      argument.setType(type);
      if (argument.use_empty())
        continue;
      auto tensor =
          ToTensorOp::create(rewriter, argument.getLoc(), tensorType, argument);
      rewriter.replaceAllUsesExcept(argument, tensor, tensor);
    }
  }
};
} // namespace

void mlir::flash::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, FlashDialect *) {
    AttentionOp::attachInterface<AttentionOpInterface>(*context);
    context->loadDialect<BufferizationDialect, memref::MemRefDialect>();
  });
}
