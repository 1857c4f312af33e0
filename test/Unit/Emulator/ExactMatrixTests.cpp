//===- ExactMatrixTests.cpp - mma of integers, bits and f64 ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Random fragments through one instruction, against products of matrices whose
// elements are placed by the PTX ISA's own row and column rules.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

std::string list(const char *prefix, unsigned first, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + std::string(prefix) + std::to_string(first + i);
  return text + "}";
}

/// Runs `mma` on fragments of aRegs, bRegs and cRegs registers per lane, kept
/// as [register][lane] in one buffer, and returns D in that order.
template <typename T>
std::vector<T> runMma(const std::string &opcode, unsigned aRegs, unsigned bRegs,
                      unsigned cRegs, const std::vector<T> &fragments) {
  bool wide = sizeof(T) == 8;
  const char *reg = wide ? "%d" : "%r";
  const char *type = wide ? "f64" : "b32";
  unsigned total = aRegs + bRegs + cRegs;
  std::string body = ".reg .f64 %d<40>;\n.reg .b32 %r<40>;\n"
                     ".reg .b64 %rd<8>;\nld.param.u64 %rd1, [in];\n"
                     "ld.param.u64 %rd2, [out];\nmov.u32 %r0, %tid.x;\n"
                     "mul.wide.u32 %rd3, %r0, " +
                     std::to_string(sizeof(T)) +
                     ";\nadd.s64 %rd1, %rd1, %rd3;\nadd.s64 %rd2, %rd2, "
                     "%rd3;\n";
  auto at = [&](unsigned i) { return std::to_string(i * 32 * sizeof(T)); };
  for (unsigned i = 0; i < total; ++i)
    body += "ld.global." + std::string(type) + " " + reg +
            std::to_string(1 + i) + ", [%rd1+" + at(i) + "];\n";
  body += opcode + " " + list(reg, 30, cRegs) + ", " + list(reg, 1, aRegs) +
          ", " + list(reg, 1 + aRegs, bRegs) + ", " +
          list(reg, 1 + aRegs + bRegs, cRegs) + ";\n";
  for (unsigned i = 0; i < cRegs; ++i)
    body += "st.global." + std::string(type) + " [%rd2+" + at(i) + "], " + reg +
            std::to_string(30 + i) + ";\n";
  auto module =
      parse(".version 8.0\n.target sm_90\n.address_size 64\n"
            ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n" +
            body + "ret;\n}\n");
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.in(fragments).template out<T>(cRegs * 32);
  Report report = run.go(1, 32);
  EXPECT_TRUE(report.ok) << opcode << "\n" << issues(report);
  return run.template result<T>();
}

struct IntegerCase {
  const char *shape;
  unsigned m, k;
  const char *types;
  unsigned bits;
  bool aSigned, bSigned, saturate;
  const char *suffix;
};

class IntegerMma : public ::testing::TestWithParam<IntegerCase> {};

TEST_P(IntegerMma, MatchesMatrices) {
  const IntegerCase &test = GetParam();
  unsigned per = 32 / test.bits, aRegs = test.m * test.k / per / 32,
           bRegs = 8 * test.k / per / 32, cRegs = test.m / 4;
  std::mt19937 random(7);
  std::vector<uint32_t> data((aRegs + bRegs + cRegs) * 32);
  for (uint32_t &word : data)
    word = random();
  const uint32_t *a = data.data(), *b = a + aRegs * 32, *c = b + bRegs * 32;
  // Accumulators at the edges of the range, so that saturation shows.
  for (unsigned i = 0; i < cRegs * 32; i += 3)
    data[(aRegs + bRegs) * 32 + i] = i % 2 ? 0x7fffff00 : 0x80000010;
  auto element = [&](uint32_t word, unsigned e, bool isSigned) {
    int64_t value = word >> (e * test.bits) & ((1ull << test.bits) - 1);
    return isSigned && value >> (test.bits - 1) ? value - (1ll << test.bits)
                                                : value;
  };
  std::vector<int64_t> A(test.m * test.k), B(test.k * 8), C(test.m * 8);
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned group = lane >> 2, thread = lane % 4;
    for (unsigned i = 0; i < aRegs * per; ++i) {
      unsigned r = i / per, row = group, column = thread * per + i % per;
      if (test.m == 16) {
        row += r % 2 ? 8 : 0;
        column += r >= 2 ? 4 * per : 0;
      }
      A[row * test.k + column] =
          element(a[r * 32 + lane], i % per, test.aSigned);
    }
    for (unsigned i = 0; i < bRegs * per; ++i)
      B[(thread * per + i % per + (i / per) * 4 * per) * 8 + group] =
          element(b[i / per * 32 + lane], i % per, test.bSigned);
    for (unsigned v = 0; v < cRegs; ++v)
      C[(group + (v < 2 ? 0 : 8)) * 8 + thread * 2 + v % 2] =
          int32_t(c[v * 32 + lane]);
  }
  std::string suffix = test.suffix;
  for (unsigned row = 0; row < test.m; ++row)
    for (unsigned n = 0; n < 8; ++n)
      for (unsigned k = 0; k < test.k; ++k) {
        int64_t x = A[row * test.k + k], y = B[k * 8 + n];
        C[row * 8 + n] += suffix == ".xor.popc"   ? x ^ y
                          : suffix == ".and.popc" ? x & y
                                                  : x * y;
      }
  std::vector<uint32_t> got =
      runMma<uint32_t>(std::string("mma.sync.aligned.") + test.shape +
                           ".row.col" + (test.saturate ? ".satfinite" : "") +
                           ".s32." + test.types + ".s32" + test.suffix,
                       aRegs, bRegs, cRegs, data);
  ASSERT_EQ(got.size(), cRegs * 32);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned v = 0; v < cRegs; ++v) {
      int64_t want =
          C[((lane >> 2) + (v < 2 ? 0 : 8)) * 8 + lane % 4 * 2 + v % 2];
      if (test.saturate)
        want = std::clamp<int64_t>(want, INT32_MIN, INT32_MAX);
      ASSERT_EQ(got[v * 32 + lane], uint32_t(want))
          << "lane " << lane << " register " << v;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Forms, IntegerMma,
    ::testing::Values(
        IntegerCase{"m8n8k16", 8, 16, "s8.u8", 8, true, false, false, ""},
        IntegerCase{"m8n8k16", 8, 16, "u8.s8", 8, false, true, true, ""},
        IntegerCase{"m16n8k16", 16, 16, "s8.s8", 8, true, true, true, ""},
        IntegerCase{"m16n8k32", 16, 32, "u8.s8", 8, false, true, false, ""},
        IntegerCase{"m8n8k32", 8, 32, "s4.s4", 4, true, true, false, ""},
        IntegerCase{"m16n8k32", 16, 32, "u4.s4", 4, false, true, true, ""},
        IntegerCase{"m16n8k64", 16, 64, "s4.u4", 4, true, false, false, ""},
        IntegerCase{"m16n8k64", 16, 64, "u4.u4", 4, false, false, true, ""},
        IntegerCase{"m8n8k128", 8, 128, "b1.b1", 1, false, false, false,
                    ".xor.popc"},
        IntegerCase{"m16n8k128", 16, 128, "b1.b1", 1, false, false, false,
                    ".and.popc"},
        IntegerCase{"m16n8k256", 16, 256, "b1.b1", 1, false, false, false,
                    ".xor.popc"},
        IntegerCase{"m16n8k256", 16, 256, "b1.b1", 1, false, false, false,
                    ".and.popc"}));

TEST(DoubleMma, MatchesChainsOfFma) {
  struct Form {
    const char *shape;
    unsigned m, k;
  };
  static constexpr Form forms[] = {{"m8n8k4", 8, 4},
                                   {"m16n8k4", 16, 4},
                                   {"m16n8k8", 16, 8},
                                   {"m16n8k16", 16, 16}};
  static constexpr std::pair<const char *, int> modes[] = {
      {"", FE_TONEAREST},
      {".rz", FE_TOWARDZERO},
      {".rm", FE_DOWNWARD},
      {".rp", FE_UPWARD}};
  std::mt19937 random(9);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (const Form &form : forms)
    for (auto [suffix, mode] : modes) {
      unsigned aRegs = form.m * form.k / 32, bRegs = form.k / 4,
               cRegs = form.m / 4;
      std::vector<double> data((aRegs + bRegs + cRegs) * 32);
      for (double &value : data)
        value = std::ldexp(uniform(random), int(random() % 40) - 20);
      std::vector<double> got =
          runMma<double>(std::string("mma.sync.aligned.") + form.shape +
                             ".row.col.f64.f64.f64.f64" + suffix,
                         aRegs, bRegs, cRegs, data);
      ASSERT_EQ(got.size(), cRegs * 32);
      const double *a = data.data(), *b = a + aRegs * 32, *c = b + bRegs * 32;
      for (unsigned lane = 0; lane < 32; ++lane)
        for (unsigned v = 0; v < cRegs; ++v) {
          unsigned row = (lane >> 2) + (v < 2 ? 0 : 8);
          unsigned column = lane % 4 * 2 + v % 2;
          std::fesetround(mode);
          volatile double sum = c[v * 32 + lane];
          for (unsigned k = 0; k < form.k; ++k) {
            // The register that holds (row, k), and the one of (k, column).
            unsigned ar = form.m == 8 ? 0 : row / 8 + 2 * (k / 4);
            unsigned al = row % 8 * 4 + k % 4, bl = column * 4 + k % 4;
            volatile double x = a[ar * 32 + al], y = b[k / 4 * 32 + bl];
            sum = std::fma(x, y, sum);
          }
          std::fesetround(FE_TONEAREST);
          ASSERT_EQ(got[v * 32 + lane], double(sum))
              << form.shape << suffix << " lane " << lane << " register " << v;
        }
    }
}

TEST(ExactMma, RefusedForms) {
  auto refused = [](const std::string &text, const std::string &message) {
    Diagnostic error;
    EXPECT_FALSE(Module::parse(kernelText(text), error)) << text;
    EXPECT_NE(error.message.find(message), std::string::npos) << error.str();
    EXPECT_GT(error.line, 0u);
  };
  refused("mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,"
          "%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6,%r7,%r8}, {%f1,%f2,%f3,%f4}, %r9, "
          "0x0;",
          "sparse matrices");
  refused("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4,"
          "%f5,%f6,%f7,%f8}, {%r1,%r2}, {%r3,%r4}, {%f1,%f2,%f3,%f4,%f5,%f6,"
          "%f7,%f8};",
          "shape: expected");
  refused("mma.sync.aligned.m16n8k64.row.col.s32.s8.s8.s32 {%r1,%r2,%r3,%r4}, "
          "{%r5,%r6,%r7,%r8}, {%r9,%r10}, {%r1,%r2,%r3,%r4};",
          "shape: expected");
  refused("mma.sync.aligned.m16n8k64.row.col.s32.s4.s8.s32 {%r1,%r2,%r3,%r4}, "
          "{%r5,%r6,%r7,%r8}, {%r9,%r10}, {%r1,%r2,%r3,%r4};",
          "two input types of one size");
  refused("mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.xor {%r1,%r2,%r3,"
          "%r4}, {%r5,%r6}, {%r7}, {%r1,%r2,%r3,%r4};",
          ".xor.popc or .and.popc");
}

} // namespace
