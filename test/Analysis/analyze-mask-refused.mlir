// RUN: not flash-opt %s --flash-analyze-mask="tile-q=0 tile-k=64" 2>&1 | FileCheck %s --check-prefix=QUERIES
// RUN: not flash-opt %s --flash-analyze-mask="tile-q=64 tile-k=-8" 2>&1 | FileCheck %s --check-prefix=KEYS

// QUERIES: analyze-mask-refused.mlir:{{.*}} error: option tile-q: expected a positive number, got 0
// KEYS: analyze-mask-refused.mlir:{{.*}} error: option tile-k: expected a positive number, got -8
!t = memref<1x1x?x64xbf16>
func.func @none(%q: !t, %k: !t, %o: !t) {
  flash.attention ins(query = %q, key = %k, value = %k : !t, !t, !t) outs(output = %o : !t)
  return
}
