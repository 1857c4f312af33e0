//===- TileInlinerReads.cpp - Reads and branches of regions ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileInliner.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mlir::flash;
using Kind = TileValue::Kind;

static bool isNarrowFloat(Type type) { return type.isF16() || type.isBF16(); }

Value TileInliner::materializeWide(Location loc, TileValue value) {
  if (value.kind == Kind::Uniform && isNarrowFloat(value.value.getType()))
    value.value =
        arith::ExtFOp::create(builder, loc, builder.getF32Type(), value.value);
  return materialize(loc, value);
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

Value TileInliner::buildLookup(memref::LoadOp load) {
  SmallVector<Value> indices;
  for (Value index : load.getIndices())
    indices.push_back(values.lookup(index).value);
  return flash_tile::LookupOp::create(
      builder, load.getLoc(), load.getMemRefType().getElementType(),
      values.lookup(load.getMemRef()).value, indices, uniformGuard);
}

Value TileInliner::buildGather(memref::LoadOp load, bool onRows,
                               bool onColumns) {
  Location loc = load.getLoc();
  // As GatherElementsOp wants factors to be.
  constexpr int64_t kFactorLimit = 1 << 20;
  SmallVector<Value> indices, offsets;
  SmallVector<int64_t> rows, columns, offsetDims;
  for (auto [dim, index] : llvm::enumerate(load.getIndices())) {
    std::optional<TileValue> affine = asAffine(index);
    bool isSmall = affine && std::abs(affine->rows) < kFactorLimit &&
                   std::abs(affine->columns) < kFactorLimit;
    if (isSmall) {
      indices.push_back(affine->value);
      rows.push_back(affine->rows);
      columns.push_back(affine->columns);
      continue;
    }
    indices.push_back(arith::ConstantIndexOp::create(builder, loc, 0));
    rows.push_back(0);
    columns.push_back(0);
    offsets.push_back(materialize(loc, values.lookup(index)));
    offsetDims.push_back(dim);
  }
  Value valid = tileGuard;
  if (uniformGuard) {
    Value guard = splat(loc, uniformGuard);
    valid = valid
                ? arith::AndIOp::create(builder, loc, valid, guard).getResult()
                : guard;
  }
  return flash_tile::GatherElementsOp::create(
      builder, loc, tileType(load.getMemRefType().getElementType()),
      values.lookup(load.getMemRef()).value, indices, rows, columns, offsets,
      offsetDims, onRows ? rowLimit : Value(),
      onColumns ? columnLimit : Value(), valid);
}

LogicalResult TileInliner::inlineLoad(memref::LoadOp load) {
  if (!isa<BlockArgument>(load.getMemRef()))
    return load.emitError()
           << role << " region: '" << load->getName()
           << "': expected a capture, got the result of '"
           << load.getMemRef().getDefiningOp()->getName() << "'";
  TileValue result;
  result.onRows = guardOnRows;
  result.onColumns = guardOnColumns;
  bool isUniform = !tileGuard;
  for (Value index : load.getIndices()) {
    const TileValue &value = values[index];
    isUniform &= value.kind == Kind::Uniform;
    result.onRows |= value.onRows;
    result.onColumns |= value.onColumns;
  }
  if (isUniform) {
    bool isHoistable =
        !uniformGuard && llvm::all_of(load.getIndices(), [&](Value index) {
          return uniforms.isKnown(index);
        });
    result.kind = Kind::Uniform;
    result.value =
        isHoistable ? uniforms.get(load.getResult()) : buildLookup(load);
  } else {
    Value gathered = buildGather(load, result.onRows, result.onColumns);
    if (isNarrowFloat(load.getType()))
      gathered = arith::ExtFOp::create(
          builder, load.getLoc(), tileType(builder.getF32Type()), gathered);
    result.value = gathered;
  }
  values[load.getResult()] = result;
  return success();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

TileValue TileInliner::buildSelect(Location loc, const TileValue &condition,
                                   const TileValue &ifTrue,
                                   const TileValue &ifFalse) {
  TileValue result;
  auto isUniform = [](const TileValue &value) {
    return value.kind == Kind::Uniform;
  };
  if (isUniform(condition) && isUniform(ifTrue) && isUniform(ifFalse)) {
    result.kind = Kind::Uniform;
    result.bits = std::max(ifTrue.bits, ifFalse.bits);
    result.value = builder.createOrFold<arith::SelectOp>(
        loc, condition.value, ifTrue.value, ifFalse.value);
    return result;
  }
  for (const TileValue *value : {&condition, &ifTrue, &ifFalse}) {
    result.onRows |= value->onRows;
    result.onColumns |= value->onColumns;
  }
  result.value = arith::SelectOp::create(
      builder, loc, materialize(loc, condition), materializeWide(loc, ifTrue),
      materializeWide(loc, ifFalse));
  return result;
}

LogicalResult TileInliner::inlineBranch(Block &block, TileValue condition,
                                        bool isThen,
                                        SmallVectorImpl<TileValue> &yielded) {
  Location loc = block.getParentOp()->getLoc();
  // Restored on every way out.
  llvm::SaveAndRestore<Value> savedUniform(uniformGuard), savedTile(tileGuard);
  llvm::SaveAndRestore<bool> savedRows(guardOnRows),
      savedColumns(guardOnColumns);
  Value taken = condition.value;
  if (!isThen) {
    Type type = taken.getType();
    TypedAttr truth = builder.getBoolAttr(true);
    if (auto tile = dyn_cast<RankedTensorType>(type))
      truth = DenseElementsAttr::get(tile, Attribute(truth));
    Value yes = arith::ConstantOp::create(builder, loc, truth);
    taken = builder.createOrFold<arith::XOrIOp>(loc, taken, yes);
  }
  Value &guard = condition.kind == Kind::Uniform ? uniformGuard : tileGuard;
  guard = guard ? arith::AndIOp::create(builder, loc, guard, taken).getResult()
                : taken;
  guardOnRows |= condition.onRows;
  guardOnColumns |= condition.onColumns;
  for (Operation &op : block.without_terminator())
    if (failed(inlineOp(op)))
      return failure();
  for (Value value : block.getTerminator()->getOperands())
    yielded.push_back(values.lookup(value));
  return success();
}

LogicalResult TileInliner::inlineIf(scf::IfOp branch) {
  TileValue condition = values.lookup(branch.getCondition());
  SmallVector<TileValue> ifTrue, ifFalse;
  if (failed(inlineBranch(*branch.thenBlock(), condition, /*isThen=*/true,
                          ifTrue)) ||
      (branch.elseBlock() && failed(inlineBranch(*branch.elseBlock(), condition,
                                                 /*isThen=*/false, ifFalse))))
    return failure();
  for (auto [result, left, right] :
       llvm::zip(branch.getResults(), ifTrue, ifFalse))
    values[result] = buildSelect(branch.getLoc(), condition, left, right);
  return success();
}
