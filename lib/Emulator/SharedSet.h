//===- SharedSet.h - A set of shared-memory bytes ---------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an operation of the async proxy touches, in units of 16 bytes, which is
// what all of them move at least.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_SHAREDSET_H
#define FLASH_LIB_EMULATOR_SHAREDSET_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace flash::emu {

/// Offsets are those of the shared memory of a whole cluster.
class SharedSet {
public:
  static constexpr uint32_t kUnit = 16;

  SharedSet() = default;
  /// For offsets of [first, first + bytes); empty. `first` is rounded down to
  /// a unit.
  SharedSet(uint32_t first, uint32_t bytes)
      : firstUnit(first / kUnit),
        bits(((first % kUnit + bytes + kUnit - 1) / kUnit + 63) / 64) {}

  /// Adds the units that [offset, offset + bytes) touches; the range must lie
  /// inside what the set was made for.
  void add(uint32_t offset, uint32_t bytes) {
    if (!bytes)
      return;
    uint32_t from = offset / kUnit - firstUnit;
    uint32_t to = (offset + bytes - 1) / kUnit - firstUnit;
    for (uint32_t unit = from; unit <= to; ++unit)
      bits[unit / 64] |= uint64_t(1) << (unit % 64);
  }
  static SharedSet range(uint32_t offset, uint32_t bytes) {
    SharedSet set(offset, bytes);
    set.add(offset, bytes);
    return set;
  }

  /// Whether it touches [offset, offset + bytes).
  bool touches(uint32_t offset, uint32_t bytes) const {
    uint32_t from = offset / kUnit, to = (offset + bytes - 1) / kUnit;
    uint32_t end = firstUnit + uint32_t(bits.size()) * 64;
    from = from < firstUnit ? firstUnit : from;
    for (uint32_t unit = from; unit <= to && unit < end; ++unit)
      if (bits[(unit - firstUnit) / 64] >> ((unit - firstUnit) % 64) & 1)
        return true;
    return false;
  }

  /// Calls `visit(offset / kUnit)` for every unit, rising.
  template <typename F> void forUnits(F visit) const {
    for (std::size_t word = 0; word < bits.size(); ++word)
      for (uint64_t rest = bits[word]; rest; rest &= rest - 1)
        visit(firstUnit + uint32_t(word * 64) +
              uint32_t(std::countr_zero(rest)));
  }

  bool operator==(const SharedSet &) const = default;

private:
  uint32_t firstUnit = 0;
  std::vector<uint64_t> bits;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_SHAREDSET_H
