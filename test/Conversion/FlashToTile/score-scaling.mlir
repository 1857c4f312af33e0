// RUN: flash-opt %s --flash-to-tile | FileCheck %s

// A score region that only multiplies by constants, to a positive factor in all,
// becomes part of the exponent's factor: the maximum is that of the products, and
// scale * c * log2(e) is one number in front of the loop. Every other region is
// evaluated, and scores are in natural units.

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
#unfolded = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false, fold_scale = false>
!t = memref<1x8x64x64xbf16>

// s * 0.5

// CHECK-LABEL: gpu.func @constant
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32 {flash_tile.role = "scale"}
// CHECK:         %[[C:.*]] = arith.constant 0.72134751 : f32
// CHECK:         %[[F:.*]] = arith.mulf %[[SCALE]], %[[C]] : f32
// CHECK:         flash_tile.splat %[[F]] : f32 -> tensor<64x32xf32>
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    flash_tile.reduce max %[[QK]]
// CHECK-NOT:     arith.subf {{.*}} tensor<64x32xf32>
// CHECK:         gpu.return
func.func @constant(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// -(2 * s) / -4, the constant on either side.

// CHECK-LABEL: gpu.func @chain
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32 {flash_tile.role = "scale"}
// CHECK:         %[[C:.*]] = arith.constant 0.72134751 : f32
// CHECK:         %[[F:.*]] = arith.mulf %[[SCALE]], %[[C]] : f32
// CHECK:         flash_tile.splat %[[F]] : f32 -> tensor<64x32xf32>
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    flash_tile.reduce max %[[QK]]
// CHECK-NOT:     arith.subf {{.*}} tensor<64x32xf32>
// CHECK:         gpu.return
func.func @chain(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c2 = arith.constant 2.0 : f32
      %m4 = arith.constant -4.0 : f32
      %0 = arith.mulf %c2, %s : f32
      %1 = arith.negf %0 : f32
      %r = arith.divf %1, %m4 : f32
      flash.yield %r : f32
    }
  return
}

// A capture that is a constant of the function.

// CHECK-LABEL: gpu.func @captured_constant
// CHECK-SAME:    %[[SCALE:[^:]*]]: f32 {flash_tile.role = "scale"}
// CHECK:         %[[C:.*]] = arith.constant 0.72134751 : f32
// CHECK:         %[[F:.*]] = arith.mulf %[[SCALE]], %[[C]] : f32
// CHECK:         flash_tile.splat %[[F]] : f32 -> tensor<64x32xf32>
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    flash_tile.reduce max %[[QK]]
// CHECK-NOT:     arith.subf {{.*}} tensor<64x32xf32>
// CHECK:         gpu.return
func.func @captured_constant(%q: !t, %k: !t, %v: !t, %o: !t) {
  %c = arith.constant 0.5 : f32
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%c : f32)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %x: f32):
      %r = arith.mulf %s, %x : f32
      flash.yield %r : f32
    }
  return
}

// Without fold_scale nothing is folded.

// CHECK-LABEL: gpu.func @step_taken_back
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @step_taken_back(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #unfolded}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// A maximum would become a minimum.

// CHECK-LABEL: gpu.func @negative_constant
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @negative_constant(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant -0.5 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// Two negative factors stay, too: launchers may pass another scale.

// CHECK-LABEL: gpu.func @negative_scale
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @negative_scale(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, scale = -0.125 : f32}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant -0.5 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// All scores are equal.

// CHECK-LABEL: gpu.func @zero
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @zero(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.0 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// The region overflows where one factor with this scale would not.

// CHECK-LABEL: gpu.func @huge
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @huge(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s, scale = 1.0e-25 : f32}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 1.0e+25 : f32
      %r = arith.mulf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// The sign of what is known at run time is not known.

// CHECK-LABEL: gpu.func @captured_number
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @captured_number(%q: !t, %k: !t, %v: !t, %o: !t, %c: f32) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%c : f32)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %x: f32):
      %r = arith.mulf %s, %x : f32
      flash.yield %r : f32
    }
  return
}

// Nor that of a factor per head.

// CHECK-LABEL: gpu.func @captured_array
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @captured_array(%q: !t, %k: !t, %v: !t, %o: !t, %c: memref<8xf32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%c : memref<8xf32>)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index, %f: memref<8xf32>):
      %x = memref.load %f[%h] : memref<8xf32>
      %r = arith.mulf %s, %x : f32
      flash.yield %r : f32
    }
  return
}

// Both factors are the score.

// CHECK-LABEL: gpu.func @square
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %[[S]], %[[S]] : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @square(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %r = arith.mulf %s, %s : f32
      flash.yield %r : f32
    }
  return
}

// The score is the divisor.

// CHECK-LABEL: gpu.func @inverse
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.divf %{{.*}}, %[[S]] : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @inverse(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 2.0 : f32
      %r = arith.divf %c, %s : f32
      flash.yield %r : f32
    }
  return
}

// A constant would move the log-sum-exp.

// CHECK-LABEL: gpu.func @bias
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.addf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @bias(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %r = arith.addf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// No part of a region is folded alone.

// CHECK-LABEL: gpu.func @scaled_bias
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.addf %{{.*}}, %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @scaled_bias(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %0 = arith.mulf %s, %c : f32
      %r = arith.addf %0, %c : f32
      flash.yield %r : f32
    }
  return
}

// What is not linear:

// CHECK-LABEL: gpu.func @magnitude
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = math.absf %[[S]] : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @magnitude(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %r = math.absf %s : f32
      flash.yield %r : f32
    }
  return
}

// CHECK-LABEL: gpu.func @at_least
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.maximumf %[[S]], %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @at_least(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %r = arith.maximumf %s, %c : f32
      flash.yield %r : f32
    }
  return
}

// CHECK-LABEL: gpu.func @softcap
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.mulf %{{.*}}, %{{.*}} : tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @softcap(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c15 = arith.constant 15.0 : f32
      %0 = arith.divf %s, %c15 : f32
      %1 = math.tanh %0 : f32
      %r = arith.mulf %1, %c15 : f32
      flash.yield %r : f32
    }
  return
}

// Another factor for other keys.

// CHECK-LABEL: gpu.func @of_some_keys
// CHECK:         %[[QK:.*]] = flash_tile.dot
// CHECK-NEXT:    %[[S:.*]] = arith.mulf %[[QK]], %{{.*}} : tensor<64x32xf32>
// CHECK:         %[[R:.*]] = arith.select %{{.*}}, %{{.*}}, %[[S]] : tensor<64x32xi1>, tensor<64x32xf32>
// CHECK:         flash_tile.reduce max %[[R]]
// CHECK:         arith.subf %[[R]], %{{.*}} : tensor<64x32xf32>
func.func @of_some_keys(%q: !t, %k: !t, %v: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    outs(output = %o : !t) {schedule = #s}
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %c = arith.constant 0.5 : f32
      %0 = arith.mulf %s, %c : f32
      %near = arith.cmpi sle, %j, %i : index
      %r = arith.select %near, %0, %s : f32
      flash.yield %r : f32
    }
  return
}
