//===- WideTests.cpp - 128 bits and vectors in memory ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <bit>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

float f(uint32_t bits) { return std::bit_cast<float>(bits); }

TEST(Wide, Move128) {
  auto module = parse(kernelText(R"(
.reg .b128 %q<4>;
.shared .align 16 .b8 tile[512];
mov.u32 %r1, %tid.x;
mul.wide.u32 %rd1, %r1, 16;
ld.param.u64 %rd2, [in];
ld.param.u64 %rd3, [out];
add.s64 %rd2, %rd2, %rd1;
add.s64 %rd3, %rd3, %rd1;
ld.global.b128 %q1, [%rd2];
mov.b128 {%rd4, %rd5}, %q1;
add.s64 %rd4, %rd4, 1;
mov.b128 %q2, {%rd5, %rd4};
mov.u32 %r2, tile;
cvt.u32.u64 %r3, %rd1;
add.u32 %r2, %r2, %r3;
st.shared.b128 [%r2], %q2;
ld.shared.b128 %q3, [%r2];
st.global.b128 [%rd3], %q3;
ret;)",
                                 ".param .u64 in, .param .u64 out"));
  ASSERT_TRUE(module);
  std::vector<uint64_t> data(64);
  for (unsigned i = 0; i < 64; ++i)
    data[i] = 0x9e3779b97f4a7c15 * (i + 1);
  KernelRun run(*module, "k");
  run.in(data).out<uint64_t>(64);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  for (unsigned i = 0; i < 64; i += 2) {
    EXPECT_EQ(run.result<uint64_t>()[i], data[i + 1]);
    EXPECT_EQ(run.result<uint64_t>()[i + 1], data[i] + 1);
  }
}

TEST(Wide, Atomics128) {
  // A 128-bit counter whose halves count up and down by compare-and-swap.
  auto module = parse(kernelText(R"(
.reg .b128 %q<4>;
ld.param.u64 %rd1, [counter];
ld.param.u64 %rd8, [last];
ld.relaxed.gpu.global.b128 %q1, [%rd1];
AGAIN:
mov.b128 {%rd2, %rd3}, %q1;
add.s64 %rd4, %rd2, 1;
sub.s64 %rd5, %rd3, 3;
mov.b128 %q2, {%rd4, %rd5};
atom.global.cas.b128 %q3, [%rd1], %q1, %q2;
mov.b128 {%rd6, %rd7}, %q3;
mov.b128 %q1, %q3;
setp.ne.s64 %p1, %rd6, %rd2;
setp.ne.s64 %p2, %rd7, %rd3;
or.pred %p1, %p1, %p2;
@%p1 bra AGAIN;
atom.global.exch.b128 %q1, [%rd8], %q2;
ret;)",
                                 ".param .u64 counter, .param .u64 last"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.in(std::vector<uint64_t>{5, 1000}).in(std::vector<uint64_t>{0, 0});
  Report report = run.go(4, 64);
  ASSERT_TRUE(report.ok) << issues(report);
  uint64_t counter[2], last[2];
  run.device.read(run.device.address("arg0"), counter, 16);
  run.device.read(run.device.address("arg1"), last, 16);
  EXPECT_EQ(counter[0], 5u + 256);
  EXPECT_EQ(counter[1], 1000u - 3 * 256);
  // Whoever came last left a pair that the counter once held.
  EXPECT_EQ(1000 - last[1], 3 * (last[0] - 5));
}

TEST(Wide, VectorReductions) {
  auto module = parse(kernelText(R"(
ld.param.u64 %rd1, [out];
mov.f32 %f1, 0f3F800000;
mov.f32 %f2, 0f40000000;
red.global.add.v4.f32 [%rd1], {%f1, %f2, %f1, %f2};
atom.global.v2.f32.add {%f3, %f4}, [%rd1+16], {%f2, %f1};
mov.b32 %r1, 0x3C004000;
red.global.add.noftz.v4.f16x2 [%rd1+32], {%r1, %r1, %r1, %r1};
mov.u32 %r2, %tid.x;
cvt.rn.f16.u32 %h1, %r2;
neg.f16 %h2, %h1;
red.global.max.noftz.v2.f16 [%rd1+48], {%h1, %h2};
red.global.v2.f16.min.noftz [%rd1+52], {%h1, %h2};
mov.b16 %h3, 0x3F80;
red.global.add.noftz.v8.bf16 [%rd1+64], {%h3, %h3, %h3, %h3, %h3, %h3, %h3, %h3};
ret;)"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.in(std::vector<uint32_t>(20, 0));
  Report report = run.go(1, 64);
  ASSERT_TRUE(report.ok) << issues(report);
  std::vector<uint32_t> got(20);
  run.device.read(run.device.address("arg0"), got.data(), 80);
  for (unsigned i = 0; i < 4; ++i)
    EXPECT_EQ(f(got[i]), i % 2 ? 128.0f : 64.0f);
  EXPECT_EQ(f(got[4]), 128.0f);
  EXPECT_EQ(f(got[5]), 64.0f);
  for (unsigned i = 8; i < 12; ++i)
    EXPECT_EQ(got[i], 0x54005800u);  // 64 and 128 in f16.
  EXPECT_EQ(got[12], 0x53e0u);       // 63; -0 loses to +0.
  EXPECT_EQ(got[13] >> 16, 0xd3e0u); // -63
  EXPECT_EQ(got[13] & 0xffff, 0u);
  for (unsigned i = 16; i < 20; ++i)
    EXPECT_EQ(got[i], 0x42804280u); // 64 in bf16.
}

TEST(Wide, VectorAtomicsStayAligned) {
  auto module = parse(kernelText(R"(
ld.param.u64 %rd1, [out];
mov.f32 %f1, 0f3F800000;
red.global.add.v4.f32 [%rd1+8], {%f1, %f1, %f1, %f1};
ret;)"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.in(std::vector<uint32_t>(20, 0));
  EXPECT_TRUE(has(run.go(1, 32), IssueKind::Misaligned));
}

TEST(Wide, DiscardedLinesAreLost) {
  auto module = parse(kernelText(R"(
ld.param.u64 %rd1, [out];
discard.global.L2 [%rd1], 128;
applypriority.global.L2::evict_normal [%rd1], 128;
ld.global.u32 %r1, [%rd1+124];
ret;)"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "k");
  run.out<uint32_t>(32);
  EXPECT_TRUE(has(run.go(1, 1), IssueKind::Uninitialised));
}

} // namespace
