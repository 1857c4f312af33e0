//===- StageBuffers.cpp - Dot operands through shared memory ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which barriers are needed, for a buffer of S stages filled in a loop:
//
// - read after write: each thread waits for its own copies only, so a barrier
//   follows every wait;
// - write after read: with S >= 2 the copy of iteration i + S overwrites what
//   iteration i read, and the barriers behind the waits of iterations i + 1 to
//   i + S - 1 lie between them. With S = 1 there must be one between the last
//   read of an iteration and the copy of the next: the one behind another
//   buffer's wait may be it, else one is added in front of the copy.
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/StageBuffers.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILESTAGEBUFFERS
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

namespace {

/// Elements of a row, and of the depth, that one product on tensor cores
/// consumes: 32 bytes, whatever the type.
int64_t getGranule(Type elementType) {
  return 256 / elementType.getIntOrFloatBitWidth();
}

int64_t roundUp(int64_t value, int64_t granule) {
  return (value + granule - 1) / granule * granule;
}

/// The axis of a dot's operand that is summed over.
unsigned getDepthAxis(DotOp dot, bool isA) {
  return isA ? (dot.getTransposeA() ? 0 : 1) : (dot.getTransposeB() ? 1 : 0);
}

/// Whether `value` is computed from the result of a dot on tensor cores,
/// through any ops that are not themselves dots and through loops.
bool comesFromTensorCores(Value value) {
  SmallVector<Value> worklist{value};
  llvm::SmallDenseSet<Value> seen;
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    if (!isa<RankedTensorType>(next.getType()) || !seen.insert(next).second)
      continue;
    Operation *def = next.getDefiningOp();
    if (!def)
      continue;
    if (auto dot = dyn_cast<DotOp>(def)) {
      if (dot.getUnit() != DotUnit::fma)
        return true;
      continue;
    }
    if (auto loop = dyn_cast<scf::ForOp>(def)) {
      worklist.push_back(
          loop.getYieldedValues()[cast<OpResult>(next).getResultNumber()]);
      continue;
    }
    llvm::append_range(worklist, def->getOperands());
  }
  return false;
}

class BufferStager {
public:
  BufferStager(FunctionOpInterface func, const StageBuffersConfig &config)
      : func(func), config(config), rewriter(func->getContext()),
        schedule(
            func->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule")) {}

  LogicalResult run();

private:
  /// How a load is staged.
  struct Staged {
    LoadOp load;
    /// The loop whose body holds the load; null for any other block.
    scf::ForOp loop;
    int64_t stages;
    BufferType buffer;
    /// Layout of a load to registers; null: to be assigned.
    LayoutAttr layout;
    /// What fills the buffer, and the dots that read the view.
    Operation *copy;
    SmallVector<Operation *> readers;
  };

  LogicalResult collect();
  FailureOr<BufferType> getPaddedBuffer(LoadOp load, int64_t stages);
  LogicalResult verifyDepths(DotOp dot);
  flash::CopyKind getCopies() const;
  FailureOr<LayoutAttr> getScalarLayout(LoadOp load, BufferType buffer);
  Value copyAsync(Staged &staged, Value dest);
  Value copyThroughRegisters(Staged &staged, Value dest);
  void leaveInGlobalMemory(LoadOp load);
  int64_t getStages(LoadOp load);
  bool keepInRegisters() const;

  Value allocate(Location loc, BufferType type);
  Value createConstant(Location loc, int64_t value);
  DenseMap<int64_t, Value> addCounters(scf::ForOp loop,
                                       ArrayRef<Staged *> loads);
  void stage(Staged &staged, Value index);
  void separateReadsFromCopy(const Staged &staged);
  void stageStore(StoreOp store);

  FunctionOpInterface func;
  const StageBuffersConfig &config;
  IRRewriter rewriter;
  flash::ScheduleAttr schedule;
  std::vector<Staged> staged;
  /// Loads that become tiles in global memory.
  SmallVector<LoadOp> inPlace;
  DenseMap<Value, Staged *> stagedByTile;
};

} // namespace

flash::CopyKind BufferStager::getCopies() const {
  return schedule ? schedule.getCopies() : flash::CopyKind::async;
}

int64_t BufferStager::getStages(LoadOp load) {
  if (getCopies() != flash::CopyKind::async)
    return 1;
  StringRef role;
  if (auto arg = dyn_cast<BlockArgument>(load.getSource()))
    if (arg.getOwner() == &func.getFunctionBody().front())
      if (auto attr = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(),
                                                        "flash_tile.role"))
        role = attr.getValue();
  if (role == "k" && config.stagesK)
    return *config.stagesK;
  if (role == "v" && config.stagesV)
    return *config.stagesV;
  if (config.stages)
    return *config.stages;
  if (schedule && role == "k")
    return schedule.getStagesK();
  if (schedule && role == "v")
    return schedule.getStagesV();
  return 1;
}

bool BufferStager::keepInRegisters() const {
  if (config.queryInRegisters)
    return *config.queryInRegisters;
  return schedule && schedule.getQueryInRegisters();
}

/// The buffer for `load`, its rows padded to whole granules. Padding is zero
/// only where the row ends at the memref's own end: elsewhere the copy would
/// bring the neighbouring elements of the row.
FailureOr<BufferType> BufferStager::getPaddedBuffer(LoadOp load,
                                                    int64_t stages) {
  RankedTensorType tile = load.getResult().getType();
  const int64_t row = tile.getShape().back();
  const int64_t granule = getGranule(tile.getElementType());
  if (row % granule != 0) {
    auto memref = cast<MemRefType>(load.getSource().getType());
    IntegerAttr first;
    const bool whole =
        memref.getShape().back() == row &&
        matchPattern(load.getIndices().back(), m_Constant(&first)) &&
        first.getInt() == 0;
    if (!whole)
      return load.emitOpError()
             << "tile row: expected a multiple of " << granule
             << " elements or the memref's whole last extent, got " << row;
  }
  SmallVector<int64_t> shape{stages};
  llvm::append_range(shape, tile.getShape());
  shape.back() = roundUp(row, granule);
  return BufferType::get(load.getContext(), shape, tile.getElementType(),
                         SwizzleAttr());
}

/// Both operands of `dot` have the same depth, a whole number of granules,
/// after the rows of the staged ones are padded.
LogicalResult BufferStager::verifyDepths(DotOp dot) {
  int64_t depth[2];
  bool any = false;
  for (bool isA : {true, false}) {
    Value operand = isA ? dot.getA() : dot.getB();
    const unsigned axis = getDepthAxis(dot, isA);
    if (Staged *load = stagedByTile.lookup(operand)) {
      depth[!isA] = load->buffer.getTileShape()[axis];
      any = true;
    } else if (auto view = dyn_cast<ViewType>(operand.getType())) {
      depth[!isA] = view.getShape()[axis];
    } else {
      depth[!isA] = cast<RankedTensorType>(operand.getType()).getDimSize(axis);
    }
  }
  if (!any)
    return success();
  if (depth[0] != depth[1])
    return dot.emitOpError()
           << "depth: expected both operands padded alike, got " << depth[0]
           << " for a and " << depth[1] << " for b";
  Type b = dot.getB().getType();
  auto view = dyn_cast<ViewType>(b);
  const int64_t granule =
      getGranule(view ? view.getElementType() : getElementTypeOrSelf(b));
  if (depth[0] % granule != 0)
    return dot.emitOpError() << "depth: expected a multiple of " << granule
                             << ", got " << depth[0];
  return success();
}

/// Finds the loads to stage and checks them, so that nothing is rewritten in a
/// function that is refused.
LogicalResult BufferStager::collect() {
  LogicalResult result = success();
  func->walk([&](LoadOp load) {
    if (load.getResult().getType().getRank() != 2 ||
        llvm::none_of(load->getUsers(), llvm::IsaPred<DotOp>))
      return;
    for (OpOperand &use : load->getUses()) {
      auto dot = dyn_cast<DotOp>(use.getOwner());
      if (dot && use.get() != dot.getAccumulator())
        continue;
      InFlightDiagnostic remark =
          load.emitRemark("not staged: expected dot operands as only users");
      remark.attachNote(use.getOwner()->getLoc()) << "used here";
      return;
    }
    if (getCopies() == flash::CopyKind::none) {
      inPlace.push_back(load);
      return;
    }
    auto loop = dyn_cast<scf::ForOp>(load->getParentOp());
    const int64_t stages = loop ? getStages(load) : 1;
    FailureOr<BufferType> buffer = getPaddedBuffer(load, stages);
    FailureOr<LayoutAttr> layout = LayoutAttr();
    if (succeeded(buffer) && getCopies() == flash::CopyKind::scalar)
      layout = getScalarLayout(load, *buffer);
    if (failed(buffer) || failed(layout)) {
      result = failure();
      return;
    }
    staged.push_back({load, loop, stages, *buffer, *layout, nullptr, {}});
  });
  for (Staged &load : staged)
    stagedByTile[load.load.getResult()] = &load;
  func->walk([&](DotOp dot) {
    if (failed(verifyDepths(dot)))
      result = failure();
  });
  return result;
}

/// A row per lane and one element after the other, as a first CUDA kernel has
/// it: the lanes of a warp touch as many cache lines as there are rows.
FailureOr<LayoutAttr> BufferStager::getScalarLayout(LoadOp load,
                                                    BufferType buffer) {
  auto kernel = dyn_cast<gpu::GPUFuncOp>(func.getOperation());
  std::optional<ArrayRef<int32_t>> block;
  if (kernel)
    block = kernel.getKnownBlockSize();
  if (!block)
    return load.emitOpError("copies = scalar: expected a gpu.func with "
                            "known_block_size, got none");
  const int64_t warps = (*block)[0] / Layout::numLanes();
  ArrayRef<int64_t> shape = buffer.getTileShape();
  FailureOr<Layout> layout =
      Layout::threadRows(shape[0], shape[1], warps, /*split=*/true);
  if (failed(layout))
    return load.emitOpError("copies = scalar: expected columns that ")
           << warps << " warps can share, got " << shape[1];
  return layout->toAttr(load.getContext());
}

/// Allocations live as long as the kernel: all of them open the function, in
/// the order of the loads.
Value BufferStager::allocate(Location loc, BufferType type) {
  OpBuilder::InsertionGuard guard(rewriter);
  Block &entry = func.getFunctionBody().front();
  Block::iterator point = entry.begin();
  while (isa<AllocOp>(*point))
    ++point;
  rewriter.setInsertionPoint(&entry, point);
  return AllocOp::create(rewriter, loc, type, IntegerAttr());
}

Value BufferStager::createConstant(Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(rewriter, loc, value);
}

/// Adds to `loop` one counter per number of stages above one among `loads`:
/// the stage that the current iteration fills, from zero upwards, wrapping.
DenseMap<int64_t, Value> BufferStager::addCounters(scf::ForOp loop,
                                                   ArrayRef<Staged *> loads) {
  SmallVector<int64_t> counts;
  for (Staged *load : loads)
    if (load->stages > 1 && !llvm::is_contained(counts, load->stages))
      counts.push_back(load->stages);
  if (counts.empty())
    return DenseMap<int64_t, Value>();

  Location loc = loop.getLoc();
  rewriter.setInsertionPoint(loop);
  SmallVector<Value> inits(counts.size(), createConstant(loc, 0));
  DictionaryAttr attrs = loop->getDiscardableAttrDictionary();
  const unsigned firstNew = loop.getNumRegionIterArgs();
  auto advance = [&](OpBuilder &builder, Location loc,
                     ArrayRef<BlockArgument> counters) {
    SmallVector<Value> next;
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    for (auto [counter, count] : llvm::zip_equal(counters, counts)) {
      if (count == 2) {
        next.push_back(arith::XOrIOp::create(builder, loc, counter, one));
        continue;
      }
      Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
      Value last = arith::ConstantIndexOp::create(builder, loc, count - 1);
      Value wraps = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::eq, counter, last);
      Value plus = arith::AddIOp::create(builder, loc, counter, one);
      next.push_back(arith::SelectOp::create(builder, loc, wraps, zero, plus));
    }
    return next;
  };
  FailureOr<LoopLikeOpInterface> replaced =
      cast<LoopLikeOpInterface>(loop.getOperation())
          .replaceWithAdditionalYields(
              rewriter, inits, /*replaceInitOperandUsesInLoop=*/false, advance);
  // A for loop can always carry more values.
  auto newLoop = cast<scf::ForOp>(replaced->getOperation());
  newLoop->setDiscardableAttrs(attrs);

  DenseMap<int64_t, Value> counters;
  for (auto [i, count] : llvm::enumerate(counts))
    counters[count] = newLoop.getRegionIterArg(firstNew + i);
  return counters;
}

/// Puts a barrier in front of the copy of a one-stage buffer unless one lies,
/// going round the loop, between the last read and the copy already.
void BufferStager::separateReadsFromCopy(const Staged &staged) {
  Operation *copy = staged.copy;
  Block *body = copy->getBlock();
  Operation *last = copy;
  for (Operation *reader : staged.readers) {
    Operation *inBody = body->findAncestorOpInBlock(*reader);
    if (inBody && last->isBeforeInBlock(inBody))
      last = inBody;
  }
  for (auto barrier : body->getOps<gpu::BarrierOp>())
    if (barrier->isBeforeInBlock(copy) || last->isBeforeInBlock(barrier))
      return;
  rewriter.setInsertionPoint(copy);
  gpu::BarrierOp::create(rewriter, copy->getLoc());
}

/// The view of `dest` once all threads see what cp.async has brought.
Value BufferStager::copyAsync(Staged &staged, Value dest) {
  LoadOp load = staged.load;
  Location loc = load.getLoc();
  auto copy = CopyAsyncOp::create(
      rewriter, loc, FutureType::get(load.getContext(), dest.getType()),
      load.getSource(), load.getIndices(), dest, /*predicate=*/Value(),
      /*in_bounds=*/UnitAttr(), /*alignment=*/IntegerAttr());
  copy->setDiscardableAttrs(load->getDiscardableAttrDictionary());
  auto wait = WaitOp::create(rewriter, loc, TypeRange{dest.getType()},
                             ValueRange{copy.getFuture()},
                             rewriter.getI64IntegerAttr(0));
  staged.copy = copy;
  return wait.getResult(0);
}

/// The same through registers. What a row is padded by lies outside the memref:
/// the load yields zeros there.
Value BufferStager::copyThroughRegisters(Staged &staged, Value dest) {
  LoadOp load = staged.load;
  Location loc = load.getLoc();
  auto tile =
      RankedTensorType::get(staged.buffer.getTileShape(),
                            staged.buffer.getElementType(), staged.layout);
  auto padded =
      LoadOp::create(rewriter, loc, tile, load.getSource(), load.getIndices());
  padded->setDiscardableAttrs(load->getDiscardableAttrDictionary());
  staged.copy = LocalStoreOp::create(rewriter, loc, padded, dest);
  return dest;
}

void BufferStager::leaveInGlobalMemory(LoadOp load) {
  rewriter.setInsertionPoint(load);
  RankedTensorType tile = load.getResult().getType();
  Value global = GlobalTileOp::create(
      rewriter, load.getLoc(),
      GlobalTileType::get(load.getContext(), tile.getShape(),
                          tile.getElementType()),
      load.getSource(), load.getIndices());
  for (OpOperand &use : llvm::make_early_inc_range(load->getUses()))
    use.set(global);
  rewriter.eraseOp(load);
}

/// Replaces the load by a copy into stage `index` of a buffer and what follows.
void BufferStager::stage(Staged &staged, Value index) {
  LoadOp load = staged.load;
  Location loc = load.getLoc();
  Value buffer = allocate(loc, staged.buffer);
  auto viewType = ViewType::get(load.getContext(), staged.buffer.getTileShape(),
                                staged.buffer.getElementType(), SwizzleAttr());
  rewriter.setInsertionPoint(load);
  Value dest = StageOp::create(rewriter, loc, viewType, buffer, index);
  Value view = getCopies() == flash::CopyKind::async
                   ? copyAsync(staged, dest)
                   : copyThroughRegisters(staged, dest);
  gpu::BarrierOp::create(rewriter, loc);

  staged.readers.assign(load->user_begin(), load->user_end());
  const bool inRegisters = !staged.loop && keepInRegisters();
  Value tile;
  for (OpOperand &use : llvm::make_early_inc_range(load->getUses())) {
    auto dot = cast<DotOp>(use.getOwner());
    const bool isA = &use == &dot.getAMutable();
    if (isA && inRegisters) {
      if (!tile)
        tile = LocalLoadOp::create(
            rewriter, loc,
            RankedTensorType::get(staged.buffer.getTileShape(),
                                  staged.buffer.getElementType()),
            view);
      use.set(tile);
    } else {
      use.set(view);
    }
  }
  rewriter.eraseOp(load);
  if (!staged.loop && staged.copy->getParentOfType<LoopLikeOpInterface>()) {
    // In a loop, but not directly: nothing is known of the last reads.
    rewriter.setInsertionPoint(staged.copy);
    gpu::BarrierOp::create(rewriter, loc);
  }
}

/// Registers -> shared -> registers -> global: from a layout in which a thread
/// holds two neighbours to one in which it holds 16 bytes of a row.
/// Accumulators of products on FMA units are laid out in such runs already.
void BufferStager::stageStore(StoreOp store) {
  RankedTensorType tile = store.getValue().getType();
  Location loc = store.getLoc();
  SmallVector<int64_t> shape{1};
  llvm::append_range(shape, tile.getShape());
  auto bufferType = BufferType::get(store.getContext(), shape,
                                    tile.getElementType(), SwizzleAttr());
  auto viewType = ViewType::get(store.getContext(), tile.getShape(),
                                tile.getElementType(), SwizzleAttr());
  // After the buffers of the loads: shared memory is laid out in this order.
  Value buffer = allocate(loc, bufferType);
  rewriter.setInsertionPoint(store);
  Value zero = createConstant(loc, 0);
  Value view = StageOp::create(rewriter, loc, viewType, buffer, zero);
  // Other warps may still read buffers that this one is put over. No copy can
  // arrive late: each is waited for in the iteration that reads it.
  gpu::BarrierOp::create(rewriter, loc);
  LocalStoreOp::create(rewriter, loc, store.getValue(), view);
  gpu::BarrierOp::create(rewriter, loc);
  Value rows = LocalLoadOp::create(rewriter, loc, tile, view);
  store.getValueMutable().assign(rows);
}

LogicalResult BufferStager::run() {
  if (func.isExternal())
    return success();
  if (failed(collect()))
    return failure();

  // Stores first: they are found by the dots that their values come from.
  SmallVector<StoreOp> stores;
  func->walk([&](StoreOp store) {
    RankedTensorType tile = store.getValue().getType();
    if (tile.getRank() != 2 || store->getParentOfType<LoopLikeOpInterface>())
      return;
    const int64_t rowBits =
        tile.getShape().back() * tile.getElementTypeBitWidth();
    if (rowBits % 128 == 0 && comesFromTensorCores(store.getValue()))
      stores.push_back(store);
  });

  for (LoadOp load : inPlace)
    leaveInGlobalMemory(load);
  llvm::MapVector<Operation *, SmallVector<Staged *>> byLoop;
  for (Staged &load : staged)
    byLoop[load.loop].push_back(&load);
  // Only cp.async runs ahead of the iteration that it serves. A loop may also
  // have nothing to copy: the maximum of scores that ignore Q K^T.
  func->walk([&](scf::ForOp loop) {
    if (getCopies() != flash::CopyKind::async || !byLoop.contains(loop))
      loop->removeDiscardableAttr("flash_tile.pipeline");
  });

  for (auto &[op, loads] : byLoop) {
    DenseMap<int64_t, Value> counters;
    if (op)
      counters = addCounters(cast<scf::ForOp>(op), loads);
    for (Staged *load : loads) {
      rewriter.setInsertionPoint(load->load);
      Value index = counters.lookup(load->stages);
      stage(*load, index ? index : createConstant(load->load.getLoc(), 0));
    }
    if (!op)
      continue;
    // Only now, when the barriers behind all waits of the loop are in place.
    for (Staged *load : loads)
      if (load->stages == 1)
        separateReadsFromCopy(*load);
    // `op` may have been replaced; the loop is where the copies are.
    Operation *loop = loads.front()->copy->getParentOp();
    if (loop->getParentOfType<LoopLikeOpInterface>()) {
      // The counters start again at zero while the last iterations of the
      // previous run may still read that stage.
      rewriter.setInsertionPoint(loop);
      gpu::BarrierOp::create(rewriter, loop->getLoc());
    }
  }
  for (StoreOp store : stores)
    stageStore(store);
  return success();
}

LogicalResult mlir::flash_tile::stageBuffers(FunctionOpInterface func,
                                             const StageBuffersConfig &config) {
  return BufferStager(func, config).run();
}

namespace {
struct StageBuffersPass
    : flash_tile::impl::FlashTileStageBuffersBase<StageBuffersPass> {
  using FlashTileStageBuffersBase::FlashTileStageBuffersBase;

  void runOnOperation() override {
    StageBuffersConfig config;
    for (auto [option, field] : {std::pair(&stages, &config.stages),
                                 {&stagesK, &config.stagesK},
                                 {&stagesV, &config.stagesV}}) {
      if (*option < 0) {
        getOperation()->emitError()
            << option->getArgStr() << ": expected at least 1, got "
            << option->getValue();
        return signalPassFailure();
      }
      if (*option > 0)
        *field = *option;
    }
    if (queryInRegisters)
      config.queryInRegisters = true;
    WalkResult result =
        getOperation()->walk([&](FunctionOpInterface func) -> WalkResult {
          return stageBuffers(func, config);
        });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
