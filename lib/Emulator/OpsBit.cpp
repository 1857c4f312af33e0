//===- OpsBit.cpp - Bit manipulation and predicate logic --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Ops.h"
#include "Types.h"

#include <algorithm>

using namespace flash::emu;

namespace {

bool operands(Decoder &d, Handlers handlers, Type result,
              std::initializer_list<Type> sources) {
  d.setHandlers(handlers);
  d.inst.ops[0] = d.target(0, result);
  unsigned i = 1;
  for (Type type : sources) {
    d.inst.ops[i] = d.source(i, type);
    ++i;
  }
  return d.expectOperands(sources.size() + 1, sources.size() + 1);
}

//===----------------------------------------------------------------------===//
// and, or, xor, not, cnot
//===----------------------------------------------------------------------===//

enum Logic : uint8_t { And, Or, Xor, Not };

/// Predicates are masks of the whole warp. imm bits 0 and 1: negated sources.
template <Logic Op>
void runPredicateLogic(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t a = predicateOf(warp, inst.ops[1]) ^ (inst.imm & 1 ? ~0u : 0);
  uint32_t b =
      Op == Not ? 0 : predicateOf(warp, inst.ops[2]) ^ (inst.imm & 2 ? ~0u : 0);
  uint32_t value = Op == And   ? a & b
                   : Op == Or  ? a | b
                   : Op == Xor ? a ^ b
                               : ~a;
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = (out & ~mask) | (value & mask);
}

template <Logic Op> bool decodeLogic(Decoder &d) {
  Type type = d.takeType();
  constexpr bool isUnary = Op == Not;
  if (type == Type::Pred) {
    uint32_t negatedA = 0, negatedB = 0;
    if (!d.expectOperands(isUnary ? 2 : 3, isUnary ? 2 : 3))
      return false;
    d.setHandler(runPredicateLogic<Op>);
    d.inst.ops[0] = d.predicateTarget(d.operand(0));
    d.inst.ops[1] = d.predicate(1, negatedA);
    if (!isUnary)
      d.inst.ops[2] = d.predicate(2, negatedB);
    d.inst.imm = (negatedA & 1) | (negatedB & 2);
    return true;
  }
  if (!isUntyped(type))
    return d.unsupported("expected a .b or .pred type");
  if constexpr (isUnary)
    return operands(d,
                    forBits(type,
                            []<typename T>() {
                              return elementwise<T, T>(
                                  [](T a) { return T(~a); });
                            }),
                    type, {type});
  else
    return operands(
        d,
        forBits(type,
                []<typename T>() {
                  return elementwise<T, T, T>([](T a, T b) {
                    return T(Op == And ? a & b : Op == Or ? a | b : a ^ b);
                  });
                }),
        type, {type, type});
}

bool decodeCnot(Decoder &d) {
  Type type = d.takeType();
  return operands(d,
                  forBits(type,
                          []<typename T>() {
                            return elementwise<T, T>(
                                [](T a) { return T(a == 0); });
                          }),
                  type, {type});
}

//===----------------------------------------------------------------------===//
// Shifts: amounts are 32-bit and clamp at the width
//===----------------------------------------------------------------------===//

bool decodeShl(Decoder &d) {
  Type type = d.takeType();
  return operands(
      d,
      forBits(type,
              []<typename T>() {
                return elementwise<T, T, uint32_t>([](T a, uint32_t n) {
                  constexpr uint32_t bits = sizeof(T) * 8;
                  return n >= bits ? T(0) : T(a << (n & (bits - 1)));
                });
              }),
      type, {type, Type::U32});
}

bool decodeShr(Decoder &d) {
  Type type = d.takeType();
  return operands(
      d,
      forInteger(type,
                 []<typename T>() {
                   return elementwise<T, T, uint32_t>([](T a, uint32_t n) {
                     constexpr uint32_t bits = sizeof(T) * 8;
                     T most = std::is_signed_v<T> ? T(a >> (bits - 1)) : T(0);
                     return n >= bits ? most : T(a >> (n & (bits - 1)));
                   });
                 }),
      type, {type, Type::U32});
}

template <bool Left, bool Wrap>
uint32_t funnel(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t n = Wrap ? c & 31 : std::min(c, 32u);
  uint64_t both = uint64_t(b) << 32 | a;
  return Left ? uint32_t(both << n >> 32) : uint32_t(both >> n);
}

bool decodeShf(Decoder &d) {
  bool left = d.take("l");
  if (!left && !d.take("r"))
    return d.unsupported("expected .l or .r");
  bool wrap = d.take("wrap");
  if (!wrap && !d.take("clamp"))
    return d.unsupported("expected .wrap or .clamp");
  if (d.takeType() != Type::B32)
    return d.unsupported("expected .b32");
  using U = uint32_t;
  auto make = [&]<bool L, bool W>() {
    return elementwise<U, U, U, U>(
        [](U a, U b, U c) { return funnel<L, W>(a, b, c); });
  };
  Handlers handlers = left ? (wrap ? make.template operator()<true, true>()
                                   : make.template operator()<true, false>())
                           : (wrap ? make.template operator()<false, true>()
                                   : make.template operator()<false, false>());
  return operands(d, handlers, Type::B32, {Type::B32, Type::B32, Type::U32});
}

//===----------------------------------------------------------------------===//
// Counting and fields
//===----------------------------------------------------------------------===//

bool decodePopc(Decoder &d) {
  Type type = d.takeType();
  if (bitsOf(type) == 64)
    return operands(d, elementwise<uint32_t, uint64_t>([](uint64_t a) {
                      return uint32_t(std::popcount(a));
                    }),
                    Type::U32, {type});
  return operands(d, elementwise<uint32_t, uint32_t>([](uint32_t a) {
                    return uint32_t(std::popcount(a));
                  }),
                  Type::U32, {type});
}

bool decodeClz(Decoder &d) {
  Type type = d.takeType();
  if (bitsOf(type) == 64)
    return operands(d, elementwise<uint32_t, uint64_t>([](uint64_t a) {
                      return uint32_t(std::countl_zero(a));
                    }),
                    Type::U32, {type});
  return operands(d, elementwise<uint32_t, uint32_t>([](uint32_t a) {
                    return uint32_t(std::countl_zero(a));
                  }),
                  Type::U32, {type});
}

template <typename T> T reverseBits(T value) {
  T result = 0;
  for (unsigned i = 0; i < sizeof(T) * 8; ++i)
    result |= T(value >> i & 1) << (sizeof(T) * 8 - 1 - i);
  return result;
}

bool decodeBrev(Decoder &d) {
  Type type = d.takeType();
  if (bitsOf(type) == 64)
    return operands(d, elementwise<uint64_t, uint64_t>([](uint64_t a) {
                      return reverseBits(a);
                    }),
                    type, {type});
  return operands(d, elementwise<uint32_t, uint32_t>([](uint32_t a) {
                    return reverseBits(a);
                  }),
                  type, {type});
}

/// Position of the most significant bit that differs from the sign, ~0 if
/// none.
template <typename T, bool ShiftAmount> uint32_t findBit(T value) {
  using U = std::make_unsigned_t<T>;
  U bits = std::is_signed_v<T> && value < 0 ? U(~value) : U(value);
  if (!bits)
    return ~0u;
  uint32_t zeros = uint32_t(std::countl_zero(bits));
  return ShiftAmount ? zeros : uint32_t(sizeof(T) * 8 - 1) - zeros;
}

bool decodeBfind(Decoder &d) {
  bool amount = d.take("shiftamt");
  Type type = d.takeType();
  if (bitsOf(type) < 32 || isUntyped(type))
    return false;
  Handlers handlers = forInteger(type, [&]<typename T>() {
    return amount ? elementwise<uint32_t, T>(
                        [](T a) { return findBit<T, true>(a); })
                  : elementwise<uint32_t, T>(
                        [](T a) { return findBit<T, false>(a); });
  });
  return operands(d, handlers, Type::U32, {type});
}

template <typename T> T extractField(T value, uint32_t position, uint32_t len) {
  constexpr uint32_t bits = sizeof(T) * 8;
  uint32_t pos = position & 0xff, length = len & 0xff;
  using U = std::make_unsigned_t<T>;
  bool fill = false;
  if constexpr (std::is_signed_v<T>)
    if (length)
      fill = U(value) >> std::min(pos + length - 1, bits - 1) & 1;
  U field = pos >= bits ? U(0) : U(U(value) >> pos);
  uint32_t have = pos >= bits ? 0 : std::min(length, bits - pos);
  U keep = have >= bits ? U(~U(0)) : U((U(1) << have) - 1);
  field &= keep;
  return T(fill ? U(field | ~keep) : field);
}

bool decodeBfe(Decoder &d) {
  Type type = d.takeType();
  if (bitsOf(type) < 32 || isUntyped(type))
    return false;
  return operands(d,
                  forInteger(type,
                             []<typename T>() {
                               return elementwise<T, T, uint32_t, uint32_t>(
                                   [](T a, uint32_t b, uint32_t c) {
                                     return extractField<T>(a, b, c);
                                   });
                             }),
                  type, {type, Type::U32, Type::U32});
}

template <typename T> T insertField(T a, T b, uint32_t position, uint32_t len) {
  constexpr uint32_t bits = sizeof(T) * 8;
  uint32_t pos = position & 0xff, length = len & 0xff;
  if (pos >= bits || length == 0)
    return b;
  T keep = length >= bits ? T(~T(0)) : T((T(1) << length) - 1);
  T field = T(keep << pos);
  return T((b & ~field) | (T(a << pos) & field));
}

bool decodeBfi(Decoder &d) {
  Type type = d.takeType();
  if (bitsOf(type) < 32)
    return false;
  return operands(d,
                  forBits(type,
                          []<typename T>() {
                            return elementwise<T, T, T, uint32_t, uint32_t>(
                                [](T a, T b, uint32_t c, uint32_t n) {
                                  return insertField<T>(a, b, c, n);
                                });
                          }),
                  type, {type, type, Type::U32, Type::U32});
}

bool decodeBmsk(Decoder &d) {
  bool wrap = d.take("wrap");
  if (!wrap && !d.take("clamp"))
    return d.unsupported("expected .clamp or .wrap");
  d.takeType();
  using U = uint32_t;
  return operands(d,
                  wrap ? elementwise<U, U, U>([](U a, U b) {
                    return ((1u << (b & 31)) - 1) << (a & 31);
                  })
                       : elementwise<U, U, U>([](U a, U b) {
                           U ones = b > 31 ? ~0u : (1u << (b & 31)) - 1;
                           return a > 31 ? 0u : ones << (a & 31);
                         }),
                  Type::B32, {Type::U32, Type::U32});
}

bool decodeSzext(Decoder &d) {
  bool wrap = d.take("wrap");
  if (!wrap && !d.take("clamp"))
    return d.unsupported("expected .clamp or .wrap");
  Type type = d.takeType();
  auto make = [&]<typename T>() {
    return wrap ? elementwise<T, T, uint32_t>([](T a, uint32_t n) {
      return extractField<T>(a, 0, n & 31);
    })
                : elementwise<T, T, uint32_t>([](T a, uint32_t n) {
                    return extractField<T>(a, 0, std::min(n, 32u));
                  });
  };
  return operands(d,
                  isSigned(type) ? make.template operator()<int32_t>()
                                 : make.template operator()<uint32_t>(),
                  type, {type, Type::U32});
}

/// fns: position of the n-th set (or clear, n < 0) bit from `base`.
uint32_t findNthSet(uint32_t mask, uint32_t base, int32_t offset) {
  if (offset == 0)
    return base < 32 && (mask >> base & 1) ? base : ~0u;
  int step = offset > 0 ? 1 : -1;
  int left = offset > 0 ? offset : -offset;
  for (int at = int(base); at >= 0 && at < 32; at += step)
    if (mask >> at & 1 && --left == 0)
      return uint32_t(at);
  return ~0u;
}

bool decodeFns(Decoder &d) {
  d.takeType();
  return operands(d,
                  elementwise<uint32_t, uint32_t, uint32_t, int32_t>(
                      [](uint32_t m, uint32_t b, int32_t o) {
                        return findNthSet(m, b & 31, o);
                      }),
                  Type::B32, {Type::B32, Type::B32, Type::S32});
}

//===----------------------------------------------------------------------===//
// prmt, lop3
//===----------------------------------------------------------------------===//

/// Byte `selector` & 7 of b:a, or its sign. 32-bit shifts and no choices, so
/// that lanes run in vectors.
inline uint32_t byteOf(uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t isB = 0u - (selector >> 2 & 1), isSign = 0u - (selector >> 3 & 1);
  uint32_t byte = (a ^ ((a ^ b) & isB)) >> (8 * (selector & 3)) & 0xff;
  uint32_t sign = (0u - (byte >> 7)) & 0xff;
  return byte ^ ((byte ^ sign) & isSign);
}

uint32_t permute(uint32_t a, uint32_t b, uint32_t c) {
  return byteOf(a, b, c) | byteOf(a, b, c >> 4) << 8 |
         byteOf(a, b, c >> 8) << 16 | byteOf(a, b, c >> 12) << 24;
}

/// The special modes choose bytes by the low two bits of c.
template <unsigned Mode>
uint32_t permuteMode(uint32_t a, uint32_t b, uint32_t c) {
  static constexpr uint16_t selectors[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543}, // f4e
      {0x5670, 0x6701, 0x7012, 0x0123}, // b4e
      {0x0000, 0x1111, 0x2222, 0x3333}, // rc8
      {0x3210, 0x3211, 0x3222, 0x3333}, // ecl
      {0x0000, 0x1110, 0x2210, 0x3210}, // ecr
      {0x1010, 0x3232, 0x1010, 0x3232}, // rc16
  };
  return permute(a, b, selectors[Mode][c & 3]);
}

bool decodePrmt(Decoder &d) {
  if (d.takeType() != Type::B32)
    return d.unsupported("expected .b32");
  using U = uint32_t;
  auto mode = [&]<unsigned M>() {
    return elementwise<U, U, U, U>(
        [](U a, U b, U c) { return permuteMode<M>(a, b, c); });
  };
  Handlers handlers = d.take("f4e")   ? mode.template operator()<0>()
                      : d.take("b4e") ? mode.template operator()<1>()
                      : d.take("rc8") ? mode.template operator()<2>()
                      : d.take("ecl") ? mode.template operator()<3>()
                      : d.take("ecr") ? mode.template operator()<4>()
                      : d.take("rc16")
                          ? mode.template operator()<5>()
                          : elementwise<U, U, U, U>(
                                [](U a, U b, U c) { return permute(a, b, c); });
  return operands(d, handlers, Type::B32, {Type::B32, Type::B32, Type::B32});
}

/// lop3 by minterms of its table (imm), which needs no branch per bit.
template <bool Full> void runLop3(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *c = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  uint32_t on[8];
  for (unsigned i = 0; i < 8; ++i)
    on[i] = inst.imm >> i & 1 ? ~0u : 0;
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 32; ++i) {
    uint32_t x = a[i], y = b[i], z = c[i];
    uint32_t value = (~x & ~y & ~z & on[0]) | (~x & ~y & z & on[1]) |
                     (~x & y & ~z & on[2]) | (~x & y & z & on[3]) |
                     (x & ~y & ~z & on[4]) | (x & ~y & z & on[5]) |
                     (x & y & ~z & on[6]) | (x & y & z & on[7]);
    if constexpr (Full)
      out[i] = value;
    else
      out[i] = (mask >> i & 1) ? value : out[i];
  }
}

/// lop3.BoolOp: the predicate ops[4] = (result != 0) op (ops[5] ^ negated);
/// inst.sub bit 0: the op is `and`; bit 1: ops[5] is negated.
void runLop3Bool(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t q = predicateOf(warp, inst.ops[5]) ^ (inst.sub & 2 ? ~0u : 0);
  runLop3<false>(warp, inst, mask);
  const uint32_t *result = targetRow<uint32_t>(warp, inst.ops[0]);
  uint32_t any = 0;
  forLanes(mask, [&](unsigned i) { any |= uint32_t(result[i] != 0) << i; });
  uint32_t &out = predicateOf(warp, inst.ops[4]);
  out = (out & ~mask) | ((inst.sub & 1 ? any & q : any | q) & mask);
}

bool decodeLop3(Decoder &d) {
  bool isAnd = d.take("and"), isOr = !isAnd && d.take("or");
  bool hasPredicate = isAnd || isOr;
  if (d.takeType() != Type::B32)
    return d.unsupported("expected .b32");
  d.setHandlers({runLop3<true>, runLop3<false>});
  size_t count = hasPredicate ? 6 : 5;
  uint64_t table;
  if (!d.expectOperands(count, count) || !d.immediate(4, table))
    return false;
  syntax::Operand target = d.operand(0);
  if (hasPredicate) {
    uint32_t negated;
    d.setHandler(runLop3Bool);
    d.inst.ops[4] = d.secondTarget(target, true);
    target.second = -1;
    d.inst.ops[5] = d.predicate(5, negated);
    d.inst.sub = uint8_t(isAnd) | (negated ? 2 : 0);
  }
  d.inst.ops[0] = d.target(target, Type::B32);
  for (unsigned i = 1; i < 4; ++i)
    d.inst.ops[i] = d.source(i, Type::B32);
  d.inst.imm = table & 0xff;
  return true;
}

constexpr OpRow kOps[] = {
    {"and", decodeLogic<And>}, {"or", decodeLogic<Or>},
    {"xor", decodeLogic<Xor>}, {"not", decodeLogic<Not>},
    {"cnot", decodeCnot},      {"shl", decodeShl},
    {"shr", decodeShr},        {"shf", decodeShf},
    {"popc", decodePopc},      {"clz", decodeClz},
    {"brev", decodeBrev},      {"bfind", decodeBfind},
    {"bfe", decodeBfe},        {"bfi", decodeBfi},
    {"bmsk", decodeBmsk},      {"szext", decodeSzext},
    {"fns", decodeFns},        {"prmt", decodePrmt},
    {"lop3", decodeLop3},
};

} // namespace

std::span<const OpRow> flash::emu::bitOps() { return kOps; }
