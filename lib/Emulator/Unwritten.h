//===- Unwritten.h - Loaded bytes that nobody has written -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Correct kernels load shared memory that nobody has written: a software
// pipeline fetches one fragment more than it needs, a tile at the edge of a
// matrix has rows that the mask drops later. Only a value that counts is an
// error. So a load of unwritten bytes marks its registers, lane by lane, and
// the marks follow the data:
//
//   arithmetic, cvt, mov       from the operands to the result
//   selp                       from the operand that is chosen
//   shfl                       from the lane that gives to the one that takes
//   mma                        from a row of A and from a column of B to that
//                              row and column of D
//   a branch over arithmetic   to what the arithmetic sets
//   st.shared                  the bytes become unwritten again
//
// Addresses, other branches, guards of memory instructions, stores to global
// memory and all other instructions count: a mark there is reported, at the
// load. A spill to local memory loses the mark.
//
// A warp with marks runs instruction by instruction, one without pays one test
// per run of plain instructions.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_UNWRITTEN_H
#define FLASH_LIB_EMULATOR_UNWRITTEN_H

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace flash::emu {

struct Inst;
struct Warp;

/// The marks of one warp. Registers go by the offset of their row.
class Unwritten {
public:
  /// Which load found unwritten bytes, and where.
  struct Origin {
    uint32_t pc = 0;
    uint32_t lane = 0;
    uint32_t offset = 0; ///< As the checker counts, over the whole cluster;
                         ///< a cell's address in tensor memory.
    bool isTensor = false;
  };

  bool any() const { return !marks.empty(); }
  void reset() { marks.clear(); }
  /// The marked lanes of a row.
  uint32_t lanes(uint32_t row) const {
    auto it = marks.find(row);
    return it == marks.end() ? 0 : it->second.lanes;
  }
  const Origin &origin(uint32_t row) const { return marks.at(row).origin; }
  void mark(uint32_t row, uint32_t lanes, const Origin &origin);
  void clear(uint32_t row, uint32_t lanes);
  /// The lanes of `mask` in `target` become marked where `lanes` are, for the
  /// reason that `source` is.
  void set(uint32_t target, uint32_t mask, uint32_t lanes, uint32_t source);

private:
  struct Mark {
    uint32_t lanes;
    Origin origin;
  };
  std::unordered_map<uint32_t, Mark> marks; ///< None without lanes.
};

/// Passes marks on, or reports them, for `mask` at `inst`; before it executes.
/// Of an instruction with Meta::marksItself only the guard is looked at.
void followUnwritten(Warp &warp, const Inst &inst, uint32_t mask);
/// Reports the marks of `row` in `lanes`: `inst` makes something depend on
/// them. They are gone afterwards.
void reportUnwritten(Warp &warp, const Inst &inst, uint32_t row,
                     uint32_t lanes);
/// Through mma: `d`, `a`, `b` and `c` are rows of registers as many as given.
void spreadThroughMma(Warp &warp, const uint32_t *d, unsigned dRegs,
                      const uint32_t *a, unsigned aRegs, const uint32_t *b,
                      unsigned bRegs, const uint32_t *c);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_UNWRITTEN_H
