//===- ExpandMath.cpp - Scalar math to NVPTX instructions -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX has no exp, log, tanh or pow but ex2, lg2, rcp, rsqrt, sin and cos, each
// approximate in f32 (PTX ISA, "Floating Point Instructions"; relative error
// about 2^-22, ftz: subnormals count as zero). libdevice, to which upstream
// lowers, comes with CUDA only; everything here is a few of those instructions.
//
//===----------------------------------------------------------------------===//

#include "flash/Conversion/ExpandMath.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHEXPANDMATH
#include "flash/Conversion/Passes.h.inc"

namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr double kLn2 = 0.6931471805599453;

/// Emits f32 expressions at one place.
class Emitter {
public:
  explicit Emitter(Operation *op) : b(op->getLoc(), op) {}

  Value constant(double value) {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return intrinsic("llvm.fma.f32", {x, y, z});
  }
  Value less(Value x, double y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, constant(y));
  }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value intrinsic(StringRef name, ValueRange arguments) {
    return LLVM::CallIntrinsicOp::create(b, b.getF32Type(),
                                         b.getStringAttr(name), arguments)
        .getResult(0);
  }
  Value ex2(Value x) { return intrinsic("llvm.nvvm.ex2.approx.ftz.f", x); }
  Value lg2(Value x) { return intrinsic("llvm.nvvm.lg2.approx.ftz.f", x); }
  Value rcp(Value x) { return intrinsic("llvm.nvvm.rcp.approx.ftz.f", x); }
  Value abs(Value x) { return intrinsic("llvm.fabs.f32", x); }
  /// Of an integer; the least one stays what it is.
  Value magnitude(Value x) {
    Value zero = arith::ConstantOp::create(b, b.getIntegerAttr(x.getType(), 0));
    return arith::MaxSIOp::create(b, x, arith::SubIOp::create(b, zero, x));
  }
  Value copysign(Value x, Value sign) {
    return intrinsic("llvm.copysign.f32", {x, sign});
  }

  /// exp(x) = 2^(x log2 e). The rounding of the product costs |x| 2^-24
  /// relative; e is at most 2^127, so that is below 2^-17 where it matters.
  Value exp(Value x) { return ex2(mul(x, constant(kLog2E))); }

  /// x / y. A constant divisor becomes a factor where that is exact enough for
  /// f32 (one rounding more); otherwise x * rcp(y).
  Value divide(Value x, Value y) {
    FloatAttr divisor;
    if (matchPattern(y, m_Constant(&divisor))) {
      double value = divisor.getValueAsDouble();
      double inverse = 1.0 / value;
      if (std::isfinite(inverse) && std::fabs(inverse) > 0x1p-126 && value != 0)
        return mul(x, constant(inverse));
    }
    return intrinsic("llvm.nvvm.div.full", {x, y});
  }

  /// tanh(x) = sign(x) (1 - e) / (1 + e), e = 2^(-2 |x| log2 e). Never
  /// overflows; absolute error about 2^-22. Near zero the quotient would lose
  /// relative accuracy, so |x| < 1/8 takes the odd polynomial instead.
  Value tanh(Value x) {
    Value magnitude = abs(x);
    Value e = ex2(mul(magnitude, constant(-2 * kLog2E)));
    Value one = constant(1);
    Value far = mul(sub(one, e), rcp(add(one, e)));
    Value square = mul(x, x);
    // x - x^3/3 + 2x^5/15 - 17x^7/315: error below 2^-27 relative on |x| < 1/8.
    Value series = fma(square, constant(-17.0 / 315), constant(2.0 / 15));
    series = fma(square, series, constant(-1.0 / 3));
    series = fma(mul(square, x), series, x);
    return select(less(magnitude, 0.125), series, copysign(far, x));
  }

  ImplicitLocOpBuilder b;
};

/// The expansion of `op`. Precondition: it has one.
Value expand(Operation *op) {
  Emitter e(op);
  auto x = [&] { return op->getOperand(0); };
  auto y = [&] { return op->getOperand(1); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<math::Exp2Op>([&](auto) { return e.ex2(x()); })
      .Case<math::ExpOp>([&](auto) { return e.exp(x()); })
      .Case<math::ExpM1Op>([&](auto) {
        // Near zero by its series, else exp(x) - 1.
        Value v = x();
        Value series = e.fma(v, e.constant(1.0 / 24), e.constant(1.0 / 6));
        series = e.fma(v, series, e.constant(0.5));
        series = e.fma(e.mul(v, v), series, v);
        return e.select(e.less(e.abs(v), 1.0 / 32), series,
                        e.sub(e.exp(v), e.constant(1)));
      })
      .Case<math::Log2Op>([&](auto) { return e.lg2(x()); })
      .Case<math::LogOp>(
          [&](auto) { return e.mul(e.lg2(x()), e.constant(kLn2)); })
      .Case<math::Log10Op>([&](auto) {
        return e.mul(e.lg2(x()), e.constant(kLn2 / std::log(10.0)));
      })
      .Case<math::Log1pOp>([&](auto) {
        Value v = x();
        Value series = e.fma(v, e.constant(-0.25), e.constant(1.0 / 3));
        series = e.fma(v, series, e.constant(-0.5));
        series = e.fma(e.mul(v, v), series, v);
        Value far = e.mul(e.lg2(e.add(v, e.constant(1))), e.constant(kLn2));
        return e.select(e.less(e.abs(v), 1.0 / 64), series, far);
      })
      .Case<math::TanhOp>([&](auto) { return e.tanh(x()); })
      .Case<math::SinOp>(
          [&](auto) { return e.intrinsic("llvm.nvvm.sin.approx.ftz.f", x()); })
      .Case<math::CosOp>(
          [&](auto) { return e.intrinsic("llvm.nvvm.cos.approx.ftz.f", x()); })
      .Case<math::SqrtOp>(
          [&](auto) { return e.intrinsic("llvm.nvvm.sqrt.approx.ftz.f", x()); })
      .Case<math::RsqrtOp>([&](auto) {
        return e.intrinsic("llvm.nvvm.rsqrt.approx.ftz.f", x());
      })
      .Case<math::PowFOp>([&](auto) -> Value {
        // Of a non-negative base; a constant exponent of 2 is common.
        FloatAttr exponent;
        if (matchPattern(y(), m_Constant(&exponent)) &&
            exponent.getValueAsDouble() == 2)
          return e.mul(x(), x());
        return e.ex2(e.mul(y(), e.lg2(x())));
      })
      .Case<math::FmaOp>([&](auto) {
        return e.fma(op->getOperand(0), op->getOperand(1), op->getOperand(2));
      })
      .Case<math::AbsFOp>([&](auto) { return e.abs(x()); })
      .Case<math::AbsIOp>([&](auto) { return e.magnitude(x()); })
      .Case<math::CopySignOp>([&](auto) { return e.copysign(x(), y()); })
      .Case<math::FloorOp>(
          [&](auto) { return e.intrinsic("llvm.floor.f32", x()); })
      .Case<math::CeilOp>(
          [&](auto) { return e.intrinsic("llvm.ceil.f32", x()); })
      .Case<math::TruncOp>(
          [&](auto) { return e.intrinsic("llvm.trunc.f32", x()); })
      .Case<math::RoundEvenOp>(
          [&](auto) { return e.intrinsic("llvm.roundeven.f32", x()); })
      .Case<math::ClampFOp>([&](auto) -> Value {
        Value low = e.intrinsic("llvm.maxnum.f32", {x(), y()});
        return e.intrinsic("llvm.minnum.f32", {low, op->getOperand(2)});
      })
      .Case<arith::DivFOp>([&](auto) { return e.divide(x(), y()); })
      // One max.f32 or min.f32 each; upstream's expansion compares and selects.
      .Case<arith::MaxNumFOp>(
          [&](auto) { return e.intrinsic("llvm.maxnum.f32", {x(), y()}); })
      .Case<arith::MinNumFOp>(
          [&](auto) { return e.intrinsic("llvm.minnum.f32", {x(), y()}); })
      .Case<arith::MaximumFOp>(
          [&](auto) { return e.intrinsic("llvm.maximum.f32", {x(), y()}); })
      .Case<arith::MinimumFOp>(
          [&](auto) { return e.intrinsic("llvm.minimum.f32", {x(), y()}); })
      .DefaultUnreachable("ops with an expansion are listed above");
}

struct ExpandMathPass : impl::FlashExpandMathBase<ExpandMathPass> {
  void runOnOperation() override {
    if (failed(expandMath(getOperation())))
      signalPassFailure();
  }
};

} // namespace

/// Ops that would call libdevice, or that the target has better instructions
/// for than upstream's lowering.
static bool needsExpansion(Operation *op) {
  return isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
         isa<arith::DivFOp, arith::RemFOp, arith::MaxNumFOp, arith::MinNumFOp,
             arith::MaximumFOp, arith::MinimumFOp>(op);
}

static bool hasExpansion(Operation *op) {
  return isa<math::ExpOp, math::Exp2Op, math::ExpM1Op, math::LogOp,
             math::Log2Op, math::Log10Op, math::Log1pOp, math::TanhOp,
             math::SinOp, math::CosOp, math::SqrtOp, math::RsqrtOp,
             math::PowFOp, math::FmaOp, math::AbsFOp, math::AbsIOp,
             math::CopySignOp, math::FloorOp, math::CeilOp, math::TruncOp,
             math::RoundEvenOp, math::ClampFOp, arith::DivFOp, arith::MaxNumFOp,
             arith::MinNumFOp, arith::MaximumFOp, arith::MinimumFOp>(op);
}

std::string getMissingExpansion(Operation *op) {
  if (!needsExpansion(op))
    return "";
  if (!hasExpansion(op))
    return "has no expansion for this target: expected one of exp, exp2, "
           "expm1, log, log2, log10, log1p, tanh, sin, cos, sqrt, rsqrt, powf, "
           "fma, absf, copysign, floor, ceil, trunc, roundeven, clampf, absi";
  Type type = op->getResult(0).getType();
  bool isInteger = isa<math::AbsIOp>(op);
  if (isInteger ? isa<IntegerType, IndexType>(type) : type.isF32())
    return "";
  std::string text = "has no expansion: expected ";
  llvm::raw_string_ostream(text)
      << (isInteger ? "an integer" : "f32") << ", got " << "'" << type << "'";
  return text;
}

LogicalResult expandMath(Operation *root) {
  SmallVector<Operation *> ops;
  root->walk([&](Operation *op) {
    if (needsExpansion(op))
      ops.push_back(op);
  });
  for (Operation *op : ops) {
    if (std::string missing = getMissingExpansion(op); !missing.empty())
      return op->emitOpError(missing);
    op->getResult(0).replaceAllUsesWith(expand(op));
    op->erase();
  }
  return success();
}

} // namespace mlir::flash_tile
