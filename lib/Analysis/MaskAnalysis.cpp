//===- MaskAnalysis.cpp - Live and full key tiles of a mask ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The sets of MaskAnalysis.h as bounds.
//
//===----------------------------------------------------------------------===//

#include "TileIntervals.h"

#include <limits>

using namespace mlir;
using namespace mlir::flash;

namespace {

class RangeBuilder {
public:
  RangeBuilder(MaskRanges &ranges, const MaskFormula &formula, Location loc,
               MLIRContext *context)
      : ranges(ranges), formula(formula), loc(loc),
        space(ranges.tiling, ranges.symbols, formula.divisions, context),
        zero(getAffineConstantExpr(0, context)) {}

  void build();

private:
  TileBound lowerBound(const TileInterval &interval) const;
  TileBound upperBound(const TileInterval &interval) const;
  TileRange range(const TileInterval &interval) const;

  void buildLive();
  void buildFull();
  void addFailing(const MaskConjunction &conjunction, bool anywhere);
  void absorbHoles();
  bool isNeverFull() const;
  void setNeverFull();
  /// All tiles, in place of a set that there is none for.
  TileInterval all();
  void note(Exactness found, Exactness &known) {
    known = std::max(known, found);
  }
  void addExactnessRemarks();
  void remark(const Twine &text) {
    ranges.remarks.emplace_back(loc, ("mask: " + text).str());
  }

  MaskRanges &ranges;
  const MaskFormula &formula;
  Location loc;
  MaskProjection space;
  AffineExpr zero;
  /// Rows of the failing sets that one bound describes: full are the tiles
  /// above the last tile of `failingUpTo`, below the first of `failingFrom`.
  SmallVector<TileRow> failingUpTo, failingFrom;
  /// Failing sets with an end on either side, or with conditions.
  SmallVector<TileInterval, 0> holes;
  /// Of the live tiles, of all others that are not full but for `holes`.
  Exactness liveExactness = Exactness::Exact,
            failingExactness = Exactness::Exact;
  /// A remark tells why a set is larger than it could be.
  bool hasReason = false;
  bool isNeverLive = false;
};

} // namespace

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

TileBound RangeBuilder::lowerBound(const TileInterval &interval) const {
  TileBound bound;
  for (ArrayRef<TileRow> group : interval.lower) {
    SmallVector<AffineExpr, 1> &exprs = bound.groups.emplace_back();
    for (const TileRow &row : group)
      exprs.push_back(space.firstTile(row));
    if (exprs.size() == 1 && exprs.front() == zero)
      bound.groups.pop_back();
  }
  return bound;
}

TileBound RangeBuilder::upperBound(const TileInterval &interval) const {
  TileBound bound;
  for (ArrayRef<TileRow> group : interval.upper) {
    SmallVector<AffineExpr, 1> &exprs = bound.groups.emplace_back();
    for (const TileRow &row : group)
      exprs.push_back(space.lastTile(row) + 1);
  }
  return bound;
}

TileRange RangeBuilder::range(const TileInterval &interval) const {
  TileRange result{lowerBound(interval), upperBound(interval), {}};
  for (const TileRow &row : interval.conditions)
    result.condition.groups.push_back({space.expression(row, 1)});
  return result;
}

//===----------------------------------------------------------------------===//
// Live tiles
//===----------------------------------------------------------------------===//

TileInterval RangeBuilder::all() {
  TileSet set = space.project(MaskConjunction(), /*inKeys=*/true);
  set.exactness = Exactness::Superset;
  dropDominated(space, set.lower, /*keepWeakest=*/false);
  dropDominated(space, set.upper, /*keepWeakest=*/false);
  dropImpliedConditions(space, set);
  return TileInterval(set);
}

void RangeBuilder::buildLive() {
  SmallVector<TileInterval, 0> intervals;
  for (const MaskConjunction &conjunction : formula.holds) {
    TileSet set = space.project(conjunction, /*inKeys=*/true);
    if (set.empty)
      continue;
    if (!set.failure.empty()) {
      remark(set.failure + "; no tile is known to be dead");
      hasReason = true;
      intervals.push_back(all());
      continue;
    }
    dropDominated(space, set.lower, /*keepWeakest=*/false);
    dropDominated(space, set.upper, /*keepWeakest=*/false);
    dropImpliedConditions(space, set);
    intervals.emplace_back(set);
  }
  simplifyUnion(space, intervals);
  for (const TileInterval &interval : intervals)
    note(interval.exactness, liveExactness);
  if (intervals.size() > kMaxTileRanges) {
    remark("its live tiles are " + Twine(intervals.size()) +
           " ranges, more than " + Twine(kMaxTileRanges) +
           "; they are taken as one");
    note(Exactness::Superset, liveExactness);
    hasReason = true;
  }
  ranges.liveSorted = sortIntervals(space, intervals);
  for (const TileInterval &interval : intervals)
    ranges.live.push_back(range(interval));
  isNeverLive = ranges.live.empty();
  if (isNeverLive)
    ranges.live.push_back({{}, {{{zero}}}, {}});
}

//===----------------------------------------------------------------------===//
// Full tiles
//===----------------------------------------------------------------------===//

void RangeBuilder::setNeverFull() {
  ranges.neverFull = true;
  ranges.fullLo.groups.clear();
  ranges.fullHi.groups = {{zero}};
  ranges.full.groups.clear();
  ranges.holes.clear();
}

/// Takes the tiles that hold an element of `conjunction` out of the full range.
void RangeBuilder::addFailing(const MaskConjunction &conjunction,
                              bool anywhere) {
  TileSet failing = space.project(conjunction, /*inKeys=*/false, anywhere);
  if (failing.empty)
    return;
  if (!failing.failure.empty()) {
    remark(failing.failure + "; no tile is known to be full");
    hasReason = true;
    note(Exactness::Superset, failingExactness);
    ranges.fullHi.groups.push_back({zero});
    return;
  }
  dropDominated(space, failing.lower, /*keepWeakest=*/false);
  dropDominated(space, failing.upper, /*keepWeakest=*/false);
  dropImpliedConditions(space, failing);
  const bool hasLower = !failing.lower.empty(),
             hasUpper = !failing.upper.empty();
  // That of a hole counts where the hole remains.
  const bool isHole = (hasLower && hasUpper) ||
                      ((hasLower || hasUpper) && !failing.conditions.empty());
  if (!isHole)
    note(failing.exactness, failingExactness);
  if (!hasLower && !hasUpper) {
    // The same for every tile: full where one of the conditions does not hold.
    if (failing.conditions.empty()) {
      ranges.fullHi.groups.push_back({zero});
      return;
    }
    SmallVector<AffineExpr, 1> &group = ranges.full.groups.emplace_back();
    for (const TileRow &row : failing.conditions)
      group.push_back(space.expression(row, -1) - 1);
    return;
  }
  if (isHole) {
    holes.emplace_back(failing);
    return;
  }
  SmallVector<TileRow> &rows = hasLower ? failing.lower : failing.upper;
  if (rows.size() == 1) {
    (hasLower ? failingFrom : failingUpTo).push_back(rows.front());
    return;
  }
  // Failing up to the smallest of several bounds: full from the tile behind it.
  SmallVector<AffineExpr, 1> &group =
      (hasLower ? ranges.fullHi : ranges.fullLo).groups.emplace_back();
  for (const TileRow &row : rows)
    group.push_back(hasLower ? space.firstTile(row) : space.lastTile(row) + 1);
}

/// Drops the holes that lie in a failing half line, and makes half lines of
/// those that always meet one.
void RangeBuilder::absorbHoles() {
  auto impliedBy = [&](const TileInterval &hole, const TileRow &target) {
    auto doesImply = [&](ArrayRef<TileRow> group) {
      return llvm::all_of(group, [&](const TileRow &row) {
        return space.implies(row, target);
      });
    };
    return llvm::any_of(hole.lower, doesImply) ||
           llvm::any_of(hole.upper, doesImply);
  };
  auto meets = [&](const TileInterval::Groups &end, const TileRow &halfLine) {
    return llvm::all_of(end, [&](ArrayRef<TileRow> group) {
      SmallVector<TileRow> gap{MaskProjection::negated(halfLine)};
      for (const TileRow &row : group)
        gap.push_back(MaskProjection::negated(row));
      return space.implies(gap, {});
    });
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned i = 0; i < holes.size() && !changed; ++i) {
      TileInterval &hole = holes[i];
      for (bool isUpper : {false, true}) {
        SmallVector<TileRow> &rows = isUpper ? failingFrom : failingUpTo;
        // The end that a half line may swallow, and the one that remains.
        TileInterval::Groups &near = isUpper ? hole.upper : hole.lower;
        TileInterval::Groups &far = isUpper ? hole.lower : hole.upper;
        bool inside = llvm::any_of(
            rows, [&](const TileRow &row) { return impliedBy(hole, row); });
        bool isSimple = hole.conditions.empty() && far.size() == 1 &&
                        far.front().size() == 1;
        bool joins =
            !inside && isSimple && llvm::any_of(rows, [&](const TileRow &row) {
              return meets(near, row);
            });
        if (joins) {
          rows.push_back(far.front().front());
          note(hole.exactness, failingExactness);
        }
        changed = inside || joins;
        if (changed)
          break;
      }
      if (changed)
        holes.erase(holes.begin() + i);
    }
  }
}

/// No tile lies outside of all half lines.
bool RangeBuilder::isNeverFull() const {
  SmallVector<TileRow> outside;
  for (const SmallVector<TileRow> &rows : {failingUpTo, failingFrom})
    for (const TileRow &row : rows)
      outside.push_back(MaskProjection::negated(row));
  return space.implies(outside, {});
}

void RangeBuilder::buildFull() {
  // k < sk is one more inequality of the mask.
  MaskConjunction pastKeys;
  AffineConstraint &row = pastKeys.constraints.emplace_back();
  row.form.k = 1;
  row.form.add(keysForm(ranges.tiling), -1);
  addFailing(pastKeys, /*anywhere=*/true);
  for (const MaskConjunction &conjunction : formula.fails)
    addFailing(conjunction, /*anywhere=*/false);
  simplifyUnion(space, holes);
  absorbHoles();
  if (llvm::is_contained(ranges.fullHi.groups,
                         SmallVector<AffineExpr, 1>{zero}) ||
      isNeverFull())
    return setNeverFull();
  for (const TileInterval &hole : holes)
    note(hole.exactness, failingExactness);
  if (holes.size() >= kMaxTileRanges) {
    remark("its full tiles are " + Twine(holes.size() + 1) +
           " ranges, more than " + Twine(kMaxTileRanges) +
           "; all but the first and the last are left out");
    note(Exactness::Superset, failingExactness);
    hasReason = true;
  }
  // A tile is full where it lies outside of all half lines: the longest counts.
  dropDominated(space, failingUpTo, /*keepWeakest=*/true);
  dropDominated(space, failingFrom, /*keepWeakest=*/true);
  for (const TileRow &row : failingUpTo)
    ranges.fullLo.groups.push_back({space.lastTile(row) + 1});
  for (const TileRow &row : failingFrom)
    ranges.fullHi.groups.push_back({space.firstTile(row)});
  ranges.holesSorted = sortIntervals(space, holes);
  for (const TileInterval &hole : holes)
    ranges.holes.push_back(range(hole));
}

void RangeBuilder::addExactnessRemarks() {
  // Of no tiles nothing can be missed.
  if (isNeverLive)
    return;
  ranges.exact = liveExactness != Exactness::Superset &&
                 failingExactness != Exactness::Superset;
  auto isExact = [](const MaskConjunction &conjunction) {
    return conjunction.exact;
  };
  if (!ranges.exact) {
    // What the region does not say was named while it was read.
    hasReason |= !llvm::all_of(formula.holds, isExact) ||
                 !llvm::all_of(formula.fails, isExact);
    if (!hasReason)
      remark(liveExactness == Exactness::Superset
                 ? "its live tiles are no fixed number of ranges"
                 : "its full tiles are no fixed number of ranges");
    return;
  }
  // No tile that the last key cuts is full anyway.
  if (liveExactness == Exactness::ButLastTile)
    remark("the tile that the last key cuts is live wherever it would be with "
           "all of its keys");
}

void RangeBuilder::build() {
  buildLive();
  buildFull();
  addExactnessRemarks();
  ranges.boundsKeys =
      llvm::all_of(formula.holds, [&](const MaskConjunction &conjunction) {
        return space.isEmptyPastKeys(conjunction);
      });
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
    ranges.symbols.push_back({kind, Value(),
                              kind == Kind::Alignment ||
                                      kind == Kind::OffsetQ ||
                                      kind == Kind::OffsetK
                                  ? MaskSymbol::kOffsetLimit
                                  : MaskSymbol::kSizeLimit});
  MaskFormula formula = readMask(mask, ranges);
  Location loc =
      mask.empty() ? mask.getLoc() : mask.front().getTerminator()->getLoc();
  RangeBuilder(ranges, formula, loc, mask.getContext()).build();
  return ranges;
}

//===----------------------------------------------------------------------===//
// MaskRanges
//===----------------------------------------------------------------------===//

bool MaskRanges::growsWithQuery() const {
  auto any = [](const TileBound &bound, auto &&test) {
    return llvm::any_of(bound.groups, [&](ArrayRef<AffineExpr> group) {
      return llvm::any_of(group, test);
    });
  };
  auto readsQuery = [](AffineExpr expr) {
    return expr.isFunctionOfSymbol(kFirstQuery);
  };
  // With a negative coefficient of q0 the range shrinks: look at its value at
  // two places, all other symbols alike.
  auto shrinks = [&](AffineExpr expr) {
    auto at = [&](int64_t q0) {
      MLIRContext *context = expr.getContext();
      SmallVector<AffineExpr> values(symbols.size(),
                                     getAffineConstantExpr(0, context));
      values[kFirstQuery] = getAffineConstantExpr(q0, context);
      AffineExpr value = simplifyAffineExpr(
          expr.replaceDimsAndSymbols({}, values), 0, symbols.size());
      return cast<AffineConstantExpr>(value).getValue();
    };
    return at(0) > at(int64_t(1) << 20);
  };
  bool grows = false;
  for (const TileRange &range : live) {
    if (any(range.lo, readsQuery) || any(range.hi, shrinks))
      return false;
    grows |= any(range.hi, readsQuery);
  }
  return grows;
}
