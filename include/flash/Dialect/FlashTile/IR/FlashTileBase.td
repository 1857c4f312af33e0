//===- FlashTileBase.td - The flash_tile dialect -----------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD

include "mlir/IR/OpBase.td"

def FlashTile_Dialect : Dialect {
  let name = "flash_tile";
  let cppNamespace = "::mlir::flash_tile";
  let summary = "One thread block's program over tiles";
  let description = [{
    The program of one CTA, written over tiles: register tiles are ranked
    tensors (with a `#flash_tile.layout` encoding once layouts are assigned),
    shared memory is `!flash_tile.buffer`, and everything that completes later
    is a `!flash_tile.future`. Loops are `scf`, elementwise math is `arith` and
    `math` on the tensors themselves. See docs/Rationale for what was weighed.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
  }];
}

class FlashTile_Op<string mnemonic, list<Trait> traits = []>
    : Op<FlashTile_Dialect, mnemonic, traits>;

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBASE_TD
