// RUN: flash-opt %s --flash-select-schedule=chip=sm_80 | FileCheck %s --check-prefix=SM80
// RUN: flash-opt %s "--flash-select-schedule=chip=sm_86 tile-q=32 tile-k=16 warps=2 stages-k=2 stages-v=3 query-in-registers=0" | FileCheck %s --check-prefix=OPTIONS
// RUN: not flash-opt %s --flash-select-schedule=chip=sm_20 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not flash-opt %s --flash-select-schedule=chip=sm_120 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not flash-opt %s "--flash-select-schedule=chip=sm_86 tile-k=448" 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not flash-opt %s "--flash-select-schedule=chip=sm_80 tile-k=224" 2>&1 | FileCheck %s --check-prefix=REGISTERS
// RUN: not flash-opt %s "--flash-select-schedule=warps=3" 2>&1 | FileCheck %s --check-prefix=WARPS
// RUN: not flash-opt %s "--flash-select-schedule=stages-k=9" 2>&1 | FileCheck %s --check-prefix=STAGES
// RUN: not flash-opt %s "--flash-select-schedule=level=11" 2>&1 | FileCheck %s --check-prefix=LEVEL

// UNKNOWN: select-schedule.mlir:[[@LINE+19]]:{{.*}}chip: expected one of sm_80, sm_86, sm_89, sm_90, {{.*}}, got 'sm_20'
// REFUSED: chip: sm_120 is not yet lowered (expected one of sm_80, sm_86, sm_89, sm_90)
// Q 128 x 64, K and V 448 x 64 each, 2 bytes: 131072.
// SHARED: tile sizes: expected at most 101376 bytes of shared memory on sm_86, got 131072
// REGISTERS: tile sizes: expected at most 255 registers per thread on sm_80, got at least 288 for the fragments alone
// WARPS: tile_q: expected a multiple of 48 (16 rows for each of 3 warps), got 128
// STAGES: stages_k: expected between 1 and 8, got 9
// LEVEL: level: 11 (ping-pong) is not yet lowered, expected at most 9

!a = memref<1x8x?x64xbf16>
!b = memref<1x8x?x128xbf16>
!c = memref<1x8x?x192xbf16>
!d = memref<1x8x?x256xbf16>

// SM80-LABEL: func.func @chosen
// OPTIONS-LABEL: func.func @chosen
func.func @chosen(%q: !a, %k: !a, %o: !a, %qb: !b, %kb: !b, %ob: !b, %qc: !c, %kc: !c, %qd: !d, %od: !d) {
  // SM80: schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
  // OPTIONS: schedule = #flash.schedule<chip = "sm_86", level = 9, tile_q = 32, tile_k = 16, warps = 2, stages_k = 2, stages_v = 3, query_in_registers = false>
  flash.attention ins(query = %q, key = %k, value = %k : !a, !a, !a) outs(output = %o : !a)
  return
}

// SM80-LABEL: func.func @wider
func.func @wider(%q: !b, %k: !b, %o: !b) {
  // SM80: tile_q = 128, tile_k = 32, warps = 4
  flash.attention ins(query = %q, key = %k, value = %k : !b, !b, !b) outs(output = %o : !b)
  return
}

// The wider of d and dv decides.

// SM80-LABEL: func.func @unequal
func.func @unequal(%q: !c, %k: !c, %v: !b, %o: !b) {
  // SM80: tile_q = 64, tile_k = 64, warps = 4
  flash.attention ins(query = %q, key = %k, value = %v : !c, !c, !b) outs(output = %o : !b)
  return
}

// SM80-LABEL: func.func @widest
func.func @widest(%q: !d, %k: !d, %o: !d) {
  // SM80: tile_q = 64, tile_k = 48, warps = 4
  flash.attention ins(query = %q, key = %k, value = %k : !d, !d, !d) outs(output = %o : !d)
  return
}
