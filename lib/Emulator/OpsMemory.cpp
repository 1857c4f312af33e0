//===- OpsMemory.cpp - ld, st, prefetch -------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"
#include "Ops.h"
#include "RemoteStores.h"
#include "Types.h"

#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

/// inst.n: number of elements in bits 0-3, register width in bits 4-5.
enum : uint8_t { kReg16 = 0x10, kReg64 = 0x20 };

//===----------------------------------------------------------------------===//
// ld
//===----------------------------------------------------------------------===//

template <typename T, typename Row>
void loadElements(Warp &warp, const uint32_t *targets, unsigned count,
                  const Access &access, Row keep) {
  for (unsigned e = 0; e < count; ++e) {
    Row *out = targetRow<Row>(warp, targets[e]);
    auto load = [&](unsigned i) {
      T value;
      std::memcpy(&value, access.at[i] + e * sizeof(T), sizeof(T));
      // Sign or zero extension to the register, whose own width cuts it off.
      out[i] = Row(std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>(
                   value)) &
               keep;
    };
    if (access.mask == ~0u)
      for (unsigned i = 0; i < 32; ++i)
        load(i);
    else
      forLanes(access.mask, load);
  }
}

template <typename T>
void runLoad(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned count = inst.n & 15;
  Access access;
  access.mask = mask;
  access.bytes = unsigned(sizeof(T)) * count;
  access.strong = inst.sub & kStrong;
  const uint32_t *targets = &warp.program->extra[inst.extra];
  access.targets = targets;
  access.elements = count;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  if (access.sharedMask | access.globalMask)
    checkLoad(warp, inst, access);
  countAccess(warp, inst, access);
  if (inst.n & kReg64)
    loadElements<T, uint64_t>(warp, targets, count, access, ~uint64_t(0));
  else
    loadElements<T, uint32_t>(warp, targets, count, access,
                              inst.n & kReg16 ? 0xffffu : ~0u);
}

//===----------------------------------------------------------------------===//
// st
//===----------------------------------------------------------------------===//

/// Unwritten data makes shared bytes unwritten and is an error elsewhere; so it
/// is as an address.
void storeUnwritten(Warp &warp, const Inst &inst, const Access &access,
                    const uint32_t *sources, unsigned count) {
  Unwritten &marks = warp.unwritten;
  if (uint32_t lanes = marks.lanes(inst.ops[0]) & access.mask)
    reportUnwritten(warp, inst, inst.ops[0], lanes);
  unsigned size = access.bytes / count;
  for (unsigned e = 0; e < count; ++e) {
    uint32_t lanes = marks.lanes(sources[e]) & access.mask;
    if (uint32_t global = lanes & access.globalMask)
      reportUnwritten(warp, inst, sources[e], global);
    if (warp.cta->checker)
      forLanes(lanes & access.sharedMask, [&](unsigned lane) {
        warp.cta->checker->unwrite(uint32_t(access.address[lane]) + e * size,
                                   size);
      });
  }
}

template <typename T>
void runStore(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned count = inst.n & 15;
  Access access;
  access.mask = mask;
  access.bytes = unsigned(sizeof(T)) * count;
  access.isWrite = true;
  access.strong = inst.sub & kStrong;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  countAccess(warp, inst, access);
  const uint32_t *sources = &warp.program->extra[inst.extra];
  alignas(32) T data[32][32 / sizeof(T)];
  for (unsigned e = 0; e < count; ++e)
    if (inst.n & kReg64) {
      const uint64_t *in = sourceRow<uint64_t>(warp, sources[e]);
      for (unsigned i = 0; i < 32; ++i)
        data[i][e] = T(in[i]);
    } else {
      const uint32_t *in = sourceRow<uint32_t>(warp, sources[e]);
      for (unsigned i = 0; i < 32; ++i)
        data[i][e] = T(in[i]);
    }
  bool checked = (access.sharedMask && warp.cta->checker) || access.globalMask;
  const auto *bytes = reinterpret_cast<const std::byte *>(data);
  for (uint32_t rest = mask; rest;) {
    uint32_t lanes =
        checked ? checkStores(warp, inst, access, rest, bytes, sizeof(data[0]))
                : rest;
    forLanes(lanes, [&](unsigned i) {
      copyBytes(access.at[i], data[i], access.bytes);
    });
    rest &= ~lanes;
  }
  if (warp.unwritten.any())
    storeUnwritten(warp, inst, access, sources, count);
}

//===----------------------------------------------------------------------===//
// .b128: ops[1] is the register, 16 bytes per lane
//===----------------------------------------------------------------------===//

template <bool IsLoad>
void runAccess128(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  access.mask = mask;
  access.bytes = 16;
  access.isWrite = !IsLoad;
  access.strong = inst.sub & kStrong;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  countAccess(warp, inst, access);
  if constexpr (IsLoad) {
    access.targets = &inst.ops[1];
    access.elements = 1;
    if (access.sharedMask | access.globalMask)
      checkLoad(warp, inst, access);
    std::byte *out = targetRow<std::byte>(warp, inst.ops[1]);
    forLanes(mask,
             [&](unsigned i) { std::memcpy(out + 16 * i, access.at[i], 16); });
  } else {
    const std::byte *in = sourceRow<std::byte>(warp, inst.ops[1]);
    forLanes(mask, [&](unsigned i) {
      checkStore(warp, inst, access, i, in + 16 * i);
      std::memcpy(access.at[i], in + 16 * i, 16);
    });
    if (warp.unwritten.any())
      storeUnwritten(warp, inst, access, &inst.ops[1], 1);
  }
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Elements of a vector or scalar operand.
std::span<const Operand> elementsOf(const Operand &operand) {
  if (operand.kind == Operand::Vector)
    return operand.elements;
  return {&operand, 1};
}

unsigned takeVector(Decoder &d) {
  if (d.take("v2"))
    return 2;
  if (d.take("v4"))
    return 4;
  if (d.take("v8"))
    return 8;
  return 1;
}

/// What ld and st have in common. `elements` are the register operands.
bool decodeAccess(Decoder &d, bool isLoad) {
  bool strong;
  StateSpace space = takeMemoryModifiers(d, strong);
  bool hint = d.take("L2::cache_hint");
  unsigned count = takeVector(d);
  Type type = d.takeType();
  unsigned bytes = bitsOf(type) / 8;
  if (d.failed())
    return false;
  bool is128 = bytes == 16 && count == 1;
  if (bytes == 0 || (bytes > 8 && !is128) || bytes * count > 32)
    return d.unsupported("expected at most 32 bytes in elements of 1 to 8, or "
                         "one of 16");
  if (!d.expectOperands(hint ? 3 : 2, hint ? 3 : 2))
    return false;
  d.meta.pipe = Pipe::LSU;
  d.meta.marksItself = !isLoad;
  d.inst.kind = Kind::Memory;
  const Operand &data = d.operand(isLoad ? 0 : 1);
  std::span<const Operand> elements = elementsOf(data);
  if (elements.size() != count)
    return d.fail("vector operand: expected " + std::to_string(count) +
                  " elements, got " + std::to_string(elements.size()));
  if (is128)
    d.inst.ops[1] = isLoad ? d.target(data, type) : d.source(data, type);
  unsigned width = 0;
  std::vector<uint32_t> ops;
  for (const Operand &element : elements) {
    unsigned bits = d.registerBits(element);
    if (bits && width && bits != width)
      return d.fail("vector operand: expected registers of one width");
    width = bits ? bits : width;
  }
  for (const Operand &element : elements) {
    if (is128)
      break;
    if (isLoad) {
      ops.push_back(d.wideTarget(element, type));
      continue;
    }
    // An immediate in a vector takes the width of its neighbours.
    Type as = element.kind != Operand::Reg && width == 64 && bytes < 8
                  ? Type::B64
                  : type;
    ops.push_back(d.wideSource(element, as));
  }
  if (!width)
    width = bytes == 8 ? 64 : 32;
  d.inst.n = uint8_t(count) | (width == 64 ? kReg64 : width == 16 ? kReg16 : 0);
  AddressOperand address = decodeAddress(d, isLoad ? 1 : 0, 0);
  // `.param` of a call lies in local memory.
  if (space == StateSpace::Param && address.symbolSpace == StateSpace::Local)
    space = StateSpace::Local;
  if (space == StateSpace::Generic &&
      address.symbolSpace != StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space) | (strong ? kStrong : 0);
  if (strong && isLoad)
    d.inst.flags |= kPolls;
  if (strong && (space == StateSpace::Global || space == StateSpace::Generic))
    d.noteOrdering();
  d.inst.extra = d.extraSize();
  for (uint32_t op : ops)
    d.pushExtra(op);
  static constexpr std::string_view names[] = {"",       ".global", ".shared",
                                               ".local", ".param",  ".const"};
  d.setCountName(std::string(isLoad ? "ld" : "st") +
                 std::string(names[unsigned(space)]));
  bool isS = isSigned(type);
  if (is128)
    d.setHandler(isLoad ? runAccess128<true> : runAccess128<false>);
  else if (isLoad)
    d.setHandler(bytes == 1   ? (isS ? runLoad<int8_t> : runLoad<uint8_t>)
                 : bytes == 2 ? (isS ? runLoad<int16_t> : runLoad<uint16_t>)
                 : bytes == 4 ? (isS ? runLoad<int32_t> : runLoad<uint32_t>)
                              : runLoad<uint64_t>);
  else
    d.setHandler(bytes == 1   ? runStore<uint8_t>
                 : bytes == 2 ? runStore<uint16_t>
                 : bytes == 4 ? runStore<uint32_t>
                              : runStore<uint64_t>);
  return true;
}

bool decodeLd(Decoder &d) { return decodeAccess(d, true); }
bool decodeSt(Decoder &d) {
  return d.take("async") ? decodeStoreAsync(d) : decodeAccess(d, false);
}

//===----------------------------------------------------------------------===//
// Cache management: no effect on values
//===----------------------------------------------------------------------===//

void runNothing(Warp &, const Inst &, uint32_t) {}

bool decodePrefetch(Decoder &d) {
  bool strong;
  takeMemoryModifiers(d, strong);
  for (std::string_view level :
       {"L1", "L2", "L2::evict_last", "L2::evict_normal", "tensormap"})
    d.take(level);
  if (d.operandCount() == 2)
    return d.unsupported("tensor map prefetch");
  d.address(0);
  d.meta.pipe = Pipe::LSU;
  d.setHandler(runNothing);
  return d.expectOperands(1, 1);
}

/// applypriority and discard work on 128 aligned bytes. A discarded line may
/// be lost: its bytes count as uninitialised afterwards.
template <bool IsDiscard>
void runCacheLine(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  access.mask = mask;
  access.bytes = 128;
  access.isWrite = IsDiscard;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  if constexpr (IsDiscard)
    forLanes(access.globalMask, [&](unsigned i) {
      // A silent write: races are checked, the values stay.
      checkStore(warp, inst, access, i, access.at[i]);
      if (access.unread[i])
        std::memset(access.unread[i], 1, 128);
    });
}

bool decodeCacheLine(Decoder &d) {
  bool isDiscard = d.root() == "discard";
  bool strong;
  StateSpace space = takeMemoryModifiers(d, strong);
  d.take("L2");
  uint64_t size = 0;
  if ((space != StateSpace::Global && space != StateSpace::Generic) ||
      !d.expectOperands(2, 2) || !d.immediate(1, size))
    return false;
  if (size != 128)
    return d.unsupported("size: expected 128");
  decodeAddress(d, 0, 0);
  d.inst.sub |= uint8_t(StateSpace::Global);
  d.inst.kind = Kind::Memory;
  d.meta.pipe = Pipe::LSU;
  d.setHandler(isDiscard ? runCacheLine<true> : runCacheLine<false>);
  return true;
}

bool decodeCreatePolicy(Decoder &d) {
  while (!d.peekNext().empty() && parseType(d.peekNext()) == Type::None)
    d.takeNext();
  Type type = d.takeType();
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.constant64(0);
  d.setHandlers(elementwise<uint64_t, uint64_t>([](uint64_t a) { return a; }));
  return bitsOf(type) == 64;
}

constexpr OpRow kOps[] = {
    {"ld", decodeLd},
    {"ldu", decodeLd},
    {"st", decodeSt},
    {"prefetch", decodePrefetch},
    {"prefetchu", decodePrefetch},
    {"createpolicy", decodeCreatePolicy},
    {"applypriority", decodeCacheLine},
    {"discard", decodeCacheLine},
};

} // namespace

std::span<const OpRow> flash::emu::memoryOps() { return kOps; }
