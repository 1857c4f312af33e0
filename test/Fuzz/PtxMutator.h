//===- PtxMutator.h - Seeded mutations of PTX -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Texts of one kernel, cut out of modules with many, and edits that mostly
// leave them readable: another modifier, operand, number, line or order of
// lines. Everything follows from the generator's seed.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_FUZZ_PTXMUTATOR_H
#define FLASH_TEST_FUZZ_PTXMUTATOR_H

#include "Mutator.h"

#include <string>
#include <string_view>
#include <vector>

namespace flash::fuzz {

/// A module with one kernel; what the corpus of kernels has in common.
struct PtxCorpus {
  std::vector<std::string> kernels;
  std::vector<std::string> lines;     ///< Of instructions, to splice in.
  std::vector<std::string> modifiers; ///< "f32", "aligned", ...
  std::vector<std::string> operands;  ///< "%r1", "[%rd4+16]", "0f3F800000"

  /// Adds every kernel of a PTX module with the module's other items around it.
  void add(std::string_view module);
  /// Sorts and removes duplicates. Call once everything is added.
  void finish();
};

/// `kernel` after one to four edits.
std::string mutatePtx(std::string_view kernel, const PtxCorpus &corpus,
                      Random &random);

} // namespace flash::fuzz

#endif // FLASH_TEST_FUZZ_PTXMUTATOR_H
