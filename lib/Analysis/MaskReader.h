//===- MaskReader.h - Reader of mask regions --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Reads the values of a mask region, each of them once: conditions as unions of
// conjunctions (MaskConstraints.cpp), integers as affine forms (MaskForms.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_MASKREADER_H
#define FLASH_LIB_ANALYSIS_MASKREADER_H

#include "FormBounds.h"
#include "MaskConstraints.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::flash {

/// Most conjunctions of a union, cases of a value and divisions: `and`
/// multiplies the first. What goes beyond is left out.
inline constexpr size_t kMaxConjunctions = 16;
inline constexpr size_t kMaxCases = 8;
inline constexpr size_t kMaxDivisions = 8;
/// Most ops on a path from a value to what it is computed from: reading
/// recurses along it.
inline constexpr unsigned kMaxDepth = 256;

/// An integer that has the value of `form` where `guard` holds.
struct Case {
  MaskConjunction guard;
  AffineForm form;
};
/// The cases of a value; their guards cover everything.
using Cases = SmallVector<Case, 1>;

class MaskReader {
public:
  MaskReader(Region &mask, MaskRanges &ranges, MaskFormula &formula)
      : mask(mask), ranges(ranges), formula(formula),
        bounds(ranges.tiling, ranges.symbols, formula.divisions) {
    measureDepths();
  }

  /// Where `value` may be true, or may be false if `negated`.
  MaskUnion readCondition(Value value, bool negated);

private:
  using CmpIPredicate = arith::CmpIPredicate;

  void measureDepths();
  bool isTooDeep(Value value) const { return depths.lookup(value) > kMaxDepth; }

  MaskUnion readNewCondition(Value value, bool negated);
  MaskUnion readFlags(arith::CmpIOp op, bool negated);
  MaskUnion readCompare(arith::CmpIOp op, bool negated);
  /// `left predicate right`, of signed predicates and of unsigned ones.
  void addCompare(CmpIPredicate predicate, const Case &left, const Case &right,
                  MaskUnion &result);

  /// The cases of an integer; nothing where it is not piecewise affine, or is
  /// narrower than 64 bits and may have wrapped. Every value is read once.
  std::optional<Cases> readForm(Value value);
  std::optional<Cases> readNewForm(Value value);
  std::optional<Cases> readLinear(Operation *op);
  std::optional<Cases> readMultiple(Value value, int64_t factor);
  std::optional<Cases> readCast(Operation *op);
  std::optional<Cases> readPieces(Operation *op);
  std::optional<Cases> readExtremum(Operation *op, bool isMax);
  std::optional<Cases> readDivision(Operation *op);
  std::optional<AffineForm> divide(const AffineForm &numerator,
                                   int64_t divisor);
  AffineForm regionSymbol(Value value);
  bool isUniform(Value value);
  bool isNewUniform(Value value);
  bool isNonNegative(const AffineForm &form) const {
    return bounds.isNonNegative(form);
  }
  /// More than one number of any size in one form.
  bool addsNumbers(const AffineForm &form) const;

  /// One conjunction that always may hold.
  MaskUnion leaveOut(Operation *op, const Twine &why) {
    remark(op, why);
    return {MaskConjunction{{}, /*exact=*/false}};
  }
  void remark(Operation *op, const Twine &why) {
    if (remarked.insert(op).second)
      ranges.remarks.emplace_back(
          op->getLoc(), ("mask: '" + op->getName().getStringRef() + "' " + why +
                         "; left out of the ranges of tiles")
                            .str());
  }
  /// The innermost op that made reading a comparison fail.
  struct Culprit {
    Operation *op = nullptr;
    std::string why;
  };
  std::nullopt_t blame(Operation *op,
                       const Twine &why = "is not affine in q and k") {
    if (!culprit.op)
      culprit = {op, why.str()};
    return std::nullopt;
  }
  MaskUnion conjoin(const MaskUnion &left, const MaskUnion &right,
                    Operation *op);
  MaskUnion disjoin(MaskUnion left, const MaskUnion &right, Operation *op);

  Region &mask;
  MaskRanges &ranges;
  MaskFormula &formula;
  llvm::DenseMap<Value, std::optional<Cases>> forms;
  llvm::DenseMap<Value, bool> uniform;
  llvm::DenseMap<std::pair<Value, unsigned>, MaskUnion> conditions;
  llvm::DenseSet<Operation *> remarked;
  FormBounds bounds;
  llvm::DenseMap<Value, unsigned> depths;
  /// Of the comparison that is being read, and of the values without a form.
  Culprit culprit;
  llvm::DenseMap<Value, Culprit> culprits;
};

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_MASKREADER_H
