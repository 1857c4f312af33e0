//===- OpsMove.cpp - mov, cvta, isspacep ------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Ops.h"
#include "Types.h"

using namespace flash::emu;
using syntax::Operand;

namespace {

//===----------------------------------------------------------------------===//
// Special registers
//===----------------------------------------------------------------------===//

enum Special : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaX,
  CtaY,
  CtaZ,
  NctaX,
  NctaY,
  NctaZ,
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  GridId,
  LaneEq,
  LaneLe,
  LaneLt,
  LaneGe,
  LaneGt,
  Clock,
  ClockHigh,
  DynamicShared,
  TotalShared,
  ClusterX,
  ClusterY,
  ClusterZ,
  NclusterX,
  NclusterY,
  NclusterZ,
  ClusterCtaX,
  ClusterCtaY,
  ClusterCtaZ,
  ClusterCtaRank,
  ClusterNctaX,
  ClusterNctaY,
  ClusterNctaZ,
  ClusterNctaRank,
};

struct SpecialRow {
  std::string_view name;
  Special special;
  uint8_t bits;
};

constexpr SpecialRow kSpecials[] = {
    {"%tid.x", TidX, 32},
    {"%tid.y", TidY, 32},
    {"%tid.z", TidZ, 32},
    {"%ntid.x", NtidX, 32},
    {"%ntid.y", NtidY, 32},
    {"%ntid.z", NtidZ, 32},
    {"%ctaid.x", CtaX, 32},
    {"%ctaid.y", CtaY, 32},
    {"%ctaid.z", CtaZ, 32},
    {"%nctaid.x", NctaX, 32},
    {"%nctaid.y", NctaY, 32},
    {"%nctaid.z", NctaZ, 32},
    {"%laneid", LaneId, 32},
    {"%warpid", WarpId, 32},
    {"%nwarpid", NWarpId, 32},
    {"%smid", SmId, 32},
    {"%nsmid", NSmId, 32},
    {"%gridid", GridId, 64},
    {"%lanemask_eq", LaneEq, 32},
    {"%lanemask_le", LaneLe, 32},
    {"%lanemask_lt", LaneLt, 32},
    {"%lanemask_ge", LaneGe, 32},
    {"%lanemask_gt", LaneGt, 32},
    {"%clock", Clock, 32},
    {"%clock_hi", ClockHigh, 32},
    {"%clock64", Clock, 64},
    {"%globaltimer", Clock, 64},
    {"%globaltimer_lo", Clock, 32},
    {"%globaltimer_hi", ClockHigh, 32},
    {"%dynamic_smem_size", DynamicShared, 32},
    {"%total_smem_size", TotalShared, 32},
    {"%aggr_smem_size", TotalShared, 32},
    {"%clusterid.x", ClusterX, 32},
    {"%clusterid.y", ClusterY, 32},
    {"%clusterid.z", ClusterZ, 32},
    {"%nclusterid.x", NclusterX, 32},
    {"%nclusterid.y", NclusterY, 32},
    {"%nclusterid.z", NclusterZ, 32},
    {"%cluster_ctaid.x", ClusterCtaX, 32},
    {"%cluster_ctaid.y", ClusterCtaY, 32},
    {"%cluster_ctaid.z", ClusterCtaZ, 32},
    {"%cluster_ctarank", ClusterCtaRank, 32},
    {"%cluster_nctaid.x", ClusterNctaX, 32},
    {"%cluster_nctaid.y", ClusterNctaY, 32},
    {"%cluster_nctaid.z", ClusterNctaZ, 32},
    {"%cluster_nctarank", ClusterNctaRank, 32},
};

uint64_t specialValue(const Warp &warp, Special special, unsigned lane) {
  const Cta &cta = *warp.cta;
  const LaunchConfig &config = *cta.launch.config;
  uint32_t thread = warp.id * 32 + lane;
  switch (special) {
  case TidX:
    return thread % cta.blockDim[0];
  case TidY:
    return thread / cta.blockDim[0] % cta.blockDim[1];
  case TidZ:
    return thread / cta.blockDim[0] / cta.blockDim[1];
  case NtidX:
  case NtidY:
  case NtidZ:
    return cta.blockDim[special - NtidX];
  case CtaX:
  case CtaY:
  case CtaZ:
    return cta.id[special - CtaX];
  case NctaX:
  case NctaY:
  case NctaZ:
    return config.grid[special - NctaX];
  case LaneId:
    return lane;
  case WarpId:
    return warp.id;
  case NWarpId:
    return 32;
  case SmId:
    return 0;
  case NSmId:
    return 1;
  case GridId:
    return 1;
  case LaneEq:
    return 1u << lane;
  case LaneLt:
    return (1u << lane) - 1;
  case LaneLe:
    return (2ull << lane) - 1;
  case LaneGe:
    return ~((1u << lane) - 1);
  case LaneGt:
    return uint32_t(~((2ull << lane) - 1));
  // Instructions stand in for cycles: a kernel that measures sees time pass,
  // and the run stays reproducible.
  case Clock:
    return cta.cluster.executed;
  case ClockHigh:
    return cta.cluster.executed >> 32;
  case DynamicShared:
    return config.dynamicSharedBytes;
  case TotalShared:
    return cta.sharedBytes;
  case ClusterX:
  case ClusterY:
  case ClusterZ:
    return cta.id[special - ClusterX] / config.cluster[special - ClusterX];
  case NclusterX:
  case NclusterY:
  case NclusterZ:
    return config.grid[special - NclusterX] /
           config.cluster[special - NclusterX];
  case ClusterCtaX:
  case ClusterCtaY:
  case ClusterCtaZ:
    return cta.id[special - ClusterCtaX] %
           config.cluster[special - ClusterCtaX];
  case ClusterCtaRank:
    return cta.rank;
  case ClusterNctaX:
  case ClusterNctaY:
  case ClusterNctaZ:
    return config.cluster[special - ClusterNctaX];
  case ClusterNctaRank:
    return cta.cluster.size();
  }
  return 0;
}

template <typename T>
void runSpecial(Warp &warp, const Inst &inst, uint32_t mask) {
  T *out = targetRow<T>(warp, inst.ops[0]);
  // mov.u16 takes the lower half.
  T keep = inst.n == 16 ? T(0xffff) : T(~T(0));
  forLanes(mask, [&](unsigned lane) {
    out[lane] = T(specialValue(warp, Special(inst.sub), lane)) & keep;
  });
}

//===----------------------------------------------------------------------===//
// mov
//===----------------------------------------------------------------------===//

template <typename T, bool Full>
void runMove(Warp &warp, const Inst &inst, uint32_t mask) {
  const T *a = sourceRow<T>(warp, inst.ops[1]);
  T *out = targetRow<T>(warp, inst.ops[0]);
  FLASH_LANE_LOOP
  for (unsigned i = 0; i < 32; ++i) {
    if constexpr (Full)
      out[i] = a[i];
    else
      out[i] = (mask >> i & 1) ? a[i] : out[i];
  }
}

Handlers moveHandlers(unsigned bits) {
  if (bits == 64)
    return {runMove<uint64_t, true>, runMove<uint64_t, false>};
  return {runMove<uint32_t, true>, runMove<uint32_t, false>};
}

void runMovePredicate(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t value = inst.n ? uint32_t(inst.imm)
                          : predicateOf(warp, inst.ops[1]) ^ uint32_t(inst.imm);
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = (out & ~mask) | (value & mask);
}

/// Whether the launch names a cluster, by its configuration or the kernel's
/// directives (PTX ISA, "%is_explicit_cluster").
void runExplicitCluster(Warp &warp, const Inst &inst, uint32_t mask) {
  bool is = warp.cta->cluster.size() > 1 ||
            warp.program->info.reqnctapercluster[0] != 0;
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = (out & ~mask) | (is ? mask : 0);
}

/// d = {a, b, ...}: inst.n elements of inst.sub bits in extra.
template <typename D>
void runPackVector(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *extra = &warp.program->extra[inst.extra];
  D values[32] = {};
  for (unsigned k = 0; k < inst.n; ++k) {
    const uint32_t *a = sourceRow<uint32_t>(warp, extra[k]);
    D keep = D((uint64_t(1) << inst.sub) - 1);
    for (unsigned i = 0; i < 32; ++i)
      values[i] |= (D(a[i]) & keep) << (k * inst.sub);
  }
  D *out = targetRow<D>(warp, inst.ops[0]);
  for (unsigned i = 0; i < 32; ++i)
    out[i] = (mask >> i & 1) ? values[i] : out[i];
}

/// {a, b, ...} = s.
template <typename S>
void runUnpackVector(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint32_t *extra = &warp.program->extra[inst.extra];
  const S *in = sourceRow<S>(warp, inst.ops[0]);
  S values[32];
  for (unsigned i = 0; i < 32; ++i)
    values[i] = in[i];
  uint32_t keep = uint32_t((uint64_t(1) << inst.sub) - 1);
  for (unsigned k = 0; k < inst.n; ++k) {
    uint32_t *out = targetRow<uint32_t>(warp, extra[k]);
    for (unsigned i = 0; i < 32; ++i)
      out[i] = (mask >> i & 1) ? uint32_t(values[i] >> (k * inst.sub)) & keep
                               : out[i];
  }
}

/// .b128: 16 bytes per lane, of ops[1] and ops[2].
void runPack128(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *low = sourceRow<uint64_t>(warp, inst.ops[1]);
  const uint64_t *high = sourceRow<uint64_t>(warp, inst.ops[2]);
  uint64_t *out = targetRow<uint64_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    out[2 * i] = low[i];
    out[2 * i + 1] = high[i];
  });
}

void runUnpack128(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *in = sourceRow<uint64_t>(warp, inst.ops[0]);
  uint64_t *low = targetRow<uint64_t>(warp, inst.ops[1]);
  uint64_t *high = targetRow<uint64_t>(warp, inst.ops[2]);
  forLanes(mask, [&](unsigned i) {
    low[i] = in[2 * i];
    high[i] = in[2 * i + 1];
  });
}

void runMove128(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *in = sourceRow<uint64_t>(warp, inst.ops[1]);
  uint64_t *out = targetRow<uint64_t>(warp, inst.ops[0]);
  forLanes(mask, [&](unsigned i) {
    out[2 * i] = in[2 * i];
    out[2 * i + 1] = in[2 * i + 1];
  });
}

Type bitsType(unsigned bits) {
  return bits == 8    ? Type::B8
         : bits == 16 ? Type::B16
         : bits == 32 ? Type::B32
                      : Type::B64;
}

bool decodeVectorMove(Decoder &d, Type type) {
  bool packs = d.operand(1).kind == Operand::Vector;
  const Operand &vector = d.operand(packs ? 1 : 0);
  const Operand &scalar = d.operand(packs ? 0 : 1);
  size_t count = vector.elements.size();
  unsigned bits = bitsOf(type);
  if (bits == 128 && count == 2) {
    d.setHandler(packs ? runPack128 : runUnpack128);
    d.inst.ops[0] = packs ? d.target(scalar, type) : d.source(scalar, type);
    for (unsigned k = 0; k < 2; ++k)
      d.inst.ops[1 + k] = packs ? d.source(vector.elements[k], Type::B64)
                                : d.target(vector.elements[k], Type::B64);
    return !d.failed();
  }
  if ((bits != 16 && bits != 32 && bits != 64) || (count != 2 && count != 4) ||
      bits / count > 32 || bits / count < 8)
    return d.unsupported("vector of " + std::to_string(count) + " in " +
                         std::to_string(bits) + " bits");
  unsigned element = unsigned(bits / count);
  d.inst.n = uint8_t(count);
  d.inst.sub = uint8_t(element);
  d.inst.ops[0] = packs ? d.target(scalar, type) : d.source(scalar, type);
  std::vector<uint32_t> ops;
  for (const Operand &op : vector.elements)
    // Byte elements sit in 16-bit registers.
    ops.push_back(element == 8 ? (packs ? d.wideSource(op, Type::B8)
                                        : d.wideTarget(op, Type::B8))
                  : packs      ? d.source(op, bitsType(element))
                               : d.target(op, bitsType(element)));
  d.inst.extra = d.extraSize();
  for (uint32_t op : ops)
    d.pushExtra(op);
  if (packs)
    d.setHandler(bits == 64 ? runPackVector<uint64_t>
                            : runPackVector<uint32_t>);
  else
    d.setHandler(bits == 64 ? runUnpackVector<uint64_t>
                            : runUnpackVector<uint32_t>);
  return !d.failed();
}

/// Shared addresses carry the CTA's rank.
void addSharedBase(Decoder &d, unsigned bits) {
  auto add = [](auto a, decltype(a) b) -> decltype(a) { return a + b; };
  d.inst.ops[2] = bits == 64 ? kSharedBase64 : kSharedBase32;
  d.setHandlers(bits == 64 ? elementwise<uint64_t, uint64_t, uint64_t>(add)
                           : elementwise<uint32_t, uint32_t, uint32_t>(add));
}

bool decodeMov(Decoder &d) {
  Type type = d.takeType();
  if (!d.expectOperands(2, 2))
    return false;
  const Operand &source = d.operand(1);
  if (source.kind == Operand::Vector || d.operand(0).kind == Operand::Vector)
    return decodeVectorMove(d, type);
  if (type == Type::Pred) {
    d.setHandler(runMovePredicate);
    d.inst.ops[0] = d.predicateTarget(d.operand(0));
    if (source.kind == Operand::Special &&
        source.name == "%is_explicit_cluster") {
      d.setHandler(runExplicitCluster);
      return true;
    }
    if (source.kind == Operand::Int) {
      d.inst.n = 1;
      d.inst.imm = source.value ? ~0u : 0;
      return true;
    }
    uint32_t negated;
    d.inst.ops[1] = d.predicate(1, negated);
    d.inst.imm = negated;
    return true;
  }
  unsigned bits = bitsOf(type);
  if (bits < 16)
    return false;
  if (bits == 128) {
    if (source.kind != Operand::Reg)
      return d.unsupported("expected a register");
    d.setHandler(runMove128);
    d.inst.ops[0] = d.target(0, type);
    d.inst.ops[1] = d.source(1, type);
    return true;
  }
  d.inst.ops[0] = d.target(0, type);
  if (source.kind == Operand::Special && source.name != "WARP_SZ") {
    for (const SpecialRow &row : kSpecials)
      if (row.name == source.name) {
        // %clock64 and the like may be read in part.
        d.inst.sub = row.special;
        d.inst.n = uint8_t(bits);
        d.setHandler(bits == 64 ? runSpecial<uint64_t> : runSpecial<uint32_t>);
        // Not inside a run, where the count of instructions stands still.
        if (row.special == Clock || row.special == ClockHigh)
          d.inst.kind = Kind::Memory;
        return true;
      }
    // Performance counters and words of the driver; nothing of shared memory
    // is reserved here.
    std::string_view name = source.name;
    for (std::string_view zero :
         {"%pm", "%envreg", "%reserved_smem_offset_", "%current_graph_exec"})
      if (name.starts_with(zero)) {
        d.setHandlers(moveHandlers(bits));
        d.inst.ops[1] = bits == 64 ? d.constant64(0) : d.constant32(0);
        return true;
      }
    return d.fail("unknown special register '" + std::string(source.name) +
                  "'");
  }
  d.setHandlers(moveHandlers(bits));
  d.meta.plainMove = true;
  if (source.kind == Operand::Symbol) {
    StateSpace space;
    uint64_t address;
    if (source.variable < 0)
      return d.fail("mov: the address of '" + std::string(source.name) +
                    "' is not supported: expected a variable");
    if (!d.variableAddress(source.variable, space, address))
      return false;
    address += source.value;
    d.inst.ops[1] =
        bits == 64 ? d.constant64(address) : d.constant32(uint32_t(address));
    if (space == StateSpace::Shared && bits >= 32)
      addSharedBase(d, bits);
    return true;
  }
  d.inst.ops[1] = d.source(1, type);
  return true;
}

//===----------------------------------------------------------------------===//
// cvta, isspacep
//===----------------------------------------------------------------------===//

StateSpace takeSpace(Decoder &d) {
  if (d.take("shared") || d.take("shared::cta") || d.take("shared::cluster"))
    return StateSpace::Shared;
  if (d.take("global"))
    return StateSpace::Global;
  if (d.take("local"))
    return StateSpace::Local;
  if (d.take("const"))
    return StateSpace::Const;
  if (d.take("param") || d.take("param::entry"))
    return StateSpace::Param;
  return StateSpace::Generic;
}

uint64_t windowOf(StateSpace space) {
  switch (space) {
  case StateSpace::Shared:
    return kSharedWindow;
  case StateSpace::Local:
    return kLocalWindow;
  case StateSpace::Const:
    return kConstWindow;
  case StateSpace::Param:
    return kParamWindow;
  default:
    return 0;
  }
}

bool decodeCvta(Decoder &d) {
  bool toSpace = d.take("to");
  StateSpace space = takeSpace(d);
  Type type = d.takeType();
  if (space == StateSpace::Generic || type != Type::U64)
    return d.unsupported("expected a state space and .u64");
  if (!d.expectOperands(2, 2))
    return false;
  const Operand &source = d.operand(1);
  d.inst.ops[0] = d.target(0, type);
  uint64_t window = windowOf(space);
  if (source.kind == Operand::Symbol && source.variable >= 0 && !toSpace) {
    StateSpace actual;
    uint64_t address;
    if (!d.variableAddress(source.variable, actual, address))
      return false;
    if (actual != space)
      return d.fail("cvta: the variable is in another state space");
    d.inst.ops[1] = d.constant64(address + source.value + window);
    d.setHandlers(moveHandlers(64));
    if (space == StateSpace::Shared)
      addSharedBase(d, 64);
    return true;
  }
  d.inst.ops[1] = d.source(1, type);
  d.inst.ops[2] = d.constant64(toSpace ? 0 - window : window);
  d.setHandlers(elementwise<uint64_t, uint64_t, uint64_t>(
      [](uint64_t a, uint64_t b) { return a + b; }));
  return true;
}

void runIsSpace(Warp &warp, const Inst &inst, uint32_t mask) {
  const uint64_t *a = sourceRow<uint64_t>(warp, inst.ops[1]);
  uint32_t value = 0;
  forLanes(mask, [&](unsigned i) {
    bool inWindow = a[i] - inst.imm < kWindowBytes;
    bool isGlobal = a[i] < kSharedWindow;
    value |= uint32_t(inst.imm ? inWindow : isGlobal) << i;
  });
  uint32_t &out = predicateOf(warp, inst.ops[0]);
  out = (out & ~mask) | value;
}

bool decodeIsspacep(Decoder &d) {
  StateSpace space = takeSpace(d);
  if (space == StateSpace::Generic || !d.expectOperands(2, 2))
    return false;
  d.setHandler(runIsSpace);
  d.inst.imm = windowOf(space);
  d.inst.ops[0] = d.predicateTarget(d.operand(0));
  d.inst.ops[1] = d.source(1, Type::U64);
  return true;
}

constexpr OpRow kOps[] = {
    {"mov", decodeMov},
    {"cvta", decodeCvta},
    {"isspacep", decodeIsspacep},
};

} // namespace

std::span<const OpRow> flash::emu::moveOps() { return kOps; }
