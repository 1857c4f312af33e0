//===- CostModel.h - Time and energy from counts ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model, not a measurement: it says which resource a kernel would run out of
// and how two kernels compare, from what the emulator counted per PTX line.
//
// An SM has pipes: issue slots, f32, integer, special functions, tensor cores,
// shared memory, L1, L2. Work on a pipe takes count / rate cycles. Barriers cut
// the KV loop into phases; within a phase the pipes overlap perfectly, across
// a barrier of one CTA they do not:
//
//   alone     = sum over phases of (max over pipes) + exposed latencies
//   busy      = max over pipes of (sum over phases)
//   per trip  = busy + (alone - busy) / C
//
// C is how many can fill each other's gaps: the resident CTAs, or all resident
// warps where the loop has no barrier. Exposed latencies of one trip:
//
//   * every executed barrier;
//   * every run of ordinary global loads in one basic block, at L2's latency;
//   * what is left of a cp.async group's latency and transfer at its wait,
//     found by walking the loop several times: a copy that is in flight while
//     the CTA computes exposes nothing.
//
// Outside the loop, which is one phase, two latencies of device memory are
// exposed. A kernel takes as long as an SM with the most CTAs, and never less
// than its bytes take through L2 and device memory. Device memory moves every
// operand once: what concurrent CTAs share is taken to hit L2.
//
// What is not modelled: dependent-issue stalls within a warp, register bank
// conflicts, instruction cache, clock changes, what ptxas removes or adds
// (`mov` is taken to vanish in register allocation).
//
// Energy = sum of counts x energy per operation + static power x time. A board
// that would draw more than its limit lowers its clock: time is at least the
// energy of the operations over what the limit leaves beside static power.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_COSTMODEL_COSTMODEL_H
#define FLASH_COSTMODEL_COSTMODEL_H

#include "flash/CostModel/ChipRates.h"
#include "flash/CostModel/PtxLoops.h"
#include "flash/Emulator/Emulator.h"
#include "flash/Target/ChipInfo.h"

namespace flash {

enum class CostPipe : uint8_t {
  Issue,
  F32,
  Integer,
  Sfu,
  Tensor,
  Shared,
  L1,
  L2
};
inline constexpr unsigned kNumCostPipes = 8;

/// "issue", "f32", ...
std::string_view name(CostPipe pipe);

/// Cycles of each pipe of one SM.
using PipeCycles = std::array<double, kNumCostPipes>;

/// What a kernel does, counted, and where it runs.
struct CostInput {
  const PtxKernel *kernel = nullptr;
  /// Counts of the whole launch.
  std::vector<emu::LineCounters> lines;
  uint64_t ctas = 0;
  unsigned warpsPerCta = 0;
  /// CTAs that an SM holds at once.
  unsigned residentCtas = 1;
  /// Every operand once: what device memory must move.
  double deviceBytes = 0;
  const ChipRates *rates = nullptr;
};

struct CostResult {
  /// Trips of the KV loops of all CTAs.
  double trips = 0;
  /// Of one trip of one CTA.
  PipeCycles pipes = {};
  double alone = 0, busy = 0, exposed = 0;
  /// Of one trip, what the others do not fill counted in.
  double cyclesPerTrip = 0;
  /// The pipe that `busy` is of.
  CostPipe bound = CostPipe::Issue;
  double seconds = 0;
  /// Whether `seconds` is what device memory, or L2, takes for the launch.
  bool deviceLimited = false, l2Limited = false;
  /// Whether the board's power limit made it that long.
  bool powerLimited = false;
  double joules = 0;
  /// Of `joules`: drawn by doing nothing.
  double staticJoules = 0;
};

/// Cycles that the counts of one line take on each pipe.
PipeCycles pipeCycles(const emu::LineCounters &line, PtxClass kind,
                      std::string_view opcode, const ChipRates &rates);

/// Trips through a KV loop, by all CTAs, that counters tell of.
double countTrips(const PtxKernel &kernel, const PtxLoop &loop,
                  const std::vector<emu::LineCounters> &lines,
                  unsigned warpsPerCta);

CostResult modelCost(const CostInput &input);

/// CTAs an SM of `chip` holds: by registers (0: unknown, taken as no limit), by
/// shared memory and by threads.
unsigned residentCtas(unsigned registersPerThread, unsigned threads,
                      int64_t sharedBytes, const ChipInfo &chip);

} // namespace flash

#endif // FLASH_COSTMODEL_COSTMODEL_H
