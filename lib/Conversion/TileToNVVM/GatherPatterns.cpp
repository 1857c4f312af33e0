//===- GatherPatterns.cpp - Reads by index, votes -------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What score and mask regions read, and how a CTA agrees on what it has read
// and writes it down. Every read is one predicated ld.global.nc behind a move
// of zero, in inline PTX: a branch around each of the 64 elements of a thread
// would be 64 blocks, and a load that LLVM may speculate could touch what must
// not be touched.
//
// An index that depends on rows or on columns alone costs one comparison per
// row or column of the thread; what depends on rows alone is read once per row.
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <map>

namespace mlir::flash_tile {
namespace {

/// What tile-relative indices and their bounds are kept within, on either side
/// of zero: sums of two stay within 32 bits.
constexpr int64_t kLimit = (int64_t(1) << 30) - 1;

Value andI1(OpBuilder &b, Location loc, Value lhs, Value rhs) {
  if (!lhs || !rhs)
    return lhs ? lhs : rhs;
  return arith::AndIOp::create(b, loc, lhs, rhs);
}

/// What an element is in registers while it is loaded: floats of 32 bits, else
/// integers of at least 16.
Type getLoadedType(Type element) {
  if (element.isF32())
    return element;
  unsigned width = std::max(16u, element.getIntOrFloatBitWidth());
  return IntegerType::get(element.getContext(), width);
}

/// `count` neighbours at `pointer` where `exists` (null: always), else zeros,
/// each of getLoadedType(element).
SmallVector<Value> loadElements(OpBuilder &b, Location loc, Type element,
                                Value pointer, Value exists, unsigned count) {
  Type loaded = getLoadedType(element);
  unsigned bits = std::max(8u, element.getIntOrFloatBitWidth());
  bool isFloat = element.isF32();
  const char *constraint = isFloat      ? "f"
                           : bits <= 16 ? "h"
                           : bits == 32 ? "r"
                                        : "l";
  std::string type = (isFloat     ? "f"
                      : bits == 8 ? "u"
                                  : "b") +
                     std::to_string(bits);
  std::string zeroType =
      isFloat ? "f32" : "b" + std::to_string(std::max(16u, bits));
  std::string text, outputs, constraints;
  for (unsigned i = 0; i < count; ++i) {
    std::string name = "$" + std::to_string(i);
    // A load that is predicated off leaves its registers alone.
    if (exists)
      text += "mov." + zeroType + " " + name + ", " +
              (isFloat ? "0f00000000" : "0") + "; ";
    outputs += (i ? ", " : "") + name;
    // Written before the address is read.
    constraints += std::string(i ? "," : "") + "=&" + constraint;
  }
  if (count > 1)
    outputs = "{" + outputs + "}";
  if (exists)
    text += "@$" + std::to_string(count + 1) + " ";
  text += "ld.global.nc" + (count > 1 ? ".v" + std::to_string(count) : "") +
          "." + type + " " + outputs + ", [$" + std::to_string(count) + "];";
  constraints += ",l";
  SmallVector<Value> operands{
      LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), pointer)};
  if (exists) {
    constraints += ",b";
    operands.push_back(exists);
  }
  Type result = loaded;
  if (count > 1)
    result = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                              SmallVector<Type>(count, loaded));
  auto load = LLVM::InlineAsmOp::create(
      b, loc, result, operands, text, constraints, /*has_side_effects=*/false,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr(), /*operand_attrs=*/ArrayAttr());
  if (count == 1)
    return {load.getResult(0)};
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; ++i)
    values.push_back(
        LLVM::ExtractValueOp::create(b, loc, load.getResult(0), i));
  return values;
}

/// The loaded value as the element type's register.
Value narrow(OpBuilder &b, Location loc, Type element, Value loaded) {
  if (element.isInteger(1))
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, loaded,
                                 arith::ConstantIntOp::create(b, loc, 0, 16));
  if (element.isInteger(8))
    return arith::TruncIOp::create(b, loc, element, loaded);
  return loaded;
}

/// i1 or null (always): 0 <= index < extent.
Value isInside(OpBuilder &b, Location loc, Value index, Value extent) {
  std::optional<int64_t> at = getConstantIntValue(index);
  std::optional<int64_t> end = getConstantIntValue(extent);
  if (at && end && *at >= 0 && *at < *end)
    return Value();
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index,
                               extent);
}

struct LookupPattern : OpConversionPattern<LookupOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(LookupOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    StridedMemory memory(cast<MemRefType>(op.getSource().getType()),
                         adaptor.getSource());
    Value exists;
    if (op.getPredicate())
      exists = adaptor.getPredicate().front();
    SmallVector<Value> indices;
    for (auto [dim, index] : llvm::enumerate(adaptor.getIndices())) {
      indices.push_back(index.front());
      exists =
          andI1(rewriter, loc, exists,
                isInside(rewriter, loc, index.front(), memory.extents[dim]));
    }
    Type element = memory.type.getElementType();
    Value pointer = memory.elementPointer(rewriter, loc, indices);
    Value value = narrow(
        rewriter, loc, element,
        loadElements(rewriter, loc, element, pointer, exists, 1).front());
    if (isPacked(element))
      value = LLVM::BitcastOp::create(rewriter, loc, element, value);
    rewriter.replaceOp(op, value);
    return success();
  }
};

struct PutPattern : OpConversionPattern<PutOp> {
  PutPattern(const TypeConverter &converter, MLIRContext *context,
             const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}
  LogicalResult
  matchAndRewrite(PutOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    StridedMemory memory(cast<MemRefType>(op.getDest().getType()),
                         adaptor.getDest());
    SmallVector<Value> indices;
    for (ValueRange index : adaptor.getIndices())
      indices.push_back(index.front());
    Value isFirst = arith::CmpIOp::create(
        rewriter, loc, arith::CmpIPredicate::eq, kernels.threadIds(op).thread,
        i32Constant(rewriter, loc, 0));
    OpBuilder b = scf::IfOp::create(rewriter, loc, isFirst, /*withElse=*/false)
                      .getThenBodyBuilder(rewriter.getListener());
    Value value = adaptor.getValue().front();
    if (value.getType().isInteger(1))
      value = arith::ExtUIOp::create(b, loc, b.getI8Type(), value);
    LLVM::StoreOp::create(b, loc, value, memory.elementPointer(b, loc, indices),
                          unsigned(memory.elementBytes()));
    rewriter.eraseOp(op);
    return success();
  }
  const KernelContext &kernels;
};

struct VotePattern : OpConversionPattern<VoteOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(VoteOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    llvm::SmallSetVector<Value, 16> distinct(adaptor.getSource().begin(),
                                             adaptor.getSource().end());
    Value own;
    for (Value value : distinct)
      own = own ? arith::OrIOp::create(rewriter, loc, own, value).getResult()
                : value;
    Type i32 = rewriter.getI32Type();
    auto vote = NVVM::BarrierOp::create(
        rewriter, loc, TypeRange{i32}, /*barrierId=*/Value(),
        /*numberOfThreads=*/Value(),
        NVVM::BarrierReductionAttr::get(rewriter.getContext(),
                                        NVVM::BarrierReduction::OR),
        arith::ExtUIOp::create(rewriter, loc, i32, own));
    rewriter.replaceOpWithNewOp<arith::CmpIOp>(op, arith::CmpIPredicate::ne,
                                               vote.getRes(),
                                               i32Constant(rewriter, loc, 0));
    return success();
  }
};

/// The elements that one thread gathers.
class Gather {
public:
  Gather(OpBuilder &b, GatherElementsOp op,
         GatherElementsOp::GenericAdaptor<ArrayRef<ValueRange>> adaptor,
         const ThreadIds &ids)
      : b(b), loc(op.getLoc()), op(op), adaptor(adaptor),
        memory(cast<MemRefType>(op.getSource().getType()), adaptor.getSource()),
        distribution(getLayout(op.getType())) {
    for (unsigned axis = 0; axis < 2; ++axis)
      thread[axis] = distribution.threadOffset(b, loc, ids, axis);
    collectBounds();
    collectAddress();
  }

  SmallVector<Value> load();

private:
  /// lower <= factors . (i, j) < lower + span, in 32 bits without sign.
  struct Bound {
    int64_t rows, columns;
    Value lower, span;
  };

  Value clamp(Value index) {
    index =
        arith::MaxSIOp::create(b, loc, index, indexConstant(b, loc, -kLimit));
    index =
        arith::MinSIOp::create(b, loc, index, indexConstant(b, loc, kLimit));
    return arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
  }
  Value scaled(Value value, int64_t factor) {
    if (!value || factor == 0)
      return Value();
    return factor == 1 ? value
                       : arith::MulIOp::create(b, loc, value,
                                               i32Constant(b, loc, factor))
                             .getResult();
  }
  void addBound(int64_t rows, int64_t columns, Value lower, Value upper);
  void collectBounds();
  void collectAddress();
  /// i1 or null: `bound` holds for the element at the constant offsets.
  Value holds(const Bound &bound, int64_t i, int64_t j);
  Value exists(unsigned r);
  /// `isUnit`: the column stride is known to be 1.
  Value pointer(unsigned r, bool isUnit = false);
  Value offsetValue(unsigned n, unsigned r);
  /// Neighbours in a row that one load may read; 1 where none do.
  unsigned widestRun();
  /// i1: aligned runs of `width` elements are contiguous, aligned in memory,
  /// and exist as a whole or not at all.
  Value hasWholeRuns(unsigned width);
  SmallVector<Value> loadRuns(unsigned width);
  SmallVector<Value> loadEach();

  OpBuilder &b;
  Location loc;
  GatherElementsOp op;
  GatherElementsOp::GenericAdaptor<ArrayRef<ValueRange>> adaptor;
  StridedMemory memory;
  Distribution distribution;
  Value thread[2];
  /// What holds for all elements or for none.
  Value uniform;
  SmallVector<Bound> bounds;
  bool onRows = false, onColumns = false;
  /// The address of the tile's first element, and of the thread's.
  Value origin, base;
  Value rowStride, columnStride;
  std::map<std::tuple<unsigned, int64_t, int64_t>, Value> known;
};

void Gather::addBound(int64_t rows, int64_t columns, Value lower, Value upper) {
  Value low = clamp(lower);
  Value span = arith::SubIOp::create(b, loc, clamp(upper), low);
  span = arith::MaxSIOp::create(b, loc, span, i32Constant(b, loc, 0));
  bounds.push_back({rows, columns, low, span});
  onRows |= rows != 0;
  onColumns |= columns != 0;
}

void Gather::collectBounds() {
  Value limits[2];
  if (op.getRowLimit())
    limits[0] = adaptor.getRowLimit().front();
  if (op.getColumnLimit())
    limits[1] = adaptor.getColumnLimit().front();
  for (auto [dim, index] : llvm::enumerate(adaptor.getIndices())) {
    if (llvm::is_contained(op.getOffsetDims(), dim))
      continue;
    int64_t rows = op.getRows()[dim], columns = op.getColumns()[dim];
    if (rows == 0 && columns == 0) {
      uniform = andI1(b, loc, uniform,
                      isInside(b, loc, index.front(), memory.extents[dim]));
      continue;
    }
    Value zero = indexConstant(b, loc, 0);
    Value lower = arith::SubIOp::create(b, loc, zero, index.front());
    Value upper =
        arith::SubIOp::create(b, loc, memory.extents[dim], index.front());
    // An index that is a coordinate itself takes its limit along.
    for (auto [factor, other, limit] :
         {std::tuple<int64_t, int64_t, Value *>{rows, columns, &limits[0]},
          std::tuple<int64_t, int64_t, Value *>{columns, rows, &limits[1]}})
      if (factor == 1 && other == 0 && *limit)
        upper = arith::MinSIOp::create(b, loc, upper,
                                       std::exchange(*limit, Value()));
    addBound(rows, columns, lower, upper);
  }
  for (unsigned axis = 0; axis < 2; ++axis)
    if (limits[axis])
      addBound(axis == 0, axis == 1, indexConstant(b, loc, 0), limits[axis]);
}

void Gather::collectAddress() {
  SmallVector<Value> indices;
  for (ValueRange index : adaptor.getIndices())
    indices.push_back(index.front());
  origin = base = memory.elementPointer(b, loc, indices);
  auto sum = [&](ArrayRef<int64_t> factors) {
    Value total;
    for (auto [dim, factor] : llvm::enumerate(factors)) {
      if (factor == 0)
        continue;
      Value term = memory.strides[dim];
      if (factor != 1)
        term =
            arith::MulIOp::create(b, loc, term, indexConstant(b, loc, factor));
      total = total ? arith::AddIOp::create(b, loc, total, term) : term;
    }
    return total;
  };
  rowStride = sum(op.getRows());
  columnStride = sum(op.getColumns());
  onRows |= static_cast<bool>(rowStride);
  onColumns |= static_cast<bool>(columnStride);
  for (auto [axis, stride] : {std::pair<unsigned, Value>{0, rowStride},
                              std::pair<unsigned, Value>{1, columnStride}}) {
    if (!stride || !thread[axis])
      continue;
    Value step =
        arith::MulIOp::create(b, loc, toIndex(b, loc, thread[axis]), stride);
    base = advance(b, loc, base, memory.type.getElementType(), step);
  }
}

Value Gather::holds(const Bound &bound, int64_t i, int64_t j) {
  if (bound.rows == 0)
    i = 0;
  if (bound.columns == 0)
    j = 0;
  Value &result = known[{unsigned(&bound - bounds.data()), i, j}];
  if (result)
    return result;
  Value at = addI32(b, loc, scaled(thread[0], bound.rows),
                    scaled(thread[1], bound.columns));
  Value from = arith::SubIOp::create(b, loc, at ? at : i32Constant(b, loc, 0),
                                     bound.lower);
  from = addI32(b, loc, from, i * bound.rows + j * bound.columns);
  return result = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, from,
                                        bound.span);
}

/// The n-th offset of register `r`, an index.
Value Gather::offsetValue(unsigned n, unsigned r) {
  Value offset = adaptor.getOffsets()[n][r];
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), offset);
}

Value Gather::exists(unsigned r) {
  ArrayRef<int64_t> at = distribution.offset(r);
  // Rows, then columns: sums of what few elements share come first.
  Value all = uniform;
  for (int pass : {0, 1, 2})
    for (const Bound &bound : bounds) {
      int kind = bound.columns == 0 ? 0 : bound.rows == 0 ? 1 : 2;
      if (kind == pass)
        all = andI1(b, loc, all, holds(bound, at[0], at[1]));
    }
  for (auto [n, dim] : llvm::enumerate(op.getOffsetDims())) {
    Value index = arith::AddIOp::create(
        b, loc, adaptor.getIndices()[dim].front(), offsetValue(n, r));
    for (auto [axis, factor] :
         {std::pair<unsigned, int64_t>{0, op.getRows()[dim]},
          std::pair<unsigned, int64_t>{1, op.getColumns()[dim]}}) {
      if (factor == 0)
        continue;
      Value coordinate = addI32(b, loc, thread[axis], at[axis]);
      if (!coordinate)
        continue;
      coordinate = arith::MulIOp::create(b, loc, toIndex(b, loc, coordinate),
                                         indexConstant(b, loc, factor));
      index = arith::AddIOp::create(b, loc, index, coordinate);
    }
    all = andI1(b, loc, all,
                arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index,
                                      memory.extents[dim]));
  }
  if (op.getValid())
    all = andI1(b, loc, all, adaptor.getValid()[r]);
  return all;
}

Value Gather::pointer(unsigned r, bool isUnit) {
  ArrayRef<int64_t> at = distribution.offset(r);
  Value offset;
  auto add = [&](Value term) {
    offset = offset ? arith::AddIOp::create(b, loc, offset, term) : term;
  };
  for (auto [axis, stride] : {std::pair<unsigned, Value>{0, rowStride},
                              std::pair<unsigned, Value>{1, columnStride}})
    if (stride && at[axis] != 0 && !(isUnit && axis == 1))
      add(arith::MulIOp::create(b, loc, stride,
                                indexConstant(b, loc, at[axis])));
  for (auto [n, dim] : llvm::enumerate(op.getOffsetDims()))
    add(arith::MulIOp::create(b, loc, offsetValue(n, r), memory.strides[dim]));
  Value result = base;
  if (offset)
    result = advance(b, loc, result, memory.type.getElementType(), offset);
  return isUnit ? advanceBytes(b, loc, result, at[1] * memory.elementBytes())
                : result;
}

unsigned Gather::widestRun() {
  bool isPlain = columnStride && !op.getValid() && op.getOffsets().empty();
  for (const Bound &bound : bounds)
    isPlain &= bound.columns == 0 || (bound.columns == 1 && bound.rows == 0);
  if (!isPlain)
    return 1;
  return std::min<unsigned>(
      {distribution.contiguity(), 4u, unsigned(16 / memory.elementBytes())});
}

Value Gather::hasWholeRuns(unsigned width) {
  Value all = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                    columnStride, indexConstant(b, loc, 1));
  Type i64 = b.getI64Type();
  Value bits = LLVM::PtrToIntOp::create(b, loc, i64, origin);
  if (rowStride) {
    Value stride = arith::IndexCastOp::create(b, loc, i64, rowStride);
    stride = arith::MulIOp::create(
        b, loc, stride,
        arith::ConstantIntOp::create(b, loc, memory.elementBytes(), 64));
    bits = arith::OrIOp::create(b, loc, bits, stride);
  }
  auto addMultiple = [&](Value number, int64_t factor) {
    Type type = number.getType();
    auto constant = [&](int64_t value) {
      return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
    };
    Value rest = arith::AndIOp::create(b, loc, number, constant(factor - 1));
    Value isMultiple = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                             rest, constant(0));
    all = arith::AndIOp::create(b, loc, all, isMultiple);
  };
  addMultiple(bits, width * memory.elementBytes());
  for (const Bound &bound : bounds)
    if (bound.columns != 0)
      addMultiple(arith::OrIOp::create(b, loc, bound.lower, bound.span), width);
  return all;
}

SmallVector<Value> Gather::loadRuns(unsigned width) {
  Type element = memory.type.getElementType();
  SmallVector<Value> values;
  for (unsigned r = 0; r < distribution.numRegisters(); r += width)
    for (Value loaded : loadElements(
             b, loc, element, pointer(r, /*isUnit=*/true), exists(r), width))
      values.push_back(narrow(b, loc, element, loaded));
  return values;
}

SmallVector<Value> Gather::load() {
  unsigned width = widestRun();
  if (width < 2)
    return loadEach();
  Value whole = hasWholeRuns(width);
  SmallVector<Type> types(distribution.numRegisters(),
                          memory.type.getElementType());
  // Pairs are packed later; until then they are integers.
  if (isPacked(types.front()))
    types.assign(types.size(), getLoadedType(types.front()));
  auto branch = scf::IfOp::create(b, loc, types, whole, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  for (bool isWhole : {true, false}) {
    known.clear();
    b.setInsertionPointToStart(isWhole ? branch.thenBlock()
                                       : branch.elseBlock());
    scf::YieldOp::create(b, loc, isWhole ? loadRuns(width) : loadEach());
  }
  return branch.getResults();
}

SmallVector<Value> Gather::loadEach() {
  Type element = memory.type.getElementType();
  std::map<std::vector<const void *>, Value> loaded;
  std::map<std::pair<int64_t, int64_t>, const char *> places;
  SmallVector<Value> values;
  for (unsigned r = 0; r < distribution.numRegisters(); ++r) {
    // Elements of one address and condition are read once.
    ArrayRef<int64_t> at = distribution.offset(r);
    std::pair<int64_t, int64_t> place{onRows ? at[0] : 0,
                                      onColumns ? at[1] : 0};
    const void *where = &*places.try_emplace(place).first;
    std::vector<const void *> key{where};
    for (ValueRange offset : adaptor.getOffsets())
      key.push_back(offset[r].getAsOpaquePointer());
    if (op.getValid())
      key.push_back(adaptor.getValid()[r].getAsOpaquePointer());
    Value &value = loaded[key];
    if (!value)
      value = narrow(
          b, loc, element,
          loadElements(b, loc, element, pointer(r), exists(r), 1).front());
    values.push_back(value);
  }
  return values;
}

struct GatherElementsPattern : OpConversionPattern<GatherElementsOp> {
  GatherElementsPattern(const TypeConverter &converter, MLIRContext *context,
                        const KernelContext &kernels)
      : OpConversionPattern(converter, context), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(GatherElementsOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    LayoutAttr layout = getLayout(op.getType());
    if (!layout || failed(Distribution(layout).verifyAddsOffsets(op)))
      return failure();
    Location loc = op.getLoc();
    SmallVector<Value> values =
        Gather(rewriter, op, adaptor, kernels.threadIds(op)).load();
    if (isPacked(op.getType().getElementType())) {
      SmallVector<Value> pairs;
      Type i32 = rewriter.getI32Type();
      for (size_t r = 0; r + 1 < values.size(); r += 2) {
        Value low = arith::ExtUIOp::create(rewriter, loc, i32, values[r]);
        Value high = arith::ExtUIOp::create(rewriter, loc, i32, values[r + 1]);
        high = arith::ShLIOp::create(rewriter, loc, high,
                                     i32Constant(rewriter, loc, 16));
        pairs.push_back(arith::OrIOp::create(rewriter, loc, low, high));
      }
      values = pairs;
    }
    rewriter.replaceOpWithMultiple(op, {values});
    return success();
  }

private:
  const KernelContext &kernels;
};

} // namespace

void populateGatherPatterns(const TileTypeConverter &converter,
                            const KernelContext &kernels,
                            RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<LookupPattern, VotePattern>(converter, context);
  patterns.add<GatherElementsPattern, PutPattern>(converter, context, kernels);
}

} // namespace mlir::flash_tile
