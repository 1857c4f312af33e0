// RUN: flash-opt %s --flash-select-schedule="chip=sm_80 level=4" | FileCheck %s --check-prefix=FOUR
// RUN: flash-opt %s --flash-select-schedule="chip=sm_86 level=1" | FileCheck %s --check-prefix=ONE
// RUN: flash-opt %s --flash-select-schedule="chip=sm_80 level=0" | FileCheck %s --check-prefix=NAIVE
// RUN: flash-opt %s --flash-select-schedule="chip=sm_80" | FileCheck %s --check-prefix=BEST
// RUN: not flash-opt %s --flash-select-schedule="chip=sm_80 level=4 tile-q=48" 2>&1 | FileCheck %s --check-prefix=ODD
// RUN: not flash-opt %s --flash-select-schedule="chip=sm_80 level=4 warps=5" 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not flash-opt %s --flash-select-schedule="chip=sm_80 level=0 tile-q=48" 2>&1 | FileCheck %s --check-prefix=THREADS
// RUN: not flash-opt %s --flash-select-schedule="chip=sm_80 level=0 warps=3" 2>&1 | FileCheck %s --check-prefix=SLICES
// RUN: not flash-opt %s --flash-select-schedule="chip=sm_80 level=4 query-in-registers=1" 2>&1 | FileCheck %s --check-prefix=QUERY

// Products on FMA units: 4 rows per warp at least, a row per thread at level 0.
// f32, for which there are no tensor cores, is at its best at level 4.

// FOUR: level = 4, tile_q = 64, tile_k = 64, warps = 4, stages_k = 2, stages_v = 2
// ONE: level = 1, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1
// NAIVE: level = 0, tile_q = 32, tile_k = 16, warps = 4
// BEST: level = 9
// BEST: level = 4
// ODD: tile sizes: expected an even number of output elements per thread, got 15 (48 x 40 for 4 warps)
// ROWS: tile_q: expected a multiple of 20 (4 rows for each of 5 warps), got 64
// THREADS: tile_q: expected 32 rows for each of 4 warps, multiples of that, or 32 rows for a divisor of the warps, got 48
// SLICES: warps: expected 40 columns to divide into as many slices as share a row, got 3
// QUERY: query_in_registers: expected false (a thread of the FP32 units reads whole rows of Q, fragments are of tensor cores), got true with qk = fma
func.func @half(%q: memref<1x1x64x40xf16>, %k: memref<1x1x64x40xf16>, %o: memref<1x1x64x40xf16>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x1x64x40xf16>, memref<1x1x64x40xf16>, memref<1x1x64x40xf16>)
    outs(output = %o : memref<1x1x64x40xf16>)
  return
}

func.func @single(%q: memref<1x1x64x40xf32>, %k: memref<1x1x64x40xf32>, %o: memref<1x1x64x40xf32>) {
  flash.attention ins(query = %q, key = %k, value = %k : memref<1x1x64x40xf32>, memref<1x1x64x40xf32>, memref<1x1x64x40xf32>)
    outs(output = %o : memref<1x1x64x40xf32>)
  return
}
