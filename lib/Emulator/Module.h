//===- Module.h - A parsed and decoded PTX text -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_MODULE_H
#define FLASH_LIB_EMULATOR_MODULE_H

#include "Program.h"

namespace flash::emu {

class ModuleImpl {
public:
  syntax::Module syntax;
  std::vector<std::unique_ptr<Program>> programs; ///< One per kernel.
  std::vector<KernelInfo> kernels;                ///< In the same order.
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_MODULE_H
