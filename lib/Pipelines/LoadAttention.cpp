//===- LoadAttention.cpp - A module from a file or a SPEC -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Pipelines/LoadAttention.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"

namespace mlir::flash {

FailureOr<LoadedAttention> loadAttentionFile(MLIRContext *context,
                                             StringRef path,
                                             llvm::SourceMgr &sources) {
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    emitError(FileLineColLoc::get(context, path, 0, 0), message);
    return failure();
  }
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  LoadedAttention result;
  result.module = parseSourceFile<ModuleOp>(sources, ParserConfig(context));
  if (!result.module)
    return failure();
  return result;
}

FailureOr<LoadedAttention> loadAttentionSpec(MLIRContext *context,
                                             StringRef text) {
  auto spec = ::flash::runtime::AttentionSpec::parse(
      std::string_view(text.data(), text.size()));
  if (!spec) {
    emitError(FileLineColLoc::get(context, "--attention", 1,
                                  spec.error().column.value_or(1)),
              spec.error().message);
    return failure();
  }
  LoadedAttention result;
  result.module =
      buildAttention(context, *spec, AttentionForm::StridedMemRefs);
  if (!result.module)
    return failure();
  result.spec = *spec;
  return result;
}

} // namespace mlir::flash
