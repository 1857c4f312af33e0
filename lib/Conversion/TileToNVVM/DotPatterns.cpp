//===- DotPatterns.cpp - flash_tile.dot to mma.sync and ldmatrix ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The product of a warp as a grid of atoms, 16 rows by 8 columns each, over
// steps of 32 bytes of depth. Operands that live in shared memory are read
// right where they are used, so that only one step of fragments is live;
// operands in registers are used as they are. MmaOperands.h says how fragments
// are read, MmaInstruction.h what multiplies them.
//
//===----------------------------------------------------------------------===//

#include "MmaOperands.h"

namespace mlir::flash_tile {
namespace {

struct DotPattern : OpConversionPattern<DotOp> {
  DotPattern(const TypeConverter &converter, MLIRContext *context,
             const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(DotOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (op.getUnit() == DotUnit::fma) // FmaDotPatterns.cpp
      return failure();
    Location loc = op.getLoc();
    LayoutAttr layout = getLayout(op.getType());
    if (!layout)
      return failure();
    auto bView = dyn_cast<ViewType>(op.getB().getType());
    if (!bView)
      return op.emitOpError("operand b: expected a shared-memory view, got ")
             << op.getB().getType();
    std::optional<MmaInstruction> mma =
        MmaInstruction::get(bView.getElementType());
    if (!mma)
      return op.emitOpError("operand b: expected f16, bf16, f32 (as tf32), "
                            "f8E4M3FN, f8E5M2 or i8, got ")
             << bView.getElementType();
    Distribution acc(layout);
    std::optional<ColumnOrder> columns = ColumnOrder::get(acc);
    auto accType = cast<RankedTensorType>(op.getType());
    if (!columns || accType.getElementType() != mma->accumulatorType())
      return op.emitOpError("accumulator: expected ")
             << mma->accumulatorType() << " in the m16n8 fragment layout, got "
             << accType;
    if (op.getTransposeA())
      return op.emitOpError("operand a: expected M x K, got it transposed");
    for (Type type : {op.getA().getType(), op.getB().getType()})
      if (auto view = dyn_cast<ViewType>(type); view && !repeatsPerMatrix(view))
        return op.emitOpError("swizzle: expected bits + shift of at most 3 (a "
                              "pattern of eight rows), got ")
               << view;
    ContractionOrder order(
        *mma, op.getContractionOrder().value_or(ArrayRef<int64_t>()));
    int64_t depth = bView.getShape()[op.getTransposeB() ? 1 : 0];
    if (depth % mma->depth())
      return op.emitOpError("contraction: expected a multiple of ")
             << mma->depth() << ", got " << depth;

    // The warp's own atoms, by the offset of their first element.
    SmallVector<int64_t> rows, cols;
    for (unsigned r = 0; r < acc.numRegisters(); ++r) {
      ArrayRef<int64_t> at = acc.offset(r);
      if (at[1] == 0 && at[0] % 16 == 0)
        rows.push_back(at[0]);
      if (at[0] == 0 && !(at[1] & columns->vectors[0]))
        cols.push_back(at[1]);
    }
    llvm::sort(cols);
    const ThreadIds &ids = kernels.threadIds(op);
    ViewOperand bOperand{bView, adaptor.getB().front(), *mma, ids,
                         acc.warpOffset(rewriter, loc, ids, 1)};
    std::unique_ptr<BFragments> b =
        readB(op, rewriter, bOperand, order, *columns, cols);
    if (!b)
      return failure();
    std::unique_ptr<AFragments> a =
        readA(op, adaptor, rewriter, *mma, order,
              acc.warpOffset(rewriter, loc, ids, 0), ids);
    if (!a)
      return failure();

    SmallVector<Value> values = llvm::to_vector(adaptor.getAccumulator());
    DenseMap<std::pair<int64_t, int64_t>, SmallVector<unsigned>> atoms;
    for (int64_t row : rows)
      for (int64_t col : cols)
        for (int64_t dr : {0, 8})
          for (int64_t dc : {int64_t(0), columns->vectors[0]})
            atoms[{row, col}].push_back(*acc.registerAt({row + dr, col + dc}));

    for (int64_t k = 0; k < depth; k += mma->depth()) {
      SmallVector<SmallVector<Value>> aFragments;
      for (int64_t row : rows) {
        aFragments.push_back(a->read(rewriter, row, k));
        for (Value &value : aFragments.back())
          value = mma->prepare(rewriter, loc, value);
      }
      for (unsigned n = 0; n < cols.size(); n += b->atomsPerRead()) {
        // A last odd column of atoms takes half of a fragment pair.
        ArrayRef<int64_t> read =
            ArrayRef(cols).drop_front(n).take_front(b->atomsPerRead());
        SmallVector<Value> bFragments = b->read(rewriter, k, read);
        for (Value &value : bFragments)
          value = mma->prepare(rewriter, loc, value);
        for (auto [i, col] : llvm::enumerate(read))
          for (auto [row, fragment] : llvm::zip(rows, aFragments)) {
            SmallVector<Value> atom;
            for (unsigned r : atoms[{row, col}])
              atom.push_back(values[r]);
            SmallVector<Value> next =
                mma->multiply(rewriter, loc, fragment,
                              ArrayRef(bFragments).slice(2 * i, 2), atom);
            for (auto [r, value] : llvm::zip(atoms[{row, col}], next))
              values[r] = value;
          }
      }
    }
    rewriter.replaceOpWithMultiple(op, {values});
    return success();
  }

private:
  /// The fragments of A, or null after a diagnostic.
  static std::unique_ptr<AFragments>
  readA(DotOp op, OneToNOpAdaptor adaptor, OpBuilder &b,
        const MmaInstruction &mma, const ContractionOrder &order, Value warpRow,
        const ThreadIds &ids) {
    if (auto view = dyn_cast<ViewType>(op.getA().getType())) {
      if (!order.isIdentity()) {
        op.emitOpError("contraction_order: expected operand a in registers, "
                       "got ")
            << view;
        return nullptr;
      }
      ViewOperand operand{view, adaptor.getA().front(), mma, ids, warpRow};
      return op.getPlainLoads() ? plainA(b, op.getLoc(), operand)
                                : matricesOfA(b, op.getLoc(), operand);
    }
    LayoutAttr layout = getLayout(op.getA().getType());
    std::unique_ptr<AFragments> fragments =
        layout ? registersOfA(op.getLoc(), layout, adaptor.getA(), mma, order)
               : nullptr;
    if (!fragments)
      op.emitOpError("operand a: expected the m16k")
          << mma.depth() << " fragment layout, got " << op.getA().getType();
    return fragments;
  }

  /// How far warps are apart along the columns.
  static SmallVector<int64_t> warpSteps(LayoutAttr layout) {
    SmallVector<int64_t> steps;
    ArrayRef<int64_t> bases = layout.getWarpBases();
    for (size_t i = 1; i < bases.size(); i += 2)
      steps.push_back(bases[i]);
    ArrayRef<int64_t> repeats = layout.getWarpRepeats();
    for (size_t i = 2; i < repeats.size(); i += 3)
      steps.push_back(repeats[i]);
    return steps;
  }

  /// Atoms of even columns and those of the odd ones between them, in turns.
  static bool arePairs(ArrayRef<int64_t> atoms) {
    for (size_t i = 0; i < atoms.size(); i += 2)
      if (i + 1 == atoms.size() || atoms[i] % 16 != 0 ||
          atoms[i + 1] != atoms[i] + 1)
        return false;
    return true;
  }

  /// The fragments of B, or null after a diagnostic. `atoms` are the first
  /// columns of the warp's instructions.
  static std::unique_ptr<BFragments> readB(DotOp op, OpBuilder &b,
                                           const ViewOperand &operand,
                                           const ContractionOrder &order,
                                           const ColumnOrder &columns,
                                           ArrayRef<int64_t> atoms) {
    Location loc = op.getLoc();
    if (op.getTransposeB()) {
      if (!columns.isInOrder()) {
        op.emitOpError("accumulator: expected its columns in order where "
                       "operand b is N x K, got ")
            << op.getType();
        return nullptr;
      }
      if (!order.isIdentity()) {
        op.emitOpError("contraction_order: expected operand b K x N, got it "
                       "transposed");
        return nullptr;
      }
      if (op.getPlainLoads())
        return plainTransposedB(b, loc, operand);
      return matricesOfTransposedB(b, loc, operand, atoms.size() % 2);
    }
    for (int64_t step : warpSteps(getLayout(op.getType())))
      if (step * operand.mma.elementBytes() % 16) {
        op.emitOpError("layout: expected warps that are a multiple of 16 bytes "
                       "of operand b apart, got ")
            << step << " columns of " << operand.mma.elementType();
        return nullptr;
      }
    bool pairs = operand.mma.elementBytes() == 2 && order.isIdentity() &&
                 columns.isInOrder();
    bool bytes = operand.mma.elementBytes() == 1 && order.isLinear() &&
                 columns.isEveryOther() && arePairs(atoms);
    if (!op.getPlainLoads() && (pairs || bytes))
      return matricesOfB(b, loc, operand, order);
    if (order.isLinear())
      return plainB(b, loc, operand, order, columns);
    op.emitOpError("contraction_order: expected one that moves lanes by two "
                   "vectors, got another");
    return nullptr;
  }

  const KernelContext &kernels;
};

} // namespace

void populateDotPatterns(const TileTypeConverter &converter,
                         const KernelContext &kernels,
                         RewritePatternSet &patterns) {
  patterns.add<DotPattern>(converter, patterns.getContext(), kernels);
}

} // namespace mlir::flash_tile
