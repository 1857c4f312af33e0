//===- BulkIssue.cpp - Issuing bulk copies ----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BulkIssuer.h"

#include <algorithm>

using namespace flash::emu;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

bool BulkIssuer::sizeOf(uint32_t &bytes) {
  bytes = value(form.size);
  if (bytes % 16 == 0)
    return true;
  return fail(IssueKind::Misaligned, "size: expected a multiple of 16 bytes, "
                                     "got " +
                                         std::to_string(bytes));
}

/// Resolves [address, address + bytes) of shared memory.
bool BulkIssuer::shared(const BulkAddress &address, const char *role,
                        uint64_t bytes, uint32_t align, bool isWrite,
                        uint32_t &offset) {
  uint64_t first = addressOf(address);
  if (first % align)
    return fail(IssueKind::Misaligned,
                std::string(role) + ": expected a multiple of " +
                    std::to_string(align) + ", got shared address " +
                    std::to_string(first));
  Access access;
  access.mask = 1u << lane;
  access.bytes = std::min<uint32_t>(align, 16);
  access.isWrite = isWrite;
  access.address[lane] = first;
  if (!resolve(warp, inst, StateSpace::Shared, access))
    return false;
  offset = uint32_t(access.address[lane]);
  uint64_t room = cta.sharedBytes - offset % cluster.sharedStride;
  if (bytes <= room)
    return true;
  return fail(IssueKind::OutOfBounds,
              std::string(role) + ": " + std::to_string(bytes) + " bytes at " +
                  cluster.describeShared(offset) +
                  ": expected to stay within " +
                  std::to_string(cta.sharedBytes) + " bytes");
}

/// Resolves [address, address + bytes) of global memory and fills that side of
/// `move`; checks races and initialisation.
bool BulkIssuer::global(uint64_t address, uint32_t bytes, bool isWrite,
                        BulkMove &move) {
  Launch &launch = cta.launch;
  Buffer *buffer = warp.lastBuffer;
  auto holds = [&](const Buffer *b) {
    return b && b->size >= bytes && address - b->address <= b->size - bytes;
  };
  if (!holds(buffer)) {
    buffer = launch.buffers->containing(address, bytes);
    if (!buffer)
      buffer = launch.variables.containing(address, bytes);
    if (!buffer) {
      // Name the first byte that no buffer has.
      Buffer *begin = launch.buffers->containing(address, 1);
      uint64_t bad = begin ? begin->address + begin->size : address;
      return fail(IssueKind::OutOfBounds,
                  std::string(isWrite ? "writes " : "reads ") +
                      std::to_string(bytes) + " bytes from address " +
                      std::to_string(address) + ", up to and past " +
                      describeGlobal(*launch.buffers, launch.variables, bad));
    }
    warp.lastBuffer = buffer;
  }
  uint64_t offset = address - buffer->address;
  std::byte *at = buffer->data.get() + offset;
  uint8_t *unread = buffer->unread ? buffer->unread.get() + offset : nullptr;
  move.bytes = bytes;
  bool reduces = op.reduce != BulkReduce::None;
  if (isWrite) {
    move.to = at;
    move.unread = unread;
  } else {
    move.from = at;
  }
  if (unread && (!isWrite || reduces) && cta.checkUninitialised)
    if (auto *bad = static_cast<uint8_t *>(std::memchr(unread, 1, bytes));
        bad && cta.wants(IssueKind::Uninitialised, warp, &inst))
      cta.report(IssueKind::Uninitialised, warp, &inst, 1u << lane,
                 "lane " + std::to_string(lane) +
                     (reduces ? " adds to " : " copies ") +
                     describeGlobal(*launch.buffers, launch.variables,
                                    address + uint64_t(bad - unread)) +
                     ", which is uninitialised or poisoned");
  globalRanges.emplace_back(address, bytes);
  if (!cta.checker)
    return true;
  // CUTLASS lets all lanes of a warp store one box: equal writes are no race.
  Finding finding =
      isWrite && !reduces
          ? cta.checker->writeGlobal(who(), address, bytes, repeats)
          : cta.checker->readGlobal(who(), address, bytes);
  if (finding.kind != Finding::None)
    reportFinding(warp, inst, lane, finding, isWrite, true);
  // Reductions are atomic and may meet each other.
  if (reduces || (isWrite ? !buffer->writers : !buffer->readers))
    return true;
  Access access;
  access.mask = access.globalMask = 1u << lane;
  access.bytes = bytes;
  access.isWrite = isWrite;
  access.address[lane] = address;
  access.buffer[lane] = buffer;
  checkCtas(warp, inst, access, lane);
  return true;
}

bool BulkIssuer::barrier(uint32_t &offset) {
  return shared(form.barrier, "mbarrier", 8, 8, true, offset) &&
         cluster.mbarriers.check(warp, inst, 1u << lane, offset);
}

//===----------------------------------------------------------------------===//
// Issue
//===----------------------------------------------------------------------===//

/// Issues `op`, whose moves go to `to` and complete on the mbarrier.
void BulkIssuer::issueTo(SharedRange to, uint32_t barrier) {
  op.destination = cluster.ctas[cluster.rankOf(to.offset)].get();
  op.onBarrier = true;
  op.barrier = barrier;
  if (Checker *checker = cta.checker) {
    if (!op.serial)
      op.serial = startOp(*checker);
    report(checker->asyncWrite(who(), op.serial,
                               SharedSet::range(to.offset, to.bytes)),
           true);
  }
  cluster.bulk->issue(std::move(op));
}

/// The same bytes to the same place of every CTA in the mask, each counted on
/// the mbarrier at the same place there (PTX ISA, ".multicast::cluster").
bool BulkIssuer::multicast(SharedRange to, uint32_t barrier) {
  uint32_t mask = form.flags & BulkForm::kMulticast
                      ? value(form.ctaMask) & 0xffff
                      : 1u << cluster.rankOf(to.offset);
  if (mask >> cluster.size())
    return fail(IssueKind::OutOfBounds,
                "CTA mask: expected CTAs of a cluster of " +
                    std::to_string(cluster.size()) + ", got mask " +
                    std::to_string(mask));
  // Across a pair of CTAs the mbarrier may lie in the other one: then it does
  // so for every destination.
  uint32_t from = cluster.rankOf(to.offset);
  uint32_t barrierRank = cluster.rankOf(barrier);
  bool pair = form.flags & BulkForm::kPair;
  bool isMulticast = form.flags & BulkForm::kMulticast;
  if (!isMulticast && from != barrierRank &&
      !(pair && (from ^ 1) == barrierRank))
    return fail(IssueKind::Barrier,
                "mbarrier: expected it in the CTA of the destination, rank " +
                    std::to_string(from) + ", got rank " +
                    std::to_string(barrierRank));
  BulkOp one = std::move(op);
  std::byte *base = cluster.shared.get();
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint32_t rank = uint32_t(std::countr_zero(rest));
    if (!cluster.ctas[rank]->alive())
      return fail(IssueKind::OutOfBounds,
                  "CTA rank " + std::to_string(rank) +
                      " has ended: expected it to wait for its cluster");
    op = rest & (rest - 1) ? one : std::move(one);
    uint32_t offset = cluster.sameIn(rank, to.offset);
    for (BulkMove &move : op.moves)
      move.to += base + offset - (base + to.offset);
    uint32_t barrierIn = !isMulticast ? barrierRank
                         : pair       ? (rank & ~1u) | (barrierRank & 1)
                                      : rank;
    issueTo({offset, to.bytes}, cluster.sameIn(barrierIn, barrier));
    if (cta.launch.stop)
      return false;
  }
  return true;
}

/// Issues `op`, whose moves read `from`, into the lane's bulk group.
void BulkIssuer::issueToGlobal(SharedSet from) {
  op.readsShared = true;
  op.group = cluster.bulk->groupOf(warp, lane);
  if (Checker *checker = cta.checker) {
    op.serial = startOp(*checker);
    report(checker->asyncRead(who(), op.serial,
                              std::make_shared<SharedSet>(std::move(from)),
                              cta.checkUninitialised),
           false);
  }
  cluster.bulk->issue(std::move(op));
}

//===----------------------------------------------------------------------===//
// Counters
//===----------------------------------------------------------------------===//

void BulkIssuer::countGlobal(bool isWrite) {
  if (!warp.memory)
    return;
  MemoryCounts &counts = warp.memory[op.pc];
  uint64_t total = 0;
  for (size_t i = 0; i < globalRanges.size();) {
    auto [first, bytes] = globalRanges[i++];
    uint64_t end = first + bytes;
    for (; i < globalRanges.size() && globalRanges[i].first == end; ++i)
      end += globalRanges[i].second;
    counts.globalSectors += (end - 1) / 32 - first / 32 + 1;
    total += end - first;
  }
  counts.globalSectorsIdeal += (total + 31) / 32;
  (isWrite ? counts.stored : counts.loaded)[unsigned(Space::Global)] += total;
}

void BulkIssuer::countShared(uint64_t bytes, bool isWrite) {
  if (!warp.memory)
    return;
  MemoryCounts &counts = warp.memory[warp.pcOf(inst)];
  // The engine moves whole lines of 32 banks.
  counts.sharedWavefronts += (bytes + 127) / 128;
  counts.sharedWavefrontsIdeal += (bytes + 127) / 128;
  (isWrite ? counts.stored : counts.loaded)[unsigned(Space::Shared)] += bytes;
}

//===----------------------------------------------------------------------===//
// Linear copies
//===----------------------------------------------------------------------===//

bool BulkIssuer::load() {
  uint32_t bytes, to, at;
  if (!sizeOf(bytes) || !shared(form.to, "destination", bytes, 16, true, to) ||
      !barrier(at))
    return false;
  uint64_t from = addressOf(form.from);
  if (from % 16)
    return fail(IssueKind::Misaligned,
                "source: expected a multiple of 16, got global address " +
                    std::to_string(from));
  op.bytes = bytes;
  if (bytes) {
    BulkMove move;
    move.to = cluster.shared.get() + to;
    if (!global(from, bytes, false, move))
      return false;
    op.moves.push_back(move);
  }
  countGlobal(false);
  countShared(bytes, true);
  return multicast({to, bytes}, at);
}

/// From shared memory to that of a CTA of the cluster.
bool BulkIssuer::push() {
  uint32_t bytes, to, from, at;
  if (!sizeOf(bytes) || !shared(form.to, "destination", bytes, 16, true, to) ||
      !shared(form.from, "source", bytes, 16, false, from) || !barrier(at))
    return false;
  if (cluster.rankOf(from) != cta.rank)
    return fail(IssueKind::OutOfBounds,
                "source: expected an address of the own CTA, got " +
                    cluster.describeShared(from));
  op.bytes = bytes;
  op.readsShared = true;
  std::byte *base = cluster.shared.get();
  if (bytes)
    op.moves.push_back({base + to, base + from, bytes, nullptr});
  if (Checker *checker = cta.checker) {
    op.serial = startOp(*checker);
    auto set = std::make_shared<SharedSet>(SharedSet::range(from, bytes));
    report(checker->asyncRead(who(), op.serial, std::move(set),
                              cta.checkUninitialised),
           false);
  }
  countShared(bytes, false);
  countShared(bytes, true);
  return multicast({to, bytes}, at);
}

bool BulkIssuer::store() {
  uint32_t bytes, from;
  if (!sizeOf(bytes) || !shared(form.from, "source", bytes, 16, false, from))
    return false;
  uint64_t to = addressOf(form.to);
  if (to % 16)
    return fail(IssueKind::Misaligned,
                "destination: expected a multiple of 16, got global address " +
                    std::to_string(to));
  op.bytes = bytes;
  if (form.flags & BulkForm::kByteMask)
    op.byteMask = uint16_t(value(form.byteMask));
  if (bytes) {
    BulkMove move;
    move.from = cluster.shared.get() + from;
    if (!global(to, bytes, true, move))
      return false;
    op.moves.push_back(move);
  }
  countGlobal(true);
  countShared(bytes, false);
  issueToGlobal(SharedSet::range(from, bytes));
  return true;
}

bool BulkIssuer::prefetch() {
  uint32_t bytes;
  if (!sizeOf(bytes))
    return false;
  uint64_t from = addressOf(form.from);
  if (from % 16)
    return fail(IssueKind::Misaligned,
                "source: expected a multiple of 16, got global address " +
                    std::to_string(from));
  BufferMap *maps[] = {cta.launch.buffers, &cta.launch.variables};
  for (BufferMap *map : maps)
    if (map->containing(from, bytes))
      return true;
  return fail(
      IssueKind::OutOfBounds,
      "prefetches " + std::to_string(bytes) + " bytes at " +
          describeGlobal(*cta.launch.buffers, cta.launch.variables, from));
}

void flash::emu::runBulkLoad(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::load>(warp, inst, mask);
}

void flash::emu::runBulkPush(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::push>(warp, inst, mask);
}

void flash::emu::runBulkStore(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::store>(warp, inst, mask);
}

void flash::emu::runBulkPrefetch(Warp &warp, const Inst &inst, uint32_t mask) {
  issueByLane<&BulkIssuer::prefetch>(warp, inst, mask);
}

void flash::emu::runBulkWait(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.cta->cluster.bulk->waitGroups(warp, mask, inst.imm, inst.n != 0);
}

void flash::emu::runBulkCommit(Warp &warp, const Inst &, uint32_t mask) {
  warp.cta->cluster.bulk->commit(warp, mask);
}
