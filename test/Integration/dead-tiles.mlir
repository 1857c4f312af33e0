// Masks whose live tiles are no few ranges: the kernel looks its tiles up, and
// visits no dead one. A tile of 128 x 64 at d = 64 is 512 mma.

// RUN: split-file %s %t
// RUN: flash-run %t/period.mlir --check --counters \
// RUN:   | FileCheck %s --check-prefix=PERIOD
// RUN: flash-run %t/stairs.mlir --check --counters --async=lazy \
// RUN:   | FileCheck %s --check-prefix=STAIRS
// RUN: flash-opt %t/period.mlir --flash-analyze-mask -o %t/same.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PERIOD-REMARK
// RUN: flash-opt %t/stairs.mlir --flash-analyze-mask -o %t/same.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=STAIRS-REMARK

// Two of sixteen tiles in each of two rows of tiles.
// PERIOD: "mma": 2048
// PERIOD: check {{ *}}pass
// PERIOD-REMARK: remark: mask: its live tiles are no fixed number of ranges

// Tiles 0, 3, 6, 9, 12 and 15 of all rows.
// STAIRS: "mma": 6144
// STAIRS: check {{ *}}pass
// STAIRS-REMARK: remark: mask: its live tiles are 6 ranges, more than 4

//--- period.mlir
!q = tensor<1x1x256x64xbf16>
!t = tensor<1x1x1024x64xbf16>
func.func @f(%q: !q, %k: !t, %v: !t, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : !q, !t, !t)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %period = arith.constant 512 : index
      %seen = arith.constant 64 : index
      %rest = arith.remsi %j, %period : index
      %r = arith.cmpi slt, %rest, %seen : index
      flash.yield %r : i1
    }
    -> !q
  return %0 : !q
}

//--- stairs.mlir
!q = tensor<1x1x256x64xbf16>
!t = tensor<1x1x1024x64xbf16>
func.func @f(%q: !q, %k: !t, %v: !t, %o: !q) -> !q {
  %0 = flash.attention ins(query = %q, key = %k, value = %v : !q, !t, !t)
    outs(output = %o : !q)
    mask {
    ^bb0(%b: index, %h: index, %i: index, %j: index):
      %true = arith.constant true
      %false = arith.constant false
      %c64 = arith.constant 64 : index
      %c192 = arith.constant 192 : index
      %c256 = arith.constant 256 : index
      %c384 = arith.constant 384 : index
      %c448 = arith.constant 448 : index
      %c576 = arith.constant 576 : index
      %c640 = arith.constant 640 : index
      %c768 = arith.constant 768 : index
      %c832 = arith.constant 832 : index
      %c960 = arith.constant 960 : index
      %x0 = arith.cmpi slt, %j, %c960 : index
      %y0 = arith.select %x0, %false, %true : i1
      %x1 = arith.cmpi slt, %j, %c832 : index
      %y1 = arith.select %x1, %true, %y0 : i1
      %x2 = arith.cmpi slt, %j, %c768 : index
      %y2 = arith.select %x2, %false, %y1 : i1
      %x3 = arith.cmpi slt, %j, %c640 : index
      %y3 = arith.select %x3, %true, %y2 : i1
      %x4 = arith.cmpi slt, %j, %c576 : index
      %y4 = arith.select %x4, %false, %y3 : i1
      %x5 = arith.cmpi slt, %j, %c448 : index
      %y5 = arith.select %x5, %true, %y4 : i1
      %x6 = arith.cmpi slt, %j, %c384 : index
      %y6 = arith.select %x6, %false, %y5 : i1
      %x7 = arith.cmpi slt, %j, %c256 : index
      %y7 = arith.select %x7, %true, %y6 : i1
      %x8 = arith.cmpi slt, %j, %c192 : index
      %y8 = arith.select %x8, %false, %y7 : i1
      %x9 = arith.cmpi slt, %j, %c64 : index
      %r = arith.select %x9, %true, %y8 : i1
      flash.yield %r : i1
    }
    -> !q
  return %0 : !q
}
