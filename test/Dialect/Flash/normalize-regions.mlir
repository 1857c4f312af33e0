// RUN: flash-opt %s -split-input-file --flash-normalize-regions | FileCheck %s
// RUN: flash-opt %s -split-input-file --flash-normalize-regions --canonicalize | FileCheck %s --check-prefix=KEPT

!q = tensor<1x1x?x64xf16>

// The casts from index to i8 and back keep eight bits, before the canonicaliser
// and behind it.

// CHECK-LABEL: func.func @bytes
// CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %[[K:.*]]: index):
// CHECK-NEXT: %[[WIDE:.*]] = arith.index_cast %[[K]] : index to i64
// CHECK-NEXT: %[[NARROW:.*]] = arith.trunci %[[WIDE]] : i64 to i8
// CHECK-NEXT: %[[BACK:.*]] = arith.index_cast %[[NARROW]] : i8 to index
// CHECK-NEXT: arith.cmpi slt, %[[BACK]]
// KEPT-LABEL: func.func @bytes
// KEPT: arith.trunci %{{.*}} : i64 to i8
func.func @bytes(%q: !q, %k: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %narrow = arith.index_cast %j : index to i8
      %back = arith.index_cast %narrow : i8 to index
      %live = arith.cmpi slt, %back, %i : index
      flash.yield %live : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x1x?x64xf16>

// CHECK-LABEL: func.func @unsigned
// CHECK: %[[NARROW:.*]] = arith.trunci %{{.*}} : i64 to i32
// CHECK-NEXT: arith.index_castui %[[NARROW]] : i32 to index
// KEPT-LABEL: func.func @unsigned
// KEPT: arith.trunci %{{.*}} : i64 to i32
// 64 bits lose nothing, and what no cast undoes stays as it is.
// CHECK: arith.index_cast %{{.*}} : i64 to index
// CHECK: arith.index_cast %{{.*}} : index to i16
func.func @unsigned(%q: !q, %k: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %narrow = arith.index_castui %j : index to i32
      %back = arith.index_castui %narrow : i32 to index
      %wide = arith.index_cast %i : index to i64
      %same = arith.index_cast %wide : i64 to index
      %half = arith.index_cast %i : index to i16
      %first = arith.constant 5 : i16
      %isLate = arith.cmpi sgt, %half, %first : i16
      %isLess = arith.cmpi slt, %back, %same : index
      %live = arith.andi %isLate, %isLess : i1
      flash.yield %live : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x1x?x64xf16>

// Inside of branches too.

// CHECK-LABEL: func.func @magnitude
// CHECK: scf.if
// CHECK: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK: %[[NEGATIVE:.*]] = arith.subi %[[ZERO]], %[[X:.*]] : index
// CHECK: arith.maxsi %[[X]], %[[NEGATIVE]] : index
// CHECK-NOT: math.absi
func.func @magnitude(%q: !q, %k: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %c8 = arith.constant 8 : index
      %distance = arith.subi %i, %j : index
      %isLate = arith.cmpi sgt, %i, %c8 : index
      %reach = scf.if %isLate -> index {
        %magnitude = math.absi %distance : index
        scf.yield %magnitude : index
      } else {
        scf.yield %j : index
      }
      %live = arith.cmpi sle, %reach, %c8 : index
      flash.yield %live : i1
    } -> !q
  return %0 : !q
}

// -----

!q = tensor<1x1x?x64xf16>

// CHECK-LABEL: func.func @classes
// CHECK: ^bb0(%[[S:.*]]: f32,
// CHECK: %[[NAN:.*]] = arith.cmpf uno, %[[S]], %[[S]] : f32
// CHECK: %[[A:.*]] = math.absf %[[S]] : f32
// CHECK: %[[INF:.*]] = arith.constant 0x7F800000 : f32
// CHECK: arith.cmpf oeq, %[[A]], %[[INF]]
// CHECK: arith.cmpf olt
// CHECK: arith.cmpf olt
// CHECK: %[[LEAST:.*]] = arith.constant 1.17549435E-38 : f32
// CHECK: arith.cmpf oge, %{{.*}}, %[[LEAST]]
// CHECK: %[[LOW:.*]] = math.absf %[[S]] : f32
// CHECK: %[[HIGH:.*]] = math.exp
// CHECK: %[[RAISED:.*]] = arith.maxnumf %[[S]], %[[LOW]]
// CHECK: arith.minnumf %[[RAISED]], %[[HIGH]] : f32
// CHECK-NOT: math.is
func.func @classes(%q: !q, %k: !q, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %k : !q, !q, !q)
    outs(output = %o : !q)
    score {
    ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
      %n = math.isnan %s : f32
      %f = math.isinf %s : f32
      %t = math.isfinite %s : f32
      %m = math.isnormal %s : f32
      %x = arith.xori %n, %f : i1
      %y = arith.xori %t, %m : i1
      %z = arith.xori %x, %y : i1
      %r = arith.uitofp %z : i1 to f32
      %low = math.absf %s : f32
      %high = math.exp %s : f32
      %cut = math.clampf %s to [%low, %high] : f32
      %sum = arith.addf %r, %cut : f32
      flash.yield %sum : f32
    } -> !q
  return %0 : !q
}
