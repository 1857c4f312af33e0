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

#include <algorithm>
#include <map>
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
  std::map<std::string, unsigned> kinds;
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
        ++kinds[how];
      }
      char row[300];
      std::snprintf(row, sizeof(row), "%-20s %5u  %-24s  %-34.34s  %s\n",
                    subject.kernel.c_str(), mutant.line, mutant.change.c_str(),
                    mutant.subject.c_str(), how.c_str());
      table += row;
    }
  }
  std::printf("%s\nfirst found as\n", table.c_str());
  for (const auto &[how, count] : kinds)
    std::printf("%5u  %s\n", count, how.c_str());
  std::printf("%u of %u mutants of %zu kernels found; %u harmless\n", found,
              total, kernels.size(), harmless);
  EXPECT_GE(total, 400u);
  EXPECT_GE(kernels.size(), 25u);
}

/// What the first report of a mutant has to say.
struct ExpectedReport {
  const char *kernel, *change, *subject; ///< The mutant, as in Equivalent.
  IssueKind kind;
  const char *access, *other; ///< Parts of the two PTX lines.
  const char *message;        ///< A part of the message.
};

constexpr ExpectedReport kExpectedReports[] = {
    // One lane arrives for the reads of its warp.
    {"bulk_ring", "drop", "bar.warp.sync", IssueKind::Race, "cp.async.bulk",
     "ld.shared", "unordered with the read of warp"},
    {"bulk_ring", "do not wait", "again", IssueKind::Poisoned, "ld.shared",
     "cp.async.bulk", "is still to write"},
    {"bulk_store", "drop", "fence.proxy.async", IssueKind::Race,
     "cp.async.bulk.global", "st.shared", "expected fence.proxy.async"},
    {"bulk_store", "drop", "wait_group.read", IssueKind::Race, "st.shared",
     "cp.async.bulk.global", "may still read"},
    {"copy_pipeline_inc", "drop", "cp.async.mbarrier", IssueKind::Poisoned,
     "ld.shared", "cp.async.cg", "is still to write"},
    {"ping_pong", "release before", "ld.shared", IssueKind::Race, "st.shared",
     "ld.shared", "unordered with the read of warp 1"},
    {"remote_ring", "one lane arrives for all", "shared::cluster",
     IssueKind::Race, "st.async", "ld.shared", "CTA rank 1"},
    {"remote_ring", "relaxed", "mbarrier.arrive", IssueKind::Race, "st.async",
     "st.async",
     "unordered with the asynchronous write of warp 0 of CTA rank 0"},
    {"gemm_specialised", "release before", "wait_group.sync.aligned 1",
     IssueKind::Race, "cp.async.bulk.tensor", "wgmma.mma_async",
     "may still read"},
    {"gemm_specialised", "drop", "wgmma.wait_group.sync.aligned 0",
     IssueKind::RegisterHazard, "cvt.rn.bf16x2", "wgmma.mma_async",
     "still in flight"},
    {"attention_specialised", "release before", "wait_group.sync.aligned 1",
     IssueKind::Race, "cp.async.bulk.tensor", "wgmma.mma_async",
     "unordered with the asynchronous read of warp"},
};

TEST(Mutation, ReportsNameBothAccesses) {
  std::vector<Subject> all = subjects();
  for (const ExpectedReport &expected : kExpectedReports) {
    SCOPED_TRACE(std::string(expected.kernel) + ", " + expected.change + ": " +
                 expected.subject);
    auto subject =
        std::find_if(all.begin(), all.end(), [&](const Subject &candidate) {
          return candidate.kernel == expected.kernel;
        });
    ASSERT_NE(subject, all.end());
    bool seen = false;
    for (const Mutant &mutant :
         mutantsOf(readInput(subject->file), subject->kernel)) {
      if (seen || mutant.change != expected.change ||
          mutant.subject.find(expected.subject) == std::string::npos)
        continue;
      auto module = parse(mutant.ptx);
      ASSERT_TRUE(module);
      for (unsigned turn = 0; turn < 12 && !seen; ++turn) {
        std::string wrong;
        Report report =
            run(*subject, *module, kModes[turn % 3], turn / 3, wrong);
        if (report.ok)
          continue;
        const Issue &issue = report.issues[0];
        auto contains = [](std::string_view text, const char *part) {
          return text.find(part) != std::string_view::npos;
        };
        // Another mutant of such a line may show otherwise.
        seen = issue.kind == expected.kind && issue.lanes != 0 &&
               issue.kernel == expected.kernel &&
               module->lineText(issue.line) == issue.text &&
               contains(issue.text, expected.access) &&
               contains(module->lineText(issue.otherLine), expected.other) &&
               contains(issue.message, expected.message);
      }
    }
    EXPECT_TRUE(seen);
  }
}

} // namespace
