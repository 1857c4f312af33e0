//===- OpsConvert.cpp - cvt -------------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every pair of types through one general handler, and vectorised handlers for
// the pairs that occur in inner loops.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <algorithm>
#include <cmath>

using namespace flash::emu;

namespace {

/// How a conversion is asked for; packed into Inst::imm.
struct Conversion {
  Type to, from;
  Round round = Round::NearestEven;
  bool toIntegral = false; ///< .rni .rzi .rmi .rpi
  bool ftz = false, sat = false, relu = false, finite = false;

  uint64_t pack() const {
    return uint64_t(to) | uint64_t(from) << 8 | uint64_t(round) << 16 |
           uint64_t(toIntegral) << 24 | uint64_t(ftz) << 25 |
           uint64_t(sat) << 26 | uint64_t(relu) << 27 | uint64_t(finite) << 28;
  }
  static Conversion unpack(uint64_t bits) {
    Conversion c{Type(bits & 0xff), Type(bits >> 8 & 0xff)};
    c.round = Round(bits >> 16 & 0xff);
    c.toIntegral = bits >> 24 & 1;
    c.ftz = bits >> 25 & 1;
    c.sat = bits >> 26 & 1;
    c.relu = bits >> 27 & 1;
    c.finite = bits >> 28 & 1;
    return c;
  }
};

FloatFormat formatOf(Type type) {
  switch (type) {
  case Type::F16:
  case Type::F16x2:
    return kF16;
  case Type::BF16:
  case Type::BF16x2:
    return kBF16;
  case Type::TF32:
    return kTF32;
  case Type::E4M3:
  case Type::E4M3x2:
    return kE4M3;
  case Type::E5M2:
  case Type::E5M2x2:
    return kE5M2;
  default:
    return kF32;
  }
}

double loadFloat(Type type, uint64_t bits, bool ftz) {
  if (type == Type::F64)
    return std::bit_cast<double>(bits);
  if (type == Type::F32) {
    float value = std::bit_cast<float>(uint32_t(bits));
    return ftz ? flush(value) : value;
  }
  return decodeFloat(formatOf(type), uint32_t(bits));
}

uint64_t storeFloat(const Conversion &c, double value) {
  if (c.sat)
    value = value > 0 ? (value < 1 ? value : 1.0) : 0.0;
  if (c.relu && value < 0)
    value = 0;
  if (c.to == Type::F64)
    return std::bit_cast<uint64_t>(canonical(value));
  if (c.to == Type::TF32)
    return value != value ? 0x7fffffff
                          : encodeFloat(kTF32, value, c.round, c.finite) << 13;
  uint32_t bits = encodeFloat(formatOf(c.to), value, c.round, c.finite);
  if (c.to == Type::F32) {
    if (value != value)
      return 0x7fffffff;
    if (c.ftz && !(bits & 0x7f800000))
      bits &= 0x80000000;
  }
  return bits;
}

double roundToIntegral(double value, Round round) {
  switch (round) {
  case Round::NearestEven:
  case Round::NearestAway:
    return std::nearbyint(value);
  case Round::Zero:
    return std::trunc(value);
  case Round::Down:
    return std::floor(value);
  case Round::Up:
    return std::ceil(value);
  }
  return value;
}

/// Float to integer clamps; a NaN gives 0, or the top bit alone where 64-bit
/// types are involved.
uint64_t floatToInteger(const Conversion &c, double value) {
  unsigned bits = bitsOf(c.to);
  if (value != value)
    return c.from == Type::F64 || bits == 64 ? uint64_t(1) << (bits - 1) : 0;
  value = roundToIntegral(value, c.round);
  if (isSigned(c.to)) {
    double limit = std::ldexp(1.0, int(bits) - 1);
    if (value >= limit)
      return (uint64_t(1) << (bits - 1)) - 1;
    if (value < -limit)
      return uint64_t(-1) << (bits - 1);
    return uint64_t(int64_t(value));
  }
  if (value <= 0)
    return 0;
  if (value >= std::ldexp(1.0, int(bits)))
    return bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  return uint64_t(value);
}

/// An integer as a double, its lowest bit set where that is inexact, so that
/// rounding it again rounds once.
double integerToOdd(uint64_t magnitude) {
  if (magnitude >> 53) {
    int drop = 11 - std::countl_zero(magnitude);
    uint64_t kept = magnitude >> drop;
    kept |= (kept << drop) != magnitude;
    return std::ldexp(double(kept), drop);
  }
  return double(magnitude);
}

uint64_t integerToFloat(const Conversion &c, uint64_t value) {
  bool negative = isSigned(c.from) && int64_t(value) < 0;
  uint64_t magnitude = negative ? 0 - value : value;
  if (c.to == Type::F64) {
    int drop = magnitude >> 53 ? 11 - std::countl_zero(magnitude) : 0;
    double result = std::ldexp(
        double(roundShift(magnitude, drop, c.round, negative)), drop);
    return std::bit_cast<uint64_t>(negative ? -result : result);
  }
  double wide = integerToOdd(magnitude);
  return storeFloat(c, negative ? -wide : wide);
}

uint64_t extend(Type type, uint64_t bits) {
  unsigned width = bitsOf(type);
  if (width == 64)
    return bits;
  uint64_t value = bits & ((uint64_t(1) << width) - 1);
  if (isSigned(type) && value >> (width - 1))
    value |= ~uint64_t(0) << width;
  return value;
}

uint64_t saturateInteger(Type to, Type from, uint64_t value) {
  unsigned bits = bitsOf(to);
  bool negative = isSigned(from) && int64_t(value) < 0;
  if (isSigned(to)) {
    int64_t top = int64_t((uint64_t(1) << (bits - 1)) - 1);
    if (negative)
      return uint64_t(std::max(int64_t(value), -top - 1));
    return std::min(value, uint64_t(top));
  }
  if (negative)
    return 0;
  return bits == 64 ? value : std::min(value, (uint64_t(1) << bits) - 1);
}

uint64_t convert(const Conversion &c, uint64_t bits) {
  bool fromFloat = isFloat(c.from), toFloat = isFloat(c.to);
  if (fromFloat) {
    double value = loadFloat(c.from, bits, c.ftz);
    if (!toFloat)
      return floatToInteger(c, value);
    if (c.toIntegral)
      value = roundToIntegral(value, c.round);
    return storeFloat(c, value);
  }
  uint64_t value = extend(c.from, bits);
  if (toFloat)
    return integerToFloat(c, value);
  return c.sat ? saturateInteger(c.to, c.from, value) : value;
}

/// inst.n: bit 0 source row is 64-bit, bit 1 target row is 64-bit.
void runConvert(Warp &warp, const Inst &inst, uint32_t mask) {
  Conversion c = Conversion::unpack(inst.imm);
  const uint32_t *in32 = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint64_t *in64 = sourceRow<uint64_t>(warp, inst.ops[1]);
  uint32_t *out32 = targetRow<uint32_t>(warp, inst.ops[0]);
  uint64_t *out64 = targetRow<uint64_t>(warp, inst.ops[0]);
  uint64_t results[32];
  forLanes(mask, [&](unsigned i) {
    // A narrow result is extended to its register by its own sign.
    results[i] = extend(c.to, convert(c, inst.n & 1 ? in64[i] : in32[i]));
  });
  forLanes(mask, [&](unsigned i) {
    if (inst.n & 2)
      out64[i] = results[i];
    else
      out32[i] = inst.n & 4 ? uint16_t(results[i]) : uint32_t(results[i]);
  });
}

/// d = {a, b}: two f32 to one packed register; inst.n = bits of an element.
void runConvertPair(Warp &warp, const Inst &inst, uint32_t mask) {
  Conversion c = Conversion::unpack(inst.imm);
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    out[i] = uint32_t(convert(c, a[i]) << inst.n | convert(c, b[i]));
  });
}

/// The pair conversions of softmax: round to nearest, nothing else.
template <bool BF> Handlers fastPair() {
  return elementwise<uint32_t, float, float>([](float a, float b) {
    return BF ? floatToBf16(a) << 16 | floatToBf16(b)
              : floatToF16(a) << 16 | floatToF16(b);
  });
}

/// Both halves of a packed register; inst.sub = bits of a source element,
/// inst.n = bits of a target element.
void runConvertHalves(Warp &warp, const Inst &inst, uint32_t mask) {
  Conversion c = Conversion::unpack(inst.imm);
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  uint32_t keep = (1u << inst.sub) - 1;
  forLanes(mask, [&](unsigned i) {
    out[i] = uint32_t(convert(c, a[i] & keep) |
                      convert(c, a[i] >> inst.sub & keep) << inst.n);
  });
}

/// cvt.pack.sat: saturated a and b below c; inst.n = bits of an element.
void runPack(Warp &warp, const Inst &inst, uint32_t mask) {
  Conversion c = Conversion::unpack(inst.imm);
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *rest = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  uint32_t keep = (1u << inst.n) - 1;
  forLanes(mask, [&](unsigned i) {
    uint32_t high =
        uint32_t(saturateInteger(c.to, Type::S32, extend(Type::S32, a[i]))) &
        keep;
    uint32_t low =
        uint32_t(saturateInteger(c.to, Type::S32, extend(Type::S32, b[i]))) &
        keep;
    uint32_t both = high << inst.n | low;
    out[i] = inst.n == 16 ? both : rest[i] << (2 * inst.n) | both;
  });
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Vectorised handlers of the plain conversions; none for other pairs.
Handlers fastConvert(const Conversion &c) {
  if (c.sat || c.relu || c.finite)
    return {};
  auto pair = [](Type to, Type from) {
    return uint32_t(to) << 8 | uint32_t(from);
  };
  switch (pair(c.to, c.from)) {
  case uint32_t(Type::U64) << 8 | uint32_t(Type::U32):
  case uint32_t(Type::S64) << 8 | uint32_t(Type::U32):
    return elementwise<uint64_t, uint32_t>(
        [](uint32_t a) { return uint64_t(a); });
  case uint32_t(Type::S64) << 8 | uint32_t(Type::S32):
  case uint32_t(Type::U64) << 8 | uint32_t(Type::S32):
    return elementwise<int64_t, int32_t>([](int32_t a) { return int64_t(a); });
  case uint32_t(Type::U32) << 8 | uint32_t(Type::U64):
  case uint32_t(Type::U32) << 8 | uint32_t(Type::S64):
  case uint32_t(Type::S32) << 8 | uint32_t(Type::S64):
  case uint32_t(Type::S32) << 8 | uint32_t(Type::U64):
    return elementwise<uint32_t, uint64_t>(
        [](uint64_t a) { return uint32_t(a); });
  }
  if (c.ftz || c.toIntegral || c.round != Round::NearestEven)
    return {};
  switch (pair(c.to, c.from)) {
  case uint32_t(Type::F32) << 8 | uint32_t(Type::S32):
    return elementwise<float, int32_t>([](int32_t a) { return float(a); });
  case uint32_t(Type::F32) << 8 | uint32_t(Type::F16):
    return elementwise<float, uint32_t>(
        [](uint32_t a) { return canonical(f16ToFloat(a & 0xffff)); });
  case uint32_t(Type::F32) << 8 | uint32_t(Type::BF16):
    return elementwise<float, uint32_t>(
        [](uint32_t a) { return canonical(bf16ToFloat(a & 0xffff)); });
  case uint32_t(Type::F16) << 8 | uint32_t(Type::F32):
    return elementwise<uint32_t, float>([](float a) { return floatToF16(a); });
  case uint32_t(Type::BF16) << 8 | uint32_t(Type::F32):
    return elementwise<uint32_t, float>([](float a) { return floatToBf16(a); });
  default:
    return {};
  }
}

bool decodePack(Decoder &d) {
  if (!d.take("sat"))
    return d.unsupported("expected .pack.sat");
  // The narrow types .u4, .s4, .u2, .s2 are not there.
  Conversion c{};
  c.to = d.takeType();
  c.from = d.takeType();
  unsigned bits = bitsOf(c.to);
  bool hasRest = d.take("b32");
  if (c.from != Type::S32 || isFloat(c.to) || (bits != 8 && bits != 16) ||
      hasRest != (bits == 8))
    return d.unsupported("expected .pack.sat.{s,u}16.s32 or "
                         ".pack.sat.{s,u}8.s32.b32");
  d.inst.imm = c.pack();
  d.inst.n = bits;
  d.setHandler(runPack);
  d.inst.ops[0] = d.target(0, Type::B32);
  d.inst.ops[1] = d.source(1, Type::S32);
  d.inst.ops[2] = d.source(2, Type::S32);
  d.inst.ops[3] = hasRest ? d.source(3, Type::B32) : d.constant32(0);
  return d.expectOperands(hasRest ? 4 : 3, hasRest ? 4 : 3);
}

bool isPacked(Type type) {
  return type == Type::F16x2 || type == Type::BF16x2 || type == Type::E4M3x2 ||
         type == Type::E5M2x2;
}

Type elementOf(Type type) {
  switch (type) {
  case Type::F16x2:
    return Type::F16;
  case Type::BF16x2:
    return Type::BF16;
  case Type::E4M3x2:
    return Type::E4M3;
  case Type::E5M2x2:
    return Type::E5M2;
  default:
    return type;
  }
}

bool decodeCvt(Decoder &d) {
  if (d.take("pack"))
    return decodePack(d);
  if (bool handled = false, ok = decodeNarrowConvert(d, handled); handled)
    return ok;
  Conversion c{};
  static constexpr std::pair<std::string_view, Round> integral[] = {
      {"rni", Round::NearestEven},
      {"rzi", Round::Zero},
      {"rmi", Round::Down},
      {"rpi", Round::Up}};
  for (auto [name, round] : integral)
    if (d.take(name)) {
      c.toIntegral = true;
      c.round = round;
    }
  if (!c.toIntegral)
    c.round = d.take("rna") ? Round::NearestAway : takeRound(d);
  c.ftz = d.take("ftz");
  c.sat = d.take("sat");
  c.finite = d.take("satfinite");
  c.relu = d.take("relu");
  c.to = d.takeType();
  c.from = d.takeType();
  if (d.failed())
    return false;
  d.meta.pipe = Pipe::ALU;
  if (isPacked(c.to)) {
    Type to = c.to, from = c.from;
    unsigned bits = bitsOf(elementOf(to));
    c.to = elementOf(to);
    // cvt to f16 and bf16 without .satfinite keeps infinities; the 8-bit
    // types always come with it.
    if (from == Type::F32) {
      d.inst.imm = c.pack();
      d.inst.n = bits;
      d.setHandler(runConvertPair);
      if (bits == 16 && c.round == Round::NearestEven && !c.finite && !c.relu &&
          !c.ftz && !c.sat)
        d.setHandlers(to == Type::BF16x2 ? fastPair<true>()
                                         : fastPair<false>());
      d.inst.ops[0] = d.target(0, to);
      d.inst.ops[1] = d.source(1, Type::F32);
      d.inst.ops[2] = d.source(2, Type::F32);
      return d.expectOperands(3, 3);
    }
    if (!isPacked(from))
      return false;
    c.from = elementOf(from);
    d.inst.imm = c.pack();
    d.inst.n = bits;
    d.inst.sub = bitsOf(c.from);
    d.setHandler(runConvertHalves);
    d.inst.ops[0] = d.target(0, to);
    d.inst.ops[1] = d.source(1, from);
    return d.expectOperands(2, 2);
  }
  if (isPacked(c.from) || c.to == Type::Pred || c.from == Type::Pred ||
      isUntyped(c.to) || isUntyped(c.from) ||
      (c.to == Type::TF32 && c.from != Type::F32) || c.from == Type::TF32)
    return false;
  d.inst.imm = c.pack();
  unsigned source = d.operandCount() > 1 ? d.registerBits(d.operand(1)) : 0;
  unsigned target = d.operandCount() > 0 ? d.registerBits(d.operand(0)) : 0;
  if (!source)
    source = bitsOf(c.from);
  d.inst.n =
      (source == 64 ? 1 : 0) | (target == 64 ? 2 : 0) | (target == 16 ? 4 : 0);
  d.setHandler(runConvert);
  if (source == bitsOf(c.from) && target == bitsOf(c.to))
    if (Handlers fast = fastConvert(c); fast.full)
      d.setHandlers(fast);
  d.inst.ops[0] = d.wideTarget(d.operand(0), c.to);
  d.inst.ops[1] = d.wideSource(d.operand(1), c.from);
  return d.expectOperands(2, 2);
}

constexpr OpRow kOps[] = {{"cvt", decodeCvt}};

} // namespace

std::span<const OpRow> flash::emu::convertOps() { return kOps; }
