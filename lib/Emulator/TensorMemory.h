//===- TensorMemory.h - Tensor memory of a CTA ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// 128 lanes by 512 columns of 32 bits (PTX ISA, "Tensor Memory"). An address
// holds the lane in its upper and the column in its lower 16 bits. Columns are
// allocated in powers of two from 32.
//
// Three things are kept beside the cells:
//
//   per column   whether each of its 128 cells was written;
//   per *unit*   (16 lanes of one column, what every shape but 4x256b and
//                .shift covers whole) the last access that wrote it and the
//                accesses that read it since, to find what nothing orders;
//   per unit     the asynchronous operation that is still to write it: until
//                then its cells read as all ones, the poison of this emulator.
//
// Accesses come from warps (tcgen05.ld, .st: they are over at a wait::ld or
// wait::st of that warp) and from the tensor core (mma, cp, shift: they are
// over for whoever waited for the mbarrier of a commit that covers them). The
// operations that one thread issues run in order and need no more than that
// between them.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORMEMORY_H
#define FLASH_LIB_EMULATOR_TENSORMEMORY_H

#include "Program.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flash::emu {

constexpr unsigned kTensorLanes = 128;
constexpr unsigned kTensorColumns = 512;
constexpr unsigned kUnitLanes = 16;
/// Smallest allocation, in columns.
constexpr unsigned kLeastTensorColumns = 32;

/// A rectangle of cells.
struct TensorRange {
  unsigned lane = 0, lanes = 0;
  unsigned column = 0, columns = 0;

  static TensorRange at(uint32_t address, unsigned lanes, unsigned columns) {
    return {address >> 16, lanes, address & 0xffff, columns};
  }
};

/// One access as later ones see it.
struct TensorAccess {
  enum Kind : uint8_t {
    None,
    Waiting, ///< Of a warp that has not executed wait::ld or wait::st since.
    Done,    ///< Of a warp that has; `number` is its epoch at that wait.
    Core,    ///< Of the tensor core; `number` is its operation.
  };
  Kind kind = None;
  bool fenced = false; ///< Done: fence::before_thread_sync came after it, and
                       ///< `number` is the epoch at that fence.
  uint8_t lane = 0;    ///< Core: issuing lane.
  uint16_t warp = 0;   ///< Number of the warp in the cluster; Core: issuer.
  uint32_t number = 0;
  uint32_t pc = 0;
};

/// What orders a new access after earlier ones: answered by the checker.
class TensorOrder {
public:
  virtual ~TensorOrder() = default;
  enum Answer : uint8_t {
    After,
    Unordered,
    NoFenceBefore, ///< The warp of the earlier access lacks its fence.
    NoFenceAfter,  ///< That of the later one does.
  };
  /// Whether the new access is known to come after `access`, which is Done or
  /// Core.
  virtual Answer after(const TensorAccess &access) const = 0;
};

/// What an access found; the first conflict only.
struct TensorFinding {
  enum Kind : uint8_t {
    None,
    InFlight,      ///< The tensor core is still to write it.
    BeingRead,     ///< The tensor core is still to read it.
    NoWait,        ///< `other` lacks its wait::ld or wait::st.
    NoFenceBefore, ///< A tcgen05.fence is missing, as in TensorOrder.
    NoFenceAfter,
    Race, ///< Nothing orders it and `other`.
  };
  Kind kind = None;
  bool otherIsWrite = false;
  TensorAccess other;
  unsigned lane = 0, column = 0; ///< First cell of the unit.
};

class TensorMemory {
public:
  TensorMemory();

  /// Forgets everything: a new CTA starts.
  void reset();

  //===--- Allocation -----------------------------------------------------===//

  /// Takes `columns` columns, the first free ones; their cells count as never
  /// written. Nothing if there is no room.
  std::optional<uint32_t> allocate(unsigned columns, uint32_t pc);
  /// Gives back exactly what was allocated at `column`.
  bool release(unsigned column, unsigned columns);
  bool isAllocated(unsigned column, unsigned columns) const;
  /// "columns 0 to 127 and 256 to 511", "none".
  std::string allocations() const;
  bool anyAllocated() const { return !taken.empty(); }
  /// Where the first of them was allocated.
  uint32_t allocatedAt() const { return taken.front().pc; }
  /// tcgen05.relinquish_alloc_permit was executed.
  bool relinquished = false;
  /// .cta_group of the first instruction, 0 before it.
  unsigned ctaGroup = 0;

  //===--- Cells ----------------------------------------------------------===//

  uint32_t *row(unsigned lane) { return &cells[lane * kTensorColumns]; }
  /// What an access by a warp sees: all ones where an operation is to come.
  uint32_t seen(unsigned lane, unsigned column) const {
    return unit(lane, column).pending ? ~0u
                                      : cells[lane * kTensorColumns + column];
  }
  bool isWritten(unsigned lane, unsigned column) const {
    return written[column][lane / 64] >> (lane % 64) & 1;
  }
  void setWritten(unsigned lane, unsigned column) {
    written[column][lane / 64] |= uint64_t(1) << (lane % 64);
  }
  void clearWritten(unsigned lane, unsigned column) {
    written[column][lane / 64] &= ~(uint64_t(1) << (lane % 64));
  }
  void setWritten(const TensorRange &range);
  /// A cell of `range` that nobody has written.
  std::optional<TensorRange> unwritten(const TensorRange &range) const;

  //===--- Order ----------------------------------------------------------===//

  /// Records `access`, which reads (writes) the units of `range`; the conflict
  /// goes to `finding` if that is still empty. `order` may be null: then
  /// nothing is checked.
  void note(const TensorRange &range, const TensorAccess &access, bool isWrite,
            const TensorOrder *order, TensorFinding &finding);
  /// A warp's load (store) of `range` is on record as Waiting.
  void expectWait(uint16_t warp, bool isWrite, const TensorRange &range);
  /// The warp waits for its loads (stores): they become Done at its `epoch`.
  void settle(uint16_t warp, bool isWrite, uint32_t epoch);
  /// The warp executes fence::before_thread_sync in its `epoch`.
  void fenceBefore(uint16_t warp, uint32_t epoch);
  /// An operation is to write `range` (has written it).
  void setPending(const TensorRange &range, uint32_t operation);
  void clearPending(const TensorRange &range, uint32_t operation);

private:
  struct Unit {
    uint32_t pending = 0; ///< The last operation that is to write it.
    TensorAccess writer;
    std::vector<TensorAccess> readers;
  };
  struct Allocation {
    unsigned column, columns;
    uint32_t pc;
  };
  Unit &unit(unsigned lane, unsigned column) {
    return units[lane / kUnitLanes * kTensorColumns + column];
  }
  const Unit &unit(unsigned lane, unsigned column) const {
    return units[lane / kUnitLanes * kTensorColumns + column];
  }
  template <typename F> void forUnits(const TensorRange &range, F visit);

  struct Awaited {
    uint16_t warp;
    bool isWrite;
    TensorRange range;
  };

  std::vector<uint32_t> cells; ///< [lane][column]
  std::vector<Unit> units;     ///< [lane / 16][column]
  std::array<std::array<uint64_t, 2>, kTensorColumns> written;
  std::vector<Allocation> taken;          ///< By column.
  std::vector<Awaited> awaited, unfenced; ///< Without their wait, fence.
};

//===----------------------------------------------------------------------===//
// Shapes of tcgen05.ld and .st
//===----------------------------------------------------------------------===//

/// Shape of a fragment in registers (PTX ISA, "Data Movement Shape"). With
/// t the thread and r the register:
///
///   shape      lane of the cell           column of the cell
///   32x32b     t                          r
///   16x64b     t / 4 + 8 (t & 1)          2 r + (t >> 1 & 1)
///   16x128b    t / 4 + 8 (r & 1)          4 (r / 2) + t % 4
///   16x256b    t / 4 + 8 (r >> 1 & 1)     8 (r / 4) + 2 (t % 4) + (r & 1)
///   16x32bx2   t % 16                     r, and for t >= 16 the split offset
///                                         further
///
/// With .pack::16b (.unpack::16b) a register holds the low halves of two
/// neighbouring columns: cell columns double.
enum class FragmentShape : uint8_t {
  S32x32b,
  S16x64b,
  S16x128b,
  S16x256b,
  S16x32bx2
};

struct FragmentCell {
  unsigned lane, column;
};

/// Cell of register `r` of thread `t`, not packed and without the split.
FragmentCell fragmentCell(FragmentShape shape, unsigned t, unsigned r);
/// Registers and columns of the .x1 form.
unsigned fragmentRegisters(FragmentShape shape);
unsigned fragmentColumns(FragmentShape shape);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORMEMORY_H
