//===- TensorMapSubjects.cpp - Tiles by tensor maps -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of tma.cu with their references.
//
//===----------------------------------------------------------------------===//

#include "Subjects.h"

#include <algorithm>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

Subject tileRing(int span) {
  constexpr int width = 68, height = 37, rows = 16, x0 = -3, y0 = -2;
  std::vector<int> x = someInts(width * height, -99, 99);
  const int rowBytes = span ? span : 64, wide = rowBytes / 4;
  const int columns = (width - x0 + wide - 1) / wide;
  const int lines = (height - y0 + rows - 1) / rows;
  return {
      "tma.ptx", "tile_ring", "swizzle" + std::to_string(span),
      [=](KernelRun &run) {
        uint64_t from =
            place(run, "from", std::vector<float>(x.begin(), x.end()));
        uint64_t to =
            run.device.allocate("to", x.size() * 4, Contents::Uninitialised);
        for (uint64_t address : {from, to})
          run.value(tensorMap(address, TensorMapType::F32, {width, height},
                              {uint32_t(wide), rows}, unsigned(span)));
        run.value(x0).value(y0).value(columns).value(columns * lines);
        run.value(rows).value(rowBytes).value(span);
        onHopper(run, 1, 96);
      },
      [=](KernelRun &run) {
        return difference(run, "to", generate<float>(x.size(), [&](size_t i) {
                            return 2 * x[i] + 1;
                          }));
      }};
}

/// A box of `dims.size()` dimensions at `in` of one tensor, to `out` of
/// another.
Subject box(std::vector<uint64_t> dims, std::vector<uint32_t> size,
            std::array<int, 5> in, std::array<int, 5> out) {
  size_t rank = dims.size(), elements = 1, count = 1;
  for (size_t i = 0; i < rank; ++i) {
    elements *= dims[i];
    count *= size[i];
  }
  std::vector<int> x = someInts(elements, 1, 999), y = someInts(elements, 1, 9);
  // Where element `i` of the box at `at` lies in the tensor; -1: outside.
  auto place = [=](size_t i, const std::array<int, 5> &at) {
    int64_t offset = 0, stride = 1;
    for (size_t d = 0; d < rank; ++d) {
      int64_t c = at[d] + int64_t(i % size[d]);
      i /= size[d];
      if (c < 0 || c >= int64_t(dims[d]))
        return int64_t(-1);
      offset += c * stride;
      stride *= int64_t(dims[d]);
    }
    return offset;
  };
  return {"tma.ptx", "box_" + std::to_string(rank) + "d", "",
          [=](KernelRun &run) {
            for (auto [name, data] : {std::pair{"from", &x}, {"to", &y}})
              run.value(tensorMap(test::place(run, name, *data),
                                  TensorMapType::S32, dims, size, 0));
            run.value(in).value(out).value(int(count)).out<int>(count);
            onHopper(run, 1, 64);
          },
          [=](KernelRun &run) {
            std::vector<int> dense(count), stored = y;
            for (size_t i = 0; i < count; ++i) {
              int64_t from = place(i, in), to = place(i, out);
              dense[i] = from < 0 ? 0 : x[size_t(from)];
              if (to >= 0)
                stored[size_t(to)] = dense[i] + 1000;
            }
            std::string wrong = difference(run, "arg5", dense);
            return wrong.empty() ? difference(run, "to", stored) : wrong;
          }};
}

Subject tileReduce() {
  constexpr int width = 20, height = 10, x = -4, y = 5;
  return {
      "tma.ptx", "tile_reduce", "",
      [](KernelRun &run) {
        run.value(tensorMap(place(run, "sums", std::vector<float>(200, 100)),
                            TensorMapType::F32, {width, height}, {16, 8}, 0));
        run.value(tensorMap(place(run, "most", std::vector<uint32_t>(200, 30)),
                            TensorMapType::U32, {width, height}, {16, 8}, 0));
        run.value(x).value(y);
        onHopper(run, 3, 128);
      },
      [](KernelRun &run) {
        std::vector<float> sums(200, 100);
        std::vector<uint32_t> most(200, 30);
        for (int i = 0; i < 128; ++i) {
          int column = x + i % 16, row = y + i / 16;
          if (column < 0 || row >= height)
            continue;
          size_t at = size_t(row * width + column);
          for (int cta = 0; cta < 3; ++cta) {
            sums[at] += float(i % 7 + cta);
            most[at] = std::max(most[at], uint32_t(i * 37 + cta * 11) % 64);
          }
        }
        std::string wrong = difference(run, "sums", sums);
        return wrong.empty() ? difference(run, "most", most) : wrong;
      }};
}

} // namespace

std::vector<Subject> test::tensorMapSubjects() {
  return {tileRing(0),
          tileRing(32),
          tileRing(64),
          tileRing(128),
          box({52}, {32}, {-5}, {30}),
          box({12, 7, 5}, {8, 4, 3}, {6, -2, 3}, {-3, 5, -1}),
          box({8, 5, 4, 3}, {8, 3, 2, 2}, {-4, 3, -1, 2}, {2, -1, 3, 1}),
          box({4, 5, 3, 4, 3}, {4, 3, 2, 2, 2}, {-1, 3, 2, -1, 2},
              {2, 1, -1, 3, 1}),
          tileReduce()};
}
