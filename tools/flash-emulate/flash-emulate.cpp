//===- flash-emulate.cpp - Run any PTX on the CPU ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include <cstdio>
#include <iostream>

using namespace flash;
using namespace flash::tool;
using runtime::Error;
using runtime::Result;
using runtime::Status;
using runtime::Success;

namespace {

constexpr const char *kUsage =
    R"(usage: flash-emulate KERNEL.ptx [options]

Runs one kernel of a PTX file on the CPU and reports races, deadlocks,
out-of-bounds and uninitialised accesses. Exit 1 on any of them.

  --kernel=NAME          which kernel; may be left out where there is one
  --grid=X,Y,Z           CTAs (default 1)
  --block=X,Y,Z          threads of a CTA (default 1)
  --cluster=X,Y,Z        CTAs of a cluster (default 1)
  --smem=BYTES           dynamic shared memory
  --chip=CHIP            whose numerics and limits (default sm_80)
  --buffer=NAME=...      in:FILE.npy[,OFFSET=PATCH]...  inout: the same
                         out:DTYPE[dims]:FILE.npy
  --arg=...              one per parameter, in order:
                         i32:N i64:N f32:X f64:X in:... out:... inout:...
                         @NAME+OFFSET  bytes:FILE[,OFFSET=PATCH]...
                         tensormap:MAP
                         PATCH is @NAME+OFFSET or tensormap(MAP); MAP is
                         @NAME+OFFSET,DTYPE,dims=64x4096,box=64x128
                         [,strides=128][,swizzle=none|32B|64B|128B]
                         [,fill=zero|nan][,elementstrides=1x1]: dimensions
                         innermost first, strides in bytes (left out: dense)
  --async=MODE           eager (default), lazy or random
  --seed=N               order of warps and of random completions
  --checks=LIST          races, uninitialised (default both) or none
  --budget=N             warp instructions that one CTA may execute
  --threads=N            host threads (default: all cores)
  --counters             count memory traffic too, and print a table
  --json                 one JSON object on standard output, on every outcome
)";

struct Options {
  std::string path, kernel;
  emu::LaunchConfig config;
  std::vector<std::string> buffers, arguments;
  bool json = false, help = false;
};

Status parseTriple(std::string_view text, std::array<uint32_t, 3> &triple) {
  triple = {1, 1, 1};
  std::string rest(text);
  for (unsigned i = 0; i < 3; ++i) {
    size_t comma = rest.find(',');
    auto value = parseInteger(rest.substr(0, comma));
    if (!value || *value < 1 || *value > INT32_MAX)
      return Error{"expected up to three positive numbers, got '" +
                   std::string(text) + "'"};
    triple[i] = uint32_t(*value);
    if (comma == std::string::npos)
      return Success{};
    rest = rest.substr(comma + 1);
  }
  return Error{"expected up to three numbers, got '" + std::string(text) + "'"};
}

/// "races,uninitialised", "races", "none", ...
Status parseChecks(std::string_view text, emu::Checks &checks) {
  checks = {false, false};
  for (std::string_view rest = text; rest != "none";) {
    size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    if (item == "races")
      checks.races = true;
    else if (item == "uninitialised")
      checks.uninitialised = true;
    else
      return Error{"expected races, uninitialised, both with a comma between, "
                   "or none, got '" +
                   std::string(text) + "'"};
    if (comma == std::string::npos)
      break;
    rest = rest.substr(comma + 1);
  }
  return Success{};
}

Status parseOption(std::string_view name, std::string_view value,
                   Options &options) {
  emu::LaunchConfig &config = options.config;
  auto number = [&](int64_t least, int64_t most) -> Result<int64_t> {
    auto parsed = parseInteger(value);
    if (!parsed || *parsed < least || *parsed > most)
      return Error{"expected a number from " + std::to_string(least) + " to " +
                   std::to_string(most) + ", got '" + std::string(value) + "'"};
    return *parsed;
  };
  if (name == "kernel") {
    options.kernel = value;
  } else if (name == "grid") {
    return parseTriple(value, config.grid);
  } else if (name == "block") {
    return parseTriple(value, config.block);
  } else if (name == "cluster") {
    return parseTriple(value, config.cluster);
  } else if (name == "smem") {
    auto bytes = number(0, INT32_MAX);
    if (!bytes)
      return bytes.error();
    config.dynamicSharedBytes = uint32_t(*bytes);
  } else if (name == "chip") {
    auto chip = emu::parseChip(value);
    if (!chip)
      return Error{
          "unknown chip '" + std::string(value) +
          "': expected sm_80, sm_86, sm_89, sm_90a, sm_100a or sm_120"};
    config.chip = *chip;
  } else if (name == "async") {
    auto mode = emu::parseAsyncMode(value);
    if (!mode)
      return Error{"expected eager, lazy or random, got '" +
                   std::string(value) + "'"};
    config.async = *mode;
  } else if (name == "seed") {
    auto seed = parseInteger(value);
    if (!seed)
      return Error{"expected a number, got '" + std::string(value) + "'"};
    config.seed = uint64_t(*seed);
  } else if (name == "checks") {
    return parseChecks(value, config.checks);
  } else if (name == "budget") {
    auto budget = number(1, INT64_MAX);
    if (!budget)
      return budget.error();
    config.instructionBudget = uint64_t(*budget);
  } else if (name == "threads") {
    auto threads = number(0, 1024);
    if (!threads)
      return threads.error();
    config.threads = unsigned(*threads);
  } else if (name == "buffer") {
    options.buffers.emplace_back(value);
  } else if (name == "arg") {
    options.arguments.emplace_back(value);
  } else {
    return Error{"unknown option"};
  }
  return Success{};
}

Status parseCommandLine(int argc, char **argv, Options &options) {
  Status result = Success{};
  for (int i = 1; i < argc; ++i) {
    std::string_view text = argv[i];
    if (text == "--help" || text == "-h") {
      options.help = true;
    } else if (text == "--json") {
      options.json = true;
    } else if (text == "--counters") {
      options.config.counters = true;
    } else if (text.starts_with("--")) {
      size_t equal = text.find('=');
      std::string_view name = text.substr(2, equal - 2);
      Status status = equal == std::string_view::npos
                          ? Error{"expected --" + std::string(name) + "=VALUE"}
                          : parseOption(name, text.substr(equal + 1), options);
      // The first error counts, but --json further right is still honoured.
      if (!status && result)
        result =
            Error{"--" + std::string(name) + ": " + status.error().message};
    } else if (options.path.empty()) {
      options.path = text;
    } else if (result) {
      result =
          Error{"expected one PTX file, got '" + std::string(text) + "' too"};
    }
  }
  if (result && options.path.empty() && !options.help)
    return Error{"expected a PTX file"};
  return result;
}

/// Everything up to the launch and after it. Errors are those of the caller's
/// making; what the kernel did wrong is in the report.
Result<emu::Report> run(const Options &options) {
  auto file = runtime::readFile(options.path);
  if (!file)
    return file.error();
  std::string_view text(reinterpret_cast<const char *>(file->data()),
                        file->size());
  emu::Diagnostic diagnostic;
  auto module = emu::Module::parse(text, diagnostic, options.kernel);
  if (!module)
    return Error{options.path + ": " + diagnostic.str()};
  std::string name = options.kernel;
  if (name.empty() && module->kernels().size() == 1)
    name = module->kernels()[0].name;
  const emu::KernelInfo *kernel = module->kernel(name);
  if (!kernel) {
    std::string known;
    for (const std::string &candidate : module->kernelNames())
      known += (known.empty() ? "" : ", ") + candidate;
    return Error{"--kernel: unknown kernel '" + name + "'; " + options.path +
                 " has: " + (known.empty() ? "none" : known)};
  }
  emu::Device device;
  Buffers buffers(device);
  for (const std::string &spec : options.buffers) {
    size_t equal = spec.find('=');
    if (equal == std::string::npos || equal == 0)
      return Error{"--buffer: expected NAME=in:..., got '" + spec + "'"};
    auto address = buffers.add(spec.substr(0, equal), spec.substr(equal + 1));
    if (!address)
      return address.error();
  }
  if (options.arguments.size() != kernel->params.size())
    return Error{"--arg: kernel '" + name + "' expects " +
                 std::to_string(kernel->params.size()) + " arguments, got " +
                 std::to_string(options.arguments.size())};
  emu::ArgumentBuffer arguments(*kernel);
  for (unsigned i = 0; i < options.arguments.size(); ++i) {
    auto status = setArgument(arguments, kernel->params[i], i,
                              options.arguments[i], buffers);
    if (!status)
      return status.error();
  }
  emu::Report report =
      emu::launch(*module, name, arguments.bytes(), device, options.config);
  if (auto status = buffers.save(); !status)
    return status.error();
  return report;
}

/// The fields of flash-run's object; those of a comparison are null, there is
/// no reference here.
void printJson(const emu::Report &report) {
  std::cout << "{\"pass\": " << (report.ok ? "true" : "false")
            << ", \"max_abs_err\": null, \"tolerance\": null"
            << ", \"max_row_rel_err\": null, \"lse_max_abs_err\": null"
            << ", \"seconds\": " << report.seconds << ", "
            << emu::reportJsonMembers(report) << "}\n";
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  Status parsed = parseCommandLine(argc, argv, options);
  if (options.help) {
    std::cout << kUsage;
    return 0;
  }
  Result<emu::Report> result =
      parsed ? run(options) : Result<emu::Report>(parsed.error());
  emu::Report report;
  if (!result) {
    report.ok = false;
    emu::Issue issue;
    issue.kind = emu::IssueKind::Launch;
    issue.message = result.error().str();
    report.issues.push_back(issue);
    std::cerr << "flash-emulate: error: " << issue.message << "\n";
  } else {
    report = std::move(*result);
    for (const emu::Issue &issue : report.issues)
      std::cerr << "flash-emulate: " << issue.str() << "\n";
  }
  if (options.json) {
    printJson(report);
  } else if (result) {
    std::cout << (report.ok ? "ok" : "failed") << ": "
              << report.warpInstructions << " warp instructions in "
              << report.seconds << " s\n";
    if (options.config.counters)
      emu::printCounters(std::cout, report);
  }
  return report.ok ? 0 : 1;
}
