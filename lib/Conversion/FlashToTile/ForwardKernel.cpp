//===- ForwardKernel.cpp - Body of the forward kernel ---------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// One CTA computes tile_q rows, and all columns or a slice of tile_v, of one
// head of one batch entry. Keys are visited in tiles, from the last live one to
// the first: only the first iteration can then reach past the last key.
//
// Two forms of the online softmax. With a positive scale, fold_scale, and no
// score region or one that only multiplies by a positive constant, the maximum
// of the raw products q.k is carried, and scale, constant and log2(e) are one
// factor c of the exponent:
//
//   p = exp2(s * c - m * c),  lse = (m * c + log2(l)) * ln2
//
// in one multiply-add per score. Its p of the maximum is 1 only up to the
// rounding of m * c, which no 16-bit output shows; where the output is f32 it
// is
//
//   p = exp2((s - m) * c)
//
// Otherwise scores are in natural units, and the maximum is taken off before
// the factor log2(e), so that scores near -FLT_MAX do not overflow:
//
//   p = exp2((s - m) * log2e),  lse = m + log2(l) * ln2
//
// The output is carried unnormalised, O = O * alpha + P V with alpha the factor
// by which the maximum has moved, and divided by the sum l behind the loop; or,
// without defer_normalisation, as FlashAttention-1 has it:
//
//   O = (O * l_old * alpha + P V) / l_new
//
// With softmax = two_pass nothing is carried that later keys could change: a
// first loop finds the maximum, a second one computes the scores again.
//
// Scales of the heads of Q and K are part of the scale, that of V multiplies O
// at the end. With 8-bit V all p are 2^e times as large (e is added to the
// exponent), and so is l: O is what it is, and e is subtracted again in the
// log-sum-exp.
//
//===----------------------------------------------------------------------===//

#include "ForwardKernel.h"
#include "BlockMap.h"

#include "flash/Analysis/ScoreAnalysis.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

static constexpr double kLog2E = 1.4426950408889634;
static constexpr double kLn2 = 0.69314718055994531;

namespace {

/// State of the online softmax: output, row maximum, row sum.
struct SoftmaxState {
  Value accumulator, maximum, sum;
};

class ForwardKernelBuilder {
public:
  ForwardKernelBuilder(OpBuilder &outer, AttentionOp op,
                       const MaskRanges &ranges,
                       const ForwardOperands &operands)
      : b(op.getLoc(), outer), op(op), operands(operands),
        schedule(op.getScheduleAttr()), tileQ(schedule.getTileQ()),
        tileK(schedule.getTileK()),
        tileV(op.getValueDim() / getNumValueSlices(op)), f32(b.getF32Type()),
        frame(b, op, operands), ranges(ranges) {
    scoreFactor = getScoreFactor(op).value_or(0);
    natural = scoreFactor <= 0 || op.getScaleOrDefault() <= 0.0f ||
              !schedule.getFoldScale();
    subtractFirst =
        natural ||
        op.getOutputType().getElementType().getIntOrFloatBitWidth() > 16;
    probabilityExponent =
        AttentionOp::getProbabilityExponent(op.getValueType().getElementType());
  }

  LogicalResult build();

private:
  // Scalars in front of the loop.
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  void buildPrologue();

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
  Value dot(Value lhs, Value rhs, Value accumulator, bool transposeB,
            MathUnit unit) {
    auto dot = flash_tile::DotOp::create(b, lhs, rhs, accumulator,
                                         /*transpose_a=*/false, transposeB,
                                         /*unit=*/nullptr);
    if (unit == MathUnit::fma)
      dot.setUnit(flash_tile::DotUnit::fma);
    else
      dot.setPlainLoads(!schedule.getLdmatrix());
    return dot;
  }
  Value load(Value memref, ValueRange indices, ArrayRef<int64_t> shape) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    return flash_tile::LoadOp::create(b, tile(shape, element), memref, indices);
  }
  /// The scale of one head of this batch entry.
  Value loadScale(Value scales, Value head) {
    return memref::LoadOp::create(b, scales, ValueRange{frame.batch, head});
  }
  /// `value` rounded to the element type of `memref`.
  Value round(Value value, Value memref) {
    Type element = cast<MemRefType>(memref.getType()).getElementType();
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getElementType() == element)
      return value;
    return arith::TruncFOp::create(b, tile(type.getShape(), element), value);
  }

  // The loops.
  scf::ForOp createLoop(ValueRange initial);
  LogicalResult buildLoop();
  LogicalResult buildTwoLoops();
  bool isTwoPass() { return schedule.getSoftmax() == SoftmaxKind::two_pass; }
  Value buildFirstKey(Value iteration);
  /// The scores of the tile of keys from `firstKey` on, masked.
  FailureOr<Value> buildTileScores(Value iteration, Value firstKey);
  Value guardMaximum(Value maximum);
  Value buildExponent(Value scores, Value reference);
  Value buildOutput(Value rounded, Value firstKey, Value accumulator);
  FailureOr<SoftmaxState> buildIteration(Value iteration, SoftmaxState state);
  FailureOr<Value> buildScores(Value keys, Value firstKey);
  /// The scores with masked ones at -inf.
  FailureOr<Value> buildMasked(Value scores, Value firstKey);
  /// Builds `value` in an scf.if that runs without masks where `isFull`.
  FailureOr<Value> unlessFull(Value value,
                              llvm::function_ref<FailureOr<Value>()> partial);
  /// A row may have seen no key: all masked, or of score -inf.
  bool mayBeDead() { return !tiles->isAllFull() || appliesRegion(); }
  /// The score region is evaluated: it is there, and no factor of the exponent.
  bool appliesRegion() { return op.hasScoreRegion() && natural; }
  Value invertSum(Value sum);
  void buildEpilogue();

  ImplicitLocOpBuilder b;
  AttentionOp op;
  const ForwardOperands &operands;
  ScheduleAttr schedule;
  int64_t tileQ, tileK, tileV;
  Type f32;
  /// What the score region multiplies by, 0 where it does something else.
  double scoreFactor;
  /// Scores are in natural units, see above.
  bool natural;
  /// The maximum is taken off before the factor.
  bool subtractFirst;
  /// e of 8-bit probabilities, 0 for others.
  int probabilityExponent;

  KernelFrame frame;
  const MaskRanges &ranges;
  std::unique_ptr<KeyTiles> tiles;
  /// c of the folded form, log2(e) of the natural one; on a tile and on a row.
  Value factorTile, factorRow;
  /// -c of the folded form, on a row.
  Value negatedRow;
  Value scale, scaleTile, queryTile;
  /// In the loop: whether the tile needs no mask; null where static.
  Value isFull;
  SoftmaxState result;
};

} // namespace

//===----------------------------------------------------------------------===//
// Prologue
//===----------------------------------------------------------------------===//

void ForwardKernelBuilder::buildPrologue() {
  bool isMapped = static_cast<bool>(operands.workspace);
  frame.build(/*longestFirst=*/!isMapped && ranges.growsWithQuery(),
              getNumValueSlices(op));
  if (isMapped)
    tiles = std::make_unique<MappedKeyTiles>(b, BlockMap(op), frame,
                                             operands.workspace);
  else
    tiles = std::make_unique<AnalyzedKeyTiles>(
        b, ranges,
        [&](const MaskSymbol &symbol) { return frame.getSymbol(symbol); });
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

FailureOr<Value> ForwardKernelBuilder::buildScores(Value keyTile,
                                                   Value firstKey) {
  Value scores = dot(queryTile, keyTile, full({tileQ, tileK}, 0.0),
                     /*transposeB=*/true, schedule.getQk());
  if (!natural)
    return scores;
  scores = arith::MulFOp::create(b, scores, scaleTile);
  return frame.buildScore(scores, firstKey);
}

FailureOr<Value> ForwardKernelBuilder::buildMasked(Value scores,
                                                   Value firstKey) {
  FailureOr<Value> keep = frame.buildKeep(firstKey, !ranges.boundsKeys);
  if (failed(keep))
    return failure();
  if (!*keep)
    return scores;
  Value lowest = full({tileQ, tileK}, -std::numeric_limits<double>::infinity());
  return arith::SelectOp::create(b, *keep, scores, lowest).getResult();
}

FailureOr<Value> ForwardKernelBuilder::unlessFull(
    Value value, llvm::function_ref<FailureOr<Value>()> partial) {
  if (tiles->isAllFull())
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

FailureOr<Value> ForwardKernelBuilder::buildTileScores(Value iteration,
                                                       Value firstKey) {
  Value keyTile =
      load(operands.key, {frame.batch, frame.keyHead, firstKey, frame.zero},
           {tileK, op.getHeadDim()});
  FailureOr<Value> scores = buildScores(keyTile, firstKey);
  if (failed(scores))
    return failure();
  isFull =
      schedule.getSplitBands() ? tiles->buildIsFull(b, iteration) : Value();
  return unlessFull(*scores, [&] { return buildMasked(*scores, firstKey); });
}

/// A row whose keys are all masked so far has the maximum -inf; 0 in its place
/// makes every exponent below -inf and nothing NaN.
Value ForwardKernelBuilder::guardMaximum(Value maximum) {
  Value lowest = full({tileQ}, -std::numeric_limits<double>::infinity());
  Value isDead =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, maximum, lowest);
  return arith::SelectOp::create(b, isDead, full({tileQ}, 0.0), maximum);
}

/// The argument of exp2 for a tile of scores relative to a value of each row.
Value ForwardKernelBuilder::buildExponent(Value scores, Value reference) {
  Value exponent;
  if (subtractFirst) {
    exponent = arith::SubFOp::create(b, scores, expand(reference, tileK));
    if (probabilityExponent)
      exponent = math::FmaOp::create(b, exponent, factorTile,
                                     full({tileQ, tileK}, probabilityExponent));
    else
      exponent = arith::MulFOp::create(b, exponent, factorTile);
  } else {
    Value raised = arith::MulFOp::create(b, reference, negatedRow);
    if (probabilityExponent)
      raised =
          arith::AddFOp::create(b, raised, full({tileQ}, probabilityExponent));
    exponent =
        math::FmaOp::create(b, scores, factorTile, expand(raised, tileK));
  }
  return exponent;
}

/// accumulator + P V for the tile of keys from `firstKey` on, P rounded.
Value ForwardKernelBuilder::buildOutput(Value rounded, Value firstKey,
                                        Value accumulator) {
  Value valueTile = load(
      operands.value, {frame.batch, frame.keyHead, firstKey, frame.firstColumn},
      {tileK, tileV});
  return dot(rounded, valueTile, accumulator, /*transposeB=*/false,
             schedule.getPv());
}

Value ForwardKernelBuilder::buildFirstKey(Value iteration) {
  Value tileNumber = tiles->buildTileNumber(b, iteration);
  return arith::MulIOp::create(b, tileNumber, index(tileK));
}

FailureOr<SoftmaxState>
ForwardKernelBuilder::buildIteration(Value iteration, SoftmaxState state) {
  Value firstKey = buildFirstKey(iteration);
  FailureOr<Value> masked = buildTileScores(iteration, firstKey);
  if (failed(masked))
    return failure();

  // Full tiles have finite maxima, but a score region may yield -inf anywhere.
  Value tileMaximum = reduce(flash_tile::ReduceKind::max, *masked);
  Value maximum = arith::MaxNumFOp::create(b, state.maximum, tileMaximum);
  auto guard = [&]() -> FailureOr<Value> { return guardMaximum(maximum); };
  Value reference = appliesRegion() ? *guard() : *unlessFull(maximum, guard);

  Value exponent = buildExponent(*masked, reference);
  Value rescale;
  if (subtractFirst) {
    rescale = arith::SubFOp::create(b, state.maximum, reference);
    rescale = arith::MulFOp::create(b, rescale, factorRow);
  } else {
    Value shift = arith::MulFOp::create(b, reference, negatedRow);
    rescale = math::FmaOp::create(b, state.maximum, factorRow, shift);
  }
  Value probabilities = math::Exp2Op::create(b, exponent);
  rescale = math::Exp2Op::create(b, rescale);

  SoftmaxState next;
  next.maximum = maximum;
  Value tileSum = reduce(flash_tile::ReduceKind::add, probabilities);
  Value factor = rescale;
  if (schedule.getDeferNormalisation()) {
    next.sum = math::FmaOp::create(b, state.sum, rescale, tileSum);
  } else {
    factor = arith::MulFOp::create(b, state.sum, rescale);
    next.sum = arith::AddFOp::create(b, factor, tileSum);
  }
  Value rounded = round(probabilities, operands.value);
  Value rescaled =
      arith::MulFOp::create(b, state.accumulator, expand(factor, tileV));
  next.accumulator = buildOutput(rounded, firstKey, rescaled);
  if (!schedule.getDeferNormalisation())
    next.accumulator = arith::MulFOp::create(
        b, next.accumulator, expand(invertSum(next.sum), tileV));
  return next;
}

/// A loop over the tiles of keys that carries `initial`.
scf::ForOp ForwardKernelBuilder::createLoop(ValueRange initial) {
  auto loop = scf::ForOp::create(b, frame.zero, tiles->getIterations(),
                                 index(1), initial);
  loop->setDiscardableAttr("flash_tile.pipeline", b.getUnitAttr());
  // Tiles are visited from the last to the first.
  loop->setDiscardableAttr(tiles->isAllFull() ? "flash_tile.never_ragged"
                                              : "flash_tile.first_ragged",
                           b.getUnitAttr());
  if (tiles->hasJumps())
    loop->setDiscardableAttr("flash_tile.jumps", b.getUnitAttr());
  return loop;
}

LogicalResult ForwardKernelBuilder::buildLoop() {
  SmallVector<Value> initial{
      full({tileQ, tileV}, 0.0),
      full({tileQ}, -std::numeric_limits<double>::infinity()),
      full({tileQ}, 0.0)};
  scf::ForOp loop = createLoop(initial);
  frame.enter(loop);
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
  hoistReads(loop);
  result = {loop.getResult(0), loop.getResult(1), loop.getResult(2)};
  return success();
}

/// The maximum of each row in one loop, then sum and output in another, which
/// computes the scores again.
LogicalResult ForwardKernelBuilder::buildTwoLoops() {
  Value lowest = full({tileQ}, -std::numeric_limits<double>::infinity());
  scf::ForOp first = createLoop(lowest);
  frame.enter(first);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(first.getBody());
    Value iteration = first.getInductionVar();
    FailureOr<Value> masked =
        buildTileScores(iteration, buildFirstKey(iteration));
    if (failed(masked))
      return failure();
    Value tileMaximum = reduce(flash_tile::ReduceKind::max, *masked);
    Value maximum =
        arith::MaxNumFOp::create(b, first.getRegionIterArg(0), tileMaximum);
    scf::YieldOp::create(b, maximum);
  }
  result.maximum = first.getResult(0);
  Value reference = mayBeDead() ? guardMaximum(result.maximum) : result.maximum;

  scf::ForOp second =
      createLoop({full({tileQ, tileV}, 0.0), full({tileQ}, 0.0)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(second.getBody());
  Value iteration = second.getInductionVar();
  Value firstKey = buildFirstKey(iteration);
  FailureOr<Value> masked = buildTileScores(iteration, firstKey);
  if (failed(masked))
    return failure();
  Value probabilities =
      math::Exp2Op::create(b, buildExponent(*masked, reference));
  Value tileSum = reduce(flash_tile::ReduceKind::add, probabilities);
  Value sum = arith::AddFOp::create(b, second.getRegionIterArg(1), tileSum);
  Value accumulator = buildOutput(round(probabilities, operands.value),
                                  firstKey, second.getRegionIterArg(0));
  scf::YieldOp::create(b, ValueRange{accumulator, sum});
  result.accumulator = second.getResult(0);
  result.sum = second.getResult(1);
  return success();
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

/// 1 / sum of each row; 0 where no key was seen, whose sum is 0.
Value ForwardKernelBuilder::invertSum(Value sum) {
  Value nothing = full({tileQ}, 0.0);
  Value isDead;
  if (mayBeDead())
    isDead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum, nothing);
  Value inverse = arith::DivFOp::create(b, full({tileQ}, 1.0), sum);
  return isDead ? arith::SelectOp::create(b, isDead, nothing, inverse)
                : inverse;
}

/// O and the log-sum-exp; 0 and -inf where no key was seen.
void ForwardKernelBuilder::buildEpilogue() {
  Value output = result.accumulator, factor;
  if (schedule.getDeferNormalisation() || isTwoPass())
    factor = invertSum(result.sum);
  if (operands.valueScale) {
    Value scale = splat(loadScale(operands.valueScale, frame.keyHead), {tileQ});
    factor = factor ? arith::MulFOp::create(b, factor, scale) : scale;
  }
  if (factor)
    output = arith::MulFOp::create(b, output, expand(factor, tileV));
  flash_tile::StoreOp::create(
      b, round(output, operands.output), operands.output,
      ValueRange{frame.batch, frame.head, frame.firstQuery, frame.firstColumn});
  if (!operands.lse)
    return;
  Value logarithm = math::Log2Op::create(b, result.sum);
  if (probabilityExponent)
    logarithm =
        arith::SubFOp::create(b, logarithm, full({tileQ}, probabilityExponent));
  Value ln2 = full({tileQ}, kLn2);
  Value lse;
  if (natural) {
    lse = math::FmaOp::create(b, logarithm, ln2, result.maximum);
  } else {
    lse = math::FmaOp::create(b, result.maximum, factorRow, logarithm);
    lse = arith::MulFOp::create(b, lse, ln2);
  }
  if (mayBeDead()) {
    Value isDead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                         result.sum, full({tileQ}, 0.0));
    Value lowest = full({tileQ}, -std::numeric_limits<double>::infinity());
    lse = arith::SelectOp::create(b, isDead, lowest, lse);
  }
  // All slices know it, one says it.
  OpBuilder::InsertionGuard guard(b);
  if (frame.slice) {
    Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                          frame.slice, frame.zero);
    auto branch = scf::IfOp::create(b, isFirst, /*withElseRegion=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  flash_tile::StoreOp::create(
      b, lse, operands.lse,
      ValueRange{frame.batch, frame.head, frame.firstQuery});
}

LogicalResult ForwardKernelBuilder::build() {
  buildPrologue();
  scale = operands.scale;
  for (auto [scales, head] : {std::pair(operands.queryScale, frame.head),
                              {operands.keyScale, frame.keyHead}})
    if (scales)
      scale = arith::MulFOp::create(b, scale, loadScale(scales, head));
  if (natural) {
    factorTile = full({tileQ, tileK}, kLog2E);
    factorRow = full({tileQ}, kLog2E);
    scaleTile = splat(scale, {tileQ, tileK});
  } else {
    Value log2e = arith::ConstantOp::create(
        b, b.getF32FloatAttr(float(scoreFactor * kLog2E)));
    Value factor = arith::MulFOp::create(b, scale, log2e);
    factorTile = splat(factor, {tileQ, tileK});
    factorRow = splat(factor, {tileQ});
    // Once per CTA rather than once per tile.
    negatedRow = splat(arith::NegFOp::create(b, factor), {tileQ});
  }
  queryTile = load(operands.query,
                   {frame.batch, frame.head, frame.firstQuery, frame.zero},
                   {tileQ, op.getHeadDim()});
  if (failed(isTwoPass() ? buildTwoLoops() : buildLoop()))
    return failure();
  buildEpilogue();
  gpu::ReturnOp::create(b);
  return success();
}

int64_t mlir::flash::getNumValueSlices(AttentionOp op) {
  int64_t tileV = op.getScheduleAttr().getTileV();
  return tileV ? op.getValueDim() / tileV : 1;
}

LogicalResult mlir::flash::buildForwardKernel(OpBuilder &builder,
                                              AttentionOp op,
                                              const MaskRanges &ranges,
                                              const ForwardOperands &operands) {
  return ForwardKernelBuilder(builder, op, ranges, operands).build();
}
