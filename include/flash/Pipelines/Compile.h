//===- Compile.h - Attention to PTX, in process -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pipeline that flashc and flash-run share. A module is brought down stage
// by stage; every stage is a valid module that can be printed and resumed.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_PIPELINES_COMPILE_H
#define FLASH_PIPELINES_COMPILE_H

#include "flash/Runtime/Manifest.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::flash {

/// How far a module has been lowered.
enum class CompileStage { Flash, Tile, Nvvm, Llvm };

struct CompileOptions {
  /// A chip of ChipInfo.h with a lowering.
  std::string chip = "sm_80";
  /// Level of the optimisation ladder, by number or name; empty: the best for
  /// the chip.
  std::string level;
  /// Overrides of single fields of `#flash.schedule`, "key=value,...".
  std::string schedule;
};

/// Wall time of one step of a compilation.
struct CompileStep {
  std::string name;
  double milliseconds;
};

struct CompiledKernel {
  std::string ptx;
  ::flash::runtime::Manifest manifest;
};

/// Registers every dialect, extension and translation the pipeline needs.
void registerCompileDialects(DialectRegistry &registry);

/// Lowers `module`, which holds one function with one flash.attention, to
/// `until`. Refusals are diagnostics at the op or function they concern.
/// Appends what each step took to `steps`.
LogicalResult lowerTo(ModuleOp module, CompileStage until,
                      const CompileOptions &options,
                      std::vector<CompileStep> *steps = nullptr);

/// Lowers `module` all the way and describes the launch. `spec` is the
/// canonical SPEC the module was built from, empty for an own op.
FailureOr<CompiledKernel>
compileToPTX(ModuleOp module, const CompileOptions &options,
             StringRef spec = {}, std::vector<CompileStep> *steps = nullptr);

/// Checks a ladder level given by number or name. Levels without a lowering
/// are refused by name, unknown ones with the list; returns the message, or
/// nothing if the level can be compiled.
std::optional<std::string> checkLevel(StringRef level);

/// Checks the text of CompileOptions::schedule; returns what is wrong with it.
std::optional<std::string> checkSchedule(StringRef schedule);

} // namespace mlir::flash

#endif // FLASH_PIPELINES_COMPILE_H
