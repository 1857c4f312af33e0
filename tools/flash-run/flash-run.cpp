//===- flash-run.cpp - Run one attention and check it ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Options -> problem (shapes, strides, inputs) -> device -> check -> report.
//
//===----------------------------------------------------------------------===//

#include "Devices.h"
#include "Options.h"
#include "Problem.h"
#include "Report.h"

#include "flash/Pipelines/Compile.h"
#include "flash/Runtime/Npy.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"

using namespace flash::run;
using namespace flash::runtime;

namespace {

Status dumpArrays(const Problem &problem, const std::string &directory) {
  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return Error{"--dump: cannot create '" + directory +
                 "': " + error.message()};
  for (const auto &[name, array] : problem.arrays)
    if (Status status = writeNpy(directory + "/" + name + ".npy", array);
        !status)
      return Error{"--dump: " + status.error().message};
  return Success{};
}

/// What `spec` is at these sizes.
std::string describe(AttentionSpec spec, const Sizes &sizes) {
  spec.b = sizes.b;
  spec.hq = sizes.hq;
  spec.hkv = sizes.hkv;
  spec.sq = sizes.sq;
  spec.sk = sizes.sk;
  return spec.toString();
}

void check(const Problem &problem, Report &report) {
  const auto &arrays = problem.arrays;
  const StridedArray &q = arrays.at("q"), &k = arrays.at("k"),
                     &v = arrays.at("v"), &o = arrays.at("o");
  ReferenceResult reference = computeReference(problem.reference, q, k, v);
  ReferenceResult low =
      computeLowReference(problem.reference, q, k, v, {v.dtype, o.dtype});
  StridedArray lse = arrays.at("lse");
  // A kernel compiled without lse leaves nothing of it to compare.
  report.hasLse = !problem.package || problem.package->manifest.find("lse");
  if (!report.hasLse) {
    size_t next = 0;
    forEachIndex(lse, [&](int64_t index) {
      storeElement(lse.dtype, lse.bytesAt(index), reference.lse[next++]);
    });
  }
  report.check = checkAttention(o, lse, reference, low, q.dtype);
  for (const std::string &error : report.check->errors)
    report.fail(error);
}

void runProblem(Problem &problem, const Options &options, Report &report) {
  report.attention = describe(problem.spec, problem.sizes);
  std::map<std::string, StridedArray> before;
  for (const char *name : {"o", "lse"})
    before[name] = problem.arrays[name];

  Result<DeviceReport> run = options.device == Device::Cpu ? runOnCpu(problem)
                             : options.device == Device::Cuda
                                 ? runOnCuda(problem, options)
                                 : runOnEmulator(problem, options);
  if (!run)
    return report.fail(run.error().message);
  report.run = *run;
  for (const std::string &error : run->errors)
    report.fail(error);
  for (const auto &[name, array] : before)
    if (int64_t count = countPaddingWrites(array, problem.arrays[name]))
      report.fail(name + ": " + std::to_string(count) +
                  " elements of padding overwritten");
  if (!options.dump.empty())
    if (Status status = dumpArrays(problem, options.dump); !status)
      report.fail(status.error().message);
  if (options.check)
    check(problem, report);
}

Report runAll(const Options &options) {
  Report report;
  report.device = options.device == Device::Cpu    ? "cpu"
                  : options.device == Device::Cuda ? "cuda"
                                                   : "emulator";
  mlir::DialectRegistry registry;
  mlir::flash::registerCompileDialects(registry);
  mlir::MLIRContext context(registry);
  Result<Problem> problem = makeProblem(&context, options);
  if (problem)
    runProblem(*problem, options, report);
  else
    report.fail(problem.error().message);
  return report;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  bool json = false;
  Result<Options> options =
      parseOptions({argv + std::min(argc, 1), argv + argc}, json);
  if (options && options->help) {
    llvm::outs() << kHelp;
    return 0;
  }
  Report report;
  if (options)
    report = runAll(*options);
  else
    report.fail(options.error().message);
  Options shown = options ? *options : Options();
  if (json)
    printJson(report, shown, llvm::outs());
  else
    printText(report, shown, llvm::outs(), llvm::errs());
  return report.pass ? 0 : 1;
}
