//===- BufferizableOpInterfaceImpl.h - Bufferization ------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;

namespace flash {

/// Lets one-shot-bufferize turn the tensor form of `flash.attention` into its
/// memref form. The destinations are overwritten, not read, so they are never
/// copied; tensor captures become memrefs in the regions too.
void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry);

} // namespace flash
} // namespace mlir

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_BUFFERIZABLEOPINTERFACEIMPL_H
