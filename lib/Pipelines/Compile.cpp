//===- Compile.cpp - Attention to PTX, in process -------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/Compile.h"

#include "KernelManifest.h"
#include "flash/Conversion/Passes.h"
#include "flash/Dialect/Flash/Transforms/Ladder.h"
#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/Flash/Transforms/SelectSchedule.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "flash/InitAllDialects.h"
#include "flash/Target/PTX.h"

#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include <chrono>

namespace mlir::flash {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start)
      .count();
}

void addFlashPasses(OpPassManager &manager, const CompileOptions &options) {
  manager.addPass(createFlashNormalizeRegions());
  manager.addPass(createFlashBufferizeBoundary());
  manager.addPass(bufferization::createOneShotBufferizePass());
  manager.addPass(createFlashExpandModifiers());
  manager.addPass(createCanonicalizerPass());
  FlashSelectScheduleOptions schedule;
  schedule.chip = options.chip;
  schedule.fields = options.schedule;
  if (std::optional<int64_t> level = parseLevel(options.level))
    schedule.level = *level;
  manager.addPass(createFlashSelectSchedule(schedule));
}

void addTilePasses(OpPassManager &manager) {
  manager.addPass(flash_tile::createFlashToTile());
  OpPassManager &kernels =
      manager.nest<gpu::GPUModuleOp>().nest<gpu::GPUFuncOp>();
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(flash_tile::createFlashTileStageBuffers());
  kernels.addPass(flash_tile::createFlashTilePipeline());
  kernels.addPass(flash_tile::createFlashTileSplitBands());
  kernels.addPass(flash_tile::createFlashTileStageOperands());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(flash_tile::createFlashTileAssignLayouts());
  kernels.addPass(flash_tile::createFlashTileStageReductions());
  kernels.addPass(flash_tile::createFlashTilePermuteRegisters());
  kernels.addPass(flash_tile::createFlashTilePlanShared());
}

void addNvvmPasses(OpPassManager &manager) {
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(flash_tile::createFlashTileToNVVM());
  kernels.addPass(flash_tile::createFlashExpandMath());
}

void addLlvmPasses(OpPassManager &manager) {
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(createSCFToControlFlowPass());
  // Extents and offsets of whole tensors are 64-bit, as strides are.
  ConvertGpuOpsToNVVMOpsOptions toNvvm;
  toNvvm.indexBitwidth = 64;
  kernels.addPass(createConvertGpuOpsToNVVMOps(toNvvm));
  kernels.addPass(createReconcileUnrealizedCastsPass());
}

/// Runs the passes of one stage.
LogicalResult runStage(ModuleOp module, CompileStage stage,
                       const CompileOptions &options,
                       std::vector<CompileStep> *steps) {
  static constexpr const char *names[] = {"flash passes", "tile passes",
                                          "tile to nvvm", "nvvm to llvm"};
  Clock::time_point start = Clock::now();
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  // Every pass is tested with the verifier on; once per stage is enough here.
  manager.enableVerifier(false);
  switch (stage) {
  case CompileStage::Flash:
    addFlashPasses(manager, options);
    break;
  case CompileStage::Tile:
    addTilePasses(manager);
    break;
  case CompileStage::Nvvm:
    addNvvmPasses(manager);
    break;
  case CompileStage::Llvm:
    addLlvmPasses(manager);
    break;
  }
  LogicalResult result = manager.run(module);
  if (steps)
    steps->push_back(
        {names[static_cast<int>(stage)], millisecondsSince(start)});
  return result;
}

} // namespace

void registerCompileDialects(DialectRegistry &registry) {
  ::mlir::flash::registerAllDialects(registry);
  registerPtxTranslations(registry);
}

LogicalResult lowerTo(ModuleOp module, CompileStage until,
                      const CompileOptions &options,
                      std::vector<CompileStep> *steps) {
  if (std::optional<std::string> message = checkSchedule(options.schedule))
    return module.emitError("schedule: ") << *message;
  if (!options.level.empty())
    if (std::optional<std::string> message = checkLevel(options.level))
      return module.emitError(*message);
  for (int stage = 0; stage <= static_cast<int>(until); ++stage)
    if (failed(
            runStage(module, static_cast<CompileStage>(stage), options, steps)))
      return failure();
  return success();
}

FailureOr<CompiledKernel> compileToPTX(ModuleOp module,
                                       const CompileOptions &options,
                                       StringRef spec,
                                       std::vector<CompileStep> *steps) {
  if (failed(lowerTo(module, CompileStage::Tile, options, steps)))
    return failure();
  const ::flash::ChipInfo *chip = ::flash::findChip(options.chip);
  CompiledKernel kernel;
  auto kernels = module.getOps<gpu::GPUModuleOp>();
  gpu::GPUFuncOp function;
  SmallVector<gpu::GPUFuncOp> before;
  for (gpu::GPUModuleOp kernelModule : kernels)
    for (auto candidate : kernelModule.getOps<gpu::GPUFuncOp>()) {
      if (candidate->hasAttr("flash_tile.before")) {
        before.push_back(candidate);
        continue;
      }
      if (function)
        return candidate.emitError("expected one attention per module, got a "
                                   "second kernel");
      function = candidate;
    }
  if (!function)
    return module.emitError("expected a function with a flash.attention, got "
                            "none");
  // The manifest is read off the tile program, whose signature still has
  // memrefs with roles.
  FailureOr<::flash::runtime::Manifest> manifest =
      describeKernel(function, before, *chip, spec);
  if (failed(manifest))
    return failure();
  kernel.manifest = std::move(*manifest);
  for (CompileStage stage : {CompileStage::Nvvm, CompileStage::Llvm})
    if (failed(runStage(module, stage, options, steps)))
      return failure();
  PtxTimings timings;
  FailureOr<std::string> ptx = translateToPTX(
      *module.getOps<gpu::GPUModuleOp>().begin(), *chip, &timings);
  if (failed(ptx))
    return failure();
  kernel.ptx = std::move(*ptx);
  // What the instructions need may be more than what the chip does.
  if (StringRef text = StringRef(kernel.ptx).split(".version ").second;
      !text.empty())
    kernel.manifest.ptxIsa = text.take_until(isspace).str();
  if (steps) {
    steps->push_back({"llvm dialect to llvm ir", timings.translate});
    steps->push_back({"llvm optimisation", timings.optimize});
    steps->push_back({"nvptx code generation", timings.codegen});
  }
  return kernel;
}

std::optional<std::string> checkSchedule(StringRef schedule) {
  return ScheduleOverrides().parse(schedule);
}

std::optional<std::string> checkLevel(StringRef level) {
  std::optional<int64_t> number = parseLevel(level);
  if (!number) {
    std::string message = "level: expected 0 to 12 or one of";
    for (int64_t i = 0; i < kNumLevels; ++i)
      message += " " + getLevelName(i).str();
    return message + ", got '" + level.str() + "'";
  }
  std::string name =
      std::to_string(*number) + " (" + getLevelName(*number).str() + ")";
  if (*number > kTunedLevel)
    return "level: " + name + " is not yet lowered; expected at most 9 (tuned)";
  return std::nullopt;
}

} // namespace mlir::flash
