//===- Distribution.cpp - Which registers of a tile a thread holds --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <map>

namespace mlir::flash_tile {

LayoutAttr getLayout(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<LayoutAttr>(tensor.getEncoding())
                : LayoutAttr();
}

Distribution::Distribution(LayoutAttr layout)
    : layout(layout), layoutRank(layout.getRank()) {
  ArrayRef<int64_t> bases = layout.getRegisterBases();
  unsigned bits = bases.size() / layoutRank;
  for (unsigned v = 0; v < (1u << bits); ++v) {
    SmallVector<int64_t, 2> coordinates(layoutRank, 0);
    for (unsigned bit = 0; bit < bits; ++bit)
      if (v >> bit & 1)
        for (unsigned d = 0; d < layoutRank; ++d)
          coordinates[d] ^= bases[bit * layoutRank + d];
    registerOffsets.push_back(coordinates);
  }
  // The first repeat varies fastest, so each one wraps what exists already.
  ArrayRef<int64_t> repeats = layout.getRepeats();
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank) {
    SmallVector<SmallVector<int64_t, 2>> inner = registerOffsets;
    for (int64_t n = 1; n < repeats[i]; ++n)
      for (SmallVector<int64_t, 2> coordinates : inner) {
        for (unsigned d = 0; d < layoutRank; ++d)
          coordinates[d] += n * repeats[i + 1 + d];
        registerOffsets.push_back(coordinates);
      }
  }
  findContiguity();
}

void Distribution::findContiguity() {
  ArrayRef<int64_t> bases = layout.getRegisterBases();
  const unsigned bits = bases.size() / layoutRank;
  unsigned leading = 0;
  for (; leading < bits; ++leading) {
    ArrayRef<int64_t> basis = bases.slice(leading * layoutRank, layoutRank);
    if (basis.back() != int64_t(1) << leading ||
        llvm::any_of(basis.drop_back(), [](int64_t c) { return c != 0; }))
      break;
  }
  // Whatever else moves along the axis moves by whole runs.
  const unsigned last = layoutRank - 1;
  int64_t steps = bitsAlong(bases.drop_front(leading * layoutRank), last) |
                  bitsAlong(layout.getLaneBases(), last) |
                  bitsAlong(layout.getWarpBases(), last);
  for (ArrayRef<int64_t> repeats :
       {layout.getRepeats(), layout.getWarpRepeats()})
    for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank)
      if (repeats[i] > 1)
        steps |= repeats[i + 1 + last];
  contiguous = 1u << leading;
  while (steps % contiguous)
    contiguous /= 2;
}

int64_t Distribution::bitsAlong(ArrayRef<int64_t> bases, unsigned dim) const {
  int64_t all = 0;
  for (unsigned i = dim; i < bases.size(); i += layoutRank)
    all |= bases[i];
  return all;
}

bool Distribution::addsOffsets(unsigned dim) const {
  const int64_t own = bitsAlong(layout.getRegisterBases(), dim);
  return !(own & (bitsAlong(layout.getLaneBases(), dim) |
                  bitsAlong(layout.getWarpBases(), dim)));
}

LogicalResult Distribution::verifyAddsOffsets(Operation *op) const {
  for (unsigned dim = 0; dim < layoutRank; ++dim)
    if (!addsOffsets(dim))
      return op->emitOpError("layout: expected register vectors that share no "
                             "bits with lane or warp vectors (only load, "
                             "store and index XOR them), got bits ")
             << (bitsAlong(layout.getRegisterBases(), dim) &
                 (bitsAlong(layout.getLaneBases(), dim) |
                  bitsAlong(layout.getWarpBases(), dim)))
             << " of axis " << dim << " shared in " << layout;
  return success();
}

bool Distribution::holdsOnce() const {
  SmallVector<SmallVector<int64_t, 2>> rows;
  if (dependentVectors(layout.getRegisterBases(), rows))
    return false;
  for (ArrayRef<int64_t> bases :
       {layout.getLaneBases(), layout.getWarpBases()}) {
    int64_t zeros = 0;
    for (unsigned i = 0; i < bases.size(); i += layoutRank)
      if (llvm::all_of(bases.slice(i, layoutRank),
                       [](int64_t c) { return c == 0; }))
        zeros |= int64_t(1) << (i / layoutRank);
    if (dependentVectors(bases, rows) != zeros)
      return false;
  }
  return true;
}

int64_t Distribution::dependentVectors(
    ArrayRef<int64_t> bases, SmallVector<SmallVector<int64_t, 2>> &rows) const {
  int64_t mask = 0;
  for (unsigned bit = 0; bit < bases.size() / layoutRank; ++bit) {
    SmallVector<int64_t, 2> rest(bases.slice(bit * layoutRank, layoutRank));
    // Of two vectors the lexicographically larger one has the first bit in
    // which they differ.
    for (const SmallVector<int64_t, 2> &row : rows) {
      SmallVector<int64_t, 2> less = rest;
      for (unsigned d = 0; d < layoutRank; ++d)
        less[d] ^= row[d];
      if (less < rest)
        rest = less;
    }
    if (llvm::all_of(rest, [](int64_t c) { return c == 0; }))
      mask |= int64_t(1) << bit;
    else
      rows.push_back(rest);
  }
  return mask;
}

bool Distribution::hasOwnBits() const {
  for (unsigned dim = 0; dim < layoutRank; ++dim)
    if (!addsOffsets(dim) || (bitsAlong(layout.getLaneBases(), dim) &
                              bitsAlong(layout.getWarpBases(), dim)))
      return false;
  return true;
}

std::optional<unsigned>
Distribution::registerAt(ArrayRef<int64_t> coordinates) const {
  for (auto [r, offset] : llvm::enumerate(registerOffsets))
    if (ArrayRef<int64_t>(offset) == coordinates)
      return r;
  return std::nullopt;
}

Value Distribution::linearPart(OpBuilder &b, Location loc, Value bits,
                               ArrayRef<int64_t> bases, unsigned dim) const {
  // Output bit `o` is the XOR of the input bits whose basis has bit `o` set.
  // Input and output bits at the same distance are moved by one shift.
  std::map<int64_t, int64_t> masksByShift;
  for (unsigned bit = 0; bit < bases.size() / layoutRank; ++bit)
    for (int64_t basis = bases[bit * layoutRank + dim]; basis;
         basis &= basis - 1)
      masksByShift[llvm::countr_zero(uint64_t(basis)) - int64_t(bit)] |=
          int64_t(1) << bit;
  Value result;
  for (auto [shift, mask] : masksByShift) {
    Value part = arith::AndIOp::create(b, loc, bits, i32Constant(b, loc, mask));
    if (shift > 0)
      part = arith::ShLIOp::create(b, loc, part, i32Constant(b, loc, shift));
    else if (shift < 0)
      part = arith::ShRUIOp::create(b, loc, part, i32Constant(b, loc, -shift));
    result = result ? arith::XOrIOp::create(b, loc, result, part) : part;
  }
  return result;
}

Value Distribution::warpOffset(OpBuilder &b, Location loc, const ThreadIds &ids,
                               unsigned dim) const {
  return addI32(b, loc,
                linearPart(b, loc, ids.warp, layout.getWarpBases(), dim),
                warpSteps(b, loc, ids, dim));
}

Value Distribution::warpSteps(OpBuilder &b, Location loc, const ThreadIds &ids,
                              unsigned dim) const {
  Value result;
  // Digits of the warp number above the atom's bits, first repeat fastest.
  unsigned bits = layout.getWarpBases().size() / layoutRank;
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  Value digits;
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank) {
    if (!digits)
      digits =
          arith::ShRUIOp::create(b, loc, ids.warp, i32Constant(b, loc, bits));
    bool last = i + 1 + layoutRank == repeats.size();
    Value count = i32Constant(b, loc, repeats[i]);
    Value digit = last ? digits : arith::RemUIOp::create(b, loc, digits, count);
    if (!last)
      digits = arith::DivUIOp::create(b, loc, digits, count);
    if (int64_t stride = repeats[i + 1 + dim])
      result = addI32(
          b, loc, result,
          arith::MulIOp::create(b, loc, digit, i32Constant(b, loc, stride)));
  }
  return result;
}

Value Distribution::threadOffset(OpBuilder &b, Location loc,
                                 const ThreadIds &ids, unsigned dim) const {
  if (!(bitsAlong(layout.getLaneBases(), dim) &
        bitsAlong(layout.getWarpBases(), dim))) {
    Value lane = linearPart(b, loc, ids.lane, layout.getLaneBases(), dim);
    return addI32(b, loc, lane, warpOffset(b, loc, ids, dim));
  }
  return addI32(b, loc, linearOffset(b, loc, ids, dim),
                warpSteps(b, loc, ids, dim));
}

Value Distribution::linearOffset(OpBuilder &b, Location loc,
                                 const ThreadIds &ids, unsigned dim) const {
  Value lane = linearPart(b, loc, ids.lane, layout.getLaneBases(), dim);
  Value warp = linearPart(b, loc, ids.warp, layout.getWarpBases(), dim);
  if (!lane || !warp)
    return lane ? lane : warp;
  return arith::XOrIOp::create(b, loc, lane, warp);
}

ThreadCoordinate::ThreadCoordinate(OpBuilder &b, Location loc,
                                   const Distribution &distribution,
                                   const ThreadIds &ids, unsigned dim)
    : loc(loc), distribution(&distribution), dim(dim),
      isSum(distribution.addsOffsets(dim)) {
  linear = isSum ? distribution.threadOffset(b, loc, ids, dim)
                 : distribution.linearOffset(b, loc, ids, dim);
  if (!isSum)
    steps = distribution.warpSteps(b, loc, ids, dim);
}

Value ThreadCoordinate::at(OpBuilder &b, unsigned r) const {
  const int64_t offset = distribution->offset(r)[dim];
  if (isSum)
    return addI32(b, loc, linear, offset);
  const unsigned atom = 1u << distribution->layout.getRegisterBases().size() /
                                  distribution->layoutRank;
  const int64_t vector = distribution->offset(r % atom)[dim];
  // Some lane or warp vector shares a bit, so there is a linear part.
  Value result = linear;
  if (vector)
    result = arith::XOrIOp::create(b, loc, result, i32Constant(b, loc, vector));
  return addI32(b, loc, addI32(b, loc, result, steps), offset - vector);
}

Value Distribution::isPrimaryReplica(OpBuilder &b, Location loc,
                                     const ThreadIds &ids) const {
  // Threads that differ in a vector that the ones before it make up hold the
  // same, if maybe in other registers: the one without it stores.
  SmallVector<SmallVector<int64_t, 2>> rows;
  dependentVectors(layout.getRegisterBases(), rows);
  int64_t mask = dependentVectors(layout.getLaneBases(), rows);
  mask |= dependentVectors(layout.getWarpBases(), rows) * kWarpSize;
  Value bits;
  if (mask)
    bits = arith::AndIOp::create(b, loc, ids.thread, i32Constant(b, loc, mask));
  // Digits of the warp number that move nothing, first repeat fastest.
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  Value digits;
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank) {
    if (!digits)
      digits = arith::ShRUIOp::create(
          b, loc, ids.warp,
          i32Constant(b, loc, layout.getWarpBases().size() / layoutRank));
    Value count = i32Constant(b, loc, repeats[i]);
    if (llvm::all_of(repeats.slice(i + 1, layoutRank),
                     [](int64_t c) { return c == 0; })) {
      Value digit = arith::RemUIOp::create(b, loc, digits, count);
      bits =
          bits ? arith::OrIOp::create(b, loc, bits, digit).getResult() : digit;
    }
    digits = arith::DivUIOp::create(b, loc, digits, count);
  }
  if (!bits)
    return {};
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, bits,
                               i32Constant(b, loc, 0));
}

int64_t Distribution::maxCoordinate(unsigned dim) const {
  int64_t max = 0;
  for (ArrayRef<int64_t> bases : {layout.getLaneBases(), layout.getWarpBases()})
    for (unsigned i = dim; i < bases.size(); i += layoutRank)
      max |= bases[i];
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank)
    max += (repeats[i] - 1) * repeats[i + 1 + dim];
  int64_t inThread = 0;
  for (ArrayRef<int64_t> offset : registerOffsets)
    inThread = std::max(inThread, offset[dim]);
  return max + inThread;
}

bool Distribution::hasMmaLanes() const {
  static constexpr int64_t expected[] = {0, 2, 0, 4, 1, 0, 2, 0, 4, 0};
  return layoutRank == 2 && layout.getLaneBases() == ArrayRef(expected);
}

SmallVector<unsigned> Distribution::laneBitsAlong(unsigned dim) const {
  SmallVector<unsigned> bits;
  ArrayRef<int64_t> bases = layout.getLaneBases();
  for (unsigned bit = 0; bit < bases.size() / layoutRank; ++bit)
    if (bases[bit * layoutRank + dim])
      bits.push_back(bit);
  return bits;
}

Value Distribution::partOf(OpBuilder &b, Location loc, const ThreadIds &ids,
                           unsigned dim, int64_t &parts) const {
  parts = 1;
  Value number;
  auto append = [&](Value digit, int64_t count) {
    if (parts > 1)
      digit = arith::MulIOp::create(b, loc, digit, i32Constant(b, loc, parts));
    number = addI32(b, loc, number, digit);
    parts *= count;
  };
  for (auto [bits, bases] : {std::pair(ids.lane, layout.getLaneBases()),
                             std::pair(ids.warp, layout.getWarpBases())})
    for (unsigned bit = 0; bit < bases.size() / layoutRank; ++bit) {
      if (bases[bit * layoutRank + dim] == 0)
        continue;
      Value digit =
          arith::ShRUIOp::create(b, loc, bits, i32Constant(b, loc, bit));
      append(arith::AndIOp::create(b, loc, digit, i32Constant(b, loc, 1)), 2);
    }
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  Value rest = ids.warp;
  if (!repeats.empty())
    rest = arith::ShRUIOp::create(
        b, loc, rest,
        i32Constant(b, loc, layout.getWarpBases().size() / layoutRank));
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank) {
    Value count = i32Constant(b, loc, repeats[i]);
    if (repeats[i + 1 + dim] != 0)
      append(arith::RemUIOp::create(b, loc, rest, count), repeats[i]);
    rest = arith::DivUIOp::create(b, loc, rest, count);
  }
  return number;
}

bool Distribution::movesOneAxisEach() const {
  auto isOneAxis = [](ArrayRef<int64_t> vector) {
    return llvm::count_if(vector, [](int64_t c) { return c != 0; }) <= 1;
  };
  for (ArrayRef<int64_t> bases : {layout.getLaneBases(), layout.getWarpBases()})
    for (unsigned i = 0; i < bases.size(); i += layoutRank)
      if (!isOneAxis(bases.slice(i, layoutRank)))
        return false;
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank)
    if (!isOneAxis(repeats.slice(i + 1, layoutRank)))
      return false;
  return true;
}

bool Distribution::warpsSplit(unsigned dim) const {
  ArrayRef<int64_t> bases = layout.getWarpBases();
  for (unsigned i = dim; i < bases.size(); i += layoutRank)
    if (bases[i])
      return true;
  ArrayRef<int64_t> repeats = layout.getWarpRepeats();
  for (unsigned i = 0; i < repeats.size(); i += 1 + layoutRank)
    if (repeats[i] > 1 && repeats[i + 1 + dim])
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// KernelContext
//===----------------------------------------------------------------------===//

LogicalResult KernelContext::addKernel(gpu::GPUFuncOp func) {
  std::optional<ArrayRef<int32_t>> size = func.getKnownBlockSize();
  if (!size)
    return func.emitOpError("block size: expected known_block_size, got none");
  OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
  Location loc = func.getLoc();
  Entry entry;
  entry.ids.threads = int64_t((*size)[0]) * (*size)[1] * (*size)[2];
  if ((*size)[1] != 1 || (*size)[2] != 1 || entry.ids.threads % kWarpSize)
    return func.emitOpError("block size: expected a one-dimensional multiple "
                            "of 32 threads, got ")
           << (*size)[0] << " x " << (*size)[1] << " x " << (*size)[2];
  entry.ids.thread =
      NVVM::ThreadIdXOp::create(b, loc, b.getI32Type(), /*range=*/nullptr);
  entry.ids.lane = arith::AndIOp::create(b, loc, entry.ids.thread,
                                         i32Constant(b, loc, kWarpSize - 1));
  entry.ids.warp =
      arith::ShRUIOp::create(b, loc, entry.ids.thread, i32Constant(b, loc, 5));

  // One zero-length external array stands for the CTA's dynamic shared memory;
  // all buffers are offsets into it.
  auto module = func->getParentOfType<gpu::GPUModuleOp>();
  StringRef name = "flash_shared";
  auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder moduleBuilder = OpBuilder::atBlockBegin(module.getBody());
    global = LLVM::GlobalOp::create(
        moduleBuilder, loc, LLVM::LLVMArrayType::get(b.getI8Type(), 0),
        /*isConstant=*/false, LLVM::Linkage::External, name, Attribute(),
        /*alignment=*/1024, kSharedSpace);
  }
  entry.shared = LLVM::AddressOfOp::create(b, loc, global);
  entries[func] = entry;
  return success();
}

const ThreadIds &KernelContext::threadIds(Operation *op) const {
  return entries.find(op->getParentOfType<gpu::GPUFuncOp>())->second.ids;
}

Value KernelContext::sharedBase(Operation *op) const {
  return entries.find(op->getParentOfType<gpu::GPUFuncOp>())->second.shared;
}

} // namespace mlir::flash_tile
