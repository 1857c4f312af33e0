//===- TilingInterfaceImpl.h - Tiling of attention --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_TILINGINTERFACEIMPL_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_TILINGINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;

namespace flash {

/// Lets `flash.attention` be tiled by whatever works on TilingInterface, on
/// tensors and on memrefs. Its loops are
///
///   0  B    batch entries
///   1  Hkv  key heads; a tile of them has `group` times as many query heads
///   2  Sq   queries
///   3  Dv   columns of O; refused where there is an LSE, which every tile
///           of columns would write
///   4  Sk   keys, a reduction; refused unless whole: O over a part of the
///           keys cannot be completed without the LSE of that part
///
/// A tile carries its offsets and the alignment and head count of the whole
/// problem, so it means what it meant before. Cumulative lengths and block
/// tables are not tiled.
///
/// Keys are split through PartialReductionOpInterface, in parallel
/// (PartialReductionOuterParallel), where the op has an LSE: each part computes
/// its O, in f32, and LSE, and the parts are merged with the weights
/// exp(LSE of the part - LSE). A part without a live key weighs nothing.
void registerTilingInterfaceExternalModels(DialectRegistry &registry);

} // namespace flash
} // namespace mlir

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_TILINGINTERFACEIMPL_H
