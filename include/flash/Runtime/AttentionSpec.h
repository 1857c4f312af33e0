//===- AttentionSpec.h - One attention problem as a line of text -*- C++
//-*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// SPEC is what `--attention=` of flashc and flash-run takes and what the
// manifest records: comma-separated keys, in any order, each at most once.
//
//   key      value                    default      meaning
//   b        N | ?                    1            batch
//   hq       N | ?                    1            query heads
//   hkv      N | hq/N                 hq           key and value heads
//   sq, sk   N | ?                    required     query and key lengths
//   d        N                        required     head dim of q and k
//   dv       N                        d            head dim of v and o
//   dtype    f16 bf16 f32 tf32 e4m3 e5m2  required  of q, k, v; see outputDType
//   mask     none causal causal_tl    none         causal aligns bottom-right,
//                                                  causal_tl top-left
//   window   L:R, -1 = unbounded      none         p-L <= k <= p+R
//   prefix   N                        none         k < N or causal
//   chunk    N                        none         floor(p/N) = floor(k/N)
//   sink     N                        none         k < N escapes window's L
//   softcap  X > 0                    none         s = X tanh(s / X)
//   scale    X                        1/sqrt(d)
//   alibi    (no value)               off
//   layout   bhsd bshd                bhsd         storage order of q, k, v, o
//   lse      (no value)               off          also produce log-sum-exp
//
// With e4m3 and e5m2, d and dv are multiples of 16, and q, k and v stand for
// their elements times a scale per head (q_descale, k_descale, v_descale).
//
// with p = q + sk - sq; the causal of `prefix` is k <= p. Masks given together
// are and-ed, so `prefix` with `mask=causal` is plain causal; `prefix` alone is
// the prefix mask.
//
// `?` is a size known only at run time. The ratio hq/hkv is static by contract,
// so hkv is never `?`: with hq=? it is written as a share of hq, `hkv=hq/4`
// (hkv=hq, the default, is ratio 1). `hq/N` is also accepted with a static hq.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_ATTENTIONSPEC_H
#define FLASH_RUNTIME_ATTENTIONSPEC_H

#include "flash/Runtime/DType.h"
#include "flash/Runtime/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace flash::runtime {

/// A size that is only known at run time.
inline constexpr int64_t kDynamic = -1;

/// Where the diagonal of the causal mask is anchored.
enum class Causal : uint8_t { None, BottomRight, TopLeft };

/// Storage order of q, k, v and o. The logical order is always [B, H, S, D].
enum class Layout : uint8_t { BHSD, BSHD };

/// k in [p - left, p + right], p = q + sk - sq; a side of -1 is unbounded.
struct Window {
  int64_t left = -1;
  int64_t right = -1;
  bool operator==(const Window &) const = default;
};

/// The sizes of one problem, all known. Every one is >= 1 and at most 2^31 - 1,
/// as kernels take sizes as i32; hq is a multiple of hkv.
struct Sizes {
  int64_t b = 1, hq = 1, hkv = 1, sq = 1, sk = 1, d = 0, dv = 0;
  bool operator==(const Sizes &) const = default;
};

/// What attention to compute. `b`, `hq`, `sq` and `sk` may be `kDynamic`;
/// `hkv` is `kDynamic` exactly where `hq` is; `group` = hq / hkv is always
/// known.
struct AttentionSpec {
  int64_t b = 1;
  int64_t hq = 1;
  int64_t hkv = 1;
  int64_t group = 1;
  int64_t sq = 0;
  int64_t sk = 0;
  int64_t d = 0;
  int64_t dv = 0;
  DType dtype = DType::F16;
  Causal causal = Causal::None;
  std::optional<Window> window;
  std::optional<int64_t> prefix;
  std::optional<int64_t> chunk;
  std::optional<int64_t> sink;
  std::optional<double> softcap;
  /// As written; see `effectiveScale`.
  std::optional<double> scale;
  bool alibi = false;
  Layout layout = Layout::BHSD;
  bool lse = false;

  /// Parses SPEC. An error names the key, what was given, what is allowed, and
  /// the column of the offending key or value.
  static Result<AttentionSpec> parse(std::string_view text);

  /// Canonical SPEC: parse(toString()) yields an equal spec.
  std::string toString() const;

  /// Of o: dtype, but f32 for tf32 (whose arrays are f32) and bf16 for e4m3 and
  /// e5m2, as FlashAttention-3 has it: an output has no scale yet.
  DType outputDType() const;

  /// Whether q, k and v come with a scale per head: e4m3 and e5m2.
  bool hasDescales() const;

  /// `scale`, or 1/sqrt(d).
  double effectiveScale() const;

  /// True if some size is `kDynamic`.
  bool isDynamic() const;

  /// The sizes to run at. `text` is a comma-separated list of b=, hq=, hkv=,
  /// sq=, sk= that must give every dynamic size but hkv, which follows from
  /// `group`; a static size may be repeated but not changed. Empty is legal for
  /// a static spec.
  Result<Sizes> resolveSizes(std::string_view text) const;

  bool operator==(const AttentionSpec &) const = default;
};

} // namespace flash::runtime

#endif // FLASH_RUNTIME_ATTENTIONSPEC_H
