//===- FlashBytecode.h - Bytecode of the flash dialect ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_IR_FLASHBYTECODE_H
#define FLASH_DIALECT_FLASH_IR_FLASHBYTECODE_H

#include "mlir/Bytecode/BytecodeImplementation.h"

#include <cstdint>
#include <string>

namespace mlir::flash {
class FlashDialect;

/// Version of the dialect, written into bytecode. A new minor version adds
/// attributes, operands or ops; a new major one changes what exists, and
/// upgrades it on reading.
struct FlashVersion : DialectVersion {
  FlashVersion() = default;
  FlashVersion(uint64_t major, uint64_t minor) : major(major), minor(minor) {}

  uint64_t major = 0;
  uint64_t minor = 0;

  static FlashVersion current() { return {1, 2}; }
  bool operator<(const FlashVersion &other) const {
    return major != other.major ? major < other.major : minor < other.minor;
  }
  std::string str() const {
    return std::to_string(major) + "." + std::to_string(minor);
  }
};

/// Adds the dialect's BytecodeDialectInterface.
void addBytecodeInterface(FlashDialect *dialect);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_IR_FLASHBYTECODE_H
