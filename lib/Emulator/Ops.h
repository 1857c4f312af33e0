//===- Ops.h - Instruction families -----------------------------*- C++ -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each family lives in Ops*.cpp: its decode functions choose among its
// handlers. Adding an instruction means adding both there and one row to its
// family's table.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_LIB_EMULATOR_OPS_H
#define FLASH_LIB_EMULATOR_OPS_H

#include "Decoder.h"

#include <span>

namespace flash::emu {

struct OpRow {
  std::string_view root;
  DecodeFn decode;
};

std::span<const OpRow> integerOps();
std::span<const OpRow> bitOps();
std::span<const OpRow> floatOps();
std::span<const OpRow> mathOps();
std::span<const OpRow> compareOps();
std::span<const OpRow> convertOps();
std::span<const OpRow> moveOps();
std::span<const OpRow> memoryOps();
std::span<const OpRow> atomicOps();
std::span<const OpRow> warpOps();
std::span<const OpRow> warpgroupOps();
std::span<const OpRow> matrixOps();
std::span<const OpRow> asyncOps();
std::span<const OpRow> controlOps();
std::span<const OpRow> mbarrierOps();
std::span<const OpRow> wmmaOps();
std::span<const OpRow> clusterOps();
std::span<const OpRow> tcgen05Ops();
std::span<const OpRow> tensorMapOps();
std::span<const OpRow> registerOps();

/// Bulk and tensor copies; `cp`, `reduce`, `async` and `bulk` are consumed.
bool decodeBulk(Decoder &d, bool reduces);

} // namespace flash::emu

#endif // FLASH_LIB_EMULATOR_OPS_H
