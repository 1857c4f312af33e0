// A level is a bundle of steps; each can be changed alone.

// RUN: flash-opt %s --flash-select-schedule=level=5 | FileCheck %s --check-prefix=MMAQK
// RUN: flash-opt %s --flash-select-schedule=level=6 | FileCheck %s --check-prefix=MMA
// RUN: flash-opt %s --flash-select-schedule=level=7 | FileCheck %s --check-prefix=INREGISTER
// RUN: flash-opt %s --flash-select-schedule=level=8 | FileCheck %s --check-prefix=SWIZZLED
// MMAQK: level = 5, {{.*}} pv = fma, probabilities = shared, ldmatrix = false, swizzle = false, fold_scale = false, defer_normalisation = false, split_bands = false>
// MMA: level = 6, {{.*}} probabilities = shared, ldmatrix = false, swizzle = false, fold_scale = false, defer_normalisation = false, split_bands = false>
// INREGISTER: level = 7, {{.*}} stages_k = 2, stages_v = 2, query_in_registers = false, ldmatrix = false, swizzle = false, fold_scale = false, defer_normalisation = false, split_bands = false>
// SWIZZLED: level = 8, {{.*}} fold_scale = false, defer_normalisation = false, split_bands = false>

// RUN: flash-opt %s "--flash-select-schedule=level=8 fields=swizzle=false,tile_v=32,defer_normalisation=1" | FileCheck %s --check-prefix=FIELDS
// FIELDS: tile_v = 32, swizzle = false, fold_scale = false, split_bands = false>

// Only copies that run ahead have a second stage to fill; where two stages of
// both operands do not fit, two of K.

// RUN: flash-opt %s "--flash-select-schedule=chip=sm_86 level=8 fields=tile_k=128,tile_q=128,warps=8" | FileCheck %s --check-prefix=FIT
// RUN: flash-opt %s "--flash-select-schedule=chip=sm_86 level=8 fields=tile_k=208,tile_q=128,warps=8" | FileCheck %s --check-prefix=ONE
// RUN: not flash-opt %s "--flash-select-schedule=chip=sm_86 level=8 fields=tile_k=208,tile_q=128,warps=8,stages_k=2,stages_v=2" 2>&1 | FileCheck %s --check-prefix=ASKED
// FIT: stages_k = 2, stages_v = 2
// ONE: stages_k = 2, stages_v = 1
// Q 128 x 64, K and V 208 x 64 twice each, 2 bytes.
// ASKED: tile sizes: expected at most 101376 bytes of shared memory on sm_86, got 122880

// What says nothing.

// RUN: not flash-opt %s --flash-select-schedule=fields=copies=none 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: copies: expected scalar, vector or async (tensor cores read shared memory), got none with qk or pv = mma
// RUN: not flash-opt %s --flash-select-schedule=fields=copies=vector,stages_k=2 2>&1 | FileCheck %s --check-prefix=STAGES
// STAGES: stages: expected 1 of K and V (only copies = async run ahead), got 2 and 1 with copies = vector
// RUN: not flash-opt %s --flash-select-schedule=fields=qk=fma,pv=fma,probabilities=shared 2>&1 | FileCheck %s --check-prefix=LDMATRIX
// LDMATRIX: ldmatrix: expected false (it reads fragments of tensor cores), got true with qk = pv = fma
// RUN: not flash-opt %s --flash-select-schedule=fields=pv=fma 2>&1 | FileCheck %s --check-prefix=REGISTERS
// REGISTERS: probabilities: expected shared ({{.*}}), got registers with qk or pv = fma
// RUN: not flash-opt %s --flash-select-schedule=fields=softmax=two_pass 2>&1 | FileCheck %s --check-prefix=TWOPASS
// TWOPASS: softmax: expected online, got two_pass with qk or pv = mma
// RUN: not flash-opt %s --flash-select-schedule=fields=tile_v=48 2>&1 | FileCheck %s --check-prefix=SLICE
// SLICE: tile_v: expected a divisor of the value head dim 64, got 48
// RUN: not flash-opt %s --flash-select-schedule=fields=reduce=ring 2>&1 | FileCheck %s --check-prefix=VALUE
// VALUE: fields: reduce: expected tree or shuffle, got 'ring'

// f32 has no tensor cores; tf32 has.

// RUN: not flash-opt %S/Inputs/attention-f32.mlir --flash-select-schedule=level=7 2>&1 | FileCheck %s --check-prefix=F32
// F32: query element type: expected one of tensor cores, such as tf32, with qk = mma (f32 runs on levels 0 to 4), got f32

!a = memref<1x8x?x64xbf16>

func.func @attention(%q: !a, %k: !a, %o: !a) {
  flash.attention ins(query = %q, key = %k, value = %k : !a, !a, !a) outs(output = %o : !a)
  return
}
