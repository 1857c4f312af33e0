//===- PlanShared.cpp - Swizzles and offsets of shared buffers --*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Dialect/FlashTile/Transforms/PlanShared.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "flash/Dialect/FlashTile/Transforms/Passes.h"
#include "flash/Target/ChipInfo.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/bit.h"

namespace mlir::flash_tile {
#define GEN_PASS_DEF_FLASHTILEPLANSHARED
#include "flash/Dialect/FlashTile/Transforms/Passes.h.inc"
} // namespace mlir::flash_tile

using namespace mlir;
using namespace mlir::flash_tile;

SwizzleParams mlir::flash_tile::getConflictFreeSwizzle(int64_t rowBytes) {
  const int64_t k = llvm::countr_zero(static_cast<uint64_t>(rowBytes / 16));
  const int64_t bits = std::min<int64_t>(k, 3);
  return {bits, 3 - bits};
}

/// The swizzle of a buffer or view; null where none applies or one is there.
static SwizzleAttr chooseSwizzle(MLIRContext *context, ArrayRef<int64_t> shape,
                                 Type elementType) {
  const int64_t rowBytes =
      shape.back() * elementType.getIntOrFloatBitWidth() / 8;
  if (rowBytes % 16 != 0)
    return {};
  SwizzleParams params = getConflictFreeSwizzle(rowBytes);
  return SwizzleAttr::get(context, params.bits, params.shift);
}

/// Gives every buffer and view type without a swizzle its own. It depends on
/// the row alone, so that a buffer, its stages and their futures agree.
static void assignSwizzles(FunctionOpInterface func) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([](BufferType type) -> std::optional<Type> {
    if (type.getSwizzle() || type.getTileShape().size() != 2)
      return std::nullopt;
    return BufferType::get(type.getContext(), type.getShape(),
                           type.getElementType(),
                           chooseSwizzle(type.getContext(), type.getShape(),
                                         type.getElementType()));
  });
  replacer.addReplacement([](ViewType type) -> std::optional<Type> {
    if (type.getSwizzle() || type.getShape().size() != 2)
      return std::nullopt;
    return ViewType::get(type.getContext(), type.getShape(),
                         type.getElementType(),
                         chooseSwizzle(type.getContext(), type.getShape(),
                                       type.getElementType()));
  });
  replacer.recursivelyReplaceElementsIn(func, /*replaceAttrs=*/true,
                                        /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
}

namespace {

/// A buffer with the ops of the common block between which it holds data.
struct Buffer {
  AllocOp alloc;
  int64_t bytes = 0;
  int64_t alignment = 0;
  SmallVector<Operation *> users;
  Operation *first = nullptr;
  Operation *last = nullptr;
  int64_t offset = -1;
};

class SharedPlanner {
public:
  explicit SharedPlanner(FunctionOpInterface func) : func(func) {}

  /// Sets the offsets and returns the total in bytes.
  int64_t run();

private:
  void collectUsers(Buffer &buffer);
  void computeLiveRanges();
  bool mayOverlap(const Buffer &a, const Buffer &b) const;
  void place(Buffer &buffer);

  FunctionOpInterface func;
  std::vector<Buffer> buffers;
  SmallVector<const Buffer *> placed;
};

} // namespace

/// 128 bytes are one row of all banks, which the swizzle counts in; a swizzle
/// that is one of TMA's takes its bits from the address and repeats every eight
/// rows, so that a buffer must begin where it does.
static int64_t getAlignment(BufferType type) {
  const int64_t rowBytes = type.getStageBytes() / type.getTileShape().front();
  const bool tma = type.getSwizzle() && type.getSwizzle().getBits() > 0 &&
                   rowBytes <= 128 && llvm::isPowerOf2_64(rowBytes);
  return tma ? std::max<int64_t>(128, 8 * rowBytes) : 128;
}

/// All ops that touch the buffer: through stages, futures and waits, and where
/// loops and branches carry those.
void SharedPlanner::collectUsers(Buffer &buffer) {
  SmallVector<Value> worklist{buffer.alloc.getBuffer()};
  llvm::SmallDenseSet<Value> seen;
  SmallVector<CopyAsyncOp> copies;
  bool waited = false;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      // A stage is an address: it touches nothing.
      if (!isa<StageOp>(user))
        buffer.users.push_back(user);
      waited |= isa<WaitOp>(user);
      if (auto copy = dyn_cast<CopyAsyncOp>(user))
        copies.push_back(copy);
      if (auto loop = dyn_cast<scf::ForOp>(user)) {
        worklist.push_back(loop.getTiedLoopRegionIterArg(&use));
        worklist.push_back(loop.getTiedLoopResult(&use));
        continue;
      }
      if (isa<scf::YieldOp>(user)) {
        Operation *parent = user->getParentOp();
        worklist.push_back(parent->getResult(use.getOperandNumber()));
        if (auto loop = dyn_cast<scf::ForOp>(parent))
          worklist.push_back(loop.getRegionIterArg(use.getOperandNumber()));
        continue;
      }
      for (Value result : user->getResults())
        if (isa<ViewType, FutureType>(result.getType()))
          worklist.push_back(result);
    }
  }
  // A copy that nobody waits for may land at any time.
  if (!copies.empty() && !waited)
    buffer.users.push_back(func.getFunctionBody().back().getTerminator());
}

/// The block that holds all uses, directly or below its ops, and is in no loop:
/// there, and only there, earlier and later mean what they say.
static Block *getCommonBlock(FunctionOpInterface func,
                             ArrayRef<Buffer> buffers) {
  Block *entry = &func.getFunctionBody().front();
  Block *block = nullptr;
  for (const Buffer &buffer : buffers)
    for (Operation *user : buffer.users) {
      if (!block)
        block = user->getBlock();
      while (block != entry && !block->findAncestorOpInBlock(*user))
        block = block->getParentOp()->getBlock();
    }
  for (Block *outer = block; outer && outer != entry;
       outer = outer->getParentOp()->getBlock())
    if (isa<LoopLikeOpInterface>(outer->getParentOp()))
      block = outer->getParentOp()->getBlock();
  return block ? block : entry;
}

void SharedPlanner::computeLiveRanges() {
  Block *block = getCommonBlock(func, buffers);
  for (Buffer &buffer : buffers)
    for (Operation *user : buffer.users) {
      Operation *op = block->findAncestorOpInBlock(*user);
      // A function of several blocks, or a use outside this one.
      if (!op) {
        buffer.first = &block->front();
        buffer.last = &block->back();
        break;
      }
      if (!buffer.first || op->isBeforeInBlock(buffer.first))
        buffer.first = op;
      if (!buffer.last || buffer.last->isBeforeInBlock(op))
        buffer.last = op;
    }
}

/// Whether the two may share memory: one is dead before the other is touched,
/// and a barrier in between keeps a fast warp from overwriting what a slow one
/// still reads.
bool SharedPlanner::mayOverlap(const Buffer &a, const Buffer &b) const {
  if (!a.first || !b.first)
    return true;
  const Buffer *before = &a, *after = &b;
  if (b.last->isBeforeInBlock(a.first))
    std::swap(before, after);
  else if (!a.last->isBeforeInBlock(b.first))
    return false;
  for (Operation *op = before->last->getNextNode(); op != after->first;
       op = op->getNextNode())
    if (isa<gpu::BarrierOp>(op))
      return true;
  return false;
}

/// The lowest aligned offset clear of every placed buffer that is in the way.
void SharedPlanner::place(Buffer &buffer) {
  int64_t offset = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (const Buffer *other : placed)
      if (offset < other->offset + other->bytes &&
          other->offset < offset + buffer.bytes &&
          !mayOverlap(buffer, *other)) {
        offset = llvm::alignTo(other->offset + other->bytes, buffer.alignment);
        moved = true;
      }
  }
  buffer.offset = offset;
}

int64_t SharedPlanner::run() {
  func->walk([&](AllocOp alloc) {
    Buffer buffer;
    buffer.alloc = alloc;
    buffer.bytes = alloc.getBuffer().getType().getBytes();
    buffer.alignment = getAlignment(alloc.getBuffer().getType());
    collectUsers(buffer);
    buffers.push_back(std::move(buffer));
  });
  computeLiveRanges();

  // Offsets that are there already stay; then the largest first, which leaves
  // the others the gaps.
  SmallVector<Buffer *> order;
  for (Buffer &buffer : buffers) {
    if (std::optional<uint64_t> offset = buffer.alloc.getOffset()) {
      buffer.offset = *offset;
      placed.push_back(&buffer);
    } else {
      order.push_back(&buffer);
    }
  }
  llvm::sort(order, [](Buffer *a, Buffer *b) {
    return a->bytes != b->bytes ? a->bytes > b->bytes : a < b;
  });
  for (Buffer *buffer : order) {
    place(*buffer);
    placed.push_back(buffer);
    buffer->alloc.setOffset(buffer->offset);
  }
  int64_t total = 0;
  for (const Buffer *buffer : placed)
    total = std::max(total, buffer->offset + buffer->bytes);
  return total;
}

LogicalResult mlir::flash_tile::planShared(FunctionOpInterface func,
                                           std::optional<int64_t> limit) {
  if (func.isExternal())
    return success();
  std::string where;
  auto schedule =
      func->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule");
  if (schedule && !limit) {
    const ::flash::ChipInfo *chip = ::flash::findChip(schedule.getChip());
    if (!chip)
      return func->emitError() << "shared memory: expected a known chip, got "
                               << schedule.getChip();
    limit = chip->sharedPerCTA;
    where = (" on " + schedule.getChip()).str();
  }
  if (!schedule || schedule.getSwizzle())
    assignSwizzles(func);
  if (schedule && !schedule.getLdmatrix())
    func->walk([](LocalLoadOp load) {
      load->setDiscardableAttr(kPlainLoadsAttrName,
                               UnitAttr::get(load.getContext()));
    });
  const int64_t total = SharedPlanner(func).run();
  if (limit && total > *limit)
    return func->emitError() << "shared memory: expected at most " << *limit
                             << " bytes" << where << ", got " << total;
  func->setAttr("flash_tile.shared_bytes",
                Builder(func->getContext()).getI64IntegerAttr(total));
  return success();
}

namespace {
struct PlanSharedPass
    : flash_tile::impl::FlashTilePlanSharedBase<PlanSharedPass> {
  using FlashTilePlanSharedBase::FlashTilePlanSharedBase;

  void runOnOperation() override {
    std::optional<int64_t> bytes;
    if (limit >= 0)
      bytes = limit;
    WalkResult result =
        getOperation()->walk([&](FunctionOpInterface func) -> WalkResult {
          return planShared(func, bytes);
        });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
