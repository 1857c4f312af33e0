//===- WarpgroupHazardTests.cpp - What wgmma forbids --------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One correct multiplication of a tile of ones, m64n8k16, and what happens when
// a line of it is missing, or another one comes too early.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <regex>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

const std::string kFence = "wgmma.fence.sync.aligned;\n";
const std::string kCommit = "wgmma.commit_group.sync.aligned;\n";
const std::string kWait = "wgmma.wait_group.sync.aligned 0;\n";
const std::string kProxy = "fence.proxy.async.shared::cta;\n";
/// %d = ones * ones + %d, with A from shared memory or from %a.
const std::string kMultiply =
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%d0, %d1, %d2, %d3}, "
    "%da, %db, 1, 1, 1, 0, 0;\n";
const std::string kFromRegisters =
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%d0, %d1, %d2, %d3}, "
    "{%a0, %a1, %a2, %a3}, %db, 1, 1, 1, 0;\n";
const std::string kSecond =
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%e0, %e1, %e2, %e3}, "
    "%da, %db, 1, 1, 1, 0, 0;\n";

/// 2560 bytes of shared memory full of bf16 ones: A at 0, B at 2048, both
/// without swizzle. %d and %e start as 1, %a as ones. `body` runs, then %d0
/// + %e0 + %f0 is stored per thread.
std::string kernel(const std::string &body, const std::string &proxy = kProxy) {
  std::string ptx =
      ".version 8.0\n.target sm_90a\n.address_size 64\n"
      ".visible .entry k(.param .u64 out)\n{\n"
      ".shared .align 128 .b8 sm[2560];\n"
      ".reg .f32 %f<8>;\n.reg .b32 %d<4>, %e<4>, %a<4>, %r<12>;\n"
      ".reg .b64 %rd<8>, %da, %db;\n.reg .pred %p<4>;\n"
      "mov.u32 %r0, %tid.x;\nmov.u32 %r1, sm;\nshl.b32 %r2, %r0, 2;\n"
      "add.s32 %r2, %r1, %r2;\nmov.b32 %r3, 0x3f803f80;\n";
  for (unsigned i = 0; i < 5; ++i)
    ptx += "st.shared.b32 [%r2+" + std::to_string(i * 512) + "], %r3;\n";
  // Matrices of 8 x 16 bytes: k halves 1024 (128) bytes apart, rows 128.
  ptx += "mov.b64 %da, 0x0000000800400000;\nmov.b64 %db, 0x0000000800080080;\n"
         "mov.f32 %f0, 0f00000000;\n";
  for (unsigned i = 0; i < 4; ++i) {
    std::string n = std::to_string(i);
    // Not plain moves: those would count as renaming.
    ptx += "add.f32 %d" + n + ", %f0, 0f3F800000;\nadd.f32 %e" + n +
           ", %f0, 0f3F800000;\nadd.s32 %a" + n + ", %r3, 0;\n";
  }
  ptx += proxy + "bar.sync 0;\n" + body +
         "ld.param.u64 %rd0, [out];\nmul.wide.u32 %rd1, %r0, 4;\n"
         "add.s64 %rd0, %rd0, %rd1;\nadd.f32 %f1, %d0, %e0;\n"
         "add.f32 %f1, %f1, %f0;\nst.global.f32 [%rd0], %f1;\nret;\n}\n";
  return ptx;
}

Report run(const std::string &ptx, AsyncMode mode, float expected,
           uint32_t threads = 128, Chip chip = Chip::SM90) {
  auto module = parse(ptx);
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.out<float>(threads);
  run.config.chip = chip;
  run.config.async = mode;
  run.config.instructionBudget = 100000;
  Report report = run.go(1, threads);
  if (report.ok)
    EXPECT_EQ(run.result<float>(), std::vector<float>(threads, expected));
  return report;
}

constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                AsyncMode::Random};

/// It is correct, and returns `expected`, in all modes.
void accepts(const std::string &body, float expected) {
  for (AsyncMode mode : kModes) {
    Report report = run(kernel(body), mode, expected);
    EXPECT_TRUE(report.ok) << body << issues(report);
  }
}

/// Every mode reports `kind` with `text` in its message.
void reportsIn(const std::string &ptx, IssueKind kind, const std::string &text,
               uint32_t threads = 128, Chip chip = Chip::SM90) {
  for (AsyncMode mode : kModes) {
    Report report = run(ptx, mode, 0, threads, chip);
    EXPECT_TRUE(has(report, kind)) << ptx << issues(report);
    EXPECT_NE(issues(report).find(text), std::string::npos)
        << text << "\n"
        << ptx << issues(report);
  }
}
void reports(const std::string &body, IssueKind kind, const std::string &text) {
  reportsIn(kernel(body), kind, text);
}

TEST(WarpgroupHazard, Correct) {
  accepts(kFence + kMultiply + kCommit + kWait, 18);
  accepts(kFence + kMultiply + kMultiply + kCommit + kWait, 34);
  accepts(kFence + kFromRegisters + kCommit + kWait, 18);
  // Two groups, waited for one by one.
  accepts(
      kFence + kMultiply + kCommit + kSecond + kCommit +
          "wgmma.wait_group.sync.aligned 1;\nadd.f32 %f0, %d0, 0f00000000;\n" +
          kWait,
      17 + 17 + 17);
}

TEST(WarpgroupHazard, AccumulatorsInFlight) {
  // The store at the end reads them.
  reports(kFence + kMultiply + kCommit, IssueKind::RegisterHazard,
          "reads accumulator 0 of the wgmma of line");
  // Not committed, so no wait covers it.
  reports(kFence + kMultiply + kWait, IssueKind::RegisterHazard,
          "reads accumulator 0");
  // The wait lets the latest group be.
  reports(kFence + kMultiply + kCommit + "wgmma.wait_group.sync.aligned 1;\n",
          IssueKind::RegisterHazard, "reads accumulator 0");
  reports(kFence + kMultiply + kCommit + "add.f32 %d3, %f0, %f0;\n" + kWait,
          IssueKind::RegisterHazard, "writes accumulator 3");
  reports(kFence + kMultiply + kCommit + "mov.f32 %d2, 0f00000000;\n" + kWait,
          IssueKind::RegisterHazard, "writes accumulator 2");
}

TEST(WarpgroupHazard, PoisonUntilTheWait) {
  auto module = parse(kernel(kFence + kMultiply + kCommit));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<float>(128);
  run.config.chip = Chip::SM90;
  run.config.async = AsyncMode::Lazy;
  Report report = run.go(1, 128);
  EXPECT_TRUE(has(report, IssueKind::RegisterHazard)) << issues(report);
  for (float value : run.result<float>())
    EXPECT_TRUE(value != value);
}

TEST(WarpgroupHazard, ARegistersInFlight) {
  std::string early = "add.s32 %a1, %a1, 1;\n";
  reports(kFence + kFromRegisters + kCommit + early + kWait,
          IssueKind::RegisterHazard, "writes an A register");
  accepts(kFence + kFromRegisters + kCommit + kWait + early, 18);
  // Reading them is fine.
  accepts(kFence + kFromRegisters + kCommit + "add.s32 %r4, %a1, 1;\n" + kWait,
          18);
  // What one wgmma computes is not yet A of the next one.
  std::string chained =
      "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%e0, %e1, %e2, "
      "%e3}, {%d0, %d1, %d2, %d3}, %db, 1, 1, 1, 0;\n";
  reports(kFence + kMultiply + chained + kCommit + kWait,
          IssueKind::RegisterHazard, "A register 0 is accumulator 0");
}

TEST(WarpgroupHazard, OtherShapeInFlight) {
  std::string wider =
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%d0, %d1, %d2, "
      "%d3, %e0, %e1, %e2, %e3}, %da, %da, 1, 1, 1, 0, 0;\n";
  reports(kFence + kMultiply + wider + kCommit + kWait,
          IssueKind::RegisterHazard, "expected accumulators of the same shape");
  accepts(kFence + kMultiply + kCommit + kWait + wider + kCommit + kWait,
          17 + 16 + 17);
}

TEST(WarpgroupHazard, Fence) {
  reports(kMultiply + kCommit + kWait, IssueKind::RegisterHazard,
          "no wgmma.fence before the first use");
  reports(kFence + "add.f32 %d1, %d1, %d1;\n" + kMultiply + kCommit + kWait,
          IssueKind::RegisterHazard,
          "accumulator 1: written since the last wgmma.fence");
  reports(kFence + "add.s32 %a2, %a2, 0;\n" + kFromRegisters + kCommit + kWait,
          IssueKind::RegisterHazard,
          "A register 2: written since the last wgmma.fence");
  std::string batch = kMultiply + kCommit + kWait;
  accepts(kFence + batch + "add.f32 %d0, %d0, %d0;\n" + kFence + batch, 51);
  reports(kFence + batch + "add.f32 %d0, %d0, %d0;\n" + batch,
          IssueKind::RegisterHazard, "written since");
}

TEST(WarpgroupHazard, Moves) {
  // The copy is locked with the original, and gets the value with it.
  std::string copy = "mov.b32 %f0, %d0;\n";
  accepts(kFence + kMultiply + kCommit + copy + kWait, 17 + 1 + 17);
  reports(kFence + kMultiply + kCommit + copy + "add.f32 %f3, %f0, %f0;\n" +
              kWait,
          IssueKind::RegisterHazard, "reads accumulator 0");
  // A copy keeps the value of its time, and may be overwritten.
  accepts(kFence + kMultiply + copy + kMultiply + kCommit + kWait, 33 + 1 + 17);
  accepts(kFence + kMultiply + copy + "mov.b32 %f0, 0f40000000;\n" + kCommit +
              kWait,
          17 + 1 + 2);
  // Accumulators renamed between two multiplications.
  std::string rename;
  for (unsigned i = 0; i < 4; ++i)
    rename +=
        "mov.f32 %e" + std::to_string(i) + ", %d" + std::to_string(i) + ";\n";
  accepts(kFence + kMultiply + rename + kSecond + kCommit + kWait, 17 + 33);
  // A move behind the fence of what was written before it is no write.
  accepts(kFence + "mov.b32 %f2, %d1;\nmov.b32 %d1, %f2;\n" + kMultiply +
              kCommit + kWait,
          18);
}

TEST(WarpgroupHazard, UnwrittenAccumulators) {
  std::string body = kFence +
                     std::regex_replace(kMultiply, std::regex("%d"), "%u") +
                     kCommit + kWait;
  body = std::regex_replace(body, std::regex("%ua"), "%da");
  body = std::regex_replace(body, std::regex("%ub"), "%db");
  std::string never =
      std::regex_replace(body, std::regex("%db, 1,"), "%db, 0,");
  std::string at = "add.f32 %f0, %u0, 0f00000000;\n";
  accepts(".reg .f32 %u<4>;\n" + never + at, 1 + 1 + 16);
  // The same by a predicate that turns out false.
  std::string runtime =
      "setp.ne.u32 %p1, %r0, %r0;\n" +
      std::regex_replace(body, std::regex("%db, 1,"), "%db, %p1,");
  accepts(".reg .f32 %u<4>;\n" + runtime + at, 1 + 1 + 16);
  reports(".reg .f32 %u<4>;\n" + body + at, IssueKind::Uninitialised,
          "never written");
}

TEST(WarpgroupHazard, SharedMemory) {
  std::string body = kFence + kMultiply + kCommit + kWait;
  reportsIn(kernel(body, ""), IssueKind::Race, "fence.proxy.async");
  // B is overwritten while the multiplication may still read it.
  std::string one = "setp.eq.u32 %p0, %r0, 0;\n@%p0 st.shared.b32 "
                    "[%r1+2048], %r3;\n";
  reports(kFence + kMultiply + kCommit + one + kWait, IssueKind::Race,
          "may still read");
  accepts(kFence + kMultiply + kCommit + kWait + "bar.sync 0;\n" + one, 18);
}

TEST(WarpgroupHazard, Warps) {
  std::string body = kFence + kMultiply + kCommit + kWait;
  reportsIn(kernel(body), IssueKind::Divergence, "expected a warpgroup", 96);
  reportsIn(kernel(body), IssueKind::Unsupported, "expected chip sm_90a", 128,
            Chip::SM80);
  std::string warp = "shr.u32 %r4, %r0, 5;\nsetp.eq.u32 %p0, %r4, 2;\n";
  // One warp multiplies something else.
  reports(warp + "@%p0 add.s64 %db, %db, 1;\n" + body, IssueKind::Divergence,
          "other matrix descriptors");
  reports(warp + kFence + "@!%p0 bra OTHER;\n" + kMultiply +
              "bra.uni NEXT;\nOTHER:\n" + kMultiply + "NEXT:\n" + kCommit +
              kWait,
          IssueKind::Divergence, "another instruction");
  // One warp does not take part: the others wait for ever.
  reports(warp + "@%p0 bra DONE;\n" + body + "DONE:\n", IssueKind::Deadlock,
          "wgmma");
  // Lanes of one warp differ.
  reports("cvt.u64.u32 %rd2, %r0;\nadd.s64 %db, %db, %rd2;\n" + body,
          IssueKind::Divergence, "one value in all lanes");
  reports("setp.eq.u32 %p0, %r0, 5;\n@%p0 bra DONE;\n" + body + "DONE:\n",
          IssueKind::Divergence, "");
}

TEST(WarpgroupHazard, Descriptors) {
  std::string body = kFence + kMultiply + kCommit + kWait;
  reports("mov.b64 %db, 0x0000000800080091;\n" + body, IssueKind::OutOfBounds,
          "reaches byte 2575 of 2560 bytes");
  reports("or.b64 %da, %da, 0x4000;\n" + body, IssueKind::OutOfBounds,
          "expected bits 14..15 to be 0");
}

} // namespace
