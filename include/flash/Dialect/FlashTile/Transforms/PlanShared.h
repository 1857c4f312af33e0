//===- PlanShared.h - Swizzles and offsets of shared buffers ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_PLANSHARED_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_PLANSHARED_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {

/// On a `local_load`: no ldmatrix, whatever its layout is.
inline constexpr llvm::StringLiteral kPlainLoadsAttrName =
    "flash_tile.plain_loads";

/// `chunk ^ ((row >> shift) & (2^bits - 1))`; see `#flash_tile.swizzle`.
struct SwizzleParams {
  int64_t bits = 0;
  int64_t shift = 0;
};

/// The swizzle with which eight consecutive rows of one 16-byte column lie in
/// different banks, for rows of `rowBytes` (a positive multiple of 16). Every
/// such length has one:
///
/// The 32 banks hold 128 bytes, 8 chunks of 16. Let a row be P = 2^k * odd
/// chunks. Row r begins at chunk r * P of the banks (mod 8): rows repeat the
/// same 2^(3 - k) places, r and r + 2^(3 - k) meeting. XOR with the bits of r
/// from 3 - k upwards tells those apart, in the k low bits of the chunk, which
/// r * P leaves zero.
///
/// | row bytes | P      | bits | shift |                           |
/// |-----------|--------|------|-------|---------------------------|
/// | 80        | 5      | 0    | 3     | odd: no two rows meet     |
/// | 96        | 6      | 1    | 2     | rows r, r + 4 meet        |
/// | 64        | 4      | 2    | 1     | the 64-byte mode of TMA   |
/// | 128       | 8      | 3    | 0     | the 128-byte mode of TMA  |
/// | 256       | 16     | 3    | 0     |                           |
SwizzleParams getConflictFreeSwizzle(int64_t rowBytes);

/// Swizzles every buffer of `func`, gives each an offset, buffers that are
/// never live at the same time sharing memory, and records the total as
/// `flash_tile.shared_bytes`; see `--flash-tile-plan-shared`. Fails with an
/// error where the total exceeds `limit` bytes or, without one, what the chip
/// of the function's `flash_tile.schedule` allows one CTA.
LogicalResult planShared(FunctionOpInterface func,
                         std::optional<int64_t> limit = std::nullopt);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_PLANSHARED_H
