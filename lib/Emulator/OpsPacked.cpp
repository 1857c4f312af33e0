//===- OpsPacked.cpp - Packed f32x2 and mixed-precision floats --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What sm_100 adds to add, sub, mul and fma: two f32 in a 64-bit register
// (PTX ISA 9.7.3, `.f32x2`), and f32 arithmetic with f16 or bf16 operands
// (9.7.5, mixed precision). A row of 64-bit registers is, in memory, a row of
// 64 floats, which is how the packed handlers read it.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "Ops.h"
#include "Types.h"

#include <cstring>
#include <immintrin.h>

using namespace flash::emu;

namespace {

enum PackedOp : uint8_t { PAdd, PSub, PMul, PFma };

PackedOp packedOp(FloatOp op) {
  return op == FloatOp::Add ? PAdd : op == FloatOp::Sub ? PSub : PMul;
}

template <PackedOp Op> inline float compute(float a, float b, float c) {
  switch (Op) {
  case PAdd:
    return a + b;
  case PSub:
    return a - b;
  case PMul:
    return a * b;
  case PFma:
    return __builtin_fmaf(a, b, c);
  }
}

/// Sets the host's rounding mode for its lifetime. Arithmetic in between must
/// read and write volatile objects, or the compiler may move it out.
class HostRounding {
public:
  explicit HostRounding(Round round) : saved(_mm_getcsr()) {
    unsigned mode = round == Round::Zero   ? _MM_ROUND_TOWARD_ZERO
                    : round == Round::Down ? _MM_ROUND_DOWN
                    : round == Round::Up   ? _MM_ROUND_UP
                                           : _MM_ROUND_NEAREST;
    _mm_setcsr((saved & ~_MM_ROUND_MASK) | mode);
  }
  ~HostRounding() { _mm_setcsr(saved); }
  HostRounding(const HostRounding &) = delete;
  HostRounding &operator=(const HostRounding &) = delete;

private:
  unsigned saved;
};

//===----------------------------------------------------------------------===//
// f32x2; inst.sub: Round in bits 0-2
//===----------------------------------------------------------------------===//

void storePairs(Warp &warp, const Inst &inst, uint32_t mask,
                const float *values) {
  float *out = targetRow<float>(warp, inst.ops[0]);
  if (mask == ~0u) {
    std::memcpy(out, values, 64 * sizeof(float));
    return;
  }
  forLanes(mask, [&](unsigned i) {
    out[2 * i] = values[2 * i];
    out[2 * i + 1] = values[2 * i + 1];
  });
}

template <PackedOp Op, bool Ftz>
void runPacked(Warp &warp, const Inst &inst, uint32_t mask) {
  const float *a = sourceRow<float>(warp, inst.ops[1]);
  const float *b = sourceRow<float>(warp, inst.ops[2]);
  const float *c = sourceRow<float>(warp, inst.ops[3]);
  alignas(32) float values[64];
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 64; ++i) {
    float value = canonical(compute<Op>(Ftz ? flush(a[i]) : a[i],
                                        Ftz ? flush(b[i]) : b[i],
                                        Ftz ? flush(c[i]) : c[i]));
    values[i] = Ftz ? flush(value) : value;
  }
  storePairs(warp, inst, mask, values);
}

template <PackedOp Op, bool Ftz>
void runPackedDirected(Warp &warp, const Inst &inst, uint32_t mask) {
  const volatile float *a = sourceRow<float>(warp, inst.ops[1]);
  const volatile float *b = sourceRow<float>(warp, inst.ops[2]);
  const volatile float *c = sourceRow<float>(warp, inst.ops[3]);
  volatile float raw[64];
  {
    HostRounding rounding{Round(inst.sub)};
    for (unsigned i = 0; i < 64; ++i) {
      float x = a[i], y = b[i], z = c[i];
      raw[i] = compute<Op>(Ftz ? flush(x) : x, Ftz ? flush(y) : y,
                           Ftz ? flush(z) : z);
    }
  }
  float values[64];
  for (unsigned i = 0; i < 64; ++i) {
    float value = canonical(float(raw[i]));
    values[i] = Ftz ? flush(value) : value;
  }
  storePairs(warp, inst, mask, values);
}

template <PackedOp Op> Handler packedHandler(bool ftz, bool directed) {
  return directed ? (ftz ? runPackedDirected<Op, true>
                         : runPackedDirected<Op, false>)
                  : (ftz ? runPacked<Op, true> : runPacked<Op, false>);
}

bool decodePacked(Decoder &d, PackedOp op) {
  Round round = takeRound(d);
  bool ftz = d.take("ftz"), directed = round != Round::NearestEven;
  unsigned sources = op == PFma ? 3 : 2;
  d.inst.sub = uint8_t(round);
  d.meta.pipe = Pipe::FMA;
  d.setHandler(op == PAdd   ? packedHandler<PAdd>(ftz, directed)
               : op == PSub ? packedHandler<PSub>(ftz, directed)
               : op == PMul ? packedHandler<PMul>(ftz, directed)
                            : packedHandler<PFma>(ftz, directed));
  d.inst.ops[0] = d.target(0, Type::F32x2);
  for (unsigned i = 1; i <= sources; ++i)
    d.inst.ops[i] = d.source(i, Type::F32x2);
  if (sources == 2)
    d.inst.ops[3] = d.inst.ops[2];
  return d.expectOperands(sources + 1, sources + 1);
}

//===----------------------------------------------------------------------===//
// Mixed precision; inst.sub: Round in bits 0-2, bf16 in 3, .sat in 4
//===----------------------------------------------------------------------===//

template <PackedOp Op>
void runMixed(Warp &warp, const Inst &inst, uint32_t mask) {
  bool isBf = inst.sub & 8;
  auto widen = [&](uint32_t bits) {
    return isBf ? bf16ToFloat(bits & 0xffff) : f16ToFloat(bits & 0xffff);
  };
  const volatile uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const volatile uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const volatile uint32_t *c = sourceRow<uint32_t>(warp, inst.ops[3]);
  float *out = targetRow<float>(warp, inst.ops[0]);
  volatile float raw[32];
  {
    HostRounding rounding{Round(inst.sub & 7)};
    forLanes(mask, [&](unsigned i) {
      float z = std::bit_cast<float>(uint32_t(c[i]));
      raw[i] = Op == PFma ? compute<PFma>(widen(a[i]), widen(b[i]), z)
                          : compute<Op>(widen(a[i]), z, z);
    });
  }
  forLanes(mask, [&](unsigned i) {
    float value = canonical(float(raw[i]));
    out[i] = inst.sub & 16 ? saturate(value) : value;
  });
}

bool decodeMixed(Decoder &d, Type narrow, PackedOp op) {
  if (narrow != Type::F16 && narrow != Type::BF16)
    return d.unsupported("expected .f16 or .bf16 after .f32");
  d.inst.sub = uint8_t(takeRound(d)) | (narrow == Type::BF16 ? 8 : 0);
  d.inst.sub |= d.take("sat") ? 16 : 0;
  d.meta.pipe = Pipe::FMA;
  d.setHandler(op == PAdd   ? runMixed<PAdd>
               : op == PSub ? runMixed<PSub>
                            : runMixed<PFma>);
  size_t count = op == PFma ? 4 : 3;
  d.inst.ops[0] = d.target(0, Type::F32);
  d.inst.ops[1] = d.source(1, narrow);
  d.inst.ops[2] = op == PFma ? d.source(2, narrow) : d.inst.ops[1];
  d.inst.ops[3] = d.source(count - 1, Type::F32);
  return d.expectOperands(count, count);
}

} // namespace

bool flash::emu::decodePackedBinary(Decoder &d, FloatOp op) {
  return decodePacked(d, packedOp(op));
}

bool flash::emu::decodePackedFma(Decoder &d) { return decodePacked(d, PFma); }

bool flash::emu::decodeMixedBinary(Decoder &d, Type narrow, FloatOp op) {
  return decodeMixed(d, narrow, packedOp(op));
}

bool flash::emu::decodeMixedFma(Decoder &d, Type narrow) {
  return decodeMixed(d, narrow, PFma);
}
