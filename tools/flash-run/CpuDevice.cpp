//===- CpuDevice.cpp - Run the linalg reference ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include "flash/Pipelines/CpuPipeline.h"

#include <chrono>

using namespace flash::run;
using namespace flash::runtime;

Result<DeviceReport> flash::run::runOnCpu(Problem &problem) {
  llvm::SmallVector<mlir::flash::CpuArgument> arguments;
  for (const std::string &name : problem.arguments) {
    StridedArray &array = problem.arrays[name];
    mlir::flash::CpuArgument argument;
    argument.data = array.bytesAt(array.offset);
    argument.dtype = array.dtype;
    argument.shape.assign(array.shape.begin(), array.shape.end());
    argument.strides.assign(array.strides.begin(), array.strides.end());
    arguments.push_back(argument);
  }
  auto start = std::chrono::steady_clock::now();
  if (llvm::Error error =
          mlir::flash::runOnCpu(*problem.module, problem.function, arguments))
    return Error{llvm::toString(std::move(error))};
  DeviceReport report;
  report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return report;
}
