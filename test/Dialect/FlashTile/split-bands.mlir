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

// Two ranges in one op, the last of which ends with the loop: four bands, and
// nothing is split twice.

// CHECK-LABEL: func.func @ranges
// CHECK-SAME: %[[N:[a-z0-9]+]]: index, %[[A:[a-z0-9]+]]: index, %[[B:[a-z0-9]+]]: index, %[[C:[a-z0-9]+]]: index
// CHECK: %[[R0:.*]] = scf.for %{{.*}} = %{{.*}} to %[[FROM0:.*]] step
// CHECK: arith.negf
// CHECK: %[[R1:.*]] = scf.for %{{.*}} = %[[FROM0]] to %[[TO0:.*]] step %{{.*}} iter_args(%{{.*}} = %[[R0]])
// CHECK-NOT: arith.negf
// CHECK: %[[R2:.*]] = scf.for %{{.*}} = %[[TO0]] to %[[FROM1:.*]] step %{{.*}} iter_args(%{{.*}} = %[[R1]])
// CHECK: arith.negf
// CHECK: %[[R3:.*]] = scf.for %{{.*}} = %[[FROM1]] to %[[N]] step %{{.*}} iter_args(%{{.*}} = %[[R2]])
// CHECK-NOT: arith.negf
// CHECK-NOT: scf.for
// CHECK: return %[[R3]]
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
