//===- OpsConvertNarrow.cpp - cvt of 4-, 6- and 8-bit floats ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The conversions that sm_100 adds (PTX ISA 9.7.9, cvt): e2m3, e3m2 and e2m1
// numbers, ue8m0 scales, and stochastic rounding. Packed values are numbered
// from the top: the first source goes to the highest element.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <algorithm>
#include <cmath>

using namespace flash::emu;

namespace {

/// How elements of a narrow type lie in a register.
struct Packing {
  std::string_view name; ///< As the modifier that names it.
  Type type;             ///< Of the register.
  FloatFormat format;
  unsigned stride; ///< Bits from one element to the next.
};

// e2m3 and e3m2 take a byte each, its two upper bits zero.
constexpr Packing kPackings[] = {
    {"e2m3x2", Type::E2M3x2, kE2M3, 8},
    {"e3m2x2", Type::E3M2x2, kE3M2, 8},
    {"e2m1x2", Type::E2M1x2, kE2M1, 4},
};

//===----------------------------------------------------------------------===//
// e2m3, e3m2, e2m1; inst.n: index into kPackings, inst.sub: .relu
//===----------------------------------------------------------------------===//

uint32_t toNarrow(const Packing &packing, float value, bool relu) {
  // A NaN has no sign to lose to .relu: it becomes the largest number.
  if (relu && value < 0)
    value = 0;
  return encodeFloat(packing.format, value, Round::NearestEven, true);
}

void runToNarrow(Warp &warp, const Inst &inst, uint32_t mask) {
  const Packing &packing = kPackings[inst.n];
  const float *a = sourceRow<float>(warp, inst.ops[1]);
  const float *b = sourceRow<float>(warp, inst.ops[2]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    out[i] = toNarrow(packing, a[i], inst.sub) << packing.stride |
             toNarrow(packing, b[i], inst.sub);
  });
}

void runFromNarrow(Warp &warp, const Inst &inst, uint32_t mask) {
  const Packing &packing = kPackings[inst.n];
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  unsigned bits = 1 + packing.format.exponentBits + packing.format.mantissaBits;
  uint32_t keep = (1u << bits) - 1;
  auto widen = [&](uint32_t pattern) {
    float value = float(decodeFloat(packing.format, pattern & keep));
    return floatToF16(inst.sub && value < 0 ? 0.0f : value);
  };
  forLanes(mask, [&](unsigned i) {
    out[i] = widen(a[i] >> packing.stride) << 16 | widen(a[i]);
  });
}

//===----------------------------------------------------------------------===//
// ue8m0: an exponent alone, 2^(x - 127), 255 a NaN. The sign of a source is
// ignored. inst.sub bit 0: round up, bit 1: .satfinite
//===----------------------------------------------------------------------===//

uint32_t toScale(uint32_t bits, bool up, bool finite) {
  bits &= 0x7fffffff;
  if (bits > 0x7f800000)
    return 255;
  uint32_t exponent = bits >> 23, mantissa = bits & 0x7fffff;
  // 2^-127, the least scale, is subnormal in f32: mantissa 0x400000.
  if (up && exponent < 255 && (exponent ? mantissa != 0 : mantissa > 0x400000))
    ++exponent;
  return finite && exponent == 255 ? 254 : exponent;
}

template <bool FromBf16>
void runToScale(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  bool up = inst.sub & 1, finite = inst.sub & 2;
  forLanes(mask, [&](unsigned i) {
    uint32_t high = FromBf16 ? a[i] & 0xffff0000 : a[i];
    uint32_t low = FromBf16 ? a[i] << 16 : b[i];
    out[i] = toScale(high, up, finite) << 8 | toScale(low, up, finite);
  });
}

void runFromScale(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  auto widen = [](uint32_t scale) -> uint32_t {
    scale &= 0xff;
    return scale == 255 ? 0x7fff : scale == 0 ? 0x0040 : scale << 7;
  };
  forLanes(mask,
           [&](unsigned i) { out[i] = widen(a[i] >> 8) << 16 | widen(a[i]); });
}

//===----------------------------------------------------------------------===//
// cvt.rs to f16x2 and bf16x2; inst.sub bit 0: bf16, 1: .relu, 2: .satfinite
//===----------------------------------------------------------------------===//

/// Adds `random`, as many bits as an f32 mantissa has more than the target's,
/// below the target's last place and truncates.
uint32_t roundStochastic(FloatFormat format, uint32_t bits, uint32_t random,
                         bool finite) {
  float value = std::bit_cast<float>(bits);
  if (!std::isfinite(value))
    return encodeFloat(format, value, Round::Zero, finite);
  int drop = 23 - format.mantissaBits;
  int exponent = std::max(int(bits >> 23 & 0xff), 1) - 127;
  int least = 1 - format.bias();
  // Weight of the target's last place at this magnitude.
  int place = std::max(exponent, least) - format.mantissaBits;
  double nudge = std::ldexp(double(random & ((1u << drop) - 1)), place - drop);
  double sum = std::fabs(double(value)) + nudge;
  if (sum >= std::ldexp(1.0, format.bias() + 1))
    sum = INFINITY;
  return encodeFloat(format, std::copysign(sum, double(value)), Round::Zero,
                     finite);
}

void runStochastic(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *random = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  FloatFormat format = inst.sub & 1 ? kBF16 : kF16;
  auto one = [&](uint32_t bits, uint32_t nudge) {
    if ((inst.sub & 2) && std::bit_cast<float>(bits) < 0)
      return 0u;
    return roundStochastic(format, bits, nudge, inst.sub & 4);
  };
  forLanes(mask, [&](unsigned i) {
    out[i] = one(a[i], random[i] >> 16) << 16 | one(b[i], random[i] & 0xffff);
  });
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

bool decodePacked(Decoder &d, uint8_t index) {
  const Packing &packing = kPackings[index];
  // A type that stands first is the destination.
  bool isTarget = d.takeType() == packing.type;
  Type other = d.takeType();
  d.inst.n = index;
  if (!d.take("rn"))
    return d.unsupported("expected .rn");
  if (isTarget) {
    if (other != Type::F32 || !d.take("satfinite"))
      return d.unsupported("expected .satfinite and .f32");
    d.setHandler(runToNarrow);
  } else {
    if (other != packing.type)
      return false;
    d.setHandler(runFromNarrow);
  }
  d.inst.sub = d.take("relu");
  d.inst.ops[0] = d.target(0, isTarget ? packing.type : Type::F16x2);
  d.inst.ops[1] = d.source(1, isTarget ? Type::F32 : packing.type);
  if (isTarget)
    d.inst.ops[2] = d.source(2, Type::F32);
  return d.expectOperands(isTarget ? 3 : 2, isTarget ? 3 : 2);
}

bool decodeScale(Decoder &d) {
  bool isTarget = d.takeType() == Type::UE8M0x2;
  Type other = d.takeType();
  if (!isTarget) {
    if (!d.take("rn"))
      return d.unsupported("expected .rn.bf16x2.ue8m0x2");
    d.setHandler(runFromScale);
    d.inst.ops[0] = d.target(0, Type::BF16x2);
    d.inst.ops[1] = d.source(1, Type::UE8M0x2);
    return d.expectOperands(2, 2);
  }
  bool up = d.take("rp");
  if (!up && !d.take("rz"))
    return d.unsupported("expected .rz or .rp");
  if (other != Type::F32 && other != Type::BF16x2)
    return false;
  d.inst.sub = uint8_t(up) | (d.take("satfinite") ? 2 : 0);
  bool isPair = other == Type::F32;
  d.setHandler(isPair ? runToScale<false> : runToScale<true>);
  d.inst.ops[0] = d.target(0, Type::UE8M0x2);
  d.inst.ops[1] = d.source(1, other);
  d.inst.ops[2] = isPair ? d.source(2, other) : d.inst.ops[1];
  return d.expectOperands(isPair ? 3 : 2, isPair ? 3 : 2);
}

bool decodeStochastic(Decoder &d) {
  d.take("rs");
  Type to = d.takeType(), from = d.takeType();
  if ((to != Type::F16x2 && to != Type::BF16x2) || from != Type::F32)
    return d.unsupported("stochastic rounding needs .f16x2 or .bf16x2 from "
                         ".f32");
  d.inst.sub =
      (to == Type::BF16x2) | d.take("relu") << 1 | d.take("satfinite") << 2;
  d.setHandler(runStochastic);
  d.inst.ops[0] = d.target(0, to);
  d.inst.ops[1] = d.source(1, from);
  d.inst.ops[2] = d.source(2, from);
  d.inst.ops[3] = d.source(3, Type::B32);
  return d.expectOperands(4, 4);
}

} // namespace

bool flash::emu::decodeNarrowConvert(Decoder &d, bool &handled) {
  handled = true;
  d.meta.pipe = Pipe::ALU;
  if (d.has("rs"))
    return decodeStochastic(d);
  if (d.has("ue8m0x2"))
    return decodeScale(d);
  for (uint8_t i = 0; i < std::size(kPackings); ++i)
    if (d.has(kPackings[i].name))
      return decodePacked(d, i);
  handled = false;
  return false;
}
