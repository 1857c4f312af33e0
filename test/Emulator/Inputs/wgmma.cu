// wgmma of every type and layout: c[m][n] = sum_k a[m][k] b[n][k], m = n = 64,
// one warpgroup. Threads fill the tiles themselves, so that the layouts here
// depend on no tensor map.
#include "hopper.cuh"

// Tiles hold 128 bytes of k per row. Byte `byte` of row `row`, k-major: with a
// swizzle, `span` bytes of 64 rows one after the other, then the next `span`
// bytes; without, 8 x 16-byte matrices, all rows of 16 bytes of k, then the
// next.
DEVICE uint32_t kMajor(uint32_t row, uint32_t byte, uint32_t span) {
  if (span == 0)
    return (byte / 16 * 8 + row / 8) * 128 + row % 8 * 16 + byte % 16;
  return byte / span * 64 * span + swizzled(row * span + byte % span, span);
}
// The descriptor of the `step`-th 32 bytes of k of the tile at `tile`.
DEVICE uint64_t kMajorDescriptor(uint32_t tile, int step, uint32_t span) {
  if (span == 0)
    return descriptor(tile + step * 2048, 1024, 128, 0);
  const uint32_t byte = step * 32;
  return descriptor(tile + byte / span * 64 * span + byte % span, 16, 8 * span,
                    span);
}

enum Type { BF16, F16, F16F16, TF32, E4M3, E5M2E4M3, S8, U8S8 };

#define STEP(shape, scales)                                                    \
  "wgmma.mma_async.sync.aligned.m64n64" shape " " LIST32                       \
  ", %32, %33, keep" scales ";\n"
#define RUN(constraint, d, shape, scales)                                      \
  asm volatile("{\n"                                                           \
               ".reg .pred keep;\n"                                            \
               "setp.ne.b32 keep, %34, 0;\n" STEP(shape, scales) "}"           \
               : OPERANDS32(constraint, d)                                     \
               : "l"(a), "l"(b), "r"(keep))

template <Type T>
DEVICE void multiply(float (&d)[32], uint64_t a, uint64_t b, int keep) {
  if (T == BF16)
    RUN("+f", d, "k16.f32.bf16.bf16", ", 1, 1, 0, 0");
  if (T == F16)
    RUN("+f", d, "k16.f32.f16.f16", ", 1, -1, 0, 0");
  if (T == TF32)
    RUN("+f", d, "k8.f32.tf32.tf32", ", 1, 1");
  if (T == E4M3)
    RUN("+f", d, "k32.f32.e4m3.e4m3", ", 1, 1");
  if (T == E5M2E4M3)
    RUN("+f", d, "k32.f32.e5m2.e4m3", ", 1, 1");
}
template <Type T>
DEVICE void multiply(int (&d)[32], uint64_t a, uint64_t b, int keep) {
  if (T == S8)
    RUN("+r", d, "k32.s32.s8.s8", "");
  if (T == U8S8)
    RUN("+r", d, "k32.s32.u8.s8", "");
}
// f16 accumulators, two to a register.
template <Type T>
DEVICE void multiply(uint32_t (&d)[16], uint64_t a, uint64_t b, int keep) {
  asm volatile(
      "{\n"
      ".reg .pred keep;\n"
      "setp.ne.b32 keep, %18, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f16.f16.f16 {%0,%1,%2,%3,%4,%5,"
      "%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, %16, %17, keep, 1, 1, 0, 0;\n"
      "}"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]),
        "+r"(d[6]), "+r"(d[7]), "+r"(d[8]), "+r"(d[9]), "+r"(d[10]),
        "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15])
      : "l"(a), "l"(b), "r"(keep));
}

// Row and column of accumulator `i` of this thread in a 64-row tile.
DEVICE int rowOf(int i) {
  return threadIdx.x / 32 * 16 + (threadIdx.x & 31) / 4 + (i >> 1 & 1) * 8;
}
DEVICE int columnOf(int i) {
  return i / 4 * 8 + (threadIdx.x & 3) * 2 + (i & 1);
}

// a and b are [64][bytes], bytes of k a multiple of 128.
template <Type T, typename D, int N>
DEVICE void gemm(const uint32_t *a, const uint32_t *b, D *c, int bytes,
                 int span) {
  __shared__ __align__(1024) unsigned char sa[8192], sb[8192];
  D d[N] = {};
#pragma unroll 1
  for (int at = 0; at < bytes; at += 128) {
#pragma unroll 1
    for (int i = threadIdx.x; i < 64 * 32; i += 128) {
      const int row = i / 32, byte = i % 32 * 4;
      const uint32_t to = kMajor(row, byte, span);
      *(uint32_t *)(sa + to) = a[(row * bytes + at + byte) / 4];
      *(uint32_t *)(sb + to) = b[(row * bytes + at + byte) / 4];
    }
    fenceProxyAsync();
    __syncthreads();
    wgmmaFence();
#pragma unroll 1
    for (int step = 0; step < 4; ++step)
      multiply<T>(d, kMajorDescriptor(sharedAddress(sa), step, span),
                  kMajorDescriptor(sharedAddress(sb), step, span), 1);
    wgmmaCommit();
    // It is over for all four warps: the tiles are free.
    wgmmaWait<0>();
  }
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (N == 32)
      c[rowOf(i) * 64 + columnOf(i)] = d[i];
    else
      c[(rowOf(2 * i) * 64 + columnOf(2 * i)) / 2] = d[i];
}
#define GEMM(name, type, D, N)                                                 \
  extern "C" __global__ void __launch_bounds__(128)                            \
      name(const uint32_t *a, const uint32_t *b, D *c, int bytes, int span) {  \
    gemm<type, D, N>(a, b, c, bytes, span);                                    \
  }
GEMM(wgmma_bf16, BF16, float, 32)
GEMM(wgmma_f16_negated, F16, float, 32)
GEMM(wgmma_f16_f16, F16F16, uint32_t, 16)
GEMM(wgmma_tf32, TF32, float, 32)
GEMM(wgmma_e4m3, E4M3, float, 32)
GEMM(wgmma_e5m2_e4m3, E5M2E4M3, float, 32)
GEMM(wgmma_s8, S8, int, 32)
GEMM(wgmma_u8_s8, U8S8, int, 32)

// Element (k, n) of a tile of 64 k and 64 n of 16 bits, n contiguous: with a
// swizzle, `span` bytes of n of all k, then the next `span` bytes.
DEVICE uint32_t nMajor(uint32_t k, uint32_t n, uint32_t span) {
  const uint32_t byte = n * 2;
  if (span == 0)
    return byte / 16 * 1024 + k * 16 + byte % 16;
  return byte / span * 64 * span + swizzled(k * span + byte % span, span);
}
DEVICE uint64_t nMajorDescriptor(uint32_t tile, int step, uint32_t span) {
  if (span == 0)
    return descriptor(tile + step * 256, 128, 1024, 0);
  return descriptor(tile + step * 16 * span, 64 * span, 8 * span, span);
}

// b is [k][64]; a is [64][k], or [k][64] where TransA is 1. 64 values of k.
template <int TransA>
DEVICE void transposed(const uint16_t *a, const uint16_t *b, float *c,
                       int span) {
  __shared__ __align__(1024) unsigned char sa[8192], sb[8192];
#pragma unroll 1
  for (int i = threadIdx.x; i < 64 * 64; i += 128) {
    const int row = i / 64, column = i % 64;
    const uint32_t to = nMajor(row, column, span);
    *(uint16_t *)(sb + to) = b[i];
    *(uint16_t *)(sa + (TransA ? to : kMajor(row, column * 2, span))) = a[i];
  }
  fenceProxyAsync();
  __syncthreads();
  float d[32] = {};
  wgmmaFence();
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    const uint64_t da = TransA
                            ? nMajorDescriptor(sharedAddress(sa), step, span)
                            : kMajorDescriptor(sharedAddress(sa), step, span);
    const uint64_t db = nMajorDescriptor(sharedAddress(sb), step, span);
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " LIST32
                 ", %32, %33, 1, 1, 1, %34, 1;\n"
                 : OPERANDS32("+f", d)
                 : "l"(da), "l"(db), "n"(TransA));
  }
  wgmmaCommit();
  wgmmaWait<0>();
#pragma unroll
  for (int i = 0; i < 32; ++i)
    c[rowOf(i) * 64 + columnOf(i)] = d[i];
}
extern "C" __global__ void __launch_bounds__(128)
    wgmma_b_transposed(const uint16_t *a, const uint16_t *b, float *c,
                       int span) {
  transposed<0>(a, b, c, span);
}
extern "C" __global__ void __launch_bounds__(128)
    wgmma_both_transposed(const uint16_t *a, const uint16_t *b, float *c,
                          int span) {
  transposed<1>(a, b, c, span);
}

// a [64][k] from registers, straight from global memory; b [64][k] in tiles of
// 64 k. The first step of all drops what the accumulators hold.
extern "C" __global__ void __launch_bounds__(128)
    wgmma_registers(const uint16_t *a, const uint32_t *b, float *c, int k,
                    int span) {
  __shared__ __align__(1024) unsigned char sb[8192];
  float d[32];
#pragma unroll
  for (int i = 0; i < 32; ++i)
    d[i] = 1e30f;
#pragma unroll 1
  for (int at = 0; at < k; at += 64) {
#pragma unroll 1
    for (int i = threadIdx.x; i < 64 * 32; i += 128) {
      const int row = i / 32, byte = i % 32 * 4;
      *(uint32_t *)(sb + kMajor(row, byte, span)) =
          b[(row * k + at) / 2 + i % 32];
    }
    fenceProxyAsync();
    __syncthreads();
#pragma unroll 1
    for (int step = 0; step < 4; ++step) {
      uint32_t fragment[4];
      for (int i = 0; i < 4; ++i) {
        const int row = rowOf(2 * (i & 1));
        const int column = at + step * 16 + (threadIdx.x & 3) * 2 + (i >> 1) * 8;
        fragment[i] = *(const uint32_t *)(a + row * k + column);
      }
      wgmmaFence();
      wgmmaBf16<0>(d, fragment,
                   kMajorDescriptor(sharedAddress(sb), step, span),
                   at + step > 0);
      wgmmaCommit();
      // The fragment's registers, and the tile, are written again.
      wgmmaWait<0>();
    }
  }
#pragma unroll
  for (int i = 0; i < 32; ++i)
    c[rowOf(i) * 64 + columnOf(i)] = d[i];
}
