//===- BulkReduce.cpp - Elements of cp.reduce.async.bulk --------*- C++ -*-===//
//-*-=//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AsyncBulk.h"
#include "FloatOps.h"

#include <cstring>
#include <type_traits>

using namespace flash::emu;

namespace {

template <typename T> T combineInteger(BulkReduce op, T old, T value) {
  using U = std::make_unsigned_t<T>;
  switch (op) {
  case BulkReduce::Add:
    return T(U(old) + U(value));
  case BulkReduce::Min:
    return old < value ? old : value;
  case BulkReduce::Max:
    return old > value ? old : value;
  // inc and dec wrap at `value`, as atom does.
  case BulkReduce::Inc:
    return U(old) >= U(value) ? T(0) : T(old + 1);
  case BulkReduce::Dec:
    return old == 0 || U(old) > U(value) ? value : T(old - 1);
  case BulkReduce::And:
    return T(old & value);
  case BulkReduce::Or:
    return T(old | value);
  case BulkReduce::Xor:
    return T(old ^ value);
  case BulkReduce::None:
    break;
  }
  return value;
}

template <typename T> T combineFloat(BulkReduce op, T old, T value) {
  if (op == BulkReduce::Add)
    return canonical(T(old + value));
  // The number, where one of the two is NaN.
  if (old != old || value != value)
    return old == old ? old : value == value ? value : canonical(value);
  return (old < value) == (op == BulkReduce::Min) ? old : value;
}

template <typename T, typename F>
void forElements(std::byte *to, const std::byte *from, uint32_t bytes, F f) {
  for (uint32_t i = 0; i + sizeof(T) <= bytes; i += sizeof(T)) {
    T old, value;
    std::memcpy(&old, to + i, sizeof(T));
    std::memcpy(&value, from + i, sizeof(T));
    old = f(old, value);
    std::memcpy(to + i, &old, sizeof(T));
  }
}

} // namespace

bool flash::emu::bulkReduceExists(BulkReduce op, BulkType type) {
  bool isFloat = type >= BulkType::F16;
  switch (op) {
  case BulkReduce::None:
    return false;
  case BulkReduce::Add:
    return true;
  case BulkReduce::Min:
  case BulkReduce::Max:
    return type != BulkType::F32 && type != BulkType::F64;
  case BulkReduce::Inc:
  case BulkReduce::Dec:
    return type == BulkType::U32;
  case BulkReduce::And:
  case BulkReduce::Or:
  case BulkReduce::Xor:
    return !isFloat;
  }
  return false;
}

unsigned flash::emu::bulkTypeBytes(BulkType type) {
  switch (type) {
  case BulkType::F16:
  case BulkType::BF16:
    return 2;
  case BulkType::U32:
  case BulkType::S32:
  case BulkType::F32:
    return 4;
  default:
    return 8;
  }
}

void flash::emu::bulkReduce(BulkReduce op, BulkType type, std::byte *to,
                            const std::byte *from, uint32_t bytes) {
  auto integers = [&]<typename T>(T) {
    forElements<T>(to, from, bytes,
                   [&](T a, T b) { return combineInteger<T>(op, a, b); });
  };
  auto floats = [&]<typename T>(T) {
    forElements<T>(to, from, bytes,
                   [&](T a, T b) { return combineFloat<T>(op, a, b); });
  };
  switch (type) {
  case BulkType::U32:
    return integers(uint32_t());
  case BulkType::S32:
    return integers(int32_t());
  case BulkType::U64:
    return integers(uint64_t());
  case BulkType::S64:
    return integers(int64_t());
  case BulkType::F32:
    return floats(float());
  case BulkType::F64:
    return floats(double());
  case BulkType::F16:
    return forElements<uint16_t>(to, from, bytes, [&](uint16_t a, uint16_t b) {
      return uint16_t(
          floatToF16(combineFloat(op, f16ToFloat(a), f16ToFloat(b))));
    });
  case BulkType::BF16:
    return forElements<uint16_t>(to, from, bytes, [&](uint16_t a, uint16_t b) {
      return uint16_t(
          floatToBf16(combineFloat(op, bf16ToFloat(a), bf16ToFloat(b))));
    });
  }
}
