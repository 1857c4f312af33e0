//===- MaskUnion.h - Unions of conjunctions ------------------- -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_ANALYSIS_MASKUNION_H
#define FLASH_LIB_ANALYSIS_MASKUNION_H

#include "AffineForm.h"

namespace mlir::flash {

/// Most constraints of a conjunction, since a projection may square their
/// number.
inline constexpr size_t kMaxConstraints = 16;

/// A conjunction. Where not `exact`, further conditions were left out.
struct MaskConjunction {
  SmallVector<AffineConstraint> constraints;
  bool exact = true;
};

/// A disjunction of conjunctions; none: nowhere.
using MaskUnion = SmallVector<MaskConjunction, 1>;

/// Adds a constraint once; what exceeds the limit is left out.
void addConstraint(MaskConjunction &conjunction,
                   const AffineConstraint &constraint);

/// Adds `left - right + slack >= 0`, or == 0.
void addDifference(MaskConjunction &conjunction, const AffineForm &left,
                   const AffineForm &right, int64_t slack = 0,
                   bool equality = false);

/// Where both hold.
MaskConjunction both(const MaskConjunction &left, const MaskConjunction &right);

/// Adds a conjunction unless another one contains it, and takes out those that
/// it contains.
void addConjunction(MaskUnion &sets, MaskConjunction added);

} // namespace mlir::flash

#endif // FLASH_LIB_ANALYSIS_MASKUNION_H
