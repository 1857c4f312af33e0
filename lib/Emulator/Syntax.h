//===- Syntax.h - PTX as parsed ---------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The syntax tree between parser and decoder. Names are resolved here (block
// scopes of registers, variables and labels), instructions are not: an
// instruction is its opcode text and its operands.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_SYNTAX_H
#define FLASH_LIB_EMULATOR_SYNTAX_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace flash::emu {

/// PTX fundamental and alternate types.
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  TF32,
  F32,
  F64,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
  F32x2,
  // Narrower elements than a byte; only ever packed.
  E2M3x2,
  E3M2x2,
  E2M1x2,
  UE8M0x2,
  E4M3x4,
  E5M2x4,
  E2M3x4,
  E3M2x4,
  E2M1x4
};

/// Bits of a value of that type; 1 for predicates.
unsigned bitsOf(Type type);
bool isSigned(Type type);
bool isFloat(Type type);
bool isUntyped(Type type);
/// Reads "b32", "f16x2", ... (no leading dot); None if it is no type.
Type parseType(std::string_view name);

enum class StateSpace : uint8_t {
  Generic,
  Global,
  Shared,
  Local,
  Param,
  Const
};

namespace syntax {

/// A `.param`, `.shared`, `.local`, `.global` or `.const` variable.
struct Variable {
  std::string_view name;
  StateSpace space = StateSpace::Generic;
  Type type = Type::None;
  uint32_t align = 1;
  uint64_t size = 0; ///< Bytes; 0 for `extern .shared x[]`.
  bool isExtern = false;
  bool unsized = false; ///< Declared as `x[]`.
  unsigned line = 0;
  std::vector<std::byte> initial; ///< Empty, or `size` bytes.
};

/// A register of a function; its index is its number.
struct Register {
  Type type = Type::None;
};

struct Operand {
  enum Kind : uint8_t {
    Reg,     ///< `reg` (and `second` in `d|p`).
    Int,     ///< `value`.
    Float32, ///< 0f...: `value` holds the 32 bits.
    Float64, ///< 0d... or decimal: `value` holds the 64 bits.
    Symbol,  ///< A variable (`variable`), label or function (`name`).
    Special, ///< A special register (`name`, such as "%tid.x").
    Address, ///< [base + value]; `elements` holds the base, and a tensor
             ///< address its coordinates as a second Vector element.
    Vector,  ///< { ... }
    List,    ///< ( ... ) of a call.
    Sink     ///< `_`
  };
  Kind kind = Sink;
  bool negated = false; ///< `!%p`
  int32_t reg = -1;
  int32_t second = -1;   ///< Register after `|`; -2 for `|_`.
  int32_t variable = -1; ///< Index into Module::variables.
  uint64_t value = 0;
  std::string_view name;
  std::vector<Operand> elements;
};

struct Instruction {
  unsigned line = 0;
  std::string_view opcode; ///< Whole dotted text, "ld.global.v4.b32".
  int32_t guard = -1;      ///< Guard predicate register, -1 if none.
  bool guardNegated = false;
  uint32_t location = 0; ///< Index into Module::locations + 1, 0 if none.
  std::vector<Operand> operands;
};

/// A function or kernel.
struct Function {
  std::string_view name;
  unsigned line = 0;
  bool isKernel = false;
  bool hasBody = false;
  std::vector<int32_t> params;       ///< Variables, in order.
  std::vector<int32_t> returnParams; ///< Variables.
  std::vector<Register> registers;
  std::vector<Instruction> body;
  /// Label -> index into body. Names are made unique by scope: the operand's
  /// `value` of a resolved label is its index here.
  std::vector<uint32_t> labels;
  /// `.branchtargets` lists by label index; see Operand::value.
  std::unordered_map<uint64_t, std::vector<uint32_t>> branchTargets;
  std::array<uint32_t, 3> maxntid = {0, 0, 0}, reqntid = {0, 0, 0};
  std::array<uint32_t, 3> reqncluster = {0, 0, 0};
  uint32_t minnctapersm = 0, maxnreg = 0;
};

/// A `.loc` position.
struct Location {
  uint32_t file = 0, line = 0;
};

struct Module {
  std::string text; ///< Everything below points into it.
  std::vector<std::string_view> lines;
  std::string_view version, target;
  uint32_t addressSize = 64;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::vector<Location> locations;
  std::unordered_map<uint32_t, std::string_view> files;

  std::string_view lineText(unsigned line) const;
};

} // namespace syntax
} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_SYNTAX_H
