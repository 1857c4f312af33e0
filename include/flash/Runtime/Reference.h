//===- Reference.h - Attention in float64 on the host -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What every kernel is compared with. For each (b, h, q), with p = q + Sk - Sq
// and hk = h / (Hq / Hkv):
//
//   s[k] = scale * (q . k)
//   s[k] = score(b, h, q, k, s[k])       if there is a score function
//   s[k] += slope[h] * (k - p)           if alibi
//   s[k] = c * tanh(s[k] / c)            if softcap
//   s[k] = -inf                          where a mask hides k
//   o = sum_k exp(s[k] - m) v[k] / l,  l = sum_k exp(s[k] - m),  m = max s
//   lse = m + log(l)                     natural log
//
// A row with every s[k] = -inf is dead: o = 0, lse = -inf.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_REFERENCE_H
#define FLASH_RUNTIME_REFERENCE_H

#include "flash/Runtime/AttentionSpec.h"
#include "flash/Runtime/StridedArray.h"

#include <functional>
#include <span>
#include <vector>

namespace flash::runtime {

/// Rewrites the scores of keys k0, k0 + 1, ... of row (b, h, q) in place.
/// Called from several threads at once.
using ScoreFn = std::function<void(int64_t b, int64_t h, int64_t q, int64_t k0,
                                   std::span<double> s)>;

/// Clears live[i] where key k0 + i is hidden from row (b, h, q); leaves the
/// others alone. Called from several threads at once.
using MaskFn = std::function<void(int64_t b, int64_t h, int64_t q, int64_t k0,
                                  std::span<uint8_t> live)>;

/// The meaning of one attention, all sizes known.
struct ReferenceProblem {
  Sizes sizes;
  double scale = 1.0;
  Causal causal = Causal::None;
  std::optional<Window> window;
  std::optional<int64_t> prefix;
  std::optional<int64_t> chunk;
  std::optional<int64_t> sink;
  std::optional<double> softcap;
  bool alibi = false;
  ScoreFn score;
  MaskFn mask;

  /// What the elements of each head are to be multiplied by: [B, Hq] for q, [B,
  /// Hkv] for k and v, row-major; empty for 1.
  std::vector<double> queryScales, keyScales, valueScales;

  static ReferenceProblem fromSpec(const AttentionSpec &spec,
                                   const Sizes &sizes);

  /// True if the masks given as values (not `mask`) let row q see key k.
  bool isLive(int64_t q, int64_t k) const;
};

/// Row-major o [B, Hq, Sq, Dv] and lse [B, Hq, Sq].
struct ReferenceResult {
  Sizes sizes;
  std::vector<double> o;
  std::vector<double> lse;
  /// The largest finite |v|, without the scales of heads.
  double largestValue = 0;
};

/// The types a kernel rounds to on its way.
struct LowPrecision {
  /// Of P before the second product: v's type.
  DType p = DType::BF16;
  /// Of o: q's type.
  DType o = DType::BF16;
};

/// Computes in f64. `threads` 0 takes every core.
ReferenceResult computeReference(const ReferenceProblem &problem,
                                 const StridedArray &q, const StridedArray &k,
                                 const StridedArray &v, unsigned threads = 0);

/// The same with s, softmax and accumulation in f32, P rounded before the
/// second product and o at the end: the error a correct kernel cannot avoid.
ReferenceResult computeLowReference(const ReferenceProblem &problem,
                                    const StridedArray &q,
                                    const StridedArray &k,
                                    const StridedArray &v, LowPrecision low,
                                    unsigned threads = 0);

/// ALiBi's slopes: 2^(-8(h+1)/H) for H a power of two. Otherwise, as published,
/// those of the power of two N below H, followed by every other slope of 2N.
std::vector<double> alibiSlopes(int64_t heads);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_REFERENCE_H
