// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-stage-buffers | FileCheck %s
// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-stage-buffers="stages=2" | FileCheck %s --check-prefix=TWO
// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-stage-buffers="stages=3 query-in-registers" | FileCheck %s --check-prefix=THREE

// A GEMM loop: two loads feed one dot. With one stage the reads of an iteration
// are kept apart from the next copy; with more the loop carries the stage.

// CHECK-LABEL: func.func @gemm
// TWO-LABEL: func.func @gemm
// THREE-LABEL: func.func @gemm
func.func @gemm(%A: memref<128x?xf16>, %B: memref<64x?xf16>, %n: index) -> tensor<128x64xf32> {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<128x64xf32>
  // CHECK: %[[ABUF:.*]] = flash_tile.alloc : !flash_tile.buffer<1x128x32xf16>
  // CHECK: %[[BBUF:.*]] = flash_tile.alloc : !flash_tile.buffer<1x64x32xf16>
  // CHECK: scf.for %[[K:[a-z0-9]+]] =
  // CHECK: %[[A0:.*]] = flash_tile.stage %[[ABUF]][%{{.*}}]
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: %[[AF:.*]] = flash_tile.copy_async %arg0[%{{.*}}, %[[K]]] to %[[A0]]
  // CHECK-NEXT: %[[A:.*]] = flash_tile.wait %[[AF]]
  // CHECK-NEXT: gpu.barrier
  // CHECK: %[[B0:.*]] = flash_tile.stage %[[BBUF]][%{{.*}}]
  // CHECK-NEXT: %[[BF:.*]] = flash_tile.copy_async %arg1[%{{.*}}, %[[K]]] to %[[B0]]
  // CHECK-NEXT: %[[B:.*]] = flash_tile.wait %[[BF]]
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: flash_tile.dot %[[A]], %[[B]], %{{.*}} {transpose_b}
  // CHECK-NEXT: scf.yield
  // CHECK: } {flash_tile.pipeline}

  // TWO: %[[ABUF:.*]] = flash_tile.alloc : !flash_tile.buffer<2x128x32xf16>
  // TWO: %[[BBUF:.*]] = flash_tile.alloc : !flash_tile.buffer<2x64x32xf16>
  // TWO: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[I:.*]] = %{{.*}}) -> (tensor<128x64xf32>, index)
  // TWO: flash_tile.stage %[[ABUF]][%[[I]]]
  // TWO: flash_tile.stage %[[BBUF]][%[[I]]]
  // TWO-NEXT: flash_tile.copy_async
  // TWO: %[[ONE:.*]] = arith.constant 1 : index
  // TWO-NEXT: %[[NEXT:.*]] = arith.xori %[[I]], %[[ONE]]
  // TWO-NEXT: scf.yield %{{.*}}, %[[NEXT]]
  // TWO: } {flash_tile.pipeline}

  // THREE: flash_tile.alloc : !flash_tile.buffer<3x128x32xf16>
  // THREE: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[I:.*]] = %{{.*}}) ->
  // THREE-DAG: %[[ZERO:.*]] = arith.constant 0 : index
  // THREE-DAG: %[[LAST:.*]] = arith.constant 2 : index
  // THREE-DAG: %[[WRAPS:.*]] = arith.cmpi eq, %[[I]], %[[LAST]]
  // THREE-DAG: %[[PLUS:.*]] = arith.addi %[[I]]
  // THREE: %[[NEXT:.*]] = arith.select %[[WRAPS]], %[[ZERO]], %[[PLUS]]
  // THREE: scf.yield %{{.*}}, %[[NEXT]]
  %r = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %zero) -> tensor<128x64xf32> {
    %a = flash_tile.load %A[%c0, %k] : memref<128x?xf16> -> tensor<128x32xf16>
    %b = flash_tile.load %B[%c0, %k] : memref<64x?xf16> -> tensor<64x32xf16>
    %d = flash_tile.dot %a, %b, %acc {transpose_b} : tensor<128x32xf16>, tensor<64x32xf16>, tensor<128x64xf32>
    scf.yield %d : tensor<128x64xf32>
  } {flash_tile.pipeline}
  return %r : tensor<128x64xf32>
}

// -----

// Two dots in one iteration: each wait's barrier also keeps the other buffer's
// reads from its next copy, and none is added. The query is loaded once.

// CHECK-LABEL: func.func @two_dots
// THREE-LABEL: func.func @two_dots
func.func @two_dots(%Q: memref<?x64xbf16>, %K: memref<?x64xbf16>, %V: memref<?x64xbf16>, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  // CHECK: flash_tile.copy_async %arg0
  // CHECK-NEXT: %[[Q:.*]] = flash_tile.wait
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: scf.for
  // CHECK-NOT: gpu.barrier
  // CHECK: flash_tile.copy_async %arg1
  // CHECK-NEXT: %[[K:.*]] = flash_tile.wait
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: flash_tile.dot %[[Q]], %[[K]]
  // CHECK-NOT: gpu.barrier
  // CHECK: flash_tile.copy_async %arg2
  // CHECK-NEXT: %[[V:.*]] = flash_tile.wait
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: flash_tile.dot %{{.*}}, %[[V]]
  // CHECK-NEXT: scf.yield

  // THREE: flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  // THREE: flash_tile.alloc : !flash_tile.buffer<3x64x64xbf16>
  // THREE: flash_tile.copy_async %arg0
  // THREE-NEXT: %[[VIEW:.*]] = flash_tile.wait
  // THREE-NEXT: gpu.barrier
  // THREE-NEXT: %[[Q:.*]] = flash_tile.local_load %[[VIEW]] : !flash_tile.view<64x64xbf16> -> tensor<64x64xbf16>
  // THREE: scf.for
  // THREE: flash_tile.dot %[[Q]], %{{.*}} : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>
  %q = flash_tile.load %Q[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
  %r = scf.for %k0 = %c0 to %n step %c64 iter_args(%acc = %zero) -> tensor<64x64xf32> {
    %k = flash_tile.load %K[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    %p = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
    %v = flash_tile.load %V[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %o = flash_tile.dot %p, %v, %acc : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %o : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// -----

// The schedule on the function, by role; an option overrides it.

// CHECK-LABEL: func.func @schedule
// TWO-LABEL: func.func @schedule
func.func @schedule(%Q: memref<?x64xbf16> {flash_tile.role = "q"},
                    %K: memref<?x64xbf16> {flash_tile.role = "k"},
                    %V: memref<?x64xbf16> {flash_tile.role = "v"}, %n: index) -> tensor<64x64xf32>
    attributes {flash_tile.schedule = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 64,
                                                      warps = 4, stages_k = 3, stages_v = 2, query_in_registers = true>} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  // CHECK: flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  // CHECK: flash_tile.alloc : !flash_tile.buffer<3x64x64xbf16>
  // CHECK: flash_tile.alloc : !flash_tile.buffer<2x64x64xbf16>
  // CHECK: flash_tile.local_load
  // CHECK: scf.for {{.*}} -> (tensor<64x64xf32>, index, index)

  // TWO: flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  // TWO: flash_tile.alloc : !flash_tile.buffer<2x64x64xbf16>
  // TWO: flash_tile.alloc : !flash_tile.buffer<2x64x64xbf16>
  // TWO: scf.for {{.*}} -> (tensor<64x64xf32>, index) {
  %q = flash_tile.load %Q[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
  %r = scf.for %k0 = %c0 to %n step %c64 iter_args(%acc = %zero) -> tensor<64x64xf32> {
    %k = flash_tile.load %K[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %s = flash_tile.dot %q, %k, %zero {transpose_b} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    %p = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
    %v = flash_tile.load %V[%k0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %o = flash_tile.dot %p, %v, %acc : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %o : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// -----

// d = 40 is staged as 48 for Q and K, dv = 24 as 32 for V; the accumulator keeps
// its 24 columns.

// CHECK-LABEL: func.func @padded
// THREE-LABEL: func.func @padded
func.func @padded(%Q: memref<?x40xf16>, %K: memref<?x40xf16>, %V: memref<?x24xf16>) -> tensor<64x24xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x32xf32>
  %acc = arith.constant dense<0.0> : tensor<64x24xf32>
  // CHECK: flash_tile.copy_async %arg0[{{.*}} : memref<?x40xf16> to !flash_tile.view<64x48xf16>
  // CHECK: flash_tile.copy_async %arg1[{{.*}} : memref<?x40xf16> to !flash_tile.view<32x48xf16>
  // CHECK: flash_tile.dot {{.*}} {transpose_b} : !flash_tile.view<64x48xf16>, !flash_tile.view<32x48xf16>, tensor<64x32xf32>
  // CHECK: flash_tile.copy_async %arg2[{{.*}} : memref<?x24xf16> to !flash_tile.view<32x32xf16>
  // CHECK: flash_tile.dot {{.*}} : tensor<64x32xf16>, !flash_tile.view<32x32xf16>, tensor<64x24xf32>
  // THREE: flash_tile.dot {{.*}} {transpose_b} : tensor<64x48xf16>, !flash_tile.view<32x48xf16>, tensor<64x32xf32>
  %q = flash_tile.load %Q[%c0, %c0] : memref<?x40xf16> -> tensor<64x40xf16>
  %k = flash_tile.load %K[%c0, %c0] : memref<?x40xf16> -> tensor<32x40xf16>
  %s = flash_tile.dot %q, %k, %zero {transpose_b} : tensor<64x40xf16>, tensor<32x40xf16>, tensor<64x32xf32>
  %p = arith.truncf %s : tensor<64x32xf32> to tensor<64x32xf16>
  %v = flash_tile.load %V[%c0, %c0] : memref<?x24xf16> -> tensor<32x24xf16>
  %o = flash_tile.dot %p, %v, %acc : tensor<64x32xf16>, tensor<32x24xf16>, tensor<64x24xf32>
  return %o : tensor<64x24xf32>
}

// -----

// An output that comes from a dot leaves through shared memory, behind a barrier
// that lets its buffer lie over others; a row vector does not.

// CHECK-LABEL: func.func @output
func.func @output(%Q: memref<?x64xbf16>, %K: memref<?x64xbf16>, %O: memref<?x64xbf16>, %L: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  // CHECK-COUNT-3: flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  // CHECK: %[[O:.*]] = arith.truncf
  // CHECK: %[[VIEW:.*]] = flash_tile.stage
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: flash_tile.local_store %[[O]], %[[VIEW]]
  // CHECK-NEXT: gpu.barrier
  // CHECK-NEXT: %[[ROWS:.*]] = flash_tile.local_load %[[VIEW]]
  // CHECK-NEXT: flash_tile.store %[[ROWS]], %arg2
  // CHECK: %[[M:.*]] = flash_tile.reduce
  // CHECK-NEXT: flash_tile.store %[[M]], %arg3
  %q = flash_tile.load %Q[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
  %k = flash_tile.load %K[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
  %s = flash_tile.dot %q, %k, %zero {transpose_b} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  %o = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
  flash_tile.store %o, %O[%c0, %c0] : tensor<64x64xbf16>, memref<?x64xbf16>
  %m = flash_tile.reduce max %s axis 1 : tensor<64x64xf32> -> tensor<64xf32>
  flash_tile.store %m, %L[%c0] : tensor<64xf32>, memref<?xf32>
  return
}

// -----

// Nothing to do with a dot: nothing goes through shared memory.

// CHECK-LABEL: func.func @elementwise
// CHECK-NOT: flash_tile.alloc
// CHECK: return
func.func @elementwise(%X: memref<?x64xf32>, %Y: memref<?x64xf32>) {
  %c0 = arith.constant 0 : index
  %x = flash_tile.load %X[%c0, %c0] : memref<?x64xf32> -> tensor<64x64xf32>
  %y = math.exp2 %x : tensor<64x64xf32>
  flash_tile.store %y, %Y[%c0, %c0] : tensor<64x64xf32>, memref<?x64xf32>
  return
}

// -----

// The inner loop starts at stage zero again while the last iteration of its
// previous run may still be read: a barrier in front of it.

// TWO-LABEL: func.func @nested
// TWO: scf.for
// TWO: gpu.barrier
// TWO-NEXT: scf.for
func.func @nested(%A: tensor<64x32xf16>, %B: memref<64x?xf16>, %n: index) -> tensor<64x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %zero) -> tensor<64x64xf32> {
    %s = scf.for %k = %c0 to %n step %c32 iter_args(%acc = %sum) -> tensor<64x64xf32> {
      %b = flash_tile.load %B[%c0, %k] : memref<64x?xf16> -> tensor<64x32xf16>
      %d = flash_tile.dot %A, %b, %acc {transpose_b} : tensor<64x32xf16>, tensor<64x32xf16>, tensor<64x64xf32>
      scf.yield %d : tensor<64x64xf32>
    }
    scf.yield %s : tensor<64x64xf32>
  }
  return %r : tensor<64x64xf32>
}

// -----

// A tile that is also used otherwise stays in registers.

// CHECK-LABEL: func.func @other_use
// CHECK-NOT: flash_tile.alloc
func.func @other_use(%A: tensor<16x16xf16>, %B: memref<16x16xf16>) -> (tensor<16x16xf32>, tensor<16x16xf16>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  // expected-remark@below {{not staged: expected dot operands as only users}}
  %b = flash_tile.load %B[%c0, %c0] : memref<16x16xf16> -> tensor<16x16xf16>
  %d = flash_tile.dot %A, %b, %zero : tensor<16x16xf16>, tensor<16x16xf16>, tensor<16x16xf32>
  // expected-note@below {{used here}}
  %n = arith.negf %b : tensor<16x16xf16>
  return %d, %n : tensor<16x16xf32>, tensor<16x16xf16>
}

// -----

// The columns after these 24 belong to the next tile: they are no padding.
func.func @row_inside(%A: tensor<16x24xf16>, %B: memref<16x96xf16>) -> tensor<16x16xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  // expected-error@below {{tile row: expected a multiple of 16 elements or the memref's whole last extent, got 24}}
  %b = flash_tile.load %B[%c0, %c0] : memref<16x96xf16> -> tensor<16x24xf16>
  %d = flash_tile.dot %A, %b, %zero {transpose_b} : tensor<16x24xf16>, tensor<16x24xf16>, tensor<16x16xf32>
  return %d : tensor<16x16xf32>
}

// -----

func.func @depths_differ(%A: tensor<16x24xf16>, %B: memref<16x24xf16>) -> tensor<16x16xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %b = flash_tile.load %B[%c0, %c0] : memref<16x24xf16> -> tensor<16x24xf16>
  // expected-error@below {{depth: expected both operands padded alike, got 24 for a and 32 for b}}
  %d = flash_tile.dot %A, %b, %zero {transpose_b} : tensor<16x24xf16>, tensor<16x24xf16>, tensor<16x16xf32>
  return %d : tensor<16x16xf32>
}

// -----

func.func @depth_is_rows(%A: tensor<16x24xf16>, %B: memref<24x16xf16>) -> tensor<16x16xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %b = flash_tile.load %B[%c0, %c0] : memref<24x16xf16> -> tensor<24x16xf16>
  // expected-error@below {{depth: expected a multiple of 16, got 24}}
  %d = flash_tile.dot %A, %b, %zero : tensor<16x24xf16>, tensor<24x16xf16>, tensor<16x16xf32>
  return %d : tensor<16x16xf32>
}
