//===- WarpgroupRegisters.cpp - Registers of wgmma in flight ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Locks, fences, and the way of accumulators from registers and back.
//
//===----------------------------------------------------------------------===//

#include "Warpgroups.h"

#include <algorithm>
#include <bit>
#include <cstring>

using namespace flash::emu;

void Warpgroups::hazard(Warp &warp, const Inst &inst, uint32_t otherPc,
                        std::string text) {
  if (cta.wants(IssueKind::RegisterHazard, warp, &inst, otherPc))
    cta.report(IssueKind::RegisterHazard, warp, &inst, warp.live,
               std::move(text), otherPc);
}

std::string Warpgroups::accumulatorName(const Lock &lock) const {
  return "accumulator " + std::to_string(lock.slot) + " of the wgmma of line " +
         std::to_string(program.meta[lock.owner->pc].line);
}

//===----------------------------------------------------------------------===//
// Accumulators
//===----------------------------------------------------------------------===//

// Register i of f32 and s32 accumulators holds element 2 lane + (i & 1) of half
// i >> 1 & 1 of tile i / 4: rows g and g + 8, columns 2 t and 2 t + 1.
// Registers of f16 accumulators hold both elements of a half.

void Warpgroups::load(const Warp &warp, Accumulators &accumulators) {
  const WarpgroupForm &form = accumulators.form;
  for (size_t i = 0; i < accumulators.registers.size(); ++i) {
    const uint32_t *row = sourceRow<uint32_t>(
        warp, program.warpgroupRows[accumulators.registers[i]]);
    if (form.halfResult) {
      uint32_t *to = &accumulators.words[i * 64];
      for (unsigned lane = 0; lane < 32; ++lane) {
        to[2 * lane] = std::bit_cast<uint32_t>(f16ToFloat(row[lane] & 0xffff));
        to[2 * lane + 1] = std::bit_cast<uint32_t>(f16ToFloat(row[lane] >> 16));
      }
    } else {
      uint32_t *to = &accumulators.words[i / 2 * 64 + (i & 1)];
      for (unsigned lane = 0; lane < 32; ++lane)
        to[2 * lane] = row[lane];
    }
  }
}

/// Gives the registers that still wait for it their values.
void Warpgroups::writeBack(Warp &warp, Accumulators &accumulators) {
  Member &member = this->member(warp);
  for (uint32_t number : accumulators.registers) {
    Lock &lock = member.locks[number];
    if (lock.owner != &accumulators)
      continue;
    lock.owner = nullptr;
    lock.copy = false;
    uint32_t *row = targetRow<uint32_t>(warp, program.warpgroupRows[number]);
    if (accumulators.form.halfResult) {
      const uint32_t *from = &accumulators.words[lock.slot * 64u];
      for (unsigned lane = 0; lane < 32; ++lane)
        row[lane] = floatToF16(std::bit_cast<float>(from[2 * lane])) |
                    floatToF16(std::bit_cast<float>(from[2 * lane + 1])) << 16;
    } else {
      const uint32_t *from =
          &accumulators.words[lock.slot / 2 * 64 + (lock.slot & 1)];
      for (unsigned lane = 0; lane < 32; ++lane)
        row[lane] = from[2 * lane];
    }
  }
}

//===----------------------------------------------------------------------===//
// Issuing
//===----------------------------------------------------------------------===//

void Warpgroups::lockRegisters(Warp &warp, const Inst &inst,
                               Operation &operation) {
  const WarpgroupForm &form = operation.form;
  Member &member = this->member(warp);
  Part &part = operation.parts[warp.id % kWarps];
  uint32_t pc = warp.pcOf(inst);
  const Meta &meta = program.meta[pc];
  const uint32_t *defs = &program.registerLists[meta.firstDef];
  const uint32_t *uses = &program.registerLists[meta.firstUse];
  auto checkFence = [&](uint32_t number, const char *role, size_t i) {
    if (member.lastWrite[number] < member.fences)
      return;
    hazard(warp, inst, kNoPc,
           std::string(role) + " " + std::to_string(i) +
               (member.fences ? ": written since the last wgmma.fence"
                              : ": no wgmma.fence before the first use"));
  };

  if (form.aInRegisters)
    for (unsigned i = 0; i < 4; ++i) {
      uint32_t number = numberOf(uses[meta.optionalUses + i]);
      Lock &lock = member.locks[number];
      if (lock.owner)
        hazard(warp, inst, lock.owner->pc,
               "A register " + std::to_string(i) + " is " +
                   accumulatorName(lock) + ", which is still in flight");
      else
        checkFence(number, "A register", i);
      ++lock.readers;
      lock.readerPc = pc;
      part.aRegisters[i] = number;
      // Registers hold 16 bytes of k by 8 rows, lane by lane.
      const uint32_t *row =
          sourceRow<uint32_t>(warp, program.warpgroupRows[number]);
      for (unsigned lane = 0; lane < 32; ++lane)
        std::memcpy(&part.aLines[((lane >> 2) + 8 * (i & 1)) * 32 +
                                 (i >> 1) * 16 + (lane & 3) * 4],
                    &row[lane], 4);
    }

  uint32_t count = meta.defs;
  Lock &firstLock = member.locks[numberOf(defs[0])];
  Accumulators *owner = firstLock.owner;
  uint32_t inFlight = 0, inOrder = 0;
  bool copies = false;
  for (uint32_t i = 0; i < count; ++i) {
    const Lock &lock = member.locks[numberOf(defs[i])];
    inFlight += lock.owner != nullptr;
    inOrder += lock.owner && lock.owner == owner && lock.slot == i;
    copies |= lock.copy;
    if (lock.readers)
      hazard(warp, inst, lock.readerPc,
             "accumulator " + std::to_string(i) +
                 " is an A register of the wgmma of line " +
                 std::to_string(program.meta[lock.readerPc].line) +
                 ", which is still in flight");
    if (!lock.owner)
      checkFence(numberOf(defs[i]), "accumulator", i);
  }
  bool chained = inOrder == count && owner->form.sameAccumulators(form);
  if (inFlight && !chained) {
    const Lock *lock = nullptr;
    for (uint32_t i = 0; i < count && !lock; ++i)
      if (member.locks[numberOf(defs[i])].owner)
        lock = &member.locks[numberOf(defs[i])];
    hazard(warp, inst, lock->owner->pc,
           accumulatorName(*lock) +
               " is still in flight: expected accumulators of the same shape "
               "in the same registers");
  }
  if (chained && !copies && !owner->copied) {
    // The operation that holds it has it.
    for (Operation &other : groups[warp.id / kWarps].operations)
      if (other.parts[warp.id % kWarps].accumulators.get() == owner)
        part.accumulators = other.parts[warp.id % kWarps].accumulators;
    ++owner->pending;
    return;
  }
  auto fresh = std::make_shared<Accumulators>();
  fresh->form = form;
  fresh->pc = pc;
  fresh->pending = 1;
  fresh->words.resize(accumulatorWords(form.n()));
  fresh->registers.reserve(count);
  for (uint32_t i = 0; i < count; ++i)
    fresh->registers.push_back(numberOf(defs[i]));
  if (chained) {
    for (Operation &other : groups[warp.id / kWarps].operations)
      if (other.parts[warp.id % kWarps].accumulators.get() == owner)
        fresh->source = other.parts[warp.id % kWarps].accumulators;
  } else if (operation.keep) {
    load(warp, *fresh);
  }
  bool poison = cta.launch.config->async != AsyncMode::Eager;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t number = fresh->registers[i];
    Lock &lock = member.locks[number];
    lock.owner = fresh.get();
    lock.slot = uint16_t(i);
    lock.copy = false;
    // Quiet NaNs in every format.
    if (poison)
      std::memset(targetRow<uint32_t>(warp, program.warpgroupRows[number]),
                  0xff, 128);
  }
  part.accumulators = std::move(fresh);
}

//===----------------------------------------------------------------------===//
// Other instructions
//===----------------------------------------------------------------------===//

void Warpgroups::track(Warp &warp, const Inst &inst) {
  Member &member = this->member(warp);
  const Meta &meta = program.meta[warp.pcOf(inst)];
  const uint32_t *uses = &program.registerLists[meta.firstUse];
  const uint32_t *defs = &program.registerLists[meta.firstDef];
  auto overwrites = [&](const Lock &lock) {
    if (lock.readers)
      hazard(warp, inst, lock.readerPc,
             "writes an A register of the wgmma of line " +
                 std::to_string(program.meta[lock.readerPc].line) +
                 ", which is still in flight");
    if (lock.owner && !lock.copy)
      hazard(
          warp, inst, lock.owner->pc,
          "writes " + accumulatorName(lock) +
              ", which is still in flight: expected wgmma.wait_group before");
  };
  if (meta.plainMove) {
    uint32_t to = numberOf(defs[0]);
    uint32_t from = meta.uses ? numberOf(uses[0]) : ~0u;
    if (to == ~0u)
      return;
    Lock &target = member.locks[to];
    Accumulators *owner = from == ~0u ? nullptr : member.locks[from].owner;
    if (!owner) {
      overwrites(target);
      target.owner = nullptr;
      target.copy = false;
    } else if (to != from) {
      target.owner = owner;
      target.slot = member.locks[from].slot;
      target.copy = true;
      owner->copied = true;
      if (std::find(owner->registers.begin(), owner->registers.end(), to) ==
          owner->registers.end())
        owner->registers.push_back(to);
    }
    // A constant is known wherever it is used.
    if (from != ~0u)
      member.lastWrite[to] = member.lastWrite[from];
    return;
  }
  for (uint32_t i = 0; i < meta.uses; ++i) {
    uint32_t number = numberOf(uses[i]);
    if (number != ~0u && member.locks[number].owner)
      hazard(
          warp, inst, member.locks[number].owner->pc,
          "reads " + accumulatorName(member.locks[number]) +
              ", which is still in flight: expected wgmma.wait_group before");
  }
  for (uint32_t i = 0; i < meta.defs; ++i) {
    uint32_t number = numberOf(defs[i]);
    if (number == ~0u)
      continue;
    Lock &lock = member.locks[number];
    overwrites(lock);
    lock.owner = nullptr;
    lock.copy = false;
    member.lastWrite[number] = member.fences;
  }
}
