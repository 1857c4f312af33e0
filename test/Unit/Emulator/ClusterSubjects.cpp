//===- ClusterSubjects.cpp - Shared memory of other CTAs --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of cluster.cu with their references.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include <algorithm>
#include <numeric>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

Subject neighbourSum() {
  std::vector<int> x = someInts(8 * 64, 0, 999);
  return {"cluster.ptx", "neighbour_sum", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(x.size());
            onHopper(run, 8, 64, 4);
          },
          [=](KernelRun &run) {
            return difference(
                run, "arg1", generate<int>(x.size(), [&](size_t i) {
                  size_t cta = i / 64, next = cta / 4 * 4 + (cta + 1) % 4;
                  return x[i] + 3 * x[next * 64 + 63 - i % 64];
                }));
          }};
}

Subject remoteRing() {
  std::vector<int> x = someInts(5 * 32, 0, 999);
  return {"cluster.ptx", "remote_ring", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(x.size()).value(5);
            onHopper(run, 2, 32, 2);
          },
          [=](KernelRun &run) {
            return difference(run, "arg1",
                              generate<int>(x.size(), [&](size_t i) {
                                return 5 * x[i / 32 * 32 + 31 - i % 32];
                              }));
          }};
}

Subject remoteReduce() {
  std::vector<int> x = someInts(8 * 32, 1, 999);
  return {"cluster.ptx", "remote_reduce", "",
          [=](KernelRun &run) {
            run.in(x).out<uint32_t>(2 * 38);
            onHopper(run, 8, 32, 4);
          },
          [=](KernelRun &run) {
            std::vector<uint32_t> y(2 * 38);
            for (size_t cluster = 0; cluster < 2; ++cluster) {
              uint32_t *out = &y[cluster * 38];
              out[33] = ~0u;
              for (size_t i = 0; i < 128; ++i) {
                uint32_t v = uint32_t(x[cluster * 128 + i]);
                out[31 - i % 32] += v;
                out[32] = std::max(out[32], v);
                out[33] = std::min(out[33], v);
                out[34] |= 1u << (v & 31);
                out[35] += v;
              }
              out[36] = 128;
              out[37] = 4;
            }
            return difference(run, "arg1", y);
          }};
}

Subject bulkPush() {
  std::vector<int> x = someInts(4 * 128, 0, 999);
  return {"cluster.ptx", "bulk_push", "",
          [=](KernelRun &run) {
            run.in(x).out<int>(x.size());
            onHopper(run, 4, 128, 4);
          },
          [=](KernelRun &run) {
            return difference(run, "arg1",
                              generate<int>(x.size(), [&](size_t i) {
                                size_t cta = i / 128, j = 127 - i % 128;
                                return 7 * x[(cta + 3) % 4 * 128 + j] + int(j) +
                                       x[(cta + 2) % 4 * 128 + j];
                              }));
          }};
}

Subject clusterPlaces() {
  return {"cluster.ptx", "cluster_places", "",
          [](KernelRun &run) {
            run.out<uint32_t>(16 * 8);
            onHopper(run, 4, 8, 2);
            run.config.grid[1] = 4;
            run.config.cluster[1] = 2;
          },
          [](KernelRun &run) {
            return difference(
                run, "arg0", generate<uint32_t>(16 * 8, [](size_t i) {
                  size_t x = i / 8 % 4, y = i / 32;
                  size_t values[] = {
                      x % 2 + y % 2 * 2, 4, x / 2, y / 2, 2, x % 2, y % 2, 1};
                  return values[i % 8];
                }));
          }};
}

} // namespace

std::vector<Subject> test::clusterSubjects() {
  return {neighbourSum(), remoteRing(), remoteReduce(), bulkPush(),
          clusterPlaces()};
}
