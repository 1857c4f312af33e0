//===- AsyncBulk.h - Bulk and tensor copies in flight -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cp.async.bulk, cp.reduce.async.bulk and their tensor forms between issue and
// completion. An operation belongs to the cluster, not to a warp: it completes
// on an mbarrier of any CTA, or in a bulk group of the lane that issued it.
//
//   mode     on an mbarrier                      in a bulk group
//   eager    at issue                            at issue
//   lazy     when a wait on the mbarrier         source read at wait_group or
//            demands it, oldest first            wait_group.read, destination
//                                                written at wait_group
//   random   between issue and that, by step()
//
// Whoever issues an operation (OpsBulk.cpp) has checked its addresses and told
// the race checker; the engine moves bytes, counts them on the mbarrier and
// tells the checker when the operation is over.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_ASYNCBULK_H
#define FLASH_LIB_EMULATOR_ASYNCBULK_H

#include "AsyncAgent.h"
#include "flash/Emulator/TensorMap.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace flash::emu {

struct Cluster;
struct Warp;

/// What happens to a destination element.
enum class BulkReduce : uint8_t {
  None, ///< It is replaced.
  Add,
  Min,
  Max,
  Inc,
  Dec,
  And,
  Or,
  Xor,
};

/// Element type of a reduction.
enum class BulkType : uint8_t { U32, S32, U64, S64, F16, BF16, F32, F64 };

/// Bytes that are adjacent on both sides.
struct BulkMove {
  std::byte *to = nullptr;
  const std::byte *from = nullptr; ///< Null: filled with BulkOp::fill.
  uint32_t bytes = 0;
  /// Flags of global destination bytes (see Buffer::unread), null if none.
  uint8_t *unread = nullptr;
};

/// One operation of one lane, to one CTA where it is multicast.
struct BulkOp {
  uint32_t serial = 0; ///< Names it to the race checker; 0 without one.
  Warp *warp = nullptr;
  uint8_t lane = 0;
  uint32_t pc = 0;
  std::vector<BulkMove> moves;
  uint64_t bytes = 0; ///< That it completes, filled ones included.

  bool onBarrier = false;
  uint32_t barrier = 0;       ///< Its offset in Cluster::shared, if onBarrier.
  uint32_t group = 0;         ///< Sequence number of the bulk group, otherwise.
  Cta *destination = nullptr; ///< Whose shared memory; null for global.
  bool readsShared = false;   ///< Of the issuing CTA.

  BulkReduce reduce = BulkReduce::None;
  BulkType type = BulkType::U32;
  uint16_t byteMask = 0xffff; ///< .cp_mask: bytes of every 16 that are copied.
  uint64_t fill = 0;          ///< Bit pattern of one element ...
  uint8_t fillBytes = 1;      ///< ... of so many bytes.
  TensorMapType loadedAs = TensorMapType::U8; ///< See convertLoaded.

  // Progress.
  std::vector<std::byte> sample; ///< What was read and is yet to be written.
  bool sampled = false;
  bool written = false;
  bool readWaited = false; ///< The lane may reuse the source.
  bool over = false;
};

/// The bulk operations in flight of one cluster.
class BulkEngine : public AsyncAgent {
public:
  explicit BulkEngine(Cluster &cluster) : cluster(cluster) {}

  /// Takes over an issued operation. In eager mode it transfers here; else the
  /// shared destination of a plain copy is poisoned (0xff).
  void issue(BulkOp &&op);
  /// Number of the bulk group that an operation of the lane joins now.
  uint32_t groupOf(const Warp &warp, unsigned lane);
  /// cp.async.bulk.commit_group of `lanes`.
  void commit(const Warp &warp, uint32_t lanes);
  /// cp.async.bulk.wait_group: for each lane, all its committed groups but the
  /// latest `allowed` are over; `onlyRead`: have read their sources.
  void waitGroups(Warp &warp, uint32_t lanes, uint64_t allowed, bool onlyRead);

  void reset() override;
  bool demand(uint32_t offset) override;
  void step(Random &random) override;
  /// Also reports operations that may still touch the shared memory of `cta`.
  void drain(Cta &cta) override;
  std::string pending() const override;

private:
  void read(BulkOp &op);
  void write(BulkOp &op);
  void complete(BulkOp &op);
  void dropOver();

  Cluster &cluster;
  std::deque<BulkOp> ops; ///< Oldest first.
  /// Committed groups of each lane, by warp of the cluster.
  std::unordered_map<uint32_t, std::array<uint32_t, 32>> committed;
};

/// Combines `bytes` bytes of elements into `to`. Sums of floating-point numbers
/// round to nearest even and keep subnormals.
void bulkReduce(BulkReduce op, BulkType type, std::byte *to,
                const std::byte *from, uint32_t bytes);

/// Whether PTX has that reduction of global memory for that type.
bool bulkReduceExists(BulkReduce op, BulkType type);

/// Bytes of one element.
unsigned bulkTypeBytes(BulkType type);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_ASYNCBULK_H
