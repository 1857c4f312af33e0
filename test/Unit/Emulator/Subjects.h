//===- Subjects.h - Kernels, their inputs and references --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The golden kernels as values: what to launch them with, and how to see that
// their results are right. The kernel tests run them in every mode, and the
// mutation tests run them with their PTX changed.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_SUBJECTS_H
#define FLASH_TEST_UNIT_EMULATOR_SUBJECTS_H

#include "Harness.h"

#include "flash/Emulator/TensorMap.h"

#include <functional>
#include <string>
#include <vector>

namespace flash::emu::test {

/// One kernel with its inputs and the check of its results.
struct Subject {
  /// Golden input, kernel, and what tells several subjects of a kernel apart.
  std::string file, kernel, variant;
  /// Sets arguments, sizes and the chip.
  std::function<void(KernelRun &)> prepare;
  /// What is wrong with the results, "" if nothing.
  std::function<std::string(KernelRun &)> wrong;

  std::string name() const {
    return variant.empty() ? kernel : kernel + "_" + variant;
  }
};

inline constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                       AsyncMode::Random};

/// Runs the subject on `module`; `wrong` receives what is wrong with the
/// results, "" if nothing or if there are reports.
Report run(const Subject &subject, const Module &module, AsyncMode mode,
           uint64_t seed, std::string &wrong);

/// The same as a text: "" if all is well, else the kind of the first
/// issue and ": " and its whole report, or "wrong result: " and where.
std::string outcome(const Subject &subject, const Module &module,
                    AsyncMode mode, uint64_t seed);

/// `count` integers in [low, high], the same for the same arguments.
std::vector<int> someInts(size_t count, int low, int high);

/// The values of `f` at 0, 1, ..., count - 1.
template <typename T, typename F> std::vector<T> generate(size_t count, F f) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = T(f(i));
  return values;
}

/// `count` normally distributed numbers that bf16 holds exactly; their bits.
std::vector<float> someBf16(size_t count, unsigned seed);
std::vector<uint16_t> bf16Bits(const std::vector<float> &values);

/// c[m][n] = sum of a[m][k] b[n][k] over all k, c of `rows` x `columns`.
template <typename T>
std::vector<T> product(const std::vector<int> &a, const std::vector<int> &b,
                       size_t rows, size_t columns) {
  size_t depth = a.size() / rows;
  return generate<T>(rows * columns, [&](size_t i) {
    const int *pa = &a[i / columns * depth], *pb = &b[i % columns * depth];
    int sum = 0;
    for (size_t k = 0; k < depth; ++k)
      sum += pa[k] * pb[k];
    return sum;
  });
}

/// Whether `o` (bf16) and `lse` are attention's results for `q`, `k` and `v`,
/// all [rows][d]; "" or the first difference. Every seventh row is looked at.
std::string attentionDifference(const std::vector<float> &q,
                                const std::vector<float> &k,
                                const std::vector<float> &v, unsigned d,
                                const std::vector<uint16_t> &o,
                                const std::vector<float> &lse);

/// The contents of the buffer `name`.
template <typename T>
std::vector<T> fetch(KernelRun &run, const std::string &name) {
  auto bytes = run.device.bytes(run.device.address(name));
  std::vector<T> data(bytes.size() / sizeof(T));
  std::memcpy(data.data(), bytes.data(), data.size() * sizeof(T));
  return data;
}

/// "" if the buffer `name` holds `expected`, else the first difference.
template <typename T>
std::string difference(KernelRun &run, const std::string &name,
                       const std::vector<T> &expected) {
  std::vector<T> got = fetch<T>(run, name);
  if (got.size() != expected.size())
    return name + ": other size";
  for (size_t i = 0; i < got.size(); ++i)
    if (!(got[i] == expected[i]))
      return name + "[" + std::to_string(i) + "]: expected " +
             std::to_string(expected[i]) + ", got " + std::to_string(got[i]);
  return "";
}

/// A buffer that holds `data` and is no argument.
template <typename T>
uint64_t place(KernelRun &run, const std::string &name,
               const std::vector<T> &data) {
  size_t bytes = data.size() * sizeof(T);
  uint64_t address = run.device.allocate(name, bytes, Contents::Zero);
  run.device.write(address, data.data(), bytes);
  return address;
}

/// The map of a dense tensor.
TensorMap tensorMap(uint64_t address, TensorMapType type,
                    const std::vector<uint64_t> &dims,
                    const std::vector<uint32_t> &box, unsigned swizzleSpan);

/// A launch on sm_90.
inline void onHopper(KernelRun &run, uint32_t grid, uint32_t block,
                     uint32_t cluster = 1) {
  run.config.chip = Chip::SM90;
  run.config.grid = {grid, 1, 1};
  run.config.block = {block, 1, 1};
  run.config.cluster = {cluster, 1, 1};
}

/// sm_80: reductions, exchanges, cp.async pipelines, attention.
std::vector<Subject> ampereSubjects();
/// mbarrier.ptx.
std::vector<Subject> barrierSubjects();
/// tma.ptx.
std::vector<Subject> tensorMapSubjects();
/// cluster.ptx.
std::vector<Subject> clusterSubjects();
/// wgmma.ptx.
std::vector<Subject> wgmmaSubjects();
/// specialised.ptx.
std::vector<Subject> specialisedSubjects();
/// tcgen05.ptx.
std::vector<Subject> tcgen05Subjects();

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_SUBJECTS_H
