//===- DiagnosticCollector.h - MLIR's errors as values ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_DIAGNOSTICCOLLECTOR_H
#define FLASH_TOOLS_FLASH_RUN_DIAGNOSTICCOLLECTOR_H

#include "flash/Runtime/Result.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

namespace flash::run {

/// Keeps the first error that MLIR emits on this thread while it lives.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context)
      : handler(context, [this](mlir::Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error &&
              text.empty())
            text = print(diagnostic);
          return mlir::success();
        }) {}

  runtime::Error error() const {
    return runtime::Error{text.empty() ? "failed without a diagnostic" : text};
  }

private:
  static std::string print(mlir::Diagnostic &diagnostic) {
    std::string out;
    llvm::raw_string_ostream stream(out);
    auto loc = diagnostic.getLocation()->findInstanceOf<mlir::FileLineColLoc>();
    // A module without text of its own is at line 0.
    if (loc)
      stream << loc.getFilename().getValue() << ":"
             << std::max(1u, loc.getLine()) << ":"
             << std::max(1u, loc.getColumn()) << ": error: ";
    else
      stream << diagnostic.getLocation() << ": error: ";
    stream << diagnostic;
    return out;
  }

  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace flash::run

#endif // FLASH_TOOLS_FLASH_RUN_DIAGNOSTICCOLLECTOR_H
