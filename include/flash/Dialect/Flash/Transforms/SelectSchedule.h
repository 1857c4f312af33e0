//===- SelectSchedule.h - Tiles, warps and stages for a chip ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_SELECTSCHEDULE_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_SELECTSCHEDULE_H

#include "flash/Dialect/Flash/IR/Flash.h"

#include <optional>
#include <string>

namespace mlir::flash {

/// Fields of the schedule that somebody has decided; the others are chosen.
struct ScheduleOverrides {
  std::optional<int64_t> level, tileQ, tileK, tileV, warps, stagesK, stagesV;
  std::optional<bool> queryInRegisters;
  std::optional<SoftmaxKind> softmax;
  std::optional<CopyKind> copies;
  std::optional<LaneReduction> reduce;
  std::optional<MathUnit> qk, pv;
  std::optional<TileHome> probabilities;
  std::optional<bool> ldmatrix, swizzle, foldScale, deferNormalisation,
      splitBands;

  /// Whether a tile size, the warps or a number of stages is decided.
  bool hasSizes() const {
    return tileQ || tileK || tileV || warps || stagesK || stagesV;
  }
  /// Sets the field named `key` (as `#flash.schedule` spells it) from text;
  /// returns what is wrong with either, or nothing.
  std::optional<std::string> set(StringRef key, StringRef value);
  /// The same for a list "key=value,..." in which no key comes twice.
  std::optional<std::string> parse(StringRef text);
};

/// The schedule of `op` on `chip` (sm_80, ...): the op's own one or the chosen
/// one, with `overrides` in place of single fields; a level in `overrides` that
/// is not the op's own also replaces the own steps. Where nobody has decided a
/// size, the chosen ones shrink until the CTA fits the chip's shared memory. Emits an error on `op` and
/// fails where the chip is unknown or has no lowering, where the head dims have
/// no schedule, where steps do not go together, and where the result does not
/// fit the chip's shared memory or registers.
FailureOr<ScheduleAttr> selectSchedule(AttentionOp op, StringRef chip,
                                       const ScheduleOverrides &overrides = {});

/// Bytes of shared memory that a CTA of `op` needs under `schedule`: one tile
/// of Q, the stages of K and V, and the output tile, which goes over dead
/// buffers.
int64_t getSharedBytes(AttentionOp op, ScheduleAttr schedule);

/// Lower bound of the registers that a thread needs: the fragments that are
/// live together, accumulator and scores, and Q where it stays in registers.
int64_t getFragmentRegisters(AttentionOp op, ScheduleAttr schedule);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_SELECTSCHEDULE_H
