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

#include "Emitter.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numbers>

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHEXPANDMATH
#include "flash/Conversion/Passes.h.inc"

namespace {

/// The expansion of `op`. Precondition: it has one.
Value expand(Operation *op) {
  Emitter e(op);
  auto x = [&] { return op->getOperand(0); };
  auto y = [&] { return op->getOperand(1); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<math::Exp2Op>([&](auto) { return e.ex2(x()); })
      .Case<math::ExpOp>([&](auto) { return e.exp(x()); })
      .Case<math::ExpM1Op>([&](auto) { return e.expm1(x()); })
      .Case<math::Log2Op>([&](auto) { return e.lg2(x()); })
      .Case<math::LogOp>([&](auto) {
        return e.mul(e.lg2(x()), e.constant(std::numbers::ln2));
      })
      .Case<math::Log10Op>([&](auto) {
        return e.mul(e.lg2(x()),
                     e.constant(std::numbers::ln2 / std::numbers::ln10));
      })
      .Case<math::Log1pOp>([&](auto) { return e.log1p(x()); })
      .Case<math::TanhOp>([&](auto) { return e.tanh(x()); })
      .Case<math::SinOp>([&](auto) { return e.sin(x()); })
      .Case<math::CosOp>([&](auto) { return e.cos(x()); })
      .Case<math::SqrtOp>(
          [&](auto) { return e.intrinsic("llvm.nvvm.sqrt.approx.ftz.f", x()); })
      .Case<math::RsqrtOp>([&](auto) {
        return e.intrinsic("llvm.nvvm.rsqrt.approx.ftz.f", x());
      })
      .Case<math::PowFOp>([&](auto) { return e.pow(x(), y()); })
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
      .Case<math::TruncOp>([&](auto) { return e.trunc(x()); })
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
