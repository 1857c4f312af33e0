//===- TensorCore.cpp - Bit-accurate matrix multiply ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The fast path does eight columns at once in AVX2. Products of all input
// types are exact in f32; scaling them by a power of two and converting to
// integer with truncation is the alignment; sums fit 32 bits. It covers
// exponents where no scale overflows; everything else (infinities, NaNs,
// extremes) takes dotStep().
//
//===----------------------------------------------------------------------===//

#include "TensorCore.h"
#include "Syntax.h"

#include <algorithm>
#include <array>
#include <immintrin.h>

using namespace flash::emu;

std::optional<MmaInput> flash::emu::mmaInputOf(Type type) {
  switch (type) {
  case Type::F16:
    return MmaInput::F16;
  case Type::BF16:
    return MmaInput::BF16;
  case Type::TF32:
    return MmaInput::TF32;
  case Type::E4M3:
    return MmaInput::E4M3;
  case Type::E5M2:
    return MmaInput::E5M2;
  default:
    return std::nullopt;
  }
}

DotSpec flash::emu::dotSpec(Chip chip, MmaInput input, bool halfAccumulator) {
  bool hopper =
      chip == Chip::SM90 || chip == Chip::SM100 || chip == Chip::SM120;
  DotSpec spec;
  spec.halfResult = halfAccumulator;
  spec.fraction = hopper ? 25 : 24;
  switch (input) {
  case MmaInput::F16:
  case MmaInput::BF16:
    spec.group = hopper ? 16 : 8;
    break;
  case MmaInput::TF32:
    spec.group = hopper ? 8 : 4;
    break;
  case MmaInput::E4M3:
  case MmaInput::E5M2:
    spec.group = 16;
    if (chip == Chip::SM89) {
      spec.fraction = 13;
      spec.resultBits = 13;
    }
    break;
  }
  return spec;
}

DotSpec flash::emu::wgmmaSpec(MmaInput input, bool halfAccumulator) {
  DotSpec spec = dotSpec(Chip::SM90, input, halfAccumulator);
  if (input == MmaInput::E4M3 || input == MmaInput::E5M2) {
    spec.group = 32;
    spec.fraction = 13;
    spec.resultBits = 13;
  }
  return spec;
}

namespace {

int exponentOf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  int field = bits >> 23 & 0xff;
  if (field == 0xff)
    return kSpecialExponent;
  if (field == 0)
    return bits << 1 ? -126 : kZeroExponent;
  return field - 127;
}

/// Truncates a magnitude to `bits` mantissa bits of f32 precision and scales
/// it by 2^exponent.
float truncated(double sum, int exponent, int bits) {
  uint64_t pattern = std::bit_cast<uint64_t>(sum);
  pattern &= ~((uint64_t(1) << (52 - bits)) - 1);
  double scaled = std::ldexp(std::bit_cast<double>(pattern), exponent);
  // Where f32 is subnormal the truncation happens there.
  return std::bit_cast<float>(encodeFloat(kF32, scaled, Round::Zero));
}

} // namespace

namespace {

/// Values and aligning exponents of `count` numbers whose format's smallest
/// exponent is `least`; straight-line code, so that it vectorises.
template <typename Decode>
inline void setAll(MmaOperand &operand, const uint32_t *bits, unsigned count,
                   int least, Decode decode) {
  for (unsigned i = 0; i < count; ++i) {
    float number = decode(bits[i]);
    operand.value[i] = number;
    uint32_t pattern = std::bit_cast<uint32_t>(number);
    int field = int(pattern >> 23 & 0xff);
    int e = field - 127;
    e = e < least ? least : e;
    e = (pattern << 1) == 0 ? kZeroExponent : e;
    operand.exponent[i] = field == 0xff ? kSpecialExponent : e;
  }
}

} // namespace

static const std::array<float, 256> kE4M3Values = [] {
  std::array<float, 256> values;
  for (unsigned i = 0; i < 256; ++i)
    values[i] = float(decodeFloat(kE4M3, i));
  return values;
}();

void MmaOperand::set(MmaInput input, const uint32_t *bits, unsigned count) {
  switch (input) {
  case MmaInput::F16:
    setAll(*this, bits, count, -14, [](uint32_t b) { return f16ToFloat(b); });
    break;
  case MmaInput::BF16:
    setAll(*this, bits, count, -126, [](uint32_t b) { return bf16ToFloat(b); });
    break;
  case MmaInput::TF32:
    // The hardware ignores the low 13 bits.
    setAll(*this, bits, count, -126,
           [](uint32_t b) { return std::bit_cast<float>(b & 0xffffe000); });
    break;
  case MmaInput::E4M3:
    setAll(*this, bits, count, -6, [](uint32_t b) { return kE4M3Values[b]; });
    break;
  case MmaInput::E5M2:
    setAll(*this, bits, count, -14,
           [](uint32_t b) { return f16ToFloat(b << 8); });
    break;
  }
}

float flash::emu::dotStep(const DotSpec &spec, unsigned count, const float *a,
                          const int32_t *aExponent, unsigned aStride,
                          const float *b, const int32_t *bExponent,
                          unsigned bStride, float c) {
  // Infinities and NaNs follow ordinary arithmetic.
  bool special = !std::isfinite(c);
  for (unsigned i = 0; i < count; ++i)
    special |= !std::isfinite(a[i * aStride]) || !std::isfinite(b[i * bStride]);
  if (special) {
    double sum = c;
    for (unsigned i = 0; i < count; ++i)
      sum += double(a[i * aStride]) * double(b[i * bStride]);
    if (sum != sum)
      return std::bit_cast<float>(0x7fffffffu);
    return sum > 0 ? INFINITY : -INFINITY;
  }
  int most = exponentOf(c);
  for (unsigned i = 0; i < count; ++i) {
    int ea = aExponent[i * aStride], eb = bExponent[i * bStride];
    if (ea > kZeroExponent && eb > kZeroExponent)
      most = std::max(most, ea + eb);
  }
  if (most == kZeroExponent)
    return 0.0f;
  auto aligned = [&](double term) {
    return int64_t(std::ldexp(term, spec.fraction - most));
  };
  int64_t sum = aligned(c);
  for (unsigned i = 0; i < count; ++i)
    sum += aligned(double(a[i * aStride]) * double(b[i * bStride]));
  int exponent = most - spec.fraction;
  if (spec.halfResult) {
    double exact = std::ldexp(double(sum), exponent);
    return f16ToFloat(encodeFloat(kF16, exact, Round::NearestEven));
  }
  // A sum too large for f32 is infinite, whatever the rounding.
  float result = truncated(double(sum), exponent, spec.resultBits);
  if (std::fabs(std::ldexp(double(sum), exponent)) >= 0x1p128)
    return sum > 0 ? INFINITY : -INFINITY;
  return result;
}

namespace {

/// Eight neighbouring results of one row, one step of at most 32 products.
/// False (nothing written) where the fast path does not apply.
inline bool fastStep(const DotSpec &spec, unsigned count, const float *a,
                     const int32_t *aExponent, const float *b,
                     const int32_t *bExponent, float *c) {
  __m256 cv = _mm256_loadu_ps(c);
  __m256i bits = _mm256_castps_si256(cv);
  __m256i field =
      _mm256_and_si256(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(0xff));
  __m256i magnitude = _mm256_slli_epi32(bits, 1);
  __m256i zero = _mm256_setzero_si256();
  __m256i isZero = _mm256_cmpeq_epi32(magnitude, zero);
  // Subnormal: field 0 stands for exponent 1.
  __m256i most = _mm256_sub_epi32(_mm256_max_epi32(field, _mm256_set1_epi32(1)),
                                  _mm256_set1_epi32(127));
  most = _mm256_blendv_epi8(most, _mm256_set1_epi32(kZeroExponent), isZero);
  for (unsigned k = 0; k < count; ++k)
    most = _mm256_max_epi32(
        most,
        _mm256_add_epi32(_mm256_set1_epi32(aExponent[k]),
                         _mm256_load_si256(reinterpret_cast<const __m256i *>(
                             bExponent + k * 8))));
  // All zero counts as exponent 0; anything else outside [-90, 100] is slow.
  __m256i empty = _mm256_cmpgt_epi32(_mm256_set1_epi32(-5000), most);
  most = _mm256_andnot_si256(empty, most);
  __m256i out =
      _mm256_or_si256(_mm256_cmpgt_epi32(most, _mm256_set1_epi32(100)),
                      _mm256_cmpgt_epi32(_mm256_set1_epi32(-90), most));
  if (_mm256_movemask_epi8(out))
    return false;
  __m256i fraction = _mm256_set1_epi32(spec.fraction + 127);
  __m256 scale = _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_sub_epi32(fraction, most), 23));
  // The accumulator goes with the second half, so that neither sum of eight
  // products (each below 2^(fraction + 2)) leaves 32 bits.
  __m256i low = zero;
  __m256i high = _mm256_cvttps_epi32(_mm256_mul_ps(cv, scale));
  auto term = [&](unsigned k) {
    __m256 product =
        _mm256_mul_ps(_mm256_set1_ps(a[k]), _mm256_load_ps(b + k * 8));
    return _mm256_cvttps_epi32(_mm256_mul_ps(product, scale));
  };
  for (unsigned k = 0; k < std::min(count, 8u); ++k)
    low = _mm256_add_epi32(low, term(k));
  for (unsigned k = 8; k < std::min(count, 16u); ++k)
    high = _mm256_add_epi32(high, term(k));
  __m256 result;
  if (count <= 8 && spec.fraction <= 25 && spec.resultBits == 23) {
    // All of it fits 32 bits. Rounded to nearest, then one down where that was
    // up: truncated.
    __m256i sum = _mm256_add_epi32(low, high);
    __m256i size = _mm256_abs_epi32(sum);
    __m256 nearest = _mm256_cvtepi32_ps(size);
    __m256i up = _mm256_cmpgt_epi32(_mm256_cvttps_epi32(nearest), size);
    __m256i cut = _mm256_add_epi32(_mm256_castps_si256(nearest), up);
    __m256i sign = _mm256_and_si256(sum, _mm256_set1_epi32(INT32_MIN));
    result = _mm256_castsi256_ps(_mm256_or_si256(cut, sign));
  } else {
    __m256d sum0 =
        _mm256_add_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(low)),
                      _mm256_cvtepi32_pd(_mm256_castsi256_si128(high)));
    __m256d sum1 =
        _mm256_add_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(low, 1)),
                      _mm256_cvtepi32_pd(_mm256_extracti128_si256(high, 1)));
    // Longer steps go on eight by eight.
    for (unsigned first = 16; first < count; first += 8) {
      __m256i next = zero;
      for (unsigned k = first; k < std::min(count, first + 8); ++k)
        next = _mm256_add_epi32(next, term(k));
      sum0 =
          _mm256_add_pd(sum0, _mm256_cvtepi32_pd(_mm256_castsi256_si128(next)));
      sum1 = _mm256_add_pd(
          sum1, _mm256_cvtepi32_pd(_mm256_extracti128_si256(next, 1)));
    }
    __m256d keep = _mm256_castsi256_pd(_mm256_set1_epi64x(
        int64_t(~((uint64_t(1) << (52 - spec.resultBits)) - 1))));
    __m128 r0 = _mm256_cvtpd_ps(_mm256_and_pd(sum0, keep));
    __m128 r1 = _mm256_cvtpd_ps(_mm256_and_pd(sum1, keep));
    result = _mm256_set_m128(r1, r0);
  }
  __m256 back = _mm256_castsi256_ps(_mm256_slli_epi32(
      _mm256_sub_epi32(most, _mm256_set1_epi32(spec.fraction - 127)), 23));
  _mm256_storeu_ps(c, _mm256_mul_ps(result, back));
  return true;
}

} // namespace

void flash::emu::multiplyTile(const DotSpec &spec, unsigned k,
                              const MmaOperand &a, const MmaOperand &b,
                              float *c) {
  for (unsigned first = 0; first < k; first += spec.group) {
    unsigned count = std::min(spec.group, k - first);
    for (unsigned row = 0; row < 16; ++row) {
      const float *av = a.value + row * k + first;
      const int32_t *ae = a.exponent + row * k + first;
      const float *bv = b.value + first * 8;
      const int32_t *be = b.exponent + first * 8;
      if (!spec.halfResult &&
          fastStep(spec, count, av, ae, bv, be, c + row * 8))
        continue;
      for (unsigned n = 0; n < 8; ++n)
        c[row * 8 + n] =
            dotStep(spec, count, av, ae, 1, bv + n, be + n, 8, c[row * 8 + n]);
    }
  }
}
