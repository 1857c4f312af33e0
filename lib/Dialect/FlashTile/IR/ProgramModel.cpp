//===- ProgramModel.cpp - What the program checks look at -----------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProgramModel.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;
using namespace mlir::flash_tile;
using namespace mlir::flash_tile::detail;

//===----------------------------------------------------------------------===//
// Roles and loops
//===----------------------------------------------------------------------===//

Region *flash_tile::detail::getRole(Operation *op) {
  for (Region *region = op->getParentRegion(); region;
       region = region->getParentRegion())
    if (isa_and_nonnull<WarpGroupsOp>(region->getParentOp()))
      return region;
  return nullptr;
}

std::string flash_tile::detail::getRoleName(Region *role) {
  if (!role)
    return "of the whole CTA";
  auto groups = cast<WarpGroupsOp>(role->getParentOp());
  return groups.getRoleName(role->getRegionNumber()).str();
}

std::optional<int64_t> flash_tile::detail::getRoleThreads(Region *role,
                                                          Operation *op) {
  if (role) {
    auto groups = cast<WarpGroupsOp>(role->getParentOp());
    return 32 * groups.getWarps()[role->getRegionNumber()];
  }
  auto function = op->getParentOfType<gpu::GPUFuncOp>();
  std::optional<ArrayRef<int32_t>> block;
  if (function)
    block = function.getKnownBlockSize();
  if (!block)
    return std::nullopt;
  int64_t threads = 1;
  for (int32_t extent : *block)
    threads *= extent;
  return threads;
}

Operation *flash_tile::detail::getInnermostLoop(Operation *op) {
  for (Operation *parent = op->getParentOp(); parent;
       parent = parent->getParentOp()) {
    if (isa<WarpGroupsOp, FunctionOpInterface>(parent))
      return nullptr;
    if (isa<LoopLikeOpInterface>(parent))
      return parent;
  }
  return nullptr;
}

Operation *flash_tile::detail::getPhaseLoop(Operation *op) {
  Operation *loop = getInnermostLoop(op);
  auto hasBarrier = [](Operation *candidate) {
    return candidate
        ->walk([](Operation *nested) {
          return isa<BarrierWaitOp, BarrierArriveOp, BarrierExpectOp, CommitOp>(
                     nested)
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  };
  while (loop && !hasBarrier(loop))
    loop = getInnermostLoop(loop);
  return loop;
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

namespace {
/// Follows a value to the allocations behind it.
struct Resolver {
  SmallVector<Place> places;
  DenseSet<Value> seen;

  /// `isCarried`: some loop or branch lies between, so an index is that of
  /// another iteration.
  void visit(Value value, bool isCarried, int64_t column, int64_t columns) {
    if (!seen.insert(value).second)
      return;
    Operation *op = value.getDefiningOp();
    if (!op)
      return visitArgument(cast<BlockArgument>(value));
    if (auto stage = dyn_cast<StageOp>(op)) {
      places.push_back(
          {stage.getBuffer(), isCarried ? Value() : stage.getIndex()});
    } else if (isa<ViewSliceOp, TransposeOp>(op)) {
      visit(op->getOperand(0), isCarried, column, columns);
    } else if (auto wait = dyn_cast<WaitOp>(op)) {
      const unsigned i = cast<OpResult>(value).getResultNumber();
      visit(wait.getFutures()[i], isCarried, column, columns);
    } else if (auto copy = dyn_cast<CopyAsyncOp>(op)) {
      visit(copy.getDest(), isCarried, column, columns);
    } else if (isa<StoreTmaOp, ReduceAddTmaOp>(op)) {
      visit(op->getOperand(0), isCarried, column, columns);
    } else if (auto view = dyn_cast<TmemViewOp>(op)) {
      // A column that is not known may be any of the source's.
      if (std::optional<int64_t> first = getConstant(view.getColumn()))
        visit(view.getSource(), isCarried, column + *first, columns);
      else
        visit(view.getSource(), isCarried, 0,
              view.getSource().getType().getColumns());
    } else if (isa<TmemAllocOp>(op)) {
      places.push_back({value, Value(), column, columns});
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      const unsigned i = cast<OpResult>(value).getResultNumber();
      visit(loop.getInitArgs()[i], /*isCarried=*/true, column, columns);
      visit(loop.getYieldedValues()[i], /*isCarried=*/true, column, columns);
    } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
      const unsigned i = cast<OpResult>(value).getResultNumber();
      for (Region *region : branch.getRegions())
        if (!region->empty())
          visit(region->front().getTerminator()->getOperand(i),
                /*isCarried=*/true, column, columns);
    }
  }

  void visitArgument(BlockArgument argument) {
    auto loop =
        dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    if (!loop || argument == loop.getInductionVar())
      return;
    visit(loop.getTiedLoopInit(argument)->get(), /*isCarried=*/true, 0, 0);
    visit(loop.getTiedLoopYieldedValue(argument)->get(), /*isCarried=*/true, 0,
          0);
  }
};
} // namespace

SmallVector<Place> flash_tile::detail::resolve(Value value) {
  Resolver resolver;
  int64_t columns = 0;
  if (auto tmem = dyn_cast<TmemType>(value.getType()))
    columns = tmem.getColumns();
  resolver.visit(value, /*isCarried=*/false, /*column=*/0, columns);
  return resolver.places;
}

std::optional<int64_t> flash_tile::detail::getConstant(Value index) {
  IntegerAttr attr;
  if (index && matchPattern(index, m_Constant(&attr)))
    return attr.getInt();
  return std::nullopt;
}

bool flash_tile::detail::isSameStage(Value a, Value b) {
  if (a == b)
    return true;
  std::optional<int64_t> x = getConstant(a), y = getConstant(b);
  return x && y && *x == *y;
}

bool flash_tile::detail::isOtherStage(Value a, Value b) {
  std::optional<int64_t> x = getConstant(a), y = getConstant(b);
  return x && y && *x != *y;
}

bool flash_tile::detail::mayOverlap(const Place &a, const Place &b) {
  if (a.root != b.root)
    return false;
  if (isa<TmemType>(a.root.getType()))
    return a.firstColumn < b.firstColumn + b.columns &&
           b.firstColumn < a.firstColumn + a.columns;
  return !isOtherStage(a.stage, b.stage);
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

bool flash_tile::detail::comesAfter(Operation *later, Operation *earlier) {
  Operation *ancestor = later->getBlock()->findAncestorOpInBlock(*earlier);
  return ancestor && ancestor != later && ancestor->isBeforeInBlock(later);
}

const Barrier *ProgramModel::getBarrier(Value barrier) const {
  for (const Barrier &candidate : barriers)
    if (candidate.init.getBarrier() == barrier)
      return &candidate;
  return nullptr;
}

/// Calls `visit(value, isWrite)` for every place that `op` touches.
static void forEachAccess(Operation *op,
                          function_ref<void(Value, bool)> visit) {
  auto visitIfMemory = [&](Value value, bool isWrite) {
    if (isa<ViewType, TmemType>(value.getType()))
      visit(value, isWrite);
  };
  if (isa<DotOp, DotAsyncOp>(op)) {
    visitIfMemory(op->getOperand(0), false);
    visitIfMemory(op->getOperand(1), false);
  } else if (auto dot = dyn_cast<TmemDotOp>(op)) {
    visitIfMemory(dot.getA(), false);
    visitIfMemory(dot.getB(), false);
    visit(dot.getAccumulator(), true);
  } else if (isa<LocalLoadOp, StoreTmaOp, ReduceAddTmaOp, TmemLoadOp>(op)) {
    visit(op->getOperand(0), false);
  } else if (auto store = dyn_cast<LocalStoreOp>(op)) {
    visit(store.getDest(), true);
  } else if (auto reduce = dyn_cast<ReduceOp>(op)) {
    if (reduce.getScratch())
      visit(reduce.getScratch(), true);
  } else if (auto store = dyn_cast<TmemStoreOp>(op)) {
    visit(store.getDest(), true);
  } else if (auto copy = dyn_cast<CopyTmaOp>(op)) {
    visit(copy.getDest(), true);
  } else if (auto copy = dyn_cast<CopyAsyncOp>(op)) {
    visit(copy.getDest(), true);
  }
}

/// Arrivals that one execution of `op` makes.
static std::optional<int64_t> countArrivals(BarrierArriveOp op) {
  if (op.getScope() == ArrivalScope::role)
    return 1;
  std::optional<int64_t> threads = getRoleThreads(getRole(op), op);
  if (threads && op.getScope() == ArrivalScope::warp)
    return *threads / 32;
  return threads;
}

ProgramModel::ProgramModel(Operation *root) : root(root), dominance(root) {
  DenseMap<Value, unsigned> numbers;
  auto find = [&](Value barrier) -> Barrier * {
    auto it = numbers.find(barrier);
    return it == numbers.end() ? nullptr : &barriers[it->second];
  };
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto init = dyn_cast<BarrierInitOp>(op)) {
      numbers[init.getBarrier()] = barriers.size();
      barriers.push_back({init, {}, {}, {}});
    } else if (auto arrive = dyn_cast<BarrierArriveOp>(op)) {
      if (Barrier *barrier = find(arrive.getBarrier()))
        barrier->signals.push_back(
            {op, arrive.getStage(), getRole(op), countArrivals(arrive)});
    } else if (auto expect = dyn_cast<BarrierExpectOp>(op)) {
      if (Barrier *barrier = find(expect.getBarrier()))
        barrier->signals.push_back({op, expect.getStage(), getRole(op), 1});
    } else if (auto commit = dyn_cast<CommitOp>(op)) {
      if (Barrier *barrier = find(commit.getBarrier()))
        barrier->signals.push_back({op, commit.getStage(), getRole(op), 1});
    } else if (auto wait = dyn_cast<BarrierWaitOp>(op)) {
      if (Barrier *barrier = find(wait.getBarrier()))
        barrier->waits.push_back(wait);
    } else if (auto copy = dyn_cast<CopyTmaOp>(op)) {
      if (Barrier *barrier = find(copy.getBarrier()))
        barrier->copies.push_back(copy);
    }
    forEachAccess(op, [&](Value value, bool isWrite) {
      for (const Place &place : resolve(value))
        accesses.push_back({op, place, getRole(op), isWrite});
    });
  });
}
