// RUN: flash-opt %s --flash-expand-modifiers --flash-analyze-mask --split-input-file --verify-diagnostics

!t = memref<1x1x?x64xbf16>
func.func @none(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{tiles of 128 x 64: live [0, (sk - 1) floordiv 64 + 1), full [live, sk floordiv 64)}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

// The tiles of a schedule come before those of the options.
#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x1x?x64xbf16>
func.func @causal(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{tiles of 64 x 32: live [0, min((q0 - sq + sk + 63) floordiv 32 + 1, (sk - 1) floordiv 32 + 1)), full [live, (q0 - sq + sk + 1) floordiv 32)}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {causal = #flash.causal<bottom_right>, schedule = #s}
  return
}

// -----

// The alignment is a value of its own.
!t = memref<1x1x?x64xbf16>
func.func @aligned(%q: !t, %k: !t, %o: !t, %a: index) {
  // expected-remark @below {{tiles of 128 x 64: live [0, min((q0 + alignment + 127) floordiv 64 + 1, (sq + alignment - 1) floordiv 64 + 1, (sk - 1) floordiv 64 + 1)), full [live, min(sk floordiv 64, (q0 + alignment + 1) floordiv 64))}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) alignment(%a) outs(output = %o : !t) {causal = #flash.causal<bottom_right>}
  return
}

// -----

!t = memref<1x1x1024x64xbf16>
func.func @window(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{tiles of 128 x 64: live [(q0 - 100) floordiv 64, min((q0 + 147) floordiv 64 + 1, 16)), none full}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {window = array<i64: 100, 20>}
  return
}

// -----

// Sizes that the tiles divide: no bound is clamped to the ends.
!t = memref<1x1x1024x64xbf16>
func.func @wide_window(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{tiles of 128 x 64: live [q0 floordiv 64 - 8, (q0 + 127) floordiv 64 + 1), full [(q0 - 386) floordiv 64 + 1, (q0 + 1) floordiv 64)}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {window = array<i64: 512, 0>}
  return
}

// -----

!t = memref<1x1x?x64xbf16>
func.func @heads(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [0, (sk - 1) floordiv 64 + 1) if -h + 3 >= 0, full [live, sk floordiv 64) if -h + 3 >= 0}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c4 = arith.constant 4 : index
      %r = arith.cmpi slt, %h, %c4 : index
      flash.yield %r : i1
    }
  return
}

// -----

// What is not affine may hold or not: the other side of the disjunction still
// makes tiles full, and no tile is dead.
!t = memref<1x1x?x64xbf16>
func.func @not_affine(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [0, (sk - 1) floordiv 64 + 1), full [live, min(sk floordiv 64, (q0 + 1) floordiv 64))}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c4 = arith.constant 4 : index
      // expected-remark @below {{mask: 'arith.muli' is not affine in q and k; left out of the ranges of tiles}}
      %p = arith.muli %i, %j : index
      %x = arith.cmpi slt, %p, %c4 : index
      %y = arith.cmpi sle, %j, %i : index
      %r = arith.ori %x, %y : i1
      flash.yield %r : i1
    }
  return
}

// -----

!t = memref<1x1x?x64xbf16>
func.func @prefix(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [0, min((sk - 1) floordiv 64 + 1, max(4, (q0 - sq + sk + 127) floordiv 64 + 1))), full [live, min(max((q0 - sq + sk + 1) floordiv 64, 3), sk floordiv 64))}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {prefix = 200 : i64}
  return
}

// -----

// Two live ranges, and a hole between the full tiles of the sinks and of the
// window.
!t = memref<1x1x?x64xbf16>
func.func @sinks(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [0, min((q0 - sq + sk + 127) floordiv 64 + 1, (sk - 1) floordiv 64 + 1, 2)) and [(q0 - sq + sk) floordiv 64 - 4, min((q0 - sq + sk + 127) floordiv 64 + 1, (sk - 1) floordiv 64 + 1)), full [live, (q0 - sq + sk + 1) floordiv 64) without [2, min((q0 - sq + sk - 130) floordiv 64 + 1, (sk - 258) floordiv 64 + 1))}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {window = array<i64: 256, 0>, sink_tokens = 128 : i64}
  return
}

// -----

// Blocks of the diagonal: divisions of the first and the last row of the tile.
!t = memref<1x1x?x64xbf16>
func.func @chunk(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [((q0 - sq + sk) floordiv 256) * 4, min(((q0 - sq + sk + 127) floordiv 256) * 4 + 4, (sk - 1) floordiv 64 + 1)), full [min(((q0 - sq + sk + 127) floordiv 256) * 4, ((sk - 1) floordiv 256) * 4), min(sk floordiv 64, ((q0 - sq + sk) floordiv 256) * 4 + 4))}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t) {chunk = 256 : i64}
  return
}

// -----

// That no key is live is only seen over the integers.
!t = memref<1x2x1x64xbf16>
func.func @empty(%q: !t, %k: !t, %o: !t) {
  // expected-remark @below {{live [0, 0), none full}}
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c7 = arith.constant 7 : index
      %c70 = arith.constant 70 : index
      %c146 = arith.constant 146 : index
      %distance = arith.subi %i, %j : index
      %rest = arith.remsi %distance, %c70 : index
      %is_dilated = arith.cmpi eq, %rest, %c0 : index
      %late = arith.cmpi sge, %i, %c146 : index
      %first_head = arith.cmpi slt, %h, %c1 : index
      %chosen = arith.select %is_dilated, %late, %first_head : i1
      %chunk_q = arith.floordivsi %i, %c7 : index
      %chunk_k = arith.floordivsi %j, %c7 : index
      %same = arith.cmpi eq, %chunk_q, %chunk_k : index
      %r = arith.andi %chosen, %same : i1
      flash.yield %r : i1
    }
  return
}
