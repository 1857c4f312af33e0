//===- Slice.h - A launch counted from a part of its grid -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_LADDER_SLICE_H
#define FLASH_TOOLS_FLASH_LADDER_SLICE_H

#include "flash/Emulator/Emulator.h"
#include "flash/Runtime/Manifest.h"

namespace flash::ladder {

struct SliceOptions {
  std::string chip;
  /// Execute every CTA instead of a part.
  bool wholeGrid = false;
  uint64_t seed = 0;
  /// Most tiles of queries of one head to execute where a mask makes their
  /// work differ.
  unsigned maxTiles = 16;
};

/// What a whole launch does, from the CTAs that were executed.
///
/// Heads and batches do the same work. So do the tiles of queries of one head
/// where there is no mask, but for the last one where the tile does not divide
/// the queries: then one (or the first and the last) is executed and the counts
/// are multiplied, which is exact. Under a mask all tiles of one head are
/// executed, or, if they are too many, evenly spaced ones.
struct SliceResult {
  emu::Counters counters;
  uint64_t ctas = 0, executedCtas = 0;
  /// Whether `counters` are what the whole launch would count.
  bool exact = true;
  /// Wrong results, races and whatever else the emulator reports.
  std::vector<std::string> errors;
  /// Of the rows that were compared with the float64 reference.
  uint64_t checkedRows = 0;
  double maxAbsErr = 0, tolerance = 0;
  double seconds = 0;
};

/// Executes a part of the kernel's launch at `sizes` and compares its results
/// with the reference. Fails where the kernel cannot be launched at all.
runtime::Result<SliceResult> runSlice(const std::string &ptx,
                                      const runtime::Manifest &manifest,
                                      const runtime::AttentionSpec &spec,
                                      const runtime::Sizes &sizes,
                                      const SliceOptions &options);

/// Pairs of a query and a key that no mask hides, over all heads and batches.
double livePairs(const runtime::AttentionSpec &spec,
                 const runtime::Sizes &sizes);

} // namespace flash::ladder

#endif // FLASH_TOOLS_FLASH_LADDER_SLICE_H
