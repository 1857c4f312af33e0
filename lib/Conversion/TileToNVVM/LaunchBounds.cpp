//===- LaunchBounds.cpp - What ptxas may assume of a kernel's CTAs --------===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileLowering.h"

#include "flash/Dialect/Flash/IR/Flash.h"
#include "flash/Target/ChipInfo.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

void flash_tile::setLaunchBounds(gpu::GPUFuncOp func) {
  auto schedule =
      func->getAttrOfType<flash::ScheduleAttr>("flash_tile.schedule");
  auto shared = func->getAttrOfType<IntegerAttr>("flash_tile.shared_bytes");
  const ::flash::ChipInfo *chip =
      schedule ? ::flash::findChip(schedule.getChip()) : nullptr;
  std::optional<ArrayRef<int32_t>> block = func.getKnownBlockSize();
  if (!chip || !shared || shared.getInt() == 0 || !block)
    return;
  int64_t threads = 1;
  for (int32_t extent : *block)
    threads *= extent;
  // A resident CTA costs 1 KiB more than it asks for.
  const int64_t ctas = chip->sharedPerSM / (shared.getInt() + 1024);
  if (ctas < 1 ||
      ctas * threads * (chip->registersPerThread + 1) > chip->registersPerSM)
    return;
  func->setDiscardableAttr(
      NVVM::NVVMDialect::getMinctasmAttrName(),
      Builder(func.getContext()).getI32IntegerAttr(int32_t(ctas)));
}
