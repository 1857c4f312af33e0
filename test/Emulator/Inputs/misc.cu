// What nvcc makes of ordinary code beyond arithmetic: calls, switches, stack
// arrays, structs by value, constants, votes, matches, atomics of every kind.
#include <stdint.h>

// A device function that stays a call, with a struct by value and by return.
struct Pair {
  int low, high;
  double weight;
};
static __device__ __noinline__ Pair spread(Pair p, int by) {
  Pair r = {p.low - by, p.high + by, p.weight * by};
  if (by > 20)
    r.low = -1;
  return r;
}
extern "C" __global__ void calls(const int *x, int *y, Pair base) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  Pair p = spread(base, x[i]);
  p = spread(p, i & 3);
  y[i] = p.low + 2 * p.high + (int)p.weight;
}

// A dense switch becomes an indexed branch.
extern "C" __global__ void dense_switch(const int *x, int *y) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int v = x[i], r;
  switch (v) {
  case 0: r = i * 3; break;
  case 1: r = i - 7; break;
  case 2: r = i * i; break;
  case 3: r = ~i; break;
  case 4: r = i << 3; break;
  case 5: r = i / 3; break;
  case 6: r = i % 5; break;
  case 7: r = 100; break;
  default: r = -v; break;
  }
  y[i] = r;
}

// An array indexed at run time lives in local memory.
extern "C" __global__ void stack_array(const int *x, int *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int heap[16];
  for (int k = 0; k < 16; ++k)
    heap[k] = x[(i + k * 5) % n];
  for (int a = 1; a < 16; ++a) // Insertion sort.
    for (int b = a; b > 0 && heap[b - 1] > heap[b]; --b) {
      int t = heap[b];
      heap[b] = heap[b - 1];
      heap[b - 1] = t;
    }
  y[i] = heap[(unsigned)x[i] & 15];
}

// A large struct by value with an array that is indexed at run time.
struct Table {
  int *out;
  int entries[40];
  short more[5];
};
extern "C" __global__ void by_value(const __grid_constant__ Table table) {
  int i = threadIdx.x;
  table.out[i] = table.entries[(i * 7) % 40] + table.more[i % 5];
}

__constant__ float weights[8] = {1, -2, 3, -4, 5, -6, 7, -8};
__device__ int visits = 5;
extern "C" __global__ void module_variables(const float *x, float *y) {
  int i = threadIdx.x;
  float s = 0;
  for (int k = 0; k < 8; ++k)
    s += weights[(k + i) & 7] * x[(i + k) & 31];
  y[i] = s + visits;
}

extern "C" __global__ void votes(const int *x, unsigned *y) {
  int i = threadIdx.x, v = x[i];
  unsigned all = 0xffffffffu, r = 0;
  r += __ballot_sync(all, v & 1);
  r += __any_sync(all, v == 17) * 3;
  r += __all_sync(all, v >= 0) * 5;
  r ^= __match_any_sync(all, v & 3);
  int same;
  r += __match_all_sync(all, v / 1000, &same) + same;
  r += __reduce_add_sync(all, v) + __reduce_max_sync(all, v) +
       __reduce_xor_sync(all, v);
  if (v & 1)
    r += __popc(__activemask()) + __ballot_sync(__activemask(), v & 2);
  y[i] = r;
}

extern "C" __global__ void shuffles(const int *x, int *y) {
  int i = threadIdx.x, v = x[i];
  unsigned all = 0xffffffffu;
  int r = __shfl_sync(all, v, (i * 5) & 31);
  r = r * 3 + __shfl_up_sync(all, v, 3);
  r = r * 3 + __shfl_down_sync(all, v, 5, 16);
  r = r * 3 + __shfl_xor_sync(all, v, 9);
  r = r * 3 + __shfl_sync(all, v, 6, 8);
  y[i] = r;
}

// Every atomic on one word each; the sums do not depend on the order.
extern "C" __global__ void atomics(const int *x, int *words, float *f,
                                   double *d, unsigned long long *l) {
  int v = x[blockIdx.x * blockDim.x + threadIdx.x];
  atomicAdd(&words[0], v);
  atomicMin(&words[1], v);
  atomicMax(&words[2], v);
  atomicAnd(&words[3], v | 0xff00);
  atomicOr(&words[4], 1 << (v & 31));
  atomicXor(&words[5], v);
  atomicInc((unsigned *)&words[6], 6);
  atomicDec((unsigned *)&words[7], 6);
  int old = words[8], seen;
  do { // A compare-and-swap loop: words[8] += 2 v.
    seen = old;
    old = atomicCAS(&words[8], seen, seen + 2 * v);
  } while (old != seen);
  atomicAdd(f, (float)v);
  atomicAdd(d, (double)v * 0.5);
  atomicAdd(l, (unsigned long long)v << 20);
}

// A lock in shared memory, taken by one lane of each warp in turn.
extern "C" __global__ void spin_lock(int *y) {
  __shared__ int lock, total;
  if (threadIdx.x == 0) {
    lock = 0;
    total = 0;
  }
  __syncthreads();
  if ((threadIdx.x & 31) == 0) {
    while (atomicCAS(&lock, 0, 1) != 0)
      ;
    __threadfence_block();
    *(volatile int *)&total = *(volatile int *)&total + (threadIdx.x >> 5) + 1;
    __threadfence_block();
    atomicExch(&lock, 0);
  }
  __syncthreads();
  if (threadIdx.x == 0)
    *y = total;
}

// The last CTA to finish adds up what all left behind.
__device__ unsigned finished = 0;
extern "C" __global__ void last_block(const float *x, float *partial, float *y) {
  __shared__ float part[128];
  __shared__ bool last;
  int t = threadIdx.x;
  part[t] = x[blockIdx.x * 128 + t];
  __syncthreads();
  for (int s = 64; s > 0; s >>= 1) {
    if (t < s)
      part[t] += part[t + s];
    __syncthreads();
  }
  if (t == 0) {
    partial[blockIdx.x] = part[0];
    __threadfence();
    last = atomicAdd(&finished, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && t == 0) {
    float s = 0;
    for (int b = 0; b < gridDim.x; ++b)
      s += ((volatile float *)partial)[b];
    *y = s;
  }
}

// cp.async of 4, 8 and 16 bytes, short ones zero-filled, and the ignore form.
extern "C" __global__ void async_sizes(const float *x, float *y, int n) {
  __shared__ __align__(16) float a[128], b[128], c[256];
  int t = threadIdx.x;
  uint32_t at = (uint32_t)__cvta_generic_to_shared(a + t);
  int bytes = t < n ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at),
               "l"(x + t), "r"(bytes));
  if (t < 32) {
    at = (uint32_t)__cvta_generic_to_shared(b + t * 4);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at),
                 "l"(x + t * 4));
  }
  if (t < 64) {
    at = (uint32_t)__cvta_generic_to_shared(c + t * 4);
    int left = max(0, min(4, n - t)) * 4;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(
                     at),
                 "l"(x + (t & 31) * 4), "r"(left));
  }
  asm volatile("cp.async.wait_all;");
  __syncthreads();
  y[t] = a[t] + 2 * b[t] + 4 * c[t] + 8 * c[t + 128];
}
