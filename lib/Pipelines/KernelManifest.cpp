//===- KernelManifest.cpp - Launch description of a tile program ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelManifest.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Target/PTX.h"
#include "llvm/Config/llvm-config.h"

namespace mlir::flash {
namespace {

using namespace ::flash::runtime;

std::optional<DType> toDType(Type type) {
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  if (type.isF32())
    return DType::F32;
  if (isa<Float8E4M3FNType>(type))
    return DType::E4M3;
  if (isa<Float8E5M2Type>(type))
    return DType::E5M2;
  return std::nullopt;
}

StringRef roleOf(gpu::GPUFuncOp function, unsigned argument) {
  auto role =
      function.getArgAttrOfType<StringAttr>(argument, "flash_tile.role");
  return role ? role.getValue() : StringRef();
}

/// Scalar captures follow the scale in argument order.
LogicalResult addCapture(gpu::GPUFuncOp function, unsigned argument,
                         Manifest &manifest) {
  Type type = function.getArgument(argument).getType();
  Parameter parameter;
  parameter.name = "capture" + std::to_string(argument);
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

} // namespace

FailureOr<Manifest> describeKernel(gpu::GPUFuncOp function,
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
      in = toDType(memref.getElementType());
    if (memref && role == "o")
      out = toDType(memref.getElementType());
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

  // A positive scale is folded into the exponent, see --flash-to-tile.
  if (auto scale = function->getAttrOfType<FloatAttr>("flash_tile.scale"))
    for (Parameter &parameter : manifest.parameters)
      if (parameter.role == ParameterRole::Scale) {
        parameter.value = scale.getValueAsDouble();
        parameter.positive = parameter.value > 0;
      }

  auto grid = function->getAttrOfType<ArrayAttr>("flash_tile.grid");
  auto shared = function->getAttrOfType<IntegerAttr>("flash_tile.shared_bytes");
  auto schedule = function->getAttrOfType<ScheduleAttr>("flash_tile.schedule");
  if (!grid || grid.size() != 3 || !shared || !schedule)
    return function.emitError("manifest: expected flash_tile.grid, "
                              "flash_tile.shared_bytes and "
                              "flash_tile.schedule on the kernel");
  for (unsigned i = 0; i < 3; ++i)
    manifest.grid[i] = cast<StringAttr>(grid[i]).str();
  manifest.block[0] = std::to_string((*function.getKnownBlockSize())[0]);
  manifest.dynamicSharedBytes = shared.getInt();
  for (const ::flash::ChipInfo &other : ::flash::kChips)
    if (other.lowered && manifest.dynamicSharedBytes <= other.sharedPerCTA)
      manifest.sharedFits.emplace_back(other.name);
  manifest.schedule = describeSchedule(schedule);
  manifest.versions = {{"flash", "0.1.0"}, {"llvm", LLVM_VERSION_STRING}};
  return manifest;
}

} // namespace mlir::flash
