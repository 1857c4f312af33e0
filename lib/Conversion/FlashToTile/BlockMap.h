//===- BlockMap.h - Key tiles of a mask known at run time -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Where a mask depends on data, a small kernel in front of the attention
// evaluates it on every tile that the analysis leaves, and writes down which of
// them are live, and which of those need no mask. The kernel behind it visits
// what the list says.
//
// The lists lie in the workspace, 32-bit integers, one row for every query tile
// of every head and batch entry (of one head, or batch entry, where the mask
// does not depend on it). With T key tiles in the problem a row has T + 2
// entries:
//
//   0        live tiles, n
//   1        those of them that need the mask, p
//   2 ...    the numbers of these p tiles, descending
//   ... T+1  the numbers of the other n - p, descending from the end backwards:
//            the first of them is entry T + 1
//
// The last tile of keys, where it is ragged, needs the mask: if it is live at
// all, it comes first.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_FLASHTOTILE_BLOCKMAP_H
#define FLASH_LIB_CONVERSION_FLASHTOTILE_BLOCKMAP_H

#include "KernelFrame.h"
#include "KeyTiles.h"

namespace mlir::flash {

/// What the rows of a block map are for.
struct BlockMap {
  int64_t tileQ, tileK;
  /// The mask reads b, reads h: there are rows for each of them.
  bool perBatch, perHead;

  explicit BlockMap(AttentionOp op);

  /// Grid of the kernel that writes the map, bytes of the map: expressions of
  /// the problem's sizes.
  SmallVector<std::string> getGrid() const;
  std::string getBytes() const;
};

/// True where `op`'s mask is not all affine: its tiles are better looked up.
bool needsBlockMap(AttentionOp op, const MaskRanges &ranges);

/// Key tiles read from a map: first those that need the mask, in one band, then
/// the others.
class MappedKeyTiles : public KeyTiles {
public:
  /// Reads the counts where `b` stands. `workspace` is a memref<?xi32>.
  MappedKeyTiles(ImplicitLocOpBuilder &b, const BlockMap &map,
                 const KernelFrame &frame, Value workspace);

  Value buildTileNumber(ImplicitLocOpBuilder &b, Value iteration) override;

private:
  Value workspace, base, masked, last;
};

/// Writes the body of the kernel that fills the map of `op`, up to and with
/// gpu.return.
LogicalResult buildBlockMapKernel(OpBuilder &builder, AttentionOp op,
                                  const MaskRanges &ranges,
                                  const ForwardOperands &operands);

} // namespace mlir::flash

#endif // FLASH_LIB_CONVERSION_FLASHTOTILE_BLOCKMAP_H
