// RUN: flash-opt %s -split-input-file -verify-diagnostics

// T47: a column for each of the eight lanes that share a row.

#tile = #flash_tile.layout<lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
#rows = #flash_tile.layout<lane = [[0], [0], [0], [1], [2]]>
func.func @scratch_columns(%x: tensor<4x8xf32, #tile>, %s: !flash_tile.view<4x4xf32>) {
  // expected-error @below {{scratch: expected 4 rows of at least 8, got '!flash_tile.view<4x4xf32>'}}
  %r = flash_tile.reduce add %x axis 1 through (%s : !flash_tile.view<4x4xf32>) : tensor<4x8xf32, #tile> -> tensor<4xf32, #rows>
  return
}

// -----

func.func @scratch_rows(%x: tensor<4x8xf32>, %s: !flash_tile.view<2x8xf32>) {
  // expected-error @below {{scratch: expected 4 rows of at least 1, got '!flash_tile.view<2x8xf32>'}}
  %r = flash_tile.reduce add %x axis 1 through (%s : !flash_tile.view<2x8xf32>) : tensor<4x8xf32> -> tensor<4xf32>
  return
}

// -----

func.func @scratch_type(%x: tensor<4x8xf32>, %s: !flash_tile.view<4x8xf16>) {
  // expected-error @below {{scratch element type: expected 'f32' (as the source), got 'f16'}}
  %r = flash_tile.reduce add %x axis 1 through (%s : !flash_tile.view<4x8xf16>) : tensor<4x8xf32> -> tensor<4xf32>
  return
}

// -----

func.func @scratch_axis(%x: tensor<4x8xf32>, %s: !flash_tile.view<8x8xf32>) {
  // expected-error @below {{scratch: expected a reduction over axis 1 of a tile of rank 2, got axis 0 of rank 2}}
  %r = flash_tile.reduce add %x axis 0 through (%s : !flash_tile.view<8x8xf32>) : tensor<4x8xf32> -> tensor<8xf32>
  return
}

// -----

// T48

// expected-error @below {{global tile rank: expected 2, got 3}}
func.func private @global_rank(!flash_tile.global_tile<2x4x8xf16>)

// -----

// T9

func.func @global_type(%m: memref<4x8xf32>, %i: index) {
  // expected-error @below {{tile element type: expected 'f32' (as the memref), got 'f16'}}
  %t = flash_tile.global_tile %m[%i, %i] : memref<4x8xf32> -> !flash_tile.global_tile<4x8xf16>
  return
}

// -----

// T12

func.func @global_operand(%a: tensor<16x16xf16>, %b: !flash_tile.global_tile<16x16xf16>, %c: tensor<16x16xf32>) {
  // expected-error @below {{operands: expected register tiles or shared-memory views (only products on fma read global memory)}}
  %r = flash_tile.dot %a, %b, %c : tensor<16x16xf16>, !flash_tile.global_tile<16x16xf16>, tensor<16x16xf32>
  return
}
