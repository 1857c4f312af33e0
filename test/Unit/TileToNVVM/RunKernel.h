//===- RunKernel.h - Tile kernels written in a test, executed ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_TILETONVVM_RUNKERNEL_H
#define FLASH_TEST_UNIT_TILETONVVM_RUNKERNEL_H

#include "flash/Conversion/Passes.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "flash/Emulator/Emulator.h"
#include "flash/Pipelines/Compile.h"
#include "flash/Runtime/DType.h"
#include "flash/Target/PTX.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include "gtest/gtest.h"

namespace mlir::flash_tile {

/// A row-major matrix of the kernel: what it holds is rounded to `dtype`.
struct Matrix {
  ::flash::runtime::DType dtype;
  int64_t rows, cols;
  std::vector<double> values;

  Matrix(::flash::runtime::DType dtype, int64_t rows, int64_t cols)
      : dtype(dtype), rows(rows), cols(cols), values(size_t(rows * cols)) {}
  double &at(int64_t row, int64_t col) {
    return values[size_t(row * cols + col)];
  }
  /// The type's name in MLIR.
  static const char *mlirName(::flash::runtime::DType dtype) {
    switch (dtype) {
    case ::flash::runtime::DType::F16:
      return "f16";
    case ::flash::runtime::DType::BF16:
      return "bf16";
    case ::flash::runtime::DType::E4M3:
      return "f8E4M3FN";
    case ::flash::runtime::DType::E5M2:
      return "f8E5M2";
    case ::flash::runtime::DType::I8:
      return "i8";
    case ::flash::runtime::DType::I16:
      return "i16";
    case ::flash::runtime::DType::I32:
      return "i32";
    case ::flash::runtime::DType::I64:
      return "i64";
    case ::flash::runtime::DType::F64:
      return "f64";
    default:
      return "f32";
    }
  }
};

struct KernelRun {
  std::string ptx;
  ::flash::emu::Report report;
};

/// Lowers the one kernel of `text`, a gpu.module with layouts and offsets, and
/// runs one CTA of it on the emulator. The kernel's arguments are memrefs of
/// static shapes, one for each of `matrices`, whose values are what it left
/// there. With `decide` neither conversions nor offsets have been decided on.
inline KernelRun runKernel(const std::string &text, unsigned threads,
                           unsigned sharedBytes, ArrayRef<Matrix *> matrices,
                           StringRef chipName = "sm_89", bool decide = false) {
  KernelRun run;
  DialectRegistry registry;
  flash::registerCompileDialects(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module) {
    ADD_FAILURE() << text;
    return run;
  }
  PassManager manager(&context, ModuleOp::getOperationName());
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  if (decide) {
    kernels.addPass(createFlashTilePermuteRegisters());
    kernels.addPass(createFlashTilePlanShared());
  }
  kernels.addPass(createFlashTileToNVVM());
  kernels.addPass(createFlashExpandMath());
  kernels.addPass(createSCFToControlFlowPass());
  ConvertGpuOpsToNVVMOpsOptions toNvvm;
  toNvvm.indexBitwidth = 64;
  kernels.addPass(createConvertGpuOpsToNVVMOps(toNvvm));
  kernels.addPass(createReconcileUnrealizedCastsPass());
  if (failed(manager.run(*module))) {
    ADD_FAILURE() << text;
    return run;
  }
  FailureOr<std::string> ptx = flash::translateToPTX(
      *module->getOps<gpu::GPUModuleOp>().begin(),
      *::flash::findChip(std::string_view(chipName.data(), chipName.size())));
  if (failed(ptx)) {
    ADD_FAILURE() << text;
    return run;
  }
  run.ptx = *ptx;

  ::flash::emu::Diagnostic diagnostic;
  auto parsed = ::flash::emu::Module::parse(run.ptx, diagnostic);
  if (!parsed) {
    ADD_FAILURE() << diagnostic.str();
    return run;
  }
  const ::flash::emu::KernelInfo &kernel = parsed->kernels().front();
  ::flash::emu::Device device;
  ::flash::emu::ArgumentBuffer arguments(kernel);
  std::vector<uint64_t> addresses;
  for (auto [i, matrix] : llvm::enumerate(matrices)) {
    size_t width = byteWidth(matrix->dtype);
    std::vector<std::byte> bytes(matrix->values.size() * width);
    for (auto [e, value] : llvm::enumerate(matrix->values))
      storeElement(matrix->dtype, &bytes[e * width], value);
    addresses.push_back(device.allocate("m" + std::to_string(i), bytes.size(),
                                        ::flash::emu::Contents::Zero));
    device.write(addresses.back(), bytes.data(), bytes.size());
    arguments.set<uint64_t>(unsigned(i), addresses.back());
    // Behind the pointers, two strides each.
    unsigned strides = unsigned(matrices.size() + 2 * i);
    arguments.set<int64_t>(strides, matrix->cols);
    arguments.set<int64_t>(strides + 1, 1);
  }
  ::flash::emu::LaunchConfig config;
  config.block = {threads, 1, 1};
  config.dynamicSharedBytes = sharedBytes;
  config.chip = *::flash::emu::parseChip(
      std::string_view(chipName.data(), chipName.size()));
  config.async = ::flash::emu::AsyncMode::Lazy;
  config.counters = true;
  run.report = ::flash::emu::launch(*parsed, kernel.name, arguments.bytes(),
                                    device, config);
  EXPECT_TRUE(run.report.ok) << text;
  for (const ::flash::emu::Issue &issue : run.report.issues)
    ADD_FAILURE() << issue.str();
  for (auto [i, matrix] : llvm::enumerate(matrices)) {
    size_t width = byteWidth(matrix->dtype);
    std::vector<std::byte> bytes(matrix->values.size() * width);
    device.read(addresses[i], bytes.data(), bytes.size());
    for (auto [e, value] : llvm::enumerate(matrix->values))
      value = loadElement(matrix->dtype, &bytes[e * width]);
  }
  return run;
}

} // namespace mlir::flash_tile

#endif // FLASH_TEST_UNIT_TILETONVVM_RUNKERNEL_H
