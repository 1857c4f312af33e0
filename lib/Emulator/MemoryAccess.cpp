//===- MemoryAccess.cpp - Checked accesses of a warp ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"
#include "Cluster.h"
#include "Lanes.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace flash::emu;

namespace {

std::string_view spaceText(StateSpace space) {
  switch (space) {
  case StateSpace::Shared:
    return "shared";
  case StateSpace::Local:
    return "local";
  case StateSpace::Param:
    return "parameter";
  case StateSpace::Const:
    return "constant";
  default:
    return "global";
  }
}

/// Reports the first lane whose address is not a multiple of the access size.
bool misaligned(Warp &warp, const Inst &inst, const Access &access,
                uint32_t lanes) {
  uint32_t bad = 0;
  forLanes(lanes, [&](unsigned i) {
    bad |= uint32_t((access.address[i] & (access.bytes - 1)) != 0) << i;
  });
  unsigned lane = std::countr_zero(bad);
  char text[160];
  std::snprintf(text, sizeof(text),
                "lane %u %s %u bytes at 0x%llx: expected a multiple of %u",
                lane, access.isWrite ? "writes" : "reads", access.bytes,
                (unsigned long long)access.address[lane], access.bytes);
  warp.cta->fatal(IssueKind::Misaligned, warp, &inst, bad, text);
  return false;
}

/// Spaces that are one block of `size` bytes addressed from 0.
bool resolveBlock(Warp &warp, const Inst &inst, StateSpace space,
                  Access &access, uint32_t lanes, std::byte *base,
                  uint64_t size, uint64_t laneStride) {
  uint64_t all = 0, most = 0;
  forLanes(lanes, [&](unsigned i) {
    uint64_t address = access.address[i];
    all |= address;
    most = std::max(most, address);
    // As an integer: the address may be anything before the checks below.
    access.at[i] = reinterpret_cast<std::byte *>(
        reinterpret_cast<uintptr_t>(base) + address + i * laneStride);
    access.unread[i] = nullptr;
  });
  if (all & (access.bytes - 1))
    return misaligned(warp, inst, access, lanes);
  if (size >= access.bytes && most <= size - access.bytes)
    return true;
  uint32_t bad = 0;
  forLanes(lanes, [&](unsigned i) {
    bool fits =
        size >= access.bytes && access.address[i] <= size - access.bytes;
    bad |= uint32_t(!fits) << i;
  });
  unsigned lane = std::countr_zero(bad);
  char text[200];
  std::snprintf(text, sizeof(text),
                "lane %u %s %u bytes at %s byte %llu: expected to stay within "
                "%llu bytes",
                lane, access.isWrite ? "writes" : "reads", access.bytes,
                std::string(spaceText(space)).c_str(),
                (unsigned long long)access.address[lane],
                (unsigned long long)size);
  warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst, bad, text);
  return false;
}

/// Shared addresses become offsets in Cluster::shared.
bool resolveShared(Warp &warp, const Inst &inst, Access &access,
                   uint32_t lanes) {
  Cta &cta = *warp.cta;
  Cluster &cluster = cta.cluster;
  constexpr uint64_t kInCta = (uint64_t(1) << kRankShift) - 1;
  if (cluster.size() == 1)
    return resolveBlock(warp, inst, StateSpace::Shared, access, lanes,
                        cta.shared, cta.sharedBytes, 0);
  uint64_t all = 0;
  uint32_t bad = 0;
  forLanes(lanes, [&](unsigned i) {
    uint64_t inCta = access.address[i] & kInCta;
    uint64_t rank = access.address[i] >> kRankShift;
    all |= inCta;
    bool fits = rank < cluster.size() && cta.sharedBytes >= access.bytes &&
                inCta <= cta.sharedBytes - access.bytes;
    bad |= uint32_t(!fits) << i;
    if (!fits)
      return;
    if (rank != cta.rank)
      access.remoteMask |= 1u << i;
    uint64_t offset = rank * cluster.sharedStride + inCta;
    access.address[i] = offset;
    access.at[i] = cluster.shared.get() + offset;
    access.unread[i] = nullptr;
  });
  auto describe = [&](unsigned lane, const std::string &what) {
    return "lane " + std::to_string(lane) +
           (access.isWrite ? " writes " : " reads ") +
           std::to_string(access.bytes) + " bytes at " + what;
  };
  if (bad) {
    unsigned lane = std::countr_zero(bad);
    uint64_t address = access.address[lane];
    cta.fatal(IssueKind::OutOfBounds, warp, &inst, bad,
              describe(lane, "shared byte " + std::to_string(address & kInCta) +
                                 " of CTA rank " +
                                 std::to_string(address >> kRankShift) +
                                 ": expected to stay within " +
                                 std::to_string(cta.sharedBytes) +
                                 " bytes of " + std::to_string(cluster.size()) +
                                 " CTAs"));
    return false;
  }
  if (all & (access.bytes - 1))
    return misaligned(warp, inst, access, lanes);
  // The memory of a CTA goes when its last thread ends.
  forLanes(lanes & access.remoteMask, [&](unsigned i) {
    if (!cluster.ctas[cluster.rankOf(uint32_t(access.address[i]))]->alive())
      bad |= 1u << i;
  });
  if (bad) {
    unsigned lane = std::countr_zero(bad);
    // The emulator has it still: the kernel goes on, in case more is wrong.
    if (cta.wants(IssueKind::OutOfBounds, warp, &inst))
      cta.report(
          IssueKind::OutOfBounds, warp, &inst, bad,
          describe(lane,
                   cluster.describeShared(uint32_t(access.address[lane])) +
                       ", which has ended: expected it to wait for its "
                       "cluster"));
  }
  return true;
}

bool resolveGlobal(Warp &warp, const Inst &inst, Access &access,
                   uint32_t lanes) {
  Launch &launch = warp.cta->launch;
  uint64_t all = 0;
  uint32_t bad = 0;
  Buffer *buffer = warp.lastBuffer;
  forLanes(lanes, [&](unsigned i) {
    uint64_t address = access.address[i];
    all |= address;
    bool hit = buffer && buffer->size >= access.bytes &&
               address - buffer->address <= buffer->size - access.bytes;
    if (!hit) {
      Buffer *found = launch.buffers->containing(address, access.bytes);
      if (!found)
        found = launch.variables.containing(address, access.bytes);
      if (!found) {
        bad |= 1u << i;
        return;
      }
      buffer = found;
    }
    uint64_t offset = address - buffer->address;
    access.at[i] = buffer->data.get() + offset;
    access.buffer[i] = buffer;
    access.unread[i] = buffer->unread ? buffer->unread.get() + offset : nullptr;
  });
  warp.lastBuffer = buffer;
  if (bad) {
    unsigned lane = std::countr_zero(bad);
    warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst, bad,
                    "lane " + std::to_string(lane) +
                        (access.isWrite ? " writes " : " reads ") +
                        std::to_string(access.bytes) + " bytes at " +
                        describeGlobal(*launch.buffers, launch.variables,
                                       access.address[lane]));
    return false;
  }
  if (all & (access.bytes - 1))
    return misaligned(warp, inst, access, lanes);
  return true;
}

} // namespace

bool flash::emu::resolve(Warp &warp, const Inst &inst, StateSpace space,
                         Access &access) {
  Cta &cta = *warp.cta;
  auto one = [&](StateSpace which, uint32_t lanes) {
    switch (which) {
    case StateSpace::Shared:
      access.sharedMask |= lanes;
      return resolveShared(warp, inst, access, lanes);
    case StateSpace::Local:
      return resolveBlock(warp, inst, which, access, lanes, warp.local,
                          warp.program->localBytes, warp.program->localBytes);
    case StateSpace::Param:
    case StateSpace::Const: {
      if (access.isWrite) {
        cta.fatal(IssueKind::OutOfBounds, warp, &inst, lanes,
                  "a write to " + std::string(spaceText(which)) + " memory");
        return false;
      }
      // Read only: isWrite was refused above.
      auto *base = const_cast<std::byte *>(
          which == StateSpace::Param ? cta.launch.params.data()
                                     : warp.program->constImage.data());
      uint64_t size = which == StateSpace::Param
                          ? cta.launch.params.size()
                          : warp.program->constImage.size();
      return resolveBlock(warp, inst, which, access, lanes, base, size, 0);
    }
    default:
      access.globalMask |= lanes;
      return resolveGlobal(warp, inst, access, lanes);
    }
  };
  if (space != StateSpace::Generic)
    return one(space, access.mask);
  static constexpr std::pair<uint64_t, StateSpace> windows[] = {
      {kSharedWindow, StateSpace::Shared},
      {kLocalWindow, StateSpace::Local},
      {kParamWindow, StateSpace::Param},
      {kConstWindow, StateSpace::Const}};
  uint32_t rest = access.mask;
  for (auto [base, which] : windows) {
    uint32_t lanes = 0;
    forLanes(rest, [&, base = base](unsigned i) {
      lanes |= uint32_t(access.address[i] - base < kWindowBytes) << i;
    });
    if (!lanes)
      continue;
    forLanes(lanes,
             [&, base = base](unsigned i) { access.address[i] -= base; });
    if (!one(which, lanes))
      return false;
    rest &= ~lanes;
  }
  return !rest || one(StateSpace::Global, rest);
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

void flash::emu::laneAddresses(const Warp &warp, const Inst &inst, unsigned op,
                               uint64_t *address) {
  if (inst.sub & kNarrowAddress) {
    const uint32_t *base = sourceRow<uint32_t>(warp, inst.ops[op]);
    for (unsigned i = 0; i < 32; ++i)
      address[i] = uint32_t(base[i] + uint32_t(inst.imm));
  } else {
    const uint64_t *base = sourceRow<uint64_t>(warp, inst.ops[op]);
    for (unsigned i = 0; i < 32; ++i)
      address[i] = base[i] + inst.imm;
  }
}

AddressOperand flash::emu::decodeAddress(Decoder &d, size_t i, unsigned op) {
  AddressOperand address = d.address(i);
  if (address.hasBase) {
    d.inst.ops[op] = address.base;
    d.inst.imm = address.offset;
    if (!address.base64)
      d.inst.sub |= kNarrowAddress;
  } else {
    d.inst.ops[op] = d.constant64(address.offset);
    d.inst.imm = 0;
  }
  return address;
}

StateSpace flash::emu::takeMemoryModifiers(Decoder &d, bool &strong) {
  strong = false;
  d.take("weak");
  for (std::string_view order :
       {"volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"})
    strong |= d.take(order);
  for (std::string_view scope : {"cta", "cluster", "gpu", "sys"})
    d.take(scope);
  StateSpace space = StateSpace::Generic;
  if (d.take("global"))
    space = StateSpace::Global;
  else if (d.take("shared") || d.take("shared::cta") ||
           d.take("shared::cluster"))
    space = StateSpace::Shared;
  else if (d.take("local"))
    space = StateSpace::Local;
  else if (d.take("param") || d.take("param::entry") || d.take("param::func"))
    space = StateSpace::Param;
  else if (d.take("const"))
    space = StateSpace::Const;
  // Caches are not modelled.
  for (std::string_view cache : {"ca",
                                 "cg",
                                 "cs",
                                 "lu",
                                 "cv",
                                 "wb",
                                 "wt",
                                 "nc",
                                 "L1::evict_normal",
                                 "L1::evict_unchanged",
                                 "L1::evict_first",
                                 "L1::evict_last",
                                 "L1::no_allocate",
                                 "L2::evict_normal",
                                 "L2::evict_first",
                                 "L2::evict_last",
                                 "L2::64B",
                                 "L2::128B",
                                 "L2::256B",
                                 "noftz",
                                 "unified"})
    d.take(cache);
  return space;
}
