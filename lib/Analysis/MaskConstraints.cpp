//===- MaskConstraints.cpp - Affine form of a mask region -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskReader.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace mlir::flash;
using arith::CmpIPredicate;

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

/// What the magnitude of a uniform value cannot exceed.
static int64_t getLimit(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (argument.getArgNumber() < 2)
      return MaskSymbol::kSizeLimit;
  auto isNarrow = [](Type type) {
    return type.isInteger() && type.getIntOrFloatBitWidth() <= 31;
  };
  auto isInt32 = [&](Type type) {
    return isNarrow(type) || type.isInteger(32);
  };
  if (isInt32(value.getType()))
    return MaskSymbol::kSizeLimit;
  Operation *op = value.getDefiningOp();
  if (isa_and_present<arith::IndexCastOp, arith::ExtSIOp>(op) &&
      isInt32(op->getOperand(0).getType()))
    return MaskSymbol::kSizeLimit;
  if (isa_and_present<arith::IndexCastUIOp, arith::ExtUIOp>(op) &&
      isNarrow(op->getOperand(0).getType()))
    return MaskSymbol::kSizeLimit;
  return MaskSymbol::kNumberLimit;
}

AffineForm MaskReader::regionSymbol(Value value) {
  for (auto [index, symbol] : llvm::enumerate(ranges.symbols))
    if (symbol.kind == MaskSymbol::Kind::Region && symbol.value == value)
      return AffineForm::symbol(index);
  ranges.symbols.push_back({MaskSymbol::Kind::Region, value, getLimit(value)});
  return AffineForm::symbol(ranges.symbols.size() - 1);
}

/// The length of the longest path to every value, and what is uniform, in the
/// order of the ops: neither recurses then.
void MaskReader::measureDepths() {
  mask.walk([&](Operation *op) {
    unsigned depth = 0;
    for (Value operand : op->getOperands())
      depth = std::max(depth, depths.lookup(operand));
    for (Value result : op->getResults()) {
      depths[result] = depth + 1;
      isUniform(result);
    }
  });
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
          value.getLoc(), "mask: a captured i1 is no affine condition; left "
                          "out of the ranges of tiles");
    return {MaskConjunction{{}, /*exact=*/false}};
  }
  if (isTooDeep(value))
    return leaveOut(op,
                    "is nested more than " + Twine(kMaxDepth) + " ops deep");
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
    return readFlags(compare, negated);
  }
  return leaveOut(op, "is not affine in q and k");
}

/// An order of two i1, of which true is the larger one or, signed, the smaller.
MaskUnion MaskReader::readFlags(arith::CmpIOp op, bool negated) {
  CmpIPredicate predicate = op.getPredicate();
  if (negated)
    predicate = arith::invertPredicate(predicate);
  auto isOneOf = [&](auto... items) { return ((predicate == items) || ...); };
  // The left one is false where the right one may be true, or the opposite.
  bool isLeftTrue = isOneOf(CmpIPredicate::ugt, CmpIPredicate::uge,
                            CmpIPredicate::slt, CmpIPredicate::sle);
  MaskUnion left = readCondition(op.getLhs(), !isLeftTrue);
  MaskUnion right = readCondition(op.getRhs(), isLeftTrue);
  bool isStrict = isOneOf(CmpIPredicate::ugt, CmpIPredicate::ult,
                          CmpIPredicate::sgt, CmpIPredicate::slt);
  return isStrict ? conjoin(left, right, op) : disjoin(left, right, op);
}

MaskUnion MaskReader::readCompare(arith::CmpIOp op, bool negated) {
  CmpIPredicate predicate = op.getPredicate();
  if (negated)
    predicate = arith::invertPredicate(predicate);
  // A comparison that a select of integers reads keeps its failure to itself.
  Culprit outer = std::exchange(culprit, Culprit());
  llvm::scope_exit restore([&] { culprit = std::move(outer); });
  std::optional<Cases> left = readForm(op.getLhs()), right;
  if (left)
    right = readForm(op.getRhs());
  if (!left || !right)
    return leaveOut(culprit.op ? culprit.op : op.getOperation(),
                    culprit.op ? culprit.why : "is not affine in q and k");
  MaskUnion result;
  for (const Case &first : *left)
    for (const Case &second : *right)
      addCompare(predicate, first, second, result);
  if (result.size() > kMaxConjunctions)
    return leaveOut(op, "has more than " + Twine(kMaxConjunctions) + " cases");
  for (MaskConjunction &conjunction : result)
    llvm::erase_if(conjunction.constraints, [&](const AffineConstraint &item) {
      if (bounds.survivesLimits(item.form))
        return false;
      remark(op, "depends on numbers known at run time only, of any size, in a "
                 "way that is more than one bound");
      conjunction.exact = false;
      return true;
    });
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
