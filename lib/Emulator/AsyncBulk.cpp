//===- AsyncBulk.cpp - Bulk and tensor copies in flight ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AsyncBulk.h"
#include "Cluster.h"
#include "Lanes.h"
#include "TensorBox.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;

namespace {

const Inst &instOf(const BulkOp &op) { return op.warp->program->code[op.pc]; }

void fillBytes(const BulkOp &op, std::byte *to, uint32_t bytes) {
  if (!op.fill) {
    std::memset(to, 0, bytes);
    return;
  }
  for (uint32_t i = 0; i + op.fillBytes <= bytes; i += op.fillBytes)
    std::memcpy(to + i, &op.fill, op.fillBytes);
}

void copyMasked(std::byte *to, const std::byte *from, uint32_t bytes,
                uint16_t mask) {
  if (mask == 0xffff) {
    std::memcpy(to, from, bytes);
    return;
  }
  for (uint32_t i = 0; i < bytes; ++i)
    if (mask >> (i % 16) & 1)
      to[i] = from[i];
}

void clearUnread(uint8_t *unread, uint32_t bytes, uint16_t mask) {
  if (unread)
    for (uint32_t i = 0; i < bytes; ++i)
      if (mask >> (i % 16) & 1)
        unread[i] = 0;
}

} // namespace

void BulkEngine::reset() {
  ops.clear();
  committed.clear();
}

//===----------------------------------------------------------------------===//
// One operation
//===----------------------------------------------------------------------===//

/// Reads the source.
void BulkEngine::read(BulkOp &op) {
  if (op.sampled)
    return;
  op.sampled = true;
  op.sample.resize(op.bytes);
  std::byte *to = op.sample.data();
  for (const BulkMove &move : op.moves) {
    if (move.from) {
      std::memcpy(to, move.from, move.bytes);
      convertLoaded(op.loadedAs, to, move.bytes);
    } else {
      fillBytes(op, to, move.bytes);
    }
    to += move.bytes;
  }
}

/// Writes the destination.
void BulkEngine::write(BulkOp &op) {
  if (op.written)
    return;
  op.written = true;
  // Most copies read and write at once.
  if (!op.sampled && op.reduce == BulkReduce::None) {
    for (const BulkMove &move : op.moves) {
      if (!move.from) {
        fillBytes(op, move.to, move.bytes);
        continue;
      }
      copyMasked(move.to, move.from, move.bytes, op.byteMask);
      convertLoaded(op.loadedAs, move.to, move.bytes);
      clearUnread(move.unread, move.bytes, op.byteMask);
    }
    op.sampled = true;
    return;
  }
  read(op);
  // CTAs on other host threads reduce into the same buffers.
  std::unique_lock<std::mutex> lock(op.warp->cta->launch.atomicsMutex,
                                    std::defer_lock);
  if (!op.destination && op.reduce != BulkReduce::None)
    lock.lock();
  const std::byte *from = op.sample.data();
  for (const BulkMove &move : op.moves) {
    if (op.reduce == BulkReduce::None)
      copyMasked(move.to, from, move.bytes, op.byteMask);
    else
      bulkReduce(op.reduce, op.type, move.to, from, move.bytes);
    clearUnread(move.unread, move.bytes, op.byteMask);
    from += move.bytes;
  }
  op.sample = {};
}

/// Moves all bytes; an operation on an mbarrier is over with that.
void BulkEngine::complete(BulkOp &op) {
  write(op);
  if (!op.onBarrier)
    return;
  op.over = true;
  if (op.serial) {
    MbarrierTicket ticket = cluster.mbarriers.ticket(op.barrier);
    cluster.checker->finishOp(op.serial, ticket.slot, ticket.phase);
  }
  cluster.mbarriers.completeBytes(*op.warp, instOf(op), op.barrier,
                                  uint32_t(op.bytes));
}

void BulkEngine::dropOver() {
  std::erase_if(ops, [](const BulkOp &op) { return op.over; });
}

//===----------------------------------------------------------------------===//
// Issue and wait
//===----------------------------------------------------------------------===//

void BulkEngine::issue(BulkOp &&issued) {
  ops.push_back(std::move(issued));
  BulkOp &op = ops.back();
  if (cluster.launch.config->async == AsyncMode::Eager) {
    complete(op);
    if (op.over)
      ops.pop_back();
    return;
  }
  // Quiet NaNs in every format: early readers see what they deserve. A
  // reduction needs what is there.
  if (op.destination && op.reduce == BulkReduce::None)
    for (const BulkMove &move : op.moves)
      std::memset(move.to, 0xff, move.bytes);
}

uint32_t BulkEngine::groupOf(const Warp &warp, unsigned lane) {
  return committed[warp.agent][lane];
}

void BulkEngine::commit(const Warp &warp, uint32_t lanes) {
  auto &counts = committed[warp.agent];
  forLanes(lanes, [&](unsigned lane) { ++counts[lane]; });
}

void BulkEngine::waitGroups(Warp &warp, uint32_t lanes, uint64_t allowed,
                            bool onlyRead) {
  const auto &counts = committed[warp.agent];
  for (BulkOp &op : ops) {
    if (op.onBarrier || op.warp != &warp || !(lanes >> op.lane & 1) ||
        op.group + allowed >= counts[op.lane])
      continue;
    if (onlyRead)
      read(op);
    else
      write(op);
    if (op.serial && !op.readWaited)
      cluster.checker->finishOpByLanes(op.serial, warp.agent, 1u << op.lane);
    op.readWaited = true;
    op.over = !onlyRead;
  }
  dropOver();
}

bool BulkEngine::demand(uint32_t offset) {
  for (auto op = ops.begin(); op != ops.end(); ++op)
    if (op->onBarrier && op->barrier == offset) {
      complete(*op);
      ops.erase(op);
      return true;
    }
  return false;
}

void BulkEngine::step(Random &random) {
  for (BulkOp &op : ops) {
    if (op.written || random.below(4))
      continue;
    // A store may have read its source long before it writes.
    if (!op.onBarrier && !op.sampled)
      read(op);
    else
      complete(op);
  }
  dropOver();
}

void BulkEngine::drain(Cta &cta) {
  // Shared memory is the CTA's until its end, and no longer.
  auto report = [&](const BulkOp &op, const char *what) {
    if (cluster.launch.config->checks.races &&
        cta.wants(IssueKind::Race, *op.warp, &instOf(op)))
      op.warp->cta->report(IssueKind::Race, *op.warp, &instOf(op),
                           1u << op.lane, what);
  };
  for (BulkOp &op : ops) {
    bool reads = op.readsShared && op.warp->cta == &cta;
    if (op.destination == &cta)
      report(op, "a CTA ends while this copy may still write its shared "
                 "memory: expected a wait on the copy's mbarrier before");
    else if (reads && !op.readWaited)
      report(op, "the CTA ends while this copy may still read its shared "
                 "memory: expected a wait for the copy before");
    else if (!reads)
      continue;
    complete(op);
    op.over = true;
  }
  dropOver();
}

std::string BulkEngine::pending() const {
  std::string text;
  for (const BulkOp &op : ops) {
    if (op.written)
      continue;
    text += "\n  copy of " + std::to_string(op.bytes) +
            " bytes in flight, line " +
            std::to_string(op.warp->program->meta[op.pc].line) + ", by " +
            cluster.describeWarp(op.warp->agent);
    if (op.onBarrier)
      text += ", for the mbarrier at " + cluster.describeShared(op.barrier);
    else
      text += ", in bulk group " + std::to_string(op.group) + " of lane " +
              std::to_string(op.lane);
  }
  return text;
}
