//===- SelectSchedule.cpp - Tiles, warps and stages for a chip ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/SelectSchedule.h"

#include "ScheduleTables.h"
#include "flash/Dialect/Flash/Transforms/Ladder.h"
#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Target/ChipInfo.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

namespace mlir::flash {
#define GEN_PASS_DEF_FLASHSELECTSCHEDULE
#include "flash/Dialect/Flash/Transforms/Passes.h.inc"
} // namespace mlir::flash

using namespace mlir;
using namespace mlir::flash;

//===----------------------------------------------------------------------===//
// Overrides
//===----------------------------------------------------------------------===//

std::optional<std::string> ScheduleOverrides::set(StringRef key,
                                                  StringRef value) {
  auto expected = [&](const Twine &what) {
    return (key + ": expected " + what + ", got '" + value + "'").str();
  };
  auto number = [&](std::optional<int64_t> &field, int64_t low,
                    int64_t high) -> std::optional<std::string> {
    int64_t parsed;
    if (value.getAsInteger(10, parsed) || parsed < low || parsed > high)
      return expected("an integer of " + Twine(low) + " to " + Twine(high));
    field = parsed;
    return std::nullopt;
  };
  auto flag = [&](std::optional<bool> &field) -> std::optional<std::string> {
    if (value != "true" && value != "false" && value != "1" && value != "0")
      return expected("true or false");
    field = value == "true" || value == "1";
    return std::nullopt;
  };
  auto choice = [&](auto &field, auto parsed,
                    StringRef names) -> std::optional<std::string> {
    if (!parsed)
      return expected(names);
    field = parsed;
    return std::nullopt;
  };
  if (key == "level")
    return number(level, 0, kNumLevels - 1);
  if (key == "tile_q")
    return number(tileQ, 1, 4096);
  if (key == "tile_k")
    return number(tileK, 1, 4096);
  if (key == "tile_v")
    return number(tileV, 0, 4096);
  if (key == "warps")
    return number(warps, 1, 4096);
  if (key == "stages_k")
    return number(stagesK, 1, 4096);
  if (key == "stages_v")
    return number(stagesV, 1, 4096);
  if (key == "query_in_registers")
    return flag(queryInRegisters);
  if (key == "softmax")
    return choice(softmax, symbolizeSoftmaxKind(value), "two_pass or online");
  if (key == "copies")
    return choice(copies, symbolizeCopyKind(value),
                  "none, scalar, vector or async");
  if (key == "reduce")
    return choice(reduce, symbolizeLaneReduction(value), "tree or shuffle");
  if (key == "qk")
    return choice(qk, symbolizeMathUnit(value), "fma or mma");
  if (key == "pv")
    return choice(pv, symbolizeMathUnit(value), "fma or mma");
  if (key == "probabilities")
    return choice(probabilities, symbolizeTileHome(value),
                  "shared or registers");
  if (key == "ldmatrix")
    return flag(ldmatrix);
  if (key == "swizzle")
    return flag(swizzle);
  if (key == "fold_scale")
    return flag(foldScale);
  if (key == "defer_normalisation")
    return flag(deferNormalisation);
  if (key == "split_bands")
    return flag(splitBands);
  return "expected one of level tile_q tile_k tile_v warps stages_k stages_v "
         "query_in_registers softmax copies reduce qk pv probabilities "
         "ldmatrix swizzle fold_scale defer_normalisation split_bands, got '" +
         key.str() + "'";
}

std::optional<std::string> ScheduleOverrides::parse(StringRef text) {
  SmallVector<StringRef> entries;
  if (text.empty())
    return std::nullopt;
  text.split(entries, ',');
  llvm::StringSet<> given;
  for (StringRef entry : entries) {
    auto [key, value] = entry.split('=');
    if (!given.insert(key).second)
      return (key + ": expected once, got it again as '" + entry + "'").str();
    if (std::optional<std::string> message = set(key, value))
      return message;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

/// A row in shared memory: a multiple of 16 elements.
static int64_t padded(int64_t dim) { return (dim + 15) / 16 * 16; }

/// Bytes of an element in memory; tf32, of 19 bits, is stored as f32.
static int64_t elementBytes(ShapedType type) {
  return type.getElementType().isTF32() ? 4 : type.getElementTypeBitWidth() / 8;
}

/// Columns of V and O that a CTA computes.
static int64_t getSliceColumns(AttentionOp op, ScheduleAttr schedule) {
  return schedule.getTileV() ? schedule.getTileV() : op.getValueDim();
}

int64_t mlir::flash::getSharedBytes(AttentionOp op, ScheduleAttr schedule) {
  if (schedule.getCopies() == CopyKind::none)
    return 0;
  int64_t tileQ = schedule.getTileQ(), tileK = schedule.getTileK();
  int64_t columns = padded(getSliceColumns(op, schedule));
  int64_t queryRow = padded(op.getHeadDim()) * elementBytes(op.getQueryType());
  int64_t keyRow = padded(op.getHeadDim()) * elementBytes(op.getKeyType());
  int64_t valueRow = columns * elementBytes(op.getValueType());
  int64_t outputRow = columns * elementBytes(op.getOutputType());
  int64_t inputs =
      tileQ * queryRow + tileK * (schedule.getStagesK() * keyRow +
                                  schedule.getStagesV() * valueRow);
  if (schedule.getProbabilities() == TileHome::shared) {
    // P in V's type, and, where the products' accumulators are spread over the
    // lanes as the softmax is not, S and two row statistics in f32.
    inputs += tileQ * tileK * elementBytes(op.getValueType());
    if (schedule.getQk() == MathUnit::mma)
      inputs += tileQ * tileK * 4;
    if (schedule.getPv() == MathUnit::mma)
      inputs += 2 * tileQ * 4;
  }
  // Trees have a slot for each of the lanes that share a row.
  if (schedule.getReduce() == LaneReduction::tree)
    inputs += tileQ * 4 * (schedule.getQk() == MathUnit::mma ? 4 : 8);
  // Outputs of FMA units go to global memory from where they are.
  return schedule.getPv() == MathUnit::mma ? std::max(inputs, tileQ * outputRow)
                                           : inputs;
}

int64_t mlir::flash::getFragmentRegisters(AttentionOp op,
                                          ScheduleAttr schedule) {
  int64_t threads = 32 * schedule.getWarps();
  int64_t elements = getSliceColumns(op, schedule) + schedule.getTileK();
  // Two 16-bit elements of Q share a register.
  if (schedule.getQueryInRegisters())
    elements += padded(op.getHeadDim()) / 2;
  return schedule.getTileQ() * elements / threads;
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

static std::string listChips(bool loweredOnly) {
  std::string text;
  for (const ::flash::ChipInfo &chip : ::flash::kChips)
    if (chip.lowered || !loweredOnly)
      text += (text.empty() ? "" : ", ") + std::string(chip.name);
  return text;
}

/// What a slice of V is a multiple of: columns of 32 bytes, 16 at least.
static int64_t getSliceUnit(AttentionOp op) {
  return std::max(int64_t(16), 32 / elementBytes(op.getValueType()));
}

/// The widest slice of at most `most` columns that divides `columns`, as
/// `tile_v` says it: 0 for all of them, also where none divides.
static int64_t divideColumns(int64_t columns, int64_t most, int64_t unit) {
  for (int64_t slice = most / unit * unit; slice > 0 && slice < columns;
       slice -= unit)
    if (columns % slice == 0)
      return slice;
  return 0;
}

/// What multiplies 8-bit types: tensor cores, since sm_89. One product of
/// theirs takes 32 bytes of keys.
static LogicalResult checkUnits(AttentionOp op, ScheduleAttr schedule,
                                const ::flash::ChipInfo &chip) {
  Type type = op.getQueryType().getElementType();
  const bool isByte = type.getIntOrFloatBitWidth() == 8;
  for (auto [key, unit] :
       {std::pair("qk", schedule.getQk()), {"pv", schedule.getPv()}}) {
    if (isByte && unit == MathUnit::fma)
      return op.emitOpError()
             << key << ": expected mma for " << type
             << " (the FP32 units multiply 16 and 32 bits), got fma";
    if (isByte && (chip.name == "sm_80" || chip.name == "sm_86"))
      return op.emitOpError()
             << "chip: expected sm_89 or later for products of " << type
             << ", got " << StringRef(chip.name);
  }
  if (int64_t step = 32 / elementBytes(op.getValueType());
      schedule.getPv() == MathUnit::mma && schedule.getTileK() % step != 0)
    return op.emitOpError()
           << "tile_k: expected a multiple of " << step
           << " (one product's depth of " << op.getValueType().getElementType()
           << "), got " << schedule.getTileK();
  return success();
}

static LogicalResult checkSchedule(AttentionOp op, ScheduleAttr schedule,
                                   const ::flash::ChipInfo &chip) {
  if (std::optional<std::string> message =
          checkSteps(LadderSteps::of(schedule), schedule.getStagesK(),
                     schedule.getStagesV()))
    return op.emitOpError() << *message;
  for (auto [role, type, product, unit] :
       {std::tuple<StringRef, ShapedType, StringRef, MathUnit>{
            "query", op.getQueryType(), "qk", schedule.getQk()},
        {"value", op.getValueType(), "pv", schedule.getPv()}})
    if (type.getElementType().isF32() && unit == MathUnit::mma)
      return op.emitOpError()
             << role << " element type: expected one of tensor cores, such as "
             << "tf32, with " << product << " = mma (f32 runs on levels 0 to "
             << kDoubleBufferedLevel << "), got f32";
  if (failed(checkUnits(op, schedule, chip)))
    return failure();
  // A slice that is all of V needs no copy that begins in the middle of a row.
  if (schedule.getTileV() && schedule.getTileV() != op.getValueDim() &&
      schedule.getTileV() % getSliceUnit(op))
    return op.emitOpError()
           << "tile_v: expected a multiple of " << getSliceUnit(op) << " for "
           << op.getValueType().getElementType() << ", got "
           << schedule.getTileV();
  if (schedule.getTileV() && op.getValueDim() % schedule.getTileV())
    return op.emitOpError()
           << "tile_v: expected a divisor of the value head "
           << "dim " << op.getValueDim() << ", got " << schedule.getTileV();
  if (schedule.getCopies() == CopyKind::none) {
    // A row per thread; warps share rows or columns evenly.
    int64_t blocks = schedule.getTileQ() / 32;
    int64_t warps = schedule.getWarps();
    if (schedule.getTileQ() % 32 != 0 ||
        (blocks % warps != 0 && warps % blocks != 0))
      return op.emitOpError()
             << "tile_q: expected 32 rows for each of " << warps
             << " warps, multiples of that, or 32 rows for a divisor of the "
                "warps, got "
             << schedule.getTileQ();
    int64_t slices = std::max<int64_t>(1, warps / blocks);
    if (getSliceColumns(op, schedule) % slices != 0)
      return op.emitOpError()
             << "warps: expected " << getSliceColumns(op, schedule)
             << " columns to divide into as many slices as share a row, got "
             << slices;
  }
  int64_t warpRows =
      schedule.getQk() == MathUnit::mma || schedule.getPv() == MathUnit::mma
          ? 16
          : 4;
  int64_t rows = schedule.getCopies() == CopyKind::none
                     ? 32
                     : warpRows * schedule.getWarps();
  if (schedule.getTileQ() % rows != 0)
    return op.emitOpError()
           << "tile_q: expected a multiple of " << rows << " (" << warpRows
           << " rows for each of " << schedule.getWarps() << " warps), got "
           << schedule.getTileQ();
  if (schedule.getQueryInRegisters() && schedule.getQk() == MathUnit::fma)
    return op.emitOpError("query_in_registers: expected false (a thread of the "
                          "FP32 units reads whole rows of Q, fragments are of "
                          "tensor cores), got true with qk = fma");
  // Two 16-bit elements of a thread share a register.
  int64_t held = schedule.getTileQ() * getSliceColumns(op, schedule) /
                 (32 * schedule.getWarps());
  if (schedule.getPv() == MathUnit::fma && held % 2 != 0 &&
      elementBytes(op.getOutputType()) == 2)
    return op.emitOpError()
           << "tile sizes: expected an even number of output elements per "
              "thread, got "
           << held << " (" << schedule.getTileQ() << " x "
           << getSliceColumns(op, schedule) << " for " << schedule.getWarps()
           << " warps)";
  int64_t bytes = getSharedBytes(op, schedule);
  if (bytes > chip.sharedPerCTA)
    return op.emitOpError()
           << "tile sizes: expected at most " << chip.sharedPerCTA
           << " bytes of shared memory on " << StringRef(chip.name) << ", got "
           << bytes;
  int64_t limit = std::min(chip.registersPerThread,
                           chip.registersPerSM / (32 * schedule.getWarps()));
  int64_t registers = getFragmentRegisters(op, schedule);
  if (registers > limit)
    return op.emitOpError()
           << "tile sizes: expected at most " << limit
           << " registers per thread on " << StringRef(chip.name)
           << ", got at least " << registers << " for the fragments alone";
  return success();
}

/// Makes a CTA need less shared memory, in the order that costs least: one
/// stage of V, then of K, which is needed first; and, where `tilesToo`, fewer
/// keys, then fewer rows of as many per warp. False where nothing is left to
/// take.
static bool shrink(ScheduleEntry &tiles, int64_t elementBytes, bool tilesToo) {
  // Whole products of the tensor cores: 16 keys, 32 of 8 bits.
  const int64_t fewestKeys = elementBytes == 1 ? 32 : 16;
  if (tiles.stagesV > 1) {
    tiles.stagesV = 1;
  } else if (tiles.stagesK > 1) {
    tiles.stagesK = 1;
  } else if (tilesToo && tiles.tileK > fewestKeys) {
    tiles.tileK =
        std::max(tiles.tileK / 2 / fewestKeys, int64_t(1)) * fewestKeys;
  } else if (tilesToo && tiles.warps > 1) {
    tiles.tileQ /= 2;
    tiles.warps /= 2;
  } else {
    return false;
  }
  return true;
}

/// The best level there is for the op's types: f32 is multiplied by no tensor
/// core, and the double-buffered level is the last without.
static int64_t getDefaultLevel(AttentionOp op) {
  return op.getQueryType().getElementType().isF32() ? kDoubleBufferedLevel
                                                    : kTunedLevel;
}

FailureOr<ScheduleAttr>
mlir::flash::selectSchedule(AttentionOp op, StringRef chipName,
                            const ScheduleOverrides &overrides) {
  const ::flash::ChipInfo *chip =
      ::flash::findChip(std::string_view(chipName.data(), chipName.size()));
  if (!chip)
    return op.emitOpError() << "chip: expected one of " << listChips(false)
                            << ", got '" << chipName << "'";
  if (!chip->lowered)
    return op.emitOpError()
           << "chip: " << chipName << " is not yet lowered (expected one of "
           << listChips(true) << ")";

  ScheduleAttr own = op.getScheduleAttr();
  if (own && own.getChip() != chipName)
    return op.emitOpError() << "schedule chip: expected " << chipName
                            << " (as asked for), got " << own.getChip();
  const int64_t level =
      overrides.level.value_or(own ? own.getLevel() : getDefaultLevel(op));
  if (level > kTunedLevel)
    return op.emitOpError() << "level: " << level << " (" << getLevelName(level)
                            << ") is not yet lowered, "
                            << "expected at most " << kTunedLevel;
  LadderSteps steps =
      own && own.getLevel() == level ? LadderSteps::of(own) : getSteps(level);
  auto step = [](auto &field, const auto &asked) {
    if (asked)
      field = *asked;
  };
  step(steps.softmax, overrides.softmax);
  step(steps.copies, overrides.copies);
  step(steps.reduce, overrides.reduce);
  step(steps.qk, overrides.qk);
  step(steps.pv, overrides.pv);
  step(steps.probabilities, overrides.probabilities);
  step(steps.ldmatrix, overrides.ldmatrix);
  step(steps.swizzle, overrides.swizzle);
  step(steps.foldScale, overrides.foldScale);
  step(steps.deferNormalisation, overrides.deferNormalisation);
  step(steps.splitBands, overrides.splitBands);
  int64_t dim = std::max(op.getHeadDim(), op.getValueDim());
  const ScheduleEntry *entry = findScheduleEntry(
      level, chip->name, dim, elementBytes(op.getQueryType()));
  if (!entry)
    return op.emitOpError()
           << (op.getHeadDim() == dim ? "query" : "value")
           << " head dim: expected at most " << kMaxHeadDim << ", got " << dim;

  auto choose = [](std::optional<int64_t> asked, std::optional<int64_t> owned,
                   int64_t chosen) {
    return asked ? *asked : owned.value_or(chosen);
  };
  // Sizes of the op's own schedule were chosen for its own level.
  const bool keeps = own && own.getLevel() == level;
  auto ofOwn = [&](int64_t (ScheduleAttr::*get)()
                       const) -> std::optional<int64_t> {
    return keeps ? std::optional<int64_t>((own.*get)()) : std::nullopt;
  };
  auto build = [&](const ScheduleEntry &tiles) {
    return ScheduleAttr::getChecked(
        [&] { return op.emitOpError(); }, op.getContext(), chipName, level,
        choose(overrides.tileQ, ofOwn(&ScheduleAttr::getTileQ), tiles.tileQ),
        choose(overrides.tileK, ofOwn(&ScheduleAttr::getTileK), tiles.tileK),
        choose(overrides.warps, ofOwn(&ScheduleAttr::getWarps), tiles.warps),
        choose(overrides.stagesK, ofOwn(&ScheduleAttr::getStagesK),
               tiles.stagesK),
        choose(overrides.stagesV, ofOwn(&ScheduleAttr::getStagesV),
               tiles.stagesV),
        overrides.queryInRegisters.value_or(keeps ? own.getQueryInRegisters()
                                                  : tiles.queryInRegisters),
        choose(overrides.tileV, ofOwn(&ScheduleAttr::getTileV),
               divideColumns(op.getValueDim(), tiles.tileV, getSliceUnit(op))),
        steps.softmax, steps.copies, steps.reduce, steps.qk, steps.pv,
        steps.probabilities, steps.ldmatrix, steps.swizzle, steps.foldScale,
        steps.deferNormalisation, steps.splitBands);
  };
  // Only copies that run ahead need a second stage.
  ScheduleEntry tiles = *entry;
  if (steps.copies != CopyKind::async)
    tiles.stagesK = tiles.stagesV = 1;
  ScheduleAttr schedule = build(tiles);
  const bool mayShrink = !keeps && !overrides.hasSizes();
  while (schedule && getSharedBytes(op, schedule) > chip->sharedPerCTA &&
         shrink(tiles, elementBytes(op.getQueryType()), mayShrink))
    schedule = build(tiles);
  if (!schedule || failed(checkSchedule(op, schedule, *chip)))
    return failure();
  return schedule;
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
struct SelectSchedulePass
    : mlir::flash::impl::FlashSelectScheduleBase<SelectSchedulePass> {
  using FlashSelectScheduleBase::FlashSelectScheduleBase;

  void runOnOperation() override {
    ScheduleOverrides overrides;
    if (std::optional<std::string> message = overrides.parse(fields)) {
      getOperation()->emitError("fields: ") << *message;
      return signalPassFailure();
    }
    if (overrides.level && level != -1 && *overrides.level != level) {
      getOperation()->emitError("level: expected ")
          << int64_t(level) << " in the fields as well, got " << *overrides.level;
      return signalPassFailure();
    }
    auto take = [](std::optional<int64_t> &field, int64_t value,
                   int64_t undecided) {
      if (value != undecided)
        field = value;
    };
    take(overrides.level, level, -1);
    take(overrides.tileQ, tileQ, 0);
    take(overrides.tileK, tileK, 0);
    take(overrides.warps, warps, 0);
    take(overrides.stagesK, stagesK, 0);
    take(overrides.stagesV, stagesV, 0);
    if (queryInRegisters != -1)
      overrides.queryInRegisters = queryInRegisters != 0;
    WalkResult result = getOperation()->walk([&](AttentionOp op) {
      FailureOr<ScheduleAttr> schedule = selectSchedule(op, chip, overrides);
      if (failed(schedule))
        return WalkResult::interrupt();
      op.setScheduleAttr(*schedule);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
