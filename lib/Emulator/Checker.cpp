//===- Checker.cpp - Races and uninitialised shared memory ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Checker.h"

#include <algorithm>
#include <bit>
#include <immintrin.h>

using namespace flash::emu;

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
    : granules((size_t(sharedBytes) + 15) / 16),
      lines((size_t(sharedBytes) + 15) / 16), clocks(warps),
      readerBlocks(sharedBytes / kReaderBlock + 1), sharedBytes(sharedBytes),
      asyncProxy(asyncProxy) {
  reset();
}

void Checker::reset() {
  ++life;
  ++generation;
  globalGranules.clear();
  ops.assign(1, Op());
  tensorFenced.clear();
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

namespace {

constexpr unsigned kGranule = 16;

/// Of `lanes`, which have equal parts of a granule in rising order, those with
/// any of `bytes`.
uint32_t sharers(uint32_t lanes, uint32_t bytes) {
  switch (std::popcount(lanes)) {
  case 2:
    return _pdep_u32((bytes & 0xff ? 1 : 0) | (bytes >> 8 ? 2 : 0), lanes);
  case 4:
    bytes |= bytes >> 1;
    bytes |= bytes >> 2;
    return _pdep_u32(_pext_u32(bytes, 0x1111), lanes);
  case 8:
    bytes |= bytes >> 1;
    return _pdep_u32(_pext_u32(bytes, 0x5555), lanes);
  default: // 16
    return _pdep_u32(bytes, lanes);
  }
}

/// Calls `visit` for each of `lanes` as the accessor.
template <typename F> void forEach(Accessor who, uint32_t lanes, F visit) {
  for (; lanes; lanes &= lanes - 1) {
    who.lane = uint8_t(std::countr_zero(lanes));
    visit(who);
  }
}

} // namespace

unsigned Checker::Party::firstLane(uint32_t bytes) const {
  return std::countr_zero(spread ? sharers(lanes, bytes) : lanes);
}

/// The bytes that one of the lanes accesses.
uint32_t Checker::Party::partOf(unsigned lane) const {
  if (!spread)
    return 0xffff;
  unsigned size = kGranule / std::popcount(lanes);
  unsigned before = std::popcount(lanes & ((1u << lane) - 1));
  return ((1u << size) - 1) << (before * size);
}

uint32_t Checker::lanesOf(const Record &record, uint32_t bytes) {
  return record.spread ? sharers(record.lanes, bytes) : record.lanes;
}

/// Whether `clock` knows `record` as far as `lanes` did it.
bool Checker::knows(const Clock &clock, const Record &record, uint32_t lanes) {
  if (record.warp == kOnMbarrier)
    return clock.phase(record.lanes) >= record.epoch;
  const uint32_t *row = clock.row(record.warp);
  for (; lanes; lanes &= lanes - 1)
    if (row[std::countr_zero(lanes)] < record.epoch)
      return false;
  return true;
}

/// One of the lanes of `who`, which is several, that accesses some of `bytes`
/// of `record` without knowing it; 32 if there is none.
unsigned Checker::lateLane(const Record &record, uint32_t bytes,
                           const Party &who) const {
  for (uint32_t rest = sharers(who.lanes, bytes); rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint32_t lanes = lanesOf(record, bytes & who.partOf(lane));
    if (record.warp == who.warp)
      lanes &= ~(1u << lane);
    if (!knows(known(who.warp, lane), record, lanes))
      return lane;
  }
  return 32;
}

/// Whether `record` happened before `who` accesses `bytes` of it.
bool Checker::ordered(const Record &record, uint32_t bytes,
                      const Party &who) const {
  bool own = record.warp == who.warp;
  // A lane's own accesses are in program order.
  if (own && record.lanes == who.lanes && record.spread == who.spread)
    return true;
  uint32_t lanes = lanesOf(record, bytes);
  if (!who.spread)
    return knows(known(who.warp, std::countr_zero(who.lanes)), record,
                 own ? lanes & ~who.lanes : lanes);
  if (clocks[who.warp].lanes.empty()) {
    bool all = knows(clocks[who.warp].shared, record, lanes);
    if (all || !own)
      return all;
  }
  return lateLane(record, bytes, who) == 32;
}

/// Whether a proxy fence lies between a generic write and an operation of the
/// async proxy that `who` issues now.
bool Checker::fenced(const Record &record, const Accessor &who) const {
  const Clock &clock = known(who.warp, who.lane);
  // cp.async writes through the generic proxy as well.
  if (record.warp == kOnMbarrier)
    return clock.fencedPhase(record.lanes) >= record.epoch;
  const uint32_t *row = clock.fencedRow(record.warp);
  for (uint32_t lanes = lanesOf(record, record.bytes); lanes;
       lanes &= lanes - 1)
    if (row[std::countr_zero(lanes)] < record.epoch)
      return false;
  return true;
}

/// Drops records that no longer matter.
void Checker::refresh(Granule &granule) {
  if (granule.generation == generation)
    return;
  granule.generation = generation;
  bool fresh = granule.life != life;
  if (fresh) {
    granule.life = life;
    granule.initialised = 0;
    granule.copies = 0;
  }
  if (asyncProxy && !fresh) // Whether a write was fenced matters for ever.
    granule.records.eraseIf([](const Record &r) { return !r.isWrite; });
  else if (granule.copies)
    granule.records.eraseIf([](const Record &r) { return !r.copy; });
  else
    granule.records.clear();
}

namespace {

/// Calls `visit(granule index, byte mask, first byte of the granule)` for what
/// [offset, +bytes) touches.
template <typename F>
inline void forGranules(uint64_t offset, unsigned bytes, F visit) {
  uint64_t end = offset + bytes;
  while (offset < end) {
    unsigned first = offset % kGranule;
    unsigned count =
        unsigned(std::min<uint64_t>(kGranule - first, end - offset));
    visit(offset / kGranule, ((1u << count) - 1) << first, offset - first);
    offset += count;
  }
}

} // namespace

/// What is wrong with `lane` accessing `bytes`, which `record` did, in the
/// granule at `first`.
Finding Checker::found(Finding::Kind kind, const Record &record, uint32_t bytes,
                       unsigned lane, uint64_t first) {
  bool onMbarrier = record.warp == kOnMbarrier;
  Finding finding;
  finding.kind = kind;
  finding.lane = uint8_t(lane);
  finding.otherIsWrite = record.isWrite;
  finding.otherIsAsync = record.copy || onMbarrier;
  finding.otherPc = record.pc;
  finding.otherWarp = onMbarrier ? 0 : record.warp;
  finding.otherLanes = onMbarrier ? 0 : lanesOf(record, bytes);
  finding.offset = first + std::countr_zero(bytes);
  return finding;
}

Finding Checker::uninitialised(unsigned lane, uint64_t at) {
  Finding finding;
  finding.kind = Finding::Uninitialised;
  finding.lane = uint8_t(lane);
  finding.offset = at;
  return finding;
}

/// Sets `finding` if `who` may not access the bytes `mask` because of `other`.
void Checker::conflictsWith(const Record &other, const Party &who,
                            uint32_t mask, uint64_t first,
                            Finding &finding) const {
  uint32_t bytes = other.bytes & mask;
  if (!other.copy && ordered(other, bytes, who))
    return;
  unsigned lane = other.copy || !who.spread ? who.firstLane(bytes)
                                            : lateLane(other, bytes, who);
  finding = found(other.copy ? Finding::InFlight : Finding::Race, other,
                  bytes & who.partOf(lane), lane, first);
}

void Checker::readGranule(Granule &granule, const Party &who, uint32_t mask,
                          uint64_t first, bool checkInitialised,
                          Finding &finding) {
  refresh(granule);
  bool waiting = false;
  uint32_t epoch = clocks[who.warp].epoch;
  Record *same = nullptr;
  bool others = false;
  for (Record &other : granule.records) {
    if (!other.isWrite) {
      if (other.bytes == mask && other.warp == who.warp &&
          other.epoch == epoch && other.strong == who.strong &&
          other.spread == who.spread &&
          (!who.spread || other.lanes == who.lanes))
        same = &other;
      others |= (other.bytes & ~mask) == 0;
      continue;
    }
    if (!(other.bytes & mask))
      continue;
    waiting |= other.copy;
    if (finding.kind == Finding::None &&
        (other.copy || !(other.strong && who.strong)))
      conflictsWith(other, who, mask, first, finding);
  }
  if (uint32_t missing = mask & ~granule.initialised;
      missing && checkInitialised && finding.kind == Finding::None && !waiting)
    finding = uninitialised(who.firstLane(missing),
                            first + std::countr_zero(missing));
  if (same) {
    same->lanes |= who.lanes;
    same->pc = who.pc;
    return;
  }
  // A read that happened before this one need not be remembered: whatever is
  // ordered after this one is ordered after it too.
  if (others)
    granule.records.eraseIf([&](const Record &other) {
      return !other.isWrite && (other.bytes & ~mask) == 0 &&
             other.strong == who.strong && ordered(other, other.bytes, who);
    });
  granule.records.push_back({epoch, who.lanes, who.pc, uint16_t(mask), who.warp,
                             false, who.strong, false, who.spread});
}

void Checker::writeGranule(Granule &granule, const Party &who, uint32_t mask,
                           uint64_t first, bool silent, Finding &finding) {
  refresh(granule);
  granule.records.eraseIf([&](Record &other) {
    if (!(other.bytes & mask))
      return false;
    if (finding.kind == Finding::None && !(other.strong && who.strong) &&
        (other.copy || !(other.isWrite && silent)))
      conflictsWith(other, who, mask, first, finding);
    // The new write stands for everything it overwrites.
    if (!other.copy)
      other.bytes &= ~mask;
    return other.bytes == 0;
  });
  granule.initialised |= mask;
  granule.records.push_back({clocks[who.warp].epoch, who.lanes, who.pc,
                             uint16_t(mask), who.warp, true, who.strong, false,
                             who.spread});
}

/// readGranule() where it is the first access since a barrier of all, or one
/// that is repeated: nothing to find. False (nothing done) elsewhere.
inline bool Checker::readQuickly(Granule &granule, const Party &who,
                                 uint32_t mask) {
  if (granule.life != life || asyncProxy || (mask & ~granule.initialised))
    return false;
  uint32_t epoch = clocks[who.warp].epoch;
  if (granule.generation != generation) {
    if (granule.copies)
      return false;
    granule.generation = generation;
    granule.records.clear();
    granule.records.push_back({epoch, who.lanes, who.pc, uint16_t(mask),
                               who.warp, false, who.strong, false, who.spread});
    return true;
  }
  Record *same = nullptr;
  for (Record &other : granule.records) {
    bool own = other.warp == who.warp && other.spread == who.spread;
    if (other.isWrite) {
      if ((other.bytes & mask) &&
          (!own || other.copy || other.lanes != who.lanes))
        return false;
    } else if (own && other.bytes == mask && other.epoch == epoch &&
               other.strong == who.strong && (who.lanes & ~other.lanes) == 0) {
      same = &other;
    }
  }
  if (same)
    same->pc = who.pc;
  return same;
}

Finding Checker::read(const Accessor &who, uint32_t offset, unsigned bytes,
                      bool checkInitialised) {
  Finding finding;
  unsigned first = offset % kGranule;
  if (first + bytes <= kGranule &&
      readQuickly(granules[offset / kGranule], Party(who),
                  ((1u << bytes) - 1) << first))
    return finding;
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    bool async = asyncProxy && asyncWritten(uint32_t(index));
    if (async)
      conflictsWithWriter(who, uint32_t(index), at, finding);
    readGranule(granules[index], Party(who), mask, at,
                checkInitialised && !async, finding);
  });
  return finding;
}

Finding Checker::write(const Accessor &who, uint32_t offset, unsigned bytes,
                       bool silent) {
  Finding finding;
  if (asyncProxy)
    conflictsWithReaders(who, offset, bytes, finding);
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    if (asyncProxy && asyncWritten(uint32_t(index)))
      conflictsWithWriter(who, uint32_t(index), at, finding);
    writeGranule(granules[index], Party(who), mask, at, silent, finding);
  });
  return finding;
}

Finding Checker::readSpread(const Accessor &first, uint32_t lanes,
                            uint32_t offset, bool checkInitialised) {
  Finding finding;
  uint32_t index = offset / kGranule;
  if (readQuickly(granules[index], Party(first, lanes), 0xffff))
    return finding;
  bool async = asyncProxy && asyncWritten(index);
  if (async)
    forEach(first, lanes, [&](const Accessor &who) {
      conflictsWithWriter(who, index, offset, finding);
    });
  readGranule(granules[index], Party(first, lanes), 0xffff, offset,
              checkInitialised && !async, finding);
  return finding;
}

Finding Checker::writeSpread(const Accessor &first, uint32_t lanes,
                             uint32_t offset, bool silent) {
  Finding finding;
  uint32_t index = offset / kGranule;
  if (asyncProxy)
    forEach(first, lanes, [&](const Accessor &who) {
      conflictsWithReaders(who, offset, kGranule, finding);
      if (asyncWritten(index))
        conflictsWithWriter(who, index, offset, finding);
    });
  writeGranule(granules[index], Party(first, lanes), 0xffff, offset, silent,
               finding);
  return finding;
}

uint32_t Checker::unwritten(uint32_t offset, unsigned bytes) const {
  uint32_t result = 0;
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    if (asyncProxy && asyncWritten(uint32_t(index)))
      return;
    const Granule &granule = granules[index];
    mask &= granule.life == life ? ~granule.initialised : ~0u;
    result |= at < offset ? mask >> (offset - at) : mask << (at - offset);
  });
  return result;
}

void Checker::unwrite(uint32_t offset, unsigned bytes) {
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t) {
    granules[index].initialised &= ~mask;
  });
}

Finding Checker::readGlobal(const Accessor &who, uint64_t address,
                            unsigned bytes) {
  Finding finding;
  if (globalGranules.empty())
    return finding;
  forGranules(address, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    auto it = globalGranules.find(index);
    if (it != globalGranules.end())
      readGranule(it->second, Party(who), mask, at, false, finding);
  });
  return finding;
}

Finding Checker::writeGlobal(const Accessor &who, uint64_t address,
                             unsigned bytes, bool silent) {
  Finding finding;
  forGranules(address, bytes, [&](uint64_t index, uint32_t mask, uint64_t at) {
    writeGranule(globalGranules[index], Party(who), mask, at, silent, finding);
  });
  return finding;
}

Finding Checker::beginCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                           unsigned bytes) {
  Finding finding = write(who, offset, bytes, false);
  forGranules(offset, bytes, [&](uint64_t index, uint32_t mask, uint64_t) {
    Granule &granule = granules[index];
    Record &record = granule.records.back();
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
    for (Record &record : granule.records)
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
    for (Record &record : granule.records)
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

bool Checker::knowsAny(const Clock &clock, unsigned warp, uint32_t epoch) {
  const uint32_t *row = clock.row(warp);
  return std::any_of(row, row + 32,
                     [&](uint32_t known) { return known >= epoch; });
}

void Checker::fenceTensor(unsigned warp, uint32_t lanes) {
  if (tensorFenced.empty())
    tensorFenced.assign(clocks.size(), makeClock());
  if (clocks[warp].lanes.empty())
    lanes &= -lanes;
  for (; lanes; lanes &= lanes - 1)
    tensorFenced[warp].join(known(warp, unsigned(std::countr_zero(lanes))));
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
