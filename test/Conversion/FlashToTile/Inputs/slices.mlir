!t = memref<1x8x256x64xbf16>

func.func @slices(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #flash.schedule<chip = "sm_80", level = 9,
      tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1,
      query_in_registers = false, tile_v = 48>}
  return
}
