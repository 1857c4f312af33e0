//===- Checker.h - Races and uninitialised shared memory --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Happens-before over the shared memory of a cluster, and over what its CTAs
// write to global memory, by vector clocks whose unit is the lane.
//
// A warp counts *epochs*: it starts a new one whenever one of its lanes
// releases (arrives at a barrier, synchronises the warp, ...). An access is
// remembered as (warp, lanes, epoch, bytes) per 16-byte granule; it happened
// before lane L of warp W exactly if L's clock knows its lane at that epoch
// or later. All lanes of a warp share one clock until something acquires for
// a few of them only.
//
// Shuffles and votes order nothing. A barrier that all threads of a lone CTA
// reach orders everything before it: the checker then starts a new
// *generation* and granules forget what is older when next touched, which is
// what makes the common case cheap.
//
// Asynchronous operations are agents of their own. A cp.async owns its
// destination from its issue until its lane waits for it; the wait turns its
// record into an ordinary write of the waiting lane at that moment. Operations
// of the async proxy (bulk and tensor copies, wgmma, tcgen05) are numbered
// (`startOp`); what they touch is kept per 16-byte line (writes) and as a list
// of sets (reads), and whether they are over is looked up in a table, so that
// finishing one costs nothing. A finished one is known either to lanes that
// waited for it or to whoever knows a phase of the mbarrier it completed on:
// every mbarrier has a *slot* in each clock, which counts its phases.
//
// Proxies (PTX ISA, "Proxies"): what the generic proxy wrote is visible to the
// async proxy only past a fence.proxy.async. A clock therefore has a second
// half, `fenced`: what its owner knows to have been fenced, by the writer
// before it released or by itself after it acquired.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_CHECKER_H
#define FLASH_LIB_EMULATOR_CHECKER_H

#include "SharedSet.h"
#include "ShortList.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace flash::emu {

/// What somebody knows of everybody: for every lane of every warp the latest
/// of its epochs, for every mbarrier its latest phase, and of both what a proxy
/// fence has passed on.
class Clock {
public:
  explicit Clock(unsigned warps = 0)
      : lanes(warps * 32), entries(std::size_t(warps) * 64) {}
  void join(const Clock &other);
  uint32_t *row(unsigned warp) { return &entries[std::size_t(warp) * 32]; }
  const uint32_t *row(unsigned warp) const {
    return &entries[std::size_t(warp) * 32];
  }
  uint32_t *fencedRow(unsigned warp) { return row(warp) + lanes; }
  const uint32_t *fencedRow(unsigned warp) const { return row(warp) + lanes; }
  uint32_t phase(unsigned slot) const { return slotEntry(slot, 0); }
  uint32_t fencedPhase(unsigned slot) const { return slotEntry(slot, 1); }
  void setPhase(unsigned slot, uint32_t phase);
  /// A proxy fence: all that is known counts as fenced.
  void fence();

private:
  uint32_t slotEntry(unsigned slot, unsigned half) const {
    std::size_t at = (std::size_t(lanes) + slot) * 2 + half;
    return at < entries.size() ? entries[at] : 0;
  }

  uint32_t lanes;
  /// [known lanes][fenced lanes], then (known, fenced) of every slot.
  std::vector<uint32_t> entries;
};

/// What the lanes of one warp know.
struct WarpClock {
  Clock shared;             ///< Of all lanes, where `lanes` is empty.
  std::vector<Clock> lanes; ///< One per lane where they differ.
  uint32_t epoch = 1;
};

/// Who is accessing.
struct Accessor {
  uint16_t warp; ///< Its number in the cluster.
  uint8_t lane;
  bool strong; ///< Atomic or volatile: no race with another strong one.
  uint32_t pc;
};

/// What a check found; at most one finding per access is returned.
struct Finding {
  enum Kind : uint8_t {
    None,
    Race,          ///< With the access in `other*`.
    InFlight,      ///< Bytes that an asynchronous operation is still to write.
    BeingRead,     ///< Bytes that an asynchronous operation is still to read.
    Unfenced,      ///< A generic write that no proxy fence has passed on.
    Uninitialised, ///< Bytes that nobody has written.
  };
  Kind kind = None;
  uint8_t lane = 0; ///< Who is concerned, of several that access together.
  bool otherIsWrite = false;
  bool otherIsAsync = false;
  uint32_t otherPc = 0;
  uint16_t otherWarp = 0;
  uint32_t otherLanes = 0;
  uint64_t offset = 0; ///< First byte concerned.
};

class Checker {
public:
  /// Over `sharedBytes` bytes, the shared memory of a whole cluster.
  /// `asyncProxy`: the kernel has operations of the async proxy.
  Checker(unsigned warps, uint32_t sharedBytes, bool asyncProxy);

  /// Forgets everything: a new cluster starts.
  void reset();

  //===--- Accesses: [offset, offset + bytes) lies inside shared memory ---===//

  Finding read(const Accessor &who, uint32_t offset, unsigned bytes,
               bool checkInitialised);
  /// `silent`: the write stores what is there already, which no one can
  /// observe as a write-write race.
  Finding write(const Accessor &who, uint32_t offset, unsigned bytes,
                bool silent);
  /// The same for 16 aligned bytes at once of which 2, 4, 8 or 16 `lanes` read
  /// (write) equal parts, in rising order. `first` is the lowest of them.
  Finding readSpread(const Accessor &first, uint32_t lanes, uint32_t offset,
                     bool checkInitialised);
  Finding writeSpread(const Accessor &first, uint32_t lanes, uint32_t offset,
                      bool silent);
  /// The same for global addresses. Reads are not remembered there: inputs are
  /// read far more than anything is written, so that a write after an
  /// unordered read is found only from the side of the read.
  Finding readGlobal(const Accessor &who, uint64_t address, unsigned bytes);
  Finding writeGlobal(const Accessor &who, uint64_t address, unsigned bytes,
                      bool silent);

  /// The bytes of [offset, offset + bytes) that nobody has written, as a mask.
  uint32_t unwritten(uint32_t offset, unsigned bytes) const;
  /// These count as never written again.
  void unwrite(uint32_t offset, unsigned bytes);

  //===--- cp.async -------------------------------------------------------===//

  /// An asynchronous copy with serial number `copy` is issued.
  Finding beginCopy(const Accessor &who, uint32_t copy, uint32_t offset,
                    unsigned bytes);
  /// The issuing lane has waited for it.
  void endCopy(const Accessor &who, uint32_t copy, uint32_t offset,
               unsigned bytes);
  /// It completed on phase `phase` of the mbarrier of `slot`.
  void endCopy(const Accessor &who, uint32_t copy, uint32_t offset,
               unsigned bytes, unsigned slot, uint32_t phase);

  //===--- Operations of the async proxy ----------------------------------===//

  /// Numbers an operation that `issuer` issues now; never 0.
  /// `reduces`: it combines into what is there, as others may at that time.
  uint32_t startOp(const Accessor &issuer, bool reduces = false);
  /// The operation will read (write) these bytes at some time before it is
  /// finished.
  Finding asyncRead(const Accessor &issuer, uint32_t op,
                    std::shared_ptr<const SharedSet> set,
                    bool checkInitialised = true);
  Finding asyncWrite(const Accessor &issuer, uint32_t op, const SharedSet &set);
  /// It is over, and whoever knows phase `phase` of the mbarrier of `slot`
  /// knows so.
  void finishOp(uint32_t op, unsigned slot, uint32_t phase);
  /// It is over, and `lanes` of `warp` have waited for it. Up to four warps may
  /// say so of one operation (a wgmma belongs to a warpgroup, and whoever knows
  /// of one of its lanes that it waited knows that the operation is over).
  void finishOpByLanes(uint32_t op, unsigned warp, uint32_t lanes);

  //===--- Synchronisation ------------------------------------------------===//

  /// Adds what `lanes` of `warp` know and did to `into`; starts an epoch.
  void release(unsigned warp, uint32_t lanes, Clock &into);
  /// `lanes` of `warp` learn `from`. `live` are the lanes that still run.
  void acquire(unsigned warp, uint32_t lanes, uint32_t live, const Clock &from);
  /// bar.warp.sync: `lanes` learn all that any of them knows.
  void syncWarp(unsigned warp, uint32_t lanes, uint32_t live);
  /// fence.proxy.async by `lanes`.
  void fenceProxy(unsigned warp, uint32_t lanes, uint32_t live);
  /// Whether lanes of `warp` know different things.
  bool lanesDiffer(unsigned warp) const { return !clocks[warp].lanes.empty(); }
  /// Every thread of a lone CTA has reached a barrier.
  void newGeneration();

  //===--- For tensor memory, which keeps records of its own --------------===//

  uint32_t epochOf(unsigned warp) const { return clocks[warp].epoch; }
  /// Whether (warp, lane) knows of any lane of `other` at `epoch`.
  bool knows(unsigned warp, unsigned lane, unsigned other,
             uint32_t epoch) const {
    return knowsAny(known(warp, lane), other, epoch);
  }
  /// Whether (warp, lane) knows that the operation is over.
  bool knowsFinished(uint32_t op, unsigned warp, unsigned lane) const {
    return ops[op].state != Op::InFlight && ordered(ops[op], warp, lane);
  }
  /// tcgen05.fence::after_thread_sync by `lanes`. The two questions above, of
  /// what some lane of the warp knew at such a fence:
  void fenceTensor(unsigned warp, uint32_t lanes);
  bool knewAtFence(unsigned warp, unsigned other, uint32_t epoch) const {
    return !tensorFenced.empty() && knowsAny(tensorFenced[warp], other, epoch);
  }
  bool knewFinishedAtFence(uint32_t op, unsigned warp) const {
    return !tensorFenced.empty() && ops[op].state == Op::OnMbarrier &&
           tensorFenced[warp].phase(ops[op].slot) >= ops[op].phase;
  }

  Clock makeClock() const { return Clock(unsigned(clocks.size())); }

private:
  static bool knowsAny(const Clock &clock, unsigned warp, uint32_t epoch);

  struct Record {
    uint32_t epoch; ///< Of cp.async: its serial number, or the phase.
    uint32_t lanes; ///< Of kOnMbarrier: the slot.
    uint32_t pc;
    uint16_t bytes;     ///< Of the granule.
    uint16_t warp : 12; ///< kOnMbarrier: a cp.async that completed on one.
    uint16_t isWrite : 1;
    uint16_t strong : 1;
    uint16_t copy : 1; ///< A cp.async in flight; also a write.
    /// 2, 4, 8 or 16 lanes, each for its part of the granule, in rising order.
    uint16_t spread : 1;
  };
  static_assert(sizeof(Record) == 16);
  static constexpr uint16_t kOnMbarrier = 0xfff;

  /// Who is accessing a granule: one lane, or several as in Record::spread.
  struct Party {
    uint32_t lanes;
    uint32_t pc;
    uint16_t warp;
    bool strong, spread;

    explicit Party(const Accessor &who)
        : lanes(1u << who.lane), pc(who.pc), warp(who.warp), strong(who.strong),
          spread(false) {}
    Party(const Accessor &first, uint32_t lanes)
        : lanes(lanes), pc(first.pc), warp(first.warp), strong(first.strong),
          spread(true) {}
    /// The lane that accesses the first of `bytes`.
    unsigned firstLane(uint32_t bytes) const;
    uint32_t partOf(unsigned lane) const;
  };

  /// What is known of 16 bytes.
  struct alignas(64) Granule {
    uint32_t life = 0;        ///< Cluster that `initialised` speaks of.
    uint32_t generation = 0;  ///< Of the records; older ones do not matter.
    uint16_t initialised = 0; ///< Byte mask.
    uint16_t copies = 0;      ///< Number of records of copies in flight.
    ShortList<Record, 6> records;
  };
  static_assert(sizeof(Granule) == 128);

  /// An operation of the async proxy.
  struct Op {
    enum State : uint8_t { InFlight, OnMbarrier, Waited } state = InFlight;
    bool reduces = false;
    uint8_t lane = 0;  ///< Issuer.
    uint16_t warp = 0; ///< Issuer.
    uint32_t pc = 0;
    uint32_t slot = 0, phase = 0; ///< OnMbarrier.
    /// Waited: who did, and when. The four warps of a warpgroup wait for one
    /// operation, each for itself.
    struct Waiter {
      uint16_t warp = 0;
      uint32_t lanes = 0;
      uint32_t epoch = 0;
    };
    std::array<Waiter, 4> waiters;
  };

  /// 16 bytes of shared memory.
  struct Line {
    uint32_t life = 0;
    uint32_t write = 0; ///< The last operation that wrote it, 0 if none.
  };

  struct AsyncReader {
    uint32_t op;
    std::shared_ptr<const SharedSet> set;
  };

  const Clock &known(unsigned warp, unsigned lane) const {
    const WarpClock &clock = clocks[warp];
    return clock.lanes.empty() ? clock.shared : clock.lanes[lane];
  }
  static uint32_t lanesOf(const Record &record, uint32_t bytes);
  static bool knows(const Clock &clock, const Record &record, uint32_t lanes);
  bool ordered(const Record &record, uint32_t bytes, const Party &who) const;
  unsigned lateLane(const Record &record, uint32_t bytes,
                    const Party &who) const;
  bool ordered(const Op &op, unsigned warp, unsigned lane) const;
  bool fenced(const Record &record, const Accessor &who) const;
  static Finding found(Finding::Kind kind, const Record &record, uint32_t bytes,
                       unsigned lane, uint64_t first);
  static Finding uninitialised(unsigned lane, uint64_t at);
  void conflictsWith(const Record &other, const Party &who, uint32_t mask,
                     uint64_t first, Finding &finding) const;
  void refresh(Granule &granule);
  bool readQuickly(Granule &granule, const Party &who, uint32_t mask);
  void readGranule(Granule &granule, const Party &who, uint32_t mask,
                   uint64_t first, bool checkInitialised, Finding &finding);
  void writeGranule(Granule &granule, const Party &who, uint32_t mask,
                    uint64_t first, bool silent, Finding &finding);
  void conflictsWith(const Op &op, bool isWrite, const Accessor &who,
                     uint64_t at, Finding &finding) const;
  void conflictsWithWriter(const Accessor &who, uint32_t line, uint64_t at,
                           Finding &finding) const;
  void conflictsWithReaders(const Accessor &who, uint32_t offset,
                            uint32_t bytes, Finding &finding) const;
  void conflictsWithReaders(const Accessor &who, const SharedSet &set,
                            Finding &finding) const;
  void addReader(AsyncReader reader);
  void dropReaders(bool onlyKnownToAll);
  /// The bytes of a granule that exist, as a mask.
  uint32_t bytesOf(uint32_t granule) const {
    return sharedBytes - granule * 16 < 16 ? (1u << sharedBytes % 16) - 1
                                           : 0xffff;
  }
  bool asyncWritten(uint32_t line) const {
    return lines[line].life == life && lines[line].write;
  }
  void splitLanes(WarpClock &clock);

  std::vector<Granule> granules;                        ///< Shared memory.
  std::vector<Line> lines;                              ///< The same.
  std::unordered_map<uint64_t, Granule> globalGranules; ///< By address / 16.
  std::vector<Clock> tensorFenced; ///< By warp; empty before any fence.
  std::vector<WarpClock> clocks;
  std::vector<Op> ops;
  std::vector<AsyncReader> readers;
  static constexpr uint32_t kReaderBlock = 256;
  /// Readers that touch each block of kReaderBlock bytes.
  std::vector<uint16_t> readerBlocks;
  std::size_t readerLimit = 0;
  uint32_t life = 1;
  uint32_t generation = 1;
  const uint32_t sharedBytes;
  const bool asyncProxy;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_CHECKER_H
