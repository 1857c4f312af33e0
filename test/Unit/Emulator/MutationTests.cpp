//===- MutationTests.cpp - Every mistake is found ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Correct kernels run clean in every mode; then each of their synchronising
// lines is spoilt in turn (see Mutations.h), and every mutant must be found in
// some mode: by a report, or by a wrong result. The test prints the table.
//
//===----------------------------------------------------------------------===//

#include "Mutations.h"
#include "Subjects.h"

#include <set>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// A mutant that is no mistake: nothing it allows can be observed.
struct Equivalent {
  const char *kernel, *change, *subject; ///< As in Mutant; a part of its line.
  const char *reason;
};

constexpr Equivalent kEquivalents[] = {
    {"copy_pipeline_inc", "one lane arrives for all",
     "mbarrier.arrive.shared::cta.b64 _, [%r42]",
     "the copies arrive for their lanes; of this arrival only the count "
     "matters"},
};

std::vector<Subject> subjects() {
  std::vector<Subject> all = ampereSubjects();
  // Kernels that synchronise nothing beyond what others do are left out.
  const std::set<std::string> wanted = {
      "token_rounds",        "ping_pong",
      "copy_pipeline_noinc", "copy_pipeline_inc",
      "bulk_ring",           "bulk_store",
      "bulk_reduce",         "warpgroup_relay",
      "tile_ring",           "neighbour_sum",
      "remote_ring",         "remote_reduce",
      "bulk_push",           "wgmma_bf16",
      "wgmma_registers",     "gemm_specialised",
      "gemm_multicast",      "attention_specialised",
      "tcgen05_gemm",        "tcgen05_from_tensor_memory"};
  for (auto list : {barrierSubjects, tensorMapSubjects, clusterSubjects,
                    wgmmaSubjects, specialisedSubjects, tcgen05Subjects})
    for (Subject &subject : list())
      if (wanted.count(subject.kernel) &&
          (subject.variant.empty() || subject.variant == "swizzle128"))
        all.push_back(std::move(subject));
  return all;
}

const Equivalent *equivalent(const Subject &subject, const Mutant &mutant) {
  for (const Equivalent &entry : kEquivalents)
    if (subject.kernel == entry.kernel && mutant.change == entry.change &&
        mutant.subject.find(entry.subject) != std::string::npos)
      return &entry;
  return nullptr;
}

constexpr const char *kModeNames[] = {"eager", "lazy", "random"};

TEST(Mutation, OriginalsAreClean) {
  for (const Subject &subject : subjects()) {
    Diagnostic error;
    auto module = Module::parse(readInput(subject.file), error, subject.kernel);
    ASSERT_TRUE(module) << error.str();
    for (AsyncMode mode : kModes)
      for (uint64_t seed = 0; seed < 4; ++seed)
        EXPECT_EQ(outcome(subject, *module, mode, seed), "")
            << subject.kernel << " mode " << int(mode) << " seed " << seed;
  }
}

TEST(Mutation, EveryMutantIsFound) {
  unsigned total = 0, found = 0, harmless = 0;
  std::set<std::string> kernels;
  std::string table = "kernel                line  mutant                    "
                      "of line                             found as\n";
  for (const Subject &subject : subjects()) {
    std::string text = readInput(subject.file);
    for (const Mutant &mutant : mutantsOf(text, subject.kernel)) {
      Diagnostic error;
      auto module = Module::parse(mutant.ptx, error, subject.kernel);
      ASSERT_TRUE(module) << error.str();
      std::string how;
      int mode = 0;
      for (uint64_t seed = 0; seed < 4 && how.empty(); ++seed)
        for (mode = 0; mode < 3; ++mode)
          if (how = outcome(subject, *module, kModes[mode], seed); !how.empty())
            break;
      const Equivalent *reason = equivalent(subject, mutant);
      if (reason) {
        EXPECT_EQ(how, "") << subject.kernel << " line " << mutant.line << ": "
                           << mutant.change
                           << " is said to be harmless: " << reason->reason;
        ++harmless;
        how = "harmless: " + std::string(reason->reason);
      } else {
        ++total;
        kernels.insert(subject.kernel);
        found += !how.empty();
        EXPECT_NE(how, "") << subject.kernel << " line " << mutant.line << ": "
                           << mutant.change << ": " << mutant.subject;
        if (!how.empty())
          how = how.substr(0, how.find(':')) + ", " + kModeNames[mode];
      }
      char row[300];
      std::snprintf(row, sizeof(row), "%-20s %5u  %-24s  %-34.34s  %s\n",
                    subject.kernel.c_str(), mutant.line, mutant.change.c_str(),
                    mutant.subject.c_str(), how.c_str());
      table += row;
    }
  }
  std::printf("%s%u of %u mutants of %zu kernels found; %u harmless ones\n",
              table.c_str(), found, total, kernels.size(), harmless);
  EXPECT_GE(total, 400u);
  EXPECT_GE(kernels.size(), 25u);
}

} // namespace
