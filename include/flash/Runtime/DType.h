//===- DType.h - Element types of the runtime -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_DTYPE_H
#define FLASH_RUNTIME_DTYPE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace flash::runtime {

/// Element type of an array. TF32 is stored as an f32 whose low 13 mantissa
/// bits the tensor core ignores; E4M3 is the "fn" flavour (no infinity, one NaN
/// per sign).
enum class DType : uint8_t {
  F16,
  BF16,
  F32,
  TF32,
  E4M3,
  E5M2,
  F64,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  Bool
};

/// Bytes of one stored element.
unsigned byteWidth(DType type);

/// Name as SPEC and the manifest spell it: "f16", "bf16", "i32", "bool", ...
std::string_view name(DType type);

/// Inverse of `name`.
std::optional<DType> parseDType(std::string_view text);

/// True for the types that hold real numbers.
bool isFloat(DType type);

/// Reads one element. 64-bit integers beyond 2^53 round; `loadInteger` reads
/// them exactly.
double loadElement(DType type, const void *from);

/// Reads one element of an integer type; u64 wraps.
int64_t loadInteger(DType type, const void *from);

/// Rounds `value` to nearest even and stores it. Integer types truncate toward
/// zero and saturate; E4M3 saturates to NaN beyond its range as the "fn" format
/// has no infinity.
void storeElement(DType type, void *to, double value);

/// Stores one element of an integer type: 64 bits as they are, fewer saturated.
void storeInteger(DType type, void *to, int64_t value);

/// The largest finite number of a float type.
double largestFinite(DType type);

/// `value` as it reads after `storeElement`.
double roundTo(DType type, double value);

/// Writes the quiet NaN of a float type; for integer types all bits set.
void storeNaN(DType type, void *to);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_DTYPE_H
