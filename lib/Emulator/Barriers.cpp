//===- Barriers.cpp - Named barriers of a CTA -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// bar / barrier.cta. An aligned arrival counts a whole warp, also where the
// last warp of the CTA is not full; without a count the barrier waits for all
// warps that have not exited.
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "Cluster.h"
#include "Lanes.h"

#include <cstdio>

using namespace flash::emu;

namespace {

const Inst &instAt(const Warp &warp, const Group &group) {
  return warp.program->code[group.pc];
}

} // namespace

/// Threads that a barrier without a count waits for: whole warps.
uint32_t Cta::barrierThreads() const {
  uint32_t count = 0;
  for (const Warp &warp : warps)
    count += warp.live ? 32 : 0;
  return count;
}

bool Cta::arriveAtBarrier(Warp &warp, Group &group, const Inst &inst,
                          uint32_t lanes) {
  unsigned first = std::countr_zero(lanes);
  uint32_t index = sourceRow<uint32_t>(warp, inst.ops[0])[first];
  bool counted = inst.n != 0;
  uint32_t count = counted ? sourceRow<uint32_t>(warp, inst.ops[1])[first] : 0;
  if (index >= barriers.size()) {
    fatal(IssueKind::Barrier, warp, &inst, lanes,
          "barrier " + std::to_string(index) + ": expected 0 to 15");
    return false;
  }
  if (counted && (count == 0 || count % 32 != 0 || count > 1024)) {
    fatal(IssueKind::Barrier, warp, &inst, lanes,
          "barrier " + std::to_string(index) +
              ": expected a thread count that is a multiple of 32, got " +
              std::to_string(count));
    return false;
  }
  Barrier &barrier = barriers[index];
  if (!barrier.inUse) {
    barrier = Barrier();
    barrier.inUse = true;
    barrier.expected = count;
    if (checker)
      barrier.clock = checker->makeClock();
  } else if (barrier.expected != count) {
    fatal(IssueKind::Barrier, warp, &inst, lanes,
          "barrier " + std::to_string(index) + ": this arrival expects " +
              (counted ? std::to_string(count) : "all") +
              " threads, an earlier one of the same phase " +
              (barrier.expected ? std::to_string(barrier.expected) : "all"));
    return false;
  }
  auto action = BarrierAction(inst.sub);
  if (action >= BarrierAction::Popc) {
    uint32_t value =
        (predicateOf(warp, inst.ops[3]) ^ uint32_t(inst.imm)) & lanes;
    barrier.popc += std::popcount(value);
    barrier.and_ &= value == lanes;
    barrier.or_ |= value != 0;
  }
  barrier.arrived +=
      inst.flags & kAligned ? 32 : uint32_t(std::popcount(lanes));
  // A warp that comes in parts counts its missing lanes with the last one.
  if (!(inst.flags & kAligned) && lanes == warp.live)
    barrier.arrived += 32 - uint32_t(std::popcount(lanes));
  if (checker)
    checker->release(warp.agent, lanes, barrier.clock);
  ++cluster.progress;
  bool waits = action != BarrierAction::Arrive;
  if (waits) {
    group.state = Group::AtBarrier;
    group.barrier = uint8_t(index);
  }
  uint32_t expected = barrier.expected ? barrier.expected : barrierThreads();
  if (barrier.arrived > expected) {
    fatal(IssueKind::Barrier, warp, &inst, lanes,
          "barrier " + std::to_string(index) + ": " +
              std::to_string(barrier.arrived) + " threads arrived, expected " +
              std::to_string(expected));
    return false;
  }
  if (barrier.arrived == expected) {
    // The arriving group's pc must be known to complete().
    group.pc = warp.pcOf(inst);
    complete(index);
    return group.state == Group::AtBarrier;
  }
  return waits;
}

/// Releases everyone who waits at barrier `index`.
void Cta::complete(unsigned index) {
  Barrier &barrier = barriers[index];
  uint32_t released = 0, live = 0;
  for (Warp &warp : warps) {
    live += std::popcount(warp.live);
    for (Group &group : warp.groups) {
      if (group.state != Group::AtBarrier || group.barrier != index)
        continue;
      const Inst &inst = instAt(warp, group);
      released += std::popcount(group.mask);
      switch (BarrierAction(inst.sub)) {
      case BarrierAction::Popc: {
        uint32_t *row = targetRow<uint32_t>(warp, inst.ops[2]);
        forLanes(group.mask, [&](unsigned lane) { row[lane] = barrier.popc; });
        break;
      }
      case BarrierAction::And:
      case BarrierAction::Or: {
        bool value = BarrierAction(inst.sub) == BarrierAction::And
                         ? barrier.and_
                         : barrier.or_;
        uint32_t &mask = predicateOf(warp, inst.ops[2]);
        mask = value ? mask | group.mask : mask & ~group.mask;
        break;
      }
      default:
        break;
      }
      if (checker) {
        checker->acquire(warp.agent, group.mask, warp.live, barrier.clock);
        if (group.mask == warp.live && checker->lanesDiffer(warp.agent))
          checker->syncWarp(warp.agent, group.mask, warp.live);
      }
      group.state = Group::Runnable;
      ++group.pc;
    }
  }
  barrier.inUse = false;
  // Everyone was here and nobody left before: all that went before is over.
  if (checker && released == threads && live == threads && cluster.size() == 1)
    checker->newGeneration();
}

/// After lanes exited: barriers without a count may be complete now.
void Cta::checkBarriers() {
  for (unsigned i = 0; i < barriers.size(); ++i)
    if (barriers[i].inUse && barriers[i].expected == 0 && barriers[i].arrived &&
        barriers[i].arrived >= barrierThreads())
      complete(i);
}

std::string Cta::barrierState() const {
  std::string text;
  for (unsigned i = 0; i < barriers.size(); ++i)
    if (barriers[i].inUse) {
      char line[96];
      std::snprintf(
          line, sizeof(line), "\n  barrier %u: %u of %u threads arrived", i,
          barriers[i].arrived,
          barriers[i].expected ? barriers[i].expected : barrierThreads());
      text += line;
    }
  return text;
}
