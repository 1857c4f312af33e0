//===- AffineForm.cpp - Affine forms of queries and keys ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AffineForm.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash;

/// Limit of every coefficient and constant. Bounds are divided and multiplied
/// by tile sizes (< 2^10) and evaluated on indices below 2^31.
static constexpr int64_t kLimit = int64_t(1) << 40;

static bool accumulate(int64_t &mine, int64_t theirs, int64_t factor) {
  int64_t product, sum;
  if (llvm::MulOverflow(theirs, factor, product) ||
      llvm::AddOverflow(mine, product, sum) || sum <= -kLimit || sum >= kLimit)
    return false;
  mine = sum;
  return true;
}

static bool accumulateAll(SmallVector<int64_t> &mine, ArrayRef<int64_t> theirs,
                          int64_t factor) {
  if (mine.size() < theirs.size())
    mine.resize(theirs.size(), 0);
  for (auto [index, coefficient] : llvm::enumerate(theirs))
    if (!accumulate(mine[index], coefficient, factor))
      return false;
  return true;
}

bool AffineForm::add(const AffineForm &other, int64_t factor) {
  return accumulate(q, other.q, factor) && accumulate(k, other.k, factor) &&
         accumulate(constant, other.constant, factor) &&
         accumulateAll(divisions, other.divisions, factor) &&
         accumulateAll(symbols, other.symbols, factor);
}

/// Equal but for zeros at the end.
static bool isSame(ArrayRef<int64_t> left, ArrayRef<int64_t> right) {
  if (left.size() > right.size())
    std::swap(left, right);
  return left == right.take_front(left.size()) &&
         llvm::all_of(right.drop_front(left.size()),
                      [](int64_t value) { return value == 0; });
}

bool AffineForm::operator==(const AffineForm &other) const {
  return q == other.q && k == other.k && constant == other.constant &&
         isSame(divisions, other.divisions) && isSame(symbols, other.symbols);
}

AffineForm AffineForm::symbol(unsigned index) {
  AffineForm form;
  form.symbols.resize(index + 1, 0);
  form.symbols[index] = 1;
  return form;
}

AffineForm AffineForm::division(unsigned index) {
  AffineForm form;
  form.divisions.resize(index + 1, 0);
  form.divisions[index] = 1;
  return form;
}

AffineForm AffineForm::literal(int64_t value) {
  AffineForm form;
  form.constant = value;
  return form;
}
