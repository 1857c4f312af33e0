//===- ValueBoundsOpInterfaceImpl.h - Value bounds of attention -*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASH_TRANSFORMS_VALUEBOUNDSOPINTERFACEIMPL_H
#define FLASH_DIALECT_FLASH_TRANSFORMS_VALUEBOUNDSOPINTERFACEIMPL_H

namespace mlir {
class DialectRegistry;

namespace flash {

/// Tells ValueBoundsOpInterface that the sizes of results are those of the
/// inputs they follow: B, Hq and Sq of the query, Dv of the value.
void registerValueBoundsOpInterfaceExternalModels(DialectRegistry &registry);

} // namespace flash
} // namespace mlir

#endif // FLASH_DIALECT_FLASH_TRANSFORMS_VALUEBOUNDSOPINTERFACEIMPL_H
