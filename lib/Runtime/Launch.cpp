//===- Launch.cpp - From a manifest to a launch ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/Expression.h"
#include "flash/Runtime/Manifest.h"

#include <cstring>
#include <limits>

using namespace flash::runtime;

namespace {

std::string inQuotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

class ArgumentPacker {
public:
  ArgumentPacker(const Manifest &manifest, const KernelLaunch &launch,
                 const LaunchArguments &arguments)
      : manifest(manifest), launch(launch), arguments(arguments) {}

  Result<std::vector<std::byte>> run() {
    if (Status status = verifySizes(); !status)
      return status.error();
    for (const std::string &parameterName : launch.parameters) {
      const Parameter *parameter = manifest.find(parameterName);
      if (!parameter)
        return Error{"launch of " + inQuotes(launch.entry) +
                     ": expected parameters of the manifest, got " +
                     inQuotes(parameterName)};
      if (Status status = pack(*parameter); !status)
        return status.error();
    }
    return std::move(bytes);
  }

private:
  /// The kernel may have been compiled for fixed sizes.
  Status verifySizes() {
    if (manifest.attention.empty())
      return Success{};
    Result<AttentionSpec> spec = AttentionSpec::parse(manifest.attention);
    if (!spec)
      return Error{"attention: " + spec.error().str()};
    const Sizes &sizes = arguments.sizes;
    struct Named {
      const char *name;
      int64_t expected, got;
    };
    for (const Named &size :
         {Named{"b", spec->b, sizes.b}, Named{"hq", spec->hq, sizes.hq},
          Named{"hkv", spec->hkv, sizes.hkv}, Named{"sq", spec->sq, sizes.sq},
          Named{"sk", spec->sk, sizes.sk}, Named{"d", spec->d, sizes.d},
          Named{"dv", spec->dv, sizes.dv}})
      if (size.expected != kDynamic && size.expected != size.got)
        return Error{"size " + inQuotes(size.name) + ": expected " +
                     std::to_string(size.expected) +
                     ", for which the kernel was compiled, got " +
                     std::to_string(size.got)};
    if (sizes.hkv * spec->group != sizes.hq)
      return Error{"size 'hq': expected " + std::to_string(spec->group) +
                   " times hkv = " + std::to_string(sizes.hkv) + ", got " +
                   std::to_string(sizes.hq)};
    return Success{};
  }

  Status pack(const Parameter &parameter) {
    switch (parameter.role) {
    case ParameterRole::Size:
      return packSize(parameter);
    case ParameterRole::Stride:
      return packStride(parameter);
    case ParameterRole::Extent:
      return packExtent(parameter);
    case ParameterRole::Scale:
      if (parameter.positive && !(arguments.scale > 0))
        return Error{"scale: expected a positive number, which is folded into "
                     "the kernel's exponent, got " +
                     std::to_string(arguments.scale)};
      append(float(arguments.scale));
      return Success{};
    case ParameterRole::Workspace:
      return packWorkspace(parameter);
    default:
      return parameter.kind == ParameterKind::Pointer ? packPointer(parameter)
                                                      : packScalar(parameter);
    }
  }

  Status packScalar(const Parameter &parameter) {
    auto it = arguments.scalars.find(parameter.name);
    if (it == arguments.scalars.end())
      return Error{"scalar " + inQuotes(parameter.name) +
                   ": expected one, got none"};
    const auto *integer = std::get_if<int64_t>(&it->second);
    const auto *real = std::get_if<double>(&it->second);
    if (parameter.kind == ParameterKind::F32) {
      append(real ? float(*real) : float(*integer));
      return Success{};
    }
    if (!integer)
      return Error{"scalar " + inQuotes(parameter.name) +
                   ": expected an integer, got " + std::to_string(*real)};
    if (parameter.kind == ParameterKind::I64) {
      append(*integer);
      return Success{};
    }
    if (*integer != int32_t(*integer))
      return Error{"scalar " + inQuotes(parameter.name) +
                   ": expected 32 bits, got " + std::to_string(*integer)};
    append(int32_t(*integer));
    return Success{};
  }

  Status packSize(const Parameter &parameter) {
    const Sizes &sizes = arguments.sizes;
    int64_t value = parameter.name == "b"     ? sizes.b
                    : parameter.name == "hq"  ? sizes.hq
                    : parameter.name == "hkv" ? sizes.hkv
                    : parameter.name == "sq"  ? sizes.sq
                                              : sizes.sk;
    if (value < 1 || value > std::numeric_limits<int32_t>::max())
      return Error{"size " + inQuotes(parameter.name) +
                   ": expected 1 to 2147483647, got " + std::to_string(value)};
    append(int32_t(value));
    return Success{};
  }

  Status packWorkspace(const Parameter &parameter) {
    if (!arguments.workspace)
      return Error{"workspace " + inQuotes(parameter.name) +
                   ": expected one, got none"};
    if (*arguments.workspace % uint64_t(parameter.align) != 0)
      return Error{"workspace " + inQuotes(parameter.name) +
                   ": expected a base aligned to " +
                   std::to_string(parameter.align) + " bytes"};
    append(*arguments.workspace);
    return Success{};
  }

  Status packPointer(const Parameter &parameter) {
    auto it = arguments.buffers.find(parameter.name);
    if (it == arguments.buffers.end())
      return Error{"buffer " + inQuotes(parameter.name) +
                   ": expected one, got none"};
    const BufferArgument &buffer = it->second;
    auto refuse = [&](const std::string &what) -> Status {
      return Error{"buffer " + inQuotes(parameter.name) + ": " + what};
    };
    if (buffer.dtype != parameter.dtype)
      return refuse("expected elements of type " +
                    std::string(name(parameter.dtype)) + ", got " +
                    std::string(name(buffer.dtype)));
    if (buffer.strides.size() != parameter.rank ||
        buffer.shape.size() != parameter.rank)
      return refuse("expected rank " + std::to_string(parameter.rank) +
                    ", got " + std::to_string(buffer.shape.size()));
    for (size_t dim = 0; dim < parameter.shape.size(); ++dim) {
      if (parameter.shape[dim] == "?")
        continue;
      Result<int64_t> extent =
          evaluateExpression(parameter.shape[dim], arguments.sizes);
      if (!extent)
        return refuse("shape: " + extent.error().str());
      if (buffer.shape[dim] != *extent)
        return refuse("expected dimension " + std::to_string(dim) + " of " +
                      std::to_string(*extent) + ", got " +
                      std::to_string(buffer.shape[dim]));
    }
    if (buffer.address % uint64_t(parameter.align) != 0)
      return refuse("expected a base aligned to " +
                    std::to_string(parameter.align) + " bytes");
    // A dimension of size 1 is never stepped along: its stride is noise.
    for (size_t dim = 0; dim < buffer.shape.size(); ++dim) {
      if (buffer.shape[dim] == 1)
        continue;
      int64_t stride = buffer.strides[dim];
      bool isInner = dim + 1 == buffer.shape.size();
      if (isInner && parameter.unitInnerStride && stride != 1)
        return refuse("expected an innermost stride of 1, got " +
                      std::to_string(stride));
      if (!isInner &&
          stride * byteWidth(buffer.dtype) % parameter.rowAlign != 0)
        return refuse("expected the stride of dimension " +
                      std::to_string(dim) + " to be a multiple of " +
                      std::to_string(parameter.rowAlign) + " bytes, got " +
                      std::to_string(stride) + " elements");
    }
    append(buffer.address);
    return Success{};
  }

  Status packStride(const Parameter &parameter) {
    auto it = arguments.buffers.find(parameter.of);
    if (it == arguments.buffers.end() ||
        it->second.strides.size() <= parameter.dim)
      return Error{"buffer " + inQuotes(parameter.of) +
                   ": expected one with a stride of dimension " +
                   std::to_string(parameter.dim)};
    append(it->second.strides[parameter.dim]);
    return Success{};
  }

  Status packExtent(const Parameter &parameter) {
    auto it = arguments.buffers.find(parameter.of);
    if (it == arguments.buffers.end() ||
        it->second.shape.size() <= parameter.dim)
      return Error{"buffer " + inQuotes(parameter.of) +
                   ": expected one with an extent of dimension " +
                   std::to_string(parameter.dim)};
    append(it->second.shape[parameter.dim]);
    return Success{};
  }

  /// Scalars of a .param space lie at multiples of their own size.
  template <typename T> void append(T value) {
    size_t at = (bytes.size() + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    bytes.resize(at + sizeof(T));
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }

  const Manifest &manifest;
  const KernelLaunch &launch;
  const LaunchArguments &arguments;
  std::vector<std::byte> bytes;
};

Result<std::array<uint32_t, 3>>
evaluateDims(const char *what, const std::array<std::string, 3> &expressions,
             const Sizes &sizes, std::array<int64_t, 3> limits) {
  std::array<uint32_t, 3> out;
  for (size_t i = 0; i < 3; ++i) {
    Result<int64_t> value = evaluateExpression(expressions[i], sizes);
    if (!value)
      return Error{std::string(what) + ": " + value.error().str()};
    if (*value < 1 || *value > limits[i])
      return Error{std::string(what) + " " + "xyz"[i] + ": expected 1 to " +
                   std::to_string(limits[i]) + ", got " +
                   std::to_string(*value) + " from '" + expressions[i] + "'"};
    out[i] = uint32_t(*value);
  }
  return out;
}

} // namespace

std::vector<Parameter>
flash::runtime::attentionParameters(DType dtype, DType outDType, bool lse,
                                    std::span<const ParameterRole> descales) {
  std::vector<Parameter> parameters;
  auto addPointer = [&](std::string name, ParameterRole role, DType type,
                        unsigned rank) {
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.role = role;
    parameter.dtype = type;
    parameter.rank = rank;
    parameter.align = parameter.rowAlign = byteWidth(type);
    parameters.push_back(parameter);
  };
  addPointer("q", ParameterRole::Query, dtype, 4);
  addPointer("k", ParameterRole::Key, dtype, 4);
  addPointer("v", ParameterRole::Value, dtype, 4);
  addPointer("o", ParameterRole::Output, outDType, 4);
  if (lse)
    addPointer("lse", ParameterRole::Lse, DType::F32, 3);
  for (ParameterRole role : descales)
    addPointer(std::string(name(role)), role, DType::F32, 2);
  size_t pointers = parameters.size();
  for (const char *size : {"b", "hq", "hkv", "sq", "sk"}) {
    Parameter parameter;
    parameter.name = size;
    parameter.kind = ParameterKind::I32;
    parameter.role = ParameterRole::Size;
    parameters.push_back(parameter);
  }
  for (size_t i = 0; i < pointers; ++i)
    for (unsigned dim = 0; dim < parameters[i].rank; ++dim) {
      Parameter parameter;
      parameter.of = parameters[i].name;
      parameter.dim = dim;
      parameter.name = parameter.of + "_stride_" + "bhsd"[dim];
      parameter.kind = ParameterKind::I64;
      parameter.role = ParameterRole::Stride;
      parameters.push_back(parameter);
    }
  Parameter scale;
  scale.name = "scale";
  scale.kind = ParameterKind::F32;
  scale.role = ParameterRole::Scale;
  parameters.push_back(scale);
  return parameters;
}

void flash::runtime::appendCapture(std::vector<Parameter> &parameters,
                                   std::string name, DType dtype, unsigned rank,
                                   std::vector<std::string> shape) {
  Parameter pointer;
  pointer.name = name;
  pointer.role = ParameterRole::Capture;
  pointer.dtype = dtype;
  pointer.rank = rank;
  pointer.align = pointer.rowAlign = byteWidth(dtype);
  pointer.shape = std::move(shape);
  parameters.push_back(pointer);
  auto addNumber = [&](ParameterRole role, const char *what, unsigned dim) {
    Parameter number;
    number.name = name + what + std::to_string(dim);
    number.kind = ParameterKind::I64;
    number.role = role;
    number.of = name;
    number.dim = dim;
    parameters.push_back(number);
  };
  for (unsigned dim = 0; dim < rank; ++dim)
    addNumber(ParameterRole::Stride, "_stride_", dim);
  for (unsigned dim = 0; dim < pointer.shape.size(); ++dim)
    if (pointer.shape[dim] == "?")
      addNumber(ParameterRole::Extent, "_extent_", dim);
}

Result<LaunchShape>
flash::runtime::computeLaunchShape(const KernelLaunch &launch,
                                   const Sizes &sizes) {
  constexpr int64_t kMaxX = std::numeric_limits<int32_t>::max();
  Result<std::array<uint32_t, 3>> grid =
      evaluateDims("grid", launch.grid, sizes, {kMaxX, 65535, 65535});
  if (!grid)
    return grid.error();
  Result<std::array<uint32_t, 3>> block =
      evaluateDims("block", launch.block, sizes, {1024, 1024, 64});
  if (!block)
    return block.error();
  if (int64_t threads = int64_t((*block)[0]) * (*block)[1] * (*block)[2];
      threads > 1024)
    return Error{"block: expected at most 1024 threads, got " +
                 std::to_string(threads)};
  Result<std::array<uint32_t, 3>> cluster =
      evaluateDims("cluster", launch.cluster, sizes, {16, 16, 16});
  if (!cluster)
    return cluster.error();
  return LaunchShape{*grid, *block, *cluster,
                     uint32_t(launch.dynamicSharedBytes)};
}

Result<int64_t> flash::runtime::computeWorkspaceBytes(const Manifest &manifest,
                                                      const Sizes &sizes) {
  Result<int64_t> workspace =
      evaluateExpression(manifest.workspaceBytes, sizes);
  if (!workspace)
    return Error{"workspace: " + workspace.error().str()};
  if (*workspace < 0)
    return Error{"workspace: expected at least 0 bytes, got " +
                 std::to_string(*workspace)};
  return *workspace;
}

Result<std::vector<std::byte>>
flash::runtime::packArguments(const Manifest &manifest,
                              const KernelLaunch &launch,
                              const LaunchArguments &arguments) {
  return ArgumentPacker(manifest, launch, arguments).run();
}
