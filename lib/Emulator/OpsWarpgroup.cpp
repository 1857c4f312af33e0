//===- OpsWarpgroup.cpp - wgmma ---------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decodes wgmma.mma_async and its fence, commit and wait. What they do is in
// WarpgroupMatrix.cpp.
//
//===----------------------------------------------------------------------===//

#include "Ops.h"
#include "WarpgroupMatrix.h"

#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

/// "m64n128k16": n and k; false for other text.
bool parseShape(std::string_view text, unsigned &n, unsigned &k) {
  auto number = [&](unsigned &value) {
    value = 0;
    bool any = false;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9' && value < 1000) {
      value = value * 10 + unsigned(text[0] - '0');
      text.remove_prefix(1);
      any = true;
    }
    return any;
  };
  if (!text.starts_with("m64n"))
    return false;
  text.remove_prefix(4);
  if (!number(n) || !text.starts_with("k"))
    return false;
  text.remove_prefix(1);
  return number(k) && text.empty();
}

bool inputOf(Type type, MmaInput &input, bool &integer) {
  integer = type == Type::S8 || type == Type::U8;
  std::optional<MmaInput> floating = mmaInputOf(type);
  if (floating)
    input = *floating;
  return integer || floating;
}

/// An operand that must be one of two constants.
bool takeConstant(Decoder &d, size_t i, int64_t first, int64_t second,
                  bool &isSecond) {
  uint64_t value;
  if (!d.immediate(i, value))
    return false;
  if (int64_t(value) != first && int64_t(value) != second)
    return d.fail("operand " + std::to_string(i + 1) + ": expected " +
                  std::to_string(first) + " or " + std::to_string(second) +
                  ", got " + std::to_string(int64_t(value)));
  isSecond = int64_t(value) == second;
  return true;
}

/// PTX ISA, "Matrix Shape" of wgmma.
bool setWidth(Decoder &d, WarpgroupForm &form, unsigned n) {
  bool known = n >= 8 && n <= 256 && n % 8 == 0;
  if (form.integer)
    known &= n <= 32 || n % 16 == 0;
  if (!known)
    return d.unsupported("shape: n: expected a multiple of 8 up to 256 (of 16 "
                         "above 32 for integers), got " +
                         std::to_string(n));
  form.tiles = uint8_t(n / 8);
  return true;
}

/// .s32.b1.b1.and.popc, one .b1 of which is consumed.
bool decodeBits(Decoder &d, WarpgroupForm &form, unsigned n, unsigned k) {
  if (!d.take("b1") || d.takeType() != Type::S32 || !d.take("and") ||
      !d.take("popc") || k != 256 || form.saturate)
    return d.unsupported("1-bit operands: expected "
                         "m64nNk256.s32.b1.b1.and.popc");
  form.integer = true;
  form.bits = 1;
  return setWidth(d, form, n);
}

bool decodeForm(Decoder &d, WarpgroupForm &form) {
  unsigned n = 0, k = 0;
  form.saturate = d.take("satfinite");
  std::string_view shape = d.takeNext();
  if (!parseShape(shape, n, k))
    return d.unsupported("shape: expected m64nNk8, m64nNk16, m64nNk32 or "
                         "m64nNk256");
  if (d.take("b1"))
    return decodeBits(d, form, n, k);
  Type dType = d.takeType(), aType = d.takeType(), bType = d.takeType();
  if (d.failed())
    return false;
  bool aInteger, bInteger;
  if (!inputOf(aType, form.a, aInteger) || !inputOf(bType, form.b, bInteger))
    return d.unsupported("input types");
  form.integer = aInteger;
  form.aSigned = aType == Type::S8;
  form.bSigned = bType == Type::S8;
  form.bits = uint8_t(bitsOf(aType == Type::TF32 ? Type::B32 : aType));
  form.halfResult = dType == Type::F16;
  bool isByte = form.bits == 8;
  if (aInteger != bInteger || (!isByte && aType != bType) ||
      (isByte && bitsOf(bType) != 8))
    return d.unsupported("input types do not go together");
  if (k * form.bits != 256)
    return d.unsupported("shape: expected k" + std::to_string(256 / form.bits) +
                         " for these types");
  if (aInteger ? dType != Type::S32
               : dType != Type::F32 &&
                     !(form.halfResult && (isByte || aType == Type::F16)))
    return d.unsupported("accumulator type");
  if (form.saturate && !aInteger)
    return d.unsupported(".satfinite: expected integers");
  return setWidth(d, form, n);
}

bool decodeMultiply(Decoder &d) {
  d.setCountName("wgmma.mma_async");
  if (d.take("sp"))
    return d.unsupported("sparse operands (.sp) are not supported");
  if (!d.take("sync") || !d.take("aligned"))
    return d.unsupported("expected .sync.aligned");
  WarpgroupForm form{};
  if (!decodeForm(d, form))
    return false;
  // d, a, b-desc, scale-d {, imm-scale-a, imm-scale-b {, imm-trans-a},
  // imm-trans-b}; registers of A are never transposed.
  size_t count = d.operandCount();
  if (count < 4)
    return d.expectOperands(4, 8);
  form.aInRegisters = d.operand(1).kind == Operand::Vector;
  size_t expected = form.integer        ? 4
                    : form.bits != 16   ? 6
                    : form.aInRegisters ? 7
                                        : 8;
  if (!d.expectOperands(expected, expected))
    return false;
  if (!form.integer) {
    bool negated;
    if (!takeConstant(d, 4, 1, -1, negated))
      return false;
    form.aNegated = negated;
    if (!takeConstant(d, 5, 1, -1, negated))
      return false;
    form.bNegated = negated;
  }
  if (form.bits == 16 && !form.integer) {
    bool transposed;
    if (!form.aInRegisters) {
      if (!takeConstant(d, 6, 0, 1, transposed))
        return false;
      form.aMnMajor = transposed;
    }
    if (!takeConstant(d, expected - 1, 0, 1, transposed))
      return false;
    form.bMnMajor = transposed;
  }

  const Operand &scale = d.operand(3);
  bool never = false;
  if (scale.kind == Operand::Int) {
    if (!takeConstant(d, 3, 1, 0, never))
      return false;
    d.inst.ops[2] = kTrueMask;
    d.inst.n = never;
  }
  const Operand &accumulators = d.operand(0);
  unsigned registers = form.n() / (form.halfResult ? 4 : 2);
  if (accumulators.kind != Operand::Vector ||
      accumulators.elements.size() != registers)
    return d.fail("accumulators: expected " + std::to_string(registers) +
                  " registers, got " +
                  std::to_string(accumulators.elements.size()));
  for (const Operand &element : accumulators.elements) {
    if (element.kind != Operand::Reg)
      return d.fail("accumulators: expected registers");
    d.target(element, Type::B32);
    if (!never)
      d.source(element, Type::B32);
  }
  d.meta.optionalUses = never ? 0 : uint16_t(registers);
  const Operand &a = d.operand(1);
  if (form.aInRegisters) {
    if (a.elements.size() != 4)
      return d.fail("operand 2: expected 4 registers, got " +
                    std::to_string(a.elements.size()));
    for (const Operand &element : a.elements) {
      if (element.kind != Operand::Reg)
        return d.fail("operand 2: expected registers");
      d.source(element, Type::B32);
    }
  } else {
    d.inst.ops[0] = d.source(1, Type::B64);
  }
  d.inst.ops[1] = d.source(2, Type::B64);
  if (scale.kind != Operand::Int) {
    uint32_t negated;
    d.inst.ops[2] = d.predicate(3, negated);
    d.inst.n = negated != 0;
  }
  std::memcpy(&d.inst.imm, &form, sizeof(form));
  d.inst.kind = Kind::Sync;
  d.meta.warpgroup = true;
  d.meta.pipe = Pipe::Tensor;
  d.meta.tensorFlops = 2 * 16 * form.n() * (256 / form.bits);
  d.noteAsyncProxy();
  d.setHandler(issueWarpgroupMatrix);
  return !d.failed();
}

bool decodeWgmma(Decoder &d) {
  d.inst.flags |= kAligned;
  d.noteWarpgroups();
  if (d.take("mma_async"))
    return decodeMultiply(d);
  d.meta.pipe = Pipe::Control;
  d.inst.kind = Kind::Sync;
  std::string_view what = d.takeNext();
  d.setCountName("wgmma." + std::string(what));
  if (!d.take("sync") || !d.take("aligned"))
    return d.unsupported("expected .sync.aligned");
  if (what == "fence") {
    d.setHandler(fenceWarpgroup);
    return d.expectOperands(0, 0);
  }
  if (what == "commit_group") {
    d.setHandler(commitWarpgroup);
    return d.expectOperands(0, 0);
  }
  if (what == "wait_group") {
    d.inst.kind = Kind::Wait;
    d.setHandler(waitForWarpgroup);
    return d.expectOperands(1, 1) && d.immediate(0, d.inst.imm);
  }
  return false;
}

constexpr OpRow kOps[] = {{"wgmma", decodeWgmma}};

} // namespace

std::span<const OpRow> flash::emu::warpgroupOps() { return kOps; }
