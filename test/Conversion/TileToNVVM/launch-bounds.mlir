// RUN: flash-opt %s --flash-tile-to-nvvm | FileCheck %s

// ptxas is told how many CTAs shared memory lets an SM of 164 KiB hold, where
// each thread can have 255 registers then.

gpu.module @kernels {
  // CHECK: gpu.func @one
  // CHECK-SAME: nvvm.minctasm = 1 : i32
  gpu.func @one() kernel attributes {known_block_size = array<i32: 128, 1, 1>,
      flash_tile.shared_bytes = 98304 : i64, flash_tile.sizes = [], flash_tile.dims = [],
      flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64,
        tile_k = 64, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    gpu.return
  }

  // CHECK: gpu.func @two
  // CHECK-SAME: nvvm.minctasm = 2 : i32
  gpu.func @two() kernel attributes {known_block_size = array<i32: 128, 1, 1>,
      flash_tile.shared_bytes = 65536 : i64, flash_tile.sizes = [], flash_tile.dims = [],
      flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64,
        tile_k = 64, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    gpu.return
  }

  // Two CTAs of 256 threads, or three of 128, share the registers: ptxas weighs.

  // CHECK: gpu.func @wide
  // CHECK-NOT: nvvm.minctasm
  gpu.func @wide() kernel attributes {known_block_size = array<i32: 256, 1, 1>,
      flash_tile.shared_bytes = 65536 : i64, flash_tile.sizes = [], flash_tile.dims = [],
      flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128,
        tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    gpu.return
  }
  gpu.func @three() kernel attributes {known_block_size = array<i32: 128, 1, 1>,
      flash_tile.shared_bytes = 49152 : i64, flash_tile.sizes = [], flash_tile.dims = [],
      flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64,
        tile_k = 64, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>} {
    gpu.return
  }
}
