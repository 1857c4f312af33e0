//===- Tcgen05Tests.cpp - Tensor memory and tcgen05 -------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels are PTX text that ptxas takes for sm_100a. Products are of small
// integers, so that plain arithmetic says what they must be.
//
//===----------------------------------------------------------------------===//

#include "Float.h"
#include "Harness.h"
#include "TensorMemory.h"

#include <functional>
#include <random>

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                AsyncMode::Random};

/// A kernel `k` over `body` in a CTA with `shared` bytes of shared memory at
/// `buf`, mbarriers at `bars`, a place for an address at `slot`; %r0 is the
/// thread, %r1 its warp.
std::string tensorKernel(const std::string &body, const std::string &params,
                         unsigned shared = 32768,
                         const std::string &directives = "") {
  return ".version 8.7\n.target sm_100a\n.address_size 64\n"
         ".visible .entry k(" +
         params + ")" + directives +
         "\n{\n.reg .pred %p<10>;\n.reg .b16 %h<10>;\n.reg .b32 %r<200>;\n"
         ".reg .b64 %rd<40>;\n"
         ".shared .align 1024 .b8 buf[" +
         std::to_string(shared) +
         "];\n.shared .align 8 .b64 bars[8];\n.shared .align 4 .b32 slot;\n"
         "mov.u32 %r0, %tid.x;\nshr.u32 %r1, %r0, 5;\n" +
         body + "ret;\n}\n";
}

/// %r2 becomes the address of `columns` new columns.
std::string allocate(unsigned columns, unsigned group = 1) {
  std::string g = std::to_string(group);
  return "setp.ne.u32 %p0, %r1, 0;\n@%p0 bra allocated;\nmov.u32 %r3, slot;\n"
         "tcgen05.alloc.cta_group::" +
         g + ".sync.aligned.shared::cta.b32 [%r3], " + std::to_string(columns) +
         ";\ntcgen05.relinquish_alloc_permit.cta_group::" + g +
         ".sync.aligned;\nallocated:\nbar.sync 0;\nld.shared.b32 %r2, "
         "[slot];\n";
}

std::string release(unsigned columns, unsigned group = 1) {
  return "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n@%p0 bra released;\n"
         "tcgen05.dealloc.cta_group::" +
         std::to_string(group) + ".sync.aligned.b32 %r2, " +
         std::to_string(columns) + ";\nreleased:\n";
}

/// "{%r<first>, ...}", `count` of them.
std::string list(unsigned first, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", %r" : "%r") + std::to_string(first + i);
  return text + "}";
}

TEST(Tcgen05, GoldenProducts) {
  auto module = parse(readInput("tcgen05.ptx"));
  ASSERT_TRUE(module);
  std::mt19937 random(1);
  auto pick = [&](size_t count, std::vector<int> &values) {
    std::vector<uint16_t> bits(count);
    values.resize(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = int(random() % 17) - 8;
      bits[i] = uint16_t(floatToBf16(float(values[i])));
    }
    return bits;
  };
  for (AsyncMode mode : kModes) {
    constexpr unsigned k = 192;
    std::vector<int> a, b;
    KernelRun run(*module, "tcgen05_gemm");
    run.in(pick(128 * k, a)).in(pick(64 * k, b)).out<float>(128 * 64);
    run.value(int(k));
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<float> got = run.result<float>();
    for (unsigned m = 0; m < 128; ++m)
      for (unsigned n = 0; n < 64; ++n) {
        int sum = 0;
        for (unsigned i = 0; i < k; ++i)
          sum += a[m * k + i] * b[n * k + i];
        ASSERT_EQ(got[m * 64 + n], float(sum)) << m << " " << n;
      }
  }
  for (AsyncMode mode : kModes) {
    std::vector<int> a, b;
    KernelRun run(*module, "tcgen05_from_tensor_memory");
    run.in(pick(128 * 64, a)).in(pick(64 * 64, b)).out<float>(128 * 64);
    run.config.chip = Chip::SM100;
    run.config.async = mode;
    Report report = run.go(1, 128);
    ASSERT_TRUE(report.ok) << issues(report);
    std::vector<float> got = run.result<float>();
    for (unsigned m = 0; m < 128; ++m)
      for (unsigned n = 0; n < 64; ++n) {
        int sum = 0;
        for (unsigned i = 0; i < 64; ++i)
          sum += a[m * 64 + i] * b[i * 64 + n];
        ASSERT_EQ(got[m * 64 + n], float(sum)) << m << " " << n;
      }
  }
}

//===----------------------------------------------------------------------===//
// Shapes of loads and stores
//===----------------------------------------------------------------------===//

struct Shape {
  const char *name;
  unsigned num;   ///< .xnum
  unsigned lanes; ///< 32 or 16.
  unsigned perX1; ///< Registers of .x1.
  unsigned width; ///< Columns of .x1 (of a half).
  /// Thread and register of a cell (row, column), read off the figures of the
  /// PTX ISA, "Matrix fragments for shape ...".
  unsigned (*thread)(unsigned row, unsigned column);
  unsigned (*reg)(unsigned row, unsigned column);
};

const Shape kShapes[] = {
    {"32x32b", 8, 32, 1, 1, [](unsigned r, unsigned) { return r; },
     [](unsigned, unsigned c) { return c; }},
    {"16x64b", 8, 16, 1, 2,
     [](unsigned r, unsigned c) { return r % 8 * 4 + c % 2 * 2 + r / 8; },
     [](unsigned, unsigned c) { return c / 2; }},
    {"16x128b", 4, 16, 2, 4,
     [](unsigned r, unsigned c) { return r % 8 * 4 + c % 4; },
     [](unsigned r, unsigned c) { return c / 4 * 2 + r / 8; }},
    {"16x256b", 2, 16, 4, 8,
     [](unsigned r, unsigned c) { return r % 8 * 4 + c % 8 / 2; },
     [](unsigned r, unsigned c) { return c / 8 * 4 + r / 8 * 2 + c % 2; }},
    {"16x32bx2", 8, 16, 1, 1, [](unsigned r, unsigned) { return r; },
     [](unsigned, unsigned c) { return c; }}};

/// out[thread * count + i] = registers %r<first> + i.
std::string writeRegisters(unsigned first, unsigned count) {
  std::string text = "ld.param.u64 %rd1, [out];\nmul.lo.u32 %r5, %r0, " +
                     std::to_string(count * 4) +
                     ";\ncvt.u64.u32 %rd2, %r5;\nadd.s64 %rd1, %rd1, %rd2;\n";
  for (unsigned i = 0; i < count; ++i)
    text += "st.global.b32 [%rd1+" + std::to_string(4 * i) + "], %r" +
            std::to_string(first + i) + ";\n";
  return text;
}

/// Registers %r10.. of thread t become t << 16 | i.
std::string numberRegisters(unsigned count) {
  std::string text = "shl.b32 %r5, %r0, 16;\n";
  for (unsigned i = 0; i < count; ++i)
    text += "add.u32 %r" + std::to_string(10 + i) + ", %r5, " +
            std::to_string(i) + ";\n";
  return text;
}

constexpr unsigned kSplit = 24;

/// A fragment of `shape` at `address`, with its registers from %r<first> on.
std::string fragment(const Shape &shape, bool isLoad, bool packed,
                     const char *address, unsigned first) {
  bool split = std::string(shape.name) == "16x32bx2";
  std::string text = std::string("tcgen05.") + (isLoad ? "ld" : "st") +
                     ".sync.aligned." + shape.name + ".x" +
                     std::to_string(shape.num) +
                     (!packed  ? ""
                      : isLoad ? ".pack::16b"
                               : ".unpack::16b") +
                     ".b32 ";
  std::string registers = list(first, shape.num * shape.perX1);
  std::string where = std::string("[") + address + "]";
  std::string offset = split ? ", " + std::to_string(kSplit) : "";
  return text +
         (isLoad ? registers + ", " + where + offset
                 : where + offset + ", " + registers) +
         ";\n";
}

const char *kAddress = "shl.b32 %r4, %r1, 21;\nadd.u32 %r4, %r4, %r2;\n";
const char *kWaitStore = "tcgen05.wait::st.sync.aligned;\n";
const char *kWaitLoad = "tcgen05.wait::ld.sync.aligned;\n";

TEST(Tcgen05, LoadShapes) {
  for (const Shape &shape : kShapes)
    for (bool packed : {false, true})
      for (unsigned lower : {0u, 16u}) {
        if (lower && shape.lanes == 32)
          continue;
        unsigned count = shape.num * shape.perX1;
        // Cell (lane, column) holds lane << 16 | column.
        std::string body = allocate(64) + kAddress + numberRegisters(64) +
                           "tcgen05.st.sync.aligned.32x32b.x64.b32 [%r4], " +
                           list(10, 64) + ";\n" + kWaitStore +
                           "add.u32 %r4, %r4, " + std::to_string(lower << 16) +
                           ";\n" + fragment(shape, true, packed, "%r4", 100) +
                           kWaitLoad + writeRegisters(100, count) + release(64);
        auto module = parse(tensorKernel(body, ".param .u64 out"));
        ASSERT_TRUE(module);
        KernelRun run(*module, "k");
        run.out<uint32_t>(128 * count);
        run.config.chip = Chip::SM100;
        Report report = run.go(1, 128);
        ASSERT_TRUE(report.ok) << issues(report);
        std::vector<uint32_t> got = run.result<uint32_t>();
        bool split = std::string(shape.name) == "16x32bx2";
        unsigned columns = shape.num * shape.width;
        for (unsigned warp = 0; warp < 4; ++warp)
          for (unsigned half = 0; half < (split ? 2u : 1u); ++half)
            for (unsigned row = 0; row < shape.lanes; ++row)
              for (unsigned column = 0; column < columns; ++column) {
                unsigned thread =
                    warp * 32 + half * 16 + shape.thread(row, column);
                unsigned lane = warp * 32 + lower + row;
                unsigned at = half * kSplit + column;
                uint32_t expected = lane << 16 | at;
                if (packed)
                  expected = (half * kSplit + 2 * column) |
                             (half * kSplit + 2 * column + 1) << 16;
                ASSERT_EQ(got[thread * count + shape.reg(row, column)],
                          expected)
                    << shape.name << " " << row << " " << column;
              }
      }
}

TEST(Tcgen05, StoreShapes) {
  for (const Shape &shape : kShapes)
    for (bool packed : {false, true})
      for (unsigned lower : {0u, 16u}) {
        if (lower && shape.lanes == 32)
          continue;
        std::string zeros;
        for (unsigned i = 0; i < 64; ++i)
          zeros += i ? ", %r9" : "{%r9";
        std::string body =
            allocate(64) + kAddress + "mov.b32 %r9, -1;\n" +
            "tcgen05.st.sync.aligned.32x32b.x64.b32 [%r4], " + zeros + "};\n" +
            kWaitStore + numberRegisters(shape.num * shape.perX1) +
            "add.u32 %r6, %r4, " + std::to_string(lower << 16) + ";\n" +
            fragment(shape, false, packed, "%r6", 10) + kWaitStore +
            "tcgen05.ld.sync.aligned.32x32b.x64.b32 " + list(100, 64) +
            ", [%r4];\n" + kWaitLoad + writeRegisters(100, 64) + release(64);
        auto module = parse(tensorKernel(body, ".param .u64 out"));
        ASSERT_TRUE(module);
        KernelRun run(*module, "k");
        run.out<uint32_t>(128 * 64);
        run.config.chip = Chip::SM100;
        Report report = run.go(1, 128);
        ASSERT_TRUE(report.ok) << issues(report);
        std::vector<uint32_t> got = run.result<uint32_t>();
        std::vector<uint32_t> expected(128 * 64, ~0u);
        bool split = std::string(shape.name) == "16x32bx2";
        for (unsigned warp = 0; warp < 4; ++warp)
          for (unsigned half = 0; half < (split ? 2u : 1u); ++half)
            for (unsigned row = 0; row < shape.lanes; ++row)
              for (unsigned c = 0; c < shape.num * shape.width; ++c) {
                uint32_t thread = warp * 32 + half * 16 + shape.thread(row, c);
                uint32_t *cells =
                    &expected[(warp * 32 + lower + row) * 64 + half * kSplit];
                if (packed) {
                  cells[2 * c] = shape.reg(row, c);
                  cells[2 * c + 1] = thread;
                } else {
                  cells[c] = thread << 16 | shape.reg(row, c);
                }
              }
        ASSERT_EQ(got, expected) << shape.name;
      }
}

} // namespace
