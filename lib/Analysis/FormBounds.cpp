//===- FormBounds.cpp - Bounds of affine forms ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FormBounds.h"

#include "MaskConstraints.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::flash;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Sums of terms below this are exact.
static constexpr double kExact = 0x1p52;

/// Largest value of factor * x, for low <= x <= high.
static double largest(int64_t factor, double low, double high) {
  if (factor == 0)
    return 0;
  double value = factor * (factor > 0 ? high : low);
  return std::abs(value) < kExact ? value : kInfinity;
}

double FormBounds::upperOf(const AffineForm &form) const {
  const double last = MaskSymbol::kSizeLimit - 1;
  double result = double(form.constant) + largest(form.q, 0, last) +
                  largest(form.k, 0, last);
  for (auto [index, factor] : llvm::enumerate(form.symbols)) {
    bool isSize = index == kQueries || index == kKeys;
    double limit = symbols[index].limit;
    result += largest(factor, isSize ? 0 : -limit, limit);
  }
  for (auto [index, factor] : llvm::enumerate(form.divisions)) {
    if (factor == 0)
      continue;
    const FloorDivision &division = divisions[index];
    double low = std::floor(lower(division.numerator) / division.divisor);
    double high = std::floor(upper(division.numerator) / division.divisor);
    result += largest(factor, low, high);
  }
  return std::abs(result) < kExact ? result : kInfinity;
}

double FormBounds::upper(const AffineForm &form) const {
  double result = kInfinity;
  // q is at most sq - 1, which may cancel against sq; k likewise.
  for (bool replaceQ : {false, true})
    for (bool replaceK : {false, true}) {
      if ((replaceQ && form.q <= 0) || (replaceK && form.k <= 0))
        continue;
      AffineForm other = form;
      bool fits = true;
      auto replace = [&](int64_t &factor, const AffineForm &size) {
        int64_t times = std::exchange(factor, 0);
        fits &=
            other.add(size, times) && other.add(AffineForm::literal(-1), times);
      };
      if (replaceQ)
        replace(other.q, queriesForm(tiling));
      if (replaceK)
        replace(other.k, keysForm(tiling));
      if (fits)
        result = std::min(result, upperOf(other));
    }
  return result;
}

double FormBounds::lower(const AffineForm &form) const {
  AffineForm negated;
  return negated.add(form, -1) ? -upper(negated) : -kInfinity;
}

bool FormBounds::fits(const AffineForm &form, unsigned width) const {
  double limit = std::ldexp(1.0, width - 1);
  return lower(form) >= -limit && upper(form) < limit;
}

bool FormBounds::survivesLimits(const AffineForm &form) const {
  // The one number that is cut off, its factor, and what all else adds up to.
  std::optional<unsigned> number;
  bool isSingle = true;
  double factor = 0, rest = 0;
  auto visit = [&](auto &&self, const AffineForm &part, double times) -> void {
    const double size = MaskSymbol::kSizeLimit;
    rest += std::abs(times) *
            (std::abs(double(part.q)) * size + std::abs(double(part.k)) * size +
             std::abs(double(part.constant)));
    for (auto [index, coefficient] : llvm::enumerate(part.symbols)) {
      if (coefficient == 0)
        continue;
      if (symbols[index].limit != MaskSymbol::kNumberLimit) {
        rest += std::abs(times * coefficient) * symbols[index].limit;
        continue;
      }
      isSingle &= number.value_or(index) == index;
      number = index;
      factor += times * coefficient;
    }
    for (auto [index, coefficient] : llvm::enumerate(part.divisions)) {
      if (coefficient == 0)
        continue;
      // Rounding down changes a quotient by less than one.
      const FloorDivision &division = divisions[index];
      rest += std::abs(times * coefficient);
      self(self, division.numerator, times * coefficient / division.divisor);
    }
  };
  visit(visit, form, 1);
  // Where the number exceeds its limit, it alone decides the sign; by a factor
  // of two, for what these sums have rounded.
  return !number ||
         (isSingle && std::abs(factor) * MaskSymbol::kNumberLimit > 2 * rest);
}
