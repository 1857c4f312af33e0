//===- TensorMemory.cpp - Tensor memory of a CTA ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorMemory.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;

TensorMemory::TensorMemory()
    : cells(kTensorLanes * kTensorColumns),
      units(kTensorLanes / kUnitLanes * kTensorColumns) {
  reset();
}

void TensorMemory::reset() {
  // Not zero: what a kernel reads without writing must not look sensible.
  std::fill(cells.begin(), cells.end(), ~0u);
  for (Unit &unit : units) {
    unit.pending = 0;
    unit.writer = TensorAccess();
    unit.readers.clear();
  }
  for (auto &column : written)
    column = {};
  taken.clear();
  awaited.clear();
  unfenced.clear();
  relinquished = false;
  ctaGroup = 0;
}

//===----------------------------------------------------------------------===//
// Allocation
//===----------------------------------------------------------------------===//

std::optional<uint32_t> TensorMemory::allocate(unsigned columns, uint32_t pc) {
  unsigned column = 0;
  auto at = taken.begin();
  for (; at != taken.end() && at->column - column < columns; ++at)
    column = at->column + at->columns;
  if (kTensorColumns - column < columns)
    return std::nullopt;
  taken.insert(at, {column, columns, pc});
  // The data of an earlier owner is nobody's. Its accesses stay on record: a
  // new owner must be ordered after them all the same.
  for (unsigned i = column; i < column + columns; ++i)
    written[i] = {};
  return column;
}

bool TensorMemory::release(unsigned column, unsigned columns) {
  auto at = std::find_if(taken.begin(), taken.end(), [&](const Allocation &a) {
    return a.column == column && a.columns == columns;
  });
  if (at == taken.end())
    return false;
  taken.erase(at);
  return true;
}

bool TensorMemory::isAllocated(unsigned column, unsigned columns) const {
  // Neighbouring allocations count as one: nothing says where one ends.
  for (const Allocation &a : taken) {
    if (column < a.column || column >= a.column + a.columns)
      continue;
    unsigned have = a.column + a.columns - column;
    if (columns <= have)
      return true;
    column += have;
    columns -= have;
  }
  return columns == 0;
}

std::string TensorMemory::allocations() const {
  if (taken.empty())
    return "none";
  std::string text = "columns ";
  for (const Allocation &a : taken) {
    if (&a != &taken.front())
      text += " and ";
    text += std::to_string(a.column) + " to " +
            std::to_string(a.column + a.columns - 1);
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

namespace {

/// Lanes of a range as a mask of 128 bits.
std::array<uint64_t, 2> laneMask(const TensorRange &range) {
  std::array<uint64_t, 2> mask = {};
  for (unsigned lane = range.lane; lane < range.lane + range.lanes; ++lane)
    mask[lane / 64] |= uint64_t(1) << (lane % 64);
  return mask;
}

} // namespace

void TensorMemory::setWritten(const TensorRange &range) {
  std::array<uint64_t, 2> mask = laneMask(range);
  for (unsigned i = range.column; i < range.column + range.columns; ++i) {
    written[i][0] |= mask[0];
    written[i][1] |= mask[1];
  }
}

std::optional<TensorRange>
TensorMemory::unwritten(const TensorRange &range) const {
  std::array<uint64_t, 2> mask = laneMask(range);
  for (unsigned i = range.column; i < range.column + range.columns; ++i)
    for (unsigned half = 0; half < 2; ++half)
      if (uint64_t missing = mask[half] & ~written[i][half])
        return TensorRange{half * 64 + unsigned(std::countr_zero(missing)), 1,
                           i, 1};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

template <typename F>
void TensorMemory::forUnits(const TensorRange &range, F visit) {
  unsigned last = range.lane + range.lanes - 1;
  for (unsigned block = range.lane / kUnitLanes; block <= last / kUnitLanes;
       ++block)
    for (unsigned i = range.column; i < range.column + range.columns; ++i)
      visit(units[block * kTensorColumns + i], block * kUnitLanes, i);
}

void TensorMemory::note(const TensorRange &range, const TensorAccess &access,
                        bool isWrite, const TensorOrder *order,
                        TensorFinding &finding) {
  if (!order)
    return;
  // Units of one range mostly carry the same records; what was found to be
  // ordered once need not be asked again.
  TensorAccess known;
  auto answerFor = [&](const TensorAccess &other) {
    if (other.kind == known.kind && other.number == known.number &&
        other.warp == known.warp && other.fenced == known.fenced)
      return TensorOrder::After;
    TensorOrder::Answer answer = order->after(other);
    if (answer == TensorOrder::After)
      known = other;
    return answer;
  };
  auto check = [&](const TensorAccess &other, bool otherIsWrite, unsigned lane,
                   unsigned column) {
    if (other.kind == TensorAccess::None)
      return true;
    TensorFinding::Kind kind = TensorFinding::NoWait;
    if (other.kind != TensorAccess::Waiting)
      switch (answerFor(other)) {
      case TensorOrder::After:
        kind = TensorFinding::None;
        break;
      case TensorOrder::NoFenceBefore:
        kind = TensorFinding::NoFenceBefore;
        break;
      case TensorOrder::NoFenceAfter:
        kind = TensorFinding::NoFenceAfter;
        break;
      case TensorOrder::Unordered:
        kind = other.kind == TensorAccess::Done ? TensorFinding::Race
               : otherIsWrite                   ? TensorFinding::InFlight
                                                : TensorFinding::BeingRead;
        break;
      }
    if (kind == TensorFinding::None)
      return true;
    if (finding.kind == TensorFinding::None)
      finding = {kind, otherIsWrite, other, lane, column};
    return false;
  };
  forUnits(range, [&](Unit &unit, unsigned lane, unsigned column) {
    check(unit.writer, true, lane, column);
    if (isWrite) {
      for (const TensorAccess &reader : unit.readers)
        check(reader, false, lane, column);
      unit.readers.clear();
      unit.writer = access;
      return;
    }
    // A read that is known to have come before need not be remembered: what
    // is ordered after this one is ordered after it too.
    std::erase_if(unit.readers, [&](const TensorAccess &reader) {
      return reader.kind == TensorAccess::Waiting
                 ? access.kind == TensorAccess::Waiting &&
                       reader.warp == access.warp
                 : answerFor(reader) == TensorOrder::After;
    });
    unit.readers.push_back(access);
  });
}

void TensorMemory::expectWait(uint16_t warp, bool isWrite,
                              const TensorRange &range) {
  awaited.push_back({warp, isWrite, range});
}

void TensorMemory::settle(uint16_t warp, bool isWrite, uint32_t epoch) {
  auto done = [&](TensorAccess &access) {
    if (access.kind != TensorAccess::Waiting || access.warp != warp)
      return;
    access.kind = TensorAccess::Done;
    access.number = epoch;
  };
  std::erase_if(awaited, [&](const Awaited &a) {
    if (a.warp != warp || a.isWrite != isWrite)
      return false;
    forUnits(a.range, [&](Unit &unit, unsigned, unsigned) {
      if (isWrite)
        done(unit.writer);
      else
        std::for_each(unit.readers.begin(), unit.readers.end(), done);
    });
    unfenced.push_back(a);
    return true;
  });
}

void TensorMemory::fenceBefore(uint16_t warp, uint32_t epoch) {
  auto fence = [&](TensorAccess &access) {
    if (access.kind != TensorAccess::Done || access.warp != warp ||
        access.fenced)
      return;
    access.fenced = true;
    access.number = epoch;
  };
  std::erase_if(unfenced, [&](const Awaited &a) {
    if (a.warp != warp)
      return false;
    forUnits(a.range, [&](Unit &unit, unsigned, unsigned) {
      if (a.isWrite)
        fence(unit.writer);
      else
        std::for_each(unit.readers.begin(), unit.readers.end(), fence);
    });
    return true;
  });
}

void TensorMemory::setPending(const TensorRange &range, uint32_t operation) {
  forUnits(range,
           [&](Unit &unit, unsigned, unsigned) { unit.pending = operation; });
}

void TensorMemory::clearPending(const TensorRange &range, uint32_t operation) {
  forUnits(range, [&](Unit &unit, unsigned, unsigned) {
    if (unit.pending == operation)
      unit.pending = 0;
  });
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FragmentCell flash::emu::fragmentCell(FragmentShape shape, unsigned t,
                                      unsigned r) {
  switch (shape) {
  case FragmentShape::S32x32b:
    return {t, r};
  case FragmentShape::S16x64b:
    return {t / 4 + 8 * (t & 1), 2 * r + (t >> 1 & 1)};
  case FragmentShape::S16x128b:
    return {t / 4 + 8 * (r & 1), 4 * (r / 2) + t % 4};
  case FragmentShape::S16x256b:
    return {t / 4 + 8 * (r >> 1 & 1), 8 * (r / 4) + 2 * (t % 4) + (r & 1)};
  case FragmentShape::S16x32bx2:
    return {t % 16, r};
  }
  return {0, 0};
}

unsigned flash::emu::fragmentRegisters(FragmentShape shape) {
  switch (shape) {
  case FragmentShape::S16x128b:
    return 2;
  case FragmentShape::S16x256b:
    return 4;
  default:
    return 1;
  }
}

unsigned flash::emu::fragmentColumns(FragmentShape shape) {
  switch (shape) {
  case FragmentShape::S16x64b:
    return 2;
  case FragmentShape::S16x128b:
    return 4;
  case FragmentShape::S16x256b:
    return 8;
  default:
    return 1;
  }
}
