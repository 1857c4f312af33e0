//===- OpsTensorMemory.cpp - tcgen05.alloc, ld, st, wait, fence -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What warps do with tensor memory. Loads and stores take effect at once in
// every async mode; that they are asynchronous shows in what is reported when
// their wait is missing.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "TensorUse.h"

#include <bit>
#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

//===----------------------------------------------------------------------===//
// Allocation
//===----------------------------------------------------------------------===//

bool checkColumns(Warp &warp, const Inst &inst, uint32_t lanes,
                  uint32_t columns) {
  if (columns >= kLeastTensorColumns && columns <= kTensorColumns &&
      std::has_single_bit(columns))
    return true;
  warp.cta->fatal(IssueKind::TensorMemory, warp, &inst, lanes,
                  "number of columns: expected a power of two from 32 to 512, "
                  "got " +
                      std::to_string(columns));
  return false;
}

/// tcgen05.alloc: ops[0] + imm destination, ops[1] columns, n .cta_group. A
/// pair allocates in both CTAs: each executes it for its own tensor memory,
/// and both find the same columns as long as they do the same.
void runAlloc(Warp &warp, const Inst &inst, uint32_t mask) {
  Cta &cta = *warp.cta;
  uint32_t columns;
  if (!checkTensorGroup(warp, inst, mask, inst.n) ||
      !uniformOperand(warp, inst, mask, sourceRow<uint32_t>(warp, inst.ops[1]),
                      "number of columns", columns) ||
      !checkColumns(warp, inst, mask, columns))
    return;
  TensorMemory &memory = tensorMemory(cta);
  if (memory.relinquished) {
    cta.fatal(IssueKind::TensorMemory, warp, &inst, mask,
              "the CTA has given up its right to allocate "
              "(tcgen05.relinquish_alloc_permit)");
    return;
  }
  std::optional<uint32_t> address = memory.allocate(columns, warp.pcOf(inst));
  if (!address && !warp.timedOut) {
    // Another warp may give columns back.
    warp.blocked = true;
    return;
  }
  if (!address) {
    cta.fatal(IssueKind::TensorMemory, warp, &inst, mask,
              std::to_string(columns) +
                  " columns of tensor memory: the CTA holds " +
                  memory.allocations() + " and nobody gives them back");
    return;
  }
  Access access;
  access.mask = 1u << std::countr_zero(mask);
  access.bytes = 4;
  access.isWrite = true;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  unsigned lane = unsigned(std::countr_zero(mask));
  if (!access.sharedMask) {
    cta.fatal(IssueKind::OutOfBounds, warp, &inst, access.mask,
              "destination: expected shared memory");
    return;
  }
  std::byte data[4];
  std::memcpy(data, &*address, 4);
  checkStore(warp, inst, access, lane, data);
  std::memcpy(access.at[lane], data, 4);
}

void runDealloc(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t address, columns;
  if (!checkTensorGroup(warp, inst, mask, inst.n) ||
      !uniformOperand(warp, inst, mask, sourceRow<uint32_t>(warp, inst.ops[0]),
                      "address", address) ||
      !uniformOperand(warp, inst, mask, sourceRow<uint32_t>(warp, inst.ops[1]),
                      "number of columns", columns) ||
      !checkColumns(warp, inst, mask, columns))
    return;
  TensorMemory &memory = tensorMemory(*warp.cta);
  if (!(address >> 16) && memory.release(address, columns)) {
    noteTensorRelease(warp, inst, mask, {0, kTensorLanes, address, columns});
    ++warp.cta->cluster.changes;
    return;
  }
  char text[16];
  std::snprintf(text, sizeof(text), "0x%x", address);
  warp.cta->fatal(IssueKind::TensorMemory, warp, &inst, mask,
                  std::string("address ") + text + " and " +
                      std::to_string(columns) +
                      " columns are no allocation of this CTA (" +
                      memory.allocations() + ")");
}

void runRelinquish(Warp &warp, const Inst &inst, uint32_t mask) {
  if (checkTensorGroup(warp, inst, mask, inst.n))
    tensorMemory(*warp.cta).relinquished = true;
}

void setAligned(Decoder &d) {
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.meta.pipe = Pipe::LSU;
}

bool takeSyncAligned(Decoder &d) {
  return (d.take("sync") && d.take("aligned")) ||
         d.unsupported("expected .sync.aligned");
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

/// inst.sub of a load or store beside its FragmentShape.
enum : uint8_t { kShapeMask = 7, kPacked = 8 };

/// A decoded fragment: what inst says, and the rectangles it covers.
struct Fragment {
  FragmentShape shape;
  bool packed;
  unsigned registers;
  uint32_t address = 0;
  unsigned split = 0; ///< Columns from the first half to the second, bx2.
  TensorRange ranges[2];
  unsigned numRanges = 1;

  FragmentCell cell(unsigned t, unsigned r) const {
    FragmentCell at = fragmentCell(shape, t, r);
    if (packed)
      at.column *= 2;
    if (shape == FragmentShape::S16x32bx2 && t >= 16)
      at.column += split;
    return {at.lane + (address >> 16), at.column + (address & 0xffff)};
  }
};

/// Fills `fragment` and checks where it lies. False after a fatal report.
bool findFragment(Warp &warp, const Inst &inst, uint32_t mask,
                  Fragment &fragment) {
  Cta &cta = *warp.cta;
  fragment.shape = FragmentShape(inst.sub & kShapeMask);
  fragment.packed = inst.sub & kPacked;
  fragment.registers = inst.n;
  fragment.split = unsigned(inst.imm >> 32);
  uint32_t base;
  if (!uniformOperand(warp, inst, mask, sourceRow<uint32_t>(warp, inst.ops[0]),
                      "address", base))
    return false;
  fragment.address = base + uint32_t(inst.imm);
  bool whole = fragment.shape == FragmentShape::S32x32b;
  unsigned columns = inst.n / fragmentRegisters(fragment.shape) *
                     fragmentColumns(fragment.shape) *
                     (fragment.packed ? 2 : 1);
  fragment.ranges[0] =
      TensorRange::at(fragment.address, whole ? 32 : 16, columns);
  if (fragment.shape == FragmentShape::S16x32bx2) {
    fragment.ranges[1] = fragment.ranges[0];
    fragment.ranges[1].column += fragment.split;
    fragment.numRanges = 2;
  }
  // PTX ISA, "Access restrictions": warp w of its warp group reaches lanes 32 w
  // to 32 w + 31.
  unsigned first = 32 * (warp.id % 4), lane = fragment.ranges[0].lane;
  if (lane != first && (whole || lane != first + 16)) {
    cta.fatal(
        IssueKind::OutOfBounds, warp, &inst, mask,
        "lane " + std::to_string(lane) + ": expected " + std::to_string(first) +
            (whole ? "" : " or " + std::to_string(first + 16)) + ", warp " +
            std::to_string(warp.id) + " reaches the lanes from " +
            std::to_string(first) + " to " + std::to_string(first + 31));
    return false;
  }
  for (unsigned i = 0; i < fragment.numRanges; ++i)
    if (!checkTensorRange(warp, inst, mask, cta, fragment.ranges[i],
                          "tensor memory"))
      return false;
  return true;
}

/// Marks the registers that take cells nobody has written (Unwritten.h).
void markUnwritten(Warp &warp, const Inst &inst, uint32_t mask,
                   const Fragment &fragment) {
  const TensorMemory &memory = tensorMemory(*warp.cta);
  const uint32_t *registers = &warp.program->extra[inst.extra];
  for (unsigned r = 0; r < fragment.registers; ++r)
    forLanes(mask, [&](unsigned t) {
      FragmentCell at = fragment.cell(t, r);
      for (unsigned i = 0; i < (fragment.packed ? 2u : 1u); ++i)
        if (!memory.isWritten(at.lane, at.column + i)) {
          Unwritten::Origin origin;
          origin.pc = warp.pcOf(inst);
          origin.lane = t;
          origin.offset = at.lane << 16 | (at.column + i);
          origin.isTensor = true;
          warp.unwritten.mark(registers[r], 1u << t, origin);
          return;
        }
    });
}

void runLoad(Warp &warp, const Inst &inst, uint32_t mask) {
  Fragment fragment;
  if (!findFragment(warp, inst, mask, fragment))
    return;
  const TensorMemory &memory = tensorMemory(*warp.cta);
  bool whole = true;
  for (unsigned i = 0; i < fragment.numRanges; ++i) {
    whole &= !memory.unwritten(fragment.ranges[i]);
    noteTensorAccess(warp, inst, mask, *warp.cta, fragment.ranges[i], false);
  }
  if (!whole && warp.cta->checkUninitialised)
    markUnwritten(warp, inst, mask, fragment);
  const uint32_t *registers = &warp.program->extra[inst.extra];
  for (unsigned r = 0; r < fragment.registers; ++r) {
    uint32_t *row = targetRow<uint32_t>(warp, registers[r]);
    forLanes(mask, [&](unsigned t) {
      FragmentCell at = fragment.cell(t, r);
      uint32_t value = memory.seen(at.lane, at.column);
      if (fragment.packed)
        value = (value & 0xffff) | memory.seen(at.lane, at.column + 1) << 16;
      row[t] = value;
    });
  }
}

/// Unwritten data makes cells unwritten again.
void runStore(Warp &warp, const Inst &inst, uint32_t mask) {
  Fragment fragment;
  if (uint32_t marked = warp.unwritten.lanes(inst.ops[0]) & mask)
    reportUnwritten(warp, inst, inst.ops[0], marked);
  if (!findFragment(warp, inst, mask, fragment))
    return;
  for (unsigned i = 0; i < fragment.numRanges; ++i)
    noteTensorAccess(warp, inst, mask, *warp.cta, fragment.ranges[i], true);
  TensorMemory &memory = tensorMemory(*warp.cta);
  const uint32_t *registers = &warp.program->extra[inst.extra];
  for (unsigned r = 0; r < fragment.registers; ++r) {
    const uint32_t *row = sourceRow<uint32_t>(warp, registers[r]);
    uint32_t marked = warp.unwritten.lanes(registers[r]);
    forLanes(mask, [&](unsigned t) {
      FragmentCell at = fragment.cell(t, r);
      uint32_t *cell = memory.row(at.lane) + at.column;
      for (unsigned i = 0; i < (fragment.packed ? 2u : 1u); ++i)
        if (marked >> t & 1)
          memory.clearWritten(at.lane, at.column + i);
        else
          memory.setWritten(at.lane, at.column + i);
      cell[0] = fragment.packed ? row[t] & 0xffff : row[t];
      if (fragment.packed)
        cell[1] = row[t] >> 16;
    });
  }
}

bool decodeFragment(Decoder &d, bool isLoad) {
  if (isLoad && d.take("red"))
    return d.unsupported(".red needs a later chip than sm_100");
  if (!takeSyncAligned(d))
    return false;
  static constexpr std::pair<std::string_view, FragmentShape> shapes[] = {
      {"32x32b", FragmentShape::S32x32b},
      {"16x64b", FragmentShape::S16x64b},
      {"16x128b", FragmentShape::S16x128b},
      {"16x256b", FragmentShape::S16x256b},
      {"16x32bx2", FragmentShape::S16x32bx2}};
  bool found = false;
  FragmentShape shape = FragmentShape::S32x32b;
  for (auto [name, value] : shapes)
    if (d.take(name)) {
      shape = value;
      found = true;
    }
  if (!found)
    return d.unsupported("expected shape .32x32b, .16x64b, .16x128b, .16x256b "
                         "or .16x32bx2");
  unsigned count = 0;
  for (unsigned num = 1; num <= 128; num *= 2)
    if (d.take("x" + std::to_string(num)))
      count = num * fragmentRegisters(shape);
  if (!count || count > 128)
    return d.unsupported("expected .x1 to .x" +
                         std::to_string(128 / fragmentRegisters(shape)) +
                         " for this shape");
  bool packed = d.take(isLoad ? "pack::16b" : "unpack::16b");
  if (d.takeType() != Type::B32)
    return d.unsupported("expected .b32");
  bool split = shape == FragmentShape::S16x32bx2;
  if (!d.expectOperands(split ? 3 : 2, split ? 3 : 2))
    return false;
  // ld: registers, address[, split]; st: address[, split], registers.
  AddressOperand address = d.address(isLoad ? 1 : 0);
  if (d.failed())
    return false;
  if (!address.hasBase || address.base64)
    return d.fail("tensor memory address: expected a 32-bit register");
  uint64_t offset = 0;
  if (split && !d.immediate(isLoad ? 2 : 1, offset))
    return false;
  d.inst.ops[0] = address.base;
  d.inst.imm = uint32_t(address.offset) | offset << 32;
  d.inst.sub = uint8_t(shape) | (packed ? kPacked : 0);
  d.inst.n = uint8_t(count);
  const Operand &list = d.operand(isLoad ? 0 : split ? 2 : 1);
  if (list.kind != Operand::Vector || list.elements.size() != count)
    return d.fail("expected a vector of " + std::to_string(count) +
                  " registers");
  std::vector<uint32_t> registers;
  for (const Operand &element : list.elements)
    registers.push_back(isLoad ? d.target(element, Type::B32)
                               : d.source(element, Type::B32));
  if (d.failed())
    return false;
  d.inst.extra = d.extraSize();
  for (uint32_t reg : registers)
    d.pushExtra(reg);
  setAligned(d);
  d.meta.tensorLoad = isLoad;
  d.meta.marksItself = !isLoad;
  d.setHandler(isLoad ? runLoad : runStore);
  return true;
}

//===----------------------------------------------------------------------===//
// Waits and fences
//===----------------------------------------------------------------------===//

void runWaitLoad(Warp &warp, const Inst &, uint32_t) {
  settleTensorAccesses(warp, false);
}
void runWaitStore(Warp &warp, const Inst &, uint32_t) {
  settleTensorAccesses(warp, true);
}
template <bool IsBefore>
void runFence(Warp &warp, const Inst &, uint32_t mask) {
  fenceTensorAccesses(warp, mask, IsBefore);
}

template <bool IsBefore> bool decodeFence(Decoder &d) {
  d.inst.kind = Kind::Memory;
  d.meta.pipe = Pipe::Control;
  d.noteTensorFence(IsBefore);
  d.setHandler(runFence<IsBefore>);
  return d.expectOperands(0, 0);
}

} // namespace

bool flash::emu::decodeTensorAlloc(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group) || !takeSyncAligned(d))
    return false;
  bool shared = d.take("shared::cta");
  if (d.takeType() != Type::B32 || !d.expectOperands(2, 2))
    return d.unsupported("expected .b32 and two operands");
  d.inst.n = uint8_t(group);
  AddressOperand address = decodeAddress(d, 0, 0);
  // A 32-bit or symbolic address can only mean shared memory.
  if (!address.base64 || address.symbolSpace == StateSpace::Shared)
    shared = true;
  d.inst.sub |= uint8_t(shared ? StateSpace::Shared : StateSpace::Generic);
  d.inst.ops[1] = d.source(1, Type::U32);
  setAligned(d);
  d.inst.kind = Kind::Wait;
  d.setHandler(runAlloc);
  return true;
}

bool flash::emu::decodeTensorDealloc(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group) || !takeSyncAligned(d))
    return false;
  if (d.takeType() != Type::B32 || !d.expectOperands(2, 2))
    return d.unsupported("expected .b32 and two operands");
  d.inst.n = uint8_t(group);
  d.inst.ops[0] = d.source(0, Type::U32);
  d.inst.ops[1] = d.source(1, Type::U32);
  setAligned(d);
  d.setHandler(runDealloc);
  return true;
}

bool flash::emu::decodeTensorRelinquish(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group) || !takeSyncAligned(d))
    return false;
  d.inst.n = uint8_t(group);
  setAligned(d);
  d.setHandler(runRelinquish);
  return d.expectOperands(0, 0);
}

bool flash::emu::decodeTensorLoad(Decoder &d) {
  return decodeFragment(d, true);
}
bool flash::emu::decodeTensorStore(Decoder &d) {
  return decodeFragment(d, false);
}

bool flash::emu::decodeTensorWaitLoad(Decoder &d) {
  setAligned(d);
  d.meta.tensorWait = true;
  d.setHandler(runWaitLoad);
  return takeSyncAligned(d) && d.expectOperands(0, 0);
}
bool flash::emu::decodeTensorWaitStore(Decoder &d) {
  setAligned(d);
  d.setHandler(runWaitStore);
  return takeSyncAligned(d) && d.expectOperands(0, 0);
}
bool flash::emu::decodeTensorFenceBefore(Decoder &d) {
  return decodeFence<true>(d);
}
bool flash::emu::decodeTensorFenceAfter(Decoder &d) {
  return decodeFence<false>(d);
}
