//===- Barriers.h - What a barrier instruction does -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_BARRIERS_H
#define FLASH_LIB_EMULATOR_BARRIERS_H

#include <cstdint>

namespace flash::emu {

/// Inst::sub of a Kind::Barrier instruction. Its operands: ops[0] barrier,
/// ops[1] thread count (if n), ops[2] result, ops[3] predicate, imm negation.
enum class BarrierAction : uint8_t { Sync, Arrive, Popc, And, Or };

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_BARRIERS_H
