//===- FlashOps.cpp - Operations of the flash dialect ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"

#include <cmath>

using namespace mlir;
using namespace mlir::flash;

/// The regions are isolated, and so are their names: an undefined value in one
/// region is an error there and never the forward reference to a value of the
/// other one.
static ParseResult parseIsolatedRegion(OpAsmParser &parser, Region &region) {
  return parser.parseRegion(region, /*arguments=*/{},
                            /*enableNameShadowing=*/true);
}

static void printIsolatedRegion(OpAsmPrinter &printer, Operation *,
                                Region &region) {
  printer.printRegion(region);
}

#define GET_OP_CLASSES
#include "flash/Dialect/Flash/IR/FlashOps.cpp.inc"

void AttentionOp::build(OpBuilder &builder, OperationState &state, Value query,
                        Value key, Value value, Value output, Value lse,
                        ValueRange captures) {
  SmallVector<Type> results;
  for (Value destination : {output, lse})
    if (destination && isa<TensorType>(destination.getType()))
      results.push_back(destination.getType());
  build(builder, state, results, query, key, value, captures,
        /*offset_b=*/Value(), /*offset_h=*/Value(), /*offset_q=*/Value(),
        /*offset_k=*/Value(), /*alignment=*/Value(), /*heads=*/Value(),
        /*cu_seqlens_q=*/Value(), /*cu_seqlens_k=*/Value(),
        /*block_table=*/Value(), /*sinks=*/Value(), output, lse,
        /*q_descale=*/Value(), /*k_descale=*/Value(), /*v_descale=*/Value(),
        /*scale=*/FloatAttr(), /*group=*/IntegerAttr(),
        /*causal=*/CausalKindAttr(), /*window=*/DenseI64ArrayAttr(),
        /*prefix=*/IntegerAttr(), /*chunk=*/IntegerAttr(),
        /*sink_tokens=*/IntegerAttr(), /*softcap=*/FloatAttr(),
        /*alibi=*/UnitAttr(), /*schedule=*/ScheduleAttr());
}

//===----------------------------------------------------------------------===//
// AttentionOp: what the operands mean
//===----------------------------------------------------------------------===//

int64_t AttentionOp::getGroupSize() {
  if (std::optional<uint64_t> group = getGroup())
    return *group;
  return getQueryType().getDimSize(1) / getKeyType().getDimSize(1);
}

int AttentionOp::getProbabilityExponent(Type valueElement) {
  // The largest power of two that the format holds.
  if (isa<Float8E4M3FNType>(valueElement))
    return 8;
  return isa<Float8E5M2Type>(valueElement) ? 15 : 0;
}

float AttentionOp::getScaleOrDefault() {
  if (std::optional<APFloat> scale = getScale())
    return scale->convertToFloat();
  return static_cast<float>(1.0 / std::sqrt(double(getHeadDim())));
}

std::optional<int64_t> AttentionOp::getStaticAlignment() {
  if (isVarlen())
    return std::nullopt;
  if (Value alignment = getAlignment())
    return getConstantIntValue(alignment);
  if (getQueryType().isDynamicDim(2) || getKeyType().isDynamicDim(2))
    return std::nullopt;
  return getKeyType().getDimSize(2) - getQueryType().getDimSize(2);
}

std::optional<int64_t> AttentionOp::getStaticHeads() {
  if (Value heads = getHeads())
    return getConstantIntValue(heads);
  if (getQueryType().isDynamicDim(1))
    return std::nullopt;
  return getQueryType().getDimSize(1);
}

/// The size of dimension `dim` of a tensor or memref.
static OpFoldResult getMixedDim(OpBuilder &builder, Location loc, Value shaped,
                                int64_t dim) {
  auto type = cast<ShapedType>(shaped.getType());
  if (!type.isDynamicDim(dim))
    return builder.getIndexAttr(type.getDimSize(dim));
  if (isa<MemRefType>(type))
    return memref::DimOp::create(builder, loc, shaped, dim).getResult();
  return tensor::DimOp::create(builder, loc, shaped, dim).getResult();
}

OpFoldResult AttentionOp::getMixedAlignment(OpBuilder &builder) {
  if (std::optional<int64_t> known = getStaticAlignment())
    return builder.getIndexAttr(*known);
  if (Value alignment = getAlignment())
    return alignment;
  auto dim = [&](Value shaped) {
    return getValueOrCreateConstantIndexOp(
        builder, getLoc(), getMixedDim(builder, getLoc(), shaped, 2));
  };
  Value keys = dim(getKey());
  Value queries = dim(getQuery());
  return arith::SubIOp::create(builder, getLoc(), keys, queries).getResult();
}

OpFoldResult AttentionOp::getMixedHeads(OpBuilder &builder) {
  if (std::optional<int64_t> known = getStaticHeads())
    return builder.getIndexAttr(*known);
  if (Value heads = getHeads())
    return heads;
  return getMixedDim(builder, getLoc(), getQuery(), 1);
}

SmallVector<Type> AttentionOp::getMaskArgumentTypes() {
  SmallVector<Type> types(kNumMaskArgs, IndexType::get(getContext()));
  llvm::append_range(types, getCaptures().getTypes());
  return types;
}

SmallVector<Type> AttentionOp::getScoreArgumentTypes() {
  SmallVector<Type> types{Float32Type::get(getContext())};
  llvm::append_range(types, getMaskArgumentTypes());
  return types;
}

//===----------------------------------------------------------------------===//
// AttentionOp: interfaces
//===----------------------------------------------------------------------===//

MutableOperandRange AttentionOp::getDpsInitsMutable() {
  // `output` and, right behind it, `lse`.
  unsigned first = getODSOperandIndexAndLength(kOutputIndex).first;
  return MutableOperandRange(*this, first, getLse() ? 2 : 1);
}

void AttentionOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    // The destinations are written whole, never read.
    MemoryEffects::Effect *effect =
        isDpsInit(&operand)
            ? static_cast<MemoryEffects::Effect *>(MemoryEffects::Write::get())
            : MemoryEffects::Read::get();
    effects.emplace_back(effect, &operand, /*stage=*/0,
                         /*effectOnFullRegion=*/true,
                         SideEffects::DefaultResource::get());
  }
}

LogicalResult AttentionOp::reifyResultShapes(
    OpBuilder &builder, ReifiedRankedShapedTypeDims &reifiedReturnShapes) {
  // The sizes come from the inputs, not from the destinations, so that they
  // stay known where a destination is later replaced.
  for (OpResult result : getResultTensors()) {
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<OpFoldResult> sizes;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        sizes.push_back(builder.getIndexAttr(type.getDimSize(dim)));
      else
        // Dv is static, so a dynamic size is one of B, Hq, Sq.
        sizes.push_back(getMixedDim(builder, getLoc(), getQuery(), dim));
    }
    reifiedReturnShapes.push_back(std::move(sizes));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// AlignmentOp, HeadsOp
//===----------------------------------------------------------------------===//

/// What an op in a region folds to, given how to ask the attention around it.
static OpFoldResult
foldToIndex(Operation *op, std::optional<int64_t> (AttentionOp::*getStatic)()) {
  auto attention = dyn_cast_or_null<AttentionOp>(op->getParentOp());
  if (!attention)
    return {};
  std::optional<int64_t> value = (attention.*getStatic)();
  if (!value)
    return {};
  return Builder(op->getContext()).getIndexAttr(*value);
}

OpFoldResult AlignmentOp::fold(FoldAdaptor) {
  return foldToIndex(*this, &AttentionOp::getStaticAlignment);
}

OpFoldResult HeadsOp::fold(FoldAdaptor) {
  return foldToIndex(*this, &AttentionOp::getStaticHeads);
}
