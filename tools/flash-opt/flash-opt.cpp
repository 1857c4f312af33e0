//===- flash-opt.cpp - Run passes on MLIR files -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `mlir-opt` with the dialects, passes and pipelines of Flash on top.
//
//===----------------------------------------------------------------------===//

#include "flash/InitAllDialects.h"
#include "flash/InitAllPasses.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::flash::registerAllDialects(registry);
  mlir::flash::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Flash optimizer driver\n", registry));
}
