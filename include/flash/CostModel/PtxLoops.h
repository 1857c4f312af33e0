//===- PtxLoops.h - The loops of a PTX kernel -------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a reader of a kernel's PTX looks for: which instructions are in the KV
// loop, and of which class. It is read from the text alone, so it serves a
// compiler's report as well as counters of an execution, which name lines.
//
// A loop is a natural loop of the control-flow graph: the blocks from which its
// back edge is reached without passing its header. Where LLVM has placed a
// block in the text does not matter.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_COSTMODEL_PTXLOOPS_H
#define FLASH_COSTMODEL_PTXLOOPS_H

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flash {

/// What an instruction is there for.
enum class PtxClass : uint8_t {
  Mma,         ///< mma, wgmma, wmma.
  Fma,         ///< fma.
  Float,       ///< Other arithmetic on floats, min and max included.
  Exponential, ///< ex2, lg2, rcp, sqrt and the like.
  Integer,     ///< Integer and address arithmetic, logic.
  Convert,     ///< cvt, mov, prmt: values change form or place.
  Predicate,   ///< setp, selp, logic on predicates.
  SharedLoad,  ///< ld.shared.
  SharedStore, ///< st.shared, stmatrix.
  Ldmatrix,    ///< ldmatrix.
  AsyncCopy,   ///< cp.async and its commits and waits.
  GlobalLoad,  ///< ld.global.
  GlobalStore, ///< st.global, atomics.
  Shuffle,     ///< shfl, redux, vote.
  Barrier,     ///< bar, barrier, mbarrier.
  Control,     ///< bra, ret.
  Other,       ///< ld.param and what has no class.
};
inline constexpr unsigned kNumPtxClasses = 17;

/// "mma", "shared load", ...
std::string_view name(PtxClass kind);

/// The class of an opcode with its modifiers, such as "ld.shared.v4.b32".
PtxClass classify(std::string_view opcode);

/// One instruction; `line` is its 1-based line of the text.
struct PtxInstruction {
  unsigned line = 0;
  std::string opcode;
  PtxClass kind = PtxClass::Other;
};

/// A maximal run of instructions entered at its first and left at its last.
struct PtxBlock {
  std::vector<PtxInstruction> instructions;
  std::vector<unsigned> successors;
};

struct PtxLoop {
  unsigned header = 0; ///< Block number.
  /// Blocks that branch back to the header: a trip executes one of them.
  std::vector<unsigned> latches;
  /// Blocks of the loop, inner loops included, in reverse post-order, the
  /// header first.
  std::vector<unsigned> blocks;
  /// Of those, the ones that every iteration executes.
  std::vector<unsigned> always;
  /// 0 for a loop in no other.
  unsigned depth = 0;
};

using PtxClassCounts = std::array<uint64_t, kNumPtxClasses>;

/// One kernel's control flow.
struct PtxKernel {
  std::vector<PtxBlock> blocks; ///< 0 is the entry.
  std::vector<PtxLoop> loops;   ///< In the order of their headers in the text.

  /// Reads the kernel `entry` of `ptx`. Without such a kernel the result has
  /// no blocks. Expects what LLVM and nvcc print: at most one label or
  /// instruction begins on a line, branches go to labels.
  static PtxKernel parse(std::string_view ptx, std::string_view entry);

  /// Instructions of some blocks by class.
  PtxClassCounts count(const std::vector<unsigned> &which) const;

  /// The KV loops: outermost loops that hold a product (mma or fma) in some
  /// block, but for those that only go from one such loop to the next. More than
  /// one where mask bands or passes have loops of their own.
  std::vector<const PtxLoop *> kvLoops() const;
};

} // namespace flash

#endif // FLASH_COSTMODEL_PTXLOOPS_H
