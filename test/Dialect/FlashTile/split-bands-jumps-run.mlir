// Executed: a loop with two ranges and a jump, which becomes a loop over them,
// visits what the unsplit one visits, in the same order, with the right value of
// the range and the right side of the jump for the iteration itself and for the
// next two. All bounds around the loop's own ones are tried, reversed and empty
// ranges included, but for those with a jump inside of a range. Prints the number
// of cases and how many of them agree.

// RUN: flash-opt %s --flash-tile-split-bands --convert-scf-to-cf --convert-to-llvm --reconcile-unrealized-casts \
// RUN:   | mlir-runner -e main -entry-point-result=i64 | FileCheck %s
// RUN: flash-opt %s --flash-tile-split-bands | FileCheck %s --check-prefix=SPLIT

// The number of cases times 100000, and of those that agree.
// CHECK: 7002070020

// SPLIT-NOT: flash_tile.in_range

func.func @hash(%h: i64, %i: index, %in: i1, %j0: i1, %j1: i1, %j2: i1) -> i64 {
  %c31 = arith.constant 1000003 : i64
  %c2 = arith.constant 2 : i64
  %i64 = arith.index_cast %i : index to i64
  %in64 = arith.extui %in : i1 to i64
  %j064 = arith.extui %j0 : i1 to i64
  %j164 = arith.extui %j1 : i1 to i64
  %j264 = arith.extui %j2 : i1 to i64
  %h0 = arith.muli %h, %c31 : i64
  %t0 = arith.muli %i64, %c2 : i64
  %t1 = arith.addi %t0, %in64 : i64
  %t2 = arith.muli %t1, %c2 : i64
  %t3 = arith.addi %t2, %j064 : i64
  %t4 = arith.muli %t3, %c2 : i64
  %t5 = arith.addi %t4, %j164 : i64
  %t6 = arith.muli %t5, %c2 : i64
  %t7 = arith.addi %t6, %j264 : i64
  %h1 = arith.addi %h0, %t7 : i64
  return %h1 : i64
}

func.func @in(%i: index, %lo: index, %hi: index) -> i1 {
  %ge = arith.cmpi sge, %i, %lo : index
  %lt = arith.cmpi slt, %i, %hi : index
  %in = arith.andi %ge, %lt : i1
  return %in : i1
}

// One case; %n iterations, ranges [a, b) and [c, d), the jump at %s.
func.func @case(%n: index, %a: index, %b: index, %c: index, %d: index, %s: index, %count: i64) -> i64 {
  %zero = arith.constant 0 : i64
  %all = arith.constant 100000 : i64
  %one = arith.constant 1 : i64
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %got = scf.for %i = %c0 to %n step %c1 iter_args(%h = %zero) -> i64 {
    %in = flash_tile.in_range %i from %a, %c to %b, %d
    %i1 = arith.addi %i, %c1 : index
    %i2 = arith.addi %i, %c2 : index
    %j0 = arith.cmpi sge, %i, %s : index
    %j1 = arith.cmpi sge, %i1, %s : index
    %j2 = arith.cmpi sge, %i2, %s : index
    %h1 = func.call @hash(%h, %i, %in, %j0, %j1, %j2) : (i64, index, i1, i1, i1, i1) -> i64
    scf.yield %h1 : i64
  } {flash_tile.jumps}
  %want = scf.for %i = %c0 to %n step %c1 iter_args(%h = %zero) -> i64 {
    %in0 = func.call @in(%i, %a, %b) : (index, index, index) -> i1
    %in1 = func.call @in(%i, %c, %d) : (index, index, index) -> i1
    %in = arith.ori %in0, %in1 : i1
    %i1 = arith.addi %i, %c1 : index
    %i2 = arith.addi %i, %c2 : index
    %j0 = arith.cmpi sge, %i, %s : index
    %j1 = arith.cmpi sge, %i1, %s : index
    %j2 = arith.cmpi sge, %i2, %s : index
    %h1 = func.call @hash(%h, %i, %in, %j0, %j1, %j2) : (i64, index, i1, i1, i1, i1) -> i64
    scf.yield %h1 : i64
  }
  // No range holds both %s - 1 and %s.
  %before = arith.subi %s, %c1 : index
  %p0 = func.call @in(%before, %a, %b) : (index, index, index) -> i1
  %q0 = func.call @in(%s, %a, %b) : (index, index, index) -> i1
  %p1 = func.call @in(%before, %c, %d) : (index, index, index) -> i1
  %q1 = func.call @in(%s, %c, %d) : (index, index, index) -> i1
  %both0 = arith.andi %p0, %q0 : i1
  %both1 = arith.andi %p1, %q1 : i1
  %excluded = arith.ori %both0, %both1 : i1
  %same = arith.cmpi eq, %got, %want : i64
  %agrees = arith.select %same, %one, %zero : i64
  %counted = arith.addi %all, %agrees : i64
  %added = arith.select %excluded, %zero, %counted : i64
  %r = arith.addi %count, %added : i64
  return %r : i64
}

func.func @main() -> i64 {
  %zero = arith.constant 0 : i64
  %m1 = arith.constant -1 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c6 = arith.constant 6 : index
  %c7 = arith.constant 7 : index
  %r = scf.for %n = %c0 to %c6 step %c1 iter_args(%x0 = %zero) -> i64 {
    %r0 = scf.for %a = %m1 to %c7 step %c1 iter_args(%x1 = %x0) -> i64 {
      %r1 = scf.for %b = %m1 to %c7 step %c1 iter_args(%x2 = %x1) -> i64 {
        // The second range begins behind the first one.
        %begin = arith.maxsi %a, %b : index
        %r2 = scf.for %c = %begin to %c7 step %c1 iter_args(%x3 = %x2) -> i64 {
          %r3 = scf.for %d = %m1 to %c7 step %c1 iter_args(%x4 = %x3) -> i64 {
            %r4 = scf.for %s = %m1 to %c7 step %c1 iter_args(%x5 = %x4) -> i64 {
              %y = func.call @case(%n, %a, %b, %c, %d, %s, %x5)
                : (index, index, index, index, index, index, i64) -> i64
              scf.yield %y : i64
            }
            scf.yield %r4 : i64
          }
          scf.yield %r3 : i64
        }
        scf.yield %r2 : i64
      }
      scf.yield %r1 : i64
    }
    scf.yield %r0 : i64
  }
  return %r : i64
}
