// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers --flash-tile-pipeline --canonicalize --cse | FileCheck %s
// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers="stages=2" --flash-tile-pipeline --canonicalize --cse | FileCheck %s --check-prefix=TWO
// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers="stages=3" --flash-tile-pipeline --canonicalize --cse | FileCheck %s --check-prefix=THREE
// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers="stages-k=3 stages-v=2" --flash-tile-pipeline --canonicalize --cse | FileCheck %s --check-prefix=MIXED
// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers="stages-k=2 stages-v=1" --flash-tile-pipeline --canonicalize --cse | FileCheck %s --check-prefix=KTWO
// RUN: flash-opt %s -split-input-file --flash-tile-stage-buffers="stages-k=1 stages-v=2" --flash-tile-pipeline --canonicalize --cse | FileCheck %s --check-prefix=VTWO

// Attention's loop, one stage each: two barriers per iteration, V(n) behind the
// first, K(n + 1) behind the second, which stands in front of the row maximum.
// The prologue's copy is predicated: there may be no iteration. Q is waited for
// behind it.

// CHECK-LABEL: func.func @attention
// CHECK-SAME: %[[Q:[a-z0-9]+]]: {{[^,]*}}, %[[K:[a-z0-9]+]]: {{[^,]*}}, %[[V:[a-z0-9]+]]: {{[^,]*}}, %[[N:[a-z0-9]+]]: index
// CHECK: %[[QF:.*]] = flash_tile.copy_async %[[Q]]
// CHECK: %[[ANY:.*]] = arith.cmpi sgt, %[[N]], %c0
// CHECK: %[[K0:.*]] = flash_tile.copy_async %[[K]][%c0, %c0] to %[[KV:.*]] if %[[ANY]] :
// CHECK-NEXT: %[[QV:.*]] = flash_tile.wait %[[QF]] {in_flight = 1 : i64}
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: scf.for %[[I:[a-z0-9]+]] = {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %[[KF:.*]] = %[[K0]])
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[I]]
// CHECK: %[[KV1:.*]] = flash_tile.wait %[[KF]] :
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[ROW:.*]] = arith.muli %[[I]], %c64
// CHECK: %[[VF:.*]] = flash_tile.copy_async %[[V]][%[[ROW]], %c0] to %{{[0-9]+}} :
// CHECK-NEXT: flash_tile.dot %[[QV]], %[[KV1]]
// CHECK-NEXT: flash_tile.in_range %[[I]] from
// CHECK-NEXT: scf.if
// CHECK: %[[VV:.*]] = flash_tile.wait %[[VF]] :
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[I1:.*]] = arith.addi %[[I]], %c1
// CHECK-NEXT: %[[ROW1:.*]] = arith.muli %[[I1]], %c64
// CHECK-NEXT: %[[NEXT:.*]] = flash_tile.copy_async %[[K]][%[[ROW1]], %c0] to %[[KV]] if %[[MORE]] {in_bounds}
// CHECK-NEXT: flash_tile.reduce max
// CHECK-NOT: gpu.barrier
// CHECK: flash_tile.dot %{{.*}}, %[[VV]]
// CHECK-NEXT: scf.yield %{{.*}}, %{{.*}}, %[[NEXT]]
// CHECK: } {flash_tile.first_ragged}

// Two stages each: one wait, one barrier, then the next tile into the other
// stage.

// TWO-LABEL: func.func @attention
// TWO: flash_tile.wait %{{.*}} {in_flight = 2 : i64}
// TWO-NEXT: gpu.barrier
// TWO-NEXT: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %[[S:.*]] = %c1, %[[KF:.*]] = %{{.*}}, %[[VF:.*]] = %{{.*}}) ->
// TWO: %[[KV:.*]]:2 = flash_tile.wait %[[KF]], %[[VF]] :
// TWO-NEXT: gpu.barrier
// TWO: %[[KD:.*]] = flash_tile.stage %{{.*}}[%[[S]]]
// TWO-NEXT: %[[KN:.*]] = flash_tile.copy_async {{.*}} to %[[KD]] if %{{.*}} {in_bounds}
// TWO-NEXT: %[[VD:.*]] = flash_tile.stage %{{.*}}[%[[S]]]
// TWO-NEXT: %[[VN:.*]] = flash_tile.copy_async {{.*}} to %[[VD]] if %{{.*}} {in_bounds}
// TWO-NEXT: flash_tile.dot %{{.*}}, %[[KV]]#0
// TWO-NOT: gpu.barrier
// TWO: flash_tile.dot %{{.*}}, %[[KV]]#1
// TWO: %[[SN:.*]] = arith.xori %[[S]], %c1
// TWO-NOT: gpu.barrier
// TWO: scf.yield %{{.*}}, %{{.*}}, %[[SN]], %[[KN]], %[[VN]]

// Three: two tiles ahead, and those of one iteration may be in flight.

// THREE-LABEL: func.func @attention
// THREE-COUNT-5: flash_tile.copy_async
// THREE: flash_tile.wait %{{.*}} {in_flight = 4 : i64}
// THREE: scf.for
// THREE: flash_tile.wait %{{.*}}, %{{.*}} {in_flight = 2 : i64}
// THREE-NEXT: gpu.barrier
// THREE-COUNT-2: flash_tile.copy_async
// THREE-NOT: gpu.barrier
// THREE: flash_tile.dot
// THREE-NOT: arith.remsi
// THREE: arith.select %{{.*}}, %c0, %{{.*}} : index
// THREE-NEXT: scf.yield

// K two iterations ahead, V one: K(0), V(0), K(1) go in front. In the loop
// V(n + 1), K(n + 2) are issued in this order, and when V(n) is needed only
// K(n + 1) is younger.

// MIXED-LABEL: func.func @attention
// MIXED-SAME: %[[Q:[a-z0-9]+]]: {{[^,]*}}, %[[K:[a-z0-9]+]]: {{[^,]*}}, %[[V:[a-z0-9]+]]: {{[^,]*}}, %[[N:[a-z0-9]+]]: index
// MIXED: flash_tile.copy_async %[[K]][%c0, %c0]
// MIXED: flash_tile.copy_async %[[V]][%c0, %c0]
// MIXED: flash_tile.copy_async %[[K]][%c64, %c0]
// MIXED: flash_tile.wait %{{.*}} {in_flight = 3 : i64}
// MIXED: scf.for
// MIXED: flash_tile.wait %{{.*}}, %{{.*}} {in_flight = 1 : i64}
// MIXED-NEXT: gpu.barrier
// MIXED: flash_tile.copy_async %[[V]]
// MIXED: flash_tile.copy_async %[[K]]
// MIXED-NOT: gpu.barrier
// MIXED: scf.yield

// KTWO-LABEL: func.func @attention
// KTWO-SAME: %[[Q:[a-z0-9]+]]: {{[^,]*}}, %[[K:[a-z0-9]+]]: {{[^,]*}}, %[[V:[a-z0-9]+]]: {{[^,]*}}, %[[N:[a-z0-9]+]]: index
// KTWO: scf.for
// KTWO: flash_tile.wait %{{[a-z0-9]+}} :
// KTWO-NEXT: gpu.barrier
// KTWO: flash_tile.copy_async %[[V]]
// KTWO: flash_tile.copy_async %[[K]]
// KTWO: flash_tile.wait %{{.*}} {in_flight = 1 : i64}
// KTWO-NEXT: gpu.barrier
// KTWO-NOT: gpu.barrier
// KTWO: scf.yield

// No phase follows the last read of K: a barrier of its own does.

// VTWO-LABEL: func.func @attention
// VTWO-SAME: %[[Q:[a-z0-9]+]]: {{[^,]*}}, %[[K:[a-z0-9]+]]: {{[^,]*}}, %[[V:[a-z0-9]+]]: {{[^,]*}}, %[[N:[a-z0-9]+]]: index
// VTWO: scf.for
// VTWO: flash_tile.wait %{{.*}}, %{{.*}} :
// VTWO-NEXT: gpu.barrier
// VTWO: flash_tile.copy_async %[[V]]
// VTWO: flash_tile.dot
// VTWO-NEXT: gpu.barrier
// VTWO-NEXT: flash_tile.copy_async %[[K]]
// VTWO-NOT: gpu.barrier
// VTWO: scf.yield
func.func @attention(%Q: memref<?x64xbf16> {flash_tile.role = "q"}, %K: memref<?x64xbf16> {flash_tile.role = "k"},
                     %V: memref<?x64xbf16> {flash_tile.role = "v"}, %n: index, %lo: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %minf = arith.constant dense<0xFF800000> : tensor<64xf32>
  %q = flash_tile.load %Q[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero, %m = %minf) -> (tensor<64x64xf32>, tensor<64xf32>) {
    %k0 = arith.muli %i, %c64 : index
    %k = flash_tile.load %K[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    %full = flash_tile.in_range %i from %lo to %n
    %sm = scf.if %full -> tensor<64x64xf32> {
      scf.yield %s : tensor<64x64xf32>
    } else {
      %masked = arith.negf %s : tensor<64x64xf32>
      scf.yield %masked : tensor<64x64xf32>
    }
    %mt = flash_tile.reduce max %sm axis 1 : tensor<64x64xf32> -> tensor<64xf32>
    %mn = arith.maxnumf %m, %mt : tensor<64xf32>
    %mx = flash_tile.expand %mn axis 1 : tensor<64xf32> -> tensor<64x64xf32>
    %e = arith.subf %sm, %mx : tensor<64x64xf32>
    %p = arith.truncf %e : tensor<64x64xf32> to tensor<64x64xbf16>
    %v = flash_tile.load %V[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %o = flash_tile.dot %p, %v, %acc : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %o, %mn : tensor<64x64xf32>, tensor<64xf32>
  } {flash_tile.pipeline, flash_tile.first_ragged}
  return %r#0 : tensor<64x64xf32>
}

// -----

// A GEMM loop: both operands in one phase. With one stage the copies follow a
// barrier behind the dot.

// CHECK-LABEL: func.func @gemm
// CHECK: scf.for
// CHECK: %[[AB:.*]]:2 = flash_tile.wait %{{.*}}, %{{.*}} :
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[ACC:.*]] = flash_tile.dot %[[AB]]#0, %[[AB]]#1
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[K1:.*]] = arith.addi %{{.*}}, %c32
// CHECK-NEXT: %[[A1:.*]] = flash_tile.copy_async %arg0[%c0, %[[K1]]] {{.*}} if %{{[0-9]+}} :
// CHECK-NEXT: %[[B1:.*]] = flash_tile.copy_async %arg1[%c0, %[[K1]]] {{.*}} if %{{[0-9]+}} :
// CHECK-NEXT: scf.yield %[[ACC]], %[[A1]], %[[B1]]

// TWO-LABEL: func.func @gemm
// TWO: scf.for
// TWO: flash_tile.wait %{{.*}}, %{{.*}} :
// TWO-NEXT: gpu.barrier
// TWO-COUNT-2: flash_tile.copy_async
// TWO-NEXT: flash_tile.dot
// TWO-NOT: gpu.barrier
// TWO: scf.yield

// THREE-LABEL: func.func @gemm
// THREE-COUNT-4: flash_tile.copy_async
// THREE: scf.for
// THREE: flash_tile.wait %{{.*}}, %{{.*}} {in_flight = 2 : i64}
func.func @gemm(%A: memref<128x?xf16>, %B: memref<64x?xf16>, %n: index) -> tensor<128x64xf32> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<128x64xf32>
  %r = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<128x64xf32> {
    %a = flash_tile.load %A[%c0, %k] : memref<128x?xf16> -> tensor<128x32xf16>
    %b = flash_tile.load %B[%c0, %k] : memref<64x?xf16> -> tensor<64x32xf16>
    %d = flash_tile.dot %a, %b, %acc {transpose_b} : tensor<128x32xf16>, tensor<64x32xf16>, tensor<128x64xf32>
    scf.yield %d : tensor<128x64xf32>
  } {flash_tile.pipeline}
  return %r : tensor<128x64xf32>
}

// -----

// Constant bounds: the prologue needs no predicate while its iterations exist,
// and has a false one where they do not (one iteration, two ahead).

// CHECK-LABEL: func.func @constant_trip_count
// CHECK: flash_tile.copy_async %arg0[%c0, %c0] to %{{[0-9]+}} :

// THREE-LABEL: func.func @constant_trip_count
// THREE-DAG: %[[FALSE:.*]] = arith.constant false
// THREE: flash_tile.copy_async %arg0[%c0, %c0] to %{{[0-9]+}} :
// THREE: flash_tile.copy_async %arg0[%c0, %c32] to %{{[0-9]+}} if %[[FALSE]]
func.func @constant_trip_count(%B: memref<64x32xf16>, %a: tensor<16x32xf16>) -> tensor<16x64xf32> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<16x64xf32>
  %r = scf.for %k = %c0 to %c32 step %c32 iter_args(%acc = %zero) -> tensor<16x64xf32> {
    %b = flash_tile.load %B[%c0, %k] : memref<64x32xf16> -> tensor<64x32xf16>
    %d = flash_tile.dot %a, %b, %acc {transpose_b} : tensor<16x32xf16>, tensor<64x32xf16>, tensor<16x64xf32>
    scf.yield %d : tensor<16x64xf32>
  } {flash_tile.pipeline}
  return %r : tensor<16x64xf32>
}

// -----

// No row of any iteration is outside: no copy checks, the prologue's included.

// CHECK-LABEL: func.func @never_ragged
// CHECK: flash_tile.copy_async {{.*}} {in_bounds}
// CHECK: scf.for
// CHECK: flash_tile.copy_async {{.*}} {in_bounds}
func.func @never_ragged(%B: memref<64x?xf16>, %a: tensor<16x32xf16>, %n: index) -> tensor<16x64xf32> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<16x64xf32>
  %r = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<16x64xf32> {
    %b = flash_tile.load %B[%c0, %k] : memref<64x?xf16> -> tensor<64x32xf16>
    %d = flash_tile.dot %a, %b, %acc {transpose_b} : tensor<16x32xf16>, tensor<64x32xf16>, tensor<16x64xf32>
    scf.yield %d : tensor<16x64xf32>
  } {flash_tile.pipeline, flash_tile.never_ragged}
  return %r : tensor<16x64xf32>
}

// -----

// Not marked: left as it is.

// CHECK-LABEL: func.func @unmarked
// CHECK: scf.for
// CHECK: flash_tile.copy_async
// CHECK-NOT: flash_tile.copy_async
// CHECK: return
func.func @unmarked(%B: memref<64x?xf16>, %a: tensor<16x32xf16>, %n: index) -> tensor<16x64xf32> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<16x64xf32>
  %r = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<16x64xf32> {
    %b = flash_tile.load %B[%c0, %k] : memref<64x?xf16> -> tensor<64x32xf16>
    %d = flash_tile.dot %a, %b, %acc {transpose_b} : tensor<16x32xf16>, tensor<64x32xf16>, tensor<16x64xf32>
    scf.yield %d : tensor<16x64xf32>
  }
  return %r : tensor<16x64xf32>
}
