//===- Level.h - One level of the ladder, counted and modelled --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_LADDER_LEVEL_H
#define FLASH_TOOLS_FLASH_LADDER_LEVEL_H

#include "Slice.h"

#include "flash/CostModel/CostModel.h"
#include "flash/Target/Ptxas.h"

#include <optional>

namespace flash::ladder {

struct Problem {
  runtime::AttentionSpec spec;
  runtime::Sizes sizes;
  std::string chip;
  /// Overrides for every level, as flashc's --schedule.
  std::string schedule;
  SliceOptions slice;
  double livePairs = 0;

  /// 2 FLOPs per multiply-add of both products over the live pairs.
  double flops() const { return 2.0 * livePairs * double(sizes.d + sizes.dv); }
  /// Every operand once.
  double operandBytes() const;
};

/// What a GPU took, from a file.
struct Measured {
  std::string board;
  double milliseconds = 0;
  std::optional<double> joules;
};

/// Queries, keys per trip and columns of V and O.
struct TileExtents {
  int64_t queries = 0, keys = 0, columns = 0;
  std::string str() const;
};

/// Sums over the KV loops of the whole launch.
struct LoopCounts {
  /// Trips of all CTAs; warp instructions.
  double trips = 0;
  emu::CounterSet counts;
  std::array<uint64_t, kNumPtxClasses> classes = {};
};

struct Level {
  unsigned number = 0;
  std::string name;
  /// Why there is no kernel; everything below is then empty.
  std::string refusal;
  std::string ptx;
  runtime::Manifest manifest;
  unsigned threads = 0;
  int64_t valueDim = 0;
  /// As ptxas reports it; nothing without ptxas.
  std::optional<PtxasReport> assembled;
  unsigned residentCtas = 0;
  SliceResult slice;
  LoopCounts loop;
  CostResult cost;
  std::optional<Measured> measured;

  /// A field of the schedule as the manifest has it, "" without it.
  std::string scheduled(const std::string &key) const;
  TileExtents ctaTile() const;
  /// A warp's share: rows of the CTA's tile, but at level 0, where a thread
  /// owns a row, all rows and a slice of the columns.
  TileExtents warpTile() const;

  bool ran() const { return refusal.empty() && slice.errors.empty(); }
  uint64_t total(PtxClass kind) const { return classes[unsigned(kind)]; }
  /// Warp instructions of the whole launch by class.
  std::array<uint64_t, kNumPtxClasses> classes = {};
};

/// Compiles, executes a slice of and models one level.
Level runLevel(const Problem &problem, unsigned number);

} // namespace flash::ladder

#endif // FLASH_TOOLS_FLASH_LADDER_LEVEL_H
