//===- TensorMma.cpp - The product of tcgen05.mma ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorMma.h"
#include "TensorCore.h"

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

void setOperand(MmaOperand &operand, TensorType type, bool negate,
                const uint32_t *bits, unsigned count) {
  switch (type) {
  case TensorType::F16:
    operand.set(MmaInput::F16, bits, count);
    break;
  case TensorType::BF16:
    operand.set(MmaInput::BF16, bits, count);
    break;
  case TensorType::TF32:
    operand.set(MmaInput::TF32, bits, count);
    break;
  default: {
    const NarrowTable &table = narrowTable(type);
    for (unsigned i = 0; i < count; ++i) {
      operand.value[i] = table.value[bits[i]];
      operand.exponent[i] = table.exponent[bits[i]];
    }
    break;
  }
  }
  if (negate)
    for (unsigned i = 0; i < count; ++i)
      operand.value[i] = -operand.value[i];
}

bool isDisabled(const TensorProduct &product, unsigned lane) {
  return product.disabled[lane / 32] >> (lane % 32) & 1;
}

void multiplyFloat(const TensorProduct &product, std::span<const uint32_t> a,
                   std::span<const uint32_t> b, TensorMemory &memory) {
  const TensorShape &shape = product.shape;
  const unsigned k = shape.k, rows = shape.rowsPerCta(product.group);
  const DataPath path(product.group, shape.m, shape.n);
  const unsigned firstLane = product.address >> 16,
                 firstColumn = product.address & 0xffff;
  const bool half = shape.d == TensorShape::F16;
  DotSpec spec;
  spec.group = k;
  spec.fraction = 25;
  spec.halfResult = half;

  // Tiles of B serve all rows.
  static thread_local std::vector<MmaOperand> bTiles;
  bTiles.resize(shape.n / 8);
  for (unsigned tile = 0; tile < shape.n / 8; ++tile) {
    uint32_t bits[32 * 8];
    for (unsigned i = 0; i < k; ++i)
      for (unsigned column = 0; column < 8; ++column)
        bits[i * 8 + column] = b[(tile * 8 + column) * k + i];
    setOperand(bTiles[tile], shape.b, shape.negateB, bits, 8 * k);
  }
  const float factor = std::ldexp(1.0f, -int(product.scale));
  MmaOperand aTile;
  for (unsigned row = 0; row < rows; row += 16) {
    setOperand(aTile, shape.a, shape.negateA, &a[row * k], 16 * k);
    for (unsigned tile = 0; tile < shape.n / 8; ++tile) {
      const unsigned lane = firstLane + path.lane(row, tile * 8);
      const unsigned column = firstColumn + path.column(tile * 8);
      alignas(32) float c[16 * 8] = {};
      if (product.accumulate)
        for (unsigned i = 0; i < 16; ++i) {
          const uint32_t *cells = memory.row(lane + i) + column;
          for (unsigned n = 0; n < 8; ++n)
            c[i * 8 + n] = factor * (half ? f16ToFloat(cells[n] & 0xffff)
                                          : std::bit_cast<float>(cells[n]));
        }
      multiplyTile(spec, k, aTile, bTiles[tile], c);
      for (unsigned i = 0; i < 16; ++i) {
        if (isDisabled(product, lane + i))
          continue;
        uint32_t *cells = memory.row(lane + i) + column;
        for (unsigned n = 0; n < 8; ++n)
          cells[n] = half ? floatToF16(c[i * 8 + n])
                          : std::bit_cast<uint32_t>(c[i * 8 + n]);
      }
    }
  }
}

void multiplyInteger(const TensorProduct &product, std::span<const uint32_t> a,
                     std::span<const uint32_t> b, TensorMemory &memory) {
  const TensorShape &shape = product.shape;
  const unsigned k = shape.k, rows = shape.rowsPerCta(product.group);
  const DataPath path(product.group, shape.m, shape.n);
  auto widen = [](std::span<const uint32_t> bits, TensorType type) {
    std::vector<int32_t> values(bits.size());
    for (size_t i = 0; i < bits.size(); ++i)
      values[i] = type == TensorType::S8 ? int8_t(bits[i]) : int32_t(bits[i]);
    return values;
  };
  std::vector<int32_t> av = widen(a, shape.a), bv = widen(b, shape.b);
  for (unsigned row = 0; row < rows; ++row)
    for (unsigned n = 0; n < shape.n; ++n) {
      const unsigned lane = (product.address >> 16) + path.lane(row, n);
      if (isDisabled(product, lane))
        continue;
      uint32_t &cell =
          memory.row(lane)[(product.address & 0xffff) + path.column(n)];
      // 32 products of 8 bits fit.
      int32_t sum = 0;
      for (unsigned i = 0; i < k; ++i)
        sum += av[row * k + i] * bv[n * k + i];
      int64_t total = int64_t(sum) + (product.accumulate ? int32_t(cell) : 0);
      if (shape.saturate)
        total = std::clamp<int64_t>(total, INT32_MIN, INT32_MAX);
      cell = uint32_t(total);
    }
}

} // namespace

void flash::emu::multiply(const TensorProduct &product,
                          std::span<const uint32_t> a,
                          std::span<const uint32_t> b, TensorMemory &memory) {
  if (product.shape.d == TensorShape::S32)
    multiplyInteger(product, a, b, memory);
  else
    multiplyFloat(product, a, b, memory);
}

unsigned flash::emu::unpackUnit(TensorType type, const std::byte *bytes,
                                uint32_t *out) {
  switch (type) {
  case TensorType::TF32:
    std::memcpy(out, bytes, 16);
    return 4;
  case TensorType::F16:
  case TensorType::BF16:
    for (unsigned i = 0; i < 8; ++i) {
      uint16_t element;
      std::memcpy(&element, bytes + 2 * i, 2);
      out[i] = element;
    }
    return 8;
  case TensorType::E2M3:
  case TensorType::E3M2:
  case TensorType::E2M1: {
    unsigned bits = type == TensorType::E2M1 ? 4 : 6;
    for (unsigned i = 0; i < 16; ++i) {
      unsigned at = i * bits;
      uint32_t pair = uint32_t(bytes[at / 8]) | uint32_t(bytes[at / 8 + 1])
                                                    << 8;
      out[i] = pair >> (at % 8) & ((1u << bits) - 1);
    }
    return 16;
  }
  default:
    for (unsigned i = 0; i < 16; ++i)
      out[i] = uint32_t(bytes[i]);
    return 16;
  }
}
