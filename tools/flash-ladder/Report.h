//===- Report.h - The ladder as table, JSON and picture ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_LADDER_REPORT_H
#define FLASH_TOOLS_FLASH_LADDER_REPORT_H

#include "Level.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

namespace flash::ladder {

enum class TableStyle { Text, Markdown };

/// One column per level that has a kernel, one row per figure; then the levels
/// that have none, each with the reason; then what the figures are.
/// `withoutPtxas` leaves out every row whose figures ptxas has a part in.
void printTable(const Problem &problem, const std::vector<Level> &levels,
                TableStyle style, bool withoutPtxas, llvm::raw_ostream &os);

/// Everything, the model's constants and sources included, as one JSON object.
void printJson(const Problem &problem, const std::vector<Level> &levels,
               llvm::raw_ostream &os);

/// Energy over time, one labelled point per level, both axes logarithmic, with
/// the Pareto front drawn. Readable on light and dark backgrounds.
void printSvg(const Problem &problem, const std::vector<Level> &levels,
              llvm::raw_ostream &os);

/// Time in milliseconds and energy in millijoules of a level: measured where
/// it was, else modelled.
double timeOf(const Level &level);
double energyOf(const Level &level);

/// Whether some level was measured.
bool isMeasured(const std::vector<Level> &levels);

/// Levels that no other beats in both time and energy, fastest first.
std::vector<const Level *> paretoFront(const std::vector<Level> &levels);

/// Reads what python -m flash.bench wrote (docs/Packages.md) and gives it to
/// the levels. Returns what is wrong with the file, or "". Of the file it takes
///
///   {"board": "...", "kernels": [{"level": 9, "median_ms": 1.5,
///                                 "energy_j": 0.4, "spec": "...",
///                                 "sizes": {"sq": 4096, ...}}, ...]}
///
/// `energy_j`, joules of the board per call, may be missing or null. An entry
/// with a `spec` counts only if that is this problem.
std::string readMeasured(llvm::StringRef path, const Problem &problem,
                         std::vector<Level> &levels);

/// Times every level on the GPU at hand: the median of 100 calls, without
/// energy, which python -m flash.bench measures. Returns why it cannot, or "".
std::string measureOnCuda(const Problem &problem, std::vector<Level> &levels);

} // namespace flash::ladder

#endif // FLASH_TOOLS_FLASH_LADDER_REPORT_H
