// RUN: flash-opt %s -split-input-file -verify-diagnostics --flash-tile-pipeline

func.func @no_copy(%n: index, %x: tensor<16xf32>) -> tensor<16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error@below {{cannot be pipelined: expected at least one flash_tile.copy_async in the loop}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16xf32> {
    %b = arith.negf %a : tensor<16xf32>
    scf.yield %b : tensor<16xf32>
  } {flash_tile.pipeline}
  return %r : tensor<16xf32>
}

// -----

func.func @side_effect(%n: index, %M: memref<?xf32>, %x: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // expected-error@below {{cannot be pipelined: expected only copies, waits, barriers and reads in the loop}}
    memref.store %x, %M[%i] : memref<?xf32>
  } {flash_tile.pipeline}
  return
}

// -----

func.func @nested_barrier(%n: index, %c: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    scf.if %c {
      // expected-error@below {{cannot be pipelined: expected at the top level of the loop's body}}
      gpu.barrier
    }
  } {flash_tile.pipeline}
  return
}

// -----

!buffer = !flash_tile.buffer<1x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @read_past_the_wait(%n: index, %K: memref<?x16xf16>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    %s = flash_tile.stage %buffer[%c0] : !buffer -> !view
    %f = flash_tile.copy_async %K[%i, %c0] to %s : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    // expected-error@below {{cannot be pipelined: expected to read the buffer through the wait only}}
    %t = flash_tile.local_load %s : !view -> tensor<16x16xf16>
    scf.yield %t : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}

// -----

!buffer = !flash_tile.buffer<2x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @second_copy(%n: index, %K: memref<?x16xf16>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    %s0 = flash_tile.stage %buffer[%c0] : !buffer -> !view
    %f0 = flash_tile.copy_async %K[%i, %c0] to %s0 : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    %v0 = flash_tile.wait %f0 : !flash_tile.future<!view>
    %t0 = flash_tile.local_load %v0 : !view -> tensor<16x16xf16>
    %s1 = flash_tile.stage %buffer[%c1] : !buffer -> !view
    // expected-error@below {{cannot be pipelined: expected to read the buffer through the wait only}}
    %f1 = flash_tile.copy_async %K[%i, %c0] to %s1 : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    %v1 = flash_tile.wait %f1 : !flash_tile.future<!view>
    %t1 = flash_tile.local_load %v1 : !view -> tensor<16x16xf16>
    %t = arith.addf %t0, %t1 : tensor<16x16xf16>
    scf.yield %t : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}

// -----

!buffer = !flash_tile.buffer<1x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @loaded_address(%n: index, %K: memref<?x16xf16>, %table: memref<?xindex>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    // An iteration that does not exist has no entry in the table.
    // expected-note@below {{computed here}}
    %row = memref.load %table[%i] : memref<?xindex>
    %s = flash_tile.stage %buffer[%c0] : !buffer -> !view
    // expected-error@below {{cannot be pipelined: expected pure scalar ops to compute its operands, got memref.load}}
    %f = flash_tile.copy_async %K[%row, %c0] to %s : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    %v = flash_tile.wait %f : !flash_tile.future<!view>
    %t = flash_tile.local_load %v : !view -> tensor<16x16xf16>
    scf.yield %t : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}

// -----

!buffer = !flash_tile.buffer<1x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @carried_unchanged(%n: index, %K: memref<?x16xf16>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  // expected-error@below {{cannot be pipelined: expected every carried value to be computed in the body}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    %s = flash_tile.stage %buffer[%c0] : !buffer -> !view
    %f = flash_tile.copy_async %K[%i, %c0] to %s : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    %v = flash_tile.wait %f : !flash_tile.future<!view>
    %t = flash_tile.local_load %v : !view -> tensor<16x16xf16>
    scf.yield %x : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}

// -----

// A schedule written by hand: only copies and what computes their operands may
// run ahead.
!buffer = !flash_tile.buffer<1x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @wait_ahead(%n: index, %K: memref<?x16xf16>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    %s = flash_tile.stage %buffer[%c0] {flash_tile.stage = 0, flash_tile.order = 0} : !buffer -> !view
    %f = flash_tile.copy_async %K[%i, %c0] to %s {flash_tile.stage = 0, flash_tile.order = 1}
      : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    // expected-error@below {{schedule: expected stage 1 (only copies and pure ops run ahead), got 0}}
    %v = flash_tile.wait %f {flash_tile.stage = 0, flash_tile.order = 2} : !flash_tile.future<!view>
    %t = flash_tile.local_load %v {flash_tile.stage = 1, flash_tile.order = 3} : !view -> tensor<16x16xf16>
    scf.yield %t : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}

// -----

!buffer = !flash_tile.buffer<1x16x16xf16>
!view = !flash_tile.view<16x16xf16>
func.func @half_a_schedule(%n: index, %K: memref<?x16xf16>, %x: tensor<16x16xf16>) -> tensor<16x16xf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %buffer = flash_tile.alloc : !buffer
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<16x16xf16> {
    %s = flash_tile.stage %buffer[%c0] {flash_tile.stage = 0, flash_tile.order = 0} : !buffer -> !view
    // expected-error@below {{schedule: expected attributes flash_tile.stage and flash_tile.order}}
    %f = flash_tile.copy_async %K[%i, %c0] to %s : memref<?x16xf16> to !view -> !flash_tile.future<!view>
    %v = flash_tile.wait %f : !flash_tile.future<!view>
    %t = flash_tile.local_load %v : !view -> tensor<16x16xf16>
    scf.yield %t : tensor<16x16xf16>
  } {flash_tile.pipeline}
  return %r : tensor<16x16xf16>
}
