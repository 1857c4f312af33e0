//===- Emitter.h - f32 expressions of NVPTX instructions --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_EXPANDMATH_EMITTER_H
#define FLASH_LIB_CONVERSION_EXPANDMATH_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::flash_tile {

/// Emits f32 expressions at one place. The errors are those of the table of
/// --flash-expand-math.
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
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value less(Value x, double y) {
    return compare(arith::CmpFPredicate::OLT, x, constant(y));
  }
  Value equal(Value x, Value y) {
    return compare(arith::CmpFPredicate::OEQ, x, y);
  }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value intrinsic(StringRef name, ValueRange arguments) {
    return LLVM::CallIntrinsicOp::create(b, arguments.front().getType(),
                                         b.getStringAttr(name), arguments)
        .getResult(0);
  }
  Value ex2(Value x) { return intrinsic("llvm.nvvm.ex2.approx.ftz.f", x); }
  Value lg2(Value x) { return intrinsic("llvm.nvvm.lg2.approx.ftz.f", x); }
  Value rcp(Value x) { return intrinsic("llvm.nvvm.rcp.approx.ftz.f", x); }
  Value abs(Value x) { return intrinsic("llvm.fabs.f32", x); }
  Value trunc(Value x) { return intrinsic("llvm.trunc.f32", x); }
  /// Of an integer; the least one stays what it is.
  Value magnitude(Value x) {
    Value zero = arith::ConstantOp::create(b, b.getIntegerAttr(x.getType(), 0));
    return arith::MaxSIOp::create(b, x, arith::SubIOp::create(b, zero, x));
  }
  Value copysign(Value x, Value sign) {
    return intrinsic("llvm.copysign.f32", {x, sign});
  }
  /// x / y by div.full.f32, subnormals included.
  Value quotient(Value x, Value y) {
    return intrinsic("llvm.nvvm.div.full", {x, y});
  }

  Value exp(Value x);
  Value expm1(Value x);
  Value log1p(Value x);
  Value tanh(Value x);
  Value sin(Value x);
  Value cos(Value x);
  /// x^y as C's pow has it, of any base.
  Value pow(Value x, Value y);
  Value divide(Value x, Value y);

private:
  Value integer(Type type, uint64_t value) {
    return arith::ConstantOp::create(
        b, IntegerAttr::get(type, APInt(type.getIntOrFloatBitWidth(), value,
                                        /*isSigned=*/false,
                                        /*implicitTrunc=*/true)));
  }
  /// x modulo 2 pi, within [-pi, pi].
  Value reduceTurns(Value x);
  /// x^n by repeated squaring, n > 0.
  Value power(Value x, uint64_t n);
  /// |x|^y; an even exponent's power.
  Value powMagnitude(Value x, Value y);

  ImplicitLocOpBuilder b;
};

} // namespace mlir::flash_tile

#endif // FLASH_LIB_CONVERSION_EXPANDMATH_EMITTER_H
