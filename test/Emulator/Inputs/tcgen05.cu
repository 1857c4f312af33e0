// Products in tensor memory (sm_100a): 128 x 64 outputs of one CTA of 128
// threads, bf16 in, f32 out, tiles under the 128-byte swizzle.
#include "hopper.cuh"

// As descriptor() in hopper.cuh, in the encoding of tcgen05.
DEVICE uint64_t tensorDescriptor(uint32_t address) {
  return (uint64_t)(address >> 4 & 0x3fff) | (uint64_t)1 << 16 |
         (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 46 | (uint64_t)2 << 61;
}
// bf16 x bf16 -> f32, 128 x 64; b with n contiguous where TransB is 1.
template <int TransB> constexpr uint32_t kInstruction =
    1 << 4 | 1 << 7 | 1 << 10 | TransB << 16 | 64 / 8 << 17 | 128 / 16 << 24;

DEVICE uint32_t allocateColumns(uint32_t *slot, int columns) {
  if (threadIdx.x < 32) {
    asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 "
                 "[%0], %1;" ::"r"(sharedAddress(slot)),
                 "r"(columns)
                 : "memory");
    asm volatile(
        "tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;");
  }
  __syncthreads();
  return *(volatile uint32_t *)slot;
}
DEVICE void freeColumns(uint32_t address, int columns) {
  asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  if (threadIdx.x < 32)
    asm volatile(
        "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(address),
        "r"(columns)
        : "memory");
}
DEVICE void commit(uint32_t bar) {
  asm volatile("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::"
               "cluster.b64 [%0];" ::"r"(bar)
               : "memory");
}
DEVICE void afterSync() {
  asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
}

// Each thread writes its row of 64 columns.
DEVICE void writeRow(uint32_t address, float *c) {
  uint32_t d[32];
  for (int half = 0; half < 2; ++half) {
    asm volatile("tcgen05.ld.sync.aligned.32x32b.x32.b32 " LIST32 ", [%32];"
                 : OPERANDS32("=r", d)
                 : "r"(address + (threadIdx.x / 32 << 21) + half * 32));
    asm volatile("tcgen05.wait::ld.sync.aligned;" ::: "memory");
#pragma unroll
    for (int i = 0; i < 32; ++i)
      c[threadIdx.x * 64 + half * 32 + i] = __uint_as_float(d[i]);
  }
}

// c[m][n] = sum_k a[m][k] b[n][k], k a multiple of 64.
extern "C" __global__ void __launch_bounds__(128)
    tcgen05_gemm(const uint32_t *a, const uint32_t *b, float *c, int k) {
  __shared__ __align__(1024) unsigned char tileA[16384], tileB[8192];
  __shared__ uint64_t done;
  __shared__ uint32_t slot;
  const uint32_t bar = sharedAddress(&done);
  if (threadIdx.x == 0) {
    barrierInit(bar, 1);
    fenceBarrierInit();
  }
  const uint32_t d = allocateColumns(&slot, 64);
#pragma unroll 1
  for (int at = 0; at < k; at += 64) {
    if (at > 0)
      wait(bar, at / 64 - 1 & 1);
#pragma unroll 1
    for (int i = threadIdx.x; i < 128 * 32; i += 128) {
      const int row = i / 32, word = i % 32;
      const uint32_t to = swizzled(row * 128 + word * 4, 128);
      *(uint32_t *)(tileA + to) = a[(row * k + at) / 2 + word];
      if (row < 64)
        *(uint32_t *)(tileB + to) = b[(row * k + at) / 2 + word];
    }
    fenceProxyAsync();
    __syncthreads();
    if (threadIdx.x == 0) {
      afterSync();
#pragma unroll
      for (int step = 0; step < 4; ++step)
        asm volatile("{\n"
                     ".reg .pred keep;\n"
                     "setp.ne.b32 keep, %4, 0;\n"
                     "tcgen05.mma.cta_group::1.kind::f16 [%0], %1, %2, %3, "
                     "keep;\n"
                     "}" ::"r"(d),
                     "l"(tensorDescriptor(sharedAddress(tileA) + step * 32)),
                     "l"(tensorDescriptor(sharedAddress(tileB) + step * 32)),
                     "r"(kInstruction<0>), "r"(at + step)
                     : "memory");
      commit(bar);
    }
  }
  wait(bar, k / 64 - 1 & 1);
  afterSync();
  writeRow(d, c);
  freeColumns(d, 64);
}

// c[m][n] = sum_k a[m][k] b[k][n] for 64 values of k, a from tensor memory: the
// second product of attention.
extern "C" __global__ void __launch_bounds__(128)
    tcgen05_from_tensor_memory(const uint32_t *a, const uint32_t *b, float *c) {
  __shared__ __align__(1024) unsigned char tileB[8192];
  __shared__ uint64_t done;
  __shared__ uint32_t slot;
  const uint32_t bar = sharedAddress(&done);
  if (threadIdx.x == 0) {
    barrierInit(bar, 1);
    fenceBarrierInit();
  }
  const uint32_t d = allocateColumns(&slot, 128), p = d + 64;
#pragma unroll 1
  for (int i = threadIdx.x; i < 64 * 32; i += 128)
    *(uint32_t *)(tileB + swizzled(i * 4, 128)) = b[i];
  uint32_t row[32];
#pragma unroll
  for (int i = 0; i < 32; ++i)
    row[i] = a[threadIdx.x * 32 + i];
  asm volatile("tcgen05.st.sync.aligned.32x32b.x32.b32 [%32], " LIST32 ";" ::
                   OPERANDS32("r", row),
               "r"(p + (threadIdx.x / 32 << 21))
               : "memory");
  asm volatile("tcgen05.wait::st.sync.aligned;" ::: "memory");
  fenceProxyAsync();
  asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  if (threadIdx.x == 0) {
    afterSync();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      asm volatile("{\n"
                   ".reg .pred keep;\n"
                   "setp.ne.b32 keep, %4, 0;\n"
                   "tcgen05.mma.cta_group::1.kind::f16 [%0], [%1], %2, %3, "
                   "keep;\n"
                   "}" ::"r"(d),
                   "r"(p + step * 8),
                   "l"(tensorDescriptor(sharedAddress(tileB) + step * 2048)),
                   "r"(kInstruction<1>), "r"(step)
                   : "memory");
    commit(bar);
  }
  wait(bar, 0);
  afterSync();
  writeRow(d, c);
  freeColumns(d, 128);
}
