//===- WmmaTests.cpp - nvcuda::wmma -----------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Float.h"
#include "Harness.h"

#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr unsigned kDepth = 48; ///< A multiple of every shape's k.

/// Runs wmma.ptx's `kernel` on small integers, which every type holds exactly:
/// C = 2 (C + A B).
template <typename T, typename D>
void multiply(const char *kernel, unsigned m, unsigned n, bool columns,
              T (*encode)(int), D (*encodeC)(int), int (*decode)(D), int low) {
  auto module = parse(readInput("wmma.ptx"));
  ASSERT_TRUE(module);
  std::mt19937 random(m * 100 + n);
  auto draw = [&](size_t count) {
    std::vector<int> values(count);
    for (int &value : values)
      value = low + int(random() % 7);
    return values;
  };
  std::vector<int> a = draw(m * kDepth), b = draw(kDepth * n), c = draw(m * n);
  std::vector<T> left, right;
  std::vector<D> sums;
  for (int value : a)
    left.push_back(encode(value));
  for (int value : b)
    right.push_back(encode(value));
  for (int value : c)
    sums.push_back(encodeC(value));
  for (uint64_t seed = 0; seed < 3; ++seed) {
    KernelRun run(*module, kernel);
    run.in(left).in(right).in(sums).value(int(kDepth));
    run.config.seed = seed;
    Report report = run.go(1, 32);
    ASSERT_TRUE(report.ok) << kernel << ": " << issues(report);
    EXPECT_EQ(report.counters.total.tensorFlops, uint64_t(2) * m * n * kDepth);
    std::vector<D> got(m * n);
    run.device.read(run.device.address("arg2"), got.data(),
                    got.size() * sizeof(D));
    for (unsigned i = 0; i < m * n; ++i) {
      int sum = c[i];
      for (unsigned k = 0; k < kDepth; ++k)
        sum += a[i / n * kDepth + k] *
               (columns ? b[i % n * kDepth + k] : b[k * n + i % n]);
      ASSERT_EQ(decode(got[i]), 2 * sum) << kernel << " element " << i;
    }
  }
}

uint16_t half(int value) { return uint16_t(floatToF16(float(value))); }
uint16_t bfloat(int value) { return uint16_t(floatToBf16(float(value))); }
float single(int value) { return float(value); }
int ofSingle(float value) { return int(value); }
int ofHalf(uint16_t bits) { return int(f16ToFloat(bits)); }
int same(int value) { return value; }

TEST(Wmma, HalfPrecision) {
  multiply<uint16_t, float>("wmma_f16_nt", 16, 16, true, half, single, ofSingle,
                            -3);
  multiply<uint16_t, float>("wmma_f16_tall", 32, 8, false, half, single,
                            ofSingle, -3);
  multiply<uint16_t, float>("wmma_f16_wide", 8, 32, false, half, single,
                            ofSingle, -3);
  multiply<uint16_t, uint16_t>("wmma_f16_half", 16, 16, false, half, half,
                               ofHalf, -3);
}

TEST(Wmma, Bfloat) {
  multiply<uint16_t, float>("wmma_bf16_nt", 16, 16, true, bfloat, single,
                            ofSingle, -3);
  multiply<uint16_t, float>("wmma_bf16_tall", 32, 8, false, bfloat, single,
                            ofSingle, -3);
  multiply<uint16_t, float>("wmma_bf16_wide", 8, 32, true, bfloat, single,
                            ofSingle, -3);
}

TEST(Wmma, Integers) {
  auto byte = [](int value) { return int8_t(value); };
  multiply<int8_t, int>("wmma_s8_nt", 16, 16, true, byte, same, same, -3);
  multiply<int8_t, int>("wmma_s8_wide", 8, 32, true, byte, same, same, -3);
  // Values that are negative where they count as signed.
  multiply<uint8_t, int>(
      "wmma_u8_tall", 32, 8, false, [](int value) { return uint8_t(value); },
      same, same, 249);
}

TEST(Wmma, Tf32AndDouble) {
  multiply<float, float>("wmma_tf32", 16, 16, false, single, single, ofSingle,
                         -3);
  multiply<double, double>(
      "wmma_f64_nt", 8, 8, true, [](int value) { return double(value); },
      [](int value) { return double(value); },
      [](double value) { return int(value); }, -3);
}

/// wmma rounds as mma.sync does: one product of both on the same numbers.
TEST(Wmma, RoundsAsMmaDoes) {
  std::string body =
      "ld.param.u64 %rd0, [out];\n"
      // A (16x16) and B (16x16, columns) at 0 and 512 bytes; C is zero.
      "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 "
      "{%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, [%rd0];\n"
      "wmma.load.b.sync.aligned.col.m16n16k16.global.f16 "
      "{%r8,%r9,%r10,%r11,%r12,%r13,%r14,%r15}, [%rd0+512];\n"
      "mov.f32 %f0, 0f3F8CCCCD;\n"
      "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 "
      "{%f8,%f9,%f10,%f11,%f12,%f13,%f14,%f15}, "
      "{%r0,%r1,%r2,%r3,%r4,%r5,%r6,%r7}, "
      "{%r8,%r9,%r10,%r11,%r12,%r13,%r14,%r15}, "
      "{%f0,%f0,%f0,%f0,%f0,%f0,%f0,%f0};\n"
      "wmma.store.d.sync.aligned.row.m16n16k16.global.f32 [%rd0+1024], "
      "{%f8,%f9,%f10,%f11,%f12,%f13,%f14,%f15};\n"
      // The left half of D with mma.sync.
      "mov.u32 %r0, %tid.x;\nshr.u32 %r1, %r0, 2;\nand.b32 %r2, %r0, 3;\n"
      "shl.b32 %r3, %r1, 5;\nshl.b32 %r4, %r2, 2;\nadd.u32 %r3, %r3, %r4;\n"
      "cvt.u64.u32 %rd1, %r3;\nadd.u64 %rd1, %rd0, %rd1;\n"
      "ld.global.b32 %r10, [%rd1];\nld.global.b32 %r11, [%rd1+256];\n"
      "ld.global.b32 %r12, [%rd1+16];\nld.global.b32 %r13, [%rd1+272];\n"
      "ld.global.b32 %r14, [%rd1+512];\nld.global.b32 %r15, [%rd1+528];\n"
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%f20,%f21,%f22,%f23}, {%r10,%r11,%r12,%r13}, {%r14,%r15}, "
      "{%f0,%f0,%f0,%f0};\n"
      "shl.b32 %r5, %r1, 5;\nshl.b32 %r6, %r2, 3;\nadd.u32 %r5, %r5, %r6;\n"
      "cvt.u64.u32 %rd2, %r5;\nadd.u64 %rd2, %rd0, %rd2;\n"
      "st.global.v2.f32 [%rd2+2048], {%f20,%f21};\n"
      "st.global.v2.f32 [%rd2+2304], {%f22,%f23};\nret;\n";
  auto module = parse(kernelText(body));
  ASSERT_TRUE(module);
  for (Chip chip : {Chip::SM80, Chip::SM90}) {
    KernelRun run(*module, "k");
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<uint16_t> memory(2560 / 2);
    for (unsigned i = 0; i < 512; ++i)
      memory[i] = uint16_t(floatToF16(normal(random)));
    run.in(memory);
    run.config.chip = chip;
    Report report = run.go(1, 32);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<uint32_t> got(2560 / 4);
    run.device.read(run.device.address("arg0"), got.data(), 2560);
    for (unsigned row = 0; row < 16; ++row)
      for (unsigned column = 0; column < 8; ++column)
        ASSERT_EQ(got[256 + row * 16 + column], got[512 + row * 8 + column])
            << row << " " << column;
  }
}

TEST(Wmma, RefusalsNameWhatIsWrong) {
  auto message = [](const std::string &body) {
    Diagnostic error;
    EXPECT_FALSE(Module::parse(kernelText(body), error)) << body;
    return error.message;
  };
  EXPECT_NE(message("wmma.load.a.sync.aligned.row.m8n8k32.global.s4 {%r0}, "
                    "[%rd0];\nret;\n")
                .find("expected a shape"),
            std::string::npos);
  EXPECT_NE(message("wmma.load.a.sync.aligned.row.m16n16k16.global.f16 "
                    "{%r0,%r1}, [%rd0];\nret;\n")
                .find("expected 8 registers, got 2"),
            std::string::npos);
  EXPECT_NE(message("wmma.load.a.sync.aligned.row.m16n16k8.global.f16 {%r0}, "
                    "[%rd0];\nret;\n")
                .find("do not go together"),
            std::string::npos);
}

TEST(Wmma, BoundsAndDivergence) {
  auto module = parse(readInput("wmma.ptx"));
  ASSERT_TRUE(module);
  KernelRun run(*module, "wmma_f16_nt");
  run.in(std::vector<uint16_t>(16 * 16 - 1))
      .in(std::vector<uint16_t>(256))
      .in(std::vector<float>(256))
      .value(16);
  EXPECT_TRUE(has(run.go(1, 32), IssueKind::OutOfBounds));
}

} // namespace
