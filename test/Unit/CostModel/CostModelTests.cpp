//===- CostModelTests.cpp - Time and energy from counts -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/CostModel.h"

#include <gtest/gtest.h>

using namespace flash;

namespace {

/// A kernel whose text and counts are given line by line: `loop` is its KV
/// loop, executed `trips` times by each of 4 warps of `ctas` CTAs.
class Kernel {
public:
  Kernel(const std::vector<std::string> &loop, uint64_t trips, uint64_t ctas)
      : rates(*findRates("sm_80")) {
    std::string text = ".visible .entry k()\n{\n$loop:\n";
    unsigned line = 3;
    uint64_t issued = trips * ctas * 4;
    for (const std::string &instruction : loop) {
      text += "\t" + instruction + ";\n";
      emu::LineCounters counters;
      counters.line = ++line;
      counters.text = instruction + ";";
      counters.counts.issued = issued;
      if (instruction.starts_with("mma"))
        counters.counts.tensorFlops = issued * 4096;
      if (instruction.starts_with("ld.shared"))
        counters.counts.sharedWavefronts = issued * wavefronts;
      if (instruction.starts_with("ld.global") ||
          instruction.starts_with("cp.async.cg"))
        counters.counts.globalSectors = counters.counts.globalSectorsIdeal =
            issued * 16;
      input.lines.push_back(counters);
    }
    text += "\t@%p1 bra $loop;\n\tret;\n}\n";
    kernel = PtxKernel::parse(text, "k");
    input.kernel = &kernel;
    input.ctas = ctas;
    input.warpsPerCta = 4;
    input.rates = &rates;
  }

  CostResult cost(unsigned resident = 1) {
    input.residentCtas = resident;
    return modelCost(input);
  }

  static constexpr uint64_t wavefronts = 4;
  const ChipRates &rates;
  CostInput input;

private:
  PtxKernel kernel;
};

TEST(CostModel, TheBusiestPipeLimits) {
  // Per trip and CTA: 4 warps x 4096 FLOP / 2048 = 8 cycles of tensor cores,
  // 4 x 4 wavefronts = 16 cycles of shared memory.
  CostResult cost =
      Kernel({"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}",
              "ld.shared.b32 %r1, [%r2]"},
             100, 1080)
          .cost();
  EXPECT_DOUBLE_EQ(cost.trips, 100 * 1080);
  EXPECT_EQ(cost.bound, CostPipe::Shared);
  EXPECT_DOUBLE_EQ(cost.pipes[unsigned(CostPipe::Tensor)], 8);
  EXPECT_DOUBLE_EQ(cost.busy, 16);
  EXPECT_DOUBLE_EQ(cost.cyclesPerTrip, 16);
}

TEST(CostModel, ABarrierKeepsPipesApartWithinACta) {
  std::vector<std::string> together = {
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}",
      "ld.shared.b32 %r1, [%r2]"};
  std::vector<std::string> apart = {together[0], "bar.sync 0", together[1],
                                    "bar.sync 0"};
  double barrier = findRates("sm_80")->barrierLatency;
  CostResult cost = Kernel(apart, 100, 1080).cost();
  EXPECT_DOUBLE_EQ(cost.exposed, 2 * barrier);
  EXPECT_NEAR(cost.alone, 8 + 16 + 2 * barrier, 2);
  EXPECT_DOUBLE_EQ(cost.cyclesPerTrip, cost.alone);
  // A second CTA fills half of what the first leaves.
  CostResult two = Kernel(apart, 100, 1080).cost(2);
  EXPECT_DOUBLE_EQ(two.cyclesPerTrip, cost.busy + (cost.alone - cost.busy) / 2);
  EXPECT_LT(Kernel(together, 100, 1080).cost().cyclesPerTrip,
            cost.cyclesPerTrip);
}

TEST(CostModel, ACopyInFlightIsNotExposed) {
  std::vector<std::string> work(
      400, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}");
  std::vector<std::string> copy = {
      "cp.async.cg.shared.global [%r1], [%rd1], 16", "cp.async.commit_group"};
  auto join = [](std::vector<std::vector<std::string>> parts) {
    std::vector<std::string> all;
    for (const auto &part : parts)
      all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  std::vector<std::string> waitAll = {"cp.async.wait_group 0", "bar.sync 0"};
  CostResult early = Kernel(join({waitAll, copy, work}), 10, 108).cost();
  CostResult late = Kernel(join({copy, waitAll, work}), 10, 108).cost();
  double barrier = findRates("sm_80")->barrierLatency;
  EXPECT_DOUBLE_EQ(early.exposed, barrier);
  EXPECT_GT(late.exposed, barrier + findRates("sm_80")->l2Latency);
  // One group may stay in flight over the wait: that of the trip before.
  CostResult ring =
      Kernel(join({copy, {"cp.async.wait_group 1", "bar.sync 0"}, work}), 10,
             108)
          .cost();
  EXPECT_DOUBLE_EQ(ring.exposed, barrier);
}

TEST(CostModel, OrdinaryLoadsExposeOneLatencyPerRun) {
  double l2 = findRates("sm_80")->l2Latency;
  std::string product = "fma.rn.f32 %f1, %f2, %f3, %f1";
  CostResult cost = Kernel({"ld.global.v4.b32 {%r1}, [%rd1]",
                            "ld.global.v4.b32 {%r2}, [%rd2]", product},
                           10, 108)
                        .cost();
  EXPECT_DOUBLE_EQ(cost.exposed, l2);
  // Without a barrier the warps of the CTA hide it from each other.
  EXPECT_DOUBLE_EQ(cost.cyclesPerTrip,
                   cost.busy + (cost.alone - cost.busy) / 4);
}

TEST(CostModel, EnergyGrowsWithWorkAndTime) {
  std::vector<std::string> loop = {
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}"};
  CostResult once = Kernel(loop, 100, 108).cost(),
             twice = Kernel(loop, 200, 108).cost();
  EXPECT_NEAR((twice.joules - twice.staticJoules) /
                  (once.joules - once.staticJoules),
              2, 1e-9);
  EXPECT_GT(twice.seconds, once.seconds);
  EXPECT_NEAR(once.staticJoules / once.seconds, findRates("sm_80")->staticWatts,
              1e-9);
}

TEST(CostModel, TimeIsNoShorterThanThePowerLimitAllows) {
  // Shared memory and tensor cores at once, no gaps.
  CostResult cost =
      Kernel({"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}",
              "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}",
              "ld.shared.b32 %r1, [%r2]", "fma.rn.f32 %f1, %f2, %f3, %f1",
              "fma.rn.f32 %f1, %f2, %f3, %f1"},
             10000, 1080)
          .cost();
  const ChipRates &rates = *findRates("sm_80");
  EXPECT_LE(cost.joules / cost.seconds, rates.powerLimitWatts * (1 + 1e-9));
  EXPECT_EQ(cost.powerLimited,
            cost.joules / cost.seconds > rates.powerLimitWatts * (1 - 1e-9));
}

TEST(CostModel, EveryLoweredChipHasRatesWithSources) {
  for (const ChipInfo &chip : kChips) {
    if (!chip.lowered)
      continue;
    const ChipRates *rates = findRates(chip.name);
    ASSERT_TRUE(rates) << chip.name;
    for (const ModelConstant &constant : describe(*rates)) {
      EXPECT_FALSE(constant.source.empty()) << constant.name;
      EXPECT_TRUE(constant.value > 0 ||
                  constant.name.find("8-bit") != std::string_view::npos)
          << constant.name;
    }
  }
  EXPECT_FALSE(findRates("sm_70"));
}

TEST(CostModel, ResidentCtas) {
  const ChipInfo &chip = *findChip("sm_80");
  // 245 registers round to 248 per thread: 65536 / (248 * 128) = 2.
  EXPECT_EQ(residentCtas(245, 128, 49152, chip), 2u);
  EXPECT_EQ(residentCtas(32, 128, 80 * 1024, chip), 2u);
  EXPECT_EQ(residentCtas(0, 128, 49152, chip), 3u);
  EXPECT_EQ(residentCtas(32, 1024, 0, chip), 2u);
}

} // namespace
