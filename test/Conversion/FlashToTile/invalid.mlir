// RUN: flash-opt %s --flash-to-tile --split-input-file --verify-diagnostics

!t = memref<1x8x64x64xbf16>
func.func @unscheduled(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{schedule: expected one (run --flash-select-schedule first), got none}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x64xbf16>
func.func @modifier(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{modifiers: expected none (run --flash-expand-modifiers first), got causal}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {causal = #flash.causal<bottom_right>}
  return
}

// -----

!t = memref<1x8x64x64xbf16>
func.func @prefix(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{modifiers: expected none (run --flash-expand-modifiers first), got prefix}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {prefix = 3 : i64}
  return
}

// -----

!t = memref<1x8x64x64xbf16>
func.func @chunk(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{modifiers: expected none (run --flash-expand-modifiers first), got chunk}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {chunk = 3 : i64}
  return
}

// -----

!t = memref<1x8x64x64xbf16>
func.func @sinks(%q: !t, %k: !t, %v: !t, %o: !t, %sinks: memref<8xf32>) {
  // expected-error @below {{sinks: not yet lowered}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) sinks(%sinks : memref<8xf32>) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x?x64xbf16>
func.func @varlen(%q: !t, %k: !t, %v: !t, %o: !t, %lengths: memref<5xi32>) {
  // expected-error @below {{cu_seqlens_q: not yet lowered}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    cu_seqlens_q(%lengths : memref<5xi32>) cu_seqlens_k(%lengths : memref<5xi32>) outs(output = %o : !t)
  return
}

// -----

!t = tensor<1x8x64x64xbf16>
func.func @tensors(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{query: expected a memref (bufferize first), got a tensor}}
  %r = flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) -> !t
  return
}

// -----

!t = memref<1x8x64x64xf16>
!v = memref<1x8x64x64xbf16>
func.func @element(%q: !t, %k: !t, %v: !v, %o: !t) {
  // expected-error @below {{value element type: expected 'f16' (as query; others are not yet lowered), got 'bf16'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !v) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x64xf8E4M3FN>
func.func @narrow_output(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{output element type: expected bf16, f16 or f32 for 8-bit inputs (8-bit outputs are not yet lowered), got 'f8E4M3FN'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x40xf8E5M2>
!o = memref<1x8x64x40xbf16>
func.func @narrow_head_dim(%q: !t, %k: !t, %v: !t, %o: !o) {
  // expected-error @below {{query head dim: expected a multiple of 16, at most 256, got 40}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !o)
  return
}

// -----

!t = memref<1x8x64x64xf8E5M2>
!o = memref<1x8x64x64xbf16>
func.func @scale_in_place(%q: !t, %k: !t, %v: !t, %s: memref<2x8xf32>, %o: !o) {
  %view = memref.subview %s[1, 0] [1, 8] [1, 1] : memref<2x8xf32> to memref<1x8xf32, strided<[8, 1], offset: 8>>
  // expected-error @below {{k_descale: expected an argument of the function, got the result of 'memref.subview'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    k_descale(%view : memref<1x8xf32, strided<[8, 1], offset: 8>>) outs(output = %o : !o)
  return
}

// -----

!t = memref<1x8x64x20xf16>
func.func @head_dim(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{query head dim: expected a multiple of 8, at most 256, got 20}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x64xf16>
!v = memref<1x8x64x264xf16>
func.func @value_dim(%q: !t, %k: !t, %v: !v, %o: !v) {
  // expected-error @below {{value head dim: expected a multiple of 8, at most 256, got 264}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !v) outs(output = %o : !v)
  return
}

// -----

!t = memref<1x8x64x64xf16>
!o = memref<1x8x64x64xbf16>
func.func @output(%q: !t, %k: !t, %v: !t, %o: !o) {
  // expected-error @below {{output element type: expected 'f16' (as query) or f32, got 'bf16'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !o)
  return
}

// -----

!t = memref<1x8x64x64xf16>
func.func @local(%q: !t, %k: !t, %v: !t) {
  %o = memref.alloc() : !t
  // expected-error @below {{output: expected an argument of the function, got the result of 'memref.alloc'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x64xf16>
// expected-error @below {{attention ops: expected 1 per function, got 2}}
func.func @two(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

!t = memref<1x8x64x64xf16>
// expected-error @below {{results: expected none (the output is an argument), got 1}}
func.func @result(%q: !t, %k: !t, %v: !t, %o: !t) -> !t {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return %o : !t
}

// -----

!t = memref<1x8x64x64xf16>
// expected-error @below {{uses: expected none (a kernel is launched, not called), got some}}
func.func @called(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}
func.func @caller(%q: !t) {
  func.call @called(%q, %q, %q, %q) : (!t, !t, !t, !t) -> ()
  return
}

// -----

!t = memref<1x1x4294967296x64xf16>
func.func @long(%q: !t, %k: !t, %v: !t, %o: !t) {
  // expected-error @below {{query length: expected at most 2147483647 (sizes have 32 bits), got 4294967296}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t)
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @effects(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
  // expected-error @below {{'memref.copy' beside flash.attention: expected ops free of side effects only}}
  memref.copy %o, %q : !t to !t
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @capture_type(%q: !t, %k: !t, %v: !t, %o: !t, %c: f64) {
  // expected-error @below {{capture 0 type: expected index, i32, i64 or f32 (others are not yet lowered), got 'f64'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%c : f64) outs(output = %o : !t) {schedule = #s}
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @offset(%q: !t, %k: !t, %v: !t, %o: !t, %m: memref<?xf32>, %i: index) {
  %c = memref.dim %m, %i : memref<?xf32>
  // expected-error @below {{offset_q: expected a function argument, a constant or a scalar computed from them, got the result of 'memref.dim'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) offset_q(%c) outs(output = %o : !t) {schedule = #s}
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @read(%q: !t, %k: !t, %v: !t, %o: !t, %bias: memref<64x64xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%bias : memref<64x64xf32>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<64x64xf32>):
      // expected-error @below {{score region: 'memref.cast' is not yet lowered to tiles (expected elementwise arith and math ops, loads of captures and scf.if)}}
      %d = memref.cast %c : memref<64x64xf32> to memref<?x?xf32>
      %x = memref.load %d[%i, %j] : memref<?x?xf32>
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @double(%q: !t, %k: !t, %v: !t, %o: !t, %bias: memref<64xf64>) {
  // expected-error @below {{capture 0 element type: expected f32, f16, bf16, i1, i8, i16, i32 or i64, got 'f64'}}
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%bias : memref<64xf64>) outs(output = %o : !t) {schedule = #s}
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @half(%q: !t, %k: !t, %v: !t, %o: !t, %bias: memref<64xf16>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) captures(%bias : memref<64xf16>) outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: memref<64xf16>):
      %x = memref.load %c[%i] : memref<64xf16>
      %y = memref.load %c[%j] : memref<64xf16>
      // expected-error @below {{score region: 'arith.addf': expected f32 (extend what is read first), got 'f16'}}
      %z = arith.addf %x, %y : f16
      %w = arith.extf %z : f16 to f32
      flash.yield %w : f32
    }
  return
}

// -----

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<1x8x64x64xf16>
func.func @foreign(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t) outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      // expected-error @below {{mask region: 'index.cmp' is not yet lowered to tiles (expected elementwise arith and math ops, loads of captures and scf.if)}}
      // expected-remark @below {{mask: 'index.cmp' is not affine in q and k; left out of the ranges of tiles}}
      %r = index.cmp slt(%b, %h)
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'foreign_block_map' in front of 'foreign'}}
      flash.yield %r : i1
    }
  return
}
