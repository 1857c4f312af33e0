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
// Checks
//===----------------------------------------------------------------------===//

void flash::emu::reportFinding(Warp &warp, const Inst &inst, unsigned lane,
                               const Finding &finding, bool isWrite,
                               bool isGlobal) {
  Cta &cta = *warp.cta;
  auto where = [&]() -> std::string {
    if (isGlobal)
      return describeGlobal(*cta.launch.buffers, cta.launch.variables,
                            finding.offset);
    return cta.cluster.describeShared(uint32_t(finding.offset));
  };
  if (finding.kind == Finding::Uninitialised) {
    if (cta.checkUninitialised &&
        cta.wants(IssueKind::Uninitialised, warp, &inst))
      cta.report(IssueKind::Uninitialised, warp, &inst, 1u << lane,
                 "lane " + std::to_string(lane) + " reads " + where() +
                     ", which nobody has written");
    return;
  }
  if (!cta.launch.config->checks.races)
    return;
  bool inFlight = finding.kind == Finding::InFlight;
  IssueKind kind = inFlight ? IssueKind::Poisoned : IssueKind::Race;
  if (!cta.wants(kind, warp, &inst, finding.otherPc))
    return;
  char lanes[32];
  std::snprintf(lanes, sizeof(lanes), ", lanes 0x%08x", finding.otherLanes);
  std::string other =
      " of " + cta.cluster.describeWarp(finding.otherWarp) + lanes;
  std::string message = "lane " + std::to_string(lane) +
                        (isWrite ? " writes " : " reads ") + where() + ", ";
  switch (finding.kind) {
  case Finding::InFlight:
    message += "which the asynchronous operation" + other +
               " is still to write (no wait has completed it)";
    break;
  case Finding::BeingRead:
    message += "which the asynchronous operation" + other +
               " may still read (no wait has completed it)";
    break;
  case Finding::Unfenced:
    message += "unordered with the write" + other +
               " through the generic proxy: expected fence.proxy.async in "
               "between";
    break;
  default:
    message += std::string("unordered with the ") +
               (finding.otherIsAsync ? "asynchronous " : "") +
               (finding.otherIsWrite ? "write" : "read") + other;
    break;
  }
  cta.report(kind, warp, &inst, 1u << lane, std::move(message),
             finding.otherPc);
}

void flash::emu::checkCtas(Warp &warp, const Inst &inst, const Access &access,
                           unsigned lane) {
  Buffer &buffer = *access.buffer[lane];
  Cta &cta = *warp.cta;
  uint64_t first = access.address[lane] - buffer.address;
  // CTAs of one cluster can order each other.
  uint32_t mine = (cta.cluster.number + 1) << 4;
  uint32_t other = 0;
  bool otherWrote = false;
  for (uint64_t at = first; at < first + access.bytes;) {
    unsigned count =
        unsigned(std::min<uint64_t>(4 - (at & 3), first + access.bytes - at));
    uint32_t bytes = ((1u << count) - 1) << (at & 3);
    auto conflicts = [&](uint32_t mark) {
      return (mark & bytes) && (mark & ~15u) != mine;
    };
    auto &marks = access.isWrite ? buffer.writers : buffer.readers;
    std::atomic<uint32_t> &own = marks[at / 4];
    uint32_t old = own.load(std::memory_order_relaxed);
    uint32_t mark = (old & ~15u) == mine ? old | bytes : mine | bytes;
    // Stored only where it changes: CTAs share their inputs.
    if (old != mark)
      own.store(mark, std::memory_order_relaxed);
    uint32_t wrote =
        access.isWrite ? old
                       : buffer.writers[at / 4].load(std::memory_order_relaxed);
    uint32_t read = access.isWrite
                        ? buffer.readers[at / 4].load(std::memory_order_relaxed)
                        : 0;
    if (!other && conflicts(wrote)) {
      other = wrote;
      otherWrote = true;
    } else if (!other && conflicts(read)) {
      other = read;
    }
    at += count;
  }
  if (!other || !cta.wants(IssueKind::Race, warp, &inst))
    return;
  cta.report(IssueKind::Race, warp, &inst, 1u << lane,
             "lane " + std::to_string(lane) +
                 (access.isWrite ? " writes " : " reads ") +
                 describeGlobal(*cta.launch.buffers, cta.launch.variables,
                                access.address[lane]) +
                 (cta.cluster.size() > 1 ? ", which cluster number "
                                         : ", which CTA number ") +
                 std::to_string((other >> 4) - 1) +
                 (otherWrote ? " writes" : " reads") +
                 " too; nothing in this kernel orders CTAs");
}

namespace {

/// The lowest lane of `rest`, with those after it that access equal parts of
/// the same 16 aligned bytes: the checker takes them as one.
uint32_t spreadLanes(const Access &access, uint32_t rest) {
  uint32_t lowest = rest & -rest;
  uint64_t address = access.address[std::countr_zero(rest)];
  if (access.strong || access.bytes >= 16 || address % 16)
    return lowest;
  uint32_t lanes = 0;
  for (uint64_t end = address + 16; address != end; address += access.bytes) {
    if (!rest || access.address[std::countr_zero(rest)] != address)
      return lowest;
    lanes |= rest & -rest;
    rest &= rest - 1;
  }
  return lanes;
}

} // namespace

/// Marks the registers of a load that take unwritten bytes.
static void markUnwritten(Warp &warp, const Inst &inst, const Access &access,
                          unsigned lane) {
  uint32_t offset = uint32_t(access.address[lane]);
  uint32_t bytes = warp.cta->checker->unwritten(offset, access.bytes);
  unsigned size = access.bytes / access.elements;
  for (unsigned e = 0; e < access.elements; ++e)
    if (uint32_t here = bytes >> (e * size) & ((1ull << size) - 1))
      warp.unwritten.mark(
          access.targets[e], 1u << lane,
          {warp.pcOf(inst), lane,
           offset + e * size + unsigned(std::countr_zero(here))});
}

void flash::emu::checkLoad(Warp &warp, const Inst &inst, const Access &access) {
  Cta &cta = *warp.cta;
  if (Checker *checker = cta.checker) {
    for (uint32_t rest = access.sharedMask; rest;) {
      uint32_t lanes = spreadLanes(access, rest);
      rest &= ~lanes;
      unsigned lane = std::countr_zero(lanes);
      if (access.strong)
        strongAcquire(warp, access, lane);
      Accessor who{uint16_t(warp.agent), uint8_t(lane), access.strong,
                   warp.pcOf(inst)};
      uint32_t offset = uint32_t(access.address[lane]);
      Finding finding =
          lanes & (lanes - 1)
              ? checker->readSpread(who, lanes, offset, cta.checkUninitialised)
              : checker->read(who, offset, access.bytes,
                              cta.checkUninitialised);
      if (finding.kind == Finding::Uninitialised && access.targets)
        forLanes(lanes,
                 [&](unsigned i) { markUnwritten(warp, inst, access, i); });
      else if (finding.kind != Finding::None)
        reportFinding(warp, inst, finding.lane, finding, false);
    }
    forLanes(access.globalMask, [&](unsigned lane) {
      if (access.strong)
        strongAcquire(warp, access, lane);
      // A plain read beside atomics is how every compare-and-swap loop
      // starts; only plain writes conflict with it.
      Accessor who{uint16_t(warp.agent), uint8_t(lane), true, warp.pcOf(inst)};
      Finding finding =
          checker->readGlobal(who, access.address[lane], access.bytes);
      if (finding.kind != Finding::None)
        reportFinding(warp, inst, lane, finding, false, true);
      if (access.buffer[lane]->readers)
        checkCtas(warp, inst, access, lane);
    });
  }
  if (!cta.checkUninitialised)
    return;
  forLanes(access.globalMask, [&](unsigned lane) {
    const uint8_t *unread = access.unread[lane];
    if (!unread || !std::count(unread, unread + access.bytes, 1))
      return;
    if (cta.wants(IssueKind::Uninitialised, warp, &inst))
      cta.report(IssueKind::Uninitialised, warp, &inst, 1u << lane,
                 "lane " + std::to_string(lane) + " reads " +
                     std::to_string(access.bytes) + " bytes at " +
                     describeGlobal(*cta.launch.buffers, cta.launch.variables,
                                    access.address[lane]) +
                     ", which are uninitialised or poisoned");
  });
}

void flash::emu::checkStore(Warp &warp, const Inst &inst, const Access &access,
                            unsigned lane, const std::byte *data) {
  Cta &cta = *warp.cta;
  if (access.sharedMask >> lane & 1) {
    if (Checker *checker = cta.checker) {
      bool silent = sameBytes(access.at[lane], data, access.bytes);
      Accessor who{uint16_t(warp.agent), uint8_t(lane), access.strong,
                   warp.pcOf(inst)};
      Finding finding = checker->write(who, uint32_t(access.address[lane]),
                                       access.bytes, silent);
      if (finding.kind != Finding::None)
        reportFinding(warp, inst, lane, finding, true);
    }
  } else if (access.globalMask >> lane & 1) {
    if (access.unread[lane])
      std::memset(access.unread[lane], 0, access.bytes);
    if (Checker *checker = cta.checker) {
      bool silent = sameBytes(access.at[lane], data, access.bytes);
      Accessor who{uint16_t(warp.agent), uint8_t(lane), access.strong,
                   warp.pcOf(inst)};
      Finding finding =
          checker->writeGlobal(who, access.address[lane], access.bytes, silent);
      if (finding.kind != Finding::None)
        reportFinding(warp, inst, lane, finding, true, true);
      if (access.buffer[lane]->writers)
        checkCtas(warp, inst, access, lane);
    }
  }
  if (access.strong && cta.checker)
    strongRelease(warp, access, lane);
}

uint32_t flash::emu::checkStores(Warp &warp, const Inst &inst,
                                 const Access &access, uint32_t rest,
                                 const std::byte *data, size_t stride) {
  Cta &cta = *warp.cta;
  unsigned lane = std::countr_zero(rest);
  uint32_t lanes = rest & -rest;
  if (cta.checker && (access.sharedMask >> lane & 1))
    lanes = spreadLanes(access, rest & access.sharedMask);
  uint32_t silent = 0;
  if (lanes & (lanes - 1))
    forLanes(lanes, [&](unsigned i) {
      silent |=
          uint32_t(sameBytes(access.at[i], data + i * stride, access.bytes))
          << i;
    });
  // Lanes that change something and lanes that do not count apart.
  if (!(lanes & (lanes - 1)) || (silent && silent != lanes)) {
    checkStore(warp, inst, access, lane, data + lane * stride);
    return rest & -rest;
  }
  Accessor who{uint16_t(warp.agent), uint8_t(lane), false, warp.pcOf(inst)};
  Finding finding = cta.checker->writeSpread(
      who, lanes, uint32_t(access.address[lane]), silent != 0);
  if (finding.kind != Finding::None)
    reportFinding(warp, inst, finding.lane, finding, true);
  return lanes;
}

void flash::emu::strongRelease(Warp &warp, const Access &access,
                               unsigned lane) {
  Cta &cta = *warp.cta;
  uint64_t key = access.address[lane] +
                 (access.sharedMask >> lane & 1 ? kSharedWindow : 0);
  auto [it, fresh] = cta.cluster.strongClocks.try_emplace(key);
  if (fresh)
    it->second = cta.checker->makeClock();
  cta.checker->release(warp.agent, 1u << lane, it->second);
}

void flash::emu::strongAcquire(Warp &warp, const Access &access,
                               unsigned lane) {
  Cta &cta = *warp.cta;
  uint64_t key = access.address[lane] +
                 (access.sharedMask >> lane & 1 ? kSharedWindow : 0);
  auto it = cta.cluster.strongClocks.find(key);
  if (it != cta.cluster.strongClocks.end())
    cta.checker->acquire(warp.agent, 1u << lane, warp.live, it->second);
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
