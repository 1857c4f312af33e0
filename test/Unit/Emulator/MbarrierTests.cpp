//===- MbarrierTests.cpp - mbarriers, clusters, proxies ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

const char *const kShared = ".shared .align 8 .b64 bar[4];\n"
                            ".shared .align 16 .b32 data[256];\n";

std::string hopper(const std::string &body) {
  std::string text = kernelText(body, ".param .u64 out", kShared);
  return text.replace(text.find("sm_80"), 5, "sm_90");
}

Report run(const std::string &body, std::vector<uint32_t> &out,
           uint32_t threads, AsyncMode mode = AsyncMode::Eager,
           uint64_t seed = 0, uint32_t cluster = 1) {
  auto module = parse(hopper(body));
  if (!module)
    return Report();
  KernelRun kernel(*module, "k");
  kernel.out<uint32_t>(out.size());
  kernel.config.chip = Chip::SM90;
  kernel.config.async = mode;
  kernel.config.seed = seed;
  kernel.config.cluster = {cluster, 1, 1};
  kernel.config.instructionBudget = 1'000'000;
  Report report = kernel.go(cluster, threads);
  out = kernel.result<uint32_t>();
  return report;
}

constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                AsyncMode::Random};

/// Warp 0 writes, arrives; warp 1 waits and reads; eight rounds with a full
/// and an empty barrier. `fullCount` arrivals fill; `wait` is warp 1's loop.
std::string pingPong(const std::string &fullCount, const std::string &arrive,
                     const std::string &emptyWait) {
  return "mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n"
         "@%p0 bra READY;\n"
         "mbarrier.init.shared.b64 [bar], " +
         fullCount +
         ";\nmbarrier.init.shared.b64 [bar+8], 32;\n"
         "fence.mbarrier_init.release.cluster;\n"
         "READY:\nbar.sync 0;\n"
         "mov.u32 %r1, data;\nand.b32 %r2, %r0, 31;\nshl.b32 %r3, %r2, 2;\n"
         "add.u32 %r1, %r1, %r3;\nmov.u32 %r10, 0;\nmov.u32 %r11, 0;\n"
         "setp.ge.u32 %p1, %r0, 32;\n@%p1 bra CONSUMER;\n"
         "PRODUCER:\n"
         "xor.b32 %r12, %r11, 1;\n"
         "WE:\n" +
         emptyWait +
         "mad.lo.u32 %r4, %r10, 100, %r2;\nst.shared.u32 [%r1], %r4;\n" +
         arrive +
         "add.u32 %r10, %r10, 1;\nxor.b32 %r11, %r11, 1;\n"
         "setp.lt.u32 %p3, %r10, 8;\n@%p3 bra PRODUCER;\nret;\n"
         "CONSUMER:\nmov.u32 %r20, 0;\n"
         "AGAIN:\n"
         "WF:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, [bar], %r11;\n"
         "@!%p2 bra WF;\n"
         "ld.shared.u32 %r5, [%r1];\nadd.u32 %r20, %r20, %r5;\n"
         "mbarrier.arrive.shared.b64 _, [bar+8];\n"
         "add.u32 %r10, %r10, 1;\nxor.b32 %r11, %r11, 1;\n"
         "setp.lt.u32 %p3, %r10, 8;\n@%p3 bra AGAIN;\n"
         "ld.param.u64 %rd0, [out];\nmul.wide.u32 %rd1, %r2, 4;\n"
         "add.u64 %rd0, %rd0, %rd1;\nst.global.u32 [%rd0], %r20;\nret;\n";
}

const std::string kEmptyWait =
    "mbarrier.test_wait.parity.shared::cta.b64 %p2, [bar+8], %r12;\n"
    "@!%p2 bra WE;\n";
const std::string kArriveAll = "mbarrier.arrive.shared.b64 %rd5, [bar];\n";
const std::string kArriveOne =
    "setp.eq.u32 %p4, %r2, 0;\n@%p4 mbarrier.arrive.shared.b64 _, [bar];\n";

TEST(Mbarrier, PingPong) {
  for (const std::string &arrive :
       {kArriveAll, "bar.warp.sync -1;\n" + kArriveOne})
    for (AsyncMode mode : kModes)
      for (uint64_t seed = 0; seed < 8; ++seed) {
        std::vector<uint32_t> out(32);
        Report report =
            run(pingPong(arrive == kArriveAll ? "32" : "1", arrive, kEmptyWait),
                out, 64, mode, seed);
        ASSERT_TRUE(report.ok) << issues(report);
        for (unsigned lane = 0; lane < 32; ++lane)
          ASSERT_EQ(out[lane], 8 * lane + 2800);
      }
}

TEST(Mbarrier, MissingWaitIsARace) {
  bool raced = false;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    std::vector<uint32_t> out(32);
    Report report =
        run(pingPong("32", kArriveAll, ""), out, 64, AsyncMode::Eager, seed);
    // A producer that runs ahead ends two phases at once: a deadlock.
    EXPECT_FALSE(report.ok);
    raced |= has(report, IssueKind::Race);
  }
  EXPECT_TRUE(raced);
}

/// One lane's arrival makes known what that lane did, not what the others
/// stored.
TEST(Mbarrier, OneLaneArrivingForAWarpIsARace) {
  std::vector<uint32_t> out(32);
  Report report = run(pingPong("1", kArriveOne, kEmptyWait), out, 64);
  ASSERT_TRUE(has(report, IssueKind::Race)) << issues(report);
  const Issue &issue = report.issues[0];
  EXPECT_NE(issue.text.find("ld.shared.u32"), std::string::npos);
  EXPECT_NE(issue.message.find("of warp 0, lanes 0x00000002"),
            std::string::npos)
      << issue.message;
  EXPECT_NE(issue.otherLine, 0u);
}

TEST(Mbarrier, OverArrival) {
  std::vector<uint32_t> out(32);
  // The last lane counts for the next phase: its store is not known.
  Report report = run(pingPong("31", kArriveAll, kEmptyWait), out, 64);
  EXPECT_TRUE(has(report, IssueKind::Race)) << issues(report);
  report = run("mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n"
               "@%p0 bra END;\nmbarrier.init.shared.b64 [bar], 2;\n"
               "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 16;\n"
               "mbarrier.arrive.shared.b64 _, [bar], 2;\n"
               "mbarrier.arrive.shared.b64 _, [bar];\nEND:\nret;\n",
               out, 32);
  ASSERT_TRUE(has(report, IssueKind::Barrier)) << issues(report);
  EXPECT_NE(report.issues[0].message.find("0 of 2 arrivals and 16 bytes"),
            std::string::npos)
      << report.issues[0].message;
}

TEST(Mbarrier, DeadlockNamesPhaseCountAndBytes) {
  std::vector<uint32_t> out(32);
  Report report =
      run("mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n"
          "@%p0 bra WAIT;\nmbarrier.init.shared.b64 [bar], 1;\n"
          "mbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;\n"
          "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 48;\n"
          "WAIT:\nbar.sync 0;\n"
          "L:\nmbarrier.try_wait.parity.shared.b64 %p1, [bar], 0, 100000;\n"
          "@!%p1 bra L;\nret;\n",
          out, 64);
  ASSERT_TRUE(report.deadlock) << issues(report);
  const std::string &text = report.issues[0].message;
  EXPECT_NE(text.find("phase parity 0, 0 of 1 arrivals and 16 bytes pending"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("warp 1 lanes 0xffffffff"), std::string::npos) << text;
}

TEST(Mbarrier, TokensCountsAndDrops) {
  std::vector<uint32_t> out(8);
  Report report = run(
      "ld.param.u64 %rd0, [out];\n"
      "mbarrier.init.shared.b64 [bar], 5;\n"
      "mbarrier.arrive.noComplete.shared.b64 %rd1, [bar], 2;\n"
      "mbarrier.pending_count.b64 %r1, %rd1;\nst.global.u32 [%rd0], %r1;\n"
      "mbarrier.test_wait.shared.b64 %p0, [bar], %rd1;\n"
      "selp.u32 %r2, 1, 0, %p0;\nst.global.u32 [%rd0+4], %r2;\n"
      // Three are left: one is dropped for good.
      "mbarrier.arrive_drop.shared.b64 %rd2, [bar], 1;\n"
      "mbarrier.pending_count.b64 %r1, %rd2;\nst.global.u32 [%rd0+8], %r1;\n"
      "mbarrier.arrive.shared.b64 %rd3, [bar], 2;\n"
      "mbarrier.test_wait.shared.b64 %p0, [bar], %rd3;\n"
      "selp.u32 %r2, 1, 0, %p0;\nst.global.u32 [%rd0+12], %r2;\n"
      "mbarrier.arrive.shared.b64 %rd4, [bar], 4;\n"
      "mbarrier.pending_count.b64 %r1, %rd4;\nst.global.u32 [%rd0+16], %r1;\n"
      "mbarrier.test_wait.parity.shared.b64 %p0, [bar], 1;\n"
      "selp.u32 %r2, 1, 0, %p0;\nst.global.u32 [%rd0+20], %r2;\n"
      "mbarrier.inval.shared.b64 [bar];\n"
      "mov.u32 %r1, 7;\nst.global.u32 [%rd0+24], %r1;\n"
      "st.global.u32 [%rd0+28], %r1;\nret;\n",
      out, 1);
  ASSERT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(out, (std::vector<uint32_t>{5, 0, 3, 1, 4, 1, 7, 7}));
}

/// Warp 0 copies with cp.async, whose completion arrives; warp 1 reads.
std::string copies(const std::string &count, const std::string &arrive) {
  return "mov.u32 %r0, %tid.x;\nsetp.ne.u32 %p0, %r0, 0;\n"
         "@%p0 bra READY;\nmbarrier.init.shared.b64 [bar], " +
         count +
         ";\nREADY:\nbar.sync 0;\n"
         "mov.u32 %r1, data;\nand.b32 %r2, %r0, 31;\nshl.b32 %r3, %r2, 2;\n"
         "add.u32 %r1, %r1, %r3;\nld.param.u64 %rd0, [out];\n"
         "mul.wide.u32 %rd1, %r2, 4;\nadd.u64 %rd0, %rd0, %rd1;\n"
         "setp.ge.u32 %p1, %r0, 32;\n@%p1 bra CONSUMER;\n"
         "st.global.u32 [%rd0], %r2;\n"
         "cp.async.ca.shared.global [%r1], [%rd0], 4;\n" +
         arrive +
         "ret;\nCONSUMER:\n"
         "L:\nmbarrier.try_wait.parity.shared.b64 %p1, [bar], 0;\n"
         "@!%p1 bra L;\n"
         "ld.shared.u32 %r4, [%r1];\nadd.u32 %r4, %r4, 5;\n"
         "st.global.u32 [%rd0+128], %r4;\nret;\n";
}

TEST(Mbarrier, ArrivalsOfCopies) {
  const std::string plain = "mbarrier.arrive.shared.b64 _, [bar];\n";
  for (AsyncMode mode : kModes)
    for (uint64_t seed = 0; seed < 6; ++seed) {
      for (bool noinc : {false, true}) {
        std::vector<uint32_t> out(64);
        Report report =
            run(copies("32", noinc ? "cp.async.mbarrier.arrive.noinc.shared."
                                     "b64 [bar];\n"
                                   : "cp.async.mbarrier.arrive.shared.b64 "
                                     "[bar];\n" +
                                         plain),
                out, 64, mode, seed);
        ASSERT_TRUE(report.ok) << issues(report);
        for (unsigned i = 0; i < 32; ++i)
          ASSERT_EQ(out[32 + i], i + 5);
      }
      // An ordinary arrival says nothing of copies in flight.
      std::vector<uint32_t> out(64);
      Report report = run(copies("32", plain), out, 64, mode, seed);
      EXPECT_TRUE(has(report, IssueKind::Poisoned)) << issues(report);
    }
}

TEST(Mbarrier, MisuseIsNamed) {
  std::vector<uint32_t> out(1);
  auto message = [&](const std::string &body) {
    Report report = run(body, out, 1);
    return report.issues.empty() ? "" : report.issues[0].message;
  };
  EXPECT_NE(message("mbarrier.arrive.shared.b64 _, [bar];\nret;\n")
                .find("expected an mbarrier that mbarrier.init has made"),
            std::string::npos);
  EXPECT_NE(message("mbarrier.init.shared.b64 [bar], 0;\nret;\n")
                .find("expected 1 to 1048575, got 0"),
            std::string::npos);
  EXPECT_NE(message("mbarrier.init.shared.b64 [bar], 1;\nmov.u64 %rd0, 5;\n"
                    "st.shared.u64 [bar], %rd0;\n"
                    "mbarrier.arrive.shared.b64 _, [bar];\nret;\n")
                .find("was overwritten"),
            std::string::npos);
  EXPECT_NE(message("mbarrier.init.shared.b64 [bar], 2;\n"
                    "mbarrier.arrive.noComplete.shared.b64 %rd1, [bar], 2;\n"
                    "ret;\n")
                .find(".noComplete"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

/// Each CTA writes its rank into its neighbour's shared memory.
std::string neighbours(const std::string &sync) {
  return "mov.u32 %r0, %cluster_ctarank;\nmov.u32 %r1, %cluster_nctarank;\n"
         "mov.u32 %r6, %tid.x;\n"
         "add.u32 %r2, %r0, 1;\nrem.u32 %r2, %r2, %r1;\n"
         "mov.u32 %r3, data;\nmapa.shared::cluster.u32 %r4, %r3, %r2;\n"
         "shl.b32 %r7, %r6, 2;\nadd.u32 %r4, %r4, %r7;\n"
         "add.u32 %r3, %r3, %r7;\n"
         "mad.lo.u32 %r5, %r0, 100, %r6;\n"
         "st.shared::cluster.u32 [%r4], %r5;\n" +
         sync +
         "ld.shared.u32 %r8, [%r3];\n"
         "mad.lo.u32 %r9, %r0, 64, %r6;\nld.param.u64 %rd0, [out];\n"
         "mul.wide.u32 %rd1, %r9, 4;\nadd.u64 %rd0, %rd0, %rd1;\n"
         "st.global.u32 [%rd0], %r8;\nret;\n";
}

const std::string kClusterSync = "barrier.cluster.arrive.release.aligned;\n"
                                 "barrier.cluster.wait.acquire.aligned;\n";

TEST(Cluster, SharedMemoryOfNeighbours) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    std::vector<uint32_t> out(4 * 64);
    Report report =
        run(neighbours(kClusterSync), out, 64, AsyncMode::Eager, seed, 4);
    ASSERT_TRUE(report.ok) << issues(report);
    for (unsigned i = 0; i < 256; ++i)
      ASSERT_EQ(out[i], (i / 64 + 3) % 4 * 100 + i % 64);
  }
}

/// Every CTA sends 64 values (and a sum) to its neighbour, which waits for
/// their bytes.
std::string sending(const std::string &bytes) {
  return "mov.u32 %r0, %cluster_ctarank;\nmov.u32 %r1, %cluster_nctarank;\n"
         "mov.u32 %r6, %tid.x;\nsetp.ne.u32 %p0, %r6, 0;\n"
         "mov.u32 %r10, 0;\n"
         "@%p0 bra READY;\nst.shared.u32 [data+512], %r10;\n"
         "mbarrier.init.shared.b64 [bar], 1;\n"
         "mbarrier.arrive.expect_tx.shared.b64 _, [bar], " +
         bytes + ";\nREADY:\n" + kClusterSync +
         "add.u32 %r2, %r0, 1;\nrem.u32 %r2, %r2, %r1;\n"
         "mov.u32 %r3, data;\nmapa.shared::cluster.u32 %r4, %r3, %r2;\n"
         "mov.u32 %r12, bar;\nmapa.shared::cluster.u32 %r13, %r12, %r2;\n"
         "shl.b32 %r7, %r6, 2;\nadd.u32 %r14, %r4, %r7;\n"
         "add.u32 %r3, %r3, %r7;\nmad.lo.u32 %r5, %r0, 100, %r6;\n"
         "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 "
         "[%r14], %r5, [%r13];\n"
         "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::"
         "bytes.add.u32 [%r4+512], %r6, [%r13];\n"
         "L:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, "
         "[bar], 0;\n@!%p1 bra L;\n"
         "ld.shared.u32 %r8, [%r3];\nld.shared.u32 %r9, [data+512];\n"
         "add.u32 %r8, %r8, %r9;\n"
         "mad.lo.u32 %r9, %r0, 64, %r6;\nld.param.u64 %rd0, [out];\n"
         "mul.wide.u32 %rd1, %r9, 4;\nadd.u64 %rd0, %rd0, %rd1;\n"
         "st.global.u32 [%rd0], %r8;\n" +
         kClusterSync + "ret;\n";
}

TEST(Cluster, AsynchronousStoresAndReductions) {
  for (AsyncMode mode : kModes)
    for (uint64_t seed = 0; seed < 6; ++seed) {
      std::vector<uint32_t> out(4 * 64);
      Report report = run(sending("512"), out, 64, mode, seed, 4);
      ASSERT_TRUE(report.ok) << issues(report);
      for (unsigned i = 0; i < 256; ++i)
        ASSERT_EQ(out[i], (i / 64 + 3) % 4 * 100 + i % 64 + 2016);
      report = run(sending("508"), out, 64, mode, seed, 4);
      EXPECT_FALSE(report.ok);
      report = run(sending("516"), out, 64, mode, seed, 4);
      EXPECT_TRUE(report.deadlock) << issues(report);
    }
}

TEST(Cluster, BarriersOfOneCtaDoNotOrderTheOthers) {
  std::vector<uint32_t> out(4 * 64);
  bool found = false;
  for (uint64_t seed = 0; seed < 8 && !found; ++seed) {
    Report report =
        run(neighbours("bar.sync 0;\n"), out, 64, AsyncMode::Eager, seed, 4);
    found = !report.ok;
  }
  EXPECT_TRUE(found);
}

/// Thread 0 of each CTA initialises a barrier at which all threads of the
/// neighbour arrive; what makes it known to them is `fence` and `sync`.
std::string remoteArrivals(const std::string &fence, const std::string &sync) {
  return "mov.u32 %r0, %cluster_ctarank;\nxor.b32 %r1, %r0, 1;\n"
         "mov.u32 %r2, %tid.x;\nsetp.ne.u32 %p0, %r2, 0;\n"
         "mov.u32 %r3, bar;\nmapa.shared::cluster.u32 %r4, %r3, %r1;\n"
         "@%p0 bra READY;\nmbarrier.init.shared.b64 [bar], 64;\n" +
         fence + "READY:\n" + sync +
         "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r4];\n"
         "L:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, "
         "[bar], 0;\n@!%p1 bra L;\n" +
         kClusterSync + "ret;\n";
}

TEST(Cluster, RelaxedArrivalAfterTheFenceOfInitialisation) {
  const std::string fence = "fence.mbarrier_init.release.cluster;\n",
                    relaxed = "barrier.cluster.arrive.relaxed.aligned;\n"
                              "barrier.cluster.wait.acquire.aligned;\n";
  std::vector<uint32_t> out(4);
  auto go = [&](const std::string &fence, const std::string &sync) {
    return run(remoteArrivals(fence, sync), out, 64, AsyncMode::Eager, 0, 2);
  };
  Report report = go(fence, relaxed);
  EXPECT_TRUE(report.ok) << issues(report);
  EXPECT_TRUE(go("", kClusterSync).ok);
  EXPECT_TRUE(has(go("", relaxed), IssueKind::Race));
  // A write after the fence is not released.
  EXPECT_TRUE(has(go(fence + "st.shared.u32 [data], 1;\n",
                     relaxed + "mov.u32 %r5, data;\n"
                               "mapa.shared::cluster.u32 %r6, %r5, %r1;\n"
                               "ld.shared::cluster.u32 %r7, [%r6];\n"),
                  IssueKind::Race));
}

TEST(Cluster, WaitNeedsArrive) {
  std::vector<uint32_t> out(4);
  Report report = run("barrier.cluster.wait.aligned;\nret;\n", out, 32,
                      AsyncMode::Eager, 0, 2);
  EXPECT_TRUE(has(report, IssueKind::Barrier)) << issues(report);
  report = run("barrier.cluster.arrive.aligned;\n"
               "barrier.cluster.arrive.aligned;\nret;\n",
               out, 32, AsyncMode::Eager, 0, 2);
  EXPECT_TRUE(has(report, IssueKind::Barrier)) << issues(report);
}

TEST(Cluster, MemoryOfAnEndedCta) {
  // CTA 1 ends at once; CTA 0 reads from it.
  std::vector<uint32_t> out(4);
  bool found = false;
  for (uint64_t seed = 0; seed < 16 && !found; ++seed) {
    Report report = run("mov.u32 %r0, %cluster_ctarank;\n"
                        "setp.eq.u32 %p0, %r0, 1;\n@%p0 ret;\n"
                        "mov.u32 %r1, 0;\nL:\nadd.u32 %r1, %r1, 1;\n"
                        "setp.lt.u32 %p1, %r1, 5000;\n@%p1 bra L;\n"
                        "mov.u32 %r3, data;\nmov.u32 %r2, 1;\n"
                        "mapa.shared::cluster.u32 %r4, %r3, %r2;\n"
                        "st.shared::cluster.u32 [%r4], %r1;\nret;\n",
                        out, 32, AsyncMode::Eager, seed, 2);
    found = has(report, IssueKind::OutOfBounds);
  }
  EXPECT_TRUE(found);
}

TEST(Cluster, LaunchIsChecked) {
  auto module = parse(hopper("ret;\n"));
  KernelRun kernel(*module, "k");
  kernel.out<uint32_t>(1);
  kernel.config.cluster = {2, 1, 1};
  EXPECT_NE(kernel.go(2, 32).issues[0].message.find("sm_80"),
            std::string::npos);
  kernel.config.chip = Chip::SM90;
  EXPECT_NE(kernel.go(3, 32).issues[0].message.find("multiple of the cluster"),
            std::string::npos);
  EXPECT_TRUE(kernel.go(4, 32).ok);
}

} // namespace
