//===- MaskForms.cpp - Affine forms of integers of a mask ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskReader.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash;

//===----------------------------------------------------------------------===//
// Integer expressions
//===----------------------------------------------------------------------===//

static unsigned widthOf(Value value) {
  return value.getType().isIndex() ? 64
                                   : value.getType().getIntOrFloatBitWidth();
}

std::optional<Cases> MaskReader::readForm(Value value) {
  if (auto known = forms.find(value); known != forms.end()) {
    if (!known->second)
      culprit = culprits.lookup(value);
    return known->second;
  }
  std::optional<Cases> form = readNewForm(value);
  Operation *op = value.getDefiningOp();
  if (form && form->size() > kMaxCases)
    form = blame(op, "has more than " + Twine(kMaxCases) + " cases");
  // Index arithmetic is taken not to wrap. A narrower integer may.
  unsigned width = widthOf(value);
  if (form && op && width < 64 && !isUniform(value) &&
      !llvm::all_of(
          *form,
          [&](const Case &item) { return bounds.fits(item.form, width); }))
    form = blame(op, "may exceed its " + Twine(width) + " bits");
  if (!form)
    culprits[value] = culprit;
  forms[value] = form;
  return form;
}

static Cases single(AffineForm form) {
  return {Case{MaskConjunction(), std::move(form)}};
}

bool MaskReader::addsNumbers(const AffineForm &form) const {
  unsigned count = 0;
  for (auto [index, factor] : llvm::enumerate(form.symbols))
    if (factor != 0 && ranges.symbols[index].limit == MaskSymbol::kNumberLimit)
      ++count;
  return count > 1;
}

std::optional<Cases> MaskReader::readNewForm(Value value) {
  Operation *op = value.getDefiningOp();
  if (!value.getType().isIntOrIndex() || widthOf(value) > 64)
    return blame(op);
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    // A bound this far away can only be a sentinel; it is no affine bound.
    AffineForm form;
    if (constant.getSignificantBits() > 41 ||
        !form.add(AffineForm::literal(constant.getSExtValue()), 1))
      return blame(op, "is too large");
    return single(form);
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    unsigned number = argument.getArgNumber();
    if (argument.getOwner() == &mask.front() && (number == 2 || number == 3)) {
      bool isQuery = number == 2;
      AffineForm form;
      (isQuery ? form.q : form.k) = 1;
      if (isQuery ? ranges.tiling.offsetQ : ranges.tiling.offsetK)
        form.add(AffineForm::symbol(isQuery ? kOffsetQ : kOffsetK), 1);
      return single(form);
    }
    return single(regionSymbol(value));
  }
  if (isTooDeep(value)) {
    if (isUniform(value))
      return single(regionSymbol(value));
    return blame(op, "is nested more than " + Twine(kMaxDepth) + " ops deep");
  }
  if (std::optional<Cases> form = readLinear(op)) {
    // What is uniform is one number, whatever it is the sum of.
    if (isUniform(value) && (form->size() > 1 || widthOf(value) < 64 ||
                             addsNumbers(form->front().form)))
      return single(regionSymbol(value));
    return form;
  }
  if (isUniform(value)) {
    culprit = Culprit();
    return single(regionSymbol(value));
  }
  if (culprit.op)
    return std::nullopt;
  if (std::optional<Cases> form = readPieces(op))
    return form;
  return blame(op);
}

/// `value` times `factor`.
std::optional<Cases> MaskReader::readMultiple(Value value, int64_t factor) {
  std::optional<Cases> form = readForm(value);
  if (!form)
    return std::nullopt;
  for (Case &item : *form) {
    AffineForm product;
    if (!product.add(item.form, factor))
      return blame(value.getDefiningOp(), "has a factor that is too large");
    item.form = product;
  }
  return form;
}

/// Casts that keep every value which their operand can have.
std::optional<Cases> MaskReader::readCast(Operation *op) {
  Value from = op->getOperand(0);
  unsigned fromWidth = widthOf(from), toWidth = widthOf(op->getResult(0));
  // An i1 that is true is -1 or 1: no form, but a condition.
  if (fromWidth == 1 || toWidth == 1)
    return std::nullopt;
  std::optional<Cases> form = readForm(from);
  // readForm compares a narrower result with its width.
  if (!form || toWidth < fromWidth)
    return form;
  if (isa<arith::IndexCastUIOp, arith::ExtUIOp>(op) && toWidth > fromWidth &&
      !llvm::all_of(*form,
                    [&](const Case &item) { return isNonNegative(item.form); }))
    return blame(op, "may be of a negative number");
  return form;
}

std::optional<Cases> MaskReader::readLinear(Operation *op) {
  auto combine = [&](Value lhs, Value rhs,
                     int64_t factor) -> std::optional<Cases> {
    std::optional<Cases> left = readForm(lhs), right;
    if (left)
      right = readForm(rhs);
    if (!left || !right)
      return std::nullopt;
    Cases result;
    for (const Case &first : *left)
      for (const Case &second : *right) {
        Case sum{both(first.guard, second.guard), first.form};
        if (!sum.form.add(second.form, factor))
          return blame(op, "has a number that is too large");
        result.push_back(std::move(sum));
      }
    return result;
  };
  APInt constant;
  return llvm::TypeSwitch<Operation *, std::optional<Cases>>(op)
      .Case([&](arith::AddIOp add) {
        return combine(add.getLhs(), add.getRhs(), 1);
      })
      .Case([&](arith::SubIOp sub) {
        return combine(sub.getLhs(), sub.getRhs(), -1);
      })
      .Case([&](arith::MulIOp mul) -> std::optional<Cases> {
        for (bool swap : {false, true}) {
          Value factor = swap ? mul.getLhs() : mul.getRhs();
          Value other = swap ? mul.getRhs() : mul.getLhs();
          if (matchPattern(factor, m_ConstantInt(&constant)) &&
              constant.getSignificantBits() <= 41)
            return readMultiple(other, constant.getSExtValue());
        }
        return std::nullopt;
      })
      .Case([&](arith::ShLIOp shift) -> std::optional<Cases> {
        if (!matchPattern(shift.getRhs(), m_ConstantInt(&constant)) ||
            constant.uge(40))
          return std::nullopt;
        return readMultiple(shift.getLhs(), int64_t(1)
                                                << constant.getZExtValue());
      })
      // index is 64 bits wide on every target.
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp>(
          [&](Operation *cast) { return readCast(cast); })
      .Case([&](AlignmentOp) -> std::optional<Cases> {
        const MaskTiling &tiling = ranges.tiling;
        if (tiling.alignment)
          return single(AffineForm::literal(*tiling.alignment));
        if (tiling.ownAlignment)
          return single(AffineForm::symbol(kAlignment));
        AffineForm form = keysForm(tiling);
        form.add(queriesForm(tiling), -1);
        return single(form);
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// The one of two values that is not below (not above) the other.
std::optional<Cases> MaskReader::readExtremum(Operation *op, bool isMax) {
  std::optional<Cases> left = readForm(op->getOperand(0)), right;
  if (left)
    right = readForm(op->getOperand(1));
  if (!left || !right)
    return std::nullopt;
  bool isUnsigned = isa<arith::MinUIOp, arith::MaxUIOp>(op);
  Cases result;
  for (const Case &first : *left)
    for (const Case &second : *right) {
      if (isUnsigned &&
          !(isNonNegative(first.form) && isNonNegative(second.form)))
        return blame(op, "may be of a negative number");
      const Case &low = isMax ? second : first, &high = isMax ? first : second;
      MaskConjunction guard = both(first.guard, second.guard);
      Case taken{guard, first.form}, other{guard, second.form};
      addDifference(taken.guard, high.form, low.form);
      addDifference(other.guard, low.form, high.form, -1);
      result.push_back(std::move(taken));
      result.push_back(std::move(other));
    }
  return result;
}

/// Ops whose value is affine piece by piece.
std::optional<Cases> MaskReader::readPieces(Operation *op) {
  if (isa<arith::MinSIOp, arith::MaxSIOp, arith::MinUIOp, arith::MaxUIOp>(op))
    return readExtremum(op, isa<arith::MaxSIOp, arith::MaxUIOp>(op));
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    Cases result;
    for (bool negated : {false, true}) {
      std::optional<Cases> cases =
          readForm(negated ? select.getFalseValue() : select.getTrueValue());
      if (!cases)
        return std::nullopt;
      for (const MaskConjunction &guard :
           readCondition(select.getCondition(), negated))
        for (const Case &item : *cases)
          result.push_back({both(item.guard, guard), item.form});
    }
    return result;
  }
  return readDivision(op);
}

/// numerator floordiv divisor, as a number of `formula.divisions`.
std::optional<AffineForm> MaskReader::divide(const AffineForm &numerator,
                                             int64_t divisor) {
  for (auto [index, known] : llvm::enumerate(formula.divisions))
    if (known.divisor == divisor && known.numerator == numerator)
      return AffineForm::division(index);
  if (formula.divisions.size() == kMaxDivisions)
    return std::nullopt;
  formula.divisions.push_back({numerator, divisor});
  return AffineForm::division(formula.divisions.size() - 1);
}

namespace {
/// A division by a positive constant, or the rest of one.
struct ConstantDivision {
  enum class Rounding { Down, Up, ToZero };
  int64_t divisor;
  Rounding rounding;
  bool isQuotient;
  /// The operand is taken to be unsigned.
  bool isUnsigned = false;
};
} // namespace

static std::optional<ConstantDivision> matchDivision(Operation *op) {
  using Rounding = ConstantDivision::Rounding;
  APInt constant;
  if (op->getNumOperands() != 2 ||
      !matchPattern(op->getOperand(1), m_ConstantInt(&constant)))
    return std::nullopt;
  // The rest of a division by a power of two is its last bits, of a negative
  // number, too.
  if (isa<arith::AndIOp>(op) && constant.isNonNegative() &&
      constant.getActiveBits() < 32 && (constant + 1).isPowerOf2())
    return ConstantDivision{constant.getSExtValue() + 1, Rounding::Down,
                            /*isQuotient=*/false};
  if (isa<arith::ShRSIOp, arith::ShRUIOp>(op) && constant.ult(31) &&
      constant.ult(constant.getBitWidth()))
    return ConstantDivision{int64_t(1) << constant.getZExtValue(),
                            Rounding::Down, /*isQuotient=*/true,
                            isa<arith::ShRUIOp>(op)};
  if (!constant.isStrictlyPositive() || constant.getSignificantBits() > 32)
    return std::nullopt;
  using Result = std::optional<ConstantDivision>;
  int64_t divisor = constant.getSExtValue();
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<arith::FloorDivSIOp, arith::DivUIOp>([&](Operation *) {
        return ConstantDivision{divisor, Rounding::Down, /*isQuotient=*/true,
                                isa<arith::DivUIOp>(op)};
      })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>([&](Operation *) {
        return ConstantDivision{divisor, Rounding::Up, /*isQuotient=*/true,
                                isa<arith::CeilDivUIOp>(op)};
      })
      .Case([&](arith::DivSIOp) {
        return ConstantDivision{divisor, Rounding::ToZero, /*isQuotient=*/true};
      })
      .Case([&](arith::RemUIOp) {
        return ConstantDivision{divisor, Rounding::Down, /*isQuotient=*/false,
                                /*isUnsigned=*/true};
      })
      .Case([&](arith::RemSIOp) {
        return ConstantDivision{divisor, Rounding::ToZero,
                                /*isQuotient=*/false};
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<Cases> MaskReader::readDivision(Operation *op) {
  using Rounding = ConstantDivision::Rounding;
  std::optional<ConstantDivision> division = matchDivision(op);
  if (!division)
    return std::nullopt;
  const int64_t divisor = division->divisor;
  std::optional<Cases> numerators = readForm(op->getOperand(0));
  if (!numerators)
    return std::nullopt;

  AffineForm zero;
  Cases result;
  // The quotient of `form`, rounded down, times `sign`; or the rest times it.
  auto add = [&](const MaskConjunction &guard, const AffineForm &form,
                 int64_t sign) {
    std::optional<AffineForm> quotient = divide(form, divisor);
    if (!quotient) {
      blame(op, "is more than " + Twine(kMaxDivisions) + " divisions");
      return false;
    }
    AffineForm value;
    bool fits =
        division->isQuotient
            ? value.add(*quotient, sign)
            : value.add(form, sign) && value.add(*quotient, -sign * divisor);
    if (!fits)
      blame(op, "has a number that is too large");
    result.push_back({guard, value});
    return fits;
  };
  for (Case &item : *numerators) {
    bool isNeverNegative = isNonNegative(item.form);
    if (division->isUnsigned && !isNeverNegative)
      return blame(op, "may be of a negative number");
    // Rounded up, n / d is (n + d - 1) / d rounded down.
    if (division->rounding == Rounding::Up &&
        !item.form.add(AffineForm::literal(divisor - 1), 1))
      return blame(op, "has a number that is too large");
    if (division->rounding != Rounding::ToZero || isNeverNegative) {
      if (!add(item.guard, item.form, 1))
        return std::nullopt;
      continue;
    }
    // divsi and remsi of a negative number are those of its magnitude, negated.
    AffineForm magnitude;
    Case positive = item, negative = item;
    addDifference(positive.guard, item.form, zero);
    addDifference(negative.guard, zero, item.form, -1);
    if (!magnitude.add(item.form, -1) || !add(positive.guard, item.form, 1) ||
        !add(negative.guard, magnitude, -1))
      return std::nullopt;
  }
  return result;
}
