//===- OpsControl.cpp - Barriers, fences, traps -----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Branches, calls and returns are the decoder's and the scheduler's own.
//
//===----------------------------------------------------------------------===//

#include "Barriers.h"
#include "Cluster.h"
#include "Lanes.h"
#include "Ops.h"
#include "OpsCluster.h"
#include "Scheduler.h"

using namespace flash::emu;

namespace {

void runNothing(Warp &, const Inst &, uint32_t) {}

void runTrap(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.cta->fatal(IssueKind::Trap, warp, &inst, mask,
                  "the kernel trapped (trap, brkpt or a failed assertion)");
}

void runSyncWarp(Warp &warp, const Inst &inst, uint32_t mask) {
  Cta &cta = *warp.cta;
  if (cta.checker)
    cta.checker->syncWarp(warp.agent, mask, warp.live);
}

bool decodeBarrier(Decoder &d) {
  bool isBar = d.root() == "bar";
  d.meta.pipe = Pipe::Control;
  if (d.take("warp")) {
    if (!d.take("sync"))
      return false;
    d.inst.kind = Kind::Sync;
    d.inst.flags |= kMeetsAnywhere;
    d.inst.ops[kMemberMaskOp] = d.source(0, Type::B32);
    d.setHandler(runSyncWarp);
    d.setCountName("bar.warp.sync");
    return d.expectOperands(1, 1);
  }
  if (d.take("cluster"))
    return decodeClusterBarrier(d);
  d.take("cta");
  d.inst.kind = Kind::Barrier;
  d.setHandler(runNothing);
  BarrierAction action;
  size_t first = 0; // Index of the barrier operand.
  if (d.take("sync"))
    action = BarrierAction::Sync;
  else if (d.take("arrive"))
    action = BarrierAction::Arrive;
  else if (d.take("red")) {
    action = d.take("popc")  ? BarrierAction::Popc
             : d.take("and") ? BarrierAction::And
                             : BarrierAction::Or;
    if (action == BarrierAction::Or)
      d.take("or");
    first = 1;
  } else {
    return false;
  }
  if (d.take("aligned") || isBar)
    d.inst.flags |= kAligned;
  size_t most = first ? 4 : 2;
  size_t least = first ? 3 : action == BarrierAction::Arrive ? 2 : 1;
  if (!d.expectOperands(least, most))
    return false;
  d.inst.sub = uint8_t(action);
  if (first) {
    d.takeType();
    d.inst.ops[2] = action == BarrierAction::Popc
                        ? d.target(0, Type::U32)
                        : d.predicateTarget(d.operand(0));
    uint32_t negated;
    d.inst.ops[3] = d.predicate(d.operandCount() - 1, negated);
    d.inst.imm = negated;
  }
  d.inst.ops[0] = d.source(first, Type::U32);
  if (d.operandCount() == most) {
    d.inst.n = 1;
    d.inst.ops[1] = d.source(first + 1, Type::U32);
  }
  return true;
}

void runProxyFence(Warp &warp, const Inst &, uint32_t mask) {
  if (Checker *checker = warp.cta->checker)
    checker->fenceProxy(warp.agent, mask, warp.live);
}

/// fence.proxy: shared memory has two proxies in the checker. The others (of
/// constant aliases, of tensor maps) see every store at once here.
bool decodeProxyFence(Decoder &d) {
  d.setHandler(runNothing);
  if (d.take("async")) {
    // Without a space it fences them all.
    bool globalOnly = d.take("global");
    d.take("shared::cta");
    d.take("shared::cluster");
    if (!globalOnly) {
      d.inst.kind = Kind::Memory;
      d.setHandler(runProxyFence);
    }
    return d.expectOperands(0, 0);
  }
  if (d.take("async::generic")) {
    for (std::string_view name :
         {"acquire", "release", "sync_restrict::shared::cluster",
          "sync_restrict::shared::cta", "cluster"})
      d.take(name);
    return d.expectOperands(0, 0);
  }
  if (d.take("alias"))
    return d.expectOperands(0, 0);
  if (!d.take("tensormap::generic"))
    return d.unsupported("expected .async, .alias or .tensormap::generic");
  bool acquires = d.take("acquire");
  d.take("release");
  for (std::string_view scope : {"cta", "cluster", "gpu", "sys"})
    d.take(scope);
  if (!acquires)
    return d.expectOperands(0, 0);
  if (!d.expectOperands(2, 2))
    return false;
  d.address(0);
  return !d.failed();
}

void runInitialisationFence(Warp &warp, const Inst &, uint32_t mask) {
  warp.cta->cluster.fenceInitialisation(warp, mask);
}

/// Memory is consistent here without fences; what they order is the strong
/// accesses, which the race checker always takes as ordering.
bool decodeFence(Decoder &d) {
  if (d.take("proxy")) {
    d.meta.pipe = Pipe::Control;
    return decodeProxyFence(d);
  }
  bool ofInitialisation = d.take("mbarrier_init");
  for (std::string_view name : {"sc", "acq_rel", "acquire", "release", "cta",
                                "cluster", "gpu", "sys", "gl"})
    d.take(name);
  d.meta.pipe = Pipe::Control;
  d.setHandler(ofInitialisation ? runInitialisationFence : runNothing);
  return d.expectOperands(0, 0);
}

bool decodeTrap(Decoder &d) {
  d.meta.pipe = Pipe::Control;
  d.inst.kind = Kind::Memory;
  d.setHandler(runTrap);
  return d.expectOperands(0, 0);
}

bool decodeNanosleep(Decoder &d) {
  d.takeType();
  d.source(0, Type::U32);
  d.meta.pipe = Pipe::Control;
  d.inst.kind = Kind::Yield;
  d.inst.flags |= kPolls;
  d.setHandler(runNothing);
  return d.expectOperands(1, 1);
}

bool decodePmevent(Decoder &d) {
  d.take("mask");
  d.meta.pipe = Pipe::Control;
  d.setHandler(runNothing);
  return d.expectOperands(1, 1);
}

/// Programmatic dependent launch: a launch here runs alone and its inputs are
/// complete, so that neither half has anything to do.
bool decodeGridDependency(Decoder &d) {
  if (d.take("launch_dependents") == d.take("wait"))
    return d.unsupported("expected .launch_dependents or .wait");
  d.meta.pipe = Pipe::Control;
  d.setHandler(runNothing);
  return d.expectOperands(0, 0);
}

constexpr OpRow kOps[] = {
    {"griddepcontrol", decodeGridDependency},
    {"bar", decodeBarrier},
    {"barrier", decodeBarrier},
    {"membar", decodeFence},
    {"fence", decodeFence},
    {"trap", decodeTrap},
    {"brkpt", decodeTrap},
    {"nanosleep", decodeNanosleep},
    {"pmevent", decodePmevent},
};

} // namespace

Handler flash::emu::findTrapHandler() { return runTrap; }

std::span<const OpRow> flash::emu::controlOps() { return kOps; }
