//===- OpsTensorCopy.cpp - tcgen05.cp, shift ------------------ -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "TensorIssuer.h"

using namespace flash::emu;

namespace {

/// ops: address, descriptor; imm: offset of the address; sub: CopyShape.
void issueCopy(const TensorIssuer &issuer) {
  auto [warp, inst, lane] = issuer;
  TensorOperation operation = issuer.operation(TensorOperation::Copy);
  operation.shape = CopyShape(inst.sub);
  operation.address =
      sourceRow<uint32_t>(warp, inst.ops[0])[lane] + uint32_t(inst.imm);
  auto ctas = tensorCtas(warp, inst, inst.n);
  if (!ctas[0])
    return;
  operation.a.bits = 32;
  operation.a.rows = copyRows(operation.shape);
  operation.a.k = copyColumns(operation.shape);
  if (!issuer.readMatrix("source", sourceRow<uint64_t>(warp, inst.ops[1])[lane],
                         operation.a))
    return;
  auto ranges = operation.writes();
  for (unsigned i = 0; i < operation.group; ++i)
    for (const TensorRange &range : ranges)
      if (!checkTensorRange(warp, inst, issuer.lanes(), *ctas[i], range,
                            "destination"))
        return;
  operation.checkerOp = issuer.startOperation();
  for (unsigned i = 0; i < operation.group; ++i) {
    issuer.readShared(*ctas[i], operation.checkerOp, operation.a);
    for (const TensorRange &range : ranges)
      noteTensorAccess(warp, inst, issuer.lanes(), *ctas[i], range, true,
                       operation.checkerOp);
  }
  issuer.issue(std::move(operation));
}

/// ops: address; imm: its offset.
void issueShift(const TensorIssuer &issuer) {
  auto [warp, inst, lane] = issuer;
  TensorOperation operation = issuer.operation(TensorOperation::Shift);
  operation.address =
      sourceRow<uint32_t>(warp, inst.ops[0])[lane] + uint32_t(inst.imm);
  auto ctas = tensorCtas(warp, inst, inst.n);
  if (!ctas[0])
    return;
  if ((operation.address >> 16) % 32) {
    issuer.fail(IssueKind::TensorMemory,
                "lane " + std::to_string(operation.address >> 16) +
                    ": expected a multiple of 32");
    return;
  }
  TensorRange range = operation.writes().front();
  for (unsigned i = 0; i < operation.group; ++i)
    if (!checkTensorRange(warp, inst, issuer.lanes(), *ctas[i], range,
                          "tensor memory"))
      return;
  operation.checkerOp = issuer.startOperation();
  for (unsigned i = 0; i < operation.group; ++i) {
    checkTensorWritten(warp, inst, issuer.lanes(), *ctas[i], range,
                       "tensor memory");
    noteTensorAccess(warp, inst, issuer.lanes(), *ctas[i], range, true,
                     operation.checkerOp);
  }
  issuer.issue(std::move(operation));
}

template <void (*Issue)(const TensorIssuer &)>
void runForLanes(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!checkTensorGroup(warp, inst, mask, inst.n))
    return;
  forLanes(mask, [&](unsigned lane) {
    if (!warp.cta->launch.stop)
      Issue({warp, inst, lane});
  });
}

bool tensorAddressOperand(Decoder &d, size_t i) {
  AddressOperand address = d.address(i);
  if (d.failed())
    return false;
  if (!address.hasBase || address.base64)
    return d.fail("tensor memory address: expected a 32-bit register");
  d.inst.ops[0] = address.base;
  d.inst.imm = uint32_t(address.offset);
  return true;
}

} // namespace

bool flash::emu::decodeTensorCopy(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group))
    return false;
  struct Row {
    std::string_view shape, multicast;
    CopyShape value;
  };
  static constexpr Row rows[] = {
      {"128x256b", "", CopyShape::S128x256b},
      {"128x128b", "", CopyShape::S128x128b},
      {"4x256b", "", CopyShape::S4x256b},
      {"64x128b", "warpx2::02_13", CopyShape::S64x128bWarps02},
      {"64x128b", "warpx2::01_23", CopyShape::S64x128bWarps01},
      {"32x128b", "warpx4", CopyShape::S32x128bAllWarps}};
  std::string_view shape = d.takeNext(), multicast;
  if (d.peekNext().starts_with("warpx"))
    multicast = d.takeNext();
  bool found = false;
  for (const Row &row : rows)
    if (row.shape == shape && row.multicast == multicast) {
      d.inst.sub = uint8_t(row.value);
      found = true;
    }
  if (!found)
    return d.unsupported("unknown shape");
  if (!d.peekNext().empty())
    return d.unsupported("decompression (." + std::string(d.peekNext()) +
                         ") is not supported");
  if (!d.expectOperands(2, 2) || !tensorAddressOperand(d, 0))
    return false;
  d.inst.ops[1] = d.source(1, Type::B64);
  d.inst.n = uint8_t(group);
  d.noteAsyncProxy();
  d.setHandler(runForLanes<issueCopy>);
  return true;
}

bool flash::emu::decodeTensorShift(Decoder &d) {
  unsigned group;
  if (!takeCtaGroup(d, group))
    return false;
  if (!d.take("down"))
    return d.unsupported("expected .down");
  if (!d.expectOperands(1, 1) || !tensorAddressOperand(d, 0))
    return false;
  d.inst.n = uint8_t(group);
  d.noteAsyncProxy();
  d.setHandler(runForLanes<issueShift>);
  return true;
}
