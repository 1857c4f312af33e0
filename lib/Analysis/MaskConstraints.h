//===- MaskConstraints.h - Affine constraints of a mask region ---*- C++
//-*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H
#define FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H

#include "flash/Analysis/MaskAnalysis.h"

namespace mlir::flash {

/// An affine form: coefficients of q and k (rows of Q and K, without offsets),
/// one per symbol (absent ones are 0), and a constant.
struct AffineForm {
  int64_t q = 0;
  int64_t k = 0;
  SmallVector<int64_t> symbols;
  int64_t constant = 0;

  /// Adds `factor * other`; false where a number gets too large to keep all
  /// later arithmetic within 64 bits.
  bool add(const AffineForm &other, int64_t factor);
  static AffineForm symbol(unsigned index);
};

/// `form >= 0`, or `form == 0`.
struct AffineConstraint {
  AffineForm form;
  bool equality = false;
};

/// A conjunction. Where not `exact`, further conditions were left out.
struct MaskConjunction {
  SmallVector<AffineConstraint> constraints;
  bool exact = true;
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
MaskConjunction readMask(Region &mask, MaskRanges &ranges);

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_MASKCONSTRAINTS_H
