// Scalar families: one kernel per concern, small enough to check by hand.
extern "C" __global__ void axpy(const float *x, float *y, float a, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = a * x[i] + y[i];
}

// Tree reduction through shared memory, then one atomic per CTA.
extern "C" __global__ void reduce_tree(const float *x, float *sum, int n) {
  __shared__ float part[256];
  int t = threadIdx.x;
  float s = 0;
  for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x)
    s += x[i];
  part[t] = s;
  __syncthreads();
#pragma unroll 1
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (t < step)
      part[t] += part[t + step];
    __syncthreads();
  }
  if (t == 0)
    atomicAdd(sum, part[0]);
}

// The same by shuffles.
extern "C" __global__ void reduce_shuffle(const float *x, float *sum, int n) {
  __shared__ float part[32];
  int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  float s = 0;
  for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x)
    s += x[i];
  for (int d = 16; d > 0; d /= 2)
    s += __shfl_xor_sync(0xffffffffu, s, d);
  if (lane == 0)
    part[warp] = s;
  __syncthreads();
  if (warp == 0) {
    s = lane < blockDim.x / 32 ? part[lane] : 0.0f;
    for (int d = 16; d > 0; d /= 2)
      s += __shfl_down_sync(0xffffffffu, s, d);
    if (lane == 0)
      atomicAdd(sum, s);
  }
}

// Every lane goes round a different number of times.
extern "C" __global__ void collatz(const int *start, int *steps, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned v = start[i];
  int count = 0;
  while (v != 1) {
    v = v & 1 ? 3 * v + 1 : v / 2;
    ++count;
  }
  steps[i] = count;
}

// Lane k+1 waits for lane k of the same warp.
extern "C" __global__ void lane_chain(int *out) {
  __shared__ volatile int turn;
  int t = threadIdx.x;
  if (t == 0)
    turn = 0;
  __syncwarp();
  while (turn != t)
    ;
  out[t] = 3 * t + 1;
  __threadfence_block();
  turn = t + 1;
}

// Integer histogram by shared and global atomics.
extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins,
                                     int n) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    atomicAdd(&local[data[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i])
      atomicAdd(&bins[i], local[i]);
}
