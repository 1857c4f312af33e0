// mbarrier in all its forms, 1-d bulk copies, and the smaller instructions of
// sm_90.
#include "hopper.cuh"

// All threads meet at one barrier per round by its tokens; two slots, so that
// one meeting per round is enough.
extern "C" __global__ void token_rounds(const int *x, int *y, int rounds) {
  __shared__ int slot[2][128];
  __shared__ uint64_t meeting;
  const int tid = threadIdx.x;
  const uint32_t bar = sharedAddress(&meeting);
  if (tid == 0)
    barrierInit(bar, 128);
  __syncthreads();
  int v = x[tid];
#pragma unroll 1
  for (int round = 0; round < rounds; ++round) {
    slot[round & 1][tid] = v;
    waitToken(bar, arriveToken(bar));
    v += slot[round & 1][(tid + 33) & 127];
  }
  y[tid] = v;
}

// Warp 0 hands tiles of 32 to warp 1, which hands the buffer back.
extern "C" __global__ void ping_pong(const int *x, int *y, int tiles) {
  __shared__ int buffer[32];
  __shared__ uint64_t full, empty;
  const int lane = threadIdx.x & 31;
  const uint32_t fullBar = sharedAddress(&full), emptyBar = sharedAddress(&empty);
  if (threadIdx.x == 0) {
    barrierInit(fullBar, 32);
    barrierInit(emptyBar, 32);
  }
  __syncthreads();
  if (threadIdx.x < 32) {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      // The first wait is for the phase before the first: it is over.
      wait(emptyBar, ~i & 1);
      buffer[lane] = x[i * 32 + lane];
      arrive(fullBar);
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      wait(fullBar, i & 1);
      int v = buffer[31 - lane];
      arrive(emptyBar);
      y[i * 32 + 31 - lane] = 3 * v;
    }
  }
}

DEVICE uint32_t pendingCount(uint64_t token) {
  uint32_t count;
  asm volatile("mbarrier.pending_count.b64 %0, %1;"
               : "=r"(count)
               : "l"(token));
  return count;
}
DEVICE uint32_t testToken(uint32_t bar, uint64_t token) {
  uint32_t done;
  asm volatile("{\n"
               ".reg .pred done;\n"
               "mbarrier.test_wait.shared::cta.b64 done, [%1], %2;\n"
               "selp.u32 %0, 1, 0, done;\n"
               "}"
               : "=r"(done)
               : "r"(bar), "l"(token)
               : "memory");
  return done;
}
DEVICE uint32_t testParity(uint32_t bar, uint32_t parity) {
  uint32_t done;
  asm volatile("{\n"
               ".reg .pred done;\n"
               "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
               "selp.u32 %0, 1, 0, done;\n"
               "}"
               : "=r"(done)
               : "r"(bar), "r"(parity)
               : "memory");
  return done;
}

// One thread drives one barrier through its forms and writes what it sees.
extern "C" __global__ void barrier_forms(uint32_t *out) {
  __shared__ uint64_t object;
  const uint32_t bar = sharedAddress(&object);
  uint64_t first, second, third;
  barrierInit(bar, 4);
  asm volatile("mbarrier.arrive.noComplete.shared::cta.b64 %0, [%1], 1;"
               : "=l"(first)
               : "r"(bar)
               : "memory");
  asm volatile("mbarrier.arrive.noComplete.shared::cta.b64 %0, [%1], 2;"
               : "=l"(second)
               : "r"(bar)
               : "memory");
  out[0] = pendingCount(first);
  out[1] = pendingCount(second);
  out[2] = testToken(bar, first);
  out[3] = testParity(bar, 0);
  // The last of phase 0; phase 1 expects three.
  asm volatile("mbarrier.arrive_drop.shared::cta.b64 %0, [%1];"
               : "=l"(third)
               : "r"(bar)
               : "memory");
  out[4] = pendingCount(third);
  out[5] = testToken(bar, first);
  out[6] = testParity(bar, 0);
  out[7] = testParity(bar, 1);
  asm volatile("mbarrier.arrive_drop.noComplete.shared::cta.b64 %0, [%1], 1;"
               : "=l"(first)
               : "r"(bar)
               : "memory");
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 %0, [%1], 2;"
               : "=l"(second)
               : "r"(bar)
               : "memory");
  out[8] = pendingCount(first);
  out[9] = pendingCount(second);
  out[10] = testParity(bar, 1);
  // Phase 2 expects two.
  first = arriveToken(bar);
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], 64;" ::"r"(
                   bar)
               : "memory");
  second = arriveToken(bar);
  out[11] = pendingCount(first);
  out[12] = pendingCount(second);
  out[13] = testParity(bar, 0); // 64 bytes are missing.
  asm volatile(
      "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%0], 64;" ::"r"(bar)
      : "memory");
  out[14] = testToken(bar, second);
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(bar) : "memory");
  barrierInit(bar, 1);
  arrive(bar);
  out[15] = testParity(bar, 0);
}

// Warp 0 copies 16 bytes per lane by cp.async into two stages; the copies
// arrive for their lanes. Warp 1 reads them crosswise.
template <bool NoInc>
DEVICE void copyPipeline(const float *x, float *y, int tiles) {
  __shared__ __align__(16) float stage[2][128];
  __shared__ uint64_t full[2], empty[2];
  const int lane = threadIdx.x & 31;
  if (threadIdx.x == 0)
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 32);
      barrierInit(sharedAddress(&empty[s]), 32);
    }
  __syncthreads();
  if (threadIdx.x < 32) {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      const int s = i & 1;
      const uint32_t bar = sharedAddress(&full[s]);
      wait(sharedAddress(&empty[s]), ~(i >> 1) & 1);
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                       sharedAddress(&stage[s][lane * 4])),
                   "l"(x + i * 128 + lane * 4)
                   : "memory");
      if (NoInc) {
        asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::
                         "r"(bar)
                     : "memory");
      } else {
        // Adds to the pending count what it takes off later.
        asm volatile("cp.async.mbarrier.arrive.shared::cta.b64 [%0];" ::"r"(bar)
                     : "memory");
        arrive(bar);
      }
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      const int s = i & 1;
      wait(sharedAddress(&full[s]), i >> 1 & 1);
      float sum = 0;
      for (int e = 0; e < 4; ++e)
        sum += stage[s][e * 32 + 31 - lane];
      arrive(sharedAddress(&empty[s]));
      y[i * 32 + lane] = sum;
    }
  }
}
extern "C" __global__ void copy_pipeline_noinc(const float *x, float *y,
                                               int tiles) {
  copyPipeline<true>(x, y, tiles);
}
extern "C" __global__ void copy_pipeline_inc(const float *x, float *y,
                                             int tiles) {
  copyPipeline<false>(x, y, tiles);
}

// A producer lane, a ring of two bulk copies of 1 KiB, two consumer warps. One
// lane of each hands the stage back for its warp.
extern "C" __global__ void bulk_ring(const float *x, float *y, int tiles) {
  __shared__ __align__(128) float stage[2][256];
  __shared__ uint64_t full[2], empty[2];
  const int tid = threadIdx.x, lane = tid & 31;
  if (tid == 0) {
    for (int s = 0; s < 2; ++s) {
      barrierInit(sharedAddress(&full[s]), 1);
      barrierInit(sharedAddress(&empty[s]), 2);
    }
    fenceBarrierInit();
  }
  __syncthreads();
  if (tid < 32) {
    if (lane == 0) {
#pragma unroll 1
      for (int i = 0; i < tiles; ++i) {
        const int s = i & 1;
        wait(sharedAddress(&empty[s]), ~(i >> 1) & 1);
        arriveExpectTx(sharedAddress(&full[s]), 1024);
        bulkLoad(sharedAddress(&stage[s]), x + i * 256, 1024,
                 sharedAddress(&full[s]));
      }
    }
    return;
  }
  float sum = 0;
#pragma unroll 1
  for (int i = 0; i < tiles; ++i) {
    const int s = i & 1;
    wait(sharedAddress(&full[s]), i >> 1 & 1);
    for (int e = 0; e < 4; ++e)
      sum += (e + 1) * stage[s][e * 64 + 95 - tid];
    __syncwarp();
    arriveIf(sharedAddress(&empty[s]), lane == 0);
  }
  y[tid - 32] = sum;
}

// Tiles of 128 floats are made in shared memory and leave by bulk stores; at
// the end the storing thread reads back what it stored.
extern "C" __global__ void bulk_store(const float *x, float *y, float *sum,
                                      int tiles) {
  __shared__ __align__(128) float buffer[2][128];
  const int tid = threadIdx.x;
#pragma unroll 1
  for (int i = 0; i < tiles; ++i) {
    if (tid == 0)
      bulkWaitRead<1>();
    __syncthreads();
    buffer[i & 1][127 - tid] = 2 * x[i * 128 + tid];
    fenceProxyAsync();
    __syncthreads();
    if (tid == 0) {
      bulkStore(y + i * 128, sharedAddress(&buffer[i & 1]), 512);
      bulkCommit();
    }
  }
  if (tid == 0) {
    bulkWait<0>();
    float total = 0;
#pragma unroll 1
    for (int i = 0; i < tiles * 128; i += 16)
      total += y[i];
    *sum = total;
  }
}

// Every CTA adds its 128 numbers to the same ones in global memory, in several
// types and with several operations.
extern "C" __global__ void bulk_reduce(const int *x, uint32_t *add, int *most,
                                       float *sum, uint16_t *halves) {
  __shared__ __align__(128) uint32_t words[128];
  __shared__ __align__(128) float reals[128];
  __shared__ __align__(128) uint16_t bf16[128];
  const int tid = threadIdx.x;
  const int v = x[blockIdx.x * 128 + tid];
  words[tid] = v;
  reals[tid] = (float)v;
  bf16[tid] = (uint16_t)(__float_as_uint((float)v) >> 16);
  fenceProxyAsync();
  __syncthreads();
  if (tid == 0) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 "
                 "[%0], [%1], 512;" ::"l"(add),
                 "r"(sharedAddress(words))
                 : "memory");
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.max.s32 "
                 "[%0], [%1], 512;" ::"l"(most),
                 "r"(sharedAddress(words))
                 : "memory");
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 "
                 "[%0], [%1], 512;" ::"l"(sum),
                 "r"(sharedAddress(reals))
                 : "memory");
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add."
                 "noftz.bf16 [%0], [%1], 256;" ::"l"(halves),
                 "r"(sharedAddress(bf16))
                 : "memory");
    bulkCommit();
    bulkWaitRead<0>();
  }
}

// 8 x 8 matrices of 16-bit elements from registers to shared memory: four,
// four transposed, two, one.
extern "C" __global__ void store_matrices(uint16_t *y) {
  __shared__ __align__(16) uint16_t tile[11][8][8];
  const int lane = threadIdx.x, row = lane & 7, matrix = lane >> 3;
  uint32_t r[4];
  for (int i = 0; i < 4; ++i) {
    uint32_t low = i * 64 + lane * 2;
    r[i] = low | (low + 1) << 16;
  }
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], "
               "{%1,%2,%3,%4};" ::"r"(sharedAddress(tile[matrix][row])),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], "
               "{%1,%2,%3,%4};" ::"r"(sharedAddress(tile[4 + matrix][row])),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], "
               "{%1,%2};" ::"r"(sharedAddress(tile[8 + (matrix & 1)][row])),
               "r"(r[2]), "r"(r[3])
               : "memory");
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%0], {%1};" ::"r"(
          sharedAddress(tile[10][row])),
      "r"(r[1])
      : "memory");
  __syncwarp();
  for (int i = lane; i < 11 * 64; i += 32)
    y[i] = (&tile[0][0][0])[i];
}

// One lane of the warp, then one lane of its upper half.
extern "C" __global__ void elect_one(uint32_t *leader, uint32_t *chosen) {
  const int lane = threadIdx.x;
  uint32_t who, is;
  asm volatile("{\n"
               ".reg .pred one;\n"
               "elect.sync %0|one, 0xffffffff;\n"
               "selp.u32 %1, 1, 0, one;\n"
               "}"
               : "=r"(who), "=r"(is));
  leader[lane] = who;
  chosen[lane] = is;
  if (lane >= 16) {
    asm volatile("{\n"
                 ".reg .pred one;\n"
                 "elect.sync %0|one, 0xffff0000;\n"
                 "selp.u32 %1, 1, 0, one;\n"
                 "}"
                 : "=r"(who), "=r"(is));
    leader[16 + lane] = who;
    chosen[16 + lane] = is;
  }
}

// Three warpgroups: one gives registers up and makes tiles of 128, the others
// take registers and, in turn, square them. Named barriers 1, 2 say "full", 3,
// 4 say "empty"; 5, 6 order the turns of the two at the running sum.
extern "C" __global__ void __launch_bounds__(384, 1)
    warpgroup_relay(const int *x, int *y, int tiles) {
  __shared__ int buffer[2][128];
  __shared__ int running[128];
  const int group = threadIdx.x / 128, t = threadIdx.x % 128;
  if (group == 0) {
    fewerRegisters<24>();
#pragma unroll 1
    for (int i = 0; i < tiles; ++i) {
      if (i >= 2)
        namedSync(3 + (i & 1), 256);
      buffer[i & 1][t] = x[i * 128 + t];
      namedArrive(1 + (i & 1), 256);
    }
  } else {
    moreRegisters<240>();
    const int mine = group - 1;
    if (mine == 0)
      running[t] = 0;
#pragma unroll 1
    for (int i = mine; i < tiles; i += 2) {
      namedSync(1 + mine, 256);
      int v = buffer[mine][127 - t];
      if (i + 2 < tiles)
        namedArrive(3 + mine, 256);
      if (i > 0)
        namedSync(5 + mine, 256);
      // Another thread's element than the one of the tile before.
      int sum = running[(t + i) & 127] + v * v;
      running[(t + i) & 127] = sum;
      if (i + 1 < tiles)
        namedArrive(6 - mine, 256);
      y[i * 128 + t] = sum;
    }
  }
}

// Programmatic dependent launch: to one grid alone these two do nothing.
extern "C" __global__ void dependent(const int *x, int *y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  asm volatile("griddepcontrol.wait;" ::: "memory");
  y[i] = x[i] + 1;
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
