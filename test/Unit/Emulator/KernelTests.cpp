//===- KernelTests.cpp - Whole kernels against host references --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of vector.cu and misc.cu, each in every async mode and with
// several seeds. With FLASH_EMULATOR_INPUTS_DIR in the environment the PTX is
// taken from there: that is how freshly compiled files are compared.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

std::vector<int> numbers(size_t count, int low, int high) {
  std::mt19937 random{unsigned(count * 31 + high)};
  std::vector<int> values(count);
  for (int &value : values)
    value = low + int(random() % unsigned(high - low + 1));
  return values;
}

std::vector<float> floats(const std::vector<int> &values) {
  return {values.begin(), values.end()};
}

/// Runs a kernel in all modes; `prepare` sets arguments and shape, `check`
/// looks at the results.
void inAllModes(const char *file, const char *kernel,
                const std::function<void(KernelRun &)> &prepare,
                const std::function<void(KernelRun &)> &check) {
  auto module = parse(readInput(file));
  ASSERT_TRUE(module);
  ASSERT_TRUE(module->kernel(kernel)) << kernel;
  for (AsyncMode mode : {AsyncMode::Eager, AsyncMode::Lazy, AsyncMode::Random})
    for (uint64_t seed = 0; seed < 3; ++seed) {
      KernelRun run(*module, kernel);
      prepare(run);
      run.config.async = mode;
      run.config.seed = seed;
      Report report = run.go();
      ASSERT_TRUE(report.ok) << issues(report);
      check(run);
      if (::testing::Test::HasFailure())
        return;
    }
}

void shape(KernelRun &run, uint32_t grid, uint32_t block) {
  run.config.grid = {grid, 1, 1};
  run.config.block = {block, 1, 1};
}

template <typename T>
std::vector<T> contents(KernelRun &run, unsigned argument, size_t count) {
  std::vector<T> data(count);
  EXPECT_TRUE(
      run.device.read(run.device.address("arg" + std::to_string(argument)),
                      data.data(), count * sizeof(T)));
  return data;
}

TEST(Kernel, Axpy) {
  std::vector<float> x = floats(numbers(1000, -99, 99)),
                     y = floats(numbers(1000, -50, 50));
  inAllModes(
      "vector.ptx", "axpy",
      [&](KernelRun &run) {
        run.in(x).in(y).value(2.5f).value(1000);
        shape(run, 8, 128);
      },
      [&](KernelRun &run) {
        std::vector<float> got = contents<float>(run, 1, 1000);
        for (unsigned i = 0; i < 1000; ++i)
          ASSERT_EQ(got[i], 2.5f * x[i] + y[i]);
      });
}

TEST(Kernel, Reductions) {
  std::vector<int> x = numbers(5000, 0, 99);
  float sum = float(std::accumulate(x.begin(), x.end(), 0));
  for (const char *kernel : {"reduce_tree", "reduce_shuffle"})
    inAllModes(
        "vector.ptx", kernel,
        [&](KernelRun &run) {
          run.in(floats(x)).in(std::vector<float>{0}).value(5000);
          shape(run, 4, 256);
        },
        [&](KernelRun &run) { EXPECT_EQ(contents<float>(run, 1, 1)[0], sum); });
}

TEST(Kernel, DivergentLoops) {
  std::vector<int> start(500);
  std::iota(start.begin(), start.end(), 1);
  inAllModes(
      "vector.ptx", "collatz",
      [&](KernelRun &run) {
        run.in(start).out<int>(500).value(500);
        shape(run, 4, 128);
      },
      [&](KernelRun &run) {
        std::vector<int> got = run.result<int>();
        for (unsigned i = 0; i < 500; ++i) {
          uint64_t v = start[i];
          int steps = 0;
          for (; v != 1; ++steps)
            v = v & 1 ? 3 * v + 1 : v / 2;
          ASSERT_EQ(got[i], steps);
        }
      });
}

TEST(Kernel, LanesThatWaitForLanes) {
  inAllModes(
      "vector.ptx", "lane_chain",
      [&](KernelRun &run) {
        run.out<int>(32);
        shape(run, 1, 32);
      },
      [&](KernelRun &run) {
        for (int i = 0; i < 32; ++i)
          EXPECT_EQ(run.result<int>()[i], 3 * i + 1);
      });
}

TEST(Kernel, Histogram) {
  std::vector<int> x = numbers(3000, 0, 255);
  inAllModes(
      "vector.ptx", "histogram",
      [&](KernelRun &run) {
        run.in(std::vector<uint8_t>(x.begin(), x.end()))
            .in(std::vector<uint32_t>(256))
            .value(3000);
        shape(run, 3, 128);
      },
      [&](KernelRun &run) {
        std::vector<uint32_t> bins(256);
        for (int value : x)
          ++bins[value];
        EXPECT_EQ(contents<uint32_t>(run, 1, 256), bins);
      });
}

struct Pair {
  int low, high;
  double weight;
};

TEST(Kernel, CallsWithStructs) {
  std::vector<int> x = numbers(64, 0, 30);
  inAllModes(
      "misc.ptx", "calls",
      [&](KernelRun &run) {
        run.in(x).out<int>(64).value(Pair{1000, 2000, 1.5});
        shape(run, 2, 32);
      },
      [&](KernelRun &run) {
        auto spread = [](Pair p, int by) {
          Pair r = {p.low - by, p.high + by, p.weight * by};
          if (by > 20)
            r.low = -1;
          return r;
        };
        for (int i = 0; i < 64; ++i) {
          Pair p = spread(spread({1000, 2000, 1.5}, x[i]), i & 3);
          ASSERT_EQ(run.result<int>()[i], p.low + 2 * p.high + int(p.weight));
        }
      });
}

TEST(Kernel, Switch) {
  std::vector<int> x = numbers(128, -1, 9);
  inAllModes(
      "misc.ptx", "dense_switch",
      [&](KernelRun &run) {
        run.in(x).out<int>(128);
        shape(run, 2, 64);
      },
      [&](KernelRun &run) {
        for (int i = 0; i < 128; ++i) {
          int v = x[i];
          int table[] = {i * 3, i - 7, i * i, ~i, i << 3, i / 3, i % 5, 100};
          ASSERT_EQ(run.result<int>()[i], v >= 0 && v < 8 ? table[v] : -v);
        }
      });
}

TEST(Kernel, StackArray) {
  std::vector<int> x = numbers(97, 0, 1000);
  inAllModes(
      "misc.ptx", "stack_array",
      [&](KernelRun &run) {
        run.in(x).out<int>(64).value(97);
        shape(run, 2, 32);
      },
      [&](KernelRun &run) {
        for (int i = 0; i < 64; ++i) {
          int heap[16];
          for (int k = 0; k < 16; ++k)
            heap[k] = x[(i + k * 5) % 97];
          std::sort(heap, heap + 16);
          ASSERT_EQ(run.result<int>()[i], heap[x[i] & 15]);
        }
      });
}

TEST(Kernel, LargeStructByValue) {
  struct Table {
    uint64_t out;
    int entries[40];
    short more[5];
  } table{};
  for (int i = 0; i < 40; ++i)
    table.entries[i] = i * i;
  for (short i = 0; i < 5; ++i)
    table.more[i] = short(-100 * i);
  inAllModes(
      "misc.ptx", "by_value",
      [&](KernelRun &run) {
        table.out = run.device.allocate("out", 64 * 4, Contents::Uninitialised);
        run.value(table);
        shape(run, 1, 64);
      },
      [&](KernelRun &run) {
        std::vector<int> got(64);
        run.device.read(table.out, got.data(), 256);
        for (int i = 0; i < 64; ++i)
          ASSERT_EQ(got[i], table.entries[i * 7 % 40] + table.more[i % 5]);
      });
}

TEST(Kernel, ModuleVariables) {
  std::vector<int> x = numbers(32, -9, 9);
  inAllModes(
      "misc.ptx", "module_variables",
      [&](KernelRun &run) {
        run.in(floats(x)).out<float>(32);
        shape(run, 1, 32);
      },
      [&](KernelRun &run) {
        static constexpr int weights[] = {1, -2, 3, -4, 5, -6, 7, -8};
        for (int i = 0; i < 32; ++i) {
          int sum = 5;
          for (int k = 0; k < 8; ++k)
            sum += weights[(k + i) & 7] * x[(i + k) & 31];
          ASSERT_EQ(run.result<float>()[i], float(sum));
        }
      });
}

TEST(Kernel, Votes) {
  for (int high : {40, 999, 3000}) {
    std::vector<int> x = numbers(32, 0, high);
    inAllModes(
        "misc.ptx", "votes",
        [&](KernelRun &run) {
          run.in(x).out<uint32_t>(32);
          shape(run, 1, 32);
        },
        [&](KernelRun &run) {
          uint32_t odd = 0, second = 0, sum = 0, exclusive = 0;
          int most = 0;
          bool seventeen = false, same = true;
          for (int i = 0; i < 32; ++i) {
            odd |= uint32_t(x[i] & 1) << i;
            second |= uint32_t(x[i] >> 1 & 1) << i;
            sum += uint32_t(x[i]);
            exclusive ^= uint32_t(x[i]);
            most = std::max(most, x[i]);
            seventeen |= x[i] == 17;
            same &= x[i] / 1000 == x[0] / 1000;
          }
          for (int i = 0; i < 32; ++i) {
            uint32_t r = odd + seventeen * 3 + 5, equal = 0;
            for (int k = 0; k < 32; ++k)
              equal |= uint32_t((x[k] & 3) == (x[i] & 3)) << k;
            r ^= equal;
            r += (same ? ~0u : 0u) + same;
            r += sum + uint32_t(most) + exclusive;
            if (x[i] & 1)
              r += uint32_t(std::popcount(odd)) + (odd & second);
            ASSERT_EQ(run.result<uint32_t>()[i], r) << i;
          }
        });
  }
}

TEST(Kernel, Shuffles) {
  std::vector<int> x = numbers(32, 0, 9);
  inAllModes(
      "misc.ptx", "shuffles",
      [&](KernelRun &run) {
        run.in(x).out<int>(32);
        shape(run, 1, 32);
      },
      [&](KernelRun &run) {
        for (int i = 0; i < 32; ++i) {
          int r = x[i * 5 & 31];
          r = r * 3 + x[i >= 3 ? i - 3 : i];
          r = r * 3 + x[(i & 15) + 5 < 16 ? i + 5 : i];
          r = r * 3 + x[i ^ 9];
          r = r * 3 + x[(i & 24) + 6];
          ASSERT_EQ(run.result<int>()[i], r) << i;
        }
      });
}

TEST(Kernel, Atomics) {
  std::vector<int> x = numbers(256, 1, 999);
  inAllModes(
      "misc.ptx", "atomics",
      [&](KernelRun &run) {
        run.in(x)
            .in(std::vector<int>{0, 5000, 0, 0xffff, 0, 0, 0, 3, 0})
            .in(std::vector<float>{0})
            .in(std::vector<double>{0})
            .in(std::vector<uint64_t>{0});
        shape(run, 4, 64);
      },
      [&](KernelRun &run) {
        std::vector<int> w = {0, 5000, 0, 0xffff, 0, 0, 0, 3, 0};
        int total = 0;
        for (int v : x) {
          total += v;
          w[0] += v;
          w[1] = std::min(w[1], v);
          w[2] = std::max(w[2], v);
          w[3] &= v | 0xff00;
          w[4] |= int(1u << (v & 31));
          w[5] ^= v;
          w[6] = w[6] >= 6 ? 0 : w[6] + 1;
          w[7] = w[7] == 0 || w[7] > 6 ? 6 : w[7] - 1;
          w[8] += 2 * v;
        }
        EXPECT_EQ(contents<int>(run, 1, 9), w);
        EXPECT_EQ(contents<float>(run, 2, 1)[0], float(total));
        EXPECT_EQ(contents<double>(run, 3, 1)[0], total * 0.5);
        EXPECT_EQ(contents<uint64_t>(run, 4, 1)[0], uint64_t(total) << 20);
      });
}

TEST(Kernel, SpinLock) {
  inAllModes(
      "misc.ptx", "spin_lock",
      [&](KernelRun &run) {
        run.out<int>(1);
        shape(run, 1, 256);
      },
      [&](KernelRun &run) { EXPECT_EQ(run.result<int>()[0], 36); });
}

TEST(Kernel, LastBlock) {
  std::vector<int> x = numbers(8 * 128, 0, 99);
  inAllModes(
      "misc.ptx", "last_block",
      [&](KernelRun &run) {
        run.in(floats(x)).out<float>(8).out<float>(1);
        shape(run, 8, 128);
      },
      [&](KernelRun &run) {
        EXPECT_EQ(run.result<float>(1)[0],
                  float(std::accumulate(x.begin(), x.end(), 0)));
      });
}

TEST(Kernel, AsyncSizes) {
  std::vector<int> x = numbers(128, 1, 99);
  for (int n : {0, 37, 128})
    inAllModes(
        "misc.ptx", "async_sizes",
        [&](KernelRun &run) {
          run.in(floats(x)).out<float>(128).value(n);
          shape(run, 1, 128);
        },
        [&](KernelRun &run) {
          std::vector<float> c(256);
          for (int t = 0; t < 64; ++t)
            for (int e = 0; e < std::clamp(n - t, 0, 4); ++e)
              c[t * 4 + e] = float(x[(t & 31) * 4 + e]);
          for (int t = 0; t < 128; ++t) {
            float a = t < n ? float(x[t]) : 0;
            ASSERT_EQ(run.result<float>()[t],
                      a + 2 * float(x[t]) + 4 * c[t] + 8 * c[t + 128])
                << n << " " << t;
          }
        });
}

TEST(Kernel, ThreadsDoNotChangeResults) {
  auto module = parse(readInput("misc.ptx"));
  ASSERT_TRUE(module);
  std::vector<int> x = numbers(1024, 0, 1000);
  std::vector<int> first;
  for (unsigned threads : {1u, 2u, 7u}) {
    KernelRun run(*module, "stack_array");
    run.in(x).out<int>(1024).value(97);
    run.config.threads = threads;
    Report report = run.go(32, 32);
    ASSERT_TRUE(report.ok) << issues(report);
    if (first.empty())
      first = run.result<int>();
    EXPECT_EQ(run.result<int>(), first);
  }
}

TEST(Kernel, AdversarialApproximations) {
  // At most 2 ulp from the rounded result, and not always equal to it.
  auto module = parse(kernelText(R"(
mov.u32 %r1, %tid.x;
cvt.rn.f32.u32 %f1, %r1;
mul.f32 %f1, %f1, 0f3C800000;
ex2.approx.ftz.f32 %f2, %f1;
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %r1, 4;
add.s64 %rd1, %rd1, %rd2;
st.global.f32 [%rd1], %f2;
ret;)"));
  ASSERT_TRUE(module);
  std::vector<int32_t> exact;
  unsigned moved = 0;
  for (bool adversarial : {false, true}) {
    KernelRun run(*module, "k");
    run.out<int32_t>(256);
    run.config.adversarialApprox = adversarial;
    ASSERT_TRUE(run.go(1, 256).ok);
    std::vector<int32_t> got = run.result<int32_t>();
    if (!adversarial) {
      exact = got;
      continue;
    }
    for (unsigned i = 0; i < 256; ++i) {
      EXPECT_LE(std::abs(got[i] - exact[i]), 2);
      moved += got[i] != exact[i];
    }
  }
  EXPECT_GT(moved, 100u);
}

} // namespace
