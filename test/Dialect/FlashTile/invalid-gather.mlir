// RUN: flash-opt %s -split-input-file -verify-diagnostics

// T49: an index per axis.
func.func @f(%m: memref<4x4xf32>, %i: index) {
  // expected-error @below {{indices: expected 2 (one per axis of the memref), got 1}}
  %x = flash_tile.lookup %m[%i] : memref<4x4xf32>
  return
}

// -----

// T49: element types.
func.func @f(%m: memref<4xf64>, %i: index) {
  // expected-error @below {{element type: expected f32, f16, bf16, i1, i8, i16, i32 or i64, got 'f64'}}
  %x = flash_tile.lookup %m[%i] : memref<4xf64>
  return
}

// -----

// T49, of what is written.
func.func @f(%m: memref<4x4xi32>, %i: index, %x: i32) {
  // expected-error @below {{indices: expected 2 (one per axis of the memref), got 1}}
  flash_tile.put %x, %m[%i] : memref<4x4xi32>
  return
}

// -----

// T49, of a gather.
func.func @f(%m: memref<4x4xf32>, %i: index) {
  // expected-error @below {{indices: expected 2 (one per axis of the memref), got 1}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] : memref<4x4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: rank.
func.func @f(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{result rank: expected 2, got 1}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] : memref<4xf32> -> tensor<16xf32>
  return
}

// -----

// T50: the memref's element type.
func.func @f(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{result element type: expected 'f32' (as the memref), got 'i32'}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] : memref<4xf32> -> tensor<16x8xi32>
  return
}

// -----

// T50: a factor per index.
func.func @f(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{columns: expected 1 factors (one per index), got 2}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0, 1] : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: factors of moderate size.
func.func @f(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{rows: expected factors of magnitude below 2^20, got -1048576}}
  %x = flash_tile.gather_elements %m[%i] rows [-1048576] columns [0] : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: a dimension per offset.
func.func @f(%m: memref<4xf32>, %i: index, %t: tensor<16x8xi32>) {
  // expected-error @below {{offset dimensions: expected 1 (one per offset), got 2}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] offsets(%t at [0, 0] : tensor<16x8xi32>) : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: a dimension of the memref.
func.func @f(%m: memref<4xf32>, %i: index, %t: tensor<16x8xi32>) {
  // expected-error @below {{offset dimensions: expected ascending ones below 1, got 1}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] offsets(%t at [1] : tensor<16x8xi32>) : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: the offset's shape.
func.func @f(%m: memref<4xf32>, %i: index, %t: tensor<8x8xi32>) {
  // expected-error @below {{offset shape: expected [16, 8] (as the result), got [8, 8]}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] offsets(%t at [0] : tensor<8x8xi32>) : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: the offset's element type.
func.func @f(%m: memref<4xf32>, %i: index, %t: tensor<16x8xi16>) {
  // expected-error @below {{offset element type: expected i32 or i64, got 'i16'}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] offsets(%t at [0] : tensor<16x8xi16>) : memref<4xf32> -> tensor<16x8xf32>
  return
}

// -----

// T50: the validity's element type.
func.func @f(%m: memref<4xf32>, %i: index, %t: tensor<16x8xi32>) {
  // expected-error @below {{validity element type: expected i1, got 'i32'}}
  %x = flash_tile.gather_elements %m[%i] rows [1] columns [0] if %t : tensor<16x8xi32> : memref<4xf32> -> tensor<16x8xf32>
  return
}
