//===- ClusterBarrier.cpp - barrier.cluster ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"

using namespace flash::emu;

/// PTX ISA, "membar / fence": together with barrier.cluster.arrive.relaxed the
/// fence makes mbarriers that its thread has initialised known to the cluster.
/// Other writes before it are taken along, which hides nothing after it.
void Cluster::fenceInitialisation(Warp &warp, uint32_t lanes) {
  if (!checker)
    return;
  if (barrier.fenced.empty())
    barrier.fenced.assign(size() * warpsPerCta, checker->makeClock());
  checker->release(warp.agent, lanes, barrier.fenced[warp.agent]);
}

void Cluster::arriveAtCluster(Warp &warp, const Inst &inst, uint32_t lanes,
                              bool releases) {
  if (uint32_t again = lanes & (barrier.arrived[warp.agent] |
                                barrier.released[warp.agent])) {
    warp.cta->fatal(IssueKind::Barrier, warp, &inst, again,
                    "these lanes arrive at the cluster's barrier again: "
                    "expected barrier.cluster.wait in between");
    return;
  }
  if (checker && releases)
    checker->release(warp.agent, lanes, barrier.pending);
  else if (checker && !barrier.fenced.empty())
    barrier.pending.join(barrier.fenced[warp.agent]);
  barrier.arrived[warp.agent] |= lanes;
  ++progress;
  checkClusterBarrier();
}

void Cluster::checkClusterBarrier() {
  bool any = false;
  for (auto &cta : ctas)
    for (Warp &warp : cta->warps) {
      if (warp.live & ~barrier.arrived[warp.agent])
        return;
      any |= barrier.arrived[warp.agent] != 0;
    }
  if (!any)
    return;
  for (size_t i = 0; i < barrier.arrived.size(); ++i) {
    barrier.released[i] |= barrier.arrived[i];
    barrier.arrived[i] = 0;
  }
  if (checker)
    barrier.visible.join(barrier.pending);
  ++changes;
  ++progress;
}

bool Cluster::waitForCluster(Warp &warp, const Inst &inst, uint32_t lanes,
                             bool acquires) {
  if (uint32_t missing = lanes & ~(barrier.arrived[warp.agent] |
                                   barrier.released[warp.agent])) {
    warp.cta->fatal(IssueKind::Barrier, warp, &inst, missing,
                    "these lanes wait at the cluster's barrier: expected "
                    "barrier.cluster.arrive before");
    return true;
  }
  if (lanes & ~barrier.released[warp.agent])
    return false;
  barrier.released[warp.agent] &= ~lanes;
  if (checker && acquires) {
    checker->acquire(warp.agent, lanes, warp.live, barrier.visible);
    if (lanes == warp.live && checker->lanesDiffer(warp.agent))
      checker->syncWarp(warp.agent, lanes, warp.live);
  }
  return true;
}
