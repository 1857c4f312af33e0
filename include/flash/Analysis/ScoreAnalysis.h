//===- ScoreAnalysis.h - What a score region does to a score ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_ANALYSIS_SCOREANALYSIS_H
#define FLASH_ANALYSIS_SCOREANALYSIS_H

#include "flash/Dialect/Flash/IR/Flash.h"

#include <optional>

namespace mlir::flash {

/// c where `op`'s score region is proved to yield c * s for every element: the
/// score is only multiplied by constants (of the region, or captured ones),
/// divided by them and negated. 1 without a score region. Nothing for all other
/// regions, also for those that multiply by what is known at run time only, and
/// where a partial product leaves [2^-64, 2^64] in magnitude: there the region
/// could overflow or lose bits where one factor does not.
///
/// Such a region commutes with the maximum of a row where c is positive, and is
/// one factor of the exponent together with the scale.
std::optional<double> getScoreFactor(AttentionOp op);

} // namespace mlir::flash

#endif // FLASH_ANALYSIS_SCOREANALYSIS_H
