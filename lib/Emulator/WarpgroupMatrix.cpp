//===- WarpgroupMatrix.cpp - wgmma between issue and wait -------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemoryAccess.h"
#include "Warpgroups.h"

#include <algorithm>
#include <cstring>

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

//===----------------------------------------------------------------------===//
// Warpgroups
//===----------------------------------------------------------------------===//

void Warpgroups::Operand::gather(const std::byte *shared, unsigned first,
                                 unsigned count, uint8_t *lines) const {
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

void Warpgroups::reset() {
  // Kernels use a few hundred descriptors; broken ones may use any number.
  if (operands.size() > 4096)
    operands.clear();
  groups.assign((cta.warps.size() + kWarps - 1) / kWarps, Warpgroup());
  for (Warpgroup &group : groups)
    for (Member &member : group.members) {
      member.locks.resize(program.warpgroupRows.size());
      member.lastWrite.resize(program.warpgroupRows.size());
    }
}

/// The operand of a descriptor. The pointer stays valid for the CTA's time.
const Warpgroups::Operand *Warpgroups::operand(uint64_t descriptor,
                                               unsigned rows, unsigned bits,
                                               bool mnMajor, bool isA) {
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

void Warpgroups::execute(Operation &operation) {
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
      execute(operation);
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
  uint32_t needed =
      (warp.id / Warpgroups::kWarps + 1) * Warpgroups::kWarps * 32;
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
