//===- EmulatorDevice.cpp - Compile and run on the emulator ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include "DiagnosticCollector.h"

#include "flash/Emulator/Emulator.h"
#include "flash/Pipelines/Compile.h"

using namespace flash::run;
using namespace flash::runtime;

namespace {

/// Puts the kernel of the problem's module into the problem.
Status compileProblem(Problem &problem, const Options &options) {
  DiagnosticCollector diagnostics(problem.module->getContext());
  mlir::flash::CompileOptions compileOptions;
  compileOptions.chip = options.chip;
  compileOptions.schedule = options.schedule;
  bool hasRegions = problem.reference.score || problem.reference.mask;
  mlir::FailureOr<mlir::flash::CompiledKernel> kernel =
      mlir::flash::compileToPTX(*problem.module, compileOptions,
                                hasRegions ? "" : problem.spec.toString());
  if (failed(kernel))
    return diagnostics.error();
  problem.ptx = std::move(kernel->ptx);
  problem.manifest = std::move(kernel->manifest);
  return Success{};
}

/// One problem on one emulated device.
class EmulatorRun {
public:
  EmulatorRun(Problem &problem, const Options &options)
      : problem(problem), options(options), manifest(*problem.manifest) {}

  Result<DeviceReport> run() {
    flash::emu::Diagnostic diagnostic;
    std::unique_ptr<flash::emu::Module> module =
        flash::emu::Module::parse(problem.ptx, diagnostic);
    if (!module)
      return Error{"PTX " + diagnostic.str()};
    const flash::emu::KernelInfo *kernel = module->kernel(manifest.entry);
    if (!kernel)
      return Error{"PTX: expected a kernel '" + manifest.entry +
                   "', as the manifest says"};
    Result<LaunchShape> shape = computeLaunchShape(manifest, problem.sizes);
    if (!shape)
      return shape.error();
    if (Status status = placeArrays(*shape); !status)
      return status.error();
    Result<std::vector<std::byte>> parameters =
        packArguments(manifest, arguments);
    if (!parameters)
      return parameters.error();
    if (kernel->paramBytes != parameters->size())
      return Error{"kernel '" + manifest.entry + "': expected " +
                   std::to_string(kernel->paramBytes) +
                   " bytes of parameters, got " +
                   std::to_string(parameters->size()) + " by the manifest"};
    Result<flash::emu::LaunchConfig> config = configure(*shape);
    if (!config)
      return config.error();
    flash::emu::Report report = flash::emu::launch(
        *module, manifest.entry, *parameters, device, *config);
    readBack();
    return convert(report);
  }

private:
  /// Copies whole allocations, padding included, to the device. Pointers are
  /// to the first logical element.
  Status placeArrays(const LaunchShape &shape) {
    arguments.sizes = problem.sizes;
    arguments.scale = problem.spec.effectiveScale();
    for (const Parameter &parameter : manifest.parameters)
      if (parameter.role == ParameterRole::Scale && manifest.attention.empty())
        arguments.scale = parameter.value;
    std::vector<std::string> captures;
    for (const std::string &name : problem.captures)
      if (std::find(problem.arguments.begin(), problem.arguments.end(), name) !=
          problem.arguments.end())
        captures.push_back(name);
    size_t nextCapture = 0;
    for (const Parameter &parameter : manifest.parameters) {
      std::string name = parameter.name;
      if (parameter.role == ParameterRole::Capture) {
        if (nextCapture == captures.size())
          return Error{"parameter '" + name +
                       "': expected as many captures as "
                       "the op has"};
        name = captures[nextCapture++];
      }
      if (parameter.role == ParameterRole::Workspace) {
        uint64_t address = device.allocate(name, size_t(shape.workspaceBytes),
                                           flash::emu::Contents::Uninitialised);
        arguments.buffers[parameter.name] = {
            address, parameter.dtype, {shape.workspaceBytes}, {1}};
        continue;
      }
      if (parameter.kind != ParameterKind::Pointer) {
        if (parameter.role == ParameterRole::Capture) {
          const StridedArray &scalar = problem.arrays.at(name);
          arguments.scalars[parameter.name] = scalar.loadIndex(scalar.offset);
        }
        continue;
      }
      auto it = problem.arrays.find(name);
      if (it == problem.arrays.end())
        return Error{"parameter '" + name +
                     "': expected one of q, k, v, o, lse "
                     "or a capture"};
      const StridedArray &array = it->second;
      uint64_t address = device.allocate(name, array.storage.size(),
                                         flash::emu::Contents::Zero);
      device.write(address, array.storage.data(), array.storage.size());
      addresses[name] = address;
      arguments.buffers[parameter.name] = {
          address + uint64_t(array.offset) * byteWidth(array.dtype),
          array.dtype, array.shape, array.strides};
    }
    for (const char *output : {"o", "lse"})
      if (!addresses.count(output))
        return Error{"kernel '" + manifest.entry + "': expected a parameter '" +
                     output + "', got none: compile with lse"};
    return Success{};
  }

  Result<flash::emu::LaunchConfig> configure(const LaunchShape &shape) {
    flash::emu::LaunchConfig config;
    config.grid = shape.grid;
    config.block = shape.block;
    config.cluster = shape.cluster;
    config.dynamicSharedBytes = shape.dynamicSharedBytes;
    std::optional<flash::emu::Chip> chip = flash::emu::parseChip(options.chip);
    if (!chip)
      return Error{"--chip: expected a chip the emulator knows, got '" +
                   options.chip + "'"};
    config.chip = *chip;
    config.async = *flash::emu::parseAsyncMode(options.async);
    config.seed = options.inputs.seed;
    config.counters = options.counters;
    return config;
  }

  void readBack() {
    for (const char *name : {"o", "lse"}) {
      StridedArray &array = problem.arrays.at(name);
      device.read(addresses.at(name), array.storage.data(),
                  array.storage.size());
    }
  }

  DeviceReport convert(const flash::emu::Report &emulated) {
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

  Problem &problem;
  const Options &options;
  const Manifest &manifest;
  flash::emu::Device device;
  LaunchArguments arguments;
  std::map<std::string, uint64_t> addresses;
};

} // namespace

Result<DeviceReport> flash::run::runOnEmulator(Problem &problem,
                                               const Options &options) {
  if (problem.module)
    if (Status status = compileProblem(problem, options); !status)
      return status.error();
  return EmulatorRun(problem, options).run();
}
