//===- SpecialisedSubjects.cpp - Producers and consumers --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of specialised.cu and tcgen05.cu with their references.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include "Float.h"

#include <cmath>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

std::vector<float> floats(const std::vector<int> &values) {
  return {values.begin(), values.end()};
}

Subject gemm() {
  constexpr unsigned m = 256, n = 128, k = 192;
  std::vector<int> a = someInts(m * k, -3, 3), b = someInts(n * k, -2, 3);
  return {"specialised.ptx", "gemm_specialised", "",
          [=](KernelRun &run) {
            run.value(tensorMap(place(run, "a", bf16Bits(floats(a))),
                                TensorMapType::BF16, {k, m}, {64, 128}, 128));
            run.value(tensorMap(place(run, "b", bf16Bits(floats(b))),
                                TensorMapType::BF16, {k, n}, {64, 64}, 128));
            run.value(tensorMap(
                run.device.allocate("c", m * n * 2, Contents::Uninitialised),
                TensorMapType::BF16, {n, m}, {64, 64}, 128));
            run.value(int(k / 64)).value(int(n / 64)).value(int(m * n / 8192));
            onHopper(run, 2, 384);
            run.config.dynamicSharedBytes = 2 * 24576 + 16384;
          },
          [=](KernelRun &run) {
            return difference(run, "c", bf16Bits(product<float>(a, b, m, n)));
          }};
}

Subject multicast() {
  constexpr unsigned m = 128, n = 64, k = 256;
  std::vector<int> a = someInts(m * k, -3, 3), b = someInts(n * k, -2, 3);
  return {"specialised.ptx", "gemm_multicast", "",
          [=](KernelRun &run) {
            run.value(tensorMap(place(run, "a", bf16Bits(floats(a))),
                                TensorMapType::BF16, {k, m}, {64, 64}, 128));
            run.value(tensorMap(place(run, "b", bf16Bits(floats(b))),
                                TensorMapType::BF16, {k, n}, {64, 32}, 128));
            run.out<float>(m * n).value(int(k / 64));
            onHopper(run, 2, 256, 2);
          },
          [=](KernelRun &run) {
            return difference(run, "arg2", product<float>(a, b, m, n));
          }};
}

Subject attention() {
  constexpr unsigned heads = 2, rows = 128, keys = 256, d = 64;
  std::vector<float> q = someBf16(heads * rows * d, 5),
                     k = someBf16(heads * keys * d, 6),
                     v = someBf16(heads * keys * d, 7);
  return {"specialised.ptx", "attention_specialised", "",
          [=](KernelRun &run) {
            auto map = [&](uint64_t address, unsigned seq, unsigned box) {
              run.value(tensorMap(address, TensorMapType::BF16,
                                  {d, heads * seq}, {d, box}, 128));
            };
            map(place(run, "q", bf16Bits(q)), rows, 128);
            map(place(run, "k", bf16Bits(k)), keys, 64);
            map(place(run, "v", bf16Bits(v)), keys, 64);
            map(run.device.allocate("o", heads * rows * d * 2,
                                    Contents::Uninitialised),
                rows, 64);
            run.out<float>(heads * rows).value(int(keys / 64));
            run.value(1.44269504f / std::sqrt(float(d)));
            onHopper(run, 1, 384);
            run.config.grid[1] = heads;
            run.config.dynamicSharedBytes = 16384 + 4 * 8192;
          },
          [=](KernelRun &run) -> std::string {
            auto o = fetch<uint16_t>(run, "o");
            auto lse = fetch<float>(run, "arg4");
            for (unsigned head = 0; head < heads; ++head) {
              auto part = [&](const auto &all, size_t size) {
                return std::decay_t<decltype(all)>(
                    all.begin() + head * size, all.begin() + (head + 1) * size);
              };
              std::string wrong = attentionDifference(
                  part(q, rows * d), part(k, keys * d), part(v, keys * d), d,
                  part(o, rows * d), part(lse, rows));
              if (!wrong.empty())
                return "head " + std::to_string(head) + ", " + wrong;
            }
            return "";
          }};
}

} // namespace

std::vector<Subject> test::specialisedSubjects() {
  return {gemm(), multicast(), attention()};
}

std::vector<Subject> test::tcgen05Subjects() {
  std::vector<int> a = someInts(128 * 128, -3, 3),
                   b = someInts(64 * 128, -2, 3);
  Subject gemm = {"tcgen05.ptx", "tcgen05_gemm", "",
                  [=](KernelRun &run) {
                    run.in(bf16Bits(floats(a))).in(bf16Bits(floats(b)));
                    run.out<float>(128 * 64).value(128);
                    onHopper(run, 1, 128);
                    run.config.chip = Chip::SM100;
                  },
                  [=](KernelRun &run) {
                    return difference(run, "arg2",
                                      product<float>(a, b, 128, 64));
                  }};
  // Here a is [128][64] and b is [64][64] with k outermost.
  std::vector<int> p(a.begin(), a.begin() + 128 * 64);
  std::vector<int> v(b.begin(), b.begin() + 64 * 64);
  Subject tensorMemory = {
      "tcgen05.ptx", "tcgen05_from_tensor_memory", "",
      [=](KernelRun &run) {
        run.in(bf16Bits(floats(p))).in(bf16Bits(floats(v)));
        run.out<float>(128 * 64);
        onHopper(run, 1, 128);
        run.config.chip = Chip::SM100;
      },
      [=](KernelRun &run) {
        auto transposed = generate<int>(
            64 * 64, [&](size_t i) { return v[i % 64 * 64 + i / 64]; });
        return difference(run, "arg2", product<float>(p, transposed, 128, 64));
      }};
  return {gemm, tensorMemory};
}
