//===- Report.h - What flash-run says ---------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_REPORT_H
#define FLASH_TOOLS_FLASH_RUN_REPORT_H

#include "Devices.h"

#include "flash/Runtime/Check.h"

#include "llvm/Support/raw_ostream.h"

namespace flash::run {

/// The outcome of a run, or of the attempt at one.
struct Report {
  bool pass = true;
  std::vector<std::string> errors;
  /// Canonical SPEC and sizes, once known.
  std::string attention;
  std::string device;
  std::optional<runtime::CheckReport> check;
  /// Whether the kernel computes lse.
  bool hasLse = true;
  std::optional<DeviceReport> run;

  void fail(std::string message) {
    pass = false;
    errors.push_back(std::move(message));
  }
};

/// One JSON object. Its members are always the same: numbers that were not
/// computed are null, infinities and NaN are strings.
void printJson(const Report &report, const Options &options,
               llvm::raw_ostream &os);

/// For people: the result on `os`, errors on `errs`.
void printText(const Report &report, const Options &options,
               llvm::raw_ostream &os, llvm::raw_ostream &errs);

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_REPORT_H
