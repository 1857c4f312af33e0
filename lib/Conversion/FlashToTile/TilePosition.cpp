//===- TilePosition.cpp - Indices and what fits 32 bits -------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileInliner.h"

#include <algorithm>

using namespace mlir;
using namespace mlir::flash;

void TileValue::setPosition(const TileValue &lhs, const TileValue &rhs,
                            int64_t sign) {
  alignments = lhs.alignments + sign * rhs.alignments;
  constant = lhs.constant + rhs.constant;
  isPosition = lhs.isPosition && rhs.isPosition &&
               std::abs(alignments) < kPositionLimit &&
               constant < kPositionLimit;
}

/// A position is linear in the indices and the sizes, so its extremes are at
/// the extremes of each: alignment = keys - queries, 0 <= q < queries and
/// 0 <= k < keys.
bool TileValue::fitsSizes() const {
  // By how much the largest sizes of all may be cut off.
  constexpr int64_t kConstantLimit = 1 << 20;
  if (!isPosition || constant > kConstantLimit || std::abs(rows) > 1 ||
      std::abs(columns) > 1)
    return false;
  auto [lowQ, highQ] = std::minmax({-alignments, rows - alignments});
  auto [lowK, highK] = std::minmax({alignments, columns + alignments});
  constexpr int64_t zero = 0;
  return std::max(highQ, zero) + std::max(highK, zero) <= 1 &&
         std::min(lowQ, zero) + std::min(lowK, zero) >= -1;
}
