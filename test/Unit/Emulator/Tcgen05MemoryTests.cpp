//===- Tcgen05MemoryTests.cpp - What warps see of tensor memory -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shapes of tcgen05.ld and .st, copies from shared memory and shifts, each
// against a table of its own.
//
//===----------------------------------------------------------------------===//

#include "Tcgen05Text.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

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

//===----------------------------------------------------------------------===//
// Copies and shifts
//===----------------------------------------------------------------------===//

/// Runs tcgen05.cp of `shape` into lane `lane`, then `then`, and returns what
/// lies in the 8 columns of all lanes, which held -1. The source's 32-bit words
/// count from 0, row by row, without swizzling.
std::vector<uint32_t> copyOf(const std::string &shape, unsigned rows,
                             unsigned words, unsigned lane,
                             const std::string &then, AsyncMode mode) {
  std::string body = allocate(32) + kAddress +
                     "mov.b32 %r50, -1;\n"
                     "tcgen05.st.sync.aligned.32x32b.x8.b32 [%r4], {%r50, "
                     "%r50, %r50, %r50, %r50, %r50, %r50, %r50};\n" +
                     kWaitStore + kInitBarrier + "mov.u32 %r8, buf;\n" +
                     // Row r lies at r / 8 * 128 + r % 8 * 16, its second 16
                     // bytes 2048 further; each thread writes its row.
                     "shl.b32 %r10, %r0, 4;\nadd.u32 %r10, %r10, %r8;\n"
                     "mul.lo.u32 %r12, %r0, " +
                     std::to_string(words) + ";\n";
  for (unsigned i = 0; i < words; ++i)
    body += "add.u32 %r11, %r12, " + std::to_string(i) +
            ";\nst.shared.b32 [%r10+" +
            std::to_string(i / 4 * 2048 + i % 4 * 4) + "], %r11;\n";
  body += "fence.proxy.async.shared::cta;\n"
          "tcgen05.fence::before_thread_sync;\nbar.sync 0;\n"
          "shr.u32 %r11, %r8, 4;\nand.b32 %r11, %r11, 0x3fff;\n"
          "cvt.u64.u32 %rd10, %r11;\nadd.s64 %rd10, %rd10, 0x400800800000;\n"
          "add.u32 %r13, %r2, " +
          std::to_string(lane << 16) +
          ";\n@%p1 bra issued;\ntcgen05.fence::after_thread_sync;\n"
          "tcgen05.cp.cta_group::1." +
          shape + " [%r13], %rd10;\n" + then +
          "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster"
          ".b64 [%r7];\nissued:\n" +
          waitFor() + "tcgen05.ld.sync.aligned.32x32b.x8.b32 " + list(40, 8) +
          ", [%r4];\n" + kWaitLoad + writeRegisters(40, 8) + release(32);
  auto module = parse(tensorKernel(body, ".param .u64 out"));
  if (!module)
    return {};
  KernelRun run(*module, "k");
  run.out<uint32_t>(128 * 8);
  run.config.chip = Chip::SM100;
  run.config.async = mode;
  Report report = run.go(1, 128);
  EXPECT_TRUE(report.ok) << issues(report);
  EXPECT_LE(rows, 128u);
  return run.result<uint32_t>();
}

TEST(Tcgen05, Copies) {
  struct Row {
    const char *shape;
    unsigned rows, words, lane;
    /// Row of the source that a lane takes, -1 for none.
    int (*rowOf)(unsigned lane);
  };
  const Row rows[] = {
      {"128x256b", 128, 8, 0, [](unsigned l) { return int(l); }},
      {"128x128b", 128, 4, 0, [](unsigned l) { return int(l); }},
      {"4x256b", 4, 8, 5,
       [](unsigned l) { return l % 32 == 5 ? int(l / 32) : -1; }},
      {"64x128b.warpx2::02_13", 64, 4, 0,
       [](unsigned l) { return int(l % 64); }},
      {"64x128b.warpx2::01_23", 64, 4, 0,
       [](unsigned l) { return int(l % 32 + l / 64 * 32); }},
      {"32x128b.warpx4", 32, 4, 0, [](unsigned l) { return int(l % 32); }}};
  for (const Row &row : rows)
    for (AsyncMode mode : kModes) {
      std::vector<uint32_t> got =
          copyOf(row.shape, row.rows, row.words, row.lane, "", mode);
      ASSERT_EQ(got.size(), 1024u);
      for (unsigned lane = 0; lane < 128; ++lane)
        for (unsigned i = 0; i < 8; ++i) {
          int from = row.rowOf(lane);
          uint32_t expected =
              from < 0 || i >= row.words ? ~0u : uint32_t(from) * row.words + i;
          ASSERT_EQ(got[lane * 8 + i], expected) << row.shape << " " << lane;
        }
    }
}

TEST(Tcgen05, Shift) {
  // Lanes 32 to 62 take over what the next one holds.
  std::string shift = "add.u32 %r14, %r2, 2097152;\n"
                      "tcgen05.shift.cta_group::1.down [%r14];\n";
  for (AsyncMode mode : kModes) {
    std::vector<uint32_t> got = copyOf("128x256b", 128, 8, 0, shift, mode);
    ASSERT_EQ(got.size(), 1024u);
    for (unsigned lane = 0; lane < 128; ++lane)
      for (unsigned i = 0; i < 8; ++i)
        ASSERT_EQ(got[lane * 8 + i],
                  (lane >= 32 && lane < 63 ? lane + 1 : lane) * 8 + i);
  }
}

} // namespace
