//===- Mbarrier.cpp - Barriers in shared memory -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Mbarrier.h"
#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;

namespace {

constexpr uint64_t kCountMask = Mbarriers::kMaxCount;
constexpr int32_t kMaxBytes = (1 << 20) - 1; ///< PTX ISA, "tx-count".

} // namespace

MbarrierState MbarrierState::unpack(uint64_t word) {
  MbarrierState state;
  state.expected = uint32_t(word & kCountMask);
  state.pending = uint32_t(word >> 20 & kCountMask);
  state.bytes = int32_t(uint32_t(word >> 40) << 9) >> 9;
  state.parity = word >> 63;
  return state;
}

uint64_t MbarrierState::pack() const {
  return uint64_t(expected) | uint64_t(pending) << 20 |
         (uint64_t(uint32_t(bytes)) & 0x7fffff) << 40 | uint64_t(parity) << 63;
}

Mbarriers::Entry *Mbarriers::find(uint32_t offset) {
  auto it = table.find(offset);
  return it == table.end() || !it->second.live ? nullptr : &it->second;
}
const Mbarriers::Entry *Mbarriers::find(uint32_t offset) const {
  return const_cast<Mbarriers *>(this)->find(offset);
}

bool Mbarriers::fail(Warp &warp, const Inst &inst, uint32_t lanes,
                     std::string message) {
  warp.cta->fatal(IssueKind::Barrier, warp, &inst, lanes, std::move(message));
  return false;
}

void Mbarriers::store(Entry &entry, uint32_t offset,
                      const MbarrierState &state) {
  entry.word = state.pack();
  std::memcpy(cluster.shared.get() + offset, &entry.word, 8);
  ++cluster.progress;
}

void Mbarriers::settle(Entry &entry, uint32_t offset, MbarrierState state) {
  if (state.pending == 0 && state.bytes == 0) {
    state.parity = !state.parity;
    state.pending = state.expected;
    ++entry.completed;
    if (cluster.checker) {
      entry.visible.join(entry.pending);
      entry.visible.setPhase(entry.slot, entry.completed);
    }
    ++cluster.changes;
  }
  store(entry, offset, state);
}

bool Mbarriers::init(Warp &warp, const Inst &inst, unsigned lane,
                     uint32_t offset, uint32_t count) {
  if (count == 0 || count > kMaxCount)
    return fail(warp, inst, 1u << lane,
                "mbarrier count: expected 1 to " + std::to_string(kMaxCount) +
                    ", got " + std::to_string(count));
  Entry &entry = table[offset];
  if (!entry.slot)
    entry.slot = newSlot();
  entry.live = true;
  entry.users.assign(cluster.size() * cluster.warpsPerCta, 0);
  entry.users[warp.agent] = 1u << lane;
  if (cluster.checker) {
    // Whoever arrived before knew another barrier; slots only ever grow.
    entry.pending = entry.visible = cluster.checker->makeClock();
    Accessor who{uint16_t(warp.agent), uint8_t(lane), false, warp.pcOf(inst)};
    Finding finding = cluster.checker->write(who, offset, 8, false);
    if (finding.kind != Finding::None)
      reportFinding(warp, inst, lane, finding, true);
  }
  MbarrierState state;
  state.expected = state.pending = count;
  store(entry, offset, state);
  return true;
}

bool Mbarriers::invalidate(Warp &warp, const Inst &inst, unsigned lane,
                           uint32_t offset) {
  if (!check(warp, inst, 1u << lane, offset))
    return false;
  if (cluster.checker) {
    Accessor who{uint16_t(warp.agent), uint8_t(lane), false, warp.pcOf(inst)};
    Finding finding = cluster.checker->write(who, offset, 8, false);
    if (finding.kind != Finding::None)
      reportFinding(warp, inst, lane, finding, true);
  }
  find(offset)->live = false;
  return true;
}

bool Mbarriers::check(Warp &warp, const Inst &inst, uint32_t lanes,
                      uint32_t offset) {
  Entry *entry = find(offset);
  if (!entry)
    return fail(warp, inst, lanes,
                cluster.describeShared(offset) +
                    ": expected an mbarrier that mbarrier.init has made");
  uint64_t word;
  std::memcpy(&word, cluster.shared.get() + offset, 8);
  if (word != entry->word)
    return fail(warp, inst, lanes,
                "the mbarrier at " + cluster.describeShared(offset) +
                    " was overwritten by ordinary stores or copies");
  uint32_t &users = entry->users[warp.agent];
  if (cluster.checker && (lanes & ~users)) {
    forLanes(lanes & ~users, [&](unsigned lane) {
      Accessor who{uint16_t(warp.agent), uint8_t(lane), true, warp.pcOf(inst)};
      Finding finding = cluster.checker->read(who, offset, 8, false);
      if (finding.kind != Finding::None)
        reportFinding(warp, inst, lane, finding, false);
    });
    users |= lanes;
  }
  return true;
}

bool Mbarriers::arrive(Warp &warp, const Inst &inst, uint32_t lanes,
                       uint32_t offset, const Arrival &arrival,
                       uint64_t *token) {
  if (!check(warp, inst, lanes, offset))
    return false;
  if (arrival.count == 0 || arrival.count > kMaxCount)
    return fail(warp, inst, lanes,
                "arrival count: expected 1 to " + std::to_string(kMaxCount) +
                    ", got " + std::to_string(arrival.count));
  Entry &entry = *find(offset);
  // Lanes that arrive in one phase release together; where the phase ends
  // between them, each for itself.
  bool releases = cluster.checker && arrival.releases;
  bool together = uint64_t(std::popcount(lanes)) * arrival.count <=
                  MbarrierState::unpack(entry.word).pending;
  if (releases && together)
    cluster.checker->release(warp.agent, lanes, entry.pending);
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    if (releases && !together)
      cluster.checker->release(warp.agent, 1u << lane, entry.pending);
    if (arrival.expectBytes &&
        !expectBytes(warp, inst, offset, arrival.expectBytes))
      return false;
    MbarrierState state = MbarrierState::unpack(entry.word);
    if (token)
      token[lane] = entry.word;
    if (arrival.count > state.pending)
      return fail(warp, inst, 1u << lane,
                  std::to_string(arrival.count) +
                      " more arrivals than the phase expects at the mbarrier " +
                      describe(offset));
    if (arrival.drop)
      state.expected -= std::min(state.expected, arrival.count);
    state.pending -= arrival.count;
    if (arrival.noComplete && state.pending == 0)
      return fail(
          warp, inst, 1u << lane,
          "an arrival with .noComplete ends the phase of the mbarrier " +
              describe(offset));
    settle(entry, offset, state);
  }
  return true;
}

bool Mbarriers::expectBytes(Warp &warp, const Inst &inst, uint32_t offset,
                            uint32_t bytes) {
  Entry &entry = *find(offset);
  MbarrierState state = MbarrierState::unpack(entry.word);
  if (bytes > uint32_t(kMaxBytes) || state.bytes + int32_t(bytes) > kMaxBytes)
    return fail(warp, inst, 0,
                "expected bytes: at most " + std::to_string(kMaxBytes) +
                    " may be pending, " + std::to_string(bytes) +
                    " more are too many at the mbarrier " + describe(offset));
  state.bytes += int32_t(bytes);
  store(entry, offset, state);
  return true;
}

bool Mbarriers::completeBytes(Warp &warp, const Inst &inst, uint32_t offset,
                              uint32_t bytes) {
  Entry *entry = find(offset);
  if (!entry)
    return check(warp, inst, 0, offset);
  MbarrierState state = MbarrierState::unpack(entry->word);
  if (bytes > uint32_t(kMaxBytes) || state.bytes - int32_t(bytes) < -kMaxBytes)
    return fail(warp, inst, 0,
                std::to_string(bytes) +
                    " more bytes than can be counted arrive at the mbarrier " +
                    describe(offset));
  state.bytes -= int32_t(bytes);
  settle(*entry, offset, state);
  return true;
}

bool Mbarriers::arriveAsync(Warp &warp, const Inst &inst, uint32_t offset,
                            uint32_t count, const Clock *known) {
  Entry *entry = find(offset);
  if (!entry)
    return check(warp, inst, 0, offset);
  MbarrierState state = MbarrierState::unpack(entry->word);
  if (count > state.pending)
    return fail(warp, inst, 0,
                "more arrivals than the phase expects at the mbarrier " +
                    describe(offset));
  state.pending -= count;
  if (known)
    entry->pending.join(*known);
  settle(*entry, offset, state);
  return true;
}

bool Mbarriers::addPending(Warp &warp, const Inst &inst, uint32_t offset) {
  Entry &entry = *find(offset);
  MbarrierState state = MbarrierState::unpack(entry.word);
  if (state.pending == kMaxCount)
    return fail(warp, inst, 0,
                "too many arrivals are pending at the mbarrier " +
                    describe(offset));
  ++state.pending;
  store(entry, offset, state);
  return true;
}

bool Mbarriers::passed(uint32_t offset, bool parity) const {
  const Entry *entry = find(offset);
  return entry && MbarrierState::unpack(entry->word).parity != parity;
}

void Mbarriers::acquire(Warp &warp, uint32_t lanes, uint32_t offset) {
  if (cluster.checker)
    cluster.checker->acquire(warp.agent, lanes, warp.live,
                             find(offset)->visible);
}

MbarrierTicket Mbarriers::ticket(uint32_t offset) const {
  const Entry *entry = find(offset);
  return entry ? MbarrierTicket{entry->slot, entry->completed + 1}
               : MbarrierTicket();
}

std::string Mbarriers::describe(uint32_t offset) const {
  std::string text = "at " + cluster.describeShared(offset);
  const Entry *entry = find(offset);
  if (!entry)
    return text + " (not initialised)";
  MbarrierState state = MbarrierState::unpack(entry->word);
  return text + " (phase parity " + std::to_string(state.parity) + ", " +
         std::to_string(state.pending) + " of " +
         std::to_string(state.expected) + " arrivals and " +
         std::to_string(state.bytes) + " bytes pending)";
}

std::string Mbarriers::describe() const {
  std::vector<uint32_t> offsets;
  for (auto &[offset, entry] : table)
    if (entry.live)
      offsets.push_back(offset);
  std::sort(offsets.begin(), offsets.end());
  std::string text;
  for (uint32_t offset : offsets)
    text += "\n  mbarrier " + describe(offset);
  return text;
}
