//===- Options.h - The command line of flash-run ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_OPTIONS_H
#define FLASH_TOOLS_FLASH_RUN_OPTIONS_H

#include "flash/Runtime/Inputs.h"

#include <map>
#include <string>
#include <vector>

namespace flash::run {

enum class Device { Cpu, Emulator, Cuda };

struct Options {
  /// A .mlir file, a package or a .ptx file; empty if `attention` is given.
  std::string input;
  /// SPEC; empty if `input` is given.
  std::string attention;
  /// SPEC to compare with instead of what is run; empty for none.
  std::string against;
  /// The manifest of a .ptx input; beside it unless given.
  std::string manifest;
  /// A package to run instead of compiling the .mlir input; empty for none.
  std::string package;
  /// Values of the sizes that are dynamic in the input.
  std::string sizes;
  Device device = Device::Emulator;
  /// Empty for the device's choice: of the emulator sm_80 or what a kernel was
  /// compiled for, of a GPU the newest that it runs.
  std::string chip;
  /// Ladder level by number or name; empty: the best for the chip.
  std::string level;
  std::string schedule;
  runtime::InputOptions inputs;
  /// --input=NAME=FILE.npy
  std::map<std::string, std::string> files;
  /// Directory for --dump; empty for none.
  std::string dump;
  bool check = false;
  bool bench = false;
  bool counters = false;
  bool json = false;
  bool help = false;
  std::string async = "eager";
};

/// Reads the arguments after the program's name. `json` is set as soon as
/// --json is among them, so that an error in another can be reported as asked.
/// Errors name the option, what it takes and what it got.
runtime::Result<Options> parseOptions(const std::vector<std::string> &arguments,
                                      bool &json);

/// The text of --help.
extern const char *const kHelp;

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_OPTIONS_H
