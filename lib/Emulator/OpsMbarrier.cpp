//===- OpsMbarrier.cpp - mbarrier -------------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A wait whose phase is not over blocks its lanes until the phase ends, and
// returns false only where nothing else can run (or at random in random mode):
// both try_wait and test_wait may take their time, and a kernel that polls
// costs nothing that way.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"

using namespace flash::emu;
using syntax::Operand;

namespace {

/// inst.n bits.
enum : uint8_t {
  kRelaxed = 1,
  kDrop = 2,
  kNoComplete = 4,
  kExpectTx = 8,
  kParity = 16,
  kHasCount = 32,
};

/// Offsets of the mbarriers that the lanes name; false after a report.
bool resolveMbarriers(Warp &warp, const Inst &inst, Access &access) {
  access.bytes = 8;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return false;
  if (access.sharedMask == access.mask)
    return true;
  warp.cta->fatal(IssueKind::OutOfBounds, warp, &inst,
                  access.mask & ~access.sharedMask,
                  "an mbarrier: expected an address in shared memory");
  return false;
}

/// Calls `f(lanes, offset)` for lanes that name the same mbarrier; stops where
/// it returns false.
template <typename F> void forMbarriers(const Access &access, F f) {
  for (uint32_t rest = access.mask; rest;) {
    uint64_t offset = access.address[std::countr_zero(rest)];
    uint32_t same = 0;
    forLanes(rest, [&](unsigned lane) {
      same |= uint32_t(access.address[lane] == offset) << lane;
    });
    rest &= ~same;
    if (!f(same, uint32_t(offset)))
      return;
  }
}

/// Calls `f(lane, offset)` lane by lane for an instruction that changes its
/// mbarrier; stops where it returns false.
template <typename F>
void changeByLane(Warp &warp, const Inst &inst, uint32_t mask, F f) {
  Access access;
  access.mask = mask;
  access.isWrite = true;
  if (!resolveMbarriers(warp, inst, access))
    return;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    if (!f(lane, uint32_t(access.address[lane])))
      return;
  }
}

void runInit(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *count = sourceRow<uint32_t>(warp, inst.ops[1]);
  Mbarriers &mbarriers = warp.cta->cluster.mbarriers;
  changeByLane(warp, inst, mask, [&](unsigned lane, uint32_t offset) {
    return mbarriers.init(warp, inst, lane, offset, count[lane]);
  });
}

void runInvalidate(Warp &warp, const Inst &inst, uint32_t mask) {
  Mbarriers &mbarriers = warp.cta->cluster.mbarriers;
  changeByLane(warp, inst, mask, [&](unsigned lane, uint32_t offset) {
    return mbarriers.invalidate(warp, inst, lane, offset);
  });
}

/// ops[0] address, ops[1] count or bytes, ops[2] token.
void runArrive(Warp &warp, const Inst &inst, uint32_t mask) {
  Access access;
  access.mask = mask;
  access.isWrite = true;
  if (!resolveMbarriers(warp, inst, access))
    return;
  const uint32_t *number = sourceRow<uint32_t>(warp, inst.ops[1]);
  uint64_t *token = targetRow<uint64_t>(warp, inst.ops[2]);
  forMbarriers(access, [&](uint32_t lanes, uint32_t offset) {
    // Lanes that bring different numbers arrive one by one.
    uint32_t first = number[std::countr_zero(lanes)];
    bool same = true;
    forLanes(lanes, [&](unsigned lane) { same &= number[lane] == first; });
    Mbarriers::Arrival arrival;
    arrival.drop = inst.n & kDrop;
    arrival.noComplete = inst.n & kNoComplete;
    arrival.releases = !(inst.n & kRelaxed);
    auto some = [&](uint32_t which, uint32_t value) {
      (inst.n & kExpectTx ? arrival.expectBytes : arrival.count) = value;
      return warp.cta->cluster.mbarriers.arrive(warp, inst, which, offset,
                                                arrival, token);
    };
    if (same)
      return some(lanes, first);
    for (uint32_t rest = lanes; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (!some(1u << lane, number[lane]))
        return false;
    }
    return true;
  });
}

/// expect_tx (n = kExpectTx) and complete_tx.
void runBytes(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *bytes = sourceRow<uint32_t>(warp, inst.ops[1]);
  Mbarriers &mbarriers = warp.cta->cluster.mbarriers;
  changeByLane(warp, inst, mask, [&](unsigned lane, uint32_t offset) {
    if (!mbarriers.check(warp, inst, 1u << lane, offset))
      return false;
    return inst.n & kExpectTx
               ? mbarriers.expectBytes(warp, inst, offset, bytes[lane])
               : mbarriers.completeBytes(warp, inst, offset, bytes[lane]);
  });
}

/// ops[0] address, ops[1] token or parity, ops[2] predicate.
void runWait(Warp &warp, const Inst &inst, uint32_t mask) {
  Cluster &cluster = warp.cta->cluster;
  Access access;
  access.mask = mask;
  if (!resolveMbarriers(warp, inst, access))
    return;
  auto parityOf = [&](unsigned lane) -> bool {
    if (inst.n & kParity)
      return sourceRow<uint32_t>(warp, inst.ops[1])[lane] & 1;
    return sourceRow<uint64_t>(warp, inst.ops[1])[lane] >> 63;
  };
  bool usable = true;
  uint32_t passed = 0;
  auto look = [&] {
    forLanes(mask, [&](unsigned lane) {
      passed |= uint32_t(cluster.mbarriers.passed(
                    uint32_t(access.address[lane]), parityOf(lane)))
                << lane;
    });
  };
  forMbarriers(access, [&](uint32_t lanes, uint32_t offset) {
    return usable = cluster.mbarriers.check(warp, inst, lanes, offset);
  });
  if (!usable)
    return;
  look();
  AsyncMode mode = cluster.launch.config->async;
  // A wait is what completes operations in lazy mode; in the others only where
  // nothing else would.
  if (!passed && (mode == AsyncMode::Lazy || warp.timedOut))
    forMbarriers(access, [&](uint32_t, uint32_t offset) {
      while (!passed && !cluster.launch.stop && cluster.demand(offset))
        look();
      return !passed;
    });
  if (!passed && !warp.timedOut &&
      !(mode == AsyncMode::Random && cluster.random.below(4) == 0)) {
    warp.blocked = true;
    return;
  }
  uint32_t &out = predicateOf(warp, inst.ops[2]);
  out = (out & ~mask) | passed;
  if (passed && !(inst.n & kRelaxed)) {
    access.mask = passed;
    forMbarriers(access, [&](uint32_t lanes, uint32_t offset) {
      cluster.mbarriers.acquire(warp, lanes, offset);
      return true;
    });
  }
}

/// The pending count of a token.
void runPendingCount(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *token = sourceRow<uint64_t>(warp, inst.ops[1]);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned lane) {
    out[lane] = MbarrierState::unpack(token[lane]).pending;
  });
}

/// Consumes semantics, scope and space; false where the space is another.
bool takeModifiers(Decoder &d, bool mayBeRemote, StateSpace &space) {
  for (std::string_view order : {"acquire", "release"})
    d.take(order);
  if (d.take("relaxed"))
    d.inst.n |= kRelaxed;
  for (std::string_view scope : {"cta", "cluster"})
    d.take(scope);
  space = StateSpace::Generic;
  if (d.take("shared") || d.take("shared::cta") ||
      (mayBeRemote && d.take("shared::cluster")))
    space = StateSpace::Shared;
  return true;
}

void setAddress(Decoder &d, size_t operand, StateSpace space) {
  AddressOperand address = decodeAddress(d, operand, 0);
  if (space == StateSpace::Generic)
    space = address.symbolSpace;
  d.inst.sub |= uint8_t(space);
}

bool decodeWait(Decoder &d, StateSpace space) {
  if (!d.expectOperands(3, 4))
    return false;
  d.inst.kind = Kind::Wait;
  setAddress(d, 1, space);
  d.inst.ops[1] = d.source(2, d.inst.n & kParity ? Type::B32 : Type::B64);
  if (d.operandCount() == 4)
    d.source(3, Type::U32); // How long to wait at most: it bounds nothing.
  d.inst.ops[2] = d.predicateTarget(d.operand(0));
  d.setHandler(runWait);
  return true;
}

bool decodeArrive(Decoder &d, StateSpace space) {
  bool expects = d.inst.n & kExpectTx;
  // A remote arrival may leave its token out.
  bool hasToken = d.operandCount() > 0 && d.operand(0).kind != Operand::Address;
  size_t first = hasToken ? 1 : 0;
  bool needsNumber = expects || (d.inst.n & kNoComplete);
  if (!d.expectOperands(first + (needsNumber ? 2 : 1), first + 2))
    return false;
  d.inst.ops[2] = hasToken ? d.target(0, Type::B64) : kScratchRow;
  setAddress(d, first, space);
  d.inst.ops[1] = d.operandCount() == first + 2 ? d.source(first + 1, Type::U32)
                                                : d.constant32(1);
  d.setHandler(runArrive);
  return true;
}

bool decodeMbarrier(Decoder &d) {
  d.meta.pipe = Pipe::LSU;
  d.inst.kind = Kind::Memory;
  std::string name = "mbarrier." + std::string(d.peekNext());
  d.setCountName(name);
  std::string_view what = d.takeNext();
  StateSpace space;
  if (what == "pending_count") {
    d.takeType();
    if (!d.expectOperands(2, 2))
      return false;
    d.inst.kind = Kind::Plain;
    d.inst.ops[0] = d.target(0, Type::U32);
    d.inst.ops[1] = d.source(1, Type::B64);
    d.setHandler(runPendingCount);
    return true;
  }
  bool isArrive = what == "arrive" || what == "arrive_drop";
  if (isArrive) {
    if (what == "arrive_drop")
      d.inst.n |= kDrop;
    if (d.take("expect_tx"))
      d.inst.n |= kExpectTx;
    if (d.take("noComplete"))
      d.inst.n |= kNoComplete;
  }
  if (what == "expect_tx")
    d.inst.n |= kExpectTx;
  bool isWait = what == "try_wait" || what == "test_wait";
  if (isWait && d.take("parity"))
    d.inst.n |= kParity;
  takeModifiers(d, isArrive || what == "expect_tx" || what == "complete_tx",
                space);
  if (d.takeType() != Type::B64)
    return d.unsupported("expected .b64");
  if (isWait)
    return decodeWait(d, space);
  if (isArrive)
    return decodeArrive(d, space);
  if (what == "init" || what == "expect_tx" || what == "complete_tx") {
    if (!d.expectOperands(2, 2))
      return false;
    setAddress(d, 0, space);
    d.inst.ops[1] = d.source(1, Type::U32);
    d.setHandler(what == "init" ? runInit : runBytes);
    return true;
  }
  if (what == "inval") {
    setAddress(d, 0, space);
    d.setHandler(runInvalidate);
    return d.expectOperands(1, 1);
  }
  return d.unsupported("unknown operation '" + std::string(what) + "'");
}

constexpr OpRow kOps[] = {{"mbarrier", decodeMbarrier}};

} // namespace

std::span<const OpRow> flash::emu::mbarrierOps() { return kOps; }
