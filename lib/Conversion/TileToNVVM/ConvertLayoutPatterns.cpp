//===- ConvertLayoutPatterns.cpp - Layout conversions in registers --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What --flash-tile-permute-registers has decided: a renaming, which is no
// instruction, or an exchange within each warp, whose program of selects, prmt
// and shfl.sync.idx is made again here from the two layouts.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "flash/Dialect/FlashTile/Analysis/RegisterExchange.h"
#include "llvm/Support/MathExtras.h"
#include <map>

namespace mlir::flash_tile {
namespace {

/// Emits the program of an exchange.
class ExchangeEmitter {
public:
  /// Elements as the type converter keeps them, in and out.
  SmallVector<Value> emitTile(const RegisterExchange &exchange, Type element,
                              ValueRange source) {
    const unsigned width = element.getIntOrFloatBitWidth();
    if (isPacked(element) || width == 32)
      return emit(exchange, source);
    if (width == 64)
      return emitHalves(exchange, element, source);
    // Narrow integers, as many to a word as was planned; predicates as bytes.
    const unsigned bits = std::max(8u, width),
                   inWord = 32 / exchange.elementBits;
    Type carried = b.getIntegerType(bits);
    SmallVector<Value> words, results;
    for (size_t r = 0; r < source.size(); r += inWord) {
      SmallVector<Value> parts(source.slice(r, inWord));
      for (Value &part : parts)
        if (width < bits)
          part = arith::ExtUIOp::create(b, loc, carried, part);
      words.push_back(inWord > 1 ? packIntegers(b, loc, parts)
                                 : arith::ExtUIOp::create(
                                       b, loc, b.getI32Type(), parts.front())
                                       .getResult());
    }
    for (Value word : emit(exchange, words))
      for (unsigned i = 0; i < inWord; ++i)
        results.push_back(unpackInteger(b, loc, word, i * bits, width));
    return results;
  }

  ExchangeEmitter(OpBuilder &b, Location loc, const ThreadIds &ids)
      : b(b), loc(loc), ids(ids) {}

  SmallVector<Value> emit(const RegisterExchange &exchange, ValueRange source) {
    SmallVector<Value> values = llvm::to_vector(source);
    for (const ExchangeStep &step : exchange.steps)
      values.push_back(emit(step, values));
    SmallVector<Value> results;
    for (unsigned result : exchange.results)
      results.push_back(values[result]);
    return results;
  }

private:
  /// Elements of 64 bits: the program for their low halves, then for the high
  /// ones.
  SmallVector<Value> emitHalves(const RegisterExchange &exchange, Type element,
                                ValueRange source) {
    Type i64 = b.getI64Type();
    Value shift = arith::ConstantIntOp::create(b, loc, 32, 64);
    SmallVector<Value> low, high;
    for (Value value : source) {
      if (value.getType() != i64)
        value = arith::BitcastOp::create(b, loc, i64, value);
      low.push_back(arith::TruncIOp::create(b, loc, b.getI32Type(), value));
      high.push_back(arith::TruncIOp::create(
          b, loc, b.getI32Type(),
          arith::ShRUIOp::create(b, loc, value, shift)));
    }
    SmallVector<Value> results;
    for (auto [lowWord, highWord] :
         llvm::zip_equal(emit(exchange, low), emit(exchange, high))) {
      Value value = arith::OrIOp::create(
          b, loc, arith::ExtUIOp::create(b, loc, i64, lowWord),
          arith::ShLIOp::create(
              b, loc, arith::ExtUIOp::create(b, loc, i64, highWord), shift));
      if (element != i64)
        value = arith::BitcastOp::create(b, loc, element, value);
      results.push_back(value);
    }
    return results;
  }

  Value emit(const ExchangeStep &step, ArrayRef<Value> values) {
    Value lhs = values[step.lhs];
    switch (step.kind) {
    case ExchangeStep::Kind::Select: {
      Value condition = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne,
                                              evaluate(step.argument),
                                              i32Constant(b, loc, 0));
      return arith::SelectOp::create(b, loc, condition, values[step.rhs], lhs);
    }
    case ExchangeStep::Kind::Permute:
      return LLVM::CallIntrinsicOp::create(
                 b, loc, b.getI32Type(), b.getStringAttr("llvm.nvvm.prmt"),
                 ValueRange{lhs, values[step.rhs], evaluate(step.argument)})
          .getResult(0);
    case ExchangeStep::Kind::Shuffle:
      return NVVM::ShflOp::create(
          b, loc, lhs.getType(), i32Constant(b, loc, -1), lhs,
          evaluate(step.argument), i32Constant(b, loc, kWarpSize - 1),
          NVVM::ShflKind::idx, /*return_value_and_is_valid=*/UnitAttr());
    }
    llvm_unreachable("unknown step");
  }

  /// base XOR the vectors of the thread's set bits. A vector of one bit is that
  /// bit of the thread moved to its place; bits that move equally far move
  /// together. Of any other vector all bits are the thread's bit.
  Value evaluate(const ThreadFunction &function) {
    std::map<std::pair<bool, int64_t>, int64_t> masksByShift;
    Value result;
    auto add = [&](Value part) {
      result = result ? arith::XOrIOp::create(b, loc, result, part).getResult()
                      : part;
    };
    for (auto [i, vector] : llvm::enumerate(function.bits)) {
      if (!vector)
        continue;
      const bool isWarp = i >= 5;
      const int64_t bit = isWarp ? i - 5 : i;
      if (llvm::isPowerOf2_64(vector)) {
        masksByShift[{isWarp, int64_t(llvm::Log2_64(vector)) - bit}] |=
            int64_t(1) << bit;
        continue;
      }
      Value thread = isWarp ? ids.warp : ids.lane;
      Value isSet = shifted(thread, -bit);
      isSet = arith::AndIOp::create(b, loc, isSet, i32Constant(b, loc, 1));
      Value all = arith::SubIOp::create(b, loc, i32Constant(b, loc, 0), isSet);
      add(arith::AndIOp::create(b, loc, all, i32Constant(b, loc, vector)));
    }
    for (auto [key, mask] : masksByShift) {
      auto [isWarp, shift] = key;
      Value bits = arith::AndIOp::create(b, loc, isWarp ? ids.warp : ids.lane,
                                         i32Constant(b, loc, mask));
      add(shifted(bits, shift));
    }
    if (!result)
      return i32Constant(b, loc, function.base);
    return function.base
               ? arith::XOrIOp::create(b, loc, result,
                                       i32Constant(b, loc, function.base))
                     .getResult()
               : result;
  }

  Value shifted(Value value, int64_t left) {
    if (left > 0)
      return arith::ShLIOp::create(b, loc, value, i32Constant(b, loc, left));
    if (left < 0)
      return arith::ShRUIOp::create(b, loc, value, i32Constant(b, loc, -left));
    return value;
  }

  OpBuilder &b;
  Location loc;
  const ThreadIds &ids;
};

struct ConvertLayoutPattern : OpConversionPattern<ConvertLayoutOp> {
  ConvertLayoutPattern(const TypeConverter &converter, MLIRContext *context,
                       const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(ConvertLayoutOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = op.getType();
    ValueRange source = adaptor.getSource();
    const unsigned share = elementsPerValue(type.getElementType());
    SmallVector<Value> results;
    if (op.getExchange()) {
      Type element = type.getElementType();
      std::optional<ElementStorage> storage = getElementStorage(element);
      if (!storage)
        return op.emitOpError("exchange: expected predicates or elements of 8, "
                              "16, 32 or 64 bits, got ")
               << element;
      std::string reason;
      std::optional<RegisterExchange> exchange = planRegisterExchange(
          *Layout::get(cast<RankedTensorType>(op.getSource().getType())),
          *Layout::get(type), type.getShape(), *storage, reason);
      if (!exchange)
        return op.emitOpError("exchange: expected layouts that every warp can "
                              "convert by itself, got one where ")
               << reason;
      results = ExchangeEmitter(rewriter, op.getLoc(), kernels.threadIds(op))
                    .emitTile(*exchange, element, source);
    } else if (std::optional<ArrayRef<int64_t>> permutation =
                   op.getPermutation()) {
      // Elements that share a value travel together; the solver sees to it.
      for (unsigned r = 0; r < permutation->size(); r += share)
        results.push_back(source[(*permutation)[r] / share]);
      if (permutation->empty())
        llvm::append_range(results, source);
    } else {
      return op.emitOpError("no register permutation: expected "
                            "--flash-tile-permute-registers to have run");
    }
    rewriter.replaceOpWithMultiple(op, {results});
    return success();
  }

private:
  const KernelContext &kernels;
};

} // namespace

void populateConvertLayoutPatterns(const TileTypeConverter &converter,
                                   const KernelContext &kernels,
                                   RewritePatternSet &patterns) {
  patterns.add<ConvertLayoutPattern>(converter, patterns.getContext(), kernels);
}

} // namespace mlir::flash_tile
