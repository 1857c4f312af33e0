//===- LoadAttention.h - A module from a file or a SPEC ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_PIPELINES_LOADATTENTION_H
#define FLASH_PIPELINES_LOADATTENTION_H

#include "flash/Pipelines/BuildAttention.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace llvm {
class SourceMgr;
}

namespace mlir::flash {

/// What a tool works on: a module with one attention, and the SPEC that it was
/// built from, if it was.
struct LoadedAttention {
  OwningOpRef<ModuleOp> module;
  std::optional<::flash::runtime::AttentionSpec> spec;
};

/// Parses and verifies the module in file `path` ("-" for stdin). Errors go to
/// the context's diagnostic handler, which should be reading `sources`.
FailureOr<LoadedAttention> loadAttentionFile(MLIRContext *context,
                                             StringRef path,
                                             llvm::SourceMgr &sources);

/// Builds the module that SPEC `text` describes, on memrefs whose strides are
/// all dynamic. A refused SPEC is an error at its column of "--attention".
FailureOr<LoadedAttention> loadAttentionSpec(MLIRContext *context,
                                             StringRef text);

} // namespace mlir::flash

#endif // FLASH_PIPELINES_LOADATTENTION_H
