//===- Program.h - Verification of whole tile programs ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_PROGRAM_H
#define FLASH_DIALECT_FLASHTILE_IR_PROGRAM_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

namespace mlir::flash_tile {

/// Checks what no single op can know about the program below `root` (one
/// kernel): that barriers have signallers, waiters and as many arrivals as they
/// declare, that phases alternate, that nobody reads a tile before it is there
/// or overwrites it before it was read (constraints P1 to P14 of
/// the dialect's description). The first violation is reported, where it is.
///
/// `flash_tile.warp_groups` calls this as part of its own verification; for a
/// program of one instruction stream `--flash-tile-verify` does.
///
/// The check is conservative: it follows barriers op by op and wants the wait
/// that protects an access to dominate it in the same role. A program that is
/// synchronised through a third role is refused.
LogicalResult verifyProgram(Operation *root);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_IR_PROGRAM_H
