//===- WarpgroupTile.cpp - Products of 16 rows by many columns --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The fast path is that of TensorCore.cpp with twice the width: one row by 16
// columns, whose exponents are compared in 16 bits. See there for why scaling
// and truncating conversions are exact, and where it does not apply.
//
//===----------------------------------------------------------------------===//

#include "WarpgroupTile.h"

#include <bit>
#include <cstring>
#include <immintrin.h>

using namespace flash::emu;

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

namespace {

/// Element `i` of a line of 32 bytes, zero-extended.
inline uint32_t element(const uint8_t *line, unsigned bits, unsigned i) {
  switch (bits) {
  case 8:
    return line[i];
  case 16: {
    uint16_t value;
    std::memcpy(&value, line + 2 * i, 2);
    return value;
  }
  default: {
    uint32_t value;
    std::memcpy(&value, line + 4 * i, 4);
    return value;
  }
  }
}

void negateAll(float *values, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    values[i] = -values[i];
}

/// Two neighbouring 8-bit integers as 16-bit halves.
inline int32_t integerPair(const uint8_t *line, unsigned i, bool isSigned) {
  auto value = [&](uint8_t byte) {
    return isSigned ? int32_t(int8_t(byte)) : int32_t(byte);
  };
  return (value(line[2 * i]) & 0xffff) | value(line[2 * i + 1]) << 16;
}

} // namespace

void WarpgroupRows::set(const WarpgroupTypes &types, bool negate,
                        const uint8_t *lines) {
  unsigned k = types.k();
  if (types.bits == 1) {
    std::memcpy(pairs, lines, 16 * 32);
    return;
  }
  if (types.integer) {
    for (unsigned row = 0; row < 16; ++row)
      for (unsigned i = 0; i < 16; ++i)
        pairs[row * 16 + i] = integerPair(lines + row * 32, i, types.aSigned);
    return;
  }
  alignas(32) uint32_t bits[16 * 32];
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned i = 0; i < k; ++i)
      bits[row * k + i] = element(lines + row * 32, types.bits, i);
  floats.set(types.a, bits, 16 * k);
  if (negate)
    negateAll(floats.value, 16 * k);
  for (unsigned i = 0; i < 16 * k; ++i)
    exponents[i] = (floats.exponent[i] & 0xffff) | floats.exponent[i] << 16;
}

void WarpgroupColumns::set(const WarpgroupTypes &types, bool negate,
                           const uint8_t *lines, unsigned n) {
  unsigned k = types.k();
  if (types.bits == 1) {
    pairs.resize(size_t(n) * 8);
    std::memcpy(pairs.data(), lines, size_t(n) * 32);
    return;
  }
  if (types.integer) {
    pairs.assign(size_t((n + 15) / 16) * 256, 0);
    for (unsigned column = 0; column < n; ++column)
      for (unsigned i = 0; i < 16; ++i)
        pairs[(column / 8 * 16 + i) * 8 + column % 8] =
            integerPair(lines + column * 32, i, types.bSigned);
    return;
  }
  unsigned count = (n + 15) / 16;
  values.resize(size_t(count) * k * 16);
  exponents.resize(values.size());
  MmaOperand operand;
  for (unsigned pair = 0; pair < count; ++pair) {
    alignas(32) uint32_t bits[16 * 32] = {};
    for (unsigned column = pair * 16; column < n && column < pair * 16 + 16;
         ++column)
      for (unsigned i = 0; i < k; ++i)
        bits[i * 16 + column % 16] =
            element(lines + column * 32, types.bits, i);
    operand.set(types.b, bits, 16 * k);
    if (negate)
      negateAll(operand.value, 16 * k);
    float *value = &values[size_t(pair) * k * 16];
    int16_t *exponent = &exponents[size_t(pair) * k * 16];
    std::memcpy(value, operand.value, sizeof(float) * 16 * k);
    for (unsigned i = 0; i < 16 * k; ++i)
      exponent[i] = int16_t(operand.exponent[i]);
  }
}

//===----------------------------------------------------------------------===//
// Multiplying
//===----------------------------------------------------------------------===//

namespace {

/// Eight columns on their way through one step.
struct Lanes8 {
  __m256 c, scale, back;
  __m256i low, high;

  /// Takes the largest exponent of the products; false where the fast path
  /// does not apply.
  bool start(const float *from, __m256i most, int fraction) {
    c = _mm256_loadu_ps(from);
    __m256i bits = _mm256_castps_si256(c);
    __m256i field =
        _mm256_and_si256(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(0xff));
    __m256i isZero =
        _mm256_cmpeq_epi32(_mm256_slli_epi32(bits, 1), _mm256_setzero_si256());
    // Subnormal: field 0 stands for exponent 1.
    __m256i own = _mm256_sub_epi32(
        _mm256_max_epi32(field, _mm256_set1_epi32(1)), _mm256_set1_epi32(127));
    own = _mm256_blendv_epi8(own, _mm256_set1_epi32(kZeroExponent), isZero);
    most = _mm256_max_epi32(most, own);
    // All zero counts as exponent 0; anything else outside [-90, 100] is slow.
    __m256i empty = _mm256_cmpgt_epi32(_mm256_set1_epi32(-5000), most);
    most = _mm256_andnot_si256(empty, most);
    __m256i out =
        _mm256_or_si256(_mm256_cmpgt_epi32(most, _mm256_set1_epi32(100)),
                        _mm256_cmpgt_epi32(_mm256_set1_epi32(-90), most));
    if (!_mm256_testz_si256(out, out))
      return false;
    __m256i bias = _mm256_set1_epi32(127);
    __m256i shift = _mm256_sub_epi32(_mm256_set1_epi32(fraction), most);
    scale = _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(bias, shift), 23));
    back = _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_sub_epi32(bias, shift), 23));
    low = _mm256_cvttps_epi32(_mm256_mul_ps(c, scale));
    high = _mm256_setzero_si256();
    return true;
  }
  __m256i term(__m256 a, const float *b) const {
    return _mm256_cvttps_epi32(
        _mm256_mul_ps(_mm256_mul_ps(a, _mm256_loadu_ps(b)), scale));
  }
  /// Rounds the sum; `Split` says that `high` holds a part of it.
  template <bool Half, bool Split> void finish(float *to, int resultBits) {
    auto half = [&](__m128i x, __m128i y) {
      __m256d sum = _mm256_cvtepi32_pd(x);
      if constexpr (Split)
        sum = _mm256_add_pd(sum, _mm256_cvtepi32_pd(y));
      __m256i pattern = _mm256_castpd_si256(sum);
      __m256i drop = _mm256_set1_epi64x((int64_t(1) << (52 - resultBits)) - 1);
      __m256i kept = _mm256_andnot_si256(drop, pattern);
      if constexpr (Half) {
        // Rounded to odd, so that rounding to f16 afterwards is exact.
        __m256i exact = _mm256_cmpeq_epi64(kept, pattern);
        kept = _mm256_or_si256(
            kept,
            _mm256_andnot_si256(
                exact, _mm256_set1_epi64x(int64_t(1) << (52 - resultBits))));
      }
      return _mm256_cvtpd_ps(_mm256_castsi256_pd(kept));
    };
    __m128 r0 = half(_mm256_castsi256_si128(low), _mm256_castsi256_si128(high));
    __m128 r1 = half(_mm256_extracti128_si256(low, 1),
                     _mm256_extracti128_si256(high, 1));
    __m256 result = _mm256_mul_ps(_mm256_set_m128(r1, r0), back);
    if constexpr (Half)
      result = _mm256_cvtph_ps(_mm256_cvtps_ph(result, 0));
    _mm256_storeu_ps(to, result);
  }
};

/// One step of one element in plain arithmetic.
void slowStep(const DotSpec &spec, unsigned k, const MmaOperand &a,
              unsigned row, const float *b, const int16_t *exponents,
              unsigned column, float &c) {
  float values[32];
  int32_t wide[32];
  for (unsigned i = 0; i < k; ++i) {
    values[i] = b[i * 16 + column];
    wide[i] = exponents[i * 16 + column];
  }
  c = dotStep(spec, k, a.value + row * k, a.exponent + row * k, 1, values, wide,
              1, c);
}

/// 16 rows by one pair of tiles.
template <unsigned K, bool Half>
void multiplyPair(const DotSpec &spec, const WarpgroupRows &a, const float *b,
                  const int16_t *exponents, float *c) {
  // With 25 fraction bits a sum of 16 products (each below 2^(fraction + 2))
  // leaves 32 bits, one of 8 and the accumulator does not.
  constexpr bool split = K == 16;
  const int resultBits = Half ? 23 : spec.resultBits;
  for (unsigned row = 0; row < 16; ++row) {
    const float *av = a.floats.value + row * K;
    const int32_t *ae = a.exponents + row * K;
    float *c0 = c + row * 8, *c1 = c0 + 128;
    __m256i most = _mm256_set1_epi16(-32768);
    for (unsigned k = 0; k < K; ++k)
      most = _mm256_max_epi16(
          most, _mm256_adds_epi16(
                    _mm256_set1_epi32(ae[k]),
                    _mm256_loadu_si256(reinterpret_cast<const __m256i *>(
                        exponents + k * 16))));
    Lanes8 x, y;
    bool fast =
        x.start(c0, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(most)),
                spec.fraction) &&
        y.start(c1, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(most, 1)),
                spec.fraction);
    if (!fast) {
      for (unsigned n = 0; n < 8; ++n) {
        slowStep(spec, K, a.floats, row, b, exponents, n, c0[n]);
        slowStep(spec, K, a.floats, row, b, exponents, n + 8, c1[n]);
      }
      continue;
    }
    constexpr unsigned first = split ? K / 2 : K;
    for (unsigned k = 0; k < first; ++k) {
      __m256 value = _mm256_set1_ps(av[k]);
      x.low = _mm256_add_epi32(x.low, x.term(value, b + k * 16));
      y.low = _mm256_add_epi32(y.low, y.term(value, b + k * 16 + 8));
    }
    for (unsigned k = first; k < K; ++k) {
      __m256 value = _mm256_set1_ps(av[k]);
      x.high = _mm256_add_epi32(x.high, x.term(value, b + k * 16));
      y.high = _mm256_add_epi32(y.high, y.term(value, b + k * 16 + 8));
    }
    x.finish<Half, split>(c0, resultBits);
    y.finish<Half, split>(c1, resultBits);
  }
}

template <unsigned K>
void multiplyFloats(const DotSpec &spec, bool half, const WarpgroupRows &a,
                    const WarpgroupColumns &b, unsigned n, float *c) {
  for (unsigned pair = 0; pair < (n + 15) / 16; ++pair) {
    const float *values = &b.values[size_t(pair) * K * 16];
    const int16_t *exponents = &b.exponents[size_t(pair) * K * 16];
    if (half)
      multiplyPair<K, true>(spec, a, values, exponents, c + pair * 256);
    else
      multiplyPair<K, false>(spec, a, values, exponents, c + pair * 256);
  }
}

void multiplyIntegers(bool saturate, const WarpgroupRows &a,
                      const WarpgroupColumns &b, unsigned n, uint32_t *c) {
  for (unsigned tile = 0; tile < n / 8; ++tile) {
    const int32_t *columns = &b.pairs[size_t(tile) * 128];
    for (unsigned row = 0; row < 16; ++row) {
      __m256i *at = reinterpret_cast<__m256i *>(c + tile * 128 + row * 8);
      __m256i sum = _mm256_setzero_si256();
      for (unsigned i = 0; i < 16; ++i)
        sum = _mm256_add_epi32(
            sum, _mm256_madd_epi16(
                     _mm256_set1_epi32(a.pairs[row * 16 + i]),
                     _mm256_loadu_si256(
                         reinterpret_cast<const __m256i *>(columns + i * 8))));
      __m256i old = _mm256_loadu_si256(at);
      __m256i total = _mm256_add_epi32(old, sum);
      if (saturate) {
        // Both of one sign, and the result of the other.
        __m256i wrapped =
            _mm256_srai_epi32(_mm256_and_si256(_mm256_xor_si256(old, total),
                                               _mm256_xor_si256(sum, total)),
                              31);
        __m256i limit = _mm256_xor_si256(_mm256_srai_epi32(old, 31),
                                         _mm256_set1_epi32(0x7fffffff));
        total = _mm256_blendv_epi8(total, limit, wrapped);
      }
      _mm256_storeu_si256(at, total);
    }
  }
}

/// Bits: counts the positions that are one in both.
void multiplyBits(const WarpgroupRows &a, const WarpgroupColumns &b, unsigned n,
                  uint32_t *c) {
  for (unsigned column = 0; column < n; ++column)
    for (unsigned row = 0; row < 16; ++row) {
      uint32_t sum = 0;
      for (unsigned i = 0; i < 8; ++i)
        sum += uint32_t(std::popcount(
            uint32_t(a.pairs[row * 8 + i] & b.pairs[column * 8 + i])));
      c[column / 8 * 128 + row * 8 + column % 8] += sum;
    }
}

} // namespace

void flash::emu::multiplyRows(const DotSpec &spec, const WarpgroupTypes &types,
                              const WarpgroupRows &a, const WarpgroupColumns &b,
                              unsigned n, uint32_t *c) {
  if (types.bits == 1)
    return multiplyBits(a, b, n, c);
  if (types.integer)
    return multiplyIntegers(types.saturate, a, b, n, c);
  float *floats = reinterpret_cast<float *>(c);
  switch (types.bits) {
  case 8:
    return multiplyFloats<32>(spec, types.halfResult, a, b, n, floats);
  case 16:
    return multiplyFloats<16>(spec, types.halfResult, a, b, n, floats);
  default:
    return multiplyFloats<8>(spec, types.halfResult, a, b, n, floats);
  }
}
