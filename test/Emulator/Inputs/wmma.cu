// One warp multiplies with nvcuda::wmma, every shape and type:
// C (m x n, rows) = 2 (C + A B), A (m x k) by rows, B (k x n) by columns where
// its name ends in _nt, else by rows.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

template <int M, int N, int K, typename T, typename D, bool Columns,
          typename Memory>
__device__ void product(const Memory *a, const Memory *b, D *c, int k) {
  __shared__ __align__(128) D tile[M * N];
  using Layout =
      std::conditional_t<Columns, wmma::col_major, wmma::row_major>;
  wmma::fragment<wmma::accumulator, M, N, K, D> sum;
  wmma::load_matrix_sync(sum, c, N, wmma::mem_row_major);
  for (int i = 0; i < k; i += K) {
    wmma::fragment<wmma::matrix_a, M, N, K, T, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, M, N, K, T, Layout> right;
    wmma::load_matrix_sync(left, a + i, k);
    wmma::load_matrix_sync(right, b + (Columns ? i : i * N), Columns ? k : N);
    wmma::mma_sync(sum, left, right, sum);
  }
  // An operation on every element, wherever it lies.
  for (int i = 0; i < sum.num_elements; ++i)
    sum.x[i] = sum.x[i] + sum.x[i];
  wmma::store_matrix_sync(tile, sum, M, wmma::mem_col_major);
  __syncwarp();
  for (int i = threadIdx.x; i < M * N; i += 32)
    c[i % M * N + i / M] = tile[i];
}

#define KERNEL(NAME, M, N, K, T, D, COLUMNS, MEMORY)                           \
  extern "C" __global__ void NAME(const MEMORY *a, const MEMORY *b, D *c,      \
                                  int k) {                                     \
    product<M, N, K, T, D, COLUMNS>(a, b, c, k);                               \
  }

KERNEL(wmma_f16_nt, 16, 16, 16, half, float, true, half)
KERNEL(wmma_f16_tall, 32, 8, 16, half, float, false, half)
KERNEL(wmma_f16_wide, 8, 32, 16, half, float, false, half)
KERNEL(wmma_f16_half, 16, 16, 16, half, half, false, half)
KERNEL(wmma_bf16_nt, 16, 16, 16, __nv_bfloat16, float, true, __nv_bfloat16)
KERNEL(wmma_bf16_tall, 32, 8, 16, __nv_bfloat16, float, false, __nv_bfloat16)
KERNEL(wmma_bf16_wide, 8, 32, 16, __nv_bfloat16, float, true, __nv_bfloat16)
KERNEL(wmma_s8_nt, 16, 16, 16, signed char, int, true, signed char)
KERNEL(wmma_u8_tall, 32, 8, 16, unsigned char, int, false, unsigned char)
KERNEL(wmma_s8_wide, 8, 32, 16, signed char, int, true, signed char)
KERNEL(wmma_tf32, 16, 16, 8, wmma::precision::tf32, float, false, float)
KERNEL(wmma_f64_nt, 8, 8, 4, double, double, true, double)
