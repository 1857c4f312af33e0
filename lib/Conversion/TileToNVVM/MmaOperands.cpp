//===- MmaOperands.cpp - Fragments of the operands of a dot ---------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ldmatrix.x4 reads four matrices of 8 rows by 16 bytes; lane i supplies the
// address of row i mod 8 of matrix i / 8 and lane 4r + c receives the bytes
// 4c .. 4c + 3 of row r, which is what A and B stored N x K want whatever their
// element type. With .trans a matrix is 8 x 8 elements of 16 bits, and lane
// 4r + c receives the elements (2c, r) and (2c + 1, r):
//
//   operand                 matrices 0..3 at (row, bytes)   registers   .trans
//   A, stored M x K         (0,0) (8,0) (0,16) (8,16)       a0..a3      no
//   B, stored N x K         (0,0) (8,0) (0,16) (8,16)       b0|b0 b1|b1 no
//   B, K x N, 16 bits       (0,0) (8,0) (0,16) (8,16)       b0 b1|b0 b1 yes
//   B, K x N, 8 bits        32 rows by 16 bytes             see below   yes
//
// The first three address row i mod 16 and chunk i / 16 of a block of 16 rows
// by 32 bytes: operands that differ in their buffer only share their address
// registers. A last odd column of atoms, stored N x K, reads (0,0) (0,16) by
// ldmatrix.x2 instead.
//
// Bytes K x N are read as if each pair of columns were one 16-bit column. Lane
// 4r + c then has, of rows 2c and 2c + 1 of a matrix, the bytes of columns 2r
// and 2r + 1: two byte permutes over two matrices take the four bytes of column
// 2r to one register and those of column 2r + 1 to another. So one instruction
// gets the even columns, the next one the odd columns of sixteen, and register
// i (0, 1) of lane 4g + c has, as byte j, row 2c + j mod 2 of matrix 2i + j
// / 2. That is slot 16i + 4c + j; the lane that addresses the row takes the row
// that this slot stands for. An accumulator as operand A wants the order in
// which that is row i for lane i; in natural order matrix 0 is of rows 0, 1, 4,
// 5, ...
//
//===----------------------------------------------------------------------===//

#include "MmaOperands.h"

namespace mlir::flash_tile {

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

bool repeatsPerMatrix(ViewType view) {
  SwizzleAttr swizzle = view.getSwizzle();
  return !swizzle || !swizzle.getBits() ||
         swizzle.getBits() + swizzle.getShift() <= 3;
}

SharedPointers::SharedPointers(OpBuilder &b, Location loc, ViewType view,
                               Value base, Value lowRow, Value rowStart,
                               Value chunk, Value byte, Value farChunk)
    : loc(loc), base(base), rowStart(rowStart), chunk(chunk),
      farChunk(farChunk), byte(byte), bytesPerRow(rowBytes(view)) {
  // A buffer's offset goes into the instructions' immediate, so that readers
  // of several buffers compute the same addresses.
  if (auto gep = base.getDefiningOp<LLVM::GEPOp>())
    if (gep.getDynamicIndices().empty() && gep.getElemType().isInteger(8) &&
        gep.getRawConstantIndices().size() == 1) {
      this->base = gep.getBase();
      baseBytes = gep.getRawConstantIndices().front();
    }
  SwizzleAttr swizzle = view.getSwizzle();
  if (!swizzle || !swizzle.getBits())
    return;
  bits = swizzle.getBits();
  shift = swizzle.getShift();
  if (!lowRow)
    return;
  Value flip =
      arith::ShRUIOp::create(b, loc, lowRow, i32Constant(b, loc, shift));
  flip = arith::AndIOp::create(b, loc, flip, i32Constant(b, loc, nearMask()));
  // Without an offset in front, all XORs are one.
  if (farChunk)
    laneFlip = flip;
  else
    this->chunk =
        chunk ? arith::XOrIOp::create(b, loc, chunk, flip).getResult() : flip;
}

Value SharedPointers::pointerFor(OpBuilder &b, int64_t nearChunk,
                                 int64_t flip) {
  if (!farChunk) {
    flip ^= nearChunk;
    nearChunk = 0;
  }
  Value &pointer = pointers[{nearChunk, flip}];
  if (pointer)
    return pointer;
  Value flipped = chunk;
  if (farChunk) {
    flipped = addI32(b, loc, flipped, farChunk);
    flipped = addI32(b, loc, flipped, nearChunk);
    if (laneFlip)
      flipped = arith::XOrIOp::create(b, loc, flipped, laneFlip);
  }
  if (flip) {
    Value constant = i32Constant(b, loc, flip);
    flipped = flipped
                  ? arith::XOrIOp::create(b, loc, flipped, constant).getResult()
                  : constant;
  }
  Value offset = rowStart;
  if (flipped) {
    Value bytes =
        arith::ShLIOp::create(b, loc, flipped, i32Constant(b, loc, 4));
    offset = addI32(b, loc, offset, bytes);
  }
  offset = addI32(b, loc, offset, byte);
  pointer = offset ? advance(b, loc, base, b.getI8Type(), offset) : base;
  return pointer;
}

Value SharedPointers::at(OpBuilder &b, int64_t rows, int64_t bytes) {
  int64_t chunks = bytes / 16, nearChunk = chunks & nearMask();
  Value pointer = pointerFor(b, nearChunk, ((rows & 7) >> shift) & nearMask());
  // Chunks above the swizzled bits are a plain byte offset.
  return advanceBytes(b, loc, pointer,
                      baseBytes + rows * bytesPerRow +
                          (chunks - nearChunk) * 16 + bytes % 16);
}

//===----------------------------------------------------------------------===//
// Registers
//===----------------------------------------------------------------------===//

namespace {
/// One register of `count` integers, the first lowest.
Value packElements(OpBuilder &b, Location loc, int64_t count,
                   function_ref<Value(int64_t)> element) {
  Type type = b.getIntegerType(32 / count);
  Value packed = LLVM::PoisonOp::create(b, loc, VectorType::get(count, type));
  for (int64_t i = 0; i < count; ++i)
    packed = LLVM::InsertElementOp::create(b, loc, packed, element(i),
                                           i32Constant(b, loc, i));
  return LLVM::BitcastOp::create(b, loc, b.getI32Type(), packed);
}

class RegistersOfA : public AFragments {
public:
  RegistersOfA(Location loc, const Distribution &distribution,
               ValueRange registers, const MmaInstruction &mma,
               const ContractionOrder &order)
      : loc(loc), distribution(distribution), registers(registers), mma(mma),
        order(order) {}

  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t k) override {
    SmallVector<Value> values;
    for (int64_t i = 0; i < 4; ++i) {
      unsigned r = *distribution.registerAt(
          {row + 8 * (i % 2), k + order.element(i / 2, 0)});
      if (mma.elementType().isInteger())
        values.push_back(
            packElements(b, loc, mma.perRegister(),
                         [&](int64_t e) { return registers[r + e]; }));
      else
        values.push_back(registers[r / mma.perRegister()]);
    }
    return values;
  }

  /// Every element of every register is where the instruction wants it.
  bool fits() const {
    ArrayRef<int64_t> lanes = distribution.getAttr().getLaneBases();
    const int64_t expected[] = {
        0, order.laneVectors()[0], 0, order.laneVectors()[1], 1, 0, 2, 0, 4, 0};
    if (distribution.rank() != 2 || lanes != ArrayRef(expected))
      return false;
    for (unsigned r = 0; r < distribution.numRegisters(); ++r) {
      ArrayRef<int64_t> at = distribution.offset(r);
      if (at[0] % 16 || at[1] % mma.depth())
        continue;
      for (int64_t i = 0; i < 4; ++i)
        for (int64_t e = 0; e < mma.perRegister(); ++e) {
          auto element = [&](int64_t e) {
            return distribution.registerAt(
                {at[0] + 8 * (i % 2), at[1] + order.element(i / 2, e)});
          };
          std::optional<unsigned> first = element(0), here = element(e);
          if (!first || !here || *first % mma.perRegister() ||
              *here != *first + e)
            return false;
        }
    }
    return true;
  }

private:
  Location loc;
  Distribution distribution;
  ValueRange registers;
  MmaInstruction mma;
  ContractionOrder order;
};
} // namespace

std::unique_ptr<AFragments> registersOfA(Location loc, LayoutAttr layout,
                                         ValueRange registers,
                                         const MmaInstruction &mma,
                                         const ContractionOrder &order) {
  auto result = std::make_unique<RegistersOfA>(loc, Distribution(layout),
                                               registers, mma, order);
  if (!result->fits())
    return nullptr;
  return result;
}

//===----------------------------------------------------------------------===//
// ldmatrix
//===----------------------------------------------------------------------===//

namespace {

/// Bit `bit` of the lane's number times `scale`.
Value laneBit(OpBuilder &b, Location loc, const ThreadIds &ids, unsigned bit,
              int64_t scale) {
  Value v = arith::ShRUIOp::create(b, loc, ids.lane, i32Constant(b, loc, bit));
  v = arith::AndIOp::create(b, loc, v, i32Constant(b, loc, 1));
  return scale == 1
             ? v
             : arith::MulIOp::create(b, loc, v, i32Constant(b, loc, scale))
                   .getResult();
}

Value lowBits(OpBuilder &b, Location loc, Value value, int64_t mask) {
  return arith::AndIOp::create(b, loc, value, i32Constant(b, loc, mask));
}

SmallVector<Value> loadMatrices(OpBuilder &b, Location loc, Value pointer,
                                unsigned count, bool transpose) {
  SmallVector<Type> parts(count, b.getI32Type());
  Type result = LLVM::LLVMStructType::getLiteral(b.getContext(), parts);
  auto shape = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(b, loc, result, pointer, count,
                                          transpose ? NVVM::MMALayout::col
                                                    : NVVM::MMALayout::row,
                                          shape, NVVM::LdStMatrixEltType::B16);
  SmallVector<Value> values;
  for (unsigned i = 0; i < count; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, loc, loaded, i));
  return values;
}

/// The byte at which row `row` of a view starts.
Value startOfRow(OpBuilder &b, Location loc, ViewType view, Value row) {
  return arith::MulIOp::create(b, loc, row,
                               i32Constant(b, loc, rowBytes(view)));
}

/// A block of 16 rows by 32 bytes. `rowBit` and `chunkBit` say which lane bit
/// selects the second eight rows and the second 16 bytes.
SharedPointers blockPointers(OpBuilder &b, Location loc,
                             const ViewOperand &operand, unsigned rowBit,
                             unsigned chunkBit, Value threadRow,
                             Value farChunk = {}) {
  Value low = lowBits(b, loc, operand.ids.lane, 7);
  Value row = addI32(
      b, loc, addI32(b, loc, low, laneBit(b, loc, operand.ids, rowBit, 8)),
      threadRow);
  Value start = startOfRow(b, loc, operand.type, row);
  Value chunk = laneBit(b, loc, operand.ids, chunkBit, 1);
  return SharedPointers(b, loc, operand.type, operand.base, low, start, chunk,
                        /*byte=*/{}, farChunk);
}

/// The chunk in which the warp's first column lies; null for the first one.
Value firstChunk(OpBuilder &b, Location loc, const ViewOperand &operand) {
  if (!operand.warpOffset)
    return {};
  Value bytes = operand.warpOffset;
  if (int64_t width = operand.mma.elementBytes(); width > 1)
    bytes = arith::MulIOp::create(b, loc, bytes, i32Constant(b, loc, width));
  return arith::ShRUIOp::create(b, loc, bytes, i32Constant(b, loc, 4));
}

class MatricesOfA : public AFragments {
public:
  MatricesOfA(OpBuilder &b, Location loc, const ViewOperand &operand)
      : loc(loc), bytes(operand.mma.elementBytes()),
        pointers(blockPointers(b, loc, operand, 3, 4, operand.warpOffset)) {}
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t k) override {
    return loadMatrices(b, loc, pointers.at(b, row, k * bytes), 4, false);
  }

private:
  Location loc;
  int64_t bytes;
  SharedPointers pointers;
};

class MatricesOfTransposedB : public BFragments {
public:
  // ldmatrix.x2 takes its two addresses from lanes 0-15.
  MatricesOfTransposedB(OpBuilder &b, Location loc, const ViewOperand &operand,
                        bool odd)
      : loc(loc), bytes(operand.mma.elementBytes()), odd(odd),
        pointers(blockPointers(b, loc, operand, odd ? 4 : 3, odd ? 3 : 4,
                               operand.warpOffset)) {}
  unsigned atomsPerRead() const override { return 2; }
  SmallVector<Value> read(OpBuilder &b, int64_t k,
                          ArrayRef<int64_t> columns) override {
    SmallVector<Value> values =
        loadMatrices(b, loc, pointers.at(b, columns.front(), k * bytes),
                     2 * columns.size(), false);
    if (!odd)
      std::swap(values[1], values[2]);
    return values;
  }

private:
  Location loc;
  int64_t bytes;
  bool odd;
  SharedPointers pointers;
};

class PairMatricesOfB : public BFragments {
public:
  PairMatricesOfB(OpBuilder &b, Location loc, const ViewOperand &operand)
      : loc(loc),
        pointers(blockPointers(b, loc, operand, 3, 4, /*threadRow=*/{},
                               firstChunk(b, loc, operand))) {}
  unsigned atomsPerRead() const override { return 2; }
  SmallVector<Value> read(OpBuilder &b, int64_t k,
                          ArrayRef<int64_t> columns) override {
    return loadMatrices(b, loc, pointers.at(b, k, columns.front() * 2),
                        2 * columns.size(), true);
  }

private:
  Location loc;
  SharedPointers pointers;
};

class ByteMatricesOfB : public BFragments {
public:
  ByteMatricesOfB(OpBuilder &b, Location loc, const ViewOperand &operand,
                  const ContractionOrder &order)
      : loc(loc), pointers(makePointers(b, loc, operand, order)) {}
  unsigned atomsPerRead() const override { return 2; }
  SmallVector<Value> read(OpBuilder &b, int64_t k,
                          ArrayRef<int64_t> columns) override {
    SmallVector<Value> rows =
        loadMatrices(b, loc, pointers.at(b, k, columns.front()), 4, true);
    SmallVector<Value> values;
    // Bytes 0 and 2 of a pair of registers are the even column, 1 and 3 the
    // odd.
    for (int64_t selector : {0x6420, 0x7531})
      for (unsigned half : {0u, 1u})
        values.push_back(NVVM::PermuteOp::create(
            b, loc, b.getI32Type(), rows[2 * half], rows[2 * half + 1],
            i32Constant(b, loc, selector), NVVM::PermuteMode::DEFAULT));
    return values;
  }

private:
  /// Lane 16i + 8j + 4d + 2c + e addresses row 2 (2d + c) + e of matrix 2i + j:
  /// the row in slot 16i + 4 (2d + c) + 2j + e.
  static SharedPointers makePointers(OpBuilder &b, Location loc,
                                     const ViewOperand &operand,
                                     const ContractionOrder &order) {
    Value row;
    int64_t slot[] = {1, 4, 8, 2, 16};
    bool isLane = true;
    for (unsigned bit = 0; bit < 5; ++bit)
      isLane &= order[slot[bit]] == int64_t(1) << bit;
    if (isLane)
      row = operand.ids.lane;
    else
      for (unsigned bit = 0; bit < 5; ++bit) {
        Value part = laneBit(b, loc, operand.ids, bit, order[slot[bit]]);
        row = row ? arith::XOrIOp::create(b, loc, row, part).getResult() : part;
      }
    return SharedPointers(b, loc, operand.type, operand.base,
                          lowBits(b, loc, row, 7),
                          startOfRow(b, loc, operand.type, row), /*chunk=*/{},
                          /*byte=*/{}, firstChunk(b, loc, operand));
  }

  Location loc;
  SharedPointers pointers;
};

//===----------------------------------------------------------------------===//
// Plain loads
//===----------------------------------------------------------------------===//

/// Rows by bytes of depth, for A and for B stored N x K: lane 4g + t reads four
/// bytes at row g, byte 4t.
class PlainRows {
public:
  PlainRows(OpBuilder &b, Location loc, const ViewOperand &operand)
      : loc(loc),
        type(operand.mma.elementType().isF32() ? Type(b.getF32Type())
                                               : Type(b.getI32Type())),
        bytes(operand.mma.elementBytes()),
        pointers(makePointers(b, loc, operand)) {}

  Value load(OpBuilder &b, int64_t row, int64_t k, int64_t moreBytes) {
    return LLVM::LoadOp::create(b, loc, type,
                                pointers.at(b, row, k * bytes + moreBytes), 4);
  }

private:
  static SharedPointers makePointers(OpBuilder &b, Location loc,
                                     const ViewOperand &operand) {
    Value low = arith::ShRUIOp::create(b, loc, operand.ids.lane,
                                       i32Constant(b, loc, 2));
    Value byte = arith::ShLIOp::create(
        b, loc, lowBits(b, loc, operand.ids.lane, 3), i32Constant(b, loc, 2));
    return SharedPointers(b, loc, operand.type, operand.base, low,
                          startOfRow(b, loc, operand.type,
                                     addI32(b, loc, low, operand.warpOffset)),
                          /*chunk=*/{}, byte);
  }

  Location loc;
  Type type;
  int64_t bytes;
  SharedPointers pointers;
};

class PlainA : public AFragments {
public:
  PlainA(OpBuilder &b, Location loc, const ViewOperand &operand)
      : rows(b, loc, operand) {}
  SmallVector<Value> read(OpBuilder &b, int64_t row, int64_t k) override {
    SmallVector<Value> values;
    for (int64_t i = 0; i < 4; ++i)
      values.push_back(rows.load(b, row + 8 * (i % 2), k, 16 * (i / 2)));
    return values;
  }

private:
  PlainRows rows;
};

class PlainTransposedB : public BFragments {
public:
  PlainTransposedB(OpBuilder &b, Location loc, const ViewOperand &operand)
      : rows(b, loc, operand) {}
  unsigned atomsPerRead() const override { return 1; }
  SmallVector<Value> read(OpBuilder &b, int64_t k,
                          ArrayRef<int64_t> columns) override {
    return {rows.load(b, columns.front(), k, 0),
            rows.load(b, columns.front(), k, 16)};
  }

private:
  PlainRows rows;
};

/// Element by element: the elements of a register are a row apart. They are
/// put together in the register, as wmma.load does for a row-major B.
class PlainB : public BFragments {
public:
  PlainB(OpBuilder &b, Location loc, const ViewOperand &operand,
         const ContractionOrder &order, const ColumnOrder &columns)
      : loc(loc), mma(operand.mma), order(order),
        pointers(makePointers(b, loc, operand, order, columns)) {}
  unsigned atomsPerRead() const override { return 1; }
  SmallVector<Value> read(OpBuilder &b, int64_t k,
                          ArrayRef<int64_t> columns) override {
    SmallVector<Value> values;
    for (int64_t half : {0, 1})
      values.push_back(load(b, k, half, columns.front()));
    return values;
  }

private:
  Value load(OpBuilder &b, int64_t k, int64_t half, int64_t column) {
    const int64_t bytes = mma.elementBytes();
    auto element = [&](Type type, int64_t e) -> Value {
      Value pointer =
          pointers.at(b, k + order.element(half, e), column * bytes);
      return LLVM::LoadOp::create(b, loc, type, pointer, bytes);
    };
    if (bytes == 4)
      return element(b.getF32Type(), 0);
    return packElements(b, loc, mma.perRegister(), [&](int64_t e) {
      return element(b.getIntegerType(8 * bytes), e);
    });
  }

  /// Lane 4g + t: row as the order moves t, column as the column order moves g.
  static SharedPointers makePointers(OpBuilder &b, Location loc,
                                     const ViewOperand &operand,
                                     const ContractionOrder &order,
                                     const ColumnOrder &columns) {
    const int64_t bytes = operand.mma.elementBytes();
    Value row, chunk, byte;
    for (unsigned bit : {0u, 1u})
      row = addI32(b, loc, row,
                   laneBit(b, loc, operand.ids, bit, order.laneVectors()[bit]));
    for (unsigned bit : {0u, 1u, 2u}) {
      int64_t step = columns.vectors[bit] * bytes;
      Value &part = step < 16 ? byte : chunk;
      part = addI32(
          b, loc, part,
          laneBit(b, loc, operand.ids, bit + 2, step < 16 ? step : step / 16));
    }
    // Bits of the row above the eight of a swizzle's pattern do not flip.
    return SharedPointers(b, loc, operand.type, operand.base,
                          lowBits(b, loc, row, 7),
                          startOfRow(b, loc, operand.type, row), chunk, byte,
                          firstChunk(b, loc, operand));
  }

  Location loc;
  MmaInstruction mma;
  ContractionOrder order;
  SharedPointers pointers;
};

} // namespace

std::unique_ptr<AFragments> matricesOfA(OpBuilder &b, Location loc,
                                        const ViewOperand &operand) {
  return std::make_unique<MatricesOfA>(b, loc, operand);
}

std::unique_ptr<AFragments> plainA(OpBuilder &b, Location loc,
                                   const ViewOperand &operand) {
  return std::make_unique<PlainA>(b, loc, operand);
}

std::unique_ptr<BFragments> matricesOfTransposedB(OpBuilder &b, Location loc,
                                                  const ViewOperand &operand,
                                                  bool oddAtoms) {
  return std::make_unique<MatricesOfTransposedB>(b, loc, operand, oddAtoms);
}

std::unique_ptr<BFragments> plainTransposedB(OpBuilder &b, Location loc,
                                             const ViewOperand &operand) {
  return std::make_unique<PlainTransposedB>(b, loc, operand);
}

std::unique_ptr<BFragments> matricesOfB(OpBuilder &b, Location loc,
                                        const ViewOperand &operand,
                                        const ContractionOrder &order) {
  if (operand.mma.elementBytes() == 1)
    return std::make_unique<ByteMatricesOfB>(b, loc, operand, order);
  return std::make_unique<PairMatricesOfB>(b, loc, operand);
}

std::unique_ptr<BFragments> plainB(OpBuilder &b, Location loc,
                                   const ViewOperand &operand,
                                   const ContractionOrder &order,
                                   const ColumnOrder &columns) {
  return std::make_unique<PlainB>(b, loc, operand, order, columns);
}

} // namespace mlir::flash_tile
