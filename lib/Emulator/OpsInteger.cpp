//===- OpsInteger.cpp - Integer arithmetic ----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// add, sub, mul, mad and their carry forms, div, rem, min, max, abs, neg, sad,
// dot products of bytes. The roots that floating point shares (add, sub, mul,
// mad, div, min, max, abs, neg) hand other types on to decodeFloat*().
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <algorithm>
#include <limits>

using namespace flash::emu;

namespace {

template <typename T> using Unsigned = std::make_unsigned_t<T>;

/// The high half of a product.
template <typename T> T mulHigh(T a, T b) {
  if constexpr (sizeof(T) == 8)
    return T(
        (std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>(
             a) *
         b) >>
        64);
  else if constexpr (sizeof(T) == 4)
    return T(
        (std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>(a) * b) >>
        32);
  else
    return T((int64_t(a) * int64_t(b)) >> 16);
}

template <typename T> T mulLow(T a, T b) {
  return T(uint64_t(a) * uint64_t(b));
}

template <typename T> T addWrap(T a, T b) {
  return T(Unsigned<T>(a) + Unsigned<T>(b));
}
template <typename T> T subWrap(T a, T b) {
  return T(Unsigned<T>(a) - Unsigned<T>(b));
}

/// Division by zero gives all ones (the value is unspecified in PTX), and
/// never traps the host.
template <typename T> T divide(T a, T b) {
  if (b == 0)
    return T(~T(0));
  if constexpr (std::is_signed_v<T>)
    if (b == T(-1))
      return subWrap<T>(0, a);
  return T(a / b);
}
template <typename T> T remainder(T a, T b) {
  if (b == 0)
    return a;
  if constexpr (std::is_signed_v<T>)
    if (b == T(-1))
      return 0;
  return T(a % b);
}

int32_t saturate32(int64_t value) {
  return int32_t(std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min(),
                                     std::numeric_limits<int32_t>::max()));
}

bool binary(Decoder &d, Type type, Handlers handlers) {
  d.setHandlers(handlers);
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  return d.expectOperands(3, 3);
}

bool unary(Decoder &d, Type type, Handlers handlers) {
  d.setHandlers(handlers);
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  return d.expectOperands(2, 2);
}

//===----------------------------------------------------------------------===//
// Carry chains: inst.sub says which of carry-in (1) and carry-out (2) it has
//===----------------------------------------------------------------------===//

template <typename T, bool Subtract>
void runCarry(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *a = sourceRow<T>(warp, inst.ops[1]);
  const T *b = sourceRow<T>(warp, inst.ops[2]);
  T *out = targetRow<T>(warp, inst.ops[0]);
  uint32_t carries = warp.carry;
  forLanes(mask, [&](unsigned lane) {
    bool in = (inst.sub & 1) && (carries >> lane & 1);
    unsigned __int128 wide = Subtract
                                 ? (unsigned __int128)a[lane] - b[lane] - in
                                 : (unsigned __int128)a[lane] + b[lane] + in;
    bool carry = wide >> (sizeof(T) * 8) & 1;
    out[lane] = T(wide);
    if (inst.sub & 2)
      carries = (carries & ~(1u << lane)) | uint32_t(carry) << lane;
  });
  warp.carry = carries;
}

/// mad with carry: ops[1] * ops[2] (low or high half) + ops[3].
template <typename T, bool High>
void runMadCarry(Warp &warp, const Inst &inst, uint32_t mask) {
  using U = Unsigned<T>;
  const U *a = sourceRow<U>(warp, inst.ops[1]);
  const U *b = sourceRow<U>(warp, inst.ops[2]);
  const U *c = sourceRow<U>(warp, inst.ops[3]);
  U *out = targetRow<U>(warp, inst.ops[0]);
  uint32_t carries = warp.carry;
  forLanes(mask, [&](unsigned lane) {
    bool in = (inst.sub & 1) && (carries >> lane & 1);
    U product =
        High ? U(mulHigh<T>(T(a[lane]), T(b[lane]))) : U(a[lane] * b[lane]);
    unsigned __int128 wide = (unsigned __int128)product + c[lane] + in;
    out[lane] = U(wide);
    if (inst.sub & 2)
      carries = (carries & ~(1u << lane)) |
                uint32_t(wide >> (sizeof(T) * 8) & 1) << lane;
  });
  warp.carry = carries;
}

bool decodeCarry(Decoder &d, bool subtract, unsigned flags) {
  Type type = d.takeType();
  d.inst.sub = flags;
  unsigned bits = bitsOf(type);
  if (isFloat(type) || (bits != 32 && bits != 64))
    return d.unsupported("expected a 32- or 64-bit integer type");
  if (bits == 32)
    d.setHandler(subtract ? runCarry<uint32_t, true>
                          : runCarry<uint32_t, false>);
  else
    d.setHandler(subtract ? runCarry<uint64_t, true>
                          : runCarry<uint64_t, false>);
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  return d.expectOperands(3, 3);
}

bool decodeMadCarry(Decoder &d, unsigned flags) {
  bool high = d.take("hi");
  if (!high && !d.take("lo"))
    return d.unsupported("expected .hi or .lo");
  Type type = d.takeType();
  d.inst.sub = flags;
  d.meta.pipe = Pipe::FMA;
  bool isS = isSigned(type);
  if (bitsOf(type) == 32 && !isFloat(type))
    d.setHandler(!high ? runMadCarry<uint32_t, false>
                 : isS ? runMadCarry<int32_t, true>
                       : runMadCarry<uint32_t, true>);
  else if (bitsOf(type) == 64 && !isFloat(type))
    d.setHandler(!high ? runMadCarry<uint64_t, false>
                 : isS ? runMadCarry<int64_t, true>
                       : runMadCarry<uint64_t, true>);
  else
    return d.unsupported("expected a 32- or 64-bit integer type");
  d.inst.ops[0] = d.target(0, type);
  for (unsigned i = 1; i < 4; ++i)
    d.inst.ops[i] = d.source(i, type);
  return d.expectOperands(4, 4);
}

//===----------------------------------------------------------------------===//
// add, sub, mul, mad
//===----------------------------------------------------------------------===//

/// u16x2 and s16x2: the halves do not carry into each other.
Handlers packed16(bool subtract) {
  return subtract ? elementwise<uint32_t, uint32_t, uint32_t>([](uint32_t a,
                                                                 uint32_t b) {
    return ((a - (b & 0xffff0000)) & 0xffff0000) | ((a - b) & 0xffff);
  })
                  : elementwise<uint32_t, uint32_t, uint32_t>(
                        [](uint32_t a, uint32_t b) {
                          return ((a & 0xffff0000) + (b & 0xffff0000)) |
                                 ((a + b) & 0xffff);
                        });
}

bool decodeAddSub(Decoder &d, bool subtract) {
  if (d.take("cc"))
    return decodeCarry(d, subtract, 2);
  if (d.take("u16x2") || d.take("s16x2"))
    return binary(d, Type::B32, packed16(subtract));
  bool sat = d.peekNext() == "sat" && d.take("sat");
  Type type = d.takeType();
  if (isFloat(type)) {
    if (sat)
      return d.unsupported("expected .sat after the rounding mode");
    return decodeFloatBinary(d, type, subtract ? FloatOp::Sub : FloatOp::Add);
  }
  if (sat) {
    if (type != Type::S32)
      return d.unsupported(".sat needs .s32");
    return binary(
        d, type,
        subtract
            ? elementwise<int32_t, int32_t, int32_t>([](int32_t a, int32_t b) {
                return saturate32(int64_t(a) - b);
              })
            : elementwise<int32_t, int32_t, int32_t>([](int32_t a, int32_t b) {
                return saturate32(int64_t(a) + b);
              }));
  }
  if (isUntyped(type))
    return d.unsupported("expected a signed or unsigned type");
  return binary(d, type, forBits(type, [&]<typename T>() {
                  return subtract ? elementwise<T, T, T>([](T a, T b) {
                    return subWrap<T>(a, b);
                  })
                                  : elementwise<T, T, T>([](T a, T b) {
                                      return addWrap<T>(a, b);
                                    });
                }));
}

bool decodeAdd(Decoder &d) { return decodeAddSub(d, false); }
bool decodeSub(Decoder &d) { return decodeAddSub(d, true); }
bool decodeAddc(Decoder &d) {
  return decodeCarry(d, false, d.take("cc") ? 3 : 1);
}
bool decodeSubc(Decoder &d) {
  return decodeCarry(d, true, d.take("cc") ? 3 : 1);
}
bool decodeMadc(Decoder &d) { return decodeMadCarry(d, d.take("cc") ? 3 : 1); }

/// Type of a .wide result.
Type widened(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  case Type::S32:
    return Type::S64;
  default:
    return Type::None;
  }
}

bool decodeMul(Decoder &d) {
  bool low = d.take("lo"), high = d.take("hi"), wide = d.take("wide");
  Type type = d.takeType();
  if (isFloat(type))
    return decodeFloatBinary(d, type, FloatOp::Mul);
  if (low + high + wide != 1 || isUntyped(type))
    return d.unsupported("expected one of .lo, .hi, .wide and an integer type");
  d.meta.pipe = Pipe::FMA;
  if (wide) {
    Type result = widened(type);
    if (result == Type::None)
      return d.unsupported(".wide needs a 16- or 32-bit type");
    d.setHandlers(
        type == Type::U16
            ? elementwise<uint32_t, uint16_t, uint16_t>(
                  [](uint16_t a, uint16_t b) { return uint32_t(a) * b; })
        : type == Type::S16
            ? elementwise<int32_t, int16_t, int16_t>(
                  [](int16_t a, int16_t b) { return int32_t(a) * b; })
        : type == Type::U32
            ? elementwise<uint64_t, uint32_t, uint32_t>(
                  [](uint32_t a, uint32_t b) { return uint64_t(a) * b; })
            : elementwise<int64_t, int32_t, int32_t>(
                  [](int32_t a, int32_t b) { return int64_t(a) * b; }));
    d.inst.ops[0] = d.target(0, result);
    d.inst.ops[1] = d.source(1, type);
    d.inst.ops[2] = d.source(2, type);
    return d.expectOperands(3, 3);
  }
  if (high)
    return binary(d, type, forInteger(type, []<typename T>() {
                    return elementwise<T, T, T>(
                        [](T a, T b) { return mulHigh<T>(a, b); });
                  }));
  return binary(d, type, forBits(type, []<typename T>() {
                  return elementwise<T, T, T>(
                      [](T a, T b) { return mulLow<T>(a, b); });
                }));
}

bool decodeMad(Decoder &d) {
  if (d.take("cc"))
    return decodeMadCarry(d, 2);
  bool low = d.take("lo"), high = d.take("hi"), wide = d.take("wide");
  if (!low && !high && !wide) {
    Type type = d.takeType();
    return decodeFloatTernary(d, type);
  }
  bool sat = d.take("sat");
  Type type = d.takeType();
  if (low + high + wide != 1 || isUntyped(type) || isFloat(type))
    return d.unsupported("expected one of .lo, .hi, .wide and an integer type");
  d.meta.pipe = Pipe::FMA;
  Type result = wide ? widened(type) : type;
  if (result == Type::None)
    return d.unsupported(".wide needs a 16- or 32-bit type");
  Handlers handlers;
  if (wide)
    handlers =
        type == Type::U16 ? elementwise<uint32_t, uint16_t, uint16_t, uint32_t>(
                                [](uint16_t a, uint16_t b, uint32_t c) {
                                  return uint32_t(a) * b + c;
                                })
        : type == Type::S16 ? elementwise<uint32_t, int16_t, int16_t, uint32_t>(
                                  [](int16_t a, int16_t b, uint32_t c) {
                                    return uint32_t(int32_t(a) * b) + c;
                                  })
        : type == Type::U32
            ? elementwise<uint64_t, uint32_t, uint32_t, uint64_t>(
                  [](uint32_t a, uint32_t b, uint64_t c) {
                    return uint64_t(a) * b + c;
                  })
            : elementwise<uint64_t, int32_t, int32_t, uint64_t>(
                  [](int32_t a, int32_t b, uint64_t c) {
                    return uint64_t(int64_t(a) * b) + c;
                  });
  else if (sat) {
    if (!high || type != Type::S32)
      return d.unsupported(".sat needs .hi.s32");
    handlers = elementwise<int32_t, int32_t, int32_t, int32_t>(
        [](int32_t a, int32_t b, int32_t c) {
          return saturate32(int64_t(mulHigh<int32_t>(a, b)) + c);
        });
  } else if (high)
    handlers = forInteger(type, []<typename T>() {
      return elementwise<T, T, T, T>(
          [](T a, T b, T c) { return addWrap<T>(mulHigh<T>(a, b), c); });
    });
  else
    handlers = forBits(type, []<typename T>() {
      return elementwise<T, T, T, T>(
          [](T a, T b, T c) { return addWrap<T>(mulLow<T>(a, b), c); });
    });
  d.setHandlers(handlers);
  d.inst.ops[0] = d.target(0, result);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  d.inst.ops[3] = d.source(3, result);
  return d.expectOperands(4, 4);
}

int32_t low24(int32_t value) { return int32_t(uint32_t(value) << 8) >> 8; }

/// mul24 and mad24: 24-bit factors, low or high 32 bits of the 48-bit product.
bool decode24(Decoder &d, bool add) {
  bool high = d.take("hi");
  if (!high && !d.take("lo"))
    return d.unsupported("expected .hi or .lo");
  Type type = d.takeType();
  if (type != Type::U32 && type != Type::S32)
    return d.unsupported("expected .u32 or .s32");
  bool isS = type == Type::S32;
  d.meta.pipe = Pipe::FMA;
  Handlers handlers =
      isS ? (high ? elementwise<uint32_t, int32_t, int32_t, uint32_t>(
                        [](int32_t a, int32_t b, uint32_t c) {
                          int64_t p = int64_t(low24(a)) * low24(b);
                          return uint32_t(p >> 16) + c;
                        })
                  : elementwise<uint32_t, int32_t, int32_t, uint32_t>(
                        [](int32_t a, int32_t b, uint32_t c) {
                          int64_t p = int64_t(low24(a)) * low24(b);
                          return uint32_t(p) + c;
                        }))
          : (high ? elementwise<uint32_t, uint32_t, uint32_t, uint32_t>(
                        [](uint32_t a, uint32_t b, uint32_t c) {
                          uint64_t p = uint64_t(a & 0xffffff) * (b & 0xffffff);
                          return uint32_t(p >> 16) + c;
                        })
                  : elementwise<uint32_t, uint32_t, uint32_t, uint32_t>(
                        [](uint32_t a, uint32_t b, uint32_t c) {
                          uint64_t p = uint64_t(a & 0xffffff) * (b & 0xffffff);
                          return uint32_t(p) + c;
                        }));
  d.setHandlers(handlers);
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.source(2, type);
  d.inst.ops[3] = add ? d.source(3, type) : d.constant32(0);
  return d.expectOperands(add ? 4 : 3, add ? 4 : 3);
}

bool decodeMul24(Decoder &d) { return decode24(d, false); }
bool decodeMad24(Decoder &d) { return decode24(d, true); }

//===----------------------------------------------------------------------===//
// Division, order, sign
//===----------------------------------------------------------------------===//

bool decodeDiv(Decoder &d) {
  Type type = d.takeType();
  if (isFloat(type))
    return decodeFloatDivide(d, type);
  if (isUntyped(type))
    return false;
  return binary(d, type, forInteger(type, []<typename T>() {
                  return elementwise<T, T, T>(
                      [](T a, T b) { return divide<T>(a, b); });
                }));
}

bool decodeRem(Decoder &d) {
  Type type = d.takeType();
  if (isUntyped(type))
    return false;
  return binary(d, type, forInteger(type, []<typename T>() {
                  return elementwise<T, T, T>(
                      [](T a, T b) { return remainder<T>(a, b); });
                }));
}

template <bool Max, bool Signed> uint32_t minMax16x2(uint32_t a, uint32_t b) {
  auto half = [](uint32_t x, uint32_t y) {
    bool less = Signed ? int16_t(x) < int16_t(y) : uint16_t(x) < uint16_t(y);
    return uint32_t(uint16_t(less == Max ? y : x));
  };
  return half(a >> 16, b >> 16) << 16 | half(a, b);
}

bool decodeMinMax(Decoder &d, bool isMax) {
  bool u2 = d.take("u16x2"), s2 = d.take("s16x2");
  if (u2 || s2) {
    using U = uint32_t;
    if (s2 && d.take("relu"))
      return binary(
          d, Type::B32,
          isMax ? elementwise<U, U, U>([](U a, U b) {
            return minMax16x2<true, true>(minMax16x2<true, true>(a, b), 0);
          })
                : elementwise<U, U, U>([](U a, U b) {
                    return minMax16x2<true, true>(minMax16x2<false, true>(a, b),
                                                  0);
                  }));
    auto h = [&]<bool Max, bool Signed>() {
      return elementwise<U, U, U>(
          [](U a, U b) { return minMax16x2<Max, Signed>(a, b); });
    };
    return binary(d, Type::B32,
                  isMax ? (s2 ? h.template operator()<true, true>()
                              : h.template operator()<true, false>())
                        : (s2 ? h.template operator()<false, true>()
                              : h.template operator()<false, false>()));
  }
  bool relu = d.peekNext() == "relu" && d.take("relu");
  Type type = d.takeType();
  if (isFloat(type)) {
    if (relu)
      return d.unsupported("modifier .relu");
    return decodeFloatMinMax(d, type, isMax);
  }
  if (isUntyped(type))
    return false;
  if (relu) {
    if (type != Type::S32)
      return d.unsupported(".relu needs .s32");
    return binary(
        d, type,
        isMax
            ? elementwise<int32_t, int32_t, int32_t>(
                  [](int32_t a, int32_t b) { return std::max({a, b, 0}); })
            : elementwise<int32_t, int32_t, int32_t>([](int32_t a, int32_t b) {
                return std::max(std::min(a, b), 0);
              }));
  }
  return binary(d, type, forInteger(type, [&]<typename T>() {
                  return isMax ? elementwise<T, T, T>(
                                     [](T a, T b) { return a > b ? a : b; })
                               : elementwise<T, T, T>(
                                     [](T a, T b) { return a < b ? a : b; });
                }));
}

bool decodeMin(Decoder &d) { return decodeMinMax(d, false); }
bool decodeMax(Decoder &d) { return decodeMinMax(d, true); }

bool decodeAbs(Decoder &d) {
  bool ftz = d.take("ftz");
  Type type = d.takeType();
  if (isFloat(type))
    return decodeFloatSign(d, type, SignOp::Abs, ftz);
  if (!isSigned(type))
    return d.unsupported("expected a signed type");
  return unary(d, type, forInteger(type, []<typename T>() {
                 return elementwise<T, T>(
                     [](T a) { return a < T(0) ? subWrap<T>(0, a) : a; });
               }));
}

bool decodeNeg(Decoder &d) {
  bool ftz = d.take("ftz");
  Type type = d.takeType();
  if (isFloat(type))
    return decodeFloatSign(d, type, SignOp::Neg, ftz);
  if (!isSigned(type))
    return d.unsupported("expected a signed type");
  return unary(d, type, forInteger(type, []<typename T>() {
                 return elementwise<T, T>([](T a) { return subWrap<T>(0, a); });
               }));
}

bool decodeSad(Decoder &d) {
  Type type = d.takeType();
  if (isFloat(type) || isUntyped(type))
    return false;
  d.setHandlers(forInteger(type, []<typename T>() {
    return elementwise<T, T, T, T>([](T a, T b, T c) {
      return addWrap<T>(c, a < b ? subWrap<T>(b, a) : subWrap<T>(a, b));
    });
  }));
  d.inst.ops[0] = d.target(0, type);
  for (unsigned i = 1; i < 4; ++i)
    d.inst.ops[i] = d.source(i, type);
  return d.expectOperands(4, 4);
}

//===----------------------------------------------------------------------===//
// Byte dot products: inst.sub bit 0 = a signed, bit 1 = b signed, bit 2 = high
//===----------------------------------------------------------------------===//

int32_t part(uint32_t word, unsigned index, unsigned bits, bool isS) {
  uint32_t value = word >> (index * bits) & ((1u << bits) - 1);
  return isS && (value >> (bits - 1)) ? int32_t(value) - (1 << bits)
                                      : int32_t(value);
}

template <bool Four> void runDot(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *c = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  bool aS = inst.sub & 1, bS = inst.sub & 2, high = inst.sub & 4;
  forLanes(mask, [&](unsigned lane) {
    uint32_t sum = c[lane];
    for (unsigned i = 0; i < (Four ? 4 : 2); ++i)
      sum += uint32_t(part(a[lane], i, Four ? 8 : 16, aS) *
                      part(b[lane], i + (high ? 2 : 0), 8, bS));
    out[lane] = sum;
  });
}

bool decodeDot(Decoder &d, bool four) {
  bool high = !four && d.take("hi");
  if (!four && !high && !d.take("lo"))
    return d.unsupported("expected .hi or .lo");
  Type a = d.takeType(), b = d.takeType();
  if ((a != Type::U32 && a != Type::S32) || (b != Type::U32 && b != Type::S32))
    return d.unsupported("expected .u32 or .s32 twice");
  d.inst.sub = (a == Type::S32) | (b == Type::S32) << 1 | high << 2;
  d.setHandler(four ? runDot<true> : runDot<false>);
  d.meta.pipe = Pipe::FMA;
  d.inst.ops[0] = d.target(0, Type::B32);
  for (unsigned i = 1; i < 4; ++i)
    d.inst.ops[i] = d.source(i, Type::B32);
  return d.expectOperands(4, 4);
}

bool decodeDp4a(Decoder &d) { return decodeDot(d, true); }
bool decodeDp2a(Decoder &d) { return decodeDot(d, false); }

constexpr OpRow kOps[] = {
    {"add", decodeAdd},   {"sub", decodeSub},     {"addc", decodeAddc},
    {"subc", decodeSubc}, {"mul", decodeMul},     {"mad", decodeMad},
    {"madc", decodeMadc}, {"mul24", decodeMul24}, {"mad24", decodeMad24},
    {"div", decodeDiv},   {"rem", decodeRem},     {"min", decodeMin},
    {"max", decodeMax},   {"abs", decodeAbs},     {"neg", decodeNeg},
    {"sad", decodeSad},   {"dp4a", decodeDp4a},   {"dp2a", decodeDp2a},
};

} // namespace

std::span<const OpRow> flash::emu::integerOps() { return kOps; }
