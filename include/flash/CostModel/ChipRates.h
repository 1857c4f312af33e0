//===- ChipRates.h - What the cost model assumes of a chip ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Throughputs, latencies and energies, chip by chip. Unlike the limits of
// ChipInfo.h, which a kernel may rely on, these are descriptions: some are
// published by the vendor, some measured by others, some estimated here.
// `describe` says which is which.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_COSTMODEL_CHIPRATES_H
#define FLASH_COSTMODEL_CHIPRATES_H

#include <string>
#include <string_view>
#include <vector>

namespace flash {

/// A chip as one of its boards runs it. Rates are per SM and clock cycle unless
/// they say otherwise; energies are in picojoules.
struct ChipRates {
  std::string_view chip;  ///< "sm_80".
  std::string_view board; ///< The board whose clocks and sizes these are.
  unsigned sms;
  double clockGHz;

  /// Warp instructions that can be issued: one per scheduler.
  double issue;
  /// Lanes: f32 multiply-adds; integer, logic and conversions; ex2 and rcp.
  double fmaLanes, aluLanes, sfuLanes;
  /// Dense tensor-core FLOPs of mma.sync by type; 0 where there is none.
  double tensor16, tensorTF32, tensor8;
  /// Shared-memory wavefronts, sectors of L1, bytes between L1 and L2.
  double sharedWavefronts, l1Sectors, l2Bytes;
  /// Bytes per second of device memory, whole board.
  double dramBytesPerSecond;

  /// Cycles: a load that L2 answers, one that device memory answers, a barrier
  /// of one CTA from its last arrival to the next instruction.
  double l2Latency, dramLatency, barrierLatency;

  /// Per lane and instruction, fetch and operands included.
  double fmaEnergy, aluEnergy, sfuEnergy;
  /// Per tensor-core FLOP of 16-bit operands; tf32 costs twice, 8-bit half.
  double tensorEnergy;
  /// Per byte moved.
  double sharedEnergy, l1Energy, l2Energy, dramEnergy;
  /// Drawn however little is done, whole board, in watts.
  double staticWatts;
  /// What the board may draw; it lowers its clock before it draws more.
  double powerLimitWatts;
};

/// The rates of `chip` ("sm_80", ...), or null if there is no model of it.
const ChipRates *findRates(std::string_view chip);

/// One constant of the model as a report states it.
struct ModelConstant {
  std::string_view name;
  double value;
  std::string_view unit;
  std::string_view source;
  /// True where the value is no published one but derived or guessed.
  bool estimate;
};

/// Every constant that `rates` holds, with its unit and where it is from.
std::vector<ModelConstant> describe(const ChipRates &rates);

} // namespace flash

#endif // FLASH_COSTMODEL_CHIPRATES_H
