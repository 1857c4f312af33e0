//===- ScheduleTables.cpp - Tiles, warps and stages per chip --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first entry of a table that matches is taken.
//
//===----------------------------------------------------------------------===//

#include "ScheduleTables.h"

#include "llvm/ADT/ArrayRef.h"

using namespace mlir;
using namespace mlir::flash;

/// Level 9. Found by compiling every candidate for causal and windowed masks at
/// dynamic sizes and none at static ones, and keeping what ptxas 13.0 assembles
/// with no spill; among those, in this order:
/// most query rows per warp (K and V are read from shared memory once per warp:
/// 32 rows read half the bytes per FLOP of 16), at least eight warps per SM
/// (two CTAs of four, or one of eight), most keys per iteration (fewer barriers
/// and rescalings). All stages are 1: two CTAs per SM hide a copy behind each
/// other's arithmetic, and two stages would leave room for one.
///
/// A thread holds tileQ * dv / (32 * warps) f32 of the accumulator and
/// tileQ * tileK / (32 * warps) of the scores; registers and CTAs per SM are
/// those of the causal kernel at dynamic sizes.
constexpr ScheduleEntry kTuned[] = {
    // 64 + 64; 231 registers, 2 CTAs. 80 keys fit as well, but do not divide
    // the sequence lengths people use.
    {"", 64, 128, 64, 0, 4, 1, 1, false},
    // 80 + 64; 239 registers, 2 CTAs.
    {"", 80, 128, 64, 0, 4, 1, 1, false},
    // 96 + 64 spills 16 to 48 bytes but on sm_90; 96 + 48: 243 registers, two.
    {"sm_90", 96, 128, 64, 0, 4, 1, 1, false},
    {"", 96, 128, 48, 0, 4, 1, 1, false},
    // 128 + 32; 255 registers, 2 CTAs. 48 keys spill 44 to 140 bytes, 64 keys
    // 76 to 168. The others without a spill, 64 x 64 / 4 warps and 128 x 64 / 8
    // warps, have 16 rows per warp.
    {"", 128, 128, 32, 0, 4, 1, 1, false},
    // From here on 32 rows per warp do not fit. 96 + 32; 229 registers, 72 KiB:
    // 2 CTAs where an SM has 164 KiB or more, else eight warps in one.
    {"sm_86", 192, 128, 64, 0, 8, 1, 1, false},
    {"sm_89", 192, 128, 64, 0, 8, 1, 1, false},
    {"", 192, 64, 64, 0, 4, 1, 1, false},
    // 112 + 32; 245 registers, 84 to 112 KiB.
    {"sm_80", 224, 128, 64, 0, 8, 1, 1, false},
    // 128 + 16 to 128 + 32; 237 to 253 registers, 80 to 96 KiB.
    {"sm_80", 256, 64, 48, 0, 4, 1, 1, false},
    {"sm_86", 256, 128, 32, 0, 8, 1, 1, false},
    {"sm_89", 256, 128, 32, 0, 8, 1, 1, false},
    {"", 256, 64, 64, 0, 4, 1, 1, false},
};

/// Level 9 of tf32, found like that of 16 bits. Rows are twice as long, so that
/// from d = 128 on an SM of 100 KiB holds one CTA.
constexpr ScheduleEntry kTuned32[] = {
    // 246 registers.
    {"", 64, 128, 64, 0, 4, 1, 1, false},
    // 225 registers.
    {"", 96, 128, 32, 0, 4, 1, 1, false},
    // 242 registers at most; 32 keys spill 8 to 32 bytes on sm_80, and fit with
    // 255 registers and 96 KiB elsewhere.
    {"sm_80", 128, 128, 16, 0, 4, 1, 1, false},
    {"", 128, 128, 32, 0, 4, 1, 1, false},
    // 199 registers, 96 KiB.
    {"", 192, 64, 32, 0, 4, 1, 1, false},
    // 238 registers, 128 KiB; where there are 99, half as many rows: 232, 96
    // KiB.
    {"sm_80", 256, 64, 32, 0, 4, 1, 1, false},
    {"sm_90", 256, 64, 32, 0, 4, 1, 1, false},
    {"", 256, 32, 32, 0, 2, 1, 1, false},
};

/// Level 9 of 8-bit types, found likewise; tiles of keys are whole
/// products, 32. ptxas takes more registers for the same products on sm_90:
/// what is best on sm_89 spills up to 352 bytes there, and at d = 256 only
/// slices of V do not.
constexpr ScheduleEntry kTuned8[] = {
    // 177 registers; 64 keys spill 4 bytes at static sizes.
    {"sm_90", 64, 128, 32, 0, 4, 1, 1, false},
    // 142 to 199 registers.
    {"sm_90", 128, 64, 64, 0, 4, 1, 1, false},
    // 192 to 211 registers.
    {"sm_90", 192, 64, 64, 0, 4, 1, 1, false},
    // 184 to 200 registers.
    {"sm_90", 256, 64, 64, 128, 4, 1, 1, false},
    // 232 registers.
    {"", 64, 128, 64, 0, 4, 1, 1, false},
    // 248 registers, 255 with a window.
    {"", 96, 128, 64, 0, 4, 1, 1, false},
    // 255 registers.
    {"", 128, 128, 32, 0, 4, 1, 1, false},
    // 209 registers.
    {"", 192, 64, 64, 0, 4, 1, 1, false},
    // 246 registers.
    {"", 256, 64, 64, 0, 4, 1, 1, false},
};

/// Levels 5 to 8: 16 rows per warp, two stages of K and V. One table, so that
/// they differ in their steps alone. Found like level 9's, with the further
/// wish that levels 5 and 6 (S in f32 and P in shared memory besides) have two
/// CTAs on an SM of 164 KiB: 64 keys at d = 128 would take 105 KiB there.
constexpr ScheduleEntry kTensorCores[] = {
    // 64 keys spill 8 bytes at level 8 and leave room for one CTA at levels 5
    // and 6, at 100 KiB per SM.
    {"sm_86", 64, 64, 32, 0, 4, 2, 2, false},
    {"sm_89", 64, 64, 32, 0, 4, 2, 2, false},
    // 128 to 160 registers; 2 CTAs at levels 5 and 6, 3 or 4 at 7 and 8.
    {"", 64, 64, 64, 0, 4, 2, 2, false},
    // 160 to 168 registers; 2 CTAs at levels 5 and 6, 3 at 7 and 8.
    {"", 128, 64, 32, 0, 4, 2, 2, false},
    // Slices of the output, as the study has them: 139 to 168 registers instead
    // of 218 to 255, and at d = 256 two stages of both operands in the 99 KiB
    // of sm_86 and sm_89 at levels 5 and 6.
    {"", 192, 64, 32, 96, 4, 2, 2, false},
    {"", 256, 64, 32, 128, 4, 2, 2, false},
};

/// Levels 1 to 4: 16 rows per warp, of which a thread has 4, and where the
/// output is wider 8. A thread of d = 128 holds 64 f32 of the output, 16 or 32
/// of the scores and 32 of Q or P at a time. ptxas 13.0 assembles all of them
/// for sm_80 to sm_90 with no spill, causal at dynamic sizes; for sm_80 level 4
/// spills 8 to 16 bytes with 32 keys at d = 40 and 128, and with 64 at d = 96;
/// 8 bytes at d = 64 where sizes are static and there is no mask.
constexpr ScheduleEntry kFma[] = {
    {"sm_80", 80, 64, 64, 0, 4, 2, 2, false},
    {"", 96, 64, 32, 0, 4, 2, 2, false},
    // Two stages of V as well would leave room for one CTA on an SM: modelled
    // 12 % slower at 4096 x 4096 than two CTAs with two stages of K.
    {"sm_80", 128, 64, 64, 0, 4, 2, 1, false},
    {"", 128, 64, 32, 0, 4, 2, 2, false},
    {"", 256, 32, 32, 128, 4, 2, 2, false},
};

/// Level 0: a thread per row, the warps a slice of the output's columns each,
/// an even number. The product P V is unrolled: 16 keys by 64 columns at most;
/// 196 registers at d = 256, no spill.
constexpr ScheduleEntry kNaive[] = {
    {"", 256, 32, 16, 0, 4, 1, 1, false},
};

static llvm::ArrayRef<ScheduleEntry> getTable(int64_t level,
                                              int64_t elementBytes) {
  if (level >= 9 && elementBytes == 4)
    return kTuned32;
  if (level >= 9 && elementBytes == 1)
    return kTuned8;
  if (level >= 9)
    return kTuned;
  if (level == 0)
    return kNaive;
  if (level < 5)
    return kFma;
  return kTensorCores;
}

const ScheduleEntry *mlir::flash::findScheduleEntry(int64_t level,
                                                    std::string_view chip,
                                                    int64_t dim,
                                                    int64_t elementBytes) {
  for (const ScheduleEntry &entry : getTable(level, elementBytes))
    if ((entry.chip.empty() || entry.chip == chip) && dim <= entry.maxDim)
      return &entry;
  return nullptr;
}
