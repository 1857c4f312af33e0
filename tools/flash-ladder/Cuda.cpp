//===- Cuda.cpp - Times of levels on a GPU at hand ------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "flash/Runtime/CudaDevice.h"
#include "flash/Runtime/Inputs.h"

#include <algorithm>

using namespace flash;
using namespace flash::ladder;
using namespace flash::runtime;

namespace {

/// The operands of the whole problem on the device; every level shares them.
Result<LaunchArguments> placeOperands(const Problem &problem,
                                      CudaDevice &device) {
  Result<ProblemArrays> arrays =
      makeInputs(problem.spec, problem.sizes, InputOptions());
  if (!arrays)
    return arrays.error();
  LaunchArguments arguments;
  arguments.sizes = problem.sizes;
  arguments.scale = problem.spec.effectiveScale();
  const std::pair<const char *, const StridedArray *> operands[] = {
      {"q", &arrays->q},
      {"k", &arrays->k},
      {"v", &arrays->v},
      {"o", &arrays->o},
      {"lse", &arrays->lse},
      {"q_descale", arrays->qDescale ? &*arrays->qDescale : nullptr},
      {"k_descale", arrays->kDescale ? &*arrays->kDescale : nullptr},
      {"v_descale", arrays->vDescale ? &*arrays->vDescale : nullptr}};
  for (auto [name, array] : operands) {
    if (!array)
      continue;
    Result<uint64_t> address = device.allocate(array->storage.size());
    if (!address)
      return address.error();
    if (Status status = device.write(*address, array->storage.data(),
                                     array->storage.size());
        !status)
      return status.error();
    arguments.buffers[name] = {
        *address + uint64_t(array->offset) * byteWidth(array->dtype),
        // To a kernel tf32 is f32.
        array->dtype == DType::TF32 ? DType::F32 : array->dtype, array->shape,
        array->strides};
  }
  return arguments;
}

Result<double> medianTime(const Level &level, const LaunchArguments &arguments,
                          CudaDevice &device) {
  Package package;
  package.manifest = level.manifest;
  package.ptx = level.ptx;
  Result<CudaKernels> kernels = CudaKernels::load(device, package);
  if (!kernels)
    return kernels.error();
  unsigned warmUp = device.isEmulated() ? 0 : 20;
  unsigned repeats = device.isEmulated() ? 1 : 100;
  Result<std::vector<double>> times =
      device.time([&] { return kernels->launch(arguments); }, warmUp, repeats);
  if (!times)
    return times.error();
  std::sort(times->begin(), times->end());
  return (*times)[times->size() / 2];
}

} // namespace

std::string flash::ladder::measureOnCuda(const Problem &problem,
                                         std::vector<Level> &levels) {
  Result<CudaDevice> device = CudaDevice::open();
  if (!device)
    return "--device=cuda: " + device.error().message;
  Result<LaunchArguments> arguments = placeOperands(problem, *device);
  if (!arguments)
    return "--device=cuda: " + arguments.error().message;
  std::string board =
      device->name() + (device->isEmulated() ? " (emulated: not a GPU)" : "");
  for (Level &level : levels) {
    if (!level.ran())
      continue;
    Result<double> time = medianTime(level, *arguments, *device);
    if (!time)
      return "--device=cuda: level " + std::to_string(level.number) + ": " +
             time.error().message;
    level.measured = Measured{board, *time, std::nullopt};
  }
  return "";
}
