//===- TensorPipeline.h - tcgen05 operations in flight ----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// tcgen05.mma, .cp, .shift and .commit of one thread run in the order of their
// issue (PTX ISA, "Pipelined tcgen05 instructions"): they make a *pipeline*.
// An operation has two moments: it is *executed* (operands read, tensor memory
// written) and it is *over* for others once they have waited at an mbarrier
// that a later commit arrived at. Eager mode executes at issue, commits
// included. Lazy mode executes only when somebody waits at the mbarrier of a
// commit: that commit and all before it in its pipeline. Until it is executed,
// what an operation writes reads as poison.
//
// To the race checker a pipeline is like an mbarrier: its *slot* counts the
// commits that were executed, and each of them passes the count on to its
// mbarriers. So an operation is over for whoever knows of any later commit.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORPIPELINE_H
#define FLASH_LIB_EMULATOR_TENSORPIPELINE_H

#include "AsyncAgent.h"
#include "Checker.h"
#include "SharedMatrix.h"
#include "TensorMma.h"

#include <deque>
#include <memory>

namespace flash::emu {

struct Cluster;
struct Inst;
struct Warp;

/// Which lanes of tensor memory take the rows of a tcgen05.cp, from that of
/// its address on.
enum class CopyShape : uint8_t {
  S128x256b,        ///< Row r goes to lane r.
  S128x128b,        ///< The same.
  S4x256b,          ///< To lane 32 r.
  S64x128bWarps02,  ///< To lanes r and r + 64 (.warpx2::02_13).
  S64x128bWarps01,  ///< To r % 32 + 64 (r / 32) and 32 further (::01_23).
  S32x128bAllWarps, ///< To lanes r, r + 32, r + 64 and r + 96 (.warpx4).
};
unsigned copyRows(CopyShape shape);
unsigned copyColumns(CopyShape shape); ///< Of 32 bits.
/// Times that each row is written, and the lane of its `copy`-th time.
unsigned copyTimes(CopyShape shape);
unsigned copyLane(CopyShape shape, unsigned row, unsigned copy);

struct TensorOperation {
  enum Kind : uint8_t { Product, Copy, Shift, Commit };
  Kind kind = Product;
  uint8_t lane = 0; ///< Of the issuing thread.
  uint8_t group = 1;
  bool aInTensorMemory = false;
  CopyShape shape = CopyShape::S128x256b;
  Warp *warp = nullptr;
  const Inst *inst = nullptr;
  uint32_t serial = 0;    ///< Among the operations of the cluster.
  uint32_t checkerOp = 0; ///< See Checker::startOp; 0 without a checker.
  TensorProduct product;  ///< But for its disabled lanes:
  std::array<std::array<uint32_t, 4>, 2> disabled = {}; ///< By CTA.
  SharedMatrix a, b;    ///< Copy: its source is `a`.
  uint32_t address = 0; ///< Copy, Shift: where; Product: A in tensor memory.
  std::vector<uint32_t> mbarriers; ///< Commit: offsets in Cluster::shared.

  /// What it writes in the tensor memory of each CTA of its group.
  std::vector<TensorRange> writes() const;
};

class TensorPipelines : public AsyncAgent {
public:
  explicit TensorPipelines(Cluster &cluster) : cluster(cluster) {}

  /// Takes over an operation whose operands were checked.
  void issue(TensorOperation &&operation);

  void reset() override;
  bool demand(uint32_t offset) override;
  void step(Random &random) override;
  void drain(Cta &cta) override;
  std::string pending() const override;

private:
  struct Pipeline {
    uint32_t slot = 0; ///< In the checker's clocks.
    uint32_t commits = 0;
    std::deque<TensorOperation> waiting; ///< Not executed, oldest first.
    std::vector<uint32_t> uncommitted;   ///< Checker operations, executed.
  };
  Pipeline &pipelineOf(const TensorOperation &operation);
  /// Executes the first `count` operations.
  void advance(Pipeline &pipeline, size_t count);
  void execute(Pipeline &pipeline, TensorOperation &operation);
  void executeProduct(const TensorOperation &operation);
  void executeCopy(const TensorOperation &operation);
  void executeShift(const TensorOperation &operation);
  void executeCommit(Pipeline &pipeline, const TensorOperation &operation);

  Cluster &cluster;
  std::vector<std::pair<uint32_t, Pipeline>> pipelines; ///< By 32 agent + lane.
  uint32_t nextSerial = 1;
};

/// The CTAs that an operation of `group` CTAs issued by `warp` concerns: its
/// own, or the pair, the even rank first. Both null after a fatal report that
/// the pair is not whole.
std::array<Cta *, 2> tensorCtas(Warp &warp, const Inst &inst, unsigned group);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORPIPELINE_H
