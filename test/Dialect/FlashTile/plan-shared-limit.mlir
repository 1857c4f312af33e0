// RUN: not flash-opt %s --flash-tile-plan-shared="limit=1000" 2>&1 | FileCheck %s
// RUN: flash-opt %s --flash-tile-plan-shared="limit=2048"

// CHECK: plan-shared-limit.mlir:[[#@LINE+1]]:1: error: shared memory: expected at most 1000 bytes, got 2048
func.func @over(%x: tensor<32x32xbf16>) {
  %c0 = arith.constant 0 : index
  %a = flash_tile.alloc : !flash_tile.buffer<1x32x32xbf16>
  %v = flash_tile.stage %a[%c0] : !flash_tile.buffer<1x32x32xbf16> -> !flash_tile.view<32x32xbf16>
  flash_tile.local_store %x, %v : tensor<32x32xbf16>, !flash_tile.view<32x32xbf16>
  return
}
