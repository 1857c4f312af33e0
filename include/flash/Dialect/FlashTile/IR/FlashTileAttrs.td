//===- FlashTileAttrs.td - Layouts and swizzles ------------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEATTRS_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEATTRS_TD

include "flash/Dialect/FlashTile/IR/FlashTileBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/TensorEncoding.td"

class FlashTile_Attr<string name, string mnem, list<Trait> traits = []>
    : AttrDef<FlashTile_Dialect, name, traits> {
  let mnemonic = mnem;
}

def FlashTile_LayoutAttr : FlashTile_Attr<"Layout", "layout", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "which thread and register holds which element of a tile";
  let description = [{
    Maps (register, lane, warp) to the coordinates of one element. The *atom* is
    linear over GF(2): bit i of the register, lane or warp number, when set,
    XORs the i-th basis vector into the coordinates. `repeat` then copies the
    atom any number of times (not only powers of two) along a stride vector;
    each repetition adds registers, the first entry varying fastest:

        register = atomRegister + 2^R * (d0 + n0 * (d1 + n1 * ...))
        coord    = XOR(bases of set bits) + d0 * stride0 + d1 * stride1 + ...

    A zero basis vector means that the element is replicated over that bit.
    `repeat` entries are `[count, stride...]`. `warp_repeat` does the same for
    warps when their number is no power of two.

    The m16n8 accumulator of `mma.sync` over a 16 x 64 tile, one warp:

    ```mlir
    #acc = #flash_tile.layout<register = [[0, 1], [8, 0]],
                              lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]],
                              repeat = [[8, 0, 8]]>
    ```

    Constraints: T1 (form), T2 (a tile's layout holds every element of it;
    elements it reaches outside the tile are held by nobody and skipped).
  }];
  // All vectors flattened: `rank` numbers per basis, `1 + rank` per repeat.
  let parameters = (ins
    "int64_t":$rank,
    ArrayRefParameter<"int64_t">:$registerBases,
    ArrayRefParameter<"int64_t">:$laneBases,
    ArrayRefParameter<"int64_t">:$warpBases,
    ArrayRefParameter<"int64_t">:$repeats,
    ArrayRefParameter<"int64_t">:$warpRepeats
  );
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def FlashTile_SwizzleAttr : FlashTile_Attr<"Swizzle", "swizzle"> {
  let summary = "XOR swizzle of the 16-byte chunks of a shared-memory row";
  let description = [{
    Chunk `c` of row `r` is stored at chunk `c ^ ((r >> shift) & (2^bits - 1))`
    of the same row.

    With `panel` (bytes) a tile is stored as panels of that width, one after
    the other, each with all rows of the tile, and the formula holds within a
    panel. That is what one TMA box leaves and what one wgmma descriptor
    addresses: `bits = 3, shift = 0, panel = 128`, `bits = 2, shift = 1,
    panel = 64` and `bits = 1, shift = 2, panel = 32` are the 128-, 64- and
    32-byte modes of the PTX ISA ("Shared memory swizzling modes"), which XOR
    address bits [4, 4 + bits) with bits [7, 7 + bits). Without `panel` (0) a
    row is stored whole.

    Constraint T3: bits and shift from 0 to 3; the panel a multiple of the
    `16 * 2^bits` bytes that are permuted.
  }];
  let parameters = (ins
    "int64_t":$bits, "int64_t":$shift,
    DefaultValuedParameter<"int64_t", "0">:$panel);
  let builders = [
    AttrBuilder<(ins "int64_t":$bits, "int64_t":$shift), [{
      return $_get($_ctxt, bits, shift, /*panel=*/0);
    }]>
  ];
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def FlashTile_ReduceKind : I32EnumAttr<"ReduceKind", "reduction over one axis",
    [I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"max", 1>]> {
  let cppNamespace = "::mlir::flash_tile";
}

def FlashTile_DotUnit : I32EnumAttr<"DotUnit", "units that compute a product",
    [I32EnumAttrCase<"fma", 0>, I32EnumAttrCase<"mma", 1>]> {
  let cppNamespace = "::mlir::flash_tile";
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEATTRS_TD
