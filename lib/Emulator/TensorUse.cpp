//===- TensorUse.cpp - Checked uses of tensor memory ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorUse.h"
#include "Cluster.h"
#include "Lanes.h"

using namespace flash::emu;

namespace {

std::string describe(const TensorRange &range) {
  auto span = [](unsigned first, unsigned count) {
    return count == 1 ? " " + std::to_string(first)
                      : "s " + std::to_string(first) + " to " +
                            std::to_string(first + count - 1);
  };
  return "lane" + span(range.lane, range.lanes) + ", column" +
         span(range.column, range.columns) + " of tensor memory";
}

/// Order as the checker of the cluster knows it.
class CheckerOrder : public TensorOrder {
public:
  CheckerOrder(const Warp &warp, const Checker &checker, uint32_t lanes,
               bool isCore, bool needsFences)
      : warp(warp), checker(checker), isCore(isCore), lanes(lanes) {
    // Where all lanes know the same, one speaks for them.
    if (!checker.lanesDiffer(warp.agent))
      this->lanes &= -lanes;
    // Some kernels leave the fences out altogether, and work. Where there are
    // any they are meant.
    const Program &program = *warp.program;
    needsAfter = needsFences && program.tensorFencesAfter;
    needsBefore = needsAfter && program.tensorFencesBefore;
  }

  Answer after(const TensorAccess &access) const override {
    if (access.kind == TensorAccess::Core) {
      bool own =
          access.warp == warp.agent && access.lane == std::countr_zero(lanes);
      // Operations of one thread run in order.
      if (isCore && own)
        return After;
      if (!allLanes([&](unsigned lane) {
            return checker.knowsFinished(access.number, warp.agent, lane);
          }))
        return Unordered;
      // A commit is a fence before, too.
      return !needsAfter ||
                     checker.knewFinishedAtFence(access.number, warp.agent)
                 ? After
                 : NoFenceAfter;
    }
    // Loads and stores are of the warp as a whole.
    if (access.warp == warp.agent)
      return After;
    if (!allLanes([&](unsigned lane) {
          return checker.knows(warp.agent, lane, access.warp, access.number);
        }))
      return Unordered;
    if (needsBefore && !access.fenced)
      return NoFenceBefore;
    return !needsAfter ||
                   checker.knewAtFence(warp.agent, access.warp, access.number)
               ? After
               : NoFenceAfter;
  }

private:
  template <typename F> bool allLanes(F known) const {
    for (uint32_t rest = lanes; rest; rest &= rest - 1)
      if (!known(unsigned(std::countr_zero(rest))))
        return false;
    return true;
  }

  const Warp &warp;
  const Checker &checker;
  const bool isCore;
  bool needsBefore, needsAfter;
  uint32_t lanes;
};

void reportTensorFinding(Warp &warp, const Inst &inst, uint32_t lanes,
                         const TensorFinding &finding, bool isWrite) {
  Cta &cta = *warp.cta;
  bool inFlight = finding.kind == TensorFinding::InFlight;
  IssueKind kind = inFlight ? IssueKind::Poisoned
                   : finding.kind == TensorFinding::BeingRead ||
                           finding.kind == TensorFinding::Race
                       ? IssueKind::Race
                       : IssueKind::TensorMemory;
  if (!cta.wants(kind, warp, &inst, finding.other.pc))
    return;
  std::string other = " of " + cta.cluster.describeWarp(finding.other.warp);
  std::string message = std::string(isWrite ? "writes " : "reads ") +
                        "column " + std::to_string(finding.column) +
                        " of lanes " + std::to_string(finding.lane) + " to " +
                        std::to_string(finding.lane + kUnitLanes - 1) +
                        " of tensor memory, ";
  switch (finding.kind) {
  case TensorFinding::InFlight:
    message += "which a tcgen05 operation" + other +
               " is still to write: expected a wait at the mbarrier of a "
               "tcgen05.commit after it";
    break;
  case TensorFinding::BeingRead:
    message += "which a tcgen05 operation" + other +
               " may still read: expected a wait at the mbarrier of a "
               "tcgen05.commit after it";
    break;
  case TensorFinding::NoWait:
    message +=
        std::string("which a ") +
        (finding.otherIsWrite ? "tcgen05.st" : "tcgen05.ld") + other +
        (finding.otherIsWrite ? " wrote: expected tcgen05.wait::st after it"
                              : " reads: expected tcgen05.wait::ld after it");
    break;
  case TensorFinding::NoFenceBefore:
    message += "after " + other.substr(4) +
               ": expected tcgen05.fence::before_thread_sync there, before the "
               "threads synchronise";
    break;
  case TensorFinding::NoFenceAfter:
    message += "after " + other.substr(4) +
               ": expected tcgen05.fence::after_thread_sync here, once the "
               "threads are synchronised";
    break;
  default:
    message += std::string("unordered with the ") +
               (finding.otherIsWrite ? "write" : "read") + other;
    break;
  }
  cta.report(kind, warp, &inst, lanes, std::move(message), finding.other.pc);
}

} // namespace

void flash::emu::noteTensorAccess(Warp &warp, const Inst &inst, uint32_t lanes,
                                  Cta &cta, const TensorRange &range,
                                  bool isWrite, uint32_t operation,
                                  bool needsFences) {
  const Checker *checker = cta.checker;
  if (!checker || !cta.launch.config->checks.races)
    return;
  TensorMemory &memory = tensorMemory(cta);
  TensorAccess access;
  access.kind = operation ? TensorAccess::Core : TensorAccess::Waiting;
  access.lane = uint8_t(std::countr_zero(lanes));
  access.warp = uint16_t(warp.agent);
  access.number = operation;
  access.pc = warp.pcOf(inst);
  CheckerOrder order(warp, *checker, lanes, operation != 0, needsFences);
  TensorFinding finding;
  memory.note(range, access, isWrite, &order, finding);
  if (!operation)
    memory.expectWait(access.warp, isWrite, range);
  if (finding.kind != TensorFinding::None)
    reportTensorFinding(warp, inst, lanes, finding, isWrite);
}

void flash::emu::settleTensorAccesses(Warp &warp, bool isWrite) {
  Cta &cta = *warp.cta;
  if (cta.tensor && cta.checker)
    cta.tensor->settle(uint16_t(warp.agent), isWrite,
                       cta.checker->epochOf(warp.agent));
}

void flash::emu::fenceTensorAccesses(Warp &warp, uint32_t lanes,
                                     bool isBefore) {
  Cta &cta = *warp.cta;
  if (!cta.checker)
    return;
  if (!isBefore)
    cta.checker->fenceTensor(warp.agent, lanes);
  else if (cta.tensor)
    cta.tensor->fenceBefore(uint16_t(warp.agent),
                            cta.checker->epochOf(warp.agent));
}

void flash::emu::noteTensorRelease(Warp &warp, const Inst &inst, uint32_t lanes,
                                   const TensorRange &range) {
  noteTensorAccess(warp, inst, lanes, *warp.cta, range, true, 0,
                   /*needsFences=*/false);
  settleTensorAccesses(warp, true);
}

TensorMemory &flash::emu::tensorMemory(Cta &cta) {
  if (!cta.tensor)
    cta.tensor = std::make_unique<TensorMemory>();
  return *cta.tensor;
}

std::string flash::emu::describeTensorCell(uint32_t address) {
  return describe(TensorRange::at(address, 1, 1));
}

bool flash::emu::checkTensorGroup(Warp &warp, const Inst &inst, uint32_t lanes,
                                  unsigned group) {
  Cta &cta = *warp.cta;
  if (cta.launch.config->chip != Chip::SM100) {
    cta.fatal(IssueKind::Unsupported, warp, &inst, lanes,
              "tensor memory: expected chip sm_100, got " +
                  std::string(chipName(cta.launch.config->chip)));
    return false;
  }
  TensorMemory &memory = tensorMemory(cta);
  if (!memory.ctaGroup)
    memory.ctaGroup = group;
  if (memory.ctaGroup == group)
    return true;
  cta.fatal(IssueKind::TensorMemory, warp, &inst, lanes,
            ".cta_group::" + std::to_string(group) +
                ": expected ::" + std::to_string(memory.ctaGroup) +
                " as in the other tcgen05 instructions of this kernel");
  return false;
}

bool flash::emu::checkTensorRange(Warp &warp, const Inst &inst, uint32_t lanes,
                                  Cta &cta, const TensorRange &range,
                                  const char *what) {
  std::string problem;
  if (range.lane + range.lanes > kTensorLanes ||
      range.column + range.columns > kTensorColumns)
    problem = ", which has 128 lanes and 512 columns";
  else if (!tensorMemory(cta).isAllocated(range.column, range.columns))
    problem =
        ", which are not allocated (" + tensorMemory(cta).allocations() + ")";
  if (problem.empty())
    return true;
  warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst, lanes,
                  std::string(what) + ": " + describe(range) + problem);
  return false;
}

void flash::emu::checkTensorWritten(Warp &warp, const Inst &inst,
                                    uint32_t lanes, Cta &cta,
                                    const TensorRange &range,
                                    const char *what) {
  if (!cta.checkUninitialised)
    return;
  auto missing = tensorMemory(cta).unwritten(range);
  if (!missing || !warp.cta->wants(IssueKind::Uninitialised, warp, &inst))
    return;
  warp.cta->report(IssueKind::Uninitialised, warp, &inst, lanes,
                   std::string(what) + ": reads " + describe(*missing) +
                       ", which nobody has written");
}

void flash::emu::trackTensorLoads(Warp &warp, const Inst &inst, uint32_t mask) {
  const Program &program = *warp.program;
  const Meta &meta = program.meta[warp.pcOf(inst)];
  if (meta.tensorWait) {
    for (uint32_t &state : warp.loading)
      state &= ~mask;
    return;
  }
  uint32_t touched = 0, copied = 0;
  auto loadingOf = [&](uint32_t reg) -> uint32_t * {
    uint32_t number = program.loadNumber[reg];
    return number == ~0u ? nullptr : &warp.loading[number];
  };
  for (uint32_t i = 0; i < meta.uses; ++i)
    if (uint32_t *state = loadingOf(program.registerLists[meta.firstUse + i]))
      (meta.plainMove ? copied : touched) |= *state & mask;
  for (uint32_t i = 0; i < meta.defs; ++i)
    if (uint32_t *state = loadingOf(program.registerLists[meta.firstDef + i])) {
      if (!meta.tensorLoad)
        touched |= *state & mask;
      *state = (*state & ~mask) | (meta.tensorLoad ? mask : copied);
    }
  if (touched && warp.cta->wants(IssueKind::RegisterHazard, warp, &inst))
    warp.cta->report(IssueKind::RegisterHazard, warp, &inst, touched,
                     "a register that a tcgen05.ld is still to write: expected "
                     "tcgen05.wait::ld in between");
}

void flash::emu::checkTensorLeak(Cta &cta, const Warp &warp) {
  if (!cta.tensor || !cta.tensor->anyAllocated() || cta.launch.stop)
    return;
  const Inst &inst = warp.program->code[cta.tensor->allocatedAt()];
  if (cta.wants(IssueKind::TensorMemory, warp, &inst))
    cta.report(IssueKind::TensorMemory, warp, &inst, 0,
               "the CTA ended without deallocating " +
                   cta.tensor->allocations() + " of tensor memory");
}

bool flash::emu::uniformOperand(Warp &warp, const Inst &inst, uint32_t lanes,
                                const uint32_t *row, const char *what,
                                uint32_t &value) {
  value = row[std::countr_zero(lanes)];
  uint32_t others = 0;
  forLanes(lanes, [&](unsigned lane) {
    others |= uint32_t(row[lane] != value) << lane;
  });
  if (!others)
    return true;
  warp.cta->fatal(IssueKind::Divergence, warp, &inst, others,
                  std::string(what) +
                      ": expected the same value in all lanes of the warp");
  return false;
}

bool flash::emu::takeCtaGroup(Decoder &d, unsigned &group) {
  group = d.take("cta_group::1") ? 1 : d.take("cta_group::2") ? 2 : 0;
  return group || d.unsupported("expected .cta_group::1 or .cta_group::2");
}
