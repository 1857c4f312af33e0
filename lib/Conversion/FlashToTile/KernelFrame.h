//===- KernelFrame.h - What kernels of one attention share ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Where a CTA stands in the problem, and the op's regions seen from there: the
// rows it owns, its head and batch entry, the sizes, and score and mask inlined
// on a tile.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_FLASHTOTILE_KERNELFRAME_H
#define FLASH_LIB_CONVERSION_FLASHTOTILE_KERNELFRAME_H

#include "ForwardKernel.h"
#include "TileInliner.h"

#include "flash/Analysis/MaskAnalysis.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::flash {

/// Moves reads of captures that are the same in every iteration in front of
/// `loop`, such as those that depend on the query alone, with what computes
/// their indices. They touch what exists only, so it does no harm where no
/// iteration would have needed them.
void hoistReads(scf::ForOp loop);

class KernelFrame {
public:
  KernelFrame(ImplicitLocOpBuilder &b, AttentionOp op,
              const ForwardOperands &operands);

  /// Builds sizes and place of the CTA. With `longestFirst` the CTAs with low
  /// numbers own the last rows. `slices` CTAs share the columns of V and O.
  void build(bool longestFirst, int64_t slices);

  /// The value of a symbol of the analysis, built where the builder stands.
  Value getSymbol(const MaskSymbol &symbol);
  /// Regions are from now on inlined in `loop`; what they compute from uniform
  /// values alone goes in front of it.
  void enter(Operation *loop) { uniforms->stayAbove(loop); }

  /// The score region on a tile of scores, which is returned where there is
  /// none.
  FailureOr<Value> buildScore(Value scores, Value firstKey);
  /// An i1 tile, true where the mask region holds and, with `inKeys`, the key
  /// exists; null where that is everywhere.
  FailureOr<Value> buildKeep(Value firstKey, bool inKeys);
  /// An i1 tile, true where the row is a query; null where all are.
  Value buildRowsExist();

  Value zero, batch, head, keyHead, queryHeads, queries, keys;
  /// Number of the CTA's query tile, and its first row.
  Value queryTile, firstQuery;
  /// Number of the CTA's slice of V's columns, null where there is one only,
  /// and its first column.
  Value slice, firstColumn;

private:
  Value index(int64_t value);
  Value size(Value memref, int64_t dim);
  TileValue absoluteIndex(Value local, Value offset);
  void setLimits(TileInliner &inliner, Value firstKey);
  void mapUniforms();

  ImplicitLocOpBuilder &b;
  AttentionOp op;
  const ForwardOperands &operands;
  int64_t tileQ, tileK;
  Value alignment, heads;
  std::optional<UniformValues> uniforms;
};

} // namespace mlir::flash

#endif // FLASH_LIB_CONVERSION_FLASHTOTILE_KERNELFRAME_H
