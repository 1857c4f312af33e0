//===- AsyncEngine.h - Asynchronous copies of a warp ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async operations between issue and wait. An operation has two moments:
// it *transfers* (source read, destination written) when the async mode says,
// and it *completes* (its bytes may be used) when its lane waits for it. In
// lazy mode both are the same, which makes a missing wait or a source that is
// reused too early visible in the data.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_ASYNCENGINE_H
#define FLASH_LIB_EMULATOR_ASYNCENGINE_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace flash::emu {

struct MbarrierTicket;
struct Warp;

/// One executed cp.async instruction: up to 32 lane copies.
struct AsyncCopy {
  uint32_t serial = 0; ///< Names it to the race checker.
  uint32_t pc = 0;
  uint32_t pending = 0;                 ///< Lanes that have not waited for it.
  uint32_t transferred = 0;             ///< Lanes whose bytes have moved.
  uint32_t bytes = 0;                   ///< Written per lane: 4, 8 or 16.
  std::array<uint32_t, 32> destination; ///< Offset in Cluster::shared.
  std::array<uint32_t, 32> sourceBytes; ///< The rest is zero-filled.
  std::array<const std::byte *, 32> source;
  std::array<uint32_t, 32> group; ///< Sequence number of the commit group.
};

/// The copies of one warp, oldest first.
class AsyncQueue {
public:
  void reset();
  /// Takes over an issued copy; transfers at once in eager mode, poisons the
  /// destination otherwise.
  void issue(Warp &warp, AsyncCopy &&copy);
  /// Closes the current group of each lane.
  void commit(uint32_t lanes);
  /// Completes, for each lane, all groups but its `allowed` latest ones.
  void waitGroups(Warp &warp, uint32_t lanes, uint64_t allowed);
  /// Completes everything the lanes issued, committed or not.
  void waitAll(Warp &warp, uint32_t lanes);
  /// Completes what `lane` issued before serial number `limit`: that they are
  /// over is part of a phase of an mbarrier.
  void completeFor(Warp &warp, unsigned lane, uint32_t limit,
                   const MbarrierTicket &ticket);
  /// Random mode: transfers some copies now.
  void step(Warp &warp);
  /// A warp ends: what nobody waited for still transfers.
  void drain(Warp &warp);
  bool empty() const { return copies.empty(); }
  uint32_t groupOf(unsigned lane) const { return committed[lane]; }

private:
  void transfer(Warp &warp, AsyncCopy &copy, uint32_t lanes);
  void complete(Warp &warp, AsyncCopy &copy, uint32_t lanes);
  void dropCompleted();

  std::deque<AsyncCopy> copies;
  std::array<uint32_t, 32> committed = {};
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_ASYNCENGINE_H
