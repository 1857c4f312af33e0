// RUN: flash-opt %s --split-input-file --verify-diagnostics

// One case for each way to violate constraints T20 to T44, in order.

// T20: rings of barriers.
// expected-error @below {{barrier stages: expected 1 to 64, got 0}}
func.func private @t20(!flash_tile.barrier<0>)

// -----

func.func @t21(%n: index) {
  // T21: slots.
  // expected-error @below {{stages: expected >= 1, got 0}}
  %s, %p = flash_tile.slot %n of 0
  return
}

// -----

func.func @t22() {
  // T22: arrivals.
  // expected-error @below {{arrivals: expected 1 to 1048575, got 0}}
  %b = flash_tile.barrier.init arrivals 0 : !flash_tile.barrier<1>
  return
}

// -----

func.func @t23_arrive(%b: !flash_tile.barrier<2>) {
  %c2 = arith.constant 2 : index
  // T23: stages of barriers.
  // expected-error @below {{stage index: expected 0 to 1, got 2}}
  flash_tile.barrier.arrive per role %b[%c2] : !flash_tile.barrier<2>
  return
}

// -----

func.func @t23_expect(%b: !flash_tile.barrier<2>) {
  %c2 = arith.constant 2 : index
  // T23
  // expected-error @below {{stage index: expected 0 to 1, got 2}}
  flash_tile.barrier.expect %b[%c2] bytes 128 : !flash_tile.barrier<2>
  return
}

// -----

func.func @t23_wait(%b: !flash_tile.barrier<2>, %p: i1) {
  %c2 = arith.constant -1 : index
  // T23
  // expected-error @below {{stage index: expected 0 to 1, got -1}}
  flash_tile.barrier.wait %b[%c2] phase %p : !flash_tile.barrier<2>
  return
}

// -----

func.func @t23_commit(%b: !flash_tile.barrier<2>) {
  %c2 = arith.constant 2 : index
  // T23
  // expected-error @below {{stage index: expected 0 to 1, got 2}}
  flash_tile.commit %b[%c2] : !flash_tile.barrier<2>
  return
}

// -----

func.func @t24(%b: !flash_tile.barrier<2>, %i: index) {
  // T24: bytes.
  // expected-error @below {{bytes: expected 1 to 1048575, got 1048576}}
  flash_tile.barrier.expect %b[%i] bytes 1048576 : !flash_tile.barrier<2>
  return
}

// -----

func.func @t25_id() {
  // T25: named barriers.
  // expected-error @below {{id: expected 1 to 15, got 0}}
  flash_tile.named_barrier.sync 0 threads 128
  return
}

// -----

func.func @t25_threads() {
  // T25
  // expected-error @below {{threads: expected a multiple of 32 up to 1024, got 100}}
  flash_tile.named_barrier.arrive 1 threads 100
  return
}

// -----

// T26: tensor maps.
// expected-error @below {{box rank: expected 1 to 5, got 6}}
func.func private @t26_rank(!flash_tile.tensor_map<1x1x1x1x64x64xbf16>)

// -----

// T26
// expected-error @below {{box extent: expected 1 to 256, got 512}}
func.func private @t26_extent(!flash_tile.tensor_map<512x64xbf16>)

// -----

// T26
// expected-error @below {{box element type: expected an integer or float of whole bytes, got 'i4'}}
func.func private @t26_element(!flash_tile.tensor_map<64x64xi4>)

// -----

// T26
// expected-error @below {{box row bytes: expected a multiple of 16, got 24}}
func.func private @t26_row(!flash_tile.tensor_map<64x12xbf16>)

// -----

// T26
// expected-error @below {{box swizzle: expected bits 1 to 3, shift 3 - bits and panel 16 * 2^bits, got}}
func.func private @t26_swizzle(!flash_tile.tensor_map<64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>)

// -----

// T26
// expected-error @below {{box row bytes: expected at most 64 (the swizzle's span), got 128}}
func.func private @t26_span(!flash_tile.tensor_map<64x64xbf16, #flash_tile.swizzle<bits = 2, shift = 1, panel = 64>>)

// -----

func.func @t27_rank(%m: memref<?x64xbf16>) {
  // T27: the tensor map of a memref.
  // expected-error @below {{box rank: expected 2 (as the memref), got 3}}
  %map = flash_tile.tensor_map %m : memref<?x64xbf16> -> !flash_tile.tensor_map<1x64x64xbf16>
  return
}

// -----

func.func @t27_element(%m: memref<?x64xbf16>) {
  // T27
  // expected-error @below {{box element type: expected 'bf16' (as the memref), got 'f16'}}
  %map = flash_tile.tensor_map %m : memref<?x64xbf16> -> !flash_tile.tensor_map<64x64xf16>
  return
}

// -----

func.func @t27_stride(%m: memref<?x64xbf16, strided<[1, 64]>>) {
  // T27
  // expected-error @below {{memref's last stride: expected 1, got 64}}
  %map = flash_tile.tensor_map %m : memref<?x64xbf16, strided<[1, 64]>> -> !flash_tile.tensor_map<64x64xbf16>
  return
}

// -----

func.func @t28_indices(%m: !flash_tile.tensor_map<64x64xbf16>, %v: !flash_tile.view<64x64xbf16>, %b: !flash_tile.barrier<1>, %i: index) {
  // T28: copies of boxes.
  // expected-error @below {{indices: expected 2 (as the map's axes), got 1}}
  flash_tile.copy_tma %m[%i] to %v signal %b[%i] : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xbf16>, !flash_tile.barrier<1>
  return
}

// -----

func.func @t28_element(%m: !flash_tile.tensor_map<64x64xbf16>, %v: !flash_tile.view<64x64xf16>, %b: !flash_tile.barrier<1>, %i: index) {
  // T28
  // expected-error @below {{view element type: expected 'bf16' (as the map), got 'f16'}}
  flash_tile.copy_tma %m[%i, %i] to %v signal %b[%i] : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xf16>, !flash_tile.barrier<1>
  return
}

// -----

func.func @t28_transposed(%m: !flash_tile.tensor_map<64x64xbf16>, %v: !flash_tile.view<64x64xbf16, transposed>, %i: index) {
  // T28
  // expected-error @below {{view: expected one that is not transposed}}
  %f = flash_tile.store_tma %v to %m[%i, %i] : !flash_tile.view<64x64xbf16, transposed> to !flash_tile.tensor_map<64x64xbf16> -> !flash_tile.future<!flash_tile.view<64x64xbf16, transposed>>
  return
}

// -----

func.func @t28_swizzle(%m: !flash_tile.tensor_map<64x64xbf16>, %v: !flash_tile.view<64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>, %b: !flash_tile.barrier<1>, %i: index) {
  // T28
  // expected-error @below {{view swizzle: expected "none" (as the map), got #flash_tile.swizzle<bits = 3, shift = 0>}}
  flash_tile.copy_tma %m[%i, %i] to %v signal %b[%i] : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>, !flash_tile.barrier<1>
  return
}

// -----

func.func @t28_box(%m: !flash_tile.tensor_map<1x64x64xbf16>, %v: !flash_tile.view<32x64xbf16>, %i: index) {
  // T28
  // expected-error @below {{view shape: expected whole boxes of [1, 64, 64], got [32, 64]}}
  %f = flash_tile.reduce_add_tma %v to %m[%i, %i, %i] : !flash_tile.view<32x64xbf16> to !flash_tile.tensor_map<1x64x64xbf16> -> !flash_tile.future<!flash_tile.view<32x64xbf16>>
  return
}

// -----

func.func @t28_mask(%m: !flash_tile.tensor_map<64x64xbf16>, %v: !flash_tile.view<64x64xbf16>, %b: !flash_tile.barrier<1>, %i: index) {
  // T28
  // expected-error @below {{multicast mask: expected 1 to 65535, got 0}}
  flash_tile.copy_tma %m[%i, %i] to %v signal %b[%i] multicast 0 : !flash_tile.tensor_map<64x64xbf16> to !flash_tile.view<64x64xbf16>, !flash_tile.barrier<1>
  return
}

// -----

func.func @t29_rank(%m: memref<?x?xf32>, %i: index, %r: tensor<8xi32>, %v: tensor<8xi1>) {
  // T29: gathers.
  // expected-error @below {{result rank: expected 2, got 1}}
  %t = flash_tile.gather %m[%i, %i] rows %r if %v : memref<?x?xf32>, tensor<8xi32>, tensor<8xi1> -> tensor<8xf32>
  return
}

// -----

func.func @t29_rows(%m: memref<?x?xf32>, %i: index, %r: tensor<4xi32>, %v: tensor<8xi1>) {
  // T29
  // expected-error @below {{rows shape: expected [8] (the result's rows), got [4]}}
  %t = flash_tile.gather %m[%i, %i] rows %r if %v : memref<?x?xf32>, tensor<4xi32>, tensor<8xi1> -> tensor<8x16xf32>
  return
}

// -----

func.func @t29_valid(%m: memref<?x?xf32>, %i: index, %r: tensor<8xi32>, %v: tensor<8xi32>) {
  // T29
  // expected-error @below {{validity element type: expected i1, got 'i32'}}
  %t = flash_tile.gather %m[%i, %i] rows %r if %v : memref<?x?xf32>, tensor<8xi32>, tensor<8xi32> -> tensor<8x16xf32>
  return
}

// -----

func.func @t30_result(%v: !flash_tile.view<64x64xbf16>, %i: index) {
  // T30: slices of views.
  // expected-error @below {{result: expected '!flash_tile.view<32x64xbf16>' (rows of the source), got '!flash_tile.view<32x32xbf16>'}}
  %r = flash_tile.view_slice %v[%i] : !flash_tile.view<64x64xbf16> -> !flash_tile.view<32x32xbf16>
  return
}

// -----

func.func @t30_rows(%v: !flash_tile.view<64x64xbf16>, %i: index) {
  // T30
  // expected-error @below {{rows: expected a multiple of 8, got 12}}
  %r = flash_tile.view_slice %v[%i] : !flash_tile.view<64x64xbf16> -> !flash_tile.view<12x64xbf16>
  return
}

// -----

func.func @t30_first(%v: !flash_tile.view<64x64xbf16>) {
  %c40 = arith.constant 40 : index
  // T30
  // expected-error @below {{first row: expected a multiple of 8 from 0 to 32, got 40}}
  %r = flash_tile.view_slice %v[%c40] : !flash_tile.view<64x64xbf16> -> !flash_tile.view<32x64xbf16>
  return
}

// -----

func.func @t30_rank(%v: !flash_tile.view<64xbf16>, %i: index) {
  // T30
  // expected-error @below {{view rank: expected 2, got 1}}
  %r = flash_tile.view_slice %v[%i] : !flash_tile.view<64xbf16> -> !flash_tile.view<32xbf16>
  return
}

// -----

func.func @t31(%v: !flash_tile.view<64x128xbf16>) {
  // T31: transposes.
  // expected-error @below {{result: expected '!flash_tile.view<128x64xbf16, transposed>' (the source's axes exchanged), got '!flash_tile.view<128x64xbf16>'}}
  %r = flash_tile.transpose %v : !flash_tile.view<64x128xbf16> -> !flash_tile.view<128x64xbf16>
  return
}

// -----

func.func @t32(%t: tensor<8xf64>, %m: memref<?xf64>, %i: index) {
  // T32: atomics.
  // expected-error @below {{tile element type: expected f32, f16 or bf16, got 'f64'}}
  flash_tile.atomic_add %t, %m[%i] : tensor<8xf64>, memref<?xf64>
  return
}

// -----

func.func @t33_none() {
  // T33: roles.
  // expected-error @below {{roles: expected at least one, got none}}
  flash_tile.warp_groups
  return
}

// -----

func.func @t33_names() {
  // T33
  // expected-error @below {{role names: expected distinct ones, got a twice}}
  flash_tile.warp_groups
  role "a" warps 4 {
  }
  role "a" warps 4 {
  }
  return
}

// -----

func.func @t33_warps() {
  // T33
  // expected-error @below {{warps of role a: expected 1 to 32, got 0}}
  flash_tile.warp_groups
  role "a" warps 0 {
  }
  return
}

// -----

func.func @t33_total() {
  // T33
  // expected-error @below {{warps of all roles: expected at most 32, got 36}}
  flash_tile.warp_groups
  role "a" warps 32 {
  }
  role "b" warps 4 {
  }
  return
}

// -----

func.func @t33_lists() {
  // T33
  // expected-error @below {{roles: expected a name, warps and registers for each of 1 regions, got 1, 2 and 1}}
  "flash_tile.warp_groups"() <{roles = ["a"], warps = array<i64: 4, 4>, registers = array<i64: 0>}> ({
    "flash_tile.end_role"() : () -> ()
  }) : () -> ()
  return
}

// -----

func.func @t34_step() {
  // T34: register budgets.
  // expected-error @below {{registers of role a: expected a multiple of 8 from 24 to 256, got 20}}
  flash_tile.warp_groups
  role "a" warps 4 registers 20 {
  }
  return
}

// -----

func.func @t34_some() {
  // T34
  // expected-error @below {{registers of role b: expected a multiple of 8 from 24 to 256, got 0}}
  flash_tile.warp_groups
  role "a" warps 4 registers 40 {
  }
  role "b" warps 4 {
  }
  return
}

// -----

func.func @t34_group() {
  // T34
  // expected-error @below {{registers of role b: expected 40 (as a, in the same warp group), got 48}}
  flash_tile.warp_groups
  role "a" warps 2 registers 40 {
  }
  role "b" warps 2 registers 48 {
  }
  return
}

// -----

func.func @t34_total() {
  // T34
  // expected-error @below {{registers of all roles: expected at most 65536, got 73728}}
  flash_tile.warp_groups
  role "a" warps 12 registers 192 {
  }
  return
}

// -----

func.func @t34_whole_groups() {
  // T34
  // expected-error @below {{warps of all roles: expected whole warp groups of 4 (register budgets), got 5}}
  flash_tile.warp_groups
  role "a" warps 5 registers 40 {
  }
  return
}

// -----

func.func @t35_tile(%t: tensor<8xf32>) {
  flash_tile.warp_groups
  role "a" warps 4 {
    // T35: what crosses into a role.
    // expected-error @below {{value from outside role a: expected a buffer, tensor memory, barrier, tensor map, memref or scalar, got 'tensor<8xf32>'}}
    %x = arith.negf %t : tensor<8xf32>
  }
  return
}

// -----

func.func @t35_view(%v: !flash_tile.view<8x8xf32>) {
  flash_tile.warp_groups
  role "a" warps 4 {
    // T35
    // expected-error @below {{value from outside role a: expected a buffer, tensor memory, barrier, tensor map, memref or scalar, got '!flash_tile.view<8x8xf32>'}}
    %x = flash_tile.local_load %v : !flash_tile.view<8x8xf32> -> tensor<8x8xf32>
  }
  return
}

// -----

func.func @t35_thread() {
  // expected-note @below {{computed from this}}
  %t = gpu.thread_id x
  %c2 = arith.constant 2 : index
  %u = arith.muli %t, %c2 : index
  flash_tile.warp_groups
  role "a" warps 4 {
    // T35
    // expected-error @below {{scalar from outside role a: expected the same in every thread}}
    %x = arith.addi %u, %c2 : index
  }
  return
}

// -----

func.func @t36_columns(%a: !flash_tile.view<64x16xf16>, %b: !flash_tile.view<16x12xf16>, %c: tensor<64x12xf32>) {
  // T36: asynchronous products.
  // expected-error @below {{columns: expected a multiple of 8, got 12}}
  %f = flash_tile.dot_async %a, %b, %c : !flash_tile.view<64x16xf16>, !flash_tile.view<16x12xf16>, tensor<64x12xf32>
  return
}

// -----

func.func @t36_rows(%a: !flash_tile.view<32x16xf16>, %b: !flash_tile.view<16x16xf16>, %c: tensor<32x16xf32>) {
  // T36
  // expected-error @below {{rows: expected a multiple of 64 (64 per warp group), got 32}}
  %f = flash_tile.dot_async %a, %b, %c : !flash_tile.view<32x16xf16>, !flash_tile.view<16x16xf16>, tensor<32x16xf32>
  return
}

// -----

func.func @t36_depth(%a: !flash_tile.view<64x24xf16>, %b: !flash_tile.view<24x16xf16>, %c: tensor<64x16xf32>) {
  // T36
  // expected-error @below {{depth: expected a multiple of 16 (for 'f16'), got 24}}
  %f = flash_tile.dot_async %a, %b, %c : !flash_tile.view<64x24xf16>, !flash_tile.view<24x16xf16>, tensor<64x16xf32>
  return
}

// -----

func.func @t36_warps(%as: !flash_tile.buffer<1x64x16xf16>, %bs: !flash_tile.buffer<1x16x16xf16>) {
  flash_tile.warp_groups
  role "a" warps 2 {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0.0> : tensor<64x16xf32>
    %a = flash_tile.stage %as[%c0] : !flash_tile.buffer<1x64x16xf16> -> !flash_tile.view<64x16xf16>
    %b = flash_tile.stage %bs[%c0] : !flash_tile.buffer<1x16x16xf16> -> !flash_tile.view<16x16xf16>
    // T36
    // expected-error @below {{warps of the role: expected a multiple of 4 (a warp group), got 2}}
    %f = flash_tile.dot_async %a, %b, %zero : !flash_tile.view<64x16xf16>, !flash_tile.view<16x16xf16>, tensor<64x16xf32>
  }
  return
}

// -----

#mma = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[32, 0], [16, 0]], repeat = [[2, 0, 8]]>
func.func @t36_layout(%a: !flash_tile.view<64x16xf16>, %b: !flash_tile.view<16x16xf16>, %c: tensor<64x16xf32, #mma>) {
  // T36
  // expected-error-re @below {{accumulator layout: expected {{.*}}warp = {{\[\[}}16, 0], [32, 0]]{{.*}} (of wgmma), got}}
  %f = flash_tile.dot_async %a, %b, %c : !flash_tile.view<64x16xf16>, !flash_tile.view<16x16xf16>, tensor<64x16xf32, #mma>
  return
}

// -----

// T40: tiles of tensor memory.
// expected-error @below {{tensor memory lanes: expected 128, got 64}}
func.func private @t40_lanes(!flash_tile.tmem<64x128xf32>)

// -----

// T40
// expected-error @below {{tensor memory rank: expected 2, got 1}}
func.func private @t40_rank(!flash_tile.tmem<128xf32>)

// -----

// T40
// expected-error @below {{tensor memory element type: expected 8, 16 or 32 bits, got 'f64'}}
func.func private @t40_element(!flash_tile.tmem<128x128xf64>)

// -----

// T40
// expected-error @below {{tensor memory columns: expected whole ones of 32 bits, 1 to 512, got 16 bits}}
func.func private @t40_columns(!flash_tile.tmem<128x1xbf16>)

// -----

func.func @t41() {
  // T41: allocs of tensor memory.
  // expected-error @below {{first column: expected 0 to 384 (for 128 columns), got 448}}
  %t = flash_tile.tmem.alloc column 448 : !flash_tile.tmem<128x128xf32>
  return
}

// -----

func.func @t42(%t: !flash_tile.tmem<128x128xf32>) {
  %c96 = arith.constant 96 : index
  // T42: views of tensor memory.
  // expected-error @below {{first column: expected 0 to 64 (for 64 columns), got 96}}
  %v = flash_tile.tmem.view %t[%c96] : !flash_tile.tmem<128x128xf32> -> !flash_tile.tmem<128x128xbf16>
  return
}

// -----

func.func @t42_wider(%t: !flash_tile.tmem<128x128xf32>, %c: index) {
  // T42
  // expected-error @below {{columns: expected at most 128 (as the source), got 256}}
  %v = flash_tile.tmem.view %t[%c] : !flash_tile.tmem<128x128xf32> -> !flash_tile.tmem<128x256xf32>
  return
}

// -----

func.func @t43_shape(%t: !flash_tile.tmem<128x128xf32>) {
  // T43: tensor memory and registers.
  // expected-error @below {{future's tile shape: expected [128, 128] (as the tensor memory), got [128, 64]}}
  %f = flash_tile.tmem.load %t : !flash_tile.tmem<128x128xf32> -> !flash_tile.future<tensor<128x64xf32>>
  return
}

// -----

func.func @t43_future(%t: !flash_tile.tmem<128x128xf32>) {
  // T43
  // expected-error @below {{future: expected one of a register tile, got '!flash_tile.view<128x128xf32>'}}
  %f = flash_tile.tmem.load %t : !flash_tile.tmem<128x128xf32> -> !flash_tile.future<!flash_tile.view<128x128xf32>>
  return
}

// -----

#mma = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[32, 0], [64, 0]], repeat = [[4, 0, 8], [2, 16, 0]]>
func.func @t43_layout(%x: tensor<128x32xf32, #mma>, %t: !flash_tile.tmem<128x32xf32>) {
  // T43
  // expected-error-re @below {{tile layout: expected {{.*}} (a row per thread), got}}
  flash_tile.tmem.store %x, %t : tensor<128x32xf32, #mma>, !flash_tile.tmem<128x32xf32>
  return
}

// -----

func.func @t44_accumulator(%a: !flash_tile.view<128x16xf16>, %b: !flash_tile.view<16x16xf16>, %t: !flash_tile.tmem<128x16xf16>, %p: i1) {
  // T44: products in tensor memory.
  // expected-error @below {{accumulator element type: expected f32, got 'f16'}}
  flash_tile.tmem.dot %a, %b, %t accumulate %p : !flash_tile.view<128x16xf16>, !flash_tile.view<16x16xf16>, !flash_tile.tmem<128x16xf16>
  return
}

// -----

func.func @t44_columns(%a: !flash_tile.view<128x16xf16>, %b: !flash_tile.view<16x24xf16>, %t: !flash_tile.tmem<128x24xf32>, %p: i1) {
  // T44
  // expected-error @below {{columns: expected a multiple of 16 up to 256, got 24}}
  flash_tile.tmem.dot %a, %b, %t accumulate %p : !flash_tile.view<128x16xf16>, !flash_tile.view<16x24xf16>, !flash_tile.tmem<128x24xf32>
  return
}

// -----

func.func @t44_transpose(%a: !flash_tile.tmem<128x128xf16>, %b: !flash_tile.view<128x16xf16>, %t: !flash_tile.tmem<128x16xf32>, %p: i1) {
  // T44
  // expected-error @below {{transpose_a: expected a in shared memory, got tensor memory}}
  flash_tile.tmem.dot %a, %b, %t accumulate %p {transpose_a} : !flash_tile.tmem<128x128xf16>, !flash_tile.view<128x16xf16>, !flash_tile.tmem<128x16xf32>
  return
}
