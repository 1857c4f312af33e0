//===- RegisterTests.cpp - setmaxnreg -------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three warpgroups as in a warp-specialised kernel: 65,536 registers for 384
// threads are 168 each, 504 over the three.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// The first warpgroup lowers its count, the others raise theirs.
std::string kernel(const std::string &producer, const std::string &consumer,
                   const std::string &directives = ".maxntid 384, 1, 1") {
  return R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry k()
)" + directives +
         R"(
{
.reg .pred %p<3>;
.reg .b32 %r<5>;
mov.u32 %r1, %tid.x;
setp.ge.u32 %p1, %r1, 128;
@%p1 bra CONSUMER;
)" + producer +
         R"(
bra DONE;
CONSUMER:
)" + consumer +
         R"(
DONE:
bar.sync 0;
ret;
}
)";
}

Report run(const std::string &text, uint64_t seed, uint32_t threads = 384) {
  auto module = parse(text);
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.config.seed = seed;
  return run.go(2, threads);
}

TEST(Registers, SumsThatFit) {
  std::string text = kernel("setmaxnreg.dec.sync.aligned.u32 24;",
                            "setmaxnreg.inc.sync.aligned.u32 240;");
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Report report = run(text, seed);
    EXPECT_TRUE(report.ok) << issues(report);
  }
}

TEST(Registers, SumsThatDoNotFit) {
  // 40 + 2 x 240 = 520: the last warps wait for ever.
  std::string text = kernel("setmaxnreg.dec.sync.aligned.u32 40;",
                            "setmaxnreg.inc.sync.aligned.u32 240;");
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Report report = run(text, seed);
    ASSERT_TRUE(has(report, IssueKind::Deadlock));
    EXPECT_NE(issues(report).find("setmaxnreg waits"), std::string::npos);
    EXPECT_NE(issues(report).find("of 2016 that the launch gave its warps"),
              std::string::npos)
        << issues(report);
  }
  // Half the registers each, where two CTAs are to share a multiprocessor.
  EXPECT_TRUE(run(kernel("setmaxnreg.dec.sync.aligned.u32 24;",
                         "setmaxnreg.inc.sync.aligned.u32 240;",
                         ".maxntid 384, 1, 1\n.minnctapersm 2"),
                  0)
                  .deadlock);
  EXPECT_TRUE(run(kernel("setmaxnreg.dec.sync.aligned.u32 24;",
                         "setmaxnreg.inc.sync.aligned.u32 240;",
                         ".maxntid 384, 1, 1\n.maxnreg 160"),
                  0)
                  .deadlock);
}

TEST(Registers, WrongDirection) {
  Report up = run(kernel("setmaxnreg.dec.sync.aligned.u32 176;",
                         "setmaxnreg.inc.sync.aligned.u32 240;"),
                  0);
  EXPECT_TRUE(has(up, IssueKind::Registers)) << issues(up);
  EXPECT_NE(issues(up).find("setmaxnreg.dec to 176: the warp has 168"),
            std::string::npos);
  Report down = run(kernel("setmaxnreg.dec.sync.aligned.u32 24;",
                           "setmaxnreg.inc.sync.aligned.u32 160;"),
                    0);
  EXPECT_TRUE(has(down, IssueKind::Registers)) << issues(down);
}

TEST(Registers, WholeWarpgroups) {
  // Only two warps of the first warpgroup give theirs up.
  Report report = run(kernel("setp.ge.u32 %p2, %r1, 64;\n@%p2 bra DONE;\n"
                             "setmaxnreg.dec.sync.aligned.u32 24;",
                             "setmaxnreg.inc.sync.aligned.u32 176;"),
                      0);
  EXPECT_TRUE(has(report, IssueKind::Registers)) << issues(report);
  EXPECT_NE(issues(report).find("warps 0 and 2 are of one warpgroup"),
            std::string::npos)
      << issues(report);
}

TEST(Registers, UnknownCountsHaveNoEffect) {
  EXPECT_TRUE(run(kernel("setmaxnreg.dec.sync.aligned.u32 40;",
                         "setmaxnreg.inc.sync.aligned.u32 240;", ""),
                  0)
                  .ok);
}

TEST(Registers, RefusedCounts) {
  for (const char *count : {"20", "264", "100", "%r1"}) {
    Diagnostic error;
    EXPECT_FALSE(Module::parse(
        kernel("setmaxnreg.dec.sync.aligned.u32 " + std::string(count) + ";",
               ""),
        error));
    EXPECT_NE(error.text.find("setmaxnreg.dec"), std::string::npos);
  }
}

} // namespace
