//===- Passes.td - Conversion passes -----------------------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_CONVERSION_PASSES_TD
#define FLASH_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlashTileToNVVM
    : Pass<"flash-tile-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Lower a kernel's tiles to one thread's registers";
  let description = [{
    Needs: a `gpu.module` whose functions have `known_block_size`,
    `flash_tile.sizes` and `flash_tile.dims`, every tile with a layout, every
    buffer with an offset, every `convert_layout` with a register permutation.

    Leaves: gpu, nvvm, llvm, scf and arith only (math on f32 scalars included);
    the function's parameters are those of the kernel ABI: pointers, sizes as
    i32, strides as i64, then scalars.

    Refuses, with the op that cannot be lowered: a dot whose operands are not
    fragments of m16n8k16, a reduction across warps, rows that are not whole
    16-byte chunks, 16-bit elementwise arithmetic.
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::scf::SCFDialect"
  ];
}

#endif // FLASH_CONVERSION_PASSES_TD
