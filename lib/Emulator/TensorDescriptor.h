//===- TensorDescriptor.h - Instruction descriptor of tcgen05 ---*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The 32 bits by which tcgen05.mma learns its shape and types (PTX ISA,
// "Instruction descriptor", .kind::f16, ::tf32, ::f8f6f4 and ::i8):
//
//   0-1    sparsity selector      2      sparse
//   3      saturate (i8)          4-5    type of D: 0 f16, 1 f32, 2 s32
//   7-9    type of A              10-12  type of B
//            f16: 0 f16, 1 bf16; tf32: 2; i8: 0 u8, 1 s8
//            f8f6f4: 0 e4m3, 1 e5m2, 3 e2m3, 4 e3m2, 5 e2m1
//   13     negate A               14     negate B
//   15     A is MN-major          16     B is MN-major
//   17-22  N / 8                  24-28  M / 16
//   30-31  largest shift (.ws)
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORDESCRIPTOR_H
#define FLASH_LIB_EMULATOR_TENSORDESCRIPTOR_H

#include "TensorMemory.h"

#include <cstdint>
#include <string>
#include <vector>

namespace flash::emu {

enum class TensorKind : uint8_t { F16, TF32, F8F6F4, I8 };

enum class TensorType : uint8_t {
  F16,
  BF16,
  TF32,
  E4M3,
  E5M2,
  E2M3,
  E3M2,
  E2M1,
  U8,
  S8
};

/// The shape and the types of one tcgen05.mma.
struct TensorShape {
  TensorType a = TensorType::F16, b = TensorType::F16;
  enum Result : uint8_t { F16, F32, S32 } d = F32;
  bool saturate = false;
  bool negateA = false, negateB = false;
  bool aMajorMN = false, bMajorMN = false;
  unsigned m = 0, n = 0, k = 0;

  /// Reads `bits` for an instruction of `kind` by `group` CTAs. False, with
  /// the reason in `message`, where PTX does not allow them.
  bool decode(TensorKind kind, unsigned group, uint32_t bits,
              std::string &message);
  /// Bits that an element takes in tensor memory: 32 hold `32 / these`.
  unsigned containerBits() const;

  /// Rows of D (and of A in shared memory) that each CTA of the group holds.
  unsigned rowsPerCta(unsigned group) const { return m / group; }
};

/// Where row `row` and column `column` of the part of D that a CTA holds lie,
/// from the address of D on (PTX ISA, "Data Path Layout Organization"):
///
///   group  M    layout  lane of row r, column c         columns
///   1      128  D       r                               N
///   1      64   F       r % 16 + 32 (r / 16)            N
///   2      256  A       r                               N
///   2      128  B       r + 64 (c / (N / 2))            N / 2
class DataPath {
public:
  DataPath(unsigned group, unsigned m, unsigned n)
      : spread(group == 1 && m == 64), halves(group == 2 && m == 128),
        rows(m / group), n(n) {}

  unsigned lane(unsigned row, unsigned column) const {
    if (spread)
      return row % 16 + 32 * (row / 16);
    return halves ? row + 64 * (column / (n / 2)) : row;
  }
  unsigned column(unsigned column) const {
    return halves ? column % (n / 2) : column;
  }
  unsigned columns() const { return halves ? n / 2 : n; }
  /// The cells, for D at `address`.
  std::vector<TensorRange> ranges(uint32_t address) const {
    return blocks(address, columns());
  }
  /// The same lanes over `width` columns: A in tensor memory, whose rows lie
  /// as those of D. Where D is in halves, both pairs of lane quarters hold all
  /// of the CTA's rows of A.
  std::vector<TensorRange> blocks(uint32_t address, unsigned width) const;

private:
  bool spread, halves;
  unsigned rows, n;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORDESCRIPTOR_H
