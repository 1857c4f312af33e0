//===- Executor.h - Runs of plain instructions ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Most instructions compute: they fall through, cannot fail and wait for
// nobody. The main loop (Cta::runWarp) takes a whole run of them at a time, up
// to the end of the block, and does its bookkeeping once per run:
//
//   - counting: ThreadCounts::issued holds differences, so that a run from pc
//     to end is +1 at pc and -1 at end however long it is;
//   - the budget and the turn shorten the run, so both stay exact;
//   - guards: Inst::full of a guarded instruction looks at its guard itself,
//     those without one pay nothing.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_EXECUTOR_H
#define FLASH_LIB_EMULATOR_EXECUTOR_H

#include "Program.h"

namespace flash::emu {

/// Fills Program::runs, the last step of decoding.
void findRuns(Program &program);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_EXECUTOR_H
