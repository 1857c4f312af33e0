//===- BulkIssue.h - Issuing bulk and tensor copies -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Between the decoder (OpsBulk.cpp) and the engine (AsyncBulk.h): the operands
// of one lane become a checked BulkOp, or several where it is multicast.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_BULKISSUE_H
#define FLASH_LIB_EMULATOR_BULKISSUE_H

#include "Program.h"

#include <array>

namespace flash::emu {

/// An address operand: row[base] + row[offset].
struct BulkAddress {
  uint32_t base = 0;
  uint32_t offset = 0; ///< Of as many bits as the base.
  uint32_t narrow = 0; ///< 32 bits.
};

/// The operands of a bulk instruction, as it lies at Inst::extra. Members that
/// the instruction does not have are 0.
struct BulkForm {
  enum : uint32_t {
    kMulticast = 1, ///< To the CTAs of `ctaMask`.
    kByteMask = 2,  ///< `.cp_mask`.
    kPair = 4,      ///< `.cta_group::2`.
    kOwnCta = 8,    ///< To `.shared::cta`.
    kReadOnly = 16, ///< wait_group.read.
  };
  uint32_t flags = 0;
  BulkAddress to, from; ///< The tensor's side is its map.
  BulkAddress barrier;
  uint32_t size = 0;    ///< Bytes.
  uint32_t ctaMask = 0; ///< 16 bits.
  uint32_t byteMask = 0;
  uint32_t rank = 0; ///< Of a tensor copy.
  std::array<uint32_t, 5> coordinates = {};
};

// Handlers. inst.extra: a BulkForm; inst.n: BulkReduce; inst.sub: BulkType.

void runBulkLoad(Warp &warp, const Inst &inst, uint32_t mask);
void runBulkPush(Warp &warp, const Inst &inst, uint32_t mask);
void runBulkStore(Warp &warp, const Inst &inst, uint32_t mask);
void runBulkPrefetch(Warp &warp, const Inst &inst, uint32_t mask);
void runTensorLoad(Warp &warp, const Inst &inst, uint32_t mask);
void runTensorStore(Warp &warp, const Inst &inst, uint32_t mask);
void runTensorPrefetch(Warp &warp, const Inst &inst, uint32_t mask);
/// inst.imm: groups that may stay; inst.n: only their sources need be read.
void runBulkWait(Warp &warp, const Inst &inst, uint32_t mask);
void runBulkCommit(Warp &warp, const Inst &inst, uint32_t mask);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_BULKISSUE_H
