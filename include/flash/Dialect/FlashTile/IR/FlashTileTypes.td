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

    Constraint T4: at least one stage; tiles of rank 1 or 2 whose elements are
    whole bytes; rows a multiple of what the swizzle permutes, and of a panel.
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
    What `flash_tile.stage` yields: `!flash_tile.view<64x128xbf16, ...>`. The
    shape is the one that readers see; `transposed` says that memory holds its
    transpose (`flash_tile.transpose`), to which the swizzle refers.
    Constraint T4, on the shape as stored.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType,
    OptionalParameter<"::mlir::flash_tile::SwizzleAttr">:$swizzle,
    DefaultValuedParameter<"bool", "false">:$transposed);
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape,
                     "::mlir::Type":$elementType,
                     "::mlir::flash_tile::SwizzleAttr":$swizzle), [{
      return $_get($_ctxt, shape, elementType, swizzle, /*transposed=*/false);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FlashTile_GlobalTileType : FlashTile_Type<"GlobalTile", "global_tile"> {
  let summary = "tile that stays in global memory";
  let description = [{
    What `flash_tile.global_tile` yields: `!flash_tile.global_tile<16x128xbf16>`.
    Constraint T48: rank 2, extents of 1 to 65536, elements of whole bytes.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FlashTile_FutureType : FlashTile_Type<"Future", "future"> {
  let summary = "result of an asynchronous operation, untouchable before wait";
  let description = [{
    `!flash_tile.future<T>` becomes a `T` through `flash_tile.wait` only, so no
    pass can move a use above the wait. The future of a copy or store holds the
    view that it fills or reads, the one of a product or a TMEM load the tile.
    Constraint T5: `T` is a register tile or a view.
  }];
  let parameters = (ins "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $valueType `>`";
  let genVerifyDecl = 1;
}

def FlashTile_BarrierType : FlashTile_Type<"Barrier", "barrier"> {
  let summary = "ring of mbarriers in shared memory";
  let description = [{
    `!flash_tile.barrier<2>`: two mbarriers (PTX ISA, "mbarrier"), indexed as
    the stages of the buffer that they guard. A phase of one completes when the
    declared number of arrivals has come and all expected bytes have landed.
    Constraint T20: 1 to 64 stages.
  }];
  let parameters = (ins "int64_t":$stages);
  let assemblyFormat = "`<` $stages `>`";
  let genVerifyDecl = 1;
}

def FlashTile_TensorMapType : FlashTile_Type<"TensorMap", "tensor_map"> {
  let summary = "description of a global array that TMA copies boxes of";
  let description = [{
    `!flash_tile.tensor_map<1x1x128x64xbf16, #flash_tile.swizzle<bits = 3,
    shift = 0, panel = 128>>`: the extents of one box, the axes of the memref
    in order, and how a box is laid out in shared memory. The host encodes it
    (`cuTensorMapEncodeTiled`); the manifest says from what.

    Constraint T26: 1 to 5 axes, box extents 1 to 256, a box row a multiple of
    16 bytes and no wider than the swizzle's span; the swizzle, if any, one of
    the three TMA modes.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$box, "::mlir::Type":$elementType,
    OptionalParameter<"::mlir::flash_tile::SwizzleAttr">:$swizzle);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FlashTile_TmemType : FlashTile_Type<"Tmem", "tmem"> {
  let summary = "tile in tensor memory";
  let description = [{
    `!flash_tile.tmem<128x64xf32>`: 128 lanes (one row each) by 64 elements
    along the columns. A column is 32 bits wide, so 16-bit elements take half
    as many. Constraint T40: 128 lanes, whole columns, at most 512 of them.
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// 32-bit columns that the tile takes.
    int64_t getColumns() const;
  }];
}

/// A register tile: static extents, its layout the encoding.
def FlashTile_Tile : StaticShapeTensorOf<[AnyFloat, AnySignlessInteger]>;
/// An operand of a dot: a register tile, a shared-memory view or a tile that
/// stays in global memory.
def FlashTile_DotOperand
    : AnyTypeOf<[FlashTile_Tile, FlashTile_ViewType, FlashTile_GlobalTileType]>;

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILETYPES_TD
