//===- TensorMma.cpp - The product of tcgen05.mma ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorMma.h"
#include "WarpgroupTile.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace flash::emu;

namespace {

/// Formats without infinities; e5m2 has them and is the high byte of f16.
double narrowValue(TensorType type, uint32_t bits) {
  auto decode = [&](unsigned exponentBits, unsigned mantissaBits, int bias) {
    uint32_t mantissa = bits & ((1u << mantissaBits) - 1);
    int exponent = int(bits >> mantissaBits & ((1u << exponentBits) - 1));
    bool negative = bits >> (exponentBits + mantissaBits) & 1;
    double value =
        exponent
            ? std::ldexp(1.0 + std::ldexp(double(mantissa), -int(mantissaBits)),
                         exponent - bias)
            : std::ldexp(double(mantissa), 1 - bias - int(mantissaBits));
    return negative ? -value : value;
  };
  switch (type) {
  case TensorType::E2M3:
    return decode(2, 3, 1);
  case TensorType::E3M2:
    return decode(3, 2, 3);
  case TensorType::E2M1:
    return decode(2, 1, 1);
  case TensorType::E4M3:
    return decodeFloat(kE4M3, bits);
  default:
    return f16ToFloat(bits << 8);
  }
}

/// Smallest exponent of a narrow type, that of its subnormals.
int leastExponent(TensorType type) {
  switch (type) {
  case TensorType::E2M3:
  case TensorType::E2M1:
    return 0;
  case TensorType::E3M2:
    return -2;
  case TensorType::E4M3:
    return -6;
  default:
    return -14;
  }
}

/// Values and aligning exponents of every pattern of a narrow type.
struct NarrowTable {
  float value[256];
  int32_t exponent[256];

  explicit NarrowTable(TensorType type) {
    for (unsigned bits = 0; bits < 256; ++bits) {
      value[bits] = float(narrowValue(type, bits));
      if (!std::isfinite(value[bits]))
        exponent[bits] = kSpecialExponent;
      else if (value[bits] == 0)
        exponent[bits] = kZeroExponent;
      else
        exponent[bits] = std::max(std::ilogb(value[bits]), leastExponent(type));
    }
  }
};

const NarrowTable &narrowTable(TensorType type) {
  static const NarrowTable tables[] = {
      NarrowTable(TensorType::E4M3), NarrowTable(TensorType::E5M2),
      NarrowTable(TensorType::E2M3), NarrowTable(TensorType::E3M2),
      NarrowTable(TensorType::E2M1)};
  return tables[unsigned(type) - unsigned(TensorType::E4M3)];
}

/// Bit patterns of the 32 elements of a line.
void unpackLine(TensorType type, const uint8_t *line, uint32_t *out) {
  unsigned bits = 8;
  if (type == TensorType::E2M1)
    bits = 4;
  else if (type == TensorType::E2M3 || type == TensorType::E3M2)
    bits = 6;
  for (unsigned i = 0; i < 32; ++i) {
    const uint8_t *unit = line + i / 16 * 16;
    unsigned at = i % 16 * bits, byte = at / 8;
    uint32_t pair = unit[byte] | (byte < 15 ? unit[byte + 1] << 8 : 0);
    out[i] = pair >> (at % 8) & ((1u << bits) - 1);
  }
}

/// Narrow types: `count` lines become the elements of a matrix
/// with k outermost (B) or innermost (A).
void setNarrow(MmaOperand &operand, TensorType type, bool negate,
               const uint8_t *lines, unsigned count, bool kOutermost) {
  const NarrowTable &table = narrowTable(type);
  for (unsigned row = 0; row < count; ++row) {
    uint32_t bits[32];
    unpackLine(type, lines + row * kLineBytes, bits);
    for (unsigned i = 0; i < 32; ++i) {
      unsigned at = kOutermost ? i * count + row : row * 32 + i;
      float value = table.value[bits[i]];
      operand.value[at] = negate ? -value : value;
      operand.exponent[at] = table.exponent[bits[i]];
    }
  }
}

/// Products of 16 rows by all columns; accumulators as multiplyRows() has them.
class RowProducts {
public:
  RowProducts(const TensorShape &shape, const uint8_t *b)
      : shape(shape),
        narrow(shape.d != TensorShape::S32 && shape.containerBits() == 8) {
    spec.group = shape.k;
    spec.fraction = 25;
    spec.halfResult = shape.d == TensorShape::F16;
    if (narrow) {
      narrowTiles.resize(shape.n / 8);
      for (unsigned tile = 0; tile < shape.n / 8; ++tile)
        setNarrow(narrowTiles[tile], shape.b, shape.negateB,
                  b + tile * 8 * kLineBytes, 8, true);
      return;
    }
    types.bits = uint8_t(shape.containerBits());
    types.halfResult = spec.halfResult;
    types.saturate = shape.saturate;
    types.integer = shape.d == TensorShape::S32;
    types.aSigned = shape.a == TensorType::S8;
    types.bSigned = shape.b == TensorType::S8;
    types.a = types.b = shape.a == TensorType::BF16   ? MmaInput::BF16
                        : shape.a == TensorType::TF32 ? MmaInput::TF32
                                                      : MmaInput::F16;
    columns.set(types, shape.negateB, b, shape.n);
  }

  void run(const uint8_t *a, uint32_t *c) {
    if (!narrow) {
      rows.set(types, shape.negateA, a);
      multiplyRows(spec, types, rows, columns, shape.n, c);
      return;
    }
    setNarrow(rows.floats, shape.a, shape.negateA, a, 16, false);
    for (unsigned tile = 0; tile < shape.n / 8; ++tile)
      multiplyTile(spec, shape.k, rows.floats, narrowTiles[tile],
                   reinterpret_cast<float *>(c + tile * 128));
  }

private:
  const TensorShape &shape;
  const bool narrow; ///< Floats of 8 bits and less.
  DotSpec spec;
  WarpgroupTypes types;
  WarpgroupRows rows;
  WarpgroupColumns columns;
  std::vector<MmaOperand> narrowTiles;
};

} // namespace

void flash::emu::multiply(const TensorProduct &product,
                          std::span<const uint8_t> a,
                          std::span<const uint8_t> b, TensorMemory &memory) {
  const TensorShape &shape = product.shape;
  const unsigned rows = shape.rowsPerCta(product.group);
  const DataPath path(product.group, shape.m, shape.n);
  const unsigned firstLane = product.address >> 16,
                 firstColumn = product.address & 0xffff;
  const bool half = shape.d == TensorShape::F16;
  const float factor = std::ldexp(1.0f, -int(product.scale));
  RowProducts products(shape, b.data());
  alignas(32) std::array<uint32_t, accumulatorWords(256)> c;
  for (unsigned row = 0; row < rows; row += 16) {
    // Eight columns of a row lie next to each other in every layout.
    auto forEights = [&](auto visit) {
      for (unsigned n = 0; n < shape.n; n += 8)
        for (unsigned i = 0; i < 16; ++i) {
          unsigned lane = firstLane + path.lane(row, n) + i;
          visit(lane, memory.row(lane) + firstColumn + path.column(n),
                &c[n * 16 + i * 8]);
        }
    };
    if (product.accumulate)
      forEights([&](unsigned, const uint32_t *cells, uint32_t *into) {
        if (half)
          for (unsigned n = 0; n < 8; ++n)
            into[n] =
                std::bit_cast<uint32_t>(factor * f16ToFloat(cells[n] & 0xffff));
        else if (product.scale)
          for (unsigned n = 0; n < 8; ++n)
            into[n] = std::bit_cast<uint32_t>(factor *
                                              std::bit_cast<float>(cells[n]));
        else
          std::memcpy(into, cells, 32);
      });
    else
      c.fill(0);
    products.run(a.data() + row * kLineBytes, c.data());
    forEights([&](unsigned lane, uint32_t *cells, const uint32_t *from) {
      if (product.disabled[lane / 32] >> (lane % 32) & 1)
        return;
      if (half)
        for (unsigned n = 0; n < 8; ++n)
          cells[n] = floatToF16(std::bit_cast<float>(from[n]));
      else
        std::memcpy(cells, from, 32);
    });
  }
}
