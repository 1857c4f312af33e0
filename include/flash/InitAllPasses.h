//===- InitAllPasses.h - Every pass that Flash's tools know -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_INITALLPASSES_H
#define FLASH_INITALLPASSES_H

#include "flash/Conversion/Passes.h"
#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "flash/Pipelines/CpuPipeline.h"

#include "mlir/InitAllPasses.h"

namespace mlir::flash {

/// Registers the passes and pipelines of Flash.
inline void registerFlashPasses() {
  registerFlashTransformsPasses();
  flash_tile::registerFlashTileTransformsPasses();
  registerCpuPipeline();
  flash_tile::registerFlashConversionPasses();
}

/// Registers Flash's passes and those of MLIR.
inline void registerAllPasses() {
  mlir::registerAllPasses();
  registerFlashPasses();
}

} // namespace mlir::flash

#endif // FLASH_INITALLPASSES_H
