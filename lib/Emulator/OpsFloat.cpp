//===- OpsFloat.cpp - f32 and f64 arithmetic --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Round to nearest runs on the host's own arithmetic, vectorised. The other
// rounding modes set the host's rounding mode around a loop that the compiler
// may not move arithmetic out of.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <cmath>
#include <immintrin.h>

using namespace flash::emu;

namespace {

template <FloatOp Op, typename T> T combine(T a, T b) {
  return Op == FloatOp::Add ? a + b : Op == FloatOp::Sub ? a - b : a * b;
}

/// What .ftz and .sat make of a result that has been rounded.
template <bool Ftz, bool Sat> float finish(float value) {
  value = canonical(value);
  if (Ftz)
    value = flush(value);
  return Sat ? saturate(value) : value;
}
template <bool Ftz> float input(float value) {
  return Ftz ? flush(value) : value;
}

float fusedMultiplyAdd(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
double fusedMultiplyAdd(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}

//===----------------------------------------------------------------------===//
// Directed rounding
//===----------------------------------------------------------------------===//

enum DirectedOp : uint8_t { DAdd, DSub, DMul, DDiv, DFma, DSqrt, DRcp };

/// inst.n: DirectedOp. inst.sub: Round in bits 0-2, ftz 8, sat 16.
template <typename T>
void runDirected(Warp &warp, const Inst &inst, uint32_t mask) {
  static constexpr unsigned modes[] = {_MM_ROUND_NEAREST, _MM_ROUND_TOWARD_ZERO,
                                       _MM_ROUND_DOWN, _MM_ROUND_UP,
                                       _MM_ROUND_NEAREST};
  const volatile T *a = sourceRow<T>(warp, inst.ops[1]);
  const volatile T *b = inst.ops[2] ? sourceRow<T>(warp, inst.ops[2]) : a;
  const volatile T *c = inst.ops[3] ? sourceRow<T>(warp, inst.ops[3]) : a;
  T *out = targetRow<T>(warp, inst.ops[0]);
  bool ftz = inst.sub & 8, sat = inst.sub & 16;
  volatile T raw[32];
  unsigned saved = _mm_getcsr();
  _mm_setcsr((saved & ~_MM_ROUND_MASK) | modes[inst.sub & 7]);
  forLanes(mask, [&](unsigned lane) {
    T x = a[lane], y = b[lane], z = c[lane];
    if constexpr (sizeof(T) == 4)
      if (ftz) {
        x = flush(x);
        y = flush(y);
        z = flush(z);
      }
    switch (DirectedOp(inst.n)) {
    case DAdd:
      raw[lane] = x + y;
      break;
    case DSub:
      raw[lane] = x - y;
      break;
    case DMul:
      raw[lane] = x * y;
      break;
    case DDiv:
      raw[lane] = x / y;
      break;
    case DFma:
      raw[lane] = fusedMultiplyAdd(x, y, z);
      break;
    case DSqrt:
      raw[lane] = std::sqrt(x);
      break;
    case DRcp:
      raw[lane] = T(1) / x;
      break;
    }
  });
  _mm_setcsr(saved);
  forLanes(mask, [&](unsigned lane) {
    T value = canonical(T(raw[lane]));
    if constexpr (sizeof(T) == 4) {
      if (ftz)
        value = flush(value);
      if (sat)
        value = saturate(value);
    }
    out[lane] = value;
  });
}

void setDirected(Decoder &d, Type type, DirectedOp op, Round round, bool ftz,
                 bool sat) {
  d.inst.n = op;
  d.inst.sub = uint8_t(round) | (ftz ? 8 : 0) | (sat ? 16 : 0);
  d.setHandler(type == Type::F64 ? runDirected<double> : runDirected<float>);
}

bool operands(Decoder &d, Type type, unsigned sources) {
  d.inst.ops[0] = d.target(0, type);
  for (unsigned i = 1; i <= sources; ++i)
    d.inst.ops[i] = d.source(i, type);
  return d.expectOperands(sources + 1, sources + 1);
}

//===----------------------------------------------------------------------===//
// add, sub, mul, fma
//===----------------------------------------------------------------------===//

template <FloatOp Op, bool Ftz, bool Sat> Handlers binary32() {
  return elementwise<float, float, float>([](float a, float b) {
    return finish<Ftz, Sat>(combine<Op>(input<Ftz>(a), input<Ftz>(b)));
  });
}

template <FloatOp Op> Handlers binary32(bool ftz, bool sat) {
  return ftz ? (sat ? binary32<Op, true, true>() : binary32<Op, true, false>())
             : (sat ? binary32<Op, false, true>()
                    : binary32<Op, false, false>());
}

template <bool Ftz, bool Sat> Handlers fma32() {
  return elementwise<float, float, float, float>([](float a, float b, float c) {
    return finish<Ftz, Sat>(
        __builtin_fmaf(input<Ftz>(a), input<Ftz>(b), input<Ftz>(c)));
  });
}

//===----------------------------------------------------------------------===//
// min, max
//===----------------------------------------------------------------------===//

/// The greater (lesser) one; -0 < +0; a NaN loses, with .NaN it wins.
template <bool Max, bool NaN, typename T> T extremum(T a, T b) {
  using U = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  U x = std::bit_cast<U>(a), y = std::bit_cast<U>(b);
  T equal = std::bit_cast<T>(Max ? U(x & y) : U(x | y));
  T result = a == b ? equal : ((a > b) == Max ? a : b);
  T whenA = NaN ? a : b, whenB = NaN ? b : a;
  result = b != b ? whenB : result;
  result = a != a ? whenA : result;
  return canonical(result);
}

template <bool Max, bool NaN, bool Ftz> Handlers extremum32() {
  return elementwise<float, float, float>([](float a, float b) {
    return extremum<Max, NaN>(input<Ftz>(a), input<Ftz>(b));
  });
}
template <bool Max, bool NaN, bool Ftz> Handlers extremum32x3(bool isAbs) {
  static constexpr auto three = [](float a, float b, float c) {
    return extremum<Max, NaN>(extremum<Max, NaN>(input<Ftz>(a), input<Ftz>(b)),
                              input<Ftz>(c));
  };
  if (isAbs)
    return elementwise<float, float, float, float>([](float a, float b,
                                                      float c) {
      return three(__builtin_fabsf(a), __builtin_fabsf(b), __builtin_fabsf(c));
    });
  return elementwise<float, float, float, float>(three);
}
/// .xorsign.abs: magnitude of the extremum, sign the product of both.
template <bool Max, bool NaN, bool Ftz> Handlers extremumSigned() {
  return elementwise<float, float, float>([](float a, float b) {
    uint32_t sign =
        (std::bit_cast<uint32_t>(a) ^ std::bit_cast<uint32_t>(b)) & 0x80000000;
    float value = extremum<Max, NaN>(input<Ftz>(__builtin_fabsf(a)),
                                     input<Ftz>(__builtin_fabsf(b)));
    return value != value
               ? value
               : std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
  });
}

template <typename Make> Handlers byFlags(bool a, bool b, bool c, Make make) {
  return a ? (b ? (c ? make.template operator()<true, true, true>()
                     : make.template operator()<true, true, false>())
                : (c ? make.template operator()<true, false, true>()
                     : make.template operator()<true, false, false>()))
           : (b ? (c ? make.template operator()<false, true, true>()
                     : make.template operator()<false, true, false>())
                : (c ? make.template operator()<false, false, true>()
                     : make.template operator()<false, false, false>()));
}

} // namespace

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

bool flash::emu::decodeFloatBinary(Decoder &d, Type type, FloatOp op) {
  if (type == Type::F32x2)
    return decodePackedBinary(d, op);
  if (type == Type::F32 && op != FloatOp::Mul)
    if (Type narrow = d.takeTypeOr(Type::None); narrow != Type::None)
      return decodeMixedBinary(d, narrow, op);
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfBinary(d, type, op);
  d.meta.pipe = type == Type::F64 ? Pipe::FP64 : Pipe::FMA;
  Round round = takeRound(d);
  bool ftz = d.take("ftz"), sat = d.take("sat");
  if (type == Type::F64 && (ftz || sat))
    return d.unsupported(".ftz and .sat need .f32");
  if (round != Round::NearestEven)
    setDirected(d, type,
                op == FloatOp::Add   ? DAdd
                : op == FloatOp::Sub ? DSub
                                     : DMul,
                round, ftz, sat);
  else if (type == Type::F64)
    d.setHandlers(
        op == FloatOp::Add
            ? elementwise<double, double, double>(
                  [](double a, double b) { return canonical(a + b); })
        : op == FloatOp::Sub
            ? elementwise<double, double, double>(
                  [](double a, double b) { return canonical(a - b); })
            : elementwise<double, double, double>(
                  [](double a, double b) { return canonical(a * b); }));
  else
    d.setHandlers(op == FloatOp::Add   ? binary32<FloatOp::Add>(ftz, sat)
                  : op == FloatOp::Sub ? binary32<FloatOp::Sub>(ftz, sat)
                                       : binary32<FloatOp::Mul>(ftz, sat));
  return operands(d, type, 2);
}

bool flash::emu::decodeFloatTernary(Decoder &d, Type type) {
  if (type == Type::F32x2)
    return decodePackedFma(d);
  if (type == Type::F32)
    if (Type narrow = d.takeTypeOr(Type::None); narrow != Type::None)
      return decodeMixedFma(d, narrow);
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfTernary(d, type);
  d.meta.pipe = type == Type::F64 ? Pipe::FP64 : Pipe::FMA;
  Round round = takeRound(d);
  bool ftz = d.take("ftz"), sat = d.take("sat");
  if (type == Type::F64 && (ftz || sat))
    return d.unsupported(".ftz and .sat need .f32");
  if (round != Round::NearestEven)
    setDirected(d, type, DFma, round, ftz, sat);
  else if (type == Type::F64)
    d.setHandlers(elementwise<double, double, double, double>(
        [](double a, double b, double c) {
          return canonical(__builtin_fma(a, b, c));
        }));
  else
    d.setHandlers(ftz ? (sat ? fma32<true, true>() : fma32<true, false>())
                      : (sat ? fma32<false, true>() : fma32<false, false>()));
  return operands(d, type, 3);
}

/// .approx and .full are at most 2 ulp off on the hardware; here they are
/// correctly rounded.
bool flash::emu::decodeFloatDivide(Decoder &d, Type type) {
  if (type != Type::F32 && type != Type::F64)
    return false;
  d.meta.pipe = type == Type::F64 ? Pipe::FP64 : Pipe::MUFU;
  if (!d.take("approx"))
    d.take("full");
  Round round = takeRound(d);
  bool ftz = d.take("ftz");
  if (type == Type::F64 || round != Round::NearestEven)
    setDirected(d, type, DDiv, round, ftz, false);
  else
    d.setHandlers(ftz ? elementwise<float, float, float>([](float a, float b) {
      return finish<true, false>(flush(a) / flush(b));
    })
                      : elementwise<float, float, float>(
                            [](float a, float b) { return canonical(a / b); }));
  return operands(d, type, 2);
}

bool flash::emu::decodeFloatMinMax(Decoder &d, Type type, bool isMax) {
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfMinMax(d, type, isMax);
  bool ftz = d.take("ftz"), nan = d.take("NaN");
  bool xorSign = d.take("xorsign");
  if (xorSign && !d.take("abs"))
    return d.unsupported("expected .xorsign.abs");
  d.meta.pipe = type == Type::F64 ? Pipe::FP64 : Pipe::ALU;
  if (type == Type::F64) {
    if (ftz || nan || xorSign)
      return d.unsupported("modifiers need .f32");
    d.setHandlers(
        isMax ? elementwise<double, double, double>([](double a, double b) {
          return extremum<true, false>(a, b);
        })
              : elementwise<double, double, double>([](double a, double b) {
                  return extremum<false, false>(a, b);
                }));
    return operands(d, type, 2);
  }
  bool three = d.operandCount() == 4, isAbs = three && d.take("abs");
  if (xorSign)
    d.setHandlers(byFlags(isMax, nan, ftz, []<bool M, bool N, bool F>() {
      return extremumSigned<M, N, F>();
    }));
  else if (three)
    d.setHandlers(byFlags(isMax, nan, ftz, [&]<bool M, bool N, bool F>() {
      return extremum32x3<M, N, F>(isAbs);
    }));
  else
    d.setHandlers(byFlags(isMax, nan, ftz, []<bool M, bool N, bool F>() {
      return extremum32<M, N, F>();
    }));
  return operands(d, type, three ? 3 : 2);
}

bool flash::emu::decodeFloatSign(Decoder &d, Type type, SignOp op, bool ftz) {
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfSign(d, type, op, ftz);
  bool isAbs = op == SignOp::Abs;
  if (type == Type::F64)
    d.setHandlers(isAbs ? elementwise<uint64_t, uint64_t>([](uint64_t a) {
      return a & ~(uint64_t(1) << 63);
    })
                        : elementwise<uint64_t, uint64_t>([](uint64_t a) {
                            return a ^ uint64_t(1) << 63;
                          }));
  else if (ftz)
    d.setHandlers(
        isAbs ? elementwise<float, float>(
                    [](float a) { return __builtin_fabsf(flush(a)); })
              : elementwise<float, float>([](float a) { return -flush(a); }));
  else
    d.setHandlers(isAbs ? elementwise<uint32_t, uint32_t>(
                              [](uint32_t a) { return a & 0x7fffffff; })
                        : elementwise<uint32_t, uint32_t>(
                              [](uint32_t a) { return a ^ 0x80000000; }));
  return operands(d, type, 1);
}

//===----------------------------------------------------------------------===//
// Opcodes of floating point alone
//===----------------------------------------------------------------------===//

namespace {

bool decodeFma(Decoder &d) {
  Type type = d.takeType();
  return decodeFloatTernary(d, type);
}

bool decodeSqrt(Decoder &d) {
  Type type = d.takeType();
  if (type != Type::F32 && type != Type::F64)
    return false;
  d.take("approx");
  Round round = takeRound(d);
  bool ftz = d.take("ftz");
  d.meta.pipe = type == Type::F64 ? Pipe::FP64 : Pipe::MUFU;
  setDirected(d, type, DSqrt, round, ftz, false);
  return operands(d, type, 1);
}

bool decodeRcp(Decoder &d) {
  Type type = d.takeType();
  if (type != Type::F32 && type != Type::F64)
    return false;
  bool approx = d.take("approx");
  Round round = takeRound(d);
  bool ftz = d.take("ftz");
  d.meta.pipe = type == Type::F64 && !approx ? Pipe::FP64 : Pipe::MUFU;
  if (type == Type::F64 && approx)
    // The hardware computes the upper half of the result only.
    d.setHandlers(elementwise<double, double>([](double a) {
      uint64_t bits = std::bit_cast<uint64_t>(canonical(1.0 / a));
      return std::bit_cast<double>(bits & 0xffffffff00000000);
    }));
  else if (type == Type::F32 && round == Round::NearestEven)
    d.setHandlers(ftz ? elementwise<float, float>([](float a) {
      return finish<true, false>(1.0f / flush(a));
    })
                      : elementwise<float, float>(
                            [](float a) { return canonical(1.0f / a); }));
  else
    setDirected(d, type, DRcp, round, ftz, false);
  return operands(d, type, 1);
}

bool decodeCopysign(Decoder &d) {
  Type type = d.takeType();
  if (type == Type::F64)
    d.setHandlers(elementwise<uint64_t, uint64_t, uint64_t>(
        [](uint64_t sign, uint64_t value) {
          uint64_t top = uint64_t(1) << 63;
          return (sign & top) | (value & ~top);
        }));
  else if (type == Type::F32)
    d.setHandlers(elementwise<uint32_t, uint32_t, uint32_t>(
        [](uint32_t sign, uint32_t value) {
          return (sign & 0x80000000) | (value & 0x7fffffff);
        }));
  else
    return false;
  return operands(d, type, 2);
}

enum TestKind : uint8_t {
  Finite,
  Infinite,
  Number,
  NotANumber,
  Normal,
  Subnormal
};

template <typename T>
void runTest(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *a = sourceRow<T>(warp, inst.ops[1]);
  uint32_t value = 0;
  forLanes(mask, [&](unsigned lane) {
    int kind = std::fpclassify(a[lane]);
    bool yes = false;
    switch (TestKind(inst.sub)) {
    case Finite:
      yes = kind != FP_NAN && kind != FP_INFINITE;
      break;
    case Infinite:
      yes = kind == FP_INFINITE;
      break;
    case Number:
      yes = kind != FP_NAN;
      break;
    case NotANumber:
      yes = kind == FP_NAN;
      break;
    case Normal:
      yes = kind == FP_NORMAL;
      break;
    case Subnormal:
      yes = kind == FP_SUBNORMAL;
      break;
    }
    value |= uint32_t(yes) << lane;
  });
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = (out & ~mask) | value;
}

bool decodeTestp(Decoder &d) {
  static constexpr std::string_view names[] = {
      "finite", "infinite", "number", "notanumber", "normal", "subnormal"};
  std::string_view name = d.takeNext();
  bool found = false;
  for (unsigned i = 0; i < 6; ++i)
    if (names[i] == name) {
      d.inst.sub = i;
      found = true;
    }
  if (!found)
    return false;
  Type type = d.takeType();
  if ((type != Type::F32 && type != Type::F64) || !d.expectOperands(2, 2))
    return false;
  d.setHandler(type == Type::F64 ? runTest<double> : runTest<float>);
  d.inst.ops[0] = d.predicateTarget(d.operand(0));
  d.inst.ops[1] = d.source(1, type);
  return true;
}

constexpr OpRow kOps[] = {
    {"fma", decodeFma},     {"sqrt", decodeSqrt},         {"rcp", decodeRcp},
    {"testp", decodeTestp}, {"copysign", decodeCopysign},
};

} // namespace

std::span<const OpRow> flash::emu::floatOps() { return kOps; }
