//===- MemoryChecks.cpp - What is wrong with an access ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Races, poison and initialisation of resolved accesses, and the reports of
// what the checker found.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace flash::emu;

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
