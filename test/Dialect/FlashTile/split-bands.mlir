// RUN: flash-opt %s -split-input-file --flash-tile-split-bands | FileCheck %s
// RUN: flash-opt %s -split-input-file --flash-tile-split-bands --canonicalize | FileCheck %s --check-prefix=CANON

// Three bands, chained; no range and no branch is left. Attributes stay on all
// of them, and the band inside copies without bounds checks.

// CHECK-LABEL: func.func @three
// CHECK-SAME: %[[N:[a-z0-9]+]]: index, %[[LO:[a-z0-9]+]]: index, %[[HI:[a-z0-9]+]]: index, %[[X:[a-z0-9]+]]: tensor<16x16xf32>
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK: %[[LO0:.*]] = arith.maxsi %[[LO]], %[[C0]]
// CHECK: %[[BEGIN:.*]] = arith.minsi %[[LO0]], %[[N]]
// CHECK: %[[HI0:.*]] = arith.maxsi %[[HI]], %[[C0]]
// CHECK: %[[HI1:.*]] = arith.minsi %[[HI0]], %[[N]]
// CHECK: %[[END:.*]] = arith.maxsi %[[HI1]], %[[BEGIN]]
// CHECK-NOT: flash_tile.in_range
// CHECK-NOT: scf.if
// CHECK: %[[R0:.*]] = scf.for %{{.*}} = %[[C0]] to %[[BEGIN]] step %[[C1]] iter_args(%{{.*}} = %[[X]])
// CHECK: arith.negf
// CHECK: flash_tile.copy_async
// CHECK-NOT: in_bounds
// CHECK: math.absf
// CHECK: } {flash_tile.first_ragged}
// CHECK: %[[R1:.*]] = scf.for %{{.*}} = %[[BEGIN]] to %[[END]] step %[[C1]] iter_args(%{{.*}} = %[[R0]])
// CHECK-NOT: arith.negf
// CHECK: flash_tile.copy_async {{.*}} {in_bounds}
// CHECK-NOT: math.absf
// CHECK: } {flash_tile.first_ragged}
// CHECK: %[[R2:.*]] = scf.for %{{.*}} = %[[END]] to %[[N]] step %[[C1]] iter_args(%{{.*}} = %[[R1]])
// CHECK: arith.negf
// CHECK-NOT: in_bounds
// CHECK: math.absf
// CHECK: return %[[R2]]
func.func @three(%n: index, %lo: index, %hi: index, %x: tensor<16x16xf32>, %K: memref<?x16xf16>,
                 %dst: !flash_tile.view<16x16xf16>) -> tensor<16x16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf32> {
    %full = flash_tile.in_range %i from %lo to %hi
    %b = scf.if %full -> tensor<16x16xf32> {
      scf.yield %a : tensor<16x16xf32>
    } else {
      %masked = arith.negf %a : tensor<16x16xf32>
      scf.yield %masked : tensor<16x16xf32>
    }
    %f = flash_tile.copy_async %K[%i, %c0] to %dst
      : memref<?x16xf16> to !flash_tile.view<16x16xf16> -> !flash_tile.future<!flash_tile.view<16x16xf16>>
    // The same bounds again: part of the same split.
    %again = flash_tile.in_range %i from %lo to %hi
    %c = scf.if %again -> tensor<16x16xf32> {
      scf.yield %b : tensor<16x16xf32>
    } else {
      %guarded = math.absf %b : tensor<16x16xf32>
      scf.yield %guarded : tensor<16x16xf32>
    }
    scf.yield %c : tensor<16x16xf32>
  } {flash_tile.first_ragged}
  return %r : tensor<16x16xf32>
}

// -----

// A range that ends with the loop: two bands.

// CHECK-LABEL: func.func @two
// CHECK: %[[LO:.*]] = arith.maxsi
// CHECK: %[[BEGIN:.*]] = arith.minsi %[[LO]]
// CHECK-NOT: arith.maxsi
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[BEGIN]]
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %arg0
// CHECK-NOT: scf.for
func.func @two(%n: index, %lo: index, %x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16xf32> {
    %full = flash_tile.in_range %i from %lo to %n
    %m = arith.negf %a : tensor<16xf32>
    %b = arith.select %full, %a, %m : tensor<16xf32>
    %c = math.exp2 %b : tensor<16xf32>
    scf.yield %c : tensor<16xf32>
  }
  return %r : tensor<16xf32>
}

// -----

// A range over the whole loop: one loop, without mask code.

// CHECK-LABEL: func.func @whole
// CHECK: scf.for
// CHECK-NOT: arith.select
// CHECK: math.exp2
// CHECK-NOT: scf.for
// CHECK: return
// CANON-LABEL: func.func @whole
// CANON: scf.for
// CANON-NEXT: math.exp2
// CANON-NEXT: scf.yield
func.func @whole(%n: index, %x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16xf32> {
    %full = flash_tile.in_range %i from %c0 to %n
    %m = arith.negf %a : tensor<16xf32>
    %b = arith.select %full, %a, %m : tensor<16xf32>
    %c = math.exp2 %b : tensor<16xf32>
    scf.yield %c : tensor<16xf32>
  }
  return %r : tensor<16xf32>
}

// -----

// Constant bounds: an empty band disappears, here the one inside.

// CANON-LABEL: func.func @empty_band
// CANON: scf.for %{{.*}} = %c0 to %c3
// CANON-NEXT: arith.negf
// CANON: scf.for %{{.*}} = %c3 to %c8
// CANON-NEXT: arith.negf
// CANON-NOT: scf.for
// CANON: return
func.func @empty_band(%x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c8 = arith.constant 8 : index
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%a = %x) -> tensor<16xf32> {
    %full = flash_tile.in_range %i from %c3 to %c2
    %b = scf.if %full -> tensor<16xf32> {
      scf.yield %a : tensor<16xf32>
    } else {
      %m = arith.negf %a : tensor<16xf32>
      scf.yield %m : tensor<16xf32>
    }
    scf.yield %b : tensor<16xf32>
  }
  return %r : tensor<16xf32>
}

// -----

// Bounds that the loop computes, or another value than the induction variable:
// nothing to split at.

// CHECK-LABEL: func.func @not_a_band
// CHECK-COUNT-1: scf.for
// CHECK: flash_tile.in_range
// CHECK: flash_tile.in_range
// CHECK-NOT: scf.for
func.func @not_a_band(%n: index, %j: index, %x: index) -> index {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> index {
    %in0 = flash_tile.in_range %i from %a to %n
    %in1 = flash_tile.in_range %j from %c1 to %n
    %in = arith.andi %in0, %in1 : i1
    %b = arith.select %in, %i, %a : index
    scf.yield %b : index
  }
  return %r : index
}

// -----

// Two ranges in one op, the last of which ends with the loop: two loops in a
// third one, which turns as often as there are ranges.

// CHECK-LABEL: func.func @ranges
// CHECK-SAME: %[[N:[a-z0-9]+]]: index, %[[A:[a-z0-9]+]]: index, %[[B:[a-z0-9]+]]: index, %[[C:[a-z0-9]+]]: index, %[[X:[a-z0-9]+]]: tensor
// CHECK: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK: %[[TRIPS:.*]] = arith.constant 2 : index
// CHECK: %[[R:.*]]:2 = scf.for %{{.*}} = %{{.*}} to %[[TRIPS]] step %{{.*}} iter_args(%[[NEXT:.*]] = %{{.*}}, %[[CARRIED:.*]] = %[[X]])
// CHECK: %[[C1:.*]] = arith.maxsi %[[C]], %[[NEXT]]
// CHECK: %[[BEFORE2:.*]] = arith.cmpi slt, %[[C1]], %[[N]]
// CHECK: %[[FIRST2:.*]] = arith.select %[[BEFORE2]], %[[C1]], %[[N]]
// CHECK: %[[A1:.*]] = arith.maxsi %[[A]], %[[NEXT]]
// CHECK: %[[BEFORE1:.*]] = arith.cmpi slt, %[[A1]], %[[B]]
// CHECK: %[[FIRST1:.*]] = arith.select %[[BEFORE1]], %[[A1]], %[[FIRST2]]
// CHECK: %[[LAST1:.*]] = arith.select %[[BEFORE1]], %[[B]], %[[N]]
// CHECK: %[[FIRST:.*]] = arith.minsi %[[FIRST1]], %[[N]]
// CHECK: %[[LAST:.*]] = arith.minsi %[[LAST1]], %[[N]]
// CHECK: %[[MASKED:.*]] = scf.for %{{.*}} = %[[NEXT]] to %[[FIRST]] step %{{.*}} iter_args(%{{.*}} = %[[CARRIED]])
// CHECK: arith.negf
// CHECK: %[[FULL:.*]] = scf.for %{{.*}} = %[[FIRST]] to %[[LAST]] step %{{.*}} iter_args(%{{.*}} = %[[MASKED]])
// CHECK-NOT: arith.negf
// CHECK-NOT: scf.for
// CHECK: scf.yield %[[LAST]], %[[FULL]]
// CHECK: return %[[R]]#1
func.func @ranges(%n: index, %a: index, %b: index, %c: index, %x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %x) -> tensor<16xf32> {
    %full = flash_tile.in_range %i from %a, %c to %b, %n
    %m = scf.if %full -> tensor<16xf32> {
      scf.yield %acc : tensor<16xf32>
    } else {
      %masked = arith.negf %acc : tensor<16xf32>
      scf.yield %masked : tensor<16xf32>
    }
    %e = math.exp2 %m : tensor<16xf32>
    scf.yield %e : tensor<16xf32>
  }
  return %r : tensor<16xf32>
}

// -----

// A jump at %s, for the iteration itself and for the second one behind it. The
// loop without mask compares nothing: the results are selected in front of it,
// and it ends two iterations before %s.

// CHECK-LABEL: func.func @jumps
// CHECK-SAME: %[[N:[a-z0-9]+]]: index, %[[A:[a-z0-9]+]]: index, %[[B:[a-z0-9]+]]: index, %[[S:[a-z0-9]+]]: index
// CHECK: %[[CUT:.*]] = arith.subi %[[S]], %c2{{.*}} : index
// CHECK: %[[TRIPS:.*]] = arith.constant 3 : index
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[TRIPS]] step
// CHECK: %[[FIRST:.*]] = arith.minsi %{{.*}}, %[[N]]
// CHECK: %[[END:.*]] = arith.minsi %{{.*}}, %[[N]]
// CHECK: %[[NEARER:.*]] = arith.minsi %[[END]], %[[CUT]]
// CHECK: %[[BEFORE:.*]] = arith.cmpi slt, %[[FIRST]], %[[CUT]]
// CHECK: %[[LAST:.*]] = arith.select %[[BEFORE]], %[[NEARER]], %[[END]]
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[FIRST]]
// CHECK: arith.cmpi sge, %[[I]], %[[S]]
// CHECK: arith.negf
// CHECK: %[[NOW:.*]] = arith.cmpi sge, %[[FIRST]], %[[S]]
// CHECK: arith.select %[[NOW]], %{{.*}}, %{{.*}} : index
// CHECK: %[[AHEAD:.*]] = arith.addi %[[FIRST]], %c2{{.*}} : index
// CHECK: %[[SOON:.*]] = arith.cmpi sge, %[[AHEAD]], %[[S]]
// CHECK: arith.select %[[SOON]], %{{.*}}, %{{.*}} : index
// CHECK: scf.for %{{.*}} = %[[FIRST]] to %[[LAST]]
// CHECK-NOT: arith.cmpi
// CHECK-NOT: arith.select
// CHECK: return
func.func private @visit(index, index)
func.func @jumps(%n: index, %a: index, %b: index, %s: index, %x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c7 = arith.constant 7 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %x) -> tensor<16xf32> {
    %behind = arith.cmpi sge, %i, %s : index
    %base = arith.select %behind, %c7, %c0 : index
    %tile = arith.subi %base, %i : index
    %i2 = arith.addi %i, %c2 : index
    %behind2 = arith.cmpi sge, %i2, %s : index
    %base2 = arith.select %behind2, %c7, %c0 : index
    %tile2 = arith.subi %base2, %i2 : index
    func.call @visit(%tile, %tile2) : (index, index) -> ()
    %full = flash_tile.in_range %i from %a to %b
    %m = scf.if %full -> tensor<16xf32> {
      scf.yield %acc : tensor<16xf32>
    } else {
      %masked = arith.negf %acc : tensor<16xf32>
      scf.yield %masked : tensor<16xf32>
    }
    scf.yield %m : tensor<16xf32>
  } {flash_tile.jumps}
  return %r : tensor<16xf32>
}
