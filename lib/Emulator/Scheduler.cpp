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
#include "Cluster.h"
#include "Lanes.h"
#include "TensorUse.h"
#include "WarpgroupMatrix.h"

#include <algorithm>

using namespace flash::emu;

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
  for (Group &group : groups)
    if (group.state == Group::Waiting && group.seenChanges != cluster.changes)
      group.state = Group::Runnable;
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
    leaveWarpgroup(warp);
    checkBarriers();
    ++cluster.progress;
    if (!alive()) {
      for (auto &agent : cluster.agents)
        agent->drain(*this);
      registerPool.finish(*this);
      checkTensorLeak(*this, warp);
    }
    cluster.checkClusterBarrier();
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
        checker->syncWarp(warp.agent, needed, warp.live);
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
