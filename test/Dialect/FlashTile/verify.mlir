// What the passes write is accepted after each of them, with one stage and with
// two; without its barriers it is a race, and refused.

// DEFINE: %{to-buffers} = --flash-expand-modifiers --flash-to-tile --flash-tile-stage-buffers
// DEFINE: %{to-bands} = %{to-buffers} --flash-tile-pipeline --flash-tile-split-bands
// DEFINE: %{to-plan} = %{to-bands} --flash-tile-assign-layouts --flash-tile-permute-registers --flash-tile-plan-shared

// RUN: flash-opt %s %{to-buffers} --flash-tile-verify -o /dev/null
// RUN: flash-opt %s %{to-bands} --flash-tile-verify -o /dev/null
// RUN: flash-opt %s %{to-plan} --flash-tile-verify -o /dev/null
// RUN: flash-opt %s %{to-plan} | sed '/gpu.barrier/d' \
// RUN:   | not flash-opt --flash-tile-verify 2>&1 | FileCheck %s

// CHECK: error: 'flash_tile.{{.*}}' op reads a buffer that copy_async fills: expected a gpu.barrier between the wait for the copy and the read, got none

#one = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
#two = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 2, stages_v = 2, query_in_registers = true>
#strided = strided<[?, ?, ?, ?], offset: ?>
!t = memref<?x?x?x64xbf16, #strided>

func.func @one_stage(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #one, group = 1 : i64, causal = #flash.causal<bottom_right>}
  return
}

func.func @two_stages(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #two, group = 1 : i64, causal = #flash.causal<bottom_right>}
  return
}
