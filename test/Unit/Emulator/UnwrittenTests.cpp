//===- UnwrittenTests.cpp - Unwritten data, used and unused -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// One warp. %r4 = &tile[tid], %rd3 = &out[tid]; %r6 is loaded from a word that
/// only the lanes below 16 have written, %p1 is true for those.
constexpr const char *kPrologue = R"(
.shared .align 16 .b8 tile[2048];
ld.param.u64 %rd1, [out];
mov.u32 %r1, %tid.x;
shl.b32 %r2, %r1, 2;
mov.u32 %r3, tile;
add.s32 %r4, %r3, %r2;
cvt.u64.u32 %rd2, %r2;
add.s64 %rd3, %rd1, %rd2;
setp.lt.u32 %p1, %r1, 16;
@%p1 st.shared.b32 [%r4], %r1;
bar.warp.sync -1;
ld.shared.b32 %r6, [%r4];
)";

Report runBody(const std::string &body) {
  auto module = parse(kernelText(kPrologue + body));
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.out<uint32_t>(256);
  return run.go(1, 32);
}

void expectClean(const std::string &body) {
  Report report = runBody(body);
  EXPECT_TRUE(report.ok) << issues(report) << body;
}

/// One issue, at the load, for `lanes`, that names the use by its text.
void expectUse(const std::string &body, uint32_t lanes,
               const std::string &use) {
  Report report = runBody(body);
  ASSERT_EQ(report.issues.size(), 1u) << issues(report) << body;
  const Issue &issue = report.issues[0];
  EXPECT_EQ(issue.kind, IssueKind::Uninitialised);
  EXPECT_EQ(issue.lanes, lanes);
  std::string text = issue.str();
  EXPECT_NE(text.find("ld"), std::string::npos) << text;
  EXPECT_NE(text.find("which nobody has written, and something depends on it"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(": `" + use), std::string::npos) << text;
}

constexpr uint32_t kUpper = 0xffff0000;

TEST(Unwritten, UnusedIsNoError) {
  expectClean("ret;");
  expectClean("add.s32 %r7, %r6, 1;\nmul.lo.s32 %r8, %r7, %r7;\nret;");
  // Overwritten before it is used.
  expectClean("mov.u32 %r6, 5;\nst.global.b32 [%rd3], %r6;\nret;");
}

TEST(Unwritten, ReportedAtTheLoadWhereItIsStored) {
  expectUse("add.s32 %r7, %r6, 1;\ncvt.rn.f32.u32 %f1, %r7;\n"
            "st.global.f32 [%rd3], %f1;\nret;",
            kUpper, "st.global.f32");
  Report report = runBody("st.global.b32 [%rd3], %r6;\nret;");
  ASSERT_EQ(report.issues.size(), 1u);
  EXPECT_NE(report.issues[0].str().find("lane 16 reads shared byte 64"),
            std::string::npos)
      << issues(report);
}

TEST(Unwritten, GuardKeepsItFromMemory) {
  expectClean("@%p1 st.global.b32 [%rd3], %r6;\nret;");
}

TEST(Unwritten, SelectTakesTheChosenOne) {
  expectClean("selp.b32 %r7, %r6, 0, %p1;\nst.global.b32 [%rd3], %r7;\nret;");
  expectUse("selp.b32 %r7, 0, %r6, %p1;\nst.global.b32 [%rd3], %r7;\nret;",
            kUpper, "st.global.b32");
  // Who chooses counts too.
  expectUse("setp.eq.u32 %p2, %r6, 3;\nselp.b32 %r7, 1, 2, %p2;\n"
            "st.global.b32 [%rd3], %r7;\nret;",
            kUpper, "st.global.b32");
}

TEST(Unwritten, AddressesBranchesAndGuards) {
  expectUse("and.b32 %r7, %r6, 4;\nadd.s32 %r7, %r7, %r3;\n"
            "ld.shared.b32 %r8, [%r7];\nret;",
            kUpper, "ld.shared.b32");
  expectUse("and.b32 %r7, %r6, 4;\nadd.s32 %r7, %r7, %r3;\n"
            "st.shared.b32 [%r7+1024], 1;\nret;",
            kUpper, "st.shared.b32");
  expectUse("setp.eq.u32 %p2, %r6, 77;\n@%p2 bra L;\n"
            "st.global.b32 [%rd3], %r1;\nL:\nret;",
            kUpper, "@%p2 bra");
  expectUse("setp.eq.u32 %p2, %r6, 77;\n@%p2 st.global.b32 [%rd3], 1;\nret;",
            kUpper, "@%p2 st.global.b32");
}

TEST(Unwritten, BranchOverArithmeticSelects) {
  const char *both = "mov.u32 %r7, 1;\nsetp.eq.u32 %p2, %r6, 77;\n@%p2 bra L;\n"
                     "add.s32 %r7, %r6, 1;\nL:\n";
  expectClean(both + std::string("@%p1 st.global.b32 [%rd3], %r7;\nret;"));
  expectUse(both + std::string("st.global.b32 [%rd3], %r7;\nret;"), kUpper,
            "st.global.b32");
}

TEST(Unwritten, ShuffleGivesItToAnotherLane) {
  const char *swap = "shfl.sync.bfly.b32 %r7, %r6, 16, 31, -1;\n";
  expectUse(swap + std::string("st.global.b32 [%rd3], %r7;\nret;"), 0xffff,
            "st.global.b32");
  expectClean(swap + std::string("@!%p1 st.global.b32 [%rd3], %r7;\nret;"));
}

TEST(Unwritten, VotesAndAtomicsCount) {
  expectUse("setp.eq.u32 %p2, %r6, 3;\nvote.sync.any.pred %p3, %p2, -1;\nret;",
            kUpper, "vote.sync");
  expectUse("red.shared.add.u32 [%r3], %r6;\nret;", kUpper, "red.shared");
}

TEST(Unwritten, SharedMemoryKeepsIt) {
  const char *copy = "st.shared.b32 [%r4+1024], %r6;\nbar.warp.sync -1;\n"
                     "ld.shared.b32 %r8, [%r4+1024];\n";
  expectClean(copy + std::string("ret;"));
  expectClean(copy + std::string("@%p1 st.global.b32 [%rd3], %r8;\nret;"));
  expectUse(copy + std::string("st.global.b32 [%rd3], %r8;\nret;"), kUpper,
            "st.global.b32");
}

TEST(Unwritten, PartsOfVectors) {
  // Words 16 and up are unwritten: those of lanes 4 and up.
  const char *load = "shl.b32 %r7, %r1, 4;\nadd.s32 %r7, %r7, %r3;\n"
                     "add.s32 %r7, %r7, 8;\nand.b32 %r7, %r7, 0xff0;\n"
                     "ld.shared.v4.b32 {%r8, %r9, %r10, %r11}, [%r7];\n";
  expectUse(load + std::string("st.global.b32 [%rd3], %r11;\nret;"), 0xfffffff0,
            "st.global.b32");
  // Half of a word.
  expectUse("mov.b16 %h1, 1;\n@%p1 bra L;\nst.shared.b16 [%r4], "
            "%h1;\nL:\nbar.warp.sync -1;\n"
            "ld.shared.v2.b16 {%h2, %h3}, [%r4];\n"
            "cvt.u32.u16 %r7, %h3;\nst.global.b32 [%rd3], %r7;\nret;",
            kUpper, "st.global.b32");
}

/// A of m16n8k16 from a tile of 16 rows by 32 bytes of which `rows` are
/// written, B all ones.
std::string multiply(const std::string &rows, bool throughB) {
  return "shl.b32 %r7, %r1, 4;\nadd.s32 %r7, %r7, %r3;\n"
         "shr.u32 %r8, %r1, 1;\nsetp.lt.u32 %p3, %r8, " +
         rows +
         ";\nmov.u32 %r9, 0x3c003c00;\n"
         "@%p3 st.shared.v4.b32 [%r7+1024], {%r9, %r9, %r9, %r9};\n"
         "bar.warp.sync -1;\n"
         // Rows l % 16, left half for lanes below 16.
         "and.b32 %r10, %r1, 15;\nshl.b32 %r10, %r10, 5;\n"
         "and.b32 %r11, %r1, 16;\nadd.s32 %r10, %r10, %r11;\n"
         "add.s32 %r10, %r10, %r3;\n"
         "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r12, %r13, %r14, %r15}, "
         "[%r10+1024];\nmov.f32 %f1, 0f00000000;\n" +
         (throughB
              ? "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                "{%f2, %f3, %f4, %f5}, {%r9, %r9, %r9, %r9}, {%r12, %r14}, "
                "{%f1, %f1, %f1, %f1};\n"
              : "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                "{%f2, %f3, %f4, %f5}, {%r12, %r13, %r14, %r15}, {%r9, %r9}, "
                "{%f1, %f1, %f1, %f1};\n");
}

TEST(Unwritten, MatrixRowsAndColumns) {
  // Rows 13 to 15 of A: lanes 20 and up, second pair of accumulators.
  expectUse(multiply("13", false) + "st.global.f32 [%rd3], %f4;\nret;",
            0xfff00000, "st.global.f32");
  expectClean(multiply("13", false) + "st.global.f32 [%rd3], %f3;\nret;");
  // Columns 5 to 7 of B: odd ones in the first place, two pairs of lanes.
  expectUse(multiply("5", true) + "st.global.f32 [%rd3], %f3;\nret;",
            0xcccccccc, "st.global.f32");
  expectUse(multiply("5", true) + "st.global.f32 [%rd3], %f2;\nret;",
            0x88888888, "st.global.f32");
  expectClean(multiply("8", true) + "st.global.f32 [%rd3], %f2;\nret;");
}

TEST(Unwritten, AccumulatorsKeepIt) {
  // The first product's D is the second one's C.
  expectUse(multiply("13", false) +
                "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                "{%f2, %f3, %f4, %f5}, {%r9, %r9, %r9, %r9}, {%r9, %r9}, "
                "{%f2, %f3, %f4, %f5};\nst.global.f32 [%rd3], %f5;\nret;",
            0xfff00000, "st.global.f32");
}

TEST(Unwritten, OtherWarpsAreNotDisturbed) {
  // The second CTA starts afresh.
  auto module = parse(
      kernelText(kPrologue + std::string("mov.u32 %r7, %ctaid.x;\n"
                                         "setp.eq.u32 %p2, %r7, 0;\n@%p2 ret;\n"
                                         "selp.b32 %r6, %r6, 7, %p1;\n"
                                         "st.global.b32 [%rd3], %r6;\nret;")));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(256);
  run.config.threads = 1;
  Report report = run.go(2, 32);
  EXPECT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(run.result<uint32_t>()[3], 3u);
  EXPECT_EQ(run.result<uint32_t>()[20], 7u);
}

} // namespace
