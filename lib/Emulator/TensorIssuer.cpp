//===- TensorIssuer.cpp - Issuing operations of the tensor core  -*- C++
//-*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorIssuer.h"

#include "Cluster.h"
#include "MemoryAccess.h"

#include <algorithm>

using namespace flash::emu;

Accessor TensorIssuer::accessor() const {
  return {uint16_t(warp.agent), uint8_t(lane), false, warp.pcOf(inst)};
}

bool TensorIssuer::fail(IssueKind kind, std::string message) const {
  warp.cta->fatal(kind, warp, &inst, lanes(), std::move(message));
  return false;
}

TensorOperation TensorIssuer::operation(TensorOperation::Kind kind) const {
  TensorOperation operation;
  operation.kind = kind;
  // Above, inst.n holds what else the instruction needs.
  operation.group = inst.n & 3;
  operation.lane = uint8_t(lane);
  operation.warp = &warp;
  operation.inst = &inst;
  return operation;
}

uint32_t TensorIssuer::startOperation() const {
  Checker *checker = warp.cta->checker;
  return checker ? checker->startOp(accessor()) : 0;
}

bool TensorIssuer::readMatrix(const char *name, uint64_t descriptor,
                              SharedMatrix &matrix) const {
  std::string problem = readTcgen05Descriptor(descriptor, matrix.descriptor);
  if (problem.empty())
    problem = matrix.problem(warp.cta->sharedBytes);
  if (problem.empty())
    return true;
  return fail(IssueKind::OutOfBounds, std::string(name) + ": " + problem);
}

void TensorIssuer::readShared(const Cta &cta, uint32_t operation,
                              const SharedMatrix &matrix) const {
  Checker *checker = cta.checker;
  if (!checker)
    return;
  uint32_t low = ~0u, high = 0;
  matrix.forUnits([&](uint32_t, uint32_t, uint32_t address) {
    low = std::min(low, address);
    high = std::max(high, address);
  });
  uint32_t base = cta.rank * cta.cluster.sharedStride;
  auto set = std::make_shared<SharedSet>(base + low, high - low + 16);
  matrix.forUnits([&](uint32_t, uint32_t, uint32_t address) {
    set->add(base + address, 16);
  });
  Finding finding =
      checker->asyncRead(accessor(), operation, set, cta.checkUninitialised);
  if (finding.kind != Finding::None)
    reportFinding(warp, inst, lane, finding, false);
}

void TensorIssuer::issue(TensorOperation operation) const {
  Cluster &cluster = warp.cta->cluster;
  if (!cluster.tensor) {
    auto fresh = std::make_unique<TensorPipelines>(cluster);
    cluster.tensor = fresh.get();
    cluster.agents.push_back(std::move(fresh));
  }
  cluster.tensor->issue(std::move(operation));
}
