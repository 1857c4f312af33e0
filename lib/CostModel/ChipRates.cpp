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
// and the square of the voltage (Stillmaker and Baas 2017 give about a fifth
// for 28 nm to 7 nm). Chosen so that a matmul-heavy kernel draws its board's
// limit.
constexpr double kTo7 = 0.18, kTo8 = 0.21, kTo4 = 0.12;

// What the tensor cores draw of the power that the limit leaves when they run
// at their peak rate; the rest goes into feeding them.
constexpr double kTensorShare = 0.45;

// mma.sync reaches 62.9 % of the tensor cores' rate on Hopper (Luo et al.).
constexpr double kHopperMmaSync = 0.629;

/// What differs from board to board; the rest follows.
struct Board {
  std::string_view chip, name;
  unsigned sms;
  double clockGHz;
  double fmaLanes;
  /// Dense FLOPs per cycle and SM of 16-bit and 8-bit operands, and the share
  /// of them that mma.sync reaches.
  double tensor16, tensor8, mmaSync;
  /// Bytes per cycle over all SMs.
  double l2Bytes;
  double dramBytesPerSecond;
  double l2Latency, dramLatency;
  /// Of energies, from 28 nm.
  double scale;
  double dramEnergy;
  double staticWatts, limitWatts;
};

constexpr ChipRates rate(const Board &b) {
  double peak = b.tensor16 * b.sms * b.clockGHz * 1e9;
  ChipRates r = {};
  r.chip = b.chip;
  r.board = b.name;
  r.sms = b.sms;
  r.clockGHz = b.clockGHz;
  r.issue = 4;
  r.fmaLanes = b.fmaLanes;
  r.aluLanes = 64;
  r.sfuLanes = 16;
  r.tensor16 = b.tensor16 * b.mmaSync;
  r.tensorTF32 = r.tensor16 / 2;
  r.tensor8 = b.tensor8 * b.mmaSync;
  r.sharedWavefronts = 1;
  r.l1Sectors = 4;
  r.l2Bytes = b.l2Bytes / b.sms;
  r.dramBytesPerSecond = b.dramBytesPerSecond;
  r.l2Latency = b.l2Latency;
  r.dramLatency = b.dramLatency;
  r.barrierLatency = 30;
  r.fmaEnergy = kFma28 * b.scale;
  r.aluEnergy = kAlu28 * b.scale;
  r.sfuEnergy = kSfu28 * b.scale;
  r.tensorEnergy = kTensorShare * (b.limitWatts - b.staticWatts) / peak * 1e12;
  r.sharedEnergy = kShared28 * b.scale;
  r.l1Energy = kL1Of28 * b.scale;
  r.l2Energy = kL2Of28 * b.scale;
  r.dramEnergy = b.dramEnergy;
  r.staticWatts = b.staticWatts;
  r.powerLimitWatts = b.limitWatts;
  return r;
}

constexpr ChipRates kRates[] = {
    rate({.chip = "sm_80",
          .name = "A100 SXM4 80 GB",
          .sms = 108,
          .clockGHz = 1.41,
          .fmaLanes = 64,
          .tensor16 = 2048,
          .tensor8 = 0,
          .mmaSync = 1,
          .l2Bytes = 5120,
          .dramBytesPerSecond = 2.039e12,
          .l2Latency = 261.5,
          .dramLatency = 466.3,
          .scale = kTo7,
          .dramEnergy = 31,
          .staticWatts = 90,
          .limitWatts = 400}),
    rate({.chip = "sm_86",
          .name = "A40",
          .sms = 84,
          .clockGHz = 1.74,
          .fmaLanes = 128,
          .tensor16 = 1024,
          .tensor8 = 0,
          .mmaSync = 1,
          .l2Bytes = 3072,
          .dramBytesPerSecond = 0.696e12,
          .l2Latency = 273,
          .dramLatency = 541.5,
          .scale = kTo8,
          .dramEnergy = 56,
          .staticWatts = 65,
          .limitWatts = 300}),
    rate({.chip = "sm_89",
          .name = "L40S",
          .sms = 142,
          .clockGHz = 2.52,
          .fmaLanes = 128,
          .tensor16 = 1024,
          .tensor8 = 2048,
          .mmaSync = 1,
          .l2Bytes = 3072,
          .dramBytesPerSecond = 0.864e12,
          .l2Latency = 273,
          .dramLatency = 541.5,
          .scale = kTo4,
          .dramEnergy = 56,
          .staticWatts = 75,
          .limitWatts = 350}),
    rate({.chip = "sm_90",
          .name = "H100 SXM5",
          .sms = 132,
          .clockGHz = 1.83,
          .fmaLanes = 128,
          .tensor16 = 4096,
          .tensor8 = 8192,
          .mmaSync = kHopperMmaSync,
          .l2Bytes = 5120,
          .dramBytesPerSecond = 3.35e12,
          .l2Latency = 263,
          .dramLatency = 478.8,
          .scale = kTo4,
          .dramEnergy = 31,
          .staticWatts = 120,
          .limitWatts = 700}),
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
       "45 % of the power limit less the static power, at the peak dense rate",
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
      {"power limit", r.powerLimitWatts, "W", kWhitepaper, false},
  };
}
