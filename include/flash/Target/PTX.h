//===- PTX.h - From a gpu.module to PTX text --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TARGET_PTX_H
#define FLASH_TARGET_PTX_H

#include "flash/Target/ChipInfo.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include <string>

namespace mlir {
class DialectRegistry;
}

namespace mlir::flash {

/// Wall time of the stages behind the LLVM dialect, in milliseconds.
struct PtxTimings {
  double translate = 0; // LLVM dialect to LLVM IR
  double optimize = 0;  // LLVM's O3 pipeline
  double codegen = 0;   // NVPTX instruction selection and printing
};

/// Registers the translations to LLVM IR that translateToPTX needs.
void registerPtxTranslations(DialectRegistry &registry);

/// Translates `module`, which holds llvm and nvvm ops only, to LLVM IR,
/// optimises it and returns the PTX of `chip`, at the lowest PTX ISA version
/// that knows the chip and the module's instructions. Shared-memory pointers are
/// 32 bits wide. Refuses calls of functions without a body, at the call; other
/// errors are reported at `module`.
FailureOr<std::string> translateToPTX(gpu::GPUModuleOp module,
                                      const ::flash::ChipInfo &chip,
                                      PtxTimings *timings = nullptr);

/// "7.0" for 70.
std::string ptxIsaVersion(const ::flash::ChipInfo &chip);

} // namespace mlir::flash

#endif // FLASH_TARGET_PTX_H
