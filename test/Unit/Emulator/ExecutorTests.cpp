//===- ExecutorTests.cpp - What runs, how often, how long ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Counters and budgets are exact wherever a run of plain instructions is cut:
// by a turn, by the budget, by lanes that go another way.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <map>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// How often the instructions that start with each text were issued.
std::map<std::string, uint64_t> issuedBy(const Report &report) {
  std::map<std::string, uint64_t> result;
  uint64_t sum = 0;
  for (const LineCounters &line : report.counters.lines) {
    size_t start = line.text.find_first_not_of(" \t");
    result[line.text.substr(start)] += line.counts.issued;
    sum += line.counts.issued;
  }
  EXPECT_EQ(sum, report.warpInstructions);
  EXPECT_EQ(sum, report.counters.total.issued);
  return result;
}

std::string repeated(unsigned times, const std::string &line) {
  std::string text;
  for (unsigned i = 0; i < times; ++i)
    text += line;
  return text;
}

TEST(Executor, CountsOfDivergentLoops) {
  // Lane i goes round i % 4 times; the header runs once more.
  std::string body = "mov.u32 %r1, %tid.x;\nand.b32 %r2, %r1, 3;\n"
                     "mov.u32 %r3, 0;\nmov.u32 %r4, 0;\n"
                     "LOOP:\nsetp.ge.u32 %p1, %r3, %r2;\n@%p1 bra DONE;\n"
                     "add.u32 %r4, %r4, 7;\n"
                     "setp.eq.u32 %p2, %r2, 2;\n"
                     "@%p2 xor.b32 %r4, %r4, 1;\n"
                     "@!%p2 sub.u32 %r4, %r4, 1;\n"
                     "add.u32 %r3, %r3, 1;\nbra LOOP;\n"
                     "DONE:\nmad.wide.u32 %rd2, %r1, 4, %rd1;\n"
                     "ld.param.u64 %rd1, [out];\n"
                     "mad.wide.u32 %rd2, %r1, 4, %rd1;\n"
                     "st.global.b32 [%rd2], %r4;\nret;";
  auto module = parse(kernelText(body));
  ASSERT_TRUE(module);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    KernelRun run(*module, "k");
    run.out<uint32_t>(70);
    run.config.seed = seed;
    Report report = run.go(1, 70);
    ASSERT_TRUE(report.ok) << issues(report);
    std::map<std::string, uint64_t> count = issuedBy(report);
    constexpr uint64_t warps = 3; // The last one has 6 lanes, of all kinds.
    EXPECT_EQ(count["and.b32 %r2, %r1, 3;"], warps);
    EXPECT_EQ(count["setp.ge.u32 %p1, %r3, %r2;"], 4 * warps);
    EXPECT_EQ(count["@%p1 bra DONE;"], 4 * warps);
    EXPECT_EQ(count["add.u32 %r4, %r4, 7;"], 3 * warps);
    EXPECT_EQ(count["@%p2 xor.b32 %r4, %r4, 1;"], 3 * warps);
    EXPECT_EQ(count["@!%p2 sub.u32 %r4, %r4, 1;"], 3 * warps);
    EXPECT_EQ(count["bra LOOP;"], 3 * warps);
    EXPECT_EQ(count["mad.wide.u32 %rd2, %r1, 4, %rd1;"], 2 * warps);
    EXPECT_EQ(count["ret;"], warps);
    for (uint32_t i = 0; i < 70; ++i) {
      uint32_t value = 0;
      for (uint32_t round = 0; round < i % 4; ++round) {
        value += 7;
        value = i % 4 == 2 ? value ^ 1 : value - 1;
      }
      EXPECT_EQ(run.result<uint32_t>()[i], value) << "lane " << i;
    }
  }
}

TEST(Executor, CountsOfLongRuns) {
  // Runs longer than many a turn, in several CTAs on two host threads.
  constexpr unsigned length = 3000, rounds = 5;
  auto module = parse(kernelText(
      "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\nLOOP:\n" +
      repeated(length, "add.u32 %r2, %r2, 3;\n") +
      "add.u32 %r1, %r1, 1;\nsetp.lt.u32 %p1, %r1, " + std::to_string(rounds) +
      ";\n@%p1 bra LOOP;\nmov.u32 %r3, %ctaid.x;\n"
      "mov.u32 %r5, %tid.x;\nmad.lo.s32 %r3, %r3, 64, %r5;\n"
      "ld.param.u64 %rd1, [out];\nmad.wide.u32 %rd2, %r3, 4, %rd1;\n"
      "st.global.b32 [%rd2], %r2;\nret;"));
  ASSERT_TRUE(module);
  for (uint64_t seed = 0; seed < 5; ++seed) {
    KernelRun run(*module, "k");
    run.out<uint32_t>(256);
    run.config.seed = seed;
    Report report = run.go(4, 64);
    ASSERT_TRUE(report.ok) << issues(report);
    constexpr uint64_t warps = 8;
    std::map<std::string, uint64_t> count = issuedBy(report);
    EXPECT_EQ(count["add.u32 %r2, %r2, 3;"], warps * length * rounds);
    EXPECT_EQ(report.warpInstructions, warps * ((length + 3) * rounds + 9));
    EXPECT_EQ(run.result<uint32_t>()[77], 3 * length * rounds);
  }
}

TEST(Executor, BudgetCutsRuns) {
  auto module =
      parse(kernelText(repeated(40, "add.u32 %r2, %r1, 3;\n") +
                       "mov.u32 %r3, %tid.x;\n"
                       "setp.lt.u32 %p1, %r3, 9;\n"
                       "@%p1 bra SKIP;\n" +
                       repeated(10, "add.u32 %r2, %r1, 5;\n") + "SKIP:\nret;"));
  ASSERT_TRUE(module);
  constexpr uint64_t all = 2 * 54; // One of the two warps diverges.
  for (uint64_t budget = 1; budget <= all + 2; ++budget)
    for (uint64_t seed = 0; seed < 3; ++seed) {
      KernelRun run(*module, "k");
      run.out<uint32_t>(1);
      run.config.seed = seed;
      run.config.instructionBudget = budget;
      Report report = run.go(1, 64);
      issuedBy(report);
      EXPECT_EQ(report.warpInstructions, std::min(budget, all));
      EXPECT_EQ(has(report, IssueKind::Budget), budget < all) << budget;
    }
}

TEST(Executor, ClockCountsInstructions) {
  auto module = parse(kernelText("mov.u32 %r1, %clock;\n" +
                                 repeated(25, "add.u32 %r2, %r2, 3;\n") +
                                 "mov.u32 %r3, %clock;\n"
                                 "mov.u64 %rd3, %clock64;\n"
                                 "sub.u32 %r4, %r3, %r1;\n"
                                 "cvt.u32.u64 %r5, %rd3;\n"
                                 "sub.u32 %r5, %r5, %r1;\n"
                                 "ld.param.u64 %rd1, [out];\n"
                                 "st.global.v2.b32 [%rd1], {%r4, %r5};\n"
                                 "ret;"));
  ASSERT_TRUE(module);
  // A lone warp: nobody else's instructions lie between.
  for (uint64_t seed = 0; seed < 5; ++seed) {
    KernelRun run(*module, "k");
    run.out<uint32_t>(2);
    run.config.seed = seed;
    Report report = run.go(1, 1);
    ASSERT_TRUE(report.ok) << issues(report);
    EXPECT_EQ(run.result<uint32_t>(), (std::vector<uint32_t>{26, 27}));
  }
}

} // namespace
