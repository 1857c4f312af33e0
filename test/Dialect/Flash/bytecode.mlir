// Bytecode round-trips, and what version 1.0 wrote is still read as it was
// meant. The files Inputs/attention-*.mlirbc are never regenerated; a new
// version of the dialect adds one.

// RUN: flash-opt %S/Inputs/attention.mlir -o %t.mlir
// RUN: flash-opt %S/Inputs/attention.mlir --emit-bytecode -o %t.mlirbc
// RUN: flash-opt %t.mlirbc | diff %t.mlir -
// RUN: flash-opt %S/Inputs/attention-1.0.mlirbc | diff %t.mlir -

// RUN: not flash-opt %S/Inputs/attention-2.0.mlirbc -o /dev/null 2>&1 | FileCheck %s
// CHECK: error: flash dialect version: expected at most 1.2, got 2.0
