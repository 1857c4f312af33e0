//===- Decoder.cpp - Syntax tree to program ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Modifiers, operands and variables of an instruction.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"
#include "Memory.h"
#include "Ops.h"

#include <bit>
#include <cstring>
#include <unordered_set>

using namespace flash::emu;
using syntax::Operand;

DecodeFn flash::emu::findDecoder(std::string_view root) {
  static const std::unordered_map<std::string_view, DecodeFn> table = [] {
    std::unordered_map<std::string_view, DecodeFn> result;
    for (auto ops :
         {integerOps(), bitOps(),       floatOps(),     mathOps(),
          compareOps(), convertOps(),   moveOps(),      memoryOps(),
          atomicOps(),  warpOps(),      warpgroupOps(), matrixOps(),
          asyncOps(),   tensorMapOps(), controlOps(),   mbarrierOps(),
          clusterOps(), tcgen05Ops(),   registerOps(),  wmmaOps()})
      for (const OpRow &row : ops)
        result.emplace(row.root, row.decode);
    return result;
  }();
  auto it = table.find(root);
  return it == table.end() ? nullptr : it->second;
}

//===----------------------------------------------------------------------===//
// Errors and modifiers
//===----------------------------------------------------------------------===//

bool Decoder::fail(std::string message) {
  if (hasFailed)
    return false;
  hasFailed = true;
  error.line = syn ? syn->line : 0;
  error.text = module.lineText(error.line);
  error.message = std::move(message);
  return false;
}

bool Decoder::unsupported(std::string_view what) {
  return fail("unsupported form of '" + std::string(syn->opcode) +
              "': " + std::string(what));
}

void Decoder::begin(const syntax::Instruction &instruction) {
  syn = &instruction;
  inst = Inst();
  meta = Meta();
  usesNow.clear();
  defsNow.clear();
  countName.clear();
  mods.clear();
  std::string_view rest = instruction.opcode;
  while (true) {
    size_t dot = rest.find('.');
    mods.push_back(rest.substr(0, dot));
    if (dot == std::string_view::npos)
      break;
    rest.remove_prefix(dot + 1);
  }
  consumed = 1;
}

bool Decoder::take(std::string_view name) {
  for (size_t i = 1; i < mods.size() && i < 32; ++i)
    if (!(consumed >> i & 1) && mods[i] == name) {
      consumed |= 1u << i;
      return true;
    }
  return false;
}

bool Decoder::has(std::string_view name) const {
  for (size_t i = 1; i < mods.size() && i < 32; ++i)
    if (!(consumed >> i & 1) && mods[i] == name)
      return true;
  return false;
}

std::string_view Decoder::peekNext() const {
  for (size_t i = 1; i < mods.size() && i < 32; ++i)
    if (!(consumed >> i & 1))
      return mods[i];
  return {};
}

std::string_view Decoder::takeNext() {
  std::string_view next = peekNext();
  if (!next.empty())
    take(next);
  return next;
}

Type Decoder::takeTypeOr(Type otherwise) {
  for (size_t i = 1; i < mods.size() && i < 32; ++i)
    if (!(consumed >> i & 1)) {
      Type type = parseType(mods[i]);
      if (type == Type::None)
        continue;
      consumed |= 1u << i;
      return type;
    }
  return otherwise;
}

Type Decoder::takeType() {
  Type type = takeTypeOr(Type::None);
  if (type == Type::None)
    fail("'" + std::string(syn->opcode) + "': expected a type");
  return type;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

bool Decoder::expectOperands(size_t least, size_t most) {
  size_t count = operandCount();
  if (count >= least && count <= most)
    return true;
  return fail("'" + std::string(syn->opcode) + "': expected " +
              std::to_string(least) +
              (least == most ? "" : " to " + std::to_string(most)) +
              " operands, got " + std::to_string(count));
}

bool Decoder::registerOperand(const Operand &operand, uint32_t &reg) {
  if (operand.kind != Operand::Reg)
    return false;
  reg = frame->firstRegister + uint32_t(operand.reg);
  return true;
}

unsigned Decoder::registerBits(const Operand &operand) const {
  if (operand.kind != Operand::Reg)
    return 0;
  return bitsOf(registerTypes[frame->firstRegister + operand.reg]);
}

uint32_t Decoder::constant32(uint32_t value) {
  auto [it, fresh] =
      constants.try_emplace({value, false}, uint32_t(constantData.size()));
  if (fresh) {
    constantData.resize(constantData.size() + 128);
    for (unsigned i = 0; i < 32; ++i)
      std::memcpy(&constantData[it->second + i * 4], &value, 4);
  }
  return it->second | kConstant;
}

uint32_t Decoder::constant64(uint64_t value) {
  auto [it, fresh] =
      constants.try_emplace({value, true}, uint32_t(constantData.size()));
  if (fresh) {
    constantData.resize(constantData.size() + 256);
    for (unsigned i = 0; i < 32; ++i)
      std::memcpy(&constantData[it->second + i * 8], &value, 8);
  }
  return it->second | kConstant;
}

uint64_t Decoder::immediateBits(const Operand &operand, Type type) {
  unsigned bits = bitsOf(type);
  uint64_t value = operand.value;
  if (operand.kind == Operand::Float64 && bits == 32)
    value = std::bit_cast<uint32_t>(float(std::bit_cast<double>(value)));
  else if (operand.kind == Operand::Float32 && bits == 64)
    value =
        std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(value))));
  else if (operand.kind != Operand::Int && bits < 32)
    fail("immediate: expected an integer for a type of " +
         std::to_string(bits) + " bits");
  else if (operand.kind == Operand::Int &&
           (type == Type::F32 || type == Type::F64))
    fail("immediate: expected a floating-point number");
  return bits == 64 ? value : value & ((uint64_t(1) << bits) - 1);
}

uint32_t Decoder::source(const Operand &operand, Type type) {
  unsigned bits = bitsOf(type);
  uint32_t reg;
  switch (operand.kind) {
  case Operand::Reg: {
    if (operand.negated || operand.second != -1) {
      fail("operand: expected a plain register");
      return 0;
    }
    registerOperand(operand, reg);
    unsigned width = bitsOf(registerTypes[reg]);
    if ((type == Type::Pred) != (registerTypes[reg] == Type::Pred) ||
        width != bits) {
      fail("source operand: expected " + std::to_string(bits) +
           " bits, got a register of " + std::to_string(width));
      return 0;
    }
    use(reg);
    return reg | kVirtual;
  }
  case Operand::Int:
  case Operand::Float32:
  case Operand::Float64: {
    uint64_t value = immediateBits(operand, type);
    return bits == 64 ? constant64(value) : constant32(uint32_t(value));
  }
  case Operand::Special:
    if (operand.name == "WARP_SZ")
      return bits == 64 ? constant64(32) : constant32(32);
    [[fallthrough]];
  default:
    fail("source operand: expected a register or a number");
    return 0;
  }
}

uint32_t Decoder::source(size_t i, Type type) {
  if (i >= operandCount()) {
    fail("'" + std::string(syn->opcode) + "': expected more operands");
    return 0;
  }
  return source(operand(i), type);
}

uint32_t Decoder::wideSource(const Operand &operand, Type type) {
  if (operand.kind != Operand::Reg)
    return source(operand, type);
  uint32_t reg;
  registerOperand(operand, reg);
  unsigned width = bitsOf(registerTypes[reg]);
  if (registerTypes[reg] == Type::Pred || width < bitsOf(type) ||
      operand.negated || operand.second != -1) {
    fail("source operand: expected a register of at least " +
         std::to_string(bitsOf(type)) + " bits");
    return 0;
  }
  use(reg);
  return reg | kVirtual;
}

uint32_t Decoder::target(const Operand &operand, Type type) {
  if (operand.kind == Operand::Sink && operand.second == -1)
    return kScratchRow;
  uint32_t reg;
  if (!registerOperand(operand, reg)) {
    fail("destination operand: expected a register");
    return 0;
  }
  unsigned width = bitsOf(registerTypes[reg]);
  if (registerTypes[reg] == Type::Pred || width != bitsOf(type)) {
    fail("destination operand: expected " + std::to_string(bitsOf(type)) +
         " bits, got a register of " + std::to_string(width));
    return 0;
  }
  def(reg);
  return reg | kVirtual;
}

uint32_t Decoder::target(size_t i, Type type) {
  if (i >= operandCount()) {
    fail("'" + std::string(syn->opcode) + "': expected more operands");
    return 0;
  }
  return target(operand(i), type);
}

uint32_t Decoder::wideTarget(const Operand &operand, Type type) {
  if (operand.kind == Operand::Sink)
    return kScratchRow;
  uint32_t reg;
  if (!registerOperand(operand, reg)) {
    fail("destination operand: expected a register");
    return 0;
  }
  if (registerTypes[reg] == Type::Pred ||
      bitsOf(registerTypes[reg]) < bitsOf(type)) {
    fail("destination operand: expected a register of at least " +
         std::to_string(bitsOf(type)) + " bits");
    return 0;
  }
  def(reg);
  return reg | kVirtual;
}

uint32_t Decoder::predicate(const Operand &operand, uint32_t &negated) {
  negated = operand.negated ? ~0u : 0;
  uint32_t reg;
  if (!registerOperand(operand, reg) || registerTypes[reg] != Type::Pred) {
    fail("operand: expected a predicate register");
    return 0;
  }
  use(reg);
  return reg | kVirtual;
}

uint32_t Decoder::predicate(size_t i, uint32_t &negated) {
  if (i >= operandCount()) {
    fail("'" + std::string(syn->opcode) + "': expected more operands");
    return 0;
  }
  return predicate(operand(i), negated);
}

uint32_t Decoder::predicateTarget(const Operand &operand) {
  if (operand.kind == Operand::Sink && operand.second == -1)
    return kScratchRow;
  uint32_t reg;
  if (!registerOperand(operand, reg) || registerTypes[reg] != Type::Pred) {
    fail("destination operand: expected a predicate register");
    return 0;
  }
  def(reg);
  return reg | kVirtual;
}

/// The register after `|` in `d|p`, the scratch row where there is none.
uint32_t Decoder::secondTarget(const Operand &operand, bool isPredicate) {
  if (operand.second < 0)
    return kScratchRow;
  uint32_t reg = frame->firstRegister + uint32_t(operand.second);
  if ((registerTypes[reg] == Type::Pred) != isPredicate ||
      (!isPredicate && bitsOf(registerTypes[reg]) != 32)) {
    fail(isPredicate ? "operand after '|': expected a predicate register"
                     : "operand after '|': expected a 32-bit register");
    return 0;
  }
  def(reg);
  return reg | kVirtual;
}

bool Decoder::immediate(size_t i, uint64_t &value) {
  if (i >= operandCount() || operand(i).kind != Operand::Int)
    return fail("operand " + std::to_string(i + 1) +
                ": expected an integer constant");
  value = operand(i).value;
  return true;
}

uint32_t Decoder::pushExtra(uint32_t value) {
  program->extra.push_back(value);
  return uint32_t(program->extra.size() - 1);
}

AddressOperand Decoder::address(size_t i) {
  if (i >= operandCount() || operand(i).kind != Operand::Address ||
      operand(i).elements.size() != 1) {
    fail("operand " + std::to_string(i + 1) + ": expected an address [...]");
    return {};
  }
  return address(operand(i));
}

AddressOperand Decoder::address(const Operand &op) {
  AddressOperand result;
  const Operand &base = op.elements[0];
  result.offset = op.value;
  if (base.kind == Operand::Reg) {
    unsigned bits = registerBits(base);
    if (bits != 32 && bits != 64) {
      fail("address: expected a 32- or 64-bit register");
      return result;
    }
    result.hasBase = true;
    result.base64 = bits == 64;
    result.base = source(base, bits == 64 ? Type::B64 : Type::B32);
  } else if (base.kind == Operand::Symbol) {
    uint64_t at = 0;
    if (base.variable < 0)
      fail("address: '" + std::string(base.name) + "' is no variable");
    else if (variableAddress(base.variable, result.symbolSpace, at)) {
      result.offset += at;
      if (result.symbolSpace == StateSpace::Shared) {
        result.hasBase = true;
        result.base64 = false;
        result.base = kSharedBase32;
      }
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

uint32_t Decoder::allocateLocal(uint64_t size, uint32_t align) {
  uint64_t at = (uint64_t(program->localBytes) + align - 1) / align * align;
  // The hardware's limit per thread.
  if (at + size > 512 * 1024) {
    fail("local memory: expected at most 524288 bytes per thread");
    return 0;
  }
  program->localBytes = uint32_t(at + size);
  return uint32_t(at);
}

bool Decoder::variableAddress(int32_t variable, StateSpace &space,
                              uint64_t &address) {
  const syntax::Variable &v = module.variables[variable];
  space = v.space;
  auto alias = frame->parameters.find(variable);
  if (alias != frame->parameters.end()) {
    space = StateSpace::Local;
    address = alias->second;
    return true;
  }
  auto known = variableAt.find(variable);
  if (known == variableAt.end()) {
    uint64_t at = 0;
    switch (v.space) {
    case StateSpace::Local:
    case StateSpace::Param: // Of a call; the kernel's own are laid out before.
      at = allocateLocal(v.size, v.align);
      break;
    case StateSpace::Global:
      if (v.isExtern)
        return fail("variable '" + std::string(v.name) +
                    "' is external: expected its definition");
      at = kGlobalVariables + (nextGlobal + v.align + 255) / 256 * 256;
      nextGlobal = at - kGlobalVariables + v.size + kGuardBytes;
      program->globals.push_back({&v, at});
      break;
    case StateSpace::Const: {
      std::vector<std::byte> &image = program->constImage;
      at = (image.size() + v.align - 1) / v.align * v.align;
      if (at + v.size > 64 * 1024)
        return fail("constant memory: expected at most 65536 bytes");
      image.resize(at + v.size);
      if (!v.initial.empty())
        std::memcpy(image.data() + at, v.initial.data(), v.size);
      break;
    }
    default:
      return fail("variable '" + std::string(v.name) + "' has no address here");
    }
    known = variableAt.emplace(variable, at).first;
  }
  if (v.space == StateSpace::Param)
    space =
        kernelParams.count(variable) ? StateSpace::Param : StateSpace::Local;
  address = known->second;
  return true;
}

/// Kernel parameters, and the shared variables that the kernel or a function
/// it calls names: static ones first, `extern` ones all at the end of those.
void Decoder::layOutVariables(const syntax::Function &kernel) {
  KernelInfo &info = program->info;
  uint32_t offset = 0;
  for (int32_t index : kernel.params) {
    const syntax::Variable &v = module.variables[index];
    offset = (offset + v.align - 1) / v.align * v.align;
    info.params.push_back(
        {std::string(v.name), uint32_t(v.size), v.align, offset});
    variableAt[index] = offset;
    kernelParams.insert(index);
    offset += uint32_t(v.size);
  }
  info.paramBytes = offset;

  std::vector<int32_t> statics, dynamics;
  std::unordered_set<int32_t> seen;
  std::unordered_set<std::string_view> functions;
  std::vector<const syntax::Function *> todo = {&kernel};
  auto visit = [&](const Operand &op, auto &&self) -> void {
    if (op.kind == Operand::Symbol && op.variable >= 0 &&
        seen.insert(op.variable).second) {
      const syntax::Variable &v = module.variables[op.variable];
      if (v.space == StateSpace::Shared)
        (v.unsized || v.isExtern ? dynamics : statics).push_back(op.variable);
    }
    if (op.kind == Operand::Symbol && op.variable < 0 &&
        functions.insert(op.name).second)
      for (const syntax::Function &f : module.functions)
        if (f.name == op.name)
          todo.push_back(&f);
    for (const Operand &element : op.elements)
      self(element, self);
  };
  while (!todo.empty()) {
    const syntax::Function *function = todo.back();
    todo.pop_back();
    for (const syntax::Instruction &instruction : function->body)
      for (const Operand &op : instruction.operands)
        visit(op, visit);
  }
  uint64_t shared = 0;
  for (int32_t index : statics) {
    const syntax::Variable &v = module.variables[index];
    shared = (shared + v.align - 1) / v.align * v.align;
    variableAt[index] = shared;
    shared += v.size;
  }
  info.staticSharedBytes = uint32_t(std::min<uint64_t>(shared, ~0u));
  uint32_t align = 1;
  for (int32_t index : dynamics)
    align = std::max(align, module.variables[index].align);
  info.dynamicSharedAlign = align;
  for (int32_t index : dynamics)
    variableAt[index] = (shared + align - 1) / align * align;
}
