// RUN: flash-opt %s --split-input-file --verify-diagnostics

// One case for each way to violate constraints T1 to T18 and
// T45 and T46, in order.

// T1: the form of a layout.
// expected-error @below {{layout lane vectors: expected 5 (32 lanes), got 1}}
func.func private @t1_lanes(tensor<4xf32, #flash_tile.layout<lane = [[1]]>>)

// -----

// T1
// expected-error @below {{layout lane vector: expected 2 numbers, got 1}}
func.func private @t1_width(tensor<4x4xf32, #flash_tile.layout<register = [[0, 1]], lane = [[1]]>>)

// -----

// T1
// expected-error @below {{layout repeat: expected a count and 1 strides, got 3 numbers}}
func.func private @t1_repeat(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [0]], repeat = [[2, 0, 1]]>>)

// -----

// T1
// expected-error @below {{layout repeat count: expected 1 to 1048576, got 0}}
func.func private @t1_count(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [0]], repeat = [[0, 4]]>>)

// -----

// T1
// expected-error @below {{layout vector: expected numbers from 0 to 1048576, got -1}}
func.func private @t1_negative(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [-1]]>>)

// -----

// T1
// expected-error @below {{layout field: expected each once, got 'lane' twice}}
func.func private @t1_twice(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [0]], lane = [[1]]>>)

// -----

// T1
// expected-error @below {{layout field: expected register, lane, warp, repeat or warp_repeat, got 'block'}}
func.func private @t1_field(tensor<4xf32, #flash_tile.layout<block = [[1]]>>)

// -----

// T1
// expected-error @below {{layout registers: expected at most 4096 elements per thread, got more}}
func.func private @t1_registers(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [0]], repeat = [[65536, 4], [65536, 4], [65536, 4], [65536, 4]]>>)

// -----

// T1
// expected-error @below {{layout warps: expected at most 32, got more}}
func.func private @t1_warps(tensor<4xf32, #flash_tile.layout<lane = [[1], [2], [0], [0], [0]], warp_repeat = [[33, 0]]>>)

// -----

// T2
// expected-error @below {{layout: expected every element of the tile [4611686018427387904, 4611686018427387904] to be held by a thread}}
func.func private @t2_huge(tensor<4611686018427387904x4611686018427387904xf32, #flash_tile.layout<lane = [[1, 0], [2, 0], [0, 0], [0, 0], [0, 0]]>>)

// -----

// T2: a tile's layout holds every element of it.
// expected-error @below {{layout: expected every element of the tile [40] to be held by a thread, got extents [32]}}
func.func private @t2_cover(tensor<40xf32, #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>>)

// -----

// T2
// expected-error @below {{layout rank: expected 2 (as the tile), got 1}}
func.func private @t2_rank(tensor<4x8xf32, #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>>)

// -----

// T2
// expected-error @below {{tile with a layout: expected static extents}}
func.func private @t2_static(tensor<?xf32, #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>>)

// -----

// T3: swizzles.
// expected-error @below {{swizzle bits: expected 0 to 3, got 4}}
func.func private @t3_bits(!flash_tile.view<64x128xbf16, #flash_tile.swizzle<bits = 4, shift = 0>>)

// -----

// T3
// expected-error @below {{swizzle shift: expected 0 to 3, got 5}}
func.func private @t3_shift(!flash_tile.view<64x128xbf16, #flash_tile.swizzle<bits = 3, shift = 5>>)

// -----

// T3
// expected-error @below {{swizzle panel: expected a multiple of 128 bytes (what the bits permute), got 64}}
func.func private @t3_panel(!flash_tile.view<64x128xbf16, #flash_tile.swizzle<bits = 3, shift = 0, panel = 64>>)

// -----

// T4: buffers and views.
// expected-error @below {{buffer: expected stages and at least one extent, got rank 1}}
func.func private @t4_stages(!flash_tile.buffer<2xbf16>)

// -----

// T4
// expected-error @below {{buffer stages: expected 1 to 64, got 0}}
func.func private @t4_no_stage(!flash_tile.buffer<0x64xbf16>)

// -----

// T4
// expected-error @below {{buffer tile: expected rank 1 or 2, got 3}}
func.func private @t4_rank(!flash_tile.buffer<1x2x64x128xbf16>)

// -----

// T4
// expected-error @below {{view extent: expected 1 to 65536, got 0}}
func.func private @t4_extent(!flash_tile.view<0x64xbf16>)

// -----

// T4
// expected-error @below {{view element type: expected an integer or float of whole bytes, got 'i1'}}
func.func private @t4_element(!flash_tile.view<64x64xi1>)

// -----

// T4
// expected-error @below {{view row bytes: expected a multiple of 128 (by the swizzle), got 80}}
func.func private @t4_row(!flash_tile.view<64x40xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>)

// -----

// T4
// expected-error @below {{transposed view rank: expected 2, got 1}}
func.func private @t4_transposed(!flash_tile.view<64xbf16, transposed>)

// -----

// T5: what a future may hold.
// expected-error @below {{future value: expected a register tile or a view, got 'f32'}}
func.func private @t5(!flash_tile.future<f32>)

// -----

func.func @t6() {
  // T6: offsets of buffers.
  // expected-error @below {{offset: expected a multiple of 128, got 64}}
  %k = flash_tile.alloc {offset = 64 : i64} : !flash_tile.buffer<2x64x128xbf16>
  return
}

// -----

func.func @t7_index(%k: !flash_tile.buffer<2x64x128xbf16>) {
  %c2 = arith.constant 2 : index
  // T7: stages.
  // expected-error @below {{stage index: expected 0 to 1, got 2}}
  %v = flash_tile.stage %k[%c2] : !flash_tile.buffer<2x64x128xbf16> -> !flash_tile.view<64x128xbf16>
  return
}

// -----

func.func @t7_view(%k: !flash_tile.buffer<2x64x128xbf16>, %i: index) {
  // T7
  // expected-error @below {{view: expected '!flash_tile.view<64x128xbf16>' (one stage of the buffer), got '!flash_tile.view<64x64xbf16>'}}
  %v = flash_tile.stage %k[%i] : !flash_tile.buffer<2x64x128xbf16> -> !flash_tile.view<64x64xbf16>
  return
}

// -----

func.func @t8_load(%v: !flash_tile.view<64x128xbf16>) {
  // T8: registers and shared memory hold the same tile.
  // expected-error @below {{result shape: expected [64, 128] (as the view), got [64, 64]}}
  %t = flash_tile.local_load %v : !flash_tile.view<64x128xbf16> -> tensor<64x64xbf16>
  return
}

// -----

func.func @t8_store(%t: tensor<64x128xf32>, %v: !flash_tile.view<64x128xbf16>) {
  // T8
  // expected-error @below {{value element type: expected 'bf16' (as the view), got 'f32'}}
  flash_tile.local_store %t, %v : tensor<64x128xf32>, !flash_tile.view<64x128xbf16>
  return
}

// -----

func.func @t9_rank(%m: memref<?xf32>, %i: index) {
  // T9: accesses to memrefs.
  // expected-error @below {{tile rank: expected at most 1 (as the memref), got 2}}
  %t = flash_tile.load %m[%i] : memref<?xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @t9_element(%t: tensor<8xf32>, %m: memref<?xf16>, %i: index) {
  // T9
  // expected-error @below {{tile element type: expected 'f16' (as the memref), got 'f32'}}
  flash_tile.store %t, %m[%i] : tensor<8xf32>, memref<?xf16>
  return
}

// -----

func.func @t9_indices(%m: memref<?x?xf32>, %v: !flash_tile.view<8xf32>, %i: index) {
  // T9
  // expected-error @below {{indices: expected 2 (as the memref's rank), got 1}}
  %f = flash_tile.copy_async %m[%i] to %v : memref<?x?xf32> to !flash_tile.view<8xf32> -> !flash_tile.future<!flash_tile.view<8xf32>>
  return
}

// -----

func.func @t9_unranked(%m: memref<*xf32>, %i: index) {
  // T9
  // expected-error @below {{operand #0 must be memref of any type values, but got 'memref<*xf32>'}}
  %t = flash_tile.load %m[%i] : memref<*xf32> -> tensor<8xf32>
  return
}

// -----

func.func @t10_future(%m: memref<?xf32>, %v: !flash_tile.view<8xf32>, %i: index) {
  // T10: futures of copies.
  // expected-error @below {{future: expected one of '!flash_tile.view<8xf32>' (the view that is copied), got '!flash_tile.view<16xf32>'}}
  %f = flash_tile.copy_async %m[%i] to %v : memref<?xf32> to !flash_tile.view<8xf32> -> !flash_tile.future<!flash_tile.view<16xf32>>
  return
}

// -----

func.func @t10_alignment(%m: memref<?xf32>, %v: !flash_tile.view<8xf32>, %i: index) {
  // T10
  // expected-error @below {{alignment: expected 16, 8, 4 or 2 bytes, got 3}}
  %f = flash_tile.copy_async %m[%i] to %v {alignment = 3 : i64} : memref<?xf32> to !flash_tile.view<8xf32> -> !flash_tile.future<!flash_tile.view<8xf32>>
  return
}

// -----

func.func @t11_none() {
  // T11: waits.
  // expected-error @below {{futures: expected at least one, got none}}
  "flash_tile.wait"() : () -> ()
  return
}

// -----

func.func @t11_in_flight(%f: !flash_tile.future<tensor<8xf32>>) {
  // T11
  // expected-error @below {{in_flight: expected >= 0, got -1}}
  %t = flash_tile.wait %f {in_flight = -1 : i64} : !flash_tile.future<tensor<8xf32>>
  return
}

// -----

func.func @t12_rank(%a: tensor<16xf16>, %b: tensor<16x8xf16>, %c: tensor<16x8xf32>) {
  // T12: extents of products.
  // expected-error @below {{a rank: expected 2, got 1}}
  %r = flash_tile.dot %a, %b, %c : tensor<16xf16>, tensor<16x8xf16>, tensor<16x8xf32>
  return
}

// -----

func.func @t12_element(%a: tensor<16x16xf16>, %b: tensor<16x8xbf16>, %c: tensor<16x8xf32>) {
  // T12
  // expected-error @below {{b element type: expected 'f16' (as a), got 'bf16'}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16>, tensor<16x8xbf16>, tensor<16x8xf32>
  return
}

// -----

func.func @t12_depth(%a: tensor<16x16xf16>, %b: tensor<32x8xf16>, %c: tensor<16x8xf32>) {
  // T12
  // expected-error @below {{b depth: expected 16 (as a), got 32}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16>, tensor<32x8xf16>, tensor<16x8xf32>
  return
}

// -----

func.func @t12_accumulator(%a: tensor<16x16xf16>, %b: tensor<16x8xf16>, %c: tensor<8x16xf32>) {
  // T12
  // expected-error @below {{accumulator shape: expected [16, 8] (rows of a, columns of b), got [8, 16]}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16>, tensor<16x8xf16>, tensor<8x16xf32>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_depth(%a: !flash_tile.view<16x24xf16>, %b: !flash_tile.view<24x8xf16>, %c: tensor<16x8xf32, #acc>) {
  // T13: products fit the instruction.
  // expected-error @below {{depth: expected a multiple of 16 (for 'f16'), got 24}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x24xf16>, !flash_tile.view<24x8xf16>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_element(%a: !flash_tile.view<16x16xf64>, %b: !flash_tile.view<16x8xf64>, %c: tensor<16x8xf64, #acc>) {
  // T13
  // expected-error @below {{a element type: expected 8, 16 or 32 bits, got 'f64'}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x16xf64>, !flash_tile.view<16x8xf64>, tensor<16x8xf64, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_integer(%a: !flash_tile.view<16x16xi16>, %b: !flash_tile.view<16x8xi16>, %c: tensor<16x8xi32, #acc>) {
  // T13
  // expected-error @below {{a element type: expected i8 (tensor cores multiply no other integers), got 'i16'}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x16xi16>, !flash_tile.view<16x8xi16>, tensor<16x8xi32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_unsigned(%a: !flash_tile.view<16x32xui8>, %b: !flash_tile.view<32x8xui8>, %c: tensor<16x8xi32, #acc>) {
  // T13
  // expected-error @below {{a element type: expected i8 (tensor cores multiply no other integers), got 'ui8'}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x32xui8>, !flash_tile.view<32x8xui8>, tensor<16x8xi32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_integer_accumulator(%a: !flash_tile.view<16x32xi8>, %b: !flash_tile.view<32x8xi8>, %c: tensor<16x8xf32, #acc>) {
  // T13
  // expected-error @below {{accumulator element type: expected i32 (for 'i8'), got 'f32'}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x32xi8>, !flash_tile.view<32x8xi8>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_integer_depth(%a: !flash_tile.view<16x16xi8>, %b: !flash_tile.view<16x8xi8>, %c: tensor<16x8xi32, #acc>) {
  // T13
  // expected-error @below {{depth: expected a multiple of 32 (for 'i8'), got 16}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x16xi8>, !flash_tile.view<16x8xi8>, tensor<16x8xi32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_accumulator(%a: !flash_tile.view<16x16xbf16>, %b: !flash_tile.view<16x8xbf16>, %c: tensor<16x8xf16, #acc>) {
  // T13
  // expected-error @below {{accumulator element type: expected f32 (for 'bf16'), got 'f16'}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x16xbf16>, !flash_tile.view<16x8xbf16>, tensor<16x8xf16, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_no_layout(%a: tensor<16x16xf16>, %b: !flash_tile.view<16x8xf16>, %c: tensor<16x8xf32, #acc>) {
  // T13
  // expected-error @below {{a layout: expected one, as the accumulator has, got none}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16>, !flash_tile.view<16x8xf16>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#swapped = #flash_tile.layout<register = [[0, 1], [0, 8], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t13_layout(%a: tensor<16x16xf16, #swapped>, %b: !flash_tile.view<16x8xf16>, %c: tensor<16x8xf32, #acc>) {
  // T13
  // expected-error-re @below {{a layout: expected {{.*}}register = {{\[\[}}0, 1], [8, 0], [0, 8]]{{.*}} (of the instruction's operand), got {{.*}}register = {{\[\[}}0, 1], [0, 8], [8, 0]]}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16, #swapped>, !flash_tile.view<16x8xf16>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#b = #flash_tile.layout<register = [[8, 0], [1, 0]], lane = [[2, 0], [4, 0], [0, 1], [0, 2], [0, 4]]>
func.func @t13_layout_b(%a: !flash_tile.view<16x16xf16>, %b: tensor<16x8xf16, #b>, %c: tensor<16x8xf32, #acc>) {
  // T13
  // expected-error-re @below {{b layout: expected {{.*}}register = {{\[\[}}1, 0], [8, 0]]{{.*}}, got}}
  %r = flash_tile.dot %a, %b, %c : !flash_tile.view<16x16xf16>, tensor<16x8xf16, #b>, tensor<16x8xf32, #acc>
  return
}

// -----

func.func @t14_axis(%t: tensor<8x16xf32>) {
  // T14: slices.
  // expected-error @below {{axis: expected 0 to 1, got 2}}
  %r = flash_tile.reduce max %t axis 2 : tensor<8x16xf32> -> tensor<8xf32>
  return
}

// -----

func.func @t14_rank(%t: tensor<8xf32>) {
  // T14
  // expected-error @below {{tile rank: expected at least 2, got 1}}
  %r = flash_tile.reduce max %t axis 0 : tensor<8xf32> -> tensor<f32>
  return
}

// -----

func.func @t14_shape(%t: tensor<8x16xf32>) {
  // T14
  // expected-error @below {{vector shape: expected [8] (the tile's without axis 1), got [16]}}
  %r = flash_tile.reduce max %t axis 1 : tensor<8x16xf32> -> tensor<16xf32>
  return
}

// -----

func.func @t14_element(%t: tensor<8xf32>) {
  // T14
  // expected-error @below {{vector element type: expected 'f16' (as the tile), got 'f32'}}
  %r = flash_tile.expand %t axis 1 : tensor<8xf32> -> tensor<8x16xf16>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
func.func @t14_mixed(%t: tensor<16x8xf32, #acc>) {
  // T14
  // expected-error @below {{vector layout: expected one, as the tile has, got none}}
  %r = flash_tile.reduce add %t axis 1 : tensor<16x8xf32, #acc> -> tensor<16xf32>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<lane = [[1], [2], [4], [8], [16]]>
func.func @t14_layout(%t: tensor<16x8xf32, #acc>) {
  // T14
  // expected-error-re @below {{vector layout: expected {{.*}}register = {{\[\[}}8]], lane = {{\[\[}}0], [0], [1], [2], [4]]>, got {{.*}}lane = {{\[\[}}1], [2], [4], [8], [16]]>}}
  %r = flash_tile.reduce add %t axis 1 : tensor<16x8xf32, #acc> -> tensor<16xf32, #row>
  return
}

// -----

func.func @t15_element() {
  // T15: coordinates.
  // expected-error @below {{result element type: expected i32, got 'i64'}}
  %k = flash_tile.index axis 1 : tensor<8x16xi64>
  return
}

// -----

func.func @t15_axis() {
  // T15
  // expected-error @below {{axis: expected 0 to 1, got 2}}
  %k = flash_tile.index axis 2 : tensor<8x16xi32>
  return
}

// -----

func.func @t16(%x: f32) {
  // T16: splats.
  // expected-error @below {{result element type: expected 'f32' (as the scalar), got 'f16'}}
  %t = flash_tile.splat %x : f32 -> tensor<8x16xf16>
  return
}

// -----

func.func @t17_layout(%t: tensor<8x16xf32>) {
  // T17: conversions.
  // expected-error @below {{source layout: expected one, got none}}
  %r = flash_tile.convert_layout %t : tensor<8x16xf32> -> tensor<8x16xf32>
  return
}

// -----

func.func @t17_shape(%t: tensor<8x16xf32>) {
  // T17
  // expected-error @below {{result shape: expected [8, 16] (as the source), got [16, 8]}}
  %r = flash_tile.convert_layout %t : tensor<8x16xf32> -> tensor<16x8xf32>
  return
}

// -----

func.func @t18(%t: tensor<8xf32>) {
  // T18: votes.
  // expected-error @below {{operand #0 must be statically shaped tensor of 1-bit signless integer values, but got 'tensor<8xf32>'}}
  %r = flash_tile.any %t : tensor<8xf32>
  return
}

// -----

func.func @t45_no_range(%i: index) {
  // T45: bands.
  // expected-error @below {{ranges: expected 1 at least, got none}}
  %0 = "flash_tile.in_range"(%i) : (index) -> i1
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#keys = #flash_tile.layout<register = [[8, 0], [0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t46_natural(%p: tensor<16x8xf32, #keys>, %v: !flash_tile.view<8x8xf32>, %z: tensor<16x8xf32, #acc>) {
  // T13: without the order this is not the instruction's operand.
  // expected-error @below {{a layout: expected #flash_tile.layout<register = [[8, 0], [0, 4]], lane = [[0, 1], [0, 2], [1, 0], [2, 0], [4, 0]]> (of the instruction's operand), got}}
  %o = flash_tile.dot %p, %v, %z : tensor<16x8xf32, #keys>, !flash_tile.view<8x8xf32>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#keys = #flash_tile.layout<register = [[8, 0], [0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t46_size(%p: tensor<16x8xf32, #keys>, %v: !flash_tile.view<8x8xf32>, %z: tensor<16x8xf32, #acc>) {
  // T46: contraction orders.
  // expected-error @below {{contraction order: expected a permutation of 0 to 7 that is linear over GF(2), got [0, 1, 2, 3]}}
  %o = flash_tile.dot %p, %v, %z {contraction_order = array<i64: 0, 1, 2, 3>} : tensor<16x8xf32, #keys>, !flash_tile.view<8x8xf32>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#keys = #flash_tile.layout<register = [[8, 0], [0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t46_linear(%p: tensor<16x8xf32, #keys>, %v: !flash_tile.view<8x8xf32>, %z: tensor<16x8xf32, #acc>) {
  // expected-error @below {{contraction order: expected a permutation of 0 to 7 that is linear over GF(2), got [0, 2, 4, 6, 1, 3, 7, 5]}}
  %o = flash_tile.dot %p, %v, %z {contraction_order = array<i64: 0, 2, 4, 6, 1, 3, 7, 5>} : tensor<16x8xf32, #keys>, !flash_tile.view<8x8xf32>, tensor<16x8xf32, #acc>
  return
}

// -----

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t46_shared(%p: !flash_tile.view<16x16xf16>, %v: !flash_tile.view<16x8xf16>, %z: tensor<16x8xf32, #acc>) {
  // expected-error @below {{contraction order: expected a in registers, M x K, got it in memory}}
  %o = flash_tile.dot %p, %v, %z {contraction_order = array<i64: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>} : !flash_tile.view<16x16xf16>, !flash_tile.view<16x8xf16>, tensor<16x8xf32, #acc>
  return
}

// -----

func.func @t46_accumulator(%p: tensor<16x16xf16>, %v: !flash_tile.view<16x8xf16>, %z: tensor<16x8xf32>) {
  // expected-error @below {{contraction order: expected an accumulator in an mma layout, got 'tensor<16x8xf32>'}}
  %o = flash_tile.dot %p, %v, %z {contraction_order = array<i64: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>} : tensor<16x16xf16>, !flash_tile.view<16x8xf16>, tensor<16x8xf32>
  return
}

// -----

#pair = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t17_length(%t: tensor<8x8xf32, #pair>) {
  // T17
  // expected-error @below {{permutation: expected 2 registers (of the result), got 3}}
  %0 = flash_tile.convert_layout %t {permutation = array<i64: 1, 0, 1>} : tensor<8x8xf32, #pair> -> tensor<8x8xf32, #pair>
  return
}

// -----

#pair = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t17_range(%t: tensor<8x8xf32, #pair>) {
  // expected-error @below {{permutation: expected registers 0 to 1 (of the source), got 2}}
  %0 = flash_tile.convert_layout %t {permutation = array<i64: 0, 2>} : tensor<8x8xf32, #pair> -> tensor<8x8xf32, #pair>
  return
}

// -----

#pair = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

func.func @t17_both(%t: tensor<8x8xf32, #pair>) {
  // expected-error @below {{exchange: expected no permutation beside it}}
  %0 = flash_tile.convert_layout %t {exchange, permutation = array<i64: 0, 1>} : tensor<8x8xf32, #pair> -> tensor<8x8xf32, #pair>
  return
}
