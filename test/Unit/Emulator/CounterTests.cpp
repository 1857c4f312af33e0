//===- CounterTests.cpp - Counters by line, table and JSON ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel whose every access has counts that follow from the banks and sectors
// it touches.
//
//===----------------------------------------------------------------------===//

#include "Harness.h"

using namespace flash::emu;
using namespace flash::emu::test;

namespace {

constexpr const char *kText = R"(
.version 8.0
.target sm_80
.address_size 64
.file 1 "kernel.mlir"
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b32 %r<20>;
.reg .b64 %rd<8>;
.reg .f32 %f<8>;
.shared .align 16 .b8 tile[8192];
ld.param.u64 %rd1, [in];
ld.param.u64 %rd2, [out];
mov.u32 %r1, %tid.x;
mov.u32 %r2, tile;
mad.lo.u32 %r3, %r1, 4, %r2;
mad.lo.u32 %r4, %r1, 8, %r2;
mad.lo.u32 %r5, %r1, 128, %r2;
mul.wide.u32 %rd3, %r1, 64;
add.s64 %rd4, %rd1, %rd3;
.loc 1 10 1
st.shared.b32 [%r3], %r1; // row
st.shared.b32 [%r4], %r1; // stride 2
st.shared.b32 [%r5], %r1; // one bank
st.shared.v4.b32 [%r2], {%r1, %r1, %r1, %r1}; // broadcast
.loc 1 20 1
ld.global.b32 %r6, [%rd4]; // sectors
mov.b32 %f1, %r6;
mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r6, %r6, %r6, %r6}, {%r6, %r6}, {%f1, %f1, %f1, %f1};
ex2.approx.f32 %f5, %f1;
mul.wide.u32 %rd5, %r1, 4;
add.s64 %rd6, %rd2, %rd5;
st.global.f32 [%rd6], %f5; // dense
ret;
}
)";

class CountersTest : public ::testing::Test {
protected:
  CountersTest() {
    module = parse(kText);
    if (!module)
      return;
    KernelRun run(*module, "k");
    run.in(std::vector<uint32_t>(16 * 32)).out<float>(32);
    run.config.counters = true;
    // All lanes store their own number at one place: a race, on purpose.
    run.config.checks.races = false;
    report = run.go(3, 32);
    EXPECT_TRUE(report.ok) << issues(report);
  }

  /// The counters of the line that has `what` in it.
  const LineCounters *line(std::string_view what) const {
    for (const LineCounters &entry : report.counters.lines)
      if (entry.text.find(what) != std::string::npos)
        return &entry;
    return nullptr;
  }

  std::unique_ptr<Module> module;
  Report report;
};

TEST_F(CountersTest, ByLine) {
  struct Expected {
    const char *text;
    uint64_t wavefronts, ideal, sectors, idealSectors, loaded, stored;
  };
  // By CTA, of which there are three.
  static constexpr Expected expected[] = {{"// row", 1, 1, 0, 0, 0, 128},
                                          {"// stride 2", 2, 1, 0, 0, 0, 128},
                                          {"// one bank", 32, 1, 0, 0, 0, 128},
                                          {"// broadcast", 4, 4, 0, 0, 0, 512},
                                          {"// sectors", 0, 0, 32, 4, 128, 0},
                                          {"// dense", 0, 0, 4, 4, 0, 128}};
  for (const Expected &want : expected) {
    const LineCounters *entry = line(want.text);
    ASSERT_TRUE(entry) << want.text;
    const CounterSet &set = entry->counts;
    EXPECT_EQ(set.issued, 3u) << want.text;
    EXPECT_EQ(set.pipes[unsigned(Pipe::LSU)], 3u) << want.text;
    EXPECT_EQ(set.sharedWavefronts, 3 * want.wavefronts) << want.text;
    EXPECT_EQ(set.sharedWavefrontsIdeal, 3 * want.ideal) << want.text;
    EXPECT_EQ(set.globalSectors, 3 * want.sectors) << want.text;
    EXPECT_EQ(set.globalSectorsIdeal, 3 * want.idealSectors) << want.text;
    Space space = want.sectors ? Space::Global : Space::Shared;
    EXPECT_EQ(set.bytesLoaded[unsigned(space)], 3 * want.loaded) << want.text;
    EXPECT_EQ(set.bytesStored[unsigned(space)], 3 * want.stored) << want.text;
  }
  ASSERT_TRUE(line("mma.sync"));
  EXPECT_EQ(line("mma.sync")->counts.tensorFlops, 3u * 2 * 16 * 8 * 16);
  EXPECT_EQ(line("mma.sync")->counts.pipes[unsigned(Pipe::Tensor)], 3u);
  EXPECT_EQ(line("ex2")->counts.pipes[unsigned(Pipe::MUFU)], 3u);
  EXPECT_EQ(line("mad.lo")->counts.pipes[unsigned(Pipe::FMA)], 3u);
  EXPECT_EQ(line("ret")->counts.pipes[unsigned(Pipe::Control)], 3u);
  EXPECT_EQ(line("// row")->source, "kernel.mlir:10");
  EXPECT_EQ(line("mma.sync")->source, "kernel.mlir:20");
  EXPECT_EQ(line("mov.u32")->source, "");
}

TEST_F(CountersTest, LinesSumToTheTotal) {
  CounterSet sum;
  for (const LineCounters &entry : report.counters.lines)
    sum.add(entry.counts);
  const CounterSet &total = report.counters.total;
  EXPECT_EQ(sum.issued, total.issued);
  EXPECT_EQ(sum.issued, report.warpInstructions);
  EXPECT_EQ(sum.pipes, total.pipes);
  EXPECT_EQ(sum.tensorFlops, total.tensorFlops);
  EXPECT_EQ(sum.sharedWavefronts, total.sharedWavefronts);
  EXPECT_EQ(sum.globalSectorsIdeal, total.globalSectorsIdeal);
  EXPECT_EQ(sum.bytesLoaded, total.bytesLoaded);
  EXPECT_EQ(sum.bytesStored, total.bytesStored);
  uint64_t pipes = 0, opcodes = 0;
  for (uint64_t count : total.pipes)
    pipes += count;
  for (auto &[name, count] : report.counters.opcodes)
    opcodes += count;
  EXPECT_EQ(pipes, total.issued);
  EXPECT_EQ(opcodes, total.issued);
}

// What each CTA stores and leaves alone where only some of a grid run.
TEST(PartOfAGridTest, RunsTheCtasAskedFor) {
  auto module = parse(R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out)
{
.reg .b32 %r<4>;
.reg .b64 %rd<4>;
ld.param.u64 %rd1, [out];
mov.u32 %r1, %ctaid.x;
mov.u32 %r2, %ctaid.y;
mad.lo.u32 %r3, %r2, 3, %r1;
mul.wide.u32 %rd2, %r3, 4;
add.s64 %rd3, %rd1, %rd2;
st.global.b32 [%rd3], %r3;
ret;
}
)");
  ASSERT_TRUE(module);
  Device device;
  uint64_t out = device.allocate("out", 6 * 4, Contents::Uninitialised);
  ArgumentBuffer arguments(*module->kernel("k"));
  arguments.set(0, out);
  LaunchConfig config;
  config.grid = {3, 2, 1};
  config.only = {1, 5};
  Report report = launch(*module, "k", arguments.bytes(), device, config);
  EXPECT_TRUE(report.ok) << issues(report);
  EXPECT_EQ(device.uninitialisedBytes(out, 24), 16u);
  uint32_t values[6] = {};
  device.read(out, values, sizeof(values));
  EXPECT_EQ(values[1], 1u);
  EXPECT_EQ(values[5], 5u);

  config.only = {6};
  report = launch(*module, "k", arguments.bytes(), device, config);
  ASSERT_EQ(report.issues.size(), 1u);
  EXPECT_EQ(report.issues[0].message, "only: expected numbers below 6, got 6");
}

TEST_F(CountersTest, Table) {
  std::ostringstream os;
  printCounters(os, report);
  std::string text = os.str();
  auto has = [&](const std::string &part) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  };
  has("  tensor FLOPs      12,288\n");
  has("  shared wavefronts    117    21  5.57x\n");
  has("  global sectors       108    24  4.50x\n");
  has("  alu fma fp64 mufu tensor lsu control\n");
  has("  global    384    384\n");
  // The worst line comes first, with its source.
  size_t worst = text.find("lines with bank conflicts or partly used sectors");
  ASSERT_NE(worst, std::string::npos) << text;
  size_t bank = text.find("// one bank  // kernel.mlir:10", worst);
  size_t sectors = text.find("// sectors  // kernel.mlir:20", worst);
  size_t stride = text.find("// stride 2  // kernel.mlir:10", worst);
  EXPECT_LT(bank, sectors);
  EXPECT_LT(sectors, stride);
  EXPECT_NE(stride, std::string::npos);
  EXPECT_EQ(text.find("// dense", worst), std::string::npos);
  // Every row of a table begins its last column at one place.
  std::istringstream lines(text.substr(worst));
  std::string row;
  size_t column = std::string::npos;
  std::getline(lines, row);
  std::getline(lines, row);
  column = row.find("text");
  while (std::getline(lines, row)) {
    ASSERT_GT(row.size(), column);
    EXPECT_EQ(row[column - 1], ' ');
    EXPECT_NE(row[column], ' ');
  }
}

TEST_F(CountersTest, Json) {
  std::string json = "{" + reportJsonMembers(report) + "}";
  for (const char *part :
       {"\"tensor_flops\": 12288", "\"shared_wavefronts\": 117",
        "\"shared_wavefronts_ideal\": 21", "\"global_sectors\": 108",
        "\"global_sectors_ideal\": 24", "\"bytes_loaded_global\": 384",
        "\"opcodes\": {", "\"issue_mufu\": 3"})
    EXPECT_NE(json.find(part), std::string::npos) << part;
  size_t at = json.find("// one bank");
  ASSERT_NE(at, std::string::npos);
  size_t end = json.find('}', at);
  std::string entry = json.substr(at, end - at);
  for (const char *part :
       {"\"source\": \"kernel.mlir:10\"", "\"warp_instructions\": 3",
        "\"issue_alu\": 0", "\"issue_lsu\": 3", "\"tensor_flops\": 0",
        "\"shared_wavefronts\": 96", "\"shared_wavefronts_ideal\": 3",
        "\"global_sectors\": 0", "\"global_sectors_ideal\": 0",
        "\"bytes_loaded_shared\": 0", "\"bytes_stored_shared\": 384",
        "\"bytes_stored_const\": 0"})
    EXPECT_NE(entry.find(part), std::string::npos) << part << " in " << entry;
}

} // namespace
