//===- Cluster.h - CTAs that run together -----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The CTAs of a cluster share one block of memory, one checker, one scheduler
// and one set of asynchronous engines. CTA r's shared memory starts at
// r * sharedStride of that block; a kernel sees it at r << kRankShift of the
// shared window, so that the address of a CTA's own variable carries its rank,
// as on the hardware. *Offsets* below are offsets in the block.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_CLUSTER_H
#define FLASH_LIB_EMULATOR_CLUSTER_H

#include "AsyncAgent.h"
#include "AsyncBulk.h"
#include "CopyArrivals.h"
#include "Machine.h"
#include "Mbarrier.h"
#include "RemoteStores.h"

#include <memory>
#include <unordered_map>
#include <vector>

namespace flash::emu {

class TensorPipelines;

/// barrier.cluster: every thread arrives, then waits.
struct ClusterBarrier {
  std::vector<uint32_t> arrived;  ///< By warp: lanes of the phase under way.
  std::vector<uint32_t> released; ///< Lanes whose phase is over, not waited.
  Clock pending, visible;
  /// By warp, what its fence.mbarrier_init has released: it goes with the next
  /// arrival, be it relaxed.
  std::vector<Clock> fenced;
};

struct Cluster {
  Launch &launch;
  std::array<uint32_t, 3> shape; ///< CTAs.
  uint32_t number = 0;           ///< Linear index in the grid of clusters.
  uint32_t sharedStride = 0;
  AlignedBytes shared;
  uint32_t warpsPerCta = 0;
  std::vector<std::unique_ptr<Cta>> ctas;
  std::unique_ptr<Checker> checker; ///< Null without race checks.
  std::unordered_map<uint64_t, Clock> strongClocks; ///< By address.
  Mbarriers mbarriers;
  ClusterBarrier barrier;
  /// All asynchronous engines, and by name those that instructions speak to.
  std::vector<std::unique_ptr<AsyncAgent>> agents;
  CopyArrivals *copyArrivals = nullptr;
  RemoteStores *remoteStores = nullptr;
  TensorPipelines *tensor = nullptr; ///< One of the agents, once it is used.
  BulkEngine *bulk = nullptr;
  Random random;
  uint64_t executed = 0;
  uint32_t nextCopy = 1; ///< Serial numbers of cp.async.
  /// Counts what a Kind::Wait instruction may wait for: ended phases, ...
  uint32_t changes = 0;
  /// Counts whatever shows that the cluster has not come to a standstill.
  uint64_t progress = 0;

  Cluster(Launch &launch, ThreadCounts &counts);
  /// Runs cluster `index` of the grid to its end (or until launch.stop).
  void run(uint64_t index);

  uint32_t size() const { return uint32_t(ctas.size()); }
  uint32_t rankOf(uint32_t offset) const { return offset / sharedStride; }
  /// The offset in CTA `rank` of what lies at `offset` in another one.
  uint32_t sameIn(uint32_t rank, uint32_t offset) const {
    return rank * sharedStride + offset % sharedStride;
  }
  Warp &warpOf(uint32_t agent) {
    return ctas[agent / warpsPerCta]->warps[agent % warpsPerCta];
  }
  /// Lets engines complete one operation that somebody at the mbarrier at
  /// `offset` waits for; false if none is in flight.
  bool demand(uint32_t offset);

  // ClusterBarrier.cpp
  /// fence.mbarrier_init.release.cluster by `lanes`.
  void fenceInitialisation(Warp &warp, uint32_t lanes);
  void arriveAtCluster(Warp &warp, const Inst &inst, uint32_t lanes,
                       bool releases);
  /// False if the lanes must block.
  bool waitForCluster(Warp &warp, const Inst &inst, uint32_t lanes,
                      bool acquires);
  /// Threads ended: they count as arrived.
  void checkClusterBarrier();
  /// "shared byte 16" or, with several CTAs, "shared byte 16 of CTA rank 1".
  std::string describeShared(uint32_t offset) const;
  /// "warp 3" or "warp 3 of CTA rank 1".
  std::string describeWarp(uint32_t agent) const;

private:
  void start(uint64_t index);
  bool wakeAll();
  void deadlock();
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_CLUSTER_H
