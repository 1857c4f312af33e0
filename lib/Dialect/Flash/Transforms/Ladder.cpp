//===- Ladder.cpp - The steps of the optimisation ladder ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/Ladder.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::flash;

static constexpr llvm::StringLiteral kNames[kNumLevels] = {
    "naive",  "tiled",     "coalesced",   "shuffle",  "double-buffered",
    "mma-qk", "mma",       "in-register", "swizzled", "tuned",
    "tma-ws", "ping-pong", "tcgen05"};

StringRef mlir::flash::getLevelName(int64_t level) { return kNames[level]; }

std::optional<int64_t> mlir::flash::parseLevel(StringRef text) {
  int64_t level = 0;
  if (text.getAsInteger(10, level))
    level = llvm::find(kNames, text) - std::begin(kNames);
  if (level < 0 || level >= kNumLevels)
    return std::nullopt;
  return level;
}

LadderSteps LadderSteps::of(ScheduleAttr schedule) {
  return {schedule.getSoftmax(),   schedule.getCopies(),
          schedule.getReduce(),    schedule.getQk(),
          schedule.getPv(),        schedule.getProbabilities(),
          schedule.getLdmatrix(),  schedule.getSwizzle(),
          schedule.getFoldScale(), schedule.getDeferNormalisation(),
          schedule.getSplitBands()};
}

/// Read it from the last level down: each line takes back one step.
LadderSteps mlir::flash::getSteps(int64_t level) {
  LadderSteps steps;
  if (level < 9) // tuned
    steps.foldScale = steps.deferNormalisation = steps.splitBands = false;
  if (level < 8) // swizzled
    steps.ldmatrix = steps.swizzle = false;
  if (level < 7) // in-register
    steps.probabilities = TileHome::shared;
  if (level < 6) // mma
    steps.pv = MathUnit::fma;
  if (level < 5) // mma-qk
    steps.qk = MathUnit::fma;
  if (level < 4) // double-buffered, with stages
    steps.copies = CopyKind::vector;
  if (level < 3) // shuffle
    steps.reduce = LaneReduction::tree;
  if (level < 2) // coalesced
    steps.copies = CopyKind::scalar;
  if (level < 1) { // tiled; a thread owns its row and all that belongs to it
    steps.softmax = SoftmaxKind::two_pass;
    steps.copies = CopyKind::none;
    steps.reduce = LaneReduction::shuffle;
    steps.probabilities = TileHome::registers;
  }
  return steps;
}

std::optional<std::string> mlir::flash::checkSteps(const LadderSteps &steps,
                                                   int64_t stagesK,
                                                   int64_t stagesV) {
  const bool anyMma = steps.qk == MathUnit::mma || steps.pv == MathUnit::mma;
  if (steps.copies == CopyKind::none && anyMma)
    return "copies: expected scalar, vector or async (tensor cores read shared "
           "memory), got none with qk or pv = mma";
  if (steps.copies != CopyKind::async && (stagesK > 1 || stagesV > 1))
    return "stages: expected 1 of K and V (only copies = async run ahead), "
           "got " +
           std::to_string(stagesK) + " and " + std::to_string(stagesV) +
           " with copies = " + stringifyCopyKind(steps.copies).str();
  if (steps.ldmatrix && !anyMma)
    return std::string("ldmatrix: expected false (it reads fragments of tensor "
                       "cores), got true with qk = pv = fma");
  if (steps.copies == CopyKind::none) {
    if (steps.swizzle)
      return std::string("swizzle: expected false (nothing is in shared "
                         "memory), got true with copies = none");
    if (steps.probabilities == TileHome::shared)
      return std::string("probabilities: expected registers (a thread owns its "
                         "row), got shared with copies = none");
    if (steps.reduce == LaneReduction::tree)
      return std::string("reduce: expected shuffle (a thread owns its row, "
                         "lanes have nothing to combine), got tree with "
                         "copies = none");
  } else {
    if (steps.probabilities == TileHome::registers &&
        (steps.qk == MathUnit::fma || steps.pv == MathUnit::fma))
      return std::string("probabilities: expected shared (in registers they "
                         "pass from one tensor-core product to the next), got "
                         "registers with qk or pv = fma");
    if (steps.softmax == SoftmaxKind::two_pass && anyMma)
      return std::string("softmax: expected online, got two_pass with qk or pv "
                         "= mma");
  }
  if (steps.softmax == SoftmaxKind::two_pass && steps.deferNormalisation)
    return std::string("defer_normalisation: expected false (two passes "
                       "normalise once anyway), got true with softmax = "
                       "two_pass");
  return std::nullopt;
}
