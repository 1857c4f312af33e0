//===- TileToNVVM.h - Tiles to one thread's registers -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_CONVERSION_TILETONVVM_H
#define FLASH_CONVERSION_TILETONVVM_H

#include "flash/Conversion/Passes.h"

namespace mlir::flash_tile {

/// Lowers every function of `module` from tiles to gpu, nvvm, llvm, scf and
/// arith, and its signature to the kernel ABI. See --flash-tile-to-nvvm for
/// what must hold before; errors are reported at the op that is refused.
LogicalResult convertTileToNVVM(gpu::GPUModuleOp module);

} // namespace mlir::flash_tile

#endif // FLASH_CONVERSION_TILETONVVM_H
