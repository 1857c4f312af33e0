//===- RegionInterpreter.h - Evaluate regions in float64 --------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The float64 reference of an op with hand-written score and mask regions needs
// their values, computed neither by the compiler under test nor in its
// precision. A region is translated once into a list of steps, each of which
// computes one value for a whole row of keys.
//
// Integers wrap at their type's width (index is 64 bits), floats are f64
// throughout except where an op truncates to a 16-bit type. Where MLIR leaves a
// result undefined (division by zero, shifts too wide, loads out of bounds) it
// is 0.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TOOLS_FLASH_RUN_REGIONINTERPRETER_H
#define FLASH_TOOLS_FLASH_RUN_REGIONINTERPRETER_H

#include "flash/Runtime/Reference.h"

#include "mlir/IR/Region.h"
#include "mlir/Support/LLVM.h"

#include <functional>
#include <vector>

namespace mlir::flash {

/// One value for every key of a row, or one for all of them.
struct RowValue {
  bool uniform = true;
  std::vector<double> real;
  std::vector<int64_t> integer;

  double realAt(size_t i) const { return real[uniform ? 0 : i]; }
  int64_t integerAt(size_t i) const { return integer[uniform ? 0 : i]; }
};

/// A score or mask region, ready to be evaluated from any number of threads.
class RegionProgram {
public:
  /// What is known outside the region. `captures` has one entry per capture of
  /// the op (rank 0 for scalars) and must outlive the program.
  struct Environment {
    int64_t alignment = 0;
    int64_t heads = 1;
    SmallVector<const ::flash::runtime::StridedArray *> captures;
  };

  /// Translates `region`, whose last block arguments are the captures. Refuses,
  /// at the op, what it cannot evaluate.
  static FailureOr<RegionProgram> compile(Region &region,
                                          const Environment &environment);

  /// Evaluates for keys k0, k0 + 1, ...; `s` is null for a mask region.
  RowValue run(int64_t b, int64_t h, int64_t q, int64_t k0, size_t count,
               const double *s) const;

  /// As the functions the reference calls.
  static ::flash::runtime::ScoreFn asScore(RegionProgram program);
  static ::flash::runtime::MaskFn asMask(RegionProgram program);

  /// Computes its result from `slots`; the result's buffers are reused.
  using Step = std::function<void(std::vector<RowValue> &slots, size_t count)>;

private:
  friend class RegionTranslator;
  std::vector<Step> steps;
  /// Slots before the steps' results hold (s,) b, h, q, k.
  size_t numSlots = 0;
  size_t yielded = 0;
  bool hasScore = false;
};

} // namespace mlir::flash

#endif // FLASH_TOOLS_FLASH_RUN_REGIONINTERPRETER_H
