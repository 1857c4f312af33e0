//===- RegisterExchange.h - Layouts exchanged within a warp -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A conversion between layouts under which every warp keeps its data, as a
// program of selects, byte permutes and shuffles over 32-bit registers.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_ANALYSIS_REGISTEREXCHANGE_H
#define FLASH_DIALECT_FLASHTILE_ANALYSIS_REGISTEREXCHANGE_H

#include "flash/Dialect/FlashTile/IR/Layout.h"
#include <optional>
#include <string>
#include <vector>

namespace mlir::flash_tile {

/// A number that depends on the thread: `base` XOR bits[i] for every set bit i
/// of the thread number, lane first (bits 0 to 4), then warp.
struct ThreadFunction {
  uint64_t base = 0;
  SmallVector<uint64_t, 8> bits;

  uint64_t at(uint64_t thread) const {
    uint64_t value = base;
    for (size_t i = 0; i < bits.size(); ++i)
      if (thread >> i & 1)
        value ^= bits[i];
    return value;
  }
  bool isConstant() const {
    return llvm::all_of(bits, [](uint64_t v) { return v == 0; });
  }
  bool operator==(const ThreadFunction &) const = default;
};

/// One instruction of an exchange. Values are numbered: first the words of the
/// source in order, then the results of the steps.
struct ExchangeStep {
  enum class Kind {
    /// argument ? rhs : lhs.
    Select,
    /// prmt.b32: byte i of the result is byte (argument >> 4 i & 7) of the
    /// eight bytes lhs, rhs.
    Permute,
    /// shfl.sync.idx: the value `lhs` of lane `argument`.
    Shuffle
  };
  Kind kind;
  unsigned lhs = 0, rhs = 0;
  ThreadFunction argument;
  bool operator==(const ExchangeStep &) const = default;
};

/// The program: `results` names the value of each word of the result. A word
/// holds 32 / elementBits elements, the first register's in the lowest bits.
struct RegisterExchange {
  unsigned numSourceWords = 0;
  int64_t elementBits = 32;
  /// How often it is run: twice for elements of 64 bits, on either half of
  /// them.
  unsigned runs = 1;
  /// Instructions that put elements which have a register each into words, and
  /// take them out again.
  unsigned packing = 0;
  std::vector<ExchangeStep> steps;
  SmallVector<unsigned> results;

  /// Instructions of a kind, in all runs.
  unsigned count(ExchangeStep::Kind kind) const;

  /// Runs the program on labels: source(reg, lane, warp) is the label of an
  /// element, and the result is the label in register `reg` of the result for
  /// every (warp, lane, reg), lane by lane. -1 is what nobody wrote.
  std::vector<int64_t>
  simulate(int64_t warps,
           function_ref<int64_t(int64_t, int64_t, int64_t)> source) const;
};

/// The program that turns `from` into `to`, proved by simulating it on every
/// register of every lane of every warp; nullopt, with the reason, where data
/// would leave its warp or is not arranged linearly. Elements of 8, 16 or 32
/// bits.
std::optional<RegisterExchange> planRegisterExchange(const Layout &from,
                                                     const Layout &to,
                                                     ArrayRef<int64_t> shape,
                                                     int64_t elementBits,
                                                     std::string &reason);

/// How the registers of a thread hold a tile's elements.
struct ElementStorage {
  /// 8, 16, 32 or 64. A predicate travels as a byte.
  int64_t bits = 32;
  /// 32 / bits elements share a register, the one with the lowest number in the
  /// lowest bits; otherwise each has one of its own.
  bool sharesRegisters = true;

  int64_t inRegister() const {
    return sharesRegisters && bits < 32 ? 32 / bits : 1;
  }
};

/// How tiles of elements of this type are held; nullopt for other widths, and
/// for `index`.
std::optional<ElementStorage> getElementStorage(Type elementType);

/// As above for elements of any storage: those of 64 bits in two halves, and of
/// two programs for narrow elements with registers of their own, one for each
/// alone and one for words of them, the cheaper one (getExchangeCycles).
std::optional<RegisterExchange> planRegisterExchange(const Layout &from,
                                                     const Layout &to,
                                                     ArrayRef<int64_t> shape,
                                                     ElementStorage storage,
                                                     std::string &reason);

/// The model. Cycles of one SM that a warp takes up: it issues 32 shuffled or
/// 64 selected, byte-permuted or packed registers per cycle ("warp shuffle" and
/// "logical operations" in the CUDA C++ Programming Guide's table of
/// throughputs for 8.x and 9.0).
double getExchangeCycles(const RegisterExchange &exchange);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_ANALYSIS_REGISTEREXCHANGE_H
