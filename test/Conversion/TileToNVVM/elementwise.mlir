// RUN: flash-opt %s -split-input-file --flash-tile-to-nvvm | FileCheck %s

// One scalar op per register.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @per_register
// CHECK-SAME: %[[X:[^:]*]]: f32, %[[Y:[^:]*]]: f32)
// CHECK: %[[A0:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A1:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A2:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A3:.*]] = llvm.load {{.*}} -> f32
// CHECK: math.fma %[[A0]], %[[X]], %[[Y]] fastmath<contract> : f32
// CHECK: math.fma %[[A1]], %[[X]], %[[Y]] fastmath<contract> : f32
// CHECK: math.fma %[[A2]], %[[X]], %[[Y]] fastmath<contract> : f32
// CHECK: math.fma %[[A3]], %[[X]], %[[Y]] fastmath<contract> : f32
// CHECK-NOT: math.fma
gpu.module @m {
  gpu.func @per_register(%m: memref<16x8xf32> {flash_tile.dims = ["s", "d"]}, %x: f32, %y: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #acc>
    %xs = flash_tile.splat %x : f32 -> tensor<16x8xf32, #acc>
    %ys = flash_tile.splat %y : f32 -> tensor<16x8xf32, #acc>
    %r = math.fma %a, %xs, %ys fastmath<contract> : tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// Registers whose operands are the same scalars share one op: a statistic of
// the row is negated once per row, its coordinate compared once per column.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>
#row = #flash_tile.layout<register = [[8]], lane = [[0], [0], [1], [2], [4]]>

// CHECK-LABEL: gpu.func @shared
// CHECK: %[[L0:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[L8:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[N0:.*]] = arith.negf %[[L0]] : f32
// CHECK: %[[N8:.*]] = arith.negf %[[L8]] : f32
// CHECK-NOT: arith.negf
// CHECK: %[[C0:.*]] = arith.cmpi slt, %[[K0:.*]], %{{.*}} : i32
// CHECK: %[[C1:.*]] = arith.cmpi slt, %[[K1:.*]], %{{.*}} : i32
// CHECK-NOT: arith.cmpi
// CHECK: arith.select %[[C0]], %[[N0]], %{{.*}} : f32
// CHECK: arith.select %[[C1]], %[[N0]], %{{.*}} : f32
// CHECK: arith.select %[[C0]], %[[N8]], %{{.*}} : f32
// CHECK: arith.select %[[C1]], %[[N8]], %{{.*}} : f32
gpu.module @m {
  gpu.func @shared(%m: memref<16xf32> {flash_tile.dims = ["s"]}, %n: i32, %x: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %l = flash_tile.load %m[%c0] : memref<16xf32> -> tensor<16xf32, #row>
    %e = flash_tile.expand %l axis 1 : tensor<16xf32, #row> -> tensor<16x8xf32, #acc>
    %neg = arith.negf %e : tensor<16x8xf32, #acc>
    %k = flash_tile.index axis 1 : tensor<16x8xi32, #acc>
    %ns = flash_tile.splat %n : i32 -> tensor<16x8xi32, #acc>
    %in = arith.cmpi slt, %k, %ns : tensor<16x8xi32, #acc>
    %xs = flash_tile.splat %x : f32 -> tensor<16x8xf32, #acc>
    %r = arith.select %in, %neg, %xs : tensor<16x8xi1, #acc>, tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// The condition of a select may be a scalar.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @scalar_condition
// CHECK-SAME: %[[C:[^:]*]]: i1, %[[X:[^:]*]]: f32, %[[Y:[^:]*]]: f32)
// CHECK: arith.select %[[C]], %[[X]], %[[Y]] : f32
// CHECK-NOT: arith.select
gpu.module @m {
  gpu.func @scalar_condition(%c: i1, %x: f32, %y: f32)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %xs = flash_tile.splat %x : f32 -> tensor<16x8xf32, #acc>
    %ys = flash_tile.splat %y : f32 -> tensor<16x8xf32, #acc>
    %r = arith.select %c, %xs, %ys : tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// Rounding takes two registers to one: the second is the high half, which the
// intrinsic takes first. Extending takes them apart.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @round_and_extend
// CHECK: %[[A0:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A1:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A2:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[A3:.*]] = llvm.load {{.*}} -> f32
// CHECK: %[[P:.*]] = llvm.call_intrinsic "llvm.nvvm.ff2bf16x2.rn"(%[[A1]], %[[A0]]) : (f32, f32) -> vector<2xbf16>
// CHECK: %[[P01:.*]] = llvm.bitcast %[[P]] : vector<2xbf16> to i32
// CHECK: llvm.call_intrinsic "llvm.nvvm.ff2bf16x2.rn"(%[[A3]], %[[A2]])
// CHECK: llvm.call_intrinsic "llvm.nvvm.ff2f16x2.rn"(%[[A1]], %[[A0]]) : (f32, f32) -> vector<2xf16>
// CHECK: %[[V:.*]] = llvm.bitcast %[[P01]] : i32 to vector<2xbf16>
// CHECK: %[[LOW:.*]] = llvm.extractelement %[[V]][%{{.*}} : i32]
// CHECK: arith.extf %[[LOW]] : bf16 to f32
gpu.module @m {
  gpu.func @round_and_extend(%m: memref<16x8xf32> {flash_tile.dims = ["s", "d"]})
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %a = flash_tile.load %m[%c0, %c0] : memref<16x8xf32> -> tensor<16x8xf32, #acc>
    %b = arith.truncf %a : tensor<16x8xf32, #acc> to tensor<16x8xbf16, #acc>
    %h = arith.truncf %a : tensor<16x8xf32, #acc> to tensor<16x8xf16, #acc>
    %e = arith.extf %b : tensor<16x8xbf16, #acc> to tensor<16x8xf32, #acc>
    gpu.return
  }
}

// -----

// A range that no loop was split on becomes two comparisons.

// CHECK-LABEL: gpu.func @in_range
// CHECK-SAME: %[[I64:[^:]*]]: i64
// CHECK: %[[I:.*]] = arith.index_cast %[[I64]] : i64 to index
// CHECK: %[[GE:.*]] = arith.cmpi sge, %[[I]], %{{.*}} : index
// CHECK: %[[LT:.*]] = arith.cmpi slt, %[[I]], %{{.*}} : index
// CHECK: arith.andi %[[GE]], %[[LT]] : i1
gpu.module @m {
  gpu.func @in_range(%i: index, %lower: index, %upper: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %in = flash_tile.in_range %i from %lower to %upper
    gpu.return
  }
}

// -----

// A tile carried round a loop is one value per register.

#acc = #flash_tile.layout<register = [[0, 1], [8, 0]], lane = [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]>

// CHECK-LABEL: gpu.func @carried
// CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}}, %[[C:.*]] = %{{.*}}, %[[D:.*]] = %{{.*}}) -> (f32, f32, f32, f32)
// CHECK:   scf.yield %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : f32, f32, f32, f32
// CHECK: } {llvm.loop_annotation = #[[LOOP:.*]]}
gpu.module @m {
  gpu.func @carried(%n: index)
      kernel attributes {known_block_size = array<i32: 32, 1, 1>, flash_tile.sizes = []} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant dense<0.0> : tensor<16x8xf32, #acc>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero) -> tensor<16x8xf32, #acc> {
      %b = math.exp2 %a : tensor<16x8xf32, #acc>
      scf.yield %b : tensor<16x8xf32, #acc>
    }
    gpu.return
  }
}
