//===- BulkTests.cpp - Linear bulk copies -----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BulkHarness.h"
#include "Float.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

//===----------------------------------------------------------------------===//
// Linear copies
//===----------------------------------------------------------------------===//

TEST(Bulk, Load) {
  for (std::string form : {"shared::cluster", "shared::cta"})
    for (bool hint : {false, true}) {
      std::string load = kLoad;
      load.replace(load.find("shared::cluster"), 15, form);
      if (hint) {
        load.replace(load.find("::bytes "), 8, "::bytes.L2::cache_hint ");
        load.replace(load.find("[%r3];"), 6, "[%r3], %rd7;");
        load = "mov.b64 %rd7, 0;\n" + load;
      }
      Case test(expect(1024) + load + wait() + copyOut(1024));
      test.expectClean([&](const std::vector<uint32_t> &out) {
        for (uint32_t i = 0; i < 256; ++i)
          ASSERT_EQ(out[i], test.in[16 + i]) << i;
        ASSERT_EQ(out[256], 0xabababab);
      });
    }
}

/// Bytes may be delivered before they are expected.
TEST(Bulk, ExpectAfterIssue) {
  Case test(kLoad + expect(1024) + wait() + copyOut(1024));
  test.expectClean([&](const std::vector<uint32_t> &out) {
    ASSERT_EQ(out[255], test.in[16 + 255]);
  });
}

TEST(Bulk, Store) {
  Case test(fillIn(512) + kStore + kCommit + kWait);
  test.outUninitialised = true;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 128; ++i)
      ASSERT_EQ(out[4 + i], filled(i));
    ASSERT_EQ(out[3], 0xffffffffu);
    ASSERT_EQ(out[4 + 128], 0xffffffffu);
  });
}

TEST(Bulk, StoreMasked) {
  Case test(fillIn(64) +
            "mov.b16 %h1, 0x30f;\n"
            "@!%p1 cp.async.bulk.global.shared::cta.bulk_group.cp_mask [%rd2], "
            "[%r2], 64, %h1;\n" +
            kCommit + kWait);
  test.chip = Chip::SM100;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 16; ++i)
      ASSERT_EQ(out[i], i % 4 == 0   ? filled(i)
                        : i % 4 == 2 ? 0xabab0000u | (filled(i) & 0xffff)
                                     : 0xababababu)
          << i;
  });
}

/// Every CTA sends its tile to the next one.
TEST(Bulk, PushToNeighbour) {
  Case test(
      fillIn(512, "%r2", "%r4") + expect(512) +
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
      "add.u32 %r10, %r4, 1;\nand.b32 %r10, %r10, 3;\n"
      "mapa.shared::cluster.u32 %r11, %r5, %r10;\n"
      "mapa.shared::cluster.u32 %r12, %r3, %r10;\n"
      "@!%p1 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::"
      "bytes [%r11], [%r2], 512, [%r12];\n" +
      wait() + "mad.wide.u32 %rd2, %r4, 512, %rd2;\n" + copyOut(512, "%r5") +
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n");
  test.cluster = 4;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t cta = 0; cta < 4; ++cta)
      for (uint32_t i = 0; i < 128; ++i)
        ASSERT_EQ(out[cta * 128 + i], filled(i, (cta + 3) % 4));
  });
}

/// CTA 0 loads for CTAs 0, 1 and 3.
TEST(Bulk, Multicast) {
  Case test("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
            "setp.eq.u32 %p4, %r4, 2;\n@%p4 bra DONE;\n" +
            expect(1024) +
            "setp.ne.u32 %p5, %r4, 0;\nor.pred %p5, %p5, %p1;\n"
            "mov.b16 %h1, 0xb;\n"
            "@!%p5 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
            "bytes.multicast::cluster [%r2], [%rd1+64], 1024, [%r3], %h1;\n" +
            wait() + "mad.wide.u32 %rd2, %r4, 1024, %rd2;\n" + copyOut(1024) +
            "DONE:\n"
            "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n");
  test.cluster = 4;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t cta = 0; cta < 4; ++cta)
      for (uint32_t i = 0; i < 256; ++i)
        ASSERT_EQ(out[cta * 256 + i], cta == 2 ? 0xababababu : test.in[16 + i]);
  });
}

TEST(Bulk, Prefetch) {
  Case test("mov.b64 %rd7, 0;\n"
            "cp.async.bulk.prefetch.L2.global [%rd1], 64;\n"
            "cp.async.bulk.prefetch.L2.global.L2::cache_hint [%rd1], 64, "
            "%rd7;\n");
  test.expectClean([](const std::vector<uint32_t> &) {});
  Case outside("cp.async.bulk.prefetch.L2.global [%rd1+8128], 128;\n");
  outside.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds, "prefetches");
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

uint32_t halves(uint32_t a, uint32_t b, bool isBf) {
  auto one = [&](uint32_t x, uint32_t y) {
    return isBf ? floatToBf16(bf16ToFloat(x) + bf16ToFloat(y))
                : floatToF16(f16ToFloat(x) + f16ToFloat(y));
  };
  return one(a & 0xffff, b & 0xffff) | one(a >> 16, b >> 16) << 16;
}

TEST(Bulk, ReduceToGlobal) {
  using Combine = uint32_t (*)(uint32_t, uint32_t);
  static const std::pair<const char *, Combine> cases[] = {
      {"add.u32", [](uint32_t a, uint32_t b) { return a + b; }},
      {"add.s32", [](uint32_t a, uint32_t b) { return a + b; }},
      {"min.u32", [](uint32_t a, uint32_t b) { return std::min(a, b); }},
      {"max.s32",
       [](uint32_t a, uint32_t b) {
         return uint32_t(std::max(int32_t(a), int32_t(b)));
       }},
      {"inc.u32", [](uint32_t a, uint32_t b) { return a >= b ? 0 : a + 1; }},
      {"dec.u32",
       [](uint32_t a, uint32_t b) { return a == 0 || a > b ? b : a - 1; }},
      {"and.b32", [](uint32_t a, uint32_t b) { return a & b; }},
      {"or.b32", [](uint32_t a, uint32_t b) { return a | b; }},
      {"xor.b32", [](uint32_t a, uint32_t b) { return a ^ b; }},
      {"xor.b64", [](uint32_t a, uint32_t b) { return a ^ b; }},
      {"add.f32",
       [](uint32_t a, uint32_t b) {
         return std::bit_cast<uint32_t>(std::bit_cast<float>(a) +
                                        std::bit_cast<float>(b));
       }},
      {"add.noftz.f16",
       [](uint32_t a, uint32_t b) { return halves(a, b, false); }},
      {"add.noftz.bf16",
       [](uint32_t a, uint32_t b) { return halves(a, b, true); }},
  };
  for (auto &[name, combine] : cases) {
    SCOPED_TRACE(name);
    Case test(fillIn(512, "%r2", "1065353216") +
              "@!%p1 cp.reduce.async.bulk.global.shared::cta.bulk_group." +
              name + " [%rd2], [%r2], 512;\n" + kCommit + kWait);
    for (uint32_t i = 0; i < 128; ++i)
      test.out[i] = 0x3f800000 + i * 0x123;
    auto before = test.out;
    test.expectClean([&](const std::vector<uint32_t> &out) {
      for (uint32_t i = 0; i < 128; ++i)
        ASSERT_EQ(out[i], combine(before[i], filled(i, 1065353216))) << i;
      ASSERT_EQ(out[128], 0xabababab);
    });
  }
}

/// CTAs add to the same place, which is no race.
TEST(Bulk, ReduceFromManyCtas) {
  Case test(fillIn(256) +
            "@!%p1 cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 "
            "[%rd2], [%r2], 256;\n" +
            kCommit + kWaitRead);
  test.grid = 8;
  test.out.assign(64, 0);
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 64; ++i)
      ASSERT_EQ(out[i], 8 * filled(i));
  });
}

/// All four CTAs add to the tile of CTA 0.
TEST(Bulk, ReduceToShared) {
  Case test(fillIn(256, "%r5", "100") + fillIn(256, "%r2", "%r4") +
            "setp.ne.u32 %p5, %r4, 0;\nor.pred %p6, %p5, %p1;\n"
            "@!%p6 mbarrier.arrive.expect_tx.shared.b64 _, [bar], 1024;\n"
            "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
            "mov.u32 %r10, 0;\n"
            "mapa.shared::cluster.u32 %r11, %r5, %r10;\n"
            "mapa.shared::cluster.u32 %r12, %r3, %r10;\n"
            "@!%p1 cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::"
            "complete_tx::bytes.add.u32 [%r11], [%r2], 256, [%r12];\n"
            "@%p5 bra DONE;\n" +
            wait() + copyOut(256, "%r5") +
            "DONE:\n"
            "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n");
  test.cluster = 4;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 64; ++i)
      ASSERT_EQ(out[i], filled(i, 100) + 4 * i * 3 + 6);
  });
}

} // namespace
