//===- Cluster.cpp - CTAs that run together ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Turns of the warps. A group that waits at an mbarrier or a cluster barrier
// is tried again when something has changed. Where nothing can run at all, all
// that wait are told to give up once (a try_wait then returns false); a cluster
// that comes back to the same standstill again and again is deadlocked.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "WarpgroupMatrix.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

using namespace flash::emu;

namespace {

/// Longest turn of a warp, in instructions.
constexpr uint32_t kMaxQuantum = 4096;
/// Standstills in a row, with nothing done between them, that make a deadlock.
constexpr unsigned kMaxStandstills = 16;
/// Rounds after which waiting groups are tried again, should those that run
/// only poll memory.
constexpr unsigned kPatience = 1024;

uint32_t product(const std::array<uint32_t, 3> &extents) {
  return extents[0] * extents[1] * extents[2];
}

} // namespace

Cluster::Cluster(Launch &launch, ThreadCounts &counts)
    : launch(launch), shape(launch.config->cluster), mbarriers(*this) {
  // Swizzle patterns repeat within 1024 bytes, so that offsets and addresses
  // agree in all that counts.
  sharedStride = std::max(1u, (launch.sharedBytes + 1023) / 1024) * 1024;
  uint32_t count = product(shape);
  shared = allocateAligned(size_t(sharedStride) * count);
  warpsPerCta = (product(launch.config->block) + 31) / 32;
  if (launch.config->checks.races || launch.config->checks.uninitialised)
    checker =
        std::make_unique<Checker>(warpsPerCta * count, sharedStride * count,
                                  launch.program->usesAsyncProxy);
  auto add = [&](auto agent) {
    auto *raw = agent.get();
    agents.push_back(std::move(agent));
    return raw;
  };
  copyArrivals = add(std::make_unique<CopyArrivals>(*this));
  remoteStores = add(std::make_unique<RemoteStores>(*this));
  bulk = add(std::make_unique<BulkEngine>(*this));
  for (uint32_t rank = 0; rank < count; ++rank)
    ctas.push_back(std::make_unique<Cta>(*this, rank, counts));
}

void Cluster::start(uint64_t index) {
  const LaunchConfig &config = *launch.config;
  number = uint32_t(index);
  random.state = config.seed * 0x9e3779b97f4a7c15 + index;
  random.next();
  executed = 0;
  nextCopy = 1;
  changes = 0;
  progress = 0;
  strongClocks.clear();
  mbarriers.reset();
  for (auto &agent : agents)
    agent->reset();
  if (checker)
    checker->reset();
  barrier.arrived.assign(size() * warpsPerCta, 0);
  barrier.released.assign(size() * warpsPerCta, 0);
  if (checker)
    barrier.pending = barrier.visible = checker->makeClock();
  barrier.fenced.clear();
  // Not zero: what a kernel reads without writing must not look sensible.
  std::memset(shared.get(), 0xff, size_t(sharedStride) * size());
  std::array<uint32_t, 3> first;
  uint64_t rest = index;
  for (unsigned i = 0; i < 3; ++i) {
    uint32_t extent = config.grid[i] / shape[i];
    first[i] = uint32_t(rest % extent) * shape[i];
    rest /= extent;
  }
  for (auto &cta : ctas) {
    uint32_t x = cta->rank % shape[0], y = cta->rank / shape[0] % shape[1],
             z = cta->rank / shape[0] / shape[1];
    cta->start({first[0] + x, first[1] + y, first[2] + z});
  }
}

bool Cluster::demand(uint32_t offset) {
  for (auto &agent : agents)
    if (agent->demand(offset)) {
      ++progress;
      return true;
    }
  return false;
}

/// Tells every group that waits to try once more and give up if it may. False
/// if none waits.
bool Cluster::wakeAll() {
  bool any = false;
  for (auto &cta : ctas)
    for (Warp &warp : cta->warps)
      for (Group &group : warp.groups)
        if (group.state == Group::Waiting) {
          group.state = Group::Runnable;
          group.timedOut = true;
          any = true;
        }
  return any;
}

void Cluster::run(uint64_t index) {
  start(index);
  const LaunchConfig &config = *launch.config;
  bool randomAsync = config.async == AsyncMode::Random;
  std::vector<Warp *> order;
  for (auto &cta : ctas)
    for (Warp &warp : cta->warps)
      order.push_back(&warp);
  unsigned standstills = 0;
  uint64_t lastProgress = 0;
  for (unsigned round = 1; !launch.stop.load(std::memory_order_relaxed);
       ++round) {
    // One round: every warp that can run gets a turn, in a random order.
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(uint32_t(i))]);
    bool ran = false, alive = false;
    if (randomAsync && random.below(2))
      for (auto &agent : agents)
        agent->step(random);
    if (randomAsync && random.below(2))
      for (auto &cta : ctas)
        stepWarpgroups(*cta, random);
    for (Warp *warp : order) {
      if (!warp->live)
        continue;
      alive = true;
      Cta &cta = *warp->cta;
      Group *group = cta.pick(*warp);
      if (!group)
        continue;
      ran = true;
      if (executed >= config.instructionBudget) {
        cta.fatal(IssueKind::Budget, *warp, &warp->program->code[group->pc],
                  warp->live,
                  "the CTA executed more than " +
                      std::to_string(config.instructionBudget) +
                      " warp instructions; this warp is here");
        return;
      }
      if (randomAsync && random.below(2))
        warp->async.step(*warp);
      // Long turns are fast, short ones interleave warps in the midst of what
      // they do.
      uint64_t turn = 1 + random.below(kMaxQuantum >> random.below(4) * 3);
      cta.runWarp(
          *warp, uint32_t(std::min(turn, config.instructionBudget - executed)));
      if (launch.stop.load(std::memory_order_relaxed))
        return;
    }
    if (!alive)
      return;
    if (ran) {
      if (round % kPatience == 0)
        wakeAll();
      continue;
    }
    // The last lanes of a warp may have exited since.
    bool changed = false;
    for (Warp *warp : order)
      changed |= warp->live && warp->cta->pick(*warp);
    if (changed)
      continue;
    standstills = progress == lastProgress ? standstills + 1 : 0;
    lastProgress = progress;
    if (standstills > kMaxStandstills || !wakeAll()) {
      deadlock();
      return;
    }
  }
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

std::string Cluster::describeShared(uint32_t offset) const {
  std::string text = "shared byte " + std::to_string(offset % sharedStride);
  if (size() > 1)
    text += " of CTA rank " + std::to_string(rankOf(offset));
  return text;
}

std::string Cluster::describeWarp(uint32_t agent) const {
  std::string text = "warp " + std::to_string(agent % warpsPerCta);
  if (size() > 1)
    text += " of CTA rank " + std::to_string(agent / warpsPerCta);
  return text;
}

/// Nothing can run: says where every warp stands and why.
void Cluster::deadlock() {
  std::string text;
  const Inst *where = nullptr;
  Warp *first = nullptr;
  bool diverged = false;
  for (auto &cta : ctas) {
    for (Warp &warp : cta->warps)
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
        char line[64];
        std::snprintf(line, sizeof(line),
                      " lanes 0x%08x, line %u: ", group.mask, meta.line);
        text += "\n  " + describeWarp(warp.agent) + line;
        switch (group.state) {
        case Group::WaitLanes:
          text += "waits for lanes of its warp";
          break;
        case Group::AtBarrier:
          text += "waits at barrier " + std::to_string(group.barrier);
          break;
        default:
          text += warp.program->opcodes[meta.opcode] + " waits";
          break;
        }
      }
    text += cta->barrierState() + cta->registerPool.describe();
  }
  text += mbarriers.describe();
  for (auto &agent : agents)
    text += agent->pending();
  if (!first) {
    first = &ctas[0]->warps[0];
    where = nullptr;
  }
  // A warp that waits for its own lanes is the cause, whoever waits for it.
  if (diverged)
    first->cta->fatal(IssueKind::Divergence, *first, where, first->live,
                      "the instruction needs lanes that never come:" + text);
  else
    first->cta->fatal(IssueKind::Deadlock, *first, where, first->live,
                      "no warp can go on:" + text);
}
