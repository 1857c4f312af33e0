//===- ElementwisePatterns.cpp - Elementwise math on registers ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// arith and math ops on tiles become the same ops on scalars, one per register.
// Registers with equal operands share one scalar op: a row statistic expanded
// over a tile, or a column index, is computed once per row or column.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <map>

namespace mlir::flash_tile {
namespace {

bool isTile(Type type) { return static_cast<bool>(getLayout(type)); }

/// One scalar per register for every operand; packed elements are refused.
class ElementwisePattern : public ConversionPattern {
public:
  ElementwisePattern(const TypeConverter &converter, MLIRContext *context)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), /*benefit=*/1,
                          context) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<ValueRange> operands,
                  ConversionPatternRewriter &rewriter) const override {
    if (!OpTrait::hasElementwiseMappableTraits(op) ||
        op->getNumResults() != 1 || !isTile(op->getResult(0).getType()))
      return failure();
    auto resultType = cast<RankedTensorType>(op->getResult(0).getType());
    for (Type type : op->getOperandTypes())
      if (isTile(type) &&
          isPacked(cast<RankedTensorType>(type).getElementType()))
        return rewriter.notifyMatchFailure(op, "arithmetic on packed elements");
    if (isPacked(resultType.getElementType()))
      return rewriter.notifyMatchFailure(op, "arithmetic on packed elements");

    unsigned registers = Distribution(getLayout(resultType)).numRegisters();
    std::map<std::vector<void *>, Value> known;
    SmallVector<Value> results;
    for (unsigned r = 0; r < registers; ++r) {
      SmallVector<Value> scalars;
      std::vector<void *> key;
      for (auto [operand, values] : llvm::zip(op->getOperands(), operands)) {
        scalars.push_back(isTile(operand.getType()) ? values[r]
                                                    : values.front());
        key.push_back(scalars.back().getAsOpaquePointer());
      }
      Value &result = known[key];
      if (!result) {
        Operation *scalar = Operation::create(
            op->getLoc(), op->getName(), resultType.getElementType(), scalars,
            NamedAttrList(op->getDiscardableAttrDictionary()),
            op->getPropertiesStorage(), BlockRange(), /*numRegions=*/0);
        result = rewriter.insert(scalar)->getResult(0);
      }
      results.push_back(result);
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

struct ConstantPattern : OpConversionPattern<arith::ConstantOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(arith::ConstantOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    if (!type || !isTile(type))
      return failure();
    auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
    if (!splat)
      return rewriter.notifyMatchFailure(op, "constant tile is no splat");
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertType(type, types)))
      return failure();
    TypedAttr scalar = cast<TypedAttr>(splat.getSplatValue<Attribute>());
    if (isPacked(type.getElementType())) {
      APInt packed = APInt::getSplat(
          32, cast<FloatAttr>(scalar).getValue().bitcastToAPInt());
      scalar = rewriter.getI32IntegerAttr(packed.getSExtValue());
    }
    Value value = arith::ConstantOp::create(rewriter, op.getLoc(), scalar);
    rewriter.replaceOpWithMultiple(op,
                                   {SmallVector<Value>(types.size(), value)});
    return success();
  }
};

struct SplatPattern : OpConversionPattern<SplatOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(SplatOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    if (!isTile(type) || isPacked(type.getElementType()))
      return failure();
    unsigned registers = Distribution(getLayout(type)).numRegisters();
    rewriter.replaceOpWithMultiple(
        op, {SmallVector<Value>(registers, adaptor.getValue().front())});
    return success();
  }
};

/// What the conversions between f32 and a packed type are called: pairs of f32
/// to pairs of the type, the first operand to the high half.
StringRef truncIntrinsic(Type type) {
  if (type.isBF16())
    return "llvm.nvvm.ff2bf16x2.rn";
  if (type.isF16())
    return "llvm.nvvm.ff2f16x2.rn";
  // cvt.rn.satfinite: the largest finite value instead of infinity or NaN.
  return isa<Float8E4M3FNType>(type) ? "llvm.nvvm.ff.to.e4m3x2.rn"
                                     : "llvm.nvvm.ff.to.e5m2x2.rn";
}

/// f32 to a packed type, two registers at a time. The cvt intrinsic rather than
/// llvm.fptrunc: the latter is sunk to its uses, behind asynchronous dots.
struct TruncPattern : OpConversionPattern<arith::TruncFOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(arith::TruncFOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto source = dyn_cast<RankedTensorType>(op.getIn().getType());
    if (!type || !isTile(type) || !isPacked(type.getElementType()) ||
        !source.getElementType().isF32())
      return failure();
    Location loc = op.getLoc();
    Type element = type.getElementType();
    unsigned share = elementsPerValue(element);
    Type pairType = share == 2 ? Type(VectorType::get(2, element))
                               : Type(rewriter.getI16Type());
    ValueRange in = adaptor.getIn();
    SmallVector<Value> results;
    for (unsigned r = 0; r + share <= in.size(); r += share) {
      SmallVector<Value> pairs;
      for (unsigned e = r; e < r + share; e += 2)
        // The intrinsic's first operand is the high half.
        pairs.push_back(LLVM::CallIntrinsicOp::create(
                            rewriter, loc, pairType,
                            rewriter.getStringAttr(truncIntrinsic(element)),
                            ValueRange{in[e + 1], in[e]})
                            .getResult(0));
      results.push_back(
          share == 2 ? LLVM::BitcastOp::create(
                           rewriter, loc, rewriter.getI32Type(), pairs.front())
                     : packIntegers(rewriter, loc, pairs));
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

/// Packed elements to f32 registers; 8-bit ones by way of f16, which holds them
/// all.
struct ExtPattern : OpConversionPattern<arith::ExtFOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(arith::ExtFOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto source = dyn_cast<RankedTensorType>(op.getIn().getType());
    if (!type || !isTile(type) || !isPacked(source.getElementType()))
      return failure();
    Location loc = op.getLoc();
    Type element = source.getElementType();
    bool bytes = elementsPerValue(element) == 4;
    auto pairType = VectorType::get(2, bytes ? rewriter.getF16Type() : element);
    SmallVector<Value> results;
    auto extend = [&](Value pair) {
      for (int64_t half = 0; half < 2; ++half) {
        Value one = LLVM::ExtractElementOp::create(
            rewriter, loc, pair, i32Constant(rewriter, loc, half));
        results.push_back(
            arith::ExtFOp::create(rewriter, loc, type.getElementType(), one));
      }
    };
    for (Value in : adaptor.getIn()) {
      if (!bytes) {
        extend(LLVM::BitcastOp::create(rewriter, loc, pairType, in));
        continue;
      }
      StringRef name = isa<Float8E4M3FNType>(element)
                           ? "llvm.nvvm.e4m3x2.to.f16x2.rn"
                           : "llvm.nvvm.e5m2x2.to.f16x2.rn";
      for (unsigned half : {0u, 16u}) {
        Value pair = unpackInteger(rewriter, loc, in, half, 16);
        extend(LLVM::CallIntrinsicOp::create(rewriter, loc, pairType,
                                             rewriter.getStringAttr(name),
                                             ValueRange{pair})
                   .getResult(0));
      }
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
};

struct IndexPattern : OpConversionPattern<IndexOp> {
  IndexPattern(const TypeConverter &converter, MLIRContext *mlirContext,
               const KernelContext &kernels)
      : OpConversionPattern(converter, mlirContext), kernels(kernels) {}
  LogicalResult
  matchAndRewrite(IndexOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    if (!isTile(type))
      return failure();
    Location loc = op.getLoc();
    Distribution distribution(getLayout(type));
    ThreadCoordinate coordinate(rewriter, loc, distribution,
                                kernels.threadIds(op), op.getAxis());
    std::map<int64_t, Value> known;
    SmallVector<Value> results;
    for (unsigned r = 0; r < distribution.numRegisters(); ++r) {
      // Registers of one offset have one coordinate, if offsets are added.
      Value &value =
          known[coordinate.summand() ? distribution.offset(r)[op.getAxis()]
                                     : int64_t(r)];
      if (!value) {
        value = coordinate.at(rewriter, r);
        if (!type.getElementType().isInteger(32))
          value = arith::ExtUIOp::create(rewriter, loc, type.getElementType(),
                                         value);
      }
      results.push_back(value);
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }
  const KernelContext &kernels;
};

/// What --flash-tile-split-bands did not fold.
struct InRangePattern : OpConversionPattern<InRangeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(InRangeOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value value = adaptor.getValue().front();
    Value inAny;
    for (auto [lower, upper] :
         llvm::zip(adaptor.getLower(), adaptor.getUpper())) {
      Value above = arith::CmpIOp::create(
          rewriter, loc, arith::CmpIPredicate::sge, value, lower.front());
      Value below = arith::CmpIOp::create(
          rewriter, loc, arith::CmpIPredicate::slt, value, upper.front());
      Value inside = arith::AndIOp::create(rewriter, loc, above, below);
      inAny =
          inAny ? arith::OrIOp::create(rewriter, loc, inAny, inside).getResult()
                : inside;
    }
    rewriter.replaceOp(op, inAny);
    return success();
  }
};

} // namespace

void populateElementwisePatterns(const TileTypeConverter &converter,
                                 const KernelContext &kernels,
                                 RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<ElementwisePattern, ConstantPattern, SplatPattern, TruncPattern,
               ExtPattern, InRangePattern>(converter, context);
  patterns.add<IndexPattern>(converter, context, kernels);
}

} // namespace mlir::flash_tile
