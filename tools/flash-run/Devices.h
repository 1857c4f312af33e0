//===- Devices.h - Where flash-run runs -------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_DEVICES_H
#define FLASH_TOOLS_FLASH_RUN_DEVICES_H

#include "Problem.h"

namespace flash::run {

/// Milliseconds of one call, by the device's events.
struct Timing {
  double median = 0, minimum = 0;
  /// Calls measured.
  unsigned repeats = 0;
  /// 10^12 operations per second at the median.
  double teraflops = 0;
  /// The times are the emulator's, which says nothing of a GPU.
  bool emulated = false;
};

/// What a device says of a run that took place, beside the arrays.
struct DeviceReport {
  /// Races, deadlocks, accesses out of bounds, ...: each fails the run.
  std::vector<std::string> errors;
  int64_t races = 0;
  bool deadlock = false;
  /// The emulator's JSON members, `counters` among them; empty where nothing
  /// was counted.
  std::string jsonMembers;
  /// Of the run alone, without compiling and preparing.
  double seconds = 0;
  /// Warp instructions; 0 on the CPU.
  uint64_t instructions = 0;
  /// The GPU and which code it took; empty elsewhere.
  std::string board;
  std::optional<Timing> timing;
};

/// Compiles the problem's module for `chip`, unless there is a package already.
runtime::Status compileProblem(Problem &problem, const Options &options,
                               const std::string &chip);

/// Runs the problem's module by MLIR's execution engine on the linalg
/// reference; o and lse are left in the problem's arrays.
runtime::Result<DeviceReport> runOnCpu(Problem &problem);

/// Runs the problem's kernel, compiled first if it is a module, on the
/// emulator; o and lse are left in the problem's arrays.
runtime::Result<DeviceReport> runOnEmulator(Problem &problem,
                                            const Options &options);

/// Runs the problem's kernel, compiled first if it is a module, by the CUDA
/// driver; o and lse are left in the problem's arrays.
runtime::Result<DeviceReport> runOnCuda(Problem &problem,
                                        const Options &options);

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_DEVICES_H
