//===- Problem.h - What flash-run runs --------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_PROBLEM_H
#define FLASH_TOOLS_FLASH_RUN_PROBLEM_H

#include "Options.h"

#include "flash/Runtime/Package.h"
#include "flash/Runtime/Reference.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace flash::run {

/// One attention with its operands, ready for a device.
struct Problem {
  /// Without what regions add.
  runtime::AttentionSpec spec;
  runtime::Sizes sizes;
  /// What the result is compared with.
  runtime::ReferenceProblem reference;
  /// "q", "k", "v", "o", "lse", and captures by name.
  std::map<std::string, runtime::StridedArray> arrays;
  /// Names of the captures, in the op's order.
  std::vector<std::string> captures;

  /// A SPEC or .mlir input: the module, its function and the array that each
  /// of the function's arguments is. The op always computes lse.
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string function;
  std::vector<std::string> arguments;

  /// The kernels: of a package or a .ptx input, or compiled from the module.
  std::optional<runtime::Package> package;
};

/// Makes the problem that `options` ask for: parses, chooses sizes, fills the
/// operands. Parser and verifier errors are returned as
/// "file:line:column: error: ...".
runtime::Result<Problem> makeProblem(mlir::MLIRContext *context,
                                     const Options &options);

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_PROBLEM_H
