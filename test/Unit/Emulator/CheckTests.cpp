//===- CheckTests.cpp - What the checks report ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr const char *kPrologue = R"(
.shared .align 16 .b8 tile[1024];
ld.param.u64 %rd1, [out];
mov.u32 %r1, %tid.x;
shl.b32 %r2, %r1, 2;
mov.u32 %r3, tile;
add.s32 %r4, %r3, %r2;
cvt.u64.u32 %rd2, %r2;
add.s64 %rd3, %rd1, %rd2;
)";

/// Runs `body` after the prologue (%rd3 = &out[tid], %r4 = &tile[tid]) on one
/// CTA, `out` having 256 words.
Report runBody(const std::string &body, uint32_t threads = 64,
               LaunchConfig config = {}) {
  auto module = parse(kernelText(kPrologue + body));
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.config = config;
  run.out<uint32_t>(256);
  return run.go(1, threads);
}

/// Exactly one issue, of that kind, whose message holds `text`.
void expectIssue(const Report &report, IssueKind kind,
                 const std::string &text) {
  ASSERT_FALSE(report.ok);
  EXPECT_EQ(report.issues[0].kind, kind) << issues(report);
  EXPECT_NE(report.issues[0].str().find(text), std::string::npos)
      << issues(report);
  EXPECT_EQ(report.issues[0].kernel, "k");
}

TEST(Check, CleanKernel) {
  Report report = runBody("st.shared.b32 [%r4], %r1;\nbar.sync 0;\n"
                          "xor.b32 %r5, %r4, 128;\nld.shared.b32 %r6, [%r5];\n"
                          "st.global.b32 [%rd3], %r6;\nret;");
  EXPECT_TRUE(report.ok) << issues(report);
}

TEST(Check, RaceBetweenWarps) {
  Report report = runBody("st.shared.b32 [%r4], %r1;\n"
                          "xor.b32 %r5, %r4, 128;\nld.shared.b32 %r6, [%r5];\n"
                          "st.global.b32 [%rd3], %r6;\nret;");
  ASSERT_FALSE(report.ok);
  EXPECT_GT(report.races, 0u);
  EXPECT_TRUE(has(report, IssueKind::Race)) << issues(report);
  const Issue &issue = report.issues[0];
  EXPECT_NE(issue.line, 0u);
  EXPECT_NE(issue.lanes, 0u);
}

TEST(Check, RaceBetweenLanesWithoutSyncWarp) {
  const char *body = "st.shared.b32 [%r4], %r1;\n%s"
                     "xor.b32 %r5, %r4, 4;\nld.shared.b32 %r6, [%r5];\n"
                     "st.global.b32 [%rd3], %r6;\nret;";
  auto with = [&](const std::string &between) {
    std::string text = body;
    return runBody(text.replace(text.find("%s"), 2, between), 32);
  };
  Report report = with("");
  EXPECT_EQ(report.races, 1u) << issues(report);
  EXPECT_TRUE(with("bar.warp.sync 0xffffffff;\n").ok);
  // A shuffle moves registers and orders no memory.
  report = with("shfl.sync.bfly.b32 %r7, %r1, 1, 31, 0xffffffff;\n");
  EXPECT_EQ(report.races, 1u) << issues(report);
}

TEST(Check, RacesInGlobalMemory) {
  // Two warps write different values to one word.
  Report report = runBody("st.global.b32 [%rd1], %r1;\nret;", 64);
  EXPECT_TRUE(has(report, IssueKind::Race)) << issues(report);
  // A barrier between them orders the writes of different warps.
  EXPECT_TRUE(runBody("setp.eq.u32 %p1, %r1, 0;\nsetp.eq.u32 %p2, %r1, 32;\n"
                      "@%p1 st.global.b32 [%rd1], %r1;\nbar.sync 0;\n"
                      "@%p2 st.global.b32 [%rd1], %r1;\nret;")
                  .ok);
  report = runBody("setp.eq.u32 %p1, %r1, 0;\nsetp.eq.u32 %p2, %r1, 32;\n"
                   "@%p1 st.global.b32 [%rd1], %r1;\n"
                   "@%p2 st.global.b32 [%rd1], %r1;\nret;");
  EXPECT_EQ(report.races, 1u) << issues(report);
}

TEST(Check, RacesBetweenCtas) {
  auto run = [](const std::string &body, uint32_t grid) {
    auto module =
        parse(kernelText("ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\n"
                         "mov.u32 %r2, %ctaid.x;\n" +
                         body));
    KernelRun kernel(*module, "k");
    kernel.in(std::vector<uint32_t>(256));
    return kernel.go(grid, 32);
  };
  std::string own = "mad.lo.s32 %r3, %r2, 32, %r1;\n"
                    "mul.wide.u32 %rd2, %r3, 4;\nadd.s64 %rd3, %rd1, %rd2;\n";
  std::string same = "mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\n";
  EXPECT_TRUE(run(own + "st.global.b32 [%rd3], %r1;\nret;", 4).ok);
  EXPECT_TRUE(run(same + "ld.global.b32 %r4, [%rd3];\nret;", 4).ok);
  EXPECT_TRUE(run(same + "red.global.add.u32 [%rd3], %r1;\nret;", 4).ok);
  // The same value from every CTA is still a race.
  Report report = run(same + "st.global.b32 [%rd3], %r1;\nret;", 4);
  EXPECT_EQ(report.races, 1u) << issues(report);
  EXPECT_NE(issues(report).find("nothing in this kernel orders CTAs"),
            std::string::npos);
  // One reads what another writes.
  report = run(own + "st.global.b32 [%rd3], %r1;\n" + same +
                   "ld.global.b32 %r4, [%rd3];\nret;",
               4);
  EXPECT_GE(report.races, 1u) << issues(report);
}

TEST(Check, NeighbouringHalvesAreNoRace) {
  Report report = runBody("shl.b32 %r5, %r1, 1;\nadd.s32 %r5, %r5, %r3;\n"
                          "cvt.u16.u32 %h1, %r1;\nst.shared.b16 [%r5], %h1;\n"
                          "ret;",
                          256);
  EXPECT_TRUE(report.ok) << issues(report);
}

TEST(Check, NamedBarrierOrdersOnlyItsWarps) {
  // Warps 0 and 1 meet at barrier 1; warp 2 reads without having met them.
  const char *body = R"(
setp.ge.u32 %p1, %r1, 64;
@%p1 bra READER;
st.shared.b32 [%r4], %r1;
bar.sync 1, 64;
xor.b32 %r5, %r4, 128;
ld.shared.b32 %r6, [%r5];
st.global.b32 [%rd3], %r6;
%arrive
ret;
READER:
%wait
sub.s32 %r5, %r4, 128;
ld.shared.b32 %r6, [%r5];
st.global.b32 [%rd3], %r6;
ret;)";
  auto with = [&](const std::string &arrive, const std::string &wait) {
    std::string text = body;
    text.replace(text.find("%arrive"), 7, arrive);
    text.replace(text.find("%wait"), 5, wait);
    return runBody(text, 96);
  };
  EXPECT_TRUE(with("bar.arrive 2, 96;", "bar.sync 2, 96;").ok);
  Report report = with("", "");
  ASSERT_FALSE(report.ok);
  EXPECT_TRUE(has(report, IssueKind::Race) ||
              has(report, IssueKind::Uninitialised))
      << issues(report);
}

TEST(Check, OutOfBounds) {
  expectIssue(runBody("st.global.b32 [%rd3+1024], %r1;\nret;"),
              IssueKind::OutOfBounds,
              " bytes past the end of buffer 'arg0' (1024 bytes)");
  expectIssue(runBody("ld.shared.b32 %r5, [%r4+1024];\nret;"),
              IssueKind::OutOfBounds, "expected to stay within 1024 bytes");
  expectIssue(runBody("mov.u64 %rd4, 0;\nst.global.b32 [%rd4], %r1;\nret;"),
              IssueKind::OutOfBounds, "in no buffer");
  // One byte past the end, where the word begins inside.
  expectIssue(runBody("mov.u32 %r5, 0;\nst.global.v4.b32 [%rd1+1016], "
                      "{%r5,%r5,%r5,%r5};\nret;"),
              IssueKind::OutOfBounds, "byte 1016 of buffer");
}

TEST(Check, Misaligned) {
  expectIssue(runBody("st.global.b32 [%rd3+2], %r1;\nret;"),
              IssueKind::Misaligned, "expected a multiple of 4");
  expectIssue(runBody("mov.b64 %rd4, 0;\nst.shared.b64 [%r4], %rd4;\nret;"),
              IssueKind::Misaligned, "expected a multiple of 8");
}

TEST(Check, Uninitialised) {
  expectIssue(runBody("ld.shared.b32 %r5, [%r4];\nst.global.b32 [%rd3], "
                      "%r5;\nret;"),
              IssueKind::Uninitialised, "which nobody has written");
  expectIssue(runBody("ld.global.b32 %r5, [%rd3];\nret;"),
              IssueKind::Uninitialised, "uninitialised or poisoned");
  expectIssue(runBody("add.s32 %r5, %r6, 1;\nst.global.b32 [%rd3], %r5;\nret;"),
              IssueKind::Uninitialised, "never written");
  // Set on one path only: lanes that took the other are named.
  Report report = runBody("setp.lt.u32 %p1, %r1, 8;\n@%p1 bra L;\n"
                          "mov.u32 %r5, 1;\nL:\nst.global.b32 [%rd3], %r5;\n"
                          "ret;",
                          32);
  expectIssue(report, IssueKind::Uninitialised, "never written");
  EXPECT_EQ(report.issues[0].lanes, 0xffu);
  // A select that does not choose it is no use.
  EXPECT_TRUE(runBody("setp.eq.u32 %p1, %r1, 1000;\nselp.b32 %r5, %r6, 3, "
                      "%p1;\nst.global.b32 [%rd3], %r5;\nret;")
                  .ok);
  EXPECT_TRUE(runBody("setp.eq.u32 %p1, %r1, 1000;\nselp.b32 %r5, %r6, %r1, "
                      "%p1;\nst.global.b32 [%rd3], %r5;\nret;")
                  .ok);
}

TEST(Check, PoisonedPadding) {
  auto module = parse(
      kernelText(kPrologue + std::string("ld.global.b32 %r5, [%rd3];\n"
                                         "st.global.b32 [%rd3], %r5;\nret;")));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.in(std::vector<uint32_t>(64, 1));
  uint64_t address = run.device.address("arg0");
  EXPECT_TRUE(run.go(1, 64).ok);
  ASSERT_TRUE(run.device.poison(address + 128, 4));
  Report report = run.go(1, 64);
  expectIssue(report, IssueKind::Uninitialised, "byte 128 of buffer");
  EXPECT_EQ(report.issues[0].lanes, 1u);
}

TEST(Check, DeadlockNamesEveryWarp) {
  Report report = runBody("setp.lt.u32 %p1, %r1, 32;\n@%p1 bra L;\n"
                          "bar.sync 1, 64;\nret;\nL:\nbar.sync 2, 64;\nret;");
  expectIssue(report, IssueKind::Deadlock, "barrier 1: 32 of 64");
  EXPECT_TRUE(report.deadlock);
  EXPECT_NE(report.issues[0].message.find("warp 0"), std::string::npos);
  EXPECT_NE(report.issues[0].message.find("warp 1"), std::string::npos);
}

TEST(Check, ExitedWarpsDoNotBlockABarrier) {
  EXPECT_TRUE(runBody("setp.lt.u32 %p1, %r1, 32;\n@%p1 ret;\nbar.sync 0;\n"
                      "ret;",
                      96)
                  .ok);
}

TEST(Check, DivergedAlignedBarrier) {
  expectIssue(runBody("setp.lt.u32 %p1, %r1, 8;\n@%p1 bra L;\nbar.sync 0;\n"
                      "bra.uni E;\nL:\nbar.sync 0;\nE:\nret;",
                      32),
              IssueKind::Divergence, "lanes that never come");
  // Without .aligned the two halves may arrive from different places.
  EXPECT_TRUE(runBody("setp.lt.u32 %p1, %r1, 8;\n@%p1 bra L;\n"
                      "barrier.sync 0;\nbra.uni E;\nL:\nbarrier.sync 0;\nE:\n"
                      "ret;",
                      32)
                  .ok);
}

TEST(Check, ShuffleFromAbsentLane) {
  expectIssue(runBody("setp.lt.u32 %p1, %r1, 16;\n@!%p1 bra E;\n"
                      "shfl.sync.down.b32 %r5, %r1, 8, 31, 0xffff;\nE:\nret;",
                      32),
              IssueKind::Divergence, "does not take part");
  expectIssue(runBody("setp.lt.u32 %p1, %r1, 16;\n@!%p1 bra E;\n"
                      "shfl.sync.bfly.b32 %r5, %r1, 1, 31, 0xff;\nE:\nret;",
                      32),
              IssueKind::Divergence, "not in its member mask");
}

TEST(Check, BarrierCounts) {
  expectIssue(runBody("bar.sync 0, 33;\nret;"), IssueKind::Barrier,
              "multiple of 32");
  expectIssue(runBody("mov.u32 %r5, 16;\nbar.sync %r5;\nret;"),
              IssueKind::Barrier, "expected 0 to 15");
  expectIssue(runBody("setp.lt.u32 %p1, %r1, 32;\nselp.b32 %r5, 64, 96, %p1;\n"
                      "bar.sync 1, %r5;\nret;",
                      64),
              IssueKind::Barrier, "an earlier one of the same phase");
}

TEST(Check, EndlessKernelStops) {
  LaunchConfig config;
  config.instructionBudget = 100'000;
  expectIssue(runBody("L:\nbra L;\nret;", 64, config), IssueKind::Budget,
              "more than 100000");
}

TEST(Check, Trap) {
  expectIssue(runBody("trap;\nret;"), IssueKind::Trap, "trapped");
}

TEST(Check, Launch) {
  auto module = parse(kernelText("ret;"));
  ASSERT_TRUE(module);
  auto message = [&](auto change, size_t bytes = 8) {
    Device device;
    LaunchConfig config;
    change(config);
    std::vector<std::byte> params(bytes);
    Report report = launch(*module, "k", params, device, config);
    EXPECT_FALSE(report.ok);
    return report.issues.empty() ? "" : report.issues[0].message;
  };
  auto contains = [](const std::string &text, const char *part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(message([](auto &c) { c.block = {33, 32, 1}; }),
           "1 to 1024 threads");
  contains(message([](auto &c) { c.grid = {0, 1, 1}; }), "positive extents");
  contains(message([](auto &c) { c.cluster = {2, 1, 1}; }), "cluster 2x1x1");
  contains(message([](auto &c) { c.dynamicSharedBytes = 1 << 20; }),
           "at most 166912 bytes on sm_80");
  contains(message([](auto &) {}, 4), "expected 8 bytes, got 4");
}

TEST(Check, SourceLocations) {
  auto module = parse(".version 8.0\n.target sm_80\n.address_size 64\n"
                      ".file 1 \"attention.mlir\"\n.visible .entry k()\n{\n"
                      ".reg .b32 %r<3>;\n.loc 1 42 7\n"
                      "ld.shared.b32 %r1, [%r2];\nret;\n}\n");
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  Report report = run.go(1, 32);
  ASSERT_FALSE(report.ok);
  EXPECT_EQ(report.issues[0].source, "attention.mlir:42");
}

TEST(Check, SeedsOnlyReorder) {
  auto module = parse(readInput("vector.ptx"));
  ASSERT_TRUE(module);
  std::vector<float> x(5000);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i % 17);
  for (uint64_t seed = 0; seed < 8; ++seed) {
    KernelRun run(*module, "reduce_tree");
    run.in(x).in(std::vector<float>{0}).value(int(x.size()));
    run.config.seed = seed;
    Report report = run.go(4, 256);
    ASSERT_TRUE(report.ok) << issues(report);
    float sum;
    run.device.read(run.device.address("arg1"), &sum, 4);
    float expected = 0;
    for (float value : x)
      expected += value;
    EXPECT_EQ(sum, expected);
  }
}

TEST(Check, Counters) {
  auto module = parse(kernelText(kPrologue + std::string(R"(
st.shared.b32 [%r4], %r1;
shl.b32 %r5, %r1, 7;
and.b32 %r5, %r5, 1020;
add.s32 %r5, %r5, %r3;
bar.sync 0;
shl.b32 %r6, %r1, 2;
and.b32 %r6, %r6, 127;
add.s32 %r6, %r6, %r3;
ld.shared.b32 %r7, [%r6];
st.global.b32 [%rd3], %r7;
ret;)")));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(32);
  run.config.counters = true;
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  const CounterSet &total = report.counters.total;
  EXPECT_EQ(total.sharedWavefronts, 2u);
  EXPECT_EQ(total.sharedWavefrontsIdeal, 2u);
  EXPECT_EQ(total.globalSectors, 4u);
  EXPECT_EQ(total.globalSectorsIdeal, 4u);
  EXPECT_EQ(total.bytesStored[unsigned(Space::Shared)], 128u);
  EXPECT_EQ(total.bytesLoaded[unsigned(Space::Shared)], 128u);
  EXPECT_EQ(total.bytesStored[unsigned(Space::Global)], 128u);
}

TEST(Check, BankConflicts) {
  // Lane i reads word stride * i: gcd(stride, 32) lanes share a bank.
  for (auto [stride, wavefronts] : {std::pair{1, 1}, {2, 2}, {8, 8}, {33, 1}}) {
    auto module = parse(
        kernelText(".shared .align 16 .b8 tile[8192];\nmov.u32 %r1, %tid.x;\n"
                   "mov.u32 %r2, tile;\nmad.lo.s32 %r3, %r1, " +
                   std::to_string(stride * 4) +
                   ", %r2;\nst.shared.b32 [%r3], %r1;\nret;"));
    ASSERT_TRUE(module);
    KernelRun run(*module, "k");
    run.out<uint32_t>(1);
    run.config.counters = true;
    Report report = run.go(1, 32);
    ASSERT_TRUE(report.ok) << issues(report);
    EXPECT_EQ(report.counters.total.sharedWavefronts, unsigned(wavefronts));
    EXPECT_EQ(report.counters.total.sharedWavefrontsIdeal, 1u);
  }
}

} // namespace
