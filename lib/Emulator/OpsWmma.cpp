//===- OpsWmma.cpp - wmma.load, wmma.mma, wmma.store ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Warp-level matrix instructions (PTX ISA 9.7.14.4), what nvcuda::wmma becomes.
// Where an element of a fragment lies is left open by PTX. Here element e of a
// matrix, counted by rows, lies in lane e / perLane, slot e % perLane; where a
// fragment has more slots than that (16-bit A and B always have 16), they
// repeat. The layout of a matrix in memory matters to load and store only.
//
// Numerics are those of mma.sync (TensorCore.h); f64 is a chain of fused
// multiply-adds in rising k.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"
#include "TensorCore.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

struct Shape {
  uint8_t m, n, k;
};

/// A fragment: a matrix of rows x columns elements over `registers`.
struct Fragment {
  uint8_t rows, columns;
  uint8_t bits;      ///< Of an element in a register and in memory.
  uint8_t registers; ///< Per lane.

  unsigned elements() const { return unsigned(rows) * columns; }
  unsigned perLane() const { return elements() / 32; }
  unsigned slots() const {
    return unsigned(registers) * (bits == 64 ? 64 : 32) / bits;
  }
};

enum class Role : uint8_t { A, B, C };

/// The registers of a fragment, 0 where shape and type do not go together.
unsigned registersOf(Role role, Shape shape, Type type) {
  bool tall = shape.m == 32, wide = shape.n == 32;
  bool k16 = shape.k == 16;
  if (role == Role::C) {
    if (type == Type::F64)
      return shape.k == 4 ? 2 : 0;
    return type == Type::F32          ? (shape.k == 4 ? 0 : 8)
           : type == Type::S32        ? (k16 ? 8 : 0)
           : type == Type::F16 && k16 ? 4
                                      : 0;
  }
  bool large = role == Role::A ? tall : wide;
  bool small = role == Role::A ? wide : tall;
  switch (type) {
  case Type::F16:
    return k16 ? 8 : 0;
  case Type::BF16:
    return k16 ? (large ? 8 : small ? 2 : 4) : 0;
  case Type::S8:
  case Type::U8:
    return k16 ? (large ? 4 : small ? 1 : 2) : 0;
  case Type::TF32:
    return shape.k == 8 ? 4 : 0;
  case Type::F64:
    return shape.k == 4 ? 1 : 0;
  default:
    return 0;
  }
}

Fragment fragmentOf(Role role, Shape shape, Type type) {
  Fragment fragment;
  fragment.rows = role == Role::B ? shape.k : shape.m;
  fragment.columns = role == Role::A ? shape.k : shape.n;
  fragment.bits = uint8_t(type == Type::TF32 ? 32 : bitsOf(type));
  fragment.registers = uint8_t(registersOf(role, shape, type));
  return fragment;
}

uint64_t slotOf(const Warp &warp, const uint32_t *registers,
                const Fragment &fragment, unsigned lane, unsigned slot) {
  if (fragment.bits == 64)
    return sourceRow<uint64_t>(warp, registers[slot])[lane];
  unsigned per = 32 / fragment.bits;
  uint32_t word = sourceRow<uint32_t>(warp, registers[slot / per])[lane];
  word >>= slot % per * fragment.bits;
  return fragment.bits == 32 ? word : word & ((1u << fragment.bits) - 1);
}

void setSlot(Warp &warp, const uint32_t *registers, const Fragment &fragment,
             unsigned lane, unsigned slot, uint64_t value) {
  if (fragment.bits == 64) {
    targetRow<uint64_t>(warp, registers[slot])[lane] = value;
    return;
  }
  unsigned per = 32 / fragment.bits, shift = slot % per * fragment.bits;
  uint32_t &word = targetRow<uint32_t>(warp, registers[slot / per])[lane];
  uint32_t mask = uint32_t((uint64_t(1) << fragment.bits) - 1) << shift;
  word = (word & ~mask) | (uint32_t(value) << shift & mask);
}

/// All elements by rows.
template <typename T>
void gather(const Warp &warp, const uint32_t *registers,
            const Fragment &fragment, T *out) {
  unsigned perLane = fragment.perLane();
  for (unsigned e = 0; e < fragment.elements(); ++e)
    out[e] = T(slotOf(warp, registers, fragment, e / perLane, e % perLane));
}

template <typename T>
void scatter(Warp &warp, const uint32_t *registers, const Fragment &fragment,
             const T *in) {
  unsigned perLane = fragment.perLane();
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned slot = 0; slot < fragment.slots(); ++slot)
      setSlot(warp, registers, fragment, lane, slot,
              in[lane * perLane + slot % perLane]);
}

//===----------------------------------------------------------------------===//
// Load and store
//===----------------------------------------------------------------------===//

/// What load and store keep in Program::extra, before the registers.
struct MemoryForm {
  Fragment fragment;
  uint32_t columnMajor;
  uint32_t stride; ///< Row of the stride in elements.
};
constexpr unsigned kMemoryWords = 3;
static_assert(sizeof(MemoryForm) == kMemoryWords * 4);

/// Resolves the addresses of slot `slot` of every lane.
bool resolveSlot(Warp &warp, const Inst &inst, const MemoryForm &form,
                 unsigned slot, const uint64_t *base, Access &access) {
  const Fragment &fragment = form.fragment;
  const uint32_t *stride = sourceRow<uint32_t>(warp, form.stride);
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned e = lane * fragment.perLane() + slot;
    unsigned row = e / fragment.columns, column = e % fragment.columns;
    uint64_t element = form.columnMajor ? uint64_t(column) * stride[lane] + row
                                        : uint64_t(row) * stride[lane] + column;
    access.address[lane] = base[lane] + element * (fragment.bits / 8);
  }
  return resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access);
}

void runLoadMatrix(Warp &warp, const Inst &inst, uint32_t mask) {
  MemoryForm form;
  const uint32_t *extra = &warp.program->extra[inst.extra];
  std::memcpy(&form, extra, sizeof(form));
  const Fragment &fragment = form.fragment;
  uint64_t base[32];
  laneAddresses(warp, inst, 0, base);
  for (unsigned slot = 0; slot < fragment.perLane(); ++slot) {
    Access access;
    access.mask = mask;
    access.bytes = fragment.bits / 8;
    if (!resolveSlot(warp, inst, form, slot, base, access))
      return;
    checkLoad(warp, inst, access);
    countAccess(warp, inst, access);
    forLanes(mask, [&](unsigned lane) {
      uint64_t value = 0;
      std::memcpy(&value, access.at[lane], access.bytes);
      for (unsigned s = slot; s < fragment.slots(); s += fragment.perLane())
        setSlot(warp, extra + kMemoryWords, fragment, lane, s, value);
    });
  }
}

void runStoreMatrix(Warp &warp, const Inst &inst, uint32_t mask) {
  MemoryForm form;
  const uint32_t *extra = &warp.program->extra[inst.extra];
  std::memcpy(&form, extra, sizeof(form));
  const Fragment &fragment = form.fragment;
  uint64_t base[32];
  laneAddresses(warp, inst, 0, base);
  for (unsigned slot = 0; slot < fragment.perLane(); ++slot) {
    Access access;
    access.mask = mask;
    access.bytes = fragment.bits / 8;
    access.isWrite = true;
    if (!resolveSlot(warp, inst, form, slot, base, access))
      return;
    countAccess(warp, inst, access);
    forLanes(mask, [&](unsigned lane) {
      uint64_t value = slotOf(warp, extra + kMemoryWords, fragment, lane, slot);
      const auto *data = reinterpret_cast<const std::byte *>(&value);
      checkStore(warp, inst, access, lane, data);
      std::memcpy(access.at[lane], data, access.bytes);
    });
  }
}

//===----------------------------------------------------------------------===//
// Multiply
//===----------------------------------------------------------------------===//

/// What a product keeps in Program::extra, before the registers of D, A, B, C.
struct ProductForm {
  Fragment d, a, b, c;
};
constexpr unsigned kProductWords = 4;
static_assert(sizeof(ProductForm) == kProductWords * 4);

struct Registers {
  const uint32_t *d, *a, *b, *c;
};

ProductForm productOf(const Warp &warp, const Inst &inst, Registers &regs) {
  ProductForm form;
  const uint32_t *extra = &warp.program->extra[inst.extra];
  std::memcpy(&form, extra, sizeof(form));
  regs.d = extra + kProductWords;
  regs.a = regs.d + form.d.registers;
  regs.b = regs.a + form.a.registers;
  regs.c = regs.b + form.b.registers;
  return form;
}

/// Floating point: inst.n is the MmaInput.
void runProduct(Warp &warp, const Inst &inst, uint32_t) {
  Registers regs;
  ProductForm form = productOf(warp, inst, regs);
  auto input = MmaInput(inst.n);
  uint32_t aBits[32 * 16], bBits[16 * 32], cBits[32 * 32];
  gather(warp, regs.a, form.a, aBits);
  gather(warp, regs.b, form.b, bBits);
  gather(warp, regs.c, form.c, cBits);
  unsigned m = form.a.rows, k = form.a.columns, n = form.b.columns;
  bool halfC = form.c.bits == 16, halfD = form.d.bits == 16;
  DotSpec spec = dotSpec(warp.cta->launch.config->chip, input, halfD);
  for (unsigned row = 0; row < m; row += 16) {
    // An 8-row matrix fills the tile with zeros.
    uint32_t tile[16 * 16] = {};
    std::copy_n(aBits + row * k, std::min(16u, m - row) * k, tile);
    MmaOperand a;
    a.set(input, tile, 16 * k);
    for (unsigned column = 0; column < n; column += 8) {
      uint32_t right[16 * 8];
      for (unsigned i = 0; i < k * 8; ++i)
        right[i] = bBits[i / 8 * n + column + i % 8];
      MmaOperand b;
      b.set(input, right, 8 * k);
      alignas(32) float sums[16 * 8] = {};
      unsigned rows = std::min(16u, m - row);
      for (unsigned i = 0; i < rows * 8; ++i) {
        uint32_t bits = cBits[(row + i / 8) * n + column + i % 8];
        sums[i] = halfC ? f16ToFloat(bits) : std::bit_cast<float>(bits);
      }
      multiplyTile(spec, k, a, b, sums);
      for (unsigned i = 0; i < rows * 8; ++i)
        cBits[(row + i / 8) * n + column + i % 8] =
            halfD ? floatToF16(sums[i]) : std::bit_cast<uint32_t>(sums[i]);
    }
  }
  scatter(warp, regs.d, form.d, cBits);
}

/// 8-bit integers: inst.n bit 0 and 1 tell whether A and B are signed, bit 2
/// whether sums saturate.
void runIntegerProduct(Warp &warp, const Inst &inst, uint32_t) {
  Registers regs;
  ProductForm form = productOf(warp, inst, regs);
  uint32_t a[32 * 16], b[16 * 32], c[32 * 32];
  gather(warp, regs.a, form.a, a);
  gather(warp, regs.b, form.b, b);
  gather(warp, regs.c, form.c, c);
  auto value = [](uint32_t byte, bool isS) {
    return isS ? int32_t(int8_t(byte)) : int32_t(byte);
  };
  unsigned m = form.a.rows, k = form.a.columns, n = form.b.columns;
  for (unsigned i = 0; i < m * n; ++i) {
    int64_t sum = int32_t(c[i]);
    for (unsigned l = 0; l < k; ++l)
      sum += int64_t(value(a[i / n * k + l], inst.n & 1)) *
             value(b[l * n + i % n], inst.n & 2);
    if (inst.n & 4)
      sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
    c[i] = uint32_t(sum);
  }
  scatter(warp, regs.d, form.d, c);
}

void runDoubleProduct(Warp &warp, const Inst &inst, uint32_t) {
  Registers regs;
  ProductForm form = productOf(warp, inst, regs);
  uint64_t a[32], b[32], c[64];
  gather(warp, regs.a, form.a, a);
  gather(warp, regs.b, form.b, b);
  gather(warp, regs.c, form.c, c);
  for (unsigned i = 0; i < 64; ++i) {
    double sum = std::bit_cast<double>(c[i]);
    for (unsigned l = 0; l < 4; ++l)
      sum = std::fma(std::bit_cast<double>(a[i / 8 * 4 + l]),
                     std::bit_cast<double>(b[l * 8 + i % 8]), sum);
    c[i] = std::bit_cast<uint64_t>(sum);
  }
  scatter(warp, regs.d, form.d, c);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

bool takeShape(Decoder &d, Shape &shape) {
  static constexpr std::pair<std::string_view, Shape> names[] = {
      {"m16n16k16", {16, 16, 16}},
      {"m32n8k16", {32, 8, 16}},
      {"m8n32k16", {8, 32, 16}},
      {"m16n16k8", {16, 16, 8}},
      {"m8n8k4", {8, 8, 4}}};
  for (auto [name, value] : names)
    if (d.take(name)) {
      shape = value;
      return true;
    }
  return d.unsupported("expected a shape of 8-bit or wider elements");
}

/// Registers of operand `i` of the right number; false after an error.
bool takeRegisters(Decoder &d, size_t i, const Fragment &fragment,
                   bool isTarget, std::vector<uint32_t> &registers) {
  Type type = fragment.bits == 64 ? Type::B64 : Type::B32;
  const Operand &operand = d.operand(i);
  std::span<const Operand> elements(&operand, 1);
  if (operand.kind == Operand::Vector)
    elements = operand.elements;
  if (elements.size() != fragment.registers)
    return d.fail("fragment: expected " + std::to_string(fragment.registers) +
                  " registers, got " + std::to_string(elements.size()));
  for (const Operand &element : elements)
    registers.push_back(isTarget ? d.target(element, type)
                                 : d.source(element, type));
  return !d.failed();
}

template <typename Form>
void pushForm(Decoder &d, const Form &form,
              const std::vector<uint32_t> &registers) {
  uint32_t words[sizeof(Form) / 4];
  std::memcpy(words, &form, sizeof(form));
  d.inst.extra = d.extraSize();
  for (uint32_t word : words)
    d.pushExtra(word);
  for (uint32_t reg : registers)
    d.pushExtra(reg);
}

bool decodeMatrixAccess(Decoder &d, bool isLoad) {
  d.meta.pipe = Pipe::LSU;
  Role role = d.take("a")   ? Role::A
              : d.take("b") ? Role::B
              : d.take(isLoad ? "c" : "d")
                  ? Role::C
                  : (d.unsupported("expected a matrix"), Role::C);
  Shape shape;
  bool columnMajor = d.take("col");
  if (d.failed() || (!columnMajor && !d.take("row")) || !takeShape(d, shape))
    return d.failed() ? false : d.unsupported("expected .row or .col");
  bool strong;
  StateSpace space = takeMemoryModifiers(d, strong);
  Type type = d.takeType();
  Fragment fragment = fragmentOf(role, shape, type);
  if (!fragment.registers)
    return d.unsupported("matrix, shape and type do not go together");
  if (!d.expectOperands(2, 3))
    return false;
  size_t data = isLoad ? 0 : 1, at = isLoad ? 1 : 0;
  std::vector<uint32_t> registers;
  if (!takeRegisters(d, data, fragment, isLoad, registers))
    return false;
  AddressOperand address = decodeAddress(d, at, 0);
  if (space == StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space);
  MemoryForm form;
  form.fragment = fragment;
  form.columnMajor = columnMajor;
  form.stride =
      d.operandCount() == 3
          ? d.source(2, Type::U32)
          : d.constant32(columnMajor ? fragment.rows : fragment.columns);
  pushForm(d, form, registers);
  d.setHandler(isLoad ? runLoadMatrix : runStoreMatrix);
  return !d.failed();
}

bool decodeProduct(Decoder &d) {
  d.meta.pipe = Pipe::Tensor;
  // Layouts say how A and B were loaded; the fragments know no layout.
  for (unsigned i = 0; i < 2; ++i)
    if (!d.take("row") && !d.take("col"))
      return d.unsupported("expected the layouts of A and B");
  Shape shape;
  if (!takeShape(d, shape))
    return false;
  for (std::string_view rounding : {"rn", "rz", "rm", "rp"})
    if (d.take(rounding) && rounding != "rn")
      return d.unsupported("expected .rn");
  bool saturate = d.take("satfinite");
  // .dtype.ctype for f16, else .dtype.atype.btype.ctype.
  Type dType = d.takeType(), aType = d.takeTypeOr(Type::None);
  Type bType = d.takeTypeOr(Type::None), cType = aType;
  if (bType == Type::None)
    aType = bType = Type::F16;
  else
    cType = d.takeType();
  if (d.failed())
    return false;
  ProductForm form;
  form.d = fragmentOf(Role::C, shape, dType);
  form.a = fragmentOf(Role::A, shape, aType);
  form.b = fragmentOf(Role::B, shape, bType);
  form.c = fragmentOf(Role::C, shape, cType);
  bool integer = aType == Type::S8 || aType == Type::U8;
  bool bInteger = bType == Type::S8 || bType == Type::U8;
  bool isDouble = aType == Type::F64;
  Type wide = integer ? Type::S32 : isDouble ? Type::F64 : Type::F32;
  bool mayBeHalf = aType == Type::F16;
  auto accumulates = [&](Type type) {
    return type == wide || (mayBeHalf && type == Type::F16);
  };
  if (!form.d.registers || !form.a.registers || !form.b.registers ||
      !form.c.registers || integer != bInteger ||
      (!integer && aType != bType) || !accumulates(dType) ||
      !accumulates(cType) || (saturate && !integer))
    return d.unsupported("shape and types do not go together");
  if (!d.expectOperands(4, 4))
    return false;
  std::vector<uint32_t> registers;
  if (!takeRegisters(d, 0, form.d, true, registers) ||
      !takeRegisters(d, 1, form.a, false, registers) ||
      !takeRegisters(d, 2, form.b, false, registers) ||
      !takeRegisters(d, 3, form.c, false, registers))
    return false;
  pushForm(d, form, registers);
  d.meta.tensorFlops = 2u * shape.m * shape.n * shape.k;
  if (integer) {
    d.inst.n = (aType == Type::S8) | (bType == Type::S8) << 1 | saturate << 2;
    d.setHandler(runIntegerProduct);
  } else if (isDouble) {
    d.setHandler(runDoubleProduct);
  } else {
    d.inst.n = uint8_t(*mmaInputOf(aType));
    d.setHandler(runProduct);
  }
  return true;
}

bool decodeWmma(Decoder &d) {
  std::string_view what = d.takeNext();
  d.setCountName("wmma." + std::string(what));
  if (!d.take("sync") || !d.take("aligned"))
    return d.unsupported("expected .sync.aligned");
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  if (what == "mma")
    return decodeProduct(d);
  if (what == "load" || what == "store")
    return decodeMatrixAccess(d, what == "load");
  return d.unsupported("expected .load, .mma or .store");
}

constexpr OpRow kOps[] = {{"wmma", decodeWmma}};

} // namespace

std::span<const OpRow> flash::emu::wmmaOps() { return kOps; }
