//===- WarpgroupMatrix.h - wgmma between issue and wait ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A wgmma belongs to the four warps of a warpgroup: it can start when all have
// issued it, and no wait_group gets past it before. Each warp multiplies 16
// rows of A; B is read once for all. In lazy mode the operands are sampled when
// the first warp waits; the accumulators' registers hold NaNs until their own
// warp waits. (A in registers is copied at issue: whoever writes those
// registers too early is found by their lock.)
//
// Registers of an operation in flight are locked: reading or writing
// accumulators, or writing A, is an error. A plain `mov` is none, since ptxas
// waits or renames there; the copy is locked too and receives the value when
// the original does. What wgmma uses must not have been written since the last
// wgmma.fence, except by another wgmma of the same shape (PTX ISA,
// "wgmma.fence"); moves carry the time of writing along.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_WARPGROUPMATRIX_H
#define FLASH_LIB_EMULATOR_WARPGROUPMATRIX_H

#include "SharedMatrix.h"
#include "WarpgroupTile.h"

namespace flash::emu {

struct Cta;
struct Inst;
struct Random;
struct Warp;

/// inst.imm of a wgmma.mma_async. ops[0] and ops[1] are the descriptors of A
/// and B, ops[2] the predicate scale-d with inst.n (0 or 1) its negation. The
/// accumulators are what the instruction defines; its uses are the accumulators
/// again (Meta::optionalUses of them, unless scale-d is never true), then A's
/// registers.
struct WarpgroupForm {
  uint8_t tiles; ///< n / 8
  MmaInput a, b;
  uint8_t bits; ///< Of an element.
  bool integer : 1, aSigned : 1, bSigned : 1, saturate : 1, halfResult : 1;
  bool aInRegisters : 1, aMnMajor : 1, bMnMajor : 1;
  bool aNegated : 1, bNegated : 1;

  unsigned n() const { return tiles * 8u; }
  WarpgroupTypes types() const;
  bool sameAccumulators(const WarpgroupForm &other) const {
    return tiles == other.tiles && integer == other.integer &&
           halfResult == other.halfResult;
  }
};
static_assert(sizeof(WarpgroupForm) <= 8);

/// Nothing is in flight and no wgmma.fence has been executed: a CTA starts.
void resetWarpgroups(Cta &cta);
/// Handlers of the instructions; the masks hold all live lanes.
void issueWarpgroupMatrix(Warp &warp, const Inst &inst, uint32_t mask);
void fenceWarpgroup(Warp &warp, const Inst &inst, uint32_t mask);
void commitWarpgroup(Warp &warp, const Inst &inst, uint32_t mask);
/// Blocks (see Kind::Wait) while warps of the warpgroup have not issued what
/// is waited for.
void waitForWarpgroup(Warp &warp, const Inst &inst, uint32_t mask);

/// Another instruction is about to execute that touches registers which some
/// wgmma uses (kWarpgroup).
void trackWarpgroup(Warp &warp, const Inst &inst, uint32_t mask);
/// Random mode: starts some of what is in flight.
void stepWarpgroups(Cta &cta, Random &random);
/// All lanes of `warp` have ended.
void leaveWarpgroup(Warp &warp);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_WARPGROUPMATRIX_H
