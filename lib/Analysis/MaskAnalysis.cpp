//===- MaskAnalysis.cpp - Live and full key tiles of a mask ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The polyhedra of MaskAnalysis.h, projected and turned into bounds.
//
//===----------------------------------------------------------------------===//

#include "MaskConstraints.h"

#include "mlir/Analysis/Presburger/IntegerRelation.h"
#include "mlir/Analysis/Presburger/Simplex.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;
using presburger::IntegerPolyhedron;
using presburger::PresburgerSpace;

namespace {

/// Columns of the polyhedra: the dimensions, then the symbols, then 1.
enum Dim : unsigned { kQ, kK, kTile, kNumDims };

/// One row over (tile, symbols..., 1) of a projected polyhedron: >= 0.
using Row = SmallVector<int64_t>;

/// A projected polyhedron, taken apart.
struct TileSet {
  bool empty = false;
  /// False where a number does not fit 64 bits.
  bool valid = true;
  /// Rows with a positive (negative, zero) coefficient of the tile.
  SmallVector<Row> lower, upper, conditions;
};

class RangeBuilder {
public:
  RangeBuilder(MaskRanges &ranges, const MaskConjunction &mask)
      : ranges(ranges), mask(mask), numSymbols(ranges.symbols.size()) {}

  void build();

private:
  Row row(const AffineForm &form, int64_t tileCoefficient = 0) const;
  /// The polyhedron over (q, k, tile) of one query tile's elements. `inKeys`
  /// adds k < sk.
  IntegerPolyhedron box(bool inKeys) const;
  void addContext(IntegerPolyhedron &set) const;
  TileSet project(IntegerPolyhedron set) const;

  /// True where every tile that `row` allows is allowed by `other`, for all
  /// symbols of the context.
  bool implies(const Row &row, const Row &other) const;
  /// Drops the rows that another row implies; all bound the tile on the same
  /// side. Of two comparable ones that which binds most survives or, with
  /// `keepWeakest`, that which binds least.
  void dropDominated(SmallVector<Row> &rows, bool keepWeakest) const;
  void dropImpliedConditions(TileSet &set) const;

  AffineExpr expression(const Row &row, int64_t sign) const;
  /// First tile that a lower row allows, and last tile that an upper one does.
  AffineExpr firstTile(const Row &row) const;
  AffineExpr lastTile(const Row &row) const;

  void buildLive();
  void buildFull();
  bool isNeverFull() const;
  bool hidesKeysPastEnd() const;
  void addFailing(const AffineForm &form);

  MaskRanges &ranges;
  /// Rows of the failing sets that one bound describes: full are the tiles
  /// above the last tile of `failingUpTo`, below the first of `failingFrom`.
  SmallVector<Row> failingUpTo, failingFrom;
  const MaskConjunction &mask;
  unsigned numSymbols;
  MLIRContext *context = nullptr;

  friend MaskRanges mlir::flash::analyzeMask(Region &, const MaskTiling &);
};

} // namespace

//===----------------------------------------------------------------------===//
// Polyhedra
//===----------------------------------------------------------------------===//

/// A row over (q, k, tile, symbols, 1).
static SmallVector<int64_t> fullRow(const AffineForm &form, int64_t tile,
                                    unsigned numSymbols) {
  SmallVector<int64_t> result{form.q, form.k, tile};
  llvm::append_range(result, form.symbols);
  result.resize(kNumDims + numSymbols, 0);
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

static AffineForm dimension(Dim dim) {
  AffineForm form;
  (dim == kQ ? form.q : form.k) = 1;
  return form;
}

/// What holds in every kernel: 0 <= q0 < sq and sk >= 0; q0 is a multiple of
/// the tile, which matters where sq is known.
void RangeBuilder::addContext(IntegerPolyhedron &set) const {
  const MaskTiling &tiling = ranges.tiling;
  AffineForm q0 = AffineForm::symbol(kFirstQuery);
  auto add = [&](const AffineForm &form) {
    set.addInequality(fullRow(form, 0, numSymbols));
  };
  add(q0);
  add(keysForm(tiling));
  if (tiling.queries) {
    AffineForm lastTile;
    lastTile.constant = (*tiling.queries - 1) / tiling.tileQ * tiling.tileQ;
    add(difference(lastTile, q0, 0));
  } else {
    add(difference(queriesForm(tiling), q0, -1));
  }
}

IntegerPolyhedron RangeBuilder::box(bool inKeys) const {
  const MaskTiling &tiling = ranges.tiling;
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(kNumDims, numSymbols));
  AffineForm q = dimension(kQ), k = dimension(kK);
  AffineForm q0 = AffineForm::symbol(kFirstQuery);
  auto add = [&](const AffineForm &form, int64_t tile = 0) {
    set.addInequality(fullRow(form, tile, numSymbols));
  };
  add(difference(q, q0, 0));
  add(difference(q0, q, tiling.tileQ - 1));
  add(difference(queriesForm(tiling), q, -1));
  add(k, -tiling.tileK);
  add(difference(AffineForm(), k, tiling.tileK - 1), tiling.tileK);
  if (inKeys) {
    add(k);
    add(difference(keysForm(tiling), k, -1));
  }
  return set;
}

TileSet RangeBuilder::project(IntegerPolyhedron set) const {
  TileSet result;
  {
    IntegerPolyhedron inContext = set;
    addContext(inContext);
    if (inContext.isEmptyByGCDTest() ||
        presburger::Simplex(inContext).isEmpty()) {
      result.empty = true;
      return result;
    }
  }
  set.projectOut(0, kTile);
  auto take = [&](ArrayRef<llvm::DynamicAPInt> values, int64_t sign) {
    Row row;
    for (const llvm::DynamicAPInt &value : values) {
      if (abs(value) > llvm::DynamicAPInt(int64_t(1) << 60)) {
        result.valid = false;
        return;
      }
      row.push_back(sign * int64fromDynamicAPInt(value));
    }
    (row[0] > 0   ? result.lower
     : row[0] < 0 ? result.upper
                  : result.conditions)
        .push_back(std::move(row));
  };
  for (unsigned i = 0; i < set.getNumInequalities(); ++i)
    take(set.getInequality(i), 1);
  for (unsigned i = 0; i < set.getNumEqualities(); ++i) {
    take(set.getEquality(i), 1);
    take(set.getEquality(i), -1);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Simplification: what the context, or another bound, implies
//===----------------------------------------------------------------------===//

/// The projected row with the columns of q and k again.
static SmallVector<int64_t> widen(const Row &row) {
  SmallVector<int64_t> result(kTile, 0);
  llvm::append_range(result, row);
  return result;
}

/// Its negation over the integers, -row - 1 >= 0.
static SmallVector<int64_t> negated(const Row &row) {
  SmallVector<int64_t> result = widen(row);
  for (int64_t &value : result)
    value = -value;
  result.back() -= 1;
  return result;
}

bool RangeBuilder::implies(const Row &row, const Row &other) const {
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(kNumDims, numSymbols));
  addContext(set);
  set.addInequality(widen(row));
  set.addInequality(negated(other));
  return presburger::Simplex(set).isEmpty();
}

void RangeBuilder::dropDominated(SmallVector<Row> &rows,
                                 bool keepWeakest) const {
  for (unsigned i = 0; i < rows.size();) {
    bool dominated = false;
    for (unsigned j = 0; j < rows.size() && !dominated; ++j)
      if (i != j)
        dominated =
            keepWeakest ? implies(rows[i], rows[j]) : implies(rows[j], rows[i]);
    if (dominated)
      rows.erase(rows.begin() + i);
    else
      ++i;
  }
}

/// Drops the conditions that hold in the context, or wherever the bounds leave
/// any tile.
void RangeBuilder::dropImpliedConditions(TileSet &set) const {
  llvm::erase_if(set.conditions, [&](const Row &condition) {
    IntegerPolyhedron negation(
        PresburgerSpace::getSetSpace(kNumDims, numSymbols));
    addContext(negation);
    for (const SmallVector<Row> &rows : {set.lower, set.upper})
      for (const Row &row : rows)
        negation.addInequality(widen(row));
    negation.addInequality(negated(condition));
    return presburger::Simplex(negation).isEmpty();
  });
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

/// The part of `row` without the tile, times `sign`.
AffineExpr RangeBuilder::expression(const Row &row, int64_t sign) const {
  AffineExpr result = getAffineConstantExpr(0, context);
  for (unsigned i = 0; i < numSymbols; ++i)
    result = result + getAffineSymbolExpr(i, context) * (sign * row[1 + i]);
  return result + sign * row.back();
}

AffineExpr RangeBuilder::firstTile(const Row &row) const {
  // a * T + f >= 0: T >= ceil(-f / a).
  return (expression(row, -1) + (row[0] - 1)).floorDiv(row[0]);
}

AffineExpr RangeBuilder::lastTile(const Row &row) const {
  // -a * T + f >= 0: T <= floor(f / a).
  return expression(row, 1).floorDiv(-row[0]);
}

void RangeBuilder::buildLive() {
  IntegerPolyhedron set = box(/*inKeys=*/true);
  for (const AffineConstraint &constraint : mask.constraints) {
    SmallVector<int64_t> row = fullRow(constraint.form, 0, numSymbols);
    if (constraint.equality)
      set.addEquality(row);
    else
      set.addInequality(row);
  }
  TileSet live = project(set);
  AffineExpr zero = getAffineConstantExpr(0, context);
  if (live.empty) {
    ranges.hi.groups.push_back({zero});
    return;
  }
  if (!live.valid) {
    ranges.exact = false;
    live = project(box(/*inKeys=*/true));
  }
  dropDominated(live.lower, /*keepWeakest=*/false);
  dropDominated(live.upper, /*keepWeakest=*/false);
  dropImpliedConditions(live);
  for (const Row &row : live.lower)
    if (AffineExpr bound = firstTile(row); bound != zero)
      ranges.lo.groups.push_back({bound});
  for (const Row &row : live.upper)
    ranges.hi.groups.push_back({lastTile(row) + 1});
  for (const Row &row : live.conditions)
    ranges.live.groups.push_back({expression(row, 1)});
}

/// Takes the tiles where `form >= 0` fails for some element out of the full
/// range.
void RangeBuilder::addFailing(const AffineForm &form) {
  AffineExpr zero = getAffineConstantExpr(0, context);
  AffineForm negation = difference(AffineForm(), form, -1);
  IntegerPolyhedron set = box(/*inKeys=*/false);
  set.addInequality(fullRow(negation, 0, numSymbols));
  TileSet failing = project(set);
  if (failing.empty)
    return;
  // One inequality bounds k, and with it the tile, on one side only.
  bool isHalfLine = failing.lower.empty() || failing.upper.empty();
  if (!failing.valid || !isHalfLine) {
    ranges.fullHi.groups.push_back({zero});
    return;
  }
  dropImpliedConditions(failing);
  if (!failing.upper.empty()) {
    // Failing up to the smallest of the bounds: full from the tile behind it.
    dropDominated(failing.upper, /*keepWeakest=*/false);
    if (failing.upper.size() == 1) {
      failingUpTo.push_back(failing.upper.front());
      return;
    }
    SmallVector<AffineExpr, 1> &group = ranges.fullLo.groups.emplace_back();
    for (const Row &row : failing.upper)
      group.push_back(lastTile(row) + 1);
    return;
  }
  if (!failing.lower.empty()) {
    dropDominated(failing.lower, /*keepWeakest=*/false);
    if (failing.lower.size() == 1) {
      failingFrom.push_back(failing.lower.front());
      return;
    }
    SmallVector<AffineExpr, 1> &group = ranges.fullHi.groups.emplace_back();
    for (const Row &row : failing.lower)
      group.push_back(firstTile(row));
    return;
  }
  // The same for every tile: full where one of the conditions does not hold.
  if (failing.conditions.empty()) {
    ranges.fullHi.groups.push_back({zero});
    return;
  }
  SmallVector<AffineExpr, 1> &group = ranges.full.groups.emplace_back();
  for (const Row &row : failing.conditions)
    group.push_back(expression(row, -1) - 1);
}

void RangeBuilder::buildFull() {
  auto setNeverFull = [&] {
    ranges.neverFull = true;
    ranges.fullLo.groups.clear();
    ranges.fullHi.groups = {{getAffineConstantExpr(0, context)}};
  };
  if (!ranges.exact)
    return setNeverFull();
  // k < sk is one more inequality of the mask.
  addFailing(difference(keysForm(ranges.tiling), dimension(kK), -1));
  for (const AffineConstraint &constraint : mask.constraints) {
    addFailing(constraint.form);
    if (constraint.equality)
      addFailing(difference(AffineForm(), constraint.form, 0));
  }
  if (isNeverFull())
    return setNeverFull();
  // A tile is full where it lies outside of all half lines: the longest counts.
  dropDominated(failingUpTo, /*keepWeakest=*/true);
  dropDominated(failingFrom, /*keepWeakest=*/true);
  for (const Row &row : failingUpTo)
    ranges.fullLo.groups.push_back({lastTile(row) + 1});
  for (const Row &row : failingFrom)
    ranges.fullHi.groups.push_back({firstTile(row)});
}

/// No tile lies outside of all half lines.
bool RangeBuilder::isNeverFull() const {
  IntegerPolyhedron set(PresburgerSpace::getSetSpace(kNumDims, numSymbols));
  addContext(set);
  for (const SmallVector<Row> &rows : {failingUpTo, failingFrom})
    for (const Row &row : rows)
      set.addInequality(negated(row));
  return presburger::Simplex(set).isEmpty();
}

/// No element of the mask has q < sq and k >= sk.
bool RangeBuilder::hidesKeysPastEnd() const {
  IntegerPolyhedron set = box(/*inKeys=*/false);
  addContext(set);
  set.addInequality(fullRow(
      difference(dimension(kK), keysForm(ranges.tiling), 0), 0, numSymbols));
  for (const AffineConstraint &constraint : mask.constraints) {
    SmallVector<int64_t> row = fullRow(constraint.form, 0, numSymbols);
    if (constraint.equality)
      set.addEquality(row);
    else
      set.addInequality(row);
  }
  return presburger::Simplex(set).isEmpty();
}

void RangeBuilder::build() {
  buildLive();
  buildFull();
  ranges.boundsKeys = hidesKeysPastEnd();
}

MaskRanges mlir::flash::analyzeMask(Region &mask, const MaskTiling &tiling) {
  MaskRanges ranges;
  ranges.tiling = tiling;
  // Sizes are below 2^31; what is not would only overflow below.
  for (std::optional<int64_t> *size :
       {&ranges.tiling.queries, &ranges.tiling.keys})
    if (*size && **size > std::numeric_limits<int32_t>::max())
      *size = std::nullopt;
  using Kind = MaskSymbol::Kind;
  for (Kind kind : {Kind::FirstQuery, Kind::Queries, Kind::Keys,
                    Kind::Alignment, Kind::OffsetQ, Kind::OffsetK})
    ranges.symbols.push_back({kind, Value()});
  MaskConjunction conjunction = readMask(mask, ranges);
  ranges.exact = conjunction.exact;
  RangeBuilder builder(ranges, conjunction);
  builder.context = mask.getContext();
  builder.build();
  return ranges;
}

//===----------------------------------------------------------------------===//
// MaskRanges
//===----------------------------------------------------------------------===//

bool MaskRanges::growsWithQuery() const {
  auto reads = [](const TileBound &bound) {
    return llvm::any_of(bound.groups, [](ArrayRef<AffineExpr> group) {
      return llvm::any_of(group, [](AffineExpr expr) {
        return expr.isFunctionOfSymbol(kFirstQuery);
      });
    });
  };
  if (!reads(hi) || reads(lo))
    return false;
  // With a negative coefficient of q0 the range shrinks: look at its value at
  // two places, all other symbols alike.
  MLIRContext *context = hi.groups.front().front().getContext();
  auto at = [&](AffineExpr expr, int64_t q0) -> int64_t {
    SmallVector<AffineExpr> values(symbols.size(),
                                   getAffineConstantExpr(0, context));
    values[kFirstQuery] = getAffineConstantExpr(q0, context);
    AffineExpr value = simplifyAffineExpr(
        expr.replaceDimsAndSymbols({}, values), 0, symbols.size());
    return cast<AffineConstantExpr>(value).getValue();
  };
  return llvm::all_of(hi.groups, [&](ArrayRef<AffineExpr> group) {
    return llvm::all_of(group, [&](AffineExpr expr) {
      return at(expr, 0) <= at(expr, int64_t(1) << 20);
    });
  });
}
