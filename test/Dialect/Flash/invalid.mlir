// RUN: flash-opt %s --split-input-file --verify-diagnostics

// The numbers are those of the constraints of flash.attention (C) and
// #flash.schedule (S).

// C1: rank
func.func @f(%q: tensor<8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{'flash.attention' op operand #0 must be 4-D tensor or strided memref of f16, bf16, f32, tf32, f8E4M3FN or f8E5M2, but got 'tensor<8x64x64xf16>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C1: element type
func.func @f(%q: tensor<1x8x64x64xi8>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{operand #0 must be 4-D tensor or strided memref of f16, bf16, f32, tf32, f8E4M3FN or f8E5M2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xi8>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C1: element type of lse
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %l: tensor<1x8x64xf16>) {
  // expected-error @+1 {{must be 3-D tensor or strided memref of f32, but got 'tensor<1x8x64xf16>'}}
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o, lse = %l : tensor<1x8x64x128xf16>, tensor<1x8x64xf16>)
    -> tensor<1x8x64x128xf16>, tensor<1x8x64xf16>
  return
}

// -----

// C2: one form
func.func @f(%q: tensor<1x8x64x64xf16>, %k: memref<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{key: expected a tensor (as query), got 'memref<1x2x96x64xf16>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, memref<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C2: captures of the same form
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: memref<4xf32>) {
  // expected-error @+1 {{capture 0: expected a tensor (as query), got 'memref<4xf32>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : memref<4xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C2: no results on memrefs
func.func @f(%q: memref<1x8x64x64xf16>, %k: memref<1x2x96x64xf16>, %v: memref<1x2x96x128xf16>, %o: memref<1x8x64x128xf16>) {
  // expected-error @+1 {{results: expected 0 (none on memrefs), got 1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : memref<1x8x64x64xf16>, memref<1x2x96x64xf16>, memref<1x2x96x128xf16>)
    outs(output = %o : memref<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C2: a result per destination
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %l: tensor<1x8x64xf32>) {
  // expected-error @+1 {{results: expected 2 (one per destination), got 1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o, lse = %l : tensor<1x8x64x128xf16>, tensor<1x8x64xf32>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C2: results as destinations
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{result 0: expected 'tensor<1x8x64x128xf16>' (as its destination), got 'tensor<1x8x?x128xf16>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x?x128xf16>
  return
}

// -----

// C3
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xbf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{key element type: expected 'f16' (as query), got 'bf16'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xbf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C4: static
func.func @f(%q: tensor<1x8x64x?xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{query head dim: expected a static size above 0, got a dynamic one}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x?xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C4: above 0
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x0xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{value head dim: expected a static size above 0, got 0}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x0xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C4: key as query
func.func @f(%q: tensor<1x8x64x128xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{key head dim: expected 128 (as query), got 64}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x128xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C4: output as value
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x64xf16>) {
  // expected-error @+1 {{output head dim: expected 128 (as value), got 64}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x64xf16>)
    -> tensor<1x8x64x64xf16>
  return
}

// -----

// C5: value
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<2x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{value batch: expected 1 (as key), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<2x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C5: output
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<2x8x64x128xf16>) {
  // expected-error @+1 {{output batch: expected 1 (as query), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<2x8x64x128xf16>)
    -> tensor<2x8x64x128xf16>
  return
}

// -----

// C5: key
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<2x2x96x64xf16>, %v: tensor<2x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{key batch: expected 1 (as query), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<2x2x96x64xf16>, tensor<2x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: value heads
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x4x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{value heads: expected 2 (as key), got 4}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x4x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: output heads
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x4x64x128xf16>) {
  // expected-error @+1 {{output heads: expected 8 (as query), got 4}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x4x64x128xf16>)
    -> tensor<1x4x64x128xf16>
  return
}

// -----

// C6: a multiple
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x3x96x64xf16>, %v: tensor<1x3x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{query heads: expected a multiple of 3 (key heads), got 8}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x3x96x64xf16>, tensor<1x3x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: group is the ratio
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{group: expected 4 (as query heads / key heads), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {group = 2}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: group where dynamic
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x?x96x64xf16>, %v: tensor<1x?x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{group: expected the attribute, since the number of heads is dynamic, got none}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x?x96x64xf16>, tensor<1x?x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: a multiple of group
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x?x96x64xf16>, %v: tensor<1x?x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{query heads: expected a multiple of 3 (group), got 8}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x?x96x64xf16>, tensor<1x?x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {group = 3}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C6: group above 0
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{group: expected between 1 and 2147483647, got 0}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {group = 0}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C7: value
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x64x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{value length: expected 96 (as key), got 64}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x64x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C7: output
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x32x128xf16>) {
  // expected-error @+1 {{output length: expected 64 (as query), got 32}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x32x128xf16>)
    -> tensor<1x8x32x128xf16>
  return
}

// -----

// C8: lse batch
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %l: tensor<2x8x64xf32>) {
  // expected-error @+1 {{lse batch: expected 1 (as query), got 2}}
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o, lse = %l : tensor<1x8x64x128xf16>, tensor<2x8x64xf32>)
    -> tensor<1x8x64x128xf16>, tensor<2x8x64xf32>
  return
}

// -----

// C8: lse heads
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %l: tensor<1x2x64xf32>) {
  // expected-error @+1 {{lse heads: expected 8 (as query), got 2}}
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o, lse = %l : tensor<1x8x64x128xf16>, tensor<1x2x64xf32>)
    -> tensor<1x8x64x128xf16>, tensor<1x2x64xf32>
  return
}

// -----

// C8: lse length
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %l: tensor<1x8x96xf32>) {
  // expected-error @+1 {{lse length: expected 64 (as query), got 96}}
  %0:2 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o, lse = %l : tensor<1x8x64x128xf16>, tensor<1x8x96xf32>)
    -> tensor<1x8x64x128xf16>, tensor<1x8x96xf32>
  return
}

// -----

// C9: finite scale
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{scale: expected a finite number, got }}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {scale = 0x7F800000 : f32}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C9: softcap above 0
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{softcap: expected a positive finite number, got -1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {softcap = -1.0 : f32}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C10: two sides
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{window: expected 2 numbers (left, right), got 1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {window = array<i64: 1>}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C10: left
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{window left: expected between -1 and 2147483647, got -2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {window = array<i64: -2, 0>}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C10: right
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{window right: expected between -1 and 2147483647, got 2147483648}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {window = array<i64: 0, 2147483648>}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C11: prefix
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{prefix: expected between 0 and 2147483647, got -1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {prefix = -1}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C11: chunk
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{chunk: expected between 1 and 2147483647, got 0}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {chunk = 0}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C11: sink_tokens
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{sink_tokens: expected between 0 and 2147483647, got -1}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    {sink_tokens = -1}
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C15: queries without keys
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>) {
  // expected-error @+1 {{cu_seqlens_k: expected beside cu_seqlens_q, got none}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    cu_seqlens_q(%cq : tensor<5xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C15: keys without queries
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>) {
  // expected-error @+1 {{cu_seqlens_q: expected beside cu_seqlens_k without a block table, got none}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C15: one length
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %cq: tensor<4xi32>, %ck: tensor<5xi32>) {
  // expected-error @+1 {{cu_seqlens_q length: expected 5 (as cu_seqlens_k), got 4}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    cu_seqlens_q(%cq : tensor<4xi32>) cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C16: packed operands
func.func @f(%q: tensor<2x8x64x64xf16>, %k: tensor<2x2x96x64xf16>, %v: tensor<2x2x96x128xf16>, %o: tensor<2x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>) {
  // expected-error @+1 {{query batch: expected 1 (sequences are packed), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x64x64xf16>, tensor<2x2x96x64xf16>, tensor<2x2x96x128xf16>)
    cu_seqlens_q(%cq : tensor<5xi32>) cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<2x8x64x128xf16>)
    -> tensor<2x8x64x128xf16>
  return
}

// -----

// C16: packed operands, statically
func.func @f(%q: tensor<?x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<?x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>) {
  // expected-error @+1 {{query batch: expected 1 (sequences are packed), got a dynamic size}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<?x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    cu_seqlens_q(%cq : tensor<5xi32>) cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<?x8x64x128xf16>)
    -> tensor<?x8x64x128xf16>
  return
}

// -----

// C16: no alignment
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>, %a: index) {
  // expected-error @+1 {{alignment: expected none with cumulative lengths (each sequence has its own), got one}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    alignment(%a) cu_seqlens_q(%cq : tensor<5xi32>) cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C16: no offset
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %cq: tensor<5xi32>, %ck: tensor<5xi32>, %a: index) {
  // expected-error @+1 {{offset_q: expected none with cumulative lengths (each sequence has its own), got one}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    offset_q(%a) cu_seqlens_q(%cq : tensor<5xi32>) cu_seqlens_k(%ck : tensor<5xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C17: lengths
func.func @f(%q: tensor<2x8x1x64xf16>, %k: tensor<40x2x16x64xf16>, %v: tensor<40x2x16x128xf16>, %o: tensor<2x8x1x128xf16>, %ck: tensor<3xi32>, %bt: tensor<2x20xi32>) {
  // expected-error @+1 {{cu_seqlens_k: expected beside block_table, got none}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x1x64xf16>, tensor<40x2x16x64xf16>, tensor<40x2x16x128xf16>)
    block_table(%bt : tensor<2x20xi32>)
    outs(output = %o : tensor<2x8x1x128xf16>)
    -> tensor<2x8x1x128xf16>
  return
}

// -----

// C17: page size
func.func @f(%q: tensor<2x8x1x64xf16>, %k: tensor<40x2x24x64xf16>, %v: tensor<40x2x24x128xf16>, %o: tensor<2x8x1x128xf16>, %ck: tensor<3xi32>, %bt: tensor<2x20xi32>) {
  // expected-error @+1 {{key page size: expected a static power of two, at least 16, got 24}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x1x64xf16>, tensor<40x2x24x64xf16>, tensor<40x2x24x128xf16>)
    cu_seqlens_k(%ck : tensor<3xi32>) block_table(%bt : tensor<2x20xi32>)
    outs(output = %o : tensor<2x8x1x128xf16>)
    -> tensor<2x8x1x128xf16>
  return
}

// -----

// C17: static page size
func.func @f(%q: tensor<2x8x1x64xf16>, %k: tensor<40x2x?x64xf16>, %v: tensor<40x2x?x128xf16>, %o: tensor<2x8x1x128xf16>, %ck: tensor<3xi32>, %bt: tensor<2x20xi32>) {
  // expected-error @+1 {{key page size: expected a static power of two, at least 16, got a dynamic size}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x1x64xf16>, tensor<40x2x?x64xf16>, tensor<40x2x?x128xf16>)
    cu_seqlens_k(%ck : tensor<3xi32>) block_table(%bt : tensor<2x20xi32>)
    outs(output = %o : tensor<2x8x1x128xf16>)
    -> tensor<2x8x1x128xf16>
  return
}

// -----

// C17: lengths of the table
func.func @f(%q: tensor<2x8x1x64xf16>, %k: tensor<40x2x16x64xf16>, %v: tensor<40x2x16x128xf16>, %o: tensor<2x8x1x128xf16>, %ck: tensor<4xi32>, %bt: tensor<2x20xi32>) {
  // expected-error @+1 {{cu_seqlens_k length: expected 3 (as block table rows + 1), got 4}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x1x64xf16>, tensor<40x2x16x64xf16>, tensor<40x2x16x128xf16>)
    cu_seqlens_k(%ck : tensor<4xi32>) block_table(%bt : tensor<2x20xi32>)
    outs(output = %o : tensor<2x8x1x128xf16>)
    -> tensor<2x8x1x128xf16>
  return
}

// -----

// C17: rows
func.func @f(%q: tensor<2x8x1x64xf16>, %k: tensor<40x2x16x64xf16>, %v: tensor<40x2x16x128xf16>, %o: tensor<2x8x1x128xf16>, %ck: tensor<4xi32>, %bt: tensor<3x20xi32>) {
  // expected-error @+1 {{block_table rows: expected 2 (as query batch), got 3}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<2x8x1x64xf16>, tensor<40x2x16x64xf16>, tensor<40x2x16x128xf16>)
    cu_seqlens_k(%ck : tensor<4xi32>) block_table(%bt : tensor<3x20xi32>)
    outs(output = %o : tensor<2x8x1x128xf16>)
    -> tensor<2x8x1x128xf16>
  return
}

// -----

// C18
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %s0: tensor<2xf32>) {
  // expected-error @+1 {{sinks length: expected 8 (as query heads), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    sinks(%s0 : tensor<2xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// S1
// expected-error @+1 {{schedule chip: expected a name, got an empty string}}
func.func private @f() attributes {s = #flash.schedule<chip = "", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>}

// -----

// S2
// expected-error @+1 {{schedule level: expected between 0 and 12, got 13}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 13, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>}

// -----

// S3
// expected-error @+1 {{schedule tile_q: expected a multiple of 16 between 16 and 512, got 24}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 24, tile_k = 64, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>}

// -----

// S4
// expected-error @+1 {{schedule tile_k: expected a multiple of 16 between 16 and 512, got 0}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 0, warps = 8, stages_k = 1, stages_v = 1, query_in_registers = false>}

// -----

// S5
// expected-error @+1 {{schedule warps: expected between 1 and 16, got 17}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 17, stages_k = 1, stages_v = 1, query_in_registers = false>}

// -----

// S6: K
// expected-error @+1 {{schedule stages_k: expected between 1 and 8, got 0}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 0, stages_v = 1, query_in_registers = false>}

// -----

// S6: V
// expected-error @+1 {{schedule stages_v: expected between 1 and 8, got 9}}
func.func private @f() attributes {s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 128, tile_k = 64, warps = 8, stages_k = 1, stages_v = 9, query_in_registers = false>}

// -----

// Scales of heads.

!n = tensor<2x8x4x64xf8E4M3FN>
!k = tensor<2x2x4x64xf8E4M3FN>
!o = tensor<2x8x4x64xbf16>

func.func @c19_heads(%q: !n, %k: !k, %s: tensor<2x8xf32>, %o: !o) {
  // expected-error @+1 {{k_descale heads: expected 2 (as key), got 8}}
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !n, !k, !k)
    k_descale(%s : tensor<2x8xf32>) outs(output = %o : !o) -> !o
  return
}

// -----

!n = tensor<2x8x4x64xf8E4M3FN>
!o = tensor<2x8x4x64xbf16>

func.func @c19_batch(%q: !n, %s: tensor<1x8xf32>, %o: !o) {
  // expected-error @+1 {{q_descale batch: expected 2 (as query), got 1}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !n, !n, !n)
    q_descale(%s : tensor<1x8xf32>) outs(output = %o : !o) -> !o
  return
}

// -----

!n = tensor<2x8x4x64xf8E4M3FN>
!o = tensor<2x8x4x64xbf16>

func.func @c2_descale(%q: !n, %s: memref<2x8xf32>, %o: !o) {
  // expected-error @+1 {{v_descale: expected a tensor (as query), got 'memref<2x8xf32>'}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !n, !n, !n)
    v_descale(%s : memref<2x8xf32>) outs(output = %o : !o) -> !o
  return
}

// -----

!n = tensor<1x8x4x64xf8E4M3FN>
!o = tensor<1x8x4x64xbf16>

func.func @c19_lengths(%q: !n, %c: tensor<3xi32>, %s: tensor<1x8xf32>, %o: !o) {
  // expected-error @+1 {{q_descale: expected none with cumulative lengths, got one}}
  %0 = flash.attention ins(query = %q, key = %q, value = %q : !n, !n, !n)
    cu_seqlens_q(%c : tensor<3xi32>) cu_seqlens_k(%c : tensor<3xi32>)
    q_descale(%s : tensor<1x8xf32>) outs(output = %o : !o) -> !o
  return
}
