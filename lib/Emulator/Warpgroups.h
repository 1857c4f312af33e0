//===- Warpgroups.h - State of wgmma in flight ------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What WarpgroupMatrix.cpp (operations) and WarpgroupRegisters.cpp (their
// registers) share. See WarpgroupMatrix.h for the rules.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_WARPGROUPS_H
#define FLASH_LIB_EMULATOR_WARPGROUPS_H

#include "Cluster.h"
#include "WarpgroupMatrix.h"

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace flash::emu {

class Warpgroups {
public:
  static constexpr unsigned kWarps = 4; ///< Of a warpgroup.

  /// An operand in shared memory, as far as its descriptor and shape tell.
  struct Operand {
    SharedMatrix matrix;
    std::string problem;
    std::vector<uint32_t> units; ///< Addresses, [line][unit].
    /// Of B: all of it; of A: the rows of each warp.
    std::array<std::shared_ptr<const SharedSet>, kWarps> sets;

    /// Rows [first, first + count) as lines of 32 bytes. 8 must divide both.
    void gather(const std::byte *shared, unsigned first, unsigned count,
                uint8_t *lines) const;
  };

  struct OperandKey {
    uint64_t descriptor;
    uint32_t shape; ///< rows, bits, major.
    bool operator==(const OperandKey &) const = default;
  };
  struct OperandHash {
    size_t operator()(const OperandKey &key) const {
      return (key.descriptor * 0x9e3779b97f4a7c15) ^
             (key.shape * 0xbf58476d1ce4e5b9);
    }
  };

  /// The accumulators of one warp: what its registers hold when the operations
  /// on them are done.
  struct Accumulators {
    std::vector<uint32_t> words;     ///< As multiplyRows() takes them.
    std::vector<uint32_t> registers; ///< Numbers: its own, then copies of them.
    WarpgroupForm form;
    uint32_t pc = 0;
    bool copied = false;  ///< A move has made copies.
    uint32_t pending = 0; ///< Operations not waited for.
    /// Whose values this one starts from, until then.
    std::shared_ptr<Accumulators> source;
  };

  /// What holds a register.
  struct Lock {
    Accumulators *owner = nullptr; ///< It is to receive element `slot` of that.
    uint16_t slot = 0;
    bool copy = false;    ///< It got there by a move.
    uint16_t readers = 0; ///< Operations that read it as A.
    uint32_t readerPc = 0;
  };

  /// One warp's share of an operation.
  struct Part {
    bool issued = false;
    uint32_t group = 0; ///< Sequence number of its commit group.
    std::array<uint32_t, 4> aRegisters; ///< Numbers.
    std::array<uint8_t, 512> aLines;    ///< Of A in registers.
    std::shared_ptr<Accumulators> accumulators;
  };

  struct Operation {
    const Inst *inst = nullptr;
    WarpgroupForm form;
    uint64_t a = 0, b = 0; ///< Descriptors.
    bool keep = false;     ///< scale-d
    const Operand *aOperand = nullptr, *bOperand = nullptr;
    uint32_t serial = 0; ///< For the checker.
    unsigned issued = 0; ///< Warps.
    bool executed = false;
    std::array<Part, kWarps> parts;
  };

  struct Member {
    uint64_t issued = 0, waited = 0; ///< Operations, from the start.
    uint32_t committed = 0;          ///< Groups.
    uint32_t fences = 0;
    bool left = false;
    std::vector<Lock> locks;         ///< By number.
    std::vector<uint32_t> lastWrite; ///< `fences` at that time.
  };

  struct Warpgroup {
    std::deque<Operation> operations;
    uint64_t first = 0; ///< Number of operations.front() from the start.
    std::array<Member, kWarps> members;

    Operation &operation(uint64_t number) { return operations[number - first]; }
  };

  explicit Warpgroups(Cta &cta) : cta(cta), program(*cta.launch.program) {}

  void reset();
  void issue(Warp &warp, const Inst &inst);
  void wait(Warp &warp, const Inst &inst);
  void track(Warp &warp, const Inst &inst);
  void step(Random &random);
  void leave(Warp &warp);
  Member &member(const Warp &warp) {
    return groups[warp.id / kWarps].members[warp.id % kWarps];
  }

private:
  const Operand *operand(uint64_t descriptor, unsigned rows, unsigned bits,
                         bool mnMajor, bool isA);
  void lockRegisters(Warp &warp, const Inst &inst, Operation &operation);
  void readShared(Warp &warp, const Inst &inst, Operation &operation);
  void execute(Operation &operation);
  void executeBefore(Warpgroup &group, uint64_t end);
  void load(const Warp &warp, Accumulators &accumulators);
  void writeBack(Warp &warp, Accumulators &accumulators);
  void hazard(Warp &warp, const Inst &inst, uint32_t otherPc, std::string text);
  std::string accumulatorName(const Lock &lock) const;
  uint32_t numberOf(uint32_t reg) const { return program.warpgroupNumber[reg]; }

  Cta &cta;
  const Program &program;
  std::vector<Warpgroup> groups;
  std::unordered_map<OperandKey, Operand, OperandHash> operands;
  // Scratch.
  std::vector<uint8_t> lines;
  WarpgroupColumns columns;
  WarpgroupRows rows;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_WARPGROUPS_H
