//===- GlobalMemoryPatterns.cpp - Registers <-> global memory -------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::flash_tile {
namespace {

/// Where the elements of a tile lie in a memref, seen from one thread.
class TileAccess {
public:
  TileAccess(OpBuilder &b, Location loc, RankedTensorType tile,
             const StridedMemory &memory, ValueRange indices,
             const ThreadIds &ids)
      : loc(loc), tile(tile), memory(memory), distribution(getLayout(tile)) {
    unsigned rank = tile.getRank();
    firstDim = memory.type.getRank() - rank;
    Value origin = memory.elementPointer(b, loc, indices);
    Value step;
    for (unsigned d = 0; d < rank; ++d) {
      coordinates.emplace_back(b, loc, distribution, ids, d);
      valid.push_back(needsCheck(d, indices[firstDim + d])
                          ? memory.validExtent(b, loc, firstDim + d,
                                               indices[firstDim + d],
                                               tile.getDimSize(d))
                          : Value());
      Value common = coordinates[d].summand().value_or(Value());
      if (!common)
        continue;
      Value term = arith::MulIOp::create(b, loc, toIndex(b, loc, common),
                                         memory.strides[firstDim + d]);
      step = step ? arith::AddIOp::create(b, loc, step, term) : term;
    }
    base = step ? advance(b, loc, origin, memory.type.getElementType(), step)
                : origin;
  }

  /// i1 or null (always): whether register `r` lies inside memref and tile.
  Value exists(OpBuilder &b, unsigned r) const {
    Value all;
    for (unsigned d = 0; d < tile.getRank(); ++d) {
      if (!valid[d])
        continue;
      Value at = coordinates[d].at(b, r);
      Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                           at, valid[d]);
      all = all ? arith::AndIOp::create(b, loc, all, inside) : inside;
    }
    return all;
  }

  /// The register behind those that exist if register `r` does, in steps of
  /// `step`: the rest of its row where columns need no check.
  unsigned endOfCheck(unsigned r, unsigned step) const {
    unsigned end = r + step;
    if (tile.getRank() == 1 || valid.back())
      return end;
    // Equal offsets are equal coordinates where they are added only.
    for (unsigned d = 0; d + 1 < tile.getRank(); ++d)
      if (!coordinates[d].summand())
        return end;
    while (end < distribution.numRegisters() &&
           distribution.offset(end).drop_back() ==
               distribution.offset(r).drop_back())
      end += step;
    return end;
  }

  /// i1: the columns that exist end with a run of `run` registers, so that one
  /// check holds for a whole run. Null if they do for certain, nullopt if they
  /// certainly do not.
  std::optional<Value> endsWithRun(OpBuilder &b, Value index,
                                   unsigned run) const {
    if (!valid.back())
      return Value();
    unsigned dim = memory.type.getRank() - 1;
    std::optional<int64_t> extent = memory.staticExtent(dim);
    std::optional<int64_t> first = getConstantIntValue(index);
    if (extent && first) {
      int64_t columns = std::min(*extent - *first, tile.getShape().back());
      return columns % run ? std::nullopt : std::optional<Value>(Value());
    }
    Value over =
        arith::RemUIOp::create(b, loc, valid.back(), i32Constant(b, loc, run));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, over,
                                 i32Constant(b, loc, 0))
        .getResult();
  }

  /// Pointer to the element of register `r`.
  Value pointer(OpBuilder &b, unsigned r) const {
    Value offset;
    int64_t constant = 0;
    for (unsigned d = 0; d < tile.getRank(); ++d) {
      if (!coordinates[d].summand()) {
        Value term = arith::MulIOp::create(
            b, loc, toIndex(b, loc, coordinates[d].at(b, r)),
            memory.strides[firstDim + d]);
        offset = offset ? arith::AddIOp::create(b, loc, offset, term) : term;
        continue;
      }
      int64_t at = distribution.offset(r)[d];
      if (at == 0)
        continue;
      if (std::optional<int64_t> stride = memory.staticStride(firstDim + d)) {
        constant += at * *stride * memory.elementBytes();
        continue;
      }
      Value term = arith::MulIOp::create(b, loc, memory.strides[firstDim + d],
                                         indexConstant(b, loc, at));
      offset = offset ? arith::AddIOp::create(b, loc, offset, term) : term;
    }
    Value result = base;
    if (offset)
      result = advance(b, loc, result, memory.type.getElementType(), offset);
    return advanceBytes(b, loc, result, constant);
  }

  const Distribution &getDistribution() const { return distribution; }

private:
  /// A dimension needs no check when the memref's extent is known to hold the
  /// tile and the layout holds nothing outside the tile.
  bool needsCheck(unsigned d, Value index) const {
    if (distribution.maxCoordinate(d) >= tile.getDimSize(d))
      return true;
    std::optional<int64_t> extent = memory.staticExtent(firstDim + d);
    return !(extent && isConstantIntValue(index, 0) &&
             *extent >= tile.getDimSize(d));
  }

  Location loc;
  RankedTensorType tile;
  const StridedMemory &memory;
  Distribution distribution;
  unsigned firstDim;
  Value base;
  SmallVector<ThreadCoordinate, 2> coordinates;
  SmallVector<Value, 2> valid;
};

SmallVector<Value> frontValues(ArrayRef<ValueRange> ranges) {
  SmallVector<Value> values;
  for (ValueRange range : ranges)
    values.push_back(range.front());
  return values;
}

struct StorePattern : OpConversionPattern<StoreOp> {
  StorePattern(const TypeConverter &converter, MLIRContext *context,
               const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(StoreOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto tile = cast<RankedTensorType>(op.getValue().getType());
    if (!getLayout(tile))
      return failure();
    Location loc = op.getLoc();
    StridedMemory memory(cast<MemRefType>(op.getDest().getType()),
                         adaptor.getDest());
    SmallVector<Value> indices = frontValues(adaptor.getIndices());
    const ThreadIds &ids = kernels.threadIds(op);
    TileAccess access(rewriter, loc, tile, memory, indices, ids);
    Value primary =
        access.getDistribution().isPrimaryReplica(rewriter, loc, ids);
    OpBuilder b(rewriter);
    if (primary)
      b = scf::IfOp::create(rewriter, loc, primary, /*withElse=*/false)
              .getThenBodyBuilder(rewriter.getListener());

    unsigned elementBytes = memory.elementBytes();
    unsigned run = std::min<unsigned>(access.getDistribution().contiguity(),
                                      16 / elementBytes);
    ValueRange values = adaptor.getValue();
    std::optional<Value> wholeRuns;
    if (run > 1 && run * elementBytes >= 4)
      wholeRuns = access.endsWithRun(b, indices.back(), run);
    if (!wholeRuns) {
      storeElements(b, op, access, tile, values);
    } else {
      Value aligned = memory.rowsAligned(b, loc, indices, tile.getRank(),
                                         run * elementBytes);
      if (*wholeRuns)
        aligned = arith::AndIOp::create(b, loc, aligned, *wholeRuns);
      auto branch = scf::IfOp::create(b, loc, aligned, /*withElse=*/true);
      OpBuilder wide = branch.getThenBodyBuilder(rewriter.getListener());
      storeVectors(wide, op, access, tile, values, run);
      OpBuilder narrow = branch.getElseBodyBuilder(rewriter.getListener());
      storeElements(narrow, op, access, tile, values);
    }
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// Runs `body` under the check of register `r`.
  template <typename Body>
  static void guarded(OpBuilder &b, Location loc, const TileAccess &access,
                      unsigned r, Body body) {
    Value exists = access.exists(b, r);
    if (!exists)
      return body(b);
    OpBuilder inner = scf::IfOp::create(b, loc, exists, /*withElse=*/false)
                          .getThenBodyBuilder(b.getListener());
    body(inner);
  }

  static void storeVectors(OpBuilder &b, StoreOp op, const TileAccess &access,
                           RankedTensorType tile, ValueRange values,
                           unsigned run) {
    Location loc = op.getLoc();
    unsigned perValue = elementsPerValue(tile.getElementType());
    unsigned words = run / perValue;
    unsigned bytes = run * tile.getElementTypeBitWidth() / 8;
    for (unsigned r = 0; r < access.getDistribution().numRegisters(); r += run)
      guarded(b, loc, access, r, [&](OpBuilder &in) {
        Value stored = values[r / perValue];
        if (words > 1) {
          stored = LLVM::PoisonOp::create(
              in, loc, VectorType::get(words, stored.getType()));
          for (unsigned i = 0; i < words; ++i)
            stored = LLVM::InsertElementOp::create(in, loc, stored,
                                                   values[r / perValue + i],
                                                   i32Constant(in, loc, i));
        }
        LLVM::StoreOp::create(in, loc, stored, access.pointer(in, r), bytes);
      });
  }

  static void storeElements(OpBuilder &b, StoreOp op, const TileAccess &access,
                            RankedTensorType tile, ValueRange values) {
    Location loc = op.getLoc();
    unsigned bits = tile.getElementTypeBitWidth();
    unsigned share = elementsPerValue(tile.getElementType());
    for (unsigned r = 0; r < access.getDistribution().numRegisters(); ++r)
      guarded(b, loc, access, r, [&](OpBuilder &in) {
        Value stored = values[r / share];
        if (share > 1)
          stored = unpackInteger(in, loc, stored, r % share * bits, bits);
        LLVM::StoreOp::create(in, loc, stored, access.pointer(in, r), bits / 8);
      });
  }

  const KernelContext &kernels;
};

/// 16-byte loads where a thread holds runs of a row and rows turn out at run
/// time to be aligned, single elements otherwise.
struct LoadPattern : OpConversionPattern<LoadOp> {
  LoadPattern(const TypeConverter &converter, MLIRContext *context,
              const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(LoadOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto tile = cast<RankedTensorType>(op.getType());
    if (!getLayout(tile))
      return failure();
    Location loc = op.getLoc();
    StridedMemory memory(cast<MemRefType>(op.getSource().getType()),
                         adaptor.getSource());
    SmallVector<Value> indices = frontValues(adaptor.getIndices());
    TileAccess access(rewriter, loc, tile, memory, indices,
                      kernels.threadIds(op));
    unsigned elementBytes = memory.elementBytes();
    unsigned run = std::min<unsigned>(access.getDistribution().contiguity(),
                                      16 / elementBytes);
    std::optional<Value> wholeRuns;
    if (run * elementBytes == 16)
      wholeRuns = access.endsWithRun(rewriter, indices.back(), run);
    if (!wholeRuns) {
      rewriter.replaceOpWithMultiple(
          op, {loadElements(rewriter, loc, access, tile)});
      return success();
    }
    Value aligned = memory.rowsAligned(rewriter, loc, indices, tile.getRank(),
                                       run * elementBytes);
    if (*wholeRuns)
      aligned = arith::AndIOp::create(rewriter, loc, aligned, *wholeRuns);
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertType(tile, types)))
      return failure();
    auto branch =
        scf::IfOp::create(rewriter, loc, types, aligned, /*withElse=*/true);
    OpBuilder wide = branch.getThenBodyBuilder(rewriter.getListener());
    scf::YieldOp::create(wide, loc, loadVectors(wide, loc, access, tile, run));
    OpBuilder narrow = branch.getElseBodyBuilder(rewriter.getListener());
    scf::YieldOp::create(narrow, loc, loadElements(narrow, loc, access, tile));
    rewriter.replaceOpWithMultiple(op, {branch.getResults()});
    return success();
  }

private:
  /// Loads `type` for every `step`-th register, zero where nothing exists; one
  /// check for as many registers as it holds for.
  static SmallVector<Value> loadAll(OpBuilder &b, Location loc,
                                    const TileAccess &access, Type type,
                                    unsigned step, unsigned bytes) {
    SmallVector<Value> loaded;
    const unsigned registers = access.getDistribution().numRegisters();
    for (unsigned first = 0, end; first < registers; first = end) {
      end = access.endOfCheck(first, step);
      auto loadGroup = [&](OpBuilder &in) {
        SmallVector<Value> values;
        for (unsigned r = first; r < end; r += step)
          values.push_back(LLVM::LoadOp::create(in, loc, type,
                                                access.pointer(in, r), bytes));
        return values;
      };
      Value exists = access.exists(b, first);
      if (!exists) {
        llvm::append_range(loaded, loadGroup(b));
        continue;
      }
      SmallVector<Type> types((end - first) / step, type);
      auto branch = scf::IfOp::create(b, loc, types, exists, /*withElse=*/true);
      OpBuilder then = branch.getThenBodyBuilder(b.getListener());
      scf::YieldOp::create(then, loc, loadGroup(then));
      OpBuilder other = branch.getElseBodyBuilder(b.getListener());
      Value zero =
          arith::ConstantOp::create(other, loc, other.getZeroAttr(type));
      scf::YieldOp::create(other, loc, SmallVector<Value>(types.size(), zero));
      llvm::append_range(loaded, branch.getResults());
    }
    return loaded;
  }

  static SmallVector<Value> loadVectors(OpBuilder &b, Location loc,
                                        const TileAccess &access,
                                        RankedTensorType tile, unsigned run) {
    const unsigned bytes = run * tile.getElementTypeBitWidth() / 8;
    Type part = isPacked(tile.getElementType()) ? b.getI32Type()
                                                : tile.getElementType();
    const unsigned parts = 8 * bytes / part.getIntOrFloatBitWidth();
    SmallVector<Value> results;
    for (Value loaded :
         loadAll(b, loc, access, VectorType::get(parts, part), run, bytes))
      for (unsigned i = 0; i < parts; ++i)
        results.push_back(LLVM::ExtractElementOp::create(
            b, loc, loaded, i32Constant(b, loc, i)));
    return results;
  }

  static SmallVector<Value> loadElements(OpBuilder &b, Location loc,
                                         const TileAccess &access,
                                         RankedTensorType tile) {
    Type element = tile.getElementType();
    const unsigned share = elementsPerValue(element);
    Type raw =
        share > 1 ? b.getIntegerType(element.getIntOrFloatBitWidth()) : element;
    SmallVector<Value> elements =
        loadAll(b, loc, access, raw, 1, raw.getIntOrFloatBitWidth() / 8);
    SmallVector<Value> results;
    for (unsigned r = 0; r < elements.size(); r += share)
      results.push_back(
          packIntegers(b, loc, ArrayRef(elements).slice(r, share)));
    return results;
  }

  const KernelContext &kernels;
};

struct GlobalTilePattern : OpConversionPattern<GlobalTileOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(GlobalTileOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    StridedMemory memory(cast<MemRefType>(op.getSource().getType()),
                         adaptor.getSource());
    SmallVector<Value> indices = frontValues(adaptor.getIndices());
    ArrayRef<int64_t> shape = op.getType().getShape();
    const int64_t firstDim = memory.type.getRank() - 2;
    SmallVector<Value> values{memory.elementPointer(rewriter, loc, indices),
                              memory.strides[firstDim],
                              memory.strides[firstDim + 1]};
    for (int64_t d = 0; d < 2; ++d) {
      // A constant where all of them exist for certain: nobody need ask.
      std::optional<int64_t> extent = memory.staticExtent(firstDim + d);
      std::optional<int64_t> first =
          getConstantIntValue(op.getIndices()[firstDim + d]);
      values.push_back(extent && first && *extent - *first >= shape[d]
                           ? i32Constant(rewriter, loc, shape[d])
                           : memory.validExtent(rewriter, loc, firstDim + d,
                                                indices[firstDim + d],
                                                shape[d]));
    }
    rewriter.replaceOpWithMultiple(op, {values});
    return success();
  }
};

/// One element, the same for all threads.
struct ScalarLoadPattern : OpConversionPattern<memref::LoadOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(memref::LoadOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    StridedMemory memory(op.getMemRefType(), adaptor.getMemref());
    Type type = op.getType();
    if (!LLVM::isCompatibleType(type))
      return rewriter.notifyMatchFailure(op, "no type of LLVM");
    Value pointer = memory.elementPointer(rewriter, op.getLoc(),
                                          frontValues(adaptor.getIndices()));
    rewriter.replaceOpWithNewOp<LLVM::LoadOp>(op, type, pointer,
                                              memory.elementBytes());
    return success();
  }
};

struct DimPattern : OpConversionPattern<memref::DimOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(memref::DimOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    std::optional<int64_t> dim = op.getConstantIndex();
    auto type = dyn_cast<MemRefType>(op.getSource().getType());
    if (!dim || !type)
      return rewriter.notifyMatchFailure(op, "dynamic dimension number");
    StridedMemory memory(type, adaptor.getSource());
    rewriter.replaceOp(op, memory.extents[*dim]);
    return success();
  }
};

} // namespace

void populateGlobalMemoryPatterns(const TileTypeConverter &converter,
                                  const KernelContext &kernels,
                                  RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<StorePattern, LoadPattern>(converter, context, kernels);
  patterns.add<DimPattern, GlobalTilePattern, ScalarLoadPattern>(converter,
                                                                 context);
}

} // namespace mlir::flash_tile
