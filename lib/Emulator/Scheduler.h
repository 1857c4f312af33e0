//===- Scheduler.h - What a synchronising instruction declares --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_SCHEDULER_H
#define FLASH_LIB_EMULATOR_SCHEDULER_H

#include <cstdint>

namespace flash::emu {

/// Which operand of a Kind::Sync instruction holds its member mask.
constexpr unsigned kMemberMaskOp = 5;

/// Flag of a Kind::Sync instruction whose lanes may be at different pcs.
constexpr uint8_t kMeetsAnywhere = 16;

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_SCHEDULER_H
