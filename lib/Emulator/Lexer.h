//===- Lexer.h - Tokens of PTX ----------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_LEXER_H
#define FLASH_LIB_EMULATOR_LEXER_H

#include <cstdint>
#include <string_view>

namespace flash::emu {

struct Token {
  enum Kind : uint8_t {
    End,
    Word,    ///< Identifier, directive or dotted opcode: `%tid.x`, `.reg`.
    Int,     ///< `value`.
    Float32, ///< 0fXXXXXXXX; `value` holds the bits.
    Float64, ///< 0dX... or a decimal; `value` holds the bits.
    String,  ///< Without its quotes.
    Punct,   ///< One character, in `text`.
    Bad      ///< A character that starts no token.
  };
  Kind kind = End;
  unsigned line = 0;
  std::string_view text;
  uint64_t value = 0;

  bool is(char c) const { return kind == Punct && text[0] == c; }
  bool isWord(std::string_view word) const {
    return kind == Word && text == word;
  }
};

/// Splits a PTX text into tokens, one at a time; comments vanish.
class Lexer {
public:
  explicit Lexer(std::string_view text)
      : cursor(text.data()), end(text.data() + text.size()) {}

  Token next();

private:
  void skipBlanks();
  Token number();

  const char *cursor, *end;
  unsigned line = 1;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_LEXER_H
