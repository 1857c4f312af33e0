//===- EmulatorDevice.cpp - Compile and run on the emulator ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include "PlacedProblem.h"

#include "flash/Emulator/Emulator.h"

using namespace flash::run;
using namespace flash::runtime;

namespace {

class EmulatorMemory final : public DeviceMemory {
public:
  Result<uint64_t> allocate(const std::string &name, size_t bytes,
                            const void *contents) override {
    uint64_t address =
        device.allocate(name, bytes,
                        contents ? flash::emu::Contents::Zero
                                 : flash::emu::Contents::Uninitialised);
    if (contents)
      device.write(address, contents, bytes);
    return address;
  }

  Status read(uint64_t address, void *to, size_t bytes) override {
    device.read(address, to, bytes);
    return Success{};
  }

  flash::emu::Device device;
};

/// Adds what a later launch did to what earlier ones did.
void add(flash::emu::Report &sum, const flash::emu::Report &report) {
  sum.ok &= report.ok;
  sum.issues.insert(sum.issues.end(), report.issues.begin(),
                    report.issues.end());
  sum.races += report.races;
  sum.deadlock |= report.deadlock;
  sum.warpInstructions += report.warpInstructions;
  sum.seconds += report.seconds;
  sum.counters.total.add(report.counters.total);
  // Kernels of one text share no line.
  sum.counters.lines.insert(sum.counters.lines.end(),
                            report.counters.lines.begin(),
                            report.counters.lines.end());
  std::map<std::string, uint64_t> opcodes(sum.counters.opcodes.begin(),
                                          sum.counters.opcodes.end());
  for (const auto &[opcode, count] : report.counters.opcodes)
    opcodes[opcode] += count;
  sum.counters.opcodes.assign(opcodes.begin(), opcodes.end());
}

Result<flash::emu::LaunchConfig> configure(const LaunchShape &shape,
                                           const std::string &chipName,
                                           const Options &options) {
  flash::emu::LaunchConfig config;
  config.grid = shape.grid;
  config.block = shape.block;
  config.cluster = shape.cluster;
  config.dynamicSharedBytes = shape.dynamicSharedBytes;
  std::optional<flash::emu::Chip> chip = flash::emu::parseChip(chipName);
  if (!chip)
    return Error{"--chip: expected a chip the emulator knows, got '" +
                 chipName + "'"};
  config.chip = *chip;
  config.async = *flash::emu::parseAsyncMode(options.async);
  config.seed = options.inputs.seed;
  config.counters = options.counters;
  return config;
}

/// One launch of the manifest's.
Result<flash::emu::Report>
runLaunch(const flash::emu::Module &module, const KernelLaunch &launch,
          const Manifest &manifest, const LaunchArguments &arguments,
          flash::emu::Device &device, const std::string &chip,
          const Options &options) {
  const flash::emu::KernelInfo *kernel = module.kernel(launch.entry);
  if (!kernel)
    return Error{"PTX: expected a kernel '" + launch.entry +
                 "', as the manifest says"};
  Result<LaunchShape> shape = computeLaunchShape(launch, arguments.sizes);
  if (!shape)
    return shape.error();
  Result<std::vector<std::byte>> parameters =
      packArguments(manifest, launch, arguments);
  if (!parameters)
    return parameters.error();
  if (kernel->paramBytes != parameters->size())
    return Error{"kernel '" + launch.entry + "': expected " +
                 std::to_string(kernel->paramBytes) +
                 " bytes of parameters, got " +
                 std::to_string(parameters->size()) + " by the manifest"};
  Result<flash::emu::LaunchConfig> config = configure(*shape, chip, options);
  if (!config)
    return config.error();
  return flash::emu::launch(module, launch.entry, *parameters, device, *config);
}

DeviceReport convert(const flash::emu::Report &emulated,
                     const Options &options) {
  DeviceReport report;
  for (const flash::emu::Issue &issue : emulated.issues)
    report.errors.push_back(issue.str());
  if (!emulated.ok && report.errors.empty())
    report.errors.push_back("the emulator found issues it did not keep");
  report.races = int64_t(emulated.races);
  report.deadlock = emulated.deadlock;
  report.seconds = emulated.seconds;
  report.instructions = emulated.warpInstructions;
  if (options.counters)
    report.jsonMembers = flash::emu::reportJsonMembers(emulated);
  return report;
}

} // namespace

Result<DeviceReport> flash::run::runOnEmulator(Problem &problem,
                                               const Options &options) {
  constexpr const char *kDefaultChip = "sm_80";
  std::string chip = !options.chip.empty() ? options.chip
                     : problem.package     ? problem.package->manifest.chip
                                           : kDefaultChip;
  if (Status status = compileProblem(problem, options, chip); !status)
    return status.error();
  const Manifest &manifest = problem.package->manifest;
  flash::emu::Diagnostic diagnostic;
  std::unique_ptr<flash::emu::Module> module =
      flash::emu::Module::parse(problem.package->ptx, diagnostic);
  if (!module)
    return Error{"PTX " + diagnostic.str()};
  EmulatorMemory memory;
  Result<PlacedProblem> placed = PlacedProblem::place(problem, memory);
  if (!placed)
    return placed.error();
  flash::emu::Report sum;
  for (const KernelLaunch &launch : manifest.launches()) {
    Result<flash::emu::Report> report =
        runLaunch(*module, launch, manifest, placed->arguments(), memory.device,
                  chip, options);
    if (!report)
      return report.error();
    add(sum, *report);
    if (!report->ok)
      break;
  }
  if (Status status = placed->readBack(problem, memory); !status)
    return status.error();
  return convert(sum, options);
}
