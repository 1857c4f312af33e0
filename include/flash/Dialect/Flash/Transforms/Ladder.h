//===- Ladder.h - The steps of the optimisation ladder ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A level is a bundle of independent steps. Levels 0 to 7 retrace, in its
// order, a study that wrote FlashAttention by hand eight times, from one thread
// per row to probabilities that never leave the registers; 8 and up go beyond.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_LADDER_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_LADDER_H

#include "flash/Dialect/Flash/IR/Flash.h"

#include <optional>
#include <string>

namespace mlir::flash {

/// Levels are 0 to kNumLevels - 1; those up to kTunedLevel run on every chip
/// with a lowering, the rest need what later chips have.
inline constexpr int64_t kNumLevels = 13;
inline constexpr int64_t kTunedLevel = 9;
/// The last level that needs no tensor cores.
inline constexpr int64_t kDoubleBufferedLevel = 4;

/// What a level switches on; the fields are those of `#flash.schedule`.
struct LadderSteps {
  SoftmaxKind softmax = SoftmaxKind::online;
  CopyKind copies = CopyKind::async;
  LaneReduction reduce = LaneReduction::shuffle;
  MathUnit qk = MathUnit::mma;
  MathUnit pv = MathUnit::mma;
  TileHome probabilities = TileHome::registers;
  bool ldmatrix = true;
  bool swizzle = true;
  bool foldScale = true;
  bool deferNormalisation = true;
  bool splitBands = true;

  static LadderSteps of(ScheduleAttr schedule);
  bool operator==(const LadderSteps &other) const = default;
};

/// "naive", "tiled", ... of a level in [0, kNumLevels).
StringRef getLevelName(int64_t level);

/// The level of that number or name.
std::optional<int64_t> parseLevel(StringRef text);

/// The steps of a level in [0, kTunedLevel].
LadderSteps getSteps(int64_t level);

/// Why `steps` with that many stages cannot be combined, or nothing if they
/// can: "ldmatrix: expected a product on tensor cores (qk or pv = mma), got
/// ...".
std::optional<std::string> checkSteps(const LadderSteps &steps, int64_t stagesK,
                                      int64_t stagesV);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_LADDER_H
