//===- ChipInfo.h - What a kernel may count on, chip by chip ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TARGET_CHIPINFO_H
#define FLASH_TARGET_CHIPINFO_H

#include <array>
#include <cstdint>
#include <string_view>

namespace flash {

/// Limits of one chip (CUDA C++ Programming Guide, "Technical Specifications
/// per Compute Capability"). Shared memory in bytes; every resident CTA costs
/// 1 KiB of the SM's shared memory on top of its own.
struct ChipInfo {
  std::string_view name;
  /// Most dynamic shared memory one CTA can opt in to.
  int64_t sharedPerCTA;
  /// Shared memory of an SM.
  int64_t sharedPerSM;
  /// 32-bit registers of an SM, and the most one thread may have.
  int64_t registersPerSM;
  int64_t registersPerThread;
  /// Threads resident on an SM.
  int64_t threadsPerSM;
  /// Lowest PTX ISA version with this target, as "+ptxNN" features say it.
  int ptxVersion;
  /// Whether a lowering to this chip exists.
  bool lowered;
};

/// Chips whose kernels exist first; the rest are known by name so that they
/// can be refused by name.
inline constexpr std::array<ChipInfo, 8> kChips = {{
    {"sm_80", 163 * 1024, 164 * 1024, 65536, 255, 2048, 70, true},
    {"sm_86", 99 * 1024, 100 * 1024, 65536, 255, 1536, 71, true},
    {"sm_89", 99 * 1024, 100 * 1024, 65536, 255, 1536, 78, true},
    {"sm_90", 227 * 1024, 228 * 1024, 65536, 255, 2048, 78, true},
    {"sm_90a", 227 * 1024, 228 * 1024, 65536, 255, 2048, 80, false},
    {"sm_100", 227 * 1024, 228 * 1024, 65536, 255, 2048, 86, false},
    {"sm_100a", 227 * 1024, 228 * 1024, 65536, 255, 2048, 86, false},
    {"sm_120", 99 * 1024, 100 * 1024, 65536, 255, 1536, 87, false},
}};

/// The chip of that name, or null.
constexpr const ChipInfo *findChip(std::string_view name) {
  for (const ChipInfo &chip : kChips)
    if (chip.name == name)
      return &chip;
  return nullptr;
}

} // namespace flash

#endif // FLASH_TARGET_CHIPINFO_H
