//===- MaskConstraints.cpp - Affine form of a mask region -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskConstraints.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash;
using arith::CmpIPredicate;

namespace {

/// Most conjunctions of a union, cases of a value and divisions: `and`
/// multiplies the first. What goes beyond is left out.
constexpr size_t kMaxConjunctions = 16;
constexpr size_t kMaxCases = 8;
constexpr size_t kMaxDivisions = 8;

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
      : mask(mask), ranges(ranges), formula(formula) {}

  /// Where `value` may be true, or may be false if `negated`.
  MaskUnion readCondition(Value value, bool negated);

private:
  MaskUnion readNewCondition(Value value, bool negated);
  MaskUnion readCompare(arith::CmpIOp op, bool negated);
  /// `left predicate right`, of signed predicates and of unsigned ones.
  void addCompare(CmpIPredicate predicate, const Case &left, const Case &right,
                  MaskUnion &result);

  /// The cases of an index or i64; nothing where it is not piecewise affine.
  /// Every value is read once.
  std::optional<Cases> readForm(Value value);
  std::optional<Cases> readNewForm(Value value);
  std::optional<Cases> readLinear(Operation *op);
  std::optional<Cases> readPieces(Operation *op);
  std::optional<Cases> readDivision(Operation *op);
  std::optional<AffineForm> divide(const AffineForm &numerator,
                                   int64_t divisor);
  AffineForm regionSymbol(Value value);
  bool isUniform(Value value);
  bool isNewUniform(Value value);
  bool isNonNegative(const AffineForm &form) const;

  /// One conjunction that always may hold.
  MaskUnion leaveOut(Operation *op, const Twine &why) {
    remark(op, why);
    return {MaskConjunction{{}, /*exact=*/false}};
  }
  void remark(Operation *op, const Twine &why) {
    if (remarked.insert(op).second)
      ranges.remarks.emplace_back(
          op->getLoc(), ("mask: '" + op->getName().getStringRef() + "' " + why +
                         "; its tiles are masked element by element")
                            .str());
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
  /// The innermost op that made reading a comparison fail, and those of the
  /// values without a form.
  Operation *culprit = nullptr;
  llvm::DenseMap<Value, Operation *> culprits;
};

} // namespace

//===----------------------------------------------------------------------===//
// Unions of conjunctions
//===----------------------------------------------------------------------===//

MaskUnion MaskReader::disjoin(MaskUnion left, const MaskUnion &right,
                              Operation *op) {
  for (const MaskConjunction &conjunction : right)
    addConjunction(left, conjunction);
  if (left.size() > kMaxConjunctions)
    return leaveOut(op, "makes more than " + Twine(kMaxConjunctions) +
                            " conjunctions");
  return left;
}

MaskUnion MaskReader::conjoin(const MaskUnion &left, const MaskUnion &right,
                              Operation *op) {
  MaskUnion result;
  for (const MaskConjunction &first : left)
    for (const MaskConjunction &second : right)
      addConjunction(result, both(first, second));
  if (result.size() <= kMaxConjunctions)
    return result;
  // One side alone holds wherever both do.
  remark(op, "makes more than " + Twine(kMaxConjunctions) + " conjunctions");
  result = left.size() <= right.size() ? left : right;
  for (MaskConjunction &conjunction : result)
    conjunction.exact = false;
  return result;
}

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

AffineForm MaskReader::regionSymbol(Value value) {
  for (auto [index, symbol] : llvm::enumerate(ranges.symbols))
    if (symbol.kind == MaskSymbol::Kind::Region && symbol.value == value)
      return AffineForm::symbol(index);
  ranges.symbols.push_back({MaskSymbol::Kind::Region, value});
  return AffineForm::symbol(ranges.symbols.size() - 1);
}

/// True where `value` depends on neither q nor k and may be computed before the
/// loop: nothing can trap, and what is read are captures.
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
  ValueRange indices = op->getOperands();
  bool isRead = isa<memref::LoadOp, tensor::ExtractOp>(op) &&
                isa<BlockArgument>(op->getOperand(0));
  if (isRead)
    indices = indices.drop_front();
  return (isRead || (isScalar && isPure(op))) &&
         llvm::all_of(indices,
                      [&](Value operand) { return isUniform(operand); });
}

/// True where no value of q, k and the sizes makes the form negative.
bool MaskReader::isNonNegative(const AffineForm &form) const {
  if (form.q < 0 || form.k < 0 || form.constant < 0)
    return false;
  for (auto [index, coefficient] : llvm::enumerate(form.symbols)) {
    bool isSize = index == kQueries || index == kKeys;
    if (isSize ? coefficient < 0 : coefficient != 0)
      return false;
  }
  for (auto [index, coefficient] : llvm::enumerate(form.divisions))
    if (coefficient != 0 &&
        (coefficient < 0 || !isNonNegative(formula.divisions[index].numerator)))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Integer expressions
//===----------------------------------------------------------------------===//

std::optional<Cases> MaskReader::readForm(Value value) {
  if (auto known = forms.find(value); known != forms.end()) {
    if (!known->second)
      culprit = culprits.lookup(value);
    return known->second;
  }
  std::optional<Cases> form = readNewForm(value);
  if (form && form->size() > kMaxCases) {
    culprit = value.getDefiningOp();
    form = std::nullopt;
  }
  if (!form)
    culprits[value] = culprit;
  forms[value] = form;
  return form;
}

static Cases single(AffineForm form) {
  return {Case{MaskConjunction(), std::move(form)}};
}

std::optional<Cases> MaskReader::readNewForm(Value value) {
  if (!value.getType().isIndex() && !value.getType().isInteger(64)) {
    culprit = value.getDefiningOp();
    return std::nullopt;
  }
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    // A bound this far away can only be a sentinel; it is no affine bound.
    AffineForm form;
    if (constant.getSignificantBits() > 41 ||
        !form.add(AffineForm::literal(constant.getSExtValue()), 1)) {
      culprit = value.getDefiningOp();
      return std::nullopt;
    }
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
  Operation *op = value.getDefiningOp();
  if (std::optional<Cases> form = readLinear(op))
    return form;
  if (isUniform(value))
    return single(regionSymbol(value));
  if (std::optional<Cases> form = readPieces(op))
    return form;
  if (!culprit)
    culprit = op;
  return std::nullopt;
}

std::optional<Cases> MaskReader::readLinear(Operation *op) {
  auto combine = [&](Value lhs, Value rhs,
                     int64_t factor) -> std::optional<Cases> {
    std::optional<Cases> left = readForm(lhs), right = readForm(rhs);
    if (!left || !right)
      return std::nullopt;
    Cases result;
    for (const Case &first : *left)
      for (const Case &second : *right) {
        Case sum{both(first.guard, second.guard), first.form};
        if (!sum.form.add(second.form, factor))
          return std::nullopt;
        result.push_back(std::move(sum));
      }
    return result;
  };
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
          APInt constant;
          if (!matchPattern(factor, m_ConstantInt(&constant)) ||
              constant.getSignificantBits() > 41)
            continue;
          std::optional<Cases> form = readForm(other);
          if (!form)
            return std::nullopt;
          for (Case &item : *form) {
            AffineForm product;
            if (!product.add(item.form, constant.getSExtValue()))
              return std::nullopt;
            item.form = product;
          }
          return form;
        }
        return std::nullopt;
      })
      .Case([&](arith::IndexCastOp cast) -> std::optional<Cases> {
        Type from = cast.getIn().getType();
        // index is 64 bits wide on every target: between it and i64 nothing is
        // cut off. A narrower integer is a symbol, or it may have wrapped.
        if (!from.isIndex() && !from.isInteger(64))
          return std::nullopt;
        return readForm(cast.getIn());
      })
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

/// Ops whose value is affine piece by piece.
std::optional<Cases> MaskReader::readPieces(Operation *op) {
  // The one of two values that is not below (not above) the other.
  auto extremum = [&](bool isMax) -> std::optional<Cases> {
    std::optional<Cases> left = readForm(op->getOperand(0));
    std::optional<Cases> right = readForm(op->getOperand(1));
    if (!left || !right)
      return std::nullopt;
    Cases result;
    for (const Case &first : *left)
      for (const Case &second : *right) {
        const Case &low = isMax ? second : first,
                   &high = isMax ? first : second;
        MaskConjunction guard = both(first.guard, second.guard);
        Case taken{guard, first.form}, other{guard, second.form};
        addDifference(taken.guard, high.form, low.form);
        addDifference(other.guard, low.form, high.form, -1);
        result.push_back(std::move(taken));
        result.push_back(std::move(other));
      }
    return result;
  };
  if (isa<arith::MinSIOp, arith::MaxSIOp>(op))
    return extremum(isa<arith::MaxSIOp>(op));
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

std::optional<Cases> MaskReader::readDivision(Operation *op) {
  bool isQuotient = isa<arith::FloorDivSIOp, arith::CeilDivSIOp, arith::DivSIOp,
                        arith::DivUIOp, arith::CeilDivUIOp>(op);
  bool isUnsigned = isa<arith::DivUIOp, arith::CeilDivUIOp, arith::RemUIOp>(op);
  APInt constant;
  if ((!isQuotient && !isa<arith::RemSIOp, arith::RemUIOp>(op)) ||
      !matchPattern(op->getOperand(1), m_ConstantInt(&constant)) ||
      !constant.isStrictlyPositive() || constant.getSignificantBits() > 32)
    return std::nullopt;
  int64_t divisor = constant.getSExtValue();
  std::optional<Cases> numerators = readForm(op->getOperand(0));
  if (!numerators)
    return std::nullopt;

  AffineForm zero;
  Cases result;
  // The quotient of `form`, rounded down, times `sign`; or the rest times it.
  auto add = [&](const MaskConjunction &guard, const AffineForm &form,
                 int64_t sign) {
    std::optional<AffineForm> quotient = divide(form, divisor);
    if (!quotient)
      return false;
    AffineForm value;
    bool fits = isQuotient ? value.add(*quotient, sign)
                           : value.add(form, sign) &&
                                 value.add(*quotient, -sign * divisor);
    result.push_back({guard, value});
    return fits;
  };
  for (Case &item : *numerators) {
    if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op)) {
      // Rounded up, n / d is (n + d - 1) / d rounded down.
      if ((isUnsigned && !isNonNegative(item.form)) ||
          !item.form.add(AffineForm::literal(divisor - 1), 1) ||
          !add(item.guard, item.form, 1))
        return std::nullopt;
      continue;
    }
    if (isa<arith::FloorDivSIOp>(op) || isNonNegative(item.form)) {
      if (!add(item.guard, item.form, 1))
        return std::nullopt;
      continue;
    }
    if (isUnsigned)
      return std::nullopt;
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

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

MaskUnion MaskReader::readCondition(Value value, bool negated) {
  std::pair<Value, unsigned> key(value, negated ? 1 : 0);
  if (auto known = conditions.find(key); known != conditions.end())
    return known->second;
  MaskUnion result = readNewCondition(value, negated);
  conditions[key] = result;
  return result;
}

MaskUnion MaskReader::readNewCondition(Value value, bool negated) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    // The empty union is false.
    if (constant.isZero() != negated)
      return {};
    return {MaskConjunction()};
  }
  Operation *op = value.getDefiningOp();
  if (!op) {
    // A captured i1: uniform, but no inequality.
    if (!negated)
      ranges.remarks.emplace_back(
          value.getLoc(), "mask: a captured i1 is no affine condition; its "
                          "tiles are masked element by element");
    return {MaskConjunction{{}, /*exact=*/false}};
  }
  auto read = [&](Value operand, bool inverted) {
    return readCondition(operand, inverted);
  };
  // (a and b) or (not a and c), for the condition a and two more.
  auto choose = [&](Value condition, MaskUnion ifTrue, MaskUnion ifFalse) {
    return disjoin(conjoin(read(condition, false), ifTrue, op),
                   conjoin(read(condition, true), ifFalse, op), op);
  };
  if (isa<arith::AndIOp, arith::OrIOp>(op)) {
    MaskUnion left = read(op->getOperand(0), negated);
    MaskUnion right = read(op->getOperand(1), negated);
    // Not (a and b) is a disjunction, not (a or b) a conjunction.
    return isa<arith::AndIOp>(op) != negated ? conjoin(left, right, op)
                                             : disjoin(left, right, op);
  }
  if (auto exclusive = dyn_cast<arith::XOrIOp>(op))
    return choose(exclusive.getLhs(), read(exclusive.getRhs(), !negated),
                  read(exclusive.getRhs(), negated));
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return choose(select.getCondition(), read(select.getTrueValue(), negated),
                  read(select.getFalseValue(), negated));
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) {
    if (!compare.getLhs().getType().isInteger(1))
      return readCompare(compare, negated);
    bool isEqual = compare.getPredicate() == CmpIPredicate::eq;
    if (isEqual || compare.getPredicate() == CmpIPredicate::ne)
      return choose(compare.getLhs(),
                    read(compare.getRhs(), negated == isEqual),
                    read(compare.getRhs(), negated != isEqual));
  }
  return leaveOut(op, "is not affine in q and k");
}

MaskUnion MaskReader::readCompare(arith::CmpIOp op, bool negated) {
  CmpIPredicate predicate = op.getPredicate();
  if (negated)
    predicate = arith::invertPredicate(predicate);
  culprit = nullptr;
  std::optional<Cases> left = readForm(op.getLhs());
  std::optional<Cases> right = left ? readForm(op.getRhs()) : std::nullopt;
  if (!left || !right)
    return leaveOut(culprit ? culprit : op.getOperation(),
                    "is not affine in q and k");
  MaskUnion result;
  for (const Case &first : *left)
    for (const Case &second : *right)
      addCompare(predicate, first, second, result);
  if (result.size() > kMaxConjunctions)
    return leaveOut(op, "has more than " + Twine(kMaxConjunctions) + " cases");
  if (!llvm::all_of(result, [](auto &item) { return item.exact; }))
    remark(op, "has a condition or a number that is too large, or one more "
               "inequality than " +
                   Twine(kMaxConstraints));
  return result;
}

void MaskReader::addCompare(CmpIPredicate predicate, const Case &left,
                            const Case &right, MaskUnion &result) {
  MaskConjunction guard = both(left.guard, right.guard);
  auto add = [&](const AffineForm &high, const AffineForm &low, int64_t slack,
                 bool equality = false) {
    MaskConjunction conjunction = guard;
    addDifference(conjunction, high, low, slack, equality);
    addConjunction(result, std::move(conjunction));
  };
  // Two numbers of one sign compare as signed ones; of two signs, the negative
  // one is the larger.
  auto addUnsigned = [&](CmpIPredicate same, bool isLess) {
    AffineForm zero;
    for (bool leftNegative : {false, true})
      for (bool rightNegative : {false, true}) {
        if ((leftNegative && isNonNegative(left.form)) ||
            (rightNegative && isNonNegative(right.form)) ||
            (leftNegative != rightNegative && isLess != rightNegative))
          continue;
        Case first = left, second = right;
        for (auto [side, isNegative] :
             {std::pair(&first, leftNegative), {&second, rightNegative}}) {
          if (isNegative)
            addDifference(side->guard, zero, side->form, -1);
          else if (!isNonNegative(side->form))
            addDifference(side->guard, side->form, zero);
        }
        if (leftNegative == rightNegative)
          addCompare(same, first, second, result);
        else
          addConjunction(result, both(first.guard, second.guard));
      }
  };
  switch (predicate) {
  case CmpIPredicate::sle:
    return add(right.form, left.form, 0);
  case CmpIPredicate::slt:
    return add(right.form, left.form, -1);
  case CmpIPredicate::sge:
    return add(left.form, right.form, 0);
  case CmpIPredicate::sgt:
    return add(left.form, right.form, -1);
  case CmpIPredicate::eq:
    return add(left.form, right.form, 0, /*equality=*/true);
  case CmpIPredicate::ne:
    add(left.form, right.form, -1);
    return add(right.form, left.form, -1);
  case CmpIPredicate::ule:
    return addUnsigned(CmpIPredicate::sle, true);
  case CmpIPredicate::ult:
    return addUnsigned(CmpIPredicate::slt, true);
  case CmpIPredicate::uge:
    return addUnsigned(CmpIPredicate::sge, false);
  case CmpIPredicate::ugt:
    return addUnsigned(CmpIPredicate::sgt, false);
  }
}

AffineForm mlir::flash::queriesForm(const MaskTiling &tiling) {
  return tiling.queries ? AffineForm::literal(*tiling.queries)
                        : AffineForm::symbol(kQueries);
}

AffineForm mlir::flash::keysForm(const MaskTiling &tiling) {
  return tiling.keys ? AffineForm::literal(*tiling.keys)
                     : AffineForm::symbol(kKeys);
}

MaskFormula mlir::flash::readMask(Region &mask, MaskRanges &ranges) {
  MaskFormula formula;
  if (mask.empty()) {
    formula.holds.push_back(MaskConjunction());
    return formula;
  }
  MaskReader reader(mask, ranges, formula);
  Value value = mask.front().getTerminator()->getOperand(0);
  formula.holds = reader.readCondition(value, /*negated=*/false);
  formula.fails = reader.readCondition(value, /*negated=*/true);
  return formula;
}
