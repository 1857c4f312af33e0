// RUN: flash-opt %s --verify-roundtrip | FileCheck %s
// RUN: flash-opt %s --mlir-print-op-generic | flash-opt | FileCheck %s
// RUN: flash-opt %s --emit-bytecode | flash-opt | FileCheck %s

// One function per construct; the assembly of each op is what is checked.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = [[16, 0]], repeat = [[5, 0, 8]], warp_repeat = [[3, 32, 0]]>
#swizzle = #flash_tile.swizzle<bits = 3, shift = 0>
#panels = #flash_tile.swizzle<bits = 3, shift = 0, panel = 128>

// CHECK-LABEL: @layouts
// CHECK-SAME: tensor<96x40xf32, #flash_tile.layout<register = {{\[\[}}0, 1], [8, 0]], lane = {{\[\[}}0, 2], [0, 4], [1, 0], [2, 0], [4, 0]], warp = {{\[\[}}16, 0]], repeat = {{\[\[}}5, 0, 8]], warp_repeat = {{\[\[}}3, 32, 0]]>>
func.func @layouts(%t: tensor<96x40xf32, #acc>) {
  return
}

// CHECK-LABEL: @shared_memory
func.func @shared_memory(%i: index, %t: tensor<64x128xbf16>) {
  // CHECK: %[[K:.*]] = flash_tile.alloc : !flash_tile.buffer<2x64x128xbf16, #flash_tile.swizzle<bits = 3, shift = 0>>
  %k = flash_tile.alloc : !flash_tile.buffer<2x64x128xbf16, #swizzle>
  // CHECK: flash_tile.alloc {offset = 128 : i64} : !flash_tile.buffer<1x64xf32>
  %row = flash_tile.alloc {offset = 128 : i64} : !flash_tile.buffer<1x64xf32>
  // CHECK: %[[V:.*]] = flash_tile.stage %[[K]][%{{.*}}]
  %v = flash_tile.stage %k[%i] : !flash_tile.buffer<2x64x128xbf16, #swizzle> -> !flash_tile.view<64x128xbf16, #swizzle>
  // CHECK: flash_tile.local_store %{{.*}}, %[[V]] : tensor<64x128xbf16>, !flash_tile.view<64x128xbf16, #{{.*}}>
  flash_tile.local_store %t, %v : tensor<64x128xbf16>, !flash_tile.view<64x128xbf16, #swizzle>
  // CHECK: flash_tile.view_slice %[[V]][%{{.*}}]
  %h = flash_tile.view_slice %v[%i] : !flash_tile.view<64x128xbf16, #swizzle> -> !flash_tile.view<16x128xbf16, #swizzle>
  // CHECK: %[[T:.*]] = flash_tile.transpose %[[V]] : {{.*}} -> !flash_tile.view<128x64xbf16, #{{.*}}, transposed>
  %x = flash_tile.transpose %v : !flash_tile.view<64x128xbf16, #swizzle> -> !flash_tile.view<128x64xbf16, #swizzle, transposed>
  // CHECK: flash_tile.transpose %[[T]] : !flash_tile.view<128x64xbf16, #{{.*}}, transposed> -> !flash_tile.view<64x128xbf16, #{{.*}}>
  %y = flash_tile.transpose %x : !flash_tile.view<128x64xbf16, #swizzle, transposed> -> !flash_tile.view<64x128xbf16, #swizzle>
  // CHECK: flash_tile.local_load %[[T]] : {{.*}} -> tensor<128x64xbf16>
  %l = flash_tile.local_load %x : !flash_tile.view<128x64xbf16, #swizzle, transposed> -> tensor<128x64xbf16>
  return
}

// CHECK-LABEL: @global_memory
func.func @global_memory(%K: memref<?x128xbf16>, %V: memref<?xf32>, %i: index, %more: i1, %v: !flash_tile.view<64x128xbf16>, %rows: tensor<64xi32>, %valid: tensor<64xi1>) {
  // CHECK: %[[T:.*]] = flash_tile.load %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x128xbf16> -> tensor<64x128xbf16>
  %t = flash_tile.load %K[%i, %i] : memref<?x128xbf16> -> tensor<64x128xbf16>
  // CHECK: flash_tile.load %{{.*}}[%{{.*}}] : memref<?xf32> -> tensor<64xf32>
  %r = flash_tile.load %V[%i] : memref<?xf32> -> tensor<64xf32>
  // CHECK: flash_tile.store %[[T]], %{{.*}}[%{{.*}}, %{{.*}}] : tensor<64x128xbf16>, memref<?x128xbf16>
  flash_tile.store %t, %K[%i, %i] : tensor<64x128xbf16>, memref<?x128xbf16>
  // CHECK: flash_tile.atomic_add %[[T]], %{{.*}}[%{{.*}}, %{{.*}}]
  flash_tile.atomic_add %t, %K[%i, %i] : tensor<64x128xbf16>, memref<?x128xbf16>
  // CHECK: flash_tile.gather %{{.*}}[%{{.*}}, %{{.*}}] rows %{{.*}} if %{{.*}} : memref<?x128xbf16>, tensor<64xi32>, tensor<64xi1> -> tensor<64x128xbf16>
  %g = flash_tile.gather %K[%i, %i] rows %rows if %valid : memref<?x128xbf16>, tensor<64xi32>, tensor<64xi1> -> tensor<64x128xbf16>
  // CHECK: flash_tile.copy_async %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}} : memref
  %f = flash_tile.copy_async %K[%i, %i] to %v : memref<?x128xbf16> to !flash_tile.view<64x128xbf16> -> !flash_tile.future<!flash_tile.view<64x128xbf16>>
  // CHECK: flash_tile.copy_async %{{.*}}[%{{.*}}, %{{.*}}] to %{{.*}} if %{{.*}} {alignment = 8 : i64, in_bounds} : memref
  %p = flash_tile.copy_async %K[%i, %i] to %v if %more {in_bounds, alignment = 8 : i64} : memref<?x128xbf16> to !flash_tile.view<64x128xbf16> -> !flash_tile.future<!flash_tile.view<64x128xbf16>>
  // CHECK: flash_tile.wait %{{.*}}, %{{.*}} {in_flight = 1 : i64} : !flash_tile.future<!flash_tile.view<64x128xbf16>>, !flash_tile.future
  %w:2 = flash_tile.wait %f, %p {in_flight = 1 : i64} : !flash_tile.future<!flash_tile.view<64x128xbf16>>, !flash_tile.future<!flash_tile.view<64x128xbf16>>
  return
}

// CHECK-LABEL: @in_global_memory
func.func @in_global_memory(%K: memref<?x64xbf16>, %q: tensor<128x64xbf16>, %s: tensor<128x32xf32>, %i: index) {
  // CHECK: %[[K:.*]] = flash_tile.global_tile %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x64xbf16> -> !flash_tile.global_tile<32x64xbf16>
  %k = flash_tile.global_tile %K[%i, %i] : memref<?x64xbf16> -> !flash_tile.global_tile<32x64xbf16>
  // CHECK: flash_tile.dot %{{.*}}, %[[K]], %{{.*}} on fma {transpose_b} : tensor<128x64xbf16>, !flash_tile.global_tile<32x64xbf16>, tensor<128x32xf32>
  %r = flash_tile.dot %q, %k, %s on fma {transpose_b} : tensor<128x64xbf16>, !flash_tile.global_tile<32x64xbf16>, tensor<128x32xf32>
  return
}

// CHECK-LABEL: @compute
func.func @compute(%q: tensor<128x64xbf16>, %k: !flash_tile.view<32x64xbf16>, %s: tensor<128x32xf32>, %scratch: !flash_tile.view<128x8xf32>, %x: f32, %i: index) {
  // CHECK: %[[S:.*]] = flash_tile.dot %{{.*}}, %{{.*}}, %{{.*}} {transpose_b} : tensor<128x64xbf16>, !flash_tile.view<32x64xbf16>, tensor<128x32xf32>
  %d = flash_tile.dot %q, %k, %s {transpose_b} : tensor<128x64xbf16>, !flash_tile.view<32x64xbf16>, tensor<128x32xf32>
  // CHECK: %[[M:.*]] = flash_tile.reduce max %[[S]] axis 1 : tensor<128x32xf32> -> tensor<128xf32>
  %m = flash_tile.reduce max %d axis 1 : tensor<128x32xf32> -> tensor<128xf32>
  // CHECK: flash_tile.reduce add %[[S]] axis 0 : tensor<128x32xf32> -> tensor<32xf32>
  %a = flash_tile.reduce add %d axis 0 : tensor<128x32xf32> -> tensor<32xf32>
  // CHECK: flash_tile.reduce add %[[S]] axis 1 through(%{{.*}} : !flash_tile.view<128x8xf32>) : tensor<128x32xf32> -> tensor<128xf32>
  %tree = flash_tile.reduce add %d axis 1 through (%scratch : !flash_tile.view<128x8xf32>) : tensor<128x32xf32> -> tensor<128xf32>
  // CHECK: flash_tile.expand %[[M]] axis 1 : tensor<128xf32> -> tensor<128x32xf32>
  %e = flash_tile.expand %m axis 1 : tensor<128xf32> -> tensor<128x32xf32>
  // CHECK: flash_tile.index axis 0 : tensor<128x32xi32>
  %n = flash_tile.index axis 0 : tensor<128x32xi32>
  // CHECK: flash_tile.splat %{{.*}} : f32 -> tensor<128x32xf32>
  %t = flash_tile.splat %x : f32 -> tensor<128x32xf32>
  %g = arith.cmpf ogt, %d, %t : tensor<128x32xf32>
  // CHECK: flash_tile.any %{{.*}} : tensor<128x32xi1>
  %any = flash_tile.any %g : tensor<128x32xi1>
  // CHECK: flash_tile.in_range %{{.*}} from %{{.*}} to %{{.*}}
  %r = flash_tile.in_range %i from %i to %i
  // CHECK: flash_tile.in_range %{{.*}} from %[[I:.*]], %[[I]] to %[[I]], %[[I]]
  %either = flash_tile.in_range %i from %i, %i to %i, %i
  return
}

// CHECK-LABEL: @barriers
func.func @barriers(%n: index, %rank: i32, %map: !flash_tile.tensor_map<1x64x64xbf16, #panels>, %v: !flash_tile.view<64x128xbf16, #panels>) {
  // CHECK: %[[RING:.*]] = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  %ring = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
  // CHECK: %[[STAGE:.*]], %[[PHASE:.*]] = flash_tile.slot %{{.*}} of 2
  %stage, %phase = flash_tile.slot %n of 2
  // CHECK: flash_tile.barrier.expect %[[RING]][%[[STAGE]]] bytes 32768 : !flash_tile.barrier<2>
  flash_tile.barrier.expect %ring[%stage] bytes 32768 : !flash_tile.barrier<2>
  // CHECK: flash_tile.copy_tma %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] to %{{.*}} signal %[[RING]][%[[STAGE]]] multicast 3 : !flash_tile.tensor_map<1x64x64xbf16, #flash_tile.swizzle<bits = 3, shift = 0, panel = 128>> to !flash_tile.view<64x128xbf16, #{{.*}}>, !flash_tile.barrier<2>
  flash_tile.copy_tma %map[%n, %n, %n] to %v signal %ring[%stage] multicast 3 : !flash_tile.tensor_map<1x64x64xbf16, #panels> to !flash_tile.view<64x128xbf16, #panels>, !flash_tile.barrier<2>
  // CHECK: flash_tile.barrier.wait %[[RING]][%[[STAGE]]] phase %[[PHASE]] : !flash_tile.barrier<2>
  flash_tile.barrier.wait %ring[%stage] phase %phase : !flash_tile.barrier<2>
  // CHECK: flash_tile.barrier.arrive per role %[[RING]][%[[STAGE]]] : !flash_tile.barrier<2>
  flash_tile.barrier.arrive per role %ring[%stage] : !flash_tile.barrier<2>
  // CHECK: flash_tile.barrier.arrive per warp %[[RING]][%[[STAGE]]] cluster %{{.*}} : !flash_tile.barrier<2>
  flash_tile.barrier.arrive per warp %ring[%stage] cluster %rank : !flash_tile.barrier<2>
  // CHECK: flash_tile.barrier.arrive per thread
  flash_tile.barrier.arrive per thread %ring[%stage] : !flash_tile.barrier<2>
  // CHECK: flash_tile.commit %[[RING]][%[[STAGE]]] : !flash_tile.barrier<2>
  flash_tile.commit %ring[%stage] : !flash_tile.barrier<2>
  // CHECK: flash_tile.named_barrier.arrive 2 threads 256
  flash_tile.named_barrier.arrive 2 threads 256
  // CHECK: flash_tile.named_barrier.sync 1 threads 256
  flash_tile.named_barrier.sync 1 threads 256
  // CHECK: flash_tile.proxy_fence
  flash_tile.proxy_fence
  // CHECK: flash_tile.cluster_barrier.arrive
  flash_tile.cluster_barrier.arrive
  // CHECK: flash_tile.cluster_barrier.wait
  flash_tile.cluster_barrier.wait
  return
}

// CHECK-LABEL: @bulk_stores
func.func @bulk_stores(%O: memref<?x?x64xf32>, %n: index, %v: !flash_tile.view<64x64xf32>) {
  // CHECK: %[[MAP:.*]] = flash_tile.tensor_map %{{.*}} : memref<?x?x64xf32> -> !flash_tile.tensor_map<1x64x64xf32>
  %map = flash_tile.tensor_map %O : memref<?x?x64xf32> -> !flash_tile.tensor_map<1x64x64xf32>
  // CHECK: flash_tile.store_tma %{{.*}} to %[[MAP]][%{{.*}}, %{{.*}}, %{{.*}}] : !flash_tile.view<64x64xf32> to !flash_tile.tensor_map<1x64x64xf32> -> !flash_tile.future<!flash_tile.view<64x64xf32>>
  %s = flash_tile.store_tma %v to %map[%n, %n, %n] : !flash_tile.view<64x64xf32> to !flash_tile.tensor_map<1x64x64xf32> -> !flash_tile.future<!flash_tile.view<64x64xf32>>
  // CHECK: flash_tile.reduce_add_tma %{{.*}} to %[[MAP]]
  %r = flash_tile.reduce_add_tma %v to %map[%n, %n, %n] : !flash_tile.view<64x64xf32> to !flash_tile.tensor_map<1x64x64xf32> -> !flash_tile.future<!flash_tile.view<64x64xf32>>
  // CHECK: flash_tile.wait %{{.*}}, %{{.*}} {visible}
  %w:2 = flash_tile.wait %s, %r {visible} : !flash_tile.future<!flash_tile.view<64x64xf32>>, !flash_tile.future<!flash_tile.view<64x64xf32>>
  return
}

// CHECK-LABEL: @asynchronous_product
func.func @asynchronous_product(%q: !flash_tile.view<64x128xbf16>, %k: !flash_tile.view<128x128xbf16>, %zero: tensor<64x128xf32>) {
  // CHECK: %[[F:.*]] = flash_tile.dot_async %{{.*}}, %{{.*}}, %{{.*}} {transpose_b} : !flash_tile.view<64x128xbf16>, !flash_tile.view<128x128xbf16>, tensor<64x128xf32>
  %f = flash_tile.dot_async %q, %k, %zero {transpose_b} : !flash_tile.view<64x128xbf16>, !flash_tile.view<128x128xbf16>, tensor<64x128xf32>
  // CHECK: flash_tile.wait %[[F]] : !flash_tile.future<tensor<64x128xf32>>
  %s = flash_tile.wait %f : !flash_tile.future<tensor<64x128xf32>>
  return
}

// CHECK-LABEL: @tensor_memory
func.func @tensor_memory(%q: !flash_tile.view<128x128xbf16>, %n: index, %accumulate: i1) {
  // CHECK: %[[S:.*]] = flash_tile.tmem.alloc column 0 : !flash_tile.tmem<128x128xf32>
  %s = flash_tile.tmem.alloc column 0 : !flash_tile.tmem<128x128xf32>
  // CHECK: %[[O:.*]] = flash_tile.tmem.alloc column 256 : !flash_tile.tmem<128x128xf32>
  %o = flash_tile.tmem.alloc column 256 : !flash_tile.tmem<128x128xf32>
  // CHECK: %[[P:.*]] = flash_tile.tmem.view %[[S]][%{{.*}}] : !flash_tile.tmem<128x128xf32> -> !flash_tile.tmem<128x128xbf16>
  %p = flash_tile.tmem.view %s[%n] : !flash_tile.tmem<128x128xf32> -> !flash_tile.tmem<128x128xbf16>
  // CHECK: flash_tile.tmem.dot %{{.*}}, %{{.*}}, %[[S]] accumulate %{{.*}} {transpose_b} : !flash_tile.view<128x128xbf16>, !flash_tile.view<128x128xbf16>, !flash_tile.tmem<128x128xf32>
  flash_tile.tmem.dot %q, %q, %s accumulate %accumulate {transpose_b} : !flash_tile.view<128x128xbf16>, !flash_tile.view<128x128xbf16>, !flash_tile.tmem<128x128xf32>
  // CHECK: flash_tile.tmem.dot %[[P]], %{{.*}}, %[[O]] accumulate
  flash_tile.tmem.dot %p, %q, %o accumulate %accumulate : !flash_tile.tmem<128x128xbf16>, !flash_tile.view<128x128xbf16>, !flash_tile.tmem<128x128xf32>
  // CHECK: %[[F:.*]] = flash_tile.tmem.load %[[O]] : !flash_tile.tmem<128x128xf32> -> !flash_tile.future<tensor<128x128xf32>>
  %f = flash_tile.tmem.load %o : !flash_tile.tmem<128x128xf32> -> !flash_tile.future<tensor<128x128xf32>>
  %t = flash_tile.wait %f : !flash_tile.future<tensor<128x128xf32>>
  // CHECK: flash_tile.tmem.store %{{.*}}, %[[O]] : tensor<128x128xf32>, !flash_tile.tmem<128x128xf32>
  flash_tile.tmem.store %t, %o : tensor<128x128xf32>, !flash_tile.tmem<128x128xf32>
  return
}

// CHECK-LABEL: @roles
func.func @roles(%x: index) {
  // CHECK: flash_tile.warp_groups attributes {note = "kept"}
  // CHECK-NEXT: role "a" warps 4 registers 40 {
  // CHECK-NEXT:   arith.addi
  // CHECK-NEXT: }
  // CHECK-NEXT: role "b" warps 8 registers 232 {
  // CHECK-NEXT: }
  flash_tile.warp_groups attributes {note = "kept"}
  role "a" warps 4 registers 40 {
    %y = arith.addi %x, %x : index
  }
  role "b" warps 8 registers 232 {
  }
  // CHECK: flash_tile.warp_groups
  // CHECK-NEXT: role "only" warps 1 {
  flash_tile.warp_groups
  role "only" warps 1 {
  }
  return
}

// Different layouts of one tile; a conversion that is already decided.
#columns = #flash_tile.layout<register = [[0, 1]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#rows = #flash_tile.layout<register = [[4, 0]], lane = [[0, 1], [0, 2], [0, 4], [1, 0], [2, 0]]>

// CHECK-LABEL: @convert_layout
func.func @convert_layout(%t: tensor<8x8xf32, #columns>) {
  // CHECK: flash_tile.convert_layout %{{.*}} : tensor<8x8xf32, #{{.*}}> -> tensor<8x8xf32, #{{.*}}>
  %r = flash_tile.convert_layout %t : tensor<8x8xf32, #columns> -> tensor<8x8xf32, #rows>
  // CHECK: flash_tile.convert_layout %{{.*}} {permutation = array<i64: 1, 0>}
  %s = flash_tile.convert_layout %t {permutation = array<i64: 1, 0>} : tensor<8x8xf32, #columns> -> tensor<8x8xf32, #columns>
  return
}

// CHECK-LABEL: @reads_by_index
func.func @reads_by_index(%m: memref<?x?xf32>, %list: memref<?xi32>, %i: index, %x: i32, %c: i1, %t: tensor<16x8xi64>, %v: tensor<16x8xi1>) {
  // CHECK: flash_tile.lookup %{{.*}}[%{{.*}}, %{{.*}}] : memref<?x?xf32>
  %a = flash_tile.lookup %m[%i, %i] : memref<?x?xf32>
  // CHECK: flash_tile.lookup %{{.*}}[%{{.*}}] if %{{.*}} : memref<?xi32>
  %b = flash_tile.lookup %list[%i] if %c : memref<?xi32>
  // CHECK: flash_tile.put %{{.*}}, %{{.*}}[%{{.*}}] : memref<?xi32>
  flash_tile.put %x, %list[%i] : memref<?xi32>
  // CHECK: flash_tile.gather_elements %{{.*}}[%{{.*}}, %{{.*}}] rows [1, 0] columns [0, 1] rows_below %{{.*}} columns_below %{{.*}} : memref<?x?xf32> -> tensor<16x8xf32>
  %d = flash_tile.gather_elements %m[%i, %i] rows [1, 0] columns [0, 1] rows_below %i columns_below %i : memref<?x?xf32> -> tensor<16x8xf32>
  // CHECK: flash_tile.gather_elements %{{.*}} rows [0, -1] columns [0, 1] offsets(%{{.*}} at [0] : tensor<16x8xi64>) if %{{.*}} : tensor<16x8xi1> : memref<?x?xf32> -> tensor<16x8xf32>
  %e = flash_tile.gather_elements %m[%i, %i] rows [0, -1] columns [0, 1] offsets(%t at [0] : tensor<16x8xi64>) if %v : tensor<16x8xi1> : memref<?x?xf32> -> tensor<16x8xf32>
  // CHECK: flash_tile.vote %{{.*}} : tensor<16x8xi1>
  %f = flash_tile.vote %v : tensor<16x8xi1>
  return
}
