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

namespace {

/// Bytes that one entry of readerBlocks stands for.
constexpr uint32_t kReaderBlock = 256;

} // namespace

void Clock::join(const Clock &other) {
  if (entries.size() < other.entries.size())
    entries.resize(other.entries.size());
  for (size_t i = 0, e = other.entries.size(); i < e; ++i)
    entries[i] = std::max(entries[i], other.entries[i]);
}

void Clock::setPhase(unsigned slot, uint32_t phase) {
  size_t at = (size_t(lanes) + slot) * 2;
  if (at >= entries.size())
    entries.resize(at + 2);
  entries[at] = phase;
}

void Clock::fence() {
  for (uint32_t i = 0; i < lanes; ++i)
    entries[lanes + i] = std::max(entries[lanes + i], entries[i]);
  for (size_t at = size_t(lanes) * 2; at < entries.size(); at += 2)
    entries[at + 1] = entries[at];
}

Checker::Checker(unsigned warps, uint32_t sharedBytes, bool asyncProxy)
    : granules((size_t(sharedBytes) + 3) / 4),
      lines((size_t(sharedBytes) + 15) / 16), clocks(warps),
      readerBlocks(sharedBytes / kReaderBlock + 1), asyncProxy(asyncProxy) {
  reset();
}

void Checker::reset() {
  ++life;
  ++generation;
  globalGranules.clear();
  ops.assign(1, Op());
  readers.clear();
  std::fill(readerBlocks.begin(), readerBlocks.end(), 0);
  readerLimit = 64;
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
  if (record.warp == kOnMbarrier)
    return clock.phase(record.lanes) >= record.epoch;
  const uint32_t *row = clock.row(record.warp);
  uint32_t lanes = record.lanes;
  if (record.warp == warp)
    lanes &= ~(1u << lane); // A lane's own accesses are in program order.
  for (; lanes; lanes &= lanes - 1)
    if (row[std::countr_zero(lanes)] < record.epoch)
      return false;
  return true;
}

/// Whether a proxy fence lies between a generic write and an operation of the
/// async proxy that (warp, lane) issues now.
bool Checker::fenced(const Record &record, unsigned warp, unsigned lane) const {
  const Clock &clock = known(warp, lane);
  // cp.async writes through the generic proxy as well.
  if (record.warp == kOnMbarrier)
    return clock.fencedPhase(record.lanes) >= record.epoch;
  const uint32_t *row = clock.fencedRow(record.warp);
  for (uint32_t lanes = record.lanes; lanes; lanes &= lanes - 1)
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
  bool fresh = granule.life != life;
  if (fresh) {
    granule.life = life;
    granule.initialised = 0;
    granule.copies = 0;
  }
  if (asyncProxy && !fresh)
    return; // Whether a write was fenced matters past any barrier.
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

Finding Checker::found(Finding::Kind kind, const Record &record, bool isWrite,
                       uint64_t at) {
  bool onMbarrier = record.warp == kOnMbarrier;
  return {kind,
          isWrite,
          record.copy || onMbarrier,
          record.pc,
          onMbarrier ? uint16_t(0) : record.warp,
          onMbarrier ? 0 : record.lanes,
          at};
}

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
      finding = found(Finding::InFlight, write, true, at);
    else if (!(write.strong && who.strong) &&
             !ordered(write, who.warp, who.lane))
      finding = found(Finding::Race, write, true, at);
  }
  if (checkInitialised && finding.kind == Finding::None && !waiting &&
      (mask & ~granule.initialised))
    finding = {Finding::Uninitialised, false, false, 0, 0, 0, at};
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
    if (other.strong && who.strong)
      return;
    if (other.copy)
      finding = found(Finding::InFlight, other, true, at);
    else if (!(isWrite && silent) && !ordered(other, who.warp, who.lane))
      finding = found(Finding::Race, other, isWrite, at);
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
    bool async = asyncProxy && asyncWritten(uint32_t(index / 4));
    if (async)
      conflictsWithWriter(who, uint32_t(index / 4), at, finding);
    readGranule(granules[index], who, mask, at, checkInitialised && !async,
                finding);
  });
  return finding;
}

Finding Checker::write(const Accessor &who, uint32_t offset, unsigned bytes,
                       bool silent) {
  Finding finding;
  if (asyncProxy)
    conflictsWithReaders(who, offset, bytes, finding);
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    if (asyncProxy && asyncWritten(uint32_t(index / 4)))
      conflictsWithWriter(who, uint32_t(index / 4), at, finding);
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

void Checker::endCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                      unsigned bytes, unsigned slot, uint32_t phase) {
  forGranules(offset, bytes, [&](uint64_t index, uint32_t, uint64_t) {
    Granule &granule = granules[index];
    refresh(granule);
    for (Record &record : granule.writes)
      if (record.copy && record.epoch == copy && record.warp == who.warp &&
          record.lanes == 1u << who.lane) {
        record.copy = false;
        record.warp = kOnMbarrier;
        record.lanes = slot;
        record.epoch = phase;
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
  if (!readers.empty())
    dropReaders(false);
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

bool Checker::knows(unsigned warp, unsigned lane, unsigned other,
                    uint32_t epoch) const {
  const uint32_t *row = known(warp, lane).row(other);
  return std::any_of(row, row + 32,
                     [&](uint32_t known) { return known >= epoch; });
}

void Checker::fenceProxy(unsigned warp, uint32_t lanes, uint32_t live) {
  WarpClock &clock = clocks[warp];
  auto fence = [&](Clock &of, uint32_t which) {
    of.fence();
    // What the lanes themselves did so far; what they do next is a new epoch.
    for (uint32_t rest = which; rest; rest &= rest - 1)
      of.fencedRow(warp)[std::countr_zero(rest)] = clock.epoch;
  };
  if ((lanes & live) == live && clock.lanes.empty()) {
    fence(clock.shared, lanes);
  } else {
    splitLanes(clock);
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      fence(clock.lanes[lane], 1u << lane);
    }
  }
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
