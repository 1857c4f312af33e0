//===- BuildAttention.cpp - A module from a line of text ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/BuildAttention.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Pipelines/ElementTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::AttentionSpec;
using ::flash::runtime::Causal;
using ::flash::runtime::DType;
using ::flash::runtime::Layout;

/// The layout of a memref of logical sizes [B, H, S, D] or [B, H, S] that is
/// dense in `order`.
static MemRefLayoutAttrInterface
getDenseLayout(MLIRContext *context, ArrayRef<int64_t> sizes, Layout order) {
  // Scales of heads, [B, H], have one order.
  if (order == Layout::BHSD || sizes.size() == 2)
    return AffineMapAttr::get(
        AffineMap::getMultiDimIdentityMap(sizes.size(), context));
  SmallVector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  // From the innermost dimension out; LSE has no D.
  const unsigned order4[] = {3, 1, 2, 0};
  for (unsigned dim : ArrayRef(order4).take_back(sizes.size())) {
    strides[dim] = stride;
    stride = ShapedType::isDynamic(stride) || ShapedType::isDynamic(sizes[dim])
                 ? ShapedType::kDynamic
                 : stride * sizes[dim];
  }
  return StridedLayoutAttr::get(context, /*offset=*/0, strides);
}

static Type getOperandType(const AttentionSpec &spec, AttentionForm form,
                           ArrayRef<int64_t> sizes, Type element) {
  MLIRContext *context = element.getContext();
  switch (form) {
  case AttentionForm::Tensors:
    return RankedTensorType::get(sizes, element);
  case AttentionForm::StridedMemRefs: {
    SmallVector<int64_t> strides(sizes.size(), ShapedType::kDynamic);
    return MemRefType::get(
        sizes, element,
        StridedLayoutAttr::get(context, ShapedType::kDynamic, strides));
  }
  case AttentionForm::DenseMemRefs:
    return MemRefType::get(sizes, element,
                           getDenseLayout(context, sizes, spec.layout));
  }
  llvm_unreachable("unknown form");
}

/// Writes the masks and score modifiers of `spec` as attributes of `op`.
static void setModifiers(AttentionOp op, const AttentionSpec &spec) {
  Builder builder(op.getContext());
  if (spec.scale)
    op.setScaleAttr(builder.getF32FloatAttr(float(*spec.scale)));
  if (spec.hq == ::flash::runtime::kDynamic)
    op.setGroup(spec.group);
  if (spec.causal != Causal::None)
    op.setCausal(spec.causal == Causal::TopLeft ? CausalKind::top_left
                                                : CausalKind::bottom_right);
  if (spec.window)
    op.setWindow(ArrayRef<int64_t>{spec.window->left, spec.window->right});
  if (spec.prefix)
    op.setPrefix(*spec.prefix);
  if (spec.chunk)
    op.setChunk(*spec.chunk);
  if (spec.sink)
    op.setSinkTokens(*spec.sink);
  if (spec.softcap)
    op.setSoftcapAttr(builder.getF32FloatAttr(float(*spec.softcap)));
  op.setAlibi(spec.alibi);
}

SmallVector<StringRef>
mlir::flash::getArgumentNames(const AttentionSpec &spec) {
  SmallVector<StringRef> names{"q", "k", "v", "o"};
  if (spec.lse)
    names.push_back("lse");
  if (spec.hasDescales())
    names.append({"q_descale", "k_descale", "v_descale"});
  return names;
}

OwningOpRef<ModuleOp> mlir::flash::buildAttention(MLIRContext *context,
                                                  const AttentionSpec &spec,
                                                  AttentionForm form) {
  context->loadDialect<FlashDialect, func::FuncDialect>();
  Location loc =
      FileLineColLoc::get(context, "attention=" + spec.toString(), 1, 1);
  ImplicitLocOpBuilder builder(loc, context);

  auto size = [](int64_t value) {
    return value == ::flash::runtime::kDynamic ? ShapedType::kDynamic : value;
  };
  int64_t b = size(spec.b), hq = size(spec.hq), hkv = size(spec.hkv);
  int64_t sq = size(spec.sq), sk = size(spec.sk);
  Type element = getElementType(context, spec.dtype);
  auto type = [&](ArrayRef<int64_t> sizes, Type elementType) {
    return getOperandType(spec, form, sizes, elementType);
  };
  SmallVector<Type> types{
      type({b, hq, sq, spec.d}, element), type({b, hkv, sk, spec.d}, element),
      type({b, hkv, sk, spec.dv}, element),
      type({b, hq, sq, spec.dv}, getElementType(context, spec.outputDType()))};
  if (spec.lse)
    types.push_back(type({b, hq, sq}, builder.getF32Type()));
  SmallVector<Type> results;
  if (form == AttentionForm::Tensors)
    results.assign(types.begin() + 3, types.end());
  const unsigned firstScale = types.size();
  if (spec.hasDescales())
    for (int64_t heads : {hq, hkv, hkv})
      types.push_back(type({b, heads}, builder.getF32Type()));

  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  auto function = func::FuncOp::create(builder, kAttentionFunction,
                                       builder.getFunctionType(types, results));
  Block *entry = function.addEntryBlock();
  for (auto [argument, name] :
       llvm::zip(entry->getArguments(), getArgumentNames(spec)))
    argument.setLoc(NameLoc::get(builder.getStringAttr(name), loc));
  builder.setInsertionPointToStart(entry);

  Value lse = spec.lse ? entry->getArgument(4) : Value();
  auto attention =
      AttentionOp::create(builder, entry->getArgument(0), entry->getArgument(1),
                          entry->getArgument(2), entry->getArgument(3), lse);
  setModifiers(attention, spec);
  if (spec.hasDescales()) {
    attention.getQDescaleMutable().assign(entry->getArgument(firstScale));
    attention.getKDescaleMutable().assign(entry->getArgument(firstScale + 1));
    attention.getVDescaleMutable().assign(entry->getArgument(firstScale + 2));
  }
  func::ReturnOp::create(builder, attention.getResultTensors());
  return module;
}
