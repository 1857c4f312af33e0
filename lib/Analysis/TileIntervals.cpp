//===- TileIntervals.cpp - Unions of intervals of key tiles ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileIntervals.h"

using namespace mlir;
using namespace mlir::flash;
using Groups = TileInterval::Groups;

TileInterval::TileInterval(const TileSet &set)
    : conditions(set.conditions.begin(), set.conditions.end()),
      exactness(set.exactness) {
  for (const TileRow &row : set.lower)
    lower.push_back({row});
  for (const TileRow &row : set.upper)
    upper.push_back({row});
}

void mlir::flash::dropDominated(const MaskProjection &space,
                                SmallVector<TileRow> &rows, bool keepWeakest) {
  for (unsigned i = 0; i < rows.size();) {
    bool dominated = false;
    for (unsigned j = 0; j < rows.size() && !dominated; ++j)
      if (i != j)
        dominated = keepWeakest ? space.implies(rows[i], rows[j])
                                : space.implies(rows[j], rows[i]);
    if (dominated)
      rows.erase(rows.begin() + i);
    else
      ++i;
  }
}

void mlir::flash::dropImpliedConditions(const MaskProjection &space,
                                        TileSet &set) {
  SmallVector<TileRow> bounds(set.lower);
  llvm::append_range(bounds, set.upper);
  llvm::erase_if(set.conditions, [&](const TileRow &condition) {
    return space.implies(bounds, condition);
  });
}

/// The rows that hold for every tile of the interval.
static SmallVector<TileRow> commonRows(const TileInterval &interval) {
  SmallVector<TileRow> rows(interval.conditions.begin(),
                            interval.conditions.end());
  for (const Groups *groups : {&interval.lower, &interval.upper})
    for (ArrayRef<TileRow> group : *groups)
      if (group.size() == 1)
        rows.push_back(group.front());
  return rows;
}

static bool contains(const MaskProjection &space, const TileInterval &wide,
                     const TileInterval &narrow) {
  SmallVector<TileRow> rows = commonRows(narrow);
  auto holds = [&](ArrayRef<TileRow> group) {
    return space.implies(rows, group);
  };
  return llvm::all_of(wide.lower, holds) && llvm::all_of(wide.upper, holds) &&
         llvm::all_of(wide.conditions,
                      [&](const TileRow &row) { return holds(row); });
}

/// True where `left` bounds at least as much as `right`: every tile that all
/// groups of `left` allow is allowed by all of `right`.
static bool impliesAll(const MaskProjection &space, const Groups &left,
                       const Groups &right) {
  return llvm::all_of(right, [&](ArrayRef<TileRow> target) {
    return llvm::any_of(left, [&](ArrayRef<TileRow> source) {
      return llvm::all_of(source, [&](const TileRow &row) {
        return space.implies(row, target);
      });
    });
  });
}

static bool isSame(const MaskProjection &space, const Groups &left,
                   const Groups &right) {
  return impliesAll(space, left, right) && impliesAll(space, right, left);
}

/// (a and b) or (c and d) is (a or c) and (a or d) and (b or c) and (b or d);
/// groups that another one implies are dropped, as are rows within a group that
/// imply another one.
static Groups disjoin(const MaskProjection &space, const Groups &left,
                      const Groups &right) {
  Groups result;
  for (ArrayRef<TileRow> first : left)
    for (ArrayRef<TileRow> second : right) {
      SmallVector<TileRow> group(first);
      llvm::append_range(group, second);
      dropDominated(space, group, /*keepWeakest=*/true);
      auto implied = [&](ArrayRef<TileRow> known) {
        return llvm::all_of(known, [&](const TileRow &row) {
          return space.implies(row, group);
        });
      };
      if (llvm::any_of(result, implied))
        continue;
      llvm::erase_if(result, [&](ArrayRef<TileRow> known) {
        return llvm::all_of(group, [&](const TileRow &row) {
          return space.implies(row, known);
        });
      });
      result.emplace_back(group.begin(), group.end());
    }
  return result;
}

/// True where `right` begins nowhere behind the end of `left`, and neither
/// begins before `left` does nor ends before it: their union is then one
/// interval, even where one of them is empty.
static bool follows(const MaskProjection &space, const TileInterval &left,
                    const TileInterval &right) {
  if (!left.conditions.empty() || !right.conditions.empty() ||
      !impliesAll(space, right.lower, left.lower) ||
      !impliesAll(space, left.upper, right.upper))
    return false;
  // No tile lies behind `left` and before `right`.
  for (ArrayRef<TileRow> upper : left.upper)
    for (ArrayRef<TileRow> lower : right.lower) {
      SmallVector<TileRow> gap;
      for (const TileRow &row : upper)
        gap.push_back(MaskProjection::negated(row));
      for (const TileRow &row : lower)
        gap.push_back(MaskProjection::negated(row));
      if (!space.implies(gap, {}))
        return false;
    }
  return true;
}

static bool merge(const MaskProjection &space, TileInterval &left,
                  const TileInterval &right) {
  auto sameConditions = [&] { return left.conditions == right.conditions; };
  if (sameConditions() && isSame(space, left.lower, right.lower)) {
    left.upper = disjoin(space, left.upper, right.upper);
    return true;
  }
  if (sameConditions() && isSame(space, left.upper, right.upper)) {
    left.lower = disjoin(space, left.lower, right.lower);
    return true;
  }
  if (follows(space, left, right)) {
    left.upper = right.upper;
    return true;
  }
  if (follows(space, right, left)) {
    left.lower = right.lower;
    return true;
  }
  return false;
}

void mlir::flash::simplifyUnion(const MaskProjection &space,
                                SmallVectorImpl<TileInterval> &intervals) {
  for (unsigned i = 0; i < intervals.size();) {
    bool redundant = false;
    for (unsigned j = 0; j < intervals.size() && !redundant; ++j)
      redundant = i != j && contains(space, intervals[j], intervals[i]) &&
                  // Of two equal ones the more exact one stays.
                  (intervals[j].exactness <= intervals[i].exactness ||
                   !contains(space, intervals[i], intervals[j]));
    if (redundant)
      intervals.erase(intervals.begin() + i);
    else
      ++i;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned i = 0; i < intervals.size(); ++i)
      for (unsigned j = i + 1; j < intervals.size();)
        if (merge(space, intervals[i], intervals[j])) {
          intervals[i].exactness =
              std::max(intervals[i].exactness, intervals[j].exactness);
          intervals.erase(intervals.begin() + j);
          changed = true;
        } else {
          ++j;
        }
  }
}

bool mlir::flash::sortIntervals(const MaskProjection &space,
                                SmallVectorImpl<TileInterval> &intervals) {
  // Tiles below 0 do not exist.
  TileRow zero;
  zero.tile = 1;
  auto notBehind = [&](const TileInterval &first, const TileInterval &second) {
    Groups lower = second.lower;
    lower.push_back({zero});
    return impliesAll(space, lower, first.lower);
  };
  for (unsigned i = 0; i < intervals.size(); ++i) {
    unsigned least = i;
    for (; least < intervals.size(); ++least) {
      bool isLeast = true;
      for (unsigned j = i; j < intervals.size() && isLeast; ++j)
        isLeast = j == least || notBehind(intervals[least], intervals[j]);
      if (isLeast)
        break;
    }
    if (least == intervals.size())
      return false;
    std::swap(intervals[i], intervals[least]);
  }
  return true;
}
