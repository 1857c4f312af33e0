//===- BulkIssuer.h - One lane issues a bulk copy ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Checks the operands of one lane and makes its BulkOp. Linear copies are in
// BulkIssue.cpp, tensor copies in TensorIssue.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_BULKISSUER_H
#define FLASH_LIB_EMULATOR_BULKISSUER_H

#include "AsyncBulk.h"
#include "BulkIssue.h"
#include "Cluster.h"
#include "MemoryAccess.h"
#include "TensorBox.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace flash::emu {

/// Bytes of shared memory that an operation moves.
struct SharedRange {
  uint32_t offset = 0; ///< In Cluster::shared.
  uint32_t bytes = 0;
};

/// What one lane issues. Members that return false have ended the launch with
/// a report.
class BulkIssuer {
public:
  /// `before` is the lane that issued this instruction last, `lane` itself for
  /// the first.
  BulkIssuer(Warp &warp, const Inst &inst, unsigned lane, unsigned before)
      : warp(warp), inst(inst), lane(lane), cta(*warp.cta),
        cluster(cta.cluster) {
    std::memcpy(&form, &warp.program->extra[inst.extra], sizeof(form));
    op.warp = &warp;
    op.lane = uint8_t(lane);
    op.pc = warp.pcOf(inst);
    op.reduce = BulkReduce(inst.n);
    op.type = BulkType(inst.sub);
    repeats = before != lane && sameAs(before);
  }

  bool load();
  bool push();
  bool store();
  bool prefetch();
  bool tensorLoad();
  bool tensorStore();
  bool tensorPrefetch();

private:
  bool fail(IssueKind kind, std::string message) {
    cta.fatal(kind, warp, &inst, 1u << lane,
              "lane " + std::to_string(lane) + ": " + message);
    return false;
  }
  uint64_t addressOf(const BulkAddress &address) const {
    return addressOf(address, lane);
  }
  uint64_t addressOf(const BulkAddress &address, unsigned of) const {
    if (address.narrow)
      return uint32_t(sourceRow<uint32_t>(warp, address.base)[of] +
                      sourceRow<uint32_t>(warp, address.offset)[of]);
    return sourceRow<uint64_t>(warp, address.base)[of] +
           sourceRow<uint64_t>(warp, address.offset)[of];
  }
  /// Whether lane `other` copies the same bytes to the same place.
  bool sameAs(unsigned other) const {
    auto same = [&](uint32_t row) {
      const uint32_t *values = sourceRow<uint32_t>(warp, row);
      return values[lane] == values[other];
    };
    for (const BulkAddress &address : {form.to, form.from})
      if (addressOf(address) != addressOf(address, other))
        return false;
    return same(form.size) && same(form.byteMask) &&
           std::all_of(form.coordinates.begin(),
                       form.coordinates.begin() + form.rank, same);
  }
  uint32_t value(uint32_t row) const {
    return sourceRow<uint32_t>(warp, row)[lane];
  }

  bool sizeOf(uint32_t &bytes);
  bool shared(const BulkAddress &address, const char *role, uint64_t bytes,
              uint32_t align, bool isWrite, uint32_t &offset);
  bool global(uint64_t address, uint32_t bytes, bool isWrite, BulkMove &move);
  bool barrier(uint32_t &offset);
  bool mapAndCoordinates(const BulkAddress &address);
  bool box(const BulkAddress &address, bool isWrite, SharedRange &range);
  bool boxMoves(bool isWrite);
  bool typeOfMap();

  void issueTo(SharedRange to, uint32_t barrier);
  bool multicast(SharedRange to, uint32_t barrier);
  void issueToGlobal(SharedSet from);
  void report(const Finding &finding, bool isWrite) {
    if (finding.kind != Finding::None)
      reportFinding(warp, inst, lane, finding, isWrite);
  }
  Accessor who() const {
    return {uint16_t(warp.agent), uint8_t(lane), false, op.pc};
  }
  uint32_t startOp(Checker &checker) const {
    return checker.startOp(who(), op.reduce != BulkReduce::None);
  }
  void countGlobal(bool isWrite);
  void countShared(uint64_t bytes, bool isWrite);

  Warp &warp;
  const Inst &inst;
  const unsigned lane;
  Cta &cta;
  Cluster &cluster;
  BulkForm form;
  BulkOp op;
  bool repeats; ///< What another lane has just issued.
  TensorMapSpec spec;
  int32_t coordinates[kMaxTensorRank] = {};
  std::vector<BoxSegment> segments;
  /// Global side of `op.moves`, for the counters.
  std::vector<std::pair<uint64_t, uint32_t>> globalRanges;
};

/// The lanes of `mask` issue one after the other.
template <bool (BulkIssuer::*Issue)()>
void issueByLane(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned before = unsigned(std::countr_zero(mask));
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (!(BulkIssuer(warp, inst, lane, before).*Issue)())
      return;
    before = lane;
  }
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_BULKISSUER_H
