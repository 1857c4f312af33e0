//===- TilingInterfaceImpl.cpp - Tiling of attention ----------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/TilingInterfaceImpl.h"
#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/Flash/Transforms/SplitKeys.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;
using namespace mlir::flash;

/// The loops of the iteration domain.
enum Loop : unsigned {
  kBatch,
  kKeyHeads,
  kQueries,
  kColumns,
  kKeys,
  kNumLoops
};

static OpFoldResult getSize(OpBuilder &builder, Location loc, Value shaped,
                            int64_t dim) {
  if (isa<MemRefType>(shaped.getType()))
    return memref::getMixedSize(builder, loc, shaped, dim);
  return tensor::getMixedSize(builder, loc, shaped, dim);
}

namespace {
/// One tile of the iteration domain and the slices that belong to it.
class Tile {
public:
  Tile(OpBuilder &builder, AttentionOp op, ArrayRef<OpFoldResult> offsets,
       ArrayRef<OpFoldResult> sizes)
      : builder(builder), op(op), loc(op.getLoc()), offsets(offsets),
        sizes(sizes), queryHeadOffset(perQueryHead(offsets[kKeyHeads])),
        queryHeadSize(perQueryHead(sizes[kKeyHeads])) {}

  /// Position of the tile in result `number`: O or LSE.
  void getResultPosition(unsigned number, SmallVector<OpFoldResult> &at,
                         SmallVector<OpFoldResult> &extent) {
    at = {offsets[kBatch], queryHeadOffset, offsets[kQueries]};
    extent = {sizes[kBatch], queryHeadSize, sizes[kQueries]};
    if (number == 0) {
      at.push_back(offsets[kColumns]);
      extent.push_back(sizes[kColumns]);
    }
  }

  /// The op on the tile, computing into slices of `outputs` (O and LSE) at
  /// the tile's position.
  FailureOr<TilingResult> build(ValueRange outputs);

  /// The op on the tile, computing into destinations of the tile's own size.
  AttentionOp buildInto(ValueRange destinations);

  SmallVector<Operation *> slices;
  Value slice(Value source, ArrayRef<OpFoldResult> at,
              ArrayRef<OpFoldResult> extent);

private:
  /// `group` times a number of key heads.
  OpFoldResult perQueryHead(OpFoldResult keyHeads) {
    AffineExpr heads = builder.getAffineDimExpr(0);
    return affine::makeComposedFoldedAffineApply(
        builder, loc, heads * op.getGroupSize(), {keyHeads});
  }
  Value asValue(OpFoldResult index) {
    return getValueOrCreateConstantIndexOp(builder, loc, index);
  }
  /// The op's own offset, if any, plus the tile's; none if both are 0.
  Value shift(Value own, OpFoldResult tile) {
    if (!own)
      return isZeroInteger(tile) ? Value() : asValue(tile);
    AffineExpr a, b;
    bindDims(builder.getContext(), a, b);
    return asValue(affine::makeComposedFoldedAffineApply(builder, loc, a + b,
                                                         {own, tile}));
  }

  OpBuilder &builder;
  AttentionOp op;
  Location loc;
  ArrayRef<OpFoldResult> offsets, sizes;
  OpFoldResult queryHeadOffset, queryHeadSize;
};
} // namespace

Value Tile::slice(Value source, ArrayRef<OpFoldResult> at,
                  ArrayRef<OpFoldResult> extent) {
  SmallVector<OpFoldResult> strides(at.size(), builder.getIndexAttr(1));
  Operation *slice;
  if (isa<MemRefType>(source.getType()))
    slice =
        memref::SubViewOp::create(builder, loc, source, at, extent, strides);
  else
    slice = tensor::ExtractSliceOp::create(builder, loc, source, at, extent,
                                           strides);
  slices.push_back(slice);
  return slice->getResult(0);
}

AttentionOp Tile::buildInto(ValueRange destinations) {
  OpFoldResult zero = builder.getIndexAttr(0);
  OpFoldResult headDim = builder.getIndexAttr(op.getHeadDim());
  Value query =
      slice(op.getQuery(),
            {offsets[kBatch], queryHeadOffset, offsets[kQueries], zero},
            {sizes[kBatch], queryHeadSize, sizes[kQueries], headDim});
  Value key = slice(op.getKey(),
                    {offsets[kBatch], offsets[kKeyHeads], offsets[kKeys], zero},
                    {sizes[kBatch], sizes[kKeyHeads], sizes[kKeys], headDim});
  Value value = slice(
      op.getValue(),
      {offsets[kBatch], offsets[kKeyHeads], offsets[kKeys], offsets[kColumns]},
      {sizes[kBatch], sizes[kKeyHeads], sizes[kKeys], sizes[kColumns]});
  Value sinks = op.getSinks();
  if (sinks)
    sinks = slice(sinks, {queryHeadOffset}, {queryHeadSize});
  auto perHead = [&](Value scales, OpFoldResult headOffset,
                     OpFoldResult headSize) -> Value {
    if (!scales)
      return scales;
    return slice(scales, {offsets[kBatch], headOffset},
                 {sizes[kBatch], headSize});
  };
  Value queryScale = perHead(op.getQDescale(), queryHeadOffset, queryHeadSize);
  Value keyScale =
      perHead(op.getKDescale(), offsets[kKeyHeads], sizes[kKeyHeads]);
  Value valueScale =
      perHead(op.getVDescale(), offsets[kKeyHeads], sizes[kKeyHeads]);

  SmallVector<Type> results;
  for (Value destination : destinations)
    if (isa<TensorType>(destination.getType()))
      results.push_back(destination.getType());
  auto tiled = AttentionOp::create(
      builder, loc, results, query, key, value, op.getCaptures(),
      shift(op.getOffsetB(), offsets[kBatch]),
      shift(op.getOffsetH(), queryHeadOffset),
      shift(op.getOffsetQ(), offsets[kQueries]),
      shift(op.getOffsetK(), offsets[kKeys]),
      asValue(op.getMixedAlignment(builder)),
      asValue(op.getMixedHeads(builder)), /*cu_seqlens_q=*/Value(),
      /*cu_seqlens_k=*/Value(), /*block_table=*/Value(), sinks, destinations[0],
      destinations.size() > 1 ? destinations[1] : Value(), queryScale, keyScale,
      valueScale, op.getScaleAttr(),
      builder.getI64IntegerAttr(op.getGroupSize()), op.getCausalAttr(),
      op.getWindowAttr(), op.getPrefixAttr(), op.getChunkAttr(),
      op.getSinkTokensAttr(), op.getSoftcapAttr(), op.getAlibiAttr(),
      op.getScheduleAttr());
  IRMapping mapping;
  op.getScore().cloneInto(&tiled.getScore(), mapping);
  op.getMask().cloneInto(&tiled.getMask(), mapping);
  return tiled;
}

FailureOr<TilingResult> Tile::build(ValueRange outputs) {
  SmallVector<Value> destinations;
  for (auto [number, output] : llvm::enumerate(outputs)) {
    SmallVector<OpFoldResult> at, extent;
    getResultPosition(number, at, extent);
    destinations.push_back(slice(output, at, extent));
  }
  AttentionOp tiled = buildInto(destinations);
  return TilingResult{
      {tiled}, llvm::to_vector_of<Value>(tiled.getResultTensors()), slices};
}

/// Refuses operands that no tile can be cut from.
static LogicalResult checkTileable(AttentionOp op) {
  if (op.isVarlen() || op.isPaged())
    return op.emitOpError()
           << "tiling: expected dense operands, got cumulative lengths";
  return success();
}

/// True if a loop is not split: the only offset it then ever has is 0.
static bool isWhole(OpFoldResult offset) { return isZeroInteger(offset); }

namespace {
struct AttentionTiling
    : TilingInterface::ExternalModel<AttentionTiling, AttentionOp> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *) const {
    SmallVector<utils::IteratorType> types(kNumLoops,
                                           utils::IteratorType::parallel);
    types[kKeys] = utils::IteratorType::reduction;
    return types;
  }

  SmallVector<Range> getIterationDomain(Operation *op,
                                        OpBuilder &builder) const {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(op);
    auto attention = cast<AttentionOp>(op);
    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    auto range = [&](Value shaped, int64_t dim) {
      return Range{zero, getSize(builder, op->getLoc(), shaped, dim), one};
    };
    return {range(attention.getQuery(), 0), range(attention.getKey(), 1),
            range(attention.getQuery(), 2), range(attention.getValue(), 3),
            range(attention.getKey(), 2)};
  }

  FailureOr<TilingResult>
  getTiledImplementation(Operation *op, OpBuilder &builder,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes) const {
    auto attention = cast<AttentionOp>(op);
    if (failed(checkTileable(attention)))
      return failure();
    if (!isWhole(offsets[kKeys]))
      return op->emitOpError()
             << "tiling of keys: expected all of them, got a part (a partial "
                "reduction takes parts)";
    if (attention.getLse() && !isWhole(offsets[kColumns]))
      return op->emitOpError() << "tiling of columns: expected all of them "
                                  "beside an lse, got a part";
    Tile tile(builder, attention, offsets, sizes);
    return tile.build(attention.getDpsInits());
  }

  LogicalResult
  getResultTilePosition(Operation *op, OpBuilder &builder, unsigned number,
                        ArrayRef<OpFoldResult> offsets,
                        ArrayRef<OpFoldResult> sizes,
                        SmallVector<OpFoldResult> &resultOffsets,
                        SmallVector<OpFoldResult> &resultSizes) const {
    Tile(builder, cast<AttentionOp>(op), offsets, sizes)
        .getResultPosition(number, resultOffsets, resultSizes);
    return success();
  }

  /// The tile of the domain that computes a tile of a result. Heads of the
  /// result must be whole groups, which shows only where offset and size are
  /// static or there is one head per group.
  LogicalResult getIterationDomainTileFromResultTile(
      Operation *op, OpBuilder &builder, unsigned number,
      ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
      SmallVectorImpl<OpFoldResult> &domainOffsets,
      SmallVectorImpl<OpFoldResult> &domainSizes) const {
    auto attention = cast<AttentionOp>(op);
    int64_t group = attention.getGroupSize();
    auto perKeyHead = [&](OpFoldResult heads) -> OpFoldResult {
      if (group == 1)
        return heads;
      std::optional<int64_t> known = getConstantIntValue(heads);
      if (!known || *known % group != 0)
        return {};
      return builder.getIndexAttr(*known / group);
    };
    OpFoldResult headOffset = perKeyHead(offsets[1]);
    OpFoldResult headSize = perKeyHead(sizes[1]);
    if (!headOffset || !headSize)
      return failure();

    SmallVector<Range> domain = getIterationDomain(op, builder);
    domainOffsets.clear();
    domainSizes.clear();
    for (Range range : domain) {
      domainOffsets.push_back(range.offset);
      domainSizes.push_back(range.size);
    }
    domainOffsets[kBatch] = offsets[0];
    domainSizes[kBatch] = sizes[0];
    domainOffsets[kKeyHeads] = headOffset;
    domainSizes[kKeyHeads] = headSize;
    domainOffsets[kQueries] = offsets[2];
    domainSizes[kQueries] = sizes[2];
    if (number == 0) {
      domainOffsets[kColumns] = offsets[3];
      domainSizes[kColumns] = sizes[3];
    }
    return success();
  }

  FailureOr<TilingResult>
  generateResultTileValue(Operation *op, OpBuilder &builder, unsigned number,
                          ArrayRef<OpFoldResult> offsets,
                          ArrayRef<OpFoldResult> sizes) const {
    SmallVector<OpFoldResult> domainOffsets, domainSizes;
    if (failed(getIterationDomainTileFromResultTile(
            op, builder, number, offsets, sizes, domainOffsets, domainSizes)))
      return failure();
    FailureOr<TilingResult> result =
        getTiledImplementation(op, builder, domainOffsets, domainSizes);
    if (failed(result))
      return failure();
    result->tiledValues = {result->tiledValues[number]};
    return result;
  }
};

/// Keys split in parallel: split i computes into slice i of stacks of partial
/// O and LSE.
struct AttentionPartialReduction
    : PartialReductionOpInterface::ExternalModel<AttentionPartialReduction,
                                                 AttentionOp> {
  FailureOr<SmallVector<Value>> generateInitialTensorForPartialReduction(
      Operation *op, OpBuilder &builder, Location loc,
      ArrayRef<OpFoldResult> sizes,
      const SetVector<unsigned> &reductionDims) const {
    auto attention = cast<AttentionOp>(op);
    if (failed(checkTileable(attention)))
      return failure();
    if (attention.getSinks())
      return op->emitOpError()
             << "split of keys: expected no sinks (each part would count "
                "them), got some";
    if (!attention.getLse() || attention.isOnBuffers())
      return op->emitOpError() << "split of keys: expected tensors and an lse "
                                  "destination (the weights of the parts)";
    SmallVector<Value> stacks;
    for (Value destination : attention.getDpsInits()) {
      auto type = cast<RankedTensorType>(destination.getType());
      SmallVector<OpFoldResult> shape{sizes[kKeys]};
      for (int64_t dim = 0; dim < type.getRank(); ++dim)
        shape.push_back(getSize(builder, loc, destination, dim));
      stacks.push_back(
          tensor::EmptyOp::create(builder, loc, shape, builder.getF32Type()));
    }
    return stacks;
  }

  FailureOr<TilingResult>
  tileToPartialReduction(Operation *op, OpBuilder &builder, Location loc,
                         ReductionTilingStrategy strategy, ValueRange init,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes,
                         const SetVector<unsigned> &reductionDims,
                         ArrayRef<OpFoldResult> splitIvs) const {
    auto attention = cast<AttentionOp>(op);
    if (strategy != ReductionTilingStrategy::PartialReductionOuterParallel)
      return op->emitOpError() << "split of keys: expected parallel parts, got "
                                  "a sequential reduction";
    Tile tile(builder, attention, offsets, sizes);
    SmallVector<Value> destinations;
    for (auto [number, stack] : llvm::enumerate(init)) {
      SmallVector<OpFoldResult> at, extent;
      tile.getResultPosition(number, at, extent);
      // Slice of one part: the stack's leading dimension is dropped.
      at.insert(at.begin(), getPart(builder, loc, splitIvs));
      extent.insert(extent.begin(), builder.getIndexAttr(1));
      SmallVector<OpFoldResult> strides(at.size(), builder.getIndexAttr(1));
      auto stackType = cast<RankedTensorType>(stack.getType());
      SmallVector<int64_t> shape;
      for (OpFoldResult size : ArrayRef(extent).drop_front())
        shape.push_back(
            getConstantIntValue(size).value_or(ShapedType::kDynamic));
      auto slice = tensor::ExtractSliceOp::create(
          builder, loc,
          RankedTensorType::get(shape, stackType.getElementType()), stack, at,
          extent, strides);
      tile.slices.push_back(slice);
      destinations.push_back(slice);
    }
    AttentionOp tiled = tile.buildInto(destinations);
    return TilingResult{{tiled},
                        llvm::to_vector_of<Value>(tiled.getResultTensors()),
                        tile.slices};
  }

  FailureOr<MergeResult>
  mergeReductions(Operation *op, OpBuilder &builder, Location loc,
                  ValueRange stacks,
                  const SetVector<unsigned> &reductionDims) const {
    return mergeSplits(builder, cast<AttentionOp>(op), stacks[0], stacks[1]);
  }

  LogicalResult getPartialResultTilePosition(
      Operation *op, OpBuilder &builder, unsigned number,
      ReductionTilingStrategy strategy, ArrayRef<OpFoldResult> offsets,
      ArrayRef<OpFoldResult> sizes, const SetVector<unsigned> &reductionDims,
      ArrayRef<OpFoldResult> splitIvs, SmallVector<OpFoldResult> &resultOffsets,
      SmallVector<OpFoldResult> &resultSizes) const {
    Tile(builder, cast<AttentionOp>(op), offsets, sizes)
        .getResultPosition(number, resultOffsets, resultSizes);
    resultOffsets.insert(resultOffsets.begin(),
                         getPart(builder, op->getLoc(), splitIvs));
    resultSizes.insert(resultSizes.begin(), builder.getIndexAttr(1));
    return success();
  }

private:
  /// Keys are the one reduction, so they have the one induction variable.
  static OpFoldResult getPart(OpBuilder &builder, Location loc,
                              ArrayRef<OpFoldResult> splitIvs) {
    return splitIvs.back();
  }
};
} // namespace

void mlir::flash::registerTilingInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, FlashDialect *) {
    AttentionOp::attachInterface<AttentionTiling, AttentionPartialReduction>(
        *context);
    context->loadDialect<affine::AffineDialect, linalg::LinalgDialect>();
  });
}
