//===- TileInliner.cpp - Scalar regions on tiles --------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileInliner.h"

#include "flash/Conversion/ExpandMath.h"
#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Dialect/FlashTile/IR/FlashTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::flash;
using arith::CmpIPredicate;

/// Bases of comparisons are kept within [-2^30, 2^30), and what is added to
/// them within (-2^30 + 1, 2^30 - 1): no sum of the two leaves 32 bits, and a
/// comparison with a base that was cut off has the same outcome for every
/// element.
static constexpr int64_t kBaseLimit = int64_t(1) << 30;

//===----------------------------------------------------------------------===//
// Uniform values
//===----------------------------------------------------------------------===//

Value UniformValues::get(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  if (!op)
    return Value();
  // Mapped, and not only returned: a clone of their user looks them up.
  if (isa<AlignmentOp, HeadsOp>(op)) {
    Value size = isa<AlignmentOp>(op) ? alignment : heads;
    mapping.map(value, size);
    return size;
  }
  for (Value operand : op->getOperands())
    get(operand);
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    SmallVector<Value> indices;
    for (Value index : load.getIndices())
      indices.push_back(mapping.lookup(index));
    Value read = flash_tile::LookupOp::create(
        builder, op->getLoc(), load.getMemRefType().getElementType(),
        mapping.lookup(load.getMemRef()), indices, /*predicate=*/Value());
    mapping.map(value, read);
    return read;
  }
  builder.clone(*op, mapping);
  return mapping.lookup(value);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

RankedTensorType TileInliner::tileType(Type element) const {
  // An index is 64 bits wide on every target.
  if (element.isIndex())
    element = IntegerType::get(element.getContext(), 64);
  return RankedTensorType::get({tileQ, tileK}, element);
}

Value TileInliner::splat(Location loc, Value scalar) {
  RankedTensorType type = tileType(scalar.getType());
  Attribute constant;
  if (matchPattern(scalar, m_Constant(&constant))) {
    if (auto integer = dyn_cast<IntegerAttr>(constant);
        integer && integer.getType().isIndex())
      constant = IntegerAttr::get(type.getElementType(), integer.getInt());
    return arith::ConstantOp::create(builder, loc,
                                     DenseElementsAttr::get(type, constant));
  }
  if (scalar.getType().isIndex())
    scalar = builder.createOrFold<arith::IndexCastOp>(
        loc, type.getElementType(), scalar);
  return flash_tile::SplatOp::create(builder, loc, type, scalar);
}

/// True where |rows * i + columns * j| < 2^30 - 1 for all elements of the tile.
static bool isNarrow(int64_t rows, int64_t columns, int64_t tileQ,
                     int64_t tileK) {
  auto isSmall = [](int64_t factor) {
    return factor > -kBaseLimit && factor < kBaseLimit;
  };
  if (!isSmall(rows) || !isSmall(columns))
    return false;
  return std::abs(rows) * tileQ + std::abs(columns) * tileK < kBaseLimit - 1;
}

Value TileInliner::relative(Location loc, int64_t rows, int64_t columns) {
  bool narrow = isNarrow(rows, columns, tileQ, tileK);
  Type coordinate = builder.getI32Type();
  Type element = narrow ? coordinate : builder.getI64Type();
  Value sum;
  for (auto [axis, factor] : {std::pair<int64_t, int64_t>{0, rows},
                              std::pair<int64_t, int64_t>{1, columns}}) {
    if (factor == 0)
      continue;
    Value term =
        flash_tile::IndexOp::create(builder, loc, tileType(coordinate), axis);
    if (!narrow)
      term = arith::ExtSIOp::create(builder, loc, tileType(element), term);
    if (factor == -1 && sum) {
      sum = arith::SubIOp::create(builder, loc, sum, term);
      continue;
    }
    if (factor != 1) {
      Value by = arith::ConstantOp::create(
          builder, loc,
          DenseElementsAttr::get(tileType(element),
                                 builder.getIntegerAttr(element, factor)));
      term = arith::MulIOp::create(builder, loc, term, by);
    }
    sum =
        sum ? arith::AddIOp::create(builder, loc, sum, term).getResult() : term;
  }
  return sum;
}

Value TileInliner::materialize(Location loc, const TileValue &value) {
  if (value.kind == TileValue::Kind::Tile)
    return value.value;
  Value base = splat(loc, value.value);
  if (value.kind == TileValue::Kind::Uniform ||
      (value.rows == 0 && value.columns == 0))
    return base;
  Value offset = relative(loc, value.rows, value.columns);
  if (offset.getType() != base.getType())
    offset = arith::ExtSIOp::create(builder, loc, base.getType(), offset);
  return arith::AddIOp::create(builder, loc, offset, base);
}

Value TileInliner::truncate(Location loc, const TileValue &value) {
  // Modulo 2^32, base and offset may be cut off before the addition.
  Type i32 = builder.getI32Type();
  Value base = splat(
      loc, builder.createOrFold<arith::IndexCastOp>(loc, i32, value.value));
  if (value.rows == 0 && value.columns == 0)
    return base;
  Value offset = relative(loc, value.rows, value.columns);
  if (offset.getType() != base.getType())
    offset = arith::TruncIOp::create(builder, loc, base.getType(), offset);
  return arith::AddIOp::create(builder, loc, offset, base);
}

Value TileInliner::clamp(Location loc, Value scalar, int64_t low,
                         int64_t high) {
  Value least = arith::ConstantIndexOp::create(builder, loc, low);
  Value most = arith::ConstantIndexOp::create(builder, loc, high);
  scalar = builder.createOrFold<arith::MaxSIOp>(loc, scalar, least);
  return builder.createOrFold<arith::MinSIOp>(loc, scalar, most);
}

std::optional<TileValue> TileInliner::asAffine(Value value) {
  TileValue known = values.lookup(value);
  if (known.kind == TileValue::Kind::Affine)
    return known;
  Type type = value.getType();
  if (known.kind != TileValue::Kind::Uniform ||
      !(type.isIndex() || type.isInteger(64)))
    return std::nullopt;
  TileValue affine = known;
  affine.kind = TileValue::Kind::Affine;
  if (!type.isIndex())
    affine.value = builder.createOrFold<arith::IndexCastOp>(
        value.getLoc(), builder.getIndexType(), known.value);
  return affine;
}

//===----------------------------------------------------------------------===//
// Ops of the region
//===----------------------------------------------------------------------===//

/// Integer divisions, undefined where the divisor is zero.
static bool isDivision(Operation &op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
             arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op);
}

/// Ops that exist on scalars and on tiles alike, with scalar operands.
static bool isScalarOp(Operation &op) {
  auto isScalar = [](Type type) { return type.isIntOrIndexOrFloat(); };
  if (isa<memref::DimOp>(op))
    return true;
  bool isKnown = isa<AlignmentOp, HeadsOp>(op) ||
                 isa<arith::ArithDialect, math::MathDialect>(op.getDialect());
  return isKnown && isMemoryEffectFree(&op) &&
         llvm::all_of(op.getOperandTypes(), isScalar) &&
         llvm::all_of(op.getResultTypes(), isScalar);
}

/// Clones an op whose operands are uniform as a scalar op; in front of the loop
/// where that is allowed.
bool TileInliner::inlineUniform(Operation &op) {
  bool isUniform = llvm::all_of(op.getOperands(), [&](Value operand) {
    return values.lookup(operand).kind == TileValue::Kind::Uniform;
  });
  if (!isUniform || !isScalarOp(op) || op.getNumResults() != 1)
    return false;
  TileValue result;
  result.kind = TileValue::Kind::Uniform;
  // An operand that had to stay in the loop, because it may trap, is unknown
  // in front of it.
  bool isHoistable =
      isPure(&op) && llvm::all_of(op.getOperands(), [&](Value operand) {
        return uniforms.isKnown(operand);
      });
  if (isHoistable) {
    result.value = uniforms.get(op.getResult(0));
  } else {
    IRMapping mapping;
    for (Value operand : op.getOperands())
      mapping.map(operand, values.lookup(operand).value);
    if (isDivision(op))
      mapping.map(op.getOperand(1),
                  avoidZero(op.getLoc(), mapping.lookup(op.getOperand(1))));
    result.value = builder.clone(op, mapping)->getResult(0);
  }
  APInt constant;
  if (matchPattern(op.getResult(0), m_ConstantInt(&constant))) {
    result.bits = constant.getSignificantBits();
    result.isPosition = constant.abs().ult(TileValue::kPositionLimit);
    if (result.isPosition)
      result.constant = constant.abs().getSExtValue();
  } else if (isa<AlignmentOp, HeadsOp>(op)) {
    result.bits = uniforms.getSizeBits();
    // An alignment that is given may be any number.
    result.isPosition = isa<AlignmentOp>(op) && result.bits < 64;
    result.alignments = 1;
  }
  values[op.getResult(0)] = result;
  return true;
}

std::optional<TileValue> TileInliner::inlineAffine(Operation &op) {
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    return std::nullopt;
  std::optional<TileValue> lhs = asAffine(op.getOperand(0));
  std::optional<TileValue> rhs = asAffine(op.getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  Location loc = op.getLoc();
  TileValue result;
  result.kind = TileValue::Kind::Affine;
  bool overflows = false;
  if (isa<arith::MulIOp>(op)) {
    APInt constant;
    if (matchPattern(op.getOperand(0), m_ConstantInt(&constant)))
      std::swap(lhs, rhs);
    else if (!matchPattern(op.getOperand(1), m_ConstantInt(&constant)))
      return std::nullopt;
    int64_t factor = constant.getSExtValue();
    overflows = llvm::MulOverflow(lhs->rows, factor, result.rows) ||
                llvm::MulOverflow(lhs->columns, factor, result.columns);
    if (!overflows)
      result.value =
          builder.createOrFold<arith::MulIOp>(loc, lhs->value, rhs->value);
    result.bits = std::min(64u, lhs->bits + rhs->bits);
    if (factor == -1) {
      TileValue zero;
      zero.isPosition = true;
      result.setPosition(zero, *lhs, factor);
    }
  } else if (isa<arith::AddIOp>(op)) {
    overflows = llvm::AddOverflow(lhs->rows, rhs->rows, result.rows) ||
                llvm::AddOverflow(lhs->columns, rhs->columns, result.columns);
    if (!overflows)
      result.value =
          builder.createOrFold<arith::AddIOp>(loc, lhs->value, rhs->value);
    result.bits = std::min(64u, std::max(lhs->bits, rhs->bits) + 1);
    result.setPosition(*lhs, *rhs, /*sign=*/1);
  } else {
    overflows = llvm::SubOverflow(lhs->rows, rhs->rows, result.rows) ||
                llvm::SubOverflow(lhs->columns, rhs->columns, result.columns);
    if (!overflows)
      result.value =
          builder.createOrFold<arith::SubIOp>(loc, lhs->value, rhs->value);
    result.bits = std::min(64u, std::max(lhs->bits, rhs->bits) + 1);
    result.setPosition(*lhs, *rhs, /*sign=*/-1);
  }
  if (overflows)
    return std::nullopt;
  return result;
}

std::optional<TileValue> TileInliner::inlineCompare(Operation &op) {
  auto compare = dyn_cast<arith::CmpIOp>(op);
  if (!compare)
    return std::nullopt;
  CmpIPredicate predicate = compare.getPredicate();
  switch (predicate) {
  case CmpIPredicate::ult:
  case CmpIPredicate::ule:
  case CmpIPredicate::ugt:
  case CmpIPredicate::uge:
    return std::nullopt;
  default:
    break;
  }
  std::optional<TileValue> lhs = asAffine(compare.getLhs());
  std::optional<TileValue> rhs = asAffine(compare.getRhs());
  if (!lhs || !rhs)
    return std::nullopt;
  // columns * j + rows * i  <predicate>  base, then the columns alone on the
  // left, with a positive sign: masks compare the key with a bound of the row.
  int64_t rows, columns;
  if (llvm::SubOverflow(lhs->rows, rhs->rows, rows) ||
      llvm::SubOverflow(lhs->columns, rhs->columns, columns) ||
      !isNarrow(rows, columns, tileQ, tileK))
    return std::nullopt;
  Location loc = op.getLoc();
  // Magnitudes of 2^61 and above are no indices of anything; cutting them off
  // keeps the difference of the bases within 64 bits.
  for (TileValue *side : {&*lhs, &*rhs})
    if (side->bits > 61)
      side->value =
          clamp(loc, side->value, -(int64_t(1) << 61), int64_t(1) << 61);
  bool flip = columns < 0 || (columns == 0 && rows < 0);
  Value base =
      flip ? builder.createOrFold<arith::SubIOp>(loc, lhs->value, rhs->value)
           : builder.createOrFold<arith::SubIOp>(loc, rhs->value, lhs->value);
  if (flip) {
    rows = -rows;
    columns = -columns;
    switch (predicate) {
    case CmpIPredicate::slt:
      predicate = CmpIPredicate::sgt;
      break;
    case CmpIPredicate::sle:
      predicate = CmpIPredicate::sge;
      break;
    case CmpIPredicate::sgt:
      predicate = CmpIPredicate::slt;
      break;
    case CmpIPredicate::sge:
      predicate = CmpIPredicate::sle;
      break;
    default:
      break;
    }
  }
  TileValue result;
  if (rows == 0 && columns == 0) {
    result.kind = TileValue::Kind::Uniform;
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    result.value =
        builder.createOrFold<arith::CmpIOp>(loc, predicate, zero, base);
    return result;
  }
  base = builder.createOrFold<arith::IndexCastOp>(
      loc, builder.getI32Type(), clamp(loc, base, -kBaseLimit, kBaseLimit - 1));
  Value bound = splat(loc, base);
  Value left;
  if (columns == 0) {
    left = relative(loc, rows, 0);
  } else {
    left = relative(loc, 0, columns);
    if (rows != 0) {
      Value row = relative(loc, std::abs(rows), 0);
      bound = rows < 0
                  ? arith::AddIOp::create(builder, loc, row, bound).getResult()
                  : arith::SubIOp::create(builder, loc, bound, row).getResult();
    }
  }
  result.kind = TileValue::Kind::Tile;
  result.value = arith::CmpIOp::create(builder, loc, predicate, left, bound);
  return result;
}

/// Casts between index and integers, truncation, and conversion to float.
std::optional<TileValue> TileInliner::inlineCast(Operation &op) {
  if (!isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::TruncIOp,
           arith::SIToFPOp>(op))
    return std::nullopt;
  Location loc = op.getLoc();
  Value source = op.getOperand(0);
  Type to = op.getResult(0).getType();
  TileValue operand = values.lookup(source);
  bool isAffine = operand.kind == TileValue::Kind::Affine;
  TileValue result;
  if (isa<arith::SIToFPOp>(op)) {
    // An index and a distance fit 32 bits: an integer of that width converts in
    // one instruction. What is cut off is out of reach of the sizes.
    if (!isAffine || !operand.fitsSizes())
      return std::nullopt;
    int64_t reach = tileQ + tileK;
    operand.value =
        clamp(loc, operand.value, INT32_MIN + reach, INT32_MAX - reach);
    result.value = arith::SIToFPOp::create(builder, loc, tileType(to),
                                           truncate(loc, operand));
    return result;
  }
  unsigned fromWidth = source.getType().isIndex()
                           ? 64
                           : source.getType().getIntOrFloatBitWidth();
  unsigned toWidth = to.isIndex() ? 64 : to.getIntOrFloatBitWidth();
  if (fromWidth == toWidth)
    return operand;
  if (toWidth < fromWidth) {
    Value tile = isAffine && toWidth <= 32 ? truncate(loc, operand)
                                           : materialize(loc, operand);
    if (tile.getType() != tileType(to))
      tile = arith::TruncIOp::create(builder, loc, tileType(to), tile);
    result.value = tile;
    return result;
  }
  Value tile = materialize(loc, operand);
  result.value =
      isa<arith::IndexCastUIOp>(op)
          ? arith::ExtUIOp::create(builder, loc, tileType(to), tile).getResult()
          : arith::ExtSIOp::create(builder, loc, tileType(to), tile)
                .getResult();
  return result;
}

LogicalResult TileInliner::inlineElementwise(Operation &op) {
  bool isElementwise =
      OpTrait::hasElementwiseMappableTraits(&op) && isScalarOp(op);
  if (!isElementwise)
    return op.emitError() << role << " region: '" << op.getName()
                          << "' is not yet lowered to tiles (expected "
                             "elementwise arith and math ops, loads of "
                             "captures and scf.if)";
  // Tiles of f16 and bf16 are f32 already.
  auto isNarrow = [](Type type) { return type.isF16() || type.isBF16(); };
  if (isa<arith::ExtFOp>(op) && isNarrow(op.getOperand(0).getType()) &&
      op.getResult(0).getType().isF32()) {
    values[op.getResult(0)] = values.lookup(op.getOperand(0));
    return success();
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    values[select.getResult()] =
        buildSelect(op.getLoc(), values.lookup(select.getCondition()),
                    values.lookup(select.getTrueValue()),
                    values.lookup(select.getFalseValue()));
    return success();
  }
  if (llvm::any_of(op.getOperandTypes(), isNarrow) ||
      llvm::any_of(op.getResultTypes(), isNarrow))
    return op.emitError() << role << " region: '" << op.getName()
                          << "': expected f32 (extend what is read first), got "
                          << (isNarrow(op.getResult(0).getType())
                                  ? op.getResult(0).getType()
                                  : op.getOperand(0).getType());
  OperationState state(op.getLoc(), op.getName());
  state.attributes = op.getAttrDictionary();
  TileValue result;
  for (Value operand : op.getOperands()) {
    const TileValue &value = values[operand];
    state.operands.push_back(materialize(op.getLoc(), value));
    result.onRows |= value.onRows;
    result.onColumns |= value.onColumns;
  }
  if (isDivision(op))
    state.operands[1] = avoidZero(op.getLoc(), state.operands[1]);
  for (Type type : op.getResultTypes())
    state.types.push_back(tileType(type));
  Operation *tiled = builder.create(state);
  for (auto [scalar, tile] : llvm::zip(op.getResults(), tiled->getResults())) {
    result.value = tile;
    values[scalar] = result;
  }
  return success();
}

/// What has registers and arithmetic on the target.
static bool isLowered(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return integer.isSignless() && integer.getWidth() <= 64;
  return type.isF16() || type.isBF16() || type.isF32() || type.isF64() ||
         isa<IndexType, MemRefType>(type);
}

LogicalResult TileInliner::verifyOp(Operation &op) {
  for (TypeRange types :
       {TypeRange(op.getOperandTypes()), TypeRange(op.getResultTypes())})
    for (Type type : types)
      if (!isLowered(type))
        return op.emitError()
               << role << " region: '" << op.getName()
               << "': expected index, integers of at most 64 bits, f16, bf16, "
                  "f32 or f64, got "
               << type;
  std::string missing = flash_tile::getMissingExpansion(&op);
  if (!missing.empty())
    return op.emitError() << role << " region: '" << op.getName() << "' "
                          << missing;
  return success();
}

LogicalResult TileInliner::inlineOp(Operation &op) {
  if (failed(verifyOp(op)))
    return failure();
  if (inlineUniform(op))
    return success();
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return inlineLoad(load);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return inlineIf(branch);
  for (auto attempt : {&TileInliner::inlineAffine, &TileInliner::inlineCompare,
                       &TileInliner::inlineCast})
    if (std::optional<TileValue> result = (this->*attempt)(op)) {
      for (Value operand : op.getOperands()) {
        result->onRows |= values[operand].onRows;
        result->onColumns |= values[operand].onColumns;
      }
      values[op.getResult(0)] = *result;
      return success();
    }
  return inlineElementwise(op);
}

FailureOr<Value>
TileInliner::inlineRegion(Region &region, unsigned queryArgument, Value score) {
  Block &block = region.front();
  for (BlockArgument argument : block.getArguments()) {
    TileValue value;
    unsigned number = argument.getArgNumber();
    if (number == 0 && score) {
      value.value = score;
      value.onRows = value.onColumns = true;
    } else if (number == queryArgument) {
      value = firstQuery;
      value.kind = TileValue::Kind::Affine;
      value.isPosition = value.bits < 64;
      value.rows = 1;
      value.onRows = true;
    } else if (number == queryArgument + 1) {
      value = firstKey;
      value.kind = TileValue::Kind::Affine;
      value.isPosition = value.bits < 64;
      value.columns = 1;
      value.onColumns = true;
    } else {
      value.value = uniforms.get(argument);
      value.kind = TileValue::Kind::Uniform;
      value.bits = uniforms.getBits(argument);
    }
    values[argument] = value;
  }
  for (Operation &op : block.without_terminator())
    if (failed(inlineOp(op)))
      return failure();
  Operation *yield = block.getTerminator();
  return materialize(yield->getLoc(), values.lookup(yield->getOperand(0)));
}

Value TileInliner::avoidZero(Location loc, Value divisor) {
  Attribute known;
  if (matchPattern(divisor, m_Constant(&known)))
    return divisor;
  Type type = divisor.getType();
  auto constant = [&](int64_t value) -> Value {
    TypedAttr attribute =
        builder.getIntegerAttr(getElementTypeOrSelf(type), value);
    if (auto tile = dyn_cast<RankedTensorType>(type))
      attribute = DenseElementsAttr::get(tile, Attribute(attribute));
    return arith::ConstantOp::create(builder, loc, attribute);
  };
  Value isZero = arith::CmpIOp::create(builder, loc, CmpIPredicate::eq, divisor,
                                       constant(0));
  return arith::SelectOp::create(builder, loc, isZero, constant(1), divisor);
}

/// The i1 tile of `first` + the coordinate along `axis` < `bound`.
Value TileInliner::below(Location loc, Value first, int64_t axis, Value bound) {
  Value distance = builder.createOrFold<arith::SubIOp>(loc, bound, first);
  Value limit = builder.createOrFold<arith::IndexCastOp>(
      loc, builder.getI32Type(),
      clamp(loc, distance, -kBaseLimit, kBaseLimit - 1));
  return arith::CmpIOp::create(builder, loc, CmpIPredicate::slt,
                               relative(loc, axis == 0, axis == 1),
                               splat(loc, limit));
}

Value TileInliner::keysBelow(Location loc, Value bound) {
  return below(loc, firstKey.value, /*axis=*/1, bound);
}

Value TileInliner::rowsBelow(Location loc, Value bound) {
  return below(loc, firstQuery.value, /*axis=*/0, bound);
}
