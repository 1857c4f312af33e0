//===- FlashDialect.td - The flash dialect -----------------*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_IR_FLASHDIALECT_TD
#define FLASH_DIALECT_FLASH_IR_FLASHDIALECT_TD

include "mlir/IR/OpBase.td"

def Flash_Dialect : Dialect {
  let name = "flash";
  let cppNamespace = "::mlir::flash";
  let summary = "Attention as a single operation, free of any target";
  let description = [{
    The `flash` dialect says *what* attention to compute: operands, the order
    in which a score is built from the product of a query and a key, and which
    keys a query may see. It does not say how: no tile, thread, memory space or
    instruction appears in it. The one attribute that names a chip,
    `#flash.schedule`, is a decision a pass has written beside the operation
    for the next pass to read; it never changes what is computed.

    The dialect is versioned: bytecode written by an older version is read, and
    upgraded, by every later one. See `docs/Rationale/Flash.md` for what was
    weighed.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::tensor::TensorDialect"
  ];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// Adds the interfaces of the dialect itself (bytecode, inlining).
    void registerInterfaces();
  }];
}

#endif // FLASH_DIALECT_FLASH_IR_FLASHDIALECT_TD
