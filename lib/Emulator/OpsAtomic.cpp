//===- OpsAtomic.cpp - atom, red --------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes act one after the other, in lane order; CTAs on other host threads are
// kept out of global memory meanwhile.
//
//===----------------------------------------------------------------------===//

#include "FloatOps.h"
#include "MemoryAccess.h"
#include "Ops.h"
#include "RemoteStores.h"
#include "Types.h"

#include <cstring>

using namespace flash::emu;

namespace {

enum AtomicOp : uint8_t {
  Add,
  Min,
  Max,
  And,
  Or,
  Xor,
  Inc,
  Dec,
  Exch,
  Cas,
  AddF16,
  AddBf16,
  AddF16x2,
  AddBf16x2,
  MinF16x2,
  MaxF16x2,
  MinBf16x2,
  MaxBf16x2,
  MinF16,
  MaxF16,
  MinBf16,
  MaxBf16,
};

uint32_t addHalf(uint32_t a, uint32_t b, bool isBf) {
  return isBf ? floatToBf16(bf16ToFloat(a & 0xffff) + bf16ToFloat(b & 0xffff))
              : floatToF16(f16ToFloat(a & 0xffff) + f16ToFloat(b & 0xffff));
}
uint32_t extremumHalf(uint32_t a, uint32_t b, bool isBf, bool isMax) {
  a &= 0xffff;
  b &= 0xffff;
  float x = isBf ? bf16ToFloat(a) : f16ToFloat(a);
  float y = isBf ? bf16ToFloat(b) : f16ToFloat(b);
  if (x != x)
    return y != y ? 0x7fff : b;
  if (y != y)
    return a;
  if (x == y) // -0 is less than +0.
    return isMax ? a & b : a | b;
  return (x > y) == isMax ? a : b;
}

template <typename T> T combine(AtomicOp op, T old, T b, T c) {
  if constexpr (std::is_floating_point_v<T>) {
    if (op == Add)
      return canonical(old + b);
    return op == Exch ? b : op == Min ? std::fmin(old, b) : std::fmax(old, b);
  } else {
    using U = std::make_unsigned_t<T>;
    auto packed = [&](auto f) {
      return T(f(uint32_t(old), uint32_t(b)) |
               f(uint32_t(old) >> 16, uint32_t(b) >> 16) << 16);
    };
    switch (op) {
    case Add:
      return T(U(old) + U(b));
    case Min:
      return old < b ? old : b;
    case Max:
      return old > b ? old : b;
    case And:
      return T(old & b);
    case Or:
      return T(old | b);
    case Xor:
      return T(old ^ b);
    case Inc:
      return U(old) >= U(b) ? T(0) : T(old + 1);
    case Dec:
      return old == 0 || U(old) > U(b) ? b : T(old - 1);
    case Exch:
      return b;
    case Cas:
      return old == b ? c : old;
    case AddF16:
      return T(addHalf(uint32_t(old), uint32_t(b), false));
    case AddBf16:
      return T(addHalf(uint32_t(old), uint32_t(b), true));
    case AddF16x2:
    case AddBf16x2:
      return packed([&](uint32_t x, uint32_t y) {
        return addHalf(x, y, op == AddBf16x2);
      });
    case MinF16x2:
    case MaxF16x2:
    case MinBf16x2:
    case MaxBf16x2:
      return packed([&](uint32_t x, uint32_t y) {
        return extremumHalf(x, y, op == MinBf16x2 || op == MaxBf16x2,
                            op == MaxF16x2 || op == MaxBf16x2);
      });
    case MinF16:
    case MaxF16:
    case MinBf16:
    case MaxBf16:
      return T(extremumHalf(uint32_t(old), uint32_t(b), op >= MinBf16,
                            op == MaxF16 || op == MaxBf16));
    }
    return old;
  }
}

/// ops[1] address, ops[2] = b, ops[3] = c; ops[0] takes the old value. inst.n
/// is the AtomicOp.
template <typename T>
void runAtomic(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  access.mask = mask;
  access.bytes = sizeof(T);
  access.strong = true;
  laneAddresses(warp, inst, 1, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  std::unique_lock<std::mutex> lock(warp.cta->launch.atomicsMutex,
                                    std::defer_lock);
  if (access.globalMask)
    lock.lock();
  checkLoad(warp, inst, access);
  const auto *b = sourceRow<Stored<T>>(warp, inst.ops[2]);
  const auto *c = sourceRow<Stored<T>>(warp, inst.ops[3]);
  auto *out = targetRow<Stored<T>>(warp, inst.ops[0]);
  access.isWrite = true;
  forLanes(mask, [&](unsigned i) {
    T old;
    std::memcpy(&old, access.at[i], sizeof(T));
    T value = combine<T>(AtomicOp(inst.n), old, fromStored<T>(b[i]),
                         fromStored<T>(c[i]));
    checkStore(warp, inst, access, i,
               reinterpret_cast<const std::byte *>(&value));
    std::memcpy(access.at[i], &value, sizeof(T));
    out[i] = toStored<T>(old);
  });
  countAccess(warp, inst, access);
}

/// Vectors of 1 << (inst.n >> 5) elements, each atomic by itself. Registers:
/// the old values' first, then the operand's, in Program::extra.
template <typename T>
void runAtomicVector(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned count = 1u << (inst.n >> 5);
  auto op = AtomicOp(inst.n & 31);
  Access access;
  access.mask = mask;
  access.bytes = unsigned(sizeof(T)) * count;
  access.strong = true;
  laneAddresses(warp, inst, 1, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  std::lock_guard<std::mutex> lock(warp.cta->launch.atomicsMutex);
  checkLoad(warp, inst, access);
  access.isWrite = true;
  const uint32_t *targets = &warp.program->extra[inst.extra];
  const uint32_t *sources = targets + count;
  forLanes(mask, [&](unsigned i) {
    T old[16 / sizeof(T)], value[16 / sizeof(T)];
    std::memcpy(old, access.at[i], access.bytes);
    for (unsigned e = 0; e < count; ++e) {
      T b = fromStored<T>(sourceRow<Stored<T>>(warp, sources[e])[i]);
      value[e] = combine<T>(op, old[e], b, b);
    }
    checkStore(warp, inst, access, i,
               reinterpret_cast<const std::byte *>(value));
    std::memcpy(access.at[i], value, access.bytes);
    for (unsigned e = 0; e < count; ++e)
      targetRow<Stored<T>>(warp, targets[e])[i] = toStored<T>(old[e]);
  });
  countAccess(warp, inst, access);
}

/// exch and cas of 128 bits.
void runAtomic128(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  access.mask = mask;
  access.bytes = 16;
  access.strong = true;
  laneAddresses(warp, inst, 1, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  std::unique_lock<std::mutex> lock(warp.cta->launch.atomicsMutex,
                                    std::defer_lock);
  if (access.globalMask)
    lock.lock();
  checkLoad(warp, inst, access);
  access.isWrite = true;
  const std::byte *b = sourceRow<std::byte>(warp, inst.ops[2]);
  const std::byte *c = sourceRow<std::byte>(warp, inst.ops[3]);
  std::byte *out = targetRow<std::byte>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    std::byte old[16], value[16];
    std::memcpy(old, access.at[i], 16);
    bool swaps = inst.n == Exch || std::memcmp(old, b + 16 * i, 16) == 0;
    std::memcpy(value, swaps ? (inst.n == Exch ? b : c) + 16 * i : old, 16);
    checkStore(warp, inst, access, i, value);
    std::memcpy(access.at[i], value, 16);
    std::memcpy(out + 16 * i, old, 16);
  });
  countAccess(warp, inst, access);
}

/// Vector forms (PTX ISA 9.7.13.5 and .7, sm_90): f32 adds; 16-bit elements
/// add, min and max; at most 16 bytes, in global memory.
bool decodeAtomicVector(Decoder &d, AtomicOp op, Type type, unsigned count,
                        StateSpace space, bool hint) {
  bool returns = d.root() == "atom";
  unsigned bytes = bitsOf(type) / 8;
  if (space != StateSpace::Global && space != StateSpace::Generic)
    return d.unsupported("vectors need global memory");
  if (bytes * count > 16 || (type == Type::F32 && op != Add))
    return d.unsupported("vector of " + std::to_string(count));
  size_t first = returns ? 1 : 0, operands = first + 2 + (hint ? 1 : 0);
  if (!d.expectOperands(operands, operands))
    return false;
  auto elements = [&](size_t i) -> std::span<const syntax::Operand> {
    const syntax::Operand &operand = d.operand(i);
    if (operand.kind != syntax::Operand::Vector ||
        operand.elements.size() != count)
      d.fail("operand " + std::to_string(i + 1) + ": expected a vector of " +
             std::to_string(count));
    return operand.elements;
  };
  std::vector<uint32_t> registers(count, kScratchRow);
  if (returns) {
    registers.clear();
    for (const syntax::Operand &element : elements(0))
      registers.push_back(d.target(element, type));
  }
  for (const syntax::Operand &element : elements(first + 1))
    registers.push_back(d.source(element, type));
  if (d.failed())
    return false;
  d.setHandler(type == Type::F32 ? runAtomicVector<float>
               : bytes == 2      ? runAtomicVector<uint16_t>
                                 : runAtomicVector<uint32_t>);
  d.inst.kind = Kind::Memory;
  d.inst.n = uint8_t(op | std::countr_zero(count) << 5);
  d.inst.flags |= kPolls;
  d.meta.pipe = Pipe::LSU;
  decodeAddress(d, first, 1);
  d.inst.sub |= uint8_t(StateSpace::Global);
  d.inst.extra = d.extraSize();
  for (uint32_t reg : registers)
    d.pushExtra(reg);
  d.noteOrdering();
  return true;
}

bool decodeAtomic(Decoder &d) {
  if (d.root() == "red" && d.take("async"))
    return decodeReduceAsync(d);
  bool returns = d.root() == "atom";
  bool strong;
  StateSpace space = takeMemoryModifiers(d, strong);
  bool hint = d.take("L2::cache_hint");
  unsigned count = d.take("v2") ? 2 : d.take("v4") ? 4 : d.take("v8") ? 8 : 1;
  static constexpr std::pair<std::string_view, AtomicOp> names[] = {
      {"add", Add}, {"min", Min}, {"max", Max}, {"and", And},   {"or", Or},
      {"xor", Xor}, {"inc", Inc}, {"dec", Dec}, {"exch", Exch}, {"cas", Cas}};
  bool found = false;
  AtomicOp op = Add;
  for (auto [text, value] : names)
    // Vectors may have the type first.
    if (!found && d.take(text)) {
      op = value;
      found = true;
    }
  if (!found)
    return d.unsupported("operation '" + std::string(d.peekNext()) + "'");
  Type type = d.takeType();
  bool isF2 = type == Type::F16x2, isB2 = type == Type::BF16x2;
  if (type == Type::F16 || type == Type::BF16) {
    bool isBf = type == Type::BF16;
    if (op == Add)
      op = isBf ? AddBf16 : AddF16;
    else if (count > 1 && (op == Min || op == Max))
      op = op == Min ? (isBf ? MinBf16 : MinF16) : (isBf ? MaxBf16 : MaxF16);
    else
      return false;
  } else if (isF2 || isB2) {
    if (op == Add)
      op = isF2 ? AddF16x2 : AddBf16x2;
    else if (op == Min)
      op = isF2 ? MinF16x2 : MinBf16x2;
    else if (op == Max)
      op = isF2 ? MaxF16x2 : MaxBf16x2;
    else
      return false;
  } else if (isFloat(type) && op != Add && op != Exch && op != Min &&
             op != Max) {
    return false;
  }
  if (count > 1) {
    if (type != Type::F32 && type != Type::F16 && type != Type::BF16 && !isF2 &&
        !isB2)
      return d.unsupported("vector of this type");
    return decodeAtomicVector(d, op, type, count, space, hint);
  }
  switch (type) {
  case Type::B128:
    if (op != Exch && op != Cas)
      return false;
    d.setHandler(runAtomic128);
    break;
  case Type::F16:
  case Type::BF16:
  case Type::B16:
  case Type::U16:
    d.setHandler(runAtomic<uint16_t>);
    break;
  case Type::S32:
    d.setHandler(runAtomic<int32_t>);
    break;
  case Type::F16x2:
  case Type::BF16x2:
  case Type::B32:
  case Type::U32:
    d.setHandler(runAtomic<uint32_t>);
    break;
  case Type::S64:
    d.setHandler(runAtomic<int64_t>);
    break;
  case Type::B64:
  case Type::U64:
    d.setHandler(runAtomic<uint64_t>);
    break;
  case Type::F32:
    d.setHandler(runAtomic<float>);
    break;
  case Type::F64:
    d.setHandler(runAtomic<double>);
    break;
  default:
    return false;
  }
  size_t first = returns ? 1 : 0;
  size_t operands = first + (op == Cas ? 3 : 2) + (hint ? 1 : 0);
  if (!d.expectOperands(operands, operands))
    return false;
  d.inst.kind = Kind::Memory;
  d.inst.flags |= kPolls;
  d.inst.n = op;
  d.meta.pipe = Pipe::LSU;
  d.inst.ops[0] = returns ? d.target(0, type) : kScratchRow;
  AddressOperand address = decodeAddress(d, first, 1);
  d.inst.ops[2] = d.source(first + 1, type);
  d.inst.ops[3] = op == Cas ? d.source(first + 2, type) : d.inst.ops[2];
  if (space == StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space);
  if (space == StateSpace::Global || space == StateSpace::Generic)
    d.noteOrdering();
  return true;
}

constexpr OpRow kOps[] = {{"atom", decodeAtomic}, {"red", decodeAtomic}};

} // namespace

std::span<const OpRow> flash::emu::atomicOps() { return kOps; }
