//===- MaskRanges.cpp - Ranges of key tiles as values and as text ---------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/MaskAnalysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::flash;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

namespace {

/// Builds expressions of symbols, each symbol's value once.
class Materializer {
public:
  Materializer(OpBuilder &builder, Location loc, const MaskRanges &ranges,
               llvm::function_ref<Value(const MaskSymbol &)> symbol)
      : builder(builder), loc(loc), ranges(ranges), symbol(symbol),
        symbolValues(ranges.symbols.size()) {}

  TileRangeValues build();

private:
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  template <typename OpTy> Value fold(Value lhs, Value rhs) {
    return builder.createOrFold<OpTy>(loc, lhs, rhs);
  }
  /// minsi or maxsi of two values, folded where they are equal or constant.
  Value extremum(Value lhs, Value rhs, bool isMax) {
    if (!lhs)
      return rhs;
    return isMax ? fold<arith::MaxSIOp>(lhs, rhs)
                 : fold<arith::MinSIOp>(lhs, rhs);
  }
  Value expression(AffineExpr expr);
  /// The bound, or a null value where there is none.
  Value bound(const TileBound &bound, bool isLower);
  /// An i1, or null where always true.
  Value condition(const TileCondition &condition);

  OpBuilder &builder;
  Location loc;
  const MaskRanges &ranges;
  llvm::function_ref<Value(const MaskSymbol &)> symbol;
  SmallVector<Value> symbolValues;
};

} // namespace

Value Materializer::expression(AffineExpr expr) {
  if (auto literal = dyn_cast<AffineConstantExpr>(expr))
    return constant(literal.getValue());
  if (auto name = dyn_cast<AffineSymbolExpr>(expr)) {
    Value &value = symbolValues[name.getPosition()];
    if (!value)
      value = symbol(ranges.symbols[name.getPosition()]);
    return value;
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  // x + y * -1 as a subtraction.
  if (binary.getKind() == AffineExprKind::Add) {
    if (auto product = dyn_cast<AffineBinaryOpExpr>(binary.getRHS());
        product && product.getKind() == AffineExprKind::Mul &&
        product.getRHS() == getAffineConstantExpr(-1, expr.getContext()))
      return fold<arith::SubIOp>(expression(binary.getLHS()),
                                 expression(product.getLHS()));
  }
  Value lhs = expression(binary.getLHS());
  Value rhs = expression(binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    return fold<arith::AddIOp>(lhs, rhs);
  case AffineExprKind::Mul:
    return fold<arith::MulIOp>(lhs, rhs);
  case AffineExprKind::FloorDiv:
    return fold<arith::FloorDivSIOp>(lhs, rhs);
  default:
    llvm_unreachable("bounds are sums, multiples and floor divisions");
  }
}

Value Materializer::bound(const TileBound &bound, bool isLower) {
  Value result;
  for (ArrayRef<AffineExpr> group : bound.groups) {
    Value inner;
    for (AffineExpr expr : group)
      inner = extremum(inner, expression(expr), /*isMax=*/!isLower);
    result = extremum(result, inner, /*isMax=*/isLower);
  }
  return result;
}

Value Materializer::condition(const TileCondition &condition) {
  Value result;
  for (ArrayRef<AffineExpr> group : condition.groups) {
    Value inner;
    for (AffineExpr expr : group) {
      Value holds = builder.createOrFold<arith::CmpIOp>(
          loc, arith::CmpIPredicate::sge, expression(expr), constant(0));
      inner = inner ? fold<arith::OrIOp>(inner, holds) : holds;
    }
    result = result ? fold<arith::AndIOp>(result, inner) : inner;
  }
  return result;
}

TileRangeValues Materializer::build() {
  TileRangeValues values;
  Value zero = constant(0);
  // Live: lower bounds are not below 0 and upper ones not above ceildiv(sk,
  // tileK) where they exist at all, because the analysed box holds 0 <= k < sk;
  // only crossing bounds have to be put in order.
  Value hi = bound(ranges.hi, /*isLower=*/false);
  Value lo = bound(ranges.lo, /*isLower=*/true);
  if (Value live = condition(ranges.live))
    hi = builder.createOrFold<arith::SelectOp>(loc, live, hi, zero);
  hi = fold<arith::MaxSIOp>(hi, zero);
  // Always: lo <= hi, hence lo <= ceildiv(sk, tileK), too.
  lo = lo ? fold<arith::MinSIOp>(fold<arith::MaxSIOp>(lo, zero), hi) : zero;

  Value fullHi = bound(ranges.fullHi, /*isLower=*/false);
  Value fullLo = bound(ranges.fullLo, /*isLower=*/true);
  if (Value full = condition(ranges.full))
    fullHi = builder.createOrFold<arith::SelectOp>(loc, full,
                                                   fullHi ? fullHi : hi, zero);
  fullLo =
      fullLo ? fold<arith::MinSIOp>(fold<arith::MaxSIOp>(fullLo, lo), hi) : lo;
  fullHi = fullHi
               ? fold<arith::MaxSIOp>(fold<arith::MinSIOp>(fullHi, hi), fullLo)
               : hi;
  values.lo = lo;
  values.hi = hi;
  values.fullLo = fullLo;
  values.fullHi = fullHi;
  return values;
}

TileRangeValues mlir::flash::materializeRanges(
    OpBuilder &builder, Location loc, const MaskRanges &ranges,
    llvm::function_ref<Value(const MaskSymbol &)> symbol) {
  return Materializer(builder, loc, ranges, symbol).build();
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string symbolName(const MaskRanges &ranges, unsigned position) {
  const MaskSymbol &symbol = ranges.symbols[position];
  switch (symbol.kind) {
  case MaskSymbol::Kind::FirstQuery:
    return "q0";
  case MaskSymbol::Kind::Queries:
    return "sq";
  case MaskSymbol::Kind::Keys:
    return "sk";
  case MaskSymbol::Kind::Alignment:
    return "alignment";
  case MaskSymbol::Kind::OffsetQ:
    return "offset_q";
  case MaskSymbol::Kind::OffsetK:
    return "offset_k";
  case MaskSymbol::Kind::Region:
    break;
  }
  if (auto argument = dyn_cast<BlockArgument>(symbol.value)) {
    unsigned number = argument.getArgNumber();
    if (number < 2)
      return number == 0 ? "b" : "h";
    return "capture" + std::to_string(number - 4);
  }
  return "value" + std::to_string(position);
}

static void printExpr(raw_ostream &os, const MaskRanges &ranges,
                      AffineExpr expr, bool nested) {
  if (auto literal = dyn_cast<AffineConstantExpr>(expr)) {
    os << literal.getValue();
    return;
  }
  if (auto name = dyn_cast<AffineSymbolExpr>(expr)) {
    os << symbolName(ranges, name.getPosition());
    return;
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  AffineExpr lhs = binary.getLHS(), rhs = binary.getRHS();
  if (binary.getKind() == AffineExprKind::Mul &&
      rhs == getAffineConstantExpr(-1, expr.getContext())) {
    os << "-";
    return printExpr(os, ranges, lhs, true);
  }
  if (nested)
    os << "(";
  bool isSum = binary.getKind() == AffineExprKind::Add;
  printExpr(os, ranges, lhs, !isSum);
  if (isSum) {
    auto product = dyn_cast<AffineBinaryOpExpr>(rhs);
    auto literal = dyn_cast<AffineConstantExpr>(rhs);
    if (literal && literal.getValue() < 0) {
      os << " - " << -literal.getValue();
    } else if (product && product.getKind() == AffineExprKind::Mul &&
               product.getRHS() ==
                   getAffineConstantExpr(-1, expr.getContext())) {
      os << " - ";
      printExpr(os, ranges, product.getLHS(), true);
    } else {
      os << " + ";
      printExpr(os, ranges, rhs, false);
    }
  } else {
    os << (binary.getKind() == AffineExprKind::Mul ? " * " : " floordiv ");
    printExpr(os, ranges, rhs, true);
  }
  if (nested)
    os << ")";
}

static void printBound(raw_ostream &os, const MaskRanges &ranges,
                       const TileBound &bound, bool isLower, StringRef none) {
  auto list = [&](auto &&items, StringRef name, auto &&printItem) {
    if (items.size() == 1)
      return printItem(items.front());
    os << name << "(";
    llvm::interleaveComma(items, os, printItem);
    os << ")";
  };
  if (bound.groups.empty()) {
    os << none;
    return;
  }
  list(bound.groups, isLower ? "max" : "min",
       [&](const SmallVector<AffineExpr, 1> &group) {
         list(group, isLower ? "min" : "max",
              [&](AffineExpr expr) { printExpr(os, ranges, expr, false); });
       });
}

static void printCondition(raw_ostream &os, const MaskRanges &ranges,
                           const TileCondition &condition) {
  for (auto [index, group] : llvm::enumerate(condition.groups)) {
    os << (index ? " and " : " if ");
    llvm::interleave(
        group, os,
        [&](AffineExpr expr) {
          printExpr(os, ranges, expr, false);
          os << " >= 0";
        },
        " or ");
  }
}

std::string MaskRanges::str() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "live [";
  printBound(os, *this, lo, /*isLower=*/true, "0");
  os << ", ";
  printBound(os, *this, hi, /*isLower=*/false, "all");
  os << ")";
  printCondition(os, *this, live);
  if (neverFull) {
    os << ", none full";
    return text;
  }
  os << ", full [";
  printBound(os, *this, fullLo, /*isLower=*/true, "live");
  os << ", ";
  printBound(os, *this, fullHi, /*isLower=*/false, "live");
  os << ")";
  printCondition(os, *this, full);
  return text;
}
