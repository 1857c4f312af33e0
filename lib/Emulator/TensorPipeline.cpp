//===- TensorPipeline.cpp - tcgen05 operations in flight --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorPipeline.h"
#include "Cluster.h"
#include "TensorUse.h"

#include <algorithm>
#include <cstring>

using namespace flash::emu;

//===----------------------------------------------------------------------===//
// Shapes of tcgen05.cp
//===----------------------------------------------------------------------===//

unsigned flash::emu::copyRows(CopyShape shape) {
  switch (shape) {
  case CopyShape::S128x256b:
  case CopyShape::S128x128b:
    return 128;
  case CopyShape::S4x256b:
    return 4;
  case CopyShape::S64x128bWarps02:
  case CopyShape::S64x128bWarps01:
    return 64;
  case CopyShape::S32x128bAllWarps:
    return 32;
  }
  return 0;
}

unsigned flash::emu::copyColumns(CopyShape shape) {
  return shape == CopyShape::S128x256b || shape == CopyShape::S4x256b ? 8 : 4;
}

unsigned flash::emu::copyTimes(CopyShape shape) {
  unsigned rows = copyRows(shape);
  return rows == 4 ? 1 : 128 / rows;
}

unsigned flash::emu::copyLane(CopyShape shape, unsigned row, unsigned copy) {
  switch (shape) {
  case CopyShape::S4x256b:
    return 32 * row;
  case CopyShape::S64x128bWarps01:
    return row % 32 + 64 * (row / 32) + 32 * copy;
  default:
    return row + copyRows(shape) * copy;
  }
}

std::vector<TensorRange> TensorOperation::writes() const {
  switch (kind) {
  case Product:
    return DataPath(group, product.shape.m, product.shape.n)
        .ranges(product.address);
  case Copy: {
    unsigned columns = copyColumns(shape);
    if (shape != CopyShape::S4x256b)
      return {TensorRange::at(address, 128, columns)};
    std::vector<TensorRange> result;
    for (unsigned row = 0; row < 4; ++row)
      result.push_back(TensorRange::at(address + (32 * row << 16), 1, columns));
    return result;
  }
  case Shift:
    return {TensorRange::at(address, 32, 8)};
  case Commit:
    break;
  }
  return {};
}

std::array<Cta *, 2> flash::emu::tensorCtas(Warp &warp, const Inst &inst,
                                            unsigned group) {
  Cta &own = *warp.cta;
  if (group == 1)
    return {&own, nullptr};
  // PTX ISA, "CTA Pair": two CTAs whose ranks differ in the last bit.
  Cluster &cluster = own.cluster;
  uint32_t first = own.rank & ~1u;
  if (first + 1 >= cluster.size()) {
    own.fatal(IssueKind::TensorMemory, warp, &inst, warp.live,
              ".cta_group::2: expected a cluster with a CTA of rank " +
                  std::to_string(own.rank ^ 1) +
                  ", the other of the pair; it has " +
                  std::to_string(cluster.size()));
    return {nullptr, nullptr};
  }
  return {cluster.ctas[first].get(), cluster.ctas[first + 1].get()};
}

//===----------------------------------------------------------------------===//
// The pipelines
//===----------------------------------------------------------------------===//

void TensorPipelines::reset() {
  pipelines.clear();
  nextSerial = 1;
}

TensorPipelines::Pipeline &
TensorPipelines::pipelineOf(const TensorOperation &operation) {
  uint32_t key = operation.warp->agent * 32 + operation.lane;
  for (auto &[owner, pipeline] : pipelines)
    if (owner == key)
      return pipeline;
  pipelines.push_back({key, Pipeline()});
  Pipeline &fresh = pipelines.back().second;
  fresh.slot = cluster.mbarriers.newSlot();
  return fresh;
}

void TensorPipelines::issue(TensorOperation &&operation) {
  Pipeline &pipeline = pipelineOf(operation);
  operation.serial = nextSerial++;
  ++cluster.progress;
  auto ctas = tensorCtas(*operation.warp, *operation.inst, operation.group);
  for (unsigned i = 0; i < 2; ++i)
    if (ctas[i])
      for (const TensorRange &range : operation.writes()) {
        TensorMemory &memory = tensorMemory(*ctas[i]);
        memory.setPending(range, operation.serial);
        if (operation.disabled[i] == std::array<uint32_t, 4>()) {
          memory.setWritten(range);
          continue;
        }
        for (unsigned lane = range.lane; lane < range.lane + range.lanes;
             ++lane)
          if (!(operation.disabled[i][lane / 32] >> (lane % 32) & 1))
            memory.setWritten({lane, 1, range.column, range.columns});
      }
  pipeline.waiting.push_back(std::move(operation));
  if (cluster.launch.config->async == AsyncMode::Eager)
    advance(pipeline, pipeline.waiting.size());
}

void TensorPipelines::advance(Pipeline &pipeline, size_t count) {
  for (; count && !pipeline.waiting.empty(); --count) {
    TensorOperation operation = std::move(pipeline.waiting.front());
    pipeline.waiting.pop_front();
    execute(pipeline, operation);
  }
}

bool TensorPipelines::demand(uint32_t offset) {
  for (auto &[owner, pipeline] : pipelines)
    for (size_t i = 0; i < pipeline.waiting.size(); ++i) {
      const auto &mbarriers = pipeline.waiting[i].mbarriers;
      if (std::find(mbarriers.begin(), mbarriers.end(), offset) ==
          mbarriers.end())
        continue;
      advance(pipeline, i + 1);
      return true;
    }
  return false;
}

void TensorPipelines::step(Random &random) {
  for (auto &[owner, pipeline] : pipelines)
    if (!pipeline.waiting.empty())
      advance(pipeline, random.below(uint32_t(pipeline.waiting.size()) + 1));
}

void TensorPipelines::drain(Cta &cta) {
  for (auto &[owner, pipeline] : pipelines)
    if (cluster.warpOf(owner / 32).cta == &cta)
      advance(pipeline, pipeline.waiting.size());
}

std::string TensorPipelines::pending() const {
  std::string text;
  for (auto &[owner, pipeline] : pipelines)
    if (!pipeline.waiting.empty())
      text += "\n  " + std::to_string(pipeline.waiting.size()) +
              " tcgen05 operations in flight, issued by " +
              cluster.describeWarp(owner / 32) + ", lane " +
              std::to_string(owner % 32);
  return text;
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

namespace {

const std::byte *sharedOf(const Cta &cta) {
  return cta.cluster.shared.get() + size_t(cta.rank) * cta.cluster.sharedStride;
}

/// Lines of an operand in the shared memory of `cta`.
void gather(const Cta &cta, const SharedMatrix &matrix, uint8_t *out) {
  const std::byte *shared = sharedOf(cta);
  const unsigned width = matrix.bits / 8, count = 16 / width;
  matrix.forUnits([&](uint32_t line, uint32_t unit, uint32_t address) {
    if (!matrix.mnMajor) {
      std::memcpy(out + line * kLineBytes + unit * 16, shared + address, 16);
      return;
    }
    // Units may reach past the last row where there are few.
    for (unsigned i = 0; i < count && unit * count + i < matrix.rows; ++i)
      std::memcpy(out + (unit * count + i) * kLineBytes + line * width,
                  shared + address + i * width, width);
  });
}

/// Lines of A in tensor memory: 8 columns each.
void gatherTensor(TensorMemory &memory, const TensorOperation &operation,
                  unsigned rows, uint8_t *out) {
  const TensorShape &shape = operation.product.shape;
  const DataPath path(operation.group, shape.m, shape.n);
  for (unsigned row = 0; row < rows; ++row)
    std::memcpy(out + row * kLineBytes,
                memory.row((operation.address >> 16) + path.lane(row, 0)) +
                    (operation.address & 0xffff),
                kLineBytes);
}

} // namespace

void TensorPipelines::executeProduct(const TensorOperation &operation) {
  const TensorShape &shape = operation.product.shape;
  const unsigned group = operation.group;
  auto ctas = tensorCtas(*operation.warp, *operation.inst, group);
  // Each CTA of a pair brings half of the columns of B and its rows of A.
  std::vector<uint8_t> b(size_t(shape.n) * kLineBytes);
  for (unsigned i = 0; i < group; ++i)
    gather(*ctas[i], operation.b, &b[i * b.size() / group]);
  const unsigned rows = shape.rowsPerCta(group);
  std::vector<uint8_t> a(size_t(rows) * kLineBytes);
  for (unsigned i = 0; i < group; ++i) {
    TensorMemory &memory = tensorMemory(*ctas[i]);
    if (operation.aInTensorMemory)
      gatherTensor(memory, operation, rows, a.data());
    else
      gather(*ctas[i], operation.a, a.data());
    TensorProduct product = operation.product;
    product.disabled = operation.disabled[i];
    multiply(product, a, b, memory);
  }
}

void TensorPipelines::executeCopy(const TensorOperation &operation) {
  const SharedMatrix &source = operation.a;
  for (Cta *cta :
       tensorCtas(*operation.warp, *operation.inst, operation.group)) {
    if (!cta)
      continue;
    TensorMemory &memory = tensorMemory(*cta);
    const std::byte *shared = sharedOf(*cta);
    source.forUnits([&](uint32_t row, uint32_t unit, uint32_t address) {
      for (unsigned i = 0; i < copyTimes(operation.shape); ++i)
        std::memcpy(memory.row((operation.address >> 16) +
                               copyLane(operation.shape, row, i)) +
                        (operation.address & 0xffff) + unit * 4,
                    shared + address, 16);
    });
  }
}

/// Lane i takes over lane i + 1 of its 32, but for the last one.
void TensorPipelines::executeShift(const TensorOperation &operation) {
  for (Cta *cta :
       tensorCtas(*operation.warp, *operation.inst, operation.group)) {
    if (!cta)
      continue;
    TensorMemory &memory = tensorMemory(*cta);
    unsigned lane = operation.address >> 16,
             column = operation.address & 0xffff;
    for (unsigned i = 0; i < 31; ++i)
      std::memcpy(memory.row(lane + i) + column,
                  memory.row(lane + i + 1) + column, 32);
  }
}

void TensorPipelines::executeCommit(Pipeline &pipeline,
                                    const TensorOperation &operation) {
  ++pipeline.commits;
  Clock known;
  if (Checker *checker = cluster.checker.get()) {
    known = checker->makeClock();
    known.setPhase(pipeline.slot, pipeline.commits);
    for (uint32_t op : pipeline.uncommitted)
      checker->finishOp(op, pipeline.slot, pipeline.commits);
  }
  pipeline.uncommitted.clear();
  for (uint32_t offset : operation.mbarriers)
    if (!cluster.mbarriers.arriveAsync(*operation.warp, *operation.inst, offset,
                                       1, cluster.checker ? &known : nullptr))
      return;
}

void TensorPipelines::execute(Pipeline &pipeline, TensorOperation &operation) {
  switch (operation.kind) {
  case TensorOperation::Product:
    executeProduct(operation);
    break;
  case TensorOperation::Copy:
    executeCopy(operation);
    break;
  case TensorOperation::Shift:
    executeShift(operation);
    break;
  case TensorOperation::Commit:
    executeCommit(pipeline, operation);
    return;
  }
  if (operation.checkerOp)
    pipeline.uncommitted.push_back(operation.checkerOp);
  for (Cta *cta : tensorCtas(*operation.warp, *operation.inst, operation.group))
    if (cta)
      for (const TensorRange &range : operation.writes())
        tensorMemory(*cta).clearPending(range, operation.serial);
}
