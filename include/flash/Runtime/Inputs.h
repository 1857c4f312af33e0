//===- Inputs.h - Seeded inputs in awkward memory ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes the q, k, v, o and lse of a run: what flash-run's --seed, --init,
// --q-scale, --strides and --poison ask for.
//
// Values come from a counter-based generator and from arithmetic that IEEE 754
// fixes, so a seed means the same bits on every machine, and a tensor's
// logical values do not depend on how it is laid out.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_INPUTS_H
#define FLASH_RUNTIME_INPUTS_H

#include "flash/Runtime/AttentionSpec.h"
#include "flash/Runtime/StridedArray.h"

#include <array>
#include <optional>
#include <string_view>

namespace flash::runtime {

/// What q, k and v hold.
enum class InitKind : uint8_t {
  /// N(0, 1), independent.
  Normal,
  /// Every element is the same value.
  Const,
  /// The row maximum jumps by `value`, in log2 units of the softmax's
  /// exponent, at every tile of `tile` keys. Even query rows jump when tiles
  /// are visited in ascending order, odd rows when visited in descending
  /// order, so a kernel sees jumps whichever way it walks K. Within a tile all
  /// other scores lie below its maximum, which is its first key. v is N(0, 1).
  Jump,
};

/// `--init`: "normal", "const" (1), "const:X", "jump:X" or "jump:X:TILE".
struct InitSpec {
  InitKind kind = InitKind::Normal;
  double value = 1.0;
  int64_t tile = 64;

  static Result<InitSpec> parse(std::string_view text);
};

/// `--strides`: how q, k, v, o and lse lie in memory. Row means (b, h, s).
enum class StrideStyle : uint8_t {
  /// "contiguous": dense, in the order of the spec's layout.
  Contiguous,
  /// "padded": gaps after every row, sequence and head, all of 16 bytes and
  /// more, so that rows stay 16-byte aligned.
  Padded,
  /// "transposed": the other layout (BSHD for bhsd and the reverse).
  Transposed,
  /// "innermost": neighbours in s are adjacent, the head dim is strided.
  Innermost,
  /// "unaligned": rows and base start at odd element offsets.
  Unaligned,
  /// "align4", "align8": rows and base are aligned to 4 or 8 bytes, no more.
  Align4,
  Align8,
  /// "huge": dense, but every dimension of size 1 has a stride of 2^40.
  Huge,
};

Result<StrideStyle> parseStrideStyle(std::string_view text);
std::string_view name(StrideStyle style);

struct InputOptions {
  uint64_t seed = 0;
  InitSpec init;
  /// q is multiplied by this before it is rounded to its type.
  double qScale = 1.0;
  StrideStyle strides = StrideStyle::Contiguous;
  /// Fill everything that is not a logical element of q, k or v with NaN, and
  /// append `kPoisonTailRows` such rows past the end (and a few before the
  /// start), so that reads past sk land on NaN and not outside the allocation.
  bool poisonNaN = false;
  /// Of an 8-bit spec: whether q, k and v come with the scales of their heads.
  /// Without, the values that are drawn are themselves rounded to the type.
  std::array<bool, 3> hasDescale = {true, true, true};
};

inline constexpr int64_t kPoisonTailRows = 256;

/// The operands of one run. q [B,Hq,Sq,D], k [B,Hkv,Sk,D], v [B,Hkv,Sk,Dv],
/// o [B,Hq,Sq,Dv] in the spec's dtypes, lse [B,Hq,Sq] in f32. o and lse start as
/// NaN everywhere, padding included, so that an element never written shows,
/// and so does a write into the padding (see `countPaddingWrites`).
struct ProblemArrays {
  StridedArray q, k, v, o, lse;
  /// Of 8-bit specs: f32, [B, Hq] or [B, Hkv], dense. The values that are drawn
  /// are divided by their head's largest magnitude over the largest number of
  /// the dtype (448, 57344), rounded to nearest even; these are the divisors. None
  /// of an operand that is asked for without.
  std::optional<StridedArray> qDescale, kDescale, vDescale;
};

/// Makes the operands. Refuses allocations over 4 GiB each, and jumps that the
/// dtype cannot represent (8-bit ones: none at all).
Result<ProblemArrays> makeInputs(const AttentionSpec &spec, const Sizes &sizes,
                                 const InputOptions &options);

/// An array of logical shape [B, H, S, D] or [B, H, S] in the given style,
/// every byte of the allocation filled with NaN.
Result<StridedArray> allocateArray(DType dtype, std::vector<int64_t> shape,
                                   Layout layout, StrideStyle style,
                                   bool poisonTail);

/// A captured array of any rank in the given style; what is no logical element
/// is NaN (0 where the type has none).
Result<StridedArray> allocateCapture(DType dtype, std::vector<int64_t> shape,
                                     StrideStyle style);

/// Fills the logical elements with N(0, 1) * factor. Element number i in
/// row-major order depends on (seed, stream, i) alone.
void fillNormal(StridedArray &array, uint64_t seed, uint64_t stream,
                double factor = 1.0);

/// Elements of padding that differ between two states of one array: writes
/// outside the logical elements.
int64_t countPaddingWrites(const StridedArray &before,
                           const StridedArray &after);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_INPUTS_H
