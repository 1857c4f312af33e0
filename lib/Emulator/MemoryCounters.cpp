//===- MemoryCounters.cpp - Wavefronts and sectors --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "MemoryAccess.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;

/// 32 banks of 4 bytes serve one wavefront. Accesses of up to 4 bytes go as one
/// group of 32 lanes, of 8 as two of 16, of 16 as four of 8; lanes that want
/// the same word share it.
void flash::emu::countShared(Warp &warp, const Inst &inst, uint32_t mask,
                             const uint32_t *offset, unsigned bytes,
                             bool isWrite) {
  MemoryCounts &counts = warp.memory[warp.pcOf(inst)];
  unsigned groups = bytes <= 4 ? 1 : std::min(bytes / 4, 32u);
  unsigned lanes = 32 / groups;
  unsigned words = std::max(1u, bytes / 4);
  for (unsigned g = 0; g < groups; ++g) {
    uint32_t active =
        mask >> (g * lanes) & uint32_t((uint64_t(1) << lanes) - 1);
    if (!active)
      continue;
    uint32_t seen[32][32];
    uint8_t used[32] = {};
    unsigned most = 0;
    forLanes(active, [&](unsigned i) {
      for (unsigned w = 0; w < words; ++w) {
        uint32_t word = (offset[g * lanes + i] >> 2) + w;
        unsigned bank = word & 31;
        if (std::find(seen[bank], seen[bank] + used[bank], word) !=
            seen[bank] + used[bank])
          continue;
        if (used[bank] < 32)
          seen[bank][used[bank]++] = word;
        most = std::max<unsigned>(most, used[bank]);
      }
    });
    counts.sharedWavefronts += most;
    counts.sharedWavefrontsIdeal += 1;
  }
  uint64_t total = uint64_t(std::popcount(mask)) * bytes;
  (isWrite ? counts.stored : counts.loaded)[unsigned(Space::Shared)] += total;
}

void flash::emu::countGlobal(Warp &warp, const Inst &inst, uint32_t mask,
                             const uint64_t *address, unsigned bytes,
                             bool isWrite) {
  MemoryCounts &counts = warp.memory[warp.pcOf(inst)];
  uint64_t sectors[64];
  uint64_t starts[32];
  unsigned numSectors = 0, numStarts = 0;
  forLanes(mask, [&](unsigned i) {
    starts[numStarts++] = address[i];
    for (uint64_t s = address[i] / 32; s <= (address[i] + bytes - 1) / 32; ++s)
      sectors[numSectors++] = s;
  });
  std::sort(sectors, sectors + numSectors);
  std::sort(starts, starts + numStarts);
  // Bytes that several lanes share are needed once.
  uint64_t needed = 0;
  for (unsigned i = 0; i < numStarts; ++i)
    needed += i && starts[i] - starts[i - 1] < bytes ? starts[i] - starts[i - 1]
                                                     : bytes;
  counts.globalSectors += std::unique(sectors, sectors + numSectors) - sectors;
  counts.globalSectorsIdeal += (needed + 31) / 32;
  (isWrite ? counts.stored : counts.loaded)[unsigned(Space::Global)] +=
      uint64_t(numStarts) * bytes;
}

void flash::emu::countAccess(Warp &warp, const Inst &inst,
                             const Access &access) {
  if (!warp.memory)
    return;
  if (access.sharedMask) {
    uint32_t offset[32];
    forLanes(access.sharedMask,
             [&](unsigned i) { offset[i] = uint32_t(access.address[i]); });
    countShared(warp, inst, access.sharedMask, offset, access.bytes,
                access.isWrite);
  }
  if (access.globalMask)
    countGlobal(warp, inst, access.globalMask, access.address, access.bytes,
                access.isWrite);
  uint32_t rest = access.mask & ~access.sharedMask & ~access.globalMask;
  if (rest) {
    MemoryCounts &counts = warp.memory[warp.pcOf(inst)];
    auto space = StateSpace(inst.sub & kSpaceMask);
    Space to = space == StateSpace::Param   ? Space::Param
               : space == StateSpace::Const ? Space::Const
                                            : Space::Local;
    (access.isWrite ? counts.stored : counts.loaded)[unsigned(to)] +=
        uint64_t(std::popcount(rest)) * access.bytes;
  }
}
