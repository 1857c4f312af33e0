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

#include "Float.h"
#include "Tcgen05Text.h"

#include <algorithm>
#include <bit>
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

/// Element types by their code in the instruction descriptor.
struct Element {
  const char *kind;
  unsigned code, bits, k;
  uint32_t (*encode)(int);
  int low, high; ///< Numbers it holds exactly.
};
const Element kF16Element = {
    "f16", 0, 16, 16, [](int v) { return uint32_t(floatToF16(float(v))); },
    -8,    8};
const Element kBF16Element = {
    "f16", 1, 16, 16, [](int v) { return uint32_t(floatToBf16(float(v))); },
    -8,    8};
const Element kTF32Element = {
    "tf32", 2, 32, 8, [](int v) { return std::bit_cast<uint32_t>(float(v)); },
    -8,     8};
const Element kE4M3Element = {
    "f8f6f4",
    0,
    8,
    32,
    [](int v) { return encodeFloat(kE4M3, v, Round::NearestEven); },
    -8,
    8};
const Element kE5M2Element = {
    "f8f6f4",
    1,
    8,
    32,
    [](int v) { return encodeFloat(kE5M2, v, Round::NearestEven); },
    -4,
    4};
/// 0, 1, 2, 3, 4 of sign, exponent and mantissa.
uint32_t small(int v, const uint32_t (&codes)[5], uint32_t sign) {
  return codes[v < 0 ? -v : v] | (v < 0 ? sign : 0);
}
const Element kE2M1Element = {
    "f8f6f4", 5, 4, 32, [](int v) { return small(v, {0, 2, 4, 5, 6}, 8); },
    -4,       4};
const Element kE2M3Element = {
    "f8f6f4", 3, 6, 32, [](int v) { return small(v, {0, 8, 16, 20, 24}, 32); },
    -4,       4};
const Element kE3M2Element = {
    "f8f6f4", 4, 6, 32, [](int v) { return small(v, {0, 12, 16, 18, 20}, 32); },
    -4,       4};
const Element kS8Element = {
    "i8", 1, 8, 32, [](int v) { return uint32_t(uint8_t(v)); }, -128, 127};
const Element kU8Element = {"i8", 0,  8, 32, [](int v) { return uint32_t(v); },
                            0,    255};

enum class Tile { None, B32, B64, B128, MNB128 };

/// An operand of rows by steps * k in shared memory, as PTX ISA's canonical
/// layouts have it.
struct Operand {
  const Element *element;
  Tile tile;
  unsigned rows, steps;

  unsigned k() const { return element->k * steps; }
  /// Bytes of an element of 8 bits and more; narrow ones take 16 bytes for 16.
  unsigned width() const { return std::max(8u, element->bits) / 8; }
  unsigned lineBytes() const { return k() * width(); }
  unsigned bytes() const { return (rows + 63) / 64 * 64 * lineBytes(); }
  unsigned leading() const {
    return tile == Tile::None     ? rows * 16
           : tile == Tile::MNB128 ? 128 * k()
                                  : 16;
  }
  unsigned stride() const {
    switch (tile) {
    case Tile::None:
      return 128;
    case Tile::B32:
      return 256;
    case Tile::B64:
      return 512;
    default:
      return 1024;
    }
  }
  /// Byte address of byte `b` of the line of `line` (a row, or a k).
  unsigned at(unsigned line, unsigned b) const {
    unsigned in = line % 8, unit = b / 16;
    switch (tile) {
    case Tile::None:
      return unit * leading() + line / 8 * 128 + in * 16 + b % 16;
    case Tile::B32:
      return line / 8 * 256 + in * 32 + (unit ^ in / 4) * 16 + b % 16;
    case Tile::B64:
      return line / 8 * 512 + in * 64 + (unit ^ in / 2) * 16 + b % 16;
    case Tile::B128:
      return line / 8 * 1024 + in * 128 + (unit ^ in) * 16 + b % 16;
    case Tile::MNB128:
      return b / 128 * leading() + line / 8 * 1024 + in * 128 +
             (unit % 8 ^ in) * 16 + b % 16;
    }
    return 0;
  }
  void put(std::vector<uint8_t> &shared, unsigned start, unsigned row,
           unsigned col, uint32_t bits) const {
    unsigned line = tile == Tile::MNB128 ? col : row;
    unsigned along = tile == Tile::MNB128 ? row : col;
    if (element->bits < 8) {
      // Sixteen elements, packed, then padding.
      unsigned bit = along % 16 * element->bits;
      for (unsigned i = 0; i < element->bits; ++i)
        if (bits >> i & 1)
          shared[start + at(line, along / 16 * 16 + (bit + i) / 8)] |=
              1 << (bit + i) % 8;
      return;
    }
    for (unsigned i = 0; i < width(); ++i)
      shared[start + at(line, along * width() + i)] = uint8_t(bits >> 8 * i);
  }
  /// From one k step to the next.
  unsigned step() const {
    switch (tile) {
    case Tile::None:
      return 2 * leading();
    case Tile::MNB128:
      return element->k * 128;
    default:
      return 32;
    }
  }
  uint64_t descriptor(unsigned start) const {
    static constexpr uint64_t modes[] = {0, 6, 4, 2, 2};
    return uint64_t(start >> 4) | uint64_t(leading() >> 4) << 16 |
           uint64_t(stride() >> 4) << 32 | uint64_t(1) << 46 |
           modes[unsigned(tile)] << 61;
  }
};

enum class Result { F16, F32, S32 };

uint32_t instruction(const Operand &a, const Operand &b, Result d, unsigned m,
                     unsigned n) {
  return uint32_t(d) << 4 | a.element->code << 7 | b.element->code << 10 |
         uint32_t(a.tile == Tile::MNB128) << 15 |
         uint32_t(b.tile == Tile::MNB128) << 16 | n / 8 << 17 | m / 16 << 24;
}

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
