//===- LayoutConversion.h - The cheapest way between layouts ----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile is held under one layout and needed under another one. There are these
// ways, in rising cost, and the first that can be proved is taken:
//
//   identity            the layouts are one function; nothing moves
//   rename              a thread needs its own registers in another order
//   contraction order   as rename, once the product that consumes the tile sums
//                       over its contraction index in another order
//   exchange            lanes of a warp exchange registers by shuffles
//   shared memory       store, barrier, load
//
// The last two are compared by a model (see getExchangeCycles), which decides
// where both are possible.
//
// A proof is an evaluation of both layouts at every register of every lane of
// every warp. Candidates come from the vectors of the layouts by elimination
// over GF(2); nothing here knows which instruction a layout belongs to.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_ANALYSIS_LAYOUTCONVERSION_H
#define FLASH_DIALECT_FLASHTILE_ANALYSIS_LAYOUTCONVERSION_H

#include "flash/Dialect/FlashTile/Analysis/RegisterExchange.h"
#include "flash/Dialect/FlashTile/IR/Layout.h"
#include <optional>
#include <string>

namespace mlir::flash_tile {

enum class ConversionWay {
  Identity,
  Rename,
  ContractionOrder,
  Exchange,
  SharedMemory
};

/// "identity", "rename", ...
StringRef stringify(ConversionWay way);

/// What is to be converted, and what its neighbours allow.
struct ConversionQuery {
  Layout from, to;
  /// Extents of the tile: elements outside are held by nobody.
  SmallVector<int64_t> shape;
  /// What registers hold of the elements.
  ElementStorage storage;
  /// The tile is an elementwise narrowing of a tile with elements of this many
  /// bits, which may be converted in its place; 0 if there is none.
  int64_t wideBits = 0;

  /// The tile is operand A of products only, and they may sum in any order that
  /// is the same for every aligned group of `slots` indices along `axis`.
  struct Contraction {
    int64_t axis, slots;
  };
  std::optional<Contraction> contraction;
  /// Why not, if they may not; ends up in a remark.
  std::string contractionReason = "the result is not an operand of a product";
};

/// How a tile gets from one layout to the other.
struct LayoutConversion {
  ConversionWay way = ConversionWay::SharedMemory;
  /// Where in front of the narrowing the conversion belongs. Registers that are
  /// renamed are those of the wide tile then.
  bool beforeNarrowing = false;
  /// Identity, rename, contraction order: register r of the result is register
  /// permutation[r] of the source in the same thread.
  SmallVector<int64_t> permutation;
  /// Contraction order: the index that each slot of an aligned group stands
  /// for.
  SmallVector<int64_t> contractionOrder;
  /// Exchange: the program.
  std::optional<RegisterExchange> exchange;
  /// Modelled cycles per warp of the last two ways; 0 where they were not
  /// looked at or are none.
  double exchangeCycles = 0, sharedCycles = 0;
  /// What the result's registers hold, in logical coordinates: the layout that
  /// was asked for, under the contraction order.
  Layout result;
  /// Why each cheaper way is none, in order of cost.
  struct Rejection {
    ConversionWay way;
    std::string reason;
  };
  SmallVector<Rejection> rejected;
};

/// The cheapest way for `query`. Layouts are of one rank and number of warps.
LayoutConversion solveLayoutConversion(const ConversionQuery &query);

/// The permutation p for which register p[r] under `from` holds the same
/// element as register r under `to`, in every lane of every warp; nullopt if a
/// thread would need another thread's registers. Elements outside `shape`
/// (none if it is empty) are held by nobody: any register serves for them.
/// Aligned groups of `inWord` registers stay together and in order wherever
/// there is a group that may be taken as a whole.
std::optional<SmallVector<int64_t>>
findRegisterPermutation(const Layout &from, const Layout &to,
                        ArrayRef<int64_t> shape = {}, int64_t inWord = 1);

/// The first contraction order (as numbers, slot by slot) that is linear over
/// GF(2) and under which a thread holds, in `from`, whatever it needs in `to`,
/// and for which `rename` finds how `from` is renamed to that layout; nullopt
/// if there is none. `reason` says what stands in the way.
struct OrderedContraction {
  SmallVector<int64_t> order, permutation;
  Layout result;
};
std::optional<OrderedContraction> findContractionOrder(
    const ConversionQuery &query,
    function_ref<std::optional<SmallVector<int64_t>>(const Layout &)> rename,
    std::string &reason);

/// The model of getExchangeCycles() for the other way: a warp moves 128 bytes
/// to or from shared memory, at least an access, per cycle, if no banks
/// collide, and issues 64 registers' packing per cycle where narrow elements
/// with registers of their own make up a wider access. A barrier is taken as 20
/// cycles of the thread block, an assumption, and two of them are shared by all
/// warps.
double getSharedCycles(const ConversionQuery &query);

} // namespace mlir::flash_tile

#endif // FLASH_DIALECT_FLASHTILE_ANALYSIS_LAYOUTCONVERSION_H
