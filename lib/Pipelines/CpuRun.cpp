//===- CpuRun.cpp - Run a module's function on the host -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/CpuPipeline.h"

#include "flash/Dialect/Flash/Transforms/BufferizableOpInterfaceImpl.h"
#include "flash/Dialect/Flash/Transforms/Transforms.h"
#include "flash/Pipelines/ElementTypes.h"

#include "mlir/Dialect/Arith/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/FuncBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/ControlFlow/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/AllocationOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferDeallocationOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::DType;

namespace {
/// Refuses with a message; `runOnCpu` has no other way to fail.
llvm::Error refuse(const Twine &message) {
  return llvm::createStringError(message.str());
}

/// What a function receives for one argument: the words of a memref
/// descriptor (two pointers, offset, sizes, strides), behind a pointer, or the
/// address of a scalar. Addresses must stay put, so the holder does not move.
class PackedArgument {
public:
  explicit PackedArgument(const CpuArgument &argument) : data(argument.data) {
    if (argument.shape.empty())
      return;
    auto address = reinterpret_cast<intptr_t>(argument.data);
    descriptor = {address, address, /*offset=*/0};
    llvm::append_range(descriptor, argument.shape);
    llvm::append_range(descriptor, argument.strides);
    data = descriptor.data();
    isArray = true;
  }
  void *getAddress() { return isArray ? static_cast<void *>(&data) : data; }

private:
  static_assert(sizeof(intptr_t) == sizeof(int64_t),
                "a memref descriptor is made of 64-bit words");
  SmallVector<int64_t, 11> descriptor;
  void *data;
  bool isArray = false;
};

void appendCpuDialects(MLIRContext *context) {
  DialectRegistry registry;
  registry.insert<LLVM::LLVMDialect>();
  mlir::flash::registerBufferizableOpInterfaceExternalModels(registry);
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  arith::registerBufferDeallocationOpInterfaceExternalModels(registry);
  bufferization::func_ext::registerBufferizableOpInterfaceExternalModels(
      registry);
  cf::registerBufferDeallocationOpInterfaceExternalModels(registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  memref::registerAllocationOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  scf::registerBufferDeallocationOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
}
} // namespace

/// The storage of an element type; none for what the host cannot compute.
static std::optional<DType> getHostDType(Type type) {
  std::optional<DType> dtype = getDType(type);
  if (dtype == DType::TF32 || dtype == DType::E4M3 || dtype == DType::E5M2)
    return std::nullopt;
  return dtype;
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Checks one argument against its type in the memref form of the function.
static llvm::Error checkArgument(unsigned index, const CpuArgument &argument,
                                 Type type) {
  auto role = [&](const Twine &what) {
    return ("argument " + Twine(index) + " " + what).str();
  };
  auto memref = dyn_cast<MemRefType>(type);
  Type element = memref ? memref.getElementType() : type;
  std::optional<DType> storage = getHostDType(element);
  if (!storage)
    return refuse(role("element type") +
                  ": expected f16, bf16, f32, f64 or an integer on the host, "
                  "got " +
                  print(element));
  if (*storage != argument.dtype)
    return refuse(role("element type") + ": expected " +
                  StringRef(::flash::runtime::name(*storage)) + ", got " +
                  StringRef(::flash::runtime::name(argument.dtype)));
  size_t rank = memref ? memref.getRank() : 0;
  if (argument.shape.size() != rank || argument.strides.size() != rank)
    return refuse(role("rank") + ": expected " + Twine(rank) + ", got " +
                  Twine(argument.shape.size()));
  if (!memref)
    return llvm::Error::success();

  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(memref.getStridesAndOffset(strides, offset)))
    return refuse(role("layout") + ": expected strided, got " + print(type));
  if (!ShapedType::isDynamic(offset) && offset != 0)
    return refuse(role("offset") + ": expected 0 or dynamic, got " +
                  Twine(offset));
  for (size_t dim = 0; dim < rank; ++dim) {
    if (!memref.isDynamicDim(dim) &&
        memref.getDimSize(dim) != argument.shape[dim])
      return refuse(role("size of dimension " + Twine(dim)) + ": expected " +
                    Twine(memref.getDimSize(dim)) + ", got " +
                    Twine(argument.shape[dim]));
    // The stride of a dimension with one element is never used.
    if (!ShapedType::isDynamic(strides[dim]) && argument.shape[dim] > 1 &&
        strides[dim] != argument.strides[dim])
      return refuse(role("stride of dimension " + Twine(dim)) + ": expected " +
                    Twine(strides[dim]) + ", got " +
                    Twine(argument.strides[dim]));
  }
  return llvm::Error::success();
}

/// Lowers `module` to the llvm dialect in place. The first error of the passes
/// becomes the returned one.
static llvm::Error lower(ModuleOp module) {
  std::string message;
  ScopedDiagnosticHandler handler(
      module.getContext(), [&](Diagnostic &diagnostic) {
        if (message.empty() &&
            diagnostic.getSeverity() == DiagnosticSeverity::Error) {
          llvm::raw_string_ostream stream(message);
          stream << diagnostic.getLocation() << ": " << diagnostic;
        }
        return success();
      });
  PassManager manager(module.getContext());
  buildCpuPipeline(manager);
  if (succeeded(manager.run(module)))
    return llvm::Error::success();
  return refuse(message.empty() ? "the module cannot be lowered to LLVM"
                                : message);
}

/// Compiles and calls the C wrapper of `function`.
static llvm::Error invoke(ModuleOp module, StringRef function,
                          ArrayRef<CpuArgument> arguments) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  llvm::Expected<llvm::orc::JITTargetMachineBuilder> host =
      llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!host)
    return host.takeError();
  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machine =
      host->createTargetMachine();
  if (!machine)
    return machine.takeError();

  ExecutionEngineOptions options;
  auto optimize = makeOptimizingTransformer(/*optLevel=*/2, /*sizeLevel=*/0,
                                            machine->get());
  options.transformer = optimize;
  options.jitCodeGenOptLevel = llvm::CodeGenOptLevel::Default;
  options.enableGDBNotificationListener = false;
  options.enablePerfNotificationListener = false;
  llvm::Expected<std::unique_ptr<ExecutionEngine>> engine =
      ExecutionEngine::create(module, options);
  if (!engine)
    return engine.takeError();

  std::vector<PackedArgument> packed(arguments.begin(), arguments.end());
  SmallVector<void *> addresses;
  for (PackedArgument &argument : packed)
    addresses.push_back(argument.getAddress());
  return (*engine)->invokePacked(("_mlir_ciface_" + function).str(), addresses);
}

llvm::Error mlir::flash::runOnCpu(ModuleOp module, StringRef name,
                                  ArrayRef<CpuArgument> arguments) {
  auto original = module.lookupSymbol<func::FuncOp>(name);
  if (!original || original.isDeclaration())
    return refuse("function: expected one with a body named @" + name +
                  ", got none");
  appendCpuDialects(module.getContext());
  OwningOpRef<ModuleOp> clone = module.clone();
  auto function = clone->lookupSymbol<func::FuncOp>(name);

  std::string message;
  {
    ScopedDiagnosticHandler handler(
        module.getContext(), [&](Diagnostic &diagnostic) {
          llvm::raw_string_ostream(message)
              << diagnostic.getLocation() << ": " << diagnostic;
          return success();
        });
    if (failed(bufferizeBoundary(function)))
      return refuse(message);
  }
  FunctionType type = function.getFunctionType();
  if (type.getNumResults() != 0)
    return refuse("results of @" + name +
                  ": expected none beside destinations, got " +
                  Twine(type.getNumResults()));
  if (type.getNumInputs() != arguments.size())
    return refuse("arguments of @" + name + ": expected " +
                  Twine(type.getNumInputs()) + ", got " +
                  Twine(arguments.size()));
  for (auto [index, argument] : llvm::enumerate(arguments))
    if (llvm::Error error =
            checkArgument(index, argument, type.getInput(index)))
      return error;

  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    UnitAttr::get(module.getContext()));
  if (llvm::Error error = lower(*clone))
    return error;
  return invoke(*clone, name, arguments);
}
