//===- MaskConstraints.h - Affine form of a mask region ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A mask region as a union of conjunctions of affine constraints, and its
// negation likewise. Both are read off the region, because what cannot be read
// may be true as well as false: it widens the one and the other.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H
#define FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H

#include "flash/Analysis/MaskAnalysis.h"

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

/// A conjunction. Where not `exact`, further conditions were left out.
struct MaskConjunction {
  SmallVector<AffineConstraint> constraints;
  bool exact = true;
};
using MaskUnion = SmallVector<MaskConjunction, 1>;

/// numerator floordiv divisor, an integer d with
/// divisor * d <= numerator <= divisor * d + divisor - 1; the divisor is
/// positive, and the numerator holds no division of a higher number.
struct FloorDivision {
  AffineForm numerator;
  int64_t divisor;
};

/// Where the mask may hold, and where it may fail.
struct MaskFormula {
  MaskUnion holds, fails;
  SmallVector<FloorDivision> divisions;
};

/// Numbers of the symbols that every analysis has, in this order.
enum FixedSymbol : unsigned {
  kFirstQuery,
  kQueries,
  kKeys,
  kAlignment,
  kOffsetQ,
  kOffsetK,
  kNumFixedSymbols
};

/// Rows of Q and of K as forms: constants where static.
AffineForm queriesForm(const MaskTiling &tiling);
AffineForm keysForm(const MaskTiling &tiling);

/// Reads the region; appends the region's symbols and the remarks to `ranges`,
/// whose `tiling` and fixed symbols are set.
MaskFormula readMask(Region &mask, MaskRanges &ranges);

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H
