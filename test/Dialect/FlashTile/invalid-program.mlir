// RUN: flash-opt %s --flash-tile-verify --split-input-file --verify-diagnostics

// One case for each way to violate constraints P1 to P14, in order. The same
// checks run on whole kernels in the tests of the three programs.

func.func @p1_nobody_signals(%p: i1) {
  %c0 = arith.constant 0 : index
  // expected-note @below {{barrier initialised here}}
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    // P1: somebody signals, somebody waits.
    // expected-error @below {{in role a: expected a role that signals stage 0 of this barrier, got none}}
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
  }
  return
}

// -----

func.func @p1_nobody_waits() {
  %c1 = arith.constant 1 : index
  // expected-note @below {{barrier initialised here}}
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  flash_tile.warp_groups
  role "a" warps 4 {
    // P1
    // expected-error @below {{in role a: expected a role that waits for stage 1 of this barrier, got none}}
    flash_tile.barrier.arrive per role %b[%c1] : !flash_tile.barrier<2>
  }
  return
}

// -----

func.func @p2_declared(%p: i1) {
  %c0 = arith.constant 0 : index
  // P2: the arrivals of one phase.
  // expected-error @below {{arrivals in one phase of stage 0: expected 4 (as declared), got 5 (1 a + 4 b)}}
  %b = flash_tile.barrier.init arrivals 4 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<1>
  }
  role "b" warps 4 {
    flash_tile.barrier.arrive per warp %b[%c0] : !flash_tile.barrier<1>
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
  }
  return
}

// -----

func.func @p2_every_phase(%p: i1, %q: i1) {
  %c0 = arith.constant 0 : index
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<1>
    scf.if %q {
      // P2
      // expected-error @below {{in role a: expected 1 arrivals in each phase (as elsewhere in the role), got 4}}
      flash_tile.barrier.arrive per warp %b[%c0] : !flash_tile.barrier<1>
    }
  }
  role "b" warps 4 {
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
  }
  return
}

// -----

func.func @p3_bytes(%m: !flash_tile.tensor_map<64x64xbf16>, %p: i1) {
  %c0 = arith.constant 0 : index
  %k = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    %v = flash_tile.stage %k[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
    // P3: the bytes of one phase.
    // expected-error @below {{bytes: expected 16384 (what the copies after it deliver), got 8192}}
    flash_tile.barrier.expect %b[%c0] bytes 8192 : !flash_tile.barrier<1>
    flash_tile.copy_tma %m[%c0, %c0] to %v signal %b[%c0] multicast 3 : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xbf16>, !flash_tile.barrier<1>
  }
  role "b" warps 4 {
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
  }
  return
}

// -----

func.func @p3_unannounced(%m: !flash_tile.tensor_map<64x64xbf16>, %p: i1) {
  %c0 = arith.constant 0 : index
  %k = flash_tile.alloc : !flash_tile.buffer<1x64x64xbf16>
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    %v = flash_tile.stage %k[%c0] : !flash_tile.buffer<1x64x64xbf16> -> !flash_tile.view<64x64xbf16>
    // P3
    // expected-error @below {{in role a: expected a barrier.expect before it in its block for this barrier and stage, got none}}
    flash_tile.copy_tma %m[%c0, %c0] to %v signal %b[%c0] : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xbf16>, !flash_tile.barrier<1>
    flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<1>
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
  }
  return
}

// -----

func.func @p4_constant(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    // expected-note @below {{the loop}}
    scf.for %i = %c0 to %n step %c1 iter_args(%p = %true) -> (i1) {
      flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<1>
      // P4: phases alternate.
      // expected-error @below {{phase: expected one that changes with the loop, got the same in every iteration}}
      flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
      scf.yield %p : i1
    }
  }
  return
}

// -----

// The same with a phase that flips is right.
func.func @p4_flips(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %false = arith.constant false
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "a" warps 4 {
    scf.for %i = %c0 to %n step %c1 iter_args(%p = %false) -> (i1) {
      flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<1>
      flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<1>
      %q = arith.xori %p, %true : i1
      scf.yield %q : i1
    }
  }
  return
}

// -----

func.func @p4_slot(%n: index) {
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  flash_tile.warp_groups
  role "a" warps 4 {
    %s, %p = flash_tile.slot %n of 3
    flash_tile.barrier.arrive per role %b[%s] : !flash_tile.barrier<2>
    // P4
    // expected-error @below {{phase: expected that of a slot of 2 (as the barrier), got 3}}
    flash_tile.barrier.wait %b[%s] phase %p : !flash_tile.barrier<2>
  }
  return
}

// -----

func.func @p4_fixed(%n: index) {
  %c0 = arith.constant 0 : index
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  flash_tile.warp_groups
  role "a" warps 4 {
    %s, %p = flash_tile.slot %n of 2
    flash_tile.barrier.arrive per role %b[%c0] : !flash_tile.barrier<2>
    // P4
    // expected-error @below {{phase: expected that of a slot of 1 (always the same stage), got 2}}
    flash_tile.barrier.wait %b[%c0] phase %p : !flash_tile.barrier<2>
  }
  return
}

// -----

func.func @p4_two_slots(%n: index, %m: index) {
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  flash_tile.warp_groups
  role "a" warps 4 {
    %s, %p = flash_tile.slot %n of 2
    %t, %q = flash_tile.slot %m of 2
    flash_tile.barrier.arrive per role %b[%s] : !flash_tile.barrier<2>
    // P4
    // expected-error @below {{stage: expected that of the slot that gave the phase, got another value}}
    flash_tile.barrier.wait %b[%s] phase %q : !flash_tile.barrier<2>
  }
  return
}

// -----

func.func @p4_no_slot(%n: index, %p: i1) {
  %b = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  flash_tile.warp_groups
  role "a" warps 4 {
    %s, %q = flash_tile.slot %n of 2
    flash_tile.barrier.arrive per role %b[%s] : !flash_tile.barrier<2>
    // P4
    // expected-error @below {{phase: expected that of the slot that gave the stage, got another value}}
    flash_tile.barrier.wait %b[%s] phase %p : !flash_tile.barrier<2>
  }
  return
}

// -----

func.func @p5_threads() {
  flash_tile.warp_groups
  role "a" warps 4 {
    // P5: named barriers.
    // expected-error @below {{threads of named barrier 1: expected 384 (128 a + 256 b), got 256}}
    flash_tile.named_barrier.sync 1 threads 256
  }
  role "b" warps 8 {
    flash_tile.named_barrier.arrive 1 threads 256
  }
  return
}

// -----

func.func @p5_differ() {
  flash_tile.warp_groups
  role "a" warps 4 {
    flash_tile.named_barrier.sync 1 threads 256
  }
  role "b" warps 4 {
    // P5
    // expected-error @below {{threads of named barrier 1: expected 256 (as elsewhere), got 128}}
    flash_tile.named_barrier.arrive 1 threads 128
  }
  return
}

// -----

func.func @p5_no_wait() {
  flash_tile.warp_groups
  role "a" warps 4 {
    // P5
    // expected-error @below {{named barrier 1: expected a role that waits at it, got arrivals only}}
    flash_tile.named_barrier.arrive 1 threads 128
  }
  return
}

// -----

func.func @p6_no_wait() {
  // P6: the cluster's barrier.
  // expected-error @below {{expected a cluster_barrier.wait after it in its block, got none}}
  flash_tile.cluster_barrier.arrive
  return
}

// -----

func.func @p6_no_arrive() {
  // P6
  // expected-error @below {{expected a cluster_barrier.arrive before it in its block, got none}}
  flash_tile.cluster_barrier.wait
  return
}

// -----

func.func @p6_twice() {
  flash_tile.cluster_barrier.arrive
  // P6
  // expected-error @below {{expected a cluster_barrier.wait after the arrival before, got another arrival}}
  flash_tile.cluster_barrier.arrive
  flash_tile.cluster_barrier.wait
  return
}

// -----

!ring = !flash_tile.buffer<2x64x64xbf16>
!tile = !flash_tile.view<64x64xbf16>
!barriers = !flash_tile.barrier<2>
func.func @p7(%m: !flash_tile.tensor_map<64x64xbf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %ks = flash_tile.alloc : !ring
  %full = flash_tile.barrier.init arrivals 1 : !barriers
  %empty = flash_tile.barrier.init arrivals 1 : !barriers
  flash_tile.warp_groups
  role "producer" warps 4 {
    scf.for %i = %c0 to %n step %c1 {
      %s, %p = flash_tile.slot %i of 2
      %free = arith.xori %p, %true : i1
      %v = flash_tile.stage %ks[%s] : !ring -> !tile
      flash_tile.barrier.wait %empty[%s] phase %free : !barriers
      flash_tile.barrier.expect %full[%s] bytes 8192 : !barriers
      flash_tile.copy_tma %m[%i, %c0] to %v signal %full[%s] : !flash_tile.tensor_map<64x64xbf16> to !tile, !barriers
    }
  }
  role "consumer" warps 4 {
    %zero = arith.constant dense<0.0> : tensor<64x64xf32>
    scf.for %i = %c0 to %n step %c1 {
      %s, %p = flash_tile.slot %i of 2
      %v = flash_tile.stage %ks[%s] : !ring -> !tile
      flash_tile.barrier.wait %full[%s] phase %p : !barriers
      // expected-note @below {{the product}}
      %f = flash_tile.dot_async %v, %v, %zero : !tile, !tile, tensor<64x64xf32>
      // P7: no release while a product still reads.
      // expected-error @below {{in role consumer: expected the asynchronous product that reads the released stage to be waited for before, got it still running}}
      flash_tile.barrier.arrive per role %empty[%s] : !barriers
      %r = flash_tile.wait %f : !flash_tile.future<tensor<64x64xf32>>
    }
  }
  return
}

// -----

!ring = !flash_tile.buffer<2x64x64xbf16>
!tile = !flash_tile.view<64x64xbf16>
!barriers = !flash_tile.barrier<2>
func.func @p8_read(%t: memref<?x64xbf16>, %p: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ks = flash_tile.alloc : !ring
  %full = flash_tile.barrier.init arrivals 1 : !barriers
  flash_tile.warp_groups
  role "writer" warps 4 {
    %x = flash_tile.load %t[%c0, %c0] : memref<?x64xbf16> -> tensor<64x64xbf16>
    %v0 = flash_tile.stage %ks[%c0] : !ring -> !tile
    // expected-note @below {{writes it here}}
    flash_tile.local_store %x, %v0 : tensor<64x64xbf16>, !tile
    flash_tile.barrier.arrive per role %full[%c0] : !barriers
    flash_tile.barrier.arrive per role %full[%c1] : !barriers
  }
  role "reader" warps 4 {
    %v0 = flash_tile.stage %ks[%c0] : !ring -> !tile
    flash_tile.barrier.wait %full[%c1] phase %p : !barriers
    // P8: between roles, barriers order accesses. That was another stage's.
    // expected-error @below {{in role reader: reads a tile that role writer writes: expected a barrier.wait before it for this stage of a barrier that role writer signals after, got none}}
    %x = flash_tile.local_load %v0 : !tile -> tensor<64x64xbf16>
    flash_tile.barrier.wait %full[%c0] phase %p : !barriers
  }
  return
}

// -----

!ring = !flash_tile.buffer<1x64xf32>
!tile = !flash_tile.view<64xf32>
func.func @p8_write(%t: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ks = flash_tile.alloc : !ring
  %full = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "writer" warps 4 {
    scf.for %i = %c0 to %n step %c1 {
      %x = flash_tile.load %t[%i] : memref<?xf32> -> tensor<64xf32>
      %v = flash_tile.stage %ks[%c0] : !ring -> !tile
      // P8
      // expected-error @below {{in role writer: writes a tile that role reader reads: expected a barrier.wait before it in the loop for this stage of a barrier that role reader signals after, got none}}
      flash_tile.local_store %x, %v : tensor<64xf32>, !tile
      flash_tile.barrier.arrive per role %full[%c0] : !flash_tile.barrier<1>
    }
  }
  role "reader" warps 4 {
    scf.for %i = %c0 to %n step %c1 {
      %s, %p = flash_tile.slot %i of 1
      %v = flash_tile.stage %ks[%c0] : !ring -> !tile
      flash_tile.barrier.wait %full[%c0] phase %p : !flash_tile.barrier<1>
      // expected-note @below {{reads it here}}
      %x = flash_tile.local_load %v : !tile -> tensor<64xf32>
    }
  }
  return
}

// -----

!tmem = !flash_tile.tmem<128x128xf32>
!tile = !flash_tile.view<128x128xbf16>
func.func @p8_commit(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %false = arith.constant false
  %ks = flash_tile.alloc : !flash_tile.buffer<1x128x128xbf16>
  %s = flash_tile.tmem.alloc column 0 : !tmem
  %full = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  %empty = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
  flash_tile.warp_groups
  role "mma" warps 4 {
    %k = flash_tile.stage %ks[%c0] : !flash_tile.buffer<1x128x128xbf16> -> !tile
    scf.for %i = %c0 to %n step %c1 {
      %u, %p = flash_tile.slot %i of 1
      %q = arith.xori %p, %true : i1
      flash_tile.barrier.wait %empty[%c0] phase %q : !flash_tile.barrier<1>
      // expected-note @below {{writes it here}}
      flash_tile.tmem.dot %k, %k, %s accumulate %false : !tile, !tile, !tmem
      // The product is asynchronous: an arrival says nothing about it.
      flash_tile.barrier.arrive per role %full[%c0] : !flash_tile.barrier<1>
    }
  }
  role "softmax" warps 4 {
    scf.for %i = %c0 to %n step %c1 {
      %u, %p = flash_tile.slot %i of 1
      flash_tile.barrier.wait %full[%c0] phase %p : !flash_tile.barrier<1>
      // P8
      // expected-error @below {{in role softmax: reads a tile that role mma writes: expected a barrier.wait before it in the loop for this stage of a barrier that role mma signals after, got none}}
      %f = flash_tile.tmem.load %s : !tmem -> !flash_tile.future<tensor<128x128xf32>>
      %x = flash_tile.wait %f : !flash_tile.future<tensor<128x128xf32>>
      flash_tile.barrier.arrive per role %empty[%c0] : !flash_tile.barrier<1>
    }
  }
  return
}

// -----

!ring = !flash_tile.buffer<2x64xf32>
!tile = !flash_tile.view<64xf32>
!barriers = !flash_tile.barrier<2>
func.func @p8_announce(%t: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %false = arith.constant false
  %ks = flash_tile.alloc : !ring
  %full = flash_tile.barrier.init arrivals 1 : !barriers
  %empty = flash_tile.barrier.init arrivals 1 : !barriers
  flash_tile.warp_groups
  role "writer" warps 4 {
    scf.for %i = %c0 to %n step %c1 {
      %s, %p = flash_tile.slot %i of 2
      %q = arith.xori %p, %true : i1
      %x = flash_tile.load %t[%i] : memref<?xf32> -> tensor<64xf32>
      %v = flash_tile.stage %ks[%s] : !ring -> !tile
      flash_tile.barrier.wait %empty[%s] phase %q : !barriers
      // expected-note @below {{writes it here}}
      flash_tile.local_store %x, %v : tensor<64xf32>, !tile
      flash_tile.barrier.arrive per role %full[%s] : !barriers
    }
  }
  role "reader" warps 4 {
    flash_tile.barrier.wait %full[%c0] phase %false : !barriers
    %v0 = flash_tile.stage %ks[%c0] : !ring -> !tile
    // P8: the stage is wanted again in the loop, but another one is given back.
    // expected-error @below {{in role reader: reads a tile that role writer writes next: expected an arrival after it for this stage of a barrier that role writer waits for, got none}}
    %x0 = flash_tile.local_load %v0 : !tile -> tensor<64xf32>
    flash_tile.barrier.arrive per role %empty[%c1] : !barriers
    scf.for %i = %c1 to %n step %c1 {
      %s, %p = flash_tile.slot %i of 2
      %v = flash_tile.stage %ks[%s] : !ring -> !tile
      flash_tile.barrier.wait %full[%s] phase %p : !barriers
      %x = flash_tile.local_load %v : !tile -> tensor<64xf32>
      flash_tile.barrier.arrive per role %empty[%s] : !barriers
    }
  }
  return
}

// -----

func.func @p9() {
  // expected-note @below {{allocated here}}
  %a = flash_tile.tmem.alloc column 0 : !flash_tile.tmem<128x128xf32>
  // P9: allocs of tensor memory do not overlap.
  // expected-error @below {{columns 64 to 192: expected to be disjoint from other allocs, got overlap with 0 to 128}}
  %b = flash_tile.tmem.alloc column 64 : !flash_tile.tmem<128x128xf32>
  return
}

// -----

func.func @p10() {
  %a = flash_tile.tmem.alloc column 0 : !flash_tile.tmem<128x16xf32>
  flash_tile.warp_groups
  role "a" warps 2 {
    // P10: four warps reach the 128 lanes.
    // expected-error @below {{warps of role a: expected 4 (128 lanes of tensor memory), got 2}}
    %f = flash_tile.tmem.load %a : !flash_tile.tmem<128x16xf32> -> !flash_tile.future<tensor<128x16xf32>>
  }
  return
}

// -----

#columns = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#rows = #flash_tile.layout<register = [[4, 0]], lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>
func.func @p11(%t: tensor<8x8xf32, #columns>, %n: tensor<8x8xi32, #rows>) {
  // P11: elementwise ops change no layout. arith sees to it by itself, math
  // does not always.
  // expected-error @below {{tile layouts: expected the same for all operands and results}}
  %r = math.fpowi %t, %n : tensor<8x8xf32, #columns>, tensor<8x8xi32, #rows>
  return
}

// -----

!ring = !flash_tile.buffer<1x64x64xf16>
!tile = !flash_tile.view<64x64xf16>
func.func @p12(%m: memref<?x64xf16>) {
  %c0 = arith.constant 0 : index
  %ks = flash_tile.alloc : !ring
  %v = flash_tile.stage %ks[%c0] : !ring -> !tile
  // P12: copies are waited for.
  // expected-error @below {{future: expected a flash_tile.wait for it, got none}}
  %f = flash_tile.copy_async %m[%c0, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
  return
}

// -----

!ring = !flash_tile.buffer<1x64x64xf16>
!tile = !flash_tile.view<64x64xf16>
func.func @p13_wait(%m: memref<?x64xf16>) {
  %c0 = arith.constant 0 : index
  %ks = flash_tile.alloc : !ring
  %v = flash_tile.stage %ks[%c0] : !ring -> !tile
  %f = flash_tile.copy_async %m[%c0, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
  // P13: reads come after the wait and a barrier.
  // expected-error @below {{reads a buffer that copy_async fills: expected a flash_tile.wait for the copy before it, got none}}
  %t = flash_tile.local_load %v : !tile -> tensor<64x64xf16>
  %w = flash_tile.wait %f : !flash_tile.future<!tile>
  return
}

// -----

!ring = !flash_tile.buffer<1x64x64xf16>
!tile = !flash_tile.view<64x64xf16>
func.func @p13_barrier(%m: memref<?x64xf16>) {
  %c0 = arith.constant 0 : index
  %ks = flash_tile.alloc : !ring
  %v = flash_tile.stage %ks[%c0] : !ring -> !tile
  %f = flash_tile.copy_async %m[%c0, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
  %w = flash_tile.wait %f : !flash_tile.future<!tile>
  // P13
  // expected-error @below {{reads a buffer that copy_async fills: expected a gpu.barrier between the wait for the copy and the read, got none}}
  %t = flash_tile.local_load %w : !tile -> tensor<64x64xf16>
  return
}

// -----

!ring = !flash_tile.buffer<1x64x64xf16>
!tile = !flash_tile.view<64x64xf16>
func.func @p14_barrier(%m: memref<?x64xf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ks = flash_tile.alloc : !ring
  %v = flash_tile.stage %ks[%c0] : !ring -> !tile
  %f0 = flash_tile.copy_async %m[%c0, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
  scf.for %i = %c0 to %n step %c1 iter_args(%f = %f0) -> (!flash_tile.future<!tile>) {
    %w = flash_tile.wait %f : !flash_tile.future<!tile>
    gpu.barrier
    // expected-note @below {{read here}}
    %t = flash_tile.local_load %w : !tile -> tensor<64x64xf16>
    // P14: copies overwrite a stage after its readers.
    // expected-error @below {{overwrites a stage that other threads may still read: expected a gpu.barrier between the read and the copy, got none}}
    %g = flash_tile.copy_async %m[%i, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
    scf.yield %g : !flash_tile.future<!tile>
  }
  return
}

// -----

!ring = !flash_tile.buffer<1x64x64xf16>
!tile = !flash_tile.view<64x64xf16>
func.func @p14_order(%m: memref<?x64xf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ks = flash_tile.alloc : !ring
  %v = flash_tile.stage %ks[%c0] : !ring -> !tile
  %f0 = flash_tile.copy_async %m[%c0, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
  scf.for %i = %c0 to %n step %c1 iter_args(%f = %f0) -> (!flash_tile.future<!tile>) {
    %w = flash_tile.wait %f : !flash_tile.future<!tile>
    gpu.barrier
    // P14
    // expected-error @below {{overwrites a stage that is read after it: expected the read before the copy, or a wait for the copy between them}}
    %g = flash_tile.copy_async %m[%i, %c0] to %v : memref<?x64xf16> to !tile -> !flash_tile.future<!tile>
    // expected-note @below {{read here}}
    %t = flash_tile.local_load %w : !tile -> tensor<64x64xf16>
    scf.yield %g : !flash_tile.future<!tile>
  }
  return
}
