//===- KernelFrame.cpp - What kernels of one attention share --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelFrame.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::flash;

KernelFrame::KernelFrame(ImplicitLocOpBuilder &b, AttentionOp op,
                         const ForwardOperands &operands)
    : b(b), op(op), operands(operands), tileQ(op.getScheduleAttr().getTileQ()),
      tileK(op.getScheduleAttr().getTileK()) {}

Value KernelFrame::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

Value KernelFrame::size(Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return index(type.getDimSize(dim));
  return memref::DimOp::create(b, memref, dim);
}

static std::optional<int64_t> staticSize(ShapedType type, int64_t dim) {
  if (type.isDynamicDim(dim))
    return std::nullopt;
  return type.getDimSize(dim);
}

void KernelFrame::build(bool longestFirst, int64_t slices) {
  zero = index(0);
  Value block = gpu::BlockIdOp::create(b, gpu::Dimension::x);
  firstColumn = zero;
  if (slices > 1) {
    // Slices of the same rows side by side: they read the same Q and K.
    slice = arith::RemUIOp::create(b, block, index(slices));
    block = arith::DivUIOp::create(b, block, index(slices));
    firstColumn =
        arith::MulIOp::create(b, slice, index(op.getValueDim() / slices));
  }
  head = gpu::BlockIdOp::create(b, gpu::Dimension::y);
  batch = gpu::BlockIdOp::create(b, gpu::Dimension::z);
  queryHeads = size(operands.query, 1);
  queries = size(operands.query, 2);
  keys = size(operands.key, 2);

  queryTile = block;
  if (longestFirst) {
    // The CTAs that start last should be the short ones.
    Value count = b.createOrFold<arith::CeilDivSIOp>(queries, index(tileQ));
    Value last = b.createOrFold<arith::SubIOp>(count, index(1));
    queryTile = arith::SubIOp::create(b, last, block);
  }
  firstQuery = arith::MulIOp::create(b, queryTile, index(tileQ));
  int64_t group = op.getGroupSize();
  keyHead = group == 1
                ? head
                : b.createOrFold<arith::FloorDivSIOp>(head, index(group));

  if (std::optional<int64_t> known = op.getStaticAlignment())
    alignment = index(*known);
  else
    alignment = operands.alignment
                    ? operands.alignment
                    : b.createOrFold<arith::SubIOp>(keys, queries);
  heads = operands.heads ? operands.heads : queryHeads;
  mapUniforms();
}

/// The uniform arguments of both regions.
void KernelFrame::mapUniforms() {
  // Sizes are 32-bit in the ABI; operands of the op may be anything.
  uniforms.emplace(b, alignment, heads,
                   operands.alignment || operands.heads ? 64u : 33u);
  auto absolute = [&](Value local, Value offset) {
    return offset ? b.createOrFold<arith::AddIOp>(local, offset) : local;
  };
  Value absoluteBatch = absolute(batch, operands.offsetB);
  Value absoluteHead = absolute(head, operands.offsetH);
  for (auto [region, first] :
       {std::pair<Region *, unsigned>{&op.getScore(), 1},
        std::pair<Region *, unsigned>{&op.getMask(), 0}}) {
    if (region->empty())
      continue;
    uniforms->map(region->getArgument(first), absoluteBatch,
                  operands.offsetB ? 64 : 33);
    uniforms->map(region->getArgument(first + 1), absoluteHead,
                  operands.offsetH ? 64 : 33);
    for (auto [argument, capture] : llvm::zip(
             region->getArguments().drop_front(first + 4), operands.captures))
      if (capture)
        uniforms->map(argument, capture);
  }
}

Value KernelFrame::getSymbol(const MaskSymbol &symbol) {
  using Kind = MaskSymbol::Kind;
  switch (symbol.kind) {
  case Kind::FirstQuery:
    return firstQuery;
  case Kind::Queries:
    return queries;
  case Kind::Keys:
    return keys;
  case Kind::Alignment:
    return alignment;
  case Kind::OffsetQ:
    return operands.offsetQ;
  case Kind::OffsetK:
    return operands.offsetK;
  case Kind::Region:
    break;
  }
  Value value = uniforms->get(symbol.value);
  return value.getType().isIndex()
             ? value
             : b.createOrFold<arith::IndexCastOp>(b.getIndexType(), value);
}

TileValue KernelFrame::absoluteIndex(Value local, Value offset) {
  TileValue value;
  value.kind = TileValue::Kind::Uniform;
  value.value = offset ? b.createOrFold<arith::AddIOp>(local, offset) : local;
  value.bits = offset ? 64 : 33;
  return value;
}

/// Reads are for queries and keys that exist.
void KernelFrame::setLimits(TileInliner &inliner, Value firstKey) {
  if (operands.captures.empty())
    return;
  inliner.setLimits(b.createOrFold<arith::SubIOp>(queries, firstQuery),
                    b.createOrFold<arith::SubIOp>(keys, firstKey));
}

FailureOr<Value> KernelFrame::buildScore(Value scores, Value firstKey) {
  if (!op.hasScoreRegion())
    return scores;
  TileInliner inliner(b, *uniforms, "score", tileQ, tileK,
                      absoluteIndex(firstQuery, operands.offsetQ),
                      absoluteIndex(firstKey, operands.offsetK));
  setLimits(inliner, firstKey);
  return inliner.inlineRegion(op.getScore(), /*queryArgument=*/3, scores);
}

FailureOr<Value> KernelFrame::buildKeep(Value firstKey, bool inKeys) {
  Value keep;
  if (op.hasMaskRegion()) {
    TileInliner inliner(b, *uniforms, "mask", tileQ, tileK,
                        absoluteIndex(firstQuery, operands.offsetQ),
                        absoluteIndex(firstKey, operands.offsetK));
    setLimits(inliner, firstKey);
    FailureOr<Value> mask =
        inliner.inlineRegion(op.getMask(), /*queryArgument=*/2, Value());
    if (failed(mask))
      return failure();
    keep = *mask;
  }
  std::optional<int64_t> known = staticSize(op.getKeyType(), 2);
  bool isRagged = !known || *known % tileK != 0;
  if (!isRagged || !inKeys)
    return keep;
  TileInliner local(b, *uniforms, "mask", tileQ, tileK,
                    absoluteIndex(firstQuery, Value()),
                    absoluteIndex(firstKey, Value()));
  Value inside = local.keysBelow(b.getLoc(), keys);
  return keep ? arith::AndIOp::create(b, keep, inside).getResult() : inside;
}

Value KernelFrame::buildRowsExist() {
  std::optional<int64_t> known = staticSize(op.getQueryType(), 2);
  if (known && *known % tileQ == 0)
    return Value();
  TileInliner local(b, *uniforms, "mask", tileQ, tileK,
                    absoluteIndex(firstQuery, Value()),
                    absoluteIndex(zero, Value()));
  return local.rowsBelow(b.getLoc(), queries);
}

void mlir::flash::hoistReads(scf::ForOp loop) {
  auto canMove = [&](auto &&self, Value value) -> bool {
    if (loop.isDefinedOutsideOfLoop(value))
      return true;
    Operation *op = value.getDefiningOp();
    return op && isPure(op) && op->getNumRegions() == 0 &&
           llvm::all_of(op->getOperands(),
                        [&](Value operand) { return self(self, operand); });
  };
  auto move = [&](auto &&self, Value value) -> void {
    if (loop.isDefinedOutsideOfLoop(value))
      return;
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      self(self, operand);
    op->moveBefore(loop);
  };
  SmallVector<Value> reads;
  loop.walk([&](Operation *op) {
    if (isa<flash_tile::GatherElementsOp, flash_tile::LookupOp>(op))
      reads.push_back(op->getResult(0));
  });
  for (Value read : reads)
    if (canMove(canMove, read))
      move(move, read);
}
