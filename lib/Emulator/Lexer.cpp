//===- Lexer.cpp - Tokens of PTX --------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lexer.h"

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <string>

using namespace flash::emu;

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool isWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '$' || c == '%' || c == '.';
}

bool isWordPart(char c) { return isWordStart(c) || isDigit(c); }

/// Value of a digit in bases up to 16, or 255.
unsigned digitValue(char c) {
  if (isDigit(c))
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return 255;
}

} // namespace

void Lexer::skipBlanks() {
  while (cursor < end) {
    char c = *cursor;
    if (c == '\n') {
      ++line;
      ++cursor;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
      ++cursor;
    } else if (c == '/' && cursor + 1 < end && cursor[1] == '/') {
      while (cursor < end && *cursor != '\n')
        ++cursor;
    } else if (c == '/' && cursor + 1 < end && cursor[1] == '*') {
      cursor += 2;
      while (cursor < end &&
             !(*cursor == '*' && cursor + 1 < end && cursor[1] == '/')) {
        line += *cursor == '\n';
        ++cursor;
      }
      cursor = end - cursor >= 2 ? cursor + 2 : end;
    } else {
      return;
    }
  }
}

Token Lexer::number() {
  Token token;
  token.line = line;
  const char *start = cursor;
  auto finish = [&](Token::Kind kind, uint64_t value) {
    token.kind = kind;
    token.value = value;
    token.text = std::string_view(start, cursor - start);
    return token;
  };
  // Hexadecimal floats: 0f and 8 digits, 0d and 16 digits.
  auto hexFloat = [&](unsigned digits) -> bool {
    if (end - cursor < std::ptrdiff_t(2 + digits))
      return false;
    for (unsigned i = 0; i < digits; ++i)
      if (digitValue(cursor[2 + i]) > 15)
        return false;
    return true;
  };
  if (*cursor == '0' && cursor + 1 < end) {
    char kind = cursor[1] | 0x20;
    if ((kind == 'f' && hexFloat(8)) || (kind == 'd' && hexFloat(16))) {
      unsigned digits = kind == 'f' ? 8 : 16;
      uint64_t bits = 0;
      for (unsigned i = 0; i < digits; ++i)
        bits = bits << 4 | digitValue(cursor[2 + i]);
      cursor += 2 + digits;
      return finish(kind == 'f' ? Token::Float32 : Token::Float64, bits);
    }
    unsigned base = kind == 'x' ? 16 : kind == 'b' ? 2 : 0;
    if (base) {
      cursor += 2;
      uint64_t value = 0;
      while (cursor < end && digitValue(*cursor) < base)
        value = value * base + digitValue(*cursor++);
      if (cursor < end && *cursor == 'U')
        ++cursor;
      return finish(Token::Int, value);
    }
  }
  bool isFloat = false;
  while (cursor < end && isDigit(*cursor))
    ++cursor;
  if (cursor + 1 < end && *cursor == '.' && isDigit(cursor[1])) {
    isFloat = true;
    ++cursor;
    while (cursor < end && isDigit(*cursor))
      ++cursor;
  }
  if (cursor < end && (*cursor == 'e' || *cursor == 'E')) {
    const char *exponent = cursor + 1;
    if (exponent < end && (*exponent == '+' || *exponent == '-'))
      ++exponent;
    if (exponent < end && isDigit(*exponent)) {
      isFloat = true;
      cursor = exponent;
      while (cursor < end && isDigit(*cursor))
        ++cursor;
    }
  }
  if (isFloat) {
    std::string copy(start, cursor - start);
    return finish(Token::Float64,
                  std::bit_cast<uint64_t>(std::strtod(copy.c_str(), nullptr)));
  }
  // A leading zero means octal, as in C.
  uint64_t value = 0;
  uint64_t base = *start == '0' ? 8 : 10;
  for (const char *p = start; p < cursor; ++p)
    value = value * base + digitValue(*p);
  if (cursor < end && *cursor == 'U')
    ++cursor;
  return finish(Token::Int, value);
}

Token Lexer::next() {
  skipBlanks();
  Token token;
  token.line = line;
  if (cursor >= end)
    return token;
  const char *start = cursor;
  char c = *cursor;
  if (isDigit(c))
    return number();
  if (isWordStart(c)) {
    // `::` joins words in opcodes (`shared::cta`), a single `:` ends a label.
    while (cursor < end) {
      if (isWordPart(*cursor))
        ++cursor;
      else if (*cursor == ':' && end - cursor > 2 && cursor[1] == ':' &&
               isWordPart(cursor[2]))
        cursor += 2;
      else
        break;
    }
    token.kind = Token::Word;
    token.text = std::string_view(start, cursor - start);
    return token;
  }
  if (c == '"') {
    ++cursor;
    while (cursor < end && *cursor != '"' && *cursor != '\n')
      ++cursor;
    if (cursor >= end || *cursor != '"') {
      token.kind = Token::Bad;
      token.text = std::string_view(start, cursor - start);
      return token;
    }
    token.kind = Token::String;
    token.text = std::string_view(start + 1, cursor - start - 1);
    ++cursor;
    return token;
  }
  static constexpr std::string_view punctuation = "{}[]()<>,;:=+-!|@&*/~?^";
  token.kind =
      punctuation.find(c) != std::string_view::npos ? Token::Punct : Token::Bad;
  ++cursor;
  token.text = std::string_view(start, 1);
  return token;
}
