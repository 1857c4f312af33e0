//===- TensorIssuer.h - Issuing operations of the tensor core - -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What mma, cp, shift and commit share (PTX ISA, "tcgen05"): every active lane
// issues one operation, whose operands are checked and recorded here.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_TENSORISSUER_H
#define FLASH_LIB_EMULATOR_TENSORISSUER_H

#include "TensorPipeline.h"
#include "TensorUse.h"

namespace flash::emu {

/// One lane that issues an operation.
struct TensorIssuer {
  Warp &warp;
  const Inst &inst;
  unsigned lane;

  uint32_t lanes() const { return 1u << lane; }
  Accessor accessor() const;
  /// Ends the launch with an issue at this lane; false.
  bool fail(IssueKind kind, std::string message) const;

  /// An operation of this lane's group, whose operands are still to be set.
  TensorOperation operation(TensorOperation::Kind kind) const;
  /// Numbers an operation for the checker; 0 without one.
  uint32_t startOperation() const;
  /// Reads the descriptor of operand `name` and checks that the matrix lies in
  /// shared memory. False after a fatal report.
  bool readMatrix(const char *name, uint64_t descriptor,
                  SharedMatrix &matrix) const;
  /// Tells the checker that `operation` reads `matrix` in `cta`.
  void readShared(const Cta &cta, uint32_t operation,
                  const SharedMatrix &matrix) const;
  /// Hands an operation to the pipelines of the cluster, made when first asked
  /// for.
  void issue(TensorOperation operation) const;
};

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_TENSORISSUER_H
