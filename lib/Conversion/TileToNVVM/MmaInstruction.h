//===- MmaInstruction.h - mma.sync of one element type ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products m16n8 of mma.sync (PTX ISA, "Warp-level matrix instructions").
// All of them take 32 bytes of depth: m16n8k16 for f16 and bf16, m16n8k8 for
// tf32 (f32 tiles), m16n8k32 for e4m3, e5m2 and s8 (i8 tiles, summed in s32
// that wrap). Counted in bytes of depth their
// fragments are one map, with g = lane / 4 and t = lane mod 4:
//
//   A, register i of 4   row g + 8 (i mod 2), bytes 4t + 16 (i / 2) .. + 3
//   B, register i of 2   column g,            bytes 4t + 16 i       .. + 3
//   C, register i of 4   row g + 8 (i / 2), column 2t + i mod 2
//
// The position of an element within these 32 bytes is its *slot*. Which element
// of the contraction sits in a slot is free as long as A and B agree: that is
// the contraction order of a dot.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_CONVERSION_TILETONVVM_MMAINSTRUCTION_H
#define FLASH_LIB_CONVERSION_TILETONVVM_MMAINSTRUCTION_H

#include "mlir/IR/Builders.h"
#include "mlir/Support/LLVM.h"
#include <optional>

namespace mlir::flash_tile {

class MmaInstruction {
public:
  /// The instruction that multiplies elements of `type`, if there is one. f32
  /// is multiplied as tf32.
  static std::optional<MmaInstruction> get(Type type);

  Type elementType() const { return type; }
  int64_t elementBytes() const { return bytes; }
  /// Of C: f32, for i8 i32.
  Type accumulatorType() const;
  /// Elements of depth that one instruction contracts.
  int64_t depth() const { return 32 / bytes; }
  /// Elements in one 32-bit register of A or B.
  int64_t perRegister() const { return 4 / bytes; }
  /// Slot of element `e` (0 .. perRegister - 1) of register `i` of lane t = 0,
  /// where `half` is i / 2 for A and i for B.
  int64_t slot(int64_t half, int64_t e) const { return half * depth() / 2 + e; }

  /// Rounds an f32 register to tf32, to nearest with ties away from zero
  /// (cvt.rna.tf32.f32); the other types are what they are. Fragments are
  /// rounded as they are read, so that shared memory and register tiles hold
  /// the values they were given.
  Value prepare(OpBuilder &b, Location loc, Value fragment) const;

  /// c + a * b: four registers of A, two of B (i32, or f32 that is not yet
  /// rounded), four of C (the accumulator's type).
  SmallVector<Value> multiply(OpBuilder &b, Location loc, ArrayRef<Value> a,
                              ArrayRef<Value> bRegisters,
                              ArrayRef<Value> c) const;

private:
  MmaInstruction(Type type, int64_t bytes) : type(type), bytes(bytes) {}
  Type type;
  int64_t bytes;
};

} // namespace mlir::flash_tile

#endif // FLASH_LIB_CONVERSION_TILETONVVM_MMAINSTRUCTION_H
