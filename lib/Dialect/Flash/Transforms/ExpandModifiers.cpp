//===- ExpandModifiers.cpp - Attributes of attention into its regions -----===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Dialect/Flash/Transforms/Transforms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHEXPANDMODIFIERS
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;
using arith::CmpIPredicate;

namespace {
/// Builds at the end of one region, in front of its flash.yield, and replaces
/// what is yielded.
class RegionExpander {
public:
  RegionExpander(RewriterBase &rewriter, AttentionOp op, Region &region,
                 ArrayRef<Type> argumentTypes)
      : op(op), builder(op.getLoc(), rewriter) {
    if (region.empty()) {
      SmallVector<Location> locs(argumentTypes.size(), op.getLoc());
      rewriter.createBlock(&region, {}, argumentTypes, locs);
    } else {
      auto yield = cast<YieldOp>(region.front().getTerminator());
      value = yield.getValue();
      rewriter.eraseOp(yield);
    }
    builder.setInsertionPointToEnd(&region.front());
  }

  /// What the region yields so far; null in a fresh one.
  Value value;

  void finish() { YieldOp::create(builder, value); }

protected:
  AttentionOp op;
  ImplicitLocOpBuilder builder;

  Value index(int64_t number) {
    return arith::ConstantIndexOp::create(builder, number);
  }
  Value integer(int64_t number) {
    return arith::ConstantIntOp::create(builder, number, 32);
  }
  Value real(double number) {
    return arith::ConstantOp::create(builder,
                                     builder.getF32FloatAttr(float(number)));
  }
  template <typename OpTy, typename... Args> Value make(Args &&...args) {
    return builder.createOrFold<OpTy>(std::forward<Args>(args)...);
  }

  /// `q + alignment + delta`: the position of query `q` among the keys. One
  /// addition where the alignment is known, so that the form stays short.
  Value position(Value q, int64_t delta = 0) {
    if (std::optional<int64_t> alignment = op.getStaticAlignment())
      // Wraps around, as the addition it replaces would.
      return make<arith::AddIOp>(
          q, index(int64_t(uint64_t(*alignment) + uint64_t(delta))));
    Value alignment = AlignmentOp::create(builder, builder.getIndexType());
    Value aligned = make<arith::AddIOp>(q, alignment);
    return delta == 0 ? aligned : make<arith::AddIOp>(aligned, index(delta));
  }
};

/// Masks stay comparisons of sums of indices and constants, and-ed, which is
/// what the integer-set analysis reads.
class MaskExpander : public RegionExpander {
public:
  MaskExpander(RewriterBase &rewriter, AttentionOp op)
      : RegionExpander(rewriter, op, op.getMask(), op.getMaskArgumentTypes()),
        q(op.getMask().getArgument(2)), k(op.getMask().getArgument(3)) {}

  void expandCausal(CausalKind kind) {
    Value last = kind == CausalKind::top_left ? q : position(q);
    conjoin(compare(CmpIPredicate::sle, k, last));
  }

  void expandWindow(int64_t left, int64_t right, int64_t sinkTokens) {
    if (left != -1) {
      Value inside = compare(CmpIPredicate::sge, k, position(q, -left));
      if (sinkTokens > 0)
        inside = make<arith::OrIOp>(isBelow(sinkTokens), inside);
      conjoin(inside);
    }
    if (right != -1)
      conjoin(compare(CmpIPredicate::sle, k, position(q, right)));
  }

  void expandPrefix(int64_t prefix) {
    conjoin(make<arith::OrIOp>(isBelow(prefix),
                               compare(CmpIPredicate::sle, k, position(q))));
  }

  void expandChunk(int64_t chunk) {
    Value size = index(chunk);
    Value ofQuery = make<arith::FloorDivSIOp>(position(q), size);
    Value ofKey = make<arith::FloorDivSIOp>(k, size);
    conjoin(compare(CmpIPredicate::eq, ofQuery, ofKey));
  }

  Value makeTrue() {
    return arith::ConstantOp::create(builder, builder.getBoolAttr(true));
  }

private:
  Value compare(CmpIPredicate predicate, Value lhs, Value rhs) {
    return make<arith::CmpIOp>(predicate, lhs, rhs);
  }
  Value isBelow(int64_t bound) {
    return compare(CmpIPredicate::slt, k, index(bound));
  }
  void conjoin(Value mask) {
    value = value ? make<arith::AndIOp>(value, mask) : mask;
  }

  Value q, k;
};

class ScoreExpander : public RegionExpander {
public:
  ScoreExpander(RewriterBase &rewriter, AttentionOp op)
      : RegionExpander(rewriter, op, op.getScore(),
                       op.getScoreArgumentTypes()) {
    if (!value)
      value = op.getScore().getArgument(0);
  }

  /// s + slope(h) * (k - (q + alignment)).
  void expandAlibi() {
    Value h = op.getScore().getArgument(2);
    Value q = op.getScore().getArgument(3);
    Value k = op.getScore().getArgument(4);
    // The distance fits 32 bits, and converts to float in one instruction.
    Value distance = make<arith::SubIOp>(k, position(q));
    distance = make<arith::IndexCastOp>(builder.getI32Type(), distance);
    distance = make<arith::SIToFPOp>(builder.getF32Type(), distance);
    Value bias = make<arith::MulFOp>(slope(h), distance);
    value = make<arith::AddFOp>(value, bias);
  }

  /// c * tanh(s / c); 1 / c is rounded once, there is no division.
  void expandSoftcap(double cap) {
    Value inner = make<arith::MulFOp>(value, real(1.0 / cap));
    value = make<arith::MulFOp>(make<math::TanhOp>(inner), real(cap));
  }

private:
  Value toFloat(Value number) {
    return make<arith::SIToFPOp>(builder.getF32Type(), number);
  }

  /// The slope of head `h`, from the number of heads H and P, the largest
  /// power of two not above H: 2^(-8 (h + 1) / P) for h < P. The heads beyond
  /// (none if H is a power of two) take every second slope of the series for
  /// 2 P: 2^(-4 (2 (h - P) + 1) / P). Both are 2^(-4 / P * n) for an integer n.
  Value slope(Value h) {
    Value head = make<arith::IndexCastOp>(builder.getI32Type(), h);
    Value n =
        make<arith::ShLIOp>(make<arith::AddIOp>(head, integer(1)), integer(1));
    std::optional<int64_t> heads = op.getStaticHeads();
    bool isPowerOfTwo = heads && llvm::isPowerOf2_64(*heads);
    Value power =
        heads
            ? integer(llvm::bit_floor(uint64_t(*heads)))
            : floorPowerOfTwo(HeadsOp::create(builder, builder.getIndexType()));
    if (!isPowerOfTwo) {
      Value beyond = make<arith::SubIOp>(head, power);
      Value odd = make<arith::AddIOp>(make<arith::ShLIOp>(beyond, integer(1)),
                                      integer(1));
      Value isFirst = make<arith::CmpIOp>(CmpIPredicate::slt, head, power);
      n = make<arith::SelectOp>(isFirst, n, odd);
    }
    Value step = heads ? real(-4.0 / double(llvm::bit_floor(uint64_t(*heads))))
                       : make<arith::DivFOp>(real(-4.0), toFloat(power));
    return make<math::Exp2Op>(make<arith::MulFOp>(toFloat(n), step));
  }

  /// The largest power of two not above `number`, as i32: the bits below the
  /// highest are set, then taken away.
  Value floorPowerOfTwo(Value number) {
    Value bits = make<arith::IndexCastOp>(builder.getI32Type(), number);
    for (int shift : {1, 2, 4, 8, 16})
      bits =
          make<arith::OrIOp>(bits, make<arith::ShRUIOp>(bits, integer(shift)));
    return make<arith::SubIOp>(bits, make<arith::ShRUIOp>(bits, integer(1)));
  }
};
} // namespace

void mlir::flash::expandModifiers(RewriterBase &rewriter, AttentionOp op) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.startOpModification(op);
  // As the op means them: score region, ALiBi, softcap.
  if (op.getAlibi() || op.getSoftcap()) {
    ScoreExpander score(rewriter, op);
    if (op.getAlibi())
      score.expandAlibi();
    if (std::optional<APFloat> cap = op.getSoftcap())
      score.expandSoftcap(cap->convertToFloat());
    score.finish();
  }
  if (op.getCausal() || op.getWindow() || op.getPrefix() || op.getChunk()) {
    MaskExpander mask(rewriter, op);
    if (std::optional<CausalKind> kind = op.getCausal())
      mask.expandCausal(*kind);
    if (std::optional<ArrayRef<int64_t>> window = op.getWindow())
      mask.expandWindow((*window)[0], (*window)[1],
                        op.getSinkTokens().value_or(0));
    if (std::optional<uint64_t> prefix = op.getPrefix())
      mask.expandPrefix(*prefix);
    if (std::optional<uint64_t> chunk = op.getChunk())
      mask.expandChunk(*chunk);
    // A window open on both sides masks nothing.
    if (!mask.value)
      mask.value = mask.makeTrue();
    mask.finish();
  }
  op.removeCausalAttr();
  op.removeWindowAttr();
  op.removePrefixAttr();
  op.removeChunkAttr();
  op.removeSinkTokensAttr();
  op.removeSoftcapAttr();
  op.removeAlibiAttr();
  rewriter.finalizeOpModification(op);
}

namespace {
struct ExpandModifiersPass
    : flash::impl::FlashExpandModifiersBase<ExpandModifiersPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation()->walk(
        [&](AttentionOp op) { expandModifiers(rewriter, op); });
  }
};
} // namespace
