// FlashAttention-2's loop for one head of d = 64 or 128: Q tile of 64 rows on
// 4 warps, KV tiles of 64 keys, two stages by cp.async, XOR swizzle, ldmatrix,
// m16n8k16, online softmax in base 2. Q, K, V, O are [heads, seq, d], seq a
// multiple of 64.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

template <typename T> struct Mma;
template <> struct Mma<__nv_bfloat16> {
  static __device__ void run(float *c, const uint32_t *a, const uint32_t *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
                   "r"(b[1]));
  }
  static __device__ uint32_t pack(float low, float high) {
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
};
template <> struct Mma<__half> {
  static __device__ void run(float *c, const uint32_t *a, const uint32_t *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
                   "r"(b[1]));
  }
  static __device__ uint32_t pack(float low, float high) {
    uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
};

__device__ void ldmatrix4(uint32_t *r, uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
__device__ void ldmatrix4t(uint32_t *r, uint32_t address) {
  asm volatile(
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
      : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
      : "r"(address));
}
__device__ float exp2Approx(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

// Byte offset of 16-byte chunk `chunk` of row `row` of a tile of D columns.
template <int D> __device__ uint32_t swizzled(int row, int chunk) {
  return (row * (D / 8) + (chunk ^ (row & 7))) * 16;
}

template <typename T, int D>
__device__ void copyTile(uint32_t to, const T *from) {
  for (int i = threadIdx.x; i < 64 * D / 8; i += 128) {
    int row = i / (D / 8), chunk = i % (D / 8);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     to + swizzled<D>(row, chunk)),
                 "l"(from + row * D + chunk * 8));
  }
}

template <typename T, int D>
__device__ void attention(const T *q, const T *k, const T *v, T *o, float *lse,
                          int seqQ, int seqK, float scale) {
  extern __shared__ __align__(16) unsigned char memory[];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const int g = lane >> 2, t = lane & 3;
  uint32_t base = (uint32_t)__cvta_generic_to_shared(memory);
  constexpr uint32_t tile = 64 * D * 2;
  const uint32_t sq = base, sk = base + tile, sv = base + 3 * tile;
  q += ((size_t)blockIdx.y * seqQ + blockIdx.x * 64) * D;
  o += ((size_t)blockIdx.y * seqQ + blockIdx.x * 64) * D;
  k += (size_t)blockIdx.y * seqK * D;
  v += (size_t)blockIdx.y * seqK * D;

  copyTile<T, D>(sq, q);
  copyTile<T, D>(sk, k);
  asm volatile("cp.async.commit_group;");
  copyTile<T, D>(sv, v);
  asm volatile("cp.async.commit_group;");

  float acc[D / 8][4] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {0, 0};
  const int tiles = seqK / 64;
  for (int j = 0; j < tiles; ++j) {
    const uint32_t ks = sk + (j & 1) * tile, vs = sv + (j & 1) * tile;
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    if (j + 1 < tiles)
      copyTile<T, D>(sk + (~j & 1) * tile, k + (size_t)(j + 1) * 64 * D);
    asm volatile("cp.async.commit_group;");

    float s[8][4] = {};
#pragma unroll
    for (int kk = 0; kk < D / 16; ++kk) {
      uint32_t a[4];
      ldmatrix4(a, sq + swizzled<D>(warp * 16 + (lane & 15), kk * 2 + (lane >> 4)));
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[4];
        ldmatrix4(b, ks + swizzled<D>(n * 8 + (lane & 7) + (lane >> 4) * 8,
                                      kk * 2 + (lane >> 3 & 1)));
        Mma<T>::run(s[n], a, b);
        Mma<T>::run(s[n + 1], a, b + 2);
      }
    }
    float c = scale * 1.44269504f, alpha[2];
    for (int h = 0; h < 2; ++h) {
      float top = m[h];
      for (int n = 0; n < 8; ++n)
        top = fmaxf(top, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      alpha[h] = exp2Approx((m[h] - top) * c);
      m[h] = top;
      float sum = 0;
      for (int n = 0; n < 8; ++n)
        for (int e = 0; e < 2; ++e) {
          float p = exp2Approx(s[n][2 * h + e] * c - top * c);
          s[n][2 * h + e] = p;
          sum += p;
        }
      l[h] = l[h] * alpha[h] + sum;
      for (int n = 0; n < D / 8; ++n) {
        acc[n][2 * h] *= alpha[h];
        acc[n][2 * h + 1] *= alpha[h];
      }
    }
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    if (j + 1 < tiles)
      copyTile<T, D>(sv + (~j & 1) * tile, v + (size_t)(j + 1) * 64 * D);
    asm volatile("cp.async.commit_group;");
#pragma unroll
    for (int kk = 0; kk < 4; ++kk) {
      uint32_t a[4] = {Mma<T>::pack(s[2 * kk][0], s[2 * kk][1]),
                       Mma<T>::pack(s[2 * kk][2], s[2 * kk][3]),
                       Mma<T>::pack(s[2 * kk + 1][0], s[2 * kk + 1][1]),
                       Mma<T>::pack(s[2 * kk + 1][2], s[2 * kk + 1][3])};
#pragma unroll
      for (int n = 0; n < D / 8; n += 2) {
        uint32_t b[4];
        ldmatrix4t(b, vs + swizzled<D>(kk * 16 + (lane & 15), n + (lane >> 4)));
        Mma<T>::run(acc[n], a, b);
        Mma<T>::run(acc[n + 1], a, b + 2);
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    float sum = l[h];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    float inverse = 1.0f / sum;
    int row = warp * 16 + g + 8 * h;
    for (int n = 0; n < D / 8; ++n)
      *(uint32_t *)(o + row * D + n * 8 + 2 * t) =
          Mma<T>::pack(acc[n][2 * h] * inverse, acc[n][2 * h + 1] * inverse);
    if (t == 0)
      lse[(size_t)blockIdx.y * seqQ + blockIdx.x * 64 + row] =
          m[h] * scale + logf(sum);
  }
}

#define KERNEL(name, T, D)                                                     \
  extern "C" __global__ void __launch_bounds__(128)                            \
      name(const T *q, const T *k, const T *v, T *o, float *lse, int seqQ,     \
           int seqK, float scale) {                                            \
    attention<T, D>(q, k, v, o, lse, seqQ, seqK, scale);                       \
  }
KERNEL(attention_bf16_128, __nv_bfloat16, 128)
KERNEL(attention_f16_64, __half, 64)
