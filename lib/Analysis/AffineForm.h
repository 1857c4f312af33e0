//===- AffineForm.h - Affine constraints of masks ------------- -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_AFFINEFORM_H
#define FLASH_LIB_ANALYSIS_AFFINEFORM_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace mlir::flash {

/// An affine form: coefficients of q and k (rows of Q and K, without offsets),
/// one per floor division and one per symbol (absent ones are 0), a constant.
struct AffineForm {
  int64_t q = 0;
  int64_t k = 0;
  SmallVector<int64_t> divisions;
  SmallVector<int64_t> symbols;
  int64_t constant = 0;

  /// Adds `factor * other`; false where a number gets too large to keep all
  /// later arithmetic within 64 bits.
  bool add(const AffineForm &other, int64_t factor);
  bool operator==(const AffineForm &other) const;
  static AffineForm symbol(unsigned index);
  static AffineForm division(unsigned index);
  static AffineForm literal(int64_t value);
};

/// `form >= 0`, or `form == 0`.
struct AffineConstraint {
  AffineForm form;
  bool equality = false;
  bool operator==(const AffineConstraint &other) const {
    return equality == other.equality && form == other.form;
  }
};

/// numerator floordiv divisor, an integer d with
/// divisor * d <= numerator <= divisor * d + divisor - 1; the divisor is
/// positive, and the numerator holds no division of a higher number.
struct FloorDivision {
  AffineForm numerator;
  int64_t divisor;
};

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_AFFINEFORM_H
