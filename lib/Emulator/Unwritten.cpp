//===- Unwritten.cpp - Loaded bytes that nobody has written -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Unwritten.h"
#include "Cluster.h"
#include "Machine.h"
#include "TensorUse.h"

using namespace flash::emu;

void Unwritten::mark(uint32_t row, uint32_t lanes, const Origin &origin) {
  if (row == kScratchRow || !lanes)
    return;
  auto [it, fresh] = marks.try_emplace(row, Mark{lanes, origin});
  if (!fresh)
    it->second.lanes |= lanes;
}

void Unwritten::clear(uint32_t row, uint32_t lanes) {
  auto it = marks.find(row);
  if (it != marks.end() && !(it->second.lanes &= ~lanes))
    marks.erase(it);
}

void Unwritten::set(uint32_t target, uint32_t mask, uint32_t lanes,
                    uint32_t source) {
  // A copy: clear() may remove the source's mark, where it is the target too.
  Origin from = (lanes & mask) ? origin(source) : Origin();
  clear(target, mask);
  mark(target, lanes & mask, from);
}

void flash::emu::reportUnwritten(Warp &warp, const Inst &inst, uint32_t row,
                                 uint32_t lanes) {
  Unwritten::Origin origin = warp.unwritten.origin(row);
  Cta &cta = *warp.cta;
  const Inst &load = warp.program->code[origin.pc];
  uint32_t pc = warp.pcOf(inst);
  if (cta.wants(IssueKind::Uninitialised, warp, &load, pc))
    cta.report(IssueKind::Uninitialised, warp, &load, lanes,
               "lane " + std::to_string(origin.lane) + " reads " +
                   (origin.isTensor
                        ? describeTensorCell(origin.offset)
                        : cta.cluster.describeShared(origin.offset)) +
                   ", which nobody has written, and something depends on it",
               pc);
  warp.unwritten.clear(row, lanes);
}

/// A branch on marked lanes over nothing but arithmetic is a selection: what
/// that sets is marked. False for other branches.
static bool selectByBranch(Warp &warp, const Inst &inst, uint32_t mask) {
  constexpr uint64_t longest = 64;
  const Program &program = *warp.program;
  uint32_t pc = warp.pcOf(inst);
  if (inst.imm <= pc || inst.imm - pc > longest)
    return false;
  for (uint32_t at = pc + 1; at < inst.imm; ++at)
    if (program.code[at].kind != Kind::Plain)
      return false;
  uint32_t lanes = warp.unwritten.lanes(inst.guard) & mask;
  Unwritten::Origin origin =
      lanes ? warp.unwritten.origin(inst.guard) : Unwritten::Origin();
  for (uint32_t at = pc + 1; at < inst.imm; ++at) {
    const Meta &meta = program.meta[at];
    for (uint32_t i = 0; i < meta.defs; ++i)
      warp.unwritten.mark(
          program.rows[program.registerLists[meta.firstDef + i]], lanes,
          origin);
  }
  return true;
}

void flash::emu::followUnwritten(Warp &warp, const Inst &inst, uint32_t mask) {
  const Program &program = *warp.program;
  const Meta &meta = program.meta[warp.pcOf(inst)];
  Unwritten &marks = warp.unwritten;
  auto rowOf = [&](uint32_t index) {
    return program.rows[program.registerLists[index]];
  };
  if (meta.marksItself) {
    if (uint32_t lanes = marks.lanes(inst.guard))
      reportUnwritten(warp, inst, inst.guard, lanes);
    return;
  }
  if (inst.kind == Kind::Branch && selectByBranch(warp, inst, mask))
    return;
  uint32_t lanes = 0, source = 0;
  auto look = [&](uint32_t row, uint32_t chosen) {
    uint32_t marked = marks.lanes(row) & mask & chosen;
    if (!marked)
      return;
    if (inst.kind != Kind::Plain) {
      reportUnwritten(warp, inst, row, marked);
      return;
    }
    lanes |= marked;
    source = row;
  };
  uint32_t choice = ~0u;
  if (meta.select)
    choice = predicateOf(warp, inst.ops[3]) ^ uint32_t(inst.imm);
  for (uint32_t i = firstCountingUse(warp, inst, meta); i < meta.uses; ++i) {
    uint32_t row = rowOf(meta.firstUse + i);
    look(row, meta.select ? chosenLanes(inst, row, choice) : ~0u);
  }
  // The first target may be a source, whose origin the others still need.
  Unwritten::Origin origin = lanes ? marks.origin(source) : Unwritten::Origin();
  for (uint32_t i = 0; i < meta.defs; ++i) {
    uint32_t row = rowOf(meta.firstDef + i);
    marks.clear(row, mask);
    marks.mark(row, lanes, origin);
  }
}

/// PTX ISA, "Matrix Fragments for mma.m16n8k16" and its siblings: with g =
/// lane / 4 and t = lane % 4, registers 0, 2 of A hold row g and 1, 3 row g +
/// 8; all of B hold column g; a D of four registers holds (g, 2t), (g, 2t + 1),
/// (g + 8, 2t), (g + 8, 2t + 1), one of two a pair in each.
void flash::emu::spreadThroughMma(Warp &warp, const uint32_t *d, unsigned dRegs,
                                  const uint32_t *a, unsigned aRegs,
                                  const uint32_t *b, unsigned bRegs,
                                  const uint32_t *c) {
  Unwritten &marks = warp.unwritten;
  uint32_t rows = 0, columns = 0; // 16 and 8 bits.
  Unwritten::Origin origin;
  bool found = false;
  auto lanesOf = [&](uint32_t row) {
    uint32_t lanes = marks.lanes(row);
    if (lanes && !found) {
      origin = marks.origin(row);
      found = true;
    }
    return lanes;
  };
  auto quads = [](uint32_t lanes) {
    uint32_t result = 0;
    for (unsigned g = 0; g < 8; ++g)
      result |= uint32_t((lanes >> (4 * g) & 15) != 0) << g;
    return result;
  };
  for (unsigned i = 0; i < aRegs; ++i)
    rows |= quads(lanesOf(a[i])) << (8 * (i & 1));
  for (unsigned i = 0; i < bRegs; ++i)
    columns |= quads(lanesOf(b[i]));
  uint32_t result[4];
  for (unsigned i = 0; i < dRegs; ++i) {
    result[i] = lanesOf(c[i]);
    unsigned high = dRegs == 4 ? i >> 1 : i;
    uint32_t wanted = dRegs == 4 ? 1u << (i & 1) : 3u;
    for (unsigned lane = 0; lane < 32; ++lane)
      if ((rows >> (lane / 4 + 8 * high) & 1) ||
          (columns >> (2 * (lane & 3)) & wanted))
        result[i] |= 1u << lane;
  }
  for (unsigned i = 0; i < dRegs; ++i) {
    marks.clear(d[i], ~0u);
    marks.mark(d[i], result[i], origin);
  }
}
