//===- CheckerAsync.cpp - Operations of the async proxy ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The part of the checker that speaks of bulk and tensor copies, wgmma and
// tcgen05: thousands of bytes an operation, a few agents. A write is one
// number per 16-byte line. Reads are sets in a list, which stays short because
// a later read of the same bytes by the same lanes stands for the earlier one.
//
//===----------------------------------------------------------------------===//

#include "Checker.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;

uint32_t Checker::startOp(const Accessor &issuer, bool reduces) {
  Op op;
  op.reduces = reduces;
  op.lane = issuer.lane;
  op.warp = issuer.warp;
  op.pc = issuer.pc;
  ops.push_back(op);
  return uint32_t(ops.size() - 1);
}

void Checker::finishOp(uint32_t op, unsigned slot, uint32_t phase) {
  ops[op].state = Op::OnMbarrier;
  ops[op].slot = slot;
  ops[op].phase = phase;
}

void Checker::finishOpByLanes(uint32_t op, unsigned warp, uint32_t lanes) {
  ops[op].state = Op::Waited;
  for (Op::Waiter &waiter : ops[op].waiters)
    if (!waiter.lanes) {
      waiter = {uint16_t(warp), lanes, clocks[warp].epoch};
      return;
    }
}

/// Whether lane `lane` of `warp` knows that the operation is over.
bool Checker::ordered(const Op &op, unsigned warp, unsigned lane) const {
  const Clock &clock = known(warp, lane);
  if (op.state == Op::OnMbarrier)
    return clock.phase(op.slot) >= op.phase;
  for (const Op::Waiter &waiter : op.waiters) {
    if (waiter.warp == warp && (waiter.lanes >> lane & 1))
      return true;
    const uint32_t *row = clock.row(waiter.warp);
    for (uint32_t lanes = waiter.lanes; lanes; lanes &= lanes - 1)
      if (row[std::countr_zero(lanes)] >= waiter.epoch)
        return true;
  }
  return false;
}

/// Sets `finding` where `who` accesses what `op` still reads or writes, or did
/// without an order between them.
void Checker::conflictsWith(const Op &op, bool isWrite, const Accessor &who,
                            uint64_t at, Finding &finding) const {
  if (finding.kind != Finding::None)
    return;
  bool inFlight = op.state == Op::InFlight;
  if (!inFlight && ordered(op, who.warp, who.lane))
    return;
  finding.kind = !inFlight ? Finding::Race
                 : isWrite ? Finding::InFlight
                           : Finding::BeingRead;
  finding.lane = who.lane;
  finding.otherIsWrite = isWrite;
  finding.otherIsAsync = true;
  finding.otherPc = op.pc;
  finding.otherWarp = op.warp;
  finding.otherLanes = 1u << op.lane;
  finding.offset = at;
}

void Checker::conflictsWithWriter(const Accessor &who, uint32_t line,
                                  uint64_t at, Finding &finding) const {
  conflictsWith(ops[lines[line].write], true, who, at, finding);
}

void Checker::conflictsWithReaders(const Accessor &who, uint32_t offset,
                                   uint32_t bytes, Finding &finding) const {
  uint32_t last = (offset + bytes - 1) / kReaderBlock;
  bool any = false;
  for (uint32_t block = offset / kReaderBlock; block <= last; ++block)
    any |= readerBlocks[block] != 0;
  if (!any)
    return;
  for (const AsyncReader &reader : readers)
    if (reader.set->touches(offset, bytes))
      conflictsWith(ops[reader.op], false, who, offset, finding);
}

void Checker::conflictsWithReaders(const Accessor &who, const SharedSet &set,
                                   Finding &finding) const {
  for (const AsyncReader &reader : readers) {
    const Op &op = ops[reader.op];
    if (op.state != Op::InFlight && ordered(op, who.warp, who.lane))
      continue;
    // Only now is it worth to look where.
    uint64_t at = ~uint64_t(0);
    set.forUnits([&](uint32_t unit) {
      if (at == ~uint64_t(0) &&
          reader.set->touches(unit * SharedSet::kUnit, SharedSet::kUnit))
        at = uint64_t(unit) * SharedSet::kUnit;
    });
    if (at != ~uint64_t(0))
      conflictsWith(op, false, who, at, finding);
  }
}

Finding Checker::asyncRead(const Accessor &issuer, uint32_t op,
                           std::shared_ptr<const SharedSet> set,
                           bool checkInitialised) {
  Finding finding;
  auto visit = [&](uint32_t unit) {
    bool written = asyncWritten(unit);
    // An operation may read what it wrote itself (a reduction).
    if (written && lines[unit].write != op)
      conflictsWithWriter(issuer, unit, uint64_t(unit) * SharedSet::kUnit,
                          finding);
    auto missing = [&](uint32_t bytes) {
      if (bytes && checkInitialised && !written &&
          finding.kind == Finding::None)
        finding = uninitialised(issuer.lane, uint64_t(unit) * SharedSet::kUnit +
                                                 std::countr_zero(bytes));
    };
    Granule &granule = granules[unit];
    if (granule.life != life)
      return missing(bytesOf(unit));
    refresh(granule);
    for (const Record &write : granule.records) {
      if (finding.kind != Finding::None)
        break;
      if (!write.isWrite)
        continue;
      auto is = [&](Finding::Kind kind) {
        finding = found(kind, write, write.bytes, issuer.lane,
                        uint64_t(unit) * SharedSet::kUnit);
      };
      if (write.copy)
        is(Finding::InFlight);
      else if (!ordered(write, write.bytes, Party(issuer)))
        is(Finding::Race);
      else if (!fenced(write, issuer))
        is(Finding::Unfenced);
    }
    missing(bytesOf(unit) & ~granule.initialised);
  };
  set->forUnits(visit);
  addReader({op, std::move(set)});
  return finding;
}

Finding Checker::asyncWrite(const Accessor &issuer, uint32_t op,
                            const SharedSet &set) {
  Finding finding;
  conflictsWithReaders(issuer, set, finding);
  set.forUnits([&](uint32_t unit) {
    uint64_t first = uint64_t(unit) * SharedSet::kUnit;
    // Reductions are atomic: any order of them will do.
    if (asyncWritten(unit) && lines[unit].write != op &&
        !(ops[op].reduces && ops[lines[unit].write].reduces))
      conflictsWithWriter(issuer, unit, first, finding);
    Granule &granule = granules[unit];
    if (granule.life == life) {
      refresh(granule);
      for (const Record &other : granule.records) {
        if (finding.kind != Finding::None)
          break;
        auto is = [&](Finding::Kind kind) {
          finding = found(kind, other, other.bytes, issuer.lane,
                          uint64_t(unit) * SharedSet::kUnit);
        };
        if (other.copy)
          is(Finding::InFlight);
        else if (!ordered(other, other.bytes, Party(issuer)))
          is(Finding::Race);
        // A generic write may otherwise land after this one.
        else if (other.isWrite && !fenced(other, issuer))
          is(Finding::Unfenced);
      }
      granule.records.eraseIf([](const Record &r) { return !r.copy; });
      granule.initialised = 0xffff;
    }
    lines[unit] = {life, op};
  });
  return finding;
}

void Checker::addReader(AsyncReader reader) {
  const Op &mine = ops[reader.op];
  // A new read stands for an old one that its issuer knows to be over.
  for (AsyncReader &old : readers) {
    const Op &op = ops[old.op];
    if (op.state != Op::InFlight && *old.set == *reader.set &&
        ordered(op, mine.warp, mine.lane)) {
      old.op = reader.op;
      return;
    }
  }
  if (readers.size() >= readerLimit) {
    dropReaders(true);
    readerLimit = std::max<size_t>(64, readers.size() * 2);
  }
  reader.set->forUnits([&](uint32_t unit) {
    uint16_t &count = readerBlocks[unit * SharedSet::kUnit / kReaderBlock];
    count += count != 0xffff;
  });
  readers.push_back(std::move(reader));
}

/// Drops readers that no later access can conflict with: those that every lane
/// knows to be over, or at a barrier of all threads those that lanes waited
/// for.
void Checker::dropReaders(bool onlyKnownToAll) {
  std::erase_if(readers, [&](const AsyncReader &reader) {
    const Op &op = ops[reader.op];
    if (op.state == Op::InFlight)
      return false;
    if (op.state == Op::Waited && !onlyKnownToAll)
      return true;
    for (unsigned warp = 0; warp < clocks.size(); ++warp)
      for (unsigned lane = 0; lane < (clocks[warp].lanes.empty() ? 1u : 32u);
           ++lane)
        if (!ordered(op, warp, lane))
          return false;
    return true;
  });
  std::fill(readerBlocks.begin(), readerBlocks.end(), 0);
  for (const AsyncReader &reader : readers)
    reader.set->forUnits([&](uint32_t unit) {
      uint16_t &count = readerBlocks[unit * SharedSet::kUnit / kReaderBlock];
      count += count != 0xffff;
    });
}
