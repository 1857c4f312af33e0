//===- PermuteRegisters.h - Layout conversions in registers -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include <optional>

namespace mlir::flash_tile {

/// The permutation p for which register p[r] under `from` holds the same
/// element as register r under `to`, in every lane of every warp; nullopt if a
/// thread would need another thread's registers. Proved by evaluating both
/// layouts at every (register, lane, warp).
std::optional<SmallVector<int64_t>> findRegisterPermutation(const Layout &from,
                                                            const Layout &to);

/// Decides every `convert_layout` of a kernel: the identity or a renaming of
/// registers where one is proved, else a trip through shared memory (16-bit
/// tiles). Says which in a remark.
LogicalResult permuteRegisters(gpu::GPUFuncOp func);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PERMUTEREGISTERS_H
