//===- Parser.cpp - PTX text to syntax tree: modules ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ParserImpl.h"

#include <bit>

using namespace flash::emu;
using syntax::Function;
using syntax::Variable;

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
        value = token.kind == Token::Int
                    ? 0 - value
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
    std::array<uint32_t, 3> *triple = word == ".maxntid"   ? &function.maxntid
                                      : word == ".reqntid" ? &function.reqntid
                                      : word == ".reqnctapercluster"
                                          ? &function.reqncluster
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

bool flash::emu::parsePtx(syntax::Module &module, Diagnostic &error) {
  Parser parser(module, error);
  return parser.run();
}
