//===- MaskUnion.cpp - Unions of conjunctions -----------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskUnion.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::flash;

void mlir::flash::addConstraint(MaskConjunction &conjunction,
                                const AffineConstraint &constraint) {
  if (llvm::is_contained(conjunction.constraints, constraint))
    return;
  if (conjunction.constraints.size() < kMaxConstraints)
    conjunction.constraints.push_back(constraint);
  else
    conjunction.exact = false;
}

void mlir::flash::addDifference(MaskConjunction &conjunction,
                                const AffineForm &left, const AffineForm &right,
                                int64_t slack, bool equality) {
  AffineConstraint constraint{left, equality};
  if (constraint.form.add(right, -1) &&
      constraint.form.add(AffineForm::literal(slack), 1))
    addConstraint(conjunction, constraint);
  else
    conjunction.exact = false;
}

MaskConjunction mlir::flash::both(const MaskConjunction &left,
                                  const MaskConjunction &right) {
  MaskConjunction result = left;
  result.exact = left.exact && right.exact;
  for (const AffineConstraint &constraint : right.constraints)
    addConstraint(result, constraint);
  return result;
}

/// Every constraint of `wide` is one of `narrow`, which it therefore contains.
static bool contains(const MaskConjunction &wide,
                     const MaskConjunction &narrow) {
  return llvm::all_of(wide.constraints, [&](const AffineConstraint &item) {
    return llvm::is_contained(narrow.constraints, item);
  });
}

void mlir::flash::addConjunction(MaskUnion &sets, MaskConjunction added) {
  for (MaskConjunction &known : sets)
    if (contains(known, added)) {
      known.exact |= added.exact && contains(added, known);
      return;
    }
  llvm::erase_if(sets, [&](const MaskConjunction &known) {
    return contains(added, known);
  });
  sets.push_back(std::move(added));
}
