//===- Scheduler.cpp - Running the warps of a CTA ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A warp holds groups of lanes, each at one pc. Blocks are laid out so that
// running the group with the lowest pc makes groups meet again as early as
// possible; groups at the same pc merge. A group that goes round a polling
// loop steps back, so that one lane may wait for another.
//
//===----------------------------------------------------------------------===//

#include "Scheduler.h"
#include "Lanes.h"
#include "Machine.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace flash::emu;

namespace {

/// Longest turn of a warp, in instructions.
constexpr uint32_t kMaxQuantum = 4096;

} // namespace

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// Merges groups that met and returns the one to run, or null if none can.
Group *Cta::pick(Warp &warp) {
  auto &groups = warp.groups;
  if (groups.size() > 1) {
    for (size_t i = 0; i < groups.size(); ++i)
      for (size_t k = i + 1; k < groups.size();) {
        bool meet = groups[i].pc == groups[k].pc &&
                    groups[i].state != Group::AtBarrier &&
                    groups[k].state != Group::AtBarrier;
        if (!meet) {
          ++k;
          continue;
        }
        groups[i].mask |= groups[k].mask;
        groups[i].state = Group::Runnable;
        groups.erase(groups.begin() + k);
      }
  }
  for (unsigned round = 0; round < 2; ++round) {
    Group *best = nullptr;
    for (Group &group : groups)
      if (group.state == Group::Runnable && (!best || group.pc < best->pc))
        best = &group;
    if (best)
      return best;
    for (Group &group : groups)
      if (group.state == Group::Spinning)
        group.state = Group::Runnable;
  }
  return nullptr;
}

void Cta::exitLanes(Warp &warp, uint32_t lanes) {
  warp.live &= ~lanes;
  for (Group &group : warp.groups) {
    group.mask &= ~lanes;
    // Who waited for these lanes may go on.
    if (group.state == Group::WaitLanes)
      group.state = Group::Runnable;
  }
  std::erase_if(warp.groups, [](const Group &g) { return g.mask == 0; });
  if (!warp.live) {
    warp.async.drain(warp);
    checkBarriers();
  }
}

/// Whether the lanes that `inst` needs are all in `lanes`. If not, `group`
/// waits for them; its lanes outside `lanes` (guarded off) go on alone.
bool Cta::syncReady(Warp &warp, Group &group, const Inst &inst,
                    uint32_t lanes) {
  uint32_t needed = warp.live;
  if (!(inst.flags & kAligned)) {
    uint32_t members = sourceRow<uint32_t>(
        warp, inst.ops[kMemberMaskOp])[std::countr_zero(lanes)];
    needed &= members;
    if (lanes & ~members) {
      fatal(IssueKind::Divergence, warp, &inst, lanes & ~members,
            "these lanes execute the instruction but are not in its member "
            "mask");
      return false;
    }
  }
  if ((needed & ~lanes) == 0)
    return true;
  uint32_t pc = warp.pcOf(inst);
  // bar.warp.sync may be met at several places.
  if (inst.flags & kMeetsAnywhere) {
    uint32_t there = lanes;
    for (Group &other : warp.groups)
      if (&other != &group && other.state == Group::WaitLanes &&
          (warp.program->code[other.pc].flags & kMeetsAnywhere))
        there |= other.mask;
    if ((needed & ~there) == 0) {
      if (checker)
        checker->syncWarp(warp.id, needed, warp.live);
      for (Group &other : warp.groups)
        if (&other != &group && (other.mask & needed)) {
          other.state = Group::Runnable;
          ++other.pc;
        }
      return true;
    }
  }
  uint32_t rest = group.mask & ~lanes;
  group.mask = lanes;
  group.pc = pc;
  group.state = Group::WaitLanes;
  if (rest)
    warp.groups.push_back({pc + 1, rest, Group::Runnable, 0});
  return false;
}

//===----------------------------------------------------------------------===//
// Turns of the warps
//===----------------------------------------------------------------------===//

void Cta::run(uint64_t index) {
  start(index);
  const LaunchConfig &config = *launch.config;
  bool randomAsync = config.async == AsyncMode::Random;
  std::vector<uint32_t> order(warps.size());
  for (uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  while (!launch.stop.load(std::memory_order_relaxed)) {
    // One round: every warp that can run gets a turn, in a random order.
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(uint32_t(i))]);
    bool ran = false, alive = false;
    for (uint32_t w : order) {
      Warp &warp = warps[w];
      if (!warp.live)
        continue;
      alive = true;
      if (!pick(warp))
        continue;
      ran = true;
      if (executed >= config.instructionBudget) {
        const Inst &inst = warp.program->code[pick(warp)->pc];
        fatal(IssueKind::Budget, warp, &inst, warp.live,
              "the CTA executed more than " +
                  std::to_string(config.instructionBudget) +
                  " warp instructions; this warp is here");
        return;
      }
      if (randomAsync && random.below(2))
        warp.async.step(warp);
      uint64_t turn = 1 + random.below(kMaxQuantum);
      runWarp(warp,
              uint32_t(std::min(turn, config.instructionBudget - executed)));
      if (launch.stop.load(std::memory_order_relaxed))
        return;
    }
    if (!alive)
      return;
    if (!ran) {
      // The last lanes of a warp may have exited since.
      bool changed = false;
      for (Warp &warp : warps)
        changed |= warp.live && pick(warp);
      if (!changed) {
        deadlock();
        return;
      }
    }
  }
}

/// Nothing can run: says where every warp stands and why.
void Cta::deadlock() {
  std::string text;
  const Inst *where = nullptr;
  Warp *first = nullptr;
  bool diverged = false;
  for (Warp &warp : warps)
    for (Group &group : warp.groups) {
      const Inst &inst = warp.program->code[group.pc];
      if (!where) {
        where = &inst;
        first = &warp;
      }
      if (group.state == Group::WaitLanes && !diverged) {
        diverged = true;
        where = &inst;
        first = &warp;
      }
      const Meta &meta = warp.program->meta[group.pc];
      char line[160];
      std::snprintf(line, sizeof(line), "\n  warp %u lanes 0x%08x, line %u: %s",
                    warp.id, group.mask, meta.line,
                    group.state == Group::WaitLanes
                        ? "waits for lanes of its warp"
                        : "waits at a barrier");
      text += line;
      if (group.state == Group::AtBarrier)
        text += " " + std::to_string(group.barrier);
    }
  text += barrierState();
  if (!first) {
    first = &warps[0];
    where = nullptr;
  }
  // A warp that waits for its own lanes is the cause, whoever waits for it.
  if (diverged)
    fatal(IssueKind::Divergence, *first, where, first->live,
          "the instruction needs lanes that never come:" + text);
  else
    fatal(IssueKind::Deadlock, *first, where, first->live,
          "no warp can go on:" + text);
}
