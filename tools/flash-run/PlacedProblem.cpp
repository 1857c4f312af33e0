//===- PlacedProblem.cpp - A problem's arrays on a device -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PlacedProblem.h"

#include <algorithm>

using namespace flash::run;
using namespace flash::runtime;

namespace {

/// The problem's captures in the kernel's order: those that are constants of
/// the module are no parameters.
std::vector<std::string> passedCaptures(const Problem &problem) {
  if (problem.arguments.empty())
    return problem.captures;
  std::vector<std::string> passed;
  for (const std::string &name : problem.captures)
    if (std::find(problem.arguments.begin(), problem.arguments.end(), name) !=
        problem.arguments.end())
      passed.push_back(name);
  return passed;
}

ScalarArgument scalarOf(const StridedArray &array) {
  if (isFloat(array.dtype))
    return array.loadIndex(array.offset);
  return array.loadIntegerIndex(array.offset);
}

} // namespace

Status PlacedProblem::placeArray(const Parameter &parameter,
                                 const std::string &name,
                                 const StridedArray &array,
                                 DeviceMemory &memory) {
  Result<uint64_t> address =
      memory.allocate(name, array.storage.size(), array.storage.data());
  if (!address)
    return address.error();
  addresses[name] = *address;
  // To a kernel tf32 is f32.
  launchArguments.buffers[parameter.name] = {
      *address + uint64_t(array.offset) * byteWidth(array.dtype),
      array.dtype == DType::TF32 ? DType::F32 : array.dtype, array.shape,
      array.strides};
  return Success{};
}

Result<PlacedProblem> PlacedProblem::place(const Problem &problem,
                                           DeviceMemory &memory) {
  const Manifest &manifest = problem.package->manifest;
  PlacedProblem placed;
  LaunchArguments &arguments = placed.launchArguments;
  arguments.sizes = problem.sizes;
  arguments.scale = problem.spec.effectiveScale();
  std::vector<std::string> captures = passedCaptures(problem);
  size_t nextCapture = 0;
  for (const Parameter &parameter : manifest.parameters) {
    std::string name = parameter.name;
    if (parameter.role == ParameterRole::Scale && manifest.attention.empty())
      arguments.scale = parameter.value;
    if (parameter.role == ParameterRole::Workspace && !arguments.workspace) {
      Result<int64_t> bytes = computeWorkspaceBytes(manifest, problem.sizes);
      if (!bytes)
        return bytes.error();
      Result<uint64_t> address =
          memory.allocate(name, size_t(*bytes), /*contents=*/nullptr);
      if (!address)
        return address.error();
      arguments.workspace = *address;
    }
    bool isCapture = parameter.role == ParameterRole::Capture;
    // By name where the kernel has it, else by order.
    if (isCapture &&
        std::find(captures.begin(), captures.end(), name) == captures.end()) {
      if (nextCapture == captures.size())
        return Error{"parameter '" + name +
                     "': expected as many captures as the op has"};
      name = captures[nextCapture++];
    }
    bool isArray = parameter.kind == ParameterKind::Pointer &&
                   parameter.role != ParameterRole::Workspace;
    if (!isArray && !isCapture)
      continue;
    auto array = problem.arrays.find(name);
    if (array == problem.arrays.end())
      return Error{"parameter '" + name +
                   "': expected one of q, k, v, o, lse, their scales or a "
                   "capture"};
    if (!isArray)
      arguments.scalars[parameter.name] = scalarOf(array->second);
    else if (Status status =
                 placed.placeArray(parameter, name, array->second, memory);
             !status)
      return status.error();
  }
  if (!placed.addresses.count("o"))
    return Error{"kernel '" + manifest.entry +
                 "': expected a parameter 'o', got none"};
  return placed;
}

Status PlacedProblem::readBack(Problem &problem, DeviceMemory &memory) const {
  for (const char *name : {"o", "lse"}) {
    auto address = addresses.find(name);
    if (address == addresses.end())
      continue;
    StridedArray &array = problem.arrays.at(name);
    if (Status status = memory.read(address->second, array.storage.data(),
                                    array.storage.size());
        !status)
      return status;
  }
  return Success{};
}
