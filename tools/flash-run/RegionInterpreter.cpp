//===- RegionInterpreter.cpp - Evaluate regions in float64 ----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionInterpreter.h"

#include "ScalarSemantics.h"

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::DType;
using ::flash::runtime::StridedArray;

//===----------------------------------------------------------------------===//
// Translation
//===----------------------------------------------------------------------===//

namespace mlir::flash {

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
  void translateScalarCapture(Value argument, const StridedArray &array);
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
  llvm::DenseMap<Value, const StridedArray *> captures;
};

} // namespace mlir::flash

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

LogicalResult RegionTranslator::translateIntegerArith(Operation &op) {
  using S = int64_t;
  using U = uint64_t;
  unsigned width = widthOf(op.getOperand(0).getType());
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](arith::AddIOp) {
        return unsigned2(op, [](U a, U b) { return a + b; });
      })
      .Case([&](arith::SubIOp) {
        return unsigned2(op, [](U a, U b) { return a - b; });
      })
      .Case([&](arith::MulIOp) {
        return unsigned2(op, [](U a, U b) { return a * b; });
      })
      .Case([&](arith::AndIOp) {
        return unsigned2(op, [](U a, U b) { return a & b; });
      })
      .Case([&](arith::OrIOp) {
        return unsigned2(op, [](U a, U b) { return a | b; });
      })
      .Case([&](arith::XOrIOp) {
        return unsigned2(op, [](U a, U b) { return a ^ b; });
      })
      .Case([&](arith::ShLIOp) {
        return unsigned2(op, [=](U a, U b) { return b < width ? a << b : 0; });
      })
      .Case([&](arith::ShRUIOp) {
        return unsigned2(op, [=](U a, U b) { return b < width ? a >> b : 0; });
      })
      .Case([&](arith::ShRSIOp) {
        return signed2(
            op, [=](S a, S b) { return b >= 0 && b < S(width) ? a >> b : 0; });
      })
      .Case([&](arith::DivSIOp) {
        return signed2(op, [](S a, S b) {
          return b == 0 ? 0 : b == -1 ? S(0 - U(a)) : a / b;
        });
      })
      .Case([&](arith::RemSIOp) {
        return signed2(op,
                       [](S a, S b) { return b == 0 || b == -1 ? 0 : a % b; });
      })
      .Case([&](arith::FloorDivSIOp) { return signed2(op, floorDiv); })
      .Case([&](arith::CeilDivSIOp) {
        return signed2(
            op, [](S a, S b) { return S(0 - U(floorDiv(S(0 - U(a)), b))); });
      })
      .Case([&](arith::DivUIOp) {
        return unsigned2(op, [](U a, U b) { return b == 0 ? 0 : a / b; });
      })
      .Case([&](arith::RemUIOp) {
        return unsigned2(op, [](U a, U b) { return b == 0 ? 0 : a % b; });
      })
      .Case([&](arith::CeilDivUIOp) {
        return unsigned2(
            op, [](U a, U b) { return b == 0 ? 0 : a / b + (a % b != 0); });
      })
      .Case([&](arith::MaxSIOp) {
        return signed2(op, [](S a, S b) { return std::max(a, b); });
      })
      .Case([&](arith::MinSIOp) {
        return signed2(op, [](S a, S b) { return std::min(a, b); });
      })
      .Case([&](arith::MaxUIOp) {
        return unsigned2(op, [](U a, U b) { return std::max(a, b); });
      })
      .Case([&](arith::MinUIOp) {
        return unsigned2(op, [](U a, U b) { return std::min(a, b); });
      })
      .Case([&](arith::CmpIOp compare) {
        arith::CmpIPredicate predicate = compare.getPredicate();
        addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
          return compareIntegers(predicate, rows[in[0]].integerAt(i),
                                 rows[in[1]].integerAt(i), width);
        });
        return success();
      })
      .Default([&](Operation *) { return refuse(op); });
}

LogicalResult RegionTranslator::translateRealArith(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](arith::AddFOp) {
        return real2(op, [](double a, double b) { return a + b; });
      })
      .Case([&](arith::SubFOp) {
        return real2(op, [](double a, double b) { return a - b; });
      })
      .Case([&](arith::MulFOp) {
        return real2(op, [](double a, double b) { return a * b; });
      })
      .Case([&](arith::DivFOp) {
        return real2(op, [](double a, double b) { return a / b; });
      })
      .Case([&](arith::RemFOp) {
        return real2(op, [](double a, double b) { return std::fmod(a, b); });
      })
      .Case(
          [&](arith::NegFOp) { return real1(op, [](double a) { return -a; }); })
      .Case([&](arith::MaximumFOp) { return real2(op, propagatingMax); })
      .Case([&](arith::MinimumFOp) { return real2(op, propagatingMin); })
      .Case([&](arith::MaxNumFOp) {
        return real2(op, [](double a, double b) { return std::fmax(a, b); });
      })
      .Case([&](arith::MinNumFOp) {
        return real2(op, [](double a, double b) { return std::fmin(a, b); });
      })
      .Case([&](arith::CmpFOp compare) {
        arith::CmpFPredicate predicate = compare.getPredicate();
        addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
          return compareReals(predicate, rows[in[0]].realAt(i),
                              rows[in[1]].realAt(i));
        });
        return success();
      })
      .Default([&](Operation *) { return refuse(op); });
}

LogicalResult RegionTranslator::translateMath(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](math::ExpOp) { return real1(op, std::exp); })
      .Case([&](math::Exp2Op) { return real1(op, std::exp2); })
      .Case([&](math::ExpM1Op) { return real1(op, std::expm1); })
      .Case([&](math::LogOp) { return real1(op, std::log); })
      .Case([&](math::Log2Op) { return real1(op, std::log2); })
      .Case([&](math::Log10Op) { return real1(op, std::log10); })
      .Case([&](math::Log1pOp) { return real1(op, std::log1p); })
      .Case([&](math::TanhOp) { return real1(op, std::tanh); })
      .Case([&](math::SinOp) { return real1(op, std::sin); })
      .Case([&](math::CosOp) { return real1(op, std::cos); })
      .Case([&](math::SqrtOp) { return real1(op, std::sqrt); })
      .Case([&](math::RsqrtOp) {
        return real1(op, [](double a) { return 1 / std::sqrt(a); });
      })
      .Case([&](math::ErfOp) { return real1(op, std::erf); })
      .Case([&](math::AbsFOp) { return real1(op, std::fabs); })
      .Case([&](math::FloorOp) { return real1(op, std::floor); })
      .Case([&](math::CeilOp) { return real1(op, std::ceil); })
      .Case([&](math::TruncOp) { return real1(op, std::trunc); })
      .Case([&](math::RoundOp) { return real1(op, std::round); })
      .Case([&](math::RoundEvenOp) { return real1(op, std::nearbyint); })
      .Case([&](math::PowFOp) {
        return real2(op, [](double a, double b) { return std::pow(a, b); });
      })
      .Case([&](math::CopySignOp) {
        return real2(op,
                     [](double a, double b) { return std::copysign(a, b); });
      })
      .Case([&](math::FmaOp) {
        addStep<double>(op, [](const Rows &rows, const Inputs &in, size_t i) {
          return rows[in[0]].realAt(i) * rows[in[1]].realAt(i) +
                 rows[in[2]].realAt(i);
        });
        return success();
      })
      .Case([&](math::ClampFOp) {
        addStep<double>(op, [](const Rows &rows, const Inputs &in, size_t i) {
          return std::fmin(
              std::fmax(rows[in[0]].realAt(i), rows[in[1]].realAt(i)),
              rows[in[2]].realAt(i));
        });
        return success();
      })
      .Case([&](math::IsNaNOp) {
        return classify(op, [](double a) { return std::isnan(a); });
      })
      .Case([&](math::IsInfOp) {
        return classify(op, [](double a) { return std::isinf(a); });
      })
      .Case([&](math::IsFiniteOp) {
        return classify(op, [](double a) { return std::isfinite(a); });
      })
      .Case([&](math::IsNormalOp) {
        // As an f32.
        return classify(op, [](double a) {
          return std::fabs(a) >= 0x1p-126 && std::isfinite(a);
        });
      })
      .Case([&](math::AbsIOp) {
        unsigned width = widthOf(op.getResult(0).getType());
        addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
          int64_t value = rows[in[0]].integerAt(i);
          return wrap(value < 0 ? int64_t(0 - uint64_t(value)) : value, width);
        });
        return success();
      })
      .Default([&](Operation *) { return refuse(op); });
}

LogicalResult RegionTranslator::translateCast(Operation &op) {
  Type from = op.getOperand(0).getType(), to = op.getResult(0).getType();
  unsigned fromWidth = widthOf(from), toWidth = widthOf(to);
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(op)) {
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return wrap(toSigned(rows[in[0]].integerAt(i), fromWidth), toWidth);
    });
    return success();
  }
  if (isa<arith::IndexCastUIOp, arith::ExtUIOp>(op)) {
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return wrap(int64_t(toUnsigned(rows[in[0]].integerAt(i), fromWidth)),
                  toWidth);
    });
    return success();
  }
  if (isa<arith::SIToFPOp>(op)) {
    addStep<double>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return double(toSigned(rows[in[0]].integerAt(i), fromWidth));
    });
    return success();
  }
  if (isa<arith::UIToFPOp>(op)) {
    addStep<double>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      return double(toUnsigned(rows[in[0]].integerAt(i), fromWidth));
    });
    return success();
  }
  if (isa<arith::FPToSIOp, arith::FPToUIOp>(op)) {
    addStep<int64_t>(op, [=](const Rows &rows, const Inputs &in, size_t i) {
      double value = rows[in[0]].realAt(i);
      return std::fabs(value) < 0x1p63 ? wrap(int64_t(value), toWidth) : 0;
    });
    return success();
  }
  if (isa<arith::ExtFOp>(op))
    return real1(op, [](double a) { return a; });
  if (isa<arith::TruncFOp>(op)) {
    // Truncation to f32 is what the region would do anyway; to 16 bits it is
    // meant.
    if (to.isBF16())
      return real1(op, [](double a) {
        return ::flash::runtime::roundTo(DType::BF16, a);
      });
    if (to.isF16())
      return real1(op, [](double a) {
        return ::flash::runtime::roundTo(DType::F16, a);
      });
    if (to.isF32())
      return real1(op, [](double a) { return a; });
  }
  return refuse(op);
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
