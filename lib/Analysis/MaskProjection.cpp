//===- MaskProjection.cpp - Key tiles of a conjunction --------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskProjection.h"

#include "mlir/Analysis/Presburger/Simplex.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;
using llvm::DynamicAPInt;
using presburger::IntegerPolyhedron;
using presburger::PresburgerSpace;
using presburger::VarKind;

/// Most rows between two steps, and most quotients that become symbols.
static constexpr unsigned kMaxRows = 96;
static constexpr unsigned kMaxQuotients = 12;

/// Most pairs of bounds that are looked at to tell whether an integer lies
/// between them.
static constexpr uint64_t kMaxPairs = 64;
/// Bounds are evaluated in 64 bits, with some of them added up.
static constexpr double kMaxMagnitude = 0x1p61;

static std::optional<int64_t> narrow(const DynamicAPInt &value) {
  if (abs(value) > DynamicAPInt(int64_t(1) << 60))
    return std::nullopt;
  return int64fromDynamicAPInt(value);
}

//===----------------------------------------------------------------------===//
// Polyhedra
//===----------------------------------------------------------------------===//

/// A row over (q, k, tile, divisions, symbols, 1).
SmallVector<int64_t> MaskProjection::column(const AffineForm &form,
                                            int64_t tile) const {
  SmallVector<int64_t> result{form.q, form.k, tile};
  llvm::append_range(result, form.divisions);
  result.resize(getNumDims(), 0);
  llvm::append_range(result, form.symbols);
  result.resize(getNumDims() + numSymbols + quotients.size(), 0);
  result.push_back(form.constant);
  return result;
}

static AffineForm difference(const AffineForm &left, const AffineForm &right,
                             int64_t constant) {
  AffineForm result = left;
  result.add(right, -1);
  result.constant += constant;
  return result;
}

static AffineForm dimension(bool isKey) {
  AffineForm form;
  (isKey ? form.k : form.q) = 1;
  return form;
}

/// 0 <= q0 < sq and sk >= 0, the definitions of the quotients; q0 is a multiple
/// of the tile, which matters where sq is known.
void MaskProjection::addContext(IntegerPolyhedron &set,
                                unsigned numDims) const {
  auto add = [&](ArrayRef<int64_t> symbols, int64_t constant,
                 int64_t factor = 1, std::optional<unsigned> more = {},
                 int64_t coefficient = 0) {
    SmallVector<int64_t> row(numDims, 0);
    for (int64_t value : symbols)
      row.push_back(factor * value);
    row.resize(numDims + numSymbols + quotients.size(), 0);
    if (more)
      row[numDims + *more] += coefficient;
    row.push_back(factor * constant);
    set.addInequality(row);
  };
  auto addForm = [&](const AffineForm &form) {
    add(form.symbols, form.constant);
  };
  AffineForm q0 = AffineForm::symbol(kFirstQuery);
  addForm(q0);
  addForm(keysForm(tiling));
  if (tiling.queries) {
    int64_t lastTile = (*tiling.queries - 1) / tiling.tileQ * tiling.tileQ;
    addForm(difference(AffineForm::literal(lastTile), q0, 0));
  } else {
    addForm(difference(queriesForm(tiling), q0, -1));
  }
  for (auto [index, item] : llvm::enumerate(quotients)) {
    const TileRow &numerator = item.numerator;
    unsigned number = numSymbols + index;
    add(numerator.symbols, numerator.constant, 1, number, -item.divisor);
    add(numerator.symbols, numerator.constant - item.divisor + 1, -1, number,
        item.divisor);
  }
}

IntegerPolyhedron MaskProjection::box(bool inKeys) const {
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(
      getNumDims(), numSymbols + quotients.size()));
  AffineForm q = dimension(false), k = dimension(true);
  AffineForm q0 = AffineForm::symbol(kFirstQuery);
  auto add = [&](const AffineForm &form, int64_t tile = 0) {
    set.addInequality(column(form, tile));
  };
  add(difference(q, q0, 0));
  add(difference(q0, q, tiling.tileQ - 1));
  add(difference(queriesForm(tiling), q, -1));
  add(k, -tiling.tileK);
  add(difference(AffineForm(), k, tiling.tileK - 1), tiling.tileK);
  if (inKeys)
    addKeys(set);
  return set;
}

void MaskProjection::addKeys(IntegerPolyhedron &set) const {
  AffineForm k = dimension(true);
  set.addInequality(column(k));
  set.addInequality(column(difference(keysForm(tiling), k, -1)));
}

void MaskProjection::addConstraints(IntegerPolyhedron &set,
                                    const MaskConjunction &conjunction) const {
  // The divisions that matter, those in numerators included.
  SmallVector<bool> used(divisions.size(), false);
  auto use = [&](const AffineForm &form) {
    for (auto [index, coefficient] : llvm::enumerate(form.divisions))
      used[index] = used[index] || coefficient != 0;
  };
  for (const AffineConstraint &constraint : conjunction.constraints) {
    use(constraint.form);
    if (constraint.equality)
      set.addEquality(column(constraint.form));
    else
      set.addInequality(column(constraint.form));
  }
  for (unsigned index = divisions.size(); index-- > 0;) {
    if (!used[index])
      continue;
    auto [numerator, divisor] = divisions[index];
    use(numerator);
    AffineForm rest = numerator, complement;
    rest.add(AffineForm::division(index), -divisor);
    complement.add(rest, -1);
    complement.constant += divisor - 1;
    set.addInequality(column(rest));
    set.addInequality(column(complement));
  }
}

bool MaskProjection::isEmptyInContext(IntegerPolyhedron set) const {
  addContext(set, set.getNumDimVars());
  return set.isEmptyByGCDTest() || presburger::Simplex(set).isEmpty();
}

bool MaskProjection::isEmptyPastKeys(const MaskConjunction &conjunction) const {
  IntegerPolyhedron set = box(/*inKeys=*/false);
  set.addInequality(column(difference(dimension(true), keysForm(tiling), 0)));
  addConstraints(set, conjunction);
  return isEmptyInContext(std::move(set));
}

//===----------------------------------------------------------------------===//
// Projection
//===----------------------------------------------------------------------===//

double MaskProjection::magnitude(const TileRow &row) const {
  double result = std::abs(double(row.constant));
  for (auto [number, factor] : llvm::enumerate(row.symbols)) {
    if (factor == 0)
      continue;
    double limit;
    if (number < numSymbols) {
      limit = symbols[number].limit;
    } else {
      const Quotient &item = quotients[number - numSymbols];
      limit = magnitude(item.numerator) / item.divisor + 1;
    }
    result += std::abs(double(factor)) * limit;
  }
  return result;
}

/// The number of the symbol that is `numerator` floordiv `divisor`.
std::optional<unsigned> MaskProjection::quotient(const TileRow &numerator,
                                                 int64_t divisor) {
  auto trimmed = [](ArrayRef<int64_t> values) {
    while (!values.empty() && values.back() == 0)
      values = values.drop_back();
    return values;
  };
  for (auto [index, known] : llvm::enumerate(quotients))
    if (known.divisor == divisor &&
        known.numerator.constant == numerator.constant &&
        trimmed(known.numerator.symbols) == trimmed(numerator.symbols))
      return numSymbols + index;
  if (quotients.size() == kMaxQuotients)
    return std::nullopt;
  quotients.push_back({numerator, divisor});
  return numSymbols + quotients.size() - 1;
}

/// Rounds inequalities of one variable that is not the tile.
void MaskProjection::roundBounds(IntegerPolyhedron &set, unsigned tile) {
  unsigned numDims = set.getNumDimVars();
  for (unsigned i = 0; i < set.getNumInequalities();) {
    unsigned current = i++;
    std::optional<unsigned> variable;
    bool isSingle = true;
    for (unsigned dim = 0; dim < numDims; ++dim)
      if (set.atIneq(current, dim) != 0) {
        isSingle &= !variable.has_value() && dim != tile;
        variable = dim;
      }
    if (!variable || !isSingle)
      continue;
    std::optional<int64_t> coefficient = narrow(set.atIneq(current, *variable));
    if (!coefficient || std::abs(*coefficient) == 1)
      continue;
    // a * x + f >= 0 is x >= (-f + a - 1) floordiv a; -a * x + f >= 0 is
    // x <= f floordiv a.
    int64_t divisor = std::abs(*coefficient);
    TileRow numerator;
    bool fits = true;
    for (unsigned column = numDims; column < set.getNumCols(); ++column) {
      std::optional<int64_t> value = narrow(set.atIneq(current, column));
      fits &= value.has_value() && std::abs(*value) < (int64_t(1) << 50);
      numerator.symbols.push_back(value.value_or(0));
    }
    if (!fits)
      continue;
    numerator.constant = numerator.symbols.pop_back_val();
    const bool isLower = *coefficient > 0;
    if (isLower) {
      for (int64_t &value : numerator.symbols)
        value = -value;
      numerator.constant = divisor - 1 - numerator.constant;
    }
    if (llvm::all_of(numerator.symbols,
                     [&](int64_t value) { return value % divisor == 0; }))
      continue; // The library rounds the constant.
    if (magnitude(numerator) > kMaxMagnitude)
      continue;
    std::optional<unsigned> number = quotient(numerator, divisor);
    if (!number)
      continue;
    while (set.getNumSymbolVars() < numSymbols + quotients.size())
      set.appendVar(VarKind::Symbol);
    SmallVector<int64_t> row(set.getNumCols(), 0);
    row[*variable] = isLower ? 1 : -1;
    row[numDims + *number] = isLower ? -1 : 1;
    set.removeInequality(current);
    set.addInequality(row);
    i = current;
  }
}

/// True where every point of `set` has an integer in place of its `dim`, which
/// no equality holds: the bounds a * x >= f and b * x <= g leave one between
/// them where a * g - b * f >= (a - 1) * (b - 1), for each pair of them (the
/// "dark shadow" of the Omega test).
bool MaskProjection::alwaysHasInteger(const IntegerPolyhedron &set,
                                      unsigned dim) const {
  SmallVector<unsigned> lower, upper;
  for (unsigned i = 0; i < set.getNumInequalities(); ++i) {
    DynamicAPInt factor = set.atIneq(i, dim);
    if (factor > 1)
      lower.push_back(i);
    else if (factor < -1)
      upper.push_back(i);
  }
  if (uint64_t(lower.size()) * upper.size() > kMaxPairs)
    return false;
  for (unsigned low : lower)
    for (unsigned high : upper) {
      DynamicAPInt a = set.atIneq(low, dim), b = -set.atIneq(high, dim);
      SmallVector<DynamicAPInt> narrow;
      for (unsigned column = 0; column < set.getNumCols(); ++column)
        narrow.push_back(-a * set.atIneq(high, column) -
                         b * set.atIneq(low, column));
      narrow.back() += (a - 1) * (b - 1) - 1;
      IntegerPolyhedron gap = set;
      gap.addInequality(narrow);
      if (!isEmptyInContext(std::move(gap)))
        return false;
    }
  return true;
}

/// Of a dimension that no row has with a coefficient of 1.
Exactness MaskProjection::getExactness(const IntegerPolyhedron &set,
                                       unsigned dim, unsigned tile) const {
  for (unsigned i = 0; i < set.getNumEqualities(); ++i)
    if (set.atEq(i, dim) != 0)
      return Exactness::Superset;
  if (alwaysHasInteger(set, dim))
    return Exactness::Exact;
  // All tiles but that which reaches past the last key.
  IntegerPolyhedron whole = set;
  SmallVector<int64_t> row(set.getNumCols(), 0);
  AffineForm keys = keysForm(tiling);
  row[tile] = -tiling.tileK;
  for (auto [index, factor] : llvm::enumerate(keys.symbols))
    row[set.getNumDimVars() + index] = factor;
  row.back() = keys.constant - tiling.tileK;
  whole.addInequality(row);
  return alwaysHasInteger(whole, dim) ? Exactness::ButLastTile
                                      : Exactness::Superset;
}

std::pair<unsigned, Exactness>
MaskProjection::chooseDim(const IntegerPolyhedron &set, unsigned tile) const {
  // Variables whose rows have coefficients of 1 (or are in an equality) are
  // eliminated exactly; among those, that which makes the fewest rows.
  SmallVector<std::pair<uint64_t, unsigned>> others;
  std::optional<unsigned> best;
  uint64_t bestCost = std::numeric_limits<uint64_t>::max();
  for (unsigned dim = 0; dim < set.getNumDimVars(); ++dim) {
    if (dim == tile)
      continue;
    uint64_t lower = 0, upper = 0;
    bool unitLower = true, unitUpper = true;
    for (unsigned i = 0; i < set.getNumInequalities(); ++i) {
      DynamicAPInt value = set.atIneq(i, dim);
      if (value > 0) {
        ++lower;
        unitLower &= value == 1;
      } else if (value < 0) {
        ++upper;
        unitUpper &= value == -1;
      }
    }
    bool unitEquality = false, otherEquality = false;
    for (unsigned i = 0; i < set.getNumEqualities(); ++i) {
      DynamicAPInt factor = abs(set.atEq(i, dim));
      unitEquality |= factor == 1;
      otherEquality |= factor > 1;
    }
    uint64_t cost = unitEquality ? 0 : lower * upper;
    if (!unitEquality && (otherEquality || !(unitLower || unitUpper))) {
      others.push_back({cost, dim});
    } else if (cost < bestCost) {
      bestCost = cost;
      best = dim;
    }
  }
  if (best)
    return {*best, Exactness::Exact};
  llvm::sort(others);
  std::pair<unsigned, Exactness> result(others.front().second,
                                        Exactness::Superset);
  for (auto [cost, dim] : others) {
    Exactness exactness = getExactness(set, dim, tile);
    if (exactness < result.second)
      result = {dim, exactness};
    if (exactness == Exactness::Exact)
      break;
  }
  return result;
}

void MaskProjection::eliminate(IntegerPolyhedron &set, unsigned tile,
                               TileSet &result) {
  while (set.getNumDimVars() > 1) {
    roundBounds(set, tile);
    auto [dim, lost] = chooseDim(set, tile);
    result.exactness = std::max(result.exactness, lost);
    set.projectOut(dim);
    if (dim < tile)
      --tile;
    set.removeTrivialRedundancy();
    if (set.getNumInequalities() > 24) {
      // Of an empty set every row follows from the others: what is left of it
      // need not show that it is empty.
      result.empty = set.isEmpty();
      if (result.empty)
        return;
      set.removeRedundantInequalities();
    }
    if (set.getNumInequalities() > kMaxRows) {
      result.failure = "needs more than " + std::to_string(kMaxRows) +
                       " inequalities between two steps of the projection";
      return;
    }
  }
}

TileSet MaskProjection::project(const MaskConjunction &conjunction, bool inKeys,
                                bool anywhere) {
  TileSet result;
  IntegerPolyhedron set = box(inKeys);
  addConstraints(set, conjunction);
  IntegerPolyhedron probe = set;
  if (!inKeys && !anywhere)
    addKeys(probe);
  if (isEmptyInContext(std::move(probe))) {
    result.empty = true;
    return result;
  }
  if (!conjunction.exact)
    result.exactness = Exactness::Superset;
  eliminate(set, kTile, result);
  if (!result.failure.empty() || result.empty)
    return result;
  bool fits = true;
  auto take = [&](ArrayRef<DynamicAPInt> values, int64_t sign) {
    TileRow row;
    for (auto [index, value] : llvm::enumerate(values)) {
      std::optional<int64_t> number = narrow(value);
      fits &= number.has_value();
      int64_t signedNumber = sign * number.value_or(0);
      if (index == 0)
        row.tile = signedNumber;
      else if (index + 1 == values.size())
        row.constant = signedNumber;
      else
        row.symbols.push_back(signedNumber);
    }
    fits &= magnitude(row) < kMaxMagnitude;
    (row.tile > 0   ? result.lower
     : row.tile < 0 ? result.upper
                    : result.conditions)
        .push_back(std::move(row));
  };
  for (unsigned i = 0; i < set.getNumInequalities(); ++i)
    take(set.getInequality(i), 1);
  for (unsigned i = 0; i < set.getNumEqualities(); ++i) {
    take(set.getEquality(i), 1);
    take(set.getEquality(i), -1);
  }
  // What is redundant over the integers need not follow from what a rational
  // projection leaves. That no tile lies past the keys must: loops rely on it.
  if (inKeys) {
    AffineForm last = keysForm(tiling);
    TileRow row{-tiling.tileK, SmallVector<int64_t>(last.symbols),
                last.constant - 1};
    if (llvm::none_of(result.upper, [&](const TileRow &known) {
          return implies(known, row);
        }))
      result.upper.push_back(std::move(row));
  }
  // Over the integers an elimination may find what the probe did not.
  result.empty = llvm::any_of(result.conditions, [](const TileRow &row) {
    return row.constant < 0 &&
           llvm::all_of(row.symbols, [](int64_t value) { return value == 0; });
  });
  if (!fits)
    result.failure = "has numbers that are too large";
  return result;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TileRow MaskProjection::negated(const TileRow &row) {
  TileRow result = row;
  result.tile = -row.tile;
  for (int64_t &value : result.symbols)
    value = -value;
  result.constant = -row.constant - 1;
  return result;
}

bool MaskProjection::implies(ArrayRef<TileRow> rows,
                             ArrayRef<TileRow> any) const {
  IntegerPolyhedron set(
      PresburgerSpace::getSetSpace(1, numSymbols + quotients.size()));
  addContext(set, 1);
  auto add = [&](const TileRow &row) {
    SmallVector<int64_t> values{row.tile};
    llvm::append_range(values, row.symbols);
    values.resize(1 + numSymbols + quotients.size(), 0);
    values.push_back(row.constant);
    set.addInequality(values);
  };
  for (const TileRow &row : rows)
    add(row);
  for (const TileRow &row : any)
    add(negated(row));
  return presburger::Simplex(set).isEmpty();
}

AffineExpr MaskProjection::symbol(unsigned number) const {
  if (number < numSymbols)
    return getAffineSymbolExpr(number, context);
  const Quotient &item = quotients[number - numSymbols];
  return expression(item.numerator, 1).floorDiv(item.divisor);
}

AffineExpr MaskProjection::expression(const TileRow &row, int64_t sign) const {
  AffineExpr result = getAffineConstantExpr(0, context);
  for (auto [number, coefficient] : llvm::enumerate(row.symbols))
    if (coefficient != 0)
      result = result + symbol(number) * (sign * coefficient);
  return result + sign * row.constant;
}

AffineExpr MaskProjection::firstTile(const TileRow &row) const {
  // a * T + f >= 0: T >= ceil(-f / a).
  return (expression(row, -1) + (row.tile - 1)).floorDiv(row.tile);
}

AffineExpr MaskProjection::lastTile(const TileRow &row) const {
  // -a * T + f >= 0: T <= floor(f / a).
  return expression(row, 1).floorDiv(-row.tile);
}
