//===- SplitKeys.h - Attention over parts of the keys -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_SPLITKEYS_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_SPLITKEYS_H

#include "flash/Dialect/Flash/IR/Flash.h"

#include "mlir/Interfaces/TilingInterface.h"

namespace mlir::flash {

/// Merges attention computed over N disjoint parts of the keys. `outputs` is
/// [N, B, Hq, Sq, Dv] and `lses` [N, B, Hq, Sq], both f32, one entry per part;
/// the result has the types of `op`'s destinations and replaces its results:
///
///   m = max_n LSE[n];   w[n] = exp(LSE[n] - m);   l = sum_n w[n]
///   O = sum_n w[n] O[n] / l;   LSE = m + log(l)
///
/// A part in which a row has no live key has LSE = -inf there and weight 0; a
/// row dead in every part gives O = 0 and LSE = -inf. Precondition: `op` is on
/// tensors and has an lse destination.
MergeResult mergeSplits(OpBuilder &builder, AttentionOp op, Value outputs,
                        Value lses);

} // namespace mlir::flash

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_SPLITKEYS_H
