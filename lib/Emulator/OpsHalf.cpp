//===- OpsHalf.cpp - f16 and bf16 arithmetic --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sum or product of two 16-bit numbers computed in f32 and rounded again is
// the correctly rounded one, because f32 has more than twice their precision.
// A fused multiply-add is not: its product is exact in double, the sum is
// rounded to odd, and only then to 16 bits.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <cmath>

using namespace flash::emu;

namespace {

struct F16Format {
  static constexpr FloatFormat format = kF16;
  static float load(uint32_t bits) { return f16ToFloat(bits & 0xffff); }
  static uint32_t store(float value) { return floatToF16(value); }
  static constexpr uint32_t exponentMask = 0x7c00;
};
struct BF16Format {
  static constexpr FloatFormat format = kBF16;
  static float load(uint32_t bits) { return bf16ToFloat(bits & 0xffff); }
  static uint32_t store(float value) { return floatToBf16(value); }
  static constexpr uint32_t exponentMask = 0x7f80;
};

/// Applies a function of 16-bit patterns to one or both halves of words.
template <bool Packed, typename F, typename... W>
inline uint32_t halves(F f, W... words) {
  uint32_t low = f((words & 0xffff)...);
  if constexpr (Packed)
    return low | f((words >> 16)...) << 16;
  return low;
}

enum Flags : uint8_t { kFtz = 1, kSat = 2, kRelu = 4, kNaN = 8, kXor = 16 };

template <typename Fmt> uint32_t flush16(uint32_t bits, bool ftz) {
  return ftz && !(bits & Fmt::exponentMask) ? bits & 0x8000 : bits;
}

template <typename Fmt> uint32_t finish16(float value, uint8_t flags) {
  if (flags & kSat)
    value = saturate(value);
  if ((flags & kRelu) && value < 0)
    value = 0;
  return flush16<Fmt>(Fmt::store(value), flags & kFtz);
}

//===----------------------------------------------------------------------===//
// Handlers; inst.sub holds Flags
//===----------------------------------------------------------------------===//

template <typename F>
inline void overLanes(Warp &warp, const Inst &inst, uint32_t mask, F f) {
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = f(i); });
}

template <typename Fmt, FloatOp Op, bool Packed>
void runBinary(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  uint8_t flags = inst.sub;
  if (!flags) {
    uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
    uint32_t results[32];
    FLASH_LANE_LOOP
    for (unsigned i = 0; i < 32; ++i)
      results[i] = halves<Packed>(
          [](uint32_t p, uint32_t q) {
            float x = Fmt::load(p), y = Fmt::load(q);
            return Fmt::store(Op == FloatOp::Add   ? x + y
                              : Op == FloatOp::Sub ? x - y
                                                   : x * y);
          },
          a[i], b[i]);
    forLanes(mask, [&](unsigned i) { out[i] = results[i]; });
    return;
  }
  overLanes(warp, inst, mask, [&](unsigned i) {
    return halves<Packed>(
        [&](uint32_t p, uint32_t q) {
          float x = Fmt::load(flush16<Fmt>(p, flags & kFtz));
          float y = Fmt::load(flush16<Fmt>(q, flags & kFtz));
          return finish16<Fmt>(Op == FloatOp::Add   ? x + y
                               : Op == FloatOp::Sub ? x - y
                                                    : x * y,
                               flags);
        },
        a[i], b[i]);
  });
}

template <typename Fmt, bool Packed>
void runFma(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *c = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint8_t flags = inst.sub;
  overLanes(warp, inst, mask, [&](unsigned i) {
    return halves<Packed>(
        [&](uint32_t p, uint32_t q, uint32_t r) {
          bool ftz = flags & kFtz;
          double x = Fmt::load(flush16<Fmt>(p, ftz));
          double y = Fmt::load(flush16<Fmt>(q, ftz));
          double z = Fmt::load(flush16<Fmt>(r, ftz));
          double sum = addToOdd(x * y, z);
          if (flags & kSat)
            sum = sum > 0 ? (sum < 1 ? sum : 1) : 0;
          if ((flags & kRelu) && sum < 0)
            sum = 0;
          return flush16<Fmt>(encodeFloat(Fmt::format, sum, Round::NearestEven),
                              ftz);
        },
        a[i], b[i], c[i]);
  });
}

template <typename Fmt, bool Max, bool Packed>
void runExtremum(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  uint8_t flags = inst.sub;
  overLanes(warp, inst, mask, [&](unsigned i) {
    return halves<Packed>(
        [&](uint32_t p, uint32_t q) -> uint32_t {
          p = flush16<Fmt>(p, flags & kFtz);
          q = flush16<Fmt>(q, flags & kFtz);
          uint32_t sign = (p ^ q) & 0x8000;
          if (flags & kXor) {
            p &= 0x7fff;
            q &= 0x7fff;
          }
          float x = Fmt::load(p), y = Fmt::load(q);
          bool nanX = x != x, nanY = y != y;
          if ((nanX && nanY) || ((flags & kNaN) && (nanX || nanY)))
            return 0x7fff;
          uint32_t result = nanX             ? q
                            : nanY           ? p
                            : x == y         ? (Max ? p & q : p | q)
                            : (x > y) == Max ? p
                                             : q;
          return flags & kXor ? result | sign : result;
        },
        a[i], b[i]);
  });
}

template <typename Fmt, bool Packed, bool IsTanh>
void runUnary(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint8_t flags = inst.sub;
  overLanes(warp, inst, mask, [&](unsigned i) {
    return halves<Packed>(
        [&](uint32_t p) {
          double x = Fmt::load(flush16<Fmt>(p, flags & kFtz));
          double value = IsTanh ? std::tanh(x) : std::exp2(x);
          return flush16<Fmt>(
              encodeFloat(Fmt::format, value, Round::NearestEven),
              flags & kFtz);
        },
        a[i]);
  });
}

/// abs (inst.sub = 1) and neg of f16 with subnormals flushed first.
template <bool Packed>
void runSignFtz(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  overLanes(warp, inst, mask, [&](unsigned i) {
    return halves<Packed>(
        [&](uint32_t p) {
          p = flush16<F16Format>(p, true);
          return inst.sub ? p & 0x7fff : p ^ 0x8000;
        },
        a[i]);
  });
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

bool isHalf(Type type) {
  return type == Type::F16 || type == Type::F16x2 || type == Type::BF16 ||
         type == Type::BF16x2;
}

/// make.operator()<Format, Packed>() for the type.
template <typename Make> Handler byFormat(Type type, Make make) {
  switch (type) {
  case Type::F16:
    return make.template operator()<F16Format, false>();
  case Type::F16x2:
    return make.template operator()<F16Format, true>();
  case Type::BF16:
    return make.template operator()<BF16Format, false>();
  case Type::BF16x2:
    return make.template operator()<BF16Format, true>();
  default:
    return nullptr;
  }
}

bool operands(Decoder &d, Type type, unsigned sources) {
  d.inst.ops[0] = d.target(0, type);
  for (unsigned i = 1; i <= sources; ++i)
    d.inst.ops[i] = d.source(i, type);
  return d.expectOperands(sources + 1, sources + 1);
}

} // namespace

bool flash::emu::decodeHalfBinary(Decoder &d, Type type, FloatOp op) {
  if (!isHalf(type))
    return false;
  d.take("rn");
  d.inst.sub = (d.take("ftz") ? kFtz : 0) | (d.take("sat") ? kSat : 0);
  d.meta.pipe = Pipe::FMA;
  d.setHandler(byFormat(type, [&]<typename F, bool P>() -> Handler {
    return op == FloatOp::Add   ? runBinary<F, FloatOp::Add, P>
           : op == FloatOp::Sub ? runBinary<F, FloatOp::Sub, P>
                                : runBinary<F, FloatOp::Mul, P>;
  }));
  return operands(d, type, 2);
}

bool flash::emu::decodeHalfTernary(Decoder &d, Type type) {
  if (!isHalf(type))
    return false;
  d.take("rn");
  d.inst.sub = (d.take("ftz") ? kFtz : 0) | (d.take("sat") ? kSat : 0) |
               (d.take("relu") ? kRelu : 0);
  d.meta.pipe = Pipe::FMA;
  d.setHandler(byFormat(
      type, []<typename F, bool P>() -> Handler { return runFma<F, P>; }));
  return operands(d, type, 3);
}

bool flash::emu::decodeHalfMinMax(Decoder &d, Type type, bool isMax) {
  if (!isHalf(type))
    return false;
  d.inst.sub = (d.take("ftz") ? kFtz : 0) | (d.take("NaN") ? kNaN : 0);
  if (d.take("xorsign") && d.take("abs"))
    d.inst.sub |= kXor;
  d.setHandler(byFormat(type, [&]<typename F, bool P>() -> Handler {
    return isMax ? runExtremum<F, true, P> : runExtremum<F, false, P>;
  }));
  return operands(d, type, 2);
}

bool flash::emu::decodeHalfSign(Decoder &d, Type type, SignOp op, bool ftz) {
  if (!isHalf(type))
    return false;
  if (ftz) {
    if (type == Type::BF16 || type == Type::BF16x2)
      return d.unsupported(".ftz needs .f16");
    d.inst.sub = op == SignOp::Abs;
    d.setHandler(type == Type::F16 ? runSignFtz<false> : runSignFtz<true>);
    return operands(d, type, 1);
  }
  bool isPacked = bitsOf(type) == 32;
  bool isAbs = op == SignOp::Abs;
  using U = uint32_t;
  d.setHandlers(
      isPacked ? (isAbs ? elementwise<U, U>([](U a) { return a & 0x7fff7fff; })
                        : elementwise<U, U>([](U a) { return a ^ 0x80008000; }))
               : (isAbs ? elementwise<U, U>([](U a) { return a & 0x7fff; })
                        : elementwise<U, U>([](U a) { return a ^ 0x8000; })));
  return operands(d, type, 1);
}

bool flash::emu::decodeHalfUnary(Decoder &d, Type type, std::string_view name) {
  if (!isHalf(type))
    return false;
  d.inst.sub = d.take("ftz") ? kFtz : 0;
  bool isTanh = name == "tanh";
  d.setHandler(byFormat(type, [&]<typename F, bool P>() -> Handler {
    return isTanh ? runUnary<F, P, true> : runUnary<F, P, false>;
  }));
  return operands(d, type, 1);
}
