//===- Options.cpp - The command line of flash-run ------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"

#include "flash/Pipelines/Compile.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>

using namespace flash::run;
using namespace flash::runtime;

const char *const flash::run::kHelp =
    R"(usage: flash-run (INPUT.mlir | PACKAGE | KERNEL.ptx | --attention=SPEC) [options]

Runs one attention on seeded inputs and, with --check, compares the result with
a float64 reference. Exit 0 if everything asked for succeeded, 1 otherwise.

What to run
  INPUT.mlir            a module with one function around one flash.attention
  PACKAGE               what flashc --emit=package wrote: the directory or its
                        manifest.json
  KERNEL.ptx            a compiled kernel; its manifest is KERNEL.json
  --manifest=FILE       another manifest for KERNEL.ptx
  --package=PACKAGE     run that, compiled earlier from INPUT.mlir; what it must
                        compute and its captures are those of INPUT.mlir
  --attention=SPEC      for example hq=8,hkv=2,sq=239,sk=77,d=64,dtype=bf16
  --sizes=K=V,...       b, hq, sq, sk where the input leaves them open (?)
  --device=NAME         emulator (default), cuda, a GPU through its driver, or
                        cpu, the linalg reference
  --chip=NAME           to compile for and to emulate (default sm_80, or what a
                        kernel was compiled for; cuda: what the GPU is)
  --level=N|name        of the optimisation ladder
  --schedule=K=V,...    overrides of the compiler's choice

On what
  --seed=N              of the inputs and of --async=random (default 0)
  --init=KIND           normal (default), const[:X], jump:X[:TILE]: the row
                        maximum jumps by X (log2) at every TILE (64) keys, for
                        even rows going up through the keys, for odd ones down
  --q-scale=X           multiplies q (default 1)
  --strides=STYLE       contiguous (default), padded, transposed, innermost,
                        unaligned, align4, align8, huge
  --poison=nan          NaN in everything that is no element of q, k, v
  --input=NAME=FILE     q, k, v or a capture (by its name in the .mlir) from a
                        .npy file in [B,H,S,D] order; bf16 as uint16

What to report
  --check               compare with the reference
  --against=SPEC        compare with this attention instead of the input's own
  --dump=DIR            write q, k, v, o, lse and captures as .npy
  --bench               report the time of the run; cuda: median and minimum of
                        100 calls by events, after 20 to warm up
  --counters            report the emulator's memory and issue counters
  --async=MODE          eager (default), lazy or random asynchronous copies
  --json                one JSON object on stdout, on every outcome

FLASH_CUDA_DRIVER=PATH names the driver that --device=cuda opens; with
lib/emulated-driver/libcuda.so.1 of the build tree no GPU is needed.
)";

namespace {

Error refuse(const std::string &option, const std::string &expected,
             const std::string &got) {
  std::string shown;
  for (char c : got.substr(0, 60))
    shown += (c >= 0x20 && c < 0x7f) ? c : '?';
  return Error{option + ": expected " + expected + ", got '" + shown + "'"};
}

template <typename T>
Status parseNumber(const std::string &option, const std::string &text,
                   const std::string &expected, T &value) {
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return refuse(option, expected, text);
  return Success{};
}

Status parseLevel(const std::string &text, std::string &level) {
  if (std::optional<std::string> message = mlir::flash::checkLevel(text))
    return Error{"--" + *message};
  level = text;
  return Success{};
}

Status parseDevice(const std::string &text, Device &device) {
  if (text != "cpu" && text != "emulator" && text != "cuda")
    return refuse("--device", "cpu, emulator or cuda", text);
  device = text == "cpu"    ? Device::Cpu
           : text == "cuda" ? Device::Cuda
                            : Device::Emulator;
  return Success{};
}

/// Sets one option; false if there is no such option.
Result<bool> setOption(Options &options, const std::string &name,
                       const std::string &value) {
  auto done = [](Status status) -> Result<bool> {
    if (!status)
      return status.error();
    return true;
  };
  auto text = [&](std::string &to, const char *expected) -> Result<bool> {
    if (value.empty())
      return refuse(name, expected, value);
    to = value;
    return true;
  };
  if (name == "--attention")
    return text(options.attention, "a SPEC");
  if (name == "--against")
    return text(options.against, "a SPEC");
  if (name == "--manifest")
    return text(options.manifest, "a file");
  if (name == "--package")
    return text(options.package, "a package");
  if (name == "--sizes")
    return text(options.sizes, "sizes such as b=1,sq=239");
  if (name == "--device")
    return done(parseDevice(value, options.device));
  if (name == "--chip")
    return text(options.chip, "a chip");
  if (name == "--level")
    return done(parseLevel(value, options.level));
  if (name == "--schedule")
    return text(options.schedule, "a schedule such as tile_q=128");
  if (name == "--seed")
    return done(parseNumber(name, value, "an integer from 0 to 2^64 - 1",
                            options.inputs.seed));
  if (name == "--q-scale") {
    Status status =
        parseNumber(name, value, "a finite number", options.inputs.qScale);
    if (status && !std::isfinite(options.inputs.qScale))
      return refuse(name, "a finite number", value);
    return done(std::move(status));
  }
  if (name == "--init") {
    Result<InitSpec> init = InitSpec::parse(value);
    if (!init)
      return init.error();
    options.inputs.init = *init;
    return true;
  }
  if (name == "--strides") {
    Result<StrideStyle> style = parseStrideStyle(value);
    if (!style)
      return style.error();
    options.inputs.strides = *style;
    return true;
  }
  if (name == "--poison") {
    if (value != "nan")
      return refuse(name, "nan", value);
    options.inputs.poisonNaN = true;
    return true;
  }
  if (name == "--input") {
    size_t equals = value.find('=');
    if (equals == std::string::npos || equals == 0 ||
        equals + 1 == value.size())
      return refuse(name, "NAME=FILE.npy", value);
    std::string tensor = value.substr(0, equals);
    if (!options.files.emplace(tensor, value.substr(equals + 1)).second)
      return Error{"--input: expected one file for '" + tensor + "', got two"};
    return true;
  }
  if (name == "--dump")
    return text(options.dump, "a directory");
  if (name == "--async") {
    if (value != "eager" && value != "lazy" && value != "random")
      return refuse(name, "eager, lazy or random", value);
    options.async = value;
    return true;
  }
  return false;
}

bool *findFlag(Options &options, const std::string &name) {
  if (name == "--check")
    return &options.check;
  if (name == "--bench")
    return &options.bench;
  if (name == "--counters")
    return &options.counters;
  if (name == "--json")
    return &options.json;
  if (name == "--help")
    return &options.help;
  return nullptr;
}

} // namespace

Result<Options>
flash::run::parseOptions(const std::vector<std::string> &arguments,
                         bool &json) {
  json = std::find(arguments.begin(), arguments.end(), "--json") !=
         arguments.end();
  Options options;
  std::set<std::string> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (argument.empty() || argument[0] != '-' || argument == "-") {
      if (!options.input.empty())
        return refuse("INPUT", "one input", argument);
      if (argument.empty())
        return refuse("INPUT", "a file", argument);
      options.input = argument;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    bool hasValue = equals != std::string::npos;
    std::string value = hasValue ? argument.substr(equals + 1) : "";
    if (name != "--input" && !given.insert(name).second)
      return Error{name + ": expected at most once"};
    if (bool *flag = findFlag(options, name)) {
      if (hasValue)
        return refuse(name, "no value", value);
      *flag = true;
      continue;
    }
    Result<bool> known = setOption(options, name, value);
    if (!known)
      return known.error();
    if (!*known)
      return Error{"unknown option '" + name + "': see flash-run --help"};
  }
  if (options.help)
    return options;
  if (options.input.empty() == options.attention.empty())
    return Error{"expected either INPUT or --attention=SPEC, got " +
                 std::string(options.input.empty() ? "neither" : "both")};
  if (!options.against.empty() && !options.check)
    return Error{"--against: expected together with --check"};
  return options;
}
