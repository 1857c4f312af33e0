//===- CompileProblem.cpp - The kernel of a problem's module --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include "DiagnosticCollector.h"

#include "flash/Pipelines/Compile.h"

using namespace flash::run;
using namespace flash::runtime;

Status flash::run::compileProblem(Problem &problem, const Options &options,
                                  const std::string &chip) {
  if (problem.package)
    return Success{};
  DiagnosticCollector diagnostics(problem.module->getContext());
  mlir::flash::CompileOptions compileOptions;
  compileOptions.chip = chip;
  compileOptions.level = options.level;
  compileOptions.schedule = options.schedule;
  bool hasRegions = problem.reference.score || problem.reference.mask;
  mlir::FailureOr<mlir::flash::CompiledKernel> kernel =
      mlir::flash::compileToPTX(*problem.module, compileOptions,
                                hasRegions ? "" : problem.spec.toString());
  if (failed(kernel))
    return diagnostics.error();
  problem.package =
      Package{std::move(kernel->manifest), std::move(kernel->ptx), ""};
  return Success{};
}
