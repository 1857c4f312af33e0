//===- Check.h - The tolerance contract -------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A result passes if all of this holds:
//  (a) max|o - ref| <= tolerance, where tolerance =
//        2 max|ref_low - ref| + 2 max|((ref + 0.3) - 0.3) - ref|,
//      the sums in the last term rounded to o's type: how finely that type
//      resolves values of the output's size. Where o is f32, 2^-21 max|v| is
//      added: ex2.approx.ftz.f32 is within 2 ulp, 2^-22 of its value (PTX ISA,
//      "ex2"), and weights off by that move their average of v by at most
//      2^-22 max|v - o|. Narrower types of o are coarser than this;
//  (b) for every row, ||o - ref|| <= rowTolerance * ||ref||, or ||o - ref|| is
//      at most 2^-24 sqrt(Dv) (one step of f16's subnormals per element). One
//      maximum over everything cannot see a lost tile in a long causal row,
//      whose values are small;
//  (c) |lse - ref| <= 1e-3;
//  (d) a dead row is exactly o = 0 and lse = -inf, and nothing else is NaN or
//      infinite where the reference is finite.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_CHECK_H
#define FLASH_RUNTIME_CHECK_H

#include "flash/Runtime/Reference.h"

#include <string>

namespace flash::runtime {

struct CheckReport {
  bool pass = true;
  /// Infinite or NaN if the output is where the reference is not.
  double maxAbsErr = 0;
  double tolerance = 0;
  double maxRowRelErr = 0;
  double rowTolerance = 0;
  double lseMaxAbsErr = 0;
  /// One entry per kind of failure, naming the worst element's (b, h, q) and
  /// how many elements or rows fail alike.
  std::vector<std::string> errors;
};

inline constexpr double kLseTolerance = 1e-3;

/// Bound (b) on a row's relative error for results computed in `dtype`: 0.01
/// bf16, 0.002 f16 and tf32, 1e-5 f32, 0.06 e4m3, 0.12 e5m2 (P has 3 and 2
/// mantissa bits there); docs/Rationale/Tolerances.md derives them.
double rowTolerance(DType dtype);

/// Compares o [B, Hq, Sq, Dv] and lse [B, Hq, Sq] with `reference`. `dtype` is
/// the type of q, k and v; `o.dtype` that of the output.
CheckReport checkAttention(const StridedArray &o, const StridedArray &lse,
                           const ReferenceResult &reference,
                           const ReferenceResult &low, DType dtype);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_CHECK_H
