//===- Mbarrier.h - Barriers in shared memory -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mbarrier objects (PTX ISA, "Parallel Synchronization and Communication
// Instructions: mbarrier"). The state lives in the object's 8 bytes of shared
// memory: the arrivals each phase expects, those still pending, the bytes still
// to come, and the parity of the phase under way. A phase ends when neither
// arrivals nor bytes are pending. Beside it this table keeps what shared
// memory cannot hold: what an arrival makes known to whoever waits.
//
// Addresses are offsets in Cluster::shared, as resolve() leaves them.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_MBARRIER_H
#define FLASH_LIB_EMULATOR_MBARRIER_H

#include "Checker.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace flash::emu {

struct Cluster;
struct Inst;
struct Warp;

/// The 8 bytes of an mbarrier.
struct MbarrierState {
  uint32_t expected = 0; ///< Arrivals of the next phase, 20 bits.
  uint32_t pending = 0;  ///< Arrivals that are missing, 20 bits.
  int32_t bytes = 0;     ///< Bytes that are missing, 23 bits signed.
  bool parity = false;   ///< Of the phase under way.

  static MbarrierState unpack(uint64_t word);
  uint64_t pack() const;
};

/// Whose completion an asynchronous operation is part of.
struct MbarrierTicket {
  uint32_t slot = 0, phase = 0;
};

class Mbarriers {
public:
  static constexpr uint32_t kMaxCount = (1u << 20) - 1;

  explicit Mbarriers(Cluster &cluster) : cluster(cluster) {}
  void reset() {
    table.clear();
    slots = 0;
  }
  /// A slot of the clocks for whoever counts phases without an mbarrier.
  uint32_t newSlot() { return ++slots; }

  // All that follows reports misuse against the instruction and ends the
  // launch then; the result is false.

  bool init(Warp &warp, const Inst &inst, unsigned lane, uint32_t offset,
            uint32_t count);
  bool invalidate(Warp &warp, const Inst &inst, unsigned lane, uint32_t offset);
  /// How an arrival differs from a plain one.
  struct Arrival {
    uint32_t count = 1;
    uint32_t expectBytes = 0;
    bool drop = false;       ///< Later phases expect `count` fewer, too.
    bool noComplete = false; ///< Must not end the phase.
    bool releases = true;    ///< Not `.relaxed`.
  };
  /// `lanes` arrive one after the other; `token` (may be null) receives by
  /// lane the state before its arrival.
  bool arrive(Warp &warp, const Inst &inst, uint32_t lanes, uint32_t offset,
              const Arrival &arrival, uint64_t *token);
  bool expectBytes(Warp &warp, const Inst &inst, uint32_t offset,
                   uint32_t bytes);
  /// Bytes arrive from an asynchronous operation or from complete_tx.
  bool completeBytes(Warp &warp, const Inst &inst, uint32_t offset,
                     uint32_t bytes);
  /// An asynchronous operation arrives, which the thread that issued it does
  /// not: nothing else it did becomes known, but for `known` (may be null).
  bool arriveAsync(Warp &warp, const Inst &inst, uint32_t offset,
                   uint32_t count = 1, const Clock *known = nullptr);
  /// cp.async.mbarrier.arrive without .noinc: one more arrival is pending.
  bool addPending(Warp &warp, const Inst &inst, uint32_t offset);

  /// Whether the phase of that parity (of `token`) is over.
  bool passed(uint32_t offset, bool parity) const;
  /// The lanes have seen a phase end.
  void acquire(Warp &warp, uint32_t lanes, uint32_t offset);
  /// An initialised mbarrier that these lanes may use.
  bool check(Warp &warp, const Inst &inst, uint32_t lanes, uint32_t offset);

  /// For Checker::finishOp: the phase that is under way.
  MbarrierTicket ticket(uint32_t offset) const;
  /// Every mbarrier that is not at rest, a line each, for reports of deadlocks.
  std::string describe() const;
  std::string describe(uint32_t offset) const;

private:
  struct Entry {
    uint32_t slot = 0;      ///< In the clocks; fixed by the offset.
    uint32_t completed = 0; ///< Phases, over all initialisations.
    bool live = false;
    uint64_t word = 0;           ///< What must be in memory.
    Clock pending, visible;      ///< Of arrivals; of completed phases.
    std::vector<uint32_t> users; ///< By warp: lanes checked against init.
  };

  Entry *find(uint32_t offset);
  const Entry *find(uint32_t offset) const;
  bool fail(Warp &warp, const Inst &inst, uint32_t lanes, std::string message);
  void store(Entry &entry, uint32_t offset, const MbarrierState &state);
  /// Ends the phase if nothing is pending.
  void settle(Entry &entry, uint32_t offset, MbarrierState state);

  Cluster &cluster;
  std::unordered_map<uint32_t, Entry> table;
  uint32_t slots = 0;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_MBARRIER_H
