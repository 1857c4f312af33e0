//===- Report.h - From counts and findings to a report ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_REPORT_H
#define FLASH_LIB_EMULATOR_REPORT_H

#include "Machine.h"

namespace flash::emu {

/// Sums the threads' counts into `report.counters`.
void fillCounters(Report &report, const Program &program,
                  const std::vector<ThreadCounts> &counts);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_REPORT_H
