//===- RegionTranslator.h - Regions as steps in float64 ------- -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_REGIONTRANSLATOR_H
#define FLASH_TOOLS_FLASH_RUN_REGIONTRANSLATOR_H

#include "RegionInterpreter.h"
#include "ScalarSemantics.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::flash {

/// Turns the ops of a region into steps, one slot per value.
class RegionTranslator {
public:
  RegionTranslator(Region &region,
                   const RegionProgram::Environment &environment)
      : region(region), environment(environment) {}

  FailureOr<RegionProgram> run() {
    Block &block = region.front();
    unsigned numCaptures = unsigned(environment.captures.size());
    unsigned numIndices = block.getNumArguments() - numCaptures;
    program.hasScore = numIndices == AttentionOp::kNumScoreArgs;
    for (unsigned i = 0; i < numIndices; ++i)
      newSlot(block.getArgument(i));
    for (unsigned i = 0; i < numCaptures; ++i)
      captures[block.getArgument(numIndices + i)] = environment.captures[i];
    for (auto [argument, array] : captures)
      if (!isa<ShapedType>(argument.getType()))
        translateScalarCapture(argument, *array);
    for (Operation &op : block.without_terminator())
      if (failed(translate(op)))
        return failure();
    program.yielded = slot(cast<YieldOp>(block.getTerminator()).getValue());
    return std::move(program);
  }

private:
  size_t newSlot(Value value) {
    size_t index = program.numSlots++;
    slots[value] = index;
    return index;
  }
  size_t slot(Value value) const { return slots.lookup(value); }

  /// Appends a step that computes `compute(i, inputs...)` for each key.
  template <typename T, typename Compute>
  void addStep(Operation &op, Compute compute) {
    addStep<T>(op.getResult(0), op.getOperands(), compute);
  }
  template <typename T, typename Compute>
  void addStep(Value computed, ValueRange operands, Compute compute) {
    SmallVector<size_t> inputs;
    for (Value operand : operands)
      inputs.push_back(slot(operand));
    size_t output = newSlot(computed);
    program.steps.push_back(
        [inputs, output, compute](std::vector<RowValue> &all, size_t count) {
          RowValue &result = all[output];
          result.uniform = true;
          for (size_t input : inputs)
            result.uniform &= all[input].uniform;
          size_t length = result.uniform ? 1 : count;
          std::vector<T> &values = [&]() -> std::vector<T> & {
            if constexpr (std::is_same_v<T, double>)
              return result.real;
            else
              return result.integer;
          }();
          values.resize(length);
          for (size_t i = 0; i < length; ++i)
            values[i] = compute(all, inputs, i);
        });
  }

  using Rows = std::vector<RowValue>;
  using Inputs = SmallVector<size_t>;

  LogicalResult constant(Operation &op, double value) {
    addStep<double>(
        op, [=](const Rows &, const Inputs &, size_t) { return value; });
    return success();
  }
  LogicalResult constant(Operation &op, int64_t value) {
    addStep<int64_t>(
        op, [=](const Rows &, const Inputs &, size_t) { return value; });
    return success();
  }
  LogicalResult real1(Operation &op, double (*fn)(double)) {
    addStep<double>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return fn(rows[in[0]].realAt(i));
    });
    return success();
  }
  template <typename Fn> LogicalResult real2(Operation &op, Fn fn) {
    addStep<double>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return double(fn(rows[in[0]].realAt(i), rows[in[1]].realAt(i)));
    });
    return success();
  }
  /// `fn` computes in 64 bits on signed values; the result is wrapped.
  template <typename Fn> LogicalResult signed2(Operation &op, Fn fn) {
    unsigned width = widthOf(op.getOperand(0).getType());
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return wrap(int64_t(fn(toSigned(rows[in[0]].integerAt(i), width),
                             toSigned(rows[in[1]].integerAt(i), width))),
                  width);
    });
    return success();
  }
  template <typename Fn> LogicalResult unsigned2(Operation &op, Fn fn) {
    unsigned width = widthOf(op.getOperand(0).getType());
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return wrap(int64_t(fn(toUnsigned(rows[in[0]].integerAt(i), width),
                             toUnsigned(rows[in[1]].integerAt(i), width))),
                  width);
    });
    return success();
  }

  template <typename Fn> LogicalResult classify(Operation &op, Fn fn) {
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return int64_t(fn(rows[in[0]].realAt(i)));
    });
    return success();
  }

  LogicalResult translate(Operation &op);
  LogicalResult translateConstant(arith::ConstantOp op);
  LogicalResult translateIntegerArith(Operation &op);
  LogicalResult translateRealArith(Operation &op);
  LogicalResult translateMath(Operation &op);
  LogicalResult translateCast(Operation &op);
  LogicalResult translateIf(scf::IfOp op);
  void addSelect(Value result, ValueRange operands);
  LogicalResult translateLoad(Operation &op, Value from, ValueRange indices);
  void translateScalarCapture(Value argument,
                              const ::flash::runtime::StridedArray &array);
  LogicalResult refuse(Operation &op) {
    InFlightDiagnostic error = op.emitError()
                               << "the float64 reference does not evaluate '"
                               << op.getName() << "'";
    if (isa<arith::BitcastOp>(op))
      return error << ": a float64 has not the bits of other types";
    if (isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) &&
        op.getNumResults() == 1)
      return error << " with a result of type " << op.getResult(0).getType();
    return error << ": expected arith, math, scf.if or loads of captures";
  }

  Region &region;
  const RegionProgram::Environment &environment;
  RegionProgram program;
  llvm::DenseMap<Value, size_t> slots;
  llvm::DenseMap<Value, const ::flash::runtime::StridedArray *> captures;
};

} // namespace mlir::flash

#endif // FLASH_TOOLS_FLASH_RUN_REGIONTRANSLATOR_H
