//===- OpsWarp.cpp - Shuffles, votes, reductions of a warp ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All are Kind::Sync: the scheduler has gathered the lanes of the member mask
// (ops[5]) before a handler runs. They exchange register values and order no
// memory.
//
//===----------------------------------------------------------------------===//

#include "Ops.h"
#include "Scheduler.h"
#include "Types.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace flash::emu;

namespace {

//===----------------------------------------------------------------------===//
// shfl
//===----------------------------------------------------------------------===//

enum ShuffleMode : uint8_t { Up, Down, Butterfly, Index };

template <ShuffleMode Mode>
void runShuffle(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  const uint32_t *b = sourceRow<uint32_t>(warp, inst.ops[2]);
  const uint32_t *c = sourceRow<uint32_t>(warp, inst.ops[3]);
  uint32_t values[32];
  std::memcpy(values, a, sizeof(values));
  uint32_t sources[32];
  uint32_t inRange = 0, missing = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned amount = b[lane] & 31, clamp = c[lane] & 31;
    unsigned segment = c[lane] >> 8 & 31;
    unsigned most = (lane & segment) | (clamp & ~segment);
    int from = Mode == Up     ? int(lane) - int(amount)
               : Mode == Down ? int(lane + amount)
               : Mode == Butterfly
                   ? int(lane ^ amount)
                   : int((lane & segment) | (amount & ~segment));
    bool valid = Mode == Up ? from >= int(most) : from <= int(most);
    sources[lane] = valid ? uint32_t(from) & 31 : lane;
    inRange |= uint32_t(valid) << lane;
    missing |= uint32_t(!(mask >> sources[lane] & 1)) << lane;
  }
  missing &= mask;
  if (warp.unwritten.any()) {
    uint32_t given = warp.unwritten.lanes(inst.ops[1]), taken = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
      taken |= (given >> sources[lane] & 1) << lane;
    warp.unwritten.set(inst.ops[0], mask, taken, inst.ops[1]);
  }
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  for (unsigned lane = 0; lane < 32; ++lane)
    out[lane] = (mask >> lane & 1) ? values[sources[lane]] : out[lane];
  uint32_t &p = predicateOf(warp, inst.ops[4]);
  p = (p & ~mask) | (inRange & mask);
  if (missing && warp.cta->wants(IssueKind::Divergence, warp, &inst)) {
    unsigned lane = std::countr_zero(missing);
    warp.cta->report(IssueKind::Divergence, warp, &inst, missing,
                     "lane " + std::to_string(lane) + " reads lane " +
                         std::to_string(sources[lane]) +
                         ", which does not take part: its value is undefined");
  }
}

bool decodeShfl(Decoder &d) {
  if (!d.take("sync"))
    return d.unsupported("expected .sync");
  Handler handler = d.take("up")     ? runShuffle<Up>
                    : d.take("down") ? runShuffle<Down>
                    : d.take("bfly") ? runShuffle<Butterfly>
                    : d.take("idx")  ? runShuffle<Index>
                                     : nullptr;
  if (!handler || bitsOf(d.takeType()) != 32)
    return false;
  if (!d.expectOperands(5, 5))
    return false;
  d.inst.kind = Kind::Sync;
  d.meta.marksItself = true;
  d.setHandler(handler);
  syntax::Operand target = d.operand(0);
  d.inst.ops[4] = d.secondTarget(target, true);
  target.second = -1;
  d.inst.ops[0] = d.target(target, Type::B32);
  for (unsigned i = 1; i < 4; ++i)
    d.inst.ops[i] = d.source(i, Type::B32);
  d.inst.ops[kMemberMaskOp] = d.source(4, Type::B32);
  return true;
}

//===----------------------------------------------------------------------===//
// vote, match, activemask, elect
//===----------------------------------------------------------------------===//

enum VoteMode : uint8_t { All, Any, Uniform, Ballot };

void runVote(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = (predicateOf(warp, inst.ops[1]) ^ uint32_t(inst.imm)) & mask;
  if (inst.sub == Ballot) {
    uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
    forLanes(mask, [&](unsigned i) { out[i] = value; });
    return;
  }
  bool result = inst.sub == All   ? value == mask
                : inst.sub == Any ? value != 0
                                  : value == mask || value == 0;
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = result ? out | mask : out & ~mask;
}

bool decodeVote(Decoder &d) {
  if (!d.take("sync"))
    return d.unsupported("expected .sync");
  bool ballot = d.take("ballot");
  d.inst.sub = ballot          ? Ballot
               : d.take("all") ? All
               : d.take("any") ? Any
                               : Uniform;
  if (d.inst.sub == Uniform && !d.take("uni"))
    return false;
  Type type = d.takeType();
  if ((type == Type::B32) != ballot || !d.expectOperands(3, 3))
    return false;
  d.inst.kind = Kind::Sync;
  d.setHandler(runVote);
  uint32_t negated;
  d.inst.ops[0] = ballot ? d.target(0, type) : d.predicateTarget(d.operand(0));
  d.inst.ops[1] = d.predicate(1, negated);
  d.inst.imm = negated;
  d.inst.ops[kMemberMaskOp] = d.source(2, Type::B32);
  return true;
}

template <typename T, bool IsAll>
void runMatch(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *a = sourceRow<T>(warp, inst.ops[1]);
  uint32_t result[32] = {};
  uint32_t agree = 0;
  forLanes(mask, [&](unsigned i) {
    forLanes(mask,
             [&](unsigned k) { result[i] |= uint32_t(a[i] == a[k]) << k; });
    if (IsAll) {
      bool all = result[i] == mask;
      result[i] = all ? mask : 0;
      agree |= uint32_t(all) << i;
    }
  });
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = result[i]; });
  if (IsAll) {
    uint32_t &p = predicateOf(warp, inst.ops[4]);
    p = (p & ~mask) | agree;
  }
}

bool decodeMatch(Decoder &d) {
  bool isAll = d.take("all");
  if ((!isAll && !d.take("any")) || !d.take("sync"))
    return false;
  Type type = d.takeType();
  bool wide = bitsOf(type) == 64;
  if (!d.expectOperands(3, 3))
    return false;
  d.inst.kind = Kind::Sync;
  d.setHandler(
      wide ? (isAll ? runMatch<uint64_t, true> : runMatch<uint64_t, false>)
           : (isAll ? runMatch<uint32_t, true> : runMatch<uint32_t, false>));
  syntax::Operand target = d.operand(0);
  d.inst.ops[4] = d.secondTarget(target, true);
  target.second = -1;
  d.inst.ops[0] = d.target(target, Type::B32);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[kMemberMaskOp] = d.source(2, Type::B32);
  return true;
}

void runActiveMask(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = mask; });
}

bool decodeActiveMask(Decoder &d) {
  d.takeType();
  d.setHandler(runActiveMask);
  d.inst.ops[0] = d.target(0, Type::B32);
  return d.expectOperands(1, 1);
}

/// The lowest lane is elected.
void runElect(Warp &warp, const Inst &inst, uint32_t mask) {
  unsigned leader = std::countr_zero(mask);
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = leader; });
  uint32_t &p = predicateOf(warp, inst.ops[4]);
  p = (p & ~mask) | 1u << leader;
}

bool decodeElect(Decoder &d) {
  if (!d.take("sync") || !d.expectOperands(2, 2))
    return false;
  d.inst.kind = Kind::Sync;
  d.setHandler(runElect);
  syntax::Operand target = d.operand(0);
  d.inst.ops[4] = d.secondTarget(target, true);
  target.second = -1;
  d.inst.ops[0] = d.target(target, Type::B32);
  d.inst.ops[kMemberMaskOp] = d.source(1, Type::B32);
  return true;
}

//===----------------------------------------------------------------------===//
// redux
//===----------------------------------------------------------------------===//

enum ReduceOp : uint8_t { Add, Min, Max, And, Or, Xor };

template <typename T, ReduceOp Op>
void runRedux(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  T result = T(a[std::countr_zero(mask)]);
  forLanes(mask & (mask - 1), [&](unsigned i) {
    T value = T(a[i]);
    result = Op == Add   ? T(uint32_t(result) + uint32_t(value))
             : Op == Min ? std::min(result, value)
             : Op == Max ? std::max(result, value)
             : Op == And ? T(result & value)
             : Op == Or  ? T(result | value)
                         : T(result ^ value);
  });
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = uint32_t(result); });
}

/// f32 (sm_100): inst.sub bit 0 max, bit 1 .abs, bit 2 .NaN. A NaN loses, with
/// .NaN it wins; -0 is less than +0.
void runReduxFloat(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *a = sourceRow<uint32_t>(warp, inst.ops[1]);
  bool isMax = inst.sub & 1, any = false, sawNaN = false;
  uint32_t best = 0x7fffffff;
  // Bit patterns in the order of their values.
  auto rank = [](uint32_t bits) {
    return int32_t(bits ^ (uint32_t(int32_t(bits) >> 31) >> 1));
  };
  forLanes(mask, [&](unsigned i) {
    uint32_t bits = inst.sub & 2 ? a[i] & 0x7fffffff : a[i];
    if ((bits & 0x7fffffff) > 0x7f800000) {
      sawNaN = true;
      return;
    }
    if (!any || (rank(bits) > rank(best)) == isMax)
      best = bits;
    any = true;
  });
  if (sawNaN && (inst.sub & 4))
    best = 0x7fffffff;
  uint32_t *out = targetRow<uint32_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) { out[i] = best; });
}

bool decodeReduxFloat(Decoder &d, std::string_view op) {
  if (op != "min" && op != "max")
    return d.unsupported(".f32 needs .min or .max");
  d.inst.sub = (op == "max") | d.take("abs") << 1 | d.take("NaN") << 2;
  d.inst.kind = Kind::Sync;
  d.setHandler(runReduxFloat);
  d.inst.ops[0] = d.target(0, Type::F32);
  d.inst.ops[1] = d.source(1, Type::F32);
  d.inst.ops[kMemberMaskOp] = d.source(2, Type::B32);
  return d.expectOperands(3, 3);
}

bool decodeRedux(Decoder &d) {
  if (!d.take("sync"))
    return false;
  std::string_view op = d.takeNext();
  if (d.take("f32"))
    return decodeReduxFloat(d, op);
  Type type = d.takeType();
  bool isS = type == Type::S32;
  if (isFloat(type) || bitsOf(type) != 32 || !d.expectOperands(3, 3))
    return false;
  Handler handler =
      op == "add"   ? runRedux<uint32_t, Add>
      : op == "min" ? (isS ? runRedux<int32_t, Min> : runRedux<uint32_t, Min>)
      : op == "max" ? (isS ? runRedux<int32_t, Max> : runRedux<uint32_t, Max>)
      : op == "and" ? runRedux<uint32_t, And>
      : op == "or"  ? runRedux<uint32_t, Or>
      : op == "xor" ? runRedux<uint32_t, Xor>
                    : nullptr;
  if (!handler)
    return false;
  d.inst.kind = Kind::Sync;
  d.setHandler(handler);
  d.inst.ops[0] = d.target(0, type);
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[kMemberMaskOp] = d.source(2, Type::B32);
  return true;
}

constexpr OpRow kOps[] = {
    {"shfl", decodeShfl},   {"vote", decodeVote},
    {"match", decodeMatch}, {"activemask", decodeActiveMask},
    {"elect", decodeElect}, {"redux", decodeRedux},
};

} // namespace

std::span<const OpRow> flash::emu::warpOps() { return kOps; }
