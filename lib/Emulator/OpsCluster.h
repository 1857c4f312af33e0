//===- OpsCluster.h - barrier.cluster ---------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_OPSCLUSTER_H
#define FLASH_LIB_EMULATOR_OPSCLUSTER_H

namespace flash::emu {

class Decoder;

/// Decodes barrier.cluster; its root and "cluster" are consumed.
bool decodeClusterBarrier(Decoder &d);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_OPSCLUSTER_H
