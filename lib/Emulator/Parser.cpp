//===- Parser.cpp - PTX text to syntax tree ---------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A recursive-descent parser. PTX scopes registers, variables and labels by
// `{ }` block, and LLVM repeats the same names in the blocks it makes of
// inline PTX, so names are resolved block by block: registers and variables
// at their use, labels when their block closes (they may be used before).
//
//===----------------------------------------------------------------------===//

#include "Parser.h"
#include "Lexer.h"

#include <bit>
#include <deque>
#include <unordered_map>

using namespace flash::emu;
using syntax::Function;
using syntax::Instruction;
using syntax::Operand;
using syntax::Variable;

namespace {

// Bounds that no real kernel reaches and that keep hostile text from asking
// for unbounded memory.
constexpr uint64_t kMaxRegisters = 1 << 17;
constexpr uint64_t kMaxVariableBytes = uint64_t(1) << 28;
constexpr unsigned kMaxNesting = 64;

/// A name that is a label or function, known only when its block closes.
struct PendingName {
  std::string_view name;
  unsigned line;
  uint32_t instruction; ///< Index into the body, or a branch target list.
  uint32_t operand, element;
  bool inTargets;       ///< Entry `operand` of the targets of `instruction`.
  bool mustBeLabel;
};

constexpr uint32_t kNoElement = ~0u;

struct Scope {
  std::unordered_map<std::string_view, int32_t> registers, variables;
  std::unordered_map<std::string_view, uint32_t> labels;
  std::vector<PendingName> pending;
};

class Parser {
public:
  Parser(syntax::Module &module, Diagnostic &error)
      : module(module), error(error), lexer(module.text) {
    token = lexer.next();
    scopes.emplace_back();
  }

  bool run();

private:
  // Tokens.
  void advance() { token = lexer.next(); }
  bool fail(std::string message) { return failAt(token.line, std::move(message)); }
  bool failAt(unsigned line, std::string message);
  std::string found() const;
  bool expect(char c);
  bool accept(char c);
  bool expectWord(std::string_view &word, const char *what);
  bool expectInt(uint64_t &value, const char *what);
  bool skipTo(char c);

  // Module level.
  bool moduleItem();
  bool linkedItem();
  bool fileDirective();
  bool skipSection();
  bool variableDeclaration(StateSpace space, bool isExtern, bool inFunction);
  bool oneVariable(Variable proto, bool inFunction);
  bool initialiser(Variable &variable);
  bool function(bool isKernel);
  bool parameterList(std::vector<int32_t> &into);
  bool functionDirectives(Function &function);

  // Function level.
  bool block(Function &function);
  bool statement(Function &function);
  bool registerDeclaration(Function &function);
  bool locDirective();
  bool branchTargetList(Function &function, uint32_t label);
  bool instruction(Function &function, int32_t guard, bool negated);
  bool operand(Operand &result, unsigned depth);
  bool address(Operand &result, unsigned depth);
  bool label(Function &function, const Instruction &at, uint32_t &index);
  void pendNames(const Operand &operand, uint32_t instruction, uint32_t index,
                 bool mustBeLabel);
  bool closeScope(Function &function);

  const int32_t *findRegister(std::string_view name) const;
  const int32_t *findVariable(std::string_view name) const;

  syntax::Module &module;
  Diagnostic &error;
  Lexer lexer;
  Token token;
  std::vector<Scope> scopes;
  std::deque<std::string> names; ///< Of parametrised registers, kept alive.
  uint32_t location = 0;
};

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

bool Parser::failAt(unsigned line, std::string message) {
  error.line = line;
  error.text = module.lineText(line);
  error.message = std::move(message);
  return false;
}

std::string Parser::found() const {
  if (token.kind == Token::End)
    return "found the end of the text";
  return "found '" + std::string(token.text) + "'";
}

bool Parser::accept(char c) {
  if (!token.is(c))
    return false;
  advance();
  return true;
}

bool Parser::expect(char c) {
  if (accept(c))
    return true;
  return fail(std::string("expected '") + c + "', " + found());
}

bool Parser::expectWord(std::string_view &word, const char *what) {
  if (token.kind != Token::Word)
    return fail(std::string("expected ") + what + ", " + found());
  word = token.text;
  advance();
  return true;
}

bool Parser::expectInt(uint64_t &value, const char *what) {
  if (token.kind != Token::Int)
    return fail(std::string("expected ") + what + ", " + found());
  value = token.value;
  advance();
  return true;
}

bool Parser::skipTo(char c) {
  while (!token.is(c)) {
    if (token.kind == Token::End)
      return fail(std::string("expected '") + c + "', " + found());
    advance();
  }
  advance();
  return true;
}

//===----------------------------------------------------------------------===//
// Module level
//===----------------------------------------------------------------------===//

bool Parser::run() {
  std::string_view text = module.text;
  for (size_t start = 0; start <= text.size();) {
    size_t stop = std::min(text.find('\n', start), text.size());
    module.lines.push_back(text.substr(start, stop - start));
    start = stop + 1;
  }
  while (token.kind != Token::End)
    if (!moduleItem())
      return false;
  if (module.version.empty())
    return failAt(1, "expected a .version directive, found none");
  if (module.target.empty())
    return failAt(1, "expected a .target directive, found none");
  return true;
}

bool Parser::moduleItem() {
  if (accept(';'))
    return true;
  if (token.kind != Token::Word)
    return fail("expected a directive, " + found());
  std::string_view word = token.text;
  if (word == ".version") {
    advance();
    module.version = token.text;
    if (token.kind != Token::Float64 && token.kind != Token::Int)
      return fail("expected a PTX version, " + found());
    advance();
    return true;
  }
  if (word == ".target") {
    advance();
    if (!expectWord(module.target, "a target"))
      return false;
    std::string_view more;
    while (accept(','))
      if (!expectWord(more, "a target option"))
        return false;
    return true;
  }
  if (word == ".address_size") {
    advance();
    uint64_t size;
    unsigned line = token.line;
    if (!expectInt(size, "an address size"))
      return false;
    module.addressSize = size;
    if (size != 64)
      return failAt(line, "unsupported address size " + std::to_string(size) +
                              ": expected 64");
    return true;
  }
  if (word == ".file")
    return fileDirective();
  if (word == ".section")
    return skipSection();
  if (word == ".pragma" || word == ".alias" || word == ".loc") {
    if (word == ".loc")
      return locDirective();
    advance();
    return skipTo(';');
  }
  return linkedItem();
}

bool Parser::fileDirective() {
  advance();
  uint64_t index;
  if (!expectInt(index, "a file number"))
    return false;
  if (token.kind != Token::String)
    return fail("expected a file name, " + found());
  module.files[uint32_t(index)] = token.text;
  advance();
  // Optional ", timestamp, size".
  while (accept(',')) {
    uint64_t ignored;
    if (!expectInt(ignored, "a number"))
      return false;
  }
  return true;
}

bool Parser::skipSection() {
  while (!token.is('{')) {
    if (token.kind == Token::End)
      return fail("expected '{', " + found());
    advance();
  }
  advance();
  unsigned depth = 1;
  while (depth) {
    if (token.kind == Token::End)
      return fail("expected '}', " + found());
    depth += token.is('{');
    depth -= token.is('}');
    advance();
  }
  return true;
}

bool Parser::linkedItem() {
  bool isExtern = false;
  while (token.isWord(".visible") || token.isWord(".extern") ||
         token.isWord(".weak") || token.isWord(".common")) {
    isExtern |= token.isWord(".extern");
    advance();
  }
  if (token.isWord(".entry"))
    return function(/*isKernel=*/true);
  if (token.isWord(".func"))
    return function(/*isKernel=*/false);
  if (token.isWord(".global"))
    return variableDeclaration(StateSpace::Global, isExtern, false);
  if (token.isWord(".const"))
    return variableDeclaration(StateSpace::Const, isExtern, false);
  if (token.isWord(".shared"))
    return variableDeclaration(StateSpace::Shared, isExtern, false);
  return fail("unknown directive, " + found());
}

bool Parser::variableDeclaration(StateSpace space, bool isExtern,
                                 bool inFunction) {
  advance();
  Variable proto;
  proto.space = space;
  proto.isExtern = isExtern;
  bool haveAlign = false;
  unsigned width = 1;
  while (true) {
    if (token.kind != Token::Word)
      return fail("expected a type, " + found());
    if (token.text == ".align") {
      advance();
      uint64_t align;
      if (!expectInt(align, "an alignment"))
        return false;
      if (!std::has_single_bit(align) || align > 1 << 20)
        return fail("alignment: expected a power of two, got " +
                    std::to_string(align));
      proto.align = align;
      haveAlign = true;
    } else if (token.text == ".v2" || token.text == ".v4") {
      width = token.text[2] - '0';
      advance();
    } else if (token.text == ".attribute") {
      advance();
      if (!expect('(') || !skipTo(')'))
        return false;
    } else if (token.text == ".ptr") {
      // `.param .u64 .ptr .global .align 16 name`: what the pointer points
      // to. The alignment is the pointee's.
      advance();
      while (token.kind == Token::Word && token.text[0] == '.') {
        bool isAlign = token.text == ".align";
        advance();
        uint64_t ignored;
        if (isAlign && !expectInt(ignored, "an alignment"))
          return false;
      }
      break;
    } else if (token.text[0] == '.') {
      Type type = parseType(token.text.substr(1));
      if (type == Type::None)
        return fail("expected a type, " + found());
      proto.type = type;
      advance();
    } else {
      break;
    }
  }
  if (proto.type == Type::None || proto.type == Type::Pred)
    return fail("expected a variable with a data type, " + found());
  uint32_t element = std::max(1u, bitsOf(proto.type) / 8) * width;
  if (!haveAlign)
    proto.align = element;
  proto.size = element;
  proto.line = token.line;
  while (true) {
    if (!oneVariable(proto, inFunction))
      return false;
    if (space == StateSpace::Param && !inFunction)
      return true; // The list belongs to the caller.
    if (!accept(','))
      break;
  }
  return expect(';');
}

bool Parser::oneVariable(Variable variable, bool inFunction) {
  variable.line = token.line;
  if (!expectWord(variable.name, "a variable name"))
    return false;
  // `name<8>` declares name0 .. name7.
  uint64_t copies = 0;
  if (accept('<')) {
    if (!expectInt(copies, "a count") || !expect('>'))
      return false;
    return fail("parametrised variable names are not supported: got '" +
                std::string(variable.name) + "<" + std::to_string(copies) +
                ">'");
  }
  while (accept('[')) {
    if (accept(']')) {
      variable.unsized = true;
      continue;
    }
    uint64_t extent;
    if (!expectInt(extent, "an array extent") || !expect(']'))
      return false;
    if (extent > kMaxVariableBytes ||
        variable.size * extent > kMaxVariableBytes)
      return fail("variable '" + std::string(variable.name) +
                  "': expected at most " + std::to_string(kMaxVariableBytes) +
                  " bytes");
    variable.size *= extent;
  }
  if (accept('=')) {
    if (variable.space != StateSpace::Global &&
        variable.space != StateSpace::Const)
      return fail("initialiser: expected a .global or .const variable");
    if (variable.unsized)
      return fail("initialiser: expected a variable with an extent");
    variable.initial.resize(variable.size);
    if (!initialiser(variable))
      return false;
  }
  if (variable.unsized)
    variable.size = 0;
  Scope &scope = scopes.back();
  int32_t index = int32_t(module.variables.size());
  if (!scope.variables.emplace(variable.name, index).second &&
      !variable.isExtern)
    return fail("variable '" + std::string(variable.name) +
                "' is declared twice");
  scope.variables[variable.name] = index;
  module.variables.push_back(std::move(variable));
  return true;
}

bool Parser::initialiser(Variable &variable) {
  size_t offset = 0;
  unsigned bytes = std::max(1u, bitsOf(variable.type) / 8);
  unsigned depth = 0;
  do {
    while (accept('{'))
      if (++depth > kMaxNesting)
        return fail("initialiser nested too deeply");
    if (token.is('}')) {
      // An empty list, as in `{}`.
    } else {
      bool negative = accept('-');
      uint64_t value = token.value;
      if (token.kind == Token::Float64 && bytes == 4)
        value = std::bit_cast<uint32_t>(float(std::bit_cast<double>(value)));
      else if (token.kind == Token::Float32 && bytes == 8)
        value = std::bit_cast<uint64_t>(
            double(std::bit_cast<float>(uint32_t(value))));
      else if (token.kind != Token::Int && token.kind != Token::Float32 &&
               token.kind != Token::Float64)
        return fail("initialiser: expected a number (addresses of symbols are "
                    "not supported), " +
                    found());
      if (negative)
        value = token.kind == Token::Int ? 0 - value
                                         : value ^ uint64_t(1) << (bytes * 8 - 1);
      advance();
      if (offset + bytes > variable.initial.size())
        return fail("initialiser: more values than '" +
                    std::string(variable.name) + "' holds");
      for (unsigned i = 0; i < std::min(bytes, 8u); ++i)
        variable.initial[offset + i] = std::byte(value >> (8 * i));
      offset += bytes;
    }
    while (depth && accept('}'))
      --depth;
  } while (accept(','));
  if (depth)
    return fail("initialiser: expected '}', " + found());
  return true;
}

bool Parser::parameterList(std::vector<int32_t> &into) {
  if (!expect('('))
    return false;
  if (accept(')'))
    return true;
  do {
    if (token.isWord(".reg"))
      return fail("parameters in registers are not supported: expected .param");
    if (!token.isWord(".param"))
      return fail("expected .param, " + found());
    int32_t index = int32_t(module.variables.size());
    if (!variableDeclaration(StateSpace::Param, false, false))
      return false;
    into.push_back(index);
  } while (accept(','));
  return expect(')');
}

bool Parser::functionDirectives(Function &function) {
  while (token.kind == Token::Word && token.text[0] == '.') {
    std::string_view word = token.text;
    advance();
    std::array<uint32_t, 3> *triple =
        word == ".maxntid"             ? &function.maxntid
        : word == ".reqntid"           ? &function.reqntid
        : word == ".reqnctapercluster" ? &function.reqncluster
                                       : nullptr;
    uint64_t value = 0;
    if (triple) {
      *triple = {1, 1, 1};
      for (unsigned i = 0; i < 3; ++i) {
        if (!expectInt(value, "a size"))
          return false;
        (*triple)[i] = value;
        if (!accept(','))
          break;
      }
    } else if (word == ".minnctapersm" || word == ".maxnctapersm" ||
               word == ".maxnreg" || word == ".maxclusterrank") {
      if (!expectInt(value, "a number"))
        return false;
      if (word == ".minnctapersm")
        function.minnctapersm = value;
      if (word == ".maxnreg")
        function.maxnreg = value;
    } else if (word == ".pragma") {
      if (!skipTo(';'))
        return false;
    } else if (word == ".noreturn" || word == ".explicitcluster" ||
               word == ".blocksareclusters" || word == ".abi_preserve" ||
               word == ".abi_preserve_control") {
      if (token.kind == Token::Int)
        advance();
    } else {
      return fail("unknown function directive '" + std::string(word) + "'");
    }
  }
  return true;
}

bool Parser::function(bool isKernel) {
  Function function;
  function.isKernel = isKernel;
  function.line = token.line;
  advance();
  scopes.emplace_back();
  if (!isKernel && token.isWord(".attribute")) {
    advance();
    if (!expect('(') || !skipTo(')'))
      return false;
  }
  if (!isKernel && token.is('(') && !parameterList(function.returnParams))
    return false;
  if (!expectWord(function.name, "a function name"))
    return false;
  if (token.is('(') && !parameterList(function.params))
    return false;
  if (!functionDirectives(function))
    return false;
  if (accept(';')) {
    scopes.pop_back();
  } else {
    function.hasBody = true;
    if (!expect('{') || !block(function) || !closeScope(function))
      return false;
  }
  for (Function &other : module.functions)
    if (other.name == function.name) {
      if (other.hasBody && function.hasBody)
        return failAt(function.line, "function '" + std::string(function.name) +
                                         "' is defined twice");
      if (function.hasBody)
        other = std::move(function);
      return true;
    }
  module.functions.push_back(std::move(function));
  return true;
}

//===----------------------------------------------------------------------===//
// Function level
//===----------------------------------------------------------------------===//

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
bool Parser::label(Function &function, const Instruction &at,
                   uint32_t &index) {
  index = uint32_t(function.labels.size());
  function.labels.push_back(uint32_t(function.body.size()));
  if (!scopes.back().labels.emplace(at.opcode, index).second)
    return failAt(at.line, "label '" + std::string(at.opcode) +
                               "' is defined twice");
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

} // namespace

bool flash::emu::parsePtx(syntax::Module &module, Diagnostic &error) {
  Parser parser(module, error);
  return parser.run();
}
