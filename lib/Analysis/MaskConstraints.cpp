//===- MaskConstraints.cpp - Affine constraints of a mask region ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskConstraints.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash;

namespace {

/// Limit of every coefficient and constant. Bounds are divided and multiplied
/// by tile sizes (< 2^10) and evaluated on indices below 2^31.
constexpr int64_t kLimit = int64_t(1) << 40;

/// Most inequalities that are analysed; projection may square their number.
constexpr size_t kMaxConstraints = 16;

bool inLimit(int64_t value) { return value > -kLimit && value < kLimit; }

class MaskReader {
public:
  MaskReader(Region &mask, MaskRanges &ranges) : mask(mask), ranges(ranges) {}

  /// The conjunction whose truth is `value`, or `!value` where `negated`.
  void readCondition(Value value, bool negated, MaskConjunction &result);

private:
  /// The affine form of an index or i64, or nothing. Every value is read once.
  std::optional<AffineForm> readForm(Value value);
  std::optional<AffineForm> readNewForm(Value value);
  /// The same, op by op; nothing where the op is not affine in q and k.
  std::optional<AffineForm> readAffineOp(Operation *op);
  AffineForm regionSymbol(Value value);
  bool isUniform(Value value);
  bool isNewUniform(Value value);

  void leaveOut(Operation *op, const Twine &why, MaskConjunction &result) {
    result.exact = false;
    ranges.remarks.emplace_back(
        op->getLoc(), ("mask: '" + op->getName().getStringRef() + "' " + why +
                       "; its tiles are masked element by element")
                          .str());
  }

  Region &mask;
  MaskRanges &ranges;
  llvm::DenseMap<Value, std::optional<AffineForm>> forms;
  llvm::DenseMap<Value, bool> uniform;
  /// Conditions read already, with and without a negation in front.
  llvm::DenseSet<std::pair<Value, unsigned>> conditions;
  /// The innermost op that made reading a comparison fail.
  Operation *culprit = nullptr;
};

} // namespace

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

bool AffineForm::add(const AffineForm &other, int64_t factor) {
  auto accumulate = [&](int64_t &mine, int64_t theirs) {
    int64_t product, sum;
    if (llvm::MulOverflow(theirs, factor, product) ||
        llvm::AddOverflow(mine, product, sum) || !inLimit(sum))
      return false;
    mine = sum;
    return true;
  };
  if (symbols.size() < other.symbols.size())
    symbols.resize(other.symbols.size(), 0);
  bool fits = accumulate(q, other.q) && accumulate(k, other.k) &&
              accumulate(constant, other.constant);
  for (auto [index, coefficient] : llvm::enumerate(other.symbols))
    fits = fits && accumulate(symbols[index], coefficient);
  return fits;
}

AffineForm AffineForm::symbol(unsigned index) {
  AffineForm form;
  form.symbols.resize(index + 1, 0);
  form.symbols[index] = 1;
  return form;
}

static AffineForm constantForm(int64_t value) {
  AffineForm form;
  form.constant = value;
  return form;
}

AffineForm mlir::flash::queriesForm(const MaskTiling &tiling) {
  return tiling.queries ? constantForm(*tiling.queries)
                        : AffineForm::symbol(kQueries);
}

AffineForm mlir::flash::keysForm(const MaskTiling &tiling) {
  return tiling.keys ? constantForm(*tiling.keys) : AffineForm::symbol(kKeys);
}

AffineForm MaskReader::regionSymbol(Value value) {
  for (auto [index, symbol] : llvm::enumerate(ranges.symbols))
    if (symbol.kind == MaskSymbol::Kind::Region && symbol.value == value)
      return AffineForm::symbol(index);
  ranges.symbols.push_back({MaskSymbol::Kind::Region, value});
  return AffineForm::symbol(ranges.symbols.size() - 1);
}

/// True where `value` depends on neither q nor k and may be computed before the
/// loop: no memory is read, and nothing can trap.
bool MaskReader::isUniform(Value value) {
  auto [known, isNew] = uniform.try_emplace(value, false);
  if (!isNew)
    return known->second;
  bool result = isNewUniform(value);
  uniform[value] = result;
  return result;
}

bool MaskReader::isNewUniform(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    unsigned number = argument.getArgNumber();
    return argument.getOwner() == &mask.front() && number != 2 && number != 3 &&
           !isa<ShapedType>(argument.getType());
  }
  // Other dialects have no place in a kernel's prologue.
  Operation *op = value.getDefiningOp();
  bool isScalar = isa<AlignmentOp, HeadsOp>(op) ||
                  isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
  return isScalar && isPure(op) &&
         llvm::all_of(op->getOperands(),
                      [&](Value operand) { return isUniform(operand); });
}

//===----------------------------------------------------------------------===//
// Integer expressions
//===----------------------------------------------------------------------===//

std::optional<AffineForm> MaskReader::readForm(Value value) {
  if (auto known = forms.find(value); known != forms.end())
    return known->second;
  std::optional<AffineForm> form = readNewForm(value);
  forms[value] = form;
  return form;
}

std::optional<AffineForm> MaskReader::readNewForm(Value value) {
  if (!value.getType().isIndex() && !value.getType().isInteger(64)) {
    culprit = value.getDefiningOp();
    return std::nullopt;
  }
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    // A bound this far away can only be a sentinel; it is no affine bound.
    if (constant.getSignificantBits() > 41 ||
        !inLimit(constant.getSExtValue())) {
      culprit = value.getDefiningOp();
      return std::nullopt;
    }
    return constantForm(constant.getSExtValue());
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    unsigned number = argument.getArgNumber();
    if (argument.getOwner() == &mask.front() && (number == 2 || number == 3)) {
      bool isQuery = number == 2;
      AffineForm form;
      (isQuery ? form.q : form.k) = 1;
      if (isQuery ? ranges.tiling.offsetQ : ranges.tiling.offsetK)
        form.add(AffineForm::symbol(isQuery ? kOffsetQ : kOffsetK), 1);
      return form;
    }
    return regionSymbol(value);
  }
  Operation *op = value.getDefiningOp();
  if (std::optional<AffineForm> form = readAffineOp(op))
    return form;
  if (isUniform(value))
    return regionSymbol(value);
  if (!culprit)
    culprit = op;
  return std::nullopt;
}

std::optional<AffineForm> MaskReader::readAffineOp(Operation *op) {
  auto combine = [&](Value lhs, Value rhs,
                     int64_t factor) -> std::optional<AffineForm> {
    std::optional<AffineForm> left = readForm(lhs), right = readForm(rhs);
    if (!left || !right || !left->add(*right, factor))
      return std::nullopt;
    return left;
  };
  return llvm::TypeSwitch<Operation *, std::optional<AffineForm>>(op)
      .Case([&](arith::AddIOp add) {
        return combine(add.getLhs(), add.getRhs(), 1);
      })
      .Case([&](arith::SubIOp sub) {
        return combine(sub.getLhs(), sub.getRhs(), -1);
      })
      .Case([&](arith::MulIOp mul) -> std::optional<AffineForm> {
        for (bool swap : {false, true}) {
          Value factor = swap ? mul.getLhs() : mul.getRhs();
          Value other = swap ? mul.getRhs() : mul.getLhs();
          APInt constant;
          if (!matchPattern(factor, m_ConstantInt(&constant)) ||
              constant.getSignificantBits() > 41)
            continue;
          std::optional<AffineForm> form = readForm(other);
          AffineForm product;
          if (!form || !product.add(*form, constant.getSExtValue()))
            return std::nullopt;
          return product;
        }
        return std::nullopt;
      })
      .Case<arith::IndexCastOp>(
          [&](arith::IndexCastOp cast) -> std::optional<AffineForm> {
            Type from = cast.getIn().getType();
            // index is 64 bits wide on every target: between it and i64 nothing
            // is cut off. A narrower integer is a symbol, or it may have
            // wrapped.
            if (!from.isIndex() && !from.isInteger(64))
              return std::nullopt;
            return readForm(cast.getIn());
          })
      .Case([&](AlignmentOp) -> std::optional<AffineForm> {
        const MaskTiling &tiling = ranges.tiling;
        if (tiling.alignment)
          return constantForm(*tiling.alignment);
        if (tiling.ownAlignment)
          return AffineForm::symbol(kAlignment);
        AffineForm form = keysForm(tiling);
        form.add(queriesForm(tiling), -1);
        return form;
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

void MaskReader::readCondition(Value value, bool negated,
                               MaskConjunction &result) {
  if (!conditions.insert({value, negated ? 1 : 0}).second)
    return;
  auto addConstraint = [&](AffineForm form, bool equality = false) {
    result.constraints.push_back({std::move(form), equality});
  };
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    // False is -1 >= 0.
    if (constant.isZero() != negated)
      addConstraint(constantForm(-1));
    return;
  }
  Operation *op = value.getDefiningOp();
  if (!op) {
    // A captured i1: uniform, but no inequality.
    result.exact = false;
    ranges.remarks.emplace_back(
        value.getLoc(), "mask: a captured i1 is no affine condition; its tiles "
                        "are masked element by element");
    return;
  }
  if (auto conjunction = dyn_cast<arith::AndIOp>(op); conjunction && !negated) {
    readCondition(conjunction.getLhs(), false, result);
    readCondition(conjunction.getRhs(), false, result);
    return;
  }
  // not (a or b) is a conjunction again.
  if (auto disjunction = dyn_cast<arith::OrIOp>(op); disjunction && negated) {
    readCondition(disjunction.getLhs(), true, result);
    readCondition(disjunction.getRhs(), true, result);
    return;
  }
  if (auto exclusive = dyn_cast<arith::XOrIOp>(op)) {
    for (bool swap : {false, true}) {
      Value side = swap ? exclusive.getLhs() : exclusive.getRhs();
      Value other = swap ? exclusive.getRhs() : exclusive.getLhs();
      if (matchPattern(side, m_ConstantInt(&constant)))
        return readCondition(other, negated != !constant.isZero(), result);
    }
  }
  if (result.constraints.size() >= kMaxConstraints) {
    leaveOut(op, "comes after " + Twine(kMaxConstraints) + " inequalities",
             result);
    return;
  }
  auto compare = dyn_cast<arith::CmpIOp>(op);
  if (!compare) {
    leaveOut(op, "is not affine with a single interval", result);
    return;
  }
  arith::CmpIPredicate predicate = compare.getPredicate();
  if (negated)
    predicate = arith::invertPredicate(predicate);
  culprit = nullptr;
  std::optional<AffineForm> lhs = readForm(compare.getLhs());
  std::optional<AffineForm> rhs =
      lhs ? readForm(compare.getRhs()) : std::nullopt;
  if (!lhs || !rhs) {
    leaveOut(culprit ? culprit : op, "is not affine in q and k", result);
    return;
  }
  // lhs - rhs and rhs - lhs, with the 1 of a strict comparison.
  auto difference = [&](AffineForm left, const AffineForm &right, int64_t slack,
                        bool equality = false) {
    if (!left.add(right, -1) || !left.add(constantForm(slack), 1))
      leaveOut(op, "has coefficients that are too large", result);
    else
      addConstraint(std::move(left), equality);
  };
  switch (predicate) {
  case arith::CmpIPredicate::sle:
    return difference(*rhs, *lhs, 0);
  case arith::CmpIPredicate::slt:
    return difference(*rhs, *lhs, -1);
  case arith::CmpIPredicate::sge:
    return difference(*lhs, *rhs, 0);
  case arith::CmpIPredicate::sgt:
    return difference(*lhs, *rhs, -1);
  case arith::CmpIPredicate::eq:
    return difference(*lhs, *rhs, 0, /*equality=*/true);
  default:
    leaveOut(op, "with this predicate is not affine with a single interval",
             result);
  }
}

MaskConjunction mlir::flash::readMask(Region &mask, MaskRanges &ranges) {
  MaskConjunction result;
  if (mask.empty())
    return result;
  MaskReader(mask, ranges)
      .readCondition(mask.front().getTerminator()->getOperand(0),
                     /*negated=*/false, result);
  return result;
}
