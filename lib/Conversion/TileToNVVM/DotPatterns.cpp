//===- DotPatterns.cpp - flash_tile.dot to mma.sync and ldmatrix ----------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mma.sync m16n8k16 on f16 and bf16 with f32 accumulators (PTX ISA, "Matrix
// Fragments for mma.m16n8k16"). Operands that live in shared memory are read by
// ldmatrix right where they are used, so that only one k-step of fragments is
// live; operands in registers are used as they are.
//
// ldmatrix.x4 reads four 8 x 8 matrices; lane i supplies the address of row
// i mod 8 of matrix i / 8 and lane 4r + c receives elements (r, 2c), (r, 2c+1):
//
//   operand                 matrices 0..3 at (row, col) of the view    .trans
//   A, stored M x K         (0,0) (8,0) (0,8) (8,8)   -> a0..a3        no
//   B, stored K x N         (0,0) (8,0) (0,8) (8,8)   -> b0 b1 | b0 b1 yes
//   B, stored N x K         (0,0) (8,0) (0,8) (8,8)   -> b0 | b0 b1 | b1 no
//
// All three address row i mod 16 and chunk i / 16 of a 16 x 16 block: operands
// that differ in their buffer only share their address registers. A last odd
// column of atoms, stored N x K, reads (0,0) (0,8) by ldmatrix.x2 instead.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include <map>

namespace mlir::flash_tile {
namespace {

/// Reads 8 x 8 matrices of a swizzled view. The swizzle flips chunk bits by row
/// bits below 8, so every 16-row, 16-column step is either an immediate offset
/// or one of at most four XOR patterns, whose addresses are computed once.
class MatrixReader {
public:
  /// `rowBit` and `chunkBit` say which lane bit selects the second eight rows
  /// and the second 16-byte chunk; `threadRow` is added to every row and is a
  /// multiple of 8.
  MatrixReader(OpBuilder &b, Location loc, ViewType type, Value base,
               const ThreadIds &ids, unsigned rowBit, unsigned chunkBit,
               Value threadRow)
      : loc(loc), type(type), base(base) {
    // A buffer's offset goes into the instructions' immediate, so that readers
    // of several buffers compute the same addresses.
    if (auto gep = base.getDefiningOp<LLVM::GEPOp>())
      if (gep.getDynamicIndices().empty() && gep.getElemType().isInteger(8) &&
          gep.getRawConstantIndices().size() == 1) {
        this->base = gep.getBase();
        baseBytes = gep.getRawConstantIndices().front();
      }
    auto bitOf = [&](unsigned bit, int64_t scale) -> Value {
      Value v = arith::ShRUIOp::create(b, loc, ids.lane,
                                       i32Constant(b, loc, bit));
      v = arith::AndIOp::create(b, loc, v, i32Constant(b, loc, 1));
      return scale == 1 ? v
                        : arith::MulIOp::create(b, loc, v,
                                                i32Constant(b, loc, scale))
                              .getResult();
    };
    Value low =
        arith::AndIOp::create(b, loc, ids.lane, i32Constant(b, loc, 7));
    Value row = addI32(b, loc, addI32(b, loc, low, bitOf(rowBit, 8)),
                       threadRow);
    rowStart = arith::MulIOp::create(b, loc, row,
                                     i32Constant(b, loc, rowBytes(type)));
    chunk = bitOf(chunkBit, 1);
    if (SwizzleAttr swizzle = type.getSwizzle(); swizzle && swizzle.getBits()) {
      bits = swizzle.getBits();
      Value flip = arith::ShRUIOp::create(
          b, loc, low, i32Constant(b, loc, swizzle.getShift()));
      flip = arith::AndIOp::create(b, loc, flip,
                                   i32Constant(b, loc, (1 << bits) - 1));
      chunk = arith::XOrIOp::create(b, loc, chunk, flip);
    }
  }

  /// ldmatrix of `count` (2 or 4) matrices whose first element is (row, col),
  /// multiples of 8 and 16 (or 8 with two matrices and no chunk bit in use).
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t col,
                          unsigned count, bool transpose) {
    Value pointer = advanceBytes(b, loc, pointerFor(b, col / 8),
                                 baseBytes + row * rowBytes(type) + farBytes(col / 8));
    SmallVector<Type> parts(count, b.getI32Type());
    Type result =
        LLVM::LLVMStructType::getLiteral(b.getContext(), parts);
    auto shape =
        NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
    Value loaded = NVVM::LdMatrixOp::create(
        b, loc, result, pointer, count,
        transpose ? NVVM::MMALayout::col : NVVM::MMALayout::row, shape,
        NVVM::LdStMatrixEltType::B16);
    SmallVector<Value> values;
    for (unsigned i = 0; i < count; ++i)
      values.push_back(LLVM::ExtractValueOp::create(b, loc, loaded, i));
    return values;
  }

private:
  int64_t nearMask() const { return (int64_t(1) << bits) - 1; }
  /// Chunks above the swizzled bits are a plain byte offset.
  int64_t farBytes(int64_t chunks) const { return (chunks & ~nearMask()) * 16; }

  Value pointerFor(OpBuilder &b, int64_t chunks) {
    Value &pointer = pointers[chunks & nearMask()];
    if (!pointer) {
      Value flipped = chunk;
      if (int64_t near = chunks & nearMask())
        flipped = arith::XOrIOp::create(b, loc, chunk,
                                        i32Constant(b, loc, near));
      Value offset = arith::AddIOp::create(
          b, loc, rowStart,
          arith::ShLIOp::create(b, loc, flipped, i32Constant(b, loc, 4)));
      pointer = advance(b, loc, base, b.getI8Type(), offset);
    }
    return pointer;
  }

  Location loc;
  ViewType type;
  Value base, rowStart, chunk;
  int64_t baseBytes = 0, bits = 0;
  std::map<int64_t, Value> pointers;
};

/// A register tile as mma operand A: i32 index of the pair at (row, k).
class RegisterOperand {
public:
  RegisterOperand(LayoutAttr layout, ValueRange registers)
      : distribution(layout), registers(registers) {}
  SmallVector<Value> fragment(int64_t row, int64_t k) const {
    SmallVector<Value> values;
    for (auto [dr, dk] : {std::pair(0, 0), {8, 0}, {0, 8}, {8, 8}})
      values.push_back(
          registers[*distribution.registerAt({row + dr, k + dk}) / 2]);
    return values;
  }
  bool isOperandA() const {
    return distribution.hasMmaLanes() && distribution.contiguity() == 2;
  }

private:
  Distribution distribution;
  ValueRange registers;
};

/// Whether the swizzle depends on a row's number within its 8 x 8 matrix only.
bool repeatsPerMatrix(ViewType view) {
  SwizzleAttr swizzle = view.getSwizzle();
  return !swizzle || !swizzle.getBits() ||
         swizzle.getBits() + swizzle.getShift() <= 3;
}

struct DotPattern : OpConversionPattern<DotOp> {
  DotPattern(const TypeConverter &converter, MLIRContext *context,
             const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(DotOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    LayoutAttr layout = getLayout(op.getType());
    if (!layout)
      return failure();
    Distribution acc(layout);
    auto accType = cast<RankedTensorType>(op.getType());
    if (!acc.hasMmaLanes() || !accType.getElementType().isF32())
      return op.emitOpError("accumulator: expected f32 in the m16n8 fragment "
                            "layout, got ")
             << accType;
    if (op.getTransposeA())
      return op.emitOpError("operand a: expected M x K, got it transposed");
    auto bView = dyn_cast<ViewType>(op.getB().getType());
    if (!bView)
      return op.emitOpError("operand b: expected a shared-memory view, got ")
             << op.getB().getType();
    Type element = bView.getElementType();
    if (!isPacked(element))
      return op.emitOpError("operand b: expected f16 or bf16, got ") << element;
    for (Type type : {op.getA().getType(), op.getB().getType()})
      if (auto view = dyn_cast<ViewType>(type); view && !repeatsPerMatrix(view))
        return op.emitOpError("swizzle: expected bits + shift of at most 3 (a "
                              "pattern of eight rows), got ")
               << view;

    // The warp's own atoms, by the offset of their first element.
    SmallVector<int64_t> rows, cols;
    for (unsigned r = 0; r < acc.numRegisters(); ++r) {
      ArrayRef<int64_t> at = acc.offset(r);
      if (at[1] == 0 && at[0] % 16 == 0)
        rows.push_back(at[0]);
      if (at[0] == 0 && at[1] % 8 == 0)
        cols.push_back(at[1]);
    }
    const ThreadIds &ids = kernels.threadIds(op);
    bool transposeB = op.getTransposeB();
    Value warpN = acc.warpOffset(rewriter, loc, ids, 1);
    if (warpN && !transposeB)
      return op.emitOpError("layout: expected warps along rows only, got warps "
                            "along columns");
    // ldmatrix.x2 takes its two addresses from lanes 0-15, see above.
    bool oddColumns = transposeB && cols.size() % 2;
    MatrixReader b(rewriter, loc, bView, adaptor.getB().front(), ids,
                   oddColumns ? 4 : 3, oddColumns ? 3 : 4, warpN);

    std::optional<MatrixReader> aShared;
    std::optional<RegisterOperand> aRegisters;
    int64_t depth = 0;
    if (auto aView = dyn_cast<ViewType>(op.getA().getType())) {
      depth = aView.getShape()[1];
      aShared.emplace(rewriter, loc, aView, adaptor.getA().front(), ids, 3, 4,
                      acc.warpOffset(rewriter, loc, ids, 0));
    } else {
      auto aType = cast<RankedTensorType>(op.getA().getType());
      depth = aType.getShape()[1];
      aRegisters.emplace(getLayout(aType), adaptor.getA());
      if (!aRegisters->isOperandA())
        return op.emitOpError("operand a: expected the m16k16 fragment "
                              "layout, got ")
               << aType;
    }
    if (depth % 16)
      return op.emitOpError("contraction: expected a multiple of 16, got ")
             << depth;

    SmallVector<Value> values = llvm::to_vector(adaptor.getAccumulator());
    auto registersAt = [&](int64_t row, int64_t col) {
      SmallVector<unsigned> result;
      for (auto [dr, dc] : {std::pair(0, 0), {0, 1}, {8, 0}, {8, 1}})
        result.push_back(*acc.registerAt({row + dr, col + dc}));
      return result;
    };
    DenseMap<std::pair<int64_t, int64_t>, SmallVector<unsigned>> atoms;
    for (int64_t row : rows)
      for (int64_t col : cols)
        atoms[{row, col}] = registersAt(row, col);

    for (int64_t k = 0; k < depth; k += 16) {
      SmallVector<SmallVector<Value>> aFragments;
      for (int64_t row : rows)
        aFragments.push_back(aShared ? aShared->read(rewriter, row, k, 4, false)
                                     : aRegisters->fragment(row, k));
      for (unsigned n = 0; n < cols.size(); n += 2) {
        // A last odd column of atoms takes half of a fragment pair.
        bool pair = n + 1 < cols.size();
        int64_t col = cols[n];
        SmallVector<Value> bFragments =
            transposeB ? b.read(rewriter, col, k, pair ? 4 : 2, false)
                       : b.read(rewriter, k, col, pair ? 4 : 2, true);
        if (transposeB && !oddColumns)
          std::swap(bFragments[1], bFragments[2]);
        for (unsigned half = 0; half < (pair ? 2u : 1u); ++half)
          for (auto [row, a] : llvm::zip(rows, aFragments))
            multiply(rewriter, loc, element, a,
                     ArrayRef(bFragments).slice(2 * half, 2),
                     atoms[{row, cols[n + half]}], values);
      }
    }
    rewriter.replaceOpWithMultiple(op, {values});
    return success();
  }

private:
  /// One mma.sync.m16n8k16 that updates the four registers of an atom.
  static void multiply(OpBuilder &b, Location loc, Type element,
                       ArrayRef<Value> aPairs, ArrayRef<Value> bPairs,
                       ArrayRef<unsigned> atom, SmallVector<Value> &values) {
    bool f16 = element.isF16();
    auto operands = [&](ArrayRef<Value> pairs) {
      SmallVector<Value> result(pairs);
      if (f16) // mma takes f16 as vector<2xf16>, bf16 as i32
        for (Value &value : result)
          value = LLVM::BitcastOp::create(b, loc, VectorType::get(2, element),
                                          value);
      return result;
    };
    SmallVector<Value> c;
    for (unsigned r : atom)
      c.push_back(values[r]);
    Type result = LLVM::LLVMStructType::getLiteral(
        b.getContext(), SmallVector<Type>(4, b.getF32Type()));
    auto types = f16 ? std::array{NVVM::MMATypes::f16, NVVM::MMATypes::f16}
                     : std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16};
    Value d = NVVM::MmaOp::create(
        b, loc, result, operands(aPairs), operands(bPairs), c,
        ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt, types,
        std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
    for (auto [i, r] : llvm::enumerate(atom))
      values[r] = LLVM::ExtractValueOp::create(b, loc, d, i);
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
