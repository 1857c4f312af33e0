//===- KernelManifest.h - Launch description of a tile program --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_PIPELINES_KERNELMANIFEST_H
#define FLASH_LIB_PIPELINES_KERNELMANIFEST_H

#include "flash/Runtime/Manifest.h"
#include "flash/Target/ChipInfo.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::flash {

/// Describes how to launch `function`, a planned attention kernel (roles,
/// sizes, grid, schedule and shared memory as attributes; memref arguments
/// still in place), in the order of the kernel ABI. `before` are kernels of the
/// same signature that are launched first, in order.
FailureOr<::flash::runtime::Manifest>
describeKernel(gpu::GPUFuncOp function, ArrayRef<gpu::GPUFuncOp> before,
               const ::flash::ChipInfo &chip, StringRef spec);

} // namespace mlir::flash

#endif // FLASH_LIB_PIPELINES_KERNELMANIFEST_H
