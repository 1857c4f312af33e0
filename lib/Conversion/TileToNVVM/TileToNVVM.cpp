//===- TileToNVVM.cpp - flash_tile to gpu, nvvm, llvm, scf and arith ------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Conversion/TileToNVVM.h"
#include "TileLowering.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Pass/Pass.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILETONVVM
#include "flash/Conversion/Passes.h.inc"

namespace {

/// A tile loop is as long as it should be. ptxas unrolls loops whose trip count
/// it knows, and then spills (216 bytes at 128 x 32, d = 128, 4096 keys).
void forbidUnrolling(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  auto yes = BoolAttr::get(context, true);
  auto unroll = LLVM::LoopUnrollAttr::get(context, /*disable=*/yes, {}, {}, {},
                                          {}, {}, {});
  auto annotation = LLVM::LoopAnnotationAttr::get(
      context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
  module.walk([&](scf::ForOp loop) {
    loop->setAttr("llvm.loop_annotation", annotation);
  });
}

/// A kernel without buffers has no shared memory, not even an empty array.
void eraseUnusedShared(gpu::GPUModuleOp module) {
  module.walk([](LLVM::AddressOfOp address) {
    if (address->use_empty())
      address.erase();
  });
  for (auto global : llvm::make_early_inc_range(
           module.getOps<LLVM::GlobalOp>()))
    if (global.getAddrSpace() == kSharedSpace &&
        SymbolTable::symbolKnownUseEmpty(global, module))
      global.erase();
}

} // namespace

LogicalResult convertTileToNVVM(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  KernelContext kernels;
  for (auto func : module.getOps<gpu::GPUFuncOp>()) {
    if (failed(lowerKernelABI(func)) || failed(kernels.addKernel(func)))
      return failure();
    setLaunchBounds(func);
  }

  TileTypeConverter converter;
  RewritePatternSet patterns(context);
  populateElementwisePatterns(converter, kernels, patterns);
  populateConvertLayoutPatterns(converter, kernels, patterns);
  populateReducePatterns(converter, kernels, patterns);
  populateSharedMemoryPatterns(converter, kernels, patterns);
  populateGlobalMemoryPatterns(converter, kernels, patterns);
  populateGatherPatterns(converter, kernels, patterns);
  populateCopyAsyncPatterns(converter, kernels, patterns);
  populateDotPatterns(converter, kernels, patterns);
  populateFmaDotPatterns(converter, kernels, patterns);

  arith::populateCeilFloorDivExpandOpsPatterns(patterns);

  ConversionTarget target(*context);
  target.addIllegalDialect<FlashTileDialect>();
  target.addIllegalOp<memref::DimOp>();
  target.markUnknownOpDynamicallyLegal([&](Operation *op) {
    return converter.isLegal(op->getOperandTypes()) &&
           converter.isLegal(op->getResultTypes());
  });
  target.addIllegalOp<arith::CeilDivSIOp, arith::CeilDivUIOp,
                      arith::FloorDivSIOp>();
  target.addLegalOp<UnrealizedConversionCastOp, gpu::GPUFuncOp>();
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                       target);
  ConversionConfig config;
  // Nothing is rolled back: a failure ends the compilation.
  config.allowPatternRollback = false;
  if (failed(applyFullConversion(module, target, std::move(patterns), config)))
    return failure();
  forbidUnrolling(module);
  eraseUnusedShared(module);
  return success();
}

namespace {
struct FlashTileToNVVMPass
    : impl::FlashTileToNVVMBase<FlashTileToNVVMPass> {
  void runOnOperation() override {
    if (failed(convertTileToNVVM(getOperation())))
      signalPassFailure();
  }
};
} // namespace

} // namespace mlir::flash_tile
