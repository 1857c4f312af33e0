//===- Expression.h - Sizes as formulas -------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The manifest gives grid and workspace as formulas of the problem's sizes, so
// that one package serves them all:
//
//   expr   := term (('+' | '-') term)*
//   term   := factor ('*' factor)*
//   factor := integer | name | '(' expr ')' | '-' factor
//           | ('ceildiv' | 'floordiv' | 'min' | 'max') '(' expr ',' expr ')'
//   name   := 'b' | 'hq' | 'hkv' | 'sq' | 'sk' | 'd' | 'dv'
//
// All arithmetic is on signed 64-bit integers; overflow and division by a
// number below 1 are errors.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_EXPRESSION_H
#define FLASH_RUNTIME_EXPRESSION_H

#include "flash/Runtime/AttentionSpec.h"

#include <string_view>

namespace flash::runtime {

/// Evaluates `text` at `sizes`. Errors carry the column in `text`.
Result<int64_t> evaluateExpression(std::string_view text, const Sizes &sizes);

/// Checks the grammar alone.
Status verifyExpression(std::string_view text);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_EXPRESSION_H
