//===- Subjects.cpp - Running subjects; those of sm_80 ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include "Float.h"

#include <cmath>
#include <numeric>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

Report test::run(const Subject &subject, const Module &module, AsyncMode mode,
                 uint64_t seed, std::string &wrong) {
  KernelRun run(module, subject.kernel);
  subject.prepare(run);
  run.config.async = mode;
  run.config.seed = seed;
  run.config.instructionBudget = 2'000'000;
  Report report = run.go();
  wrong = report.ok ? subject.wrong(run) : "";
  return report;
}

std::string test::outcome(const Subject &subject, const Module &module,
                          AsyncMode mode, uint64_t seed) {
  std::string wrong;
  Report report = run(subject, module, mode, seed, wrong);
  if (!report.ok)
    return std::string(issueKindName(report.issues[0].kind)) + ": " +
           issues(report);
  return wrong.empty() ? "" : "wrong result: " + wrong;
}

std::vector<int> test::someInts(size_t count, int low, int high) {
  std::mt19937 random{unsigned(count * 31 + high)};
  std::vector<int> values(count);
  for (int &value : values)
    value = low + int(random() % unsigned(high - low + 1));
  return values;
}

std::vector<float> test::someBf16(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  return generate<float>(
      count, [&](size_t) { return bf16ToFloat(floatToBf16(normal(random))); });
}

std::vector<uint16_t> test::bf16Bits(const std::vector<float> &values) {
  return generate<uint16_t>(values.size(),
                            [&](size_t i) { return floatToBf16(values[i]); });
}

std::string test::attentionDifference(const std::vector<float> &q,
                                      const std::vector<float> &k,
                                      const std::vector<float> &v, unsigned d,
                                      const std::vector<uint16_t> &o,
                                      const std::vector<float> &lse) {
  size_t rows = q.size() / d, keys = k.size() / d;
  for (size_t row = 0; row < rows; row += 7) {
    std::vector<double> s(keys), out(d);
    double top = -INFINITY, sum = 0;
    for (size_t j = 0; j < keys; ++j) {
      for (unsigned i = 0; i < d; ++i)
        s[j] += double(q[row * d + i]) * k[j * d + i];
      s[j] /= std::sqrt(double(d));
      top = std::max(top, s[j]);
    }
    for (size_t j = 0; j < keys; ++j) {
      double p = std::exp(s[j] - top);
      sum += p;
      for (unsigned i = 0; i < d; ++i)
        out[i] += p * v[j * d + i];
    }
    for (unsigned i = 0; i < d; ++i) {
      double got = bf16ToFloat(o[row * d + i]);
      if (!(std::fabs(got - out[i] / sum) < 0.01))
        return "row " + std::to_string(row) + ", column " + std::to_string(i) +
               ": expected " + std::to_string(out[i] / sum) + ", got " +
               std::to_string(got);
    }
    if (!(std::fabs(lse[row] - (top + std::log(sum))) < 1e-3))
      return "log-sum-exp of row " + std::to_string(row);
  }
  return "";
}

TensorMap test::tensorMap(uint64_t address, TensorMapType type,
                          const std::vector<uint64_t> &dims,
                          const std::vector<uint32_t> &box,
                          unsigned swizzleSpan) {
  TensorMapSpec spec;
  spec.type = type;
  spec.address = address;
  spec.rank = unsigned(dims.size());
  std::copy(dims.begin(), dims.end(), spec.dims.begin());
  std::copy(box.begin(), box.end(), spec.box.begin());
  spec.setDenseStrides();
  spec.swizzle = swizzleSpan == 128  ? TensorMapSwizzle::B128
                 : swizzleSpan == 64 ? TensorMapSwizzle::B64
                 : swizzleSpan == 32 ? TensorMapSwizzle::B32
                                     : TensorMapSwizzle::None;
  std::string error;
  std::optional<TensorMap> map = encodeTensorMap(spec, error);
  EXPECT_TRUE(map) << error;
  return map.value_or(TensorMap());
}

namespace {

Subject reduction(const char *kernel) {
  std::vector<int> x = someInts(3000, 0, 99);
  return {"vector.ptx", kernel, "",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .in(std::vector<float>{0})
                .value(int(x.size()));
            run.config.grid = {2, 1, 1};
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            float sum = float(std::accumulate(x.begin(), x.end(), 0));
            return difference<float>(run, "arg1", {sum});
          }};
}

Subject histogram() {
  std::vector<int> x = someInts(4000, 0, 255);
  return {"vector.ptx", "histogram", "",
          [=](KernelRun &run) {
            run.in(std::vector<uint8_t>(x.begin(), x.end()))
                .in(std::vector<uint32_t>(256))
                .value(int(x.size()));
            run.config.grid = {2, 1, 1};
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<uint32_t> bins(256);
            for (int value : x)
              ++bins[value];
            return difference(run, "arg1", bins);
          }};
}

Subject gemm() {
  constexpr unsigned k = 256;
  std::vector<int> a = someInts(64 * k, -3, 3), b = someInts(64 * k, -2, 3);
  return {"pipeline.ptx", "gemm_stages", "",
          [=](KernelRun &run) {
            run.in(bf16Bits({a.begin(), a.end()}))
                .in(bf16Bits({b.begin(), b.end()}))
                .out<float>(64 * 64)
                .value(int(k));
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            return difference(run, "arg2", product<float>(a, b, 64, 64));
          }};
}

Subject namedBarriers() {
  std::vector<int> x = someInts(96 * 6, 0, 999);
  return {"pipeline.ptx", "named_barriers", "",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(x.size())
                .value(int(x.size()));
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            return difference(run, "arg1",
                              generate<float>(x.size(), [&](size_t i) {
                                return 2 * x[i] + 1;
                              }));
          }};
}

Subject transpose() {
  std::vector<int> x = someInts(1024, 0, 999);
  return {"pipeline.ptx", "transpose_twice", "",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(1024)
                .out<float>(1024);
            run.config.block = {32, 4, 1};
          },
          [=](KernelRun &run) {
            auto once = generate<float>(
                1024, [&](size_t i) { return x[i % 32 * 32 + i / 32]; });
            auto twice =
                generate<float>(1024, [&](size_t i) { return 2 * once[i]; });
            std::string wrong = difference(run, "arg1", once);
            return wrong.empty() ? difference(run, "arg2", twice) : wrong;
          }};
}

Subject warpExchange() {
  std::vector<int> x = someInts(128, 0, 999);
  return {"pipeline.ptx", "warp_exchange", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(128);
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<int> v = x;
            for (unsigned round = 0; round < 4; ++round) {
              std::vector<int> old = v;
              for (unsigned i = 0; i < 128; ++i)
                v[i] += old[i / 32 * 32 + (i + 1) % 32];
            }
            return difference(run, "arg1", v);
          }};
}

Subject scan() {
  std::vector<int> x = someInts(256, 0, 999);
  return {"pipeline.ptx", "scan", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(256);
            run.config.block = {256, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<int> sums(256);
            std::partial_sum(x.begin(), x.end(), sums.begin());
            return difference(run, "arg1", sums);
          }};
}

Subject attention() {
  constexpr unsigned seq = 256, d = 128;
  std::vector<float> q = someBf16(seq * d, 5), k = someBf16(seq * d, 6),
                     v = someBf16(seq * d, 7);
  return {"attention.ptx", "attention_bf16_128", "",
          [=](KernelRun &run) {
            run.in(bf16Bits(q)).in(bf16Bits(k)).in(bf16Bits(v));
            run.out<uint16_t>(seq * d).out<float>(seq);
            run.value(int(seq)).value(int(seq)).value(1 / std::sqrt(float(d)));
            run.config.grid = {seq / 64, 1, 1};
            run.config.block = {128, 1, 1};
            run.config.dynamicSharedBytes = 5 * 64 * d * 2;
          },
          [=](KernelRun &run) {
            return attentionDifference(q, k, v, d, fetch<uint16_t>(run, "arg3"),
                                       fetch<float>(run, "arg4"));
          }};
}

} // namespace

std::vector<Subject> test::ampereSubjects() {
  return {reduction("reduce_tree"),
          reduction("reduce_shuffle"),
          histogram(),
          gemm(),
          namedBarriers(),
          transpose(),
          warpExchange(),
          scan(),
          attention()};
}
