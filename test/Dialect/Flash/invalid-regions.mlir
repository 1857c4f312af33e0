// RUN: flash-opt %s --split-input-file --verify-diagnostics

// What regions may be, by the constraints (C) of flash.attention: their
// arguments, what they yield, what they hold, what they see.

// C12: number of score arguments
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{score region arguments: expected 5 (5 and 0 captures), got 2}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index):
      flash.yield %s : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: mask arguments include captures
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: i32) {
  // expected-error @+1 {{mask region arguments: expected 5 (4 and 1 captures), got 4}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : i32)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %0 = arith.cmpi sle, %j, %i : index
      flash.yield %0 : i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: argument type
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<4xf32>) {
  // expected-error @+1 {{score region argument 5: expected 'tensor<4xf32>', got 'tensor<5xf32>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<4xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c0: tensor<5xf32>):
      flash.yield %s : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C13: score yields f32
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %0 = arith.cmpi sle, %j, %i : index
      // expected-error @+1 {{score region result: expected 'f32', got 'i1'}}
      flash.yield %0 : i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C13: mask yields i1
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %0 = arith.constant 1.0 : f32
      // expected-error @+1 {{mask region result: expected 'i1', got 'f32'}}
      flash.yield %0 : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C13: a terminator
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{mask region: expected to end in flash.yield}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      llvm.unreachable
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: captures are arrays of a rank, or numbers
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %n: index, %c: vector<4xf32>) {
  // expected-error @+1 {{'flash.attention' op operand #4 must be variadic of ranked tensor, strided memref, index, integer or float, but got 'vector<4xf32>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%n, %c : index, vector<4xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %n: index, %c: vector<4xf32>):
      flash.yield %s : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: an array without a rank
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<*xf32>) {
  // expected-error @+1 {{'flash.attention' op operand #3 must be variadic of ranked tensor, strided memref, index, integer or float, but got 'tensor<*xf32>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<*xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: tensor<*xf32>):
      flash.yield %s : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: rank of an argument
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<96xf32>) {
  // expected-error @+1 {{score region argument 5: expected 'tensor<96xf32>', got 'tensor<1x96xf32>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<96xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: tensor<1x96xf32>):
      flash.yield %s : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: element type of an argument
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<96xi32>) {
  // expected-error @+1 {{mask region argument 4: expected 'tensor<96xi32>', got 'tensor<96xi8>'}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<96xi32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %c: tensor<96xi8>):
      %r = arith.cmpi sle, %j, %i : index
      flash.yield %r : i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: as many indices as the capture has dimensions
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<64x96xf32>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<64x96xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: tensor<64x96xf32>):
      // expected-error @+1 {{'tensor.extract' op incorrect number of indices for extract_element}}
      %x = tensor.extract %c[%j] : tensor<64x96xf32>
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C12: indices are of type index
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %c: tensor<96xf32>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    captures(%c : tensor<96xf32>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %c: tensor<96xf32>):
      // expected-note @+1 {{prior use here}}
      %n = arith.index_cast %j : index to i32
      // expected-error @+1 {{use of value '%n' expects different type than prior uses: 'index' vs 'i32'}}
      %x = tensor.extract %c[%n] : tensor<96xf32>
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C13: one result
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %0 = arith.cmpi sle, %j, %i : index
      // expected-error @+1 {{expected ':'}}
      flash.yield %0, %0 : i1, i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C13: one block
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  // expected-error @+1 {{'flash.attention' op region #1 ('mask') failed to verify constraint: region with at most 1 blocks}}
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %0 = arith.cmpi sle, %j, %i : index
      cf.br ^bb1
    ^bb1:
      flash.yield %0 : i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// Nothing is seen from above: names of the function mean nothing in a region
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>, %x: f32) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @+1 {{use of undeclared SSA value name}}
      %r = arith.addf %s, %x : f32
      flash.yield %r : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// Nothing is seen from above: nor where the generic form has the names.
func.func @f(%q: tensor<1x8x64x64xf16>, %o: tensor<1x8x64x64xf16>, %x: f32) {
  // expected-note @+1 {{required by region isolation constraints}}
  %0 = "flash.attention"(%q, %q, %q, %o) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0>}> ({
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    // expected-error @+1 {{'arith.addf' op using value defined outside the region}}
    %r = arith.addf %s, %x : f32
    flash.yield %r : f32
  }, {
  }) : (tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>, tensor<1x8x64x64xf16>) -> tensor<1x8x64x64xf16>
  return
}

// -----

// C14: no writes
func.func @f(%q: memref<1x8x64x64xf16>, %k: memref<1x2x96x64xf16>, %v: memref<1x2x96x128xf16>, %o: memref<1x8x64x128xf16>, %c: memref<4xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : memref<1x8x64x64xf16>, memref<1x2x96x64xf16>, memref<1x2x96x128xf16>)
    captures(%c : memref<4xf32>)
    outs(output = %o : memref<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %t: memref<4xf32>):
      // expected-error @+1 {{score region: expected ops free of side effects (reads of captures allowed), got one that writes, allocates or frees}}
      memref.store %s, %t[%i] : memref<4xf32>
      flash.yield %s : f32
    }
  return
}

// -----

// C14: no calls
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @+1 {{score region: expected ops free of side effects (reads of captures allowed), got an op of unknown effects}}
      %0 = func.call @g(%s) : (f32) -> f32
      flash.yield %0 : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}
func.func private @g(f32) -> f32

// -----

// C14: no regions but those of scf.if
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      // expected-error @+1 {{'scf.for' op score region: expected ops free of side effects (reads of captures allowed), got an op with regions other than scf.if}}
      %1 = scf.for %x = %c0 to %j step %c1 iter_args(%y = %s) -> f32 {
        scf.yield %y : f32
      }
      flash.yield %1 : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C14: no side effects within scf.if
func.func @f(%q: memref<1x8x64x64xf16>, %c: memref<4xf32>, %o: memref<1x8x64x64xf16>) {
  flash.attention ins(query = %q, key = %q, value = %q : memref<1x8x64x64xf16>, memref<1x8x64x64xf16>, memref<1x8x64x64xf16>)
    captures(%c : memref<4xf32>)
    outs(output = %o : memref<1x8x64x64xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %m: memref<4xf32>):
      %0 = arith.cmpi sle, %j, %i : index
      scf.if %0 {
        // expected-error @+1 {{'memref.store' op score region: expected ops free of side effects (reads of captures allowed), got one that writes, allocates or frees}}
        memref.store %s, %m[%j] : memref<4xf32>
      }
      flash.yield %s : f32
    }
  return
}

// -----

// C14: no calls within scf.if
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %near = arith.cmpi sle, %j, %i : index
      %r = scf.if %near -> f32 {
        // expected-error @+1 {{'func.call' op score region: expected ops free of side effects (reads of captures allowed), got an op of unknown effects}}
        %x = func.call @g(%s) : (f32) -> f32
        scf.yield %x : f32
      } else {
        scf.yield %s : f32
      }
      flash.yield %r : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}
func.func private @g(f32) -> f32

// -----

// C14: no memory of its own
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      // expected-error @+1 {{'memref.alloc' op score region: expected ops free of side effects (reads of captures allowed), got one that writes, allocates or frees}}
      %m = memref.alloc() : memref<4xf32>
      %x = memref.load %m[%j] : memref<4xf32>
      flash.yield %x : f32
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// C14: no barriers
func.func @f(%q: tensor<1x8x64x64xf16>, %k: tensor<1x2x96x64xf16>, %v: tensor<1x2x96x128xf16>, %o: tensor<1x8x64x128xf16>) {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : tensor<1x8x64x64xf16>, tensor<1x2x96x64xf16>, tensor<1x2x96x128xf16>)
    outs(output = %o : tensor<1x8x64x128xf16>)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %r = arith.cmpi sle, %j, %i : index
      // expected-error @+1 {{'gpu.barrier' op mask region: expected ops free of side effects (reads of captures allowed), got an op of unknown effects}}
      gpu.barrier
      flash.yield %r : i1
    }
    -> tensor<1x8x64x128xf16>
  return
}

// -----

// The ops of the regions live nowhere else.
func.func @f() -> index {
  // expected-error @+1 {{'flash.alignment' op expects parent op 'flash.attention'}}
  %0 = flash.alignment : index
  return %0 : index
}

