//===- OpsAsync.cpp - cp.async ----------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"

#include <algorithm>

using namespace flash::emu;
using syntax::Operand;

namespace {

/// inst.sub bits beside kNarrowAddress (of the destination).
enum : uint8_t {
  kHasSize = 32,    ///< ops[3] holds the source bytes.
  kHasIgnore = 64,  ///< ops[3] is a predicate: true ignores the source.
  kNotIgnore = 128, ///< ... negated.
};

/// cp.async: ops[0] + ops[1] destination, ops[2] + imm source, n bytes.
void runCopy(Warp &warp, const Inst &inst, uint32_t mask) {
  Cta &cta = *warp.cta;
  Access to;
  to.mask = mask;
  to.bytes = inst.n;
  to.isWrite = true;
  const uint32_t *offset = sourceRow<uint32_t>(warp, inst.ops[1]);
  if (inst.sub & kNarrowAddress) {
    const uint32_t *base = sourceRow<uint32_t>(warp, inst.ops[0]);
    for (unsigned i = 0; i < 32; ++i)
      to.address[i] = uint32_t(base[i] + offset[i]);
  } else {
    const uint64_t *base = sourceRow<uint64_t>(warp, inst.ops[0]);
    for (unsigned i = 0; i < 32; ++i)
      to.address[i] = base[i] + uint64_t(int64_t(int32_t(offset[i])));
  }
  if (!resolve(warp, inst, StateSpace::Shared, to))
    return;

  AsyncCopy copy;
  copy.serial = cta.cluster.nextCopy++;
  copy.pc = warp.pcOf(inst);
  copy.pending = mask;
  copy.bytes = inst.n;
  uint32_t ignored = 0;
  if (inst.sub & kHasIgnore)
    ignored =
        predicateOf(warp, inst.ops[3]) ^ (inst.sub & kNotIgnore ? ~0u : 0u);
  const uint32_t *sizes =
      inst.sub & kHasSize ? sourceRow<uint32_t>(warp, inst.ops[3]) : nullptr;
  const uint64_t *base = sourceRow<uint64_t>(warp, inst.ops[2]);

  Access from;
  from.bytes = inst.n;
  uint32_t partial = 0, tooMany = 0;
  forLanes(mask, [&](unsigned i) {
    uint32_t size = sizes ? sizes[i] : inst.n;
    if (ignored >> i & 1)
      size = 0;
    if (size > inst.n)
      tooMany |= 1u << i;
    copy.sourceBytes[i] = size;
    copy.destination[i] = uint32_t(to.address[i]);
    copy.source[i] = nullptr;
    copy.group[i] = warp.async.groupOf(i);
    from.address[i] = base[i] + inst.imm;
    if (size == inst.n)
      from.mask |= 1u << i;
    else if (size)
      partial |= 1u << i;
  });
  if (tooMany) {
    cta.fatal(IssueKind::OutOfBounds, warp, &inst, tooMany,
              "source size: expected at most " + std::to_string(inst.n) +
                  " bytes");
    return;
  }
  if (from.mask) {
    if (!resolve(warp, inst, StateSpace::Global, from))
      return;
    checkLoad(warp, inst, from);
  }
  bool failed = false;
  // Lanes that copy less than a full element need only those bytes in bounds.
  forLanes(partial, [&](unsigned i) {
    if (failed)
      return;
    Access one;
    one.mask = 1u << i;
    one.bytes = 1;
    one.address[i] = from.address[i] + copy.sourceBytes[i] - 1;
    if (from.address[i] & (inst.n - 1)) {
      cta.fatal(IssueKind::Misaligned, warp, &inst, 1u << i,
                "source address: expected a multiple of " +
                    std::to_string(inst.n));
      failed = true;
      return;
    }
    failed = !resolve(warp, inst, StateSpace::Global, one);
    if (failed)
      return;
    one.address[i] = from.address[i];
    failed = !resolve(warp, inst, StateSpace::Global, one);
    if (failed)
      return;
    one.bytes = copy.sourceBytes[i];
    checkLoad(warp, inst, one);
    from.at[i] = one.at[i];
  });
  if (failed)
    return;
  forLanes(from.mask | partial,
           [&](unsigned i) { copy.source[i] = from.at[i]; });
  if (cta.checker)
    forLanes(mask, [&](unsigned i) {
      Accessor who{uint16_t(warp.agent), uint8_t(i), false, copy.pc};
      Finding finding =
          cta.checker->beginCopy(who, copy.serial, copy.destination[i], inst.n);
      if (finding.kind != Finding::None)
        reportFinding(warp, inst, i, finding, true);
    });
  if (warp.memory) {
    countShared(warp, inst, mask, copy.destination.data(), inst.n, true);
    if (from.mask | partial)
      countGlobal(warp, inst, from.mask | partial, from.address, inst.n, false);
  }
  warp.async.issue(warp, std::move(copy));
}

void runCommit(Warp &warp, const Inst &, uint32_t mask) {
  warp.async.commit(mask);
}

void runWaitGroup(Warp &warp, const Inst &inst, uint32_t mask) {
  warp.async.waitGroups(warp, mask, inst.imm);
}

void runWaitAll(Warp &warp, const Inst &, uint32_t mask) {
  warp.async.waitAll(warp, mask);
}

bool decodeCopy(Decoder &d) {
  bool global = d.take("cg");
  if (!global && !d.take("ca"))
    return false;
  if ((!d.take("shared") && !d.take("shared::cta")) || !d.take("global"))
    return d.unsupported("expected .shared.global");
  bool hint = d.take("L2::cache_hint");
  for (std::string_view prefetch : {"L2::64B", "L2::128B", "L2::256B"})
    d.take(prefetch);
  size_t count = d.operandCount() - (hint ? 1 : 0);
  uint64_t bytes;
  if (!d.expectOperands(hint ? 4 : 3, hint ? 5 : 4) || !d.immediate(2, bytes))
    return false;
  if ((bytes != 4 && bytes != 8 && bytes != 16) || (global && bytes != 16))
    return d.fail(global ? "cp.async.cg: expected 16 bytes"
                         : "cp.async.ca: expected 4, 8 or 16 bytes");
  d.inst.n = uint8_t(bytes);
  AddressOperand to = d.address(0), from = d.address(1);
  if (from.hasBase && !from.base64)
    return d.fail("source address: expected a 64-bit register");
  d.inst.ops[0] = to.hasBase ? to.base : d.constant64(0);
  d.inst.ops[1] = d.constant32(uint32_t(to.offset));
  if (to.hasBase && !to.base64)
    d.inst.sub |= kNarrowAddress;
  d.inst.ops[2] = from.hasBase ? from.base : d.constant64(0);
  d.inst.imm = from.offset;
  if (count == 4) {
    const Operand &last = d.operand(3);
    if (last.kind == Operand::Reg && d.registerBits(last) == 1) {
      uint32_t negated;
      d.inst.ops[3] = d.predicate(3, negated);
      d.inst.sub |= kHasIgnore | (negated ? kNotIgnore : 0);
    } else {
      d.inst.ops[3] = d.source(3, Type::U32);
      d.inst.sub |= kHasSize;
    }
  }
  d.setHandler(runCopy);
  return true;
}

/// cp.async.mbarrier.arrive: ops[0] + imm address, n = .noinc.
void runArriveOnCopies(Warp &warp, const Inst &inst, uint32_t mask) {
  Cluster &cluster = warp.cta->cluster;
  Access access;
  access.mask = mask;
  access.bytes = 8;
  access.isWrite = true;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint32_t offset = uint32_t(access.address[lane]);
    if (!cluster.mbarriers.check(warp, inst, 1u << lane, offset) ||
        (!inst.n && !cluster.mbarriers.addPending(warp, inst, offset)))
      return;
  }
  cluster.copyArrivals->issue(warp, inst, mask, access.address);
}

bool decodeArriveOnCopies(Decoder &d) {
  d.setCountName("cp.async.mbarrier.arrive");
  if (!d.take("arrive"))
    return d.unsupported("expected .arrive");
  d.inst.n = d.take("noinc");
  StateSpace space = d.take("shared") || d.take("shared::cta")
                         ? StateSpace::Shared
                         : StateSpace::Generic;
  if (d.takeType() != Type::B64 || !d.expectOperands(1, 1))
    return false;
  AddressOperand address = decodeAddress(d, 0, 0);
  if (space == StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space);
  d.setHandler(runArriveOnCopies);
  return true;
}

bool decodeCp(Decoder &d) {
  bool reduces = d.take("reduce");
  if (!d.take("async"))
    return false;
  if (d.take("bulk"))
    return decodeBulk(d, reduces);
  if (reduces)
    return false;
  d.meta.pipe = Pipe::LSU;
  d.inst.kind = Kind::Memory;
  if (d.take("commit_group")) {
    d.setCountName("cp.async.commit_group");
    d.setHandler(runCommit);
    return d.expectOperands(0, 0);
  }
  if (d.take("wait_group")) {
    d.setCountName("cp.async.wait_group");
    d.setHandler(runWaitGroup);
    return d.expectOperands(1, 1) && d.immediate(0, d.inst.imm);
  }
  if (d.take("mbarrier"))
    return decodeArriveOnCopies(d);
  if (d.take("wait_all")) {
    d.setCountName("cp.async.wait_all");
    d.setHandler(runWaitAll);
    return d.expectOperands(0, 0);
  }
  d.setCountName("cp.async");
  return decodeCopy(d);
}

constexpr OpRow kOps[] = {{"cp", decodeCp}};

} // namespace

std::span<const OpRow> flash::emu::asyncOps() { return kOps; }
