//===- CostModel.cpp - Time and energy from counts ------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/CostModel.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>

using namespace flash;

namespace {

constexpr double kLanes = 32, kSectorBytes = 32, kWavefrontBytes = 128;

double &at(PipeCycles &cycles, CostPipe pipe) { return cycles[unsigned(pipe)]; }

double largest(const PipeCycles &cycles) {
  return *std::max_element(cycles.begin(), cycles.end());
}

void add(PipeCycles &to, const PipeCycles &from) {
  for (unsigned i = 0; i < kNumCostPipes; ++i)
    to[i] += from[i];
}

bool isMinMax(std::string_view opcode) {
  return opcode.starts_with("min") || opcode.starts_with("max");
}

bool isIntegerMultiply(std::string_view opcode) {
  return opcode.starts_with("mul") || opcode.starts_with("mad");
}

/// A mov between registers is a matter of register allocation.
bool vanishes(std::string_view opcode) { return opcode.starts_with("mov"); }

double tensorRate(std::string_view opcode, const ChipRates &rates) {
  if (opcode.find(".tf32") != std::string_view::npos)
    return rates.tensorTF32;
  for (std::string_view type : {".e4m3", ".e5m2", ".s8", ".u8"})
    if (opcode.find(type) != std::string_view::npos)
      return rates.tensor8;
  return rates.tensor16;
}

/// How many groups a cp.async.wait_group leaves in flight.
size_t groupsLeft(std::string_view text) {
  size_t digits = text.find_last_of("0123456789");
  if (digits == std::string_view::npos)
    return 0;
  size_t first = digits;
  while (first > 0 && text[first - 1] >= '0' && text[first - 1] <= '9')
    --first;
  size_t value = 0;
  for (size_t i = first; i <= digits; ++i)
    value = value * 10 + size_t(text[i] - '0');
  return value;
}

/// One line of a loop: its cost per trip of one CTA.
struct Step {
  const PtxInstruction *instruction;
  std::string_view text;
  PipeCycles cycles = {};
  /// Times per trip that each warp executes it.
  double times = 0;
  double copiedBytes = 0;
  bool startsLoads = false;
};

/// Walks one KV loop.
class LoopWalk {
public:
  LoopWalk(const CostInput &input, double trips)
      : rates(*input.rates), trips(trips), warps(input.warpsPerCta) {}

  void addStep(const PtxInstruction &instruction, const emu::LineCounters &line,
               bool startsLoads) {
    Step step{&instruction, line.text};
    PipeCycles whole =
        pipeCycles(line, instruction.kind, instruction.opcode, rates);
    for (unsigned i = 0; i < kNumCostPipes; ++i)
      step.cycles[i] = whole[i] / trips;
    step.times = double(line.counts.issued) / (trips * warps);
    step.copiedBytes =
        instruction.kind == PtxClass::AsyncCopy
            ? double(line.counts.globalSectors) * kSectorBytes / trips
            : 0;
    step.startsLoads = startsLoads;
    steps.push_back(step);
  }

  bool hasBarrier() const {
    return std::any_of(steps.begin(), steps.end(), [](const Step &step) {
      return step.instruction->kind == PtxClass::Barrier && step.times > 0;
    });
  }

  /// Total cycles per pipe of a trip, and with `alone` what one CTA takes.
  void finish(PipeCycles &total, double &alone, double &exposed) const {
    total = {};
    for (const Step &step : steps)
      add(total, step.cycles);
    exposed = 0;
    std::vector<double> phases = phaseCycles();
    alone = 0;
    for (double cycles : phases)
      alone += cycles;
    for (const Step &step : steps) {
      if (step.instruction->kind == PtxClass::Barrier)
        exposed += step.times * rates.barrierLatency;
      if (step.startsLoads)
        exposed += step.times * rates.l2Latency;
    }
    exposed += exposedCopies(phases);
    alone += exposed;
  }

private:
  /// L2 serves copies while the CTA computes, so it bounds no phase.
  static double phaseLimit(PipeCycles cycles) {
    at(cycles, CostPipe::L2) = 0;
    return largest(cycles);
  }

  static bool endsPhase(const Step &step) {
    return step.instruction->kind == PtxClass::Barrier && step.times > 0;
  }

  std::vector<double> phaseCycles() const {
    std::vector<double> phases;
    PipeCycles current = {};
    for (const Step &step : steps) {
      add(current, step.cycles);
      if (!endsPhase(step))
        continue;
      phases.push_back(phaseLimit(current));
      current = {};
    }
    phases.push_back(phaseLimit(current));
    return phases;
  }

  /// Follows commits and waits of cp.async over several trips, time advancing
  /// within a phase with the instructions issued, and returns what the last
  /// trip had to wait for.
  double exposedCopies(const std::vector<double> &phases) const {
    std::vector<double> issued(phases.size(), 0);
    size_t phase = 0;
    for (const Step &step : steps) {
      issued[phase] += step.cycles[unsigned(CostPipe::Issue)];
      phase += endsPhase(step);
    }
    constexpr unsigned walks = 4;
    std::deque<double> ready; // When each group in flight will have landed.
    double now = 0, bytes = 0, waited = 0;
    for (unsigned walk = 0; walk < walks; ++walk) {
      waited = 0;
      phase = 0;
      for (const Step &step : steps) {
        if (issued[phase] > 0)
          now += phases[phase] * step.cycles[unsigned(CostPipe::Issue)] /
                 issued[phase];
        bytes += step.copiedBytes;
        std::string_view opcode = step.instruction->opcode;
        if (step.times > 0 && opcode == "cp.async.commit_group") {
          ready.push_back(now + rates.l2Latency + bytes / rates.l2Bytes);
          bytes = 0;
        } else if (step.times > 0 && opcode.starts_with("cp.async.wait_")) {
          size_t left =
              opcode.ends_with("wait_all") ? 0 : groupsLeft(step.text);
          while (ready.size() > left) {
            double late = std::max(0.0, ready.front() - now);
            now += late;
            waited += late;
            ready.pop_front();
          }
        }
        phase += endsPhase(step);
      }
    }
    return waited;
  }

  const ChipRates &rates;
  double trips;
  double warps;
  std::vector<Step> steps;
};

/// Adds a line's energy, static power aside.
double energyOf(const emu::LineCounters &line, const PtxInstruction &of,
                const ChipRates &rates) {
  const emu::CounterSet &counts = line.counts;
  double lanes = double(counts.issued) * kLanes;
  double pJ = 0;
  switch (of.kind) {
  case PtxClass::Fma:
    pJ += lanes * rates.fmaEnergy;
    break;
  case PtxClass::Float:
    pJ += lanes * (isMinMax(of.opcode) ? rates.aluEnergy : rates.fmaEnergy);
    break;
  case PtxClass::Exponential:
    pJ += lanes * rates.sfuEnergy;
    break;
  case PtxClass::Mma:
    pJ += double(counts.tensorFlops) * rates.tensorEnergy * rates.tensor16 /
          std::max(1.0, tensorRate(of.opcode, rates));
    break;
  default:
    pJ += vanishes(of.opcode) ? 0 : lanes * rates.aluEnergy;
  }
  double sharedBytes = double(counts.sharedWavefronts) * kWavefrontBytes;
  if (of.kind == PtxClass::Shuffle)
    sharedBytes += double(counts.issued) * kWavefrontBytes;
  pJ += sharedBytes * rates.sharedEnergy;
  pJ += double(counts.globalSectors) * kSectorBytes * rates.l1Energy;
  double sectors =
      double(of.kind == PtxClass::AsyncCopy ? counts.globalSectors
                                            : counts.globalSectorsIdeal);
  pJ += sectors * kSectorBytes * rates.l2Energy;
  return pJ;
}

} // namespace

std::string_view flash::name(CostPipe pipe) {
  static constexpr std::string_view names[kNumCostPipes] = {
      "issue", "f32", "integer", "sfu", "tensor", "shared", "l1", "l2"};
  return names[unsigned(pipe)];
}

PipeCycles flash::pipeCycles(const emu::LineCounters &line, PtxClass kind,
                             std::string_view opcode, const ChipRates &rates) {
  const emu::CounterSet &counts = line.counts;
  PipeCycles cycles = {};
  double issued = vanishes(opcode) ? 0 : double(counts.issued);
  at(cycles, CostPipe::Issue) = issued / rates.issue;
  double lanes = issued * kLanes;
  switch (kind) {
  case PtxClass::Fma:
    at(cycles, CostPipe::F32) = lanes / rates.fmaLanes;
    break;
  case PtxClass::Float:
    if (isMinMax(opcode))
      at(cycles, CostPipe::Integer) = lanes / rates.aluLanes;
    else
      at(cycles, CostPipe::F32) = lanes / rates.fmaLanes;
    break;
  case PtxClass::Exponential:
    at(cycles, CostPipe::Sfu) = lanes / rates.sfuLanes;
    break;
  case PtxClass::Mma:
    at(cycles, CostPipe::Tensor) =
        double(counts.tensorFlops) / std::max(1.0, tensorRate(opcode, rates));
    break;
  case PtxClass::Integer:
    // Integer multiply-add is the f32 pipe's.
    if (isIntegerMultiply(opcode))
      at(cycles, CostPipe::F32) = lanes / rates.fmaLanes;
    else
      at(cycles, CostPipe::Integer) = lanes / rates.aluLanes;
    break;
  case PtxClass::Convert:
  case PtxClass::Predicate:
    at(cycles, CostPipe::Integer) = lanes / rates.aluLanes;
    break;
  default:
    break;
  }
  double wavefronts = double(counts.sharedWavefronts);
  if (kind == PtxClass::Shuffle)
    wavefronts += issued; // A shuffle takes one pass through the crossbar.
  at(cycles, CostPipe::Shared) = wavefronts / rates.sharedWavefronts;
  at(cycles, CostPipe::L1) = double(counts.globalSectors) / rates.l1Sectors;
  // Sectors that an instruction touches more often than it must are taken to
  // hit L1; cp.async.cg passes L1 by.
  double sectors =
      double(kind == PtxClass::AsyncCopy ? counts.globalSectors
                                         : counts.globalSectorsIdeal);
  at(cycles, CostPipe::L2) = sectors * kSectorBytes / rates.l2Bytes;
  return cycles;
}

double flash::countTrips(const PtxKernel &kernel, const PtxLoop &loop,
                         const std::vector<emu::LineCounters> &lines,
                         unsigned warpsPerCta) {
  uint64_t passes = 0;
  for (unsigned latch : loop.latches) {
    // A latch ends with its branch back, which each warp passes once per trip.
    unsigned line = kernel.blocks[latch].instructions.front().line;
    for (const emu::LineCounters &counters : lines)
      if (counters.line == line)
        passes += counters.counts.issued;
  }
  return double(passes) / warpsPerCta;
}

CostResult flash::modelCost(const CostInput &input) {
  const ChipRates &rates = *input.rates;
  const PtxKernel &kernel = *input.kernel;
  CostResult result;
  if (!input.ctas || !input.warpsPerCta)
    return result;
  std::unordered_map<unsigned, const emu::LineCounters *> byLine;
  for (const emu::LineCounters &line : input.lines)
    byLine[line.line] = &line;
  auto find = [&](const PtxInstruction &of) -> const emu::LineCounters * {
    auto found = byLine.find(of.line);
    return found == byLine.end() ? nullptr : found->second;
  };

  uint64_t mostCtas = (input.ctas + rates.sms - 1) / rates.sms;
  double resident = double(std::min<uint64_t>(std::max(1u, input.residentCtas),
                                              std::max<uint64_t>(1, mostCtas)));
  std::vector<bool> inLoop(kernel.blocks.size(), false);
  double loopCycles = 0; // Of all CTAs.
  for (const PtxLoop *loop : kernel.kvLoops()) {
    for (unsigned block : loop->blocks)
      inLoop[block] = true;
    double trips = countTrips(kernel, *loop, input.lines, input.warpsPerCta);
    if (trips == 0)
      continue;
    LoopWalk walk(input, trips);
    for (unsigned block : loop->blocks) {
      bool loads = false;
      for (const PtxInstruction &of : kernel.blocks[block].instructions) {
        const emu::LineCounters *line = find(of);
        bool isLoad = of.kind == PtxClass::GlobalLoad;
        if (line)
          walk.addStep(of, *line, isLoad && !loads);
        loads |= isLoad && line;
      }
    }
    PipeCycles pipes;
    double alone = 0, exposed = 0;
    walk.finish(pipes, alone, exposed);
    double busy = largest(pipes);
    alone = std::max(alone, busy);
    double fill = walk.hasBarrier() ? resident : resident * input.warpsPerCta;
    double cycles = busy + (alone - busy) / fill;
    loopCycles += cycles * trips;
    result.trips += trips;
    for (unsigned i = 0; i < kNumCostPipes; ++i)
      result.pipes[i] += pipes[i] * trips;
    result.alone += alone * trips;
    result.exposed += exposed * trips;
    result.cyclesPerTrip += cycles * trips;
  }
  if (result.trips > 0) {
    for (double &cycles : result.pipes)
      cycles /= result.trips;
    result.alone /= result.trips;
    result.exposed /= result.trips;
    result.cyclesPerTrip /= result.trips;
  }
  result.busy = largest(result.pipes);
  result.bound =
      CostPipe(std::max_element(result.pipes.begin(), result.pipes.end()) -
               result.pipes.begin());

  PipeCycles outside = {};
  double pJ = 0, l2Cycles = 0;
  for (size_t i = 0; i < kernel.blocks.size(); ++i)
    for (const PtxInstruction &of : kernel.blocks[i].instructions)
      if (const emu::LineCounters *line = find(of)) {
        PipeCycles cycles = pipeCycles(*line, of.kind, of.opcode, rates);
        if (!inLoop[i])
          add(outside, cycles);
        l2Cycles += cycles[unsigned(CostPipe::L2)];
        pJ += energyOf(*line, of, rates);
      }
  double ctas = double(input.ctas);
  double cyclesPerCta =
      (loopCycles + largest(outside)) / ctas + 2 * rates.dramLatency / resident;
  double clock = rates.clockGHz * 1e9;
  const double ofSms = double(mostCtas) * cyclesPerCta / clock;
  const double ofL2 = l2Cycles / (rates.sms * clock);
  const double ofDevice = input.deviceBytes / rates.dramBytesPerSecond;
  result.seconds = std::max({ofSms, ofL2, ofDevice});
  result.deviceLimited = ofDevice == result.seconds;
  result.l2Limited = !result.deviceLimited && ofL2 == result.seconds;
  double dynamic = pJ * 1e-12 + input.deviceBytes * rates.dramEnergy * 1e-12;
  double atLimit = dynamic / (rates.powerLimitWatts - rates.staticWatts);
  result.powerLimited = atLimit > result.seconds;
  result.seconds = std::max(result.seconds, atLimit);
  result.staticJoules = rates.staticWatts * result.seconds;
  result.joules = dynamic + result.staticJoules;
  return result;
}

unsigned flash::residentCtas(unsigned registersPerThread, unsigned threads,
                             int64_t sharedBytes, const ChipInfo &chip) {
  if (!threads)
    return 0;
  int64_t warps = (threads + 31) / 32;
  // A CTA's shared memory costs 1 KiB more than it asks for; 16 is the least
  // of the chips' limits on resident CTAs.
  int64_t ctas = std::min({chip.sharedPerSM / (sharedBytes + 1024),
                           chip.threadsPerSM / (warps * 32), int64_t(16)});
  if (registersPerThread) {
    // Registers are handed out per warp in units of 256.
    int64_t perWarp = (int64_t(registersPerThread) * 32 + 255) / 256 * 256;
    ctas = std::min(ctas, chip.registersPerSM / (perWarp * warps));
  }
  return unsigned(std::max<int64_t>(0, ctas));
}
