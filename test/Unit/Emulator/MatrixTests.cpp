//===- MatrixTests.cpp - Matrix instructions through kernels ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of matrix.cu spread row-major operands to fragments themselves,
// so a wrong map inside the emulator shows as a wrong product.
//
//===----------------------------------------------------------------------===//

#include "Float.h"
#include "Harness.h"

#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

class Matrix : public ::testing::Test {
protected:
  Matrix() : module(parse(readInput("matrix.ptx"))) {}

  /// Small integers: every product and sum is exact in every type, so the
  /// result must equal plain arithmetic whatever the rounding.
  template <typename T, typename Encode>
  void exact(const char *kernel, unsigned k, unsigned bytes, Encode encode,
             int low, int high) {
    ASSERT_TRUE(module);
    std::mt19937 random(k * 10 + bytes);
    auto pick = [&] { return int(random() % unsigned(high - low + 1)) + low; };
    std::vector<int> a(16 * k), b(k * 8);
    std::vector<uint8_t> aBytes, bBytes;
    for (int &value : a)
      value = pick();
    for (int &value : b)
      value = pick();
    auto append = [&](std::vector<uint8_t> &to, uint32_t bits) {
      for (unsigned i = 0; i < bytes; ++i)
        to.push_back(uint8_t(bits >> (8 * i)));
    };
    for (int value : a)
      append(aBytes, encode(value));
    for (int value : b)
      append(bBytes, encode(value));
    std::vector<T> c(128);
    for (T &value : c)
      value = T(pick());
    for (Chip chip : {Chip::SM80, Chip::SM90}) {
      KernelRun run(*module, kernel);
      run.in(aBytes).in(bBytes).in(c);
      run.config.chip = chip;
      Report report = run.go(1, 32);
      ASSERT_TRUE(report.ok) << issues(report);
      std::vector<T> got(128);
      run.device.read(run.device.address("arg2"), got.data(), 128 * sizeof(T));
      for (unsigned row = 0; row < 16; ++row)
        for (unsigned n = 0; n < 8; ++n) {
          int64_t sum = int64_t(c[row * 8 + n]);
          for (unsigned i = 0; i < k; ++i)
            sum += int64_t(a[row * k + i]) * b[i * 8 + n];
          ASSERT_EQ(got[row * 8 + n], T(sum))
              << kernel << " " << row << " " << n;
        }
      EXPECT_EQ(report.counters.total.tensorFlops, 2 * 16 * 8 * k);
    }
  }

  std::unique_ptr<Module> module;
};

uint32_t asF16(int v) { return floatToF16(float(v)); }
uint32_t asBf16(int v) { return floatToBf16(float(v)); }
uint32_t asTf32(int v) { return std::bit_cast<uint32_t>(float(v)); }
uint32_t asByte(int v) { return uint8_t(v); }

TEST_F(Matrix, F16K16) { exact<float>("mma_f16_k16", 16, 2, asF16, -20, 20); }
TEST_F(Matrix, F16K8) { exact<float>("mma_f16_k8", 8, 2, asF16, -20, 20); }
TEST_F(Matrix, BF16K16) {
  exact<float>("mma_bf16_k16", 16, 2, asBf16, -20, 20);
}
TEST_F(Matrix, BF16K8) { exact<float>("mma_bf16_k8", 8, 2, asBf16, -20, 20); }
TEST_F(Matrix, TF32K8) { exact<float>("mma_tf32_k8", 8, 4, asTf32, -20, 20); }
TEST_F(Matrix, TF32K4) { exact<float>("mma_tf32_k4", 4, 4, asTf32, -20, 20); }
TEST_F(Matrix, S8K32) {
  exact<int32_t>("mma_s8_k32", 32, 1, asByte, -128, 127);
}
TEST_F(Matrix, S8K16) {
  exact<int32_t>("mma_s8_k16", 16, 1, asByte, -128, 127);
}
TEST_F(Matrix, U8S8) { exact<int32_t>("mma_u8_s8_k32", 32, 1, asByte, 0, 127); }

TEST_F(Matrix, F16Accumulator) {
  ASSERT_TRUE(module);
  std::mt19937 random(3);
  std::vector<uint16_t> a(256), b(128), c(128);
  std::vector<int> av(256), bv(128), cv(128);
  auto fill = [&](std::vector<uint16_t> &bits, std::vector<int> &values) {
    for (size_t i = 0; i < bits.size(); ++i) {
      values[i] = int(random() % 9) - 4;
      bits[i] = uint16_t(asF16(values[i]));
    }
  };
  fill(a, av);
  fill(b, bv);
  fill(c, cv);
  KernelRun run(*module, "mma_f16_f16");
  run.in(a).in(b).in(c);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  std::vector<uint16_t> got(128);
  run.device.read(run.device.address("arg2"), got.data(), 256);
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned n = 0; n < 8; ++n) {
      int sum = cv[row * 8 + n];
      for (unsigned i = 0; i < 16; ++i)
        sum += av[row * 16 + i] * bv[i * 8 + n];
      EXPECT_EQ(f16ToFloat(got[row * 8 + n]), float(sum));
    }
}

TEST_F(Matrix, Ldmatrix) {
  ASSERT_TRUE(module);
  std::vector<uint16_t> in(256);
  for (unsigned i = 0; i < 256; ++i)
    in[i] = uint16_t(i);
  KernelRun run(*module, "ldmatrix_all");
  run.in(in).out<uint32_t>(12 * 32);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  std::vector<uint32_t> got = run.result<uint32_t>();
  auto plain = [](unsigned m, unsigned lane) {
    uint32_t first = m * 64 + lane / 4 * 8 + lane % 4 * 2;
    return first | (first + 1) << 16;
  };
  auto transposed = [](unsigned m, unsigned lane) {
    uint32_t first = m * 64 + lane % 4 * 2 * 8 + lane / 4;
    return first | (first + 8) << 16;
  };
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned m = 0; m < 4; ++m) {
      EXPECT_EQ(got[m * 32 + lane], plain(m, lane));
      EXPECT_EQ(got[(4 + m) * 32 + lane], transposed(m, lane));
    }
    EXPECT_EQ(got[8 * 32 + lane], plain(0, lane));
    EXPECT_EQ(got[9 * 32 + lane], plain(1, lane));
    EXPECT_EQ(got[10 * 32 + lane], transposed(0, lane));
    EXPECT_EQ(got[11 * 32 + lane], transposed(0, lane));
  }
}

TEST_F(Matrix, Stmatrix) {
  // What stmatrix writes, ldmatrix reads back; transposed ones undo each other.
  auto own = parse(kernelText(R"(
.shared .align 16 .b8 tile[512];
mov.u32 %r1, %tid.x;
shl.b32 %r2, %r1, 4;
mov.u32 %r3, tile;
add.s32 %r2, %r2, %r3;
mad.lo.s32 %r4, %r1, 7, 1;
mad.lo.s32 %r5, %r1, 11, 2;
stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r2], {%r4, %r5};
bar.warp.sync 0xffffffff;
ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r6, %r7}, [%r2];
bar.warp.sync 0xffffffff;
stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%r2], {%r4};
bar.warp.sync 0xffffffff;
ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r8}, [%r2];
xor.b32 %r9, %r4, %r6;
xor.b32 %r10, %r5, %r7;
xor.b32 %r11, %r4, %r8;
or.b32 %r9, %r9, %r10;
or.b32 %r9, %r9, %r11;
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd1, %rd1, %rd2;
st.global.b32 [%rd1], %r9;
ret;)"));
  ASSERT_TRUE(own);
  KernelRun run(*own, "k");
  run.out<uint32_t>(32);
  Report report = run.go(1, 32);
  ASSERT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(run.result<uint32_t>(), std::vector<uint32_t>(32, 0));
}

TEST_F(Matrix, EightBitFloats) {
  // One m16n8k32 of ones: 32 per element, both types.
  for (const char *type : {"e4m3", "e5m2"}) {
    std::string one = std::string(type) == "e4m3" ? "0x38383838" : "0x3c3c3c3c";
    auto own = parse(kernelText(
        "mov.b32 %r1, " + one +
        ";\nmov.f32 %f1, 0f3F000000;\nmma.sync.aligned.m16n8k32.row.col.f32." +
        type + "." + type +
        ".f32 {%f2,%f3,%f4,%f5}, {%r1,%r1,%r1,%r1}, {%r1,%r1}, "
        "{%f1,%f1,%f1,%f1};\nld.param.u64 %rd1, [out];\nmov.u32 %r2, %tid.x;\n"
        "mul.wide.u32 %rd2, %r2, 4;\nadd.s64 %rd1, %rd1, %rd2;\n"
        "add.f32 %f2, %f2, %f5;\nst.global.f32 [%rd1], %f2;\nret;"));
    ASSERT_TRUE(own);
    KernelRun run(*own, "k");
    run.out<float>(32);
    run.config.chip = Chip::SM89;
    Report report = run.go(1, 32);
    ASSERT_TRUE(report.ok) << issues(report);
    EXPECT_EQ(run.result<float>(), std::vector<float>(32, 65.0f));
  }
}

} // namespace
