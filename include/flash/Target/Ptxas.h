//===- Ptxas.h - What ptxas says of a kernel --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TARGET_PTXAS_H
#define FLASH_TARGET_PTXAS_H

#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace flash {

/// ptxas by CUDA_HOME, PATH or the usual place; nullopt where there is none.
std::optional<std::string> findPtxas();

/// "13.0.88", as `ptxas --version` says it; "unknown" where it does not.
std::string ptxasVersion(const std::string &ptxas);

/// One kernel's figures of `ptxas -v`.
struct PtxasReport {
  unsigned registers = 0;
  unsigned spillStoreBytes = 0;
  unsigned spillLoadBytes = 0;
  unsigned stackBytes = 0;
  /// Every warning, as printed.
  std::vector<std::string> warnings;
};

/// Assembles `ptx` for `chip`. With `cubin` given, the machine code is put
/// there. Fails with ptxas's own words if it refuses the text.
llvm::Expected<PtxasReport> runPtxas(const std::string &ptxas,
                                     const std::string &ptx,
                                     const std::string &chip,
                                     std::string *cubin = nullptr);

} // namespace flash

#endif // FLASH_TARGET_PTXAS_H
