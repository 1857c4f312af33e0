//===- SharedMatrix.h - Matrix operands in shared memory --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the 64-bit descriptors of wgmma and tcgen05 say about where the elements
// of an operand lie (PTX ISA, "Shared Memory Matrix Layout" of wgmma and
// "Shared memory descriptor" of tcgen05). An operand is a matrix of rows (M of
// A, N of B) by k. Everything moves in units of 16 bytes, of T = 128 / bits
// elements. With W = swizzle bytes / 16, the address of an element is that of
// its unit, before swizzling:
//
//   K-major, no swizzle    (row % 8) 16 + (row / 8) SBO + (k / T) LBO
//   K-major, swizzled      (row % 8) 16 W + (row / 8) SBO + (k / T) 16
//   MN-major, no swizzle   (k % 8) 16 + (k / 8) LBO + (row / T) SBO
//   MN-major, swizzled     (k % 8) 16 W + (k / 8) SBO + (u % W) 16 + (u / W)
//   LBO
//                          with u = row / T
//
// SBO and LBO are the stride and leading dimension byte offsets. Swizzling
// XORs bits 4.. of the *address* with bits 7.. of it (three bits for 128 bytes,
// two for 64, one for 32). That is why a K slice of a swizzled tile is reached
// by adding its 32 bytes to the start address, and why a tile written by a
// tensor copy fits wherever it lies. The base offset is subtracted from bits
// 7..9 for the sake of patterns that do not start at a multiple of 8 lines.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_SHAREDMATRIX_H
#define FLASH_LIB_EMULATOR_SHAREDMATRIX_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace flash::emu {

enum class MatrixSwizzle : uint8_t {
  None,
  B32,
  B64,
  B128,
  /// 128 bytes in atoms of 32: bits 5..6 with bits 7..8, and patterns of 4
  /// instead of 8 lines (tcgen05, MN-major 32-bit elements).
  B128Atom32,
};

/// The fields of a descriptor, in bytes.
struct MatrixDescriptor {
  uint32_t start = 0;   ///< In the shared memory of the executing CTA.
  uint32_t leading = 0; ///< LBO; an address where `absoluteLeading`.
  uint32_t stride = 0;  ///< SBO
  uint8_t baseOffset = 0;
  MatrixSwizzle swizzle = MatrixSwizzle::None;
  bool absoluteLeading = false; ///< tcgen05 only.
};

/// Reads a descriptor of wgmma (tcgen05). Returns what is wrong with it, "" if
/// nothing is.
std::string readWgmmaDescriptor(uint64_t bits, MatrixDescriptor &out);
std::string readTcgen05Descriptor(uint64_t bits, MatrixDescriptor &out);

/// An operand: `rows` by `k` elements of `bits` bits.
struct SharedMatrix {
  MatrixDescriptor descriptor;
  bool mnMajor = false;
  uint32_t bits = 16;
  uint32_t rows = 0;
  uint32_t k = 0;

  /// Byte address, in the CTA's shared memory, of the (first) byte of an
  /// element.
  uint32_t address(uint32_t row, uint32_t col) const;

  /// Lines run along the contiguous dimension: rows (K-major) or ks (MN-major).
  uint32_t lines() const { return mnMajor ? k : rows; }
  uint32_t unitsPerLine() const {
    return ((mnMajor ? rows : k) * bits + 127) / 128;
  }
  /// Address of unit `unit` of line `line`.
  uint32_t unitAddress(uint32_t line, uint32_t unit) const;
  /// Calls visit(line, unit, address) for every unit, lines outermost.
  template <typename F> void forUnits(F visit) const {
    for (uint32_t line = 0, e = lines(); line < e; ++line)
      for (uint32_t unit = 0, u = unitsPerLine(); unit < u; ++unit)
        visit(line, unit, unitAddress(line, unit));
  }

  /// Why the operand cannot be read from `sharedBytes` bytes of shared memory,
  /// "" if it can.
  std::string problem(uint32_t sharedBytes) const;
};

/// "start 0x400, leading 16, stride 1024 bytes, 128-byte swizzle", for reports.
std::string describe(const MatrixDescriptor &descriptor);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_SHAREDMATRIX_H
