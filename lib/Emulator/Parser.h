//===- Parser.h - PTX text to syntax tree -----------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_PARSER_H
#define FLASH_LIB_EMULATOR_PARSER_H

#include "Syntax.h"
#include "flash/Emulator/Emulator.h"

namespace flash::emu {

/// Parses `module.text` into the rest of `module`. False with `error` filled
/// at the first thing that is no PTX or is beyond the parser's limits (sizes
/// of variables, number of registers, nesting).
bool parsePtx(syntax::Module &module, Diagnostic &error);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_PARSER_H
