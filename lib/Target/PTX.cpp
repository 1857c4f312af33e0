//===- PTX.cpp - From a gpu.module to PTX text ----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Target/PTX.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <chrono>
#include <mutex>

// Of the NVPTX target only what is used, so that no other target's
// initialisation is linked.
extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace mlir::flash {
namespace {

constexpr const char *kTriple = "nvptx64-nvidia-cuda";

/// Sets a boolean option of LLVM's that has no other interface.
void setFlag(llvm::StringRef name) {
  auto &options = llvm::cl::getRegisteredOptions();
  if (auto it = options.find(name); it != options.end())
    static_cast<llvm::cl::opt<bool> *>(it->second)->setValue(true);
}

void initializeTarget() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    // Shared memory is smaller than 4 GiB; 32-bit pointers halve the integer
    // work of its addresses. Only global options select this, and switch off
    // the search for accesses to vectorise: what can be wide is wide already.
    setFlag("nvptx-short-ptr");
    setFlag("disable-nvptx-load-store-vectorizer");
  });
}

/// Upstream's conversions keep a loop's annotation as a discardable attribute
/// of its latch; the translation reads the branch's own.
void adoptLoopAnnotations(gpu::GPUModuleOp module) {
  constexpr llvm::StringLiteral name = "llvm.loop_annotation";
  module.walk([&](LLVM::BrOp branch) {
    if (auto loop = branch->getAttrOfType<LLVM::LoopAnnotationAttr>(name)) {
      branch->removeDiscardableAttr(name);
      branch.setLoopAnnotationAttr(loop);
    }
  });
}

/// Fails at a call of a function without a body: PTX is complete, and the
/// functions of libdevice, to which upstream lowers what has no instruction,
/// come with CUDA only.
LogicalResult checkCalls(gpu::GPUModuleOp module) {
  SymbolTableCollection symbols;
  WalkResult result = module.walk([&](LLVM::CallOp call) {
    auto callee = call.getCalleeAttr();
    if (!callee)
      return WalkResult::advance();
    auto function =
        symbols.lookupNearestSymbolFrom<LLVM::LLVMFuncOp>(call, callee);
    if (function && !function.isExternal())
      return WalkResult::advance();
    call.emitError("has no instruction on this target: expected no calls of "
                   "functions that PTX does not define, got '")
        << callee.getValue() << "'";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// The lowest PTX ISA version that has all of the module's instructions: 8.4 for
/// products of 8-bit floats (PTX ISA, "mma"), else the chip's.
int getPtxVersion(gpu::GPUModuleOp module, const ::flash::ChipInfo &chip) {
  constexpr llvm::StringLiteral names[] = {
      "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32",
      "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32"};
  int version = chip.ptxVersion;
  module.walk([&](LLVM::CallIntrinsicOp call) {
    if (llvm::is_contained(names, call.getIntrin()))
      version = std::max(version, 84);
  });
  return version;
}

class Stopwatch {
public:
  explicit Stopwatch(double *milliseconds) : milliseconds(milliseconds) {}
  ~Stopwatch() {
    if (milliseconds)
      *milliseconds += std::chrono::duration<double, std::milli>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  }

private:
  double *milliseconds;
  std::chrono::steady_clock::time_point start =
      std::chrono::steady_clock::now();
};

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::ModulePassManager manager;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  // What straight-line kernel code needs. Neither LICM nor GVN: both lengthen
  // live ranges across the KV loop, whose registers are all taken (measured at
  // d = 128 on sm_80: 12 bytes spilled with them, none without), and ptxas moves
  // what is worth moving. A third of O3's time.
  // instcombine verifies by default that one iteration was enough, and aborts
  // where it was not: code is correct either way.
  const char *pipeline =
      "function(early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
      "early-cse<memssa>)";
  if (llvm::Error error = builder.parsePassPipeline(manager, pipeline))
    llvm::report_fatal_error(std::move(error));
  manager.run(module, modules);
}

} // namespace

std::string ptxIsaVersion(const ::flash::ChipInfo &chip) {
  return std::to_string(chip.ptxVersion / 10) + "." +
         std::to_string(chip.ptxVersion % 10);
}

void registerPtxTranslations(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

FailureOr<std::string> translateToPTX(gpu::GPUModuleOp module,
                                      const ::flash::ChipInfo &chip,
                                      PtxTimings *timings) {
  initializeTarget();
  std::string error;
  llvm::Triple triple(kTriple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return module.emitError("NVPTX target: ") << error;
  std::string features =
      "+ptx" + std::to_string(getPtxVersion(module, chip));
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, std::string(chip.name), features, llvm::TargetOptions(),
      std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Default));
  if (!machine)
    return module.emitError("NVPTX target: no machine for ") << chip.name.data();

  if (failed(checkCalls(module)))
    return failure();
  adoptLoopAnnotations(module);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule;
  {
    Stopwatch watch(timings ? &timings->translate : nullptr);
    llvmModule = translateModuleToLLVMIR(module, context, module.getName());
  }
  if (!llvmModule)
    return failure();
  llvmModule->setTargetTriple(triple);
  llvmModule->setDataLayout(machine->createDataLayout());
  {
    Stopwatch watch(timings ? &timings->optimize : nullptr);
    optimize(*llvmModule, *machine);
  }
  Stopwatch watch(timings ? &timings->codegen : nullptr);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true))
    return module.emitError("NVPTX target: cannot emit assembly");
  codegen.run(*llvmModule);
  return std::string(text);
}

} // namespace mlir::flash
