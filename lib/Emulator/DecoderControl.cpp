//===- DecoderControl.cpp - Kernels, calls and branches ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls of device functions are inlined: every instance gets registers of its
// own, and its parameters become aliases of the caller's `.param` variables,
// which live in local memory. That keeps diverged lanes free of call stacks;
// recursion is refused.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"
#include "Executor.h"

#include <cstring>

using namespace flash::emu;
using syntax::Operand;

namespace {

/// Instructions of PTX that are left out, by family, and why.
struct MissingFamily {
  std::string_view prefix;
  const char *what;
};
constexpr MissingFamily kMissing[] = {
    {"vadd", "SIMD video instructions are not supported"},
    {"vsub", "SIMD video instructions are not supported"},
    {"vavrg", "SIMD video instructions are not supported"},
    {"vabsdiff", "SIMD video instructions are not supported"},
    {"vmin", "SIMD video instructions are not supported"},
    {"vmax", "SIMD video instructions are not supported"},
    {"vset", "SIMD video instructions are not supported"},
    {"vshl", "SIMD video instructions are not supported"},
    {"vshr", "SIMD video instructions are not supported"},
    {"vmad", "SIMD video instructions are not supported"},
    {"tex", "textures are not supported"},
    {"tld4", "textures are not supported"},
    {"txq", "textures are not supported"},
    {"istypep", "textures are not supported"},
    {"suld", "surfaces are not supported"},
    {"sust", "surfaces are not supported"},
    {"sured", "surfaces are not supported"},
    {"suq", "surfaces are not supported"},
    {"alloca", "run-time stack allocation is not supported"},
    {"stacksave", "run-time stack allocation is not supported"},
    {"stackrestore", "run-time stack allocation is not supported"},
    {"multimem", "multicast memory of several devices is not supported"},
};

std::string missingInstruction(std::string_view opcode) {
  std::string quoted = "'" + std::string(opcode) + "'";
  for (const MissingFamily &family : kMissing)
    if (opcode.starts_with(family.prefix))
      return quoted + ": " + family.what;
  return "unknown instruction " + quoted;
}

} // namespace

std::string Decoder::opcodeName() const {
  return countName.empty() ? std::string(mods[0]) : countName;
}

bool Decoder::emit() {
  if (hasFailed)
    return false;
  if (syn->guard >= 0) {
    uint32_t reg = frame->firstRegister + uint32_t(syn->guard);
    inst.guard = reg | kVirtual;
    inst.guardXor = syn->guardNegated ? ~0u : 0;
    use(reg);
  }
  meta.line = syn->line;
  meta.location = syn->location;
  std::string name = opcodeName();
  auto [it, fresh] =
      opcodeIndex.try_emplace(name, uint32_t(program->opcodes.size()));
  if (fresh)
    program->opcodes.push_back(std::move(name));
  meta.opcode = it->second;
  auto &lists = program->registerLists;
  meta.firstUse = uint32_t(lists.size());
  meta.uses = uint32_t(usesNow.size());
  lists.insert(lists.end(), usesNow.begin(), usesNow.end());
  meta.firstDef = uint32_t(lists.size());
  meta.defs = uint32_t(defsNow.size());
  lists.insert(lists.end(), defsNow.begin(), defsNow.end());
  // Inlining could multiply the code without bound.
  if (code.size() > 4'000'000)
    return fail(
        "program: expected at most 4000000 instructions after inlining");
  code.push_back(inst);
  metas.push_back(meta);
  return true;
}

bool Decoder::labelOf(const Operand &operand, uint32_t &label) {
  if (operand.kind != Operand::Symbol || operand.variable >= 0 ||
      operand.value == 0)
    return fail("expected a label");
  label = frame->firstLabel + uint32_t(operand.value - 1);
  return true;
}

bool Decoder::decodeCall(const syntax::Instruction &instruction) {
  take("uni");
  size_t i = 0;
  const Operand *results = nullptr, *arguments = nullptr;
  if (i < operandCount() && operand(i).kind == Operand::List)
    results = &operand(i++);
  if (i >= operandCount() || operand(i).kind != Operand::Symbol ||
      operand(i).variable >= 0)
    return unsupported("calls through a register");
  std::string_view name = operand(i++).name;
  if (i < operandCount() && operand(i).kind == Operand::List)
    arguments = &operand(i++);
  const syntax::Function *callee = nullptr;
  for (const syntax::Function &function : module.functions)
    if (function.name == name)
      callee = &function;
  if (!callee || callee->isKernel)
    return fail("call: unknown function '" + std::string(name) + "'");
  meta.pipe = Pipe::Control;
  if (!callee->hasBody) {
    // The two externals of device code that need no body: a failed assertion
    // ends the launch, printing is left out.
    if (name == "__assertfail") {
      inst.kind = Kind::Memory;
      setHandler(findTrapHandler());
      return emit();
    }
    if (name == "vprintf") {
      uint64_t at;
      StateSpace space;
      if (results && !results->elements.empty() &&
          results->elements[0].variable >= 0)
        variableAddress(results->elements[0].variable, space, at);
      return !hasFailed;
    }
    return fail("call: function '" + std::string(name) + "' has no body");
  }
  if (frame->depth >= 32)
    return fail("call: expected at most 32 nested calls (recursion is not "
                "supported)");

  Frame inner;
  inner.function = callee;
  inner.depth = frame->depth + 1;
  auto bind = [&](const std::vector<int32_t> &formals, const Operand *actuals,
                  const char *what) {
    size_t count = actuals ? actuals->elements.size() : 0;
    if (count != formals.size())
      return fail(std::string("call: expected ") +
                  std::to_string(formals.size()) + " " + what + ", got " +
                  std::to_string(count));
    for (size_t k = 0; k < count; ++k) {
      const Operand &actual = actuals->elements[k];
      uint64_t at;
      StateSpace space;
      if (actual.kind != Operand::Symbol || actual.variable < 0 ||
          !variableAddress(actual.variable, space, at) ||
          space != StateSpace::Local)
        return fail("call: expected .param variables as arguments");
      inner.parameters[formals[k]] = uint32_t(at);
    }
    return true;
  };
  if (!bind(callee->params, arguments, "arguments") ||
      !bind(callee->returnParams, results, "results"))
    return false;
  uint32_t after = newLabel();
  if (instruction.guard >= 0) {
    // Lanes without the guard go round the body.
    inst.kind = Kind::Branch;
    inst.imm = after;
    syntax::Instruction inverted = instruction;
    inverted.guardNegated = !instruction.guardNegated;
    const syntax::Instruction *saved = syn;
    syn = &inverted;
    bool ok = emit();
    syn = saved;
    if (!ok)
      return false;
  }
  inner.returnLabel = after;
  Frame *outer = frame;
  if (!decodeBody(inner))
    return false;
  frame = outer;
  placeLabel(after);
  return true;
}

bool Decoder::decodeControl(const syntax::Instruction &instruction,
                            bool &handled) {
  handled = true;
  meta.pipe = Pipe::Control;
  std::string_view name = root();
  if (name == "bra") {
    take("uni");
    uint32_t label;
    if (!expectOperands(1, 1) || !labelOf(operand(0), label))
      return false;
    inst.kind = Kind::Branch;
    inst.imm = label;
    return emit();
  }
  if (name == "brx") {
    take("idx");
    take("uni");
    uint32_t label;
    if (!expectOperands(2, 2) || !labelOf(operand(1), label))
      return false;
    auto it = frame->function->branchTargets.find(label - frame->firstLabel);
    if (it == frame->function->branchTargets.end())
      return fail("brx.idx: expected the label of a .branchtargets list");
    inst.kind = Kind::Indexed;
    inst.ops[0] = source(0, Type::U32);
    inst.extra = extraSize();
    inst.imm = it->second.size();
    for (uint32_t target : it->second)
      pushExtra(frame->firstLabel + target);
    return emit();
  }
  if (name == "ret" && frame->depth) {
    take("uni");
    inst.kind = Kind::Branch;
    inst.imm = frame->returnLabel;
    return emit();
  }
  if (name == "ret" || name == "exit") {
    take("uni");
    inst.kind = Kind::Exit;
    return emit();
  }
  if (name == "call")
    return decodeCall(instruction);
  handled = false;
  meta.pipe = Pipe::ALU;
  return true;
}

bool Decoder::decodeInstruction(const syntax::Instruction &instruction) {
  begin(instruction);
  bool handled;
  if (!decodeControl(instruction, handled))
    return false;
  if (handled)
    return !hasFailed;
  DecodeFn decode = findDecoder(root());
  if (!decode)
    return fail(missingInstruction(instruction.opcode));
  if (!decode(*this) || hasFailed) {
    // A decode function that finds nothing it knows says so by returning
    // false alone.
    return fail("unsupported form of '" + std::string(instruction.opcode) +
                "'");
  }
  if (std::string_view left = peekNext(); !left.empty() || mods.size() > 32)
    return fail("'" + std::string(instruction.opcode) +
                "': unknown modifier '." + std::string(left) + "'");
  if (!inst.full)
    return fail("unsupported form of '" + std::string(instruction.opcode) +
                "'");
  return emit();
}

bool Decoder::decodeBody(Frame &newFrame) {
  frame = &newFrame;
  const syntax::Function &function = *newFrame.function;
  newFrame.firstRegister = uint32_t(registerTypes.size());
  if (registerTypes.size() + function.registers.size() >= kVirtual / 4)
    return fail("program: too many registers after inlining");
  for (const syntax::Register &reg : function.registers)
    registerTypes.push_back(reg.type);
  newFrame.firstLabel = uint32_t(labels.size());
  labels.resize(labels.size() + function.labels.size(), ~0u);
  // Labels by the instruction they stand before.
  std::unordered_multimap<uint32_t, uint32_t> at;
  for (uint32_t i = 0; i < function.labels.size(); ++i)
    at.emplace(function.labels[i], newFrame.firstLabel + i);
  for (uint32_t i = 0; i <= function.body.size(); ++i) {
    auto [first, last] = at.equal_range(i);
    for (; first != last; ++first)
      placeLabel(first->second);
    if (i == function.body.size())
      break;
    if (!decodeInstruction(function.body[i]))
      return false;
    frame = &newFrame;
  }
  return true;
}

bool Decoder::decodeKernel(const syntax::Function &function, Program &target) {
  program = &target;
  program->module = &module;
  KernelInfo &info = program->info;
  info.name = function.name;
  info.line = function.line;
  info.maxntid = function.maxntid;
  info.reqntid = function.reqntid;
  info.reqnctapercluster = function.reqncluster;
  info.minnctapersm = function.minnctapersm;
  info.maxnreg = function.maxnreg;
  Frame kernel;
  kernel.function = &function;
  layOutVariables(function);
  if (!decodeBody(kernel))
    return false;
  // Falling off the end is an exit.
  syntax::Instruction end;
  end.opcode = "exit";
  end.line = function.body.empty() ? function.line : function.body.back().line;
  begin(end);
  inst.kind = Kind::Exit;
  meta.pipe = Pipe::Control;
  if (!emit())
    return false;
  for (uint32_t &label : labels)
    if (label == ~0u)
      label = uint32_t(code.size() - 1);
  program->constants = allocateAligned(constantData.size());
  program->constantBytes = uint32_t(constantData.size());
  if (!constantData.empty())
    std::memcpy(program->constants.get(), constantData.data(),
                constantData.size());
  program->localBytes = (program->localBytes + 15) / 16 * 16;
  info.localBytes = program->localBytes;
  std::string message;
  if (!layOutProgram(*this, *program, message)) {
    syn = nullptr;
    return fail(message);
  }
  findRuns(*program);
  return true;
}
