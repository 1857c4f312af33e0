//===- WgmmaSubjects.cpp - Every type and layout of wgmma -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of wgmma.cu with their references. The values are integers small
// enough for every sum to be exact in every format.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include "Float.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

/// Bits of small integers as elements of a format.
std::vector<uint8_t> encode(const std::vector<int> &values, FloatFormat format,
                            unsigned shift, unsigned bytes) {
  std::vector<uint8_t> data(values.size() * bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits =
        encodeFloat(format, double(values[i]), Round::NearestEven, false)
        << shift;
    std::memcpy(&data[i * bytes], &bits, bytes);
  }
  return data;
}
std::vector<uint8_t> encode(const std::vector<int> &values,
                            const std::string &type) {
  if (type == "bf16")
    return encode(values, kBF16, 0, 2);
  if (type == "f16")
    return encode(values, kF16, 0, 2);
  if (type == "tf32")
    return encode(values, kTF32, 13, 4);
  if (type == "e4m3")
    return encode(values, kE4M3, 0, 1);
  if (type == "e5m2")
    return encode(values, kE5M2, 0, 1);
  return {values.begin(), values.end()}; // s8 and u8
}

/// 64 x 64 outputs over 256 bytes of k, with types for a and b.
template <typename T>
Subject multiply(const char *kernel, const char *typeA, const char *typeB,
                 unsigned elementBytes, int span, int sign = 1) {
  size_t count = 64 * 256 / elementBytes;
  bool integers = typeB == std::string("s8");
  std::vector<int> a = integers ? someInts(count, typeA[0] == 's' ? -128 : 0,
                                           typeA[0] == 's' ? 127 : 255)
                                : someInts(count, -3, 3);
  std::vector<int> b =
      integers ? someInts(count, -127, 126) : someInts(count, -2, 3);
  return {"wgmma.ptx", kernel, "swizzle" + std::to_string(span),
          [=](KernelRun &run) {
            run.in(encode(a, typeA)).in(encode(b, typeB));
            run.out<T>(64 * 64).value(256).value(span);
            onHopper(run, 1, 128);
          },
          [=](KernelRun &run) {
            std::vector<int> c = product<int>(a, b, 64, 64);
            return difference(run, "arg2", generate<T>(c.size(), [&](size_t i) {
                                return sizeof(T) == 2
                                           ? int(floatToF16(float(c[i])))
                                           : sign * c[i];
                              }));
          }};
}

std::vector<int> transposed(const std::vector<int> &values, size_t columns) {
  size_t rows = values.size() / columns;
  return generate<int>(values.size(), [&](size_t i) {
    return values[i % rows * columns + i / rows];
  });
}

/// b, and with `both` also a, lie with k as their outer dimension.
Subject multiplyTransposed(bool both, int span) {
  std::vector<int> a = someInts(64 * 64, -3, 3), b = someInts(64 * 64, -2, 3);
  return {"wgmma.ptx", both ? "wgmma_both_transposed" : "wgmma_b_transposed",
          "swizzle" + std::to_string(span),
          [=](KernelRun &run) {
            run.in(encode(a, "bf16")).in(encode(b, "bf16"));
            run.out<float>(64 * 64).value(span);
            onHopper(run, 1, 128);
          },
          [=](KernelRun &run) {
            return difference(run, "arg2",
                              product<float>(both ? transposed(a, 64) : a,
                                             transposed(b, 64), 64, 64));
          }};
}

Subject fromRegisters(int span) {
  std::vector<int> a = someInts(64 * 128, -3, 3), b = someInts(64 * 128, -2, 3);
  return {"wgmma.ptx", "wgmma_registers", "swizzle" + std::to_string(span),
          [=](KernelRun &run) {
            run.in(encode(a, "bf16")).in(encode(b, "bf16"));
            run.out<float>(64 * 64).value(128).value(span);
            onHopper(run, 1, 128);
          },
          [=](KernelRun &run) {
            return difference(run, "arg2", product<float>(a, b, 64, 64));
          }};
}

} // namespace

std::vector<Subject> test::wgmmaSubjects() {
  std::vector<Subject> all;
  for (int span : {0, 32, 64, 128}) {
    all.push_back(multiply<float>("wgmma_bf16", "bf16", "bf16", 2, span));
    all.push_back(
        multiply<float>("wgmma_f16_negated", "f16", "f16", 2, span, -1));
    all.push_back(multiply<uint16_t>("wgmma_f16_f16", "f16", "f16", 2, span));
    all.push_back(multiply<float>("wgmma_tf32", "tf32", "tf32", 4, span));
    all.push_back(multiply<float>("wgmma_e4m3", "e4m3", "e4m3", 1, span));
    all.push_back(multiply<float>("wgmma_e5m2_e4m3", "e5m2", "e4m3", 1, span));
    all.push_back(multiply<int>("wgmma_s8", "s8", "s8", 1, span));
    all.push_back(multiply<int>("wgmma_u8_s8", "u8", "s8", 1, span));
    all.push_back(multiplyTransposed(false, span));
    all.push_back(multiplyTransposed(true, span));
    all.push_back(fromRegisters(span));
  }
  return all;
}
