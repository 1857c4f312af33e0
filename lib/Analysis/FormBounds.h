//===- FormBounds.h - Bounds of affine forms --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// How large a form can get, and whether cutting its symbols off at their limits
// may change the sign of one.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_FORMBOUNDS_H
#define FLASH_LIB_ANALYSIS_FORMBOUNDS_H

#include "AffineForm.h"
#include "flash/Analysis/MaskAnalysis.h"

namespace mlir::flash {

/// Bounds over all 0 <= q < sq, 0 <= k < sk and all values of the symbols.
class FormBounds {
public:
  /// All arguments outlive the object, and may grow.
  FormBounds(const MaskTiling &tiling, const SmallVector<MaskSymbol> &symbols,
             const SmallVector<FloorDivision> &divisions)
      : tiling(tiling), symbols(symbols), divisions(divisions) {}

  /// No value of the form is above this; infinity where nothing is known.
  /// Exact arithmetic: what would need more than 52 bits is infinity.
  double upper(const AffineForm &form) const;
  double lower(const AffineForm &form) const;
  bool isNonNegative(const AffineForm &form) const { return lower(form) >= 0; }
  /// Every value of the form is one of a signed integer of `width` bits.
  bool fits(const AffineForm &form, unsigned width) const;

  /// True where a number of any size in place of a symbol that is cut off at
  /// MaskSymbol::kNumberLimit leaves form >= 0 and form == 0 as they are. Not
  /// so for the difference of two such symbols, or for the rest of a division.
  bool survivesLimits(const AffineForm &form) const;

private:
  double upperOf(const AffineForm &form) const;

  const MaskTiling &tiling;
  const SmallVector<MaskSymbol> &symbols;
  const SmallVector<FloorDivision> &divisions;
};

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_FORMBOUNDS_H
