//===- MaskRangesText.cpp - Ranges of key tiles as text -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Analysis/MaskAnalysis.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::flash;

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
    os << (binary.getKind() == AffineExprKind::Mul   ? " * "
           : binary.getKind() == AffineExprKind::Mod ? " mod "
                                                     : " floordiv ");
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
    bool nested = group.size() > 1 && condition.groups.size() > 1;
    os << (nested ? "(" : "");
    llvm::interleave(
        group, os,
        [&](AffineExpr expr) {
          printExpr(os, ranges, expr, false);
          os << " >= 0";
        },
        " or ");
    os << (nested ? ")" : "");
  }
}

std::string MaskRanges::str() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto print = [&](const TileBound &from, const TileBound &to,
                   const TileCondition &condition, StringRef first,
                   StringRef last) {
    os << "[";
    printBound(os, *this, from, /*isLower=*/true, first);
    os << ", ";
    printBound(os, *this, to, /*isLower=*/false, last);
    os << ")";
    printCondition(os, *this, condition);
  };
  os << "live ";
  llvm::interleave(
      live, os,
      [&](const TileRange &range) {
        print(range.lo, range.hi, range.condition, "0", "all");
      },
      " and ");
  if (neverFull) {
    os << ", none full";
    return text;
  }
  os << ", full ";
  print(fullLo, fullHi, full, "live", "live");
  for (const TileRange &hole : holes) {
    os << " without ";
    print(hole.lo, hole.hi, hole.condition, "0", "all");
  }
  return text;
}
