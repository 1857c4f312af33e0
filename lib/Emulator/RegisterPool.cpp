//===- RegisterPool.cpp - setmaxnreg ----------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RegisterPool.h"
#include "Cluster.h"
#include "Decoder.h"
#include "Ops.h"

#include <algorithm>

using namespace flash::emu;

uint32_t RegisterPool::atLaunch(const KernelInfo &kernel) {
  constexpr uint32_t file = 65536, most = 256, granule = 8;
  if (kernel.maxnreg)
    return std::min((kernel.maxnreg + granule - 1) / granule * granule, most);
  const auto &extents = kernel.reqntid[0] ? kernel.reqntid : kernel.maxntid;
  uint64_t threads = uint64_t(extents[0]) * extents[1] * extents[2];
  if (threads == 0)
    return 0;
  uint64_t share = file / (threads * std::max(1u, kernel.minnctapersm));
  return uint32_t(std::min<uint64_t>(share / granule * granule, most));
}

void RegisterPool::reset(uint32_t warps, uint32_t perThread) {
  owners.assign(warps, Owner{perThread, 0, 0, nullptr});
  available = 0;
  known = perThread != 0;
}

bool RegisterPool::change(Warp &warp, const Inst &inst, uint32_t count,
                          bool increases) {
  if (!known)
    return true;
  Owner &owner = owners[warp.id];
  bool wrongWay = increases ? count < owner.count : count > owner.count;
  if (wrongWay) {
    warp.cta->fatal(IssueKind::Registers, warp, &inst, warp.live,
                    "setmaxnreg" + std::string(increases ? ".inc" : ".dec") +
                        " to " + std::to_string(count) + ": the warp has " +
                        std::to_string(owner.count) + " registers per thread");
    return true;
  }
  if (increases && count - owner.count > available)
    return false;
  if (increases) {
    available -= count - owner.count;
  } else {
    available += owner.count - count;
    // Others may have waited for them.
    ++warp.cta->cluster.changes;
  }
  owner.count = count;
  owner.last = &inst;
  ++owner.changes;
  owner.history = owner.history * 0x100000001b3 + warp.pcOf(inst) + 1;
  return true;
}

void RegisterPool::finish(Cta &cta) {
  constexpr uint32_t group = 4; // Warps.
  for (uint32_t first = 0; first < owners.size(); first += group) {
    uint32_t last = std::min<uint32_t>(first + group, uint32_t(owners.size()));
    for (uint32_t i = first + 1; i < last; ++i) {
      if (owners[i].changes == owners[first].changes &&
          owners[i].history == owners[first].history)
        continue;
      uint32_t who = owners[i].changes >= owners[first].changes ? i : first;
      const Warp &warp = cta.warps[who];
      if (cta.wants(IssueKind::Registers, warp, owners[who].last))
        cta.report(IssueKind::Registers, warp, owners[who].last, ~0u,
                   "warps " + std::to_string(first) + " and " +
                       std::to_string(i) +
                       " are of one warpgroup and executed " +
                       std::to_string(owners[first].changes) + " and " +
                       std::to_string(owners[i].changes) +
                       " setmaxnreg instructions, or different ones: all its "
                       "warps must execute the same");
      break;
    }
  }
}

std::string RegisterPool::describe() const {
  bool changed = std::any_of(owners.begin(), owners.end(),
                             [](const Owner &o) { return o.changes != 0; });
  if (!changed)
    return "";
  std::string text = "\n  registers per thread:";
  uint32_t sum = available;
  for (size_t i = 0; i < owners.size(); ++i) {
    sum += owners[i].count;
    text += (i ? ", " : " ") + std::to_string(owners[i].count);
  }
  return text + " by warp; " + std::to_string(available) + " in the pool, of " +
         std::to_string(sum) + " that the launch gave its warps together";
}

//===----------------------------------------------------------------------===//
// The instruction; inst.imm is the count, inst.n whether it increases
//===----------------------------------------------------------------------===//

namespace {

void runSetMaxRegisters(Warp &warp, const Inst &inst, uint32_t) {
  warp.blocked = !warp.cta->registerPool.change(warp, inst, uint32_t(inst.imm),
                                                inst.n != 0);
}

bool decodeSetMaxRegisters(Decoder &d) {
  bool increases = d.take("inc");
  if ((!increases && !d.take("dec")) || !d.take("sync") || !d.take("aligned") ||
      !d.take("u32"))
    return d.unsupported("expected .inc or .dec, then .sync.aligned.u32");
  uint64_t count;
  if (!d.expectOperands(1, 1) || !d.immediate(0, count))
    return false;
  if (count < 24 || count > 256 || count % 8)
    return d.fail("setmaxnreg: expected a multiple of 8 from 24 to 256, got " +
                  std::to_string(count));
  d.inst.imm = count;
  d.inst.n = increases;
  d.inst.kind = Kind::Wait;
  d.inst.flags |= kAligned;
  d.meta.pipe = Pipe::Control;
  d.setHandler(runSetMaxRegisters);
  return true;
}

constexpr OpRow kOps[] = {{"setmaxnreg", decodeSetMaxRegisters}};

} // namespace

std::span<const OpRow> flash::emu::registerOps() { return kOps; }
