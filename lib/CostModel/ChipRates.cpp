//===- ChipRates.cpp - What the cost model assumes of a chip --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/CostModel/ChipRates.h"

using namespace flash;

namespace {

constexpr std::string_view kGuide =
    "CUDA C++ Programming Guide, throughput of native arithmetic instructions";
constexpr std::string_view kWhitepaper = "NVIDIA architecture whitepaper and "
                                         "data sheet of the board";
constexpr std::string_view kLatency =
    "Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU "
    "Architecture, 2024 (A100, RTX 4090, H100; sm_86 as sm_89)";
constexpr std::string_view kEnergy =
    "Arunkumar et al., Understanding the Future of Energy Efficiency in "
    "Multi-Module GPUs, HPCA 2019: measured on 28 nm, scaled to the chip's "
    "process";

// Energies per lane and per byte as measured on 28 nm, in pJ.
constexpr double kFma28 = 50, kAlu28 = 60, kSfu28 = 100;
constexpr double kShared28 = 5.32 * 8, kL1Of28 = 5.85 * 8, kL2Of28 = 15.48 * 8;
// From 28 nm to 7/8 nm and to 4/5 nm: switching energy falls with capacitance
// and the square of the voltage; between the general-purpose figures of
// Stillmaker and Baas (2017) and what the boards' power limits allow.
constexpr double kTo7 = 0.33, kTo8 = 0.38, kTo4 = 0.22;

constexpr ChipRates make(std::string_view chip, std::string_view board,
                         unsigned sms, double clock, double fma, double tensor,
                         double tensor8, double l2Bytes, double dram,
                         double l2Latency, double dramLatency, double scale,
                         double tensorEnergy, double dramEnergy, double watts) {
  return {chip,
          board,
          sms,
          clock,
          /*issue=*/4,
          fma,
          /*aluLanes=*/64,
          /*sfuLanes=*/16,
          tensor,
          tensor / 2,
          tensor8,
          /*sharedWavefronts=*/1,
          /*l1Sectors=*/4,
          l2Bytes / sms,
          dram,
          l2Latency,
          dramLatency,
          /*barrierLatency=*/30,
          kFma28 * scale,
          kAlu28 * scale,
          kSfu28 * scale,
          tensorEnergy,
          kShared28 * scale,
          kL1Of28 * scale,
          kL2Of28 * scale,
          dramEnergy,
          watts};
}

// mma.sync reaches 62.9 % of the tensor cores' rate on Hopper (Luo et al.).
constexpr double kHopperMmaSync = 0.629;

constexpr ChipRates kRates[] = {
    make("sm_80", "A100 SXM4 80 GB", 108, 1.41, 64, 2048, 0, 5120, 2.039e12,
         261.5, 466.3, kTo7, 0.60, 31, 90),
    make("sm_86", "A40", 84, 1.74, 128, 1024, 0, 3072, 0.696e12, 273, 541.5,
         kTo8, 0.94, 56, 65),
    make("sm_89", "L40S", 142, 2.52, 128, 1024, 2048, 3072, 0.864e12, 273,
         541.5, kTo4, 0.45, 56, 75),
    make("sm_90", "H100 SXM5", 132, 1.755, 128, 4096 * kHopperMmaSync,
         8192 * kHopperMmaSync, 5120, 3.35e12, 263, 478.8, kTo4, 0.35, 31, 120),
};

} // namespace

const ChipRates *flash::findRates(std::string_view chip) {
  for (const ChipRates &rates : kRates)
    if (rates.chip == chip)
      return &rates;
  return nullptr;
}

std::vector<ModelConstant> flash::describe(const ChipRates &r) {
  bool hopper = r.chip == "sm_90";
  bool a100 = r.chip == "sm_80";
  return {
      {"SMs", double(r.sms), "", kWhitepaper, false},
      {"clock", r.clockGHz, "GHz", kWhitepaper, false},
      {"issue", r.issue, "warp instructions/cycle/SM", kWhitepaper, false},
      {"f32 multiply-add", r.fmaLanes, "lanes/cycle/SM", kGuide, false},
      {"integer, logic, select, convert", r.aluLanes, "lanes/cycle/SM",
       "the same table; conversions taken like integers", true},
      {"ex2, rcp", r.sfuLanes, "lanes/cycle/SM", kGuide, false},
      {"tensor core, 16-bit mma.sync", r.tensor16, "FLOP/cycle/SM",
       hopper ? "whitepaper's 4096, of which mma.sync reaches 62.9 % (Luo et "
                "al. 2024)"
              : kWhitepaper,
       false},
      {"tensor core, tf32 mma.sync", r.tensorTF32, "FLOP/cycle/SM",
       "half the 16-bit rate, as in the whitepapers", hopper},
      {"tensor core, 8-bit mma.sync", r.tensor8, "FLOP/cycle/SM",
       "twice the 16-bit rate; 0: none", hopper},
      {"shared memory", r.sharedWavefronts, "wavefronts of 128 bytes/cycle/SM",
       kWhitepaper, false},
      {"L1", r.l1Sectors, "sectors of 32 bytes/cycle/SM",
       "128 bytes/cycle/SM; an access to many lines is not charged more", true},
      {"L2", r.l2Bytes, "bytes/cycle/SM",
       a100     ? "whitepaper's 5120 bytes/cycle over all SMs"
       : hopper ? "A100's 5120 bytes/cycle over all SMs"
                : "48 slices of 64 bytes/cycle over all SMs",
       !a100},
      {"device memory", r.dramBytesPerSecond / 1e9, "GB/s", kWhitepaper, false},
      {"L2 latency", r.l2Latency, "cycles", kLatency, false},
      {"device memory latency", r.dramLatency, "cycles", kLatency, false},
      {"barrier", r.barrierLatency, "cycles",
       "about one shared-memory round trip", true},
      {"energy of an f32 lane", r.fmaEnergy, "pJ", kEnergy, true},
      {"energy of an integer lane", r.aluEnergy, "pJ", kEnergy, true},
      {"energy of an ex2 lane", r.sfuEnergy, "pJ", kEnergy, true},
      {"energy of a 16-bit tensor FLOP", r.tensorEnergy, "pJ",
       "60 % of the board's power limit less its static power at the peak "
       "dense rate",
       true},
      {"energy of shared memory", r.sharedEnergy, "pJ/byte", kEnergy, true},
      {"energy of L1", r.l1Energy, "pJ/byte", kEnergy, true},
      {"energy of L2", r.l2Energy, "pJ/byte", kEnergy, true},
      {"energy of device memory", r.dramEnergy, "pJ/byte",
       "HBM2: 3.9 pJ/bit (O'Connor et al., Fine-Grained DRAM, MICRO 2017); "
       "GDDR6: 7 pJ/bit (estimate)",
       r.chip == "sm_86" || r.chip == "sm_89"},
      {"static power", r.staticWatts, "W",
       "about a fifth of the board's power limit", true},
  };
}
