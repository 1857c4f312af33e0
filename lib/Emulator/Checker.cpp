//===- Checker.cpp - Races and uninitialised shared memory ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checker.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;

void Clock::join(const Clock &other) {
  for (size_t i = 0, e = epochs.size(); i < e; ++i)
    epochs[i] = std::max(epochs[i], other.epochs[i]);
}

Checker::Checker(unsigned warps, uint32_t sharedBytes)
    : granules((size_t(sharedBytes) + 3) / 4), clocks(warps) {
  reset();
}

void Checker::reset() {
  ++life;
  ++generation;
  globalGranules.clear();
  for (WarpClock &clock : clocks) {
    clock.shared = makeClock();
    clock.lanes.clear();
    clock.epoch = 1;
  }
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

bool Checker::ordered(const Record &record, unsigned warp,
                      unsigned lane) const {
  const Clock &clock = known(warp, lane);
  const uint32_t *row = clock.row(record.warp);
  uint32_t lanes = record.lanes;
  if (record.warp == warp)
    lanes &= ~(1u << lane); // A lane's own accesses are in program order.
  for (; lanes; lanes &= lanes - 1)
    if (row[std::countr_zero(lanes)] < record.epoch)
      return false;
  return true;
}

/// Drops records that no longer matter.
void Checker::refresh(Granule &granule) {
  if (granule.generation == generation)
    return;
  granule.generation = generation;
  granule.reads.clear();
  if (granule.life != life) {
    granule.life = life;
    granule.initialised = 0;
    granule.copies = 0;
  }
  if (granule.copies)
    std::erase_if(granule.writes, [](const Record &r) { return !r.copy; });
  else
    granule.writes.clear();
}

namespace {

/// Calls `visit(granule index, byte mask, first byte)` over [offset, +bytes).
template <typename F>
void forGranules(uint64_t offset, unsigned bytes, F visit) {
  uint64_t end = offset + bytes;
  while (offset < end) {
    unsigned first = offset & 3;
    unsigned count = unsigned(std::min<uint64_t>(4 - first, end - offset));
    visit(offset >> 2, ((1u << count) - 1) << first, offset);
    offset += count;
  }
}

} // namespace

void Checker::readGranule(Granule &granule, const Accessor &who, uint32_t mask,
                          uint64_t at, bool checkInitialised,
                          Finding &finding) {
  refresh(granule);
  bool waiting = false;
  for (const Record &write : granule.writes) {
    if (!(write.bytes & mask))
      continue;
    waiting |= write.copy;
    if (finding.kind != Finding::None)
      continue;
    if (write.copy)
      finding = {Finding::InFlight, true,        write.pc,
                 write.warp,        write.lanes, at};
    else if (!(write.strong && who.strong) &&
             !ordered(write, who.warp, who.lane))
      finding = {Finding::Race, true, write.pc, write.warp, write.lanes, at};
  }
  if (checkInitialised && finding.kind == Finding::None && !waiting &&
      (mask & ~granule.initialised))
    finding = {Finding::Uninitialised, false, 0, 0, 0, at};
  uint32_t epoch = clocks[who.warp].epoch;
  uint32_t lane = 1u << who.lane;
  for (Record &read : granule.reads)
    if (read.warp == who.warp && read.epoch == epoch && read.bytes == mask &&
        read.strong == who.strong) {
      read.lanes |= lane;
      read.pc = who.pc;
      return;
    }
  // A read that happened before this one need not be remembered: whatever is
  // ordered after this one is ordered after it too.
  std::erase_if(granule.reads, [&](const Record &read) {
    return (read.bytes & ~mask) == 0 && read.strong == who.strong &&
           ordered(read, who.warp, who.lane);
  });
  granule.reads.push_back(
      {epoch, lane, who.pc, who.warp, uint8_t(mask), who.strong, false});
}

void Checker::writeGranule(Granule &granule, const Accessor &who, uint32_t mask,
                           uint64_t at, bool silent, Finding &finding) {
  refresh(granule);
  auto conflict = [&](const Record &other, bool isWrite) {
    if (!(other.bytes & mask) || finding.kind != Finding::None)
      return;
    if (other.copy)
      finding = {Finding::InFlight, true,        other.pc,
                 other.warp,        other.lanes, at};
    else if (!(other.strong && who.strong) && !(isWrite && silent) &&
             !ordered(other, who.warp, who.lane))
      finding = {Finding::Race, isWrite, other.pc, other.warp, other.lanes, at};
  };
  for (const Record &other : granule.writes)
    conflict(other, true);
  for (const Record &other : granule.reads)
    conflict(other, false);
  granule.initialised |= mask;
  // The new write stands for everything it overwrites.
  for (Record &other : granule.writes)
    if (!other.copy)
      other.bytes &= ~mask;
  for (Record &other : granule.reads)
    other.bytes &= ~mask;
  std::erase_if(granule.writes, [](const Record &r) { return !r.bytes; });
  std::erase_if(granule.reads, [](const Record &r) { return !r.bytes; });
  granule.writes.push_back({clocks[who.warp].epoch, 1u << who.lane, who.pc,
                            who.warp, uint8_t(mask), who.strong, false});
}

Finding Checker::read(const Accessor &who, uint32_t offset, unsigned bytes,
                      bool checkInitialised) {
  Finding finding;
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    readGranule(granules[index], who, mask, at, checkInitialised, finding);
  });
  return finding;
}

Finding Checker::write(const Accessor &who, uint32_t offset, unsigned bytes,
                       bool silent) {
  Finding finding;
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    writeGranule(granules[index], who, mask, at, silent, finding);
  });
  return finding;
}

Finding Checker::readGlobal(const Accessor &who, uint64_t address,
                            unsigned bytes) {
  Finding finding;
  if (globalGranules.empty())
    return finding;
  forGranules(address, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    auto it = globalGranules.find(index);
    if (it != globalGranules.end())
      readGranule(it->second, who, mask, at, false, finding);
  });
  return finding;
}

Finding Checker::writeGlobal(const Accessor &who, uint64_t address,
                             unsigned bytes, bool silent) {
  Finding finding;
  forGranules(address, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    writeGranule(globalGranules[index], who, mask, at, silent, finding);
  });
  return finding;
}

Finding Checker::beginCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                           unsigned bytes) {
  Finding finding = write(who, offset, bytes, false);
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t) {
    Granule &granule = granules[index];
    Record &record = granule.writes.back();
    record.epoch = copy;
    record.copy = true;
    ++granule.copies;
  });
  return finding;
}

void Checker::endCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                      unsigned bytes) {
  uint32_t epoch = clocks[who.warp].epoch;
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t) {
    Granule &granule = granules[index];
    refresh(granule);
    for (Record &record : granule.writes)
      if (record.copy && record.epoch == copy && record.warp == who.warp &&
          record.lanes == 1u << who.lane) {
        record.copy = false;
        record.epoch = epoch;
        --granule.copies;
      }
  });
}

//===----------------------------------------------------------------------===//
// Synchronisation
//===----------------------------------------------------------------------===//

void Checker::newGeneration() {
  ++generation;
  // Whatever was written before the barrier is settled.
  globalGranules.clear();
}

void Checker::splitLanes(WarpClock &clock) {
  if (clock.lanes.empty())
    clock.lanes.assign(32, clock.shared);
}

void Checker::release(unsigned warp, uint32_t lanes, Clock &into) {
  WarpClock &clock = clocks[warp];
  if (clock.lanes.empty())
    into.join(clock.shared);
  else
    for (uint32_t rest = lanes; rest; rest &= rest - 1)
      into.join(clock.lanes[std::countr_zero(rest)]);
  uint32_t *own = into.row(warp);
  for (uint32_t rest = lanes; rest; rest &= rest - 1)
    own[std::countr_zero(rest)] = clock.epoch;
  ++clock.epoch;
}

void Checker::acquire(unsigned warp, uint32_t lanes, uint32_t live,
                      const Clock &from) {
  WarpClock &clock = clocks[warp];
  if ((lanes & live) == live && clock.lanes.empty()) {
    clock.shared.join(from);
    return;
  }
  splitLanes(clock);
  for (uint32_t rest = lanes; rest; rest &= rest - 1)
    clock.lanes[std::countr_zero(rest)].join(from);
}

void Checker::syncWarp(unsigned warp, uint32_t lanes, uint32_t live) {
  Clock all = makeClock();
  release(warp, lanes, all);
  WarpClock &clock = clocks[warp];
  if ((lanes & live) == live) {
    clock.shared = std::move(all);
    clock.lanes.clear();
    return;
  }
  acquire(warp, lanes, live, all);
}
