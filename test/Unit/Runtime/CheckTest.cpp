//===- CheckTest.cpp ------------------------------------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Check.h"
#include "flash/Runtime/Inputs.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace flash::runtime;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

/// A problem with its references and an output as a kernel would leave it.
struct Fixture {
  AttentionSpec spec;
  Sizes sizes;
  ProblemArrays arrays;
  ReferenceProblem problem;
  ReferenceResult reference, low;

  explicit Fixture(const std::string &text, InputOptions options = {})
      : spec(*AttentionSpec::parse(text)), sizes(*spec.resolveSizes("")),
        arrays(*makeInputs(spec, sizes, options)), problem(makeProblem()),
        reference(computeReference(problem, arrays.q, arrays.k, arrays.v)),
        low(computeLowReference(problem, arrays.q, arrays.k, arrays.v,
                                {spec.dtype, spec.outputDType()})) {
    fill(low);
  }

  ReferenceProblem makeProblem() const {
    ReferenceProblem made = ReferenceProblem::fromSpec(spec, sizes);
    for (auto [array, scales] : {std::pair(&arrays.qDescale, &made.queryScales),
                                 {&arrays.kDescale, &made.keyScales},
                                 {&arrays.vDescale, &made.valueScales}})
      if (*array)
        forEachIndex(**array, [&, array = array, scales = scales](int64_t i) {
          scales->push_back((*array)->loadIndex(i));
        });
    return made;
  }

  /// The output of a kernel that computes something else.
  void fillWith(const ReferenceProblem &broken) {
    fill(computeLowReference(broken, arrays.q, arrays.k, arrays.v,
                             {spec.dtype, spec.outputDType()}));
  }

  void fill(const ReferenceResult &from) {
    size_t i = 0;
    forEachIndex(arrays.o, [&](int64_t index) {
      storeElement(arrays.o.dtype, arrays.o.bytesAt(index), from.o[i++]);
    });
    i = 0;
    forEachIndex(arrays.lse, [&](int64_t index) {
      storeElement(DType::F32, arrays.lse.bytesAt(index), from.lse[i++]);
    });
  }

  /// The output of a kernel whose mask is wrong.
  void fillWithMask(MaskFn mask) {
    ReferenceProblem broken = problem;
    broken.causal = Causal::None;
    broken.mask = std::move(mask);
    fillWith(broken);
  }

  CheckReport check() const {
    return checkAttention(arrays.o, arrays.lse, reference, low, spec.dtype);
  }

  double &at(int64_t h, int64_t q, int64_t d) {
    return reference.o[size_t((h * sizes.sq + q) * sizes.dv + d)];
  }
};

void expectFailure(const CheckReport &report, const std::string &part) {
  EXPECT_FALSE(report.pass);
  bool found = false;
  for (const std::string &error : report.errors)
    found |= error.find(part) != std::string::npos;
  std::string all;
  for (const std::string &error : report.errors)
    all += error + "\n";
  EXPECT_TRUE(found) << part << " not in:\n" << all;
}

TEST(Check, CorrectResultsPass) {
  for (const char *dtype : {"f16", "bf16", "f32", "tf32", "e4m3", "e5m2"})
    for (const char *rest :
         {"hq=2,sq=100,sk=130,d=64,mask=causal", "sq=1,sk=1,d=16",
          "hq=2,sq=70,sk=30,d=48,mask=causal", "sq=3,sk=2,d=16",
          "sq=20,sk=300,d=128,window=0:0", "sq=20,sk=300,d=256,softcap=15"})
      for (StrideStyle style : {StrideStyle::Contiguous, StrideStyle::Padded}) {
        InputOptions options;
        options.strides = style;
        Fixture fixture(std::string(rest) + ",dtype=" + dtype, options);
        CheckReport report = fixture.check();
        EXPECT_TRUE(report.pass)
            << rest << " " << dtype << ": "
            << (report.errors.empty() ? "" : report.errors.front());
        EXPECT_TRUE(report.errors.empty());
        EXPECT_LE(report.maxAbsErr, report.tolerance);
        EXPECT_LE(report.maxRowRelErr, report.rowTolerance);
        EXPECT_LE(report.lseMaxAbsErr, kLseTolerance);
      }
}

/// (a): one element off by more than the tolerance, in a row so large that its
/// relative error stays small.
TEST(Check, GlobalBound) {
  Fixture fixture("hq=2,sq=8,sk=8,d=256,dtype=bf16");
  CheckReport clean = fixture.check();
  ASSERT_TRUE(clean.pass);
  std::array<int64_t, 4> where = {0, 1, 5, 17};
  double ref = fixture.at(1, 5, 17);
  fixture.arrays.o.set(where, ref + 1.5 * clean.tolerance);
  CheckReport report = fixture.check();
  expectFailure(report, "global bound: (b,h,q) = (0,1,5) d = 17");
  EXPECT_EQ(report.errors.size(), 1u) << "the row bound alone does not see it";
  fixture.arrays.o.set(where, ref + 0.5 * clean.tolerance);
  EXPECT_TRUE(fixture.check().pass);
}

/// (b): a late causal row is small everywhere, so a change of 3% hides below
/// the global bound.
TEST(Check, RowBoundSeesWhatTheGlobalBoundDoesNot) {
  Fixture fixture("hq=1,sq=1024,sk=1024,d=64,dtype=bf16,mask=causal");
  for (int64_t d = 0; d < 64; ++d)
    fixture.arrays.o.set(std::array<int64_t, 4>{0, 0, 1000, d},
                         fixture.at(0, 1000, d) * 1.03);
  CheckReport report = fixture.check();
  EXPECT_LE(report.maxAbsErr, report.tolerance);
  expectFailure(report, "row bound: (b,h,q) = (0,0,1000)");
  expectFailure(report, "(1 row in all)");
  EXPECT_NEAR(report.maxRowRelErr, 0.03, 0.003);
}

/// The bounds of every type are narrow enough to see what is most likely to go
/// wrong: a tile of keys that one row of tiles skips, a scale that is left out,
/// probabilities that saturate (2^9 in place of 2^8 makes 1 to 448 / 512).
TEST(Check, BrokenKernelsOfEveryType) {
  for (const char *dtype : {"f32", "tf32", "e4m3", "e5m2"}) {
    Fixture fixture(std::string("hq=2,sq=512,sk=512,d=64,mask=causal,dtype=") +
                    dtype);
    ASSERT_TRUE(fixture.check().pass) << dtype;
    fixture.fillWithMask([](int64_t, int64_t, int64_t q, int64_t k0,
                            std::span<uint8_t> live) {
      for (size_t i = 0; i < live.size(); ++i) {
        int64_t k = k0 + int64_t(i);
        live[i] = k <= q && !(q / 64 == 7 && k / 32 == 3);
      }
    });
    expectFailure(fixture.check(), "row bound");
    expectFailure(fixture.check(), "lse");
  }
  for (const char *dtype : {"e4m3", "e5m2"}) {
    Fixture fixture(std::string("hq=2,sq=64,sk=64,d=64,window=0:0,dtype=") +
                    dtype);
    for (auto scales :
         {&ReferenceProblem::queryScales, &ReferenceProblem::keyScales,
          &ReferenceProblem::valueScales}) {
      ReferenceProblem broken = fixture.problem;
      ASSERT_EQ((broken.*scales).size(), 2u);
      (broken.*scales)[1] = 1;
      fixture.fillWith(broken);
      EXPECT_FALSE(fixture.check().pass) << dtype;
    }
    ReferenceResult saturated = fixture.low;
    for (double &value : saturated.o)
      value *= 448.0 / 512;
    fixture.fill(saturated);
    expectFailure(fixture.check(), "row bound");
  }
}

/// docs/Rationale/Tolerances.md: what P's rounding does to a row, and how many
/// keys may hide a lost tile from the output alone.
TEST(Check, RowBoundsFollowFromMantissas) {
  struct Type {
    const char *name;
    double unit; // of rounding
    int64_t longest;
  };
  for (Type type : {Type{"e4m3", 0x1p-4, 2048}, Type{"e5m2", 0x1p-3, 1024},
                    Type{"tf32", 0x1p-11, 2048}})
    for (int64_t keys = 512; keys <= type.longest; keys *= 2) {
      SCOPED_TRACE(std::string(type.name) + ", " + std::to_string(keys));
      Fixture fixture("hq=2,sq=32,d=64,sk=" + std::to_string(keys) +
                      ",dtype=" + type.name);
      CheckReport clean = fixture.check();
      ASSERT_TRUE(clean.pass);
      EXPECT_GT(clean.maxRowRelErr, 0.25 * type.unit);
      EXPECT_LT(clean.maxRowRelErr, 0.75 * type.unit);
      EXPECT_GT(clean.rowTolerance, 0.95 * type.unit);
      EXPECT_LT(clean.rowTolerance, 4.2 * type.unit);
      const StridedArray lse = fixture.arrays.lse;
      fixture.fillWithMask(
          [](int64_t, int64_t, int64_t, int64_t k0, std::span<uint8_t> live) {
            for (size_t i = 0; i < live.size(); ++i)
              live[i] = (k0 + int64_t(i)) / 32 != 3;
          });
      fixture.arrays.lse = lse;
      expectFailure(fixture.check(), "row bound");
    }
}

/// Broken kernels, each off only in o or only in lse.
TEST(Check, BrokenKernels) {
  const std::string causal = "hq=2,sq=512,sk=512,d=64,mask=causal,dtype=";
  for (const char *dtype : {"f16", "bf16"}) {
    Fixture fixture(causal + dtype);
    const StridedArray rightLse = fixture.arrays.lse;
    const StridedArray rightO = fixture.arrays.o;
    struct Broken {
      const char *name;
      MaskFn mask;
    };
    auto withRows = [](auto live) -> MaskFn {
      return [live](int64_t, int64_t, int64_t q, int64_t k0,
                    std::span<uint8_t> flags) {
        for (size_t i = 0; i < flags.size(); ++i)
          flags[i] = live(q, k0 + int64_t(i));
      };
    };
    for (const Broken &broken :
         {Broken{"one KV tile skipped for half the rows",
                 withRows([](int64_t q, int64_t k) {
                   return k <= q &&
                          !(q % 128 >= 64 && q >= 256 && k >= 64 && k < 128);
                 })},
          Broken{"diagonal lost",
                 withRows([](int64_t q, int64_t k) { return k < q; })},
          Broken{"one future key visible",
                 withRows([](int64_t q, int64_t k) { return k <= q + 1; })}}) {
      fixture.fillWithMask(broken.mask);
      CheckReport report = fixture.check();
      expectFailure(report, "lse");
      // The output must give it away by itself.
      fixture.arrays.lse = rightLse;
      report = fixture.check();
      expectFailure(report, "row bound");
      EXPECT_LE(report.lseMaxAbsErr, kLseTolerance) << broken.name;
    }
    fixture.arrays.o = rightO;
    ASSERT_TRUE(fixture.check().pass);
    forEachIndex(fixture.arrays.lse, [&](int64_t index) {
      storeElement(DType::F32, fixture.arrays.lse.bytesAt(index),
                   fixture.arrays.lse.loadIndex(index) + std::log(2.0));
    });
    CheckReport report = fixture.check();
    expectFailure(report, "lse: (b,h,q) = ");
    EXPECT_NEAR(report.lseMaxAbsErr, std::log(2.0), 1e-3);
    EXPECT_EQ(report.errors.size(), 1u);
  }
}

TEST(Check, DeadRows) {
  Fixture fixture("hq=1,sq=5,sk=2,d=8,dtype=f16,mask=causal");
  ASSERT_TRUE(fixture.check().pass);
  Fixture tiny = fixture;
  tiny.arrays.o.set(std::array<int64_t, 4>{0, 0, 2, 7}, 0x1p-24);
  expectFailure(tiny.check(),
                "dead row: (b,h,q) = (0,0,2): expected o = 0, got 5.96046e-08");
  Fixture lse = fixture;
  lse.arrays.lse.set(std::array<int64_t, 3>{0, 0, 1}, -1e30);
  expectFailure(lse.check(),
                "dead row: (b,h,q) = (0,0,1): expected lse = -inf");
  EXPECT_EQ(lse.check().lseMaxAbsErr, kInf);
  Fixture nan = fixture;
  nan.arrays.o.set(std::array<int64_t, 4>{0, 0, 0, 0}, std::nan(""));
  expectFailure(nan.check(), "output not finite: (b,h,q) = (0,0,0)");
  // And a live row that a kernel took for dead.
  Fixture live = fixture;
  live.arrays.lse.set(std::array<int64_t, 3>{0, 0, 3}, -kInf);
  expectFailure(live.check(), "lse: (b,h,q) = (0,0,3)");
}

TEST(Check, NonFiniteOutput) {
  for (double bad : {std::nan(""), kInf, -kInf}) {
    Fixture fixture("hq=2,sq=5,sk=9,d=8,dtype=bf16");
    fixture.arrays.o.set(std::array<int64_t, 4>{0, 1, 4, 3}, bad);
    CheckReport report = fixture.check();
    expectFailure(report, "output not finite: (b,h,q) = (0,1,4) d = 3");
    EXPECT_FALSE(std::isfinite(report.maxAbsErr));
    fixture.fill(fixture.low);
    fixture.arrays.lse.set(std::array<int64_t, 3>{0, 1, 4}, bad);
    expectFailure(fixture.check(), "lse: (b,h,q) = (0,1,4)");
  }
}

/// What was never written fails: outputs start as NaN.
TEST(Check, UnwrittenOutput) {
  AttentionSpec spec = *AttentionSpec::parse("hq=2,sq=5,sk=9,d=8,dtype=bf16");
  Fixture fixture("hq=2,sq=5,sk=9,d=8,dtype=bf16");
  fixture.arrays.o = makeInputs(spec, fixture.sizes, {})->o;
  expectFailure(fixture.check(), "(80 elements in all)");
}

/// Where inputs make the reference NaN or infinite, that is what is expected.
TEST(Check, NonFiniteReference) {
  Fixture fixture("hq=1,sq=2,sk=3,d=8,dtype=f16");
  for (int64_t d = 0; d < 8; ++d) {
    fixture.at(0, 1, d) = std::nan("");
    fixture.low.o[size_t(8 + d)] = std::nan("");
    fixture.arrays.o.set(std::array<int64_t, 4>{0, 0, 1, d}, std::nan(""));
  }
  EXPECT_TRUE(fixture.check().pass);
  fixture.arrays.o.set(std::array<int64_t, 4>{0, 0, 1, 2}, 0);
  expectFailure(fixture.check(), "expected nan, got 0");
}

TEST(Check, ShapeMismatch) {
  Fixture fixture("hq=1,sq=2,sk=3,d=8,dtype=f16");
  fixture.arrays.lse = StridedArray::contiguous(DType::F32, {1, 1, 3});
  expectFailure(fixture.check(), "lse: shape");
}

} // namespace
