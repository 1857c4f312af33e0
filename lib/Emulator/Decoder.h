//===- Decoder.h - Syntax tree to program -----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Decoding one instruction: its family's decode function (see Ops.h) reads
// modifiers and operands through this class and fills `inst` and `meta`. What
// it leaves unread is an error, so that no modifier is ignored by accident.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_DECODER_H
#define FLASH_LIB_EMULATOR_DECODER_H

#include "Program.h"

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace flash::emu {

/// The two handlers of an instruction.
struct Handlers {
  Handler full = nullptr;
  Handler masked = nullptr;
};

/// Where an address operand points.
struct AddressOperand {
  uint32_t base = 0; ///< Row operand (64- or 32-bit), if hasBase.
  bool hasBase = false;
  bool base64 = true;
  uint64_t offset = 0; ///< Added to it; absolute without a base.
  /// Space of the variable that the address names, Generic if none. Shared
  /// ones have the CTA's own base row as their base.
  StateSpace symbolSpace = StateSpace::Generic;
};

/// A function instance: the kernel, or one inlined call.
struct Frame {
  const syntax::Function *function = nullptr;
  uint32_t firstRegister = 0; ///< Number of its register 0.
  uint32_t firstLabel = 0;    ///< Program-wide number of its label 0.
  uint32_t returnLabel = 0;   ///< Where `ret` goes; kernels exit instead.
  unsigned depth = 0;
  /// Formal parameters -> byte offset of the actual ones in local memory.
  std::unordered_map<int32_t, uint32_t> parameters;
};

class Decoder {
public:
  Decoder(const syntax::Module &module, Diagnostic &error)
      : module(module), error(error) {}

  /// Decodes kernel `function` into `program`.
  bool decodeKernel(const syntax::Function &function, Program &program);

  //===--- For decode functions -------------------------------------------===//

  Inst inst;
  Meta meta;

  /// Consumes modifier `name` wherever it stands; false if it is absent.
  bool take(std::string_view name);
  /// Consumes the next modifier that is not consumed yet, "" if none.
  std::string_view takeNext();
  std::string_view peekNext() const;
  /// Whether modifier `name` is there and not consumed.
  bool has(std::string_view name) const;
  /// Consumes the next modifier that names a type; an error if none.
  Type takeType();
  Type takeTypeOr(Type otherwise);

  size_t operandCount() const { return syn->operands.size(); }
  const syntax::Operand &operand(size_t i) const { return syn->operands[i]; }
  /// An error unless the instruction has between `least` and `most` operands.
  bool expectOperands(size_t least, size_t most);

  /// Operand `i` as a source of `type`: register or immediate.
  uint32_t source(size_t i, Type type);
  uint32_t source(const syntax::Operand &operand, Type type);
  /// As source(), for instructions that take wider registers (st, cvt).
  uint32_t wideSource(const syntax::Operand &operand, Type type);
  uint32_t target(size_t i, Type type);
  uint32_t target(const syntax::Operand &operand, Type type);
  uint32_t wideTarget(const syntax::Operand &operand, Type type);
  /// A predicate source; `negated` receives ~0 for `!p`.
  uint32_t predicate(size_t i, uint32_t &negated);
  uint32_t predicate(const syntax::Operand &operand, uint32_t &negated);
  uint32_t predicateTarget(const syntax::Operand &operand);
  uint32_t secondTarget(const syntax::Operand &operand, bool isPredicate);
  /// Width in bits of a register operand, 0 for others.
  unsigned registerBits(const syntax::Operand &operand) const;
  AddressOperand address(size_t i);
  /// The address of a tensor [address, {coordinates}], without those.
  AddressOperand address(const syntax::Operand &op);
  /// Row of 32 equal values.
  uint32_t constant32(uint32_t value);
  uint32_t constant64(uint64_t value);
  bool immediate(size_t i, uint64_t &value);
  /// Value of an immediate operand converted to `type`.
  uint64_t immediateBits(const syntax::Operand &operand, Type type);
  /// Appends to Program::extra and returns the index.
  uint32_t pushExtra(uint32_t value);
  /// This access may order CTAs.
  void noteOrdering() { program->ordersCtas = true; }
  /// This is an operation of the async proxy on shared memory.
  void noteAsyncProxy() { program->usesAsyncProxy = true; }
  void noteWarpgroups() { program->usesWarpgroups = true; }
  void noteTensorFence(bool isBefore) {
    (isBefore ? program->tensorFencesBefore : program->tensorFencesAfter) =
        true;
  }
  uint32_t extraSize() const { return uint32_t(program->extra.size()); }
  bool variableAddress(int32_t variable, StateSpace &space, uint64_t &address);

  /// Records the first error of the instruction; always false.
  bool fail(std::string message);
  bool failed() const { return hasFailed; }
  /// "unsupported modifiers" error; always false.
  bool unsupported(std::string_view what);
  void setHandlers(Handlers handlers) {
    inst.full = handlers.full;
    inst.masked = handlers.masked;
  }
  void setHandler(Handler handler) { inst.full = inst.masked = handler; }
  std::string_view root() const { return mods.front(); }
  /// Name under which the opcode histogram counts this instruction.
  void setCountName(std::string name) { countName = std::move(name); }

private:
  bool decodeBody(Frame &frame);
  bool decodeInstruction(const syntax::Instruction &instruction);
  bool decodeControl(const syntax::Instruction &instruction, bool &handled);
  bool decodeCall(const syntax::Instruction &instruction);
  bool emit();
  uint32_t newLabel() {
    labels.push_back(~0u);
    return labels.size() - 1;
  }
  void placeLabel(uint32_t label) { labels[label] = code.size(); }
  bool labelOf(const syntax::Operand &operand, uint32_t &label);
  bool registerOperand(const syntax::Operand &operand, uint32_t &reg);
  void begin(const syntax::Instruction &instruction);
  void use(uint32_t reg) { usesNow.push_back(reg); }
  void def(uint32_t reg) { defsNow.push_back(reg); }
  uint32_t allocateLocal(uint64_t size, uint32_t align);
  void layOutVariables(const syntax::Function &kernel);
  std::string opcodeName() const;

  const syntax::Module &module;
  Diagnostic &error;
  Program *program = nullptr;
  Frame *frame = nullptr;
  const syntax::Instruction *syn = nullptr;
  std::vector<std::string_view> mods;
  uint32_t consumed = 0; ///< Bit per modifier.
  bool hasFailed = false;
  std::string countName;
  std::vector<uint32_t> usesNow, defsNow;

public:
  // Linear code before blocks are laid out; branch immediates are labels.
  std::vector<Inst> code;
  std::vector<Meta> metas;
  std::vector<uint32_t> labels;    ///< Label -> index into code.
  std::vector<Type> registerTypes; ///< By register number.

private:
  std::map<std::pair<uint64_t, bool>, uint32_t> constants;
  std::vector<std::byte> constantData;
  std::unordered_map<int32_t, uint64_t> variableAt; ///< Variable -> address.
  std::unordered_map<std::string, uint32_t> opcodeIndex;
  std::unordered_set<int32_t> kernelParams;
  uint64_t nextGlobal = 0;
};

/// Lays the decoder's linear code out in blocks (loops contiguous, reverse
/// postorder), finds registers that may be read uninitialised, gives registers
/// their rows, and fills `program`. See ControlFlow.cpp.
bool layOutProgram(Decoder &decoder, Program &program, std::string &message);

using DecodeFn = bool (*)(Decoder &);

/// Ends the launch with a trap issue.
Handler findTrapHandler();

/// The decode function of an opcode root ("add", "ld", "mma"), or null.
DecodeFn findDecoder(std::string_view root);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_DECODER_H
