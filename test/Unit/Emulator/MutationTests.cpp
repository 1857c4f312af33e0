//===- MutationTests.cpp - Every lost wait and barrier is found -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Correct kernels run clean in every mode; then each synchronising line of
// their PTX is dropped or weakened in turn, and every mutant must be found in
// some mode: by a report, or by a wrong result. The test prints the table.
//
//===----------------------------------------------------------------------===//

#include "Float.h"
#include "Harness.h"

#include <cmath>
#include <functional>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// One kernel with its inputs and the check of its results.
struct Subject {
  const char *file, *kernel;
  /// Prepares arguments and sizes.
  std::function<void(KernelRun &)> prepare;
  /// Whether the results are right.
  std::function<bool(KernelRun &)> correct;
};

std::vector<int> someInts(size_t count, int bound) {
  std::mt19937 random{unsigned(count)};
  std::vector<int> values(count);
  for (int &value : values)
    value = int(random() % unsigned(bound));
  return values;
}

template <typename T>
std::vector<T> fetch(KernelRun &run, const char *name, size_t count) {
  std::vector<T> data(count);
  run.device.read(run.device.address(name), data.data(), count * sizeof(T));
  return data;
}

Subject reduction(const char *kernel) {
  std::vector<int> x = someInts(3000, 100);
  return {"vector.ptx", kernel,
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .in(std::vector<float>{0})
                .value(int(x.size()));
            run.config.grid = {2, 1, 1};
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            float sum = 0;
            for (int value : x)
              sum += float(value);
            return fetch<float>(run, "arg1", 1)[0] == sum;
          }};
}

Subject histogram() {
  std::vector<int> x = someInts(4000, 256);
  return {"vector.ptx", "histogram",
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
            return fetch<uint32_t>(run, "arg1", 256) == bins;
          }};
}

Subject gemm() {
  constexpr unsigned k = 256;
  std::vector<int> a = someInts(64 * k, 7), b = someInts(64 * k + 1, 7);
  return {"pipeline.ptx", "gemm_stages",
          [=](KernelRun &run) {
            auto encode = [](const std::vector<int> &values) {
              std::vector<uint16_t> bits(64 * k);
              for (size_t i = 0; i < bits.size(); ++i)
                bits[i] = uint16_t(floatToBf16(float(values[i] - 3)));
              return bits;
            };
            run.in(encode(a)).in(encode(b)).out<float>(64 * 64).value(int(k));
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<float> c = run.result<float>();
            for (unsigned row = 0; row < 64; ++row)
              for (unsigned n = 0; n < 64; ++n) {
                int sum = 0;
                for (unsigned i = 0; i < k; ++i)
                  sum += (a[row * k + i] - 3) * (b[n * k + i] - 3);
                if (c[row * 64 + n] != float(sum))
                  return false;
              }
            return true;
          }};
}

Subject namedBarriers() {
  std::vector<int> x = someInts(96 * 6, 1000);
  return {"pipeline.ptx", "named_barriers",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(x.size())
                .value(int(x.size()));
            run.config.block = {128, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<float> y = run.result<float>();
            for (size_t i = 0; i < x.size(); ++i)
              if (y[i] != float(2 * x[i] + 1))
                return false;
            return true;
          }};
}

Subject transpose() {
  std::vector<int> x = someInts(1024, 1000);
  return {"pipeline.ptx", "transpose_twice",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(1024)
                .out<float>(1024);
            run.config.block = {32, 4, 1};
          },
          [=](KernelRun &run) {
            std::vector<float> y = run.result<float>(0),
                               z = run.result<float>(1);
            for (unsigned i = 0; i < 1024; ++i) {
              float value = float(x[i % 32 * 32 + i / 32]);
              if (y[i] != value || z[i] != 2 * value)
                return false;
            }
            return true;
          }};
}

Subject warpExchange() {
  std::vector<int> x = someInts(128, 1000);
  return {"pipeline.ptx", "warp_exchange",
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
            return run.result<int>() == v;
          }};
}

Subject scan() {
  std::vector<int> x = someInts(256, 1000);
  return {"pipeline.ptx", "scan",
          [=](KernelRun &run) {
            run.in(x).out<int>(256);
            run.config.block = {256, 1, 1};
          },
          [=](KernelRun &run) {
            std::vector<int> sums = x;
            for (unsigned i = 1; i < 256; ++i)
              sums[i] += sums[i - 1];
            return run.result<int>() == sums;
          }};
}

Subject attention() {
  constexpr unsigned seq = 256, d = 128;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> q(seq * d), k(seq * d), v(seq * d);
  for (auto *tensor : {&q, &k, &v})
    for (float &value : *tensor)
      value = bf16ToFloat(floatToBf16(normal(random)));
  return {
      "attention.ptx", "attention_bf16_128",
      [=](KernelRun &run) {
        auto encode = [](const std::vector<float> &values) {
          std::vector<uint16_t> bits;
          for (float value : values)
            bits.push_back(uint16_t(floatToBf16(value)));
          return bits;
        };
        run.in(encode(q)).in(encode(k)).in(encode(v));
        run.out<uint16_t>(seq * d).out<float>(seq);
        run.value(int(seq)).value(int(seq)).value(1 / std::sqrt(float(d)));
        run.config.grid = {seq / 64, 1, 1};
        run.config.block = {128, 1, 1};
        run.config.dynamicSharedBytes = 5 * 64 * d * 2;
      },
      [=](KernelRun &run) {
        std::vector<uint16_t> o = run.result<uint16_t>(0);
        for (unsigned row = 0; row < seq; row += 7) {
          std::vector<double> s(seq), out(d);
          double top = -INFINITY, sum = 0;
          for (unsigned j = 0; j < seq; ++j) {
            for (unsigned i = 0; i < d; ++i)
              s[j] += double(q[row * d + i]) * k[j * d + i];
            s[j] /= std::sqrt(double(d));
            top = std::max(top, s[j]);
          }
          for (unsigned j = 0; j < seq; ++j) {
            double p = std::exp(s[j] - top);
            sum += p;
            for (unsigned i = 0; i < d; ++i)
              out[i] += p * v[j * d + i];
          }
          for (unsigned i = 0; i < d; ++i)
            if (!(std::fabs(bf16ToFloat(o[row * d + i]) - out[i] / sum) < 0.01))
              return false;
        }
        return true;
      }};
}

std::vector<Subject> subjects() {
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

/// "" if all is well, else the kind of the first issue or "wrong result".
std::string outcome(const Subject &subject, const Module &module,
                    AsyncMode mode, uint64_t seed) {
  KernelRun run(module, subject.kernel);
  subject.prepare(run);
  run.config.async = mode;
  run.config.seed = seed;
  run.config.instructionBudget = 2'000'000;
  Report report = run.go();
  if (!report.ok)
    return std::string(issueKindName(report.issues[0].kind));
  return subject.correct(run) ? "" : "wrong result";
}

constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                AsyncMode::Random};

TEST(Mutation, OriginalsAreClean) {
  for (const Subject &subject : subjects()) {
    auto module = parse(readInput(subject.file));
    ASSERT_TRUE(module);
    for (AsyncMode mode : kModes)
      for (uint64_t seed = 0; seed < 4; ++seed)
        EXPECT_EQ(outcome(subject, *module, mode, seed), "")
            << subject.kernel << " mode " << int(mode) << " seed " << seed;
  }
}

/// The mutants of one line: its replacements, "" = dropped. None for lines
/// that synchronise nothing.
std::vector<std::string> mutantsOf(const std::string &line) {
  std::vector<std::string> mutants;
  size_t start = line.find_first_not_of(" \t");
  if (start == std::string::npos)
    return mutants;
  auto starts = [&](const char *what) {
    return line.compare(start, std::string(what).size(), what) == 0;
  };
  if (starts("bar.") || starts("barrier.") || starts("cp.async.wait_group") ||
      starts("cp.async.commit_group"))
    mutants.push_back("");
  if (starts("cp.async.wait_group")) {
    size_t digit = line.find_first_of("0123456789", start);
    std::string weaker = line;
    ++weaker[digit];
    mutants.push_back(weaker);
  }
  // A named barrier that waits for one warp less lets that one be late; for
  // one more it waits for ever.
  if (starts("bar.sync") && line.find(", 128;") != std::string::npos)
    for (const char *count : {", 96;", ", 160;"}) {
      std::string other = line;
      other.replace(other.find(", 128;"), 6, count);
      mutants.push_back(other);
    }
  return mutants;
}

TEST(Mutation, EveryMutantIsFound) {
  unsigned total = 0, found = 0;
  std::string table =
      "kernel                line  mutant                       "
      "      found as\n";
  for (const Subject &subject : subjects()) {
    std::string text = readInput(subject.file);
    // Only lines of this kernel.
    size_t begin = text.find(".visible .entry " + std::string(subject.kernel));
    ASSERT_NE(begin, std::string::npos);
    size_t end = text.find("\n}", begin);
    size_t at = text.find('\n', begin) + 1;
    unsigned lineNumber =
        unsigned(std::count(text.begin(), text.begin() + at, '\n')) + 1;
    for (; at < end; ++lineNumber) {
      size_t stop = text.find('\n', at);
      std::string line = text.substr(at, stop - at);
      for (const std::string &mutant : mutantsOf(line)) {
        std::string changed = text.substr(0, at) + mutant + text.substr(stop);
        auto module = parse(changed);
        ASSERT_TRUE(module);
        std::string how;
        for (AsyncMode mode : kModes)
          for (uint64_t seed = 0; seed < 4 && how.empty(); ++seed)
            how = outcome(subject, *module, mode, seed);
        ++total;
        found += !how.empty();
        EXPECT_NE(how, "") << subject.kernel << " line " << lineNumber << ": "
                           << line << " -> " << mutant;
        char row[200];
        std::snprintf(
            row, sizeof(row), "%-20s %5u  %-34.34s %s\n", subject.kernel,
            lineNumber,
            mutant.empty()
                ? ("drop " + line.substr(line.find_first_not_of(" \t"))).c_str()
                : mutant.c_str() + 1,
            how.c_str());
        table += row;
      }
      at = stop + 1;
    }
  }
  std::printf("%s%u of %u mutants found\n", table.c_str(), found, total);
  EXPECT_GE(total, 25u);
}

} // namespace
