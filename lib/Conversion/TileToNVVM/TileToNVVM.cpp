//===- TileToNVVM.cpp - flash_tile to gpu, nvvm, llvm, scf and arith ------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Conversion/TileToNVVM.h"
#include "TileLowering.h"

#include "flash/Dialect/FlashTile/IR/Layout.h"
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

/// What a thread holds of every tile must be whole registers.
LogicalResult verifyTiles(gpu::GPUModuleOp module) {
  auto verify = [](Operation *op, Type type) -> LogicalResult {
    LayoutAttr layout = getLayout(type);
    if (!layout)
      return success();
    Type element = cast<RankedTensorType>(type).getElementType();
    const bool isFloat = isa<FloatType>(element);
    if (!element.isIndex() && !element.isInteger(1) &&
        !((isFloat || isa<IntegerType>(element)) &&
          llvm::is_contained({8, 16, 32, 64}, getElementBits(element))))
      return op->emitOpError("tile element type: expected i1, index, or "
                             "integers or floats of 8, 16, 32 or 64 bits, got ")
             << element;
    if (!isFloat)
      return success();
    const unsigned share = elementsPerValue(element);
    const unsigned held = Distribution(layout).numRegisters();
    if (held % share != 0)
      return op->emitOpError("tile layout: expected a multiple of ")
             << share << " elements per thread (" << share << " of " << element
             << " share a register), got " << held << " in " << type;
    return success();
  };
  WalkResult result = module.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (failed(verify(op, type)))
        return WalkResult::interrupt();
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Type type : block.getArgumentTypes())
          if (failed(verify(op, type)))
            return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

/// A kernel without buffers has no shared memory, not even an empty array.
void eraseUnusedShared(gpu::GPUModuleOp module) {
  module.walk([](LLVM::AddressOfOp address) {
    if (address->use_empty())
      address.erase();
  });
  for (auto global :
       llvm::make_early_inc_range(module.getOps<LLVM::GlobalOp>()))
    if (global.getAddrSpace() == kSharedSpace &&
        SymbolTable::symbolKnownUseEmpty(global, module))
      global.erase();
}

} // namespace

LogicalResult convertTileToNVVM(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  if (failed(verifyTiles(module)))
    return failure();
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
struct FlashTileToNVVMPass : impl::FlashTileToNVVMBase<FlashTileToNVVMPass> {
  void runOnOperation() override {
    if (failed(convertTileToNVVM(getOperation())))
      signalPassFailure();
  }
};
} // namespace

} // namespace mlir::flash_tile
