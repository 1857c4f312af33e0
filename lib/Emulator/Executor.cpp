//===- Executor.cpp - The main loop -----------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs the instructions of one warp for the length of its turn.
//
//===----------------------------------------------------------------------===//

#include "Executor.h"
#include "Cluster.h"
#include "Lanes.h"
#include "TensorUse.h"
#include "WarpgroupMatrix.h"

#include <algorithm>

using namespace flash::emu;

namespace {

/// Polling rounds a group makes before other groups of its warp get a turn.
constexpr uint32_t kSpinLimit = 32;

/// Keeps the initialised masks of tracked registers and reports uses that
/// matter of registers that these lanes never wrote.
void trackRegisters(Warp &warp, const Inst &inst, uint32_t mask) {
  const Program &program = *warp.program;
  const Meta &meta = program.meta[warp.pcOf(inst)];
  const uint32_t *uses = &program.registerLists[meta.firstUse];
  const uint32_t *defs = &program.registerLists[meta.firstDef];
  auto maskOf = [&](uint32_t reg) -> uint32_t {
    uint32_t number = program.trackedNumber[reg];
    return number == ~0u ? ~0u : warp.initialised[number];
  };
  uint32_t ready = ~0u;
  uint32_t choice = ~0u;
  if (meta.select)
    choice = predicateOf(warp, inst.ops[3]) ^ uint32_t(inst.imm);
  for (uint32_t i = firstCountingUse(warp, inst, meta); i < meta.uses; ++i)
    ready &=
        maskOf(uses[i]) |
        (meta.select ? ~chosenLanes(inst, program.rows[uses[i]], choice) : 0);
  bool passesOn = inst.kind == Kind::Plain;
  if (!passesOn && (mask & ~ready)) {
    if (warp.cta->wants(IssueKind::Uninitialised, warp, &inst))
      warp.cta->report(IssueKind::Uninitialised, warp, &inst, mask & ~ready,
                       "an operand was never written by these lanes");
    ready = ~0u;
  }
  for (uint32_t i = 0; i < meta.defs; ++i) {
    uint32_t number = program.trackedNumber[defs[i]];
    if (number == ~0u)
      continue;
    uint32_t &state = warp.initialised[number];
    state = (state & ~mask) | (passesOn ? ready & mask : mask);
  }
}

/// The lanes that the guard of `inst` lets through.
uint32_t guardOf(const Warp &warp, const Inst &inst) {
  return *sourceRow<uint32_t>(warp, inst.guard) ^ inst.guardXor;
}

/// What Inst::full is for guarded instructions inside a run.
void runGuarded(Warp &warp, const Inst &inst, uint32_t active) {
  if (uint32_t mask = active & guardOf(warp, inst))
    inst.masked(warp, inst, mask);
}

} // namespace

void flash::emu::findRuns(Program &program) {
  program.runs.assign(program.code.size(), 0);
  uint32_t length = 0;
  for (size_t pc = program.code.size(); pc-- > 0;) {
    Inst &inst = program.code[pc];
    bool inside = inst.kind == Kind::Plain &&
                  !(inst.flags & (kTracked | kWarpgroup | kTensorLoad));
    length = inside ? length + 1 : 0;
    program.runs[pc] = length;
    if (inst.flags & kLeader)
      length = 0; // Lanes of the warp may wait here.
    if (inside && inst.guard != kTrueMask)
      inst.full = runGuarded;
  }
}

void Cta::runWarp(Warp &warp, uint32_t quantum) {
  const Inst *code = warp.program->code.data();
  const uint32_t *runs = warp.program->runs.data();
  uint64_t *issued = warp.issued;
  uint32_t left = quantum;
  Group *group = pick(warp);
  while (group && left) {
    uint32_t pc = group->pc;
    uint32_t active = group->mask;
    bool alone = warp.groups.size() == 1;
    bool stay = true;
    while (stay && left) {
      bool marked = warp.unwritten.any();
      uint32_t length = marked ? 1 : std::max(1u, std::min(runs[pc], left));
      ++issued[pc];
      --issued[pc + length];
      left -= length;
      cluster.executed += length;
      if (runs[pc] && !marked) [[likely]] {
        const Inst *inst = code + pc;
        pc += length;
        const Inst *end = code + pc;
        if (active == ~0u)
          for (; inst != end; ++inst)
            inst->full(warp, *inst, ~0u);
        else
          for (; inst != end; ++inst)
            runGuarded(warp, *inst, active);
      } else {
        const Inst &inst = code[pc];
        uint32_t mask = active & guardOf(warp, inst);
        if (inst.flags & kTracked)
          trackRegisters(warp, inst, inst.kind == Kind::Branch ? active : mask);
        // A Sync instruction may have to wait for lanes first.
        if (marked && inst.kind != Kind::Sync)
          followUnwritten(warp, inst,
                          inst.kind == Kind::Branch ? active : mask);
        if (inst.flags & kWarpgroup)
          trackWarpgroup(warp, inst, mask);
        if (inst.flags & kTensorLoad)
          trackTensorLoads(warp, inst, mask);
        switch (inst.kind) {
        case Kind::Plain:
        case Kind::Memory:
        case Kind::Yield:
          if (mask)
            (mask == ~0u ? inst.full : inst.masked)(warp, inst, mask);
          if (inst.flags & kPolls)
            warp.polled = true;
          ++pc;
          if (inst.kind != Kind::Plain &&
              launch.stop.load(std::memory_order_relaxed)) {
            group->pc = pc;
            return;
          }
          break;
        case Kind::Branch: {
          uint32_t target = uint32_t(inst.imm);
          if (!mask) {
            ++pc;
            break;
          }
          uint32_t stays = active & ~mask;
          bool backwards = target <= pc;
          if (stays) {
            group->pc = pc + 1;
            group->mask = stays;
            warp.groups.push_back({target, mask, Group::Runnable, 0});
            stay = false;
          } else {
            pc = target;
          }
          if (backwards && warp.polled) {
            warp.polled = false;
            if (++warp.spins >= kSpinLimit) {
              warp.spins = 0;
              if (stays)
                warp.groups.back().state = Group::Spinning;
              else {
                group->pc = pc;
                group->state = Group::Spinning;
                stay = false;
              }
              left = std::min(left, 1u); // Let other warps run.
            }
          }
          break;
        }
        case Kind::Indexed: {
          const uint32_t *index = sourceRow<uint32_t>(warp, inst.ops[0]);
          uint32_t rest = mask;
          group->mask = active & ~mask;
          group->pc = pc + 1;
          while (rest) {
            uint32_t value = index[std::countr_zero(rest)];
            uint32_t same = 0;
            forLanes(rest, [&](unsigned lane) {
              same |= uint32_t(index[lane] == value) << lane;
            });
            rest &= ~same;
            if (value >= inst.imm) {
              fatal(IssueKind::OutOfBounds, warp, &inst, same,
                    "branch index " + std::to_string(value) +
                        ": expected less than " + std::to_string(inst.imm));
              return;
            }
            warp.groups.push_back({warp.program->extra[inst.extra + value],
                                   same, Group::Runnable, 0});
          }
          std::erase_if(warp.groups, [](const Group &g) { return !g.mask; });
          stay = false;
          break;
        }
        case Kind::Exit:
          if (mask) {
            group->pc = pc + 1;
            exitLanes(warp, mask);
            stay = false;
          } else {
            ++pc;
          }
          break;
        case Kind::Wait: {
          if (!mask) {
            ++pc;
            break;
          }
          if ((inst.flags & kAligned) && !syncReady(warp, *group, inst, mask)) {
            --issued[pc]; // It counts when it executes.
            ++issued[pc + 1];
            stay = false;
            break;
          }
          warp.blocked = false;
          warp.timedOut = group->timedOut;
          group->timedOut = false;
          (mask == ~0u ? inst.full : inst.masked)(warp, inst, mask);
          if (!warp.blocked) {
            ++pc;
            if (launch.stop) {
              group->pc = pc;
              stay = false;
            }
            break;
          }
          --issued[pc]; // It counts when it gets through.
          ++issued[pc + 1];
          group->pc = pc;
          group->mask = mask;
          group->state = Group::Waiting;
          group->seenChanges = cluster.changes;
          if (uint32_t rest = active & ~mask)
            warp.groups.push_back({pc + 1, rest, Group::Runnable, 0});
          stay = false;
          break;
        }
        case Kind::Sync:
        case Kind::Barrier:
          if (!mask) {
            ++pc;
            break;
          }
          if ((inst.kind == Kind::Sync || (inst.flags & kAligned)) &&
              !syncReady(warp, *group, inst, mask)) {
            --issued[pc]; // It counts when it executes.
            ++issued[pc + 1];
            stay = false;
            break;
          }
          if (inst.kind == Kind::Sync) {
            if (marked)
              followUnwritten(warp, inst, mask);
            (mask == ~0u ? inst.full : inst.masked)(warp, inst, mask);
            ++pc;
            if (warp.groups.size() > 1 || launch.stop) {
              group->pc = pc;
              stay = false;
            }
            break;
          }
          if (uint32_t rest = active & ~mask) {
            group->mask = mask;
            group->pc = pc;
            uint32_t at = pc;
            warp.groups.push_back({at + 1, rest, Group::Runnable, 0});
            group = nullptr;
            for (Group &g : warp.groups)
              if (g.mask == mask)
                group = &g;
          }
          group->pc = pc;
          if (!arriveAtBarrier(warp, *group, inst, mask) && group->pc == pc)
            ++group->pc;
          stay = false;
          break;
        }
      }
      if (!alone && stay && (code[pc].flags & kLeader)) {
        group->pc = pc;
        stay = false;
      }
    }
    if (stay)
      group->pc = pc; // The turn is over in the middle of a block.
    if (launch.stop.load(std::memory_order_relaxed))
      break;
    group = pick(warp);
  }
}
