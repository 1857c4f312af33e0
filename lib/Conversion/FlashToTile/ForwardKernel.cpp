//===- ForwardKernel.cpp - Body of the forward kernel ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// One CTA computes tile_q rows of one head of one batch entry. Keys are visited
// in tiles, from the last live one to the first: only the first iteration can
// then reach past the last key.
//
// Two forms of the online softmax. With a positive scale and no score region
// the maximum of the raw products q.k is carried, and scale and log2(e) are
// one factor c of the exponent:
//
//   p = exp2(s * c - m * c),  lse = (m * c + log2(l)) * ln2
//
// Otherwise scores are in natural units, and the maximum is taken off before
// the factor log2(e), so that scores near -FLT_MAX do not overflow:
//
//   p = exp2((s - m) * log2e),  lse = m + log2(l) * ln2
//
//===----------------------------------------------------------------------===//

#include "ForwardKernel.h"
#include "TileInliner.h"

#include "flash/Analysis/MaskAnalysis.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

static constexpr double kLog2E = 1.4426950408889634;
static constexpr double kLn2 = 0.69314718055994531;

namespace {

/// State of the online softmax: unnormalised output, row maximum, row sum.
struct SoftmaxState {
  Value accumulator, maximum, sum;
};

class ForwardKernelBuilder {
public:
  ForwardKernelBuilder(OpBuilder &outer, AttentionOp op,
                       const ForwardOperands &operands)
      : b(op.getLoc(), outer), op(op), operands(operands),
        schedule(op.getScheduleAttr()), tileQ(schedule.getTileQ()),
        tileK(schedule.getTileK()), f32(b.getF32Type()) {
    natural = op.hasScoreRegion() || op.getScaleOrDefault() <= 0.0f;
  }

  LogicalResult build();

private:
  // Scalars in front of the loop.
  Value size(Value memref, int64_t dim);
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  template <typename OpTy, typename... Args> Value fold(Args &&...args) {
    return b.createOrFold<OpTy>(std::forward<Args>(args)...);
  }
  void buildPrologue();
  MaskTiling getTiling();
  void buildRanges();
  Value countFrom(Value tile);
  Value buildTileNumber(Value iteration);

  // Tiles.
  RankedTensorType tile(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  Value full(ArrayRef<int64_t> shape, double value) {
    auto type = tile(shape, f32);
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, b.getF32FloatAttr(float(value))));
  }
  Value splat(Value scalar, ArrayRef<int64_t> shape) {
    return flash_tile::SplatOp::create(b, tile(shape, f32), scalar);
  }
  /// A row vector along the columns of a tile.
  Value expand(Value rows, int64_t columns) {
    return flash_tile::ExpandOp::create(b, tile({tileQ, columns}, f32), rows,
                                        /*axis=*/1);
  }
  Value reduce(flash_tile::ReduceKind kind, Value scores) {
    return flash_tile::ReduceOp::create(b, tile({tileQ}, f32), kind, scores,
                                        /*axis=*/1);
  }
  Value load(Value memref, ValueRange indices, ArrayRef<int64_t> shape) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    return flash_tile::LoadOp::create(b, tile(shape, element), memref, indices);
  }
  /// `value` rounded to the element type of `memref`.
  Value round(Value value, Value memref) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getElementType() == element)
      return value;
    return arith::TruncFOp::create(b, tile(type.getShape(), element), value);
  }

  // The loop.
  LogicalResult buildLoop();
  FailureOr<SoftmaxState> buildIteration(Value iteration, SoftmaxState state);
  FailureOr<Value> buildScores(Value keys, Value firstKey);
  /// The scores with masked ones at -inf.
  FailureOr<Value> buildMasked(Value scores, Value firstKey);
  /// Builds `value` in an scf.if that runs without masks where `isFull`.
  FailureOr<Value> unlessFull(Value value,
                              llvm::function_ref<FailureOr<Value>()> partial);
  TileValue absoluteIndex(Value local, Value offset);
  void buildEpilogue();

  ImplicitLocOpBuilder b;
  AttentionOp op;
  const ForwardOperands &operands;
  ScheduleAttr schedule;
  int64_t tileQ, tileK;
  Type f32;
  /// Scores are in natural units, see above.
  bool natural;

  Value zero, batch, head, keyHead, queries, keys, firstQuery;
  Value alignment, heads;
  std::optional<UniformValues> uniforms;
  MaskRanges ranges;
  TileRangeValues bounds;
  /// Number of live tiles, and the iterations at which the second live range
  /// from above starts, the third, and so on.
  Value iterations;
  SmallVector<Value> starts;
  /// The bands of full tiles as ranges of iterations, in their order.
  SmallVector<Value> bandStarts, bandEnds;
  /// All tiles are full, whatever the sizes are.
  bool allFull = false;
  /// c of the folded form, log2(e) of the natural one; on a tile and on a row.
  Value factorTile, factorRow;
  Value scaleTile, queryTile;
  /// In the loop: whether the tile needs no mask; null where static.
  Value isFull;
  SoftmaxState result;
};

} // namespace

//===----------------------------------------------------------------------===//
// Prologue
//===----------------------------------------------------------------------===//

Value ForwardKernelBuilder::size(Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return index(type.getDimSize(dim));
  return memref::DimOp::create(b, memref, dim);
}

static std::optional<int64_t> staticSize(ShapedType type, int64_t dim) {
  if (type.isDynamicDim(dim))
    return std::nullopt;
  return type.getDimSize(dim);
}

MaskTiling ForwardKernelBuilder::getTiling() {
  MaskTiling tiling;
  tiling.tileQ = tileQ;
  tiling.tileK = tileK;
  tiling.queries = staticSize(op.getQueryType(), 2);
  tiling.keys = staticSize(op.getKeyType(), 2);
  tiling.alignment = op.getStaticAlignment();
  tiling.ownAlignment = static_cast<bool>(operands.alignment);
  tiling.offsetQ = static_cast<bool>(operands.offsetQ);
  tiling.offsetK = static_cast<bool>(operands.offsetK);
  return tiling;
}

void ForwardKernelBuilder::buildPrologue() {
  zero = index(0);
  Value block = gpu::BlockIdOp::create(b, gpu::Dimension::x);
  head = gpu::BlockIdOp::create(b, gpu::Dimension::y);
  batch = gpu::BlockIdOp::create(b, gpu::Dimension::z);
  queries = size(operands.query, 2);
  keys = size(operands.key, 2);
  ranges = analyzeMask(op.getMask(), getTiling());
  for (const auto &[loc, text] : ranges.remarks)
    emitRemark(loc) << text;

  Value queryTileNumber = block;
  if (ranges.growsWithQuery()) {
    // Longest first: the CTAs that start last should be the short ones.
    Value count = fold<arith::CeilDivSIOp>(queries, index(tileQ));
    Value last = fold<arith::SubIOp>(count, index(1));
    queryTileNumber = arith::SubIOp::create(b, last, block);
  }
  firstQuery = arith::MulIOp::create(b, queryTileNumber, index(tileQ));
  int64_t group = op.getGroupSize();
  keyHead = group == 1 ? head : fold<arith::FloorDivSIOp>(head, index(group));

  if (std::optional<int64_t> known = op.getStaticAlignment())
    alignment = index(*known);
  else
    alignment = operands.alignment ? operands.alignment
                                   : fold<arith::SubIOp>(keys, queries);
  heads = operands.heads ? operands.heads : size(operands.query, 1);
}

/// The uniform arguments of both regions, then the bounds of the loop.
void ForwardKernelBuilder::buildRanges() {
  // Sizes are 32-bit in the ABI; operands of the op may be anything.
  uniforms.emplace(b, alignment, heads,
                   operands.alignment || operands.heads ? 64u : 33u);
  auto absolute = [&](Value local, Value offset) {
    return offset ? fold<arith::AddIOp>(local, offset) : local;
  };
  Value absoluteBatch = absolute(batch, operands.offsetB);
  Value absoluteHead = absolute(head, operands.offsetH);
  for (auto [region, first] :
       {std::pair<Region *, unsigned>{&op.getScore(), 1},
        std::pair<Region *, unsigned>{&op.getMask(), 0}}) {
    if (region->empty())
      continue;
    uniforms->map(region->getArgument(first), absoluteBatch,
                  operands.offsetB ? 64 : 33);
    uniforms->map(region->getArgument(first + 1), absoluteHead,
                  operands.offsetH ? 64 : 33);
    for (auto [argument, capture] : llvm::zip(
             region->getArguments().drop_front(first + 4), operands.captures))
      if (capture)
        uniforms->map(argument, capture);
  }

  auto symbol = [&](const MaskSymbol &symbol) -> Value {
    using Kind = MaskSymbol::Kind;
    switch (symbol.kind) {
    case Kind::FirstQuery:
      return firstQuery;
    case Kind::Queries:
      return queries;
    case Kind::Keys:
      return keys;
    case Kind::Alignment:
      return alignment;
    case Kind::OffsetQ:
      return operands.offsetQ;
    case Kind::OffsetK:
      return operands.offsetK;
    case Kind::Region:
      break;
    }
    Value value = uniforms->get(symbol.value);
    return value.getType().isIndex()
               ? value
               : fold<arith::IndexCastOp>(b.getIndexType(), value);
  };
  bounds = materializeRanges(b, b.getLoc(), ranges, symbol);
  auto same = [](Value left, Value right) {
    return isEqualConstantIntOrValue(left, right);
  };
  llvm::erase_if(bounds.full, [&](const TileRangeValues::Range &range) {
    return same(range.lo, range.hi);
  });
  allFull = bounds.full.size() == 1 && bounds.live.size() == 1 &&
            same(bounds.live.front().lo, bounds.full.front().lo) &&
            same(bounds.live.front().hi, bounds.full.front().hi);

  iterations = Value();
  for (const TileRangeValues::Range &range : llvm::reverse(bounds.live)) {
    if (iterations)
      starts.push_back(iterations);
    Value length = fold<arith::SubIOp>(range.hi, range.lo);
    iterations = iterations ? fold<arith::AddIOp>(iterations, length) : length;
  }
  for (const TileRangeValues::Range &range : llvm::reverse(bounds.full)) {
    bandStarts.push_back(countFrom(range.hi));
    bandEnds.push_back(countFrom(range.lo));
  }
}

/// Live tiles from `tile`, a bound of a full range, on: the number of the
/// iteration behind it.
Value ForwardKernelBuilder::countFrom(Value tile) {
  if (bounds.live.size() == 1)
    return fold<arith::SubIOp>(bounds.live.front().hi, tile);
  if (tile == bounds.live.front().lo)
    return iterations;
  if (tile == bounds.live.back().hi)
    return zero;
  Value count;
  for (const TileRangeValues::Range &range : bounds.live) {
    Value length =
        fold<arith::SubIOp>(range.hi, fold<arith::MaxSIOp>(range.lo, tile));
    length = fold<arith::MaxSIOp>(length, zero);
    count = count ? fold<arith::AddIOp>(count, length) : length;
  }
  return count;
}

/// The tile of an iteration: down from the last live one, and over the gap
/// between two live ranges where the second of them starts.
Value ForwardKernelBuilder::buildTileNumber(Value iteration) {
  Value last = fold<arith::SubIOp>(bounds.live.back().hi, index(1));
  SmallVector<Value> gaps;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(b.getInsertionBlock()->getParentOp());
    for (size_t i = bounds.live.size() - 1; i > 0; --i)
      gaps.push_back(
          fold<arith::SubIOp>(bounds.live[i].lo, bounds.live[i - 1].hi));
  }
  Value tile = arith::SubIOp::create(b, last, iteration);
  for (auto [start, gap] : llvm::zip(starts, gaps)) {
    Value isBehind =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, iteration, start);
    Value skipped = arith::SelectOp::create(b, isBehind, gap, zero);
    tile = arith::SubIOp::create(b, tile, skipped);
  }
  return tile;
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

TileValue ForwardKernelBuilder::absoluteIndex(Value local, Value offset) {
  TileValue value;
  value.kind = TileValue::Kind::Uniform;
  value.value = offset ? fold<arith::AddIOp>(local, offset) : local;
  value.bits = offset ? 64 : 33;
  return value;
}

FailureOr<Value> ForwardKernelBuilder::buildScores(Value keyTile,
                                                   Value firstKey) {
  Value scores = flash_tile::DotOp::create(
      b, queryTile, keyTile, full({tileQ, tileK}, 0.0), /*transpose_a=*/false,
      /*transpose_b=*/true);
  if (!natural)
    return scores;
  scores = arith::MulFOp::create(b, scores, scaleTile);
  if (!op.hasScoreRegion())
    return scores;
  TileInliner inliner(b, *uniforms, "score", tileQ, tileK,
                      absoluteIndex(firstQuery, operands.offsetQ),
                      absoluteIndex(firstKey, operands.offsetK));
  return inliner.inlineRegion(op.getScore(), /*queryArgument=*/3, scores);
}

FailureOr<Value> ForwardKernelBuilder::buildMasked(Value scores,
                                                   Value firstKey) {
  Value keep;
  if (op.hasMaskRegion()) {
    TileInliner inliner(b, *uniforms, "mask", tileQ, tileK,
                        absoluteIndex(firstQuery, operands.offsetQ),
                        absoluteIndex(firstKey, operands.offsetK));
    FailureOr<Value> mask =
        inliner.inlineRegion(op.getMask(), /*queryArgument=*/2, Value());
    if (failed(mask))
      return failure();
    keep = *mask;
  }
  std::optional<int64_t> known = staticSize(op.getKeyType(), 2);
  bool isRagged = !known || *known % tileK != 0;
  if (isRagged && !ranges.boundsKeys) {
    TileInliner local(b, *uniforms, "mask", tileQ, tileK,
                      absoluteIndex(firstQuery, Value()),
                      absoluteIndex(firstKey, Value()));
    Value inside = local.keysBelow(b.getLoc(), keys);
    keep = keep ? arith::AndIOp::create(b, keep, inside).getResult() : inside;
  }
  if (!keep)
    return scores;
  Value lowest = full({tileQ, tileK}, -std::numeric_limits<double>::infinity());
  return arith::SelectOp::create(b, keep, scores, lowest).getResult();
}

FailureOr<Value> ForwardKernelBuilder::unlessFull(
    Value value, llvm::function_ref<FailureOr<Value>()> partial) {
  if (allFull)
    return value;
  if (!isFull)
    return partial();
  auto branch = scf::IfOp::create(b, TypeRange{value.getType()}, isFull,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, value);
  b.setInsertionPointToStart(branch.elseBlock());
  FailureOr<Value> other = partial();
  if (failed(other))
    return failure();
  scf::YieldOp::create(b, *other);
  return branch.getResult(0);
}

FailureOr<SoftmaxState>
ForwardKernelBuilder::buildIteration(Value iteration, SoftmaxState state) {
  Value tileNumber = buildTileNumber(iteration);
  Value firstKey = arith::MulIOp::create(b, tileNumber, index(tileK));
  int64_t headDim = op.getHeadDim(), valueDim = op.getValueDim();

  Value keyTile =
      load(operands.key, {batch, keyHead, firstKey, zero}, {tileK, headDim});
  FailureOr<Value> scores = buildScores(keyTile, firstKey);
  if (failed(scores))
    return failure();
  isFull = Value();
  if (!allFull && !bandStarts.empty())
    isFull = flash_tile::InRangeOp::create(b, iteration, bandStarts, bandEnds);
  FailureOr<Value> masked =
      unlessFull(*scores, [&] { return buildMasked(*scores, firstKey); });
  if (failed(masked))
    return failure();

  // Row maximum. A row whose keys are all masked so far has -inf; 0 in its
  // place makes every exponent below -inf and nothing NaN. Full tiles have
  // finite maxima, but a score region may yield -inf anywhere.
  Value tileMaximum = reduce(flash_tile::ReduceKind::max, *masked);
  Value maximum = arith::MaxNumFOp::create(b, state.maximum, tileMaximum);
  auto guardMaximum = [&]() -> FailureOr<Value> {
    Value lowest = full({tileQ}, -std::numeric_limits<double>::infinity());
    Value isDead =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, lowest);
    return arith::SelectOp::create(b, isDead, full({tileQ}, 0.0), maximum)
        .getResult();
  };
  Value reference = op.hasScoreRegion() ? *guardMaximum()
                                        : *unlessFull(maximum, guardMaximum);

  Value exponent, rescale;
  if (natural) {
    exponent = arith::SubFOp::create(b, *masked, expand(reference, tileK));
    exponent = arith::MulFOp::create(b, exponent, factorTile);
    rescale = arith::SubFOp::create(b, state.maximum, reference);
    rescale = arith::MulFOp::create(b, rescale, factorRow);
  } else {
    Value shift = arith::MulFOp::create(b, reference, factorRow);
    Value negated = arith::NegFOp::create(b, shift);
    exponent =
        math::FmaOp::create(b, *masked, factorTile, expand(negated, tileK));
    rescale = math::FmaOp::create(b, state.maximum, factorRow, negated);
  }
  Value probabilities = math::Exp2Op::create(b, exponent);
  rescale = math::Exp2Op::create(b, rescale);

  SoftmaxState next;
  next.maximum = maximum;
  Value tileSum = reduce(flash_tile::ReduceKind::add, probabilities);
  next.sum = math::FmaOp::create(b, state.sum, rescale, tileSum);
  Value rounded = round(probabilities, operands.value);
  Value rescaled =
      arith::MulFOp::create(b, state.accumulator, expand(rescale, valueDim));
  Value valueTile =
      load(operands.value, {batch, keyHead, firstKey, zero}, {tileK, valueDim});
  next.accumulator = flash_tile::DotOp::create(b, rounded, valueTile, rescaled,
                                               /*transpose_a=*/false,
                                               /*transpose_b=*/false);
  return next;
}

LogicalResult ForwardKernelBuilder::buildLoop() {
  SmallVector<Value> initial{
      full({tileQ, op.getValueDim()}, 0.0),
      full({tileQ}, -std::numeric_limits<double>::infinity()),
      full({tileQ}, 0.0)};
  auto loop = scf::ForOp::create(b, zero, iterations, index(1), initial);
  loop->setDiscardableAttr("flash_tile.pipeline", b.getUnitAttr());
  // Tiles are visited from the last to the first.
  loop->setDiscardableAttr(allFull ? "flash_tile.never_ragged"
                                   : "flash_tile.first_ragged",
                           b.getUnitAttr());
  uniforms->stayAbove(loop);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  FailureOr<SoftmaxState> next =
      buildIteration(loop.getInductionVar(),
                     {loop.getRegionIterArg(0), loop.getRegionIterArg(1),
                      loop.getRegionIterArg(2)});
  if (failed(next))
    return failure();
  scf::YieldOp::create(b,
                       ValueRange{next->accumulator, next->maximum, next->sum});
  result = {loop.getResult(0), loop.getResult(1), loop.getResult(2)};
  return success();
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

/// O = accumulator / sum and the log-sum-exp; 0 and -inf where no key was seen.
void ForwardKernelBuilder::buildEpilogue() {
  Value nothing = full({tileQ}, 0.0);
  Value isDead;
  if (!allFull)
    isDead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, result.sum,
                                   nothing);
  auto unlessDead = [&](Value dead, Value alive) -> Value {
    return isDead ? arith::SelectOp::create(b, isDead, dead, alive).getResult()
                  : alive;
  };
  Value inverse = arith::DivFOp::create(b, full({tileQ}, 1.0), result.sum);
  inverse = unlessDead(nothing, inverse);
  Value output = arith::MulFOp::create(b, result.accumulator,
                                       expand(inverse, op.getValueDim()));
  flash_tile::StoreOp::create(b, round(output, operands.output),
                              operands.output,
                              ValueRange{batch, head, firstQuery, zero});
  if (!operands.lse)
    return;
  Value logarithm = math::Log2Op::create(b, result.sum);
  Value ln2 = full({tileQ}, kLn2);
  Value lse;
  if (natural) {
    lse = math::FmaOp::create(b, logarithm, ln2, result.maximum);
  } else {
    lse = math::FmaOp::create(b, result.maximum, factorRow, logarithm);
    lse = arith::MulFOp::create(b, lse, ln2);
  }
  lse =
      unlessDead(full({tileQ}, -std::numeric_limits<double>::infinity()), lse);
  flash_tile::StoreOp::create(b, lse, operands.lse,
                              ValueRange{batch, head, firstQuery});
}

LogicalResult ForwardKernelBuilder::build() {
  buildPrologue();
  buildRanges();
  if (natural) {
    factorTile = full({tileQ, tileK}, kLog2E);
    factorRow = full({tileQ}, kLog2E);
    scaleTile = splat(operands.scale, {tileQ, tileK});
  } else {
    Value log2e = arith::ConstantOp::create(b, b.getF32FloatAttr(kLog2E));
    Value factor = arith::MulFOp::create(b, operands.scale, log2e);
    factorTile = splat(factor, {tileQ, tileK});
    factorRow = splat(factor, {tileQ});
  }
  queryTile = load(operands.query, {batch, head, firstQuery, zero},
                   {tileQ, op.getHeadDim()});
  if (failed(buildLoop()))
    return failure();
  buildEpilogue();
  gpu::ReturnOp::create(b);
  return success();
}

LogicalResult mlir::flash::buildForwardKernel(OpBuilder &builder,
                                              AttentionOp op,
                                              const ForwardOperands &operands) {
  return ForwardKernelBuilder(builder, op, operands).build();
}
