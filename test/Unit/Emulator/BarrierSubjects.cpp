//===- BarrierSubjects.cpp - mbarrier and bulk copies -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of mbarrier.cu with their references.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include "Float.h"

#include <algorithm>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

Subject tokenRounds() {
  std::vector<int> x = someInts(128, 0, 999);
  return {"mbarrier.ptx", "token_rounds", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(128).value(4);
            onHopper(run, 1, 128);
          },
          [=](KernelRun &run) {
            std::vector<int> v = x;
            for (unsigned round = 0; round < 4; ++round) {
              std::vector<int> old = v;
              for (unsigned i = 0; i < 128; ++i)
                v[i] += old[(i + 33) % 128];
            }
            return difference(run, "arg1", v);
          }};
}

Subject pingPong() {
  std::vector<int> x = someInts(5 * 32, 0, 999);
  return {"mbarrier.ptx", "ping_pong", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(x.size()).value(5);
            onHopper(run, 1, 64);
          },
          [=](KernelRun &run) {
            return difference(
                run, "arg1",
                generate<int>(x.size(), [&](size_t i) { return 3 * x[i]; }));
          }};
}

Subject barrierForms() {
  return {"mbarrier.ptx", "barrier_forms", "",
          [](KernelRun &run) {
            run.out<uint32_t>(16);
            onHopper(run, 1, 1);
          },
          [](KernelRun &run) {
            return difference<uint32_t>(
                run, "arg0", {4, 3, 0, 0, 1, 1, 1, 0, 3, 2, 1, 2, 1, 0, 1, 1});
          }};
}

Subject copyPipeline(const char *kernel) {
  std::vector<int> x = someInts(5 * 128, 0, 99);
  return {"mbarrier.ptx", kernel, "",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(5 * 32)
                .value(5);
            onHopper(run, 1, 64);
          },
          [=](KernelRun &run) {
            return difference(run, "arg1",
                              generate<float>(5 * 32, [&](size_t i) {
                                int sum = 0;
                                for (unsigned e = 0; e < 4; ++e)
                                  sum += x[i / 32 * 128 + e * 32 + 31 - i % 32];
                                return sum;
                              }));
          }};
}

Subject bulkRing() {
  std::vector<int> x = someInts(5 * 256, 0, 99);
  return {
      "mbarrier.ptx", "bulk_ring", "",
      [=](KernelRun &run) {
        run.in(std::vector<float>(x.begin(), x.end())).out<float>(64).value(5);
        onHopper(run, 1, 96);
      },
      [=](KernelRun &run) {
        return difference(run, "arg1", generate<float>(64, [&](size_t t) {
                            int sum = 0;
                            for (unsigned i = 0; i < 5; ++i)
                              for (unsigned e = 0; e < 4; ++e)
                                sum +=
                                    int(e + 1) * x[i * 256 + e * 64 + 63 - t];
                            return sum;
                          }));
      }};
}

Subject bulkStore() {
  std::vector<int> x = someInts(5 * 128, 0, 99);
  return {"mbarrier.ptx", "bulk_store", "",
          [=](KernelRun &run) {
            run.in(std::vector<float>(x.begin(), x.end()))
                .out<float>(x.size())
                .out<float>(1)
                .value(5);
            onHopper(run, 1, 128);
          },
          [=](KernelRun &run) {
            auto y = generate<float>(x.size(), [&](size_t i) {
              return 2 * x[i / 128 * 128 + 127 - i % 128];
            });
            float sum = 0;
            for (size_t i = 0; i < y.size(); i += 16)
              sum += y[i];
            std::string wrong = difference(run, "arg1", y);
            return wrong.empty() ? difference<float>(run, "arg2", {sum})
                                 : wrong;
          }};
}

Subject bulkReduce() {
  std::vector<int> x = someInts(3 * 128, 0, 60);
  return {"mbarrier.ptx", "bulk_reduce", "",
          [=](KernelRun &run) {
            run.in(x)
                .in(std::vector<uint32_t>(128, 5))
                .in(std::vector<int>(128, 30))
                .in(std::vector<float>(128, -1))
                .in(std::vector<uint16_t>(128, 0x4000)); // 2.0
            onHopper(run, 3, 128);
          },
          [=](KernelRun &run) -> std::string {
            std::vector<uint32_t> add(128, 5);
            std::vector<int> most(128, 30);
            std::vector<float> sum(128, -1), halves(128, 2);
            for (size_t i = 0; i < x.size(); ++i) {
              add[i % 128] += unsigned(x[i]);
              most[i % 128] = std::max(most[i % 128], x[i]);
              sum[i % 128] += float(x[i]);
              halves[i % 128] += float(x[i]);
            }
            for (std::string wrong :
                 {difference(run, "arg1", add), difference(run, "arg2", most),
                  difference(run, "arg3", sum),
                  difference(run, "arg4", bf16Bits(halves))})
              if (!wrong.empty())
                return wrong;
            return "";
          }};
}

Subject storeMatrices() {
  return {"mbarrier.ptx", "store_matrices", "",
          [](KernelRun &run) {
            run.out<uint16_t>(11 * 64);
            onHopper(run, 1, 32);
          },
          [](KernelRun &run) {
            return difference(
                run, "arg0", generate<uint16_t>(11 * 64, [](size_t i) {
                  size_t matrix = i / 64, row = i / 8 % 8, column = i % 8;
                  if (matrix < 4)
                    return i;
                  if (matrix < 8)
                    return (matrix - 4) * 64 + column * 8 + row;
                  if (matrix < 10)
                    return (matrix - 6) * 64 + column * 8 + row;
                  return 64 + row * 8 + column;
                }));
          }};
}

/// Whether `leader` names one lane of [low, 32) in all places from `from` on,
/// and `chosen` is 1 for that lane alone.
bool oneLeader(const std::vector<uint32_t> &leader,
               const std::vector<uint32_t> &chosen, size_t from, size_t low) {
  uint32_t who = leader[from];
  bool fine = who >= low && who < 32;
  for (size_t lane = low; lane < 32; ++lane)
    fine &= leader[from + lane - low] == who &&
            chosen[from + lane - low] == (lane == who);
  return fine;
}

Subject electOne() {
  return {"mbarrier.ptx", "elect_one", "",
          [](KernelRun &run) {
            run.out<uint32_t>(48).out<uint32_t>(48);
            onHopper(run, 1, 32);
          },
          [](KernelRun &run) {
            auto leader = fetch<uint32_t>(run, "arg0"),
                 chosen = fetch<uint32_t>(run, "arg1");
            return oneLeader(leader, chosen, 0, 0) &&
                           oneLeader(leader, chosen, 32, 16)
                       ? ""
                       : "not one leader";
          }};
}

Subject warpgroupRelay() {
  std::vector<int> x = someInts(6 * 128, 0, 99);
  return {"mbarrier.ptx", "warpgroup_relay", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(x.size()).value(6);
            onHopper(run, 1, 384);
          },
          [=](KernelRun &run) {
            std::vector<int> running(128), y(x.size());
            for (size_t i = 0; i < 6; ++i)
              for (size_t t = 0; t < 128; ++t) {
                int v = x[i * 128 + 127 - t];
                y[i * 128 + t] = running[(t + i) % 128] += v * v;
              }
            return difference(run, "arg1", y);
          }};
}

Subject dependent() {
  std::vector<int> x = someInts(256, 0, 999);
  return {"mbarrier.ptx", "dependent", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(256);
            onHopper(run, 4, 64);
          },
          [=](KernelRun &run) {
            return difference(run, "arg1", generate<int>(256, [&](size_t i) {
                                return x[i] + 1;
                              }));
          }};
}

} // namespace

std::vector<Subject> test::barrierSubjects() {
  return {tokenRounds(),
          pingPong(),
          barrierForms(),
          copyPipeline("copy_pipeline_noinc"),
          copyPipeline("copy_pipeline_inc"),
          bulkRing(),
          bulkStore(),
          bulkReduce(),
          storeMatrices(),
          electOne(),
          warpgroupRelay(),
          dependent()};
}
