//===- Tcgen05Operand.h - Operands of tcgen05 in tests ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_EMULATOR_TCGEN05OPERAND_H
#define FLASH_TEST_UNIT_EMULATOR_TCGEN05OPERAND_H

#include "Float.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace flash::emu::test {

/// Element types by their code in the instruction descriptor.
struct Element {
  const char *kind;
  unsigned code, bits, k;
  uint32_t (*encode)(int);
  int low, high; ///< Numbers it holds exactly.
};
inline const Element kF16Element = {
    "f16", 0, 16, 16, [](int v) { return uint32_t(floatToF16(float(v))); },
    -8,    8};
inline const Element kBF16Element = {
    "f16", 1, 16, 16, [](int v) { return uint32_t(floatToBf16(float(v))); },
    -8,    8};
inline const Element kTF32Element = {
    "tf32", 2, 32, 8, [](int v) { return std::bit_cast<uint32_t>(float(v)); },
    -8,     8};
inline const Element kE4M3Element = {
    "f8f6f4",
    0,
    8,
    32,
    [](int v) { return encodeFloat(kE4M3, v, Round::NearestEven); },
    -8,
    8};
inline const Element kE5M2Element = {
    "f8f6f4",
    1,
    8,
    32,
    [](int v) { return encodeFloat(kE5M2, v, Round::NearestEven); },
    -4,
    4};
/// 0, 1, 2, 3, 4 of sign, exponent and mantissa.
inline uint32_t small(int v, const uint32_t (&codes)[5], uint32_t sign) {
  return codes[v < 0 ? -v : v] | (v < 0 ? sign : 0);
}
inline const Element kE2M1Element = {
    "f8f6f4", 5, 4, 32, [](int v) { return small(v, {0, 2, 4, 5, 6}, 8); },
    -4,       4};
inline const Element kE2M3Element = {
    "f8f6f4", 3, 6, 32, [](int v) { return small(v, {0, 8, 16, 20, 24}, 32); },
    -4,       4};
inline const Element kE3M2Element = {
    "f8f6f4", 4, 6, 32, [](int v) { return small(v, {0, 12, 16, 18, 20}, 32); },
    -4,       4};
inline const Element kS8Element = {
    "i8", 1, 8, 32, [](int v) { return uint32_t(uint8_t(v)); }, -128, 127};
inline const Element kU8Element = {
    "i8", 0, 8, 32, [](int v) { return uint32_t(v); }, 0, 255};

enum class Tile { None, B32, B64, B128, MNB128 };

/// An operand of rows by steps * k in shared memory, as PTX ISA's canonical
/// layouts have it.
struct Operand {
  const Element *element;
  Tile tile;
  unsigned rows, steps;

  unsigned k() const { return element->k * steps; }
  /// Bytes of an element of 8 bits and more; narrow ones take 16 bytes for 16.
  unsigned width() const { return std::max(8u, element->bits) / 8; }
  unsigned lineBytes() const { return k() * width(); }
  unsigned bytes() const { return (rows + 63) / 64 * 64 * lineBytes(); }
  unsigned leading() const {
    return tile == Tile::None     ? rows * 16
           : tile == Tile::MNB128 ? 128 * k()
                                  : 16;
  }
  unsigned stride() const {
    switch (tile) {
    case Tile::None:
      return 128;
    case Tile::B32:
      return 256;
    case Tile::B64:
      return 512;
    default:
      return 1024;
    }
  }
  /// Byte address of byte `b` of the line of `line` (a row, or a k).
  unsigned at(unsigned line, unsigned b) const {
    unsigned in = line % 8, unit = b / 16;
    switch (tile) {
    case Tile::None:
      return unit * leading() + line / 8 * 128 + in * 16 + b % 16;
    case Tile::B32:
      return line / 8 * 256 + in * 32 + (unit ^ in / 4) * 16 + b % 16;
    case Tile::B64:
      return line / 8 * 512 + in * 64 + (unit ^ in / 2) * 16 + b % 16;
    case Tile::B128:
      return line / 8 * 1024 + in * 128 + (unit ^ in) * 16 + b % 16;
    case Tile::MNB128:
      return b / 128 * leading() + line / 8 * 1024 + in * 128 +
             (unit % 8 ^ in) * 16 + b % 16;
    }
    return 0;
  }
  void put(std::vector<uint8_t> &shared, unsigned start, unsigned row,
           unsigned col, uint32_t bits) const {
    unsigned line = tile == Tile::MNB128 ? col : row;
    unsigned along = tile == Tile::MNB128 ? row : col;
    if (element->bits < 8) {
      // Sixteen elements, packed, then padding.
      unsigned bit = along % 16 * element->bits;
      for (unsigned i = 0; i < element->bits; ++i)
        if (bits >> i & 1)
          shared[start + at(line, along / 16 * 16 + (bit + i) / 8)] |=
              1 << (bit + i) % 8;
      return;
    }
    for (unsigned i = 0; i < width(); ++i)
      shared[start + at(line, along * width() + i)] = uint8_t(bits >> 8 * i);
  }
  /// From one k step to the next.
  unsigned step() const {
    switch (tile) {
    case Tile::None:
      return 2 * leading();
    case Tile::MNB128:
      return element->k * 128;
    default:
      return 32;
    }
  }
  uint64_t descriptor(unsigned start) const {
    static constexpr uint64_t modes[] = {0, 6, 4, 2, 2};
    return uint64_t(start >> 4) | uint64_t(leading() >> 4) << 16 |
           uint64_t(stride() >> 4) << 32 | uint64_t(1) << 46 |
           modes[unsigned(tile)] << 61;
  }
};

enum class Result { F16, F32, S32 };

inline uint32_t instruction(const Operand &a, const Operand &b, Result d,
                            unsigned m, unsigned n) {
  return uint32_t(d) << 4 | a.element->code << 7 | b.element->code << 10 |
         uint32_t(a.tile == Tile::MNB128) << 15 |
         uint32_t(b.tile == Tile::MNB128) << 16 | n / 8 << 17 | m / 16 << 24;
}

} // namespace flash::emu::test

#endif // FLASH_TEST_UNIT_EMULATOR_TCGEN05OPERAND_H
