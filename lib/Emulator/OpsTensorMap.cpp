//===- OpsTensorMap.cpp - tensormap.replace ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels that change tensor maps: tensormap.replace in shared or global
// memory, and the copy back to global memory (PTX ISA, "tensormap.replace",
// "tensormap.cp_fenceproxy"). What a map then holds is checked where a copy
// uses it: half-way it may well be wrong.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"
#include "flash/Emulator/TensorMap.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

/// inst.n
enum Field : uint8_t {
  GlobalAddress,
  Rank,
  BoxDim,
  GlobalDim,
  GlobalStride,
  ElementStride,
  ElementType,
  InterleaveLayout,
  SwizzleMode,
  SwizzleAtomicity,
  FillMode,
};

struct FieldRow {
  std::string_view name;
  Field field;
  bool wide;     ///< .b64
  int ordinals;  ///< Of a dimension: how many there are, 0 if none.
  int constants; ///< Immediate values from 0, 0 if a register will do.
};

constexpr FieldRow kFields[] = {
    {"global_address", GlobalAddress, true, 0, 0},
    {"rank", Rank, false, 0, 0},
    {"box_dim", BoxDim, false, 5, 0},
    {"global_dim", GlobalDim, false, 5, 0},
    {"global_stride", GlobalStride, true, 4, 0},
    {"element_stride", ElementStride, false, 5, 0},
    {"elemtype", ElementType, false, 0, 13},
    {"interleave_layout", InterleaveLayout, false, 0, 3},
    {"swizzle_mode", SwizzleMode, false, 0, 4},
    {"swizzle_atomicity", SwizzleAtomicity, false, 0, 4},
    {"fill_mode", FillMode, false, 0, 2},
};

/// The element types in the order of PTX, which is not that of CUDA.
constexpr TensorMapType kTypes[] = {
    TensorMapType::U8,      TensorMapType::U16,  TensorMapType::U32,
    TensorMapType::S32,     TensorMapType::U64,  TensorMapType::S64,
    TensorMapType::F16,     TensorMapType::F32,  TensorMapType::F32Ftz,
    TensorMapType::F64,     TensorMapType::BF16, TensorMapType::TF32,
    TensorMapType::TF32Ftz,
};

void setSwizzle(TensorMap &map, unsigned mode) {
  map.swizzle = uint8_t(mode == 3 ? 3 + map.atomicity : mode);
}

/// Stores too large for a field become the largest number it holds, which no
/// copy accepts.
template <typename T> T narrowed(uint64_t value) {
  return T(std::min<uint64_t>(value, T(~T(0))));
}

void replace(TensorMap &map, Field field, unsigned ordinal, uint64_t value) {
  switch (field) {
  case GlobalAddress:
    map.address = value;
    break;
  case Rank: // PTX counts from zero.
    map.rank = narrowed<uint8_t>(value + 1);
    break;
  case BoxDim:
    map.box[ordinal] = narrowed<uint16_t>(value);
    break;
  case GlobalDim:
    map.lastElements[ordinal] = uint32_t(value - 1);
    break;
  case GlobalStride:
    map.strides[ordinal] = value;
    break;
  case ElementStride:
    map.elementStrides[ordinal] = narrowed<uint8_t>(value);
    break;
  case ElementType:
    map.type = uint8_t(kTypes[value]);
    break;
  case InterleaveLayout:
    map.interleave = uint8_t(value);
    break;
  case SwizzleMode:
    setSwizzle(map, unsigned(value));
    break;
  case SwizzleAtomicity:
    map.atomicity = uint8_t(value);
    if (map.swizzle >= 3)
      setSwizzle(map, 3);
    break;
  case FillMode:
    map.fill = uint8_t(value);
    break;
  }
}

/// The two 64-byte halves of a tensor map as one lane accesses them.
bool resolveMap(Warp &warp, const Inst &inst, StateSpace space, unsigned lane,
                uint64_t address, bool isWrite, Access (&halves)[2]) {
  for (unsigned half = 0; half < 2; ++half) {
    Access &access = halves[half];
    access.mask = 1u << lane;
    access.bytes = 64;
    access.isWrite = isWrite;
    access.address[lane] = address + half * 64;
    if (!resolve(warp, inst, space, access))
      return false;
    if ((access.sharedMask | access.globalMask) & access.mask)
      continue;
    warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst, access.mask,
                    "tensor map: expected an address in shared or global "
                    "memory");
    return false;
  }
  return true;
}

void store(Warp &warp, const Inst &inst, unsigned lane, Access (&halves)[2],
           const std::byte *data) {
  for (unsigned half = 0; half < 2; ++half) {
    halves[half].isWrite = true;
    checkStore(warp, inst, halves[half], lane, data + half * 64);
    std::memcpy(halves[half].at[lane], data + half * 64, 64);
  }
}

/// ops[0] address, ops[1] value, inst.extra the dimension.
void runReplace(Warp &warp, const Inst &inst, uint32_t mask) {
  uint64_t address[32];
  laneAddresses(warp, inst, 0, address);
  auto field = Field(inst.n);
  bool wide = field == GlobalAddress || field == GlobalStride;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    Access halves[2];
    if (!resolveMap(warp, inst, StateSpace(inst.sub & kSpaceMask), lane,
                    address[lane], false, halves))
      return;
    TensorMap map;
    auto *bytes = reinterpret_cast<std::byte *>(&map);
    for (unsigned half = 0; half < 2; ++half) {
      checkLoad(warp, inst, halves[half]);
      std::memcpy(bytes + half * 64, halves[half].at[lane], 64);
    }
    if (map.magic != TensorMap::kMagic) {
      warp.cta->fatal(IssueKind::Launch, warp, &inst, 1u << lane,
                      "tensor map: expected 128 bytes made by "
                      "encodeTensorMap, got something else");
      return;
    }
    uint64_t value = wide ? sourceRow<uint64_t>(warp, inst.ops[1])[lane]
                          : sourceRow<uint32_t>(warp, inst.ops[1])[lane];
    replace(map, field, inst.extra, value);
    store(warp, inst, lane, halves, bytes);
  }
}

/// One copy for the whole warp: ops[0] + imm to, ops[1] + ops[2] from.
void runCopy(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned lane = unsigned(std::countr_zero(mask));
  uint64_t to = sourceRow<uint64_t>(warp, inst.ops[0])[lane] + inst.imm;
  uint64_t from = inst.sub & kNarrowAddress
                      ? sourceRow<uint32_t>(warp, inst.ops[1])[lane]
                      : sourceRow<uint64_t>(warp, inst.ops[1])[lane];
  from += uint64_t(int64_t(sourceRow<int32_t>(warp, inst.ops[2])[lane]));
  Access source[2], target[2];
  if (!resolveMap(warp, inst, StateSpace::Shared, lane, from, false, source) ||
      !resolveMap(warp, inst, StateSpace::Global, lane, to, true, target))
    return;
  std::byte bytes[128];
  for (unsigned half = 0; half < 2; ++half) {
    checkLoad(warp, inst, source[half]);
    std::memcpy(bytes + half * 64, source[half].at[lane], 64);
    target[half].strong = true; // .release
  }
  store(warp, inst, lane, target, bytes);
}

bool decodeReplace(Decoder &d) {
  if (!d.take("tile"))
    return d.unsupported("expected .tile");
  const FieldRow *row = nullptr;
  for (const FieldRow &candidate : kFields)
    if (d.take(candidate.name))
      row = &candidate;
  if (!row)
    return d.unsupported("expected a field of a tensor map");
  StateSpace space = d.take("shared::cta") ? StateSpace::Shared
                     : d.take("global")    ? StateSpace::Global
                                           : StateSpace::Generic;
  if (!d.take("b1024") || !d.take(row->wide ? "b64" : "b32"))
    return d.unsupported(row->wide ? "expected .b1024.b64"
                                   : "expected .b1024.b32");
  size_t count = row->ordinals ? 3 : 2;
  if (!d.expectOperands(count, count))
    return false;
  AddressOperand address = decodeAddress(d, 0, 0);
  if (space == StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space);
  d.inst.n = row->field;
  if (row->ordinals) {
    uint64_t ordinal;
    if (!d.immediate(1, ordinal))
      return false;
    if (ordinal >= uint64_t(row->ordinals))
      return d.fail("dimension: expected 0 to " +
                    std::to_string(row->ordinals - 1) + ", got " +
                    std::to_string(ordinal));
    d.inst.extra = uint32_t(ordinal);
  }
  if (row->constants) {
    uint64_t value;
    if (!d.immediate(1, value))
      return false;
    if (value >= uint64_t(row->constants))
      return d.fail("value: expected 0 to " +
                    std::to_string(row->constants - 1) + ", got " +
                    std::to_string(value));
  }
  d.inst.ops[1] = d.source(count - 1, row->wide ? Type::B64 : Type::B32);
  d.setHandler(runReplace);
  return !d.failed();
}

bool decodeCopy(Decoder &d) {
  if (!d.take("global") || !d.take("shared::cta") ||
      !d.take("tensormap::generic") || !d.take("release") || !d.take("sync") ||
      !d.take("aligned"))
    return d.unsupported("expected .global.shared::cta.tensormap::generic"
                         ".release.SCOPE.sync.aligned");
  for (std::string_view scope : {"cta", "cluster", "gpu", "sys"})
    d.take(scope);
  uint64_t size;
  if (!d.expectOperands(3, 3) || !d.immediate(2, size))
    return false;
  if (size != sizeof(TensorMap))
    return d.fail("size: expected 128, got " + std::to_string(size));
  AddressOperand to = d.address(0), from = d.address(1);
  if (to.hasBase && !to.base64)
    return d.fail("destination: expected a 64-bit address");
  d.inst.ops[0] = to.hasBase ? to.base : d.constant64(0);
  d.inst.imm = to.offset;
  d.inst.ops[1] = from.hasBase ? from.base : d.constant64(0);
  if (from.hasBase && !from.base64)
    d.inst.sub |= kNarrowAddress;
  d.inst.ops[2] = d.constant32(uint32_t(from.offset));
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.noteOrdering();
  d.setHandler(runCopy);
  return !d.failed();
}

bool decodeTensorMapOp(Decoder &d) {
  d.meta.pipe = Pipe::LSU;
  d.inst.kind = Kind::Memory;
  if (d.take("replace")) {
    d.setCountName("tensormap.replace");
    return decodeReplace(d);
  }
  if (d.take("cp_fenceproxy")) {
    d.setCountName("tensormap.cp_fenceproxy");
    return decodeCopy(d);
  }
  return d.unsupported("expected .replace or .cp_fenceproxy");
}

constexpr OpRow kOps[] = {{"tensormap", decodeTensorMapOp}};

} // namespace

std::span<const OpRow> flash::emu::tensorMapOps() { return kOps; }
