//===- CopyArrivals.cpp - cp.async.mbarrier.arrive --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CopyArrivals.h"
#include "Cluster.h"
#include "Lanes.h"

#include <algorithm>

using namespace flash::emu;

void CopyArrivals::issue(Warp &warp, const Inst &inst, uint32_t lanes,
                         const uint64_t *offset) {
  Entry entry{&warp, &inst, lanes, cluster.nextCopy, {}};
  forLanes(lanes,
           [&](unsigned lane) { entry.offset[lane] = uint32_t(offset[lane]); });
  if (cluster.launch.config->async == AsyncMode::Eager) {
    complete(entry, lanes);
    return;
  }
  entries.push_back(entry);
}

void CopyArrivals::complete(Entry &entry, uint32_t lanes) {
  entry.lanes &= ~lanes;
  for (uint32_t rest = lanes; rest && !cluster.launch.stop; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint32_t offset = entry.offset[lane];
    entry.warp->async.completeFor(*entry.warp, lane, entry.limit,
                                  cluster.mbarriers.ticket(offset));
    cluster.mbarriers.arriveAsync(*entry.warp, *entry.inst, offset);
  }
}

void CopyArrivals::completeUpTo(size_t last, uint32_t lanes) {
  for (size_t i = 0; i <= last; ++i)
    if (entries[i].warp == entries[last].warp)
      complete(entries[i], entries[i].lanes & lanes);
}

bool CopyArrivals::demand(uint32_t offset) {
  for (size_t i = 0; i < entries.size(); ++i) {
    uint32_t lanes = 0;
    forLanes(entries[i].lanes, [&](unsigned lane) {
      lanes |= uint32_t(entries[i].offset[lane] == offset) << lane;
    });
    if (!lanes)
      continue;
    completeUpTo(i, lanes);
    std::erase_if(entries, [](const Entry &entry) { return !entry.lanes; });
    return true;
  }
  return false;
}

void CopyArrivals::step(Random &random) {
  for (size_t i = 0; i < entries.size(); ++i)
    completeUpTo(i, entries[i].lanes & uint32_t(random.next()));
  std::erase_if(entries, [](const Entry &entry) { return !entry.lanes; });
}

void CopyArrivals::drain(Cta &cta) {
  for (Entry &entry : entries)
    if (entry.warp->cta == &cta)
      complete(entry, entry.lanes);
  std::erase_if(entries, [](const Entry &entry) { return !entry.lanes; });
}

std::string CopyArrivals::pending() const {
  std::string text;
  for (const Entry &entry : entries) {
    const Program &program = *entry.warp->program;
    text += "\n  " + cluster.describeWarp(entry.warp->agent) + ", line " +
            std::to_string(program.meta[entry.warp->pcOf(*entry.inst)].line) +
            ": arrivals of cp.async are pending";
  }
  return text;
}
