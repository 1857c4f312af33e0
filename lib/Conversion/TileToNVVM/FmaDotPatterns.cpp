//===- FmaDotPatterns.cpp - flash_tile.dot to multiplications and adds ----===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product on FMA units: each thread computes the elements that the
// accumulator's layout gives it, from rows of A and rows or columns of B that
// it reads itself, in f32 (`fma.rn.f32`; 16-bit elements are converted first).
//
// The depth is a loop with the accumulators as its arguments: unrolled, a
// product of depth 128 would be thousands of instructions. One turn takes as
// many steps of the depth as one 16-byte read of A brings:
//
//   for k in steps of 8 (16-bit) or 4 (f32):
//     a[i] = A[row i, k ...]                    one read per row
//     B stored N x K:  b = B[col j, k ...]      one read per column
//                      acc[i, j] += a[i] . b
//     B stored K x N:  for each step e:  b = B[k + e, vector]
//                      acc[i, vector] += a[i][e] * b
//
// Where A is in registers nothing can be indexed by a loop: it is unrolled.
//
// Operands in global memory are read one element at a time. Whether all of them
// exist is asked once: the loop is there twice, with and without checks.
//
//===----------------------------------------------------------------------===//

#include "FmaOperands.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::flash_tile {
namespace {

/// The elements of an accumulator that one thread holds: some rows by some
/// columns.
struct AccumulatorGrid {
  llvm::SetVector<int64_t> rows, cols;
  DenseMap<std::pair<int64_t, int64_t>, unsigned> registers;

  explicit AccumulatorGrid(const Distribution &acc) {
    for (unsigned r = 0; r < acc.numRegisters(); ++r) {
      rows.insert(acc.offset(r)[0]);
      cols.insert(acc.offset(r)[1]);
      registers[{acc.offset(r)[0], acc.offset(r)[1]}] = r;
    }
  }
  bool isRegular(const Distribution &acc) const {
    return registers.size() == acc.numRegisters() &&
           rows.size() * cols.size() == acc.numRegisters();
  }
};

/// One product being lowered.
class FmaDot {
public:
  FmaDot(Location loc, const AccumulatorGrid &grid, FmaOperand &a,
         FmaOperand &b, bool transposeB, unsigned run)
      : loc(loc), grid(grid), a(a), b(b), transposeB(transposeB), run(run) {}

  /// The loop over the depth; under a branch where elements may not exist.
  SmallVector<Value> emit(OpBuilder &builder, int64_t depth, unsigned steps,
                          ValueRange accumulators) {
    a.prepare(builder, grid.rows.getArrayRef());
    if (transposeB)
      b.prepare(builder, grid.cols.getArrayRef());
    Value all = a.allExist(builder);
    if (Value own = b.allExist(builder))
      all = all ? arith::AndIOp::create(builder, loc, all, own) : own;
    auto setChecks = [&](bool checks) {
      a.setChecks(checks, checks);
      b.setChecks(checks, checks);
    };
    setChecks(false);
    if (!all)
      return emitLoop(builder, depth, steps, accumulators);
    auto branch = scf::IfOp::create(builder, loc, TypeRange(accumulators), all,
                                    /*withElse=*/true);
    for (bool checks : {false, true}) {
      setChecks(checks);
      OpBuilder inner = checks
                            ? branch.getElseBodyBuilder(builder.getListener())
                            : branch.getThenBodyBuilder(builder.getListener());
      SmallVector<Value> values = emitLoop(inner, depth, steps, accumulators);
      scf::YieldOp::create(inner, loc, values);
    }
    return branch.getResults();
  }

  SmallVector<Value> emitLoop(OpBuilder &builder, int64_t depth, unsigned steps,
                              ValueRange accumulators) {
    auto c = [&](int64_t v) { return i32Constant(builder, loc, v); };
    auto loop = scf::ForOp::create(builder, loc, c(0), c(depth), c(steps),
                                   accumulators);
    OpBuilder inner = OpBuilder::atBlockBegin(loop.getBody());
    inner.setListener(builder.getListener());
    Value k = loop.getInductionVar();
    a.moveTo(inner, {}, k);
    transposeB ? b.moveTo(inner, {}, k) : b.moveTo(inner, k, {});
    SmallVector<Value> values(loop.getRegionIterArgs());
    emitSteps(inner, 0, steps, values);
    scf::YieldOp::create(inner, loc, values);
    return loop.getResults();
  }

  /// All of the depth, A in registers.
  SmallVector<Value> emitUnrolled(OpBuilder &builder, int64_t depth,
                                  ValueRange accumulators) {
    b.moveTo(builder, {}, {});
    // A whole row at a time is checked below.
    b.setChecks(/*rows=*/transposeB, /*cols=*/true);
    SmallVector<Value> values(accumulators);
    for (int64_t k = 0; k < depth; ++k) {
      Value exists = transposeB ? Value() : b.rowExists(builder, k);
      if (!exists) {
        emitSteps(builder, k, 1, values);
        continue;
      }
      // A row of B that does not exist counts as zeros: nothing to add.
      auto branch = scf::IfOp::create(builder, loc, TypeRange(values), exists,
                                      /*withElse=*/true);
      OpBuilder other = branch.getElseBodyBuilder(builder.getListener());
      scf::YieldOp::create(other, loc, values);
      OpBuilder then = branch.getThenBodyBuilder(builder.getListener());
      emitSteps(then, k, 1, values);
      scf::YieldOp::create(then, loc, values);
      values.assign(branch.result_begin(), branch.result_end());
    }
    return values;
  }

private:
  /// `steps` of the depth from `k` on.
  void emitSteps(OpBuilder &builder, int64_t k, unsigned steps,
                 SmallVector<Value> &values) {
    auto add = [&](int64_t row, int64_t col, Value x, Value y) {
      Value &sum = values[grid.registers.lookup({row, col})];
      sum = math::FmaOp::create(builder, loc, x, y, sum);
    };
    SmallVector<SmallVector<Value>> rows;
    for (int64_t row : grid.rows)
      rows.push_back(a.read(builder, row, k, steps));
    if (transposeB) {
      for (int64_t col : grid.cols) {
        SmallVector<Value> part = b.read(builder, col, k, steps);
        for (auto [row, own] : llvm::zip(grid.rows, rows))
          for (unsigned e = 0; e < steps; ++e)
            add(row, col, own[e], part[e]);
      }
      return;
    }
    for (unsigned e = 0; e < steps; ++e)
      for (unsigned n = 0; n < grid.cols.size(); n += run) {
        int64_t first = grid.cols[n];
        SmallVector<Value> part = b.read(builder, k + e, first, run);
        for (auto [row, own] : llvm::zip(grid.rows, rows))
          for (unsigned i = 0; i < run; ++i)
            add(row, first + i, own[e], part[i]);
      }
  }

  Location loc;
  const AccumulatorGrid &grid;
  FmaOperand &a, &b;
  bool transposeB;
  unsigned run;
};

struct FmaDotPattern : OpConversionPattern<DotOp> {
  FmaDotPattern(const TypeConverter &converter, MLIRContext *context,
                const KernelContext &kernels)
      : OpConversionPattern(converter, context, PatternBenefit(2)),
        kernels(kernels) {}

  LogicalResult
  matchAndRewrite(DotOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op.getUnit() != DotUnit::fma)
      return failure();
    Location loc = op.getLoc();
    auto accType = cast<RankedTensorType>(op.getType());
    LayoutAttr layout = getLayout(accType);
    if (!layout)
      return failure();
    if (!accType.getElementType().isF32())
      return op.emitOpError("accumulator element type: expected f32 (products "
                            "on FMA units), got ")
             << accType.getElementType();
    if (op.getTransposeA())
      return op.emitOpError("operand a: expected M x K, got it transposed");
    Distribution acc(layout);
    if (failed(acc.verifyAddsOffsets(op)))
      return failure();
    AccumulatorGrid grid(acc);
    if (!grid.isRegular(acc) || acc.maxCoordinate(0) >= accType.getDimSize(0) ||
        acc.maxCoordinate(1) >= accType.getDimSize(1))
      return op.emitOpError("accumulator layout: expected some rows by some "
                            "columns of the tile in each thread, got ")
             << layout;
    const ThreadIds &ids = kernels.threadIds(op);
    Value row = acc.threadOffset(rewriter, loc, ids, 0);
    Value col = acc.threadOffset(rewriter, loc, ids, 1);
    const bool transposeB = op.getTransposeB();
    std::unique_ptr<FmaOperand> a = getOperand(rewriter, op, "a", op.getA(),
                                               adaptor.getA(), row, {}, layout);
    std::unique_ptr<FmaOperand> b =
        getOperand(rewriter, op, "b", op.getB(), adaptor.getB(),
                   transposeB ? col : Value(), transposeB ? Value() : col, {});
    if (!a || !b)
      return failure();

    const int64_t depth = getDepth(op);
    unsigned run = std::min(acc.contiguity(), b->maxRun());
    FmaDot dot(loc, grid, *a, *b, transposeB, run);
    SmallVector<Value> values;
    if (isa<RankedTensorType>(op.getA().getType())) {
      values = dot.emitUnrolled(rewriter, depth, adaptor.getAccumulator());
    } else {
      unsigned steps =
          transposeB ? std::min(a->maxRun(), b->maxRun()) : a->maxRun();
      while (depth % steps)
        steps /= 2;
      values = dot.emit(rewriter, depth, steps, adaptor.getAccumulator());
    }
    rewriter.replaceOpWithMultiple(op, {values});
    return success();
  }

private:
  static int64_t getDepth(DotOp op) {
    if (auto view = dyn_cast<ViewType>(op.getA().getType()))
      return view.getShape()[1];
    if (auto tile = dyn_cast<GlobalTileType>(op.getA().getType()))
      return tile.getShape()[1];
    return cast<RankedTensorType>(op.getA().getType()).getDimSize(1);
  }

  /// Null, behind a diagnostic, where an operand cannot be read.
  static std::unique_ptr<FmaOperand> getOperand(OpBuilder &b, DotOp op,
                                                StringRef role, Value operand,
                                                ValueRange converted, Value row,
                                                Value col, LayoutAttr acc) {
    Location loc = op.getLoc();
    Type element = getElementTypeOrSelf(operand.getType());
    if (auto view = dyn_cast<ViewType>(operand.getType()))
      element = view.getElementType();
    if (auto tile = dyn_cast<GlobalTileType>(operand.getType()))
      element = tile.getElementType();
    if (!element.isF32() && !isa<Float16Type, BFloat16Type>(element)) {
      op.emitOpError() << "operand " << role
                       << " element type: expected f16, bf16 or f32 (products "
                          "on FMA units), got "
                       << element;
      return nullptr;
    }
    if (auto view = dyn_cast<ViewType>(operand.getType())) {
      if (!view.getTransposed())
        return std::make_unique<SharedFmaOperand>(b, loc, view,
                                                  converted.front(), row, col);
    } else if (auto tile = dyn_cast<GlobalTileType>(operand.getType())) {
      return std::make_unique<GlobalFmaOperand>(b, loc, tile, converted, row,
                                                col);
    } else if (auto tile = dyn_cast<RankedTensorType>(operand.getType())) {
      if (acc && RegisterFmaOperand::fits(tile, acc))
        return std::make_unique<RegisterFmaOperand>(loc, tile, converted);
    }
    op.emitOpError()
        << "operand " << role
        << ": expected a shared-memory view, a tile in global memory"
        << (acc ? " or a register tile of which each thread holds "
                  "its whole rows"
                : "")
        << ", got " << operand.getType();
    return nullptr;
  }

  const KernelContext &kernels;
};

} // namespace

void populateFmaDotPatterns(const TileTypeConverter &converter,
                            const KernelContext &kernels,
                            RewritePatternSet &patterns) {
  patterns.add<FmaDotPattern>(converter, patterns.getContext(), kernels);
}

} // namespace mlir::flash_tile
