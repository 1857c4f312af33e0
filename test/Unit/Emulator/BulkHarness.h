//===- BulkHarness.h - Kernels of bulk and tensor copies --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels start with thread 0 elected (%p1 is false there) and two mbarriers of
// one arrival.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_BULKHARNESS_H
#define FLASH_TEST_UNIT_EMULATOR_BULKHARNESS_H

#include "Harness.h"
#include "flash/Emulator/TensorMap.h"

#include <functional>

namespace flash::emu::test {

constexpr AsyncMode kModes[] = {AsyncMode::Eager, AsyncMode::Lazy,
                                AsyncMode::Random};
constexpr uint32_t kThreads = 64;

/// %rd1 in, %rd2 out, %rd3 the tensor map, %r1 thread, %r2 tile (4 KiB),
/// %r3 mbarriers, %r4 CTA rank, %r5 second tile.
inline const std::string kPrologue = R"(
.shared .align 1024 .b8 tile[4096];
.shared .align 1024 .b8 other[4096];
.shared .align 8 .b64 bar[4];
ld.param.u64 %rd1, [in];
ld.param.u64 %rd2, [out];
mov.b64 %rd3, map;
cvta.param.u64 %rd3, %rd3;
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mov.u32 %r3, bar;
mov.u32 %r5, other;
mov.u32 %r4, %cluster_ctarank;
setp.ne.u32 %p1, %r1, 0;
@%p1 bra INITED;
mbarrier.init.shared.b64 [bar], 1;
mbarrier.init.shared.b64 [bar+8], 1;
fence.mbarrier_init.release.cluster;
INITED:
bar.sync 0;
)";

/// Thread 0 expects the bytes on mbarrier 0.
inline std::string expect(uint32_t bytes) {
  return "@!%p1 mbarrier.arrive.expect_tx.shared.b64 _, [bar], " +
         std::to_string(bytes) + ";\n";
}

/// All threads wait for phase `parity` of the mbarrier at `where`.
inline std::string wait(const std::string &where = "bar", unsigned parity = 0) {
  static unsigned number = 0;
  std::string label = "WAIT" + std::to_string(number++);
  return label + ":\nmbarrier.try_wait.parity.shared.b64 %p2, [" + where +
         "], " + std::to_string(parity) + ";\n@!%p2 bra " + label + ";\n";
}

/// The threads copy `bytes` (a multiple of 4) from shared `from` to `out`.
inline std::string copyOut(uint32_t bytes, const std::string &from = "%r2") {
  static unsigned number = 0;
  std::string label = "OUT" + std::to_string(number++);
  return "shl.b32 %r30, %r1, 2;\n" + label + ":\nadd.s32 %r31, %r30, " + from +
         ";\ncvt.u64.u32 %rd15, %r30;\nadd.s64 %rd16, %rd2, %rd15;\n"
         "setp.lt.u32 %p3, %r30, " +
         std::to_string(bytes) +
         ";\n@%p3 ld.shared.b32 %r32, [%r31];\n@%p3 st.global.b32 [%rd16], "
         "%r32;\nadd.s32 %r30, %r30, 256;\n@%p3 bra " +
         label + ";\n";
}

/// The threads fill `bytes` of shared `to`: word i is i * 3 + `add`.
inline std::string fillIn(uint32_t bytes, const std::string &to = "%r2",
                          const std::string &add = "7") {
  static unsigned number = 0;
  std::string label = "FILL" + std::to_string(number++);
  return "mov.u32 %r33, %r1;\n" + label + ":\nmad.lo.s32 %r34, %r33, 3, " +
         add + ";\nmad.lo.s32 %r35, %r33, " + "4, " + to +
         ";\nsetp.lt.u32 %p3, %r33, " + std::to_string(bytes / 4) +
         ";\n@%p3 st.shared.b32 [%r35], %r34;\nadd.s32 %r33, %r33, 64;\n"
         "@%p3 bra " +
         label + ";\nfence.proxy.async;\nbar.sync 0;\n";
}

/// What a kernel runs on.
struct Case {
  std::string body;
  std::vector<uint32_t> in = std::vector<uint32_t>(2048);
  std::vector<uint32_t> out; ///< Before; and after it ran.
  std::function<void(TensorMapSpec &, uint64_t in, uint64_t out)> map;
  uint32_t cluster = 1;
  uint32_t grid = 0; ///< 0: one cluster.
  bool counters = false;
  bool outUninitialised = false;
  Chip chip = Chip::SM90;

  explicit Case(std::string body, size_t outWords = 1024)
      : body(std::move(body)), out(outWords, 0xabababab) {
    for (size_t i = 0; i < in.size(); ++i)
      in[i] = uint32_t(i * 2654435761u);
  }

  std::string text() const {
    std::string ptx = kernelText(
        kPrologue + body + "ret;",
        ".param .u64 in, .param .u64 out, .param .align 64 .b8 map[128]");
    std::string target =
        chip == Chip::SM90 ? "8.6\n.target sm_90a" : "8.8\n.target sm_100a";
    size_t at = ptx.find("8.0\n.target sm_80");
    return ptx.replace(at, 17, target);
  }

  Report run(AsyncMode mode, uint64_t seed = 0) {
    auto module = parse(text());
    if (!module)
      return Report();
    KernelRun kernel(*module, "k");
    kernel.in(in);
    if (outUninitialised)
      kernel.out<uint32_t>(out.size());
    else
      kernel.in(out);
    uint64_t inAt = kernel.device.address("arg0");
    uint64_t outAt = kernel.device.address("arg1");
    TensorMap tensorMap;
    tensorMap.magic = 0;
    if (map) {
      TensorMapSpec spec;
      map(spec, inAt, outAt);
      std::string error;
      auto encoded = encodeTensorMap(spec, error);
      EXPECT_TRUE(encoded) << error;
      if (encoded)
        tensorMap = *encoded;
    }
    kernel.value(tensorMap);
    kernel.config.chip = chip;
    kernel.config.async = mode;
    kernel.config.seed = seed;
    kernel.config.cluster = {cluster, 1, 1};
    kernel.config.counters = counters;
    kernel.config.instructionBudget = 1'000'000;
    Report report = kernel.go(grid ? grid : cluster, kThreads);
    auto bytes = kernel.device.bytes(outAt);
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return report;
  }

  /// Runs in every mode, each time from the same start; `check` looks at out.
  void expectClean(
      const std::function<void(const std::vector<uint32_t> &)> &check) const {
    for (AsyncMode mode : kModes)
      for (uint64_t seed = 0; seed < (mode == AsyncMode::Random ? 6u : 2u);
           ++seed) {
        SCOPED_TRACE(testing::Message()
                     << "mode " << int(mode) << " seed " << seed);
        Case copy = *this;
        Report report = copy.run(mode, seed);
        ASSERT_TRUE(report.ok) << issues(report);
        check(copy.out);
      }
  }

  /// Reports an issue of that kind whose text has `message` in `mode`.
  void expectIssue(AsyncMode mode, IssueKind kind,
                   const std::string &message) const {
    SCOPED_TRACE(testing::Message() << "mode " << int(mode));
    Case copy = *this;
    Report report = copy.run(mode);
    ASSERT_FALSE(report.ok);
    EXPECT_TRUE(has(report, kind)) << issues(report);
    EXPECT_NE(issues(report).find(message), std::string::npos)
        << issues(report);
  }
};

inline const std::string kLoad =
    "@!%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
    "[%r2], [%rd1+64], 1024, [%r3];\n";
inline const std::string kCommit = "@!%p1 cp.async.bulk.commit_group;\n";
inline const std::string kWaitRead = "@!%p1 cp.async.bulk.wait_group.read 0;\n";
inline const std::string kWait = "@!%p1 cp.async.bulk.wait_group 0;\n";
inline const std::string kStore =
    "@!%p1 cp.async.bulk.global.shared::cta.bulk_group [%rd2+16], [%r2], "
    "512;\n";

/// Words of fillIn.
inline uint32_t filled(uint32_t i, uint32_t add = 7) { return i * 3 + add; }

/// A matrix of 64 x 32 words over `in`.
inline void inMatrix(TensorMapSpec &spec, uint64_t in, uint64_t) {
  spec.type = TensorMapType::U32;
  spec.rank = 2;
  spec.address = in;
  spec.dims = {64, 32};
  spec.setDenseStrides();
  spec.box = {32, 8};
  spec.swizzle = TensorMapSwizzle::B128;
}
inline void outMatrix(TensorMapSpec &spec, uint64_t, uint64_t out) {
  inMatrix(spec, out, out);
  spec.dims = {64, 16};
}

inline std::string tensorLoad(const std::string &x, const std::string &y) {
  return "@!%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
         "complete_tx::bytes [%r2], [%rd3, {" +
         x + ", " + y + "}], [%r3];\n";
}
inline std::string tensorStore(const std::string &x, const std::string &y,
                               const std::string &op = "") {
  return "@!%p1 cp." + std::string(op.empty() ? "" : "reduce.") +
         "async.bulk.tensor.2d.global.shared::cta" + op +
         ".tile.bulk_group [%rd3, {" + x + ", " + y + "}], [%r2];\n";
}

/// Word of the tile that holds (x, y) under the 128-byte swizzle.
inline uint32_t swizzled(uint32_t x, uint32_t y) {
  return y * 32 + ((x / 4) ^ (y % 8)) * 4 + x % 4;
}

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_BULKHARNESS_H
