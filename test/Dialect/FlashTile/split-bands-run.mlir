// Executed: every split loop visits what the unsplit one visits, in the same
// order and with the right value of the range, for all bounds around the loop's
// own ones (reversed and far outside included), steps 1 and 3, and two different
// ranges in one loop. Prints how many of the 2 * 10 * 13 * 13 cases agree.

// RUN: flash-opt %s --flash-tile-split-bands --convert-scf-to-cf --convert-to-llvm --reconcile-unrealized-casts \
// RUN:   | mlir-runner -e main -entry-point-result=i64 | FileCheck %s
// RUN: flash-opt %s --flash-tile-split-bands | FileCheck %s --check-prefix=SPLIT

// CHECK: 3380

// SPLIT-NOT: flash_tile.in_range

func.func @hash(%h: i64, %i: index, %in: i1, %again: i1) -> i64 {
  %c31 = arith.constant 1000003 : i64
  %c1 = arith.constant 1 : i64
  %c2 = arith.constant 2 : i64
  %i64 = arith.index_cast %i : index to i64
  %in64 = arith.extui %in : i1 to i64
  %again64 = arith.extui %again : i1 to i64
  %h0 = arith.muli %h, %c31 : i64
  %t0 = arith.shli %i64, %c2 : i64
  %t1 = arith.shli %in64, %c1 : i64
  %t2 = arith.addi %t0, %t1 : i64
  %t3 = arith.addi %t2, %again64 : i64
  %h1 = arith.addi %h0, %t3 : i64
  %h2 = arith.addi %h1, %c1 : i64
  return %h2 : i64
}

func.func @case(%lb: index, %n: index, %step: index, %lo: index, %hi: index, %count: i64) -> i64 {
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %got = scf.for %i = %lb to %n step %step iter_args(%h = %zero) -> i64 {
    %in = flash_tile.in_range %i from %lo to %hi
    %again = flash_tile.in_range %i from %hi to %n
    %h1 = func.call @hash(%h, %i, %in, %again) : (i64, index, i1, i1) -> i64
    scf.yield %h1 : i64
  }
  %want = scf.for %i = %lb to %n step %step iter_args(%h = %zero) -> i64 {
    %ge = arith.cmpi sge, %i, %lo : index
    %lt = arith.cmpi slt, %i, %hi : index
    %in = arith.andi %ge, %lt : i1
    %ge1 = arith.cmpi sge, %i, %hi : index
    %lt1 = arith.cmpi slt, %i, %n : index
    %again = arith.andi %ge1, %lt1 : i1
    %h1 = func.call @hash(%h, %i, %in, %again) : (i64, index, i1, i1) -> i64
    scf.yield %h1 : i64
  }
  %same = arith.cmpi eq, %got, %want : i64
  %more = arith.addi %count, %one : i64
  %r = arith.select %same, %more, %count : i64
  return %r : i64
}

func.func @main() -> i64 {
  %zero = arith.constant 0 : i64
  %m2 = arith.constant -2 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c10 = arith.constant 10 : index
  %c11 = arith.constant 11 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %step = %c1 to %c4 step %c2 iter_args(%a = %zero) -> i64 {
    %r0 = scf.for %n = %c0 to %c10 step %c1 iter_args(%b = %a) -> i64 {
      %r1 = scf.for %lo = %m2 to %c11 step %c1 iter_args(%c = %b) -> i64 {
        %r2 = scf.for %hi = %m2 to %c11 step %c1 iter_args(%d = %c) -> i64 {
          %r3 = func.call @case(%c1, %n, %step, %lo, %hi, %d)
            : (index, index, index, index, index, i64) -> i64
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
