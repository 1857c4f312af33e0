//===- ParserImpl.h - The recursive-descent parser --------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX scopes registers, variables and labels by `{ }` block, and LLVM repeats
// the same names in the blocks it makes of inline PTX, so names are resolved
// block by block: registers and variables at their use, labels when their
// block closes (they may be used before).
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_PARSERIMPL_H
#define FLASH_LIB_EMULATOR_PARSERIMPL_H

#include "Lexer.h"
#include "Parser.h"

#include <deque>
#include <unordered_map>

namespace flash::emu {

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
  bool inTargets; ///< Entry `operand` of the targets of `instruction`.
  bool mustBeLabel;
};

constexpr uint32_t kNoElement = ~0u;

struct Scope {
  std::unordered_map<std::string_view, int32_t> registers, variables;
  std::unordered_map<std::string_view, uint32_t> labels;
  std::vector<PendingName> pending;
};

/// One pass over a module's text. Every parsing function returns false once it
/// has filled the diagnostic.
class Parser {
  using Function = syntax::Function;
  using Instruction = syntax::Instruction;
  using Operand = syntax::Operand;
  using Variable = syntax::Variable;

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
  bool fail(std::string message) {
    return failAt(token.line, std::move(message));
  }
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

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_PARSERIMPL_H
