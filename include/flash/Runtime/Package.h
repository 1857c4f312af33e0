//===- Package.h - A kernel with all it takes to launch it ------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A package is a directory:
//
//   manifest.json   how to launch, see Manifest.h; `files` names the others
//   kernel.ptx      for any chip of the manifest's compute capability or above
//   kernel.cubin    machine code for the manifest's chip; only where ptxas was
//                   there when the package was made
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_RUNTIME_PACKAGE_H
#define FLASH_RUNTIME_PACKAGE_H

#include "flash/Runtime/Manifest.h"

namespace flash::runtime {

struct Package {
  Manifest manifest;
  std::string ptx;
  /// Empty where there is none.
  std::string cubin;
};

/// Reads a package by its directory or its manifest. The manifest may also be
/// the one beside a single k.ptx, which is then the kernel.
Result<Package> readPackage(const std::string &path);

/// The manifest at `path`; errors name the file.
Result<Manifest> readManifest(const std::string &path);

/// Writes a package into `directory`, filling in the manifest's `files`. The
/// directory appears complete or not at all: everything is written beside it
/// and renamed. An older package of that name is replaced; a directory with
/// anything else in it is refused.
Status writePackage(Package package, const std::string &directory);

} // namespace flash::runtime

#endif // FLASH_RUNTIME_PACKAGE_H
