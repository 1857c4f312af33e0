//===- KernelManifest.cpp - Launch description of a tile program ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelManifest.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Pipelines/ElementTypes.h"
#include "flash/Target/PTX.h"
#include "llvm/Config/llvm-config.h"

namespace mlir::flash {
namespace {

using namespace ::flash::runtime;

StringRef roleOf(gpu::GPUFuncOp function, unsigned argument) {
  auto role =
      function.getArgAttrOfType<StringAttr>(argument, "flash_tile.role");
  return role ? role.getValue() : StringRef();
}

/// Captures follow the scale in argument order, see lowerKernelABI.
LogicalResult addCapture(gpu::GPUFuncOp function, unsigned argument,
                         Manifest &manifest) {
  Type type = function.getArgument(argument).getType();
  auto given = function.getArgAttrOfType<StringAttr>(argument,
                                                     "flash_tile.name");
  std::string name =
      given ? given.str() : "argument" + std::to_string(argument);
  // A name that is taken already gets a number.
  std::string base = name;
  for (unsigned number = 2; manifest.find(name); ++number)
    name = base + "_" + std::to_string(number);
  if (auto memref = dyn_cast<MemRefType>(type)) {
    std::optional<DType> dtype = getDType(memref.getElementType());
    if (!dtype || *dtype == DType::F64 || *dtype == DType::TF32)
      return function.emitError("capture element type: expected f32, f16, bf16, "
                                "i1, i8, i16, i32 or i64, got ")
             << memref.getElementType();
    std::vector<std::string> shape;
    for (int64_t size : memref.getShape())
      shape.push_back(ShapedType::isDynamic(size) ? "?"
                                                  : std::to_string(size));
    appendCapture(manifest.parameters, name, *dtype,
                  unsigned(memref.getRank()), std::move(shape));
    return success();
  }
  Parameter parameter;
  parameter.name = name;
  parameter.role = ParameterRole::Capture;
  if (type.isIndex() || type.isInteger(64))
    parameter.kind = ParameterKind::I64;
  else if (type.isInteger(32))
    parameter.kind = ParameterKind::I32;
  else if (type.isF32())
    parameter.kind = ParameterKind::F32;
  else
    return function.emitError("capture: expected index, i32, i64 or f32, got ")
           << type;
  manifest.parameters.push_back(parameter);
  return success();
}

std::map<std::string, std::string> describeSchedule(ScheduleAttr schedule) {
  auto number = [](int64_t value) { return std::to_string(value); };
  auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  return {
      {"level", number(schedule.getLevel())},
      {"tile_q", number(schedule.getTileQ())},
      {"tile_k", number(schedule.getTileK())},
      {"warps", number(schedule.getWarps())},
      {"stages_k", number(schedule.getStagesK())},
      {"stages_v", number(schedule.getStagesV())},
      {"query_in_registers", flag(schedule.getQueryInRegisters())},
      {"tile_v", number(schedule.getTileV())},
      {"softmax", stringifySoftmaxKind(schedule.getSoftmax()).str()},
      {"copies", stringifyCopyKind(schedule.getCopies()).str()},
      {"reduce", stringifyLaneReduction(schedule.getReduce()).str()},
      {"qk", stringifyMathUnit(schedule.getQk()).str()},
      {"pv", stringifyMathUnit(schedule.getPv()).str()},
      {"probabilities", stringifyTileHome(schedule.getProbabilities()).str()},
      {"ldmatrix", flag(schedule.getLdmatrix())},
      {"swizzle", flag(schedule.getSwizzle())},
      {"fold_scale", flag(schedule.getFoldScale())},
      {"defer_normalisation", flag(schedule.getDeferNormalisation())},
      {"split_bands", flag(schedule.getSplitBands())}};
}

/// Entry, grid, block and shared memory of one kernel.
FailureOr<KernelLaunch> describeLaunch(gpu::GPUFuncOp function) {
  auto grid = function->getAttrOfType<ArrayAttr>("flash_tile.grid");
  auto shared = function->getAttrOfType<IntegerAttr>("flash_tile.shared_bytes");
  if (!grid || grid.size() != 3 || !shared)
    return failure();
  KernelLaunch launch;
  launch.entry = function.getName().str();
  for (unsigned i = 0; i < 3; ++i)
    launch.grid[i] = cast<StringAttr>(grid[i]).str();
  launch.block[0] = std::to_string((*function.getKnownBlockSize())[0]);
  launch.dynamicSharedBytes = shared.getInt();
  return launch;
}

} // namespace

FailureOr<Manifest> describeKernel(gpu::GPUFuncOp function,
                                   ArrayRef<gpu::GPUFuncOp> before,
                                   const ::flash::ChipInfo &chip,
                                   StringRef spec) {
  Manifest manifest;
  manifest.entry = function.getName().str();
  manifest.chip = chip.name;
  manifest.ptxIsa = ptxIsaVersion(chip);
  manifest.attention = spec.str();

  std::optional<DType> in, out;
  bool lse = false;
  std::vector<ParameterRole> descales;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    StringRef role = roleOf(function, i);
    auto memref = dyn_cast<MemRefType>(function.getArgument(i).getType());
    if (role == "lse")
      lse = true;
    for (ParameterRole scale :
         {ParameterRole::QueryDescale, ParameterRole::KeyDescale,
          ParameterRole::ValueDescale})
      if (role == StringRef(name(scale)))
        descales.push_back(scale);
    if (memref && role == "q")
      in = getDType(memref.getElementType());
    if (memref && role == "o")
      out = getDType(memref.getElementType());
  }
  if (!in || !out)
    return function.emitError(
        "manifest: expected arguments of role q and o in f16, bf16, f32, "
        "f8E4M3FN or f8E5M2");
  manifest.parameters = attentionParameters(*in, *out, lse, descales);
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (roleOf(function, i) == "capture" &&
        failed(addCapture(function, i, manifest)))
      return failure();

  auto workspaceBytes =
      function->getAttrOfType<StringAttr>("flash_tile.workspace_bytes");
  if (workspaceBytes) {
    manifest.workspaceBytes = workspaceBytes.str();
    Parameter workspace;
    workspace.name = "workspace";
    for (unsigned number = 2; manifest.find(workspace.name); ++number)
      workspace.name = "workspace_" + std::to_string(number);
    workspace.role = ParameterRole::Workspace;
    workspace.dtype = DType::I32;
    workspace.rank = 1;
    workspace.align = workspace.rowAlign = byteWidth(DType::I32);
    manifest.parameters.push_back(workspace);
  }

  // A positive scale is folded into the exponent, see --flash-to-tile.
  if (auto scale = function->getAttrOfType<FloatAttr>("flash_tile.scale"))
    for (Parameter &parameter : manifest.parameters)
      if (parameter.role == ParameterRole::Scale) {
        parameter.value = scale.getValueAsDouble();
        parameter.positive = parameter.value > 0;
      }

  auto schedule =
      function->getAttrOfType<ScheduleAttr>("flash_tile.schedule");
  FailureOr<KernelLaunch> own = describeLaunch(function);
  if (failed(own) || !schedule)
    return function.emitError("manifest: expected flash_tile.grid, "
                              "flash_tile.shared_bytes and "
                              "flash_tile.schedule on the kernel");
  manifest.grid = own->grid;
  manifest.block = own->block;
  manifest.dynamicSharedBytes = own->dynamicSharedBytes;
  int64_t mostShared = own->dynamicSharedBytes;
  for (gpu::GPUFuncOp other : before) {
    FailureOr<KernelLaunch> launch = describeLaunch(other);
    if (failed(launch))
      return other.emitError("manifest: expected flash_tile.grid and "
                             "flash_tile.shared_bytes on the kernel");
    // Kernels of one op have one signature.
    for (const Parameter &parameter : manifest.parameters)
      launch->parameters.push_back(parameter.name);
    mostShared = std::max(mostShared, launch->dynamicSharedBytes);
    manifest.before.push_back(std::move(*launch));
  }
  for (const ::flash::ChipInfo &other : ::flash::kChips)
    if (other.lowered && mostShared <= other.sharedPerCTA)
      manifest.sharedFits.emplace_back(other.name);
  manifest.schedule = describeSchedule(schedule);
  manifest.versions = {{"flash", "0.1.0"}, {"llvm", LLVM_VERSION_STRING}};
  return manifest;
}

} // namespace mlir::flash
