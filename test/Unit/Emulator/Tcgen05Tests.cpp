//===- Tcgen05Tests.cpp - Products of tcgen05 -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products are of small integers, so that plain arithmetic says what they must
// be.
//
//===----------------------------------------------------------------------===//

#include "Tcgen05Operand.h"
#include "Tcgen05Text.h"
#include "TensorCore.h"

#include <cmath>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

TEST(Tcgen05, GoldenProducts) {
  auto module = parse(readInput("tcgen05.ptx"));
  ASSERT_TRUE(module);
  std::mt19937 random(1);
  auto pick = [&](size_t count, std::vector<int> &values) {
    std::vector<uint16_t> bits(count);
    values.resize(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = int(random() % 17) - 8;
      bits[i] = uint16_t(floatToBf16(float(values[i])));
    }
    return bits;
  };
  for (AsyncMode mode : kModes) {
    constexpr unsigned k = 192;
    std::vector<int> a, b;
    KernelRun run(*module, "tcgen05_gemm");
    run.in(pick(128 * k, a)).in(pick(64 * k, b)).out<float>(128 * 64);
    run.value(int(k));
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<float> got = run.result<float>();
    for (unsigned m = 0; m < 128; ++m)
      for (unsigned n = 0; n < 64; ++n) {
        int sum = 0;
        for (unsigned i = 0; i < k; ++i)
          sum += a[m * k + i] * b[n * k + i];
        ASSERT_EQ(got[m * 64 + n], float(sum)) << m << " " << n;
      }
  }
  for (AsyncMode mode : kModes) {
    std::vector<int> a, b;
    KernelRun run(*module, "tcgen05_from_tensor_memory");
    run.in(pick(128 * 64, a)).in(pick(64 * 64, b)).out<float>(128 * 64);
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<float> got = run.result<float>();
    for (unsigned m = 0; m < 128; ++m)
      for (unsigned n = 0; n < 64; ++n) {
        int sum = 0;
        for (unsigned i = 0; i < 64; ++i)
          sum += a[m * 64 + i] * b[i * 64 + n];
        ASSERT_EQ(got[m * 64 + n], float(sum)) << m << " " << n;
      }
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

constexpr unsigned kShared = 65536;

/// Copies `in` to shared memory, multiplies and writes the n columns of D that
/// the CTA holds: [rows][n]. `extra` goes before enable-input-d, `after` behind
/// it. In a pair each CTA has its own part of `in` and `out`.
std::string productKernel(const Operand &a, const Operand &b, unsigned m,
                          unsigned n, const std::string &extra = "",
                          const std::string &after = "", unsigned group = 1) {
  std::string g = ".cta_group::" + std::to_string(group);
  std::string clusterSync = group == 1 ? ""
                                       : "barrier.cluster.arrive.aligned;\n"
                                         "barrier.cluster.wait.aligned;\n";
  std::string body =
      "mov.u32 %r8, buf;\nmov.u32 %r30, %cluster_ctarank;\n"
      "mul.wide.u32 %rd20, %r30, " +
      std::to_string(kShared) + ";\nmul.wide.u32 %rd21, %r30, " +
      std::to_string(128 * n * 4) +
      ";\nld.param.u64 %rd3, [in];\nadd.s64 %rd3, %rd3, %rd20;\n"
      "shl.b32 %r9, %r0, 4;\n"
      "copy:\ncvt.u64.u32 %rd4, %r9;\nadd.s64 %rd4, %rd4, %rd3;\n"
      "ld.global.v4.b32 {%r10, %r11, %r12, %r13}, [%rd4];\n"
      "add.u32 %r14, %r8, %r9;\n"
      "st.shared.v4.b32 [%r14], {%r10, %r11, %r12, %r13};\n"
      "add.u32 %r9, %r9, 2048;\nsetp.lt.u32 %p2, %r9, " +
      std::to_string(kShared) + ";\n@%p2 bra copy;\n" + kInitBarrier +
      "fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;\n" +
      allocate(256, group) + clusterSync +
      "ld.param.u64 %rd10, [a];\nld.param.u64 %rd11, [b];\n"
      "ld.param.u32 %r20, [idesc];\nand.b32 %r21, %r8, 0x3ffff;\n"
      "shr.u32 %r21, %r21, 4;\ncvt.u64.u32 %rd12, %r21;\n"
      "add.s64 %rd10, %rd10, %rd12;\nadd.s64 %rd11, %rd11, %rd12;\n"
      "or.b32 %r31, %r0, %r30;\nsetp.ne.u32 %p5, %r31, 0;\n"
      "@%p5 bra issued;\ntcgen05.fence::after_thread_sync;\n";
  for (unsigned i = 0; i < a.steps; ++i)
    body += "setp.eq.u32 %p4, " + std::to_string(i) + ", 0;\n" + "tcgen05.mma" +
            g + ".kind::" + a.element->kind + " [%r2], %rd10, %rd11, %r20, " +
            extra + "!%p4" + after + ";\nadd.s64 %rd10, %rd10, " +
            std::to_string(a.step() >> 4) + ";\nadd.s64 %rd11, %rd11, " +
            std::to_string(b.step() >> 4) + ";\n";
  body +=
      "mov.b16 %h1, 3;\ntcgen05.commit" + g +
      ".mbarrier::arrive::one.shared::cluster" +
      (group == 1 ? ".b64 [%r7];\n" : ".multicast::cluster.b64 [%r7], %h1;\n") +
      "issued:\n" + waitFor() + kAddress +
      "ld.param.u64 %rd1, [out];\nadd.s64 %rd1, %rd1, %rd21;\n"
      "and.b32 %r5, %r0, 31;\n";
  for (unsigned column = 0; column < n; column += 8) {
    std::string address = "[%r4+" + std::to_string(column) + "]";
    if (m == 64) {
      // Rows of a warp: 16; see the figure of .16x256b.
      body += "tcgen05.ld.sync.aligned.16x256b.x1.b32 " + list(40, 4) + ", " +
              address + ";\n" + kWaitLoad +
              "shr.u32 %r6, %r5, 2;\nshl.b32 %r22, %r1, 4;\n"
              "add.u32 %r6, %r6, %r22;\nmul.lo.u32 %r6, %r6, " +
              std::to_string(n * 4) +
              ";\nand.b32 %r22, %r5, 3;\nshl.b32 %r22, %r22, 3;\n"
              "add.u32 %r6, %r6, %r22;\ncvt.u64.u32 %rd2, %r6;\n"
              "add.s64 %rd2, %rd2, %rd1;\nst.global.v2.b32 [%rd2+" +
              std::to_string(column * 4) + "], {%r40, %r41};\n" +
              "st.global.v2.b32 [%rd2+" +
              std::to_string(column * 4 + 8 * n * 4) + "], {%r42, %r43};\n";
      continue;
    }
    body += "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) + ", " +
            address + ";\n" + kWaitLoad + "mul.lo.u32 %r6, %r0, " +
            std::to_string(n * 4) +
            ";\ncvt.u64.u32 %rd2, %r6;\nadd.s64 %rd2, %rd2, %rd1;\n";
    for (unsigned i = 0; i < 8; ++i)
      body += "st.global.b32 [%rd2+" + std::to_string((column + i) * 4) +
              "], %r" + std::to_string(40 + i) + ";\n";
  }
  return tensorKernel(body + release(256, group) + clusterSync,
                      ".param .u64 in, .param .u64 out, .param .u64 a, "
                      ".param .u64 b, .param .u32 idesc",
                      kShared);
}

/// Random operands, laid out, and what their product must be.
struct Problem {
  std::vector<uint8_t> shared = std::vector<uint8_t>(kShared);
  std::vector<int64_t> expected; ///< [m][n]
  unsigned startB = 0;

  Problem(const Operand &a, const Operand &b, unsigned seed) {
    std::mt19937 random(seed);
    startB = (a.bytes() + 1023) / 1024 * 1024;
    EXPECT_LE(startB + b.bytes(), kShared);
    auto fill = [&](const Operand &operand, unsigned start) {
      const Element &e = *operand.element;
      std::vector<int> values(operand.rows * operand.k());
      for (unsigned row = 0; row < operand.rows; ++row)
        for (unsigned i = 0; i < operand.k(); ++i) {
          int v = e.low + int(random() % unsigned(e.high - e.low + 1));
          values[row * operand.k() + i] = v;
          operand.put(shared, start, row, i, e.encode(v));
        }
      return values;
    };
    std::vector<int> av = fill(a, 0), bv = fill(b, startB);
    for (unsigned m = 0; m < a.rows; ++m)
      for (unsigned n = 0; n < b.rows; ++n) {
        int64_t sum = 0;
        for (unsigned i = 0; i < a.k(); ++i)
          sum += int64_t(av[m * a.k() + i]) * bv[n * b.k() + i];
        expected.push_back(sum);
      }
  }
};

void expectProduct(const std::vector<uint32_t> &got,
                   const std::vector<int64_t> &expected, Result d) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    double value = d == Result::S32   ? double(int32_t(got[i]))
                   : d == Result::F32 ? std::bit_cast<float>(got[i])
                                      : f16ToFloat(got[i]);
    ASSERT_EQ(value, double(expected[i])) << i;
  }
}

void runProduct(const Operand &a, const Operand &b, Result d) {
  SCOPED_TRACE(std::string(a.element->kind) + " " +
               std::to_string(a.element->code) + " " +
               std::to_string(unsigned(a.tile)) + " " +
               std::to_string(unsigned(b.tile)) + " " + std::to_string(a.rows) +
               "x" + std::to_string(b.rows));
  Problem problem(a, b, a.rows + b.rows + a.element->code);
  auto module = parse(productKernel(a, b, a.rows, b.rows));
  ASSERT_TRUE(module);
  for (AsyncMode mode : kModes) {
    KernelRun run(*module, "k");
    run.in(problem.shared).out<uint32_t>(a.rows * b.rows);
    run.value(a.descriptor(0)).value(b.descriptor(problem.startB));
    run.value(instruction(a, b, d, a.rows, b.rows));
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    expectProduct(run.result<uint32_t>(), problem.expected, d);
    EXPECT_EQ(report.counters.total.tensorFlops, 2u * a.rows * b.rows * a.k());
  }
}

TEST(Tcgen05, ProductTiles) {
  const Element *f16 = &kF16Element;
  for (unsigned m : {64u, 128u}) {
    runProduct({f16, Tile::None, m, 2}, {f16, Tile::None, 64, 2}, Result::F32);
    runProduct({f16, Tile::B32, m, 1}, {f16, Tile::B32, 8, 1}, Result::F32);
    runProduct({f16, Tile::B64, m, 2}, {f16, Tile::B64, 24, 2}, Result::F32);
    runProduct({f16, Tile::B128, m, 4}, {f16, Tile::B128, 256, 4}, Result::F32);
    runProduct({f16, Tile::B128, m, 4}, {f16, Tile::MNB128, 128, 4},
               Result::F32);
    runProduct({f16, Tile::MNB128, m, 2}, {f16, Tile::B64, 64, 2}, Result::F32);
  }
}

TEST(Tcgen05, ProductTypes) {
  struct Row {
    const Element *a, *b;
    Result d;
  };
  const Row rows[] = {{&kBF16Element, &kBF16Element, Result::F32},
                      {&kF16Element, &kF16Element, Result::F16},
                      {&kTF32Element, &kTF32Element, Result::F32},
                      {&kE4M3Element, &kE4M3Element, Result::F32},
                      {&kE5M2Element, &kE4M3Element, Result::F32},
                      {&kE4M3Element, &kE5M2Element, Result::F16},
                      {&kE2M1Element, &kE4M3Element, Result::F32},
                      {&kE2M3Element, &kE3M2Element, Result::F32},
                      {&kE3M2Element, &kE2M1Element, Result::F32},
                      {&kS8Element, &kS8Element, Result::S32},
                      {&kU8Element, &kS8Element, Result::S32}};
  for (const Row &row : rows)
    for (unsigned m : {64u, 128u})
      runProduct({row.a, Tile::B64, m, 2}, {row.b, Tile::B64, 48, 2}, row.d);
}

/// One k step of arbitrary numbers, bit for bit as dotStep() has it: all
/// products and D in one step of 25 fraction bits, truncated to f32.
TEST(Tcgen05, ProductRounding) {
  struct Row {
    Element element;
    FloatFormat format;
    int least; ///< Exponent of the smallest normal number.
  };
  const Row rows[] = {{kF16Element, kF16, -14},
                      {kBF16Element, kBF16, -126},
                      {kE4M3Element, kE4M3, -6},
                      {kE5M2Element, kE5M2, -14}};
  for (const Row &row : rows) {
    Operand a{&row.element, Tile::B32, 128, 1},
        b{&row.element, Tile::B32, 64, 1};
    const unsigned k = row.element.k;
    std::mt19937 random(row.element.code + k);
    std::vector<uint8_t> shared(kShared);
    auto fill = [&](const Operand &operand, unsigned start,
                    std::vector<float> &values,
                    std::vector<int32_t> &exponents) {
      for (unsigned r = 0; r < operand.rows; ++r)
        for (unsigned i = 0; i < k; ++i) {
          double number = std::ldexp(double(random() % 4096) - 2048,
                                     int(random() % 12) - 16);
          uint32_t bits =
              encodeFloat(row.format, number, Round::NearestEven, true);
          operand.put(shared, start, r, i, bits);
          float value = float(decodeFloat(row.format, bits));
          values.push_back(value);
          exponents.push_back(value == 0
                                  ? kZeroExponent
                                  : std::max(std::ilogb(value), row.least));
        }
    };
    std::vector<float> av, bv;
    std::vector<int32_t> ae, be;
    fill(a, 0, av, ae);
    fill(b, 8192, bv, be);
    auto module = parse(productKernel(a, b, 128, 64));
    ASSERT_TRUE(module);
    KernelRun run(*module, "k");
    run.in(shared).out<uint32_t>(128 * 64);
    run.value(a.descriptor(0)).value(b.descriptor(8192));
    run.value(instruction(a, b, Result::F32, 128, 64));
    run.config.chip = Chip::SM100;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<uint32_t> got = run.result<uint32_t>();
    DotSpec spec;
    spec.group = k;
    spec.fraction = 25;
    unsigned inexact = 0;
    for (unsigned m = 0; m < 128; ++m)
      for (unsigned n = 0; n < 64; ++n) {
        float expected = dotStep(spec, k, &av[m * k], &ae[m * k], 1, &bv[n * k],
                                 &be[n * k], 1, 0.0f);
        ASSERT_EQ(got[m * 64 + n], std::bit_cast<uint32_t>(expected))
            << m << " " << n;
        double exact = 0;
        for (unsigned i = 0; i < k; ++i)
          exact += double(av[m * k + i]) * bv[n * k + i];
        inexact += exact != double(expected);
      }
    EXPECT_GT(inexact, 100u); // Or the test would show nothing.
  }
}

/// A from tensor memory, one k step: every thread stores the 32 bytes of its
/// row into columns 128 to 135 before the product.
void runFromTensorMemory(const Element &element, unsigned m, Result d) {
  SCOPED_TRACE(std::string(element.kind) + " " + std::to_string(m));
  Operand a{&element, Tile::B32, m, 1}, b{&element, Tile::B32, 32, 1};
  Problem problem(a, b, m + element.code);
  std::string text = productKernel(a, b, m, 32);
  // Row of thread t: t for M = 128; of the first 16 of a warp for M = 64.
  std::string store = std::string(kAddress) +
                      "add.u32 %r4, %r4, 128;\nand.b32 %r60, %r0, 31;\n";
  store += m == 64 ? "shl.b32 %r61, %r1, 4;\nadd.u32 %r61, %r61, %r60;\n"
                     "min.u32 %r61, %r61, 63;\n"
                   : "mov.b32 %r61, %r0;\n";
  // Rows of 32 bytes under the 32-byte swizzle.
  store += "shl.b32 %r62, %r61, 5;\nadd.u32 %r62, %r62, %r8;\n"
           "shr.u32 %r63, %r61, 2;\nand.b32 %r63, %r63, 1;\n"
           "shl.b32 %r63, %r63, 4;\nxor.b32 %r64, %r62, %r63;\n"
           "xor.b32 %r65, %r64, 16;\n"
           "ld.shared.v4.b32 {%r70, %r71, %r72, %r73}, [%r64];\n"
           "ld.shared.v4.b32 {%r74, %r75, %r76, %r77}, [%r65];\n"
           "tcgen05.st.sync.aligned.32x32b.x8.b32 [%r4], " +
           list(70, 8) + ";\n" + kWaitStore +
           "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n"
           "add.u32 %r66, %r2, 128;\n";
  text.insert(text.find("ld.param.u64 %rd10"), store);
  size_t at = text.find("%rd10, %rd11, %r20");
  text.replace(at, 5, "[%r66]");
  auto module = parse(text);
  ASSERT_TRUE(module);
  for (AsyncMode mode : kModes) {
    KernelRun run(*module, "k");
    run.in(problem.shared).out<uint32_t>(m * 32);
    run.value(a.descriptor(0)).value(b.descriptor(problem.startB));
    run.value(instruction(a, b, d, m, 32));
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    expectProduct(run.result<uint32_t>(), problem.expected, d);
  }
}

TEST(Tcgen05, FromTensorMemory) {
  for (unsigned m : {64u, 128u}) {
    runFromTensorMemory(kF16Element, m, Result::F32);
    runFromTensorMemory(kTF32Element, m, Result::F32);
    runFromTensorMemory(kE4M3Element, m, Result::F32);
    runFromTensorMemory(kS8Element, m, Result::S32);
  }
}

/// A product by a pair of CTAs: M of 128 or 256.
void runPair(const Operand &a, const Operand &b, Result d) {
  unsigned m = 2 * a.rows, n = 2 * b.rows;
  bool halves = m == 128;
  unsigned columns = halves ? n / 2 : n;
  SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n));
  // Each CTA holds its half of the rows of A and of the columns of B.
  Operand wholeA = a, wholeB = b;
  wholeA.rows = m;
  wholeB.rows = n;
  std::mt19937 random(m + n);
  std::vector<int> av(m * a.k()), bv(n * b.k());
  std::vector<uint8_t> shared(2 * kShared);
  unsigned startB = (a.bytes() + 1023) / 1024 * 1024;
  auto fill = [&](const Operand &operand, std::vector<int> &values,
                  unsigned start) {
    for (unsigned row = 0; row < 2 * operand.rows; ++row)
      for (unsigned i = 0; i < operand.k(); ++i) {
        int v = int(random() % 9) - 4;
        values[row * operand.k() + i] = v;
        std::vector<uint8_t> &all = shared;
        operand.put(all, row / operand.rows * kShared + start,
                    row % operand.rows, i, operand.element->encode(v));
      }
  };
  fill(a, av, 0);
  fill(b, bv, startB);
  auto module = parse(productKernel(a, b, m, columns, "", "", 2));
  ASSERT_TRUE(module);
  for (AsyncMode mode : kModes) {
    KernelRun run(*module, "k");
    run.in(shared).out<uint32_t>(2 * 128 * columns);
    run.value(a.descriptor(0)).value(b.descriptor(startB));
    run.value(instruction(a, b, d, m, n));
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    run.config.cluster = {2, 1, 1};
    Report report = run.go(2, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<uint32_t> got = run.result<uint32_t>();
    for (unsigned row = 0; row < m; ++row)
      for (unsigned c = 0; c < n; ++c) {
        int sum = 0;
        for (unsigned i = 0; i < a.k(); ++i)
          sum += av[row * a.k() + i] * bv[c * a.k() + i];
        // PTX ISA, layouts A (M = 256) and B (M = 128).
        unsigned cta = row / a.rows, lane = row % a.rows;
        unsigned column = c;
        if (halves) {
          lane += c >= n / 2 ? 64 : 0;
          column = c % (n / 2);
        }
        ASSERT_EQ(
            std::bit_cast<float>(got[(cta * 128 + lane) * columns + column]),
            float(sum))
            << row << " " << c;
      }
  }
}

TEST(Tcgen05, PairProducts) {
  const Element *f16 = &kF16Element;
  runPair({f16, Tile::B128, 128, 4}, {f16, Tile::B128, 64, 4}, Result::F32);
  runPair({f16, Tile::B128, 64, 4}, {f16, Tile::B128, 32, 4}, Result::F32);
  runPair({f16, Tile::B64, 64, 2}, {f16, Tile::MNB128, 64, 2}, Result::F32);
  runPair({&kE4M3Element, Tile::B64, 128, 2},
          {&kE4M3Element, Tile::B64, 128, 2}, Result::F32);
}

/// D of a product of ones, 16 by 16 ks, with the parts around enable-input-d
/// given; before it, D is 100 everywhere.
std::vector<float> productOfOnes(uint32_t flags, const std::string &extra,
                                 const std::string &after) {
  Operand a{&kF16Element, Tile::B32, 128, 1}, b{&kF16Element, Tile::B32, 16, 1};
  std::vector<uint8_t> shared(kShared);
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned row = 0; row < 128; ++row)
      a.put(shared, 0, row, i, floatToF16(1));
    for (unsigned row = 0; row < 16; ++row)
      b.put(shared, 4096, row, i, floatToF16(1));
  }
  std::string text = productKernel(a, b, 128, 16, extra, after);
  std::string fill = "mov.b32 %r50, 0x42c80000;\n" + std::string(kAddress) +
                     "tcgen05.st.sync.aligned.32x32b.x16.b32 [%r4], {%r50";
  for (unsigned i = 1; i < 16; ++i)
    fill += ", %r50";
  fill += "};\n" + std::string(kWaitStore) +
          "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n"
          "mov.b32 %r51, 0xffff0001;\nmov.b32 %r52, 0;\n";
  text.insert(text.find("ld.param.u64 %rd10"), fill);
  // The product reads D.
  text.replace(text.find("!%p4"), 4, "%p4");
  auto module = parse(text);
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.in(shared).out<float>(128 * 16);
  run.value(a.descriptor(0)).value(b.descriptor(4096));
  run.value(instruction(a, b, Result::F32, 128, 16) | flags);
  run.config.chip = Chip::SM100;
  Report report = run.go(1, 128);
  EXPECT_TRUE(report.ok) << issues(report);
  return run.result<float>();
}

TEST(Tcgen05, ProductOptions) {
  std::vector<float> got = productOfOnes(0, "", "");
  EXPECT_EQ(got, std::vector<float>(128 * 16, 116));
  got = productOfOnes(0, "", ", 2"); // D / 4
  EXPECT_EQ(got, std::vector<float>(128 * 16, 41));
  got = productOfOnes(1 << 13, "", ""); // -A
  EXPECT_EQ(got, std::vector<float>(128 * 16, 84));
  got = productOfOnes(3 << 13, "", ""); // -A, -B
  EXPECT_EQ(got, std::vector<float>(128 * 16, 116));
  // Lanes 0 and 16 to 31, and lanes 64 and 80 to 95, keep D.
  got = productOfOnes(0, "{%r51, %r52, %r51, %r52}, ", "");
  for (unsigned lane = 0; lane < 128; ++lane)
    for (unsigned n = 0; n < 16; ++n) {
      bool kept = lane / 32 % 2 == 0 && (lane % 32 == 0 || lane % 32 >= 16);
      ASSERT_EQ(got[lane * 16 + n], kept ? 100 : 116) << lane;
    }
}

} // namespace
