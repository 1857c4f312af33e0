//===- ExchangePlanner.h - What an exchange is planned with -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LIB_DIALECT_FLASHTILE_ANALYSIS_EXCHANGEPLANNER_H
#define LIB_DIALECT_FLASHTILE_ANALYSIS_EXCHANGEPLANNER_H

#include "flash/Dialect/FlashTile/Analysis/RegisterExchange.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::flash_tile::detail {

//===----------------------------------------------------------------------===//
// Linear algebra over GF(2)
//===----------------------------------------------------------------------===//

/// A register number and a lane number: one column of the maps above.
struct Place {
  uint64_t reg = 0, lane = 0;
  Place operator^(const Place &other) const {
    return {reg ^ other.reg, lane ^ other.lane};
  }
};

/// The vectors of a matrix's columns, applied to a number's bits.
inline uint64_t apply(ArrayRef<uint64_t> columns, uint64_t number) {
  uint64_t result = 0;
  for (size_t i = 0; i < columns.size(); ++i)
    if (number >> i & 1)
      result ^= columns[i];
  return result;
}

/// Vectors in echelon form, each with what it was combined from.
template <typename Origin> class Echelon {
public:
  /// True if `vector` is independent of the ones before; else `origin` becomes
  /// what combines to zero with it.
  bool insert(uint64_t vector, Origin &origin) {
    reduce(vector, origin);
    if (vector)
      rows.push_back({vector, origin});
    return vector != 0;
  }
  /// Removes from `vector` all that it can, and adds to `origin` what it took.
  void reduce(uint64_t &vector, Origin &origin) const {
    for (const auto &[row, rowOrigin] : rows)
      if ((vector ^ row) < vector) {
        vector ^= row;
        origin = origin ^ rowOrigin;
      }
  }
  bool contains(uint64_t vector) const {
    Origin ignored{};
    reduce(vector, ignored);
    return vector == 0;
  }

private:
  SmallVector<std::pair<uint64_t, Origin>> rows;
};

/// The inverse of a 5 x 5 matrix; nullopt if it has none.
inline std::optional<SmallVector<uint64_t>> invert(ArrayRef<uint64_t> columns) {
  Echelon<uint64_t> echelon;
  for (auto [i, column] : llvm::enumerate(columns)) {
    uint64_t origin = uint64_t(1) << i;
    if (!echelon.insert(column, origin))
      return std::nullopt;
  }
  SmallVector<uint64_t> inverse;
  for (size_t i = 0; i < columns.size(); ++i) {
    uint64_t unit = uint64_t(1) << i, origin = 0;
    echelon.reduce(unit, origin);
    inverse.push_back(origin);
  }
  return inverse;
}

//===----------------------------------------------------------------------===//
// Layouts as an atom and copies
//===----------------------------------------------------------------------===//

inline uint64_t pack(ArrayRef<int64_t> vector) {
  uint64_t packed = 0;
  for (int64_t coordinate : vector)
    packed = packed << 32 | uint64_t(coordinate);
  return packed;
}

/// The linear part of a layout's registers, and where its copies lie.
struct Atom {
  struct Generator {
    uint64_t vector;
    int64_t registers; // how much it adds to the register number
  };
  struct Copy {
    Layout::Vector offset;
    int64_t registers;
  };
  SmallVector<Generator> generators;
  SmallVector<Copy> copies;
  SmallVector<uint64_t> lanes, warps;

  /// With `repeats` in place of the layout's.
  Atom(const Layout &layout, ArrayRef<Layout::Repeat> repeats) {
    Layout::Vector used(layout.getRank(), 0);
    for (ArrayRef<Layout::Vector> bases :
         {layout.getRegisterBases(), layout.getLaneBases(),
          layout.getWarpBases()})
      for (const Layout::Vector &basis : bases)
        for (auto [mask, x] : llvm::zip_equal(used, basis))
          mask |= x;
    int64_t registers = 1;
    for (const Layout::Vector &basis : layout.getRegisterBases()) {
      generators.push_back({pack(basis), registers});
      registers *= 2;
    }
    for (const Layout::Vector &basis : layout.getLaneBases())
      lanes.push_back(pack(basis));
    for (const Layout::Vector &basis : layout.getWarpBases())
      warps.push_back(pack(basis));
    copies.push_back({Layout::Vector(layout.getRank(), 0), 0});
    for (const Layout::Repeat &entry : repeats) {
      Layout::Vector stride = entry.stride;
      int64_t count = entry.count;
      // Adding a bit that nothing else sets is XORing it.
      auto isLinear = [&] {
        return llvm::all_of(llvm::zip_equal(stride, used), [](auto p) {
          auto [x, mask] = p;
          return x == 0 || (llvm::isPowerOf2_64(x) && !(x & mask));
        });
      };
      for (; count % 2 == 0 && isLinear(); count /= 2, registers *= 2) {
        generators.push_back({pack(stride), registers});
        for (auto [x, mask] : llvm::zip_equal(stride, used)) {
          mask |= x;
          x *= 2;
        }
      }
      SmallVector<Copy> all;
      for (int64_t n = 0; n < count; ++n)
        for (Copy copy : copies) {
          for (auto [x, step] : llvm::zip_equal(copy.offset, stride))
            x += n * step;
          copy.registers += n * registers;
          all.push_back(copy);
        }
      copies = std::move(all);
      registers *= count;
    }
  }

  int64_t numRegisters() const {
    return (int64_t(1) << generators.size()) * int64_t(copies.size());
  }
  /// The layout's register behind a number of the atom's.
  int64_t registerOf(uint64_t number) const {
    int64_t result = 0;
    for (size_t i = 0; i < generators.size(); ++i)
      if (number >> i & 1)
        result += generators[i].registers;
    return result;
  }
  /// Whether the elements of a word are the first bits of the atom.
  bool hasWords(unsigned wordBits) const {
    if (generators.size() < wordBits)
      return false;
    for (unsigned i = 0; i < wordBits; ++i)
      if (generators[i].registers != int64_t(1) << i)
        return false;
    return true;
  }
};

/// The program that turns `from` into `to`, whose warps agree; not proved yet.
std::optional<RegisterExchange> planExchange(const Atom &from, const Atom &to,
                                             int64_t elementBits,
                                             std::string &reason);

} // namespace mlir::flash_tile::detail

#endif // LIB_DIALECT_FLASHTILE_ANALYSIS_EXCHANGEPLANNER_H
