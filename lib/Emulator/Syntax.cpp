//===- Syntax.cpp - PTX as parsed -------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Syntax.h"

using namespace flash::emu;

namespace {

struct TypeRow {
  std::string_view name;
  Type type;
  uint8_t bits;
};

constexpr TypeRow kTypes[] = {
    {"pred", Type::Pred, 1},      {"b8", Type::B8, 8},
    {"b16", Type::B16, 16},       {"b32", Type::B32, 32},
    {"b64", Type::B64, 64},       {"b128", Type::B128, 128},
    {"u8", Type::U8, 8},          {"u16", Type::U16, 16},
    {"u32", Type::U32, 32},       {"u64", Type::U64, 64},
    {"s8", Type::S8, 8},          {"s16", Type::S16, 16},
    {"s32", Type::S32, 32},       {"s64", Type::S64, 64},
    {"f16", Type::F16, 16},       {"f16x2", Type::F16x2, 32},
    {"bf16", Type::BF16, 16},     {"bf16x2", Type::BF16x2, 32},
    {"tf32", Type::TF32, 32},     {"f32", Type::F32, 32},
    {"f64", Type::F64, 64},       {"e4m3", Type::E4M3, 8},
    {"e5m2", Type::E5M2, 8},      {"e4m3x2", Type::E4M3x2, 16},
    {"e5m2x2", Type::E5M2x2, 16}, {"f32x2", Type::F32x2, 64},
    {"e2m3x2", Type::E2M3x2, 16}, {"e3m2x2", Type::E3M2x2, 16},
    {"e2m1x2", Type::E2M1x2, 8},  {"ue8m0x2", Type::UE8M0x2, 16},
    {"e4m3x4", Type::E4M3x4, 32}, {"e5m2x4", Type::E5M2x4, 32},
    {"e2m3x4", Type::E2M3x4, 32}, {"e3m2x4", Type::E3M2x4, 32},
    {"e2m1x4", Type::E2M1x4, 16},
};

} // namespace

unsigned flash::emu::bitsOf(Type type) {
  for (const TypeRow &row : kTypes)
    if (row.type == type)
      return row.bits;
  return 0;
}

Type flash::emu::parseType(std::string_view name) {
  for (const TypeRow &row : kTypes)
    if (row.name == name)
      return row.type;
  return Type::None;
}

bool flash::emu::isSigned(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 ||
         type == Type::S64;
}

bool flash::emu::isFloat(Type type) { return type >= Type::F16; }

bool flash::emu::isUntyped(Type type) {
  return type >= Type::B8 && type <= Type::B128;
}

std::string_view syntax::Module::lineText(unsigned line) const {
  if (line == 0 || line > lines.size())
    return {};
  std::string_view text = lines[line - 1];
  size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos)
    return {};
  size_t last = text.find_last_not_of(" \t\r");
  return text.substr(first, last - first + 1);
}
