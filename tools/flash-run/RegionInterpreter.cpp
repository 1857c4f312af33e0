//===- RegionInterpreter.cpp - Evaluate regions in float64 ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionTranslator.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::StridedArray;

//===----------------------------------------------------------------------===//
// Translation
//===----------------------------------------------------------------------===//

/// Both branches are evaluated: nothing in them is undefined here.
LogicalResult RegionTranslator::translateIf(scf::IfOp op) {
  for (Region &branch : op->getRegions())
    for (Operation &nested : branch.getOps())
      if (!nested.hasTrait<OpTrait::IsTerminator>() &&
          failed(translate(nested)))
        return failure();
  for (auto [result, left, right] :
       llvm::zip(op.getResults(), op.thenYield().getOperands(),
                 op.elseYield().getOperands()))
    addSelect(result, ValueRange{op.getCondition(), left, right});
  return success();
}

LogicalResult RegionTranslator::translate(Operation &op) {
  if (auto branch = dyn_cast<scf::IfOp>(op)) {
    if (branch.getNumResults() == 0)
      return success();
    return translateIf(branch);
  }
  // Vectors and the like are no scalars of a score.
  for (Type type : op.getResultTypes())
    if (!type.isIntOrIndexOrFloat() ||
        (!type.isIndex() && type.getIntOrFloatBitWidth() > 64))
      return refuse(op);
  if (op.getNumResults() != 1)
    return refuse(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](AlignmentOp) { return constant(op, environment.alignment); })
      .Case([&](HeadsOp) { return constant(op, environment.heads); })
      .Case([&](arith::ConstantOp constantOp) {
        return translateConstant(constantOp);
      })
      .Case([&](arith::SelectOp select) {
        addSelect(select.getResult(), select->getOperands());
        return success();
      })
      .Case([&](tensor::ExtractOp load) {
        return translateLoad(op, load.getTensor(), load.getIndices());
      })
      .Case([&](memref::LoadOp load) {
        return translateLoad(op, load.getMemRef(), load.getIndices());
      })
      .Default([&](Operation *) {
        if (isa<math::MathDialect>(op.getDialect()))
          return translateMath(op);
        if (!isa<arith::ArithDialect>(op.getDialect()))
          return refuse(op);
        if (!isa<FloatType>(op.getResult(0).getType()) &&
            !isa<FloatType>(op.getOperand(0).getType()) &&
            op.getNumOperands() == 2)
          return translateIntegerArith(op);
        if (op.getNumOperands() == 1 && !isa<arith::NegFOp>(op))
          return translateCast(op);
        return translateRealArith(op);
      });
}

LogicalResult RegionTranslator::translateConstant(arith::ConstantOp op) {
  if (auto real = dyn_cast<FloatAttr>(op.getValue())) {
    APFloat value = real.getValue();
    bool losesInfo;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    return constant(*op, value.convertToDouble());
  }
  if (auto integer = dyn_cast<IntegerAttr>(op.getValue()))
    return constant(
        *op, wrap(integer.getValue().getSExtValue(), widthOf(op.getType())));
  return refuse(*op);
}

/// `operands`: the condition and both values.
void RegionTranslator::addSelect(Value result, ValueRange operands) {
  if (isa<FloatType>(result.getType()))
    addStep<double>(result, operands,
                    [](const Rows &rows, const Inputs &in, size_t i) {
                      size_t from = rows[in[0]].integerAt(i) ? in[1] : in[2];
                      return rows[from].realAt(i);
                    });
  else
    addStep<int64_t>(result, operands,
                     [](const Rows &rows, const Inputs &in, size_t i) {
                       size_t from = rows[in[0]].integerAt(i) ? in[1] : in[2];
                       return rows[from].integerAt(i);
                     });
}

LogicalResult RegionTranslator::translateLoad(Operation &op, Value from,
                                              ValueRange indices) {
  const StridedArray *array = captures.lookup(from);
  if (!array)
    return refuse(op);
  SmallVector<size_t> at;
  for (Value index : indices)
    at.push_back(slot(index));
  // The operand that is the array has no slot; leave it out of the inputs.
  size_t output = newSlot(op.getResult(0));
  bool isReal = isa<FloatType>(op.getResult(0).getType());
  unsigned width = widthOf(op.getResult(0).getType());
  program.steps.push_back([=](Rows &rows, size_t count) {
    RowValue &result = rows[output];
    result.uniform = true;
    for (size_t index : at)
      result.uniform &= rows[index].uniform;
    size_t length = result.uniform ? 1 : count;
    if (isReal)
      result.real.resize(length);
    else
      result.integer.resize(length);
    for (size_t i = 0; i < length; ++i) {
      int64_t position = array->offset;
      bool inside = true;
      for (size_t dim = 0; dim < at.size(); ++dim) {
        int64_t index = rows[at[dim]].integerAt(i);
        inside &= index >= 0 && index < array->shape[dim];
        position += index * array->strides[dim];
      }
      if (isReal)
        result.real[i] = inside ? array->loadIndex(position) : 0;
      else
        result.integer[i] =
            inside ? wrap(array->loadIntegerIndex(position), width) : 0;
    }
  });
  return success();
}

void RegionTranslator::translateScalarCapture(Value argument,
                                              const StridedArray &array) {
  size_t output = newSlot(argument);
  bool isReal = isa<FloatType>(argument.getType());
  double real = isReal ? array.loadIndex(array.offset) : 0;
  int64_t integer = isReal ? 0 : array.loadIntegerIndex(array.offset);
  program.steps.push_back([=](Rows &rows, size_t) {
    rows[output].uniform = true;
    if (isReal)
      rows[output].real.assign(1, real);
    else
      rows[output].integer.assign(1, integer);
  });
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

FailureOr<RegionProgram>
RegionProgram::compile(Region &region, const Environment &environment) {
  return RegionTranslator(region, environment).run();
}

RowValue RegionProgram::run(int64_t b, int64_t h, int64_t q, int64_t k0,
                            size_t count, const double *s) const {
  // Buffers are kept between rows; another program only resizes them.
  thread_local std::vector<RowValue> rows;
  if (rows.size() < numSlots)
    rows.resize(numSlots);
  size_t next = 0;
  if (hasScore) {
    rows[next].uniform = false;
    rows[next++].real.assign(s, s + count);
  }
  for (int64_t index : {b, h, q}) {
    rows[next].uniform = true;
    rows[next++].integer.assign(1, index);
  }
  rows[next].uniform = false;
  rows[next].integer.resize(count);
  for (size_t i = 0; i < count; ++i)
    rows[next].integer[i] = k0 + int64_t(i);
  for (const Step &step : steps)
    step(rows, count);
  return rows[yielded];
}

::flash::runtime::ScoreFn RegionProgram::asScore(RegionProgram program) {
  return [program = std::move(program)](int64_t b, int64_t h, int64_t q,
                                        int64_t k0, std::span<double> s) {
    RowValue value = program.run(b, h, q, k0, s.size(), s.data());
    for (size_t i = 0; i < s.size(); ++i)
      s[i] = value.realAt(i);
  };
}

::flash::runtime::MaskFn RegionProgram::asMask(RegionProgram program) {
  return [program = std::move(program)](int64_t b, int64_t h, int64_t q,
                                        int64_t k0, std::span<uint8_t> live) {
    RowValue value = program.run(b, h, q, k0, live.size(), nullptr);
    for (size_t i = 0; i < live.size(); ++i)
      if (!value.integerAt(i))
        live[i] = 0;
  };
}
