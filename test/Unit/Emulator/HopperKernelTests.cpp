//===- HopperKernelTests.cpp - Kernels of sm_90a and sm_100a ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every subject in every async mode with several seeds: right results and no
// report. With FLASH_EMULATOR_INPUTS_DIR in the environment the PTX is taken
// from there: that is how freshly compiled files are compared.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace flash::emu::test {
// So that a failure names the subject instead of its bytes.
void PrintTo(const Subject &subject, std::ostream *os) {
  *os << subject.name();
}
} // namespace flash::emu::test

namespace {

class Kernels : public ::testing::TestWithParam<Subject> {};

TEST_P(Kernels, RightInAllModes) {
  const Subject &subject = GetParam();
  Diagnostic error;
  auto module = Module::parse(readInput(subject.file), error, subject.kernel);
  ASSERT_TRUE(module) << error.str();
  for (AsyncMode mode : kModes)
    for (uint64_t seed = 0; seed < 3; ++seed)
      ASSERT_EQ(outcome(subject, *module, mode, seed), "")
          << "mode " << int(mode) << ", seed " << seed;
}

std::string nameOf(const ::testing::TestParamInfo<Subject> &info) {
  return info.param.name();
}

#define ALL_OF(group, subjects)                                                \
  INSTANTIATE_TEST_SUITE_P(group, Kernels, ::testing::ValuesIn(subjects()),    \
                           nameOf)
ALL_OF(Barrier, barrierSubjects);
ALL_OF(TensorMap, tensorMapSubjects);
ALL_OF(Cluster, clusterSubjects);
ALL_OF(Wgmma, wgmmaSubjects);
ALL_OF(Specialised, specialisedSubjects);
ALL_OF(Tcgen05, tcgen05Subjects);

} // namespace
