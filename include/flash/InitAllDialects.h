//===- InitAllDialects.h - Dialects of Flash's tools ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_INITALLDIALECTS_H
#define FLASH_INITALLDIALECTS_H

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/Flash/Transforms/BufferizableOpInterfaceImpl.h"
#include "flash/Dialect/Flash/Transforms/TilingInterfaceImpl.h"
#include "flash/Dialect/Flash/Transforms/ValueBoundsOpInterfaceImpl.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

namespace mlir::flash {

/// Registers the dialects of Flash and the external models of its ops.
inline void registerFlashDialects(DialectRegistry &registry) {
  registry.insert<FlashDialect, flash_tile::FlashTileDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);
  registerTilingInterfaceExternalModels(registry);
  registerValueBoundsOpInterfaceExternalModels(registry);
}

/// Registers Flash's dialects, those of MLIR, their extensions and what
/// `gpu-module-to-binary` needs to serialise.
inline void registerAllDialects(DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registerAllGPUToLLVMIRTranslations(registry);
  registerFlashDialects(registry);
}

} // namespace mlir::flash

#endif // FLASH_INITALLDIALECTS_H
