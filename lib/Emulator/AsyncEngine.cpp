//===- AsyncEngine.cpp - Asynchronous copies of a warp ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AsyncEngine.h"
#include "Cluster.h"
#include "Lanes.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;

void AsyncQueue::reset() {
  copies.clear();
  committed.fill(0);
}

void AsyncQueue::transfer(Warp &warp, AsyncCopy &copy, uint32_t lanes) {
  std::byte *shared = warp.cta->cluster.shared.get();
  forLanes(lanes & ~copy.transferred, [&](unsigned lane) {
    std::byte *to = shared + copy.destination[lane];
    uint32_t bytes = copy.sourceBytes[lane];
    if (bytes)
      std::memcpy(to, copy.source[lane], bytes);
    std::memset(to + bytes, 0, copy.bytes - bytes);
  });
  copy.transferred |= lanes;
}

void AsyncQueue::complete(Warp &warp, AsyncCopy &copy, uint32_t lanes) {
  transfer(warp, copy, lanes);
  if (Checker *checker = warp.cta->checker)
    forLanes(lanes, [&](unsigned lane) {
      Accessor who{uint16_t(warp.agent), uint8_t(lane), false, copy.pc};
      checker->endCopy(who, copy.serial, copy.destination[lane], copy.bytes);
    });
  copy.pending &= ~lanes;
}

void AsyncQueue::dropCompleted() {
  std::erase_if(copies, [](const AsyncCopy &c) { return c.pending == 0; });
}

void AsyncQueue::issue(Warp &warp, AsyncCopy &&copy) {
  copies.push_back(std::move(copy));
  AsyncCopy &issued = copies.back();
  switch (warp.cta->launch.config->async) {
  case AsyncMode::Eager:
    transfer(warp, issued, issued.pending);
    break;
  case AsyncMode::Lazy:
  case AsyncMode::Random:
    // Quiet NaNs in every format: early readers see what they deserve.
    forLanes(issued.pending, [&](unsigned lane) {
      std::memset(warp.cta->cluster.shared.get() + issued.destination[lane],
                  0xff, issued.bytes);
    });
    break;
  }
}

void AsyncQueue::commit(uint32_t lanes) {
  forLanes(lanes, [&](unsigned lane) { ++committed[lane]; });
}

void AsyncQueue::waitGroups(Warp &warp, uint32_t lanes, uint64_t allowed) {
  for (AsyncCopy &copy : copies) {
    uint32_t due = 0;
    forLanes(copy.pending & lanes, [&](unsigned lane) {
      if (copy.group[lane] + allowed < committed[lane])
        due |= 1u << lane;
    });
    if (due)
      complete(warp, copy, due);
  }
  dropCompleted();
}

void AsyncQueue::waitAll(Warp &warp, uint32_t lanes) {
  for (AsyncCopy &copy : copies)
    if (uint32_t due = copy.pending & lanes)
      complete(warp, copy, due);
  dropCompleted();
}

void AsyncQueue::completeFor(Warp &warp, unsigned lane, uint32_t limit,
                             const MbarrierTicket &ticket) {
  uint32_t mask = 1u << lane;
  for (AsyncCopy &copy : copies) {
    if (copy.serial >= limit || !(copy.pending & mask))
      continue;
    transfer(warp, copy, mask);
    copy.pending &= ~mask;
    if (Checker *checker = warp.cta->checker) {
      Accessor who{uint16_t(warp.agent), uint8_t(lane), false, copy.pc};
      checker->endCopy(who, copy.serial, copy.destination[lane], copy.bytes,
                       ticket.slot, ticket.phase);
    }
  }
  dropCompleted();
}

void AsyncQueue::step(Warp &warp) {
  for (AsyncCopy &copy : copies)
    if (copy.transferred != (copy.transferred | copy.pending)) {
      uint32_t lanes = uint32_t(warp.cta->cluster.random.next()) & copy.pending;
      transfer(warp, copy, lanes);
    }
}

void AsyncQueue::drain(Warp &warp) {
  for (AsyncCopy &copy : copies)
    transfer(warp, copy, copy.pending);
}
