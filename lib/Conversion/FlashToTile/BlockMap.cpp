//===- BlockMap.cpp - Key tiles of a mask known at run time ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockMap.h"

#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::flash;
using arith::CmpIPredicate;

/// Entries of a row in front of its tiles.
static constexpr int64_t kHeader = 2;

static Value constant(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

BlockMap::BlockMap(AttentionOp op)
    : tileQ(op.getScheduleAttr().getTileQ()),
      tileK(op.getScheduleAttr().getTileK()) {
  Region &mask = op.getMask();
  perBatch = !mask.getArgument(0).use_empty();
  perHead = !mask.getArgument(1).use_empty();
}

SmallVector<std::string> BlockMap::getGrid() const {
  return {"ceildiv(sq, " + std::to_string(tileQ) + ")", perHead ? "hq" : "1",
          perBatch ? "b" : "1"};
}

std::string BlockMap::getBytes() const {
  std::string rows = getGrid()[0];
  if (perHead)
    rows += " * hq";
  if (perBatch)
    rows += " * b";
  return "4 * " + rows + " * (ceildiv(sk, " + std::to_string(tileK) + ") + " +
         std::to_string(kHeader) + ")";
}

bool mlir::flash::needsBlockMap(AttentionOp op, const MaskRanges &ranges) {
  return op.hasMaskRegion() && !ranges.exact;
}

/// First entry of the CTA's row, and the number of its last one.
static std::pair<Value, Value> buildRow(ImplicitLocOpBuilder &b,
                                        const BlockMap &map,
                                        const KernelFrame &frame) {
  Value keyTiles =
      b.createOrFold<arith::CeilDivSIOp>(frame.keys, constant(b, map.tileK));
  Value queryTiles =
      b.createOrFold<arith::CeilDivSIOp>(frame.queries, constant(b, map.tileQ));
  Value row = map.perBatch ? frame.batch : Value();
  if (map.perHead) {
    if (row) {
      row = b.createOrFold<arith::MulIOp>(row, frame.queryHeads);
      row = b.createOrFold<arith::AddIOp>(row, frame.head);
    } else {
      row = frame.head;
    }
  }
  if (row) {
    row = b.createOrFold<arith::MulIOp>(row, queryTiles);
    row = b.createOrFold<arith::AddIOp>(row, frame.queryTile);
  } else {
    row = frame.queryTile;
  }
  Value length = b.createOrFold<arith::AddIOp>(keyTiles, constant(b, kHeader));
  return {b.createOrFold<arith::MulIOp>(row, length),
          b.createOrFold<arith::SubIOp>(length, constant(b, 1))};
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

MappedKeyTiles::MappedKeyTiles(ImplicitLocOpBuilder &b, const BlockMap &map,
                               const KernelFrame &frame, Value workspace)
    : workspace(workspace) {
  std::tie(base, last) = buildRow(b, map, frame);
  auto read = [&](int64_t entry) -> Value {
    Value at = b.createOrFold<arith::AddIOp>(base, constant(b, entry));
    Value number = flash_tile::LookupOp::create(b, b.getI32Type(), workspace,
                                                at, /*predicate=*/Value());
    return arith::IndexCastOp::create(b, b.getIndexType(), number);
  };
  iterations = read(0);
  masked = read(1);
  bandStarts.push_back(masked);
  bandEnds.push_back(iterations);
}

Value MappedKeyTiles::buildTileNumber(ImplicitLocOpBuilder &b,
                                      Value iteration) {
  // Prefetches ask for tiles behind the last one.
  Value exists =
      arith::CmpIOp::create(b, CmpIPredicate::slt, iteration, iterations);
  Value isMasked =
      arith::CmpIOp::create(b, CmpIPredicate::slt, iteration, masked);
  Value fromFront = arith::AddIOp::create(b, iteration, constant(b, kHeader));
  Value fromBack = arith::SubIOp::create(
      b, last, arith::SubIOp::create(b, iteration, masked));
  Value entry = arith::SelectOp::create(b, isMasked, fromFront, fromBack);
  Value at = arith::AddIOp::create(b, base, entry);
  Value number =
      flash_tile::LookupOp::create(b, b.getI32Type(), workspace, at, exists);
  return arith::IndexCastOp::create(b, b.getIndexType(), number);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {

class BlockMapBuilder {
public:
  BlockMapBuilder(OpBuilder &outer, AttentionOp op, const MaskRanges &ranges,
                  const ForwardOperands &operands)
      : b(op.getLoc(), outer), op(op), ranges(ranges), operands(operands),
        map(op), frame(b, op, operands) {}

  LogicalResult build();

private:
  void put(Value number, Value entry) {
    Value at = b.createOrFold<arith::AddIOp>(base, entry);
    Value narrow = arith::IndexCastOp::create(b, b.getI32Type(), number);
    flash_tile::PutOp::create(b, narrow, operands.workspace, at);
  }
  /// `count` + 1 where `condition` holds.
  Value countIf(Value count, Value condition) {
    Value more = arith::AddIOp::create(b, count, constant(b, 1));
    return arith::SelectOp::create(b, condition, more, count);
  }
  /// Whether the tile of `keep` holds an element that is seen, one that is not.
  std::pair<Value, Value> classify(Value keep);

  ImplicitLocOpBuilder b;
  AttentionOp op;
  const MaskRanges &ranges;
  const ForwardOperands &operands;
  BlockMap map;
  KernelFrame frame;
  Value base, last;
};

} // namespace

std::pair<Value, Value> BlockMapBuilder::classify(Value keep) {
  auto type = cast<RankedTensorType>(keep.getType());
  Value truth = arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, b.getBoolAttr(true)));
  Value hidden = arith::XOrIOp::create(b, keep, truth);
  // Rows that do not exist say nothing.
  if (Value exists = frame.buildRowsExist()) {
    keep = arith::AndIOp::create(b, keep, exists);
    hidden = arith::AndIOp::create(b, hidden, exists);
  }
  Value isLive = flash_tile::VoteOp::create(b, b.getI1Type(), keep);
  Value needsMask = flash_tile::VoteOp::create(b, b.getI1Type(), hidden);
  return {isLive, needsMask};
}

LogicalResult BlockMapBuilder::build() {
  frame.build(/*longestFirst=*/false, /*slices=*/1);
  AnalyzedKeyTiles tiles(b, ranges, [&](const MaskSymbol &symbol) {
    return frame.getSymbol(symbol);
  });
  std::tie(base, last) = buildRow(b, map, frame);
  // Carried: tiles that need the mask, tiles that do not.
  auto loop =
      scf::ForOp::create(b, frame.zero, tiles.getIterations(), constant(b, 1),
                         ValueRange{frame.zero, frame.zero});
  frame.enter(loop);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value masked = loop.getRegionIterArg(0), full = loop.getRegionIterArg(1);
    Value tile = tiles.buildTileNumber(b, loop.getInductionVar());
    Value firstKey = arith::MulIOp::create(b, tile, constant(b, map.tileK));
    FailureOr<Value> keep = frame.buildKeep(firstKey, /*inKeys=*/true);
    if (failed(keep))
      return failure();
    auto [isLive, needsMask] = classify(*keep);
    Value fromFront = arith::AddIOp::create(b, masked, constant(b, kHeader));
    Value fromBack = arith::SubIOp::create(b, last, full);
    Value entry = arith::SelectOp::create(b, needsMask, fromFront, fromBack);
    auto branch = scf::IfOp::create(b, isLive, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(branch.thenBlock());
      put(tile, entry);
    }
    Value moreMasked = countIf(masked, needsMask);
    Value moreFull = arith::SelectOp::create(
        b, needsMask, full, arith::AddIOp::create(b, full, constant(b, 1)));
    scf::YieldOp::create(
        b, ValueRange{arith::SelectOp::create(b, isLive, moreMasked, masked),
                      arith::SelectOp::create(b, isLive, moreFull, full)});
  }
  hoistReads(loop);
  Value masked = loop.getResult(0);
  put(arith::AddIOp::create(b, masked, loop.getResult(1)), constant(b, 0));
  put(masked, constant(b, 1));
  gpu::ReturnOp::create(b);
  return success();
}

LogicalResult
mlir::flash::buildBlockMapKernel(OpBuilder &builder, AttentionOp op,
                                 const MaskRanges &ranges,
                                 const ForwardOperands &operands) {
  return BlockMapBuilder(builder, op, ranges, operands).build();
}
