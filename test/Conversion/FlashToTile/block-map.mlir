// RUN: flash-opt %s --flash-to-tile --split-input-file --verify-diagnostics | FileCheck %s

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<?x8x?x64xbf16>

// Documents and a causal mask: the analysis bounds the tiles that the first
// kernel looks at, and it writes down which of them are live, and which need the
// mask. One row for all heads and batch entries: the mask reads neither.

// CHECK-LABEL: gpu.func @documents_block_map(
// CHECK-SAME:    %[[WORK:[^:]*]]: memref<?xi32> {flash_tile.role = "workspace"}
// CHECK-SAME:    flash_tile.before = "documents"
// CHECK-SAME:    flash_tile.grid = ["ceildiv(sq, 64)", "1", "1"]
// CHECK:         %[[COUNTS:.*]]:2 = scf.for
// CHECK-SAME:      iter_args(%[[MASKED:.*]] = %{{.*}}, %[[FULL:.*]] = %{{.*}}) -> (index, index)
// CHECK:           %[[HIDDEN:.*]] = arith.xori %[[KEEP:.*]], %{{.*}} : tensor<64x32xi1>
// CHECK:           %[[SEEN:.*]] = arith.andi %[[KEEP]], %[[EXISTS:.*]] : tensor<64x32xi1>
// CHECK:           %[[UNSEEN:.*]] = arith.andi %[[HIDDEN]], %[[EXISTS]] : tensor<64x32xi1>
// CHECK:           %[[LIVE:.*]] = flash_tile.vote %[[SEEN]] : tensor<64x32xi1>
// CHECK:           %[[PARTIAL:.*]] = flash_tile.vote %[[UNSEEN]] : tensor<64x32xi1>
// CHECK:           %[[FRONT:.*]] = arith.addi %[[MASKED]], %c2
// CHECK:           %[[BACK:.*]] = arith.subi %{{.*}}, %[[FULL]]
// CHECK:           arith.select %[[PARTIAL]], %[[FRONT]], %[[BACK]] : index
// CHECK:           scf.if %[[LIVE]] {
// CHECK:             flash_tile.put %{{.*}}, %[[WORK]]
// CHECK:         %[[ALL:.*]] = arith.addi %[[COUNTS]]#0, %[[COUNTS]]#1
// CHECK:         flash_tile.put %{{.*}}, %[[WORK]]
// CHECK:         flash_tile.put %{{.*}}, %[[WORK]]

// The second one reads the lists.

// CHECK-LABEL: gpu.func @documents(
// CHECK-SAME:    %[[WORK:[^:]*]]: memref<?xi32> {flash_tile.role = "workspace"}
// CHECK-SAME:    flash_tile.workspace_bytes = "4 * ceildiv(sq, 64) * (ceildiv(sk, 32) + 2)"
// CHECK:         %[[N:.*]] = flash_tile.lookup %[[WORK]]
// CHECK:         %[[LIVE:.*]] = arith.index_cast %[[N]] : i32 to index
// CHECK:         %[[P:.*]] = flash_tile.lookup %[[WORK]]
// CHECK:         %[[MASKED:.*]] = arith.index_cast %[[P]] : i32 to index
// CHECK:         scf.for %[[I:.*]] = %{{.*}} to %[[LIVE]]
// CHECK:           %[[EXISTS:.*]] = arith.cmpi slt, %[[I]], %[[LIVE]]
// CHECK:           %[[TILE:.*]] = flash_tile.lookup %[[WORK]][%{{.*}}] if %[[EXISTS]] : memref<?xi32>
// CHECK:           flash_tile.in_range %[[I]] from %[[MASKED]] to %[[LIVE]]
func.func @documents(%q: !t, %k: !t, %v: !t, %o: !t, %docs: memref<?xi32>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%docs : memref<?xi32>) outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %c: memref<?xi32>):
      // expected-remark @below {{mask: 'memref.load' is not affine in q and k; left out of the ranges of tiles}}
      %x = memref.load %c[%i] : memref<?xi32>
      %y = memref.load %c[%j] : memref<?xi32>
      %same = arith.cmpi eq, %x, %y : i32
      %past = arith.cmpi sle, %j, %i : index
      %r = arith.andi %same, %past : i1
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'documents_block_map' in front of 'documents'}}
      flash.yield %r : i1
    }
  return
}

// -----

// A mask that reads b and h has rows for each of them.

#s = #flash.schedule<chip = "sm_80", level = 9, tile_q = 64, tile_k = 32, warps = 4, stages_k = 1, stages_v = 1, query_in_registers = false>
!t = memref<?x8x?x64xbf16>

// CHECK-LABEL: gpu.func @per_head_block_map(
// CHECK-SAME:    flash_tile.grid = ["ceildiv(sq, 64)", "hq", "b"]
// CHECK-LABEL: gpu.func @per_head(
// CHECK-SAME:    flash_tile.workspace_bytes = "4 * ceildiv(sq, 64) * hq * b * (ceildiv(sk, 32) + 2)"
func.func @per_head(%q: !t, %k: !t, %v: !t, %o: !t, %keep: memref<?x8x?x?xi1>) {
  flash.attention ins(query = %q, key = %k, value = %v : !t, !t, !t)
    captures(%keep : memref<?x8x?x?xi1>) outs(output = %o : !t) {schedule = #s}
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index, %c: memref<?x8x?x?xi1>):
      // expected-remark @below {{mask: 'memref.load' is not affine in q and k; left out of the ranges of tiles}}
      %r = memref.load %c[%b, %h, %i, %j] : memref<?x8x?x?xi1>
      // expected-remark @below {{mask: its live tiles are found at run time, by the kernel 'per_head_block_map' in front of 'per_head'}}
      flash.yield %r : i1
    }
  return
}
