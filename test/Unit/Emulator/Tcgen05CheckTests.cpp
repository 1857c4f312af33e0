//===- Tcgen05CheckTests.cpp - What the emulator reports of tcgen05 *- C++
//-*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel that is right, and what is wrong with it when a part is left out or
// changed.
//
//===----------------------------------------------------------------------===//

#include "Tcgen05Text.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

/// A product of zeros with an epilogue, in parts that tests leave out or
/// change. Warp 0 computes, warps 0 to 3 read.
struct Parts {
  std::string before;
  std::string fence = "fence.proxy.async.shared::cta;\n";
  std::string afterSync = "tcgen05.fence::after_thread_sync;\n";
  std::string descriptor = "mov.b32 %r20, 134479888;\n"; // 128x16, f16 -> f32
  std::string product =
      "tcgen05.mma.cta_group::1.kind::f16 [%r2], %rd10, %rd11, %r20, 0;\n";
  std::string commit = "tcgen05.commit.cta_group::1.mbarrier::arrive::one.b64 "
                       "[%rd12];\n";
  std::string afterIssue;
  std::string wait = waitFor();
  std::string load =
      "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) + ", [%r4];\n";
  std::string waitLoad = kWaitLoad;
  std::string write = "st.global.v2.b32 [%rd1], {%r40, %r47};\n";
  std::string end = release(32);

  std::string text() const {
    return tensorKernel(
        before +
            "mov.u32 %r8, buf;\nshl.b32 %r9, %r0, 4;\n"
            "add.u32 %r9, %r9, %r8;\nmov.b32 %r10, 0;\n"
            "st.shared.v4.b32 [%r9], {%r10, %r10, %r10, %r10};\n"
            "st.shared.v4.b32 [%r9+2048], {%r10, %r10, %r10, %r10};\n"
            "st.shared.v4.b32 [%r9+4096], {%r10, %r10, %r10, %r10};\n" +
            kInitBarrier + fence + allocate(32) +
            "ld.param.u64 %rd1, [out];\nmul.wide.u32 %rd2, %r0, 8;\n"
            "add.s64 %rd1, %rd1, %rd2;\n" +
            kAddress +
            // Tiles without swizzling: A at 0, B at 4096.
            "shr.u32 %r11, %r8, 4;\nand.b32 %r11, %r11, 0x3fff;\n"
            "cvt.u64.u32 %rd13, %r11;\n"
            "add.s64 %rd10, %rd13, 0x400800800000;\n"
            "add.s64 %rd11, %rd13, 0x400800100100;\n"
            "cvt.u64.u32 %rd12, %r7;\ncvta.shared.u64 %rd12, %rd12;\n"
            "@%p1 bra issued;\n" +
            afterSync + descriptor + product + commit + afterIssue +
            "issued:\n" + wait + load + waitLoad + write + end,
        ".param .u64 out");
  }
  Report run(AsyncMode mode = AsyncMode::Eager) const {
    auto module = parse(text());
    if (!module)
      return {};
    KernelRun run(*module, "k");
    run.out<uint32_t>(256);
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    run.config.threads = 1;
    return run.go(1, 128);
  }
  /// Every mode must report `kind`, with `message` in it.
  void expect(IssueKind kind, const std::string &message) const {
    for (AsyncMode mode : kModes) {
      Report report = run(mode);
      bool found = false;
      for (const Issue &issue : report.issues)
        found |= issue.kind == kind &&
                 issue.message.find(message) != std::string::npos;
      EXPECT_TRUE(found) << "expected '" << message << "', got:\n"
                         << issues(report);
    }
  }
};

TEST(Tcgen05, CleanBase) {
  for (AsyncMode mode : kModes) {
    Report report = Parts().run(mode);
    EXPECT_TRUE(report.ok) << issues(report);
    EXPECT_GT(report.warpInstructions, 0u);
  }
}

TEST(Tcgen05, MissingWaits) {
  Parts parts;
  parts.wait = "";
  parts.expect(IssueKind::Poisoned, "still to write");
  parts = {};
  parts.commit = "";
  parts.wait = "";
  parts.expect(IssueKind::Poisoned, "still to write");
  parts = {};
  parts.waitLoad = "";
  parts.expect(IssueKind::RegisterHazard, "expected tcgen05.wait::ld");
  // A mere copy is no use of the value; the value comes with the wait.
  parts = {};
  parts.waitLoad = "mov.b32 %r50, %r40;\n" + std::string(kWaitLoad) +
                   "mov.b32 %r40, %r50;\n";
  Report report = parts.run();
  EXPECT_TRUE(report.ok) << issues(report);
  parts.waitLoad =
      "mov.b32 %r50, %r40;\nadd.u32 %r51, %r50, 1;\n" + std::string(kWaitLoad);
  parts.expect(IssueKind::RegisterHazard, "expected tcgen05.wait::ld");
  // Lazy completion: what is read too early is poison.
  parts = {};
  parts.wait = "bar.sync 0;\n";
  parts.end = "";
  auto module = parse(parts.text());
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(256);
  run.config.chip = Chip::SM100;
  run.config.async = AsyncMode::Lazy;
  run.go(1, 128);
  EXPECT_EQ(run.result<uint32_t>(), std::vector<uint32_t>(256, ~0u));
}

TEST(Tcgen05, MissingFences) {
  Parts parts;
  std::string fence = "tcgen05.fence::after_thread_sync;\n";
  parts.wait.erase(parts.wait.find(fence), fence.size());
  parts.expect(IssueKind::TensorMemory,
               "expected tcgen05.fence::after_thread_sync here");
  // A fence before the wait is none.
  parts.wait = fence + parts.wait;
  parts.expect(IssueKind::TensorMemory,
               "expected tcgen05.fence::after_thread_sync here");
  // A kernel without any is left alone.
  parts.wait.erase(0, fence.size());
  parts.afterSync = "";
  for (AsyncMode mode : kModes) {
    Report report = parts.run(mode);
    EXPECT_TRUE(report.ok) << issues(report);
  }
}

TEST(Tcgen05, SharedOperands) {
  Parts parts;
  parts.fence = "";
  parts.expect(IssueKind::Race, "fence.proxy.async");
  // A is overwritten before anybody knows that it was read.
  parts = {};
  parts.afterIssue = "st.shared.b32 [%r8], %r10;\n";
  parts.expect(IssueKind::Race, "writes shared byte 0, ");
  parts = {};
  parts.descriptor += "add.s64 %rd11, %rd11, 256;\n"; // 4096 bytes further.
  parts.expect(IssueKind::Uninitialised, "which nobody has written");
}

TEST(Tcgen05, StoresBeforeProducts) {
  // All warps put A into columns 16 to 23.
  std::string store = "add.u32 %r15, %r4, 16;\n"
                      "tcgen05.st.sync.aligned.32x32b.x8.b32 [%r15], {%r10, "
                      "%r10, %r10, %r10, %r10, %r10, %r10, %r10};\n";
  std::string before = "tcgen05.fence::before_thread_sync;\n";
  std::string product = "add.u32 %r16, %r2, 16;\ntcgen05.mma.cta_group::1."
                        "kind::f16 [%r2], [%r16], %rd11, %r20, 0;\n";
  auto kernel = [&](const std::string &between) {
    Parts parts;
    parts.product = product;
    // Before the branch around the product.
    parts.afterSync = "tcgen05.fence::after_thread_sync;\n";
    std::string text = parts.text();
    size_t at = text.find("@%p1 bra issued;");
    text.insert(at, store + between);
    return text;
  };
  auto check = [&](const std::string &between, IssueKind kind,
                   const std::string &message) {
    auto module = parse(kernel(between));
    ASSERT_TRUE(module);
    for (AsyncMode mode : kModes) {
      KernelRun run(*module, "k");
      run.out<uint32_t>(256);
      run.config.chip = Chip::SM100;
      run.config.async = mode;
      Report report = run.go(1, 128);
      if (message.empty()) {
        EXPECT_TRUE(report.ok) << issues(report);
        continue;
      }
      EXPECT_TRUE(has(report, kind)) << issues(report);
      EXPECT_NE(issues(report).find(message), std::string::npos)
          << issues(report);
    }
  };
  check(kWaitStore + before + "bar.sync 0;\n", IssueKind::Race, "");
  check(kWaitStore + std::string("bar.sync 0;\n"), IssueKind::TensorMemory,
        "expected tcgen05.fence::before_thread_sync there");
  check(before + "bar.sync 0;\n", IssueKind::TensorMemory,
        "expected tcgen05.wait::st");
  check(kWaitStore + before, IssueKind::Race, "unordered with the write");
}

TEST(Tcgen05, OverwrittenWhileRead) {
  // A second product into D while warps 1 to 3 may still load the first.
  Parts parts;
  parts.before = "mov.u32 %r60, bars;\nsetp.ne.u32 %p7, %r0, 0;\n"
                 "@!%p7 mbarrier.init.shared::cta.b64 [%r60+8], 1;\n";
  std::string again =
      "@%p1 bra again;\n" + parts.product +
      "tcgen05.commit.cta_group::1.mbarrier::arrive::one.b64 [%rd12+8];\n"
      "again:\nwait2:\nmbarrier.try_wait.parity.shared::cta.b64 %p3, "
      "[%r7+8], 0;\n@!%p3 bra wait2;\n";
  const std::string write = parts.write;
  parts.write = write + again;
  for (AsyncMode mode : kModes) {
    // Which of the two comes first depends on the order of the warps.
    Report report = parts.run(mode);
    EXPECT_TRUE(has(report, IssueKind::Race) ||
                has(report, IssueKind::Poisoned))
        << issues(report);
  }
  parts.write = write +
                "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n"
                "tcgen05.fence::after_thread_sync;\n" +
                again;
  for (AsyncMode mode : kModes) {
    Report report = parts.run(mode);
    EXPECT_TRUE(report.ok) << issues(report);
  }
}

TEST(Tcgen05, Allocation) {
  Parts parts;
  parts.end = "";
  parts.expect(IssueKind::TensorMemory, "ended without deallocating columns 0");
  parts = {};
  parts.end = release(64);
  parts.expect(IssueKind::TensorMemory, "no allocation of this CTA");
  // The product is over for nobody.
  parts = {};
  parts.wait = parts.load = parts.waitLoad = parts.write = "";
  parts.expect(IssueKind::Poisoned, "still to write");
  std::string alloc = "setp.ne.u32 %p6, %r1, 0;\nmov.u32 %r18, slot;\n"
                      "@%p6 bra more;\nmov.b32 %r19, COUNT;\n"
                      "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 "
                      "[%r18], %r19;\nmore:\n";
  auto count = [&](const char *number) {
    std::string text = alloc;
    return text.replace(text.find("COUNT"), 5, number);
  };
  parts = {};
  parts.before = count("48");
  parts.expect(IssueKind::TensorMemory, "expected a power of two");
  parts.before = count("16");
  parts.expect(IssueKind::TensorMemory, "from 32 to 512, got 16");
  parts.before = count("512");
  parts.expect(IssueKind::TensorMemory, "nobody gives them back");
  parts = {};
  parts.write += count("32");
  parts.expect(IssueKind::TensorMemory, "relinquish_alloc_permit");
  // Column 32 is not allocated; lanes of another warp.
  parts = {};
  parts.load =
      "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) + ", [%r4+28];\n";
  parts.expect(IssueKind::OutOfBounds, "not allocated (columns 0 to 31)");
  parts.load =
      "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) + ", [%r2];\n";
  parts.expect(IssueKind::OutOfBounds, "reaches the lanes from");
  parts.load = "add.u32 %r4, %r4, %r0;\n" + parts.load;
  parts.load.replace(parts.load.find("%r2]"), 4, "%r4]");
  parts.expect(IssueKind::Divergence, "same value in all lanes");
  parts = {};
  parts.load =
      "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) + ", [%r4+16];\n";
  parts.expect(IssueKind::Uninitialised,
               "column 16 of tensor memory, which nobody has written");
  // As long as nothing depends on it, a load of nothing is no error.
  parts.write = "add.u32 %r40, %r40, 1;\n"
                "tcgen05.st.sync.aligned.32x32b.x1.b32 [%r4+16], {%r40};\n" +
                std::string(kWaitStore);
  Report report = parts.run();
  EXPECT_TRUE(report.ok) << issues(report);
}

TEST(Tcgen05, Descriptors) {
  struct Row {
    uint32_t bits;
    const char *message;
  };
  const uint32_t good = 134479888;
  const Row rows[] = {
      {(good & ~(31u << 24)) | 2 << 24, "M is 32: expected 64 or 128"},
      {(good & ~(31u << 24)) | 16 << 24, "M is 256: expected 64 or 128"},
      {good & ~(63u << 17), "N is 0"},
      {good | 1 << 2, "sparse"},
      {good | 1 << 7, "A and B of one type"},
      {good | 2 << 7, "do not fit the .kind"},
      {(good & ~(3u << 4)) | 2 << 4, "type of D does not fit"},
      {good | 1 << 3, "only integers saturate"},
      {good | 1 << 30, "shift of .ws"}};
  for (const Row &row : rows) {
    Parts parts;
    parts.descriptor = "mov.b32 %r20, " + std::to_string(row.bits) + ";\n";
    parts.expect(IssueKind::TensorMemory, row.message);
  }
  Parts parts;
  parts.descriptor += "add.s64 %rd10, %rd10, -70368744177664;\n"; // Bit 46.
  parts.expect(IssueKind::OutOfBounds, "A: matrix descriptor");
  parts = {};
  parts.product =
      "tcgen05.mma.cta_group::1.kind::f16 [%r2], %rd10, %rd11, %r20, 1;\n";
  parts.expect(IssueKind::Uninitialised, "D: reads");
  parts = {};
  parts.product =
      "tcgen05.mma.cta_group::1.kind::f16 [%r2+24], %rd10, %rd11, %r20, 0;\n";
  parts.expect(IssueKind::OutOfBounds, "D: lanes 0 to 127, columns 24 to 39");
  parts = {};
  parts.product = "add.u32 %r16, %r2, 1048576;\n"
                  "tcgen05.mma.cta_group::1.kind::f16 [%r16], %rd10, %rd11, "
                  "%r20, 0;\n";
  parts.expect(IssueKind::TensorMemory, "lane 16: expected 0");
  parts = {};
  parts.product =
      "tcgen05.mma.cta_group::2.kind::f16 [%r2], %rd10, %rd11, %r20, 0;\n";
  parts.expect(IssueKind::TensorMemory, "expected ::1 as in the other");
  std::string pair = Parts().text();
  for (size_t at; (at = pair.find("cta_group::1")) != std::string::npos;)
    pair.replace(at, 12, "cta_group::2");
  auto module = parse(pair);
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(256);
  run.config.chip = Chip::SM100;
  Report report = run.go(1, 128);
  EXPECT_FALSE(report.ok);
  run.config.chip = Chip::SM90;
  EXPECT_TRUE(has(run.go(1, 128), IssueKind::Unsupported));
}

TEST(Tcgen05, RefusedByName) {
  const std::pair<const char *, const char *> rows[] = {
      {"tcgen05.mma.ws.cta_group::1.kind::f16 [%r2], %rd1, %rd2, %r3, 1;",
       ".ws is not supported"},
      {"tcgen05.mma.sp.cta_group::1.kind::f16 [%r2], %rd1, %rd2, [%r4], %r3, "
       "1;",
       ".sp is not supported"},
      {"tcgen05.mma.cta_group::1.kind::mxf8f6f4.block_scale [%r2], %rd1, %rd2, "
       "%r3, [%r4], [%r5], 1;",
       ".kind::mxf8f6f4 is not supported"},
      {"tcgen05.mma.cta_group::1.kind::mxf4.block_scale.block32 [%r2], %rd1, "
       "%rd2, %r3, [%r4], [%r5], 1;",
       ".kind::mxf4 is not supported"},
      {"tcgen05.mma.cta_group::1.kind::f16.ashift [%r2], [%r3], %rd2, %r3, 1;",
       ".ashift is not supported"},
      {"tcgen05.cp.cta_group::1.128x256b.b8x16.b6x16_p32 [%r2], %rd1;",
       "decompression (.b8x16)"},
      {"tcgen05.ld.red.sync.aligned.32x32b.x2.min.f32 {%r4,%r5}, %r6, [%r2];",
       ".red needs a later chip"},
      {"tcgen05.mma.cta_group::1.kind::i8 [%r2], %rd1, %rd2, %r3, 1, 2;",
       "scale-input-d"},
      {"tcgen05.ld.sync.aligned.16x256b.x64.b32 {%r4}, [%r2];",
       "expected .x1 to .x32"},
      {"tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r4}, [%r2];",
       "expected a vector of 2 registers"},
      {"tcgen05.frobnicate.cta_group::1 [%r2];", "unknown operation"}};
  for (auto [instruction, message] : rows) {
    Diagnostic error;
    EXPECT_FALSE(Module::parse(
        tensorKernel(std::string(instruction) + "\n", ".param .u64 out"),
        error));
    EXPECT_NE(error.message.find(message), std::string::npos) << error.str();
    EXPECT_NE(error.line, 0u);
  }
}

} // namespace
