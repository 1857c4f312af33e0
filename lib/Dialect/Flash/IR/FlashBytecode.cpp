//===- FlashBytecode.cpp - Bytecode of the flash dialect ------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How the dialect's attributes are encoded, and which versions are read.
//
// Version 1.0 is the first; 1.1 adds the steps of the ladder to the schedule, 1.2
// the scales of heads, whose operand segments an older op does not have: absent
// segments are empty. A later version that changes an encoding keeps reading the
// older one: `readAttribute` asks the reader for the version of
// the file, and what cannot be told while reading is rewritten afterwards in
// `upgradeFromVersion`. A golden file per version, in
// test/Dialect/Flash/Inputs, holds that promise.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/Flash/IR/FlashBytecode.h"
#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Bytecode/BytecodeImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include <array>

using namespace mlir;
using namespace mlir::flash;

namespace {
/// What an encoded attribute begins with. Numbers are never reused.
/// `kSchedule` is what 1.0 wrote; its steps are those of level 9.
enum AttributeCode : uint64_t { kCausal = 0, kSchedule = 1, kStepSchedule = 2 };

struct FlashBytecodeInterface : BytecodeDialectInterface {
  explicit FlashBytecodeInterface(Dialect *dialect)
      : BytecodeDialectInterface(dialect) {}

  void writeVersion(DialectBytecodeWriter &writer) const override {
    writer.writeVarInt(FlashVersion::current().major);
    writer.writeVarInt(FlashVersion::current().minor);
  }

  std::unique_ptr<DialectVersion>
  readVersion(DialectBytecodeReader &reader) const override {
    auto version = std::make_unique<FlashVersion>();
    if (failed(reader.readVarInt(version->major)) ||
        failed(reader.readVarInt(version->minor)))
      return nullptr;
    FlashVersion newest = FlashVersion::current();
    // What a newer dialect means cannot be guessed.
    if (newest < *version) {
      reader.emitError("flash dialect version: expected at most ")
          << newest.str() << ", got " << version->str();
      return nullptr;
    }
    return version;
  }

  LogicalResult upgradeFromVersion(Operation *,
                                   const DialectVersion &) const override {
    // There is nothing older than 1.0.
    return success();
  }

  LogicalResult writeAttribute(Attribute attribute,
                               DialectBytecodeWriter &writer) const override {
    return TypeSwitch<Attribute, LogicalResult>(attribute)
        .Case([&](CausalKindAttr causal) {
          writer.writeVarInt(kCausal);
          writer.writeVarInt(static_cast<uint64_t>(causal.getValue()));
          return success();
        })
        .Case([&](ScheduleAttr schedule) {
          writer.writeVarInt(kStepSchedule);
          writer.writeOwnedString(schedule.getChip());
          for (int64_t number : {schedule.getLevel(), schedule.getTileQ(),
                                 schedule.getTileK(), schedule.getWarps(),
                                 schedule.getStagesK(), schedule.getStagesV()})
            writer.writeSignedVarInt(number);
          writer.writeVarInt(schedule.getQueryInRegisters());
          writer.writeSignedVarInt(schedule.getTileV());
          for (uint64_t step : encodeSteps(schedule))
            writer.writeVarInt(step);
          return success();
        })
        .Default([](Attribute) { return failure(); });
  }

  Attribute readAttribute(DialectBytecodeReader &reader) const override {
    uint64_t code;
    if (failed(reader.readVarInt(code)))
      return {};
    switch (code) {
    case kCausal:
      return readCausal(reader);
    case kSchedule:
      return readSchedule(reader, /*hasSteps=*/false);
    case kStepSchedule:
      return readSchedule(reader, /*hasSteps=*/true);
    default:
      reader.emitError("flash attribute: expected a code of at most ")
          << kStepSchedule << ", got " << code;
      return {};
    }
  }

private:
  Attribute readCausal(DialectBytecodeReader &reader) const {
    uint64_t number;
    if (failed(reader.readVarInt(number)))
      return {};
    std::optional<CausalKind> kind = symbolizeCausalKind(number);
    if (!kind) {
      reader.emitError("causal: expected 0 or 1, got ") << number;
      return {};
    }
    return CausalKindAttr::get(getContext(), *kind);
  }

  static std::array<uint64_t, 11> encodeSteps(ScheduleAttr schedule) {
    auto code = [](auto value) { return static_cast<uint64_t>(value); };
    return {code(schedule.getSoftmax()), code(schedule.getCopies()),
            code(schedule.getReduce()),  code(schedule.getQk()),
            code(schedule.getPv()),      code(schedule.getProbabilities()),
            schedule.getLdmatrix(),      schedule.getSwizzle(),
            schedule.getFoldScale(),     schedule.getDeferNormalisation(),
            schedule.getSplitBands()};
  }

  Attribute readSchedule(DialectBytecodeReader &reader, bool hasSteps) const {
    StringRef chip;
    int64_t numbers[6], tileV = 0;
    uint64_t queryInRegisters;
    // Level 9: online, async, shuffle, mma, mma, registers, and all the rest.
    std::array<uint64_t, 11> steps = {1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    if (failed(reader.readString(chip)))
      return {};
    for (int64_t &number : numbers)
      if (failed(reader.readSignedVarInt(number)))
        return {};
    if (failed(reader.readVarInt(queryInRegisters)))
      return {};
    if (hasSteps) {
      if (failed(reader.readSignedVarInt(tileV)))
        return {};
      for (uint64_t &step : steps)
        if (failed(reader.readVarInt(step)))
          return {};
    }
    std::optional<SoftmaxKind> softmax = symbolizeSoftmaxKind(steps[0]);
    std::optional<CopyKind> copies = symbolizeCopyKind(steps[1]);
    std::optional<LaneReduction> reduce = symbolizeLaneReduction(steps[2]);
    std::optional<MathUnit> qk = symbolizeMathUnit(steps[3]);
    std::optional<MathUnit> pv = symbolizeMathUnit(steps[4]);
    std::optional<TileHome> probabilities = symbolizeTileHome(steps[5]);
    if (!softmax || !copies || !reduce || !qk || !pv || !probabilities) {
      reader.emitError("schedule: expected known steps, got ")
          << llvm::ArrayRef(steps);
      return {};
    }
    return ScheduleAttr::getChecked(
        [&] { return reader.emitError(); }, getContext(), chip, numbers[0],
        numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
        queryInRegisters != 0, tileV, *softmax, *copies, *reduce, *qk, *pv,
        *probabilities, steps[6] != 0, steps[7] != 0, steps[8] != 0,
        steps[9] != 0, steps[10] != 0);
  }
};
} // namespace

void mlir::flash::addBytecodeInterface(FlashDialect *dialect) {
  dialect->addInterfaces<FlashBytecodeInterface>();
}
