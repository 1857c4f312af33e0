//===- FlashTileTypes.td - Buffers, views and futures ------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILETYPES_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILETYPES_TD

include "flash/Dialect/FlashTile/IR/FlashTileAttrs.td"

class FlashTile_Type<string name, string mnem, list<Trait> traits = []>
    : TypeDef<FlashTile_Dialect, name, traits> {
  let mnemonic = mnem;
}

def FlashTile_BufferType : FlashTile_Type<"Buffer", "buffer"> {
  let summary = "multi-stage tile in shared memory";
  let description = [{
    `!flash_tile.buffer<2x64x128xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>`:
    the first extent is the number of stages, the rest one stage's row-major
    tile. The swizzle is absent until shared memory is planned.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
    OptionalParameter<"::mlir::flash_tile::SwizzleAttr">:$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Number of stages, the first extent.
    int64_t getStages() const { return getShape().front(); }
    /// Extents of one stage.
    ::llvm::ArrayRef<int64_t> getTileShape() const { return getShape().drop_front(); }
    /// Bytes of one stage.
    int64_t getStageBytes() const;
    /// Bytes of all stages.
    int64_t getBytes() const { return getStages() * getStageBytes(); }
  }];
}

def FlashTile_ViewType : FlashTile_Type<"View", "view"> {
  let summary = "one stage of a buffer";
  let description = [{
    What `flash_tile.stage` yields: `!flash_tile.view<64x128xbf16, ...>`.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
    OptionalParameter<"::mlir::flash_tile::SwizzleAttr">:$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FlashTile_FutureType : FlashTile_Type<"Future", "future"> {
  let summary = "result of an asynchronous operation, untouchable before wait";
  let description = [{
    `!flash_tile.future<T>` becomes a `T` through `flash_tile.wait` only, so no
    pass can move a use above the wait.
  }];
  let parameters = (ins "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $valueType `>`";
  let genVerifyDecl = 1;
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILETYPES_TD
