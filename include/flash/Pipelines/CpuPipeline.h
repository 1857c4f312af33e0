//===- CpuPipeline.h - Attention on the host through LLVM -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_PIPELINES_CPUPIPELINE_H
#define FLASH_PIPELINES_CPUPIPELINE_H

#include "flash/Runtime/DType.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace mlir {
class OpPassManager;

namespace flash {

/// One argument of a function run on the host: a strided array, or, with no
/// dimension, a scalar.
struct CpuArgument {
  /// The first element ([0, 0, ...]), or the scalar. Not owned.
  void *data = nullptr;
  ::flash::runtime::DType dtype = ::flash::runtime::DType::F32;
  /// Sizes and strides of each dimension, in elements; strides may be 0 or
  /// negative.
  SmallVector<int64_t, 4> shape;
  SmallVector<int64_t, 4> strides;
};

/// Appends the passes that lower the linalg reference of attention to the llvm
/// dialect, for the host: `--flash-to-cpu`. Needs a module of functions and of
/// what `--flash-decompose` takes; leaves llvm ops only.
void buildCpuPipeline(OpPassManager &manager);

/// Registers `--flash-to-cpu`.
void registerCpuPipeline();

/// Runs `function` of `module` on the host, by the reference decomposition.
///
/// `arguments` are those of the function, in order; each must have the rank,
/// the static sizes and the element type of the function's, f16, bf16 and f32
/// storage (and integers) being supported. A function on tensors is given the
/// form of `--flash-bufferize-boundary`, so a result lands in the array of its
/// destination. `module` is not changed.
///
/// Fails, naming the argument or repeating the first diagnostic with its
/// location, if an argument does not fit, the module cannot be lowered, or it
/// cannot be compiled.
llvm::Error runOnCpu(ModuleOp module, StringRef function,
                     ArrayRef<CpuArgument> arguments);

} // namespace flash
} // namespace mlir

#endif // FLASH_PIPELINES_CPUPIPELINE_H
