//===- DType.cpp - Element types of the runtime ---------------------------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "flash/Runtime/DType.h"

#include "flash/Runtime/Float16.h"

#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

using namespace flash::runtime;

namespace {

struct TypeInfo {
  DType type;
  std::string_view name;
  unsigned bytes;
  bool isFloat;
};

constexpr TypeInfo kTypes[] = {
    {DType::F16, "f16", 2, true},   {DType::BF16, "bf16", 2, true},
    {DType::F32, "f32", 4, true},   {DType::TF32, "tf32", 4, true},
    {DType::E4M3, "e4m3", 1, true}, {DType::E5M2, "e5m2", 1, true},
    {DType::F64, "f64", 8, true},   {DType::I8, "i8", 1, false},
    {DType::I16, "i16", 2, false},  {DType::I32, "i32", 4, false},
    {DType::I64, "i64", 8, false},  {DType::U8, "u8", 1, false},
    {DType::U16, "u16", 2, false},  {DType::U32, "u32", 4, false},
    {DType::U64, "u64", 8, false},  {DType::Bool, "bool", 1, false},
};

const TypeInfo &info(DType type) { return kTypes[unsigned(type)]; }

/// A binary floating-point format narrower than f64.
struct Format {
  int exponentBits;
  int mantissaBits;
  bool hasInfinity;

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  int totalBits() const { return 1 + exponentBits + mantissaBits; }
  uint32_t exponentMask() const { return (1u << exponentBits) - 1; }
};

constexpr Format kF16{5, 10, true};
constexpr Format kBF16{8, 7, true};
constexpr Format kTF32{8, 10, true};
constexpr Format kE5M2{5, 2, true};
// "fn": the top exponent holds numbers too; only the all-ones code is a NaN.
constexpr Format kE4M3{4, 3, false};

uint32_t nanBits(const Format &f) {
  uint32_t magnitude =
      (f.exponentMask() << f.mantissaBits) |
      (f.hasInfinity ? 1u << (f.mantissaBits - 1) : (1u << f.mantissaBits) - 1);
  return magnitude;
}

/// Rounds straight from f64: going through f32 would round twice.
uint32_t encode(const Format &f, double value) {
  uint32_t sign = std::signbit(value) ? 1u << (f.totalBits() - 1) : 0u;
  if (std::isnan(value))
    return sign | nanBits(f);
  double magnitude = std::fabs(value);
  uint32_t overflow =
      f.hasInfinity ? f.exponentMask() << f.mantissaBits : nanBits(f);
  if (std::isinf(magnitude))
    return sign | overflow;
  if (magnitude == 0)
    return sign;
  int exponent = std::ilogb(magnitude);
  int lowest = 1 - f.bias();
  int effective = exponent < lowest ? lowest : exponent;
  // Units in the last place of the result; scaling by a power of two is exact
  // (below f64's own range the value is far under half a unit and gives 0).
  double units =
      std::nearbyint(std::scalbn(magnitude, f.mantissaBits - effective));
  // Biased exponent and mantissa as one integer: a carry out of the mantissa
  // moves to the next binade by itself, and a subnormal starts at zero.
  uint64_t code =
      (uint64_t(effective - lowest) << f.mantissaBits) + uint64_t(units);
  if (code >= overflow)
    return sign | overflow;
  return sign | uint32_t(code);
}

double decode(const Format &f, uint32_t bits) {
  bool negative = (bits >> (f.totalBits() - 1)) & 1u;
  uint32_t exponent = (bits >> f.mantissaBits) & f.exponentMask();
  uint32_t mantissa = bits & ((1u << f.mantissaBits) - 1);
  double magnitude;
  if (f.hasInfinity && exponent == f.exponentMask())
    magnitude = mantissa ? std::numeric_limits<double>::quiet_NaN()
                         : std::numeric_limits<double>::infinity();
  else if (!f.hasInfinity &&
           (bits & ~(1u << (f.totalBits() - 1))) == nanBits(f))
    magnitude = std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    magnitude = std::scalbn(double(mantissa), 1 - f.bias() - f.mantissaBits);
  else
    magnitude = std::scalbn(double(mantissa | (1u << f.mantissaBits)),
                            int(exponent) - f.bias() - f.mantissaBits);
  return negative ? -magnitude : magnitude;
}

template <typename T> T load(const void *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T> void store(void *to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

/// Truncates toward zero and saturates; NaN becomes 0.
template <typename T> void storeSaturated(void *to, double value) {
  using Limits = std::numeric_limits<T>;
  T result = 0;
  // 2^digits is exact in f64 where the largest integer need not be.
  if (value >= std::ldexp(1.0, Limits::digits))
    result = Limits::max();
  else if (value <= double(Limits::min()))
    result = Limits::min();
  else if (!std::isnan(value))
    result = T(value);
  store(to, result);
}

} // namespace

unsigned flash::runtime::byteWidth(DType type) { return info(type).bytes; }

std::string_view flash::runtime::name(DType type) { return info(type).name; }

bool flash::runtime::isFloat(DType type) { return info(type).isFloat; }

std::optional<DType> flash::runtime::parseDType(std::string_view text) {
  for (const TypeInfo &entry : kTypes)
    if (entry.name == text)
      return entry.type;
  return std::nullopt;
}

double flash::runtime::loadElement(DType type, const void *from) {
  switch (type) {
  case DType::F16:
    return f16ToF32(load<uint16_t>(from));
  case DType::BF16:
    return bf16ToF32(load<uint16_t>(from));
  case DType::F32:
  case DType::TF32:
    return load<float>(from);
  case DType::E4M3:
    return decode(kE4M3, load<uint8_t>(from));
  case DType::E5M2:
    return decode(kE5M2, load<uint8_t>(from));
  case DType::F64:
    return load<double>(from);
  case DType::I8:
    return load<int8_t>(from);
  case DType::I16:
    return load<int16_t>(from);
  case DType::I32:
    return load<int32_t>(from);
  case DType::I64:
    return double(load<int64_t>(from));
  case DType::U8:
    return load<uint8_t>(from);
  case DType::U16:
    return load<uint16_t>(from);
  case DType::U32:
    return load<uint32_t>(from);
  case DType::U64:
    return double(load<uint64_t>(from));
  case DType::Bool:
    return load<uint8_t>(from) != 0;
  }
  __builtin_unreachable();
}

int64_t flash::runtime::loadInteger(DType type, const void *from) {
  switch (type) {
  case DType::I64:
    return load<int64_t>(from);
  case DType::U64:
    return int64_t(load<uint64_t>(from));
  default:
    assert(!isFloat(type) && "expected an integer type");
    return int64_t(loadElement(type, from));
  }
}

void flash::runtime::storeInteger(DType type, void *to, int64_t value) {
  assert(!isFloat(type) && "expected an integer type");
  if (byteWidth(type) == 8)
    return store(to, value);
  storeElement(type, to, double(value));
}

void flash::runtime::storeElement(DType type, void *to, double value) {
  switch (type) {
  case DType::F16:
    return store(to, uint16_t(encode(kF16, value)));
  case DType::BF16:
    return store(to, uint16_t(encode(kBF16, value)));
  case DType::F32:
    return store(to, float(value));
  case DType::TF32:
    // TF32 has f32's exponent, so its codes are f32's shifted down.
    return store(to, encode(kTF32, value) << 13);
  case DType::E4M3:
    return store(to, uint8_t(encode(kE4M3, value)));
  case DType::E5M2:
    return store(to, uint8_t(encode(kE5M2, value)));
  case DType::F64:
    return store(to, value);
  case DType::I8:
    return storeSaturated<int8_t>(to, value);
  case DType::I16:
    return storeSaturated<int16_t>(to, value);
  case DType::I32:
    return storeSaturated<int32_t>(to, value);
  case DType::I64:
    return storeSaturated<int64_t>(to, value);
  case DType::U8:
    return storeSaturated<uint8_t>(to, value);
  case DType::U16:
    return storeSaturated<uint16_t>(to, value);
  case DType::U32:
    return storeSaturated<uint32_t>(to, value);
  case DType::U64:
    return storeSaturated<uint64_t>(to, value);
  case DType::Bool:
    return store(to, uint8_t(value != 0));
  }
  __builtin_unreachable();
}

double flash::runtime::largestFinite(DType type) {
  auto largest = [](const Format &f) {
    // All ones, less the codes of infinity and NaN.
    uint32_t code = f.hasInfinity ? (f.exponentMask() << f.mantissaBits) - 1
                                  : nanBits(f) - 1;
    return decode(f, code);
  };
  switch (type) {
  case DType::F16:
    return largest(kF16);
  case DType::BF16:
    return largest(kBF16);
  case DType::TF32:
    return largest(kTF32);
  case DType::E4M3:
    return largest(kE4M3);
  case DType::E5M2:
    return largest(kE5M2);
  case DType::F32:
    return std::numeric_limits<float>::max();
  default:
    return std::numeric_limits<double>::max();
  }
}

double flash::runtime::roundTo(DType type, double value) {
  alignas(8) unsigned char bytes[8];
  storeElement(type, bytes, value);
  return loadElement(type, bytes);
}

void flash::runtime::storeNaN(DType type, void *to) {
  if (isFloat(type))
    return storeElement(type, to, std::numeric_limits<double>::quiet_NaN());
  std::memset(to, 0xff, byteWidth(type));
}
