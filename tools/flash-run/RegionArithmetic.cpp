//===- RegionArithmetic.cpp - Arithmetic of regions in float64 ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegionTranslator.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace mlir::flash;
using ::flash::runtime::DType;

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
