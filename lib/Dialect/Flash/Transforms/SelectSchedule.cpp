//===- SelectSchedule.cpp - Tiles, warps and stages for a chip ------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/Transforms/SelectSchedule.h"

#include "flash/Dialect/Flash/Transforms/Ladder.h"
#include "flash/Dialect/Flash/Transforms/Passes.h"
#include "flash/Target/ChipInfo.h"

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
  return "expected one of tile_q tile_k tile_v warps stages_k stages_v "
         "query_in_registers softmax copies reduce qk pv probabilities "
         "ldmatrix swizzle fold_scale defer_normalisation split_bands, got '" +
         key.str() + "'";
}

std::optional<std::string> ScheduleOverrides::parse(StringRef text) {
  SmallVector<StringRef> entries;
  text.split(entries, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef entry : entries) {
    auto [key, value] = entry.split('=');
    if (std::optional<std::string> message = set(key, value))
      return message;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {

/// One choice: for the chip named, or any where the name is empty, and for head
/// dims d and dv up to `maxDim`.
struct TableEntry {
  std::string_view chip;
  int64_t maxDim;
  int64_t tileQ, tileK, warps, stagesK, stagesV;
  bool queryInRegisters;
};

/// The first entry that matches is taken. Found by compiling every candidate
/// for causal and windowed masks at dynamic sizes and none at static ones, and
/// keeping what ptxas 13.0 assembles with no spill; among those, in this order:
/// most query rows per warp (K and V are read from shared memory once per warp:
/// 32 rows read half the bytes per FLOP of 16), at least eight warps per SM
/// (two CTAs of four, or one of eight), most keys per iteration (fewer barriers
/// and rescalings). All stages are 1: two CTAs per SM hide a copy behind each
/// other's arithmetic, and two stages would leave room for one.
///
/// A thread holds tileQ * dv / (32 * warps) f32 of the accumulator and
/// tileQ * tileK / (32 * warps) of the scores; registers and CTAs per SM are
/// those of the causal kernel at dynamic sizes.
constexpr TableEntry kTable[] = {
    // 64 + 64; 231 registers, 2 CTAs. 80 keys fit as well, but do not divide
    // the sequence lengths people use.
    {"", 64, 128, 64, 4, 1, 1, false},
    // 80 + 64; 239 registers, 2 CTAs.
    {"", 80, 128, 64, 4, 1, 1, false},
    // 96 + 64 spills 16 to 48 bytes but on sm_90; 96 + 48: 243 registers, 2
    // CTAs.
    {"sm_90", 96, 128, 64, 4, 1, 1, false},
    {"", 96, 128, 48, 4, 1, 1, false},
    // 128 + 32; 255 registers, 2 CTAs. 48 keys spill 44 to 140 bytes, 64 keys
    // 76
    // to 168. The others without a spill, 64 x 64 / 4 warps and 128 x 64 / 8,
    // have 16 rows per warp.
    {"", 128, 128, 32, 4, 1, 1, false},
    // From here on 32 rows per warp do not fit. 96 + 32; 229 registers, 72 KiB:
    // 2 CTAs where an SM has 164 KiB or more, else eight warps in one.
    {"sm_86", 192, 128, 64, 8, 1, 1, false},
    {"sm_89", 192, 128, 64, 8, 1, 1, false},
    {"", 192, 64, 64, 4, 1, 1, false},
    // 112 + 32; 245 registers, 84 to 112 KiB.
    {"sm_80", 224, 128, 64, 8, 1, 1, false},
    // 128 + 16 to 128 + 32; 237 to 253 registers, 80 to 96 KiB.
    {"sm_80", 256, 64, 48, 4, 1, 1, false},
    {"sm_86", 256, 128, 32, 8, 1, 1, false},
    {"sm_89", 256, 128, 32, 8, 1, 1, false},
    {"", 256, 64, 64, 4, 1, 1, false},
};

} // namespace

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

/// A row in shared memory: a multiple of 16 elements.
static int64_t padded(int64_t dim) { return (dim + 15) / 16 * 16; }

static int64_t elementBytes(ShapedType type) {
  return llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

int64_t mlir::flash::getSharedBytes(AttentionOp op, ScheduleAttr schedule) {
  int64_t queryRow = padded(op.getHeadDim()) * elementBytes(op.getQueryType());
  int64_t keyRow = padded(op.getHeadDim()) * elementBytes(op.getKeyType());
  int64_t valueRow = padded(op.getValueDim()) * elementBytes(op.getValueType());
  int64_t outputRow =
      padded(op.getValueDim()) * elementBytes(op.getOutputType());
  int64_t inputs = schedule.getTileQ() * queryRow +
                   schedule.getTileK() * (schedule.getStagesK() * keyRow +
                                          schedule.getStagesV() * valueRow);
  return std::max(inputs, schedule.getTileQ() * outputRow);
}

int64_t mlir::flash::getFragmentRegisters(AttentionOp op,
                                          ScheduleAttr schedule) {
  int64_t threads = 32 * schedule.getWarps();
  int64_t elements = op.getValueDim() + schedule.getTileK();
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

static LogicalResult checkSchedule(AttentionOp op, ScheduleAttr schedule,
                                   const ::flash::ChipInfo &chip) {
  if (std::optional<std::string> message =
          checkSteps(LadderSteps::of(schedule), schedule.getStagesK(),
                     schedule.getStagesV()))
    return op.emitOpError() << *message;
  int64_t rows = 16 * schedule.getWarps();
  if (schedule.getTileQ() % rows != 0)
    return op.emitOpError() << "tile_q: expected a multiple of " << rows
                            << " (16 rows for each of " << schedule.getWarps()
                            << " warps), got " << schedule.getTileQ();
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
      overrides.level.value_or(own ? own.getLevel() : kTunedLevel);
  if (level != kTunedLevel)
    return op.emitOpError() << "level: expected " << kTunedLevel
                            << " (others are not yet lowered), got " << level;
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
  if (!(steps == getSteps(kTunedLevel)) || overrides.tileV.value_or(0))
    return op.emitOpError() << "steps: expected those of level " << kTunedLevel
                            << " (others are not yet lowered)";
  int64_t dim = std::max(op.getHeadDim(), op.getValueDim());
  const TableEntry *entry = llvm::find_if(kTable, [&](const TableEntry &entry) {
    return (entry.chip.empty() || entry.chip == chip->name) &&
           dim <= entry.maxDim;
  });
  if (entry == std::end(kTable))
    return op.emitOpError() << (op.getHeadDim() == dim ? "query" : "value")
                            << " head dim: expected at most "
                            << std::end(kTable)[-1].maxDim << ", got " << dim;

  auto choose = [](std::optional<int64_t> asked, std::optional<int64_t> owned,
                   int64_t chosen) {
    return asked ? *asked : owned.value_or(chosen);
  };
  auto ofOwn = [&](int64_t (ScheduleAttr::*get)()
                       const) -> std::optional<int64_t> {
    return own ? std::optional<int64_t>((own.*get)()) : std::nullopt;
  };
  auto schedule = ScheduleAttr::getChecked(
      [&] { return op.emitOpError(); }, op.getContext(), chipName, level,
      choose(overrides.tileQ, ofOwn(&ScheduleAttr::getTileQ), entry->tileQ),
      choose(overrides.tileK, ofOwn(&ScheduleAttr::getTileK), entry->tileK),
      choose(overrides.warps, ofOwn(&ScheduleAttr::getWarps), entry->warps),
      choose(overrides.stagesK, ofOwn(&ScheduleAttr::getStagesK),
             entry->stagesK),
      choose(overrides.stagesV, ofOwn(&ScheduleAttr::getStagesV),
             entry->stagesV),
      overrides.queryInRegisters.value_or(own ? own.getQueryInRegisters()
                                              : entry->queryInRegisters),
      choose(overrides.tileV, ofOwn(&ScheduleAttr::getTileV), 0), steps.softmax,
      steps.copies, steps.reduce, steps.qk, steps.pv, steps.probabilities,
      steps.ldmatrix, steps.swizzle, steps.foldScale, steps.deferNormalisation,
      steps.splitBands);
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
