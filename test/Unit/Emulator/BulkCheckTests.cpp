//===- BulkCheckTests.cpp - Bulk groups, misuse of copies -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BulkHarness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// wait_group 1 leaves the second store alone, whose source is then reused.
TEST(BulkGroup, OlderGroupsOnly) {
  std::string twoStores =
      fillIn(512) + fillIn(512, "%r5", "9") + kStore + kCommit +
      "@!%p1 cp.async.bulk.global.shared::cta.bulk_group [%rd2+1024], [%r5], "
      "512;\n" +
      kCommit + "@!%p1 cp.async.bulk.wait_group.read 1;\n";
  Case first(twoStores + "@!%p1 st.shared.b32 [%r2], %r1;\n" + kWait);
  first.expectClean([&](const std::vector<uint32_t> &out) {
    ASSERT_EQ(out[4], filled(0));
    ASSERT_EQ(out[256], filled(0, 9));
  });
  Case second(twoStores + "@!%p1 st.shared.b32 [%r5], %r1;\n" + kWait);
  for (AsyncMode mode : kModes)
    second.expectIssue(mode, IssueKind::Race, "may still read");
}

/// An operation joins no group before commit_group.
TEST(BulkGroup, UncommittedIsNotWaitedFor) {
  Case test(fillIn(512) + kStore + kWait + "@!%p1 st.shared.b32 [%r2], %r1;\n");
  for (AsyncMode mode : kModes)
    test.expectIssue(mode, IssueKind::Race, "may still read");
}

/// Groups are those of a lane: another lane's wait does nothing.
TEST(BulkGroup, OfTheIssuingLane) {
  Case test(fillIn(512) + kStore + kCommit +
            "setp.eq.u32 %p4, %r1, 1;\n"
            "@%p4 cp.async.bulk.wait_group.read 0;\nbar.sync 0;\n"
            "st.shared.b32 [%r2], %r1;\n");
  test.expectIssue(AsyncMode::Lazy, IssueKind::Race, "may still read");
}

/// wait_group.read promises nothing about the destination.
TEST(BulkGroup, ReadWaitDoesNotWrite) {
  std::string body = fillIn(512) + kStore + kCommit + "%s" +
                     "ld.global.b32 %r10, [%rd2+16];\n"
                     "@!%p1 st.global.b32 [%rd2+2048], %r10;\n" +
                     kWait;
  auto with = [&](const std::string &waits) {
    std::string text = body;
    Case test(text.replace(text.find("%s"), 2, waits));
    Report report = test.run(AsyncMode::Lazy);
    return test.out[512];
  };
  EXPECT_EQ(with(kWait + "bar.sync 0;\n"), filled(0));
  EXPECT_EQ(with(kWaitRead + "bar.sync 0;\n"), 0xababababu);
}

//===----------------------------------------------------------------------===//
// What is wrong
//===----------------------------------------------------------------------===//

TEST(BulkCheck, MissingWait) {
  Case test(expect(1024) + kLoad + "bar.sync 0;\n" + copyOut(1024) +
            "bar.sync 0;\n" + wait());
  for (AsyncMode mode : {AsyncMode::Eager, AsyncMode::Lazy})
    test.expectIssue(
        mode, mode == AsyncMode::Lazy ? IssueKind::Poisoned : IssueKind::Race,
        "ld.shared");
  // What was read is no number either.
  Report report = test.run(AsyncMode::Lazy);
  EXPECT_EQ(test.out[0], 0xffffffffu);
}

TEST(BulkCheck, MissingProxyFence) {
  std::string fill = fillIn(512);
  fill.erase(fill.find("fence.proxy.async;\n"), 19);
  Case test(fill + kStore + kCommit + kWait);
  for (AsyncMode mode : kModes)
    test.expectIssue(mode, IssueKind::Race, "fence.proxy.async");
}

TEST(BulkCheck, LanesThatStoreToOnePlace) {
  auto stores = [](const std::string &source) {
    return fillIn(1024) + "setp.lt.u32 %p3, %r1, 32;\n" + source +
           "@%p3 cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r9], "
           "16;\n@%p3 cp.async.bulk.commit_group;\n"
           "@%p3 cp.async.bulk.wait_group 0;\n";
  };
  // The same bytes: as good as one store.
  Case same(stores("mov.u32 %r9, %r2;\n"));
  same.expectClean([&](const std::vector<uint32_t> &out) {
    for (uint32_t i = 0; i < 4; ++i)
      ASSERT_EQ(out[i], filled(i));
  });
  Case different(stores("mad.lo.u32 %r9, %r1, 16, %r2;\n"));
  for (AsyncMode mode : kModes)
    different.expectIssue(mode, IssueKind::Race, "unordered with the write");
}

TEST(BulkCheck, SourceReusedBeforeReadWait) {
  Case test(fillIn(512) + kStore + kCommit + fillIn(512, "%r2", "8") + kWait);
  for (AsyncMode mode : kModes)
    test.expectIssue(mode, IssueKind::Race, "may still read");
  Report report = test.run(AsyncMode::Lazy);
  EXPECT_EQ(test.out[4], filled(0, 8));
}

TEST(BulkCheck, WrongByteCountsAreDeadlocks) {
  for (uint32_t bytes : {1008u, 1040u}) {
    Case test(expect(bytes) + kLoad + wait() + copyOut(1024));
    for (AsyncMode mode : kModes)
      test.expectIssue(mode, IssueKind::Deadlock, "bytes pending");
  }
  // Nothing in flight can end the phase, and the report says what is.
  Case other(expect(1024) +
             "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
             "::bytes [%r2], [%rd1], 1024, [bar+8];\n" +
             wait());
  other.expectIssue(AsyncMode::Lazy, IssueKind::Deadlock,
                    "copy of 1024 bytes in flight, line ");
}

TEST(BulkCheck, EndsWithCopiesInFlight) {
  Case store(fillIn(512) + kStore + kCommit);
  for (AsyncMode mode : kModes)
    store.expectIssue(mode, IssueKind::Race,
                      "the CTA ends while this copy may still read");
  Case load(expect(1024) + kLoad);
  load.expectIssue(AsyncMode::Lazy, IssueKind::Race,
                   "a CTA ends while this copy may still write");
}

TEST(BulkCheck, Misaligned) {
  auto with = [](const std::string &to, const std::string &from,
                 const std::string &size, const std::string &bar,
                 const std::string &message) {
    Case test("mov.u32 %r10, 72;\n" + expect(1024) +
              "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
              "::bytes [" +
              to + "], [" + from + "], " + size + ", [" + bar + "];\n");
    test.expectIssue(AsyncMode::Eager, IssueKind::Misaligned, message);
  };
  with("%r2+8", "%rd1", "64", "%r3",
       "destination: expected a multiple of 16, got shared address ");
  with("%r2", "%rd1+4", "64", "%r3", "source: expected a multiple of 16");
  with("%r2", "%rd1", "%r10", "%r3",
       "size: expected a multiple of 16 bytes, got 72");
  with("%r2", "%rd1", "64", "%r3+4", "mbarrier: expected a multiple of 8");
  Case tensor(expect(1024) +
              "@!%p1 cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::"
              "complete_tx::bytes [%r2+64], [%rd3, {0, 0}], [%r3];\n");
  tensor.map = inMatrix;
  tensor.expectIssue(AsyncMode::Eager, IssueKind::Misaligned,
                     "shared address: expected a multiple of 128");
}

TEST(BulkCheck, OutOfBounds) {
  Case past(expect(1024) +
            "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
            "::bytes [%r2], [%rd1+8000], 1024, [%r3];\n");
  past.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds,
                   "0 bytes past the end of buffer 'arg0'");
  Case shared("@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
              "::bytes [other+2048], [%rd1], 4096, [%r3];\n");
  shared.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds,
                     "expected to stay within");
  // A tensor map larger than its buffer.
  Case tensor(expect(1024) + tensorLoad("0", "0") + wait());
  tensor.map = [](TensorMapSpec &spec, uint64_t in, uint64_t out) {
    inMatrix(spec, in, out);
    spec.strides[0] = 4096;
  };
  tensor.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds, "buffer 'arg0'");
  Case mask(expect(1024) + "mov.b16 %h1, 2;\n" +
            "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
            "bytes.multicast::cluster [%r2], [%rd1], 1024, [%r3], %h1;\n");
  mask.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds,
                   "CTA mask: expected CTAs of a cluster of 1, got mask 2");
}

TEST(BulkCheck, UninitialisedGlobal) {
  Case test(expect(1024) +
            "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx"
            "::bytes [%r2], [%rd2], 1024, [%r3];\n" +
            wait());
  test.outUninitialised = true;
  test.expectIssue(AsyncMode::Lazy, IssueKind::Uninitialised,
                   "copies byte 0 of buffer 'arg1'");
}

/// A reduction needs what it combines with, and after whoever wrote it.
TEST(BulkCheck, ReduceIntoWhat) {
  std::string reduce =
      "@!%p1 cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 "
      "[%rd2], [%r2], 256;\n" +
      kCommit + kWait;
  Case nothing(fillIn(256) + reduce);
  nothing.outUninitialised = true;
  nothing.expectIssue(AsyncMode::Lazy, IssueKind::Uninitialised,
                      "adds to byte 0 of buffer 'arg1'");
  std::string zero = "mad.wide.u32 %rd8, %r1, 4, %rd2;\n"
                     "st.global.b32 [%rd8], 0;\n";
  Case ordered(zero + fillIn(256) + reduce);
  ordered.expectClean([&](const std::vector<uint32_t> &out) {
    ASSERT_EQ(out[63], filled(63));
  });
  Case unordered(fillIn(256) + zero + reduce);
  unordered.expectIssue(AsyncMode::Eager, IssueKind::Race,
                        "unordered with the write");
}

TEST(BulkCheck, TensorMaps) {
  Case garbage(tensorLoad("0", "0"));
  garbage.expectIssue(AsyncMode::Eager, IssueKind::Launch,
                      "tensor map: expected 128 bytes made by encodeTensorMap");
  Case rank("@!%p1 cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::"
            "complete_tx::bytes [%r2], [%rd3, {0}], [%r3];\n");
  rank.map = inMatrix;
  rank.expectIssue(AsyncMode::Eager, IssueKind::Launch,
                   "tensor map: expected rank 1 as the instruction, got 2");
  Case narrow(tensorLoad("0", "0"));
  narrow.map = [](TensorMapSpec &spec, uint64_t in, uint64_t out) {
    inMatrix(spec, in, out);
    spec.box[0] = 16;
  };
  narrow.expectIssue(AsyncMode::Eager, IssueKind::Unsupported,
                     "expected rows of 128 bytes, the swizzle's span, got 64");
  Case reduce(fillIn(1024) + tensorStore("0", "0", ".and") + kCommit + kWait);
  reduce.map = [](TensorMapSpec &spec, uint64_t in, uint64_t out) {
    outMatrix(spec, in, out);
    spec.type = TensorMapType::F32;
  };
  reduce.expectIssue(AsyncMode::Eager, IssueKind::Unsupported,
                     "the reduction does not exist for elements of type f32");
  Case shared("mov.u32 %r10, tile;\ncvt.u64.u32 %rd3, %r10;\n"
              "cvta.shared.u64 %rd3, %rd3;\n" +
              tensorLoad("0", "0"));
  shared.expectIssue(AsyncMode::Eager, IssueKind::OutOfBounds,
                     "tensor map: expected an address in parameter, constant "
                     "or global memory");
}

TEST(BulkCheck, MbarrierOfAnotherCta) {
  Case test("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"
            "mov.u32 %r10, 1;\nmapa.shared::cluster.u32 %r11, %r3, %r10;\n"
            "setp.ne.u32 %p5, %r4, 0;\nor.pred %p5, %p5, %p1;\n"
            "@!%p5 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
            "bytes [%r2], [%rd1], 1024, [%r11];\n"
            "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n");
  test.cluster = 2;
  test.expectIssue(AsyncMode::Eager, IssueKind::Barrier,
                   "mbarrier: expected it in the CTA of the destination, rank "
                   "0, got rank 1");
}

TEST(BulkCheck, RacesBetweenCtas) {
  // Two CTAs store to one place, which nothing orders.
  Case store(fillIn(512) + kStore + kCommit + kWait);
  store.grid = 2;
  store.expectIssue(AsyncMode::Eager, IssueKind::Race,
                    "nothing in this kernel orders CTAs");
  // One loads what the other writes.
  Case load("mov.u32 %r10, %ctaid.x;\nsetp.eq.u32 %p4, %r10, 1;\n"
            "and.pred %p4, %p4, !%p1;\n@%p4 st.global.b32 [%rd1+64], %r1;\n" +
            expect(1024) + kLoad + wait());
  load.body.replace(load.body.find("and.pred %p4, %p4, !%p1;\n"), 25, "");
  load.grid = 2;
  load.expectIssue(AsyncMode::Eager, IssueKind::Race,
                   "nothing in this kernel orders CTAs");
}

TEST(BulkCheck, Counters) {
  Case test(fillIn(1024) + tensorStore("0", "0") + kCommit + kWaitRead +
            expect(1024) + kLoad + wait());
  test.map = outMatrix;
  test.counters = true;
  // The tile is read by a store that has read it: loading it is fine.
  Report report = test.run(AsyncMode::Eager);
  ASSERT_TRUE(report.ok) << issues(report);
  for (const LineCounters &line : report.counters.lines) {
    if (line.text.find("tensor.2d.global") != std::string::npos) {
      EXPECT_EQ(line.counts.bytesStored[unsigned(Space::Global)], 1024u);
      EXPECT_EQ(line.counts.bytesLoaded[unsigned(Space::Shared)], 1024u);
      EXPECT_EQ(line.counts.globalSectors, 32u);
      EXPECT_EQ(line.counts.globalSectorsIdeal, 32u);
    } else if (line.text.find("bulk.shared::cluster") != std::string::npos) {
      EXPECT_EQ(line.counts.bytesLoaded[unsigned(Space::Global)], 1024u);
      EXPECT_EQ(line.counts.bytesStored[unsigned(Space::Shared)], 1024u);
      EXPECT_EQ(line.counts.globalSectors, 32u);
    }
  }
  EXPECT_EQ(report.counters.total.bytesLoaded[unsigned(Space::Global)], 1024u);
}

TEST(BulkDecode, Refusals) {
  static const std::pair<const char *, const char *> cases[] = {
      {"cp.async.bulk.tensor.2d.shared::cluster.global.tile::gather4.mbarrier::"
       "complete_tx::bytes [%r2], [%rd3, {0, 0, 0, 0, 0}], [%r3];",
       "only .tile tensor copies are supported, not .tile::gather4"},
      {"cp.async.bulk.tensor.3d.shared::cluster.global.im2col.mbarrier::"
       "complete_tx::bytes [%r2], [%rd3, {0, 0, 0}], [%r3], {%h1};",
       "only .tile tensor copies are supported, not .im2col"},
      {"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::"
       "bytes [%r2], [%rd3, {0}], [%r3];",
       "coordinates: expected 2, got 1"},
      {"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::"
       "bytes [%r2], [%rd3], [%r3];",
       "expected a tensor [map, {coordinates}]"},
      {"cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::"
       "bytes [%r2], [%rd3+64, {0}], [%r3];",
       "tensor map: expected an address without an offset"},
      {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
       "[%r2, {0}], [%rd1], 16, [%r3];",
       "operand 1: expected an address [...]"},
      {"cp.async.bulk.tensor.6d.shared::cluster.global.mbarrier::complete_tx::"
       "bytes [%r2], [%rd3, {0}], [%r3];",
       "expected .1d, .2d, .3d, .4d or .5d"},
      {"cp.async.bulk.shared::cluster.global.bulk_group [%r2], [%rd1], 16;",
       "expected .mbarrier::complete_tx::bytes"},
      {"cp.async.bulk.global.shared::cta.mbarrier::complete_tx::bytes [%rd2], "
       "[%r2], 16, [%r3];",
       "expected .bulk_group"},
      {"cp.async.bulk.shared::cta.shared::cta.mbarrier::complete_tx::bytes "
       "[%r2], [%r2], 16, [%r3];",
       "expected .shared::cluster.global"},
      {"cp.reduce.async.bulk.global.shared::cta.bulk_group.mul.u32 [%rd2], "
       "[%r2], 16;",
       "reduction: expected .add"},
      {"cp.reduce.async.bulk.global.shared::cta.bulk_group.min.f32 [%rd2], "
       "[%r2], 16;",
       "does not exist for this type"},
      {"cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f16 [%rd2], "
       "[%r2], 16;",
       "does not exist for this type"},
      {"cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx"
       "::bytes.max.u64 [%r2], [%r2], 16, [%r3];",
       "does not exist for this type"},
      {"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
       "[%r2], [%rd1], 16;",
       "expected 4 operands, got 3"},
      {"cp.async.bulk.wait_group %r1;", "expected an integer constant"},
  };
  for (auto [instruction, message] : cases) {
    Diagnostic error;
    Case test(std::string(instruction) + "\n");
    EXPECT_FALSE(Module::parse(test.text(), error)) << instruction;
    EXPECT_NE(error.message.find(message), std::string::npos) << error.str();
    EXPECT_NE(error.text.find("cp."), std::string::npos) << error.str();
  }
}

} // namespace
