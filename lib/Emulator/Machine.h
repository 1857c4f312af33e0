//===- Machine.h - State of a running kernel --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A launch has clusters of CTAs, a CTA has warps, a warp has groups of lanes
// that share a pc. One host thread runs one cluster at a time, from its first
// instruction to its last. A launch without clusters has clusters of one CTA.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_MACHINE_H
#define FLASH_LIB_EMULATOR_MACHINE_H

#include "AsyncEngine.h"
#include "Checker.h"
#include "Memory.h"
#include "Program.h"
#include "RegisterPool.h"
#include "TensorMemory.h"
#include "Unwritten.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

namespace flash::emu {

struct Cluster;
struct Cta;
class Warpgroups;
struct WarpgroupsDelete {
  void operator()(Warpgroups *warpgroups) const;
};

/// Small seeded generator (splitmix64).
struct Random {
  uint64_t state = 0;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  /// Uniform in [0, bound).
  uint32_t below(uint32_t bound) {
    return uint32_t((next() >> 32) * bound >> 32);
  }
};

/// Memory counters of one instruction.
struct MemoryCounts {
  uint64_t sharedWavefronts = 0, sharedWavefrontsIdeal = 0;
  uint64_t globalSectors = 0, globalSectorsIdeal = 0;
  std::array<uint64_t, kNumSpaces> loaded = {}, stored = {};
};

/// Counts of one host thread, by pc; summed when the launch ends.
struct ThreadCounts {
  /// How often each instruction was issued, while the launch runs as the
  /// difference from the one before: instructions count by stretches.
  std::vector<uint64_t> issued;
  /// Of instructions whose shape is not known before they run.
  std::vector<uint64_t> tensorFlops;
  std::vector<MemoryCounts> memory; ///< Empty unless counters are asked for.
};

/// Collects issues from all host threads, folding repetitions.
class IssueSink {
public:
  IssueSink(const Program &program, unsigned maxIssues)
      : program(program), maxIssues(maxIssues) {}

  /// Counts an issue; true if it is a new one that wants its message.
  bool wants(IssueKind kind, uint32_t pc, uint32_t otherPc);
  void add(IssueKind kind, const Cta *cta, const Warp *warp, uint32_t pc,
           uint32_t otherPc, uint32_t lanes, std::string message);
  void finish(Report &report);

private:
  const Program &program;
  const unsigned maxIssues;
  std::mutex mutex;
  std::unordered_map<uint64_t, uint64_t> counts;
  std::vector<Issue> issues;
  std::vector<uint64_t> keys;
};

constexpr uint32_t kNoPc = ~0u;

/// What all CTAs of a launch share.
struct Launch {
  const Program *program = nullptr;
  const LaunchConfig *config = nullptr;
  BufferMap *buffers = nullptr; ///< Of the device.
  BufferMap variables;          ///< Module variables of this launch.
  std::span<const std::byte> params;
  uint32_t sharedBytes = 0;
  IssueSink *sink = nullptr;
  std::atomic<bool> stop = false; ///< Set by issues that end the launch.
  std::mutex atomicsMutex;        ///< Global atomics of parallel CTAs.
};

/// Lanes of a warp at one pc.
struct Group {
  enum State : uint8_t {
    Runnable,
    Spinning,  ///< Went round a polling loop; runs when no other group can.
    WaitLanes, ///< At a `.sync` instruction whose lanes are not all there.
    AtBarrier, ///< Arrived; `barrier` will release it.
    Waiting,   ///< At a Kind::Wait instruction; tried again when something
               ///< in the cluster has changed.
  };
  uint32_t pc = 0;
  uint32_t mask = 0;
  State state = Runnable;
  uint8_t barrier = 0;
  bool timedOut = false;    ///< Tried again although nothing has changed.
  uint32_t seenChanges = 0; ///< Cluster::changes when it began to wait.
};

struct alignas(64) Warp {
  std::byte *registers = nullptr; ///< Rows and predicates, then constants.
  Cta *cta = nullptr;
  const Program *program = nullptr;
  uint64_t *issued = nullptr;      ///< See ThreadCounts.
  uint64_t *tensorFlops = nullptr; ///< By pc, of tcgen05.mma.
  MemoryCounts *memory = nullptr;  ///< By pc, null without counters.
  uint32_t id = 0;
  uint32_t agent = 0; ///< Its number in the cluster.
  uint32_t live = 0;  ///< Lanes that have not exited.
  uint32_t carry = 0; ///< CC.CF of each lane.
  bool polled = false;
  uint32_t spins = 0;
  /// A Kind::Wait handler sets it to block the lanes, which then execute the
  /// instruction again when something has changed.
  bool blocked = false;
  /// Told to a Kind::Wait handler: nothing else can run, so that it should
  /// give up now if it may.
  bool timedOut = false;
  std::vector<Group> groups;
  std::vector<uint32_t> initialised; ///< Masks of tracked registers.
  std::vector<uint32_t> loading; ///< Masks of Program::loadNumber registers.
  Unwritten unwritten;
  std::byte *local = nullptr;   ///< [lane][localBytes]
  Buffer *lastBuffer = nullptr; ///< Where the last global access hit.
  AsyncQueue async;

  uint32_t pcOf(const Inst &inst) const {
    return uint32_t(&inst - program->code.data());
  }
};

/// A named barrier of a CTA.
struct Barrier {
  uint32_t expected = 0; ///< Threads; 0 = all that live. Set by the first.
  uint32_t arrived = 0;
  bool inUse = false;
  uint32_t arrivals = 0; ///< Warp arrivals, to spot a barrier that all reach.
  uint32_t popc = 0, and_ = 1, or_ = 0; ///< bar.red
  Clock clock;
};

struct Cta {
  Launch &launch;
  Cluster &cluster;
  const uint32_t rank; ///< In the cluster.
  std::array<uint32_t, 3> id = {};
  uint32_t number = 0; ///< Linear index in the grid.
  std::array<uint32_t, 3> blockDim = {};
  uint32_t threads = 0;
  std::byte *shared = nullptr; ///< Its part of Cluster::shared.
  uint32_t sharedBytes = 0;
  std::vector<Warp> warps;
  std::array<Barrier, 16> barriers;
  std::unique_ptr<TensorMemory> tensor; ///< Null until it is used.
  RegisterPool registerPool;
  Checker *checker = nullptr; ///< The cluster's; null without race checks.
  bool checkUninitialised = true;
  /// Of kernels with wgmma.
  std::unique_ptr<Warpgroups, WarpgroupsDelete> warpgroups;

  Cta(Cluster &cluster, uint32_t rank, ThreadCounts &counts);
  /// Gets ready to run as CTA `id` of the grid.
  void start(const std::array<uint32_t, 3> &id);
  bool alive() const;

  /// Reports; `fatal` stops the whole launch. The message is only built by
  /// the caller when `wants` says so.
  bool wants(IssueKind kind, const Warp &warp, const Inst *inst,
             uint32_t otherPc = kNoPc);
  void report(IssueKind kind, const Warp &warp, const Inst *inst,
              uint32_t lanes, std::string message, uint32_t otherPc = kNoPc);
  void fatal(IssueKind kind, const Warp &warp, const Inst *inst, uint32_t lanes,
             std::string message);

  // Executor.cpp
  void runWarp(Warp &warp, uint32_t quantum);

  // Scheduler.cpp
  Group *pick(Warp &warp);
  bool syncReady(Warp &warp, Group &group, const Inst &inst, uint32_t lanes);
  void exitLanes(Warp &warp, uint32_t lanes);

  // Barriers.cpp
  /// `lanes` arrive at a barrier instruction; true if they must wait.
  bool arriveAtBarrier(Warp &warp, Group &group, const Inst &inst,
                       uint32_t lanes);
  void checkBarriers();
  std::string barrierState() const;

private:
  void complete(unsigned index);
  uint32_t barrierThreads() const;
  AlignedBytes registerFile, localMemory;
  size_t registerStride = 0;
};

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// The 32 lanes of an operand.
template <typename T> const T *sourceRow(const Warp &warp, uint32_t op) {
  return reinterpret_cast<const T *>(warp.registers + op);
}
template <typename T> T *targetRow(Warp &warp, uint32_t op) {
  return reinterpret_cast<T *>(warp.registers + op);
}
/// Of a selp, the lanes where the operand at `row` counts; `choice` are those
/// that take the first.
inline uint32_t chosenLanes(const Inst &inst, uint32_t row, uint32_t choice) {
  if (row == inst.ops[3] || row == inst.guard)
    return ~0u;
  return (row == inst.ops[1] ? choice : 0) | (row == inst.ops[2] ? ~choice : 0);
}
/// A predicate's mask.
inline uint32_t &predicateOf(Warp &warp, uint32_t op) {
  return *reinterpret_cast<uint32_t *>(warp.registers + op);
}
/// Index of the first use that counts: the accumulators of a wgmma whose
/// scale-d is false do not.
inline uint32_t firstCountingUse(Warp &warp, const Inst &inst,
                                 const Meta &meta) {
  if (!meta.optionalUses)
    return 0;
  uint32_t scale = predicateOf(warp, inst.ops[2]) ^ (inst.n ? ~0u : 0);
  return scale ? 0 : meta.optionalUses;
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_MACHINE_H
