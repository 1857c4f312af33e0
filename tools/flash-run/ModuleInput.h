//===- ModuleInput.h - The attention of a .mlir file ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads what a module computes and how it wants to be called. Accepted is a
// module with one flash.attention, in a func.func whose arguments are, in any
// order, the op's query, key, value, output, lse (added if there is none) and
// captures. Everything else is refused at its location.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_MODULEINPUT_H
#define FLASH_TOOLS_FLASH_RUN_MODULEINPUT_H

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Runtime/AttentionSpec.h"
#include "flash/Runtime/Manifest.h"
#include "flash/Runtime/StridedArray.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace flash::run {

/// One capture of the op.
struct CaptureInput {
  /// As in the file ("%bias" is "bias"), else "capture0", ...
  std::string name;
  mlir::Type type;
  runtime::DType dtype = runtime::DType::F32;
  /// Known where the module has it as a constant: then no argument carries it.
  std::optional<::flash::runtime::ScalarArgument> constant;
};

struct ModuleInput {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  mlir::flash::AttentionOp op;
  /// Of the attributes and types; regions are apart.
  runtime::AttentionSpec spec;
  std::vector<CaptureInput> captures;
  /// Array name of each function argument.
  std::vector<std::string> arguments;
};

/// Parses and verifies `path`. On failure a diagnostic has been emitted.
mlir::FailureOr<ModuleInput> readModule(mlir::MLIRContext *context,
                                        const std::string &path);

/// Refuses an array that does not lie as the function's argument says.
mlir::LogicalResult verifyArray(mlir::func::FuncOp function, unsigned argument,
                                llvm::StringRef name,
                                const runtime::StridedArray &array);

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_MODULEINPUT_H
