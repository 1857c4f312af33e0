//===- WarpgroupMatrix.cpp - wgmma between issue and wait -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpgroupMatrix.h"
#include "Cluster.h"
#include "MemoryAccess.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

using namespace flash::emu;

WarpgroupTypes WarpgroupForm::types() const {
  WarpgroupTypes types;
  types.a = a;
  types.b = b;
  types.integer = integer;
  types.aSigned = aSigned;
  types.bSigned = bSigned;
  types.saturate = saturate;
  types.halfResult = halfResult;
  types.bits = bits;
  return types;
}

namespace {

constexpr unsigned kWarps = 4;

/// An operand in shared memory, as far as its descriptor and shape tell.
struct Operand {
  SharedMatrix matrix;
  std::string problem;
  std::vector<uint32_t> units; ///< Addresses, [line][unit].
  /// Of B: all of it; of A: the rows of each warp.
  std::array<std::shared_ptr<const SharedSet>, kWarps> sets;

  /// Rows [first, first + count) as lines of 32 bytes. 8 must divide both.
  void gather(const std::byte *shared, unsigned first, unsigned count,
              uint8_t *lines) const {
    unsigned perLine = matrix.unitsPerLine();
    if (!matrix.mnMajor) {
      for (unsigned i = 0; i < count * 2; ++i)
        std::memcpy(lines + i * 16, shared + units[first * 2 + i], 16);
      return;
    }
    // Only 16-bit elements come this way: eight rows to a unit.
    for (unsigned k = 0; k < matrix.k; ++k)
      for (unsigned unit = first / 8; unit < (first + count) / 8; ++unit) {
        uint16_t values[8];
        std::memcpy(values, shared + units[k * perLine + unit], 16);
        for (unsigned i = 0; i < 8; ++i)
          std::memcpy(lines + ((unit * 8 + i - first) * 32 + k * 2), &values[i],
                      2);
      }
  }
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

/// The accumulators of one warp: what its registers hold when the operations on
/// them are done.
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
  uint32_t group = 0;                 ///< Sequence number of its commit group.
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

} // namespace

//===----------------------------------------------------------------------===//
// Warpgroups
//===----------------------------------------------------------------------===//

class flash::emu::Warpgroups {
public:
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
  bool startOperation(Warp &warp, const Inst &inst, Operation &&operation,
                      Operation *&issued);
  void lockRegisters(Warp &warp, const Inst &inst, Operation &operation);
  void readShared(Warp &warp, const Inst &inst, Operation &operation);
  void execute(Warpgroup &group, Operation &operation);
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

void Warpgroups::reset() {
  groups.assign((cta.warps.size() + kWarps - 1) / kWarps, Warpgroup());
  for (Warpgroup &group : groups)
    for (Member &member : group.members) {
      member.locks.resize(program.warpgroupRows.size());
      member.lastWrite.resize(program.warpgroupRows.size());
    }
}

void Warpgroups::hazard(Warp &warp, const Inst &inst, uint32_t otherPc,
                        std::string text) {
  if (cta.wants(IssueKind::RegisterHazard, warp, &inst, otherPc))
    cta.report(IssueKind::RegisterHazard, warp, &inst, warp.live,
               std::move(text), otherPc);
}

std::string Warpgroups::accumulatorName(const Lock &lock) const {
  return "accumulator " + std::to_string(lock.slot) + " of the wgmma of line " +
         std::to_string(program.meta[lock.owner->pc].line);
}

/// The operand of a descriptor. The pointer stays valid for the CTA's time.
const Operand *Warpgroups::operand(uint64_t descriptor, unsigned rows,
                                   unsigned bits, bool mnMajor, bool isA) {
  auto [it, fresh] = operands.try_emplace(
      {descriptor,
       rows | bits << 12 | uint32_t(mnMajor) << 20 | uint32_t(isA) << 21});
  Operand &result = it->second;
  if (!fresh)
    return &result;
  SharedMatrix &matrix = result.matrix;
  matrix.mnMajor = mnMajor;
  matrix.bits = bits;
  matrix.rows = rows;
  matrix.k = 256 / bits;
  result.problem = readWgmmaDescriptor(descriptor, matrix.descriptor);
  if (result.problem.empty())
    result.problem = matrix.problem(cta.sharedBytes);
  if (!result.problem.empty())
    return &result;
  uint32_t base = cta.rank * cta.cluster.sharedStride;
  std::array<std::vector<uint32_t>, kWarps> touched;
  matrix.forUnits([&](uint32_t line, uint32_t unit, uint32_t address) {
    result.units.push_back(address);
    unsigned row = mnMajor ? unit * 128 / bits : line;
    touched[isA ? row / 16 : 0].push_back(address);
  });
  for (unsigned warp = 0; warp < kWarps; ++warp) {
    std::vector<uint32_t> &addresses = touched[warp];
    if (addresses.empty())
      continue;
    auto [low, high] = std::minmax_element(addresses.begin(), addresses.end());
    SharedSet set(base + *low, *high - *low + SharedSet::kUnit);
    for (uint32_t address : addresses)
      set.add(base + address, SharedSet::kUnit);
    result.sets[warp] = std::make_shared<const SharedSet>(std::move(set));
  }
  return &result;
}

//===----------------------------------------------------------------------===//
// Accumulators
//===----------------------------------------------------------------------===//

// Register i of f32 and s32 accumulators holds element 2 lane + (i & 1) of half
// i >> 1 & 1 of tile i / 4: rows g and g + 8, columns 2 t and 2 t + 1.
// Registers of f16 accumulators hold both elements of a half.

void Warpgroups::load(const Warp &warp, Accumulators &accumulators) {
  const WarpgroupForm &form = accumulators.form;
  for (size_t i = 0; i < accumulators.registers.size(); ++i) {
    const uint32_t *row = sourceRow<uint32_t>(
        warp, program.warpgroupRows[accumulators.registers[i]]);
    if (form.halfResult) {
      uint32_t *to = &accumulators.words[i * 64];
      for (unsigned lane = 0; lane < 32; ++lane) {
        to[2 * lane] = std::bit_cast<uint32_t>(f16ToFloat(row[lane] & 0xffff));
        to[2 * lane + 1] = std::bit_cast<uint32_t>(f16ToFloat(row[lane] >> 16));
      }
    } else {
      uint32_t *to = &accumulators.words[i / 2 * 64 + (i & 1)];
      for (unsigned lane = 0; lane < 32; ++lane)
        to[2 * lane] = row[lane];
    }
  }
}

/// Gives the registers that still wait for it their values.
void Warpgroups::writeBack(Warp &warp, Accumulators &accumulators) {
  Member &member = this->member(warp);
  for (uint32_t number : accumulators.registers) {
    Lock &lock = member.locks[number];
    if (lock.owner != &accumulators)
      continue;
    lock.owner = nullptr;
    lock.copy = false;
    uint32_t *row = targetRow<uint32_t>(warp, program.warpgroupRows[number]);
    if (accumulators.form.halfResult) {
      const uint32_t *from = &accumulators.words[lock.slot * 64u];
      for (unsigned lane = 0; lane < 32; ++lane)
        row[lane] = floatToF16(std::bit_cast<float>(from[2 * lane])) |
                    floatToF16(std::bit_cast<float>(from[2 * lane + 1])) << 16;
    } else {
      const uint32_t *from =
          &accumulators.words[lock.slot / 2 * 64 + (lock.slot & 1)];
      for (unsigned lane = 0; lane < 32; ++lane)
        row[lane] = from[2 * lane];
    }
  }
}

//===----------------------------------------------------------------------===//
// Issuing
//===----------------------------------------------------------------------===//

namespace {

/// The value that all lanes agree on; false where they do not.
bool uniform(const uint64_t *row, uint64_t &value) {
  value = row[0];
  uint64_t differ = 0;
  for (unsigned i = 1; i < 32; ++i)
    differ |= row[i] ^ value;
  return differ == 0;
}

} // namespace

void Warpgroups::issue(Warp &warp, const Inst &inst) {
  unsigned index = warp.id % kWarps;
  Warpgroup &group = groups[warp.id / kWarps];
  Operation next;
  next.inst = &inst;
  std::memcpy(&next.form, &inst.imm, sizeof(next.form));
  const WarpgroupForm &form = next.form;
  bool same = uniform(sourceRow<uint64_t>(warp, inst.ops[1]), next.b);
  if (!form.aInRegisters)
    same &= uniform(sourceRow<uint64_t>(warp, inst.ops[0]), next.a);
  uint32_t scale = predicateOf(warp, inst.ops[2]) ^ (inst.n ? ~0u : 0);
  next.keep = scale & 1;
  if (!same || (scale != 0 && scale != ~0u)) {
    cta.fatal(IssueKind::Divergence, warp, &inst, warp.live,
              same ? "scale-d: expected one value in all lanes"
                   : "matrix descriptors: expected one value in all lanes");
    return;
  }
  Member &member = group.members[index];
  if (member.issued - group.first == group.operations.size()) {
    next.aOperand = form.aInRegisters
                        ? nullptr
                        : operand(next.a, 64, form.bits, form.aMnMajor, true);
    next.bOperand = operand(next.b, form.n(), form.bits, form.bMnMajor, false);
    for (const Operand *problematic : {next.aOperand, next.bOperand})
      if (problematic && !problematic->problem.empty()) {
        cta.fatal(IssueKind::OutOfBounds, warp, &inst, warp.live,
                  problematic->problem);
        return;
      }
    group.operations.push_back(std::move(next));
  } else {
    const Operation &theirs = group.operation(member.issued);
    if (theirs.inst != &inst || theirs.a != next.a || theirs.b != next.b ||
        theirs.keep != next.keep) {
      std::string what =
          theirs.inst != &inst
              ? "another instruction (line " +
                    std::to_string(program.meta[warp.pcOf(*theirs.inst)].line) +
                    ")"
          : theirs.keep != next.keep ? "another scale-d"
                                     : "other matrix descriptors";
      cta.fatal(IssueKind::Divergence, warp, &inst, warp.live,
                "wgmma number " + std::to_string(member.issued) +
                    " of this warp: another warp of its warpgroup has issued " +
                    what);
      return;
    }
  }
  Operation &operation = group.operation(member.issued);
  ++member.issued;
  ++operation.issued;
  operation.parts[index].issued = true;
  operation.parts[index].group = member.committed;
  lockRegisters(warp, inst, operation);
  readShared(warp, inst, operation);
  if (operation.issued < kWarps)
    return;
  // Who waits for it may go on.
  ++cta.cluster.changes;
  ++cta.cluster.progress;
  AsyncMode mode = cta.launch.config->async;
  if (mode == AsyncMode::Eager ||
      (mode == AsyncMode::Random && cta.cluster.random.below(2)))
    executeBefore(group, member.issued);
}

void Warpgroups::lockRegisters(Warp &warp, const Inst &inst,
                               Operation &operation) {
  const WarpgroupForm &form = operation.form;
  Member &member = this->member(warp);
  Part &part = operation.parts[warp.id % kWarps];
  uint32_t pc = warp.pcOf(inst);
  const Meta &meta = program.meta[pc];
  const uint32_t *defs = &program.registerLists[meta.firstDef];
  const uint32_t *uses = &program.registerLists[meta.firstUse];
  auto checkFence = [&](uint32_t number, const char *role, size_t i) {
    if (member.lastWrite[number] < member.fences)
      return;
    hazard(warp, inst, kNoPc,
           std::string(role) + " " + std::to_string(i) +
               (member.fences ? ": written since the last wgmma.fence"
                              : ": no wgmma.fence before the first use"));
  };

  if (form.aInRegisters)
    for (unsigned i = 0; i < 4; ++i) {
      uint32_t number = numberOf(uses[meta.optionalUses + i]);
      Lock &lock = member.locks[number];
      if (lock.owner)
        hazard(warp, inst, lock.owner->pc,
               "A register " + std::to_string(i) + " is " +
                   accumulatorName(lock) + ", which is still in flight");
      else
        checkFence(number, "A register", i);
      ++lock.readers;
      lock.readerPc = pc;
      part.aRegisters[i] = number;
      // Registers hold 16 bytes of k by 8 rows, lane by lane.
      const uint32_t *row =
          sourceRow<uint32_t>(warp, program.warpgroupRows[number]);
      for (unsigned lane = 0; lane < 32; ++lane)
        std::memcpy(&part.aLines[((lane >> 2) + 8 * (i & 1)) * 32 +
                                 (i >> 1) * 16 + (lane & 3) * 4],
                    &row[lane], 4);
    }

  uint32_t count = meta.defs;
  Lock &firstLock = member.locks[numberOf(defs[0])];
  Accumulators *owner = firstLock.owner;
  uint32_t inFlight = 0, inOrder = 0;
  bool copies = false;
  for (uint32_t i = 0; i < count; ++i) {
    const Lock &lock = member.locks[numberOf(defs[i])];
    inFlight += lock.owner != nullptr;
    inOrder += lock.owner && lock.owner == owner && lock.slot == i;
    copies |= lock.copy;
    if (lock.readers)
      hazard(warp, inst, lock.readerPc,
             "accumulator " + std::to_string(i) +
                 " is an A register of the wgmma of line " +
                 std::to_string(program.meta[lock.readerPc].line) +
                 ", which is still in flight");
    if (!lock.owner)
      checkFence(numberOf(defs[i]), "accumulator", i);
  }
  bool chained = inOrder == count && owner->form.sameAccumulators(form);
  if (inFlight && !chained) {
    const Lock *lock = nullptr;
    for (uint32_t i = 0; i < count && !lock; ++i)
      if (member.locks[numberOf(defs[i])].owner)
        lock = &member.locks[numberOf(defs[i])];
    hazard(warp, inst, lock->owner->pc,
           accumulatorName(*lock) +
               " is still in flight: expected accumulators of the same shape "
               "in the same registers");
  }
  if (chained && !copies && !owner->copied) {
    // The operation that holds it has it.
    for (Operation &other : groups[warp.id / kWarps].operations)
      if (other.parts[warp.id % kWarps].accumulators.get() == owner)
        part.accumulators = other.parts[warp.id % kWarps].accumulators;
    ++owner->pending;
    return;
  }
  auto fresh = std::make_shared<Accumulators>();
  fresh->form = form;
  fresh->pc = pc;
  fresh->pending = 1;
  fresh->words.resize(accumulatorWords(form.n()));
  fresh->registers.reserve(count);
  for (uint32_t i = 0; i < count; ++i)
    fresh->registers.push_back(numberOf(defs[i]));
  if (chained) {
    for (Operation &other : groups[warp.id / kWarps].operations)
      if (other.parts[warp.id % kWarps].accumulators.get() == owner)
        fresh->source = other.parts[warp.id % kWarps].accumulators;
  } else if (operation.keep) {
    load(warp, *fresh);
  }
  bool poison = cta.launch.config->async != AsyncMode::Eager;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t number = fresh->registers[i];
    Lock &lock = member.locks[number];
    lock.owner = fresh.get();
    lock.slot = uint16_t(i);
    lock.copy = false;
    // Quiet NaNs in every format.
    if (poison)
      std::memset(targetRow<uint32_t>(warp, program.warpgroupRows[number]),
                  0xff, 128);
  }
  part.accumulators = std::move(fresh);
}

/// Tells the checker what the operation will read. B is one read of the whole
/// warpgroup, checked for the warp that comes first (the order of warps is
/// random); its rows of A are every warp's own.
void Warpgroups::readShared(Warp &warp, const Inst &inst,
                            Operation &operation) {
  Checker *checker = cta.checker;
  if (!checker)
    return;
  Accessor who{uint16_t(warp.agent), 0, false, warp.pcOf(inst)};
  auto read = [&](const std::shared_ptr<const SharedSet> &set) {
    Finding finding = checker->asyncRead(who, operation.serial, set);
    if (finding.kind != Finding::None)
      reportFinding(warp, inst, 0, finding, false);
  };
  if (!operation.serial) {
    operation.serial = checker->startOp(who);
    read(operation.bOperand->sets[0]);
  }
  if (operation.aOperand)
    read(operation.aOperand->sets[warp.id % kWarps]);
}

//===----------------------------------------------------------------------===//
// Executing
//===----------------------------------------------------------------------===//

void Warpgroups::execute(Warpgroup &group, Operation &operation) {
  const WarpgroupForm &form = operation.form;
  WarpgroupTypes types = form.types();
  DotSpec spec = wgmmaSpec(form.a, form.halfResult);
  lines.resize(form.n() * 32);
  operation.bOperand->gather(cta.shared, 0, form.n(), lines.data());
  columns.set(types, form.bNegated, lines.data(), form.n());
  for (unsigned warp = 0; warp < kWarps; ++warp) {
    Part &part = operation.parts[warp];
    Accumulators &accumulators = *part.accumulators;
    if (accumulators.source) {
      accumulators.words = accumulators.source->words;
      accumulators.source.reset();
    }
    if (!operation.keep)
      std::fill(accumulators.words.begin(), accumulators.words.end(), 0);
    if (operation.aOperand)
      operation.aOperand->gather(cta.shared, warp * 16, 16, part.aLines.data());
    rows.set(types, form.aNegated, part.aLines.data());
    multiplyRows(spec, types, rows, columns, form.n(),
                 accumulators.words.data());
  }
  operation.executed = true;
}

/// Executes all operations before number `end`, which all warps have issued.
void Warpgroups::executeBefore(Warpgroup &group, uint64_t end) {
  for (uint64_t number = group.first; number < end; ++number)
    if (Operation &operation = group.operation(number); !operation.executed)
      execute(group, operation);
}

void Warpgroups::step(Random &random) {
  for (Warpgroup &group : groups) {
    uint64_t end = group.first;
    for (const Operation &operation : group.operations) {
      if (operation.issued < kWarps || random.below(2))
        break;
      ++end;
    }
    executeBefore(group, end);
  }
}

void Warpgroups::wait(Warp &warp, const Inst &inst) {
  unsigned index = warp.id % kWarps;
  Warpgroup &group = groups[warp.id / kWarps];
  Member &member = group.members[index];
  uint64_t end = member.waited;
  while (end < member.issued &&
         group.operation(end).parts[index].group + inst.imm < member.committed)
    ++end;
  for (uint64_t number = member.waited; number < end; ++number)
    if (group.operation(number).issued < kWarps) {
      warp.blocked = true;
      return;
    }
  executeBefore(group, end);
  for (; member.waited < end; ++member.waited) {
    Operation &operation = group.operation(member.waited);
    Part &part = operation.parts[index];
    if (cta.checker)
      cta.checker->finishOpByLanes(operation.serial, warp.agent, warp.live);
    if (operation.form.aInRegisters)
      for (uint32_t number : part.aRegisters)
        --member.locks[number].readers;
    if (--part.accumulators->pending == 0)
      writeBack(warp, *part.accumulators);
  }
  while (!group.operations.empty() &&
         std::all_of(group.members.begin(), group.members.end(),
                     [&](const Member &m) { return m.waited > group.first; })) {
    group.operations.pop_front();
    ++group.first;
  }
}

void Warpgroups::leave(Warp &warp) {
  Warpgroup &group = groups[warp.id / kWarps];
  Member &mine = this->member(warp);
  mine.left = true;
  for (const Member &other : group.members)
    if (other.left && other.issued != mine.issued) {
      if (cta.wants(IssueKind::Divergence, warp, nullptr))
        cta.report(IssueKind::Divergence, warp, nullptr, 0,
                   "the warp ends after " + std::to_string(mine.issued) +
                       " wgmma, another warp of its warpgroup after " +
                       std::to_string(other.issued));
      return;
    }
}

//===----------------------------------------------------------------------===//
// Other instructions
//===----------------------------------------------------------------------===//

void Warpgroups::track(Warp &warp, const Inst &inst) {
  Member &member = this->member(warp);
  const Meta &meta = program.meta[warp.pcOf(inst)];
  const uint32_t *uses = &program.registerLists[meta.firstUse];
  const uint32_t *defs = &program.registerLists[meta.firstDef];
  auto overwrites = [&](const Lock &lock) {
    if (lock.readers)
      hazard(warp, inst, lock.readerPc,
             "writes an A register of the wgmma of line " +
                 std::to_string(program.meta[lock.readerPc].line) +
                 ", which is still in flight");
    if (lock.owner && !lock.copy)
      hazard(
          warp, inst, lock.owner->pc,
          "writes " + accumulatorName(lock) +
              ", which is still in flight: expected wgmma.wait_group before");
  };
  if (meta.plainMove) {
    uint32_t to = numberOf(defs[0]);
    uint32_t from = meta.uses ? numberOf(uses[0]) : ~0u;
    if (to == ~0u)
      return;
    Lock &target = member.locks[to];
    Accumulators *owner = from == ~0u ? nullptr : member.locks[from].owner;
    if (!owner) {
      overwrites(target);
      target.owner = nullptr;
      target.copy = false;
    } else if (to != from) {
      target.owner = owner;
      target.slot = member.locks[from].slot;
      target.copy = true;
      owner->copied = true;
      if (std::find(owner->registers.begin(), owner->registers.end(), to) ==
          owner->registers.end())
        owner->registers.push_back(to);
    }
    // A constant is known wherever it is used.
    if (from != ~0u)
      member.lastWrite[to] = member.lastWrite[from];
    return;
  }
  for (uint32_t i = 0; i < meta.uses; ++i) {
    uint32_t number = numberOf(uses[i]);
    if (number != ~0u && member.locks[number].owner)
      hazard(
          warp, inst, member.locks[number].owner->pc,
          "reads " + accumulatorName(member.locks[number]) +
              ", which is still in flight: expected wgmma.wait_group before");
  }
  for (uint32_t i = 0; i < meta.defs; ++i) {
    uint32_t number = numberOf(defs[i]);
    if (number == ~0u)
      continue;
    Lock &lock = member.locks[number];
    overwrites(lock);
    lock.owner = nullptr;
    lock.copy = false;
    member.lastWrite[number] = member.fences;
  }
}

//===----------------------------------------------------------------------===//
// Interface
//===----------------------------------------------------------------------===//

void WarpgroupsDelete::operator()(Warpgroups *warpgroups) const {
  delete warpgroups;
}

void flash::emu::resetWarpgroups(Cta &cta) {
  if (!cta.warpgroups)
    cta.warpgroups.reset(new Warpgroups(cta));
  cta.warpgroups->reset();
}

namespace {

/// False after reporting that the warp cannot take part.
bool complete(Warp &warp, const Inst &inst, uint32_t mask) {
  Cta &cta = *warp.cta;
  if (cta.launch.config->chip != Chip::SM90) {
    cta.fatal(IssueKind::Unsupported, warp, &inst, mask,
              "wgmma: expected chip sm_90a, got " +
                  std::string(chipName(cta.launch.config->chip)));
    return false;
  }
  uint32_t needed = (warp.id / kWarps + 1) * kWarps * 32;
  if (mask == ~0u && needed <= cta.threads)
    return true;
  cta.fatal(IssueKind::Divergence, warp, &inst, mask,
            mask != ~0u ? "wgmma: expected all 32 lanes of the warp"
                        : "wgmma: expected a warpgroup of 4 whole warps; the "
                          "CTA has " +
                              std::to_string(cta.threads) + " threads");
  return false;
}

} // namespace

void flash::emu::issueWarpgroupMatrix(Warp &warp, const Inst &inst,
                                      uint32_t mask) {
  if (complete(warp, inst, mask))
    warp.cta->warpgroups->issue(warp, inst);
}

void flash::emu::fenceWarpgroup(Warp &warp, const Inst &inst, uint32_t mask) {
  if (complete(warp, inst, mask))
    ++warp.cta->warpgroups->member(warp).fences;
}

void flash::emu::commitWarpgroup(Warp &warp, const Inst &inst, uint32_t mask) {
  if (complete(warp, inst, mask))
    ++warp.cta->warpgroups->member(warp).committed;
}

void flash::emu::waitForWarpgroup(Warp &warp, const Inst &inst, uint32_t mask) {
  if (complete(warp, inst, mask))
    warp.cta->warpgroups->wait(warp, inst);
}

void flash::emu::trackWarpgroup(Warp &warp, const Inst &inst, uint32_t mask) {
  if (mask)
    warp.cta->warpgroups->track(warp, inst);
}

void flash::emu::stepWarpgroups(Cta &cta, Random &random) {
  if (cta.warpgroups)
    cta.warpgroups->step(random);
}

void flash::emu::leaveWarpgroup(Warp &warp) {
  if (warp.cta->warpgroups)
    warp.cta->warpgroups->leave(warp);
}
