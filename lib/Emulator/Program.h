//===- Program.h - A kernel, decoded ----------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the executor runs: instructions with a function pointer each, operands
// as byte offsets into two banks, blocks laid out so that every loop is
// contiguous and the lowest pc of a diverged warp is always the one to run.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_PROGRAM_H
#define FLASH_LIB_EMULATOR_PROGRAM_H

#include "Syntax.h"
#include "flash/Emulator/Emulator.h"

#include <cstdlib>
#include <memory>

namespace flash::emu {

struct Warp;
struct Inst;

/// Executes one instruction for the lanes of `mask` (never empty).
using Handler = void (*)(Warp &warp, const Inst &inst, uint32_t mask);

/// How the main loop treats an instruction.
enum class Kind : uint8_t {
  Plain,   ///< Falls through and cannot fail.
  Memory,  ///< Falls through; may stop the launch.
  Branch,  ///< To `imm` for the lanes of its guard.
  Indexed, ///< brx.idx: to extra[...] by register.
  Exit,
  Barrier, ///< May block the lanes; see Cta.h.
  Sync,    ///< Needs the lanes of its member mask, or `.aligned`: all lanes.
  Yield,   ///< nanosleep and polling loads: let others run.
  Wait,    ///< May block its lanes until something changes: Warp::blocked.
};

enum : uint8_t {
  kLeader = 1,  ///< First instruction of a block.
  kTracked = 2, ///< Touches a register that may be uninitialised.
  kPolls = 4,   ///< A loop with it may wait for another lane or warp.
  kAligned = 8, ///< Needs every live lane of the warp.
  // 16: see Scheduler.h.
  kWarpgroup = 32,  ///< Touches a register that some wgmma uses; is none.
  kTensorLoad = 64, ///< Concerns registers that a tcgen05.ld may still write.
};

/// Operands are byte offsets into the warp's register file, where rows hold 32
/// lanes of 4 bytes (8 for 64-bit values) and predicates are one 32-bit mask.
/// Every warp has its own copy of the constant rows behind its registers, so
/// that handlers need not ask where an operand lies. Until the layout is known,
/// an operand is a register number with kVirtual set or an offset into the
/// constants with kConstant set.
constexpr uint32_t kConstant = 1u << 31;
constexpr uint32_t kVirtual = 1u << 30;

/// Offset of a mask that is always all ones: the guard of unguarded ones.
constexpr uint32_t kTrueMask = 0;
/// Offset of a row that takes values nobody wants (`_`).
constexpr uint32_t kScratchRow = 128;
/// Offsets of rows that hold the address of the CTA's shared memory in the
/// shared window, 32 and 64 bits wide.
constexpr uint32_t kSharedBase32 = 128 + 512;
constexpr uint32_t kSharedBase64 = kSharedBase32 + 128;
constexpr uint32_t kFirstRow = kSharedBase64 + 256;

struct Inst {
  Handler full = nullptr;   ///< All 32 lanes active.
  Handler masked = nullptr; ///< Any subset.
  uint32_t guard = kTrueMask;
  uint32_t guardXor = 0;
  uint32_t ops[6] = {};
  uint64_t imm = 0;
  uint32_t extra = 0; ///< First of further operands, in Program::extra.
  Kind kind = Kind::Plain;
  uint8_t flags = 0;
  uint8_t n = 0;   ///< Number of elements, or the instruction's own use.
  uint8_t sub = 0; ///< The instruction's own use.
};
static_assert(sizeof(Inst) == 64);

/// What is known of an instruction and not needed to run it.
struct Meta {
  uint32_t line = 0;
  uint32_t location = 0;
  uint32_t opcode = 0; ///< Index into Program::opcodes.
  Pipe pipe = Pipe::ALU;
  bool marksItself = false; ///< Its handler passes on the marks of Unwritten.h.
  bool select = false;      ///< selp: ops[3] says which of ops[1], [2] counts.
  bool plainMove = false;   ///< mov of a register or constant, bit for bit.
  bool warpgroup = false;   ///< wgmma.mma_async.
  bool tensorLoad = false, tensorWait = false; ///< tcgen05.ld, .wait::ld.
  /// wgmma: its first uses, which matter only where scale-d is true.
  uint16_t optionalUses = 0;
  uint32_t tensorFlops = 0;
  uint32_t firstUse = 0, uses = 0; ///< In Program::registerLists.
  uint32_t firstDef = 0, defs = 0;
};

struct AlignedDelete {
  void operator()(std::byte *p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

/// 64-byte aligned, zeroed memory.
AlignedBytes allocateAligned(size_t bytes);

struct Program {
  const syntax::Module *module = nullptr;
  KernelInfo info;
  std::vector<Inst> code;
  std::vector<Meta> meta;
  std::vector<uint32_t> extra;
  std::vector<uint32_t> registerLists;
  std::vector<uint32_t> rows; ///< Register number -> offset of its row.
  std::vector<std::string> opcodes;
  /// From each pc, the number of instructions that run without a look at what
  /// follows; see Executor.h.
  std::vector<uint32_t> runs;
  AlignedBytes constants;
  uint32_t constantBytes = 0;
  uint32_t constantBase = 0;     ///< Offset of the constants in the file.
  uint32_t registerBytes = 0;    ///< Register file, constants included.
  uint32_t localBytes = 0;       ///< Per thread, `.param` of calls included.
  uint32_t trackedRegisters = 0; ///< Registers that keep an initialised mask.
  /// Register number -> number of that mask, ~0 for others; empty if none is
  /// tracked.
  std::vector<uint32_t> trackedNumber;
  /// Has atomic or ordered accesses that may be to global memory.
  bool ordersCtas = false;
  /// Has operations of the async proxy on shared memory.
  bool usesAsyncProxy = false;
  bool usesWarpgroups = false; ///< Has wgmma instructions.
  /// Has tcgen05.fence::before_thread_sync, ::after_thread_sync.
  bool tensorFencesBefore = false, tensorFencesAfter = false;
  /// Registers whose values wgmma reads or writes, directly or through moves:
  /// register number -> their own number, ~0 for others; and their rows.
  std::vector<uint32_t> warpgroupNumber, warpgroupRows;
  /// Registers that something may touch between a tcgen05.ld of them and its
  /// wait: register number -> their own number, ~0 for others; empty if there
  /// are none.
  std::vector<uint32_t> loadNumber;
  uint32_t loadRegisters = 0;
  /// `.const` image, addressed from 0.
  std::vector<std::byte> constImage;
  /// `.global` variables that the kernel names. Their addresses are fixed
  /// when decoding; every launch starts them from their initial values.
  struct Global {
    const syntax::Variable *variable;
    uint64_t address;
  };
  std::vector<Global> globals;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_PROGRAM_H
