//===- BuildAttention.h - A module from a line of text ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_PIPELINES_BUILDATTENTION_H
#define FLASH_PIPELINES_BUILDATTENTION_H

#include "flash/Runtime/AttentionSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::flash {

/// What the arguments of the built function are. Their logical order is
/// [B, H, S, D] in every form.
enum class AttentionForm {
  /// Tensors; the function returns O and, if asked for, LSE.
  Tensors,
  /// Memrefs whose strides and offset are all known at run time only: one
  /// function for every storage order, padding and view.
  StridedMemRefs,
  /// Memrefs dense in the storage order of the spec's `layout`.
  DenseMemRefs,
};

/// Name of the function that `buildAttention` makes.
inline constexpr llvm::StringLiteral kAttentionFunction = "attention";

/// The names of the function's arguments: q, k, v, o, lse if `spec` asks for it,
/// and for 8-bit specs q_descale, k_descale, v_descale.
SmallVector<StringRef>
getArgumentNames(const ::flash::runtime::AttentionSpec &spec);

/// Builds a module with `func.func @attention` of those arguments around
/// one `flash.attention` that computes `spec`, whose masks and score modifiers
/// are attributes. Sizes that are dynamic in `spec` are `?`. Loads the
/// dialects it needs into `context`.
///
/// Locations are (canonical spec):1:1, so that a diagnostic of any later pass
/// shows what was being compiled.
OwningOpRef<ModuleOp>
buildAttention(MLIRContext *context,
               const ::flash::runtime::AttentionSpec &spec, AttentionForm form);

} // namespace mlir::flash

#endif // FLASH_PIPELINES_BUILDATTENTION_H
