//===- OpsTcgen05.cpp - tcgen05.mma, commit --------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the tensor core does on its own. Each active lane issues an operation;
// its operands are checked here, at issue, and executed by its pipeline.
//
//===----------------------------------------------------------------------===//

#include "Cluster.h"
#include "Lanes.h"
#include "MemoryAccess.h"
#include "Ops.h"
#include "TensorIssuer.h"

#include <algorithm>
#include <bit>

using namespace flash::emu;
using syntax::Operand;

namespace {

//===----------------------------------------------------------------------===//
// mma
//===----------------------------------------------------------------------===//

bool checkAlignedLane(const TensorIssuer &issuer, const char *name,
                      uint32_t address, bool mayBeHalf) {
  unsigned lane = address >> 16;
  if (lane == 0 || (mayBeHalf && lane == 16))
    return true;
  return issuer.fail(IssueKind::TensorMemory,
                     std::string(name) + ": lane " + std::to_string(lane) +
                         ": expected 0" + (mayBeHalf ? " or 16" : ""));
}

/// inst.sub of a product, beside its TensorKind.
enum : uint8_t {
  kKindMask = 3,
  kFromTensorMemory = 4,
  kNotAccumulate = 8, ///< The predicate is negated.
  kHasDisabled = 16,  ///< extra holds the words of disabled lanes.
};

/// ops: D, A, B, instruction descriptor, predicate. imm: offsets of the
/// addresses of D and A. n: .cta_group and, from bit 2 on, the scale of D.
void issueProduct(const TensorIssuer &issuer) {
  auto [warp, inst, lane] = issuer;
  TensorOperation operation = issuer.operation(TensorOperation::Product);
  TensorProduct &product = operation.product;
  TensorShape &shape = product.shape;
  std::string message;
  if (!shape.decode(TensorKind(inst.sub & kKindMask), operation.group,
                    sourceRow<uint32_t>(warp, inst.ops[3])[lane], message)) {
    issuer.fail(IssueKind::TensorMemory, message);
    return;
  }
  const unsigned group = operation.group;
  auto ctas = tensorCtas(warp, inst, group);
  if (!ctas[0])
    return;
  product.group = group;
  product.address =
      sourceRow<uint32_t>(warp, inst.ops[0])[lane] + uint32_t(inst.imm);
  product.accumulate = (predicateOf(warp, inst.ops[4]) >> lane & 1) !=
                       (inst.sub & kNotAccumulate ? 1u : 0u);
  product.scale = inst.n >> 2;
  const uint32_t *disabled =
      inst.sub & kHasDisabled ? &warp.program->extra[inst.extra] : nullptr;
  const bool isHalf = group == 1 && shape.m == 64;
  if (!checkAlignedLane(issuer, "D", product.address, isHalf))
    return;

  // A: rows of each CTA by k; B: half of n by k of each CTA of a pair.
  operation.aInTensorMemory = inst.sub & kFromTensorMemory;
  uint32_t bits = shape.containerBits();
  auto matrix = [&](bool mnMajor, uint32_t rows) {
    SharedMatrix result;
    result.mnMajor = mnMajor;
    result.bits = bits;
    result.rows = rows;
    result.k = shape.k;
    return result;
  };
  if (operation.aInTensorMemory) {
    operation.address =
        sourceRow<uint32_t>(warp, inst.ops[1])[lane] + uint32_t(inst.imm >> 32);
    if (shape.aMajorMN) {
      issuer.fail(IssueKind::TensorMemory,
                  "instruction descriptor: A in tensor memory has to be "
                  "K-major");
      return;
    }
    if (shape.a == TensorType::E2M3 || shape.a == TensorType::E3M2 ||
        shape.a == TensorType::E2M1) {
      issuer.fail(IssueKind::Unsupported,
                  "A in tensor memory: elements of 4 and 6 bits are not "
                  "supported");
      return;
    }
    if (!checkAlignedLane(issuer, "A", operation.address, isHalf))
      return;
    if (operation.address >> 16 != product.address >> 16) {
      issuer.fail(IssueKind::TensorMemory,
                  "A: expected the lane of D, " +
                      std::to_string(product.address >> 16));
      return;
    }
  } else {
    operation.a = matrix(shape.aMajorMN, shape.rowsPerCta(group));
    if (!issuer.readMatrix("A", sourceRow<uint64_t>(warp, inst.ops[1])[lane],
                           operation.a))
      return;
  }
  operation.b = matrix(shape.bMajorMN, shape.n / group);
  if (!issuer.readMatrix("B", sourceRow<uint64_t>(warp, inst.ops[2])[lane],
                         operation.b))
    return;

  const DataPath path(group, shape.m, shape.n);
  auto dRanges = path.ranges(product.address);
  auto aRanges = path.blocks(operation.address, shape.k * bits / 32);
  for (unsigned i = 0; i < group; ++i) {
    for (const TensorRange &range : dRanges)
      if (!checkTensorRange(warp, inst, issuer.lanes(), *ctas[i], range, "D"))
        return;
    if (operation.aInTensorMemory)
      for (const TensorRange &range : aRanges)
        if (!checkTensorRange(warp, inst, issuer.lanes(), *ctas[i], range, "A"))
          return;
  }
  if (disabled)
    for (unsigned i = 0; i < 4 * group; ++i)
      operation.disabled[i / 4][i % 4] =
          sourceRow<uint32_t>(warp, disabled[i])[lane];

  operation.checkerOp = issuer.startOperation();
  for (unsigned i = 0; i < group; ++i) {
    Cta &cta = *ctas[i];
    if (operation.aInTensorMemory)
      for (const TensorRange &range : aRanges) {
        checkTensorWritten(warp, inst, issuer.lanes(), cta, range, "A");
        noteTensorAccess(warp, inst, issuer.lanes(), cta, range, false,
                         operation.checkerOp);
      }
    else
      issuer.readShared(cta, operation.checkerOp, operation.a);
    issuer.readShared(cta, operation.checkerOp, operation.b);
    for (const TensorRange &range : dRanges) {
      if (product.accumulate)
        checkTensorWritten(warp, inst, issuer.lanes(), cta, range, "D");
      noteTensorAccess(warp, inst, issuer.lanes(), cta, range, true,
                       operation.checkerOp);
    }
  }
  warp.tensorFlops[warp.pcOf(inst)] += 2ull * shape.m * shape.n * shape.k;
  issuer.issue(std::move(operation));
}

void runProduct(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!checkTensorGroup(warp, inst, mask, inst.n & 3))
    return;
  forLanes(mask, [&](unsigned lane) {
    if (!warp.cta->launch.stop)
      issueProduct({warp, inst, lane});
  });
}

/// A predicate operand that may be the number 0 or 1.
bool accumulateOperand(Decoder &d, size_t i) {
  if (i >= d.operandCount())
    return d.fail("tcgen05.mma: expected enable-input-d");
  const Operand &operand = d.operand(i);
  uint32_t negated = 0;
  if (operand.kind == Operand::Int) {
    d.inst.ops[4] = kTrueMask;
    negated = operand.value == 0;
  } else {
    d.inst.ops[4] = d.predicate(operand, negated);
  }
  if (negated)
    d.inst.sub |= kNotAccumulate;
  return !d.failed();
}

bool decodeProduct(Decoder &d) {
  for (std::string_view refused : {"ws", "sp"})
    if (d.take(refused))
      return d.unsupported("." + std::string(refused) + " is not supported");
  unsigned group;
  if (!takeCtaGroup(d, group))
    return false;
  for (std::string_view refused : {"kind::mxf8f6f4", "kind::mxf4",
                                   "kind::mxf4nvf4", "block_scale", "ashift"})
    if (d.take(refused))
      return d.unsupported("." + std::string(refused) + " is not supported");
  static constexpr std::pair<std::string_view, TensorKind> kinds[] = {
      {"kind::f16", TensorKind::F16},
      {"kind::tf32", TensorKind::TF32},
      {"kind::f8f6f4", TensorKind::F8F6F4},
      {"kind::i8", TensorKind::I8}};
  bool found = false;
  TensorKind kind = TensorKind::F16;
  for (auto [name, value] : kinds)
    if (d.take(name)) {
      kind = value;
      found = true;
    }
  if (!found)
    return d.unsupported("expected .kind::f16, ::tf32, ::f8f6f4 or ::i8");
  // What to keep of A between products does not show.
  for (std::string_view use : {"fill", "use", "lastuse", "discard"})
    d.take("collector::a::" + std::string(use));
  if (!d.expectOperands(5, 7))
    return false;
  d.inst.sub = uint8_t(kind);
  d.inst.n = uint8_t(group);
  AddressOperand result = d.address(0);
  if (d.failed())
    return false;
  auto isTensorAddress = [](const AddressOperand &a) {
    return a.hasBase && !a.base64;
  };
  if (!isTensorAddress(result))
    return d.fail("D: expected a 32-bit register");
  d.inst.ops[0] = result.base;
  d.inst.imm = uint32_t(result.offset);
  if (d.operand(1).kind == Operand::Address) {
    AddressOperand a = d.address(1);
    if (d.failed())
      return false;
    if (!isTensorAddress(a))
      return d.fail("A: expected a 32-bit register");
    d.inst.sub |= kFromTensorMemory;
    d.inst.ops[1] = a.base;
    d.inst.imm |= a.offset << 32;
  } else {
    d.inst.ops[1] = d.source(1, Type::B64);
  }
  d.inst.ops[2] = d.source(2, Type::B64);
  d.inst.ops[3] = d.source(3, Type::B32);
  size_t next = 4;
  if (d.operand(next).kind == Operand::Vector) {
    const Operand &list = d.operand(next++);
    if (list.elements.size() != 4 * group)
      return d.fail("disable-output-lane: expected " +
                    std::to_string(4 * group) + " registers");
    std::vector<uint32_t> words;
    for (const Operand &element : list.elements)
      words.push_back(d.source(element, Type::B32));
    d.inst.extra = d.extraSize();
    for (uint32_t word : words)
      d.pushExtra(word);
    d.inst.sub |= kHasDisabled;
  }
  if (!accumulateOperand(d, next++))
    return false;
  if (next < d.operandCount()) {
    uint64_t scale;
    if (!d.immediate(next++, scale))
      return false;
    if (scale > 15 || (kind != TensorKind::F16 && kind != TensorKind::TF32))
      return d.fail("scale-input-d: expected 0 to 15, for .kind::f16 and "
                    "::tf32 only");
    d.inst.n |= uint8_t(scale << 2);
  }
  if (next != d.operandCount())
    return d.fail("tcgen05.mma: too many operands");
  d.meta.pipe = Pipe::Tensor;
  d.noteAsyncProxy();
  d.setHandler(runProduct);
  return true;
}

//===----------------------------------------------------------------------===//
// commit
//===----------------------------------------------------------------------===//

/// inst.sub bit beside kSpaceMask and kNarrowAddress: ops[1] holds the mask of
/// CTAs.
constexpr uint8_t kMulticast = 16;

void runCommit(Warp &warp, const Inst &inst, uint32_t mask) {
  Cta &cta = *warp.cta;
  Cluster &cluster = cta.cluster;
  if (!checkTensorGroup(warp, inst, mask, inst.n))
    return;
  Access access;
  access.mask = mask;
  access.bytes = 8;
  access.isWrite = true;
  laneAddresses(warp, inst, 0, access.address);
  if (!resolve(warp, inst, StateSpace(inst.sub & kSpaceMask), access))
    return;
  if (access.sharedMask != mask) {
    cta.fatal(IssueKind::OutOfBounds, warp, &inst, mask & ~access.sharedMask,
              "an mbarrier: expected an address in shared memory");
    return;
  }
  forLanes(mask, [&](unsigned lane) {
    TensorIssuer issuer{warp, inst, lane};
    TensorOperation operation = issuer.operation(TensorOperation::Commit);
    uint32_t offset = uint32_t(access.address[lane]);
    if (inst.sub & kMulticast) {
      uint32_t ranks = sourceRow<uint32_t>(warp, inst.ops[1])[lane] & 0xffff;
      if (ranks >> cluster.size()) {
        issuer.fail(IssueKind::OutOfBounds, "mask of CTAs: the cluster has " +
                                                std::to_string(cluster.size()));
        return;
      }
      for (uint32_t rank = 0; rank < cluster.size(); ++rank)
        if (ranks >> rank & 1)
          operation.mbarriers.push_back(cluster.sameIn(rank, offset));
    } else {
      operation.mbarriers.push_back(offset);
    }
    for (uint32_t at : operation.mbarriers)
      if (!cluster.mbarriers.check(warp, inst, issuer.lanes(), at))
        return;
    issuer.issue(std::move(operation));
  });
}

bool decodeCommit(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group))
    return false;
  if (!d.take("mbarrier::arrive::one"))
    return d.unsupported("expected .mbarrier::arrive::one");
  bool shared = d.take("shared::cluster");
  bool multicast = d.take("multicast::cluster");
  if (d.takeType() != Type::B64)
    return d.unsupported("expected .b64");
  if (!d.expectOperands(multicast ? 2 : 1, multicast ? 2 : 1))
    return false;
  AddressOperand address = decodeAddress(d, 0, 0);
  if (!address.base64 || address.symbolSpace == StateSpace::Shared)
    shared = true;
  d.inst.sub |= uint8_t(shared ? StateSpace::Shared : StateSpace::Generic);
  d.inst.n = uint8_t(group);
  if (multicast) {
    d.inst.sub |= kMulticast;
    d.inst.ops[1] = d.source(1, Type::U16);
  }
  d.setHandler(runCommit);
  return true;
}

//===----------------------------------------------------------------------===//
// The family
//===----------------------------------------------------------------------===//

bool decodeTcgen05(Decoder &d) {
  static constexpr OpRow rows[] = {
      {"alloc", decodeTensorAlloc},
      {"dealloc", decodeTensorDealloc},
      {"relinquish_alloc_permit", decodeTensorRelinquish},
      {"ld", decodeTensorLoad},
      {"st", decodeTensorStore},
      {"wait::ld", decodeTensorWaitLoad},
      {"wait::st", decodeTensorWaitStore},
      {"fence::before_thread_sync", decodeTensorFenceBefore},
      {"fence::after_thread_sync", decodeTensorFenceAfter},
      {"mma", decodeProduct},
      {"cp", decodeTensorCopy},
      {"shift", decodeTensorShift},
      {"commit", decodeCommit}};
  std::string_view name = d.takeNext();
  d.setCountName("tcgen05." + std::string(name));
  d.inst.kind = Kind::Memory;
  d.meta.pipe = Pipe::LSU;
  for (const OpRow &row : rows)
    if (row.root == name)
      return row.decode(d);
  return d.unsupported("unknown operation '" + std::string(name) + "'");
}

constexpr OpRow kOps[] = {{"tcgen05", decodeTcgen05}};

} // namespace

std::span<const OpRow> flash::emu::tcgen05Ops() { return kOps; }
