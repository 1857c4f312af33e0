// RUN: flash-opt %s --flash-select-schedule=chip=sm_80 | FileCheck %s
// RUN: flash-opt %s "--flash-select-schedule=chip=sm_80 tile-k=32" | FileCheck %s --check-prefix=REPLACED
// RUN: not flash-opt %s --flash-select-schedule=chip=sm_90 2>&1 | FileCheck %s --check-prefix=OTHER

// A schedule that the op has is kept but for the fields that options name; it
// must be for the chip asked for.

// OTHER: schedule chip: expected sm_90 (as asked for), got sm_80

#own = #flash.schedule<chip = "sm_80", level = 9, tile_q = 32, tile_k = 16, warps = 2, stages_k = 2, stages_v = 1, query_in_registers = true>
!t = memref<1x8x?x64xbf16>

// CHECK: schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 32, tile_k = 16, warps = 2, stages_k = 2, stages_v = 1, query_in_registers = true>
// REPLACED: tile_q = 32, tile_k = 32, warps = 2, stages_k = 2, stages_v = 1, query_in_registers = true
func.func @own(%q: !t, %k: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {schedule = #own}
  return
}
