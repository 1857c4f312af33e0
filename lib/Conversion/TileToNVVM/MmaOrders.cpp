//===- MmaOrders.cpp - In which order products take their operands --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MmaOperands.h"

namespace mlir::flash_tile {

ContractionOrder::ContractionOrder(const MmaInstruction &mma,
                                   ArrayRef<int64_t> given)
    : mma(mma), order(given) {
  const int64_t perRegister = mma.perRegister();
  if (order.empty())
    for (int64_t slot = 0; slot < mma.depth(); ++slot)
      order.push_back(slot);
  for (int64_t bit : {1, 2})
    lanes.push_back(order[bit * perRegister] ^ order[0]);
  for (int64_t half : {0, 1})
    for (int64_t e = 0; e < perRegister; ++e)
      for (int64_t t = 0; t < 4; ++t) {
        int64_t moved = (t & 1 ? lanes[0] : 0) | (t & 2 ? lanes[1] : 0);
        int64_t first = order[mma.slot(half, e)];
        linear &= !(moved & first) &&
                  order[mma.slot(half, e) + t * perRegister] == (moved | first);
      }
  linear &= !(lanes[0] & lanes[1]);
}

bool ContractionOrder::isIdentity() const {
  for (auto [slot, element] : llvm::enumerate(order))
    if (int64_t(slot) != element)
      return false;
  return true;
}

std::optional<ColumnOrder> ColumnOrder::get(const Distribution &accumulator) {
  ArrayRef<int64_t> lanes = accumulator.getAttr().getLaneBases();
  static constexpr int64_t rows[] = {1, 0, 2, 0, 4, 0};
  if (accumulator.rank() != 2 || lanes.size() != 10 || lanes[0] || lanes[2] ||
      lanes.drop_front(4) != ArrayRef(rows))
    return std::nullopt;
  ColumnOrder order{{lanes[1] / 2, lanes[1], lanes[3]}};
  if (!order.isInOrder() && !order.isEveryOther())
    return std::nullopt;
  const int64_t needed[2][2] = {{0, order.vectors[0]}, {8, 0}};
  for (ArrayRef<int64_t> at : needed)
    if (!accumulator.registerAt(at))
      return std::nullopt;
  return order;
}

} // namespace mlir::flash_tile
