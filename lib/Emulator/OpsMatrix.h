//===- OpsMatrix.h - Shared parts of matrix instructions --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_OPSMATRIX_H
#define FLASH_LIB_EMULATOR_OPSMATRIX_H

#include "Decoder.h"

#include <vector>

namespace flash::emu {

/// Appends the `count` registers of operand `i`, a vector or a single register
/// of `type`'s width, to `into`; an error if they are another number.
bool pushMatrixRegisters(Decoder &d, size_t i, unsigned count, bool isTarget,
                         Type type, std::vector<uint32_t> &into);

/// mma.sync of f64, of 4-bit integers, of bits and of 8-row matrices, after
/// .sync.aligned has been consumed. `handled` is false, and nothing is
/// consumed, for the other forms.
bool decodeExactMma(Decoder &d, bool &handled);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_OPSMATRIX_H
