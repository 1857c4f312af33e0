//===- OpsCluster.cpp - Instructions of clusters ----------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mapa, getctarank, and barrier.cluster (which OpsControl.cpp hands over).
//
//===----------------------------------------------------------------------===//

#include "OpsCluster.h"
#include "Cluster.h"
#include "Lanes.h"
#include "Ops.h"

using namespace flash::emu;
using syntax::Operand;

namespace {

/// The address of the same variable in another CTA. ops[1] address, ops[2]
/// rank; imm is the window of generic addresses.
template <typename T>
void runMapa(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *address = sourceRow<T>(warp, inst.ops[1]);
  const uint32_t *rank = sourceRow<uint32_t>(warp, inst.ops[2]);
  T *out = targetRow<T>(warp, inst.ops[0]);
  uint32_t size = warp.cta->cluster.size();
  uint32_t bad = 0;
  forLanes(mask, [&](unsigned lane) {
    uint64_t at = uint64_t(address[lane]) - inst.imm;
    bad |= uint32_t(rank[lane] >= size || at >= kWindowBytes) << lane;
    uint64_t inCta = at & ((1u << kRankShift) - 1);
    out[lane] = T(inst.imm + (uint64_t(rank[lane]) << kRankShift | inCta));
  });
  if (!bad)
    return;
  unsigned lane = std::countr_zero(bad);
  warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst, bad,
                  "lane " + std::to_string(lane) +
                      ": expected a shared address and a CTA rank below " +
                      std::to_string(size) + ", got rank " +
                      std::to_string(rank[lane]));
}

bool decodeMapa(Decoder &d) {
  bool shared = d.take("shared::cluster");
  Type type = d.takeType();
  unsigned bits = bitsOf(type);
  if ((bits != 32 && bits != 64) || !d.expectOperands(3, 3))
    return false;
  if (!shared && bits == 32)
    return d.unsupported("generic addresses: expected .u64");
  d.inst.kind = Kind::Memory;
  d.inst.imm = shared ? 0 : kSharedWindow;
  d.inst.ops[0] = d.target(0, type);
  const Operand &source = d.operand(1);
  if (source.kind == Operand::Symbol && source.variable >= 0) {
    StateSpace space;
    uint64_t at;
    if (!d.variableAddress(source.variable, space, at))
      return false;
    if (space != StateSpace::Shared)
      return d.fail("mapa: expected a variable in shared memory");
    at += source.value + d.inst.imm;
    d.inst.ops[1] = bits == 64 ? d.constant64(at) : d.constant32(uint32_t(at));
  } else {
    d.inst.ops[1] = d.source(1, type);
  }
  d.inst.ops[2] = d.source(2, Type::U32);
  d.setHandler(bits == 64 ? runMapa<uint64_t> : runMapa<uint32_t>);
  return true;
}

template <typename T>
void runGetCtaRank(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *address = sourceRow<T>(warp, inst.ops[1]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned lane) {
    out[lane] = uint32_t((uint64_t(address[lane]) - inst.imm) >> kRankShift);
  });
}

bool decodeGetCtaRank(Decoder &d) {
  bool shared = d.take("shared::cluster");
  unsigned bits = bitsOf(d.takeType());
  if ((bits != 32 && bits != 64) || !d.expectOperands(2, 2))
    return false;
  d.inst.imm = shared ? 0 : kSharedWindow;
  d.inst.ops[0] = d.target(0, Type::U32);
  d.inst.ops[1] = d.source(1, bits == 64 ? Type::U64 : Type::U32);
  d.setHandler(bits == 64 ? runGetCtaRank<uint64_t> : runGetCtaRank<uint32_t>);
  return true;
}

void runClusterArrive(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.cta->cluster.arriveAtCluster(warp, inst, mask, inst.n != 0);
}

void runClusterWait(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.blocked =
      !warp.cta->cluster.waitForCluster(warp, inst, mask, inst.n != 0);
}

constexpr OpRow kOps[] = {
    {"mapa", decodeMapa},
    {"getctarank", decodeGetCtaRank},
};

} // namespace

bool flash::emu::decodeClusterBarrier(Decoder &d) {
  d.meta.pipe = Pipe::Control;
  bool arrives = d.take("arrive");
  if (!arrives && !d.take("wait"))
    return d.unsupported("expected .arrive or .wait");
  bool relaxed = d.take("relaxed");
  if (!relaxed)
    d.take(arrives ? "release" : "acquire");
  d.inst.n = relaxed ? 0 : 1;
  // An arrival never blocks; it is a wait here for the sake of `.aligned`.
  d.inst.kind = Kind::Wait;
  if (d.take("aligned"))
    d.inst.flags |= kAligned;
  d.setCountName(arrives ? "barrier.cluster.arrive" : "barrier.cluster.wait");
  d.setHandler(arrives ? runClusterArrive : runClusterWait);
  return d.expectOperands(0, 0);
}

std::span<const OpRow> flash::emu::clusterOps() { return kOps; }
