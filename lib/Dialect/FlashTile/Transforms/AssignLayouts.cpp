//===- AssignLayouts.cpp - Give every register tile a layout --------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Values that an elementwise op, a loop or a branch ties together must share a
// layout: they form one class. Dots anchor the classes of their accumulators,
// reductions carry a layout to the class of the row statistic, and broadcasts
// from it to a tile or back. What nothing anchors gets a layout made for wide
// memory accesses. Where a broadcast joins two classes whose layouts do not
// agree, the row statistic is converted.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/AssignLayouts.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEASSIGNLAYOUTS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"

namespace {

bool isTile(Value value) { return isa<RankedTensorType>(value.getType()); }

RankedTensorType tileType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

class LayoutAssignment {
public:
  explicit LayoutAssignment(gpu::GPUFuncOp func) : func(func) {}

  LogicalResult run() {
    std::optional<ArrayRef<int32_t>> block = func.getKnownBlockSize();
    if (!block)
      return func.emitOpError(
          "block size: expected known_block_size, got none");
    for (BlockArgument argument : func.getArguments())
      if (isTile(argument))
        return func.emitOpError("argument ")
               << argument.getArgNumber()
               << ": expected a memref, a view or a scalar (tiles live within "
                  "kernels), got "
               << argument.getType();
    warps = (*block)[0] / Layout::numLanes();
    auto schedule =
        func->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule");
    separateConstants();
    separateDotOperands();
    if (schedule && schedule.getProbabilities() == flash::TileHome::shared)
      separateProducts();
    collectClasses();
    if (failed(anchorDots()) || failed(anchorSeparated()) ||
        failed(propagate()) || failed(anchorByRows()) || failed(assignRest()))
      return failure();
    applyTypes();
    return success();
  }

private:
  /// A constant is used under as many layouts as it has users.
  void separateConstants() {
    SmallVector<Operation *> sources;
    func.walk([&](Operation *op) {
      if (isa<arith::ConstantOp, SplatOp, IndexOp>(op) &&
          isTile(op->getResult(0)))
        sources.push_back(op);
    });
    for (Operation *op : sources) {
      auto uses = llvm::make_early_inc_range(op->getResult(0).getUses());
      bool first = true;
      for (OpOperand &use : uses) {
        if (!std::exchange(first, false)) {
          OpBuilder b(op);
          use.set(b.clone(*op)->getResult(0));
        }
      }
    }
  }

  /// An A operand in registers has a layout of its own; where it comes straight
  /// from memory no conversion is needed.
  void separateDotOperands() {
    SmallVector<DotOp> dots;
    func.walk([&](DotOp dot) { dots.push_back(dot); });
    for (DotOp dot : dots) {
      Value a = dot.getA();
      if (!isTile(a) || tileType(a).getEncoding() ||
          dot.getUnit() == DotUnit::fma ||
          isa_and_nonnull<LoadOp, LocalLoadOp>(a.getDefiningOp()))
        continue;
      OpBuilder b(dot);
      dot.getAMutable().assign(convert(b, dot.getLoc(), a));
    }
  }

  /// What is computed from a product on tensor cores that starts from a
  /// constant gets a layout of its own.
  void separateProducts() {
    func.walk([&](DotOp dot) {
      if (dot.getUnit() == DotUnit::fma ||
          !dot.getAccumulator().getDefiningOp<arith::ConstantOp>())
        return;
      OpBuilder b(dot);
      b.setInsertionPointAfter(dot);
      ConvertLayoutOp op = convert(b, dot.getLoc(), dot.getResult());
      dot.getResult().replaceAllUsesExcept(op, op);
      separated.push_back(op);
    });
  }

  static ConvertLayoutOp convert(OpBuilder &b, Location loc, Value value) {
    return ConvertLayoutOp::create(b, loc, value.getType(), value,
                                   /*permutation=*/nullptr);
  }

  void collectClasses() {
    auto note = [&](Value value) {
      if (isTile(value))
        classes.insert(value);
    };
    auto unite = [&](Value lhs, Value rhs) {
      if (isTile(lhs) && isTile(rhs))
        classes.unionSets(lhs, rhs);
    };
    func.walk([&](Operation *op) {
      for (Value result : op->getResults())
        note(result);
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](scf::ForOp loop) {
            for (auto [init, arg, yielded, result] :
                 llvm::zip(loop.getInitArgs(), loop.getRegionIterArgs(),
                           loop.getYieldedValues(), loop.getResults())) {
              unite(init, arg);
              unite(arg, yielded);
              unite(yielded, result);
            }
          })
          .Case([&](scf::IfOp branch) {
            for (auto [i, result] : llvm::enumerate(branch.getResults())) {
              unite(result, branch.thenYield()->getOperand(i));
              unite(result, branch.elseYield()->getOperand(i));
            }
          })
          .Case(
              [&](DotOp dot) { unite(dot.getAccumulator(), dot.getResult()); })
          .Case([&](GatherElementsOp gather) {
            for (Value operand : gather->getOperands())
              unite(operand, gather.getResult());
          })
          .Default([&](Operation *other) {
            if (!OpTrait::hasElementwiseMappableTraits(other))
              return;
            for (Value operand : other->getOperands())
              unite(operand, other->getResult(0));
          });
    });
  }

  /// Sets the layout of a value's class; a class has one layout.
  LogicalResult setLayout(Operation *op, Value value, const Layout &layout) {
    Value leader = classes.getLeaderValue(value);
    auto [it, inserted] = layouts.insert({leader, layout});
    if (inserted || it->second.isSameFunction(layout))
      return success();
    return op->emitOpError("layout: expected ")
           << it->second.toAttr(op->getContext())
           << " (as assigned to the values it is combined with), got "
           << layout.toAttr(op->getContext());
  }

  std::optional<Layout> layoutOf(Value value) {
    auto it = layouts.find(classes.getLeaderValue(value));
    if (it == layouts.end())
      return std::nullopt;
    return it->second;
  }

  /// B in shared memory: columns of the accumulator in runs as long as a
  /// 16-byte read of B's rows, or side by side where each is a row of B. B in
  /// global memory: a row per thread. There warps that are left over take
  /// columns each, but of a product with a transposed B, scores, of which every
  /// warp wants whole rows.
  LogicalResult anchorFmaDot(DotOp dot) {
    ArrayRef<int64_t> shape = tileType(dot.getResult()).getShape();
    if (isa<GlobalTileType>(dot.getB().getType())) {
      FailureOr<Layout> rows = Layout::threadRows(
          shape[0], shape[1], warps, /*split=*/!dot.getTransposeB());
      if (failed(rows) || shape[0] % Layout::numLanes() != 0)
        return dot.emitOpError(
                   "accumulator: expected 32 rows or multiples, and "
                   "columns that ")
               << warps << " warps can share, got " << shape[0] << " x "
               << shape[1];
      if (failed(setLayout(dot, dot.getResult(), *rows)))
        return failure();
      if (!isTile(dot.getA()))
        return success();
      return setLayout(dot, dot.getA(),
                       *Layout::threadRows(
                           shape[0], tileType(dot.getA()).getDimSize(1), warps,
                           /*split=*/false));
    }
    auto view = dyn_cast<ViewType>(dot.getB().getType());
    if (!view)
      return dot.emitOpError("operand b: expected a shared-memory view (run "
                             "--flash-tile-stage-buffers first), got ")
             << dot.getB().getType();
    int64_t vector = dot.getTransposeB()
                         ? 1
                         : 128 / view.getElementType().getIntOrFloatBitWidth();
    FailureOr<Layout> layout =
        Layout::fmaAccumulator(shape[0], shape[1], warps, vector);
    if (failed(layout))
      return dot.emitOpError("accumulator: expected ")
             << 4 * warps << " x 8 or multiples for " << warps
             << " warps on FMA units, got " << shape[0] << " x " << shape[1];
    return setLayout(dot, dot.getResult(), *layout);
  }

  /// Bytes that ldmatrix transposes come as pairs, two columns of B at a time.
  /// So one instruction takes the first of each pair and another the second, if
  /// there are pairs for all of its columns.
  FailureOr<Layout> getMmaAccumulator(DotOp dot) {
    ArrayRef<int64_t> shape = tileType(dot.getResult()).getShape();
    auto view = dyn_cast<ViewType>(dot.getB().getType());
    if (view && !dot.getTransposeB() && !dot.getPlainLoads() &&
        getElementBits(view.getElementType()) == 8) {
      FailureOr<Layout> pairs = Layout::mmaAccumulator(
          shape[0], shape[1], warps, /*warpCols=*/1, /*columnStep=*/2);
      if (succeeded(pairs))
        return pairs;
    }
    return Layout::mmaAccumulator(shape[0], shape[1], warps);
  }

  LogicalResult anchorDots() {
    WalkResult result = func.walk([&](Operation *op) {
      // What carries a layout already keeps it.
      for (Value value : op->getResults())
        if (isTile(value))
          if (std::optional<Layout> layout = Layout::get(tileType(value)))
            if (failed(setLayout(op, value, *layout)))
              return WalkResult::interrupt();
      auto dot = dyn_cast<DotOp>(op);
      if (!dot)
        return WalkResult::advance();
      if (dot.getUnit() == DotUnit::fma)
        return WalkResult(anchorFmaDot(dot));
      ArrayRef<int64_t> shape = tileType(dot.getResult()).getShape();
      FailureOr<Layout> accumulator = getMmaAccumulator(dot);
      if (failed(accumulator)) {
        dot.emitOpError("accumulator: expected ")
            << 16 * warps << " x 8 or multiples for " << warps << " warps, got "
            << shape[0] << " x " << shape[1];
        return WalkResult::interrupt();
      }
      if (failed(setLayout(dot, dot.getResult(), *accumulator)))
        return WalkResult::interrupt();
      if (!isTile(dot.getA()))
        return WalkResult::advance();
      ArrayRef<int64_t> aShape = tileType(dot.getA()).getShape();
      const int64_t bits =
          getElementBits(tileType(dot.getA()).getElementType());
      FailureOr<Layout> operand = Layout::mmaOperandA(
          aShape[0], aShape[1], warps, /*warpCols=*/1, bits);
      if (failed(operand)) {
        dot.emitOpError("operand a: expected ")
            << 16 * warps << " x " << Layout::getInstructionDepth(bits)
            << " or multiples for " << warps << " warps, got " << aShape[0]
            << " x " << aShape[1];
        return WalkResult::interrupt();
      }
      if (failed(setLayout(dot, dot.getA(), *operand)))
        return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// What is computed from a separated product: a warp owns whole rows, as in a
  /// product on FMA units.
  LogicalResult anchorSeparated() {
    for (ConvertLayoutOp op : separated) {
      ArrayRef<int64_t> shape = tileType(op.getResult()).getShape();
      FailureOr<Layout> layout =
          Layout::fmaAccumulator(shape[0], shape[1], warps, /*vector=*/4);
      // The accumulator had steps of 16 rows and 8 columns.
      if (succeeded(layout) && failed(setLayout(op, op.getResult(), *layout)))
        return failure();
    }
    return success();
  }

  /// Carries layouts across reductions, then across broadcasts, until nothing
  /// changes.
  LogicalResult propagate() {
    size_t before;
    do {
      before = layouts.size();
      if (failed(propagateReductions()) || failed(propagateBroadcasts()))
        return failure();
    } while (layouts.size() != before);
    return success();
  }

  LogicalResult propagateReductions() {
    WalkResult result = func.walk([&](ReduceOp reduce) -> WalkResult {
      std::optional<Layout> from = layoutOf(reduce.getSource());
      if (!from)
        return WalkResult::advance();
      return setLayout(reduce, reduce.getResult(),
                       from->slice(reduce.getAxis()));
    });
    return failure(result.wasInterrupted());
  }

  LogicalResult propagateBroadcasts() {
    WalkResult result = func.walk([&](ExpandOp expand) -> WalkResult {
      std::optional<Layout> to = layoutOf(expand.getResult());
      if (!to)
        return WalkResult::advance();
      Layout rows = to->slice(expand.getAxis());
      std::optional<Layout> from = layoutOf(expand.getSource());
      if (from && !from->isSameFunction(rows)) {
        OpBuilder b(expand);
        Value converted = convert(b, expand.getLoc(), expand.getSource());
        classes.insert(converted);
        expand.getSourceMutable().assign(converted);
      }
      return setLayout(expand, expand.getSource(), rows);
    });
    return failure(result.wasInterrupted());
  }

  /// A layout of a tile of scores whose rows are where `rows` says: one of
  /// those that products have.
  std::optional<Layout> layoutByRows(ArrayRef<int64_t> shape,
                                     const Layout &rows) {
    // Rows of 32 threads each only where they divide the tile.
    SmallVector<FailureOr<Layout>, 0> candidates{
        Layout::mmaAccumulator(shape[0], shape[1], warps),
        Layout::fmaAccumulator(shape[0], shape[1], warps, /*vector=*/4),
        Layout::fmaAccumulator(shape[0], shape[1], warps, /*vector=*/1)};
    if (shape[0] % Layout::numLanes() == 0)
      candidates.push_back(
          Layout::threadRows(shape[0], shape[1], warps, /*split=*/false));
    for (const FailureOr<Layout> &layout : candidates)
      if (succeeded(layout) && layout->slice(1).isSameFunction(rows))
        return *layout;
    return std::nullopt;
  }

  /// Tiles that no dot produced, but whose row statistics meet a dot's: scores
  /// that ignore Q K^T. They lie as the product would have, if its rows do.
  LogicalResult anchorByRows() {
    WalkResult result = func.walk([&](Operation *op) {
      Value tile, rows;
      if (auto reduce = dyn_cast<ReduceOp>(op)) {
        tile = reduce.getSource();
        rows = reduce.getResult();
      } else if (auto expand = dyn_cast<ExpandOp>(op)) {
        tile = expand.getResult();
        rows = expand.getSource();
      } else {
        return WalkResult::advance();
      }
      if (tileType(tile).getRank() != 2 || layoutOf(tile) || !layoutOf(rows))
        return WalkResult::advance();
      std::optional<Layout> layout =
          layoutByRows(tileType(tile).getShape(), *layoutOf(rows));
      if (!layout)
        return WalkResult::advance();
      if (failed(setLayout(op, tile, *layout)) || failed(propagate()))
        return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Wide-access layouts for classes that no instruction constrains, rank 2
  /// before rank 1 so that row statistics still follow their tiles.
  LogicalResult assignRest() {
    for (int64_t rank : {2, 1}) {
      WalkResult result = func.walk([&](Operation *op) {
        for (Value value : op->getResults()) {
          if (!isTile(value) || layoutOf(value) ||
              tileType(value).getRank() != rank)
            continue;
          RankedTensorType type = tileType(value);
          int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
          FailureOr<Layout> layout =
              Layout::blocked(type.getShape(), bytes, 16, warps);
          if (failed(layout)) {
            op->emitOpError("tile: expected extents that ")
                << warps << " warps can share, got " << type;
            return WalkResult::interrupt();
          }
          if (failed(setLayout(op, value, *layout)) || failed(propagate()))
            return WalkResult::interrupt();
        }
        return WalkResult::advance();
      });
      if (result.wasInterrupted())
        return failure();
    }
    return success();
  }

  void applyTypes() {
    auto update = [&](Value value) {
      if (!isTile(value))
        return;
      RankedTensorType type = tileType(value);
      if (std::optional<Layout> layout = layoutOf(value))
        value.setType(RankedTensorType::get(type.getShape(),
                                            type.getElementType(),
                                            layout->toAttr(type.getContext())));
    };
    func.walk([&](Operation *op) {
      for (Value result : op->getResults())
        update(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            update(argument);
      if (auto constant = dyn_cast<arith::ConstantOp>(op))
        if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
          constant.setValueAttr(
              dense.reshape(cast<ShapedType>(constant.getType())));
    });
  }

  gpu::GPUFuncOp func;
  int64_t warps = 0;
  SmallVector<ConvertLayoutOp> separated;
  llvm::EquivalenceClasses<Value> classes;
  llvm::DenseMap<Value, Layout> layouts;
};

struct AssignLayoutsPass : impl::FlashTileAssignLayoutsBase<AssignLayoutsPass> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk(
        [](gpu::GPUFuncOp func) { return WalkResult(assignLayouts(func)); });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace

LogicalResult assignLayouts(gpu::GPUFuncOp func) {
  return LayoutAssignment(func).run();
}

} // namespace mlir::flash_tile
