// RUN: not flash-opt %s --flash-tile-stage-buffers="stages=-1" 2>&1 | FileCheck %s
// CHECK: error: stages: expected at least 1, got -1
func.func @empty() {
  return
}
