//===- Checker.h - Races and uninitialised shared memory --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Happens-before over the shared memory of one CTA, and over what it writes to
// global memory, by vector clocks whose unit is the lane.
//
// A warp counts *epochs*: it starts a new one whenever one of its lanes
// releases (arrives at a barrier, synchronises the warp, ...). An access is
// remembered as (warp, lanes, epoch, bytes) per 4-byte granule; it happened
// before lane L of warp W exactly if L's clock knows its lane at that epoch
// or later. All lanes of a warp share one clock until something acquires for
// a few of them only.
//
// Shuffles and votes order nothing. A barrier that all threads of the CTA
// reach orders everything before it: the checker then starts a new
// *generation* and granules forget what is older when next touched, which is
// what makes the common case cheap.
//
// An asynchronous copy is an agent of its own. From its issue until its lane
// waits for it, its destination belongs to it alone; the wait turns its record
// into an ordinary write of the waiting lane at that moment.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_CHECKER_H
#define FLASH_LIB_EMULATOR_CHECKER_H

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace flash::emu {

/// For every lane of every warp, the latest of its epochs that is known.
struct Clock {
  std::vector<uint32_t> epochs; ///< [warp][32]

  explicit Clock(unsigned warps = 0) : epochs(std::size_t(warps) * 32) {}
  void join(const Clock &other);
  uint32_t *row(unsigned warp) { return &epochs[std::size_t(warp) * 32]; }
  const uint32_t *row(unsigned warp) const {
    return &epochs[std::size_t(warp) * 32];
  }
};

/// What the lanes of one warp know.
struct WarpClock {
  Clock shared;             ///< Of all lanes, where `lanes` is empty.
  std::vector<Clock> lanes; ///< One per lane where they differ.
  uint32_t epoch = 1;
};

/// Who is accessing.
struct Accessor {
  uint16_t warp;
  uint8_t lane;
  bool strong; ///< Atomic or volatile: no race with another strong one.
  uint32_t pc;
};

/// What a check found; at most one finding per access is returned.
struct Finding {
  enum Kind : uint8_t {
    None,
    Race,          ///< With the access in `other*`.
    InFlight,      ///< Bytes that an asynchronous copy is still to write.
    Uninitialised, ///< Bytes that nobody has written.
  };
  Kind kind = None;
  bool otherIsWrite = false;
  uint32_t otherPc = 0;
  uint16_t otherWarp = 0;
  uint32_t otherLanes = 0;
  uint64_t offset = 0; ///< First byte concerned.
};

class Checker {
public:
  Checker(unsigned warps, uint32_t sharedBytes);

  /// Forgets everything: a new CTA starts.
  void reset();

  //===--- Accesses: [offset, offset + bytes) lies inside shared memory ---===//

  Finding read(const Accessor &who, uint32_t offset, unsigned bytes,
               bool checkInitialised);
  /// `silent`: the write stores what is there already, which no one can
  /// observe as a write-write race.
  Finding write(const Accessor &who, uint32_t offset, unsigned bytes,
                bool silent);
  /// The same for global addresses. Reads are not remembered there: inputs are
  /// read far more than anything is written, so that a write after an
  /// unordered read is found only from the side of the read.
  Finding readGlobal(const Accessor &who, uint64_t address, unsigned bytes);
  Finding writeGlobal(const Accessor &who, uint64_t address, unsigned bytes,
                      bool silent);
  /// An asynchronous copy with serial number `copy` is issued.
  Finding beginCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                    unsigned bytes);
  /// The issuing lane has waited for it.
  void endCopy(const Accessor &who, uint32_t copy, uint32_t offset,
               unsigned bytes);

  //===--- Synchronisation ------------------------------------------------===//

  /// Adds what `lanes` of `warp` know and did to `into`; starts an epoch.
  void release(unsigned warp, uint32_t lanes, Clock &into);
  /// `lanes` of `warp` learn `from`. `live` are the lanes that still run.
  void acquire(unsigned warp, uint32_t lanes, uint32_t live, const Clock &from);
  /// bar.warp.sync: `lanes` learn all that any of them knows.
  void syncWarp(unsigned warp, uint32_t lanes, uint32_t live);
  /// Whether lanes of `warp` know different things.
  bool lanesDiffer(unsigned warp) const { return !clocks[warp].lanes.empty(); }
  /// Every thread of the CTA has reached a barrier.
  void newGeneration();

  Clock makeClock() const { return Clock(unsigned(clocks.size())); }

private:
  struct Record {
    uint32_t epoch; ///< Or the serial number of an asynchronous copy.
    uint32_t lanes;
    uint32_t pc;
    uint16_t warp;
    uint8_t bytes;
    bool strong : 1;
    bool copy : 1;
  };

  struct Granule {
    uint32_t life = 0;       ///< CTA that `initialised` speaks of.
    uint32_t generation = 0; ///< Of the records; older ones do not matter.
    uint8_t initialised = 0; ///< Byte mask.
    uint8_t copies = 0;      ///< Number of records of copies in flight.
    std::vector<Record> writes, reads;
  };

  const Clock &known(unsigned warp, unsigned lane) const {
    const WarpClock &clock = clocks[warp];
    return clock.lanes.empty() ? clock.shared : clock.lanes[lane];
  }
  bool ordered(const Record &record, unsigned warp, unsigned lane) const;
  void refresh(Granule &granule);
  void readGranule(Granule &granule, const Accessor &who, uint32_t mask,
                   uint64_t at, bool checkInitialised, Finding &finding);
  void writeGranule(Granule &granule, const Accessor &who, uint32_t mask,
                    uint64_t at, bool silent, Finding &finding);
  void splitLanes(WarpClock &clock);

  std::vector<Granule> granules;                        ///< Shared memory.
  std::unordered_map<uint64_t, Granule> globalGranules; ///< By address / 4.
  std::vector<WarpClock> clocks;
  uint32_t life = 1;
  uint32_t generation = 1;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_CHECKER_H
