//===- ReferenceTest.cpp --------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Reference.h"
#include "flash/Runtime/Inputs.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace flash::runtime;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Example {
  AttentionSpec spec;
  ProblemArrays arrays;
  ReferenceProblem problem;
};

Example makeRun(const std::string &text, InputOptions options = {}) {
  Result<AttentionSpec> spec = AttentionSpec::parse(text);
  EXPECT_TRUE(spec.succeeded()) << text;
  Sizes sizes = *spec->resolveSizes("");
  Result<ProblemArrays> arrays = makeInputs(*spec, sizes, options);
  EXPECT_TRUE(arrays.succeeded());
  return {*spec, std::move(*arrays), ReferenceProblem::fromSpec(*spec, sizes)};
}

/// Attention as the contract words it, one element at a time, each mask spelled
/// out on its own and nothing shared with the implementation.
ReferenceResult bruteForce(const Example &run) {
  const AttentionSpec &spec = run.spec;
  const Sizes &sizes = run.problem.sizes;
  ReferenceResult result;
  for (int64_t b = 0; b < sizes.b; ++b)
    for (int64_t h = 0; h < sizes.hq; ++h)
      for (int64_t q = 0; q < sizes.sq; ++q) {
        int64_t hkv = h / (sizes.hq / sizes.hkv);
        double position = double(q + sizes.sk - sizes.sq);
        std::vector<double> weights;
        double sum = 0;
        for (int64_t k = 0; k < sizes.sk; ++k) {
          double s = 0;
          for (int64_t d = 0; d < sizes.d; ++d)
            s += run.arrays.q.get(std::array{b, h, q, d}) *
                 run.arrays.k.get(std::array{b, hkv, k, d});
          s *= spec.effectiveScale();
          if (spec.alibi)
            s += alibiSlopes(sizes.hq)[size_t(h)] * (double(k) - position);
          if (spec.softcap)
            s = *spec.softcap * std::tanh(s / *spec.softcap);
          bool bottomRight = double(k) <= position;
          bool live = spec.causal == Causal::None ||
                      (spec.causal == Causal::TopLeft ? k <= q : bottomRight);
          if (spec.prefix)
            live = live && (k < *spec.prefix || bottomRight);
          if (spec.window) {
            bool left = spec.window->left == -1 ||
                        double(k) >= position - double(spec.window->left) ||
                        (spec.sink && k < *spec.sink);
            bool right = spec.window->right == -1 ||
                         double(k) <= position + double(spec.window->right);
            live = live && left && right;
          }
          if (spec.chunk)
            live = live && std::floor(position / double(*spec.chunk)) ==
                               std::floor(double(k) / double(*spec.chunk));
          // Scores here are small: no maximum is needed.
          weights.push_back(live ? std::exp(s) : 0);
          sum += weights.back();
        }
        for (int64_t d = 0; d < sizes.dv; ++d) {
          double o = 0;
          for (int64_t k = 0; k < sizes.sk; ++k)
            o +=
                weights[size_t(k)] * run.arrays.v.get(std::array{b, hkv, k, d});
          result.o.push_back(sum == 0 ? 0 : o / sum);
        }
        result.lse.push_back(std::log(sum));
      }
  return result;
}

void expectClose(const std::vector<double> &got,
                 const std::vector<double> &expected, double tolerance,
                 const std::string &what) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    if (got[i] != expected[i]) {
      ASSERT_NEAR(got[i], expected[i], tolerance) << what << " at " << i;
    }
}

TEST(Reference, AgainstBruteForce) {
  const char *masks[] = {
      "",
      ",mask=causal",
      ",mask=causal_tl",
      ",window=5:2",
      ",window=0:0",
      ",window=-1:3,mask=causal_tl",
      ",window=4:-1",
      ",window=3:0,sink=2",
      ",prefix=6",
      ",prefix=3,mask=causal_tl",
      ",chunk=4",
      ",chunk=5,mask=causal",
      ",alibi",
      ",alibi,mask=causal,softcap=1.5",
      ",softcap=0.75,scale=0.3",
      ",scale=0",
  };
  const char *sizes[] = {
      "b=2,hq=3,hkv=1,sq=7,sk=13,d=8,dv=16,dtype=f16",
      "b=1,hq=4,hkv=2,sq=13,sk=7,d=16,dtype=bf16,layout=bshd",
      "b=1,hq=1,sq=1,sk=1,d=8,dtype=f32",
      "b=1,hq=2,sq=5,sk=2,d=40,dv=24,dtype=bf16",
      "b=1,hq=1,sq=2,sk=5,d=8,dtype=f16",
      "b=1,hq=6,hkv=1,sq=1,sk=70,d=24,dtype=f16",
  };
  for (const char *mask : masks)
    for (const char *size : sizes) {
      std::string text = std::string(size) + mask;
      Example run = makeRun(text);
      ReferenceResult expected = bruteForce(run);
      ReferenceResult got = computeReference(run.problem, run.arrays.q,
                                             run.arrays.k, run.arrays.v);
      expectClose(got.o, expected.o, 1e-12, text + " o");
      expectClose(got.lse, expected.lse, 1e-12, text + " lse");
      ReferenceResult low =
          computeLowReference(run.problem, run.arrays.q, run.arrays.k,
                              run.arrays.v, {run.spec.dtype, run.spec.dtype});
      double step = run.spec.dtype == DType::BF16  ? 0x1p-7
                    : run.spec.dtype == DType::F16 ? 0x1p-10
                                                   : 1e-5;
      expectClose(low.o, expected.o, 3 * step, text + " low o");
      expectClose(low.lse, expected.lse, 1e-4, text + " low lse");
    }
}

/// Rows that are dead in every way there is: beyond a causal diagonal, outside
/// a window, by a mask function, by scores of -inf.
TEST(Reference, DeadRows) {
  Example run = makeRun("hq=1,sq=5,sk=2,d=8,dtype=f16,mask=causal");
  ReferenceResult result =
      computeReference(run.problem, run.arrays.q, run.arrays.k, run.arrays.v);
  for (size_t row = 0; row < 5; ++row) {
    EXPECT_EQ(result.lse[row] == -kInf, row < 3) << row;
    EXPECT_EQ(result.o[row * 8] == 0, row < 3) << row;
  }
  run = makeRun("hq=2,sq=3,sk=9,d=8,dtype=f16");
  run.problem.mask = [](int64_t, int64_t h, int64_t q, int64_t,
                        std::span<uint8_t> live) {
    if (h == 1 && q == 2)
      std::fill(live.begin(), live.end(), 0);
  };
  run.problem.score = [](int64_t, int64_t h, int64_t q, int64_t,
                         std::span<double> s) {
    if (h == 0 && q == 1)
      std::fill(s.begin(), s.end(), -kInf);
  };
  result =
      computeReference(run.problem, run.arrays.q, run.arrays.k, run.arrays.v);
  for (size_t row = 0; row < 6; ++row) {
    bool dead = row == 5 || row == 1;
    EXPECT_EQ(result.lse[row] == -kInf, dead) << row;
    EXPECT_EQ(result.o[row * 8 + 3] == 0, dead) << row;
    EXPECT_FALSE(std::isnan(result.o[row * 8 + 3])) << row;
  }
}

/// Functions given as callbacks mean the same as the attributes they spell out,
/// and see absolute indices.
TEST(Reference, Callbacks) {
  std::string text = "b=2,hq=4,hkv=2,sq=9,sk=21,d=8,dtype=f16";
  Example expected = makeRun(text + ",alibi,mask=causal,softcap=2");
  Example got = makeRun(text + ",softcap=2");
  got.problem.score = [](int64_t, int64_t h, int64_t q, int64_t k0,
                         std::span<double> s) {
    for (size_t i = 0; i < s.size(); ++i)
      s[i] += alibiSlopes(4)[size_t(h)] * double(k0 + int64_t(i) - (q + 12));
  };
  got.problem.mask = [](int64_t b, int64_t, int64_t q, int64_t k0,
                        std::span<uint8_t> live) {
    EXPECT_LT(b, 2);
    for (size_t i = 0; i < live.size(); ++i)
      if (k0 + int64_t(i) > q + 12)
        live[i] = 0;
  };
  auto compute = [](const Example &run) {
    return computeReference(run.problem, run.arrays.q, run.arrays.k,
                            run.arrays.v);
  };
  expectClose(compute(got).o, compute(expected).o, 1e-13, "o");
  expectClose(compute(got).lse, compute(expected).lse, 1e-13, "lse");
}

TEST(Reference, DoesNotDependOnStridesOrThreads) {
  std::string text = "b=2,hq=4,hkv=2,sq=300,sk=77,d=16,dv=24,dtype=bf16,"
                     "mask=causal";
  Example plain = makeRun(text);
  ReferenceResult expected = computeReference(
      plain.problem, plain.arrays.q, plain.arrays.k, plain.arrays.v, 1);
  for (const char *style : {"padded", "transposed", "innermost", "unaligned",
                            "align4", "align8", "huge"}) {
    InputOptions options;
    options.strides = *parseStrideStyle(style);
    options.poisonNaN = true;
    Example run = makeRun(text, options);
    ReferenceResult got = computeReference(run.problem, run.arrays.q,
                                           run.arrays.k, run.arrays.v, 3);
    EXPECT_EQ(got.o, expected.o) << style;
    EXPECT_EQ(got.lse, expected.lse) << style;
  }
}

TEST(Reference, LowRoundsPAndO) {
  Example run = makeRun("hq=1,sq=64,sk=64,d=64,dtype=bf16");
  auto worst = [&](LowPrecision low) {
    ReferenceResult exact =
        computeReference(run.problem, run.arrays.q, run.arrays.k, run.arrays.v);
    ReferenceResult rounded = computeLowReference(
        run.problem, run.arrays.q, run.arrays.k, run.arrays.v, low);
    double error = 0;
    for (size_t i = 0; i < exact.o.size(); ++i)
      error = std::max(error, std::fabs(exact.o[i] - rounded.o[i]));
    return error;
  };
  double none = worst({DType::F32, DType::F32});
  double onlyP = worst({DType::BF16, DType::F32});
  double onlyO = worst({DType::F32, DType::BF16});
  EXPECT_LT(none, 1e-6);
  EXPECT_GT(onlyP, 1e-5);
  EXPECT_GT(onlyO, 1e-4);
  EXPECT_LT(onlyO, 0.01);
}

/// Scales are factors of whole heads, and 8-bit P uses the upper end of its
/// range: at this row's 64 equal keys p is exact, and would not be with a factor
/// that saturates.
TEST(Reference, ScalesOfHeads) {
  Example run = makeRun("hq=4,hkv=2,sq=9,sk=33,d=16,dtype=f32");
  Example scaled = run;
  scaled.problem.queryScales = {2, 0.5, 1, 4};
  scaled.problem.keyScales = {0.25, 3};
  scaled.problem.valueScales = {5, 0.125};
  for (auto [array, scales] :
       {std::pair(&run.arrays.q, &scaled.problem.queryScales),
        {&run.arrays.k, &scaled.problem.keyScales},
        {&run.arrays.v, &scaled.problem.valueScales}})
    for (int64_t h = 0; h < array->shape[1]; ++h)
      for (int64_t s = 0; s < array->shape[2]; ++s)
        for (int64_t d = 0; d < array->shape[3]; ++d) {
          std::array<int64_t, 4> at = {0, h, s, d};
          array->set(at, array->get(at) * (*scales)[size_t(h)]);
        }
  auto compute = [](const Example &e) {
    return computeReference(e.problem, e.arrays.q, e.arrays.k, e.arrays.v);
  };
  expectClose(compute(scaled).o, compute(run).o, 1e-6, "o");
  expectClose(compute(scaled).lse, compute(run).lse, 1e-6, "lse");

  InputOptions flat;
  flat.init.kind = InitKind::Const;
  Example equal = makeRun("sq=1,sk=64,d=16,dtype=f32", flat);
  for (DType p : {DType::E4M3, DType::E5M2}) {
    ReferenceResult low =
        computeLowReference(equal.problem, equal.arrays.q, equal.arrays.k,
                            equal.arrays.v, {p, DType::F32});
    for (double value : low.o)
      EXPECT_EQ(value, 1.0);
  }
}

TEST(Reference, AlibiSlopes) {
  std::vector<double> eight = alibiSlopes(8);
  for (int h = 0; h < 8; ++h)
    EXPECT_EQ(eight[size_t(h)], std::exp2(-(h + 1)));
  // 12 heads: those of 8, then the 1st, 3rd, 5th and 7th of 16.
  std::vector<double> twelve = alibiSlopes(12);
  ASSERT_EQ(twelve.size(), 12u);
  for (int h = 0; h < 8; ++h)
    EXPECT_EQ(twelve[size_t(h)], eight[size_t(h)]);
  for (int i = 0; i < 4; ++i)
    EXPECT_DOUBLE_EQ(twelve[size_t(8 + i)], std::exp2(-0.5 * (2 * i + 1)));
  EXPECT_EQ(alibiSlopes(1), std::vector<double>{std::exp2(-8.0)});
}

/// A NaN in the inputs is a NaN in the reference, not a dead row.
TEST(Reference, NaNStaysNaN) {
  Example run = makeRun("hq=1,sq=2,sk=4,d=8,dtype=f16");
  run.arrays.q.set(std::array<int64_t, 4>{0, 0, 1, 3}, std::nan(""));
  ReferenceResult result =
      computeReference(run.problem, run.arrays.q, run.arrays.k, run.arrays.v);
  EXPECT_FALSE(std::isnan(result.o[0]));
  EXPECT_TRUE(std::isnan(result.o[8]));
  EXPECT_TRUE(std::isnan(result.lse[1]));
}

} // namespace
