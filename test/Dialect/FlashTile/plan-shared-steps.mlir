// RUN: flash-opt %s --flash-tile-plan-shared | FileCheck %s

// The steps of the ladder that concern shared memory.

// Rows as they are, and fragments by plain loads.

// CHECK-LABEL: func.func @plain
// CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x64x64xbf16>
// CHECK: flash_tile.stage %{{.*}} : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
// CHECK: flash_tile.local_load %{{.*}} {flash_tile.plain_loads} : !flash_tile.view<64x64xbf16>
func.func @plain() -> tensor<64x64xbf16> attributes {
    flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 7, tile_q = 64,
      tile_k = 64, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = true, ldmatrix = false, swizzle = false>} {
  %c0 = arith.constant 0 : index
  %b = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %s = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  %t = flash_tile.local_load %s : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  return %t : tensor<64x64xbf16>
}

// Each step alone.

// CHECK-LABEL: func.func @ldmatrix
// CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x64x64xbf16>
// CHECK: flash_tile.local_load %{{[^{]*}} :
func.func @ldmatrix() -> tensor<64x64xbf16> attributes {
    flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 7, tile_q = 64,
      tile_k = 64, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = true, swizzle = false>} {
  %c0 = arith.constant 0 : index
  %b = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %s = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  %t = flash_tile.local_load %s : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  return %t : tensor<64x64xbf16>
}

// CHECK-LABEL: func.func @swizzle
// CHECK: flash_tile.alloc {offset = 0 : i64} : !flash_tile.buffer<1x64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
// CHECK: flash_tile.local_load %{{.*}} {flash_tile.plain_loads}
func.func @swizzle() -> tensor<64x64xbf16> attributes {
    flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 7, tile_q = 64,
      tile_k = 64, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = true, ldmatrix = false>} {
  %c0 = arith.constant 0 : index
  %b = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %s = flash_tile.stage %b[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
  %t = flash_tile.local_load %s : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  return %t : tensor<64x64xbf16>
}
