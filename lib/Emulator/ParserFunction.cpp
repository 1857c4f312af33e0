//===- ParserFunction.cpp - PTX text to syntax tree: functions --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ParserImpl.h"

using namespace flash::emu;
using syntax::Function;
using syntax::Instruction;
using syntax::Operand;

const int32_t *Parser::findRegister(std::string_view name) const {
  for (size_t i = scopes.size(); i-- > 0;) {
    auto it = scopes[i].registers.find(name);
    if (it != scopes[i].registers.end())
      return &it->second;
    // A variable of an inner block hides a register of an outer one.
    if (scopes[i].variables.count(name))
      return nullptr;
  }
  return nullptr;
}

const int32_t *Parser::findVariable(std::string_view name) const {
  for (size_t i = scopes.size(); i-- > 0;) {
    auto it = scopes[i].variables.find(name);
    if (it != scopes[i].variables.end())
      return &it->second;
  }
  return nullptr;
}

/// The body of `{ ... }` up to its closing brace; the scope is the caller's.
bool Parser::block(Function &function) {
  while (!accept('}')) {
    if (token.kind == Token::End)
      return fail("expected '}', " + found());
    if (!statement(function))
      return false;
  }
  return true;
}

bool Parser::closeScope(Function &function) {
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  bool outermost = scopes.size() == 1;
  for (PendingName &pending : scope.pending) {
    auto it = scope.labels.find(pending.name);
    if (it == scope.labels.end()) {
      if (!outermost)
        scopes.back().pending.push_back(pending);
      else if (pending.mustBeLabel)
        return failAt(pending.line,
                      "unknown name '" + std::string(pending.name) +
                          "': expected a register, variable or label");
      continue;
    }
    if (pending.inTargets) {
      function.branchTargets[pending.instruction][pending.operand] = it->second;
      continue;
    }
    Operand *operand =
        &function.body[pending.instruction].operands[pending.operand];
    if (pending.element != kNoElement)
      operand = &operand->elements[pending.element];
    operand->value = it->second + 1; // 0 stays "not a label".
  }
  return true;
}

/// The label whose name `at` holds as its opcode.
bool Parser::label(Function &function, const Instruction &at, uint32_t &index) {
  index = uint32_t(function.labels.size());
  function.labels.push_back(uint32_t(function.body.size()));
  if (!scopes.back().labels.emplace(at.opcode, index).second)
    return failAt(at.line,
                  "label '" + std::string(at.opcode) + "' is defined twice");
  return true;
}

bool Parser::statement(Function &function) {
  if (accept(';'))
    return true;
  if (token.is('{')) {
    if (scopes.size() > kMaxNesting)
      return fail("blocks nested too deeply");
    advance();
    scopes.emplace_back();
    return block(function) && closeScope(function);
  }
  if (accept('@')) {
    bool negated = accept('!');
    const int32_t *reg = findRegister(token.text);
    if (token.kind != Token::Word || !reg)
      return fail("expected a guard predicate, " + found());
    if (function.registers[*reg].type != Type::Pred)
      return fail("guard '" + std::string(token.text) +
                  "': expected a .pred register");
    int32_t guard = *reg;
    advance();
    return instruction(function, guard, negated);
  }
  if (token.kind != Token::Word)
    return fail("expected an instruction, " + found());
  std::string_view word = token.text;
  if (word[0] != '.')
    return instruction(function, -1, false);
  if (word == ".reg")
    return registerDeclaration(function);
  if (word == ".shared")
    return variableDeclaration(StateSpace::Shared, false, true);
  if (word == ".local")
    return variableDeclaration(StateSpace::Local, false, true);
  if (word == ".param")
    return variableDeclaration(StateSpace::Param, false, true);
  if (word == ".global")
    return variableDeclaration(StateSpace::Global, false, true);
  if (word == ".const")
    return variableDeclaration(StateSpace::Const, false, true);
  if (word == ".extern") {
    advance();
    if (!token.isWord(".shared"))
      return fail("expected .shared after .extern, " + found());
    return variableDeclaration(StateSpace::Shared, true, true);
  }
  if (word == ".loc")
    return locDirective();
  if (word == ".pragma") {
    advance();
    return skipTo(';');
  }
  if (word == ".file")
    return fileDirective();
  return fail("unknown directive, " + found());
}

bool Parser::locDirective() {
  unsigned line = token.line;
  advance();
  uint64_t file, row, column;
  if (!expectInt(file, "a file number") || !expectInt(row, "a line") ||
      !expectInt(column, "a column"))
    return false;
  // `, function_name $L, inlined_at f l c` may follow on the same line.
  while (token.line == line && token.kind != Token::End && !token.is('}'))
    advance();
  module.locations.push_back({uint32_t(file), uint32_t(row)});
  location = uint32_t(module.locations.size());
  return true;
}

bool Parser::registerDeclaration(Function &function) {
  advance();
  if (token.kind != Token::Word || token.text[0] != '.')
    return fail("expected a register type, " + found());
  Type type = parseType(token.text.substr(1));
  if (type == Type::None)
    return fail("expected a register type, " + found());
  advance();
  auto declare = [&](std::string_view name) {
    if (function.registers.size() >= kMaxRegisters)
      return fail("expected at most " + std::to_string(kMaxRegisters) +
                  " registers");
    if (!scopes.back()
             .registers.emplace(name, int32_t(function.registers.size()))
             .second)
      return fail("register '" + std::string(name) + "' is declared twice");
    function.registers.push_back({type});
    return true;
  };
  do {
    std::string_view name;
    if (!expectWord(name, "a register name"))
      return false;
    if (!accept('<')) {
      if (!declare(name))
        return false;
      continue;
    }
    uint64_t count;
    if (!expectInt(count, "a register count") || !expect('>'))
      return false;
    if (count > kMaxRegisters)
      return fail("expected at most " + std::to_string(kMaxRegisters) +
                  " registers");
    for (uint64_t i = 0; i < count; ++i) {
      names.push_back(std::string(name) + std::to_string(i));
      if (!declare(names.back()))
        return false;
    }
  } while (accept(','));
  return expect(';');
}

bool Parser::branchTargetList(Function &function, uint32_t label) {
  advance();
  std::vector<uint32_t> &targets = function.branchTargets[label];
  do {
    std::string_view name;
    unsigned line = token.line;
    if (!expectWord(name, "a label"))
      return false;
    scopes.back().pending.push_back({name, line, label,
                                     uint32_t(targets.size()), kNoElement,
                                     /*inTargets=*/true,
                                     /*mustBeLabel=*/true});
    targets.push_back(0);
  } while (accept(','));
  return expect(';');
}

void Parser::pendNames(const Operand &operand, uint32_t instruction,
                       uint32_t index, bool mustBeLabel) {
  auto pend = [&](const Operand &op, uint32_t element) {
    if (op.kind == Operand::Symbol && op.variable < 0)
      scopes.back().pending.push_back({op.name, token.line, instruction, index,
                                       element, false, mustBeLabel});
  };
  pend(operand, kNoElement);
  for (uint32_t i = 0; i < operand.elements.size(); ++i)
    pend(operand.elements[i], i);
}

bool Parser::instruction(Function &function, int32_t guard, bool negated) {
  Instruction inst;
  inst.line = token.line;
  inst.guard = guard;
  inst.guardNegated = negated;
  inst.location = location;
  if (!expectWord(inst.opcode, "an instruction"))
    return false;
  if (guard < 0 && accept(':')) {
    uint32_t index;
    if (!label(function, inst, index))
      return false;
    if (token.isWord(".branchtargets"))
      return branchTargetList(function, index);
    if (token.isWord(".callprototype") || token.isWord(".calltargets")) {
      advance();
      return skipTo(';');
    }
    return true;
  }
  if (!token.is(';')) {
    do {
      Operand op;
      if (!operand(op, 0))
        return false;
      inst.operands.push_back(std::move(op));
    } while (accept(','));
  }
  uint32_t index = uint32_t(function.body.size());
  bool isCall = inst.opcode.starts_with("call");
  for (uint32_t i = 0; i < inst.operands.size(); ++i)
    pendNames(inst.operands[i], index, i, !isCall);
  function.body.push_back(std::move(inst));
  return expect(';');
}

bool Parser::address(Operand &result, unsigned depth) {
  result.kind = Operand::Address;
  Operand base;
  if (!operand(base, depth + 1))
    return false;
  if (base.kind == Operand::Int) {
    result.value = base.value;
  } else if (accept('+')) {
    bool negative = accept('-');
    uint64_t offset;
    if (!expectInt(offset, "an offset"))
      return false;
    result.value = negative ? 0 - offset : offset;
  } else if (accept('-')) {
    uint64_t offset;
    if (!expectInt(offset, "an offset"))
      return false;
    result.value = 0 - offset;
  }
  if (base.kind != Operand::Reg && base.kind != Operand::Symbol &&
      base.kind != Operand::Int)
    return fail("address: expected a register, variable or number");
  result.elements.push_back(std::move(base));
  // Tensor coordinates: [map, {c0, c1, ...}].
  while (accept(',')) {
    Operand more;
    if (!operand(more, depth + 1))
      return false;
    result.elements.push_back(std::move(more));
  }
  return expect(']');
}

bool Parser::operand(Operand &result, unsigned depth) {
  if (depth > 8)
    return fail("operand nested too deeply");
  if (accept('['))
    return address(result, depth);
  if (token.is('{') || token.is('(')) {
    bool isVector = token.is('{');
    advance();
    result.kind = isVector ? Operand::Vector : Operand::List;
    if (accept(isVector ? '}' : ')'))
      return true;
    do {
      Operand element;
      if (!operand(element, depth + 1))
        return false;
      result.elements.push_back(std::move(element));
    } while (accept(','));
    return expect(isVector ? '}' : ')');
  }
  if (accept('!')) {
    if (!operand(result, depth + 1))
      return false;
    if (result.kind != Operand::Reg)
      return fail("'!': expected a predicate register");
    result.negated = true;
    return true;
  }
  bool negative = false;
  if (token.is('-')) {
    advance();
    negative = true;
  }
  if (token.kind == Token::Int) {
    result.kind = Operand::Int;
    result.value = negative ? 0 - token.value : token.value;
    advance();
    return true;
  }
  if (token.kind == Token::Float32 || token.kind == Token::Float64) {
    bool isSingle = token.kind == Token::Float32;
    result.kind = isSingle ? Operand::Float32 : Operand::Float64;
    result.value = token.value;
    if (negative)
      result.value ^= uint64_t(1) << (isSingle ? 31 : 63);
    advance();
    return true;
  }
  if (negative || token.kind != Token::Word)
    return fail("expected an operand, " + found());
  std::string_view word = token.text;
  advance();
  if (word == "_") {
    result.kind = Operand::Sink;
    if (accept('|')) {
      const int32_t *second = findRegister(token.text);
      if (token.kind != Token::Word || !second)
        return fail("expected a register after '|', " + found());
      result.second = *second;
      advance();
    }
    return true;
  }
  if (const int32_t *reg = findRegister(word)) {
    result.kind = Operand::Reg;
    result.reg = *reg;
    if (accept('|')) {
      const int32_t *second = findRegister(token.text);
      if (token.kind != Token::Word || (!second && token.text != "_"))
        return fail("expected a register after '|', " + found());
      result.second = second ? *second : -2;
      advance();
    }
    return true;
  }
  if (word[0] == '%' || word == "WARP_SZ") {
    result.kind = Operand::Special;
    result.name = word;
    return true;
  }
  result.kind = Operand::Symbol;
  result.name = word;
  if (const int32_t *variable = findVariable(word))
    result.variable = *variable;
  if (depth == 0 && accept('+')) {
    uint64_t offset;
    if (!expectInt(offset, "an offset"))
      return false;
    result.value = offset;
  }
  return true;
}
