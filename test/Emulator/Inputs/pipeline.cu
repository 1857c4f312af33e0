// Kernels whose correctness hangs on their synchronisation: the material of
// the mutation tests, where each wait and barrier is dropped in turn.
#include <stdint.h>

__device__ void copy16(void *to, const void *from) {
  uint32_t address = (uint32_t)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address),
               "l"(from));
}

// c[m][n] = sum_k a[m][k] b[n][k] for one 64 x 64 tile per CTA, 4 warps of 16
// rows, bf16 in, f32 out, three stages of 32 columns of k.
extern "C" __global__ void gemm_stages(const uint16_t *a, const uint16_t *b,
                                       float *c, int k) {
  __shared__ __align__(16) uint16_t sa[3][64][40], sb[3][64][40];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const int g = lane >> 2, t = lane & 3;
  a += blockIdx.x * 64 * k;
  b += blockIdx.y * 64 * k;
  auto load = [&](int stage, int at) {
    for (int i = threadIdx.x; i < 64 * 4; i += 128) {
      int row = i / 4, chunk = i % 4 * 8;
      copy16(&sa[stage][row][chunk], a + row * k + at * 32 + chunk);
      copy16(&sb[stage][row][chunk], b + row * k + at * 32 + chunk);
    }
  };
  const int steps = k / 32;
  load(0, 0);
  asm volatile("cp.async.commit_group;");
  load(1, 1);
  asm volatile("cp.async.commit_group;");
  float acc[8][4] = {};
#pragma unroll 1
  for (int s = 0; s < steps; ++s) {
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    if (s + 2 < steps)
      load((s + 2) % 3, s + 2);
    asm volatile("cp.async.commit_group;");
    const int stage = s % 3;
#pragma unroll
    for (int kk = 0; kk < 32; kk += 16) {
      uint32_t ra[4], rb[4];
      uint32_t at = (uint32_t)__cvta_generic_to_shared(
          &sa[stage][warp * 16 + (lane & 15)][kk + (lane >> 4) * 8]);
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3])
                   : "r"(at));
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        at = (uint32_t)__cvta_generic_to_shared(
            &sb[stage][n * 8 + (lane & 7) + (lane >> 4) * 8]
               [kk + (lane >> 3 & 1) * 8]);
        asm volatile(
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
            : "=r"(rb[0]), "=r"(rb[1]), "=r"(rb[2]), "=r"(rb[3])
            : "r"(at));
        for (int h = 0; h < 2; ++h)
          asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                       "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                       : "+f"(acc[n + h][0]), "+f"(acc[n + h][1]),
                         "+f"(acc[n + h][2]), "+f"(acc[n + h][3])
                       : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]),
                         "r"(rb[2 * h]), "r"(rb[2 * h + 1]));
      }
    }
  }
  const int ldc = gridDim.y * 64;
  c += blockIdx.x * 64 * ldc + blockIdx.y * 64;
  for (int n = 0; n < 8; ++n)
    for (int v = 0; v < 4; ++v)
      c[(warp * 16 + g + 8 * (v >> 1)) * ldc + n * 8 + 2 * t + (v & 1)] =
          acc[n][v];
}

// A producer warp fills two buffers, three consumer warps drain them; named
// barriers 1, 2 say "full", 3, 4 say "empty". y = 2 x + 1, n a multiple of 192.
extern "C" __global__ void named_barriers(const float *x, float *y, int n) {
  __shared__ float buffer[2][96];
  const int tid = threadIdx.x, warp = tid >> 5;
  const int tiles = n / 96;
  if (warp == 0) {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      if (i >= 2)
        asm volatile("bar.sync %0, 128;" ::"r"(3 + (i & 1)) : "memory");
      for (int e = tid; e < 96; e += 32)
        buffer[i & 1][e] = x[i * 96 + e];
      asm volatile("bar.arrive %0, 128;" ::"r"(1 + (i & 1)) : "memory");
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      asm volatile("bar.sync %0, 128;" ::"r"(1 + (i & 1)) : "memory");
      // Each consumer reads another lane's element of another part.
      float v = buffer[i & 1][95 - (tid - 32)];
      if (i + 2 < tiles)
        asm volatile("bar.arrive %0, 128;" ::"r"(3 + (i & 1)) : "memory");
      y[i * 96 + 95 - (tid - 32)] = 2 * v + 1;
    }
  }
}

// 32 x 32 transpose, twice, through one tile.
extern "C" __global__ void transpose_twice(const float *x, float *y, float *z) {
  __shared__ float tile[32][33];
  const int lane = threadIdx.x, row = threadIdx.y;
  for (int r = row; r < 32; r += 4)
    tile[r][lane] = x[r * 32 + lane];
  __syncthreads();
  for (int r = row; r < 32; r += 4)
    y[r * 32 + lane] = tile[lane][r];
  __syncthreads();
  for (int r = row; r < 32; r += 4)
    tile[r][lane] = 2 * x[r * 32 + lane];
  __syncthreads();
  for (int r = row; r < 32; r += 4)
    z[r * 32 + lane] = tile[lane][r];
}

// Lanes of one warp exchange through shared memory; __syncwarp orders them.
extern "C" __global__ void warp_exchange(const int *x, int *y) {
  __shared__ int slot[4][32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  int v = x[threadIdx.x];
#pragma unroll 1
  for (int round = 0; round < 4; ++round) {
    slot[warp][lane] = v;
    __syncwarp();
    v += slot[warp][(lane + 1) & 31];
    __syncwarp();
  }
  y[threadIdx.x] = v;
}

// Prefix sum over one CTA (Hillis and Steele), two barriers per step.
extern "C" __global__ void scan(const int *x, int *y) {
  __shared__ int data[256];
  const int t = threadIdx.x;
  data[t] = x[t];
  __syncthreads();
#pragma unroll 1
  for (int d = 1; d < 256; d *= 2) {
    int add = t >= d ? data[t - d] : 0;
    __syncthreads();
    data[t] += add;
    __syncthreads();
  }
  y[t] = data[t];
}
