//===- CudaDevice.cpp - Compile and run on a GPU --------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"

#include "PlacedProblem.h"

#include "flash/Runtime/CudaDevice.h"
#include "flash/Target/ChipInfo.h"

#include <algorithm>

using namespace flash::run;
using namespace flash::runtime;

namespace {

class CudaMemory final : public DeviceMemory {
public:
  explicit CudaMemory(CudaDevice &device) : device(device) {}

  Result<uint64_t> allocate(const std::string &name, size_t bytes,
                            const void *contents) override {
    Result<uint64_t> address = device.allocate(bytes);
    if (!address)
      return Error{"buffer '" + name + "': " + address.error().message};
    if (contents)
      if (Status status = device.write(*address, contents, bytes); !status)
        return status.error();
    return address;
  }

  Status read(uint64_t address, void *to, size_t bytes) override {
    return device.read(address, to, bytes);
  }

private:
  CudaDevice &device;
};

/// The newest chip that Flash compiles for and the device runs.
Result<std::string> chipFor(const CudaDevice &device) {
  std::string best;
  for (const flash::ChipInfo &chip : flash::kChips)
    if (chip.lowered && runsAsPtx(chip.name, device.capability()))
      best = chip.name;
  if (best.empty())
    return Error{"compute capability: expected 8.0 or higher, got " +
                 std::to_string(device.capability() / 10) + "." +
                 std::to_string(device.capability() % 10) + " (" +
                 device.name() + ")"};
  return best;
}

/// Pairs of a query and a key that count: all, half of them under a causal
/// mask as is the custom, else those that the masks let through.
double countedPairs(const Problem &problem) {
  const ReferenceProblem &reference = problem.reference;
  const Sizes &sizes = problem.sizes;
  double all = double(sizes.sq) * double(sizes.sk);
  bool others = reference.window || reference.prefix || reference.chunk ||
                reference.sink || reference.mask;
  if (!others)
    return reference.causal == Causal::None ? all : all / 2;
  double live = 0;
  for (int64_t q = 0; q < sizes.sq; ++q)
    for (int64_t k = 0; k < sizes.sk; ++k)
      live += reference.isLive(q, k);
  return live;
}

/// Multiply-adds of both products, two operations each.
double countOperations(const Problem &problem) {
  const Sizes &sizes = problem.sizes;
  return 2.0 * double(sizes.b) * double(sizes.hq) * countedPairs(problem) *
         double(sizes.d + sizes.dv);
}

Result<Timing> measure(CudaDevice &device, CudaKernels &kernels,
                       const PlacedProblem &placed, const Problem &problem) {
  // The emulator needs no warm-up and takes its time.
  unsigned warmUp = device.isEmulated() ? 0 : 20;
  unsigned repeats = device.isEmulated() ? 3 : 100;
  Result<std::vector<double>> times = device.time(
      [&] { return kernels.launch(placed.arguments()); }, warmUp, repeats);
  if (!times)
    return times.error();
  std::sort(times->begin(), times->end());
  Timing timing;
  timing.emulated = device.isEmulated();
  timing.repeats = repeats;
  timing.minimum = times->front();
  timing.median = (*times)[times->size() / 2];
  timing.teraflops = countOperations(problem) / timing.median * 1e-9;
  return timing;
}

} // namespace

Result<DeviceReport> flash::run::runOnCuda(Problem &problem,
                                           const Options &options) {
  Result<CudaDevice> device = CudaDevice::open();
  if (!device)
    return device.error();
  Result<std::string> chip =
      options.chip.empty() ? chipFor(*device) : Result(options.chip);
  if (!chip)
    return chip.error();
  if (Status status = compileProblem(problem, options, *chip); !status)
    return status.error();
  Result<CudaKernels> kernels = CudaKernels::load(*device, *problem.package);
  if (!kernels)
    return kernels.error();
  CudaMemory memory(*device);
  Result<PlacedProblem> placed = PlacedProblem::place(problem, memory);
  if (!placed)
    return placed.error();
  if (Status status = kernels->launch(placed->arguments()); !status)
    return status.error();
  if (Status status = device->synchronize(); !status)
    return status.error();
  if (Status status = placed->readBack(problem, memory); !status)
    return status.error();
  DeviceReport report;
  report.board = device->name() + ", from the " + kernels->source();
  if (options.bench) {
    Result<Timing> timing = measure(*device, *kernels, *placed, problem);
    if (!timing)
      return timing.error();
    report.timing = *timing;
    report.seconds = timing->median * 1e-3;
  }
  return report;
}
