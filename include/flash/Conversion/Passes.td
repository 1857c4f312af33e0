//===- Passes.td - Conversion passes -----------------------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_CONVERSION_PASSES_TD
#define FLASH_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def FlashToTile : Pass<"flash-to-tile", "::mlir::ModuleOp"> {
  let summary = "Lower attention to one thread block's program over tiles";
  let description = [{
    Replaces every function that holds a `flash.attention` on memrefs by a
    `gpu.func` of the same name in the module `@attention_kernels`: the program
    of one CTA, which owns `tile_q` rows of one head. Its arguments come in ABI
    order (q, k, v, o, lse where the op has one, scale, captures), whatever the
    function's order was, each with its `flash_tile.role`; memrefs also name
    their sizes in `flash_tile.dims`. The kernel carries

    - `known_block_size`, 32 threads per warp of the schedule;
    - `flash_tile.sizes`, the order of the size parameters of the ABI;
    - `flash_tile.grid`, expressions of those sizes;
    - `flash_tile.scale`, the value that `scale` has unless the caller wants
      another, and `flash_tile.group`, query heads per key head;
    - `flash_tile.schedule`, the op's schedule.

    The body is synchronous and knows no layouts: tiles of Q, K and V are
    loaded, keys from the last live tile to the first, and the online softmax is
    arith and math on tensors. The tiles that the loop visits, in one loop also
    where they are several ranges, and the bands of tiles that run without any
    mask, come from the mask analysis; the mask region is
    inlined in the other branch of an `scf.if` on `flash_tile.in_range`, and the
    score region on every tile. Comparisons that are affine in q and k take one
    scalar base and 32-bit tile-relative coordinates; other integer arithmetic
    is done in 64 bits per element. With a positive scale and no score region,
    scale and log2(e) are folded into one factor of the exponent; a score region
    that is proved to multiply by a positive constant is part of that factor.

    Reads of captured arrays become `flash_tile.lookup` and
    `flash_tile.gather_elements`, which touch only what exists; `scf.if` becomes
    a select. Captured memrefs are arguments behind the scale, named by the
    `flash.name` of the function's argument where it has one.

    A mask that grows with q starts its last rows first.

    Where the mask is not all affine, a second kernel, `NAME_block_map`, with the
    same arguments and `flash_tile.before = "NAME"`, comes in front of the first:
    it evaluates the mask on every tile that the affine part leaves and writes
    the numbers of the live ones into the workspace, an argument that both have
    then, of `flash_tile.workspace_bytes` bytes (an expression). A remark says
    so.

    Needs: one `flash.attention` per function, on memref arguments, its
    modifiers expanded (`--flash-expand-modifiers`), its schedule set
    (`--flash-select-schedule`). Leaves: a kernel for
    `--flash-tile-stage-buffers`; functions without attention as they are.
    Remarks on what the mask analysis left out. Refuses, with an error: cumulative
    lengths, block tables and sinks ("not yet lowered"); f32 inputs with a product
    on tensor cores; values of another element type than the query; outputs of a
    type that is neither the input's nor f32 (of 8-bit inputs f16, bf16 or f32);
    head dims above 256 or no multiple of 8, of 8-bit types of 16; ops of regions
    that the target has no instructions for; operands that are no function
    arguments, except scalars computed from them; functions with results.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::flash_tile::FlashTileDialect"
  ];
}

def FlashTileToNVVM
    : Pass<"flash-tile-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Lower a kernel's tiles to one thread's registers";
  let description = [{
    Needs: a `gpu.module` whose functions have `known_block_size`,
    `flash_tile.sizes` and `flash_tile.dims`, every tile with a layout, every
    buffer with an offset, every `convert_layout` with a register permutation.

    Leaves: gpu, nvvm, llvm, scf and arith only (math on f32 scalars included);
    the function's parameters are those of the kernel ABI: pointers, sizes as
    i32, strides as i64, then scalars. A kernel of which shared memory lets an SM
    hold few CTAs gets their number as `nvvm.minctasm`.

    Refuses, with the op that cannot be lowered: a dot whose operands are neither
    fragments of an mma.sync (m16n8k16 of 16 bits, m16n8k8 of tf32, m16n8k32 of 8)
    nor layouts of FMA products, a reduction across warps, rows that are not whole
    16-byte chunks, 16-bit elementwise arithmetic, layouts that leave a 32-bit
    register partly filled.
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def FlashExpandMath : Pass<"flash-expand-math"> {
  let summary = "Expand scalar math to NVPTX's approximate instructions";
  let description = [{
    Needs: math on f32 scalars (run after `--flash-tile-to-nvvm`). Leaves: no
    math op, no float division, maximum or minimum; ex2, lg2, rcp, rsqrt, sqrt, sin and cos
    `.approx.ftz`, ex2 and lg2 `.approx`, `div.full`, and f32 and integer
    arithmetic, so nothing calls libdevice.

    Errors are relative unless said to be absolute; those of the instructions
    are from the PTX ISA, "Floating Point Instructions", under their names.

    | op | becomes | error |
    |---|---|---|
    | exp2, log2 | ex2, lg2 | 2 ulp of the instruction |
    | sqrt | sqrt.approx | 2^-23 |
    | rsqrt | rsqrt.approx | 2^-22.9 |
    | sin, cos | sin.approx, cos.approx of x modulo 2 pi, for every finite x | absolute 2^-19.9: 2^-20.5 of the instruction, which is right near a turn only, and 2^-21.7 of the reduction |
    | exp, log, log10 | the same with one multiplication | |x| 2^-24 relative for exp |
    | tanh | (1 - e) / (1 + e), e = 2^(-2 |x| log2 e); a series below 1/8 | 2^-22 |
    | expm1, log1p | series near zero, else through exp2, log2 | 2^-20 |
    | x / constant | a multiplication | one rounding |
    | x / y | div.full | 2 ulp |
    | maxnumf, minnumf, maximumf, minimumf | max, min, max.NaN, min.NaN | none |
    | powf, a constant integer exponent of magnitude n up to 16 | products; their inverse where it is negative | n 2^-24, of an inverse 2 ulp more |
    | powf, else | 2^(y log2 abs(x)); signs, zeros, infinities and NaN as of C's pow | abs(y log2 x) 2^-22, and abs(y) 2^-22 for x from 1/2 to 2 |
    | absi | max(x, -x) | none |

    Refuses, by name: any other math op, floats other than f32, and arith.remf:
    an exact remainder is a loop, for the quotient of two floats may have more
    bits than a float.
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect"
  ];
}

#endif // FLASH_CONVERSION_PASSES_TD
