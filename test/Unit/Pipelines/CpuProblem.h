//===- CpuProblem.h - Run a module on the host and check it -----*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_UNIT_PIPELINES_CPUPROBLEM_H
#define FLASH_TEST_UNIT_PIPELINES_CPUPROBLEM_H

#include "flash/Pipelines/BuildAttention.h"
#include "flash/Pipelines/CpuPipeline.h"
#include "flash/Runtime/Check.h"
#include "flash/Runtime/Inputs.h"

#include "gtest/gtest.h"

namespace mlir::flash {

inline std::string message(llvm::Error error) {
  return llvm::toString(std::move(error));
}

inline CpuArgument toArgument(::flash::runtime::StridedArray &array) {
  CpuArgument argument;
  argument.data = array.bytesAt(array.offset);
  argument.dtype = array.dtype;
  argument.shape.assign(array.shape.begin(), array.shape.end());
  argument.strides.assign(array.strides.begin(), array.strides.end());
  return argument;
}

/// Runs @attention of `module`, which computes `spec` with an LSE, on seeded
/// inputs amid NaNs, and compares with the float64 reference.
inline void runAndCheck(ModuleOp module,
                        const ::flash::runtime::AttentionSpec &spec,
                        const ::flash::runtime::Sizes &sizes,
                        ::flash::runtime::StrideStyle strides) {
  namespace rt = ::flash::runtime;
  rt::InputOptions options;
  options.seed = 7;
  options.strides = strides;
  options.poisonNaN = true;
  auto arrays = rt::makeInputs(spec, sizes, options);
  ASSERT_TRUE(bool(arrays));
  rt::StridedArray before = arrays->o;

  llvm::Error error = runOnCpu(module, kAttentionFunction,
                               {toArgument(arrays->q), toArgument(arrays->k),
                                toArgument(arrays->v), toArgument(arrays->o),
                                toArgument(arrays->lse)});
  ASSERT_FALSE(bool(error)) << message(std::move(error));

  auto reference = rt::ReferenceProblem::fromSpec(spec, sizes);
  rt::ReferenceResult exact =
      computeReference(reference, arrays->q, arrays->k, arrays->v);
  rt::ReferenceResult low = computeLowReference(
      reference, arrays->q, arrays->k, arrays->v, {spec.dtype, spec.dtype});
  rt::CheckReport report =
      checkAttention(arrays->o, arrays->lse, exact, low, spec.dtype);
  EXPECT_TRUE(report.pass) << (report.errors.empty() ? ""
                                                     : report.errors.front());
  EXPECT_EQ(countPaddingWrites(before, arrays->o), 0);
}

} // namespace mlir::flash

#endif // FLASH_TEST_UNIT_PIPELINES_CPUPROBLEM_H
