//===- CopyArrivals.h - cp.async.mbarrier.arrive ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A lane's arrival at an mbarrier that takes effect when all cp.async it has
// issued before are over.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_COPYARRIVALS_H
#define FLASH_LIB_EMULATOR_COPYARRIVALS_H

#include "AsyncAgent.h"

#include <array>
#include <deque>

namespace flash::emu {

struct Cluster;
struct Inst;
struct Warp;

class CopyArrivals : public AsyncAgent {
public:
  explicit CopyArrivals(Cluster &cluster) : cluster(cluster) {}

  /// `lanes` execute the instruction; `offset` by lane, in Cluster::shared.
  void issue(Warp &warp, const Inst &inst, uint32_t lanes,
             const uint64_t *offset);

  void reset() override { entries.clear(); }
  bool demand(uint32_t offset) override;
  void step(Random &random) override;
  void drain(Cta &cta) override;
  std::string pending() const override;

private:
  struct Entry {
    Warp *warp;
    const Inst *inst;
    uint32_t lanes;
    uint32_t limit; ///< Copies with a lower serial number are meant.
    std::array<uint32_t, 32> offset;
  };
  /// Ends the copies of those lanes, which then arrive.
  void complete(Entry &entry, uint32_t lanes);
  /// The same for all entries of its warp up to `last`: what an entry waits for
  /// is part of what later ones of its lanes wait for.
  void completeUpTo(size_t last, uint32_t lanes);

  Cluster &cluster;
  std::deque<Entry> entries;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_COPYARRIVALS_H
