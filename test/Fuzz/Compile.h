//===- Compile.h - One fuzz case through the compiler -----------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_TEST_FUZZ_COMPILE_H
#define FLASH_TEST_FUZZ_COMPILE_H

#include "Mutator.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstddef>
#include <string>

namespace flash::fuzz {

/// How far the cases got. Plain numbers: they live in shared memory.
struct Counts {
  size_t cases = 0;
  size_t leftOut = 0;
  size_t parsed = 0;
  size_t verified = 0;
  size_t tileTried = 0;
  size_t tiled = 0;
  size_t compileTried = 0;
  size_t compiled = 0;
  size_t refused = 0;
  size_t diagnostics = 0;
  size_t failures = 0;
};

/// A context and what is done to each case in it.
class Compiler {
public:
  explicit Compiler(Counts &counts);

  /// Both return what is wrong with how the case was treated, or nothing:
  /// accepting it and refusing it properly are both right.
  std::string runProgram(const std::string &text, Random &random);
  std::string runSpec(const std::string &text, Random &random);

private:
  struct Errors;

  std::string lower(mlir::OwningOpRef<mlir::ModuleOp> module, Errors &errors,
                    Random &random);
  std::string refused(const Errors &errors);

  Counts &counts;
  mlir::MLIRContext context;
};

} // namespace flash::fuzz

#endif // FLASH_TEST_FUZZ_COMPILE_H
