//===- flash-emulator-bench.cpp - Speed of the emulator ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Measures one host thread on three loops: scalar arithmetic, exponentials,
// and tensor-core products. Prints millions of warp instructions and billions
// of multiply-adds per second of processor time, so that a busy machine does
// not change the figures much.
//
//===----------------------------------------------------------------------===//

#include "flash/Emulator/Emulator.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

using namespace flash::emu;

namespace {

constexpr const char *kHeader = ".version 7.8\n.target sm_80\n"
                                ".address_size 64\n";

/// A kernel that repeats `body` `rounds` times; %i counts.
std::string loop(const std::string &declarations, const std::string &body,
                 unsigned rounds) {
  return std::string(kHeader) +
         ".visible .entry bench(.param .u64 out)\n{\n"
         ".reg .pred %p<2>;\n.reg .b32 %r<64>;\n.reg .f32 %f<64>;\n"
         ".reg .b64 %rd<4>;\n.reg .b32 %i;\n" +
         declarations + "mov.u32 %i, 0;\nLOOP:\n" + body +
         "add.s32 %i, %i, 1;\nsetp.lt.s32 %p1, %i, " + std::to_string(rounds) +
         ";\n@%p1 bra LOOP;\n"
         "ld.param.u64 %rd1, [out];\nst.global.b32 [%rd1], %r1;\n"
         "st.global.f32 [%rd1+4], %f1;\nret;\n}\n";
}

bool measure(const char *name, const std::string &ptx, bool countMacs) {
  Diagnostic error;
  auto module = Module::parse(ptx, error);
  if (!module) {
    std::fprintf(stderr, "%s: %s\n", name, error.str().c_str());
    return false;
  }
  Device device;
  uint64_t out = device.allocate("out", 64, Contents::Zero);
  ArgumentBuffer args(*module->kernel("bench"));
  args.set(0, out);
  LaunchConfig config;
  config.threads = 1;
  config.block = {128, 1, 1};
  config.checks.races = false; // All lanes store to one place.
  Report best;
  for (unsigned i = 0; i < 3; ++i) {
    std::clock_t begin = std::clock();
    Report report = launch(*module, "bench", args.bytes(), device, config);
    report.seconds = double(std::clock() - begin) / CLOCKS_PER_SEC;
    if (!report.ok) {
      std::fprintf(stderr, "%s: %s\n", name, report.issues[0].str().c_str());
      return false;
    }
    if (i == 0 || report.seconds < best.seconds)
      best = report;
  }
  std::printf("%-16s %8.1f M warp instructions/s", name,
              best.warpInstructions / best.seconds / 1e6);
  if (countMacs)
    std::printf("  %6.2f GMAC/s",
                best.counters.total.tensorFlops / 2 / best.seconds / 1e9);
  std::printf("\n");
  return true;
}

} // namespace

int main() {
  bool ok = true;
  std::string start = "mov.u32 %r1, %tid.x;\nmov.u32 %r2, 3;\n"
                      "cvt.rn.f32.s32 %f1, %r1;\nmov.f32 %f2, 0f3F000000;\n";
  std::string scalar;
  for (unsigned i = 0; i < 8; ++i)
    scalar += "mad.lo.s32 %r1, %r1, %r2, %i;\nxor.b32 %r2, %r2, %r1;\n"
              "shr.u32 %r3, %r1, 3;\nadd.s32 %r1, %r1, %r3;\n"
              "fma.rn.f32 %f1, %f1, %f2, %f2;\nadd.f32 %f2, %f2, %f1;\n"
              "mul.f32 %f2, %f2, 0f3F000000;\nmax.f32 %f1, %f1, %f2;\n";
  ok &= measure("scalar loop", loop(start, scalar, 100000), false);
  std::string exponentials;
  for (unsigned i = 0; i < 8; ++i)
    exponentials += "ex2.approx.ftz.f32 %f1, %f2;\n"
                    "mul.f32 %f2, %f1, 0f3F000000;\n";
  ok &= measure("ex2 loop", loop(start, exponentials, 50000), false);
  for (std::string type : {"f16", "bf16"}) {
    std::string fragments;
    for (unsigned i = 10; i < 16; ++i)
      fragments += "mov.b32 %r" + std::to_string(i) + ", 0x3e003c00;\n";
    for (unsigned i = 10; i < 18; ++i)
      fragments += "mov.f32 %f" + std::to_string(i) + ", 0f3F800000;\n";
    std::string body;
    for (unsigned c : {10, 14})
      body += "mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
              ".f32 {%f" + std::to_string(c) + ",%f" + std::to_string(c + 1) +
              ",%f" + std::to_string(c + 2) + ",%f" + std::to_string(c + 3) +
              "}, {%r10,%r11,%r12,%r13}, {%r14,%r15}, {%f" + std::to_string(c) +
              ",%f" + std::to_string(c + 1) + ",%f" + std::to_string(c + 2) +
              ",%f" + std::to_string(c + 3) + "};\n";
    std::string name = "mma " + type;
    ok &= measure(name.c_str(), loop(start + fragments, body, 50000), true);
  }
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
