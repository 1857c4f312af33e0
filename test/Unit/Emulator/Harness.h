//===- Harness.h - Running kernels in tests ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_HARNESS_H
#define FLASH_TEST_UNIT_EMULATOR_HARNESS_H

#include "flash/Emulator/Emulator.h"

#include "gtest/gtest.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace flash::emu::test {

/// A golden input, "vector.ptx": from FLASH_EMULATOR_INPUTS_DIR where the
/// environment sets that, else from the source tree.
inline std::string readInput(const std::string &name) {
  const char *other = std::getenv("FLASH_EMULATOR_INPUTS_DIR");
  std::ifstream file(std::string(other ? other : FLASH_EMULATOR_INPUTS) + "/" +
                     name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A module with one kernel `k` over `body`, with registers of every kind:
/// %p0-9 %h0-19 (16 bits) %r0-39 %f0-39 (32 bits) %rd0-19 %d0-9 (64 bits).
inline std::string kernelText(const std::string &body,
                              const std::string &params = ".param .u64 out",
                              const std::string &before = "") {
  return ".version 8.0\n.target sm_80\n.address_size 64\n" + before +
         ".visible .entry k(" + params + ")\n{\n" +
         ".reg .pred %p<10>;\n.reg .b16 %h<20>;\n.reg .b32 %r<40>;\n"
         ".reg .f32 %f<40>;\n.reg .b64 %rd<20>;\n.reg .f64 %d<10>;\n" +
         body + "\n}\n";
}

/// Parses; a failure is a test failure.
inline std::unique_ptr<Module> parse(const std::string &ptx) {
  Diagnostic error;
  auto module = Module::parse(ptx, error);
  EXPECT_TRUE(module) << error.str();
  return module;
}

/// A kernel with its device and arguments.
class KernelRun {
public:
  KernelRun(const Module &module, std::string_view kernel)
      : module(module), kernel(kernel), args(*module.kernel(kernel)) {
    config.threads = 2;
  }

  template <typename T> KernelRun &in(const std::vector<T> &data) {
    uint64_t address = device.allocate("arg" + std::to_string(next),
                                       data.size() * sizeof(T), Contents::Zero);
    device.write(address, data.data(), data.size() * sizeof(T));
    return value(address);
  }
  /// An uninitialised buffer; out() numbers them from 0.
  template <typename T> KernelRun &out(size_t count) {
    uint64_t address =
        device.allocate("arg" + std::to_string(next), count * sizeof(T),
                        Contents::Uninitialised);
    outputs.push_back(address);
    return value(address);
  }
  template <typename T> KernelRun &value(T argument) {
    EXPECT_TRUE(args.set(next++, argument)) << "argument " << next - 1;
    return *this;
  }
  Report go(uint32_t grid, uint32_t block) {
    config.grid = {grid, 1, 1};
    config.block = {block, 1, 1};
    return go();
  }
  Report go() { return launch(module, kernel, args.bytes(), device, config); }
  template <typename T> std::vector<T> result(unsigned index = 0) {
    auto bytes = device.bytes(outputs[index]);
    std::vector<T> data(bytes.size() / sizeof(T));
    std::memcpy(data.data(), bytes.data(), data.size() * sizeof(T));
    return data;
  }

  Device device;
  LaunchConfig config;

private:
  const Module &module;
  std::string kernel;
  ArgumentBuffer args;
  unsigned next = 0;
  std::vector<uint64_t> outputs;
};

/// All issues as one text, for messages.
inline std::string issues(const Report &report) {
  std::string text;
  for (const Issue &issue : report.issues)
    text += issue.str() + "\n";
  return text;
}

inline bool has(const Report &report, IssueKind kind) {
  for (const Issue &issue : report.issues)
    if (issue.kind == kind)
      return true;
  return false;
}

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_HARNESS_H
