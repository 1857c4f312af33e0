//===- ProgramModel.h - What the program checks look at ---------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LIB_DIALECT_FLASHTILE_IR_PROGRAMMODEL_H
#define LIB_DIALECT_FLASHTILE_IR_PROGRAMMODEL_H

#include "flash/Dialect/FlashTile/IR/FlashTile.h"
#include "mlir/IR/Dominance.h"

namespace mlir::flash_tile::detail {

/// A part of a buffer or of tensor memory.
struct Place {
  /// The `alloc` or `tmem.alloc`.
  Value root;
  /// Which stage of a buffer; null for tensor memory and where it is not known
  /// (a view that a loop carries).
  Value stage;
  /// Columns of tensor memory, [firstColumn, firstColumn + columns).
  int64_t firstColumn = 0, columns = 0;
};

/// One op touching one place.
struct Access {
  Operation *op;
  Place place;
  Region *role;
  bool isWrite;
};

/// One op that adds arrivals to a barrier.
struct Signal {
  Operation *op;
  Value stage;
  Region *role;
  /// Arrivals per execution; none if the number of threads is not known.
  std::optional<int64_t> arrivals;
};

struct Barrier {
  /// Handles of ops are not const-correct.
  mutable BarrierInitOp init;
  SmallVector<Signal> signals;
  SmallVector<BarrierWaitOp> waits;
  SmallVector<CopyTmaOp> copies;

  int64_t getStages() const { return init.getBarrier().getType().getStages(); }
};

/// One kernel, in program order.
struct ProgramModel {
  explicit ProgramModel(Operation *root);

  Operation *root;
  DominanceInfo dominance;
  SmallVector<Barrier> barriers;
  SmallVector<Access> accesses;

  const Barrier *getBarrier(Value barrier) const;
};

/// The region of the role around `op`, null outside roles.
Region *getRole(Operation *op);
/// Its name, for messages.
std::string getRoleName(Region *role);
/// Threads of the role; those of the CTA (`known_block_size`) outside roles,
/// none if that is not known.
std::optional<int64_t> getRoleThreads(Region *role, Operation *op);
/// The innermost loop around `op` within its role (or function), or null.
Operation *getInnermostLoop(Operation *op);
/// The innermost of those loops that has barriers in it: an iteration of it is
/// a new phase, while one without only goes through a tile piece by piece.
Operation *getPhaseLoop(Operation *op);

/// Every place that a view, future or tensor-memory tile may stand for.
SmallVector<Place> resolve(Value value);

/// `later` comes after `earlier` in program order: after it, or after what
/// contains it, in one block.
bool comesAfter(Operation *later, Operation *earlier);

std::optional<int64_t> getConstant(Value index);
/// The same SSA value, or equal constants.
bool isSameStage(Value a, Value b);
/// Certainly different: two different constants.
bool isOtherStage(Value a, Value b);
/// Both may touch the same bytes.
bool mayOverlap(const Place &a, const Place &b);

// The checks, by constraint. Each reports the first violation.
LogicalResult verifyBarriers(const ProgramModel &model);      // P1 to P4
LogicalResult verifyNamedBarriers(const ProgramModel &model); // P5
LogicalResult verifyClusterBarriers(const ProgramModel &);    // P6
LogicalResult verifyAccesses(const ProgramModel &model);      // P7, P8
LogicalResult verifyTensorMemory(const ProgramModel &model);  // P9, P10
LogicalResult verifyTileLayouts(const ProgramModel &model);   // P11
LogicalResult verifyCopies(const ProgramModel &model);        // P12 to P14

} // namespace mlir::flash_tile::detail

#endif // LIB_DIALECT_FLASHTILE_IR_PROGRAMMODEL_H
