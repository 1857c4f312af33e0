//===- FlashToTile.h - Attention to a tile program --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_CONVERSION_FLASHTOTILE_H
#define FLASH_CONVERSION_FLASHTOTILE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::flash {

/// Name of the gpu.module that `--flash-to-tile` puts kernels into.
inline constexpr llvm::StringLiteral kKernelModule = "attention_kernels";

/// Builds the kernel of `function`, which holds one flash.attention, where
/// `builder` stands (inside a gpu.module), and returns it; `function` is not
/// changed. Fails with a diagnostic on everything `--flash-to-tile` refuses.
FailureOr<gpu::GPUFuncOp> buildTileKernel(OpBuilder &builder,
                                          func::FuncOp function);

} // namespace mlir::flash

#endif // FLASH_CONVERSION_FLASHTOTILE_H
