//===- StageBuffers.h - Dot operands through shared memory ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEBUFFERS_H
#define FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEBUFFERS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::flash_tile {

/// Decisions of `stageBuffers`; what is unset comes from the function's
/// `flash_tile.schedule`, or is one stage and no register copy without it.
struct StageBuffersConfig {
  /// Stages of every buffer that a loop fills, at least 1.
  std::optional<int64_t> stages;
  /// The same for the memrefs whose `flash_tile.role` is "k" or "v".
  std::optional<int64_t> stagesK, stagesV;
  /// A operands loaded outside the loop are kept in registers.
  std::optional<bool> queryInRegisters;
};

/// Brings the dot operands that `func` loads from global memory, and the tiles
/// that it stores from dots, through shared memory; see
/// `--flash-tile-stage-buffers`. Fails with a located error on rows that cannot
/// be padded.
LogicalResult stageBuffers(FunctionOpInterface func,
                           const StageBuffersConfig &config = {});

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_TRANSFORMS_STAGEBUFFERS_H
