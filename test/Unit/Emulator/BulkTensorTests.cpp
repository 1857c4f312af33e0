//===- BulkTensorTests.cpp - Tensor copies ----------------------*- C++ -*-===//
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

TEST(BulkTensor, LoadSwizzledAndOutside) {
  struct {
    int x, y;
  } places[] = {{0, 0}, {32, 8}, {-5, -3}, {60, 30}, {64, 0}, {0, -8}};
  for (auto [x, y] : places) {
    Case test(expect(1024) + tensorLoad(std::to_string(x), std::to_string(y)) +
              wait() + copyOut(1024));
    test.map = inMatrix;
    test.expectClean([&, x = x, y = y](const std::vector<uint32_t> &out) {
      for (int j = 0; j < 8; ++j)
        for (int i = 0; i < 32; ++i) {
          bool inside = x + i >= 0 && x + i < 64 && y + j >= 0 && y + j < 32;
          ASSERT_EQ(out[swizzled(i, j)],
                    inside ? test.in[(y + j) * 64 + x + i] : 0)
              << i << " " << j;
        }
    });
  }
}

TEST(BulkTensor, FillAndRound) {
  Case test(expect(1024) + tensorLoad("48", "0") + wait() + copyOut(1024));
  test.map = [](TensorMapSpec &spec, uint64_t in, uint64_t out) {
    inMatrix(spec, in, out);
    spec.type = TensorMapType::TF32;
    spec.fill = TensorMapFill::NaN;
  };
  for (uint32_t i = 0; i < 2048; ++i)
    test.in[i] = 0x3f800000 + i * 0x777;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 16; ++i) {
      double value = std::bit_cast<float>(test.in[48 + i]);
      uint32_t rounded = encodeFloat(kTF32, value, Round::NearestEven) << 13;
      ASSERT_EQ(out[swizzled(i, 0)], rounded);
      ASSERT_TRUE(std::isnan(std::bit_cast<float>(out[swizzled(16 + i, 0)])));
    }
  });
}

TEST(BulkTensor, StoreAndReduce) {
  struct {
    int x, y;
  } places[] = {{0, 0}, {16, 8}, {-4, -5}, {50, 12}};
  for (auto [x, y] : places)
    for (std::string op : {"", ".add", ".max"}) {
      SCOPED_TRACE(op);
      Case test(fillIn(1024) +
                tensorStore(std::to_string(x), std::to_string(y), op) +
                kCommit + kWaitRead);
      test.map = outMatrix;
      for (uint32_t i = 0; i < 1024; ++i)
        test.out[i] = i ^ 0x155;
      auto before = test.out;
      test.expectClean([&, x = x, y = y](const std::vector<uint32_t> &out) {
        for (int j = 0; j < 16; ++j)
          for (int i = 0; i < 64; ++i) {
            uint32_t want = before[j * 64 + i];
            if (i >= x && i < x + 32 && j >= y && j < y + 8) {
              uint32_t value = filled(swizzled(i - x, j - y));
              want = op == ".add"   ? want + value
                     : op == ".max" ? std::max(want, value)
                                    : value;
            }
            ASSERT_EQ(out[j * 64 + i], want) << i << " " << j;
          }
      });
    }
}

/// The parts of a box outside the tensor need not be written to be stored.
TEST(BulkTensor, StoreReadsOnlyWhatExists) {
  Case test(fillIn(512) + tensorStore("0", "12") + kCommit + kWaitRead);
  test.map = outMatrix;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    ASSERT_EQ(out[12 * 64], filled(0));
  });
  Case inside(fillIn(512) + tensorStore("0", "8") + kCommit + kWaitRead);
  inside.map = outMatrix;
  inside.expectIssue(AsyncMode::Eager, IssueKind::Uninitialised,
                     "which nobody has written");
}

TEST(BulkTensor, EveryRank) {
  for (unsigned rank = 1; rank <= 5; ++rank) {
    SCOPED_TRACE(rank);
    std::string at = "{4";
    for (unsigned i = 1; i < rank; ++i)
      at += ", 1";
    at += "}";
    std::string dimension = std::to_string(rank) + "d";
    Case test(
        expect(8u << (rank + 1)) + "@!%p1 cp.async.bulk.tensor." + dimension +
        ".shared::cta.global.mbarrier::complete_tx::bytes [%r2], "
        "[%rd3, " +
        at + "], [%r3];\n" + wait() + copyOut(8u << (rank + 1)) +
        "cp.async.bulk.prefetch.tensor." + dimension +
        ".L2.global.tile [%rd3, " + at + "];\nprefetch.tensormap [%rd3];\n");
    test.map = [rank](TensorMapSpec &spec, uint64_t in, uint64_t) {
      spec.type = TensorMapType::S32;
      spec.rank = rank;
      spec.address = in;
      spec.dims = {8, 4, 3, 3, 3};
      spec.setDenseStrides();
      spec.box = {8, 2, 2, 2, 2};
    };
    test.expectClean([&](const std::vector<uint32_t> &out) {
      for (uint32_t i = 0; i < 4u << rank; ++i) {
        uint32_t x = 4 + i % 8, strides[] = {8, 32, 96, 288}, from = x;
        bool inside = x < 8;
        for (unsigned d = 1; d < rank; ++d) {
          uint32_t c = 1 + (i >> (2 + d) & 1);
          inside = inside && c < (d == 1 ? 4u : 3u);
          from += c * strides[d - 1];
        }
        ASSERT_EQ(out[i], inside ? test.in[from] : 0) << i;
      }
    });
  }
}

TEST(BulkTensor, ElementStrides) {
  Case test(expect(512) + tensorLoad("0", "1") + wait() + copyOut(512));
  test.map = [](TensorMapSpec &spec, uint64_t in, uint64_t out) {
    inMatrix(spec, in, out);
    spec.box[1] = 8;
    spec.elementStrides = {1, 2, 1, 1, 1};
  };
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t j = 0; j < 4; ++j)
      for (uint32_t i = 0; i < 32; ++i)
        ASSERT_EQ(out[swizzled(i, j)], test.in[(1 + 2 * j) * 64 + i]);
  });
}

/// Each of two CTAs loads half of the tile for both.
TEST(BulkTensor, Multicast) {
  Case test(
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n" +
      expect(2048) +
      "shl.b32 %r10, %r4, 10;\nadd.u32 %r10, %r10, %r2;\n"
      "shl.b32 %r11, %r4, 3;\nmov.b16 %h1, 3;\n"
      "@!%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
      "complete_tx::bytes.multicast::cluster [%r10], [%rd3, {0, %r11}], [%r3], "
      "%h1;\n" +
      wait() + "mad.wide.u32 %rd2, %r4, 2048, %rd2;\n" + copyOut(2048) +
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n");
  test.cluster = 2;
  test.map = inMatrix;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t cta = 0; cta < 2; ++cta)
      for (uint32_t j = 0; j < 16; ++j)
        for (uint32_t i = 0; i < 32; ++i)
          ASSERT_EQ(out[cta * 512 + swizzled(i, j)], test.in[j * 64 + i]);
  });
}

/// With .cta_group::2 both CTAs of a pair may count on one mbarrier.
TEST(BulkTensor, PairOnOneMbarrier) {
  Case test(
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
      "setp.ne.u32 %p5, %r4, 0;\nor.pred %p6, %p5, %p1;\n"
      "@!%p6 mbarrier.arrive.expect_tx.shared.b64 _, [bar], 2048;\n"
      "and.b32 %r12, %r3, 0xfeffffff;\nshl.b32 %r11, %r4, 3;\n"
      "@!%p1 cp.async.bulk.tensor.2d.cta_group::2.shared::cluster.global.tile."
      "mbarrier::complete_tx::bytes [%r2], [%rd3, {0, %r11}], [%r12];\n"
      "WAITPAIR:\n"
      "@!%p5 mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0;\n"
      "@%p5 setp.eq.u32 %p2, %r3, %r3;\n@!%p2 bra WAITPAIR;\n"
      "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
      "mad.wide.u32 %rd2, %r4, 1024, %rd2;\n" +
      copyOut(1024));
  test.cluster = 2;
  test.chip = Chip::SM100;
  test.map = inMatrix;
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t j = 0; j < 16; ++j)
      for (uint32_t i = 0; i < 32; ++i)
        ASSERT_EQ(out[j / 8 * 256 + swizzled(i, j % 8)], test.in[j * 64 + i]);
  });
}

/// A tensor map may lie in global memory too.
TEST(BulkTensor, MapInGlobalMemory) {
  Case test("add.s64 %rd3, %rd1, 4096;\n" + expect(1024) +
            tensorLoad("0", "0") + wait() + copyOut(1024));
  TensorMapSpec spec;
  // The first buffer of a device has a fixed address.
  Device device;
  uint64_t in = device.allocate("arg0", 8192, Contents::Zero);
  inMatrix(spec, in, 0);
  std::string error;
  auto map = encodeTensorMap(spec, error);
  ASSERT_TRUE(map) << error;
  std::memcpy(&test.in[1024], &*map, 128);
  test.expectClean([&](const std::vector<uint32_t> &out) {
    ASSERT_EQ(out[swizzled(5, 3)], test.in[3 * 64 + 5]);
  });
}

/// A kernel that makes its own map: replaces every field of one in shared
/// memory, copies it to global memory and loads with it.
TEST(BulkTensor, ReplacedMap) {
  std::string replace;
  for (auto [field, operands] :
       {std::pair("global_address.shared::cta.b1024.b64", "%rd9"),
        std::pair("rank.shared::cta.b1024.b32", "1"),
        std::pair("box_dim.shared::cta.b1024.b32", "0, 32"),
        std::pair("box_dim.shared::cta.b1024.b32", "1, %r20"),
        std::pair("global_dim.shared::cta.b1024.b32", "0, 24"),
        std::pair("global_dim.shared::cta.b1024.b32", "1, %r20"),
        std::pair("global_stride.shared::cta.b1024.b64", "0, 512"),
        std::pair("element_stride.shared::cta.b1024.b32", "1, 1"),
        std::pair("elemtype.shared::cta.b1024.b32", "7"),
        std::pair("interleave_layout.shared::cta.b1024.b32", "0"),
        std::pair("swizzle_mode.shared::cta.b1024.b32", "3"),
        std::pair("fill_mode.shared::cta.b1024.b32", "1")})
    replace += std::string("@!%p1 tensormap.replace.tile.") + field +
               " [%r5], " + operands + ";\n";
  Case test("setp.lt.u32 %p4, %r1, 16;\nmov.u32 %r20, 4;\n"
            "mad.wide.u32 %rd8, %r1, 8, %rd3;\nadd.s64 %rd9, %rd1, 4096;\n"
            "mad.lo.u32 %r21, %r1, 8, %r5;\n"
            "@%p4 ld.b64 %rd10, [%rd8];\n@%p4 st.shared.b64 [%r21], %rd10;\n"
            "bar.sync 0;\n" +
            replace +
            "bar.sync 0;\nsetp.lt.u32 %p5, %r1, 32;\n@!%p5 bra COPIED;\n"
            "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic."
            "release.gpu.sync.aligned [%rd2], [%r5], 128;\n"
            "fence.proxy.tensormap::generic.acquire.gpu [%rd2], 128;\n"
            "COPIED:\nmov.b64 %rd3, %rd2;\n" +
            expect(512) + tensorLoad("0", "0") + wait() +
            "add.s64 %rd2, %rd2, 256;\n" + copyOut(512));
  test.map = [](TensorMapSpec &spec, uint64_t in, uint64_t) {
    spec.type = TensorMapType::U8;
    spec.rank = 1;
    spec.address = in;
    spec.dims = {16};
    spec.box = {16};
  };
  test.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t j = 0; j < 4; ++j)
      for (uint32_t i = 0; i < 32; ++i)
        ASSERT_EQ(out[64 + swizzled(i, j)],
                  i < 24 ? test.in[1024 + j * 128 + i] : 0x7fffffffu);
  });
  // Without the rank, what the instruction reads is of another rank.
  Case wrong = test;
  wrong.body.erase(wrong.body.find("@!%p1 tensormap.replace.tile.rank"),
                   std::string("@!%p1 tensormap.replace.tile.rank.shared::cta."
                               "b1024.b32 [%r5], 1;\n")
                       .size());
  wrong.expectIssue(AsyncMode::Eager, IssueKind::Launch, "got 1");
}

} // namespace
