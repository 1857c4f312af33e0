//===- PTXTest.cpp - From the LLVM dialect to PTX -------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Target/PTX.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::flash;

namespace {

class PTXTest : public ::testing::Test {
protected:
  PTXTest() {
    DialectRegistry registry;
    registry.insert<gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
    registerPtxTranslations(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  /// PTX of a module with the functions of `body`, or the first error.
  std::string translate(StringRef body) {
    std::string error;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      if (error.empty())
        error = diagnostic.str();
      return success();
    });
    auto module = parseSourceString<ModuleOp>(
        ("gpu.module @kernels {\n" + body + "\n}").str(), &context);
    if (!module)
      return "no module: " + error;
    auto kernels = *module->getOps<gpu::GPUModuleOp>().begin();
    FailureOr<std::string> ptx =
        translateToPTX(kernels, *::flash::findChip("sm_80"));
    return succeeded(ptx) ? *ptx : error;
  }

  MLIRContext context;
};

TEST_F(PTXTest, CallsOfTheModulesOwnFunctions) {
  std::string ptx = translate(R"(
    llvm.func @twice(%x: i32) -> i32 attributes {no_inline} {
      %y = llvm.add %x, %x : i32
      llvm.return %y : i32
    }
    llvm.func @k(%p: !llvm.ptr<1>, %x: i32) attributes {nvvm.kernel} {
      %y = llvm.call @twice(%x) : (i32) -> i32
      llvm.store %y, %p : i32, !llvm.ptr<1>
      llvm.return
    })");
  EXPECT_NE(ptx.find(".visible .entry k("), std::string::npos) << ptx;
  EXPECT_NE(ptx.find(".target sm_80"), std::string::npos) << ptx;
}

TEST_F(PTXTest, NoCallsOfWhatNobodyDefines) {
  EXPECT_EQ(translate(R"(
    llvm.func @__nv_abs(i32) -> i32
    llvm.func @k(%p: !llvm.ptr<1>, %x: i32) attributes {nvvm.kernel} {
      %y = llvm.call @__nv_abs(%x) : (i32) -> i32
      llvm.store %y, %p : i32, !llvm.ptr<1>
      llvm.return
    })"),
            "has no instruction on this target: expected no calls of functions "
            "that PTX does not define, got '__nv_abs'");
}

} // namespace
