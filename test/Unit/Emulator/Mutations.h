//===- Mutations.h - Mistakes put into PTX ----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Takes the PTX of a correct kernel and makes from it, line by line and without
// knowing the kernel, the mistakes that people make in such code: a wait left
// out, a barrier that counts wrong, the other parity, a buffer released before
// it has been read.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_MUTATIONS_H
#define FLASH_TEST_UNIT_EMULATOR_MUTATIONS_H

#include <string>
#include <string_view>
#include <vector>

namespace flash::emu::test {

struct Mutant {
  unsigned line = 0;   ///< Of the PTX, 1-based: what was changed.
  std::string change;  ///< "drop", "other parity", ...
  std::string subject; ///< The line as it was, trimmed.
  std::string ptx;     ///< The whole text with the change.
};

/// All mutants of the kernel `kernel` of `ptx`. Line numbers of other lines
/// stay as they are.
std::vector<Mutant> mutantsOf(std::string_view ptx, std::string_view kernel);

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_MUTATIONS_H
