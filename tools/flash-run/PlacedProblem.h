//===- PlacedProblem.h - A problem's arrays on a device ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_PLACEDPROBLEM_H
#define FLASH_TOOLS_FLASH_RUN_PLACEDPROBLEM_H

#include "Problem.h"

namespace flash::run {

/// What placing arrays asks of a device.
class DeviceMemory {
public:
  virtual ~DeviceMemory() = default;
  /// A buffer that holds a copy of `contents`, or anything where that is null.
  virtual runtime::Result<uint64_t>
  allocate(const std::string &name, size_t bytes, const void *contents) = 0;
  virtual runtime::Status read(uint64_t address, void *to, size_t bytes) = 0;
};

/// Copies whole allocations, padding included, to the device, so that a kernel
/// that strays into the padding is seen to. Pointers are to the first logical
/// element.
class PlacedProblem {
public:
  static runtime::Result<PlacedProblem> place(const Problem &problem,
                                              DeviceMemory &memory);

  const runtime::LaunchArguments &arguments() const { return launchArguments; }

  /// Puts o and, if the kernel computes it, lse, as the device has them, into
  /// the problem's arrays.
  runtime::Status readBack(Problem &problem, DeviceMemory &memory) const;

private:
  runtime::Status placeArray(const runtime::Parameter &parameter,
                             const std::string &name,
                             const runtime::StridedArray &array,
                             DeviceMemory &memory);

  runtime::LaunchArguments launchArguments;
  std::map<std::string, uint64_t> addresses;
};

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_PLACEDPROBLEM_H
