//===- FlashTileBarriers.td - Barriers and roles -*- tablegen -*-===//
//
// Part of the Flash project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Synchronisation between the roles of one CTA (and between CTAs of a cluster),
// and the op that splits a CTA into roles.
//
// Constraints P1, P2, ... hold for a whole program, not for one op:
// verifyProgram() in FlashTile.h checks them.
//
//===----------------------------------------------------------------------===//

#ifndef FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBARRIERS_TD
#define FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBARRIERS_TD

include "flash/Dialect/FlashTile/IR/FlashTileTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// mbarriers
//===----------------------------------------------------------------------===//

def FlashTile_SlotOp : FlashTile_Op<"slot", [Pure]> {
  let summary = "stage and phase of the n-th use of a ring";
  let description = [{
    ```
    stage = count mod stages
    phase = (count / stages) mod 2
    ```

    `count` is the number of uses of the ring before this one. The consumer of a
    ring waits with this phase; the producer, who finds every stage free at
    first, waits with the inverse (`arith.xori` with true): a fresh barrier
    counts as having completed the phase before its first.

    ```mlir
    func.func @slot(
        %n: index) {
      %stage, %phase = flash_tile.slot %n of 2
      return
    }
    ```

    Constraint T21: at least one stage.
  }];
  let arguments = (ins
    Arg<Index, "uses of the ring so far, >= 0">:$count,
    I64Attr:$stages);
  let results = (outs
    Res<Index, "in [0, stages)">:$stage,
    Res<I1, "parity of the pass over the ring">:$phase);
  let assemblyFormat = "$count `of` $stages attr-dict";
  let hasVerifier = 1;
}

def FlashTile_BarrierInitOp : FlashTile_Op<"barrier.init", [
    MemoryEffects<[MemAlloc, MemWrite]>]> {
  let summary = "a ring of barriers, initialised";
  let description = [{
    Allocates the mbarriers and initialises each with `arrivals` expected per
    phase. Every thread of the CTA sees them initialised in the ops after this
    one; other CTAs of a cluster after a cluster barrier.

    ```mlir
    func.func @barrier_init(
        ) {
      %full = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T22 (arrivals from 1 to 2^20 - 1), P1 (somebody waits, and
    somebody signals), P2 (the arrivals of one phase are as many as declared).
  }];
  let arguments = (ins I64Attr:$arrivals);
  let results = (outs FlashTile_BarrierType:$barrier);
  let assemblyFormat = [{
    `arrivals` $arrivals attr-dict `:` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

def FlashTile_ArrivalScope : I32EnumAttr<"ArrivalScope",
    "how many arrivals one op makes", [
      I32EnumAttrCase<"role", 0>, I32EnumAttrCase<"warp", 1>,
      I32EnumAttrCase<"thread", 2>]> {
  let cppNamespace = "::mlir::flash_tile";
}

def FlashTile_BarrierArriveOp : FlashTile_Op<"barrier.arrive", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "arrival at one barrier of a ring";
  let description = [{
    `per role` arrives once when all threads of the role have come here, `per
    warp` once for each warp, `per thread` once for each thread. What the
    arriving threads did before is visible to whoever completes a wait on this
    phase. `cluster` gives the rank of the CTA whose barrier is meant, the own
    one if absent.

    ```mlir
    func.func @barrier_arrive(
        %ring: !flash_tile.barrier<2>, %stage: index, %rank: i32) {
      flash_tile.barrier.arrive per role %ring[%stage] : !flash_tile.barrier<2>
      flash_tile.barrier.arrive per warp %ring[%stage] cluster %rank
        : !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T23 (stage in range), P1, P2, P7 (not while an asynchronous
    product still reads the stage that is released).
  }];
  let arguments = (ins
    FlashTile_ArrivalScope:$scope, FlashTile_BarrierType:$barrier,
    Arg<Index, "which barrier of the ring">:$stage,
    Arg<Optional<I32>, "rank in the cluster">:$rank);
  let assemblyFormat = [{
    `per` $scope $barrier `[` $stage `]` (`cluster` $rank^)? attr-dict
    `:` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

def FlashTile_BarrierExpectOp : FlashTile_Op<"barrier.expect", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "one arrival that also announces bytes";
  let description = [{
    Arrives once (one thread of the role) and adds `bytes` to what the current
    phase waits for; the copies that signal this barrier deliver them
    (`mbarrier.arrive.expect_tx`).

    ```mlir
    func.func @barrier_expect(
        %ring: !flash_tile.barrier<2>, %stage: index) {
      flash_tile.barrier.expect %ring[%stage] bytes 32768
        : !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T23, T24 (bytes positive and below 2^20), P2, P3 (as many bytes
    as the copies after it in the same block deliver to this stage).
  }];
  let arguments = (ins FlashTile_BarrierType:$barrier, Index:$stage,
                       I64Attr:$bytes);
  let assemblyFormat = [{
    $barrier `[` $stage `]` `bytes` $bytes attr-dict
    `:` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

def FlashTile_BarrierWaitOp : FlashTile_Op<"barrier.wait", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "blocks until a phase of one barrier has completed";
  let description = [{
    Every thread of the role blocks until the phase of the given parity is
    complete. What was written before the arrivals, and the bytes that copies
    delivered, are visible afterwards.

    ```mlir
    func.func @barrier_wait(
        %ring: !flash_tile.barrier<2>, %n: index) {
      %stage, %phase = flash_tile.slot %n of 2
      flash_tile.barrier.wait %ring[%stage] phase %phase
        : !flash_tile.barrier<2>
      return
    }
    ```

    Constraints: T23, P1 (a role, not necessarily another one, signals it), P4
    (inside a loop the phase changes with the loop; if it comes from a `slot`,
    the slot has as many stages as the ring and gave the stage too).
  }];
  let arguments = (ins FlashTile_BarrierType:$barrier, Index:$stage,
                       Arg<I1, "parity that is waited for">:$phase);
  let assemblyFormat = [{
    $barrier `[` $stage `]` `phase` $phase attr-dict
    `:` qualified(type($barrier))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Other barriers and fences
//===----------------------------------------------------------------------===//

class FlashTile_NamedBarrierOp<string mnemonic> : FlashTile_Op<mnemonic, [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let arguments = (ins
    I64Attr:$id,       // hardware barrier, 1 to 15
    I64Attr:$threads); // that take part, arriving or waiting
  let assemblyFormat = "$id `threads` $threads attr-dict";
  let hasVerifier = 1;
}

def FlashTile_NamedBarrierArriveOp
    : FlashTile_NamedBarrierOp<"named_barrier.arrive"> {
  let summary = "arrival at a hardware barrier, without waiting";
  let description = [{
    `bar.arrive`: the role's threads are counted and go on.

    ```mlir
    func.func @named_barrier_arrive(
        ) {
      flash_tile.named_barrier.arrive 2 threads 256
      return
    }
    ```

    Constraints: T25 (id 1 to 15, 0 is the whole CTA's; threads a multiple of
    32), P5 (the threads of the roles that use an id are as many as declared,
    and one of them waits).
  }];
}

def FlashTile_NamedBarrierSyncOp
    : FlashTile_NamedBarrierOp<"named_barrier.sync"> {
  let summary = "arrival at a hardware barrier, and wait for the others";
  let description = [{
    `bar.sync`: blocks until `threads` threads have arrived, these included.
    Two roles that each wait at their own id and arrive at the other's take
    turns (ping-pong).

    ```mlir
    func.func @named_barrier_sync(
        ) {
      flash_tile.named_barrier.sync 1 threads 256
      return
    }
    ```

    Constraints: T25, P5.
  }];
}

def FlashTile_ProxyFenceOp : FlashTile_Op<"proxy_fence", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "makes stores to shared memory visible to TMA and wgmma";
  let description = [{
    `fence.proxy.async.shared::cta`, by the thread that stored; a barrier with
    the thread that starts the copy or product must follow.

    ```mlir
    func.func @proxy_fence(
        %p: tensor<64x64xbf16>, %v: !flash_tile.view<64x64xbf16>) {
      flash_tile.local_store %p, %v
        : tensor<64x64xbf16>, !flash_tile.view<64x64xbf16>
      flash_tile.proxy_fence
      gpu.barrier
      return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def FlashTile_ClusterArriveOp : FlashTile_Op<"cluster_barrier.arrive", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "arrival at the barrier of the cluster";
  let description = [{
    Each thread of the cluster arrives once, then waits once
    (`barrier.cluster`). Needed before a CTA touches the barriers or the shared
    memory of another one, and before it exits while others may touch its own.

    ```mlir
    func.func @cluster_barrier_arrive(
        ) {
      flash_tile.cluster_barrier.arrive
      flash_tile.cluster_barrier.wait
      return
    }
    ```

    Constraint P6: in each block arrivals and waits alternate, arrival first.
  }];
  let assemblyFormat = "attr-dict";
}

def FlashTile_ClusterWaitOp : FlashTile_Op<"cluster_barrier.wait", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "waits for the barrier of the cluster";
  let description = [{
    See `cluster_barrier.arrive`. Constraint P6.
  }];
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

def FlashTile_WarpGroupsOp : FlashTile_Op<"warp_groups", [
    NoRegionArguments, RecursiveMemoryEffects,
    SingleBlockImplicitTerminator<"::mlir::flash_tile::EndRoleOp">]> {
  let summary = "one region per role of the CTA, run at the same time";
  let description = [{
    The warps of the CTA are dealt to the roles in order: the first role has
    warps 0 to `warps` - 1, and so on. Inside a role, warps and layouts count
    from the role's first warp. All roles start together, after everything
    before the op, and the op ends when all have ended.

    `registers` is the budget per thread that the role sets on entry
    (`setmaxnreg`); without it the launch's value stays.

    A role sees values from outside, but only what all its threads agree on:
    buffers, tensor memory, barriers, tensor maps, memrefs and uniform scalars.
    Register tiles, futures and views belong to one instruction stream.

    ```mlir
    func.func @warp_groups(
        %map: !flash_tile.tensor_map<1x1x64x128xbf16>, %b: index, %h: index) {
      %c0 = arith.constant 0 : index
      %false = arith.constant false
      %buffer = flash_tile.alloc : !flash_tile.buffer<1x64x128xbf16>
      %full = flash_tile.barrier.init arrivals 1 : !flash_tile.barrier<1>
      flash_tile.warp_groups
      role "producer" warps 4 registers 24 {
        %k = flash_tile.stage %buffer[%c0]
          : !flash_tile.buffer<1x64x128xbf16> -> !flash_tile.view<64x128xbf16>
        flash_tile.barrier.expect %full[%c0] bytes 16384
          : !flash_tile.barrier<1>
        flash_tile.copy_tma %map[%b, %h, %c0, %c0] to %k signal %full[%c0]
          : !flash_tile.tensor_map<1x1x64x128xbf16> to
            !flash_tile.view<64x128xbf16>, !flash_tile.barrier<1>
      }
      role "consumer" warps 4 registers 240 {
        %k = flash_tile.stage %buffer[%c0]
          : !flash_tile.buffer<1x64x128xbf16> -> !flash_tile.view<64x128xbf16>
        flash_tile.barrier.wait %full[%c0] phase %false
          : !flash_tile.barrier<1>
        %t = flash_tile.local_load %k
          : !flash_tile.view<64x128xbf16> -> tensor<64x128xbf16>
      }
      return
    }
    ```

    Constraints: T33 (names distinct, at least one warp each, 32 together), T34
    (budgets multiples of 8 from 24 to 256, the same within each aligned four
    warps, 65536 registers together), T35 (what may cross), and all P.
  }];
  let arguments = (ins
    StrArrayAttr:$roles,             // names, one per region
    DenseI64ArrayAttr:$warps,        // warps per role
    DenseI64ArrayAttr:$registers);   // per thread, 0: the launch's value
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The role that `op` belongs to: index of the region, or none outside.
    std::optional<unsigned> getRoleOf(::mlir::Operation *op);
    ::llvm::StringRef getRoleName(unsigned role) {
      return ::llvm::cast<::mlir::StringAttr>(getRoles()[role]).getValue();
    }
  }];
}

def FlashTile_EndRoleOp : FlashTile_Op<"end_role", [
    Terminator, Pure, HasParent<"WarpGroupsOp">]> {
  let summary = "end of a role";
  let description = [{
    Implied by the end of the region, and not printed.
  }];
  let assemblyFormat = "attr-dict";
}

#endif // FLASH_DIALECT_FLASHTILE_IR_FLASHTILEBARRIERS_TD
