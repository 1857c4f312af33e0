//===- OpsMmaExact.cpp - mma of integers, bits and f64 ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products of mma.sync that need no model of a tensor core: 8- and 4-bit
// integers, single bits, and f64 (PTX ISA 9.7.14.5). Fragments follow the map
// in OpsMatrix.cpp, with `per` elements in a register of 32 bits and one in a
// register of 64; matrices of 8 rows have the registers of rows 0 to 7 alone:
//
//   A   register r: row g + 8 (r % (m / 8)), column t + 4 (r / (m / 8))
//   B   register r: row t + 4 r              column g
//   C   register v: row g + 8 (v / 2)        column 2 t + v % 2
//
// Rows of A and columns of B are counted in registers.
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"
#include "Lanes.h"
#include "OpsMatrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <immintrin.h>

using namespace flash::emu;

namespace {

enum class Element : uint8_t { Byte, Nibble, XorBit, AndBit };

/// inst.imm; registers of D, A, B, C follow each other in Program::extra.
struct ExactForm {
  uint8_t groups; ///< Rows / 8.
  uint8_t depth;  ///< Registers along k, times 4.
  Element element;
  bool aSigned, bSigned, saturate;
  uint8_t rounding; ///< Of f64, as MXCSR wants it, >> 13.
  uint8_t unused;

  unsigned accumulators() const { return groups * 2; }
  unsigned aRegisters() const { return groups * depth; }
};
static_assert(sizeof(ExactForm) == sizeof(uint64_t));

ExactForm formOf(const Inst &inst) {
  return std::bit_cast<ExactForm>(inst.imm);
}

/// The matrices by registers: a[row][k], b[k][column], c[row][column].
template <typename T> struct Tile {
  T a[16][16], b[16][8], c[16][8];
};

template <typename T>
void gather(const Warp &warp, const Inst &inst, Tile<T> &tile) {
  ExactForm form = formOf(inst);
  const uint32_t *regs = &warp.program->extra[inst.extra];
  regs += form.accumulators();
  for (unsigned r = 0; r < form.aRegisters(); ++r) {
    const T *row = sourceRow<T>(warp, *regs++);
    for (unsigned lane = 0; lane < 32; ++lane)
      tile.a[(lane >> 2) + 8 * (r % form.groups)]
            [(lane & 3) + 4 * (r / form.groups)] = row[lane];
  }
  for (unsigned r = 0; r < form.depth; ++r) {
    const T *row = sourceRow<T>(warp, *regs++);
    for (unsigned lane = 0; lane < 32; ++lane)
      tile.b[(lane & 3) + 4 * r][lane >> 2] = row[lane];
  }
  for (unsigned v = 0; v < form.accumulators(); ++v) {
    const T *row = sourceRow<T>(warp, *regs++);
    for (unsigned lane = 0; lane < 32; ++lane)
      tile.c[(lane >> 2) + 8 * (v / 2)][2 * (lane & 3) + v % 2] = row[lane];
  }
}

template <typename T>
void scatter(Warp &warp, const Inst &inst, const Tile<T> &tile) {
  ExactForm form = formOf(inst);
  const uint32_t *regs = &warp.program->extra[inst.extra];
  for (unsigned v = 0; v < form.accumulators(); ++v) {
    T *row = targetRow<T>(warp, regs[v]);
    for (unsigned lane = 0; lane < 32; ++lane)
      row[lane] = tile.c[(lane >> 2) + 8 * (v / 2)][2 * (lane & 3) + v % 2];
  }
}

/// The products of the elements of two registers, summed.
int64_t dotWord(const ExactForm &form, uint32_t a, uint32_t b) {
  if (form.element == Element::XorBit)
    return std::popcount(a ^ b);
  if (form.element == Element::AndBit)
    return std::popcount(a & b);
  unsigned bits = form.element == Element::Byte ? 8 : 4;
  auto part = [&](uint32_t word, unsigned e, bool isSigned) {
    uint32_t top = word << (32 - bits - e * bits);
    return isSigned ? int64_t(int32_t(top) >> (32 - bits))
                    : int64_t(top >> (32 - bits));
  };
  int64_t sum = 0;
  for (unsigned e = 0; e < 32 / bits; ++e)
    sum += part(a, e, form.aSigned) * part(b, e, form.bSigned);
  return sum;
}

void runInteger(Warp &warp, const Inst &inst, uint32_t) {
  ExactForm form = formOf(inst);
  Tile<uint32_t> tile;
  gather(warp, inst, tile);
  for (unsigned row = 0; row < form.groups * 8u; ++row)
    for (unsigned n = 0; n < 8; ++n) {
      int64_t sum = int32_t(tile.c[row][n]);
      for (unsigned k = 0; k < form.depth * 4u; ++k)
        sum += dotWord(form, tile.a[row][k], tile.b[k][n]);
      if (form.saturate)
        sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
      tile.c[row][n] = uint32_t(sum);
    }
  scatter(warp, inst, tile);
}

/// A chain of fused multiply-adds in the order of k.
void runDouble(Warp &warp, const Inst &inst, uint32_t) {
  ExactForm form = formOf(inst);
  Tile<double> tile;
  gather(warp, inst, tile);
  unsigned saved = _mm_getcsr();
  _mm_setcsr((saved & ~_MM_ROUND_MASK) | unsigned(form.rounding) << 13);
  for (unsigned row = 0; row < form.groups * 8u; ++row)
    for (unsigned n = 0; n < 8; ++n) {
      // volatile keeps the arithmetic between the changes of mode.
      volatile double sum = tile.c[row][n];
      for (unsigned k = 0; k < form.depth * 4u; ++k)
        sum = __builtin_fma(tile.a[row][k], tile.b[k][n], sum);
      tile.c[row][n] = sum;
    }
  _mm_setcsr(saved);
  for (auto &row : tile.c)
    for (double &value : row)
      if (value != value)
        value = std::bit_cast<double>(0x7fffffffffffffffull);
  scatter(warp, inst, tile);
}

struct Shape {
  std::string_view name;
  uint8_t rows;
  uint16_t k;
};
constexpr Shape kIntegerShapes[] = {
    {"m8n8k16", 8, 16},     {"m8n8k32", 8, 32},    {"m8n8k128", 8, 128},
    {"m16n8k16", 16, 16},   {"m16n8k32", 16, 32},  {"m16n8k64", 16, 64},
    {"m16n8k128", 16, 128}, {"m16n8k256", 16, 256}};
constexpr Shape kDoubleShapes[] = {{"m8n8k4", 8, 4},
                                   {"m16n8k4", 16, 4},
                                   {"m16n8k8", 16, 8},
                                   {"m16n8k16", 16, 16}};

bool takeShape(Decoder &d, std::span<const Shape> shapes, unsigned perWord,
               Shape &shape) {
  for (const Shape &candidate : shapes)
    if (d.take(candidate.name)) {
      shape = candidate;
      // Both operands fill whole registers, at most four of A.
      unsigned registers = shape.k / (4 * perWord);
      if (shape.k % (4 * perWord) || registers == 0 ||
          registers > (perWord == 1 ? 4u : 2u) ||
          (shape.rows == 8 && registers > 1))
        break;
      return true;
    }
  return d.unsupported("shape and input types do not go together");
}

bool finish(Decoder &d, ExactForm form, const Shape &shape, unsigned perWord,
            Type type, Handler handler) {
  form.groups = shape.rows / 8;
  form.depth = uint8_t(shape.k / (4 * perWord));
  if (!d.expectOperands(4, 4))
    return false;
  unsigned counts[4] = {form.accumulators(), form.aRegisters(), form.depth,
                        form.accumulators()};
  std::vector<uint32_t> registers;
  for (unsigned i = 0; i < 4; ++i)
    if (!pushMatrixRegisters(d, i, counts[i], i == 0, type, registers))
      return false;
  d.inst.imm = std::bit_cast<uint64_t>(form);
  d.inst.extra = d.extraSize();
  for (uint32_t reg : registers)
    d.pushExtra(reg);
  d.inst.kind = Kind::Sync;
  d.inst.flags |= kAligned;
  d.meta.pipe = Pipe::Tensor;
  d.meta.tensorFlops = 2 * shape.rows * 8 * shape.k;
  d.setHandler(handler);
  return true;
}

/// Consumes "s8", "u4", ... ; 0 if there is none.
unsigned takeElement(Decoder &d, bool &isSigned) {
  std::string_view next = d.peekNext();
  static constexpr struct {
    std::string_view name;
    unsigned bits;
    bool isSigned;
  } names[] = {{"s8", 8, true},
               {"u8", 8, false},
               {"s4", 4, true},
               {"u4", 4, false},
               {"b1", 1, false}};
  for (auto &row : names)
    if (row.name == next) {
      d.takeNext();
      isSigned = row.isSigned;
      return row.bits;
    }
  return 0;
}

bool decodeInteger(Decoder &d) {
  ExactForm form{};
  form.saturate = d.take("satfinite");
  bool popc = d.take("popc"), isXor = d.take("xor"), isAnd = d.take("and");
  // The element types stand between the two of the accumulators. The shape and
  // the layouts are still there, in front.
  bool isWide = d.has("b1"), isNarrow = d.has("s4") || d.has("u4");
  unsigned perWord = isWide ? 32 : isNarrow ? 8 : 4;
  Shape shape;
  if (!takeShape(d, kIntegerShapes, perWord, shape))
    return false;
  if (!d.take("row") || !d.take("col"))
    return d.unsupported("expected .row.col");
  bool typed = d.peekNext() == "s32" && d.take("s32");
  unsigned aBits = takeElement(d, form.aSigned);
  unsigned bBits = takeElement(d, form.bSigned);
  typed = typed && d.peekNext() == "s32" && d.take("s32");
  if (!typed || aBits != bBits || 32 / std::max(aBits, 1u) != perWord)
    return d.unsupported("expected .s32, two input types of one size, .s32");
  if (isWide ? !popc || isXor == isAnd || form.saturate
             : popc || isXor || isAnd)
    return d.unsupported("expected .xor.popc or .and.popc with .b1 alone");
  form.element = isXor      ? Element::XorBit
                 : isAnd    ? Element::AndBit
                 : isNarrow ? Element::Nibble
                            : Element::Byte;
  return finish(d, form, shape, perWord, Type::B32, runInteger);
}

bool decodeDouble(Decoder &d) {
  ExactForm form{};
  form.rounding = uint8_t((d.take("rz")   ? _MM_ROUND_TOWARD_ZERO
                           : d.take("rm") ? _MM_ROUND_DOWN
                           : d.take("rp") ? _MM_ROUND_UP
                                          : _MM_ROUND_NEAREST) >>
                          13);
  d.take("rn");
  Shape shape;
  if (!takeShape(d, kDoubleShapes, 1, shape))
    return false;
  if (!d.take("row") || !d.take("col"))
    return d.unsupported("expected .row.col");
  for (unsigned i = 0; i < 4; ++i)
    if (!d.take("f64"))
      return d.unsupported("expected .f64 four times");
  return finish(d, form, shape, 1, Type::F64, runDouble);
}

} // namespace

bool flash::emu::decodeExactMma(Decoder &d, bool &handled) {
  handled = true;
  if (d.has("f64"))
    return decodeDouble(d);
  // 8-bit m16n8k16 and m16n8k32 have a faster handler in OpsMatrix.cpp.
  if (d.has("s4") || d.has("u4") || d.has("b1") || d.has("m8n8k16"))
    return decodeInteger(d);
  handled = false;
  return false;
}
