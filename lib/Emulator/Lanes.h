//===- Lanes.h - Handlers from scalar functions -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// elementwise<D, S...>(f) makes the handlers of `d = f(s...)` over 32 lanes.
// Loops have a fixed trip count and no calls, so that the compiler turns them
// into vector code; a row may be source and target at once, lane by lane,
// which is why the loops are declared free of dependences.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_LANES_H
#define FLASH_LIB_EMULATOR_LANES_H

#include "Decoder.h"
#include "Machine.h"

#include <bit>
#include <type_traits>
#include <utility>

namespace flash::emu {

/// How a value of type T lies in a row: 64-bit ones as they are, all others
/// in 32 bits, zero-extended.
template <typename T>
using Stored = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <typename T> inline T fromStored(Stored<T> bits) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<T>(bits);
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(bits);
  else
    return static_cast<T>(bits);
}

template <typename T> inline Stored<T> toStored(T value) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<uint64_t>(value);
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<uint32_t>(value);
  else
    return static_cast<std::make_unsigned_t<T>>(value);
}

// Without unroll(disable) the compiler unrolls the 32 trips before it gets to
// vectorise them.
#define FLASH_LANE_LOOP                                                        \
  _Pragma("clang loop vectorize(assume_safety) vectorize_width(8)")            \
      _Pragma("clang loop interleave_count(4) unroll(disable)")

template <bool Full, typename F, typename D, typename... S, size_t... I>
inline void applyLanes(Warp &warp, const Inst &inst, uint32_t mask,
                       std::index_sequence<I...>) {
  Stored<D> *d = targetRow<Stored<D>>(warp, inst.ops[0]);
  const std::tuple<const Stored<S> *...> rows{
      sourceRow<Stored<S>>(warp, inst.ops[I + 1])...};
  F f;
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 32; ++i) {
    Stored<D> value = toStored<D>(f(fromStored<S>(std::get<I>(rows)[i])...));
    if constexpr (Full)
      d[i] = value;
    else
      d[i] = (mask >> i & 1) ? value : d[i];
  }
}

template <bool Full, typename F, typename D, typename... S>
void runElementwise(Warp &warp, const Inst &inst, uint32_t mask) {
  applyLanes<Full, F, D, S...>(warp, inst, mask,
                               std::index_sequence_for<S...>());
}

/// Handlers of ops[0] = f(ops[1], ops[2], ...). `f` has no captures.
template <typename D, typename... S, typename F> Handlers elementwise(F) {
  return {runElementwise<true, F, D, S...>, runElementwise<false, F, D, S...>};
}

/// The mask of lanes where f(ops[first], ops[first + 1]) holds.
template <typename S, typename F>
inline uint32_t compareLanes(const Warp &warp, uint32_t a, uint32_t b, F f) {
  const Stored<S> *x = sourceRow<Stored<S>>(warp, a);
  const Stored<S> *y = sourceRow<Stored<S>>(warp, b);
  uint32_t result = 0;
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 32; ++i)
    result |= uint32_t(f(fromStored<S>(x[i]), fromStored<S>(y[i]))) << i;
  return result;
}

/// Calls `f(lane)` for every lane of `mask`.
template <typename F> inline void forLanes(uint32_t mask, F f) {
  for (; mask; mask &= mask - 1)
    f(unsigned(std::countr_zero(mask)));
}

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_LANES_H
