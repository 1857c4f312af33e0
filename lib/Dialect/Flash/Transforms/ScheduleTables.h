//===- ScheduleTables.h - Tiles, warps and stages per chip ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_DIALECT_FLASH_TRANSFORMS_SCHEDULETABLES_H
#define FLASH_LIB_DIALECT_FLASH_TRANSFORMS_SCHEDULETABLES_H

#include <cstdint>
#include <string_view>

namespace mlir::flash {

/// One choice: for the chip named, or any where the name is empty, and for head
/// dims d and dv up to `maxDim`. Sizes are those of `#flash.schedule`; `tileV`
/// is the most columns of V that a CTA takes, 0 for all.
struct ScheduleEntry {
  std::string_view chip;
  int64_t maxDim;
  int64_t tileQ, tileK, tileV, warps, stagesK, stagesV;
  bool queryInRegisters;
};

/// Largest head dim of the tables.
inline constexpr int64_t kMaxHeadDim = 256;

/// The choice of a ladder level in [0, kTunedLevel] for `chip`, the larger of
/// the two head dims, `dim`, and the bytes of an element of Q, K and V; null
/// where the head dim exceeds kMaxHeadDim. Below level 9 stages are the most that
/// the level uses, not what fits.
const ScheduleEntry *findScheduleEntry(int64_t level, std::string_view chip,
                                       int64_t dim, int64_t elementBytes);

} // namespace mlir::flash

#endif // FLASH_LIB_DIALECT_FLASH_TRANSFORMS_SCHEDULETABLES_H
