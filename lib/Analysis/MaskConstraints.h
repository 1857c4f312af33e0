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

#include "MaskUnion.h"
#include "flash/Analysis/MaskAnalysis.h"

namespace mlir::flash {

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
